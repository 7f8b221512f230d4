//! The crate through its public interface: a module for each room of `src` that is a folder, and
//! `cors`; `frameworks` and `secrecy` go across them. The tests of `clock` are in `oauth::clocks`,
//! those of `util` in `tests/loom`.
//!
//! ```text
//! cargo test -p dev --test it -- oauth::keys
//! ```

mod api_key;
mod auth;
mod config;
mod cors;
mod credential;
mod doctor;
mod error;
mod failed_attempts;
mod frameworks;
mod gate;
mod guide;
mod jose;
mod json;
mod jwt;
mod mcp;
mod oauth;
mod peer;
mod principal;
mod redis;
mod refusal;
mod reload;
mod requirement;
mod resources;
mod revocation;
mod scopes;
mod secrecy;
mod store;
mod telemetry;
mod testing;
mod token;
