//! `PrincipalSealer`: values a client keeps, bound to its principal.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use subtle::ConstantTimeEq;

use super::key::{KEY_ID_BYTES, Keyring, MacKey, Owner};
use crate::clock::Clock;
use crate::crypto::sha256;
use crate::error::ConfigError;
use crate::principal::Principal;

const DOMAIN: &[u8] = b"tower-mcp-auth sealed value 2";

/// Id of the key, expiry, code; the value follows.
const HEAD_BYTES: usize = KEY_ID_BYTES + 8 + 32;

/// Seals values that a client keeps for the server: the `requestState` of a
/// [multi round-trip request], a handle to state kept elsewhere.
///
/// Such a value comes back from a client, so it is whatever an attacker makes of it. What this
/// seals can be opened only unchanged, by the same [`Principal`], at the same
/// [resource](Principal::resource), with the same request, until it expires: 5 minutes, unless
/// [`lifetime`](Self::lifetime) says otherwise. Nothing is stored, and every replica with the key
/// can open it.
///
/// The value is *not* encrypted: the client can read it. It can also be presented again until
/// it expires; what must happen only once needs a memory of its own.
///
/// ```
/// use serde_json::json;
/// use tower_mcp_auth::Principal;
/// use tower_mcp_auth::mcp::{MacKey, PrincipalSealer, RequestDigest};
///
/// let sealer = PrincipalSealer::new(MacKey::ephemeral()?);
/// let alice = Principal::builder("oauth").subject("alice").build();
/// let arguments = json!({ "environment": "production" });
/// let request = RequestDigest::new("tools/call", "deploy", arguments.as_object());
///
/// // First round: the tool asks for a confirmation, and remembers what it asked for.
/// let state = sealer.seal(&alice, &request, b"asked")?;
///
/// // Second round: the same request, and the state.
/// assert_eq!(sealer.open(&alice, &request, &state)?, b"asked");
///
/// // It is of no use to another principal, nor with another request.
/// let mallory = Principal::builder("oauth").subject("mallory").build();
/// assert!(sealer.open(&mallory, &request, &state).is_err());
/// let other = RequestDigest::new("tools/call", "destroy", arguments.as_object());
/// assert!(sealer.open(&alice, &other, &state).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// [multi round-trip request]: https://modelcontextprotocol.io/specification/2026-07-28/basic/patterns/mrtr
#[derive(Clone, Debug)]
#[must_use]
pub struct PrincipalSealer {
    inner: Arc<Inner>,
}

#[derive(Clone, Debug)]
struct Inner {
    keys: Keyring,
    purpose: Box<str>,
    lifetime: Duration,
    max_bytes: usize,
    clock: Clock,
}

impl PrincipalSealer {
    /// Seals with this key: values of up to 32 KiB, for 5 minutes.
    pub fn new(key: MacKey) -> Self {
        Self {
            inner: Arc::new(Inner {
                keys: Keyring::new(key),
                purpose: Box::default(),
                lifetime: Duration::from_secs(300),
                max_bytes: 32 << 10,
                clock: Clock::system(),
            }),
        }
    }

    /// Opens what was sealed with a second key, which itself seals nothing: see
    /// [how to change the key](crate::mcp::session#changing-the-key).
    ///
    /// # Errors
    /// It is the same key, or there is a second one already.
    pub fn also_accept(mut self, key: MacKey) -> Result<Self, ConfigError> {
        Arc::make_mut(&mut self.inner).keys.also_accept(key)?;
        Ok(self)
    }

