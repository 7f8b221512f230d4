//! `PeerCertificate`: the TLS certificate at the other end of the connection.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::crypto::sha256;
use crate::principal::Thumbprint;

/// The TLS certificate of the peer, in the extensions of a request: its thumbprint.
///
/// What accepts TLS connections puts it there, or a
/// [`SetPeerCertificateLayer`](super::SetPeerCertificateLayer). Make it once for each connection,
/// because that takes a hash. A request without it is of a peer that showed no certificate. A
/// session that was resumed has the certificate of its first handshake.
///
/// It must come from a handshake that **verified the peer's signature**, because a certificate is
/// public, and its key alone proves anything. Whether the certificate is of an authority that is
/// trusted, expired or made by the client itself does not matter for tokens that are bound to it
/// ([RFC 8705 section 6.2]): rustls with a `ClientCertVerifier` that trusts every certificate and
/// verifies signatures is enough (`examples/mtls.rs` has one).
///
/// ```
/// use tower_mcp_auth::peer::PeerCertificate;
///
/// /// Once for each connection, after the handshake.
/// fn certificate(connection: &tokio_rustls::rustls::ServerConnection) -> Option<PeerCertificate> {
///     let leaf = connection.peer_certificates()?.first()?;
///     Some(PeerCertificate::from_der(leaf))
/// }
/// ```
///
/// Behind a proxy that ends TLS this is the certificate of the proxy, if it has one. That of its
/// client is read by [`ForwardedCertificates`](super::ForwardedCertificates).
///
/// [RFC 8705 section 6.2]: https://www.rfc-editor.org/rfc/rfc8705#section-6.2
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PeerCertificate(Thumbprint);

impl PeerCertificate {
    /// The certificate with this DER encoding: of several that a peer sent its own, the first one.
    pub fn from_der(der: &[u8]) -> Self {
        Self(sha256(&[der]))
    }

    /// The certificate with this SHA-256 hash of its DER encoding, where the TLS library has made
    /// it.
    pub fn from_thumbprint(thumbprint: [u8; 32]) -> Self {
        Self(thumbprint)
    }

    /// The SHA-256 hash of its DER encoding: `x5t#S256` of
    /// [RFC 8705 section 3.1](https://www.rfc-editor.org/rfc/rfc8705#section-3.1), decoded.
    pub fn thumbprint(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for PeerCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PeerCertificate")
            .field(&URL_SAFE_NO_PAD.encode(self.0))
            .finish()
    }
}
