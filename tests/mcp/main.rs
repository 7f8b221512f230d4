//! Scopes of routes, handlers and MCP operations.

#![allow(missing_docs)]

#[path = "../common/mod.rs"]
mod common;

mod announced;
mod bodies;
mod details;
mod headers;
mod lists;
mod members;
mod operation;
mod policy;
mod require;
mod reserved_names;
mod rmcp;
mod support;
mod uris;
