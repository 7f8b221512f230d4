//! Scopes of routes, handlers and MCP operations.

mod announced;
mod bodies;
mod details;
mod dialects;
mod headers;
mod lists;
mod members;
mod mixed;
mod operation;
mod policy;
mod quota;
mod require;
mod reserved_names;
mod resources;
mod result_dialect;
mod rmcp;
mod session;
mod strength;
mod support;
mod uris;
