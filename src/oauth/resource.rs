//! `ProtectedResource`: the URL of an MCP endpoint and its metadata (RFC 9728).

use std::sync::Arc;

use serde_json::{Map, Value};

use super::url::{self, Written};
use crate::error::ConfigError;
pub(super) use crate::resource::WELL_KNOWN;
use crate::resource::metadata_url;
use crate::resources::{Address, Hosts, Pattern, Tenant, Tenants};
use crate::scope::Scopes;
use crate::telemetry;
use crate::token::well_known;

/// The member that lists scopes.
pub(super) const SCOPES: &str = "scopes_supported";

/// The protected resource: the public URL of an MCP endpoint, and what its metadata
/// document ([RFC 9728]) says of it.
///
/// The URL is the one source of the expected audience, the metadata's place, and the
/// `resource_metadata` of challenges. It is kept exactly as given, and nothing is ever
/// derived from a request.
///
/// An audience compares byte by byte. One difference is allowed: where the URL is an origin
/// (`https://mcp.example.com`), tokens for it with and without the slash at its end are for this
/// resource ([RFC 3986 section 6.2.3](https://www.rfc-editor.org/rfc/rfc3986#section-6.2.3)).
///
/// ```
/// use tower_mcp_auth::oauth::ProtectedResource;
///
/// let resource = ProtectedResource::new("https://mcp.example.com/mcp")?
///     .resource_name("Example tools")
///     .scopes_supported(["mcp:read"])?;
/// assert_eq!(
///     resource.metadata_url(),
///     "https://mcp.example.com/.well-known/oauth-protected-resource/mcp",
/// );
/// assert!(ProtectedResource::new("https://mcp.example.com/mcp#tools").is_err());
/// # Ok::<(), tower_mcp_auth::ConfigError>(())
/// ```
///
/// [RFC 9728]: https://www.rfc-editor.org/rfc/rfc9728
#[derive(Clone, Debug)]
#[must_use]
pub struct ProtectedResource {
    resource: Arc<str>,
    /// The same, with a place for a tenant.
    pattern: Pattern,
    /// Those of a template.
    tenants: Option<Tenants>,
    /// Where it is not the URL.
    audience: Option<Pattern>,
    pub(super) terms: Tenant,
    /// Where challenges send clients, where that is not derived from the resource.
    pub(super) advertised_metadata_url: Option<Pattern>,
    /// Whether the document is at the well-known path without that of the resource too.
    pub(super) metadata_at_root: bool,
    /// Those that were set, perhaps to none.
    pub(super) scopes: Option<Scopes>,
    /// Only members that say something (RFC 9728 section 3.2: zero values are omitted).
    pub(super) fields: Map<String, Value>,
}

impl ProtectedResource {
    /// The resource at this public URL: the one clients are configured with.
    ///
    /// Plain `http` is accepted on loopback alone, with a warning. Forms that break some
    /// clients (a query, a trailing slash after a path, an explicit default port, an
    /// upper-case host) are accepted with a warning that names these clients.
    ///
    /// # Errors
    /// The value is no absolute https URL, or has a fragment, a user name or a password; its path
    /// or query is not as clients read it (dot segments, characters that are encoded); or it is
    /// the address of the metadata (`…/.well-known/oauth-protected-resource/…`).
    pub fn new(resource: impl Into<String>) -> Result<Self, ConfigError> {
        let resource = resource.into();
        check(&resource)?;
        warn(&resource);
        let pattern = Pattern::plain(&resource);
        Ok(Self::of(resource, pattern, None))
    }

    /// Resources that differ in one part of their URL.
    ///
    /// The part is a label of the host (`https://{tenant}.example.com/mcp`), or a segment of the
    /// path (`https://mcp.example.com/{server}/mcp`).
    ///
    /// Each tenant has an audience, a metadata document and challenges of its own. What is said
    /// of the template here is said of all of them. A layer chooses the resource of a request by
    /// its host and path; see [several resources](crate::oauth#several-resources).
    ///
    /// ```
    /// use tower_mcp_auth::Tenants;
    /// use tower_mcp_auth::oauth::ProtectedResource;
    ///
    /// let tenants = Tenants::new(["acme", "globex"])?;
    /// let resource = ProtectedResource::from_template("https://{tenant}.example.com/mcp", tenants)?;
    /// # let _ = resource;
    /// # Ok::<(), tower_mcp_auth::ConfigError>(())
    /// ```
    ///
    /// # Errors
    /// There is not exactly one `{name}`, or it is neither a whole label before another one nor
    /// a whole segment; or the rest of the URL is none that [`new`](Self::new) accepts. A query
    /// is not accepted.
    pub fn from_template(
        template: impl Into<String>,
        tenants: Tenants,
    ) -> Result<Self, ConfigError> {
        let template = template.into();
        let refuse = |why: String| ConfigError::new("resource", why);
        let pattern = Pattern::template(&template).map_err(refuse)?;
        check(&pattern.of("tenant"))?;
        Address::parse(&template).map_err(refuse)?;
        warn(&pattern.of("tenant"));
        Ok(Self::of(template, pattern, Some(tenants)))
    }

