//! The settings of a policy before it is built.

use std::fmt;
use std::sync::Arc;

use http::Method;

use super::call::{Operation, PolicyDecision};
use super::pattern::Pattern;
use super::sign_ins::{PROMPT_METHODS, RESOURCE_METHODS, TOOL_METHODS};
use super::{DefaultRule, Item, McpPolicy, Table};
use crate::error::ConfigError;
use crate::requirement::{Requirement, ScopeHierarchy, Strength};
use crate::scopes::IncludeGranted;

/// Makes a [`McpPolicy`]; each setter takes scopes as [`Requirement`] does.
///
/// ```
/// use tower_mcp_auth::mcp::McpPolicy;
/// use tower_mcp_auth::scopes::{Requirement, ScopeHierarchy};
///
/// let policy = McpPolicy::builder()
///     .baseline("mcp:read")?
///     .hierarchy(ScopeHierarchy::new([("mcp:write", ["mcp:read"])])?)
///     .tool("get_*", Requirement::authenticated())?
///     .tool("*", "mcp:write")?
///     .tool("pay", Requirement::all(["mcp:write"])?.acr(["mfa"])?)?
///     .resource("file:///shared/{team}/*", Requirement::any(["team:read", "mcp:write"])?)?
///     .build()?;
/// # let _ = policy;
/// # Ok::<(), tower_mcp_auth::ConfigError>(())
/// ```
#[must_use]
pub struct McpPolicyBuilder {
    table: Table,
}

impl McpPolicyBuilder {
    pub(super) fn new() -> Self {
        Self {
            table: Table::default(),
        }
    }

    /// Sets what every request needs, whatever it asks for; nothing by default. A `GET` or `HEAD`
    /// that the auth layer opens to every caller needs nothing: of a
    /// [public path](crate::auth::AuthLayer::public_path), say.
    ///
    /// # Errors
    /// The scopes are refused; see [`Requirement`].
    pub fn baseline<N>(mut self, needs: N) -> Result<Self, ConfigError>
    where
        N: TryInto<Requirement>,
        N::Error: Into<ConfigError>,
    {
        self.table.baseline = needs.try_into().map_err(Into::into)?;
        Ok(self)
    }

    /// Adds a rule for a JSON-RPC method (`logging/setLevel`), or for all with a prefix
    /// (`tasks/*`). It counts in addition to the rules for what the method acts on.
    ///
    /// Without a rule `logging/setLevel` and `tasks/…` need an authenticated caller, all other
    /// methods of MCP the base scopes alone.
    ///
    /// # Errors
    /// The scopes are refused, the pattern can match nothing, or it has a rule already.
    pub fn method<N>(mut self, pattern: &str, needs: N) -> Result<Self, ConfigError>
    where
        N: TryInto<Requirement>,
        N::Error: Into<ConfigError>,
    {
        let needs = needs.try_into().map_err(Into::into)?;
        let pattern = Pattern::name("methods", pattern)?;
        self.table.methods.add("methods", pattern, needs)?;
        Ok(self)
    }

    /// Adds a rule for calling a tool (`delete_file`), or all with a prefix (`get_*`, `*`).
    ///
    /// # Errors
    /// As for [`method`](Self::method).
    pub fn tool<N>(mut self, pattern: &str, needs: N) -> Result<Self, ConfigError>
    where
        N: TryInto<Requirement>,
        N::Error: Into<ConfigError>,
    {
        let needs = needs.try_into().map_err(Into::into)?;
        let pattern = Pattern::name("tools", pattern)?;
        self.table.listed.push((Item::Tool, needs.clone()));
        self.table.tools.add("tools", pattern, needs)?;
        Ok(self)
    }

    /// Adds a rule for getting or completing a prompt, or all with a prefix.
    ///
    /// # Errors
    /// As for [`method`](Self::method).
    pub fn prompt<N>(mut self, pattern: &str, needs: N) -> Result<Self, ConfigError>
    where
        N: TryInto<Requirement>,
        N::Error: Into<ConfigError>,
    {
        let needs = needs.try_into().map_err(Into::into)?;
        let pattern = Pattern::name("prompts", pattern)?;
        self.table.listed.push((Item::Prompt, needs.clone()));
        self.table.prompts.add("prompts", pattern, needs)?;
        Ok(self)
    }

