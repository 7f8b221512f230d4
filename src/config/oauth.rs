//! The OAuth layer of a configuration.

use super::common::not_both;
use super::resources;
use super::sections::{Metadata, OAuth, Sections};
use super::units::{Span, Texts};
use crate::error::ConfigError;
use crate::oauth::{OAuthLayerBuilder, ProtectedResource, TokenCacheOptions};

impl Sections {
    /// The builder of the layer, if authorization servers are there.
    pub(super) fn oauth_builder(&self) -> Result<Option<OAuthLayerBuilder>, ConfigError> {
        if self.authorization_servers.items.is_empty() {
            let idle = [
                ("oauth", self.oauth.is_some()),
                ("metadata", self.metadata.is_some()),
                (
                    "resources",
                    !self.resources.items.is_empty()
                        && self.jwt.is_none()
                        && self.api_keys.is_none(),
                ),
            ];
            return match idle.into_iter().find(|(_, is_there)| *is_there) {
                None => Ok(None),
                Some((section, _)) => {
                    let why = "it is for access tokens of `authorization_servers`, and there are \
                               none";
                    Err(ConfigError::new(section, why))
                }
            };
        }
        let mut builder = self.oauth_for_resources()?;
        for (step, server) in &self.authorization_servers.items {
            let path = format!("authorization_servers{step}");
            builder = server.add_to(builder, &path)?;
        }
        if self.has_several_resources()
            && let Some(proxies) = self.trusted_proxies()?
        {
            builder = builder.trusted_proxies(proxies);
        }
        let oauth = self.oauth.clone().unwrap_or_default();
        if let Some(prefix) = self.stripped_prefix() {
            builder = builder.stripped_prefix(prefix);
        }
        if let Some(scopes) = &oauth.required_scopes {
            builder = builder.required_scopes(&scopes.0);
        }
        if let Some(name) = &oauth.header_name {
            builder = builder.header_name(name);
        }
        if let Some(require) = oauth.require_bearer {
            builder = builder.require_bearer(require);
        }
        if oauth.copy_server_metadata {
            builder = builder.copy_server_metadata();
        }
        if let Some(issuer) = &oauth.copy_server_metadata_of {
            let key = "copy_server_metadata_of";
            not_both(oauth.copy_server_metadata, "copy_server_metadata", key)
                .map_err(|error| error.under("oauth"))?;
            builder = builder.copy_server_metadata_of(issuer);
        }
        if let Some(size) = oauth.max_token_bytes {
            builder = builder.max_token_bytes(size.bytes("oauth.max_token_bytes".to_owned())?);
        }
        if let Some(size) = oauth.max_header_bytes {
            builder = builder.max_header_bytes(size.bytes("oauth.max_header_bytes".to_owned())?);
        }
        Ok(Some(
            builder
                .fetch(oauth.fetch.client()?)
                .token_cache(oauth.token_cache()?)
                .jwks_options(oauth.jwks_options.options()?),
        ))
    }
}

impl Sections {
    /// Where the setting stands that the builder refused when all were known.
    pub(super) fn place_of_oauth(&self, error: ConfigError) -> ConfigError {
        match error.setting() {
            "stripped_prefix" => return error.under("proxies"),
            "required_scopes"
            | "header_name"
            | "require_bearer"
            | "copy_server_metadata"
            | "copy_server_metadata_of"
            | "max_token_bytes"
            | "max_header_bytes" => {
                return error.under("oauth");
            }
            member @ ("dpop_signing_alg_values_supported"
            | "dpop_bound_access_tokens_required"
            | "tls_client_certificate_bound_access_tokens")
                if self.metadata.is_some() =>
            {
                return error.at(format!("metadata.{member}"));
            }
            "connect_timeout" | "timeout" => return error.under("oauth.fetch"),
            "fetch_timeout"
            | "unknown_key_fetches"
            | "total_unknown_key_fetches"
            | "default_ttl"
            | "max_document_bytes"
            | "max_set_bytes"
            | "total_waiting"
            | "max_keys"
            | "total_keys" => {
                return error.under("oauth.jwks_options");
            }
            // Those have two names there.
            "ttl_bounds" => return error.at("oauth.jwks_options.ttl_min"),
            "backoff" => return error.at("oauth.jwks_options.backoff_min"),
            _ => {}
        }
        // Whichever server is refused by itself as well, or else how they stand together.
        for server in &self.authorization_servers.items {
            let mut alone = resources::alone(self);
            alone.authorization_servers.items = vec![server.clone()];
            let built = alone.oauth_builder().ok().flatten();
            if let Some(Err(error)) = built.map(OAuthLayerBuilder::build) {
                return error.under(&format!("authorization_servers{}", server.0));
            }
        }
        match self.resources.items.is_empty() {
            true => error.at("authorization_servers"),
            false => error.at("resources"),
        }
    }
}

