//! How long a token and its parts may be.
//!
//! Lengths are judged before anything is hashed or decoded.

use std::ops::RangeInclusive;

use crate::error::{AuthError, ConfigError, Reason};

/// The longest token and the longest JOSE header, in bytes; of the header, those of its JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TokenLimits {
    pub(crate) token: usize,
    pub(crate) header: usize,
}

impl TokenLimits {
    pub(crate) const DEFAULT: Self = Self {
        token: 16 * 1024,
        header: 4 * 1024,
    };

    /// What the setting of the token can be: below, tokens of real life do not fit; above, one
    /// token costs more than its request may.
    const TOKENS: RangeInclusive<usize> = 1024..=64 * 1024;
    const HEADERS: RangeInclusive<usize> = 256..=16 * 1024;

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        for (setting, bytes, range) in [
            ("max_token_bytes", self.token, Self::TOKENS),
            ("max_header_bytes", self.header, Self::HEADERS),
        ] {
            if !range.contains(&bytes) {
                let (least, most) = (range.start(), range.end());
                return Err(ConfigError::new(
                    setting,
                    format!("{bytes} bytes are not between {least} and {most}"),
                ));
            }
        }
        if self.header >= self.token {
            return Err(ConfigError::new(
                "max_header_bytes",
                format!(
                    "a header of {} bytes does not fit into a token of {} (`max_token_bytes`): \
                     lower one or raise the other",
                    self.header, self.token
                ),
            ));
        }
        Ok(())
    }

    pub(crate) fn check_token(&self, token: &[u8]) -> Result<(), AuthError> {
        if token.len() <= self.token {
            return Ok(());
        }
        Err(AuthError::new(Reason::TOKEN_TOO_LARGE).with_detail(format!(
            "{} bytes, at most {}",
            token.len(),
            self.token
        )))
    }

    /// `header` is base64url.
    pub(super) fn check_header(&self, header: &[u8]) -> Result<(), AuthError> {
        if self.fits_header(header) {
            return Ok(());
        }
        Err(
            AuthError::new(Reason::HEADER_TOO_LARGE).with_detail(format!(
                "the JOSE header has more than {} bytes",
                self.header
            )),
        )
    }

    pub(super) fn fits_header(&self, header: &[u8]) -> bool {
        // Without padding: four characters rounded up would let two more bytes through.
        header.len() <= (self.header * 4).div_ceil(3)
    }
}

impl Default for TokenLimits {
    fn default() -> Self {
        Self::DEFAULT
    }
}
