//! The settings for what a server does otherwise, or does not say.

use std::collections::HashMap;
use std::sync::Arc;

use super::AuthorizationServer;
use super::keys::Source;
use super::server::ignore_audience;
use crate::error::ConfigError;
use crate::scope::Scopes;
use crate::telemetry;
use crate::token::required::ClaimValue;
use crate::token::{Clients, Required, ScopeMapping};

/// One tenant of a server with tokens that name their tenant in the issuer.
#[derive(Clone, Debug)]
pub(super) struct Tenant {
    pub(super) issuer: Arc<str>,
    pub(super) jwks_uri: Box<str>,
    /// The claim that names the tenant once more, and how.
    pub(super) claim: (&'static str, Box<str>),
}

/// What is kept of a setting, whichever kind of text it came as.
pub(super) fn boxed(text: impl Into<String>) -> Box<str> {
    text.into().into_boxed_str()
}

impl AuthorizationServer {
    /// Accepts the tokens of these clients where they have no audience: for a server that
    /// gives its tokens none.
    ///
    /// A token *with* an audience is judged by that and by nothing else. One without must
    /// name one of these clients in its [client claim](Self::client_claim), and be evidently
    /// an access token: by its type, a `token_use`, scopes, or the marks a
    /// [preset](super::presets) knows. A client id is never compared with the resource.
    ///
    /// A client that also uses another resource of this issuer can be used to get at this
    /// one: name only clients that use this resource alone.
    ///
    /// # Errors
    /// The list or one of the ids is empty, or
    /// [`dangerously_accept_every_client_of_this_issuer`](Self::dangerously_accept_every_client_of_this_issuer)
    /// was set before.
    pub fn client_ids<I>(mut self, clients: I) -> Result<Self, ConfigError>
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        let refuse = |why: &str| Err(ConfigError::new("client_ids", why));
        if self.quirks.clients == Clients::Any {
            return refuse(
                "`dangerously_accept_every_client_of_this_issuer` and `client_ids` contradict \
                 each other: keep one",
            );
        }
        let clients: Vec<Box<str>> = clients.into_iter().map(boxed).collect();
        if clients.is_empty() {
            return refuse("the list is empty, so no token could pass");
        }
        if clients.iter().any(|client| client.is_empty()) {
            return refuse("a client id is empty; is a variable of the environment not set?");
        }
        self.quirks.clients = Clients::OneOf(clients);
        Ok(self)
    }

    /// Accepts tokens without an audience from any client, as long as they name one:
    /// where clients register themselves and cannot be listed.
    ///
    /// Any client of this issuer that a user once consented to can then act for that user
    /// here, one made for another purpose included. Everything that
    /// [`client_ids`](Self::client_ids) asks for besides is still asked for.
    ///
    /// # Errors
    /// [`client_ids`](Self::client_ids) was set before.
    pub fn dangerously_accept_every_client_of_this_issuer(mut self) -> Result<Self, ConfigError> {
        if matches!(self.quirks.clients, Clients::OneOf(_)) {
            return Err(ConfigError::new(
                "dangerously_accept_every_client_of_this_issuer",
                "`client_ids` and `dangerously_accept_every_client_of_this_issuer` contradict \
                 each other: keep one",
            ));
        }
        telemetry::weakened(
            "dangerously_accept_every_client_of_this_issuer",
            self.issuer(),
        );
        self.quirks.clients = Clients::Any;
        Ok(self)
    }

    /// Reads the client from another claim than `client_id`, as a string: Okta has `cid`,
    /// Entra ID `azp` or `appid`.
    ///
    /// # Errors
    /// The name is empty.
    pub fn client_claim(mut self, name: impl Into<String>) -> Result<Self, ConfigError> {
        let name: String = name.into();
        if name.is_empty() {
            return Err(ConfigError::new("client_claim", "the name is empty"));
        }
        self.quirks.client_claim = Some(name.into());
        Ok(self)
    }

    /// Says that all tokens of this issuer have this audience: it then counts as none.
    /// Further calls name more.
    ///
    /// # Errors
    /// The audience is empty, or an [`audience`](Self::audience) that is expected.
    pub fn ignore_audience(mut self, audience: impl Into<String>) -> Result<Self, ConfigError> {
        let audience: Box<str> = audience.into().into();
        if audience.is_empty() {
            return Err(ConfigError::new("ignore_audience", "the audience is empty"));
        }
        if self.audiences.contains(&audience) {
            return Err(ignore_audience(&audience));
        }
        self.quirks.ignore_audiences.push(audience);
        Ok(self)
    }

