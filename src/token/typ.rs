//! Values of the header `typ` that are accepted besides those of RFC 9068.

use super::kinds;
use crate::error::ConfigError;
use crate::jose::Typ;

/// What other makers call their access tokens: `JWS`, `JOSE`, or even the kind of the key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct AcceptedTypes(Box<[Box<str>]>);

/// Types of other kinds of JWTs. Those that [`kinds`] knows by their first part are not here.
const OTHERS: [&str; 28] = [
    // RFC 9449, RFC 9101, RFC 8225.
    "dpop+jwt",
    "oauth-authz-req+jwt",
    "passport",
    // RFC 7519 section 5.1: an encrypted one.
    "jwe",
    // Transaction tokens, identity assertions, attested clients, WIMSE.
    "txntoken+jwt",
    "oauth-id-jag+jwt",
    "authorization-grant+jwt",
    "oauth-client-attestation+jwt",
    "oauth-client-attestation-pop+jwt",
    "wit+jwt",
    "wpt+jwt",
    "wimse-id+jwt",
    // Credentials of wallets, and their status.
    "vc+jwt",
    "vp+jwt",
    "kb+jwt",
    "sd-jwt",
    "dc+sd-jwt",
    "vc+sd-jwt",
    "statuslist+jwt",
    "key-attestation+jwt",
    "openid4vci-proof+jwt",
    // OpenID Federation.
    "entity-statement+jwt",
    "trust-mark+jwt",
    "trust-mark-delegation+jwt",
    "trust-mark-status-response+jwt",
    "resolve-response+jwt",
    "explicit-registration-response+jwt",
    "jwk-set+jwt",
];

impl AcceptedTypes {
    pub(crate) const SETTING: &'static str = "accepted_typ";

    pub(crate) fn new<I>(types: I) -> Result<Self, ConfigError>
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        let refuse = |why: String| Err(ConfigError::new(Self::SETTING, why));
        let mut accepted: Vec<Box<str>> = Vec::new();
        for typ in types {
            let typ: String = typ.into();
            let short = Typ::short(&typ);
            if short.is_empty() || short.len() > 127 || !short.bytes().all(is_of_a_type) {
                return refuse(format!(
                    "{typ:?} is no type: 1 to 127 of A-Z a-z 0-9 ! # $ & - ^ _ . + and `/`, each \
                     type an element of its own"
                ));
            }
            let is_known = OTHERS.iter().any(|other| other.eq_ignore_ascii_case(short));
            if is_known || kinds::is_other(short) {
                return refuse(format!(
                    "{typ:?} is the type of another kind of token, which would be accepted as an \
                     access token; leave it out"
                ));
            }
            accepted.push(short.into());
        }
        if accepted.is_empty() {
            return refuse("the list is empty; leave the setting out for its default".to_owned());
        }
        Ok(Self(accepted.into()))
    }

    /// That both are set.
    pub(crate) fn contradicts_at_jwt() -> ConfigError {
        ConfigError::new(
            Self::SETTING,
            "`require_at_jwt` and `accepted_typ` contradict each other: keep one",
        )
    }

    #[cfg(feature = "oauth")]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a token of this type is accepted.
    pub(crate) fn hold(&self, typ: &str) -> bool {
        let short = Typ::short(typ);
        self.0.iter().any(|own| own.eq_ignore_ascii_case(short))
    }
}

/// RFC 6838 section 4.2, with the slash between type and subtype.
fn is_of_a_type(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$&-^_.+/".contains(&byte)
}
