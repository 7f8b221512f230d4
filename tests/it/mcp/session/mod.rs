//! Sessions and their streams belong to the principal that opened them.

#[path = "../../../../examples/support/notes.rs"]
mod notes;

mod binding;
mod claims;
mod client;
mod rmcp;
mod streams;
pub(crate) mod support;
mod whole;
