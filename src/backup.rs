//! Backups: made, read back, listed, kept.
