//! The protected resources of a configuration.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::common::missing;
use super::sections::{Metadata, Sections, section};
use super::units::{Listed, Name, Texts};
use crate::error::ConfigError;
use crate::oauth::{OAuthLayer, OAuthLayerBuilder, ProtectedResource};
use crate::resources::{Hosts, ResourceSet, Tenant, Tenants};

section! {
    /// One of several resources, or a template of such.
    ResourceSection {
        /// The URL; with one `{name}` in it, that of a template.
        url: Option<String>,
        /// The tenants of the template.
        tenants: Option<Texts>,
        /// What is otherwise for some of them, by their names.
        tenant_settings: BTreeMap<String, TenantSection>,
        /// The audience of its tokens, instead of the URL.
        audience: Option<Name>,
        /// The issuers that are trusted for it, instead of all.
        authorization_servers: Option<Texts>,
        /// The scopes every token for it needs, instead of those of `oauth`.
        required_scopes: Option<Texts>,
        /// What its metadata say besides.
        metadata: Option<Metadata>,
    }
}

section! {
    /// What is otherwise for one tenant.
    TenantSection {
        /// The issuers that are trusted for it.
        authorization_servers: Option<Texts>,
        /// The scopes every token for it needs.
        required_scopes: Option<Texts>,
    }
}

impl Sections {
    /// The builder of a layer for the resource, or for several.
    pub(super) fn oauth_for_resources(&self) -> Result<OAuthLayerBuilder, ConfigError> {
        let Some(((step, first), others)) = self.resources.items.split_first() else {
            let why = "access tokens are for a resource: give its URL";
            let resource = self.resource.as_deref();
            let resource = resource.ok_or_else(|| missing("resource", "resource", why))?;
            let resource =
                ProtectedResource::new(resource).map_err(|error| error.at("resource"))?;
            return OAuthLayer::builder(match &self.metadata {
                Some(metadata) => metadata.add(resource, "metadata")?,
                None => resource,
            });
        };
        self.check_no_other()?;
        let mut builder = OAuthLayer::builder(first.resource(&format!("resources{step}"))?)?;
        for (step, other) in others {
            builder = builder.resource(other.resource(&format!("resources{step}"))?)?;
        }
        Ok(builder)
    }

    /// What says something of the one resource does not stand beside several.
    fn check_no_other(&self) -> Result<(), ConfigError> {
        for (key, is_set) in [
            ("resource", self.resource.is_some()),
            ("metadata", self.metadata.is_some()),
        ] {
            if is_set {
                let why = format!("`resources` and `{key}` contradict each other: keep one");
                return Err(ConfigError::new(key, why));
            }
        }
        Ok(())
    }

    /// The resources that JWTs and API keys are for, where there are several and no access tokens.
    pub(super) fn resource_set(&self) -> Result<Option<ResourceSet>, ConfigError> {
        self.check_without_servers()?;
        if !self.authorization_servers.items.is_empty() || !self.has_several_resources() {
            return Ok(None);
        }
        self.check_no_other()?;
        let mut set = ResourceSet::new();
        for (step, section) in &self.resources.items {
            set = section.add_to(set, &format!("resources{step}"))?;
        }
        if let Some(prefix) = self.stripped_prefix() {
            let set_so = set.stripped_prefix(prefix);
            set = set_so.map_err(|error| error.under("proxies"))?;
        }
        Ok(Some(match self.trusted_proxies()? {
            Some(proxies) => set.trusted_proxies(proxies),
            None => set,
        }))
    }

    /// What says something of access tokens stands beside no resource where there are none.
    fn check_without_servers(&self) -> Result<(), ConfigError> {
        if !self.authorization_servers.items.is_empty() {
            return Ok(());
        }
        let mut listed = self.resources.items.iter();
        listed.try_for_each(|(step, section)| section.check_without_servers(step))
    }

    /// The resource that is listed alone, where there are no access tokens.
    pub(super) fn only_listed(&self) -> Result<Option<ProtectedResource>, ConfigError> {
        let listed = self.resources.items.first();
        let without_servers = self.authorization_servers.items.is_empty();
        let Some((step, section)) =
            listed.filter(|_| without_servers && !self.has_several_resources())
        else {
            return Ok(None);
        };
        self.check_no_other()?;
        section.resource(&format!("resources{step}")).map(Some)
    }

    /// The URL of the only resource, and where it stands.
    pub(super) fn only_resource(&self) -> Result<Option<(&str, String)>, ConfigError> {
        if !self.resources.items.is_empty() {
            self.check_no_other()?;
        }
        self.check_without_servers()?;
        let listed = self.resources.items.first();
        let listed = listed.filter(|_| !self.has_several_resources());
        let listed = listed.and_then(|(step, resource)| {
            Some((resource.url.as_deref()?, format!("resources{step}.url")))
        });
        let named = self.resource.as_deref();
        Ok(listed.or(named.map(|url| (url, "resource".to_owned()))))
    }

