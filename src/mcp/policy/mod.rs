//! The policy: which scopes each MCP operation needs, and which sign-in.

mod asked;
mod authority;
mod builder;
mod call;
mod needed;
mod pattern;
mod rules;
mod sign_ins;
mod uri;
mod value;

use std::fmt;
use std::sync::{Arc, LazyLock};

use http::Method;
use serde_json::json;

use self::needed::Needed;
use super::operation::{Kind, Message};
use crate::credential::RequestHead;
use crate::error::{AuthError, Reason};
use crate::refusal::Caller;
use crate::requirement::{EXCLUDED, Requirement, ScopeHierarchy, Verdict};
use crate::scope::Scopes;
use crate::scopes::{IncludeGranted, judge, refused};
use crate::util::quoted;

pub use self::builder::McpPolicyBuilder;
pub use self::call::{Operation, PolicyDecision};
pub(super) use self::pattern::Pattern;
pub(super) use self::rules::{Found, Rules};

/// Which scopes each operation of an MCP server needs.
///
/// What an operation needs is the sum of
///
/// 1. the base scopes, which every request needs;
/// 2. the rule for its JSON-RPC method, or for notifications or answers;
/// 3. the rule for the tool, the prompt or the resource it acts on. Rules of resources are
///    for `resources/read`, `subscribe`, `unsubscribe`, any other `resources/…` with a URI,
///    and every URI of a `subscriptions/listen`; rules of prompts and resources also for
///    `completion/complete`;
/// 4. what a [`check`](McpPolicyBuilder::check) of your own adds.
///
/// A `subscriptions/listen` that follows tasks tells what `tasks/get` does, and needs what the rule
/// for that method says as well; without one, an authenticated caller.
///
/// A message is judged by its method, not by its `id`: a `tools/call` sent as a notification
/// needs what the tool needs.
///
/// Of several rules for one name the most specific counts alone: the exact name, then the
/// longest text before a variable or `*`. A tool, prompt, resource or method that MCP does
/// not know and no rule is for is [`DefaultRule`]: denied, unless the policy says that base
/// scopes do.
///
/// A rule can ask for a strong or recent sign-in as well ([`Requirement::acr`],
/// [`Requirement::max_age`]). Of the rules that an operation falls under, the values of `acr` that
/// all accept and the shortest `max_age` count, those of the auth layer included.
///
/// A rule opens something to anonymous callers with [`Requirement::none`] alone, where the
/// base scopes are none as well: see [mixed authentication](crate::mcp#mixed-authentication).
///
/// Cloning costs a reference count. It can be read from any serde format; the members are
/// those of the builder:
///
/// ```
/// use tower_mcp_auth::mcp::McpPolicy;
///
/// let policy: McpPolicy = serde_json::from_str(r#"{
///     "baseline": "mcp:read",
///     "hierarchy": { "mcp:admin": ["mcp:write"], "mcp:write": ["mcp:read"] },
///     "tools": { "get_*": "mcp:read", "delete_file": ["mcp:admin"], "*": ["mcp:write"] },
///     "resources": { "file:///shared/{team}/*": { "any": ["team:read", "mcp:admin"] } },
///     "prompts": { "pay": { "all": ["payments"], "acr": ["mfa"], "max_age": "5m" } },
///     "acr_order": ["pwd", "mfa", "phr"],
///     "methods": { "logging/setLevel": "mcp:admin" },
///     "http": { "DELETE": "mcp:write" },
///     "default_rule": "deny"
/// }"#)?;
/// # let _ = policy;
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone)]
pub struct McpPolicy {
    table: Arc<Table>,
}

/// What becomes of a tool, a prompt, a resource, or a method MCP does not know, that no rule
/// is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum DefaultRule {
    /// 403 without a challenge, because no scope would help. The default.
    #[default]
    Deny,
    /// The base scopes of an authenticated caller are enough.
    Baseline,
}

type Check = dyn Fn(&Operation<'_>) -> PolicyDecision + Send + Sync;

#[derive(Clone, Default)]
struct Table {
    baseline: Requirement,
    methods: Rules,
    tools: Rules,
    prompts: Rules,
    resources: Rules,
    /// The rules for what stands in lists, in the order they were given.
    listed: Vec<(Item, Requirement)>,
    client_responses: Requirement,
    notifications: Requirement,
    http: Vec<(Method, Requirement)>,
    other_http_methods: Option<Requirement>,
    hierarchy: ScopeHierarchy,
    include_granted: IncludeGranted,
    default_rule: DefaultRule,
    checks: Vec<Arc<Check>>,
}

/// An item of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Item {
    Tool,
    Prompt,
    Resource,
    Template,
}

