//! `OAuthLayer` against a scripted network and a clock that is moved by hand.
#![cfg(feature = "oauth")]
// Nothing of a test crate is reachable from outside.
#![allow(unreachable_pub)]

mod audiences;
mod authorities;
mod cache;
mod clocks;
mod config;
mod discovery;
mod introspected_loopback;
mod introspection;
mod kept_connections;
mod key_sets;
mod keys;
mod lifetimes;
#[cfg(feature = "testing")]
mod loopback;
mod metadata;
mod network;
mod nulls;
mod outage;
mod place;
mod proxies;
mod required;
mod reserved_names;
mod seed;
mod support;
mod tenants;
mod tokens;
#[path = "../common/trace.rs"]
mod trace;
mod unknown_keys;
mod unproven;
