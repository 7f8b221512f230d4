//! The resources that a layer serves: which one a request is for, and what is accepted there.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use http::Response;

use super::ProtectedResource;
use super::metadata::{self, MetadataDocument};
use crate::auth::Route;
use crate::credential::RequestHead;
use crate::error::{AuthError, ConfigError, Reason};
use crate::peer::{self, TrustedProxies};
use crate::refusal::{self, Advertised};
use crate::resource::Resource;
use crate::resources::{Address, Asked, Found, Reach, ResourceMap, Tenant};
use crate::scope::Scopes;
use crate::token::Audience;
use crate::util::quoted;

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

/// A resource that is served.
#[derive(Clone, Debug)]
pub(super) struct Served {
    pub(super) resource: Arc<Resource>,
    pub(super) terms: Arc<Terms>,
    pub(super) document: MetadataDocument,
}

/// An authorization server as resources name it.
#[derive(Clone, Debug)]
pub(super) struct Named {
    pub(super) issuer: Arc<str>,
    /// What metadata call it.
    pub(super) advertised: Arc<str>,
    /// Its number, or those of the servers it stands for.
    pub(super) numbers: Range<usize>,
}

/// All that resources of one layer have in common.
#[derive(Clone, Debug)]
pub(super) struct Common {
    pub(super) servers: Vec<Named>,
    pub(super) required_scopes: Scopes,
    pub(super) advertised: Advertised,
    /// Whether clients bring the tokens, and are told of them.
    pub(super) tells_clients: bool,
}

impl Common {
    /// What is served of a resource, or of the tenant of a template.
    fn serve(&self, of: &ProtectedResource, tenant: Option<(&str, &Tenant)>) -> Served {
        let name = tenant.map_or("", |(name, _)| name);
        let (own, tenant) = (&of.terms, tenant.map(|(_, tenant)| tenant));
        let issuers = tenant.and_then(|tenant| tenant.issuers.as_deref());
        let issuers = issuers.or(own.issuers.as_deref());
        let is_trusted =
            |server: &&Named| issuers.is_none_or(|listed| listed.contains(&server.issuer));
        let trusted = || self.servers.iter().filter(is_trusted);
        let required_scopes = tenant.and_then(|tenant| tenant.required_scopes.as_ref());
        let required_scopes = required_scopes.or(own.required_scopes.as_ref());
        let required_scopes = required_scopes.unwrap_or(&self.required_scopes).clone();

        let url: Arc<str> = of.url_of(name).into();
        let metadata_url = of.metadata_url_of(name);
        let terms = Arc::new(Terms {
            url: Arc::clone(&url),
            audience: Audience::OneOf(of.audiences_of(name)),
            required_scopes: required_scopes.clone(),
            servers: issuers.map(|_| {
                trusted()
                    .flat_map(|server| server.numbers.clone())
                    .collect()
            }),
        });
        let mut named = Vec::new();
        for server in trusted() {
            if !named.contains(&&*server.advertised) {
                named.push(&*server.advertised);
            }
        }
        let document = of.document(&url, named.into_iter());
        // Those of tenants are found by host and path.
        let paths = match of.is_template() {
            true => Vec::new(),
            false => of.metadata_paths(),
        };
        let advertised = self.advertised.of(of.scopes().cloned());
        let mut resource = Resource::new(url);
        if self.tells_clients {
            resource = resource.metadata_url(metadata_url);
        }
        let resource = resource
            .scopes(required_scopes)
            .supported(of.scopes().cloned())
            .with_terms(Arc::<Terms>::clone(&terms));
        Served {
            resource: Arc::new(resource),
            terms,
            document: MetadataDocument::new(&paths, document, advertised),
        }
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
    pub(super) served: Served,
    tells_clients: bool,
}

/// Resources that are told apart by host and path.
#[derive(Clone, Debug)]
pub(super) struct Several {
    common: Common,
    listed: Vec<Arc<Served>>,
    resources: ResourceMap<Target>,
    /// By the addresses of the documents.
    documents: ResourceMap<Target>,
    proxies: Option<TrustedProxies>,
}

#[derive(Clone, Debug)]
enum Target {
    One(Arc<Served>),
    Template(Arc<ProtectedResource>),
}

impl Target {
    fn url(&self) -> &str {
        match self {
            Self::One(served) => served.resource.url(),
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
        proxies: Option<TrustedProxies>,
    ) -> Result<Self, ConfigError> {
        if let [one] = resources
            && one.tenants().is_none()
        {
            if proxies.is_some() {
                return Err(ConfigError::new(
                    "trusted_proxies",
                    "the layer has one resource, which is that of every request: leave it out",
                ));
            }
            return Ok(Self::One(Box::new(One {
                served: common.serve(one, None),
                tells_clients: common.tells_clients,
            })));
        }
        let mut several = Several {
            common,
            listed: Vec::new(),
            resources: ResourceMap::default(),
            documents: ResourceMap::default(),
            proxies,
        };
        for resource in resources {
            several.add(resource)?;
        }
        Ok(Self::Several(Box::new(several)))
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
            Self::One(one) if one.tells_clients => one.served.document.route(head),
            Self::One(_) => Route::Default,
            Self::Several(several) => several.route(head),
        }
    }

