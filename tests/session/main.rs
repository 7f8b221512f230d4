//! Sessions, streams and sealed values belong to their principal; hosts and origins to the
//! server.

#[path = "../common/mod.rs"]
mod common;

mod binding;
mod support;
