//! The presets, each against the shapes its provider documents: discovery document, key set,
//! claims of tokens; signed by keys of our own.
mod clients;
mod config;
mod entra;
pub(crate) mod fixture;
mod opaque;
mod resource;
mod scopes;
mod spiffe;
mod workloads;
use super::support;
use common::trace;
