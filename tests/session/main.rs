//! Sessions, streams and sealed values belong to their principal; hosts and origins to the
//! server.

// Nothing of a test crate is reachable from outside.
#![allow(unreachable_pub)]

#[path = "../common/mod.rs"]
mod common;
#[path = "../../examples/support/notes.rs"]
mod notes;

mod binding;
mod client;
mod origin;
mod probes;
mod rmcp;
mod sealer;
mod stack;
mod streams;
mod support;
mod whole;
