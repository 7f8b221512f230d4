//! `McpListsLayer`: the layer and its settings.

use std::sync::Arc;

use tower_layer::Layer;

use super::emptied::Emptied;
use super::{McpLists, Show};
use crate::error::ConfigError;
use crate::mcp::McpPolicy;
use crate::mcp::once::Once;
use crate::requirement::AskedScopes;
use crate::scope::Scopes;
use crate::telemetry;

/// The default for [`McpListsLayer::max_bytes`]: 4 MiB.
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// A layer that takes out of lists what is closed to the caller.
///
/// It goes by the same [`McpPolicy`] that judges calls. What no scope opens is never shown.
/// What some scope opens is shown to callers who can get it, those with access tokens of an
/// [`OAuthLayer`](crate::OAuthLayer), because a client can ask for scopes only with a call of
/// what it was shown; others see what was granted to them. [`show`](Self::show) sets it.
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
/// A list that was shortened is a `debug` event with the numbers `shown` and `removed`; one that
/// became empty is an `info` as well, once for each principal.
///
/// A list is what a client is shown, not a defence: calls are refused by
/// [`McpScopesLayer`](crate::mcp::McpScopesLayer), which goes outside of this layer.
#[derive(Clone, Debug)]
#[must_use]
pub struct McpListsLayer {
    /// `None`: lists are not filtered.
    rule: Option<Arc<Rule>>,
}

#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) policy: McpPolicy,
    pub(super) show: Show,
    pub(super) max_bytes: usize,
    /// For a look whether clients can learn of what is not shown.
    pub(super) look: Once,
    pub(super) emptied: Arc<Emptied>,
}

impl McpListsLayer {
    /// A layer with this policy. A [`check`](crate::mcp::McpPolicyBuilder::check) is not
    /// asked: it judges calls, and a list has none. What it denies is listed, and refused when
    /// it is called.
    pub fn new(policy: McpPolicy) -> Self {
        Self {
            rule: Some(Arc::new(Rule {
                policy,
                show: Show::default(),
                max_bytes: MAX_BYTES,
                look: Once::default(),
                emptied: Arc::default(),
            })),
        }
    }

    /// A disabled layer: requests and responses pass unchanged.
    #[cfg(feature = "config")]
    pub(crate) fn disabled() -> Self {
        Self { rule: None }
    }

    fn edit(mut self, edit: impl FnOnce(&mut Rule)) -> Self {
        if let Some(rule) = &mut self.rule {
            edit(Arc::make_mut(rule));
        }
        self
    }

    /// Which items are shown of those that some scope opens; default [`Show::ByCaller`].
    ///
    /// Where clients have no other way to learn of a scope, a warning names it at the first
    /// request.
    pub fn show(self, show: Show) -> Self {
        self.edit(|rule| rule.show = show)
    }

    /// Warns of scopes that clients can never learn of, if what needs them is not shown.
    pub(crate) fn check_shown(&self, learnable: Option<&Scopes>) {
        let rule = self.rule.as_ref();
        if let Some(rule) = rule.filter(|rule| rule.look.is_first()) {
            rule.check_shown(learnable);
        }
    }

    /// How long a JSON answer, or one event of a stream, may be, in bytes; 4 MiB by default.
    ///
    /// The JSON answers to POSTs in which a [`McpScopesLayer`](crate::mcp::McpScopesLayer)
    /// outside found only `tools/call`, `prompts/get`, `resources/read` and
    /// `completion/complete` are no lists: they are neither read nor bounded. Of their event
    /// streams an event that cannot be read passes as it is.
    ///
    /// # Errors
    /// The limit is 0.
    pub fn max_bytes(self, bytes: usize) -> Result<Self, ConfigError> {
        if bytes == 0 {
            return Err(ConfigError::new(
                "max_bytes",
                "0 lets no answer through: give a number of bytes",
            ));
        }
        Ok(self.edit(|rule| rule.max_bytes = bytes))
    }
}

impl Rule {
    pub(super) fn check_shown(&self, learnable: Option<&Scopes>) {
        let Some(learnable) = learnable.filter(|_| self.show == Show::Granted) else {
            return;
        };
        let listed = AskedScopes::from(&self.policy).listed;
        let hidden = Scopes::unique(listed.iter().filter(|scope| !learnable.contains(scope)));
        if !hidden.is_empty() {
            telemetry::scopes_hidden(&hidden);
        }
    }
}

impl<S> Layer<S> for McpListsLayer {
    type Service = McpLists<S>;

    fn layer(&self, inner: S) -> Self::Service {
        McpLists {
            inner,
            rule: self.rule.clone(),
        }
    }
}
