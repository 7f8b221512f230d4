//! The authorization servers that are trusted.

use std::fmt;
use std::path::PathBuf;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::file;
use super::human::{Flag, List, Time};
use super::introspection::IntrospectionSection;
use super::preset::{Made, Preset};
use crate::error::ConfigError;
use crate::oauth::presets::WithoutAudience;
use crate::oauth::{AuthorizationServer, OAuthLayerBuilder};
use crate::scopes::map::UniqueMap;

/// A list, or a map by names of one's own, in whose order they are taken: what reads the
/// environment builds no lists.
#[derive(Clone, Debug, Default)]
pub(super) struct Servers(Vec<(String, Server)>);

impl<'de> Deserialize<'de> for Servers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ListOrMap;

        impl<'de> Visitor<'de> for ListOrMap {
            type Value = Servers;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of authorization servers, or a map of them")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Servers, A::Error> {
                let list = Vec::deserialize(SeqAccessDeserializer::new(seq))?;
                let number = |(index, server)| (format!("[{index}]"), server);
                Ok(Servers(list.into_iter().enumerate().map(number).collect()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Servers, A::Error> {
                let UniqueMap(map) = UniqueMap::deserialize(MapAccessDeserializer::new(map))?;
                let name = |(name, server)| (format!(".{name}"), server);
                Ok(Servers(map.into_iter().map(name).collect()))
            }
        }

        deserializer.deserialize_any(ListOrMap)
    }
}

impl Servers {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn add_to(
        &self,
        mut builder: OAuthLayerBuilder,
    ) -> Result<OAuthLayerBuilder, ConfigError> {
        for (place, server) in &self.0 {
            let section = format!("authorization_servers{place}");
            builder = server
                .add_to(builder)
                .map_err(|error| error.under(&section))?;
        }
        Ok(builder)
    }
}

/// One authorization server.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Server {
    /// With `{tenant}` in it where there are `tenants`.
    issuer: Option<String>,
    preset: Option<Preset>,
    tenants: List<String>,
    insecure_http_on_loopback: Flag,
    dangerously_plain_http: Flag,
    dangerously_allow_http_to: Option<String>,
    jwks_uri: Option<String>,
    jwks_file: Option<PathBuf>,
    audience: List<String>,
    audience_is_the_resource: Flag,
    client_ids: List<String>,
    dangerously_accept_every_client_of_this_issuer: Flag,
    client_claim: Option<String>,
    shared_audience: List<String>,
    algorithms: List<String>,
    clock_skew: Option<Time>,
    scope_claim: Option<String>,
    scopes_from_claim: Vec<Mapping>,
    require_claim: Claims,
    require_at_jwt: Flag,
    clients_are_principals: Option<Flag>,
    introspection: Option<IntrospectionSection>,
    introspection_without_audience: Flag,
}

/// Roles or groups that give scopes.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Mapping {
    path: List<String>,
    scopes: Granted,
}

#[derive(Clone, Debug, Default)]
struct Claims(Vec<(String, List<String>)>);

#[derive(Clone, Debug)]
struct Granted(Vec<(String, String)>);

impl<'de> Deserialize<'de> for Claims {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        UniqueMap::deserialize(deserializer).map(|UniqueMap(claims)| Self(claims))
    }
}

impl<'de> Deserialize<'de> for Granted {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        UniqueMap::deserialize(deserializer).map(|UniqueMap(scopes)| Self(scopes))
    }
}

impl Server {
    fn add_to(&self, builder: OAuthLayerBuilder) -> Result<OAuthLayerBuilder, ConfigError> {
        match &self.issuer {
            Some(template) if !self.tenants.0.is_empty() => {
                if self.insecure_http_on_loopback.0 || self.dangerously_plain_http.0 {
                    return Err(ConfigError::new(
                        "tenants",
                        "the issuers of tenants are reached by https alone",
                    ));
                }
                builder.trusted_issuers(template, &self.tenants.0, |server| self.refine(server))
            }
            _ => builder.authorization_server(self.build()?),
        }
        .map_err(|error| match error.setting() {
            // What the builder calls itself is the name of the section here.
            "authorization_server" => error.at("issuer"),
            "trusted_issuers" => error.at("tenants"),
            _ => error,
        })
    }