impl Metadata {
    pub(super) fn add(
        &self,
        mut resource: ProtectedResource,
        path: &str,
    ) -> Result<ProtectedResource, ConfigError> {
        let at = |key: &str| {
            let path = format!("{path}.{key}");
            move |error: ConfigError| error.at(path)
        };
        if let Some(url) = &self.advertised_metadata_url {
            let set = resource.advertised_metadata_url(url);
            resource = set.map_err(at("advertised_metadata_url"))?;
        }
        if self.metadata_at_root {
            resource = resource.metadata_at_root();
        }
        if let Some(scopes) = &self.scopes_supported {
            let set = resource.scopes_supported(&scopes.0);
            resource = set.map_err(at("scopes_supported"))?;
        }
        if let Some(name) = &self.resource_name {
            resource = resource.resource_name(name.as_str());
        }
        if let Some(page) = &self.resource_documentation {
            let set = resource.resource_documentation(page);
            resource = set.map_err(at("resource_documentation"))?;
        }
        if let Some(page) = &self.resource_policy_uri {
            let set = resource.resource_policy_uri(page);
            resource = set.map_err(at("resource_policy_uri"))?;
        }
        if let Some(page) = &self.resource_tos_uri {
            let set = resource.resource_tos_uri(page);
            resource = set.map_err(at("resource_tos_uri"))?;
        }
        if let Some(uri) = &self.jwks_uri {
            resource = resource.jwks_uri(uri).map_err(at("jwks_uri"))?;
        }
        if let Some(Texts(algs)) = &self.resource_signing_alg_values_supported {
            let set = resource.resource_signing_alg_values_supported(algs);
            resource = set.map_err(at("resource_signing_alg_values_supported"))?;
        }
        if let Some(Texts(types)) = &self.authorization_details_types_supported {
            resource = resource.authorization_details_types_supported(types);
        }
        if let Some(bound) = self.tls_client_certificate_bound_access_tokens {
            resource = resource.tls_client_certificate_bound_access_tokens(bound);
        }
        if let Some(Texts(algs)) = &self.dpop_signing_alg_values_supported {
            let set = resource.dpop_signing_alg_values_supported(algs);
            resource = set.map_err(at("dpop_signing_alg_values_supported"))?;
        }
        if let Some(required) = self.dpop_bound_access_tokens_required {
            resource = resource.dpop_bound_access_tokens_required(required);
        }
        if let Some(jwt) = &self.signed_metadata {
            resource = resource.signed_metadata(jwt.as_str());
        }
        for (name, value) in &self.members {
            let set = resource.member(name, value.as_str());
            resource = set.map_err(at(&format!("members.{name}")))?;
        }
        Ok(resource)
    }
}

impl OAuth {
    fn token_cache(&self) -> Result<TokenCacheOptions, ConfigError> {
        let section = &self.token_cache;
        let settings = section.max_tokens.is_some()
            || section.max_bytes.is_some()
            || section.max_ttl.is_some();
        if section.disabled {
            return match settings {
                false => Ok(TokenCacheOptions::disabled()),
                true => Err(ConfigError::new(
                    "disabled",
                    "a cache that is off has no options: keep one",
                )
                .at("oauth.token_cache.disabled")),
            };
        }
        let mut cache = TokenCacheOptions::new();
        if let Some(tokens) = section.max_tokens {
            cache = cache.max_tokens(tokens);
        }
        if let Some(size) = section.max_bytes {
            cache = cache.max_bytes(size.0);
        }
        if let Some(Span(life)) = section.max_ttl {
            cache = cache.max_ttl(life);
        }
        Ok(cache)
    }
}
