//! Report-only mode: which refusals are let pass, and where they are recorded.

use http::Extensions;

use crate::error::reason;
use crate::error::{AuthError, ConfigError};

/// What would have been refused, in the extensions of the *response*, where a layer only
/// [reports](crate::AuthLayer::dangerously_report_only).
///
/// ```
/// use http::Response;
/// use tower_mcp_auth::Reported;
///
/// fn count<B>(response: &Response<B>) {
///     for error in response.extensions().get::<Reported>().into_iter().flat_map(Reported::errors) {
///         println!("would be refused: {}", error.reason());
///     }
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Reported(Vec<AuthError>);

impl Reported {
    /// The errors, the one of the outermost layer first. There is at least one.
    pub fn errors(&self) -> &[AuthError] {
        &self.0
    }

    /// Tells of an error in a response. Layers further in have told of theirs already.
    pub(crate) fn tell(extensions: &mut Extensions, error: AuthError) {
        match extensions.get_mut::<Self>() {
            Some(told) => told.0.insert(0, error),
            None => drop(extensions.insert(Self(vec![error]))),
        }
    }
}

/// The refusals a layer does not carry out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ReportOnly {
    All,
    Only(Vec<Box<str>>),
}

impl ReportOnly {
    pub(crate) fn only<I>(reasons: I, own: &[&'static str]) -> Result<Self, ConfigError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let refuse = |message: String| Err(ConfigError::new(Self::ONLY, message));
        let mut list: Vec<Box<str>> = Vec::new();
        for reason in reasons {
            let reason = reason.as_ref();
            if reason == TOKEN_IN_QUERY {
                return refuse(format!(
                    "{reason:?} is always refused, because the credential cannot be taken out \
                     of the URL; leave it out of the list"
                ));
            }
            if reason::standing(reason).is_none() && !own.contains(&reason) {
                return refuse(format!(
                    "{reason:?} is no reason a layer can only report; look for the right one in \
                     `AuthError::reason` of refusals"
                ));
            }
            list.push(reason.into());
        }
        if list.is_empty() {
            return refuse("there is no reason to report; name one".to_owned());
        }
        // In whatever order they are named, they say the same.
        list.sort_unstable();
        list.dedup();
        Ok(Self::Only(list))
    }

    pub(crate) const ONLY: &'static str = "dangerously_report_only_for";

    /// Whether a request is let pass that is to be refused for this.
    pub(crate) fn lets_pass(&self, reason: &str) -> bool {
        // What stands in a URL cannot be kept from the service behind.
        reason != TOKEN_IN_QUERY
            && match self {
                Self::All => true,
                Self::Only(reasons) => reasons.iter().any(|own| **own == *reason),
            }
    }
}

const TOKEN_IN_QUERY: &str = "token_in_query";
