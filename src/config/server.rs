//! Authorization servers as data.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::Deserialize;

use super::binding::Mode;
use super::claim_values::ClaimValues;
use super::common::{algorithms, not_both, whole_file};
use super::introspection::IntrospectionSection;
use super::presets::Preset;
use super::sections::section;
use super::units::{Listed, Name, Span, Texts};
use crate::error::ConfigError;
use crate::oauth::{AuthorizationServer, OAuthLayerBuilder};

section! {
    /// An authorization server: its `issuer`, or a `preset`.
    Server {
        /// The issuer, exactly as in its tokens.
        issuer: Option<String>,
        /// One issuer for each of these tenants: `{tenant}` stands in the `issuer`.
        tenants: Texts,
        /// A well-known provider, with what it needs.
        preset: Option<Preset>,
        /// Lets the issuer be http on loopback, for development.
        insecure_http_on_loopback: bool,
        /// Lets the issuer be http elsewhere.
        dangerously_plain_http: bool,
        /// Lets http go to this host as well.
        dangerously_allow_http_to: Option<String>,
        /// Where clients are sent, instead of the issuer.
        advertised_as: Option<String>,
        /// The `iss` of its tokens, where that is not the issuer; a name that is never fetched.
        token_issuer: Option<String>,
        /// Where the keys are, instead of discovering it.
        jwks_uri: Option<String>,
        /// The key set as JSON text, instead of fetching one.
        jwks: Option<KeySetText>,
        /// A file with the key set.
        jwks_file: Option<PathBuf>,
        /// A file with the token that goes with a fetch of the keys.
        jwks_bearer_token_file: Option<PathBuf>,
        /// A file with the only authorities trusted for that, as PEM.
        jwks_root_certificates_file: Option<PathBuf>,
        /// The audiences, one of which tokens must have, instead of the resource.
        audience: Texts,
        /// The algorithms tokens may be signed with.
        algorithms: Option<Texts>,
        /// How far clocks may differ.
        clock_skew: Option<Span>,
        /// The claim with the scopes.
        scope_claim: Option<String>,
        /// Accepts access tokens as RFC 9068 has them alone.
        require_at_jwt: bool,
        /// Values of the header `typ` that are accepted as well.
        accepted_typ: Option<Texts>,
        /// Whether a token without a subject stands for its client.
        clients_are_principals: Option<bool>,
        /// The claim with the subject.
        subject_claim: Option<Name>,
        /// The same, which can be reassigned.
        dangerously_subject_claim: Option<Name>,
        /// The clients with tokens that are accepted without an audience.
        client_ids: Option<Texts>,
        /// Accepts tokens without audience of every client.
        dangerously_accept_every_client_of_this_issuer: bool,
        /// For a preset with tokens that have no audience by default: they have one here.
        audience_is_the_resource: bool,
        /// The claim with the client.
        client_claim: Option<String>,
        /// Audiences that all tokens of the issuer share.
        ignore_audiences: Texts,
        /// Claims tokens must have, with one of these values.
        require_claims: BTreeMap<String, ClaimValues>,
        /// Patterns of subjects, one of which must match: `*` is one segment, `**` the rest.
        require_subjects: Option<Texts>,
        /// Audiences for which every token counts as an access token.
        dangerously_any_token_for_audience: Texts,
        /// Roles and groups that become scopes: a list, or a map by name.
        scopes_from_claims: Listed<ScopesFromClaim>,
        /// Asks the server about its tokens.
        introspection: Option<IntrospectionSection>,
        /// Accepts answers that do not say whom their tokens are for.
        introspection_without_audience: bool,
        /// Whether tokens may, or must, be bound to a key of their client (RFC 9449).
        dpop: Mode,
        /// Whether tokens may, or must, be bound to the certificate of their client (RFC 8705).
        mtls: Mode,
    }
}

section! {
    /// Roles or groups of a claim that become scopes.
    ScopesFromClaim {
        /// The way to the claim: `["realm_access", "roles"]`.
        claim: Texts,
        /// What each grants: scopes separated by spaces.
        scopes: BTreeMap<String, String>,
    }
}

/// A key set; by mistake, private keys can be put here.
#[derive(Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(inline))]
#[serde(transparent)]
pub(super) struct KeySetText(String);

