mod body;
mod events;
mod filter;
mod future;
mod layer;
mod service;

use super::policy::{Item, ScopePolicy};
use crate::scopes::Scopes;

pub use self::body::ListsBody;
pub use self::future::ListsFuture;
pub use self::layer::McpListsLayer;
pub use self::service::McpLists;

/// The mark on a request whose one JSON answer can hold no list.
#[derive(Clone, Copy, Debug)]
pub(super) struct NoLists;

/// What one caller is shown.
struct View {
    policy: ScopePolicy,
    scopes: Scopes,
    max_bytes: usize,
}

impl View {
    fn shows(&self) -> impl Fn(Item, &str) -> bool {
        |item, name| self.policy.shows(&self.scopes, item, name)
    }
}
