//! How the user of a principal signed in, as the claims of the credential say.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Deserialize;
use serde_json::Value;

use super::{Identity, Principal, readable};

/// The longest `acr` and the longest element of `amr` that are kept, in bytes. It is kept beside
/// the claims, and no name of a method or a class is longer.
const MAX_BYTES: usize = 256;
/// The most elements of `amr`.
const MAX_METHODS: usize = 32;

/// Kept with the identity, because claims are read anew for each request.
#[derive(Debug, Default)]
pub(super) struct Login {
    acr: Option<Box<str>>,
    amr: Box<[Box<str>]>,
    auth_time: Option<Duration>,
    /// Whether a claim says that the token is a client's own.
    of_client: bool,
}

/// Values of any type: one of a wrong type proves nothing, and is no reason to refuse a token of
/// which it is not asked.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Claims {
    acr: Value,
    amr: Value,
    auth_time: Value,
    idtyp: Value,
    gty: Value,
    preferred_username: Value,
}

impl Login {
    fn of(identity: &Identity) -> Self {
        let raw = identity.raw_claims().unwrap_or("{}");
        let claims = readable(raw).and_then(serde_json::from_str);
        let claims: Claims = claims.unwrap_or_default();
        let service_account = |client: &str| {
            let name = claims.preferred_username.as_str();
            name.and_then(|name| name.strip_prefix("service-account-"))
                .is_some_and(|name| name.eq_ignore_ascii_case(client))
        };
        Self {
            acr: claims.acr.as_str().and_then(kept),
            amr: methods(&claims.amr).unwrap_or_default(),
            auth_time: claims.auth_time.as_f64().and_then(since_epoch),
            // Entra ID, Auth0 and Keycloak give such a token a subject of its own.
            of_client: claims.idtyp == "app"
                || claims.gty == "client-credentials"
                || identity.client_id().is_some_and(service_account),
        }
    }
}

fn since_epoch(seconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds).ok()
}

fn kept(text: &str) -> Option<Box<str>> {
    (1..=MAX_BYTES).contains(&text.len()).then(|| text.into())
}

/// An array of strings (RFC 8176 section 1), or the one string that some servers write for it.
fn methods(amr: &Value) -> Option<Box<[Box<str>]>> {
    match amr {
        Value::String(one) => Some([kept(one)?].into()),
        Value::Array(all) if all.len() <= MAX_METHODS => {
            all.iter().map(|one| kept(one.as_str()?)).collect()
        }
        _ => None,
    }
}

impl Principal {
    fn login(&self) -> &Login {
        let identity = self.identity();
        let read = || Box::new(Login::of(identity));
        identity.login.get_or_init(read)
    }

    /// The class of the authentication that the user went through: the claim `acr` of a JWT
    /// ([RFC 9068 section 2.2.1]) or of an introspection response ([RFC 9470 section 6.2]).
    ///
    /// `None` where there is none, where it is no string, and where it has more than 256 bytes.
    /// [`Strength`](crate::scopes::Strength) asks for values of it.
    ///
    /// ```
    /// use serde_json::{Map, json};
    /// use tower_mcp_auth::Principal;
    ///
    /// let claims = json!({ "acr": "phr", "amr": ["hwk"], "auth_time": 1_800_000_000 });
    /// let alice = Principal::builder("badge").subject("alice");
    /// let alice = alice.claims(claims.as_object().unwrap()).build();
    /// assert_eq!(alice.acr(), Some("phr"));
    /// assert!(alice.amr().eq(["hwk"]));
    /// assert!(alice.auth_time().is_some());
    /// ```
    ///
    /// [RFC 9068 section 2.2.1]: https://www.rfc-editor.org/rfc/rfc9068#section-2.2.1
    /// [RFC 9470 section 6.2]: https://www.rfc-editor.org/rfc/rfc9470#section-6.2
    pub fn acr(&self) -> Option<&str> {
        self.login().acr.as_deref()
    }

    /// The methods of that authentication: the claim `amr`
    /// ([RFC 8176](https://www.rfc-editor.org/rfc/rfc8176#section-1)), an array of strings or one
    /// string.
    ///
    /// Empty where there is none, where it is of another type, and where it has more than 32
    /// elements or one of more than 256 bytes.
    pub fn amr(&self) -> impl Iterator<Item = &str> {
        self.login().amr.iter().map(|method| &**method)
    }

    /// When the user last signed in: the claim `auth_time`. It is not when the token was issued,
    /// which a refresh makes later.
    ///
    /// `None` where there is none, and where it is no time.
    pub fn auth_time(&self) -> Option<SystemTime> {
        let at = self.login().auth_time?;
        UNIX_EPOCH.checked_add(at)
    }

    pub(crate) fn auth_time_since_epoch(&self) -> Option<Duration> {
        self.login().auth_time
    }

    /// Whether it stands for a user, who can sign in once more. An API key does not, nor does a
    /// token that a client or a workload got for itself.
    pub(crate) fn has_user(&self) -> bool {
        let identity = self.identity();
        let Some(subject) = identity.subject().or(identity.username()) else {
            return false;
        };
        let is_client = |client: &str| {
            // RFC 9068 section 2.2; Auth0 adds the suffix.
            subject == client || subject.strip_suffix("@clients") == Some(client)
        };
        let is_workload = ["spiffe://", "system:serviceaccount:"]
            .iter()
            .any(|start| subject.starts_with(start));
        identity.provider() != "api_key"
            && !identity.client_id().is_some_and(is_client)
            && !is_workload
            && !self.login().of_client
    }
}
