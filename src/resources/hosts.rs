//! `Hosts`: the hosts at which resources are.

use std::fmt;
use std::sync::Arc;

use super::address::Address;
use super::map::ResourceMap;
use super::tenants::Tenants;
use crate::authority::default_port;

/// The hosts at which the resources of a layer are, tenants of templates included.
///
/// [`OAuthLayer::hosts`](crate::OAuthLayer::hosts) and
/// [`ResourceSet::hosts`](crate::ResourceSet::hosts) make it, for
/// [`OriginLayer::from_hosts`](crate::mcp::OriginLayer::from_hosts).
#[derive(Clone)]
pub struct Hosts(Arc<Known>);

struct Known {
    map: ResourceMap<()>,
    /// As they were written, for messages.
    urls: Vec<Box<str>>,
}

impl Hosts {
    /// Those of these URLs, and of templates with their tenants; they were checked before.
    pub(crate) fn of<'r, U>(resources: impl Iterator<Item = (U, Option<&'r Tenants>)>) -> Self
    where
        U: AsRef<str>,
    {
        let (mut map, mut urls) = (ResourceMap::default(), Vec::new());
        for (url, tenants) in resources {
            let url = url.as_ref();
            urls.push(url.into());
            // A query tells no hosts apart.
            let end = url.find('?').unwrap_or(url.len());
            if let Ok(address) = Address::parse(&url[..end]) {
                // Who is there already is known.
                let _ = map.insert(address, tenants, ());
            }
        }
        Self(Arc::new(Known { map, urls }))
    }

    /// Whether a resource is at this host, in lower case, and this port; `scheme`: at a URL of
    /// this scheme.
    pub(crate) fn has(&self, host: &str, port: Option<u16>, scheme: Option<&str>) -> bool {
        self.0
            .map
            .has_host(host, port, scheme.and_then(default_port))
    }

    /// The URLs of the resources, as they were written.
    pub(crate) fn urls(&self) -> impl Iterator<Item = &str> + Clone {
        self.0.urls.iter().map(|url| &**url)
    }
}

impl fmt::Debug for Hosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Hosts").field(&self.0.urls).finish()
    }
}
