//! The crate through its public interface: a module for each room of `src` that is a folder, and
//! `cors`; `frameworks` and `secrecy` go across them. The tests of `clock` are in `oauth::clocks`,
//! those of `util` in `tests/loom`.
//!
//! ```text
//! cargo test -p dev --test it -- oauth::keys
//! ```
//!
//! With `rust-crypto` alone, what verifies, signs and digests is tested: nothing else knows the backend.

mod api_key;
mod auth;
mod jose;
mod jwt;
mod oauth;
mod revocation;
mod testing;
mod token;

#[cfg(feature = "aws-lc-rs")]
mod config;
#[cfg(feature = "aws-lc-rs")]
mod cors;
#[cfg(feature = "aws-lc-rs")]
mod credential;
#[cfg(feature = "aws-lc-rs")]
mod doctor;
#[cfg(feature = "aws-lc-rs")]
mod error;
#[cfg(feature = "aws-lc-rs")]
mod failed_attempts;
#[cfg(feature = "aws-lc-rs")]
mod frameworks;
#[cfg(feature = "aws-lc-rs")]
mod gate;
#[cfg(feature = "aws-lc-rs")]
mod guide;
#[cfg(feature = "aws-lc-rs")]
mod json;
#[cfg(feature = "aws-lc-rs")]
mod mcp;
#[cfg(feature = "aws-lc-rs")]
mod peer;
#[cfg(feature = "aws-lc-rs")]
mod principal;
#[cfg(feature = "aws-lc-rs")]
mod redis;
#[cfg(feature = "aws-lc-rs")]
mod refusal;
#[cfg(feature = "aws-lc-rs")]
mod reload;
#[cfg(feature = "aws-lc-rs")]
mod requirement;
#[cfg(feature = "aws-lc-rs")]
mod resources;
#[cfg(feature = "aws-lc-rs")]
mod scopes;
#[cfg(feature = "aws-lc-rs")]
mod secrecy;
#[cfg(feature = "aws-lc-rs")]
mod store;
#[cfg(feature = "aws-lc-rs")]
mod telemetry;
