//! Where the metadata document of a resource is: the URL in challenges, and the paths it is at.

use super::ProtectedResource;
use super::resource::WELL_KNOWN;
use super::url::{self, Written};
use crate::error::ConfigError;
use crate::resources::Pattern;
use crate::token::well_known;

impl ProtectedResource {
    /// Names this URL of the metadata in challenges.
    ///
    /// It stands instead of the one that is derived from the resource. For a gateway that owns the
    /// root of its host and passes only paths below a prefix on, such as the stage of an API
    /// gateway ([RFC 9728 section 5.1] allows any URL):
    ///
    /// ```
    /// use tower_mcp_auth::oauth::ProtectedResource;
    ///
    /// let resource = ProtectedResource::new("https://gw.example.com/prod/mcp")?
    ///     .advertised_metadata_url(
    ///         "https://gw.example.com/prod/.well-known/oauth-protected-resource/mcp",
    ///     )?;
    /// assert_eq!(
    ///     resource.metadata_paths(),
    ///     [
    ///         "/.well-known/oauth-protected-resource/prod/mcp",
    ///         "/prod/.well-known/oauth-protected-resource/mcp",
    ///         "/.well-known/oauth-protected-resource/mcp",
    ///     ],
    /// );
    /// # Ok::<(), tower_mcp_auth::ConfigError>(())
    /// ```
    ///
    /// The document is then at the path of this URL too, and at what is left of it where whole
    /// segments before `/.well-known/oauth-protected-resource` are taken off. All of them are known
    /// before the first request. A URL without that part is served at its own path alone; mount
    /// [`metadata_service`](crate::OAuthLayer::metadata_service) where it arrives otherwise. The
    /// document still names the resource as it was given.
    ///
    /// Default: the URL of [RFC 9728 section 3.1], which is served in any case. Clients that lose the
    /// challenge look there.
    ///
    /// # Errors
    /// The value is no absolute https URL (http on loopback where the resource is http), or has a
    /// fragment, a user name or a password; clients read its path as another one; it is the address
    /// of an authorization server's metadata; its path is that of the resource, or the end of it; or
    /// that of a [template](Self::from_template) has no place for a tenant.
    ///
    /// [RFC 9728 section 3.1]: https://www.rfc-editor.org/rfc/rfc9728#section-3.1
    /// [RFC 9728 section 5.1]: https://www.rfc-editor.org/rfc/rfc9728#section-5.1
    pub fn advertised_metadata_url(mut self, url: impl Into<String>) -> Result<Self, ConfigError> {
        const SETTING: &str = "advertised_metadata_url";
        let refuse = |why: String| Err(ConfigError::new(SETTING, why));
        let text = url.into();
        let pattern = match self.is_template() {
            true => Pattern::parse(&text).map_err(|why| ConfigError::new(SETTING, why))?,
            false => Pattern::plain(&text),
        };
        if self.is_template() && !pattern.is_template() {
            return refuse(format!(
                "all tenants would have their metadata at {text:?}: write `{{tenant}}` where they \
                 differ"
            ));
        }
        let (url, resource) = (pattern.of("tenant"), self.url_of("tenant"));
        let parsed = url::parse(SETTING, &url)?;
        well_known::refuse_as(SETTING, &url, "write that of the metadata of the resource")?;
        let is_local = resource.starts_with("http://") && url::is_loopback(&parsed);
        if parsed.scheme() != "https" && !(parsed.scheme() == "http" && is_local) {
            return refuse(format!("{url:?} is not https, and clients follow no other"));
        }
        url::refuse_rewritten(SETTING, &url, &parsed)?;
        let (own, path) = (path_of(&resource), path_of(&url));
        // Without its first segments, as a gateway takes them off, that is where clients send
        // messages.
        if own.ends_with(path) {
            return refuse(format!(
                "{url:?} has the path of the resource, or the end of it: the document would stand in \
                 the place of the MCP endpoint"
            ));
        }
        self.advertised_metadata_url = Some(pattern);
        Ok(self)
    }

    /// Serves the document at `/.well-known/oauth-protected-resource` as well; default off.
    ///
    /// For clients that ask nowhere else: older ones that know neither challenges with
    /// `resource_metadata` nor the path of the resource behind the well-known one. By
    /// [RFC 9728 section 3.3](https://www.rfc-editor.org/rfc/rfc9728#section-3.3) what stands there
    /// is about the whole origin, so a client that compares refuses it; and it speaks for every MCP
    /// server of that origin. Leave it off where there are several.
    ///
    /// A resource without a path has its document there anyway. Tenants that a path tells apart have
    /// none there, and a layer with such a setting is not built.
    pub fn metadata_at_root(mut self) -> Self {
        self.metadata_at_root = true;
        self
    }

    /// Refuses what would be said of all tenants of a template in the words of one.
    ///
    /// # Errors
    /// See above.
    pub(super) fn check_documents(&self) -> Result<(), ConfigError> {
        let Written { origin, .. } = Written::split(self.resource());
        if !self.is_template() {
            return Ok(());
        }
        if self.metadata_at_root && !origin.contains('{') {
            return Err(ConfigError::new(
                "metadata_at_root",
                format!(
                    "all tenants of {:?} would have their metadata there: leave it out",
                    self.resource()
                ),
            ));
        }
        if self.has_signed_metadata() {
            return Err(ConfigError::new(
                "signed_metadata",
                format!(
                    "it names one resource, and every tenant of {:?} would be told of that one: \
                     leave it out",
                    self.resource()
                ),
            ));
        }
        Ok(())
    }

    /// The URLs of the documents, for a layer that tells resources apart by host and path.
    pub(super) fn metadata_urls(&self) -> Vec<String> {
        let Written { origin, .. } = Written::split(self.resource());
        let paths = self.metadata_paths();
        let mut urls: Vec<String> = paths.iter().map(|path| format!("{origin}{path}")).collect();
        let named = self.advertised_metadata_url.as_ref().map(Pattern::text);
        urls.extend(named.filter(|named| !urls.contains(named)));
        // Where no tenant stands there would be the document of any of them.
        urls.retain(|url| !self.is_template() || url.contains('{'));
        urls
    }

    /// The paths that the layer serves the document at:
    /// [`metadata_path`](Self::metadata_path), and those that were added.
    pub fn metadata_paths(&self) -> Vec<String> {
        let mut paths = vec![self.metadata_path()];
        if let Some(url) = &self.advertised_metadata_url {
            let url = url.text();
            let Written { path, .. } = Written::split(&url);
            paths.push(path.to_owned());
            paths.extend(ends(path).map(str::to_owned));
        }
        if self.metadata_at_root {
            paths.push(WELL_KNOWN.to_owned());
        }
        let mut distinct: Vec<String> = Vec::with_capacity(paths.len());
        for path in paths {
            if !distinct.contains(&path) {
                distinct.push(path);
            }
        }
        distinct
    }
}

/// What is left of a path where whole segments are taken off its beginning, as long as the
/// well-known part is whole.
fn ends(path: &str) -> impl Iterator<Item = &str> {
    let slashes = path.match_indices('/').skip(1);
    let ends = slashes.map(|(at, _)| &path[at..]);
    ends.filter(|end| {
        let mut parts = end.match_indices(WELL_KNOWN);
        parts.any(|(at, _)| {
            let after = &end[at + WELL_KNOWN.len()..];
            after.is_empty() || after.starts_with('/')
        })
    })
}

/// Without a slash at its end.
fn path_of(url: &str) -> &str {
    let Written { path, .. } = Written::split(url);
    path.trim_end_matches('/')
}
