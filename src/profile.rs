//! What a server's state is.