    fn of(resource: String, pattern: Pattern, tenants: Option<Tenants>) -> Self {
        Self {
            resource: resource.into(),
            pattern,
            tenants,
            audience: None,
            terms: Tenant::new(),
            advertised_metadata_url: None,
            metadata_at_root: false,
            scopes: None,
            fields: Map::new(),
        }
    }

    /// The URL, as given.
    pub fn resource(&self) -> &str {
        &self.resource
    }

    /// The path of the metadata document: that of the resource, behind the well-known one
    /// ([RFC 9728 section 3.1]).
    ///
    /// [RFC 9728 section 3.1]: https://www.rfc-editor.org/rfc/rfc9728#section-3.1
    ///
    /// That of a [template](Self::from_template) has the place of its tenant in it.
    pub fn metadata_path(&self) -> String {
        metadata_path(&self.resource)
    }

    /// The URL of the metadata document: what challenges name as `resource_metadata`.
    ///
    /// It has the query of the resource, if there is one. A gateway may need [another
    /// URL](Self::advertised_metadata_url). That of a [template](Self::from_template) has the place
    /// of its tenant in it.
    pub fn metadata_url(&self) -> String {
        match &self.advertised_metadata_url {
            Some(url) => url.text(),
            None => metadata_url(&self.resource),
        }
    }

    /// Expects this audience instead of the URL.
    ///
    /// For authorization servers that know the resource by another name. That of a
    /// [template](Self::from_template) has one `{name}` too, in the place of which the tenant
    /// stands. An [audience of a server](super::AuthorizationServer::audience) comes before it.
    /// Default: the URL.
    ///
    /// # Errors
    /// It is empty; or it has a place for a tenant and the resource has none, or the other way
    /// round.
    pub fn audience(mut self, audience: impl Into<String>) -> Result<Self, ConfigError> {
        let audience = audience.into();
        let refuse = |why: String| ConfigError::new("audience", why);
        if audience.is_empty() {
            return Err(refuse(
                "the audience is empty; leave the setting out for the URL".to_owned(),
            ));
        }
        let pattern = match self.tenants {
            None => Pattern::plain(&audience),
            Some(_) => Pattern::parse(&audience).map_err(refuse)?,
        };
        if self.tenants.is_some() && !pattern.is_template() {
            return Err(refuse(format!(
                "all tenants would accept tokens for {audience:?}: write `{{tenant}}` where they \
                 differ"
            )));
        }
        self.audience = Some(pattern);
        Ok(self)
    }

    /// Trusts these authorization servers alone for this resource.
    ///
    /// They are named by their issuers, and must be among those of the layer. The metadata of the
    /// resource name no others. Default: all of the layer.
    pub fn authorization_servers<I>(mut self, issuers: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<Arc<str>>,
    {
        self.terms = self.terms.authorization_servers(issuers);
        self
    }

    /// Requires these scopes of every token for this resource, instead of
    /// [those of the layer](super::OAuthLayerBuilder::required_scopes).
    ///
    /// # Errors
    /// A scope is not one, or is `offline_access`.
    pub fn required_scopes<I>(mut self, scopes: I) -> Result<Self, ConfigError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        self.terms = self.terms.required_scopes(scopes)?;
        Ok(self)
    }

    /// The tenants of a template.
    pub(super) fn tenants(&self) -> Option<&Tenants> {
        self.tenants.as_ref()
    }

    /// Whether it stands for more than one resource.
    pub(super) fn is_template(&self) -> bool {
        self.tenants.is_some()
    }

    /// The URL for this tenant; of one that is no template, the URL.
    pub(super) fn url_of(&self, tenant: &str) -> String {
        self.pattern.of(tenant)
    }

