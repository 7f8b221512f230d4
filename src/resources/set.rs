//! `ResourceSet`: several resources, of which a request is for one.

use std::sync::Arc;

use super::address::Address;
use super::behind::Behind;
use super::hosts::Hosts;
use super::map::{Asked, Found, Reach, ResourceMap};
use super::pattern::Pattern;
use super::tenants::{Tenant, Tenants};
use super::url::check_place;
use crate::credential::RequestHead;
use crate::error::{AuthError, ConfigError, Reason};
use crate::peer::{self, TrustedProxies};
use crate::resource::Resource;
use crate::scope::Scopes;
use crate::util::{quoted, repeated};

/// Several resources, of which the host and the path of a request choose one.
///
/// It is for layers without OAuth ([`ApiKeyLayer::resources`](crate::ApiKeyLayer::resources)) and
/// for [providers of your own](crate::provider). An
/// [`OAuthLayer`](crate::oauth#several-resources) has its resources in its builder; hosts and
/// paths compare as they do there.
///
/// ```
/// use tower_mcp_auth::{ApiKeyLayer, ResourceSet, Tenants};
/// use tower_mcp_auth::api_key::ApiKey;
///
/// let tenants = Tenants::new(["acme", "globex"])?;
/// let resources = ResourceSet::new()
///     .resource("https://tools.example.com/mcp")?
///     .template("https://mcp.example.com/{tenant}/mcp", tenants)?;
///
/// let new = ApiKey::generate("acme")?;
/// let key = new.to_api_key().resources(["https://mcp.example.com/acme/mcp"])?;
/// let layer = ApiKeyLayer::new([key])?.resources(resources)?;
/// # let _ = layer;
/// # Ok::<(), tower_mcp_auth::ConfigError>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct ResourceSet {
    map: ResourceMap<Target>,
    listed: Vec<Arc<Resource>>,
    templates: Vec<(Pattern, Tenants)>,
    /// What challenges ask for at the tenants of templates.
    scopes: Scopes,
    behind: Behind,
}

/// The place of a resource, or of a template, in its list.
#[derive(Clone, Copy, Debug)]
enum Target {
    One(usize),
    Template(usize),
}

impl ResourceSet {
    /// No resource yet; no layer takes an empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the resource at this public URL, which is kept as given.
    ///
    /// # Errors
    /// The value is no absolute https or http URL with a plain host; it has a query, a fragment
    /// or a user name; its path is none that all read alike (dot segments, encoded separators);
    /// or another resource is at this address.
    pub fn resource(mut self, url: impl Into<String>) -> Result<Self, ConfigError> {
        let url = url.into();
        check(&url, &url)?;
        self.insert(&url, None, Target::One(self.listed.len()))?;
        self.listed.push(Arc::new(Resource::new(url)));
        Ok(self)
    }

    /// Adds resources that differ in one part of their URL.
    ///
    /// The part is a label of the host (`https://{tenant}.example.com/mcp`), or a segment of the
    /// path (`https://mcp.example.com/{server}/mcp`).
    ///
    /// Authorization servers and scopes of a [`Tenant`] are settings of an
    /// [`OAuthLayer`](crate::oauth#several-resources): a tenant that has such is refused here.
    ///
    /// # Errors
    /// There is not exactly one `{name}`, or it is neither a whole label before another one nor
    /// a whole segment; the rest of the URL is none that [`resource`](Self::resource) accepts;
    /// another resource can be at one of its addresses; or a tenant has settings.
    pub fn template(
        mut self,
        template: impl Into<String>,
        tenants: Tenants,
    ) -> Result<Self, ConfigError> {
        let template = template.into();
        let pattern = Pattern::template(&template).map_err(refuse)?;
        check(&template, &pattern.of("tenant"))?;
        let named =
            |(name, tenant): (&str, &Tenant)| tenant.has_settings().then(|| name.to_owned());
        if let Some(name) = tenants.all().into_iter().flatten().find_map(named) {
            return Err(ConfigError::new(
                "tenants",
                format!("{name:?} has authorization servers or scopes, {NOT_HERE}"),
            ));
        }
        let target = Target::Template(self.templates.len());
        self.insert(&template, Some(&tenants), target)?;
        self.templates.push((pattern, tenants));
        Ok(self)
    }

    /// Chooses by the host that these proxies say their clients asked for.
    ///
    /// Default: the `Host` of the request counts.
    pub fn trusted_proxies(mut self, proxies: TrustedProxies) -> Self {
        self.behind.proxies = Some(proxies);
        self
    }

    /// Names the part of the path that a proxy takes away: with `/team` a request that arrives for
    /// `/acme/mcp` is one for the resource at `/team/acme/mcp`.
    ///
    /// Public paths are those that the layer sees. Default: none.
    ///
    /// # Errors
    /// The prefix is no path, or ends in a slash.
    pub fn stripped_prefix(mut self, prefix: &str) -> Result<Self, ConfigError> {
        self.behind.set_prefix(prefix)?;
        Ok(self)
    }

