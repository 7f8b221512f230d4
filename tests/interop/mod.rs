//! Programs no one here wrote, against this crate: clients, authorization servers, proxies, the
//! engines of the shared store, and the conformance suite of MCP. What they are and how to install them is in
//! `tests/interop/README.md`; `cargo test -p dev --test interop -- --ignored` runs
//! them, after `cargo build --workspace --all-features --examples`.

mod bound_tokens;
mod certificates;
mod clients;
mod conformance;
mod contract;
mod doctor;
mod dpop;
mod first_contact;
mod fixture;
mod introspected;
mod introspection;
mod mixed;
mod mod_oauth2;
mod oidc_provider;
mod programs;
mod proxies;
mod readme_stack;
mod redis;
mod tenants;