    /// The audiences of tokens that are for this resource: what was set, or its URL, byte by
    /// byte. Where that is an origin there is one more, with its slash or without: an empty path
    /// and `/` are one URL (RFC 3986 section 6.2.3), and clients that know URLs by a type ask for
    /// the one with the slash.
    pub(super) fn audience_patterns(&self) -> Vec<Pattern> {
        if let Some(audience) = &self.audience {
            return vec![audience.clone()];
        }
        let Written {
            origin,
            path,
            query,
        } = Written::split(&self.resource);
        let with = |text: &str| match self.is_template() {
            true => Pattern::parse(text).unwrap_or_else(|_| Pattern::plain(text)),
            false => Pattern::plain(text),
        };
        let mut audiences = vec![self.pattern.clone()];
        match (path, query) {
            ("", "") => audiences.push(with(&format!("{origin}/"))),
            ("/", "") => audiences.push(with(origin)),
            _ => {}
        }
        audiences
    }

    /// The same for this tenant.
    pub(super) fn audiences_of(&self, tenant: &str) -> Vec<Box<str>> {
        let patterns = self.audience_patterns();
        let of = |pattern: &Pattern| pattern.of(tenant).into_boxed_str();
        patterns.iter().map(of).collect()
    }

    /// What challenges name for this tenant.
    pub(super) fn metadata_url_of(&self, tenant: &str) -> String {
        match &self.advertised_metadata_url {
            Some(url) => url.of(tenant),
            None => metadata_url(&self.url_of(tenant)),
        }
    }
}

impl Hosts {
    pub(crate) fn of_resources(resources: &[ProtectedResource]) -> Self {
        let resources = resources.iter();
        Self::of(resources.map(|resource| (resource.resource(), resource.tenants())))
    }
}

/// Whether a URL can be that of a resource.
fn check(resource: &str) -> Result<(), ConfigError> {
    let parsed = url::parse("resource", resource)?;
    well_known::refuse_as_resource(resource)?;
    match parsed.scheme() {
        "https" => {}
        "http" if url::is_loopback(&parsed) => {
            telemetry::weakened("resource", "the resource is http on loopback");
        }
        _ => {
            return Err(ConfigError::new(
                "resource",
                format!("{resource:?} is not https, which clients of OAuth insist on"),
            ));
        }
    }
    // Clients would ask for the metadata of another URL, where there are none.
    url::refuse_rewritten("resource", resource, &parsed)?;
    Ok(())
}

/// Warns of what is legal and breaks some clients.
fn warn(resource: &str) {
    for warning in unusual(resource) {
        telemetry::weakened("resource", warning);
    }
}

/// Where the metadata of the resource at a URL are.
pub(super) fn metadata_path(url: &str) -> String {
    let Written { path, .. } = Written::split(url);
    let path = if path == "/" { "" } else { path };
    format!("{WELL_KNOWN}{path}")
}

/// What is legal and breaks some clients.
fn unusual(resource: &str) -> Vec<&'static str> {
    let Written {
        origin,
        path,
        query,
    } = Written::split(resource);
    let mut warnings = Vec::new();
    if !query.is_empty() {
        warnings.push("the resource has a query: RFC 9728 advises against it, and clients that compare paths drop it");
    }
    if path.len() > 1 && path.ends_with('/') {
        warnings.push(
            "the resource ends in a slash: the TypeScript SDK and rmcp refuse it when they were \
             configured without the slash",
        );
    }
    let default_port = origin.starts_with("https://") && origin.ends_with(":443")
        || origin.starts_with("http://") && origin.ends_with(":80");
    if default_port {
        warnings.push("the resource names the default port: the Python SDK takes it for another host than the one without");
    }
    if origin.bytes().any(|byte| byte.is_ascii_uppercase()) {
        warnings.push(
            "the resource has an upper-case scheme or host: the Go SDK compares byte by byte",
        );
    }
    warnings
}

/// The URL, as given: a resource can be named by itself wherever a text names one.
impl AsRef<str> for ProtectedResource {
    fn as_ref(&self) -> &str {
        self.resource()
    }
}

impl From<&ProtectedResource> for String {
    fn from(resource: &ProtectedResource) -> Self {
        resource.resource().to_owned()
    }
}

impl From<ProtectedResource> for String {
    fn from(resource: ProtectedResource) -> Self {
        resource.resource().to_owned()
    }
}

impl From<&Self> for ProtectedResource {
    fn from(resource: &Self) -> Self {
        resource.clone()
    }
}

impl TryFrom<&str> for ProtectedResource {
    type Error = ConfigError;

    fn try_from(resource: &str) -> Result<Self, ConfigError> {
        Self::new(resource)
    }
}

impl TryFrom<String> for ProtectedResource {
    type Error = ConfigError;

    fn try_from(resource: String) -> Result<Self, ConfigError> {
        Self::new(resource)
    }
}

impl TryFrom<&String> for ProtectedResource {
    type Error = ConfigError;

    fn try_from(resource: &String) -> Result<Self, ConfigError> {
        Self::new(resource.as_str())
    }
}