    fn build(&self) -> Result<AuthorizationServer, ConfigError> {
        let contradiction = |setting, other| {
            let text = format!("`{setting}` and `{other}` contradict each other: keep one");
            Err(ConfigError::new(setting, text))
        };
        let (loopback, plain) = (self.insecure_http_on_loopback.0, self.dangerously_plain_http.0);
        let server = match (&self.issuer, &self.preset) {
            (Some(_), Some(_)) => return contradiction("issuer", "preset"),
            (None, Some(_)) if loopback => {
                return contradiction("insecure_http_on_loopback", "preset");
            }
            (None, Some(_)) if plain => return contradiction("dangerously_plain_http", "preset"),
            (Some(_), None) if loopback && plain => {
                return contradiction("dangerously_plain_http", "insecure_http_on_loopback");
            }
            (Some(issuer), None) => match (loopback, plain) {
                (true, _) => AuthorizationServer::insecure_http_on_loopback(issuer),
                (_, true) => AuthorizationServer::dangerously_plain_http(issuer),
                _ => AuthorizationServer::new(issuer),
            }?,
            (None, Some(preset)) => match preset.server().map_err(|error| error.under("preset"))? {
                Made::Server(server) => server,
                Made::WithoutAudience(server) => {
                    return self.refine_audience_given(self.with_audience(server)?);
                }
            },
            (None, None) => {
                return Err(ConfigError::new(
                    "issuer",
                    "it is missing; give the issuer, or a preset",
                ));
            }
        };
        self.refine(server)
    }

    /// Says whose tokens are accepted of a server that does not say which resource they are
    /// for.
    fn with_audience(&self, server: WithoutAudience) -> Result<AuthorizationServer, ConfigError> {
        let mut audiences = self.audience.0.iter().map(String::as_str);
        if !self.client_ids.0.is_empty() {
            let server = server.client_ids(self.client_ids.0.iter().map(String::as_str))?;
            return audiences.try_fold(server, AuthorizationServer::audience);
        }
        if let Some(first) = audiences.next() {
            let server = server.audience(first)?;
            return audiences.try_fold(server, AuthorizationServer::audience);
        }
        if self.dangerously_accept_every_client_of_this_issuer.0 {
            return server.dangerously_accept_every_client_of_this_issuer();
        }
        if self.audience_is_the_resource.0 {
            return Ok(server.audience_is_the_resource());
        }
        Err(ConfigError::new(
            "client_ids",
            "the tokens of this provider do not say which resource they are for: name the clients \
             in `client_ids`, or, where the provider was set up to write an audience, that in \
             `audience`, or set `audience_is_the_resource`",
        ))
    }

    fn refine(&self, mut server: AuthorizationServer) -> Result<AuthorizationServer, ConfigError> {
        for audience in &self.audience.0 {
            server = server.audience(audience.as_str())?;
        }
        if !self.client_ids.0.is_empty() {
            server = server.client_ids(self.client_ids.0.iter().map(String::as_str))?;
        }
        if self.dangerously_accept_every_client_of_this_issuer.0 {
            server = server.dangerously_accept_every_client_of_this_issuer()?;
        }
        self.refine_audience_given(server)
    }

    fn refine_audience_given(
        &self,
        mut server: AuthorizationServer,
    ) -> Result<AuthorizationServer, ConfigError> {
        if let Some(host) = &self.dangerously_allow_http_to {
            server = server.dangerously_allow_http_to(host.as_str())?;
        }
        if let Some(uri) = &self.jwks_uri {
            server = server.jwks_uri(uri)?;
        }
        if let Some(path) = &self.jwks_file {
            let keys = file::read(path).map_err(|error| error.at("jwks_file"))?;
            server = server.jwks(keys).map_err(|error| error.at("jwks_file"))?;
        }
        if let Some(claim) = &self.client_claim {
            server = server.client_claim(claim.as_str())?;
        }
        for audience in &self.shared_audience.0 {
            server = server.shared_audience(audience.as_str())?;
        }
        if !self.algorithms.0.is_empty() {
            server = server.algorithms(super::algorithms(&self.algorithms)?)?;
        }
        if let Some(Time(skew)) = self.clock_skew {
            server = server.clock_skew(skew)?;
        }
        if let Some(claim) = &self.scope_claim {
            server = server.scope_claim(claim.clone())?;
        }
        for (index, Mapping { path, scopes }) in self.scopes_from_claim.iter().enumerate() {
            let scopes = scopes.0.iter().map(|(role, scopes)| (role.as_str(), scopes));
            server = server
                .scopes_from_claim(path.0.iter().map(String::as_str), scopes)
                .map_err(|error| error.at(&format!("scopes_from_claim[{index}]")))?;
        }
        for (claim, values) in &self.require_claim.0 {
            server = server
                .require_claim(claim.as_str(), values.0.iter().map(String::as_str))
                .map_err(|error| error.at(&format!("require_claim.{claim}")))?;
        }
        if self.require_at_jwt.0 {
            server = server.require_at_jwt();
        }
        if let Some(Flag(machines_only)) = self.clients_are_principals {
            server = server.clients_are_principals(machines_only);
        }
        if let Some(section) = &self.introspection {
            let introspection = section
                .build(self.preset.as_ref())
                .map_err(|error| error.under("introspection"))?;
            server = server.introspection(introspection).map_err(|error| {
                match error.setting() {
                    "introspection" => error,
                    _ => error.under("introspection"),
                }
            })?;
        }
        if self.introspection_without_audience.0 {
            server = server.introspection_without_audience();
        }
        Ok(server)
    }
}
