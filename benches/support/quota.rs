//! Budgets that are never used up, and a layer that knows its tokens.

use std::time::Duration;

use tower::Layer;
use tower_mcp_auth::auth::AuthService;
use tower_mcp_auth::mcp::quota::Quota;
use tower_mcp_auth::mcp::{Budget, QuotaLayer};
use tower_mcp_auth::oauth::{OAuthProvider, TokenCacheOptions};

use super::drive::Bare;
use super::tokens::Key;

/// One layer without budgets, and one with so many: both know the same tokens. No body is read:
/// what that costs is in `operation`.
pub(crate) fn layers(
    key: &Key,
    budgets: u32,
) -> (
    AuthService<Bare, OAuthProvider>,
    AuthService<Quota<Bare>, OAuthProvider>,
) {
    let mut quotas = QuotaLayer::in_memory().requests_only().unwrap();
    for number in 0..budgets {
        let name = format!("budget-{number}");
        let budget = Budget::new(name, 10_000, Duration::from_secs(1)).unwrap();
        let budget = budget.burst(100_000_000).unwrap();
        quotas = quotas.budget(budget).unwrap();
    }
    let auth = key.oauth_layer(TokenCacheOptions::new());
    (auth.layer(Bare), auth.layer(quotas.layer(Bare)))
}