    /// The document that a request asks for.
    pub(super) fn document(&self, head: RequestHead<'_>) -> Response<Bytes> {
        match self {
            Self::One(one) if one.tells_clients => one.served.document.serve(head.method(), false),
            Self::One(_) => refusal::no_document(),
            Self::Several(several) => several.document(head),
        }
    }

    /// What is accepted at the resource that was chosen for a request, or at the only one.
    /// `None`: no provider of this kind chose.
    pub(super) fn terms<'t>(&'t self, chosen: Option<&'t Arc<Resource>>) -> Option<&'t Terms> {
        match self {
            Self::One(one) => Some(&one.served.terms),
            Self::Several(_) => chosen?.terms(),
        }
    }
}

impl Several {
    /// Those that can be listed.
    pub(super) fn listed(&self) -> impl Iterator<Item = Arc<Resource>> {
        self.listed
            .iter()
            .map(|served| Arc::clone(&served.resource))
    }

    fn add(&mut self, resource: &ProtectedResource) -> Result<(), ConfigError> {
        let tenants = resource.tenants();
        let target = match tenants {
            None => {
                let served = Arc::new(self.common.serve(resource, None));
                self.listed.push(Arc::clone(&served));
                Target::One(served)
            }
            Some(_) => Target::Template(Arc::new(resource.clone())),
        };
        let refuse = |why: String| ConfigError::new("resource", why);
        let url = resource.resource();
        let address = Address::parse(url).map_err(refuse)?;
        let clash = self.resources.insert(address, tenants, target.clone());
        clash.map_err(|other| {
            refuse(format!(
                "{url:?} and {:?} are at one address, and a request could be for both",
                other.url()
            ))
        })?;
        let documents = match self.common.tells_clients {
            true => resource.metadata_urls(),
            false => Vec::new(),
        };
        for document in documents {
            let address = Address::parse(&document).map_err(refuse)?;
            let clash = self.documents.insert(address, tenants, target.clone());
            clash.map_err(|other| {
                refuse(format!(
                    "the metadata of {url:?} and of {:?} would both be at {document:?}",
                    other.url()
                ))
            })?;
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
        let requested = match peer::requested(head, self.proxies.as_ref()) {
            Ok(requested) => requested,
            Err(error) => return Route::Refused(error),
        };
        let host = requested.host();
        let asked = Asked {
            host: &host,
            port: requested.port(),
            path: head.uri().path(),
        };
        match self.served(self.documents.find(asked, Reach::Exact)) {
            Ok(served) => {
                let by_proxy = requested.is_by_proxy();
                return Route::Document(served.document.serve(head.method(), by_proxy));
            }
            Err(Unknown::Path)
                if self.common.tells_clients && metadata::is_well_known(asked.path) =>
            {
                return Route::Unknown;
            }
            Err(_) => {}
        }
        match self.served(self.resources.find(asked, Reach::Below)) {
            Ok(served) => Route::Resource(Arc::clone(&served.resource)),
            Err(Unknown::Path) => Route::Refused(
                AuthError::new(Reason::UNKNOWN_RESOURCE).with_detail(format!(
                    "no resource of {} is at the path {}",
                    quoted(&host),
                    quoted(asked.path)
                )),
            ),
            Err(Unknown::Host) => Route::Refused(
                AuthError::new(Reason::UNKNOWN_HOST)
                    .with_detail(format!("no resource is at the host {}", quoted(&host))),
            ),
        }
    }

    fn served(&self, found: Found<'_, '_, Target>) -> Result<Arc<Served>, Unknown> {
        match found {
            Found::One(Target::One(served)) => Ok(Arc::clone(served)),
            Found::Tenant(Target::Template(template), name, tenant) => {
                Ok(Arc::new(self.common.serve(template, Some((name, &tenant)))))
            }
            Found::UnknownHost => Err(Unknown::Host),
            // Of these only the first is ever there.
            Found::UnknownPath | Found::One(_) | Found::Tenant(..) => Err(Unknown::Path),
        }
    }
}

enum Unknown {
    Host,
    Path,
}
