//! `Resource`: a protected resource as a value.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use crate::scope::Scopes;

/// A protected resource: its URL, where its metadata is, what its clients ask for.
///
/// A provider names one in [`ProviderInfo`](crate::provider::ProviderInfo), or chooses one for
/// each request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    url: Arc<str>,
    metadata_url: Option<Arc<str>>,
    scopes: Scopes,
    supported: Option<Scopes>,
    terms: Terms,
}

/// What the provider that chose a resource accepts there: its own type. It is no part of what the
/// resource is, so that all compare equal.
#[derive(Clone, Default)]
struct Terms(
    #[cfg_attr(not(feature = "oauth"), allow(dead_code))] Option<Arc<dyn Any + Send + Sync>>,
);

impl PartialEq for Terms {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Terms {}

impl fmt::Debug for Terms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Terms")
    }
}

impl Resource {
    /// The resource at `url`, its canonical URI
    /// ([RFC 8707 section 2](https://www.rfc-editor.org/rfc/rfc8707#section-2)).
    pub fn new(url: impl Into<Arc<str>>) -> Self {
        Self {
            url: url.into(),
            metadata_url: None,
            scopes: Scopes::none(),
            supported: None,
            terms: Terms::default(),
        }
    }

    /// Sets the URL of its metadata document
    /// ([RFC 9728](https://www.rfc-editor.org/rfc/rfc9728)), which challenges name.
    #[must_use]
    pub fn metadata_url(mut self, url: impl Into<Arc<str>>) -> Self {
        self.metadata_url = Some(url.into());
        self
    }

    /// Sets the scopes that challenges name where a refusal itself names none.
    #[must_use]
    pub fn scopes(mut self, scopes: Scopes) -> Self {
        self.scopes = scopes;
        self
    }

    /// Sets the scopes that its metadata advertise by hand, none of them included.
    #[cfg(feature = "oauth")]
    pub(crate) fn supported(mut self, supported: Option<Scopes>) -> Self {
        self.supported = supported;
        self
    }

    /// Adds what its provider accepts there.
    #[cfg(feature = "oauth")]
    pub(crate) fn with_terms(mut self, terms: Arc<dyn Any + Send + Sync>) -> Self {
        self.terms = Terms(Some(terms));
        self
    }

    /// What its provider accepts there. `None`: another provider made it.
    #[cfg(feature = "oauth")]
    pub(crate) fn terms<T: Send + Sync + 'static>(&self) -> Option<&T> {
        self.terms.0.as_ref()?.downcast_ref()
    }

    /// The URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn shared_url(&self) -> Arc<str> {
        Arc::clone(&self.url)
    }

    /// The path of the URL; `/` where it has none.
    pub fn path(&self) -> &str {
        let after_scheme = self.url.find("://").map_or(0, |at| at + 3);
        let rest = &self.url[after_scheme..];
        let end = rest.find(['?', '#']).unwrap_or(rest.len());
        match rest[..end].find('/') {
            Some(begin) => &rest[begin..end],
            None => "/",
        }
    }

    /// Whether clients find its metadata by its URL alone (RFC 9728 section 3.1).
    pub(crate) fn has_derived_metadata(&self) -> bool {
        let Some(metadata) = &self.metadata_url else {
            return true;
        };
        **metadata == metadata_url(&self.url)
    }

    pub(crate) fn metadata(&self) -> Option<&Arc<str>> {
        self.metadata_url.as_ref()
    }

    pub(crate) fn asked_scopes(&self) -> &Scopes {
        &self.scopes
    }

    pub(crate) fn supported_scopes(&self) -> Option<&Scopes> {
        self.supported.as_ref()
    }
}

/// Where clients look for the metadata of a resource.
pub(crate) const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// The URL of the metadata of the resource at a URL (RFC 9728 section 3.1).
pub(crate) fn metadata_url(url: &str) -> String {
    let after_scheme = url.find("://").map_or(0, |at| at + 3);
    let rest = &url[after_scheme..];
    let authority = after_scheme + rest.find(['/', '?']).unwrap_or(rest.len());
    let (origin, path) = url.split_at(authority);
    let path = match path.strip_prefix('/') {
        Some(rest) if rest.is_empty() || rest.starts_with('?') => rest,
        _ => path,
    };
    format!("{origin}{WELL_KNOWN}{path}")
}
