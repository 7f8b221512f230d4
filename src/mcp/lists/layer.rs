use std::sync::Arc;

use tower_layer::Layer;

use super::McpLists;
use crate::error::ConfigError;
use crate::mcp::ScopePolicy;

/// The default for [`McpListsLayer::max_bytes`]: 4 MiB.
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// A layer that takes out of lists what the caller may not use, by the same
/// [`ScopePolicy`] that judges their calls.
///
/// It filters the answers of `tools/list`, `prompts/list`, `resources/list` and
/// `resources/templates/list`, as JSON and on event streams, and marks them
/// `"cacheScope": "private"` where they have that member. An answer that is compressed, too
/// large or unreadable is replaced by a JSON-RPC internal error, or ends its stream. So a
/// layer that compresses goes outside of this one.
///
/// JSON is what any client could take for it: a media type with `json` in it, whatever else it
/// says (`text/json`, `application/x+json; charset=utf-8`, upper case), and an answer of no type
/// or of one that says little (`text/plain`) that begins with `{` or `[`. A response that says
/// both JSON and events is replaced by an error. Pages, images, sounds, fonts and gRPC pass as
/// they are.
///
/// A list is what a client is shown, not a defence: calls are refused by
/// [`McpScopesLayer`](crate::mcp::McpScopesLayer), which goes outside of this layer.
#[derive(Clone, Debug)]
#[must_use]
pub struct McpListsLayer {
    pub(super) rule: Arc<Rule>,
}

#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) policy: ScopePolicy,
    pub(super) max_bytes: usize,
}

impl McpListsLayer {
    /// A layer with this policy. A [`check`](crate::mcp::ScopePolicyBuilder::check) is not
    /// asked: it judges calls, and a list has none.
    pub fn new(policy: ScopePolicy) -> Self {
        Self {
            rule: Arc::new(Rule {
                policy,
                max_bytes: MAX_BYTES,
            }),
        }
    }

    /// How long a JSON answer, or one event of a stream, may be, in bytes; 4 MiB by default.
    ///
    /// The JSON answers to POSTs in which a [`McpScopesLayer`](crate::mcp::McpScopesLayer)
    /// outside found only `tools/call`, `prompts/get`, `resources/read` and
    /// `completion/complete` are no lists: they are neither read nor bounded.
    ///
    /// # Errors
    /// The limit is 0.
    pub fn max_bytes(mut self, bytes: usize) -> Result<Self, ConfigError> {
        if bytes == 0 {
            return Err(ConfigError::new(
                "max_bytes",
                "0 lets no answer through: give a number of bytes",
            ));
        }
        Arc::make_mut(&mut self.rule).max_bytes = bytes;
        Ok(self)
    }
}

impl<S> Layer<S> for McpListsLayer {
    type Service = McpLists<S>;

    fn layer(&self, inner: S) -> Self::Service {
        McpLists {
            inner,
            rule: Arc::clone(&self.rule),
        }
    }
}
