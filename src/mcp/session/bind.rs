//! The form of a bound id: the server's own, a dot, and base64url of the seal.
//!
//! A seal is the id of a key (4 bytes), the dialect of the client (1), when the session was opened
//! (8, in milliseconds since 1970) and the code over all of it and the owner (32).

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderValue};
use subtle::ConstantTimeEq;

use super::claims::Claims;
use super::layer::SESSION_ID;
use crate::clock::Clock;
use crate::credential::trim;
use crate::mcp::dialect::Dialect;
use crate::mcp::key::{KEY_ID_BYTES, Keyring, MacKey, Owner};

const DOMAIN: &[u8] = b"tower-mcp-auth session 3";
/// The kind of owner that a session has which can be claimed.
const CLAIMABLE: &[u8] = b"unclaimed";
const INNER_BYTES: usize = 256;
const WHOLE_BYTES: usize = 512;

/// Of the dialect and of the time.
const FACTS_BYTES: usize = 1 + 8;
const CODE_AT: usize = KEY_ID_BYTES + FACTS_BYTES;
const SEAL_BYTES: usize = CODE_AT + 32;
/// A multiple of three encodes without left-over bits: every seal has one spelling.
const SEAL_CHARS: usize = SEAL_BYTES / 3 * 4;
const _: () = assert!(SEAL_BYTES.is_multiple_of(3) && INNER_BYTES + 1 + SEAL_CHARS <= WHOLE_BYTES);

/// The keys, and the server that they bind sessions of.
#[derive(Clone, Debug)]
pub(super) struct Binder {
    pub(super) keys: Keyring,
    pub(super) server: Box<str>,
    pub(super) clock: Clock,
    /// `None`: an anonymous session stays one.
    pub(super) claims: Option<Arc<Claims>>,
}

/// What a seal says of a session besides its owner.
#[derive(Clone, Copy)]
pub(super) struct Facts {
    pub(super) dialect: Dialect,
    /// Since 1970, in whole milliseconds.
    pub(super) opened: Duration,
}

/// A bound id that is good.
pub(super) struct Unbound<'k, 'b> {
    /// The server's id.
    pub(super) inner: &'b [u8],
    /// What it was bound with.
    pub(super) key: &'k MacKey,
    pub(super) facts: Facts,
    /// Whether it is of anonymous callers. It is of this caller otherwise.
    pub(super) is_anonymous: bool,
}

impl Binder {
    /// `None` where the server's id is not one that could be given back.
    pub(super) fn bind(&self, owner: Owner<'_>, inner: &[u8], facts: Facts) -> Option<HeaderValue> {
        if !is_session_id(inner) {
            return None;
        }
        let key = self.keys.making();
        let facts = facts.to_bytes();
        let mut seal = [0; SEAL_BYTES];
        seal[..KEY_ID_BYTES].copy_from_slice(&key.id());
        seal[KEY_ID_BYTES..CODE_AT].copy_from_slice(&facts);
        seal[CODE_AT..].copy_from_slice(&self.code(key, owner, inner, &facts));
        let mut bound = Vec::with_capacity(inner.len() + 1 + SEAL_CHARS);
        bound.extend_from_slice(inner);
        bound.push(b'.');
        bound.extend_from_slice(URL_SAFE_NO_PAD.encode(seal).as_bytes());
        HeaderValue::from_maybe_shared(bytes::Bytes::from(bound)).ok()
    }

