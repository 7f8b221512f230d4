//! `Resource`: a protected resource as a value.

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
}

impl Resource {
    /// The resource at `url`, its canonical URI
    /// ([RFC 8707 section 2](https://www.rfc-editor.org/rfc/rfc8707#section-2)).
    pub fn new(url: impl Into<Arc<str>>) -> Self {
        Self {
            url: url.into(),
            metadata_url: None,
            scopes: Scopes::none(),
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

    /// The URL.
    pub fn url(&self) -> &str {
        &self.url
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

    pub(crate) fn metadata(&self) -> Option<&Arc<str>> {
        self.metadata_url.as_ref()
    }

    pub(crate) fn asked_scopes(&self) -> &Scopes {
        &self.scopes
    }
}
