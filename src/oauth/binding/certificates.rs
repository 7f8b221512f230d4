//! `Certificates`: whether a request has the certificate of its token (RFC 8705 section 3).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderName;

use crate::credential::RequestHead;
use crate::error::{AuthError, Reason};
use crate::peer::{CERTIFICATE_HEADERS, ForwardedCertificates, ShownCertificate};
use crate::principal::Thumbprint;

/// Finds the certificates of clients.
#[derive(Debug)]
pub(in crate::oauth) struct Certificates {
    /// The proxies that hand them on, where there are such.
    forwarded: Option<ForwardedCertificates>,
}

impl Certificates {
    pub(in crate::oauth) fn new(forwarded: Option<ForwardedCertificates>) -> Self {
        Self { forwarded }
    }

    pub(super) fn shown(&self, head: RequestHead<'_>) -> ShownCertificate {
        match &self.forwarded {
            Some(forwarded) => forwarded.shown(head),
            None => ShownCertificate::of_peer(head),
        }
    }

    /// Whether this is the certificate that the token is bound to.
    pub(super) fn judge(
        &self,
        shown: &ShownCertificate,
        bound_to: &Thumbprint,
    ) -> Result<(), AuthError> {
        let certificate = match (shown, &self.forwarded) {
            (ShownCertificate::Peer(own), _) => own.map(|own| *own.thumbprint()),
            (shown, Some(forwarded)) => forwarded.read(shown)?,
            // What is of a header was read for proxies that are there.
            (_, None) => None,
        };
        let Some(certificate) = certificate else {
            let by_header = matches!(shown, ShownCertificate::Header { .. });
            return Err(
                AuthError::new(Reason::MISSING_CERTIFICATE).with_detail(match by_header {
                    true => {
                        "the token is bound to a certificate (cnf with x5t#S256), and the proxy \
                         handed none on"
                    }
                    false => {
                        "the token is bound to a certificate (cnf with x5t#S256), and no \
                         `PeerCertificate` is in the request: the client showed none, or what \
                         accepts its connection does not hand it on"
                    }
                }),
            );
        };
        match certificate == *bound_to {
            true => Ok(()),
            false => Err(mismatch(bound_to, &certificate)),
        }
    }

    /// What the inner service must not see of any request: a client may have written it.
    pub(in crate::oauth) fn headers(&self) -> impl Iterator<Item = HeaderName> {
        let own = self.forwarded.as_ref().map(ForwardedCertificates::header);
        let own = own.filter(|own| !CERTIFICATE_HEADERS.contains(&own.as_str()));
        let known = CERTIFICATE_HEADERS.into_iter().map(HeaderName::from_static);
        known.chain(own.cloned())
    }
}

#[cold]
fn mismatch(bound_to: &Thumbprint, certificate: &Thumbprint) -> AuthError {
    let [bound_to, certificate] = [bound_to, certificate].map(|it| URL_SAFE_NO_PAD.encode(it));
    AuthError::new(Reason::CERTIFICATE_MISMATCH).with_detail(format!(
        "the token is bound to the certificate with the hash {bound_to}, and that of the client \
         has {certificate}"
    ))
}
