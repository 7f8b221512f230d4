//! What a provider does in its own way, as data, and the one function that reads it.

use std::borrow::Cow;

use crate::error::ConfigError;
use crate::jose::Algorithm;
use crate::oauth::AuthorizationServer;
use crate::token::{Quirks, Required, ScopeClaim};
use crate::util::repeated;

/// What is known of a provider's tokens beforehand. Nothing here can weaken a server: issuer
/// and audience are not in it.
pub(super) struct Shape {
    /// Where its keys are, after the issuer. `None`: discovery says.
    pub(super) keys: Option<&'static str>,
    /// Empty: the defaults.
    pub(super) algorithms: &'static [Algorithm],
    pub(super) scope_claim: &'static str,
    pub(super) client_claim: &'static str,
    /// Audiences that all its tokens have.
    pub(super) ignore_audiences: &'static [&'static str],
    /// Claims its access tokens have, with this value.
    pub(super) required: &'static [(&'static str, &'static str)],
    /// Claims that only its access tokens have.
    pub(super) marks: &'static [Cow<'static, str>],
    pub(super) at_jwt: bool,
    /// Whether clients get their tokens there, and are sent there by the metadata.
    pub(super) advertised: bool,
}

impl Shape {
    /// A provider that does what RFC 9068 says.
    pub(super) const PLAIN: Self = Self {
        keys: None,
        algorithms: &[],
        scope_claim: "scope",
        client_claim: "client_id",
        ignore_audiences: &[],
        required: &[],
        marks: &[],
        at_jwt: false,
        advertised: true,
    };

    /// The server with this issuer.
    pub(super) fn server(&self, issuer: String) -> Result<AuthorizationServer, ConfigError> {
        self.refine(AuthorizationServer::new(issuer)?)
    }

    /// The server with this issuer, on loopback by plain `http` perhaps.
    pub(super) fn server_on_loopback(
        &self,
        issuer: String,
    ) -> Result<AuthorizationServer, ConfigError> {
        self.refine(AuthorizationServer::insecure_http_on_loopback(issuer)?)
    }

    fn refine(&self, mut server: AuthorizationServer) -> Result<AuthorizationServer, ConfigError> {
        if let Some(keys) = self.keys {
            let keys = format!("{}{keys}", server.issuer());
            server = server.jwks_uri(keys)?;
        }
        if !self.algorithms.is_empty() {
            server = server.algorithms(self.algorithms.iter().copied())?;
        }
        if self.scope_claim != "scope" {
            server.scope_claim = ScopeClaim::named(self.scope_claim.into())?;
        }
        let required = |(claim, value): &(&str, &str)| Required {
            claim: (*claim).into(),
            values: vec![(*value).into()],
        };
        server.quirks = Quirks {
            client_claim: (self.client_claim != "client_id").then(|| self.client_claim.into()),
            ignore_audiences: self
                .ignore_audiences
                .iter()
                .map(|aud| (*aud).into())
                .collect(),
            required: self.required.iter().map(required).collect(),
            marks: Cow::Borrowed(self.marks),
            ..Quirks::default()
        };
        server.require_at_jwt = self.at_jwt;
        server.is_advertised = self.advertised;
        Ok(server)
    }
}

/// A host as it is written in the identifiers of a provider.
pub(super) fn host<'h>(setting: &'static str, host: &'h str) -> Result<&'h str, ConfigError> {
    let is_right = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-');
    if host.contains('.') && host.bytes().all(is_right) {
        return Ok(host);
    }
    Err(ConfigError::new(
        setting,
        format!(
            "{} is not a host alone, in lower case, without `https://`, port and path; is a \
             variable of the environment not set?",
            repeated(host)
        ),
    ))
}

/// One segment of a path: an id, a realm, a slug.
pub(super) fn segment<'s>(setting: &'static str, segment: &'s str) -> Result<&'s str, ConfigError> {
    let is_right = |byte: u8| byte.is_ascii_alphanumeric() || b"._~-".contains(&byte);
    let is_dots = segment.bytes().all(|byte| byte == b'.');
    if segment.len() <= 128 && segment.bytes().all(is_right) && !is_dots {
        return Ok(segment);
    }
    Err(ConfigError::new(
        setting,
        format!("{segment:?} is not 1 to 128 of A-Z a-z 0-9 . _ ~ - and not dots only"),
    ))
}

/// The ids of those with accepted tokens, as tokens of shared issuers write them: strings.
pub(super) fn required_ids(
    setting: &'static str,
    ids: impl IntoIterator<Item = u64>,
) -> Result<Vec<String>, ConfigError> {
    let ids: Vec<String> = ids.into_iter().map(|id| id.to_string()).collect();
    match ids.is_empty() {
        true => Err(ConfigError::new(
            setting,
            "there is none, so no token could pass",
        )),
        false => Ok(ids),
    }
}

/// The URL of a server of one's own, without the slash at its end.
pub(super) fn base<'b>(setting: &'static str, base: &'b str) -> Result<&'b str, ConfigError> {
    crate::oauth::url::parse(setting, base)?;
    crate::token::well_known::refuse_as_issuer(setting, base)?;
    if base.contains('?') {
        return Err(ConfigError::new(
            setting,
            "the URL has a query; leave it out",
        ));
    }
    Ok(base.strip_suffix('/').unwrap_or(base))
}
