//! `OAuthLayer` against a scripted network and a clock that is moved by hand.
mod actors;
#[cfg(feature = "aws-lc-rs")]
mod advertised;
#[cfg(feature = "aws-lc-rs")]
mod audiences;
#[cfg(feature = "aws-lc-rs")]
pub(crate) mod authorities;
mod binding;
mod cache;
mod clocks;
#[cfg(feature = "aws-lc-rs")]
mod config;
#[cfg(feature = "aws-lc-rs")]
mod discovery;
#[cfg(feature = "aws-lc-rs")]
mod edge;
#[cfg(feature = "aws-lc-rs")]
mod introspected_loopback;
pub(crate) mod introspection;
#[cfg(feature = "aws-lc-rs")]
mod kept_connections;
#[cfg(feature = "aws-lc-rs")]
mod key_set_access;
mod key_sets;
mod keys;
#[cfg(feature = "aws-lc-rs")]
mod lifetimes;
mod logout;
#[cfg(feature = "aws-lc-rs")]
mod loopback;
mod makers;
#[cfg(feature = "aws-lc-rs")]
pub(crate) mod metadata;
#[cfg(feature = "aws-lc-rs")]
mod metadata_places;
#[cfg(feature = "aws-lc-rs")]
mod network;
mod nulls;
#[cfg(feature = "aws-lc-rs")]
mod outage;
#[cfg(feature = "aws-lc-rs")]
mod place;
pub(crate) mod presets;
#[cfg(feature = "aws-lc-rs")]
mod probes;
#[cfg(feature = "aws-lc-rs")]
mod proxies;
mod required;
#[cfg(feature = "aws-lc-rs")]
mod server_metadata;
mod strength;
pub(crate) mod support;
mod tenants;
#[cfg(feature = "aws-lc-rs")]
mod timeouts;
mod tokens;
mod unknown_keys;
mod unproven;
mod unsupported;

use common::trace;
