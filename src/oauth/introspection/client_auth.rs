//! How this server proves to an authorization server who it is (RFC 7662 section 2.1).

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use url::form_urlencoded::{Serializer, byte_serialize};

use crate::error::ConfigError;
use crate::jose::SigningKey;

/// How the introspection endpoint learns who asks.
#[derive(Clone)]
pub(super) enum ClientAuth {
    /// `client_secret_basic`.
    Basic {
        client: Box<str>,
        header: HeaderValue,
    },
    /// `client_secret_post`.
    Post {
        client: Box<str>,
        secret: SecretString,
    },
    PrivateKeyJwt {
        client: Box<str>,
        key: SigningKey,
        /// Instead of the issuer.
        audience: Option<Box<str>>,
    },
    Bearer(HeaderValue),
    /// Nothing is proven; `anywhere`: not only on loopback.
    Nothing {
        anywhere: bool,
    },
}

/// How long a client assertion is good: it is used at once.
const ASSERTION_LIFE: Duration = Duration::from_secs(60);

impl ClientAuth {
    pub(super) fn basic(client: Box<str>, secret: &str) -> Result<Self, ConfigError> {
        filled("client_secret_basic", &client, secret)?;
        // RFC 6749 section 2.3.1: both are form-encoded first, so that a colon in the id
        // does not end it.
        let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
        let pair = format!("{}:{}", encoded(&client), encoded(secret));
        let header = secret_header("client_secret_basic", "Basic", &STANDARD.encode(pair))?;
        Ok(Self::Basic { client, header })
    }

    pub(super) fn post(client: Box<str>, secret: String) -> Result<Self, ConfigError> {
        filled("client_secret_post", &client, &secret)?;
        Ok(Self::Post {
            client,
            secret: secret.into(),
        })
    }

    pub(super) fn private_key_jwt(client: Box<str>, key: SigningKey) -> Result<Self, ConfigError> {
        filled("private_key_jwt", &client, "a key")?;
        Ok(Self::PrivateKeyJwt {
            client,
            key,
            audience: None,
        })
    }

    /// Sets whom assertions are for, where that is not the issuer.
    pub(super) fn assert_for(&mut self, other: Option<Box<str>>) {
        if let Self::PrivateKeyJwt { audience, .. } = self {
            *audience = other;
        }
    }

    pub(super) fn bearer(token: &str) -> Result<Self, ConfigError> {
        filled("bearer_token", "a client", token)?;
        secret_header("bearer_token", "Bearer", token).map(Self::Bearer)
    }

    /// The setter it was made by.
    pub(super) fn setting(&self) -> &'static str {
        match self {
            Self::Basic { .. } => "client_secret_basic",
            Self::Post { .. } => "client_secret_post",
            Self::PrivateKeyJwt { .. } => "private_key_jwt",
            Self::Bearer(_) => "bearer_token",
            Self::Nothing { anywhere: false } => "unauthenticated_on_loopback",
            Self::Nothing { anywhere: true } => "dangerously_unauthenticated",
        }
    }

    /// The id this server is known by, where it has one.
    pub(super) fn client(&self) -> Option<&str> {
        match self {
            Self::Basic { client, .. }
            | Self::Post { client, .. }
            | Self::PrivateKeyJwt { client, .. } => Some(client),
            Self::Bearer(_) | Self::Nothing { .. } => None,
        }
    }

    /// The value of `Authorization`, where the proof is there.
    pub(super) fn header(&self) -> Option<&HeaderValue> {
        match self {
            Self::Basic { header, .. } | Self::Bearer(header) => Some(header),
            Self::Post { .. } | Self::PrivateKeyJwt { .. } | Self::Nothing { .. } => None,
        }
    }

    /// Adds the proof to the form, where it belongs there. `Err`: the key did not sign.
    pub(super) fn add_to(
        &self,
        form: &mut Serializer<'_, String>,
        issuer: &str,
        now: Duration,
    ) -> Result<(), &'static str> {
        match self {
            Self::Basic { .. } | Self::Bearer(_) | Self::Nothing { .. } => {}
            Self::Post { client, secret } => {
                form.append_pair("client_id", client);
                form.append_pair("client_secret", secret.expose_secret());
            }
            Self::PrivateKeyJwt {
                client,
                key,
                audience,
            } => {
                // RFC 7523 section 3. The issuer is the one audience all servers accept and
                // no other server can be made to: an endpoint may come from a document.
                let claims = json!({
                    "iss": client,
                    "sub": client,
                    "aud": audience.as_deref().unwrap_or(issuer),
                    "iat": now.as_secs(),
                    "exp": (now + ASSERTION_LIFE).as_secs(),
                    "jti": unique(),
                });
                let assertion = key
                    .sign(&claims)
                    .ok_or("the client assertion was not signed")?;
                form.append_pair("client_id", client);
                form.append_pair(
                    "client_assertion_type",
                    "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
                );
                form.append_pair("client_assertion", &assertion);
            }
        }
        Ok(())
    }
}

// By hand: no secret is printed.
impl fmt::Debug for ClientAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientAuth")
            .field("method", &self.setting())
            .field("client", &self.client())
            .finish_non_exhaustive()
    }
}

fn filled(setting: &'static str, client: &str, secret: &str) -> Result<(), ConfigError> {
    let empty = if client.is_empty() {
        "the client id"
    } else if secret.is_empty() {
        "the secret"
    } else {
        return Ok(());
    };
    Err(ConfigError::new(
        setting,
        format!("{empty} is empty; is a variable of the environment not set?"),
    ))
}

fn secret_header(
    setting: &'static str,
    scheme: &str,
    value: &str,
) -> Result<HeaderValue, ConfigError> {
    let refuse = || ConfigError::new(setting, "the value has characters no header may have");
    if !value.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(refuse());
    }
    let mut header = HeaderValue::try_from(format!("{scheme} {value}")).map_err(|_| refuse())?;
    header.set_sensitive(true);
    Ok(header)
}

/// A name that is never given twice, which is all `jti` asks for: 64 bits that tell this
/// process from others, and a number.
fn unique() -> String {
    static PROCESS: std::sync::LazyLock<(u64, u64)> = std::sync::LazyLock::new(|| {
        let random = |number: u8| RandomState::new().hash_one(number);
        (random(0), random(1))
    });
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let (one, two) = *PROCESS;
    format!(
        "{one:016x}{two:016x}{:x}",
        NUMBER.fetch_add(1, Ordering::Relaxed)
    )
}
