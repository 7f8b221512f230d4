//! API keys: their format, their lives, and the files and stores they come from.
// Nothing of a test crate is reachable from outside.
#![allow(unreachable_pub)]

#[path = "../common/mod.rs"]
mod common;
#[cfg(feature = "api-key-store")]
mod file;
mod format;
mod life;
mod placement;
#[cfg(feature = "api-key-store")]
mod store;
mod wire;
