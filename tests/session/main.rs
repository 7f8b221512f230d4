//! Sessions, streams and sealed values belong to their principal; hosts and origins to the
//! server.

// Nothing of a test crate is reachable from outside.
#![allow(unreachable_pub)]

#[path = "../common/mod.rs"]
mod common;

mod binding;
mod origin;
mod rmcp;
mod sealer;
mod stack;
mod streams;
mod support;
