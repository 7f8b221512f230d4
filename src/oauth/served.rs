//! The resources that a layer serves: which one a request is for, and what is accepted there.

use std::sync::Arc;

use bytes::Bytes;
use http::Response;

use super::ProtectedResource;
pub(super) use super::configured::Terms;
use super::configured::{Common, Configured};
use super::metadata::{self, MetadataDocument};
use super::resource::WELL_KNOWN;
use crate::auth::Route;
use crate::credential::RequestHead;
use crate::error::ConfigError;
use crate::peer;
use crate::refusal;
use crate::resource::Resource;
use crate::resources::{
    Address, Asked, Behind, Found, Reach, ResourceMap, STRIPPED_PREFIX, at_one_address,
    check_place, unknown_host, unknown_path,
};

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
            // A client that looks for metadata must not be sent to look for metadata.
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