impl fmt::Debug for KeySetText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl Server {
    pub(super) fn add_to(
        &self,
        builder: OAuthLayerBuilder,
        path: &str,
    ) -> Result<OAuthLayerBuilder, ConfigError> {
        if self.tenants.0.is_empty() {
            let server = self.refine(self.start(path)?, path)?;
            let added = builder.authorization_server(server);
            return added.map_err(|error| error.at(path));
        }
        let why = if self.preset.is_some() {
            Some("a preset names its tenants itself")
        } else if self.insecure_http_on_loopback || self.dangerously_plain_http {
            Some("issuers of tenants are https")
        } else {
            None
        };
        if let Some(why) = why {
            return Err(ConfigError::new("tenants", why).at(format!("{path}.tenants")));
        }
        let issuer = self.issuer.as_deref().unwrap_or_default();
        let refine = |server| self.refine(server, path);
        let added = builder.issuer_template(issuer, &self.tenants.0, refine);
        // What is refused further in has its place already.
        added.map_err(|error| match error.has_path() {
            true => error,
            false => error.at(format!("{path}.tenants")),
        })
    }

    fn refine(
        &self,
        mut server: AuthorizationServer,
        path: &str,
    ) -> Result<AuthorizationServer, ConfigError> {
        let at = |key: &str| {
            let path = format!("{path}.{key}");
            move |error: ConfigError| error.at(path)
        };
        if let Some(host) = &self.dangerously_allow_http_to {
            let host = host.as_str();
            let allowed = server.dangerously_allow_http_to(host);
            server = allowed.map_err(at("dangerously_allow_http_to"))?;
        }
        if let Some(url) = &self.advertised_as {
            let set = server.advertised_as(url);
            server = set.map_err(at("advertised_as"))?;
        }
        if let Some(name) = &self.token_issuer {
            let set = server.token_issuer(name);
            server = set.map_err(at("token_issuer"))?;
        }
        if let Some(uri) = &self.jwks_uri {
            server = server.jwks_uri(uri).map_err(at("jwks_uri"))?;
        }
        if let Some(json) = &self.jwks {
            server = server.jwks(&json.0).map_err(at("jwks"))?;
        }
        if let Some(file) = &self.jwks_file {
            not_both(self.jwks.is_some(), "jwks", "jwks_file").map_err(at("jwks_file"))?;
            let json = whole_file(file).map_err(|why| {
                let why = format!("the file {file:?} {why}");
                at("jwks_file")(ConfigError::new("jwks", why))
            })?;
            server = server.jwks(json).map_err(at("jwks_file"))?;
        }
        if let Some(file) = &self.jwks_bearer_token_file {
            let set = server.jwks_bearer_token_file(file);
            server = set.map_err(at("jwks_bearer_token_file"))?;
        }
        if let Some(file) = &self.jwks_root_certificates_file {
            let set = server.jwks_root_certificates_file(file);
            server = set.map_err(at("jwks_root_certificates_file"))?;
        }
        if let Some(names) = &self.algorithms {
            let listed = algorithms(names).and_then(|listed| server.algorithms(listed));
            server = listed.map_err(at("algorithms"))?;
        }
        if let Some(Span(skew)) = self.clock_skew {
            server = server.clock_skew(skew).map_err(at("clock_skew"))?;
        }
        if let Some(claim) = &self.scope_claim {
            let claim = claim.clone();
            server = server.scope_claim(claim).map_err(at("scope_claim"))?;
        }
        if self.require_at_jwt {
            server = server.require_at_jwt();
        }
        if let Some(Texts(types)) = &self.accepted_typ {
            server = server.accepted_typ(types).map_err(at("accepted_typ"))?;
        }
        if let Some(machines_only) = self.clients_are_principals {
            server = server.clients_are_principals(machines_only);
        }
        if let Some(claim) = &self.subject_claim {
            let set = server.subject_claim(claim.as_str());
            server = set.map_err(at("subject_claim"))?;
        }
        if let Some(claim) = &self.dangerously_subject_claim {
            let set = server.dangerously_subject_claim(claim.as_str());
            server = set.map_err(at("dangerously_subject_claim"))?;
        }
        server = self.clients(server, path)?;
        if let Some(section) = &self.introspection {
            let path = format!("{path}.introspection");
            let introspection = section.build(self.preset.as_ref(), &path)?;
            let set = server.introspection(introspection);
            server = set.map_err(|error| error.at(path))?;
        }
        if self.introspection_without_audience {
            server = server.introspection_without_audience();
        }
        Ok(server.dpop(self.dpop.into()).mtls(self.mtls.into()))
    }

