//! The presets, each against the shapes its provider documents: discovery document, key set,
//! claims of tokens; signed by keys of our own.
#![cfg(feature = "oauth")]
// Nothing of a test crate is reachable from outside.
#![allow(unreachable_pub)]

mod clients;
mod config;
mod entra;
mod fixture;
mod opaque;
mod resource;
mod scopes;
#[allow(dead_code)]
#[path = "../oauth/support.rs"]
mod support;
#[path = "../common/trace.rs"]
mod trace;
