//! The settings of tokens that are bound to a key or a certificate, and what contradicts them.

use super::binding::{Binding, DpopMode, DpopOptions, MtlsMode};
use super::edge::is_for_clients;
use super::metadata_members::CERTIFICATES;
use super::{AuthorizationServer, OAuthLayerBuilder, ProtectedResource};
use crate::credential::Location;
use crate::error::ConfigError;
use crate::peer::ForwardedCertificates;

impl AuthorizationServer {
    /// Sets whether tokens may, or must, be bound to a key of their client by DPoP
    /// ([RFC 9449]); see [the module](super::binding). It holds for JWTs and for opaque tokens.
    ///
    /// The metadata of the resource and the challenges say so, unless another header than
    /// `Authorization` has the tokens, which is an error. Nothing that is fetched changes it.
    ///
    /// Default: [`DpopMode::Off`], which refuses tokens that are bound.
    ///
    /// [RFC 9449]: https://www.rfc-editor.org/rfc/rfc9449
    pub fn dpop(mut self, mode: DpopMode) -> Self {
        self.binding.dpop = mode;
        self
    }

    /// Sets whether tokens may, or must, be bound to the TLS certificate of their client
    /// ([RFC 8705 section 3]); see [the module](super::binding#certificates). It holds for JWTs and
    /// for opaque tokens.
    ///
    /// The certificate is the [`PeerCertificate`](crate::peer::PeerCertificate) that accepts the
    /// connection, or the one that a [proxy](OAuthLayerBuilder::forwarded_certificates) hands on.
    /// The metadata of the resource say that such tokens are accepted.
    ///
    /// Default: [`MtlsMode::Off`], which refuses tokens that are bound.
    ///
    /// [RFC 8705 section 3]: https://www.rfc-editor.org/rfc/rfc8705#section-3
    pub fn mtls(mut self, mode: MtlsMode) -> Self {
        self.binding.mtls = mode;
        self
    }
}

impl OAuthLayerBuilder {
    /// Sets where used DPoP proofs are kept, and whether clients need nonces; default
    /// [`DpopOptions::new`]. Which tokens are bound is set for each authorization server, by
    /// [`AuthorizationServer::dpop`].
    pub fn dpop_options(mut self, options: DpopOptions) -> Self {
        self.dpop = options;
        self
    }

    /// Names the proxies that end the TLS of clients, and how these hand on their certificates. It
    /// is for authorization servers with [`mtls`](AuthorizationServer::mtls); without one it is an
    /// error.
    ///
    /// Default: none, so that the certificate of the peer counts.
    pub fn forwarded_certificates(mut self, certificates: ForwardedCertificates) -> Self {
        self.forwarded_certificates = Some(certificates);
        self
    }
}

/// Refuses what contradicts DPoP.
pub(super) fn check_bound(
    resources: &[ProtectedResource],
    location: &Location,
) -> Result<(), ConfigError> {
    if !is_for_clients(location) {
        return Err(ConfigError::new(
            "dpop",
            format!(
                "tokens that are bound to a key stand in `Authorization: DPoP`, and `header_name` or \
                 `require_bearer` has them read from `{location}` alone: leave one out"
            ),
        ));
    }
    for resource in resources {
        Binding::check_resource(&resource.url_of("tenant"))?;
        if let Some(member) = resource.dpop_member() {
            return Err(ConfigError::new(
                member,
                format!("the metadata say what `dpop` of the servers does: leave `{member}` out"),
            ));
        }
    }
    Ok(())
}

/// Refuses what contradicts certificates, looked at or not.
pub(super) fn check_certificates(
    resources: &[ProtectedResource],
    location: &Location,
    are_looked_at: bool,
    forwarded: Option<&ForwardedCertificates>,
) -> Result<(), ConfigError> {
    if !are_looked_at {
        return match forwarded {
            None => Ok(()),
            Some(_) => Err(ConfigError::new(
                "forwarded_certificates",
                "they are for tokens that are bound to certificates, and `mtls` of no \
                 authorization server is allowed or required: leave `forwarded_certificates` out, \
                 or set `mtls`",
            )),
        };
    }
    if let Some(forwarded) = forwarded
        && forwarded.header() == location.header()
    {
        return Err(ConfigError::new(
            "forwarded_certificates",
            format!(
                "`{}` cannot hold the certificate, because `header_name` of the layer has the token \
                 there: name another one",
                forwarded.header()
            ),
        ));
    }
    match resources
        .iter()
        .any(ProtectedResource::has_certificate_member)
    {
        false => Ok(()),
        true => Err(ConfigError::new(
            CERTIFICATES,
            format!("the metadata say what `mtls` of the servers does: leave `{CERTIFICATES}` out"),
        )),
    }
}
