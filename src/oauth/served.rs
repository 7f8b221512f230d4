//! The resources that a layer serves: which one a request is for, and what is accepted there.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use http::Response;

use super::ProtectedResource;
use super::binding::{self, DpopMode, MtlsMode};
use super::metadata::{self, MetadataDocument};
use super::metadata_members::{CERTIFICATES, DPOP_ALGS, DPOP_REQUIRED};
use super::resource::WELL_KNOWN;
use crate::auth::Route;
use crate::credential::RequestHead;
use crate::error::ConfigError;
use crate::peer;
use crate::refusal::{self, Advertised};
use crate::resource::Resource;
use crate::resources::{
    Address, Asked, Behind, Found, Reach, ResourceMap, STRIPPED_PREFIX, Tenant, at_one_address,
    check_place, unknown_host, unknown_path,
};
use crate::scope::Scopes;
use crate::token::Audience;
use crate::token::binding::BindingModes;

/// What is accepted at a resource.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    pub(super) url: Arc<str>,
    /// Of tokens whose server expects no other.
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
    /// The places of these by their issuers.
    pub(super) by_issuer: HashMap<Arc<str>, usize>,
    pub(super) required_scopes: Scopes,
    pub(super) advertised: Advertised,
    /// Whether clients bring the tokens, and are told of them.
    pub(super) tells_clients: bool,
}

/// A resource as it was configured, or one tenant of a template.
#[derive(Clone, Copy)]
struct Configured<'c> {
    of: &'c ProtectedResource,
    tenant: Option<(&'c str, &'c Tenant)>,
}

