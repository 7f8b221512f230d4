//! The endpoints of the issuer, and where they are.

use http::Method;
use http::header::HeaderValue;

const OAUTH: &str = "/.well-known/oauth-authorization-server";
const OIDC: &str = "/.well-known/openid-configuration";

/// An endpoint of an [`Issuer`](super::Issuer).
///
/// An issuer without a path has each metadata document in one place only: it counts as
/// [`OAuthMetadata`](Self::OAuthMetadata) and [`OidcMetadata`](Self::OidcMetadata).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Endpoint {
    /// `/.well-known/oauth-authorization-server/tenant`: RFC 8414, the path inserted.
    OAuthMetadata,
    /// `/tenant/.well-known/oauth-authorization-server`: not in a standard, and common.
    OAuthMetadataAppended,
    /// `/.well-known/openid-configuration/tenant`: RFC 8414 section 5.
    OidcMetadataInserted,
    /// `/tenant/.well-known/openid-configuration`: OpenID Connect Discovery.
    OidcMetadata,
    /// The key set.
    Jwks,
    /// The token endpoint.
    Token,
    /// The authorization endpoint, which approves everything.
    Authorize,
    /// Dynamic client registration (RFC 7591).
    Register,
    /// Token introspection (RFC 7662), for those whom
    /// [`introspection_auth`](super::IssuerBuilder::introspection_auth) lets ask.
    Introspect,
}

impl Endpoint {
    pub(super) const COUNT: usize = Self::ALL.len();
    /// In the order of their discriminants. The appended OpenID place is asked for before
    /// the inserted one; without a path they are the same.
    pub(super) const ALL: [Self; 9] = [
        Self::OAuthMetadata,
        Self::OAuthMetadataAppended,
        Self::OidcMetadataInserted,
        Self::OidcMetadata,
        Self::Jwks,
        Self::Token,
        Self::Authorize,
        Self::Register,
        Self::Introspect,
    ];

    pub(super) fn is_document(self) -> bool {
        matches!(
            self,
            Self::OAuthMetadata
                | Self::OAuthMetadataAppended
                | Self::OidcMetadataInserted
                | Self::OidcMetadata
                | Self::Jwks
        )
    }

    /// Whether browsers fetch it, so that it needs CORS; the authorization endpoint is
    /// navigated to, and introspection is for servers.
    pub(super) fn is_for_scripts(self) -> bool {
        !matches!(self, Self::Authorize | Self::Introspect)
    }

    pub(super) fn methods(self) -> HeaderValue {
        HeaderValue::from_static(if self.is_document() {
            "GET, HEAD, OPTIONS"
        } else if self == Self::Authorize {
            "GET, POST, OPTIONS"
        } else {
            "POST, OPTIONS"
        })
    }

    pub(super) fn takes(self, method: &Method) -> bool {
        match *method {
            Method::GET => self.is_document() || self == Self::Authorize,
            Method::HEAD => self.is_document(),
            Method::POST => !self.is_document(),
            _ => false,
        }
    }
}

/// Where everything is.
pub(super) struct Paths {
    origin: String,
    /// By discriminant.
    paths: [String; Endpoint::COUNT],
}

impl Paths {
    /// `path` is that of the issuer identifier: empty, or starting with a slash.
    pub(super) fn new(origin: &str, path: &str) -> Self {
        // RFC 8414 section 3.1, OpenID Connect Discovery section 4: without the last slash.
        let path = path.trim_end_matches('/');
        let place = |endpoint| match endpoint {
            Endpoint::OAuthMetadata => format!("{OAUTH}{path}"),
            Endpoint::OAuthMetadataAppended => format!("{path}{OAUTH}"),
            Endpoint::OidcMetadataInserted => format!("{OIDC}{path}"),
            Endpoint::OidcMetadata => format!("{path}{OIDC}"),
            Endpoint::Jwks => format!("{path}/jwks"),
            Endpoint::Token => format!("{path}/token"),
            Endpoint::Authorize => format!("{path}/authorize"),
            Endpoint::Register => format!("{path}/register"),
            Endpoint::Introspect => format!("{path}/introspect"),
        };
        Self {
            origin: origin.to_owned(),
            paths: Endpoint::ALL.map(place),
        }
    }

    pub(super) fn url(&self, endpoint: Endpoint) -> String {
        format!("{}{}", self.origin, self.paths[endpoint as usize])
    }

    pub(super) fn find(&self, path: &str) -> Option<Endpoint> {
        let mut found = Endpoint::ALL
            .into_iter()
            .filter(|endpoint| self.paths[*endpoint as usize] == path);
        match found.next()? {
            // Without a path of its own an issuer has both forms of OpenID in one place.
            Endpoint::OidcMetadataInserted => found.next().or(Some(Endpoint::OidcMetadataInserted)),
            first => Some(first),
        }
    }
}
