//! `PrincipalId`: a principal as one comparable value.

use std::fmt::{self, Write as _};
use std::sync::Arc;

use super::Identity;
use crate::crypto::sha256;
use crate::util::is_deceptive;

/// The identity of a [`Principal`](super::Principal): provider, issuer, subject and client; where there is no
/// subject the username, and where there is neither a digest of the credential.
///
/// Two principals have equal ids if, and only if, all of these are equal. The text is
/// unambiguous (separators inside a part are percent-encoded) and stable across
/// processes, so it can key a rate limit or be bound to a session. Control characters, line
/// and paragraph separators, and characters that change the direction of a text or cannot be
/// seen are percent-encoded as well, so it cannot forge a line of a log.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PrincipalId(Arc<str>);

impl PrincipalId {
    pub(super) fn of(identity: &Identity) -> Self {
        let mut text = String::new();
        push_escaped(&mut text, &identity.provider);
        let parts = [
            ("iss", identity.issuer.as_deref()),
            ("sub", identity.subject()),
            // A username names a principal only where no subject does.
            (
                "username",
                match identity.subject {
                    Some(_) => None,
                    None => identity.username(),
                },
            ),
            ("client", identity.client_id()),
        ];
        for (name, value) in parts {
            if let Some(value) = value {
                text.push('|');
                text.push_str(name);
                text.push('=');
                push_escaped(&mut text, value);
            }
        }
        let is_unnamed = identity.subject.is_none() && identity.username.is_none();
        if let Some(CredentialDigest(digest)) = identity.credential_digest.filter(|_| is_unnamed) {
            text.push_str("|credential=");
            for byte in digest {
                let _ = write!(text, "{byte:02x}");
            }
        }
        Self(text.into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PrincipalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for PrincipalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

/// What tells holders without a name apart. A digest of its own, cut in half: an id is
/// logged, and must not be the digest a key is stored under.
#[derive(Clone, Copy)]
pub(crate) struct CredentialDigest([u8; 16]);

impl CredentialDigest {
    pub(crate) fn of(credential: &[u8]) -> Self {
        let digest = sha256(&[b"tower-mcp-auth principal\0", credential]);
        let mut half = [0; 16];
        half.copy_from_slice(&digest[..16]);
        Self(half)
    }
}

fn push_escaped(text: &mut String, part: &str) {
    for character in part.chars() {
        if is_deceptive(character) || matches!(character, '|' | '%') {
            let mut buffer = [0; 4];
            for byte in character.encode_utf8(&mut buffer).bytes() {
                let _ = write!(text, "%{byte:02X}");
            }
        } else {
            text.push(character);
        }
    }
}
