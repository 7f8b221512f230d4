//! Keys in a file.
