//! `ForwardedCertificates`: the certificate of a client, where its TLS ends at a proxy.

use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue};

use super::certificate_format::CertificateFormat;
use super::network::Networks;
use super::{PeerAddr, PeerCertificate};
use crate::credential::{RequestHead, check_header_name};
use crate::error::{AuthError, ConfigError, Reason};
use crate::principal::Thumbprint;

/// The headers of the formats.
const CLIENT_CERT: &str = "client-cert";
const XFCC: &str = "x-forwarded-client-cert";
const ESCAPED_PEM: &str = "x-ssl-client-cert";
const BASE64_DER: &str = "x-ssl-client-der";

/// Headers that never hold a certificate, and that others read.
const TAKEN: [&str; 5] = [
    "dpop",
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
];

/// The headers in which proxies hand on certificates, or hashes of them. They are removed from
/// every request wherever certificates are looked at: what is inside must not believe them.
#[cfg(feature = "oauth")]
pub(crate) const CERTIFICATE_HEADERS: [&str; 16] = [
    // RFC 9440.
    CLIENT_CERT,
    "client-cert-chain",
    // Envoy, Istio.
    XFCC,
    // nginx, Apache and HAProxy, by custom.
    ESCAPED_PEM,
    BASE64_DER,
    "ssl-client-cert",
    "x-client-cert",
    // Traefik.
    "x-forwarded-tls-client-cert",
    "x-forwarded-tls-client-cert-info",
    // Load balancers and CloudFront of AWS, App Service of Azure, Cloudflare.
    "x-amzn-mtls-clientcert",
    "x-amzn-mtls-clientcert-leaf",
    "cloudfront-viewer-cert-pem",
    "cloudfront-viewer-cert-sha256",
    "x-arr-clientcert",
    "cf-client-cert-der-base64",
    "cf-client-cert-sha256",
];

/// The proxies that end the TLS of clients, and the header in which they hand on the certificates.
///
/// One header, in one form, from peers in these networks:
///
/// - From such a peer the header alone says which certificate the client has. Without the header,
///   or with an empty one, the client has none. The peer's own TLS certificate is that of the
///   proxy, and never counts.
/// - From any other peer the header is ignored, and its own certificate counts
///   ([`PeerCertificate`]).
/// - A header that comes twice is refused, and so is one that cannot be read in one way.
/// - Where the [address](PeerAddr) of the peer is not known, there is an error: put a
///   [`SetPeerAddrLayer`](super::SetPeerAddrLayer) outside.
///
/// **The proxy must replace the header**, or remove it where the client has no certificate,
/// whatever the client sent; and it must have verified that the client has the key of the
/// certificate, as every TLS server does. `docs/behind-a-proxy.md` has the settings of nginx,
/// HAProxy and Envoy.
///
/// ```
/// use std::net::IpAddr;
///
/// use http::Request;
/// use tower_mcp_auth::RequestHead;
/// use tower_mcp_auth::peer::{CertificateFormat, ForwardedCertificates, PeerAddr};
///
/// let forwarded = ForwardedCertificates::new(CertificateFormat::Xfcc, ["10.0.0.7"])?;
/// let thumbprint = |peer: [u8; 4]| {
///     let request = Request::post("/mcp")
///         .extension(PeerAddr::from(IpAddr::from(peer)))
///         .header("x-forwarded-client-cert", format!("Hash={}", "0a".repeat(32)));
///     forwarded.thumbprint(RequestHead::of(&request.body(()).unwrap()))
/// };
///
/// assert_eq!(thumbprint([10, 0, 0, 7])?, Some([10; 32]));
/// // A client that got past the proxy, and says what the proxy would say.
/// assert_eq!(thumbprint([192, 0, 2, 1])?, None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct ForwardedCertificates {
    format: CertificateFormat,
    header: HeaderName,
    networks: Networks,
}

/// The certificate of the client of a request, as far as it was looked at.
pub(crate) enum ShownCertificate {
    /// What TLS says of the peer.
    Peer(Option<PeerCertificate>),
    /// What a proxy says.
    Header {
        value: Option<HeaderValue>,
        is_repeated: bool,
    },
    /// Nothing says which of the two counts.
    PeerUnknown,
}

impl ShownCertificate {
    /// Of the peer, where no proxy may say another one.
    pub(crate) fn of_peer(head: RequestHead<'_>) -> Self {
        Self::Peer(head.extensions().get().copied())
    }
}