    /// Names what the values are for: those of one purpose cannot be opened for another.
    /// Default: no name.
    pub fn purpose(mut self, purpose: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.inner).purpose = purpose.into().into();
        self
    }

    /// How long a value can be opened; default 5 minutes. Whole seconds count.
    ///
    /// # Errors
    /// It is less than a second.
    pub fn lifetime(mut self, lifetime: Duration) -> Result<Self, ConfigError> {
        if lifetime.as_secs() == 0 {
            return Err(ConfigError::new(
                "lifetime",
                "no value could be opened; give a second or more",
            ));
        }
        Arc::make_mut(&mut self.inner).lifetime = lifetime;
        Ok(self)
    }

    /// How large a value may be; default 32 KiB. Sealed it is a third larger.
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        Arc::make_mut(&mut self.inner).max_bytes = bytes;
        self
    }

    /// Replaces the clock; for tests.
    pub fn clock(mut self, clock: Clock) -> Self {
        Arc::make_mut(&mut self.inner).clock = clock;
        self
    }

    /// Seals `value`, for `principal` and this request alone. The text is base64url.
    ///
    /// # Errors
    /// The value is larger than [`max_bytes`](Self::max_bytes).
    pub fn seal(
        &self,
        principal: &Principal,
        request: &RequestDigest,
        value: &[u8],
    ) -> Result<String, SealError> {
        let Inner {
            keys,
            lifetime,
            max_bytes,
            clock,
            ..
        } = &*self.inner;
        if value.len() > *max_bytes {
            return Err(SealError("too_large"));
        }
        let key = keys.making();
        let expires = clock.now().saturating_add(*lifetime).as_secs();
        let expires = expires.to_be_bytes();
        let code = self.code(key, principal, request, &expires, value);
        let mut sealed = Vec::with_capacity(HEAD_BYTES + value.len());
        sealed.extend_from_slice(&key.id());
        sealed.extend_from_slice(&expires);
        sealed.extend_from_slice(&code);
        sealed.extend_from_slice(value);
        Ok(URL_SAFE_NO_PAD.encode(sealed))
    }

    /// The value in `sealed`.
    ///
    /// # Errors
    /// It is not sealed, by a live key, for this principal at this resource, this request and
    /// purpose; or it has expired. Answer all of them alike: which it was helps an attacker alone.
    pub fn open(
        &self,
        principal: &Principal,
        request: &RequestDigest,
        sealed: &str,
    ) -> Result<Vec<u8>, SealError> {
        let largest = base64::encoded_len(HEAD_BYTES.saturating_add(self.inner.max_bytes), false);
        if largest.is_some_and(|largest| sealed.len() > largest) {
            return Err(SealError("too_large"));
        }
        let mut bytes = URL_SAFE_NO_PAD
            .decode(sealed)
            .map_err(|_| SealError("malformed"))?;
        if bytes.len() < HEAD_BYTES {
            return Err(SealError("malformed"));
        }
        let value = bytes.split_off(HEAD_BYTES);
        let (key_id, rest) = bytes.split_at(KEY_ID_BYTES);
        let (expires, code) = rest.split_at(8);
        let key = self.inner.keys.find(key_id);
        let key = key.ok_or(SealError("not_genuine"))?;
        let expected = self.code(key, principal, request, expires, &value);
        if !bool::from(expected.ct_eq(code)) {
            return Err(SealError("not_genuine"));
        }
        // It is ours, so it can be believed.
        let expires = u64::from_be_bytes(expires.try_into().unwrap_or_default());
        if self.inner.clock.now() >= Duration::from_secs(expires) {
            return Err(SealError("expired"));
        }
        Ok(value)
    }

    fn code(
        &self,
        key: &MacKey,
        principal: &Principal,
        request: &RequestDigest,
        expires: &[u8],
        value: &[u8],
    ) -> [u8; 32] {
        let owner = Owner::of(Some(principal), principal.resource());
        let [kind, id, resource] = owner.parts();
        key.mac([
            DOMAIN,
            self.inner.purpose.as_bytes(),
            kind,
            id,
            resource,
            &request.0,
            expires,
            value,
        ])
    }
}

/// Why a value could not be sealed or opened.
///
/// Its `Display` says no more than that; [`reason`](Self::reason) is for logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealError(&'static str);

impl SealError {
    /// A stable code: `too_large`, `malformed`, `not_genuine` or `expired`.
    pub fn reason(&self) -> &'static str {
        self.0
    }
}

impl fmt::Display for SealError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the state is not valid")
    }
}

impl Error for SealError {}

/// The request a sealed value goes with: its method, its target and its arguments.
///
/// A client repeats a request with `inputResponses` and `requestState` beside the arguments,
/// so these take no part. The order of members makes no difference; everything else does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestDigest([u8; 32]);

impl RequestDigest {
    /// The digest of a request: `tools/call`, the name of the tool and its `arguments`, say.
    /// No arguments and empty ones are two.
    pub fn new(method: &str, target: &str, arguments: Option<&Map<String, Value>>) -> Self {
        let mut text = Vec::new();
        put_text(&mut text, method);
        put_text(&mut text, target);
        if let Some(arguments) = arguments {
            put_members(&mut text, arguments);
        }
        Self(sha256(&[b"tower-mcp-auth request\0", &text]))
    }

    /// For values that go with whatever request their principal makes: state handles.
    pub fn unbound() -> Self {
        Self(sha256(&[b"tower-mcp-auth any request\0"]))
    }
}

fn put_length(text: &mut Vec<u8>, length: usize) {
    text.extend_from_slice(&(length as u64).to_be_bytes());
}

fn put_text(text: &mut Vec<u8>, value: &str) {
    put_length(text, value.len());
    text.extend_from_slice(value.as_bytes());
}

/// Every value begins with its kind and says how long it is, so no two have one text.
fn put_value(text: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => text.push(b'n'),
        Value::Bool(true) => text.push(b't'),
        Value::Bool(false) => text.push(b'f'),
        Value::Number(number) => {
            text.push(b'#');
            put_text(text, &number.to_string());
        }
        Value::String(string) => {
            text.push(b'"');
            put_text(text, string);
        }
        Value::Array(items) => {
            text.push(b'[');
            put_length(text, items.len());
            items.iter().for_each(|item| put_value(text, item));
        }
        Value::Object(members) => put_members(text, members),
    }
}

fn put_members(text: &mut Vec<u8>, members: &Map<String, Value>) {
    // A feature of serde_json decides their order, and any crate can turn it on.
    let mut sorted: Vec<_> = members.iter().collect();
    sorted.sort_unstable_by_key(|(name, _)| *name);
    text.push(b'{');
    put_length(text, sorted.len());
    for (name, value) in sorted {
        put_text(text, name);
        put_value(text, value);
    }
}
