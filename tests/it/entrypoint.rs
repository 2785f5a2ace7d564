//! From container start to server.
