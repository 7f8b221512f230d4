//! Tokens that are bound to a key or a certificate: what `cnf` (RFC 7800) has to say.

use super::claims::Confirmation;
use crate::error::{AuthError, Reason};
use crate::principal::{BoundTo, Thumbprint};
use crate::util::base64url;

/// Whether access tokens of an authorization server may, or must, be bound to a key of their
/// client by DPoP ([RFC 9449](https://www.rfc-editor.org/rfc/rfc9449)).
///
/// See [`AuthorizationServer::dpop`](crate::oauth::AuthorizationServer::dpop).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum DpopMode {
    /// No proof is checked: a token that is bound is refused.
    #[default]
    Off,
    /// A token that is bound needs a proof under the scheme `DPoP`; any other one is a bearer
    /// token.
    Allowed,
    /// Every token must be bound, and needs a proof.
    Required,
}

/// Whether access tokens of an authorization server may, or must, be bound to the TLS certificate
/// of their client ([RFC 8705](https://www.rfc-editor.org/rfc/rfc8705#section-3)).
///
/// See [`AuthorizationServer::mtls`](crate::oauth::AuthorizationServer::mtls).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum MtlsMode {
    /// No certificate is looked at: a token that is bound is refused.
    #[default]
    Off,
    /// A token that is bound needs its certificate; any other one needs none.
    Allowed,
    /// Every token must be bound, and needs its certificate.
    Required,
}

/// How tokens of one authorization server are bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct BindingModes {
    pub(crate) dpop: DpopMode,
    pub(crate) mtls: MtlsMode,
}

impl BindingModes {
    /// Judges what a token says it is bound to, whatever its caller has. `whole`: what is not there
    /// is not said elsewhere.
    pub(crate) fn check(
        self,
        confirmation: Option<&Confirmation<'_>>,
        whole: bool,
    ) -> Result<(), AuthError> {
        let Some(confirmation) = confirmation else {
            return self.check_bound(BoundTo::default(), whole);
        };
        let refuse = |detail: &'static str| {
            let error = AuthError::new(Reason::BOUND_TOKEN);
            Err(error.with_detail(detail))
        };
        let (jkt, x5t) = (&confirmation.jkt, &confirmation.x5t_s256);
        if jkt.is_none() && x5t.is_none() {
            return refuse("the token has a cnf without a member that is known");
        }
        // RFC 9449 section 7.2, RFC 8705 section 3: a bound token without what it is bound to is a
        // stolen one, as far as can be seen. Of two bindings both must hold.
        if x5t.is_some() && self.mtls == MtlsMode::Off {
            return refuse(
                "the token is bound to a certificate (cnf with x5t#S256), and `mtls` of its \
                 authorization server is off",
            );
        }
        if jkt.is_some() && self.dpop == DpopMode::Off {
            return refuse(
                "the token is bound to a key (cnf with jkt), and `dpop` of its authorization server \
                 is off",
            );
        }
        let bound_to = confirmation.bound_to();
        if jkt.is_some() && bound_to.key.is_none() {
            return refuse("jkt of cnf is no SHA-256 thumbprint in base64url");
        }
        if x5t.is_some() && bound_to.certificate.is_none() {
            return refuse("x5t#S256 of cnf is no SHA-256 thumbprint in base64url");
        }
        self.check_bound(bound_to, whole)
    }

    /// Whether a token is bound as it must be.
    fn check_bound(self, bound_to: BoundTo, whole: bool) -> Result<(), AuthError> {
        let refuse = |detail: &'static str| {
            let error = AuthError::new(Reason::UNBOUND_TOKEN);
            Err(error.with_detail(detail))
        };
        if whole && bound_to.key.is_none() && self.dpop == DpopMode::Required {
            return refuse(
                "the token has no cnf with jkt, and `dpop` of its authorization server is \
                 required: the client must ask for its token with a DPoP proof",
            );
        }
        if whole && bound_to.certificate.is_none() && self.mtls == MtlsMode::Required {
            return refuse(
                "the token has no cnf with x5t#S256, and `mtls` of its authorization server is \
                 required: the client must ask for its token over a connection with its \
                 certificate",
            );
        }
        Ok(())
    }
}

impl Confirmation<'_> {
    /// What it names, as far as that can be read.
    pub(crate) fn bound_to(&self) -> BoundTo {
        BoundTo {
            key: self.jkt.as_deref().and_then(thumbprint),
            certificate: self.x5t_s256.as_deref().and_then(thumbprint),
        }
    }
}

fn thumbprint(text: &str) -> Option<Thumbprint> {
    let mut thumbprint = Thumbprint::default();
    let length = base64url::decode(text.as_bytes(), &mut thumbprint)?.len();
    (length == thumbprint.len()).then_some(thumbprint)
}
