//! Tokens that are bound to a key: what `cnf` (RFC 7800) has to say.

use super::claims::Confirmation;
use crate::error::{AuthError, Reason};
use crate::jose::base64url;
use crate::principal::Thumbprint;

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

impl DpopMode {
    /// Judges what a token says of its key, whoever presents it. `whole`: what is not there is
    /// not said elsewhere.
    pub(crate) fn check(
        self,
        confirmation: Option<&Confirmation<'_>>,
        whole: bool,
    ) -> Result<(), AuthError> {
        let refuse = |detail: &'static str| {
            let error = AuthError::new(Reason::BOUND_TOKEN);
            Err(error.with_detail(detail))
        };
        let Some(confirmation) = confirmation else {
            return match self {
                Self::Required if whole => Err(AuthError::new(Reason::UNBOUND_TOKEN).with_detail(
                    "the token has no cnf with jkt, and `dpop` of its authorization server is \
                     required: the client must ask for its token with a DPoP proof",
                )),
                _ => Ok(()),
            };
        };
        // RFC 8705 section 3: what binds it further is not checked here. Both must hold.
        if confirmation.x5t_s256.is_some() {
            return refuse(
                "the token is bound to a certificate (cnf with x5t#S256), and certificates are not \
                 checked",
            );
        }
        if confirmation.jkt.is_none() {
            return refuse("the token has a cnf without a member that is known");
        }
        // RFC 9449 section 7.2: a bound token without its proof is a stolen one, as far as can be
        // seen.
        if self == Self::Off {
            return refuse(
                "the token is bound to a key (cnf with jkt), and `dpop` of its authorization server \
                 is off",
            );
        }
        if confirmation.key().is_none() {
            return refuse("jkt of cnf is no SHA-256 thumbprint in base64url");
        }
        Ok(())
    }
}

impl Confirmation<'_> {
    /// The key of RFC 9449 section 6.1, by its thumbprint.
    pub(crate) fn key(&self) -> Option<Thumbprint> {
        let mut thumbprint = Thumbprint::default();
        let jkt = self.jkt.as_deref()?.as_bytes();
        let length = base64url::decode(jkt, &mut thumbprint)?.len();
        (length == thumbprint.len()).then_some(thumbprint)
    }
}
