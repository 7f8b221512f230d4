//! Keys kept elsewhere.