impl Item {
    /// The method that it is used by.
    fn method(self) -> &'static str {
        match self {
            Self::Tool => "tools/call",
            Self::Prompt => "prompts/get",
            Self::Resource | Self::Template => "resources/read",
        }
    }

    /// The list it stands in.
    pub(super) fn list(self) -> &'static str {
        match self {
            Self::Tool => "tools",
            Self::Prompt => "prompts",
            Self::Resource => "resources",
            Self::Template => "resourceTemplates",
        }
    }
}

/// Which items a list shows: what is in reach, and is not closed for want of a user. Another
/// sign-in is always in reach of one.
#[derive(Clone, Debug)]
pub(super) struct Sight {
    pub(super) reach: Reach,
    /// Whether the caller is a user, or may become one.
    pub(super) has_user: bool,
}

#[derive(Clone, Debug)]
pub(super) enum Reach {
    /// What these scopes open; `None` for an anonymous caller.
    Granted(Option<Scopes>),
    /// What some scope opens.
    Reachable,
}

/// Whether a client signs in before it calls anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SignIn {
    Always,
    /// For what is not open to anonymous callers.
    WhereNeeded,
}

static DENY: LazyLock<Requirement> = LazyLock::new(Requirement::deny);
/// What has no rule of its own is open to no anonymous caller.
static AUTHENTICATED: LazyLock<Requirement> = LazyLock::new(Requirement::authenticated);

impl McpPolicy {
    /// Starts a policy without rules.
    pub fn builder() -> McpPolicyBuilder {
        McpPolicyBuilder::new()
    }

    /// Whether it opens something to anonymous callers: a rule for a method, a tool, a prompt or a
    /// resource is [`Requirement::none`], and neither the base scopes nor a rule for its method ask
    /// for a caller.
    ///
    /// Around such a policy an [`McpStack`](crate::mcp::McpStack) and a configuration let requests
    /// without a credential [pass](crate::AuthLayer::optional).
    pub fn opens_to_anonymous(&self) -> bool {
        let table = &*self.table;
        let is_open = |(item, needs): &(Item, Requirement)| {
            let method = table.methods.find(item.method());
            needs.is_none() && method.is_none_or(Requirement::is_none)
        };
        let opens_a_method = || table.methods.all_needs().any(Requirement::is_none);
        table.baseline.is_none() && (table.listed.iter().any(is_open) || opens_a_method())
    }

    /// Whether every request needs an authenticated caller.
    pub(super) fn is_closed_to_anonymous(&self) -> bool {
        !self.table.baseline.is_none()
    }

