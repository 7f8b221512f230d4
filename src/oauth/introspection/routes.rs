//! Which authorization server a token without an issuer belongs to.
//!
//! It is shown to that one and to no other.

use std::sync::Arc;

use super::store::Introspector;
use crate::error::{AuthError, ConfigError, Reason};

/// The servers that take opaque tokens.
#[derive(Debug, Default)]
pub(in crate::oauth) struct OpaqueRoutes {
    prefixed: Vec<(Box<str>, Opaque)>,
    /// Takes those that begin with none of the prefixes.
    other: Option<Opaque>,
}

/// A server that takes opaque tokens, and its number.
#[derive(Clone, Debug)]
struct Opaque {
    number: usize,
    server: Arc<Introspector>,
}

impl OpaqueRoutes {
    /// Adds a server.
    pub(in crate::oauth) fn add(
        &mut self,
        number: usize,
        server: &Arc<Introspector>,
    ) -> Result<(), ConfigError> {
        let Some(prefixes) = server.opaque_prefixes() else {
            return Ok(());
        };
        if prefixes.is_empty() {
            if let Some(earlier) = &self.other {
                return Err(ConfigError::new(
                    "token_prefix",
                    format!(
                        "{:?} and {:?} both take opaque tokens of any form, and a token must not \
                         be shown to a server it is not from: set `token_prefix` on one of them",
                        earlier.server.issuer, server.issuer
                    ),
                ));
            }
            self.other = Some(Opaque {
                number,
                server: Arc::clone(server),
            });
        }
        for prefix in prefixes {
            let overlaps = |other: &str| other.starts_with(&**prefix) || prefix.starts_with(other);
            if let Some((other, _)) = self.prefixed.iter().find(|(other, _)| overlaps(other)) {
                return Err(ConfigError::new(
                    "token_prefix",
                    format!("a token may begin with both {other:?} and {prefix:?}"),
                ));
            }
            let opaque = Opaque {
                number,
                server: Arc::clone(server),
            };
            self.prefixed.push((prefix.clone(), opaque));
        }
        Ok(())
    }

    /// Whether no server takes any.
    pub(in crate::oauth) fn is_empty(&self) -> bool {
        self.prefixed.is_empty() && self.other.is_none()
    }

    /// What opaque tokens begin with, where that tells their server.
    pub(in crate::oauth) fn prefixes(&self) -> impl Iterator<Item = &str> {
        self.prefixed.iter().map(|(prefix, _)| &**prefix)
    }

    /// Whether a server takes those that begin with none of the prefixes.
    pub(in crate::oauth) fn takes_others(&self) -> bool {
        self.other.is_some()
    }

    /// The server to ask about `token`; refused, where it can be no token of any. `trusts`: by its
    /// number, whether the server is trusted for the resource of the request.
    pub(in crate::oauth) fn server(
        &self,
        token: &[u8],
        trusts: impl Fn(usize) -> bool,
    ) -> Result<&Arc<Introspector>, AuthError> {
        let prefixed = self
            .prefixed
            .iter()
            .find(|(prefix, _)| token.starts_with(prefix.as_bytes()))
            .map(|(_, server)| server);
        let Opaque { number, server } = prefixed.or(self.other.as_ref()).ok_or_else(|| {
            AuthError::new(Reason::UNKNOWN_TOKEN)
                .with_detail("no JWT, and it begins like the tokens of no authorization server")
        })?;
        if !trusts(*number) {
            return Err(AuthError::new(Reason::UNKNOWN_TOKEN).with_detail(format!(
                "no JWT; it would be a token of {:?}, which is not trusted for this resource",
                server.issuer
            )));
        }
        if !server.may_be_own(token) {
            return Err(AuthError::new(Reason::UNKNOWN_TOKEN).with_detail(format!(
                "no JWT, and {} bytes are no length of the tokens of {:?}",
                token.len(),
                server.issuer
            )));
        }
        Ok(server)
    }
}
