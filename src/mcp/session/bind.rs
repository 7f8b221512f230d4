//! The form of a bound id: the server's own, a dot, and base64url of key id and code.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderValue};
use subtle::ConstantTimeEq;

use super::layer::SESSION_ID;
use crate::credential::trim;
use crate::mcp::key::{KEY_ID_BYTES, Keyring, MacKey, Owner};

const DOMAIN: &[u8] = b"tower-mcp-auth session 2";
const INNER_BYTES: usize = 256;
const WHOLE_BYTES: usize = 512;

const SEAL_BYTES: usize = KEY_ID_BYTES + 32;
/// A multiple of three encodes without left-over bits: every seal has one spelling.
const SEAL_CHARS: usize = SEAL_BYTES / 3 * 4;
const _: () = assert!(SEAL_BYTES.is_multiple_of(3) && INNER_BYTES + 1 + SEAL_CHARS <= WHOLE_BYTES);

/// The keys, and the server whose sessions they bind.
#[derive(Clone, Debug)]
pub(super) struct Binder {
    pub(super) keys: Keyring,
    pub(super) server: Box<str>,
}

impl Binder {
    /// `None` where the server's id is not one that could be given back.
    pub(super) fn bind(&self, owner: Owner<'_>, inner: &[u8]) -> Option<HeaderValue> {
        if !is_session_id(inner) {
            return None;
        }
        let key = self.keys.making();
        let mut seal = [0; SEAL_BYTES];
        seal[..KEY_ID_BYTES].copy_from_slice(&key.id());
        seal[KEY_ID_BYTES..].copy_from_slice(&self.code(key, owner, inner));
        let mut bound = Vec::with_capacity(inner.len() + 1 + SEAL_CHARS);
        bound.extend_from_slice(inner);
        bound.push(b'.');
        bound.extend_from_slice(URL_SAFE_NO_PAD.encode(seal).as_bytes());
        HeaderValue::from_maybe_shared(bytes::Bytes::from(bound)).ok()
    }

    /// The server's id, or why the bound one is not good. The reason is for traces alone.
    pub(super) fn unbind<'a>(
        &self,
        owner: Owner<'_>,
        bound: &'a [u8],
    ) -> Result<&'a [u8], &'static str> {
        if bound.len() > WHOLE_BYTES {
            return Err("the id is too long");
        }
        let split = bound.len().checked_sub(SEAL_CHARS + 1);
        let (inner, seal) = split
            .map(|at| bound.split_at(at))
            .ok_or("the id is not a bound one")?;
        let mut bytes = [0; SEAL_BYTES];
        let [b'.', seal @ ..] = seal else {
            return Err("the id is not a bound one");
        };
        if URL_SAFE_NO_PAD.decode_slice(seal, &mut bytes) != Ok(SEAL_BYTES) || !is_session_id(inner)
        {
            return Err("the id is not a bound one");
        }
        let (key_id, code) = bytes.split_at(KEY_ID_BYTES);
        let key = self.keys.find(key_id).ok_or("the key is not a live one")?;
        let expected = self.code(key, owner, inner);
        if !bool::from(expected.ct_eq(code)) {
            return Err("the id is forged, of another principal, or of another resource");
        }
        Ok(inner)
    }

    fn code(&self, key: &MacKey, owner: Owner<'_>, inner: &[u8]) -> [u8; 32] {
        let [kind, id, resource] = owner.parts();
        key.mac([DOMAIN, self.server.as_bytes(), kind, id, resource, inner])
    }
}

/// Opens a session id without checking its principal, where a mismatch is only reported:
/// the server knows the id without it.
pub(super) fn unseal(headers: &mut HeaderMap) {
    let Some(bound) = headers.get(SESSION_ID) else {
        return;
    };
    let bound = trim(bound.as_bytes());
    let Some((inner, [b'.', seal @ ..])) = bound
        .len()
        .checked_sub(SEAL_CHARS + 1)
        .map(|at| bound.split_at(at))
    else {
        return;
    };
    let mut bytes = [0; SEAL_BYTES];
    if URL_SAFE_NO_PAD.decode_slice(seal, &mut bytes) != Ok(SEAL_BYTES) || !is_session_id(inner) {
        return;
    }
    if let Ok(mut inner) = HeaderValue::from_bytes(inner) {
        inner.set_sensitive(true);
        headers.insert(SESSION_ID, inner);
    }
}

/// Visible ASCII, as MCP 2025-11-25 (Transports, "Session Management") has it.
fn is_session_id(id: &[u8]) -> bool {
    (1..=INNER_BYTES).contains(&id.len()) && id.iter().all(u8::is_ascii_graphic)
}
