//! The setting that says which items lists show.

use serde::Deserialize;

use crate::mcp::policy::{Reach, Sight};
use crate::principal::Principal;
use crate::refusal::Caller;

/// Which items a list shows of those that are not denied to every caller.
///
/// A client that builds its tools from a list can call, and be asked for the scopes of, only what
/// it is shown. What takes a stronger or more recent sign-in is shown to every user who has the
/// scopes, and to no caller who is no user. As a serde value it is `"by_caller"`, `"reachable"` or
/// `"granted"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Show {
    /// [`Reachable`](Self::Reachable) for access tokens of an
    /// [`OAuthLayer`](crate::OAuthLayer), for requests without a credential that one let
    /// through, and on streams that are open to every caller
    /// ([`SseEndpoints`](crate::auth::SseEndpoints)), because their reader is not known;
    /// [`Granted`](Self::Granted) for callers that cannot get more scopes: API keys, a
    /// [`JwtLayer`](crate::JwtLayer), providers of your own.
    #[default]
    ByCaller,
    /// What some scope opens, whether the caller has it or not. A call of what was not granted
    /// is the 403 that asks for it.
    Reachable,
    /// What the caller may use now. On a stream that is open to every caller that is nothing but
    /// what anonymous callers may.
    Granted,
}

impl Show {
    /// What this caller is shown.
    pub(super) fn to(self, caller: Caller<'_>) -> Sight {
        let reach = match self {
            Self::Reachable => Reach::Reachable,
            Self::ByCaller if can_grow(caller) => Reach::Reachable,
            Self::ByCaller | Self::Granted => Reach::Granted(caller.granted().cloned()),
        };
        let has_user = caller.known().is_none_or(Principal::has_user);
        Sight { reach, has_user }
    }
}

/// Whether the caller can have more scopes than are known of: an authorization server gives them, or
/// the answers on a stream are to requests of others.
fn can_grow(caller: Caller<'_>) -> bool {
    match caller.known() {
        Some(principal) => principal.provider() == "oauth",
        None => caller.is_exempt || caller.context.learnable().is_some(),
    }
}
