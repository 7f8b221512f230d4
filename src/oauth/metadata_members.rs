//! What the metadata document of a resource says (RFC 9728 section 2).

use serde_json::{Map, Value, json};

use super::ProtectedResource;
use super::resource::SCOPES;
use super::url;
use crate::error::ConfigError;
use crate::resources::checked_scopes;
use crate::scope::Scopes;
use crate::util::repeated;

/// What says which proofs of RFC 9449 are accepted, and that every token needs one.
pub(super) const DPOP_ALGS: &str = "dpop_signing_alg_values_supported";
pub(super) const DPOP_REQUIRED: &str = "dpop_bound_access_tokens_required";

/// What says that tokens are accepted that are bound to certificates (RFC 8705).
pub(super) const CERTIFICATES: &str = "tls_client_certificate_bound_access_tokens";

impl ProtectedResource {
    /// Advertises scopes (`scopes_supported`): the few a client needs for basic use, as
    /// clients ask for all of them when a challenge names none. Which scopes are *required*
    /// is [another setting](super::OAuthLayerBuilder::required_scopes).
    ///
    /// Where it is not called, they are those that a policy
    /// [announces](super::OAuthLayer::announce), if there is one; an empty list keeps these out.
    ///
    /// # Errors
    /// A scope is not one, or is `offline_access`, which MCP 2026-07-28 keeps out of a
    /// resource's metadata.
    pub fn scopes_supported<I>(self, scopes: I) -> Result<Self, ConfigError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let scopes = checked_scopes("scopes_supported", scopes)?;
        let list: Vec<Value> = scopes.iter().map(Value::from).collect();
        let mut set = self.set(SCOPES, list);
        set.scopes = Some(scopes);
        Ok(set)
    }

    /// Names the resource for people.
    pub fn resource_name(self, name: &str) -> Self {
        self.set("resource_name", name)
    }

    /// Names a page for developers.
    ///
    /// # Errors
    /// The value is no absolute URL.
    pub fn resource_documentation(self, page: &str) -> Result<Self, ConfigError> {
        self.set_url("resource_documentation", page)
    }

    /// Names a page with the policy for clients.
    ///
    /// # Errors
    /// The value is no absolute URL.
    pub fn resource_policy_uri(self, page: &str) -> Result<Self, ConfigError> {
        self.set_url("resource_policy_uri", page)
    }

    /// Names a page with the terms of service.
    ///
    /// # Errors
    /// The value is no absolute URL.
    pub fn resource_tos_uri(self, page: &str) -> Result<Self, ConfigError> {
        self.set_url("resource_tos_uri", page)
    }

    /// Names the resource's own keys, with which it signs its responses.
    ///
    /// # Errors
    /// The value is no https URL.
    pub fn jwks_uri(self, jwks_uri: &str) -> Result<Self, ConfigError> {
        if url::parse("jwks_uri", jwks_uri)?.scheme() != "https" {
            return Err(ConfigError::new("jwks_uri", "the URL is not https"));
        }
        Ok(self.set("jwks_uri", jwks_uri))
    }

    /// Names the algorithms with which the resource signs its responses.
    ///
    /// # Errors
    /// One is `none`.
    pub fn resource_signing_alg_values_supported<I>(self, algs: I) -> Result<Self, ConfigError>
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.set_algs("resource_signing_alg_values_supported", algs)
    }

    /// Names the types of authorization details (RFC 9396) understood here.
    pub fn authorization_details_types_supported<I>(self, types: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.set("authorization_details_types_supported", strings(types))
    }

    /// Says whether tokens bound to client certificates (RFC 8705) are supported, where something
    /// else than this crate checks these. With [`mtls`](super::AuthorizationServer::mtls) of a
    /// server it is an error.
    pub fn tls_client_certificate_bound_access_tokens(self, supported: bool) -> Self {
        self.set(CERTIFICATES, supported)
    }

    /// Names the algorithms of DPoP proofs (RFC 9449), where something else than this crate checks
    /// these. With [`dpop`](super::AuthorizationServer::dpop) of a server it is an error.
    ///
    /// # Errors
    /// One is `none`.
    pub fn dpop_signing_alg_values_supported<I>(self, algs: I) -> Result<Self, ConfigError>
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.set_algs(DPOP_ALGS, algs)
    }

    /// Says whether every token must be bound to a key with DPoP, where something else than this
    /// crate sees to it. With [`dpop`](super::AuthorizationServer::dpop) of a server it is an error.
    pub fn dpop_bound_access_tokens_required(self, required: bool) -> Self {
        self.set(DPOP_REQUIRED, required)
    }

    /// Adds the same metadata as a signed JWT
    /// ([RFC 9728 section 2.2](https://www.rfc-editor.org/rfc/rfc9728#section-2.2)). It names one
    /// resource, so a [template](Self::from_template) has none.
    pub fn signed_metadata(self, jwt: &str) -> Self {
        self.set("signed_metadata", jwt)
    }

    /// Adds a member of your own, or one in another language (`resource_name#de`).
    ///
    /// # Errors
    /// The member has a setter, or is made by the layer.
    pub fn member(self, name: &str, value: impl Into<Value>) -> Result<Self, ConfigError> {
        const OWN: [&str; 14] = [
            "resource",
            "authorization_servers",
            "bearer_methods_supported",
            "scopes_supported",
            "resource_name",
            "resource_documentation",
            "resource_policy_uri",
            "resource_tos_uri",
            "jwks_uri",
            "resource_signing_alg_values_supported",
            CERTIFICATES,
            DPOP_ALGS,
            DPOP_REQUIRED,
            "signed_metadata",
        ];
        if OWN.contains(&name) || name == "authorization_details_types_supported" {
            return Err(ConfigError::new(
                "member",
                format!("{name:?} has a setter of its own, or is made by the layer"),
            ));
        }
        Ok(self.set(name, value))
    }

    /// The document of the resource at `url`, with tokens from `issuers`.
    pub(super) fn document<'i>(
        &self,
        url: &str,
        issuers: impl Iterator<Item = &'i str>,
    ) -> Map<String, Value> {
        let mut document = Map::new();
        document.insert("resource".to_owned(), json!(url));
        let issuers: Vec<Value> = issuers.map(Value::from).collect();
        // RFC 9728 section 3.2: what says nothing is left out.
        if !issuers.is_empty() {
            document.insert("authorization_servers".to_owned(), issuers.into());
        }
        document.insert("bearer_methods_supported".to_owned(), json!(["header"]));
        document.extend(self.fields.clone());
        document
    }

    /// The member of DPoP that was set by hand, if one was.
    pub(super) fn dpop_member(&self) -> Option<&'static str> {
        let mut members = [DPOP_ALGS, DPOP_REQUIRED].into_iter();
        members.find(|name| self.fields.contains_key(*name))
    }

    /// Whether the member of certificates was set by hand.
    pub(super) fn has_certificate_member(&self) -> bool {
        self.fields.contains_key(CERTIFICATES)
    }

    /// Whether there is a signed copy of the document.
    pub(super) fn has_signed_metadata(&self) -> bool {
        self.fields.contains_key("signed_metadata")
    }

    /// The scopes that were set.
    pub(super) fn scopes(&self) -> Option<&Scopes> {
        self.scopes.as_ref()
    }

    /// The first setting that clients would learn of by the document or by challenges.
    pub(super) fn advertised_setting(&self) -> Option<&str> {
        if self.advertised_metadata_url.is_some() {
            return Some("advertised_metadata_url");
        }
        if self.metadata_at_root {
            return Some("metadata_at_root");
        }
        if self.scopes.is_some() {
            return Some(SCOPES);
        }
        self.fields.keys().next().map(String::as_str)
    }

    fn set(mut self, name: &str, value: impl Into<Value>) -> Self {
        let value = value.into();
        let is_zero = match &value {
            Value::Null | Value::Bool(false) => true,
            Value::String(text) => text.is_empty(),
            Value::Array(list) => list.is_empty(),
            Value::Object(map) => map.is_empty(),
            Value::Bool(true) | Value::Number(_) => false,
        };
        if is_zero {
            self.fields.remove(name);
        } else {
            self.fields.insert(name.to_owned(), value);
        }
        self
    }

    fn set_url(self, name: &'static str, page: &str) -> Result<Self, ConfigError> {
        // Clients show these to people, who click on them.
        match ::url::Url::parse(page) {
            Ok(url) if !url.username().is_empty() || url.password().is_some() => {
                let why = "the URL has a user name or password, and all the world reads it";
                Err(ConfigError::new(name, why))
            }
            Ok(url) if matches!(url.scheme(), "https" | "http") => Ok(self.set(name, page)),
            _ => Err(ConfigError::new(
                name,
                format!("{} is no http or https URL", repeated(page)),
            )),
        }
    }

    fn set_algs<I>(self, name: &'static str, algs: I) -> Result<Self, ConfigError>
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        let algs = strings(algs);
        if algs.iter().any(|alg| alg == "none") {
            return Err(ConfigError::new(
                name,
                "`none` is no signature; leave it out",
            ));
        }
        Ok(self.set(name, algs))
    }
}

fn strings<I>(list: I) -> Vec<Value>
where
    I: IntoIterator,
    I::Item: Into<String>,
{
    list.into_iter().map(|item| item.into().into()).collect()
}
