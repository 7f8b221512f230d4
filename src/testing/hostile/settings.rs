//! What the kit is told of a service before it attacks it.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, Method};
use serde_json::{Map, Value};
use url::Url;

use super::super::dpop::DpopKey;
use super::super::issuer::Issuer;
use super::super::token::TokenBuilder;
use super::attack::attacks;
use super::forge::Forge;
use crate::error::ConfigError;

/// The answer to an attack is awaited for so long.
const PATIENCE: Duration = Duration::from_secs(5);

/// A request that every MCP server answers.
const INITIALIZE: &str = concat!(
    r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":"#,
    r#"{"protocolVersion":"2025-11-25","capabilities":{},"#,
    r#""clientInfo":{"name":"hostile","version":"1"}}}"#,
);

/// Attacks on a service, and what it takes to make them: see the [module](super).
///
/// The more it is given, the more it can forge. Without a credential it sends only what needs none.
#[derive(Clone)]
#[must_use]
pub struct Hostile {
    pub(super) resource: Url,
    /// As it was written: the audience.
    pub(super) resource_text: String,
    pub(super) method: Method,
    pub(super) content_type: String,
    pub(super) body: Bytes,
    pub(super) tokens: Option<Tokens>,
    pub(super) api_keys: Vec<(HeaderName, String)>,
    pub(super) dpop: bool,
    /// Made once: a [`Probe`](super::Probe) must know the good token.
    material: Arc<OnceLock<Material>>,
    pub(super) required_scopes: bool,
    pub(super) forbidden_tool: Option<String>,
    pub(super) routes: Vec<String>,
    pub(super) public: Vec<String>,
    pub(super) left_out: Vec<String>,
    pub(super) patience: Duration,
    pub(super) is_mine: bool,
}

/// How good tokens are made.
#[derive(Clone)]
pub(super) enum Tokens {
    Issuer(Box<TokenBuilder>),
    Secret(Vec<u8>, Map<String, Value>),
}

/// What good and forged tokens are made with.
pub(super) struct Material {
    pub(super) forge: Option<Forge>,
    pub(super) proving: Option<DpopKey>,
    /// The good one.
    pub(super) token: Option<String>,
}

impl Hostile {
    /// Attacks on the resource with this URL: the one that its metadata and its tokens name. Its
    /// host and its path are where requests go.
    ///
    /// # Errors
    /// It is no `http` or `https` URL, or it has a fragment.
    pub fn new(resource: impl Into<String>) -> Result<Self, ConfigError> {
        let text = resource.into();
        let refuse = |why: String| ConfigError::new("resource", why);
        let url = Url::parse(&text).map_err(|error| refuse(format!("it is no URL: {error}")))?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() || url.fragment().is_some()
        {
            let why = "it must be an http or https URL without a fragment";
            return Err(refuse(why.to_owned()));
        }
        Ok(Self {
            resource: url,
            resource_text: text,
            method: Method::POST,
            content_type: "application/json".to_owned(),
            body: Bytes::from_static(INITIALIZE.as_bytes()),
            tokens: None,
            api_keys: Vec::new(),
            dpop: false,
            material: Arc::default(),
            required_scopes: false,
            forbidden_tool: None,
            routes: Vec::new(),
            public: Vec::new(),
            left_out: Vec::new(),
            patience: PATIENCE,
            is_mine: false,
        })
    }

    /// The service trusts this issuer. The good token has the resource for its audience, and
    /// nothing beyond what [`TokenBuilder`] gives every token; [`token`](Self::token) takes more.
    pub fn issuer(self, issuer: &Issuer) -> Self {
        let token = issuer.token().audience(&self.resource_text);
        self.token(token)
    }

    /// The service accepts this token: with its audience, its scopes, and what else it asks for.
    ///
    /// It stays as it is in each near miss, but for the one thing that is wrong, and for `iat`, which
    /// is ten minutes earlier: a service may have doubts of a newer token by a key it does not know.
    pub fn token(mut self, good: TokenBuilder) -> Self {
        self.tokens = Some(Tokens::Issuer(Box::new(good)));
        self.material = Arc::default();
        self
    }

    /// The service accepts tokens of HS256 by this secret with these claims.
    ///
    /// # Errors
    /// The claims are no object, or have no `exp` (seconds since 1970, a whole number), from which
    /// the others are reckoned.
    pub fn jwt_secret(
        mut self,
        secret: impl AsRef<[u8]>,
        claims: impl Into<Value>,
    ) -> Result<Self, ConfigError> {
        let claims = match claims.into() {
            Value::Object(claims) if claims.get("exp").is_some_and(Value::is_u64) => claims,
            _ => {
                let why = "the claims must be an object with a whole number as `exp`";
                return Err(ConfigError::new("jwt_secret", why));
            }
        };
        self.tokens = Some(Tokens::Secret(secret.as_ref().to_vec(), claims));
        self.material = Arc::default();
        Ok(self)
    }

    /// The service accepts this API key in the header `X-API-Key`.
    ///
    /// # Errors
    /// As [`api_key_in`](Self::api_key_in).
    pub fn api_key(self, key: impl Into<String>) -> Result<Self, ConfigError> {
        self.api_key_in("x-api-key", key)
    }

