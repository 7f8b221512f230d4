//! One decision, as events, metrics and hooks see it.

use std::fmt;
use std::hash::{Hash, Hasher};

use http::Method;

use super::step_up::StepUpId;
use crate::credential::RequestHead;
use crate::error::AuthError;
use crate::principal::{Principal, PrincipalId};
use crate::util::{TRACED_CHARS, quoted};

/// What was decided about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// The request goes on, with a principal where the layer looked for one.
    Accepted,
    /// The auth layer let it through without a principal, as it needs none.
    Anonymous,
    /// It was answered with a refusal.
    Refused,
    /// It goes on, and would have been refused, did the layer not
    /// [only report](crate::AuthLayer::dangerously_report_only).
    Reported,
}

impl Outcome {
    /// As in events and metrics: `accepted`, `anonymous`, `refused`, `reported`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Anonymous => "anonymous",
            Self::Refused => "refused",
            Self::Reported => "reported",
        }
    }
}

/// Who decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Auth {
        provider: &'static str,
    },
    Scopes,
    McpScopes,
    Session,
    Quota,
    Origin,
    FailedAttempts,
    #[cfg(feature = "oauth")]
    BackchannelLogout,
    Handler,
}

impl Stage {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Auth { .. } => "auth",
            Self::Scopes => "scopes",
            Self::McpScopes => "mcp_scopes",
            Self::Session => "session",
            Self::Quota => "quota",
            Self::Origin => "origin",
            Self::FailedAttempts => "failed_attempts",
            #[cfg(feature = "oauth")]
            Self::BackchannelLogout => "backchannel_logout",
            Self::Handler => "handler",
        }
    }
}

/// What a request asks for, as far as the layer that judges it knows.
#[derive(Clone, Copy, Debug)]
pub(crate) enum RecordedOperation<'a> {
    Http,
    Mcp {
        method: &'a str,
        target: Option<&'a str>,
        /// Whether the target may be shown.
        is_name: bool,
        /// How many messages the body has; the first is the one here.
        messages: usize,
    },
    /// In a handler: the scope it needs.
    Scope(&'a str),
}

impl fmt::Display for RecordedOperation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Http => Ok(()),
            Self::Mcp {
                method,
                target,
                is_name,
                messages,
            } => {
                let plain = |c: char| c.is_ascii_alphanumeric() || "/_-".contains(c);
                if method.len() <= TRACED_CHARS && method.chars().all(plain) {
                    f.write_str(method)?;
                } else {
                    f.write_str(&quoted(method))?;
                }
                if let Some(target) = target.filter(|_| is_name) {
                    write!(f, " {}", quoted(target))?;
                }
                match messages {
                    0 | 1 => Ok(()),
                    _ => write!(f, " and {} more", messages - 1),
                }
            }
            Self::Scope(scope) => f.write_str(&quoted(scope)),
        }
    }
}

/// One decision, as [`on_decision`](crate::AuthLayer::on_decision) tells it.
///
/// ```
/// use tower_mcp_auth::telemetry::Outcome;
/// use tower_mcp_auth::ApiKeyLayer;
///
/// let (sender, receiver) = std::sync::mpsc::sync_channel(1024);
/// let layer = ApiKeyLayer::new(["b25lLXJhbmRvbS1rZXktMTIzNA"])?.on_decision(move |decision| {
///     if decision.outcome() == Outcome::Refused {
///         let reason = decision.error().map(|error| error.reason());
///         let _ = sender.try_send((decision.layer(), reason));
///     }
/// });
/// # let _ = (layer, receiver);
/// # Ok::<(), tower_mcp_auth::ConfigError>(())
/// ```
///
/// `Debug` prints what is traced.
#[derive(Clone, Copy)]
pub struct DecisionRecord<'a> {
    pub(super) stage: Stage,
    pub(super) outcome: Outcome,
    pub(super) principal: Option<&'a Principal>,
    pub(super) error: Option<&'a AuthError>,
    pub(super) head: Option<RequestHead<'a>>,
    pub(super) operation: RecordedOperation<'a>,
    pub(super) step_up: Option<StepUpId>,
    pub(super) by: usize,
}

impl<'a> DecisionRecord<'a> {
    /// What was decided.
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// What decided: `auth`, `scopes`, `mcp_scopes`, `session`, `quota`, `origin`,
    /// `failed_attempts`, `backchannel_logout`, or `handler`.
    pub fn layer(&self) -> &'static str {
        self.stage.as_str()
    }

    /// The provider that was asked, or that made the principal; `none` where neither is known.
    pub fn provider(&self) -> &'a str {
        match (self.stage, self.principal) {
            (Stage::Auth { provider }, _) => provider,
            (_, Some(principal)) => principal.provider(),
            (_, None) => "none",
        }
    }

    /// The principal: of an accepted request, and of one that a layer further in refused. To
    /// layers further in also the owner of a credential that was only reported to have
    /// expired.
    pub fn principal(&self) -> Option<&'a Principal> {
        self.principal
    }

    /// Who it is about, where that is known: also where the auth layer itself refused a good
    /// credential for its scopes.
    pub fn principal_id(&self) -> Option<&'a PrincipalId> {
        let of_error = || self.error.and_then(AuthError::principal_id);
        self.principal.map(Principal::id).or_else(of_error)
    }

    /// Why it was refused, or would have been.
    pub fn error(&self) -> Option<&'a AuthError> {
        self.error
    }

    /// The method of HTTP; `None` where a handler called [`Principal::require`].
    pub fn method(&self) -> Option<&'a Method> {
        self.head.map(|head| head.method())
    }

    /// The path, as the layer sees it, which the client chose freely, without the query; `None`
    /// where a handler called [`Principal::require`].
    pub fn path(&self) -> Option<&'a str> {
        self.head.map(|head| head.uri().path())
    }

    /// The operation of MCP, or the scope a handler asked for, escaped and cut.
    pub fn operation(&self) -> Option<String> {
        match self.operation {
            RecordedOperation::Http => None,
            operation => Some(operation.to_string()),
        }
    }

    /// What ties a refusal for scopes to the acceptance that follows: see
    /// [the module docs](super#step-up).
    pub fn step_up(&self) -> Option<StepUpId> {
        self.step_up
    }

    /// What a later decision on the same is known again by.
    pub(super) fn step_up_key(&self) -> Option<StepUpKey<'a>> {
        Some(StepUpKey {
            stage: self.stage.as_str(),
            by: self.by,
            principal: self.principal_id()?,
            head: self.head,
            operation: self.operation,
        })
    }
}

impl fmt::Debug for DecisionRecord<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DecisionRecord")
            .field("outcome", &self.outcome.as_str())
            .field("layer", &self.layer())
            .field("provider", &self.provider())
            .field("principal", &self.principal_id())
            .field("error", &self.error)
            .field("step_up", &self.step_up)
            .finish_non_exhaustive()
    }
}

pub(super) struct StepUpKey<'a> {
    stage: &'static str,
    by: usize,
    pub(super) principal: &'a PrincipalId,
    head: Option<RequestHead<'a>>,
    operation: RecordedOperation<'a>,
}

impl Hash for StepUpKey<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.stage, self.by).hash(state);
        self.principal.hash(state);
        match self.operation {
            RecordedOperation::Http => self
                .head
                .map(|head| (head.method(), head.uri().path()))
                .hash(state),
            RecordedOperation::Mcp {
                method,
                target,
                messages,
                ..
            } => (method, target, messages).hash(state),
            RecordedOperation::Scope(scope) => scope.hash(state),
        }
    }
}
