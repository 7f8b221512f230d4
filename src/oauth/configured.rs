//! A resource as it was configured: what is accepted there, and what its metadata say.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use super::ProtectedResource;
use super::binding::{self, DpopMode, MtlsMode};
use super::metadata::MetadataDocument;
use super::metadata_members::{CERTIFICATES, DPOP_ALGS, DPOP_REQUIRED};
use crate::refusal::Advertised;
use crate::resource::Resource;
use crate::resources::Tenant;
use crate::scope::Scopes;
use crate::token::Audience;
use crate::token::binding::BindingModes;

/// What is accepted at a resource.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    pub(super) url: Arc<str>,
    /// The audience of tokens, unless their server expects another one.
    pub(super) audience: Audience,
    pub(super) required_scopes: Scopes,
    /// The numbers of the servers that are trusted. `None`: all are.
    servers: Option<Box<[usize]>>,
}

impl Terms {
    /// Whether tokens of the server with this number are accepted.
    pub(super) fn trusts(&self, server: usize) -> bool {
        let listed = self.servers.as_ref();
        listed.is_none_or(|listed| listed.contains(&server))
    }

    /// Whether a token that was judged for the resource at `url` was judged for this one.
    pub(super) fn is_of(&self, url: &Arc<str>) -> bool {
        Arc::ptr_eq(&self.url, url) || *self.url == **url
    }
}

/// An authorization server as resources name it.
#[derive(Clone, Debug)]
pub(super) struct Named {
    pub(super) issuer: Arc<str>,
    /// What metadata call it. `None`: clients are not sent there.
    pub(super) advertised: Option<Arc<str>>,
    /// Its number, or those of the servers it stands for.
    pub(super) numbers: Range<usize>,
    pub(super) binding: BindingModes,
}

/// All that resources of one layer have in common.
#[derive(Clone, Debug)]
pub(super) struct Common {
    pub(super) servers: Vec<Named>,
    /// The places of these by the issuers of their metadata. One that issues under two names is there
    /// twice.
    pub(super) by_issuer: HashMap<Arc<str>, Vec<usize>>,
    pub(super) required_scopes: Scopes,
    pub(super) advertised: Advertised,
    /// Whether clients bring the tokens, and are told of them.
    pub(super) tells_clients: bool,
}

/// A resource as it was configured, or one tenant of a template.
#[derive(Clone, Copy)]
pub(super) struct Configured<'c> {
    pub(super) of: &'c ProtectedResource,
    pub(super) tenant: Option<(&'c str, &'c Tenant)>,
}

impl<'c> Configured<'c> {
    /// The name of the tenant; empty where there is none.
    fn name(self) -> &'c str {
        self.tenant.map_or("", |(name, _)| name)
    }

    /// The issuers that are trusted. `None`: all are.
    pub(super) fn issuers(self) -> Option<&'c [Arc<str>]> {
        let of_tenant = self
            .tenant
            .and_then(|(_, tenant)| tenant.issuers.as_deref());
        of_tenant.or(self.of.terms.issuers.as_deref())
    }

    /// The scopes that tokens need. `None`: those of the layer.
    pub(super) fn required_scopes(self) -> Option<&'c Scopes> {
        let of_tenant = self
            .tenant
            .and_then(|(_, tenant)| tenant.required_scopes.as_ref());
        of_tenant.or(self.of.terms.required_scopes.as_ref())
    }
}

impl Common {
    /// Those that are trusted, in their order.
    fn trusted(&self, configured: Configured<'_>) -> Vec<&Named> {
        let Some(issuers) = configured.issuers() else {
            return self.servers.iter().collect();
        };
        let mut places: Vec<usize> = issuers
            .iter()
            .filter_map(|issuer| self.by_issuer.get(issuer))
            .flatten()
            .copied()
            .collect();
        places.sort_unstable();
        places.dedup();
        places.into_iter().map(|at| &self.servers[at]).collect()
    }

    /// The resource, and what is accepted there, which is a part of it.
    pub(super) fn serve(&self, configured: Configured<'_>) -> (Arc<Resource>, Arc<Terms>) {
        let Configured { of, .. } = configured;
        let name = configured.name();
        let required_scopes = configured.required_scopes();
        let required_scopes = required_scopes.unwrap_or(&self.required_scopes).clone();
        let url: Arc<str> = of.url_of(name).into();
        let servers = configured.issuers().map(|_| {
            let trusted = self.trusted(configured).into_iter();
            trusted.flat_map(|server| server.numbers.clone()).collect()
        });
        let terms = Arc::new(Terms {
            url: Arc::clone(&url),
            audience: Audience::OneOf(of.audiences_of(name)),
            required_scopes: required_scopes.clone(),
            servers,
        });
        let mut resource = Resource::new(url)
            .scopes(required_scopes)
            .supported(of.scopes().cloned())
            .with_terms(Arc::<Terms>::clone(&terms));
        if self.tells_clients {
            resource = resource.metadata_url(of.metadata_url_of(name));
        }
        (Arc::new(resource), terms)
    }

    /// The metadata of a resource.
    pub(super) fn document(&self, configured: Configured<'_>) -> MetadataDocument {
        let Configured { of, .. } = configured;
        let mut servers = Vec::new();
        let trusted = self.trusted(configured);
        let modes = trusted.iter().map(|server| server.binding.dpop);
        let is_bound = modes.clone().any(|mode| mode != DpopMode::Off);
        let must_be_bound = modes.clone().all(|mode| mode == DpopMode::Required);
        let mut modes = trusted.iter().map(|server| server.binding.mtls);
        let has_certificates = modes.any(|mode| mode != MtlsMode::Off);
        for server in trusted
            .into_iter()
            .filter_map(|server| server.advertised.as_deref())
        {
            if !servers.contains(&server) {
                servers.push(server);
            }
        }
        let mut members = of.document(&of.url_of(configured.name()), servers.into_iter());
        if is_bound {
            let algorithms = binding::algorithms().into();
            members.insert(DPOP_ALGS.to_owned(), algorithms);
        }
        if must_be_bound {
            members.insert(DPOP_REQUIRED.to_owned(), true.into());
        }
        // RFC 9728 section 2: whether they are supported, not whether every token must be bound.
        if has_certificates {
            members.insert(CERTIFICATES.to_owned(), true.into());
        }
        // Those of tenants are found by host and path.
        let paths = match of.is_template() {
            true => Vec::new(),
            false => of.metadata_paths(),
        };
        let advertised = self.advertised.of(of.scopes().cloned());
        MetadataDocument::new(&paths, members, advertised)
    }
}