    /// Requires a claim to have one of these values: an organization (`org_id`), a tenant
    /// (`tid`), a group (`groups`). A list must have one of them among its elements. A token
    /// with other values, or without the claim, is refused. Further calls require more.
    ///
    /// Values are strings, booleans and integers, and equal in type and value: `true` is not
    /// `"true"`. See [`ClaimValue`].
    ///
    /// # Errors
    /// The name or a value is empty, or there is no value.
    pub fn require_claim<I>(
        mut self,
        name: impl Into<String>,
        values: I,
    ) -> Result<Self, ConfigError>
    where
        I: IntoIterator,
        I::Item: Into<ClaimValue>,
    {
        let refuse = |why: &str| Err(ConfigError::new("require_claim", why));
        let required = Required {
            claim: name.into().into(),
            values: values.into_iter().map(Into::into).collect(),
        };
        if required.claim.is_empty() {
            return refuse("the name is empty");
        }
        if required.values.is_empty() {
            return refuse("there is no value, so no token could pass");
        }
        if required.values.iter().any(ClaimValue::is_empty) {
            return refuse("a value is empty; is a variable of the environment not set?");
        }
        self.quirks.required.push(required);
        Ok(self)
    }

    /// Gives a token further scopes by the roles or groups it names: only those listed, and
    /// only what is listed for them. Further calls read further claims.
    ///
    /// `path` leads to the roles, from the claim on: `["groups"]`, or
    /// `["realm_access", "roles"]`. There may be one string, an array of strings, or an object
    /// whose member names are the roles; in `scope` and `scp` there may be several in one
    /// string. A token without them gets nothing.
    ///
    /// ```
    /// use tower_mcp_auth::oauth::AuthorizationServer;
    ///
    /// let server = AuthorizationServer::new("https://id.example.com/realms/acme")?
    ///     .scopes_from_claim(
    ///         ["realm_access", "roles"],
    ///         [("reader", "mcp:read"), ("editor", "mcp:read mcp:write")],
    ///     )?;
    /// # let _ = server;
    /// # Ok::<(), tower_mcp_auth::ConfigError>(())
    /// ```
    ///
    /// # Errors
    /// The path or the list is empty, a role is empty or listed twice, or what is listed for
    /// one is not scopes separated by spaces.
    pub fn scopes_from_claim<P, M, R, S>(mut self, path: P, mapping: M) -> Result<Self, ConfigError>
    where
        P: IntoIterator,
        P::Item: Into<String>,
        M: IntoIterator<Item = (R, S)>,
        R: Into<String>,
        S: AsRef<str>,
    {
        let refuse = |why: String| Err(ConfigError::new("scopes_from_claim", why));
        let path: Vec<Box<str>> = path.into_iter().map(boxed).collect();
        if path.is_empty() || path.iter().any(|step| step.is_empty()) {
            return refuse("the path is empty, or a part of it is".to_owned());
        }
        let mut scopes = HashMap::new();
        for (role, granted) in mapping {
            let (role, granted) = (boxed(role), granted.as_ref());
            let named = match Scopes::configured_text(granted) {
                Ok(named) => named,
                Err(why) => {
                    let why = format!("{granted:?} are not scopes separated by spaces: {why}");
                    return refuse(why);
                }
            };
            if role.is_empty() {
                return refuse("a role is empty".to_owned());
            }
            let listed = scopes.insert(role.clone(), named.as_str().into());
            if listed.is_some() {
                return refuse(format!("{role:?} is listed twice"));
            }
        }
        if scopes.is_empty() {
            return refuse("the list is empty, so it gives no scope".to_owned());
        }
        self.quirks.mappings.push(ScopeMapping { path, scopes });
        Ok(self)
    }

    /// The servers this one stands for: one for each tenant, or itself.
    pub(super) fn by_tenant(mut self) -> Vec<Self> {
        if self.tenants.is_empty() {
            return vec![self];
        }
        let tenants = std::mem::take(&mut self.tenants);
        let of = |tenant: Tenant| {
            let mut server = self.clone();
            let (claim, value) = tenant.claim;
            server.origin.metadata_of = Arc::clone(&tenant.issuer);
            server.origin.issuer = tenant.issuer;
            if matches!(server.origin.source, Source::Discovery) {
                server.origin.source = Source::JwksUri(tenant.jwks_uri);
            }
            server.quirks.required.push(Required {
                claim: claim.into(),
                values: vec![value.into()],
            });
            server
        };
        tenants.into_iter().map(of).collect()
    }

    pub(super) fn refuse_with_tenants(&self, setting: &'static str) -> Result<(), ConfigError> {
        if self.tenants.is_empty() {
            return Ok(());
        }
        Err(ConfigError::new(
            setting,
            "this server stands for several tenants, each with keys of its own",
        ))
    }
}