    /// What the bound id says, or why it is not good. The reason is for traces alone.
    pub(super) fn unbind<'b>(
        &self,
        owner: Owner<'_>,
        bound: &'b [u8],
    ) -> Result<Unbound<'_, 'b>, &'static str> {
        if bound.len() > WHOLE_BYTES {
            return Err("the id is too long");
        }
        let (inner, seal) = split(bound).ok_or("the id is not a bound one")?;
        let (key_id, rest) = seal.split_at(KEY_ID_BYTES);
        let (facts, code) = rest.split_at(FACTS_BYTES);
        let said = Facts::from_bytes(facts).ok_or("the id is not a bound one")?;
        let key = self.keys.find(key_id).ok_or("the key is not a live one")?;
        let is_of = |owner| {
            let expected = self.code(key, owner, inner, facts);
            bool::from(expected.ct_eq(code))
        };
        // A principal can be served in an anonymous session only where it can be claimed.
        let is_anonymous = if is_of(owner) {
            owner.is_anonymous()
        } else if self.claims.is_some() && !owner.is_anonymous() && is_of(owner.anonymous()) {
            true
        } else {
            return Err("the id is forged, of another principal, or of another resource");
        };
        Ok(Unbound {
            inner,
            key,
            facts: said,
            is_anonymous,
        })
    }

    fn code(&self, key: &MacKey, owner: Owner<'_>, inner: &[u8], facts: &[u8]) -> [u8; 32] {
        let [kind, id, resource] = owner.parts();
        // A layer that knows no claims would let anonymous callers into a session that is claimed.
        let kind = match owner.is_anonymous() && self.claims.is_some() {
            true => CLAIMABLE,
            false => kind,
        };
        let server = self.server.as_bytes();
        key.mac([DOMAIN, server, kind, id, resource, inner, facts])
    }
}

impl Facts {
    fn to_bytes(self) -> [u8; FACTS_BYTES] {
        let dialect = match self.dialect {
            Dialect::Http => 0,
            Dialect::Result => 1,
        };
        let opened = u64::try_from(self.opened.as_millis()).unwrap_or(u64::MAX);
        let mut bytes = [dialect; FACTS_BYTES];
        bytes[1..].copy_from_slice(&opened.to_be_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (dialect, opened) = bytes.split_first()?;
        let dialect = match dialect {
            0 => Dialect::Http,
            1 => Dialect::Result,
            _ => return None,
        };
        let opened = Duration::from_millis(u64::from_be_bytes(opened.try_into().ok()?));
        Some(Self { dialect, opened })
    }
}

/// Whether an id that was presented is the server's `inner`, with a seal or, where that was only
/// reported, without.
pub(super) fn is_of(presented: &HeaderValue, inner: &HeaderValue) -> bool {
    let (presented, inner) = (presented.as_bytes(), inner.as_bytes());
    let after = presented.strip_prefix(inner);
    after.is_some_and(|after| after.is_empty() || after.len() == 1 + SEAL_CHARS)
}

/// The id that a request presents, whatever it is.
pub(super) fn presented(headers: &HeaderMap) -> Option<HeaderValue> {
    let id = headers.get(SESSION_ID)?;
    let mut id = HeaderValue::from_bytes(trim(id.as_bytes())).ok()?;
    id.set_sensitive(true);
    Some(id)
}

/// Opens a session id without checking its principal, where a mismatch is only reported:
/// the server knows the id without it.
///
/// Of several ids it leaves the one that [`presented`] gives: a server that reads another one would
/// name that, and it would be bound to this caller.
pub(super) fn unseal(headers: &mut HeaderMap) {
    let Some(presented) = presented(headers) else {
        return;
    };
    let inner = split(presented.as_bytes());
    let inner = inner.and_then(|(inner, _)| HeaderValue::from_bytes(inner).ok());
    let mut inner = inner.unwrap_or(presented);
    inner.set_sensitive(true);
    headers.insert(SESSION_ID, inner);
}

/// The server's id, and the seal after it, genuine or not.
fn split(bound: &[u8]) -> Option<(&[u8], [u8; SEAL_BYTES])> {
    let at = bound.len().checked_sub(SEAL_CHARS + 1)?;
    let (inner, [b'.', seal @ ..]) = bound.split_at(at) else {
        return None;
    };
    let mut bytes = [0; SEAL_BYTES];
    let is_whole = URL_SAFE_NO_PAD.decode_slice(seal, &mut bytes) == Ok(SEAL_BYTES);
    (is_whole && is_session_id(inner)).then_some((inner, bytes))
}

/// Visible ASCII, as MCP 2025-11-25 (Transports, "Session Management") has it.
fn is_session_id(id: &[u8]) -> bool {
    (1..=INNER_BYTES).contains(&id.len()) && id.iter().all(u8::is_ascii_graphic)
}
