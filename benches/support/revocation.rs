//! Revocations, many of them, and the layers that go by them.

use std::sync::LazyLock;

use tokio::runtime::Runtime;
use tower::Layer;
use tower_mcp_auth::auth::AuthService;
use tower_mcp_auth::oauth::{OAuthLayer, OAuthProvider, TokenCacheOptions};
use tower_mcp_auth::revocation::{Entry, Revocation};
use tower_mcp_auth::store::MemoryRevocationStore;

use super::drive::Bare;
use super::introspected::runtime;
use super::tokens::Key;

pub(crate) type Guarded = AuthService<Bare, OAuthProvider>;

/// The kinds of entries.
#[derive(Clone, Copy)]
pub(crate) enum Kinds {
    /// Of token ids alone.
    Tokens,
    /// Of all that tokens can be revoked by.
    All,
}

/// With so many entries, none of which is for a token of these benches.
pub(crate) fn with_entries(entries: usize, kinds: Kinds) -> Revocation {
    let revocation = Revocation::in_memory().grant_claim("grant").unwrap();
    let runtime = runtime();
    for number in 0..entries {
        let (issuer, name) = ("https://auth.example.com", format!("other-{number}"));
        let entry = match (kinds, number % 50) {
            (Kinds::All, 0) => Entry::subject(issuer, &name),
            (Kinds::All, 1) => Entry::client(issuer, &name),
            (Kinds::All, 2) => Entry::session(issuer, &name),
            (Kinds::All, 3) => Entry::grant(issuer, &name),
            (Kinds::All, 4) => Entry::issuer(&*name),
            _ => Entry::token(issuer, &name),
        };
        runtime.block_on(revocation.revoke(entry)).unwrap();
    }
    revocation
}

/// One that replicas have together, without entries.
pub(crate) fn shared() -> Revocation {
    /// It runs what reads from the store.
    static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(1).enable_all().build().unwrap()
    });
    let store = MemoryRevocationStore::default();
    let revocation = Revocation::shared(store, "R7vJ2nWq9sLx4TzK8mYc3FbHd6GpAeU5").unwrap();
    RUNTIME.block_on(revocation.ready());
    revocation
}

/// One layer without revocation, and one for each of these: all know the same tokens.
pub(crate) fn layers<const N: usize>(
    key: &Key,
    revocations: [Revocation; N],
) -> (Guarded, [Guarded; N]) {
    let plain: OAuthLayer = key.oauth_layer(TokenCacheOptions::new());
    let layers = revocations.map(|revocation| plain.clone().revocation(revocation).layer(Bare));
    (plain.layer(Bare), layers)
}
