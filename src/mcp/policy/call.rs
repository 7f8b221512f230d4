//! One operation as a `check` sees it.

use std::cell::OnceCell;
use std::fmt;

use crate::error::{AuthError, Reason};
use crate::json::JsonValue;
use crate::mcp::operation::{MAX_DEPTH, Message, Target};
use crate::principal::Principal;
use crate::requirement::Requirement;

/// The largest arguments a [`Operation`] reads. A value in memory can be many times its text.
const MAX_ARGUMENTS: usize = 1024 * 1024;

/// One request or notification, as a [`check`](super::McpPolicyBuilder::check) sees it.
pub struct Operation<'a> {
    principal: Option<&'a Principal>,
    message: &'a Message<'a>,
    arguments: OnceCell<Result<JsonValue<'a>, AuthError>>,
}

/// What a [`check`](super::McpPolicyBuilder::check) says of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PolicyDecision {
    /// Nothing more than the rules say.
    Allow,
    /// These scopes as well, or this sign-in; they are named in the same challenge as those of the
    /// rules. A sign-in that no rule's `acr` leaves room for is 403.
    Require(Requirement),
    /// Refused whatever the scopes: 403 without a challenge.
    Deny,
}

impl<'a> Operation<'a> {
    pub(in crate::mcp) fn new(principal: Option<&'a Principal>, message: &'a Message<'a>) -> Self {
        Self {
            principal,
            message,
            arguments: OnceCell::new(),
        }
    }

    /// Who calls; `None` on a request that was let through without a credential.
    ///
    /// Where a layer [only reports](crate::AuthLayer::dangerously_report_only_for) that a
    /// credential expired, the principal it was issued to, as its scopes count then.
    /// The request itself has no principal.
    pub fn principal(&self) -> Option<&Principal> {
        self.principal
    }

    /// The JSON-RPC method.
    pub fn method(&self) -> &str {
        &self.message.method
    }

    /// The name of the tool that is called.
    pub fn tool(&self) -> Option<&str> {
        match &self.message.target {
            Target::Tool(name) => Some(name),
            _ => None,
        }
    }

    /// The name of the prompt that is got or completed.
    pub fn prompt(&self) -> Option<&str> {
        match &self.message.target {
            Target::Prompt(name) => Some(name),
            _ => None,
        }
    }

    /// The URIs of the resources, as they were sent: one to read, perhaps several to listen
    /// for, a template to complete.
    pub fn resources(&self) -> impl Iterator<Item = &str> {
        let (one, many) = match &self.message.target {
            Target::Resource(uri) => (Some(uri), &[][..]),
            Target::Resources(uris) => (None, &uris[..]),
            _ => (None, &[][..]),
        };
        one.into_iter().chain(many).map(|uri| &**uri)
    }

    /// `params.arguments`, read when first asked for.
    ///
    /// `None` where there are none, and where they cannot be judged: longer than 1 MiB, or
    /// with one member twice or a number of 1e308 or more. A call with arguments that were
    /// asked for and could not be judged is refused with 413 or 400, whatever the check says then.
    pub fn arguments(&self) -> Option<&JsonValue<'a>> {
        let text = self.message.arguments?;
        let read = || match text.len() {
            ..=MAX_ARGUMENTS => JsonValue::read(text, MAX_DEPTH).map_err(|_| ambiguous()),
            _ => Err(
                AuthError::new(Reason::ARGUMENTS_TOO_LARGE).with_detail(format!(
                    "the arguments have {} bytes, and a check may ask for {MAX_ARGUMENTS} at most",
                    text.len()
                )),
            ),
        };
        self.arguments.get_or_init(read).as_ref().ok()
    }

    /// Why arguments that were asked for could not be judged.
    pub(in crate::mcp) fn into_fault(self) -> Option<AuthError> {
        self.arguments.into_inner()?.err()
    }
}

impl fmt::Debug for Operation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Operation")
            .field("principal", &self.principal)
            .field("method", &self.message.method)
            .field("target", &self.message.target)
            .finish_non_exhaustive()
    }
}

fn ambiguous() -> AuthError {
    AuthError::new(Reason::AMBIGUOUS_ARGUMENTS).with_detail(
        "an object has a member twice or with a reserved name, or a number cannot be held",
    )
}
