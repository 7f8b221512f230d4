use super::Endpoint;

const OAUTH: &str = "/.well-known/oauth-authorization-server";
const OIDC: &str = "/.well-known/openid-configuration";

/// Where everything is.
pub(in super::super) struct Paths {
    origin: String,
    /// By discriminant.
    paths: [String; Endpoint::COUNT],
}

impl Paths {
    /// `path` is that of the issuer identifier: empty, or starting with a slash.
    pub(in super::super) fn new(origin: &str, path: &str) -> Self {
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

    pub(in super::super) fn url(&self, endpoint: Endpoint) -> String {
        format!("{}{}", self.origin, self.paths[endpoint as usize])
    }

    pub(in super::super) fn find(&self, path: &str) -> Option<Endpoint> {
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