    /// Whether requests choose between resources.
    pub(super) fn has_several_resources(&self) -> bool {
        let items = &self.resources.items;
        items.len() > 1 || items.iter().any(|(_, resource)| resource.tenants.is_some())
    }

    /// The hosts of several resources, if there are several.
    pub(super) fn hosts(&self) -> Result<Option<Hosts>, ConfigError> {
        if self.resources.items.is_empty() {
            return Ok(None);
        }
        let items = self.resources.items.iter();
        let made: Vec<ProtectedResource> = items
            .map(|(step, resource)| resource.resource(&format!("resources{step}")))
            .collect::<Result<_, _>>()?;
        Ok(Some(Hosts::of_resources(&made)))
    }
}

impl ResourceSection {
    fn resource(&self, path: &str) -> Result<ProtectedResource, ConfigError> {
        let at = |key: &str| {
            let path = format!("{path}.{key}");
            move |error: ConfigError| error.at(path)
        };
        let url = self.url.as_deref();
        let url = url.ok_or_else(|| missing("url", &format!("{path}.url"), "give its URL"))?;
        let mut resource = match &self.tenants {
            Some(names) => {
                let tenants = self.tenants(names, path)?;
                ProtectedResource::from_template(url, tenants).map_err(at("url"))?
            }
            None if !self.tenant_settings.is_empty() => {
                let why = "there are no `tenants`: list them, or leave `tenant_settings` out";
                return Err(at("tenant_settings")(ConfigError::new("tenants", why)));
            }
            None => ProtectedResource::new(url).map_err(at("url"))?,
        };
        if let Some(audience) = &self.audience {
            let set = resource.audience(audience.as_str());
            resource = set.map_err(at("audience"))?;
        }
        if let Some(Texts(issuers)) = &self.authorization_servers {
            resource = resource.authorization_servers(issuers.iter().map(String::as_str));
        }
        if let Some(Texts(scopes)) = &self.required_scopes {
            let set = resource.required_scopes(scopes);
            resource = set.map_err(at("required_scopes"))?;
        }
        match &self.metadata {
            Some(metadata) => metadata.add(resource, &format!("{path}.metadata")),
            None => Ok(resource),
        }
    }

    fn check_without_servers(&self, step: &str) -> Result<(), ConfigError> {
        for (key, is_set) in [
            ("audience", self.audience.is_some()),
            (
                "authorization_servers",
                self.authorization_servers.is_some(),
            ),
            ("required_scopes", self.required_scopes.is_some()),
            ("metadata", self.metadata.is_some()),
            ("tenant_settings", !self.tenant_settings.is_empty()),
        ] {
            if is_set {
                let why = "it is for access tokens of `authorization_servers`, and there are none";
                return Err(ConfigError::new(key, why).at(format!("resources{step}.{key}")));
            }
        }
        Ok(())
    }

    /// Adds it to resources that are for no access tokens.
    fn add_to(&self, set: ResourceSet, path: &str) -> Result<ResourceSet, ConfigError> {
        // Its own errors come first.
        let resource = self.resource(path)?;
        let url = resource.resource();
        let added = match &self.tenants {
            Some(names) => set.template(url, self.tenants(names, path)?),
            None => set.resource(url),
        };
        added.map_err(|error| error.at(format!("{path}.url")))
    }

    fn tenants(&self, Texts(names): &Texts, path: &str) -> Result<Tenants, ConfigError> {
        for name in self.tenant_settings.keys() {
            if !names.contains(name) {
                let why = "it is none of the `tenants`: add it there";
                let path = format!("{path}.tenant_settings.{name}");
                return Err(ConfigError::new("tenants", why).at(path));
            }
        }
        let mut tenants = Vec::new();
        for name in names {
            let mut tenant = Tenant::new();
            if let Some(settings) = self.tenant_settings.get(name) {
                if let Some(Texts(issuers)) = &settings.authorization_servers {
                    tenant = tenant.authorization_servers(issuers.iter().map(String::as_str));
                }
                if let Some(Texts(scopes)) = &settings.required_scopes {
                    tenant = tenant.required_scopes(scopes).map_err(|error| {
                        error.at(format!("{path}.tenant_settings.{name}.required_scopes"))
                    })?;
                }
            }
            tenants.push((name.as_str(), tenant));
        }
        Tenants::from_settings(tenants).map_err(|error| error.at(format!("{path}.tenants")))
    }
}

/// What stands in the place of resources where one of the other sections is looked at alone.
pub(super) fn alone(sections: &Sections) -> Sections {
    let mut alone = sections.clone();
    if !alone.resources.items.is_empty() {
        alone.resources = Listed::default();
        alone.resource = Some("https://mcp.example.com/mcp".to_owned());
    }
    alone
}
