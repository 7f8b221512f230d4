//! Sessions, streams and sealed values belong to their principal; hosts and origins to the
//! server.

#[path = "../../../../examples/support/notes.rs"]
mod notes;

mod binding;
mod claims;
mod client;
mod origin;
mod probes;
mod rmcp;
mod sealer;
mod stack;
mod streams;
mod support;
mod whole;