    /// Adds a rule for a resource (`file:///motd`), all with a prefix (`file:///shared/*`),
    /// or all of a form: in `https://example.com/{tenant}/docs/*` the variable is one whole
    /// segment of the path.
    ///
    /// URIs compare without their fragment, with scheme and host in lower case and
    /// nothing percent-encoded that need not be (RFC 3986 section 6.2.2). A rule without a
    /// query is for the URI with any query, unless a rule says something of that query. A `/`
    /// at the end makes another URI, and so do the case of letters in a path and a port that is
    /// not the default one: where a server does not tell them apart, write rules that cover both.
    ///
    /// As soon as there is one rule for resources, two kinds of URIs are refused with 400:
    ///
    /// - What a parser of the [URL Standard](https://url.spec.whatwg.org) takes for a plainer
    ///   URI: dot segments, control characters, byte order marks, white space at an end; in
    ///   file, ftp, http, https, ws and wss a `\`, another number of `/`, `localhost` or a drive
    ///   as the host of a file, the default port, zeros before a port, a host that is not ASCII
    ///   or ends in a dot, and an address that is not written as it is printed (`127.1`,
    ///   `[0:0::1]`). A rule with such a spelling is an error.
    /// - What servers resolve in different ways: empty segments, `%2F`, `%5C`, `%25`, and a user
    ///   name in http and its like. A rule for exactly this text is an exception.
    ///
    /// A completion for a URI template needs what every rule needs that a URI of it can fall
    /// under, unless a rule is written like the template; a list shows it to every caller that
    /// may use one of them.
    ///
    /// # Errors
    /// As for [`method`](Self::method); and the URI has a plainer spelling.
    pub fn resource<N>(mut self, pattern: &str, needs: N) -> Result<Self, ConfigError>
    where
        N: TryInto<Requirement>,
        N::Error: Into<ConfigError>,
    {
        let needs = needs.try_into().map_err(Into::into)?;
        let pattern = Pattern::uri("resources", pattern)?;
        self.table.listed.push((Item::Resource, needs.clone()));
        self.table.resources.add("resources", pattern, needs)?;
        Ok(self)
    }

    /// Sets what an answer to a request of the server's needs (revisions up to 2025-11-25)
    /// beside the base scopes; nothing by default.
    ///
    /// # Errors
    /// The scopes are refused; see [`Requirement`].
    pub fn client_responses<N>(mut self, needs: N) -> Result<Self, ConfigError>
    where
        N: TryInto<Requirement>,
        N::Error: Into<ConfigError>,
    {
        self.table.client_responses = needs.try_into().map_err(Into::into)?;
        Ok(self)
    }

    /// Sets what a `notifications/…` needs beside the base scopes where no
    /// [`method`](Self::method) rule is for it; nothing by default.
    ///
    /// # Errors
    /// The scopes are refused; see [`Requirement`].
    pub fn notifications<N>(mut self, needs: N) -> Result<Self, ConfigError>
    where
        N: TryInto<Requirement>,
        N::Error: Into<ConfigError>,
    {
        self.table.notifications = needs.try_into().map_err(Into::into)?;
        Ok(self)
    }

    /// Sets what a request with this method of HTTP needs beside the base scopes. `GET`,
    /// which opens the stream of revisions up to 2025-11-25, is for `HEAD` as well.
    ///
    /// By default `GET`, `DELETE` and `OPTIONS` need the base scopes alone, and all other
    /// methods but `POST` are denied: see [`other_http_methods`](Self::other_http_methods).
    ///
    /// # Errors
    /// The scopes are refused, the method has a rule already, is `HEAD`, or is `POST`: its
    /// messages have the other rules.
    pub fn http<N>(mut self, method: Method, needs: N) -> Result<Self, ConfigError>
    where
        N: TryInto<Requirement>,
        N::Error: Into<ConfigError>,
    {
        if matches!(method, Method::POST | Method::HEAD) {
            return Err(ConfigError::new(
                "http",
                format!(
                    "a rule for {method} is never asked: POST is judged by its message, HEAD \
                     like GET"
                ),
            ));
        }
        if self.table.http.iter().any(|(own, _)| *own == method) {
            return Err(ConfigError::new(
                "http",
                format!("{method} has a second rule: make one of the two"),
            ));
        }
        let needs = needs.try_into().map_err(Into::into)?;
        self.table.http.push((method, needs));
        Ok(self)
    }

    /// Sets what methods of HTTP without a rule need beside the base scopes, those with a
    /// default included.
    ///
    /// # Errors
    /// The scopes are refused; see [`Requirement`].
    pub fn other_http_methods<N>(mut self, needs: N) -> Result<Self, ConfigError>
    where
        N: TryInto<Requirement>,
        N::Error: Into<ConfigError>,
    {
        self.table.other_http_methods = Some(needs.try_into().map_err(Into::into)?);
        Ok(self)
    }