    /// The service accepts this API key in this header, in which it stands alone.
    ///
    /// # Errors
    /// The header has no name that a header can have; the key has fewer than eight characters, so
    /// that it would be found everywhere, or one that no header can hold.
    pub fn api_key_in(mut self, header: &str, key: impl Into<String>) -> Result<Self, ConfigError> {
        let key = key.into();
        let name = header.to_ascii_lowercase();
        let Ok(name) = HeaderName::try_from(name) else {
            return Err(ConfigError::new(
                "api_key_in",
                "that is no name of a header",
            ));
        };
        if key.len() < 8 || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            let why = "the key needs eight characters or more, all of them visible ASCII";
            return Err(ConfigError::new("api_key", why));
        }
        self.api_keys.push((name, key));
        Ok(self)
    }

    /// The service checks DPoP proofs (RFC 9449): the good token is bound to a key, every token
    /// comes with a proof, and proofs are attacked too.
    ///
    /// It needs a [`token`](Self::token) of an issuer. A nonce that the service asks for is taken
    /// from its answer to the first request.
    pub fn dpop(mut self) -> Self {
        self.dpop = true;
        self.material = Arc::default();
        self
    }

    /// The service asks for every scope of the good token: one that lacks them is to be refused.
    pub fn requires_scopes(mut self) -> Self {
        self.required_scopes = true;
        self
    }

    /// The good credential may not call this tool (`tools/call`).
    pub fn forbidden_tool(mut self, name: impl Into<String>) -> Self {
        self.forbidden_tool = Some(name.into());
        self
    }

    /// The request that the service answers with 2xx when the credential is good. The default is a
    /// POST of an `initialize` message of MCP 2025-11-25, as JSON.
    pub fn request(
        mut self,
        method: Method,
        content_type: impl Into<String>,
        body: impl Into<Bytes>,
    ) -> Self {
        self.method = method;
        self.content_type = content_type.into();
        self.body = body.into();
        self
    }

    /// Further paths that are to be closed. Each is tried with every method, as are the paths
    /// beside it. The path of the resource is always among them.
    ///
    /// # Errors
    /// A path does not begin with a slash, or is none.
    pub fn routes<I>(mut self, paths: I) -> Result<Self, ConfigError>
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.routes.extend(checked("routes", paths)?);
        Ok(self)
    }

    /// Paths that are open to every caller. They are not asked for a credential, and are what
    /// requests for closed paths are dressed up as.
    ///
    /// # Errors
    /// As [`routes`](Self::routes).
    pub fn public<I>(mut self, paths: I) -> Result<Self, ConfigError>
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.public.extend(checked("public", paths)?);
        Ok(self)
    }

    /// Leaves out attacks by name: those on what the service does on purpose. The report names
    /// them.
    ///
    /// # Errors
    /// There is no attack of that name.
    pub fn without<I>(mut self, names: I) -> Result<Self, ConfigError>
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        for name in names {
            let name = name.into();
            if !attacks().any(|attack| attack.name == name) {
                let why = format!("there is no attack {name:?}; `attacks()` lists them");
                return Err(ConfigError::new("without", why));
            }
            self.left_out.push(name);
        }
        Ok(self)
    }

    /// How long each answer is awaited; default 5 seconds. A service that does not answer in time
    /// has refused nothing.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Lets [`attack_url`](Self::attack_url) attack a server that is not on a loopback address.
    ///
    /// **Only a server of your own**, or one of an operator that asked you to. The good credentials
    /// go there as well; so it must be `https`.
    pub fn i_run_this_server(mut self) -> Self {
        self.is_mine = true;
        self
    }

    pub(super) fn material(&self) -> &Material {
        self.material.get_or_init(|| {
            let mut forge = self.tokens.as_ref().map(|tokens| match tokens {
                Tokens::Issuer(token) => Forge::issuer(TokenBuilder::clone(token)),
                Tokens::Secret(secret, claims) => Forge::secret(secret, claims.clone()),
            });
            let proving = self.dpop.then(DpopKey::generate);
            if let (Some(forge), Some(key)) = (&mut forge, &proving) {
                forge.bind(key.thumbprint());
            }
            Material {
                token: forge.as_ref().map(Forge::good),
                forge,
                proving,
            }
        })
    }
}

fn checked<I>(setting: &'static str, paths: I) -> Result<Vec<String>, ConfigError>
where
    I: IntoIterator,
    I::Item: Into<String>,
{
    let check = |path: String| {
        let is_path = path.starts_with('/') && !path.contains(['?', '#']);
        match is_path && path.parse::<http::Uri>().is_ok() {
            true => Ok(path),
            false => Err(ConfigError::new(
                setting,
                format!("{path:?} is no path: it begins with a slash, and has no query"),
            )),
        }
    };
    paths.into_iter().map(|path| check(path.into())).collect()
}

impl fmt::Debug for Hostile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hostile")
            .field("resource", &self.resource_text)
            .field("routes", &self.routes)
            .field("public", &self.public)
            .finish_non_exhaustive()
    }
}
