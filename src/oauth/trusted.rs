//! One authorization server, ready to check tokens.

use std::sync::Arc;

use super::keys::KeyStore;
use crate::jose::TokenProfile;

/// What tokens of one issuer must be, and the keys they are checked with.
pub(super) struct TrustedServer {
    pub(super) profile: TokenProfile,
    pub(super) keys: Arc<KeyStore>,
}
