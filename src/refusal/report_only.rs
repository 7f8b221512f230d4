//! Report-only mode: which refusals are let pass, and where they are recorded.

use http::Extensions;

use crate::error::{AuthError, ConfigError, Reason};
use crate::util::distance;

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
    pub(crate) fn add(extensions: &mut Extensions, error: AuthError) {
        match extensions.get_mut::<Self>() {
            Some(reported) => reported.0.insert(0, error),
            None => drop(extensions.insert(Self(vec![error]))),
        }
    }
}

/// The refusals a layer does not carry out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ReportOnly {
    All,
    Only(Vec<Reason>),
}

impl ReportOnly {
    /// For the codes of these reasons, of this crate or `own` ones of the providers.
    pub(crate) fn only<I>(codes: I, own: &[Reason]) -> Result<Self, ConfigError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let refuse = |message: String| Err(ConfigError::new(Self::ONLY, message));
        let mut list: Vec<Reason> = Vec::new();
        for code in codes {
            let code = code.as_ref();
            let own = own.iter().copied().filter(|own| own.code() == code);
            let before = list.len();
            list.extend(own.chain(Reason::find(code)));
            if list.len() == before {
                return refuse(unknown(code));
            }
            if list[before..]
                .iter()
                .any(|reason| !reason.may_be_reported())
            {
                return refuse(format!(
                    "{code:?} is always refused: such a request cannot go on, or another layer \
                     refuses it; leave it out of the list"
                ));
            }
        }
        if list.is_empty() {
            return refuse("there is no reason to report; name one".to_owned());
        }
        // In whatever order they are named, they say the same.
        list.sort_unstable_by_key(|reason| reason.code());
        list.dedup();
        Ok(Self::Only(list))
    }

    pub(crate) const ONLY: &'static str = "dangerously_report_only_for";

    /// Whether a request is let pass that is to be refused for this.
    pub(crate) fn lets_pass(&self, reason: Reason) -> bool {
        reason.may_be_reported()
            && match self {
                Self::All => true,
                Self::Only(reasons) => reasons.contains(&reason),
            }
    }
}

fn unknown(code: &str) -> String {
    let closest = Reason::ALL
        .iter()
        .map(|reason| (distance(code, reason.code()), reason))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, reason)| *distance <= reason.code().len() / 4);
    let hint = match closest {
        Some((_, reason)) => format!(", did you mean \"{reason}\"?"),
        None => ";".to_owned(),
    };
    format!("{code:?} is no reason code{hint} docs/reason-codes.md lists all")
}