    /// Sets which scopes include which others; none by default.
    pub fn hierarchy(mut self, hierarchy: ScopeHierarchy) -> Self {
        self.table.hierarchy = hierarchy;
        self
    }

    /// Whether a refusal names the scopes already granted as well, for clients that ask for
    /// exactly what a challenge names and would lose the others. By default that goes
    /// [by the revision](IncludeGranted::ByRevision) of the request. Granted scopes that a
    /// needed one includes are left out, unless the challenge of the auth layer names them.
    pub fn include_granted(mut self, include: impl Into<IncludeGranted>) -> Self {
        self.table.include_granted = include.into();
        self
    }

    /// Sets what becomes of what no rule is for; [`DefaultRule::Deny`] by default.
    pub fn default_rule(mut self, rule: DefaultRule) -> Self {
        self.table.default_rule = rule;
        self
    }

    /// Asks this function about every request and notification, after the rules, for what
    /// rules cannot say: the arguments of a call, the tenant of a principal.
    ///
    /// It can ask for more than the rules, never for less, and must not block. Of several, each is
    /// asked, and what they ask for adds up.
    ///
    /// It judges calls, and a list has none, so what it would deny or ask more for is listed as
    /// the rules have it. The scopes it asks for are in no rule and are not
    /// [announced](crate::auth::AuthLayer::announce): a client learns of them from the refusal,
    /// or from [`scopes_supported`](crate::oauth::ProtectedResource::scopes_supported).
    ///
    /// ```
    /// use tower_mcp_auth::mcp::{PolicyDecision, McpPolicy, DefaultRule};
    /// use tower_mcp_auth::scopes::Requirement;
    ///
    /// let production = Requirement::all(["deploy:production"])?;
    /// let policy = McpPolicy::builder()
    ///     .tool("deploy", "deploy")?
    ///     .check(move |call| match (call.tool(), call.arguments()) {
    ///         (Some("deploy"), Some(arguments)) if arguments["to"] == "staging" => PolicyDecision::Allow,
    ///         (Some("deploy"), _) => PolicyDecision::Require(production.clone()),
    ///         _ => PolicyDecision::Allow,
    ///     })
    ///     .build()?;
    /// # let _ = policy;
    /// # Ok::<(), tower_mcp_auth::ConfigError>(())
    /// ```
    pub fn check<F>(mut self, check: F) -> Self
    where
        F: Fn(&Operation<'_>) -> PolicyDecision + Send + Sync + 'static,
    {
        self.table.checks.push(Arc::new(check));
        self
    }

    /// The finished policy.
    ///
    /// # Errors
    /// Rules can never be asked, because all they are for is denied: the base, or the one
    /// method that leads to them. Or rules that an operation falls under together ask for values of
    /// `acr` that exclude each other.
    pub fn build(self) -> Result<McpPolicy, ConfigError> {
        let mut table = self.table;
        for rules in [
            &mut table.methods,
            &mut table.tools,
            &mut table.prompts,
            &mut table.resources,
        ] {
            rules.sort();
        }
        let kinds = [
            ("tools", &table.tools, &TOOL_METHODS[..]),
            ("prompts", &table.prompts, &PROMPT_METHODS),
            ("resources", &table.resources, &RESOURCE_METHODS),
        ];
        if table.baseline.is_denied() {
            return Err(ConfigError::new(
                "baseline",
                "everything is denied to everybody, so no rule is ever asked",
            ));
        }
        for (setting, rules, methods) in kinds {
            let is_denied = |method: &&str| {
                let needs = table.methods.find(method);
                needs.is_some_and(Requirement::is_denied)
            };
            let asked = |needs: &Requirement| !needs.is_denied();
            if methods.iter().all(is_denied) && rules.all_needs().any(asked) {
                return Err(ConfigError::new(
                    setting,
                    format!(
                        "the rules are never asked: rules of `methods` deny {}",
                        methods.join(", ")
                    ),
                ));
            }
        }
        if !table.notifications.is_none() && table.methods.covers("notifications/") {
            return Err(ConfigError::new(
                "notifications",
                "it is never asked: a rule of `methods` is for all notifications",
            ));
        }
        table.check_sign_ins(&Strength::new())?;
        Ok(McpPolicy {
            table: Arc::new(table),
        })
    }
}

impl fmt::Debug for McpPolicyBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("McpPolicyBuilder").finish_non_exhaustive()
    }
}