impl<'c> Configured<'c> {
    /// The name of the tenant; empty where there is none.
    fn name(self) -> &'c str {
        self.tenant.map_or("", |(name, _)| name)
    }

    /// The issuers that are trusted. `None`: all are.
    fn issuers(self) -> Option<&'c [Arc<str>]> {
        let of_tenant = self
            .tenant
            .and_then(|(_, tenant)| tenant.issuers.as_deref());
        of_tenant.or(self.of.terms.issuers.as_deref())
    }

    /// The scopes that tokens need. `None`: those of the layer.
    fn required_scopes(self) -> Option<&'c Scopes> {
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
            .filter_map(|issuer| self.by_issuer.get(issuer).copied())
            .collect();
        places.sort_unstable();
        places.dedup();
        places.into_iter().map(|at| &self.servers[at]).collect()
    }

    /// The resource, and what is accepted there, which is a part of it.
    fn serve(&self, configured: Configured<'_>) -> (Arc<Resource>, Arc<Terms>) {
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
    fn document(&self, configured: Configured<'_>) -> MetadataDocument {
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

/// The resources of a layer.
#[derive(Clone, Debug)]
pub(super) enum Resources {
    /// One, whatever host and path a request names.
    One(Box<One>),
    Several(Box<Several>),
}

/// The only resource of a layer.
#[derive(Clone, Debug)]
pub(super) struct One {
    pub(super) resource: Arc<Resource>,
    pub(super) terms: Arc<Terms>,
    document: MetadataDocument,
    tells_clients: bool,
}

/// Resources that are told apart by host and path.
#[derive(Clone, Debug)]
pub(super) struct Several {
    common: Common,
    listed: Vec<Arc<Resource>>,
    resources: ResourceMap<Target>,
    /// By the addresses of the documents.
    documents: ResourceMap<Target>,
    /// Whether one of these is not below the well-known path.
    has_others: bool,
    behind: Behind,
}

#[derive(Clone, Debug)]
enum Target {
    One(Arc<Resource>, Arc<MetadataDocument>),
    Template(Arc<ProtectedResource>),
}

impl Target {
    fn url(&self) -> &str {
        match self {
            Self::One(resource, _) => resource.url(),
            Self::Template(template) => template.resource(),
        }
    }
}

impl Resources {
    /// # Errors
    /// One request, or one document, could be of two resources.
    pub(super) fn new(
        resources: &[ProtectedResource],
        common: Common,
        behind: Behind,
        is_bound: bool,
    ) -> Result<Self, ConfigError> {
        if let [one] = resources
            && one.tenants().is_none()
        {
            // Proofs are for the path as clients send it.
            let needless = behind
                .setting()
                .filter(|own| !is_bound || *own != STRIPPED_PREFIX);
            if let Some(setting) = needless {
                return Err(ConfigError::new(
                    setting,
                    "the layer has one resource, which is that of every request: leave it out",
                ));
            }
            let configured = Configured {
                of: one,
                tenant: None,
            };
            let (resource, terms) = common.serve(configured);
            return Ok(Self::One(Box::new(One {
                resource,
                terms,
                document: common.document(configured),
                tells_clients: common.tells_clients,
            })));
        }
        let mut several = Several {
            common,
            listed: Vec::new(),
            resources: ResourceMap::default(),
            documents: ResourceMap::default(),
            has_others: false,
            behind,
        };
        for resource in resources {
            several.add(resource)?;
        }
        for resource in resources {
            several.check_documents(resource)?;
        }
        Ok(Self::Several(Box::new(several)))
    }

    /// Whether requests choose between them.
    pub(super) fn are_several(&self) -> bool {
        matches!(self, Self::Several(_))
    }

    /// Whether clients bring the tokens, and are told of them.
    pub(super) fn tells_clients(&self) -> bool {
        match self {
            Self::One(one) => one.tells_clients,
            Self::Several(several) => several.common.tells_clients,
        }
    }

    pub(super) fn route(&self, head: RequestHead<'_>) -> Route {
        match self {
            Self::One(one) if one.tells_clients => one.document.route(head),
            Self::One(_) => Route::Default,
            Self::Several(several) => several.route(head),
        }
    }

    /// The document that a request asks for.
    pub(super) fn document(&self, head: RequestHead<'_>) -> Response<Bytes> {
        match self {
            Self::One(one) if one.tells_clients => one.document.serve(head.method(), false),
            Self::One(_) => refusal::no_document(),
            Self::Several(several) => several.document(head),
        }
    }

    /// What is accepted at the resource that was chosen for a request, or at the only one.
    /// `None`: no provider of this kind chose.
    pub(super) fn terms<'t>(&'t self, chosen: Option<&'t Arc<Resource>>) -> Option<&'t Terms> {
        match self {
            Self::One(one) => Some(&one.terms),
            Self::Several(_) => chosen?.terms(),
        }
    }
}

impl Several {
    /// Those that can be listed.
    pub(super) fn listed(&self) -> impl Iterator<Item = Arc<Resource>> {
        self.listed.iter().cloned()
    }

    fn add(&mut self, resource: &ProtectedResource) -> Result<(), ConfigError> {
        let tenants = resource.tenants();
        let target = match tenants {
            None => {
                let configured = Configured {
                    of: resource,
                    tenant: None,
                };
                let (served, _) = self.common.serve(configured);
                self.listed.push(Arc::clone(&served));
                Target::One(served, Arc::new(self.common.document(configured)))
            }
            Some(_) => Target::Template(Arc::new(resource.clone())),
        };
        let refuse = |why: String| ConfigError::new("resource", why);
        let url = resource.resource();
        let address = Address::parse(url).map_err(refuse)?;
        check_place(&resource.url_of("tenant"))
            .map_err(|why| refuse(format!("no request can be for {url:?}: {why}")))?;
        let clash = self.resources.insert(address, tenants, target.clone());
        clash.map_err(|other| at_one_address(url, other.url()))?;
        for document in self.documents_of(resource) {
            let address = Address::parse(&document).map_err(refuse)?;
            self.has_others |= !document.contains(WELL_KNOWN);
            let clash = self.documents.insert(address, tenants, target.clone());
            clash.map_err(|other| {
                refuse(format!(
                    "the metadata of {url:?} and of {:?} would both be at {document:?}; leave \
                     `metadata_at_root` out, or change `advertised_metadata_url`",
                    other.url()
                ))
            })?;
        }
        Ok(())
    }

    /// The URLs of the documents that clients are told of.
    fn documents_of(&self, resource: &ProtectedResource) -> Vec<String> {
        match self.common.tells_clients {
            true => resource.metadata_urls(),
            false => Vec::new(),
        }
    }

    /// Refuses a document that would stand in the place of a resource.
    fn check_documents(&self, resource: &ProtectedResource) -> Result<(), ConfigError> {
        let refuse = |why: String| ConfigError::new("resource", why);
        for document in self.documents_of(resource) {
            let address = Address::parse(&document).map_err(refuse)?;
            if let Some(other) = self.resources.clash(&address, resource.tenants()) {
                return Err(refuse(format!(
                    "the metadata of {:?} would be at {document:?}, in the place of {:?}",
                    resource.resource(),
                    other.url()
                )));
            }
        }
        Ok(())
    }

    /// The answer to a request that reached the documents, and nothing else.
    fn document(&self, head: RequestHead<'_>) -> Response<Bytes> {
        match self.route(head) {
            Route::Document(document) => document,
            Route::Refused(error) => refusal::of_document(error),
            _ => refusal::no_document(),
        }
    }

    fn route(&self, head: RequestHead<'_>) -> Route {
        let requested = match peer::requested(head, self.behind.proxies.as_ref()) {
            Ok(requested) => requested,
            Err(error) => return Route::Refused(error),
        };
        let host = requested.host();
        let asked = Asked {
            host: &host,
            port: requested.port(),
            path: head.uri().path(),
        };
        let prefixed = self.behind.whole(asked.path);
        let whole = Asked {
            path: &prefixed,
            ..asked
        };
        let is_well_known = asked.path.contains(WELL_KNOWN);
        if is_well_known || self.has_others {
            let find = |asked| self.document_of(self.documents.find(asked, Reach::Exact));
            // Where nothing was taken away both are one.
            let again = || (whole.path.len() > asked.path.len()).then(|| find(whole));
            if let Some(document) = find(asked).or_else(|| again().flatten()) {
                return Route::Document(document.serve(head.method(), requested.is_by_proxy()));
            }
        }
        match self.served(self.resources.find(whole, Reach::Below)) {
            Err(Unknown::Host) => Route::Refused(unknown_host(asked)),
            // Whoever looks for metadata is not to be sent looking for metadata.
            _ if self.common.tells_clients && metadata::is_well_known(asked.path) => Route::Unknown,
            Ok(served) => Route::Resource(served),
            Err(Unknown::Path) => Route::Refused(unknown_path(whole)),
        }
    }

    fn served(&self, found: Found<'_, '_, Target>) -> Result<Arc<Resource>, Unknown> {
        match found {
            Found::One(Target::One(served, _)) => Ok(Arc::clone(served)),
            Found::Tenant(Target::Template(template), name, tenant) => {
                let (served, _) = self.common.serve(Configured {
                    of: template,
                    tenant: Some((name, &tenant)),
                });
                Ok(served)
            }
            Found::UnknownHost => Err(Unknown::Host),
            // Of these only the first is ever there.
            Found::UnknownPath | Found::One(_) | Found::Tenant(..) => Err(Unknown::Path),
        }
    }

    fn document_of(&self, found: Found<'_, '_, Target>) -> Option<Arc<MetadataDocument>> {
        match found {
            Found::One(Target::One(_, document)) => Some(Arc::clone(document)),
            Found::Tenant(Target::Template(template), name, tenant) => {
                Some(Arc::new(self.common.document(Configured {
                    of: template,
                    tenant: Some((name, &tenant)),
                })))
            }
            _ => None,
        }
    }
}

enum Unknown {
    Host,
    Path,
}
