//! A backup onto the volume, whole or not at all.