    /// Whether `caller` may send these messages, all of them.
    pub(super) fn judge(
        &self,
        caller: Caller<'_>,
        head: RequestHead<'_>,
        messages: &[Message<'_>],
    ) -> Result<(), AuthError> {
        let table = &*self.table;
        let mut needed = Needed::new(&table.baseline);
        for message in messages {
            table.collect(message, &mut needed)?;
        }
        let mut added = Vec::new();
        if !table.checks.is_empty() {
            let asked = messages.iter().filter(|m| m.kind != Kind::Answer);
            for message in asked {
                let call = Operation::new(caller.known(), message);
                added.extend(table.checks.iter().filter_map(|check| match check(&call) {
                    PolicyDecision::Allow => None,
                    PolicyDecision::Require(needs) => Some(needs),
                    PolicyDecision::Deny => Some(Requirement::deny()),
                }));
                if let Some(fault) = call.into_fault() {
                    return Err(fault);
                }
            }
        }
        let answer = self.answer(needed.iter().chain(&added), caller, head);
        answer.map_err(|error| self.explained(error, messages))
    }

    /// Says which rule closes an operation to every caller, or that none is for it.
    #[cold]
    fn explained(&self, error: AuthError, messages: &[Message<'_>]) -> AuthError {
        if error.as_reason() != Reason::OPERATION_DENIED {
            return error;
        }
        let table = &*self.table;
        let mut why = messages.iter().filter_map(|message| table.closes(message));
        let is_excluded = error
            .detail()
            .is_some_and(|detail| detail.contains(EXCLUDED));
        match why.next() {
            Some(why) => error.with_detail(why),
            // The rules it falls under together exclude each other, as a batch can have it.
            None if is_excluded => error,
            None if table.baseline.is_denied() => {
                error.with_detail("the base scopes deny everything")
            }
            None => error.with_detail("the check of the policy denies the call"),
        }
    }

    /// Whether `caller` may use a method of HTTP that carries no message.
    pub(super) fn judge_http(
        &self,
        caller: Caller<'_>,
        head: RequestHead<'_>,
    ) -> Result<(), AuthError> {
        let (table, method) = (&*self.table, head.method());
        // A server answers HEAD as it answers GET.
        let method = match *method {
            Method::HEAD => &Method::GET,
            _ => method,
        };
        let listed = table.http.iter().find(|(own, _)| own == method);
        let needs = match (listed, &table.other_http_methods) {
            (Some((_, needs)), _) | (None, Some(needs)) => needs,
            (None, None) if matches!(*method, Method::GET | Method::DELETE | Method::OPTIONS) => {
                &table.baseline
            }
            (None, None) => &DENY,
        };
        let answer = self.answer([&table.baseline, needs].into_iter(), caller, head);
        answer.map_err(|error| match error.as_reason() {
            Reason::OPERATION_DENIED => error.with_detail(match listed.is_some() {
                true => format!("the rule for {method} denies it to everybody"),
                false if table.baseline.is_denied() => "the base scopes deny everything".to_owned(),
                false => format!(
                    "no rule is for {}, and a server of MCP has no such method",
                    quoted(method.as_str())
                ),
            }),
            _ => error,
        })
    }

    /// Whether the base scopes are there.
    pub(super) fn judge_base(
        &self,
        caller: Caller<'_>,
        head: RequestHead<'_>,
    ) -> Result<(), AuthError> {
        self.answer(std::iter::once(&self.table.baseline), caller, head)
    }

    fn answer<'n>(
        &self,
        needed: impl Iterator<Item = &'n Requirement> + Clone,
        caller: Caller<'_>,
        head: RequestHead<'_>,
    ) -> Result<(), AuthError> {
        let table = &*self.table;
        let verdict = judge(needed, caller, &table.hierarchy);
        let include =
            verdict != Verdict::Granted && table.include_granted.applies_to(head.headers());
        match refused(verdict, caller, include.then_some(&table.hierarchy)) {
            None => Ok(()),
            Some(error) => Err(error),
        }
    }

    /// Whether a list shows an item: whether the rules let those use it who have the scopes
    /// in sight, once they signed in as it takes. A check is not asked, for it judges calls.
    pub(super) fn shows(&self, sight: &Sight, item: Item, name: &str) -> bool {
        let table = &*self.table;
        let met = |needs: &Requirement| {
            let in_reach = match &sight.reach {
                Reach::Granted(scopes) => needs.is_met(scopes.as_ref(), &table.hierarchy),
                Reach::Reachable => !needs.is_denied(),
            };
            in_reach && (sight.has_user || needs.strength().is_none())
        };
        if !met(&table.baseline) || !table.methods.find(item.method()).is_none_or(met) {
            return false;
        }
        let unlisted = table.default_rule == DefaultRule::Baseline && met(&AUTHENTICATED);
        match item {
            Item::Tool => table.tools.find(name).map_or(unlisted, met),
            Item::Prompt => table.prompts.find(name).map_or(unlisted, met),
            Item::Resource => match table.resources.find_uri(name) {
                Found::Rule(needs) => met(needs),
                Found::NoRule => unlisted,
                Found::Ambiguous => false,
            },
            Item::Template => match table.resources.find_template(name) {
                Some((rules, open)) => rules.into_iter().any(met) || open && unlisted,
                None => false,
            },
        }
    }

    /// How a client signs in for a tool: the `securitySchemes` of its item in the list.
    pub(super) fn schemes(&self, sign_in: SignIn, tool: &str) -> String {
        let table = &*self.table;
        let method = table.methods.find(Item::Tool.method());
        let rule = table.tools.find(tool).unwrap_or(table.default_rule());
        let needs = [Some(&table.baseline), method, Some(rule)];
        let needs = needs.into_iter().flatten();
        let needs = needs.fold(Requirement::none(), Requirement::and);
        let scheme = match needs.is_none() && sign_in == SignIn::WhereNeeded {
            true => json!({ "type": "noauth" }),
            false => {
                let scopes = needs.asked_of_anonymous(&table.hierarchy);
                let scopes: Vec<&str> = scopes.iter().collect();
                json!({ "type": "oauth2", "scopes": scopes })
            }
        };
        json!([scheme]).to_string()
    }
}

impl fmt::Debug for McpPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let table = &*self.table;
        f.debug_struct("McpPolicy")
            .field("baseline", &table.baseline)
            .field("methods", &table.methods)
            .field("tools", &table.tools)
            .field("prompts", &table.prompts)
            .field("resources", &table.resources)
            .field("client_responses", &table.client_responses)
            .field("notifications", &table.notifications)
            .field("http", &table.http)
            .field("other_http_methods", &table.other_http_methods)
            .field("hierarchy", &table.hierarchy)
            .field("include_granted", &table.include_granted)
            .field("default_rule", &table.default_rule)
            .field("checks", &table.checks.len())
            .finish()
    }
}
