//! What changes while a server runs: secrets that are read again, and stacks that are swapped.

#[path = "../common/mod.rs"]
mod common;

#[cfg(feature = "config")]
mod environment;
#[cfg(feature = "config")]
mod secret;
mod swap;
