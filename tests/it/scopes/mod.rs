//! Scopes, and how a user signed in, where a route or a handler asks for them.

mod require;
mod strength;
