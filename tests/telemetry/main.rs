//! What is told of decisions, and what is counted of them.
// Nothing of a test crate is reachable from outside.
#![allow(unreachable_pub)]

mod attempts;
mod claims;
#[path = "../common/mod.rs"]
mod common;
mod decisions;
mod limits;
#[cfg(all(feature = "metrics", feature = "testing"))]
mod metrics;
mod spans;
mod step_up;
#[cfg(feature = "oauth")]
mod weakened;
