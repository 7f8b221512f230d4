//! A token as it was presented.

use crate::credential::Credential;
use crate::error::AuthError;

/// The bytes of a token, and whether its characters are still to be checked.
///
/// A token that is remembered was checked when it was new, and is the same to the byte; and
/// one whose three parts are base64url has no other characters. So the check, which runs over
/// all of it, is left to those that are neither.
#[derive(Clone, Copy)]
pub(super) struct Presented<'t> {
    pub(super) bytes: &'t [u8],
    credential: Option<&'t Credential<'t>>,
}

impl<'t> Presented<'t> {
    pub(super) fn unchecked(credential: &'t Credential<'t>) -> Self {
        Self {
            bytes: credential.as_bytes(),
            credential: Some(credential),
        }
    }

    pub(super) fn checked(bytes: &'t [u8]) -> Self {
        let credential = None;
        Self { bytes, credential }
    }

    /// Comes before anything else that is made of a token than a look into memory.
    pub(super) fn check(&self) -> Result<(), AuthError> {
        self.credential.map_or(Ok(()), Credential::check)
    }

    /// What it is refused for: its characters, if these are no good, and else this.
    pub(super) fn refused(&self, error: AuthError) -> AuthError {
        self.check().err().unwrap_or(error)
    }
}
