//! What is told of decisions, and what is counted of them.
mod claims;
pub mod decisions;
mod limits;
mod metrics;
mod spans;
mod step_up;
mod weakened;
