//! In which form a refused client is told to sign in, or to ask for more scope.

mod client;

use std::fmt;
use std::sync::Arc;

use serde::Deserialize;

pub use self::client::ClientInfo;
pub(super) use self::client::{of_initialize, of_request};
use crate::error::ConfigError;

/// The form of a refusal that a client can answer by signing in.
///
/// What differs is how clients find out, and which act on it. The verdict is the same, and so are
/// the events, the metrics and the [`AuthError`](crate::AuthError) in the extensions of the
/// response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Dialect {
    /// HTTP 401 or 403 with `WWW-Authenticate`, as MCP has it. The default.
    #[default]
    Http,
    /// HTTP 200 with the result of a tool that failed: `isError`, and the challenges in
    /// `_meta["mcp/www_authenticate"]`, as ChatGPT has it. For `tools/call` alone, and for a
    /// missing credential and missing scopes alone. Lists of tools say which of them need a
    /// sign-in (`securitySchemes`).
    Result,
}

/// The dialect of the client that opened a session: in the extensions of the response that names
/// the session, and of each later request in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SessionDialect(pub(super) Dialect);

/// Marks a request: the lists of tools in its response say how to sign in.
#[derive(Clone, Copy, Debug)]
pub(super) struct SaysSchemes;

/// The clients that are known to act on [`Dialect::Result`] alone.
const RESULT_CLIENTS: [&str; 1] = ["openai-mcp*"];

/// Which [`Dialect`] each client is answered in.
///
/// A [`Dialect`] converts into it: then all clients are answered in that one.
///
/// ```
/// use tower_mcp_auth::mcp::{Dialect, DialectRule};
///
/// let all: DialectRule = Dialect::Result.into();
/// let by_client = DialectRule::by_client();
/// let own = DialectRule::result_for(["openai-mcp", "acme-*"])?;
/// let by_version = DialectRule::by_client_with(|client| match client.name() {
///     "acme" if client.version() == Some("1") => Dialect::Result,
///     _ => Dialect::Http,
/// });
/// # let _ = (all, by_client, own, by_version);
/// # Ok::<(), tower_mcp_auth::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct DialectRule(Kind);

#[derive(Clone)]
enum Kind {
    Always(Dialect),
    ByClient(Arc<dyn Fn(&ClientInfo) -> Dialect + Send + Sync>),
}

impl DialectRule {
    /// [`Dialect::Result`] for clients with a name that begins with `openai-mcp`, as ChatGPT's does:
    /// they act on nothing else. [`Dialect::Http`] for all others.
    pub fn by_client() -> Self {
        Self::by_name(RESULT_CLIENTS.map(Into::into).to_vec())
    }

    /// [`Dialect::Result`] for clients of these names, or with these beginnings (`acme-*`).
    ///
    /// # Errors
    /// There is no name, one is empty, or one has a `*` that is not at its end.
    pub fn result_for<I>(names: I) -> Result<Self, ConfigError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let setting = "result_clients";
        let names = names.into_iter().map(|name| Box::from(name.as_ref()));
        let names: Vec<Box<str>> = names.collect();
        if names.is_empty() {
            let why = "no client is named: name one, or leave it out";
            return Err(ConfigError::new(setting, why));
        }
        let is_bad = |name: &&str| {
            let plain = name.strip_suffix('*').unwrap_or(name);
            name.is_empty() || plain.contains('*')
        };
        if let Some(name) = names.iter().map(|name| &**name).find(is_bad) {
            return Err(ConfigError::new(
                setting,
                format!("{name:?} is no name of a client; write `acme`, or `acme-*`"),
            ));
        }
        Ok(Self::by_name(names))
    }

    /// What this function says of each client. It must not block.
    ///
    /// What a client says of itself proves nothing. It decides the form of a refusal, and must
    /// decide nothing else.
    pub fn by_client_with<F>(rule: F) -> Self
    where
        F: Fn(&ClientInfo) -> Dialect + Send + Sync + 'static,
    {
        Self(Kind::ByClient(Arc::new(rule)))
    }

    fn by_name(names: Vec<Box<str>>) -> Self {
        let is = |name: &str, own: &str| match own.strip_suffix('*') {
            Some(beginning) => name.starts_with(beginning),
            None => name == own,
        };
        Self::by_client_with(
            move |client| match names.iter().any(|own| is(client.name(), own)) {
                true => Dialect::Result,
                false => Dialect::Http,
            },
        )
    }

    /// The dialect that does not depend on the client.
    pub(super) fn fixed(&self) -> Option<Dialect> {
        match &self.0 {
            Kind::Always(dialect) => Some(*dialect),
            Kind::ByClient(_) => None,
        }
    }

    /// The dialect of a client; of one that does not say which it is, HTTP.
    pub(super) fn of(&self, client: Option<&ClientInfo>) -> Dialect {
        match (&self.0, client) {
            (Kind::Always(dialect), _) => *dialect,
            (Kind::ByClient(rule), Some(client)) => rule(client),
            (Kind::ByClient(_), None) => Dialect::Http,
        }
    }
}

impl Default for DialectRule {
    fn default() -> Self {
        Dialect::default().into()
    }
}

impl From<Dialect> for DialectRule {
    fn from(dialect: Dialect) -> Self {
        Self(Kind::Always(dialect))
    }
}

impl fmt::Debug for DialectRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Always(dialect) => f.debug_tuple("DialectRule").field(dialect).finish(),
            Kind::ByClient(_) => f.write_str("DialectRule(<by client>)"),
        }
    }
}