impl ForwardedCertificates {
    /// Reads certificates in this form from the proxies in these networks.
    ///
    /// A network is written as `10.0.0.0/8`, `fd00::/8` or a single address. IPv4 mapped into IPv6
    /// (`::ffff:10.0.0.0/104`) is the IPv4 network.
    ///
    /// # Errors
    /// There is no network, one cannot be read, has bits beyond its prefix, or is every address.
    pub fn new<N>(format: CertificateFormat, networks: N) -> Result<Self, ConfigError>
    where
        N: IntoIterator,
        N::Item: AsRef<str>,
    {
        Ok(Self {
            format,
            header: HeaderName::from_static(match format {
                CertificateFormat::ClientCert => CLIENT_CERT,
                CertificateFormat::EscapedPem => ESCAPED_PEM,
                CertificateFormat::Base64Der => BASE64_DER,
                CertificateFormat::Xfcc => XFCC,
            }),
            networks: Networks::parse(networks, "list the addresses of your proxies")?,
        })
    }

    /// Names another header than [the format's own](CertificateFormat).
    ///
    /// # Errors
    /// The name is none, or has a meaning of its own; or the format has one header and no other:
    /// `Client-Cert`, `X-Forwarded-Client-Cert`.
    pub fn header_name(mut self, name: impl AsRef<str>) -> Result<Self, ConfigError> {
        let name = name.as_ref();
        let header = check_header_name(name)?;
        let refuse = |why: String| Err(ConfigError::new("header_name", why));
        if header == AUTHORIZATION {
            return refuse(
                "`Authorization` has the token: name the header of the certificate".into(),
            );
        }
        if TAKEN.contains(&header.as_str()) {
            return refuse(format!(
                "{name:?} has a meaning of its own: name the header of the certificate"
            ));
        }
        if matches!(
            self.format,
            CertificateFormat::ClientCert | CertificateFormat::Xfcc
        ) && header != self.header
        {
            return refuse(format!(
                "{name:?} is not the header of this `format`, which is `{}`: leave `header_name` \
                 out, or choose another `format`",
                self.header
            ));
        }
        self.header = header;
        Ok(self)
    }

    /// The thumbprint of the client's certificate: that of the peer, or the one that a proxy hands
    /// on. `None`: the client has none.
    ///
    /// # Errors
    /// The header counts, and cannot be read or came twice: 401. The address of the peer is not
    /// known: 503.
    pub fn thumbprint(&self, head: RequestHead<'_>) -> Result<Option<[u8; 32]>, AuthError> {
        self.read(&self.shown(head))
    }

    /// What is needed of a request to know its certificate: what a header says is read later,
    /// because few tokens are bound.
    pub(crate) fn shown(&self, head: RequestHead<'_>) -> ShownCertificate {
        let Some(peer) = PeerAddr::of(head) else {
            return ShownCertificate::PeerUnknown;
        };
        if !self.networks.contain(peer) {
            return ShownCertificate::of_peer(head);
        }
        let mut values = head.headers().get_all(&self.header).iter();
        ShownCertificate::Header {
            value: values.next().cloned(),
            is_repeated: values.next().is_some(),
        }
    }

    pub(crate) fn read(&self, shown: &ShownCertificate) -> Result<Option<Thumbprint>, AuthError> {
        match shown {
            ShownCertificate::Peer(certificate) => {
                Ok(certificate.as_ref().map(|own| *own.thumbprint()))
            }
            ShownCertificate::PeerUnknown => Err(peer_unknown()),
            ShownCertificate::Header {
                is_repeated: true, ..
            } => {
                let detail = format!("more than one `{}` header", self.header);
                Err(AuthError::new(Reason::DUPLICATE_CERTIFICATE).with_detail(detail))
            }
            ShownCertificate::Header { value, .. } => {
                let value = value.as_ref().map_or(&[][..], HeaderValue::as_bytes);
                self.format.read(value).map_err(|why| {
                    let detail = format!("a proxy sent a bad `{}`: {why}", self.header);
                    AuthError::new(Reason::MALFORMED_CERTIFICATE).with_detail(detail)
                })
            }
        }
    }

    /// The header that is read.
    #[cfg(feature = "oauth")]
    pub(crate) fn header(&self) -> &HeaderName {
        &self.header
    }
}

#[cold]
fn peer_unknown() -> AuthError {
    let retry_after = std::time::Duration::from_secs(1);
    AuthError::unavailable(Reason::PEER_UNKNOWN, retry_after).with_detail(
        "the address of the peer is not known, so that nothing says whether the header with the \
         certificate of the client counts: set it further out (`SetPeerAddrLayer`)",
    )
}
