//! Attacks: their names, what they are, and what refuses them.

use std::fmt;

use super::kit::Kit;
use super::shot::Shot;
use super::{algorithms, anonymous, api_keys, bound, claims, excess, kinds, placement, policy};
use super::{routes, sessions, signatures, syntax};

/// One attack of the kit. All of them are in [`attacks`].
pub struct Attack {
    pub(super) name: &'static str,
    pub(super) class: Class,
    pub(super) description: &'static str,
    pub(super) source: &'static str,
    pub(super) refusal: Refusal,
    pub(super) shots: fn(&Kit<'_>) -> Vec<Shot>,
}

/// What the attacks of one group share.
#[derive(Clone, Copy)]
pub(super) struct Group {
    pub(super) class: Class,
    pub(super) refusal: Refusal,
}

impl Group {
    pub(super) const fn attack(
        self,
        name: &'static str,
        description: &'static str,
        source: &'static str,
        shots: fn(&Kit<'_>) -> Vec<Shot>,
    ) -> Attack {
        Attack {
            name,
            class: self.class,
            description,
            source,
            refusal: self.refusal,
            shots,
        }
    }
}

impl Attack {
    /// Its name, which stays: snake_case.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// What it is aimed at.
    pub fn class(&self) -> Class {
        self.class
    }

    /// What is sent, in one line.
    pub fn description(&self) -> &'static str {
        self.description
    }

    /// The incident, or the section of the specification, that it comes from.
    pub fn source(&self) -> &'static str {
        self.source
    }
}

impl fmt::Debug for Attack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attack")
            .field("name", &self.name)
            .field("class", &self.class)
            .finish_non_exhaustive()
    }
}

/// What an [`Attack`] is aimed at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Class {
    /// Requests without a credential, or with one that is none.
    Anonymous,
    /// Good credentials in places where none may stand.
    Placement,
    /// Paths and methods beside the guarded one.
    Routes,
    /// The algorithm, the key and the signature of a token.
    Signature,
    /// The claims of a token.
    Claims,
    /// Tokens that are no access tokens.
    Kind,
    /// How a token is written.
    Syntax,
    /// Tokens that are bound to a key, and proofs.
    Binding,
    /// API keys that are nearly good.
    ApiKey,
    /// Sessions of MCP.
    Session,
    /// Tools that the good credential may not call.
    Policy,
}

/// What counts as a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// 401 with a challenge (RFC 6750 section 3).
    Challenge,
    /// 400, or 401 with a challenge: `invalid_request` and `invalid_token` are both right.
    Malformed,
    /// As `Malformed`; or the connection is closed before all of it was sent.
    TooLong,
    /// Any answer that is not the handler's: 404, 405 and redirects too.
    Closed,
    /// 403 `insufficient_scope`, or 401 with a challenge.
    Scope,
    /// As `Closed`, or an error of JSON-RPC.
    Tool,
    /// Any answer that the handler did not give: CORS answers preflights with 2xx.
    Unreached,
    /// None: the request is good, and only what becomes of its credential is judged.
    Nothing,
}

/// Every attack there is, whether or not the settings of a [`Hostile`](super::Hostile) allow it.
///
/// ```
/// use tower_mcp_auth::testing::hostile::attacks;
///
/// let none = attacks().find(|attack| attack.name() == "algorithm_none").expect("an attack");
/// assert!(none.source().contains("RFC 8725"));
/// ```
pub fn attacks() -> impl Iterator<Item = &'static Attack> {
    [
        anonymous::ATTACKS,
        routes::ATTACKS,
        placement::ATTACKS,
        algorithms::ATTACKS,
        signatures::ATTACKS,
        claims::ATTACKS,
        kinds::ATTACKS,
        syntax::ATTACKS,
        excess::ATTACKS,
        bound::ATTACKS,
        api_keys::ATTACKS,
        sessions::ATTACKS,
        policy::ATTACKS,
    ]
    .into_iter()
    .flatten()
}