    /// The issuer, or what a preset makes of it.
    fn start(&self, path: &str) -> Result<AuthorizationServer, ConfigError> {
        let refuse = |key: &str, why: &str| {
            let path = format!("{path}.{key}");
            Err(ConfigError::new("issuer", why).at(path))
        };
        let issuer = match (&self.issuer, &self.preset) {
            (Some(_), Some(_)) => {
                return refuse(
                    "preset",
                    "`issuer` and `preset` contradict each other: keep one",
                );
            }
            (None, None) => {
                return refuse("issuer", "it is missing; give an `issuer` or a `preset`");
            }
            (None, Some(preset)) => return preset.server(self, &format!("{path}.preset")),
            (Some(issuer), None) => issuer,
        };
        if issuer.contains("{tenant}") {
            let why = "the `issuer` has a place for them, and there are none";
            return refuse("tenants", why);
        }
        if self.audience_is_the_resource {
            let why = "only presets whose tokens have no audience by default know it";
            return refuse("audience_is_the_resource", why);
        }
        let server = match (self.insecure_http_on_loopback, self.dangerously_plain_http) {
            (true, true) => {
                let why = "`insecure_http_on_loopback` and `dangerously_plain_http` contradict \
                           each other: keep one";
                return refuse("dangerously_plain_http", why);
            }
            (true, false) => AuthorizationServer::insecure_http_on_loopback(issuer),
            (false, true) => AuthorizationServer::dangerously_plain_http(issuer),
            (false, false) => AuthorizationServer::new(issuer),
        };
        server.map_err(|error| error.at(format!("{path}.issuer")))
    }

    /// Whom tokens are for and by whom they were asked for, and what else is in them.
    fn clients(
        &self,
        mut server: AuthorizationServer,
        path: &str,
    ) -> Result<AuthorizationServer, ConfigError> {
        let at = |key: &str| {
            let path = format!("{path}.{key}");
            move |error: ConfigError| error.at(path)
        };
        for audience in &self.ignore_audiences.0 {
            let shared = server.ignore_audience(audience.as_str());
            server = shared.map_err(at("ignore_audiences"))?;
        }
        for audience in &self.audience.0 {
            let audience = audience.as_str();
            server = server.audience(audience).map_err(at("audience"))?;
        }
        if let Some(Texts(clients)) = &self.client_ids {
            let clients = clients.iter().map(String::as_str);
            server = server.client_ids(clients).map_err(at("client_ids"))?;
        }
        if self.dangerously_accept_every_client_of_this_issuer {
            let key = "dangerously_accept_every_client_of_this_issuer";
            let open = server.dangerously_accept_every_client_of_this_issuer();
            server = open.map_err(at(key))?;
        }
        if let Some(claim) = &self.client_claim {
            let claim = claim.as_str();
            server = server.client_claim(claim).map_err(at("client_claim"))?;
        }
        for (name, ClaimValues(values)) in &self.require_claims {
            let required = server.require_claim(name.as_str(), values.iter().cloned());
            server = required.map_err(at(&format!("require_claims.{name}")))?;
        }
        if let Some(Texts(patterns)) = &self.require_subjects {
            let required = server.require_subject(patterns);
            server = required.map_err(at("require_subjects"))?;
        }
        for audience in &self.dangerously_any_token_for_audience.0 {
            let key = "dangerously_any_token_for_audience";
            let open = server.dangerously_any_token_for_audience(audience.as_str());
            server = open.map_err(at(key))?;
        }
        for (step, mapping) in &self.scopes_from_claims.items {
            let claim = mapping.claim.0.iter().map(String::as_str);
            let scopes = mapping.scopes.iter();
            let scopes = scopes.map(|(role, granted)| (role.as_str(), granted));
            let mapped = server.scopes_from_claim(claim, scopes);
            server = mapped.map_err(at(&format!("scopes_from_claims{step}")))?;
        }
        Ok(server)
    }
}
