//! What an error asks of a sign-in (RFC 9470 section 3).

use std::time::Duration;

use super::AuthError;

#[derive(Clone, PartialEq, Eq)]
pub(super) struct AskedSignIn {
    /// With spaces between them; none where any will do.
    acr_values: Box<str>,
    max_age: Option<Duration>,
}

impl AuthError {
    /// Says which values of `acr` suffice, the least demanding first, and how old a sign-in may be.
    pub(crate) fn asking_for(mut self, acr: &[Box<str>], max_age: Option<Duration>) -> Self {
        self.0.sign_in = Some(Box::new(AskedSignIn {
            acr_values: acr.join(" ").into(),
            max_age,
        }));
        self
    }

    /// The values of the claim `acr` that suffice, the least demanding first, where the sign-in was
    /// the reason: `acr_values` of the challenge.
    pub fn acr_values(&self) -> impl Iterator<Item = &str> {
        self.joined_acr_values()
            .unwrap_or_default()
            .split_whitespace()
    }

    /// The same with spaces between them, where there are any.
    pub(crate) fn joined_acr_values(&self) -> Option<&str> {
        let sign_in = self.0.sign_in.as_ref()?;
        Some(&*sign_in.acr_values).filter(|values| !values.is_empty())
    }

    /// How long ago the user may have signed in, where that was the reason: `max_age` of the
    /// challenge, in whole seconds.
    pub fn max_age(&self) -> Option<Duration> {
        self.0.sign_in.as_ref()?.max_age
    }

    /// Whether it asks for anything that another error of its reason may not.
    pub(crate) fn asks_for_more(&self) -> bool {
        !self.scopes().is_empty() || self.0.sign_in.is_some()
    }
}
