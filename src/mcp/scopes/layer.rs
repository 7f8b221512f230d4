//! `McpScopesLayer`: the layer and its settings.

use std::sync::Arc;
use std::time::Duration;

use tower_layer::Layer;

use super::McpScopes;
use crate::error::ConfigError;
use crate::mcp::McpPolicy;
use crate::mcp::dialect::DialectRule;
use crate::mcp::once::Once;
use crate::requirement::AskedScopes;

/// The default for [`McpScopesLayer::max_body_bytes`]: 4 MiB.
const MAX_BODY_BYTES: usize = 4 * 1024 * 1024;
/// The default for [`McpScopesLayer::read_timeout`]: 30 s.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// A layer that judges each operation by a [`McpPolicy`], before the server sees it.
///
/// It goes inside an auth layer and around the MCP endpoint alone: a POST that is no
/// JSON-RPC message is refused. See the [module docs](crate::mcp) for an example.
#[derive(Clone, Debug)]
#[must_use]
pub struct McpScopesLayer {
    /// `None`: operations are not judged.
    rule: Option<Arc<Rule>>,
}

#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) policy: McpPolicy,
    pub(super) max_body_bytes: usize,
    pub(super) read_timeout: Duration,
    pub(super) dialect: DialectRule,
    /// Whether it was told that the dialect of clients is not kept.
    pub(super) dialect_lost: Once,
    /// For a look whether clients can learn of the scopes.
    pub(super) look: Once,
}

impl McpScopesLayer {
    /// A layer with this policy.
    pub fn new(policy: McpPolicy) -> Self {
        Self {
            rule: Some(Arc::new(Rule {
                policy,
                max_body_bytes: MAX_BODY_BYTES,
                read_timeout: READ_TIMEOUT,
                dialect: DialectRule::default(),
                dialect_lost: Once::default(),
                look: Once::default(),
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

    /// The same where it was looked already whether clients can learn of the scopes.
    pub(crate) fn announced(self) -> Self {
        if let Some(rule) = &self.rule {
            rule.look.is_first();
        }
        self
    }

    /// In which form clients are asked to sign in, or for more scope;
    /// [`Dialect::Http`](crate::mcp::Dialect::Http) by default. See
    /// [mixed authentication](crate::mcp#mixed-authentication).
    ///
    /// By client, and up to revision 2025-11-25, it takes a
    /// [`SessionBindingLayer`](crate::mcp::SessionBindingLayer) outside of this layer, which keeps
    /// the dialect of the client that opened a session; a warning says so at the first session
    /// without. Where there are no sessions, such clients are answered over HTTP.
    pub fn dialect(self, dialect: impl Into<DialectRule>) -> Self {
        let dialect = dialect.into();
        self.edit(|rule| rule.dialect = dialect)
    }

    /// How long the body of a POST may be, in bytes; 4 MiB by default. A longer one is 413.
    ///
    /// A body is held in memory once; where its length was not given, up to twice this limit
    /// while it is read.
    ///
    /// # Errors
    /// The limit is 0.
    pub fn max_body_bytes(self, bytes: usize) -> Result<Self, ConfigError> {
        if bytes == 0 {
            return Err(ConfigError::new(
                "max_body_bytes",
                "0 lets no message through: give a number of bytes",
            ));
        }
        Ok(self.edit(|rule| rule.max_body_bytes = bytes))
    }

    /// How long a POST may take to arrive once the layer has to wait for it; 30 s by
    /// default. A slower one is 400.
    ///
    /// It runs on tokio's timers: a body that is not there at once needs a tokio runtime
    /// with its timers on.
    ///
    /// # Errors
    /// The time is 0.
    pub fn read_timeout(self, timeout: Duration) -> Result<Self, ConfigError> {
        if timeout.is_zero() {
            return Err(ConfigError::new(
                "read_timeout",
                "0 lets no message arrive: give it some seconds",
            ));
        }
        Ok(self.edit(|rule| rule.read_timeout = timeout))
    }
}

impl<S> Layer<S> for McpScopesLayer {
    type Service = McpScopes<S>;

    fn layer(&self, inner: S) -> Self::Service {
        McpScopes::new(inner, self.rule.clone())
    }
}

impl From<&McpScopesLayer> for AskedScopes {
    fn from(layer: &McpScopesLayer) -> Self {
        let rule = layer.rule.as_ref();
        rule.map_or_else(Self::default, |rule| Self::from(&rule.policy))
    }
}
