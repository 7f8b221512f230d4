//! Who may introspect at an issuer.

use std::fmt;

use crate::jose::PublicKey;

/// How a resource server proves to the introspection endpoint of an [`Issuer`](super::Issuer)
/// who it is ([RFC 7662 section 2.1](https://www.rfc-editor.org/rfc/rfc7662#section-2.1)).
///
/// [`IssuerBuilder::introspection_auth`](super::IssuerBuilder::introspection_auth) takes any
/// number of them. A request that proves itself in a way that was not configured is refused,
/// and so is one that does it in two ways at once. `Debug` prints no secret.
#[derive(Clone)]
pub struct IntrospectionAuth(pub(super) Method);

#[derive(Clone)]
pub(super) enum Method {
    Basic,
    Post,
    PrivateKeyJwt { client_id: String, key: PublicKey },
    Bearer(String),
    Nothing,
}

impl IntrospectionAuth {
    /// `client_secret_basic`: id and secret of a
    /// [client](super::IssuerBuilder::client), each form-encoded, in a Basic header
    /// ([RFC 6749 section 2.3.1](https://www.rfc-editor.org/rfc/rfc6749#section-2.3.1)).
    pub fn client_secret_basic() -> Self {
        Self(Method::Basic)
    }

    /// `client_secret_post`: id and secret of a [client](super::IssuerBuilder::client) as
    /// `client_id` and `client_secret` in the form.
    pub fn client_secret_post() -> Self {
        Self(Method::Post)
    }

    /// `private_key_jwt`: an assertion of the client that `key` verifies
    /// ([RFC 7523 section 3](https://www.rfc-editor.org/rfc/rfc7523#section-3)).
    ///
    /// `iss` and `sub` must be `client_id`, `aud` (or one of several) the issuer identifier
    /// or the URL of the introspection endpoint, `exp` at most an hour ahead, and a `jti` is
    /// good for one request.
    pub fn private_key_jwt(client_id: impl Into<String>, key: PublicKey) -> Self {
        let client_id = client_id.into();
        Self(Method::PrivateKeyJwt { client_id, key })
    }

    /// An access token of the resource server's own, in a Bearer header. It is exactly this
    /// one: nothing is read from it, and it does not expire.
    pub fn bearer(token: impl Into<String>) -> Self {
        Self(Method::Bearer(token.into()))
    }

    /// No authentication at all.
    pub fn none() -> Self {
        Self(Method::Nothing)
    }

    /// The name in the metadata: a method of the token endpoint, or an access token type
    /// (RFC 8414 section 2).
    pub(super) fn name(&self) -> &'static str {
        match self.0 {
            Method::Basic => "client_secret_basic",
            Method::Post => "client_secret_post",
            Method::PrivateKeyJwt { .. } => "private_key_jwt",
            Method::Bearer(_) => "Bearer",
            Method::Nothing => "none",
        }
    }
}

impl fmt::Debug for IntrospectionAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut tuple = f.debug_tuple("IntrospectionAuth");
        tuple.field(&self.name());
        if let Method::PrivateKeyJwt { client_id, .. } = &self.0 {
            tuple.field(client_id);
        }
        tuple.finish()
    }
}

/// What the introspection endpoint is told when the issuer starts.
#[derive(Clone, Debug)]
pub(super) struct Introspection {
    pub(super) auth: Vec<IntrospectionAuth>,
    /// `aud` of signed answers; `None`: answers are plain JSON.
    pub(super) signed_for: Option<String>,
}

impl Default for Introspection {
    fn default() -> Self {
        Self {
            auth: vec![
                IntrospectionAuth::client_secret_basic(),
                IntrospectionAuth::client_secret_post(),
            ],
            signed_for: None,
        }
    }
}

impl Introspection {
    pub(super) fn check(&self) -> Result<(), &'static str> {
        if self.auth.is_empty() {
            return Err("introspection_auth: empty, so no client could ask; none() admits all");
        }
        let is_empty = |auth: &IntrospectionAuth| match &auth.0 {
            Method::Bearer(token) => token.is_empty(),
            Method::PrivateKeyJwt { client_id, .. } => client_id.is_empty(),
            Method::Basic | Method::Post | Method::Nothing => false,
        };
        if self.auth.iter().any(is_empty) {
            return Err("introspection_auth: a client id or a token is empty");
        }
        Ok(())
    }

    /// The names in the metadata, each once.
    pub(super) fn names(&self) -> Vec<&'static str> {
        let mut names: Vec<_> = self.auth.iter().map(IntrospectionAuth::name).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}
