//! Lists of tools, prompts and resources, filtered by what a caller may use.

mod body;
mod emptied;
mod events;
mod filter;
mod future;
mod layer;
mod service;
mod show;

use std::sync::Arc;

use self::layer::Rule;
use super::policy::{Item, Sight, SignIn};
use crate::principal::Principal;
use crate::telemetry;

pub use self::body::ListsBody;
pub use self::future::ListsFuture;
pub use self::layer::McpListsLayer;
pub use self::service::McpLists;
pub use self::show::Show;

/// The mark on a request if its one JSON answer can hold no list.
#[derive(Clone, Copy, Debug)]
pub(super) struct NoLists;

/// What one caller is shown.
struct View {
    rule: Arc<Rule>,
    sight: Sight,
    principal: Option<Principal>,
    /// Who can sign in, where tools say so.
    schemes: Option<SignIn>,
}

/// What a filter asks, and what it tells.
trait Shows {
    /// Whether the item stays in its list.
    fn shows(&self, item: Item, name: &str) -> bool;

    /// How a client signs in for an item, as JSON, where the list says so.
    fn schemes(&self, item: Item, name: &str) -> Option<String>;

    /// A list was filtered.
    fn filtered(&self, item: Item, shown: usize, removed: usize);
}

impl Shows for View {
    fn shows(&self, item: Item, name: &str) -> bool {
        self.rule.policy.shows(&self.sight, item, name)
    }

    fn schemes(&self, item: Item, name: &str) -> Option<String> {
        let sign_in = self.schemes.filter(|_| item == Item::Tool)?;
        Some(self.rule.policy.schemes(sign_in, name))
    }

    fn filtered(&self, item: Item, shown: usize, removed: usize) {
        if removed == 0 {
            return;
        }
        let (list, principal) = (item.list(), self.principal.as_ref());
        telemetry::list_shortened(list, shown, removed, principal);
        if shown == 0
            && self
                .rule
                .emptied
                .is_first(principal.map(Principal::id), item)
        {
            telemetry::list_emptied(list, removed, principal);
        }
    }
}