    /// The hosts at which resources are, for
    /// [`OriginLayer::from_hosts`](crate::mcp::OriginLayer::from_hosts).
    pub fn hosts(&self) -> Hosts {
        let listed = self.listed.iter();
        let listed = listed.map(|resource| (resource.url().to_owned(), None));
        let templates = self.templates.iter();
        let templates = templates.map(|(pattern, tenants)| (pattern.text(), Some(tenants)));
        Hosts::of(listed.chain(templates))
    }

    fn insert(
        &mut self,
        url: &str,
        tenants: Option<&Tenants>,
        target: Target,
    ) -> Result<(), ConfigError> {
        let address = Address::parse(url).map_err(refuse)?;
        self.map.insert(address, tenants, target).map_err(|other| {
            let other = match other {
                Target::One(place) => self.listed[place].url().to_owned(),
                Target::Template(place) => self.templates[place].0.text(),
            };
            at_one_address(url, &other)
        })
    }

    /// The same, with the scopes that challenges ask for at each of them.
    #[cfg(feature = "jwt")]
    pub(crate) fn with_scopes(mut self, scopes: &Scopes) -> Self {
        for resource in &mut self.listed {
            *resource = Arc::new(Resource::clone(resource).scopes(scopes.clone()));
        }
        self.scopes = scopes.clone();
        self
    }

    /// The resource that a request is for, by its host and path.
    ///
    /// A provider of your own returns `Route::from(resources.choose(head))` from its
    /// [`route`](crate::provider::Authenticate::route).
    ///
    /// # Errors
    /// No resource is at that host (421) or path (404), or the host cannot be read in one way
    /// (400, see [`requested`](crate::peer::requested)).
    pub fn choose(&self, head: RequestHead<'_>) -> Result<Arc<Resource>, AuthError> {
        let requested = peer::requested(head, self.behind.proxies.as_ref())?;
        let (host, path) = (requested.host(), self.behind.whole(head.uri().path()));
        let asked = Asked {
            host: &host,
            port: requested.port(),
            path: &path,
        };
        match self.map.find(asked, Reach::Below) {
            Found::One(Target::One(place)) => Ok(Arc::clone(&self.listed[*place])),
            Found::Tenant(Target::Template(place), name, tenant) => match tenant.has_settings() {
                false => Ok(self.tenant(&self.templates[*place].0, name)),
                true => Err(
                    AuthError::new(Reason::UNKNOWN_RESOURCE).with_detail(format!(
                        "the tenant {name:?} has authorization servers or scopes, {NOT_HERE}"
                    )),
                ),
            },
            Found::UnknownHost => Err(unknown_host(asked)),
            // Of these only the first is ever there.
            Found::UnknownPath | Found::One(_) | Found::Tenant(..) => Err(unknown_path(asked)),
        }
    }

    fn tenant(&self, template: &Pattern, name: &str) -> Arc<Resource> {
        Arc::new(Resource::new(template.of(name)).scopes(self.scopes.clone()))
    }

    /// Those that can be listed: not the tenants of a template.
    pub fn listed(&self) -> impl Iterator<Item = &Arc<Resource>> {
        self.listed.iter()
    }

    /// Refuses a set in which nothing is.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        match self.listed.is_empty() && self.templates.is_empty() {
            true => Err(ConfigError::new(
                "resources",
                "there is none, so no request could be served; name at least one",
            )),
            false => Ok(()),
        }
    }
}

const NOT_HERE: &str = "which are settings of an `OAuthLayer`: leave them out here";

fn refuse(why: String) -> ConfigError {
    ConfigError::new("resource", why)
}

fn check(written: &str, url: &str) -> Result<(), ConfigError> {
    check_place(url).map_err(|why| refuse(format!("{} is no resource: {why}", repeated(written))))
}

/// Two resources that one request could be for.
pub(crate) fn at_one_address(one: &str, other: &str) -> ConfigError {
    refuse(format!(
        "{one:?} and {other:?} are at one address, and a request could be for both; leave one out, \
         or change its path"
    ))
}

/// No resource is at the host of a request.
pub(crate) fn unknown_host(asked: Asked<'_>) -> AuthError {
    AuthError::new(Reason::UNKNOWN_HOST)
        .with_detail(format!("no resource is at the host {}", quoted(asked.host)))
}

/// No resource is at the path of a request.
pub(crate) fn unknown_path(asked: Asked<'_>) -> AuthError {
    AuthError::new(Reason::UNKNOWN_RESOURCE).with_detail(format!(
        "no resource of {} is at the path {}; where a proxy took a part of it away, set \
         `stripped_prefix`, and where `nest` did, put the layer outside of it",
        quoted(asked.host),
        quoted(asked.path)
    ))
}

impl Tenant {
    fn has_settings(&self) -> bool {
        self.issuers.is_some() || self.required_scopes.is_some()
    }
}
