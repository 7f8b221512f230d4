//! What a message needs: the rules that are for it, and why they close it.

use super::rules::Found;
use super::{AUTHENTICATED, DENY, DefaultRule, Table};
use crate::error::{AuthError, Reason};
use crate::mcp::operation::{Kind, Message, Target};
use crate::requirement::Requirement;
use crate::util::quoted;

/// The method that tells what became of a task.
const GET_TASK: &str = "tasks/get";

impl Table {
    /// Adds what one message needs.
    pub(super) fn collect<'t>(
        &'t self,
        message: &Message<'_>,
        needed: &mut Needed<'t>,
    ) -> Result<(), AuthError> {
        let mut push = |needs| needed.push(needs);
        if message.kind == Kind::Answer {
            push(&self.client_responses);
            return Ok(());
        }
        let method = &*message.method;
        let is_notification = method.starts_with("notifications/");
        match self.methods.find(method) {
            Some(needs) => push(needs),
            None if is_notification => push(&self.notifications),
            None if is_open(method) => {}
            None if is_known(method) => push(&AUTHENTICATED),
            None => push(self.default_rule()),
        }
        if message.follows_tasks {
            push(self.methods.find(GET_TASK).unwrap_or(&AUTHENTICATED));
        }
        match &message.target {
            Target::None => {}
            Target::Tool(name) => push(self.tools.find(name).unwrap_or(self.default_rule())),
            Target::Prompt(name) => push(self.prompts.find(name).unwrap_or(self.default_rule())),
            // What is completed is a template: a completion can tell of every URI of it.
            Target::Resource(uri) if method == "completion/complete" && uri.contains('{') => {
                let found = self.resources.find_template(uri);
                let (rules, open) = found.ok_or_else(ambiguous)?;
                rules.into_iter().for_each(&mut push);
                if open {
                    push(self.default_rule());
                }
            }
            Target::Resource(uri) => push(self.resource(uri)?),
            Target::Resources(uris) => {
                for uri in uris {
                    push(self.resource(uri)?);
                }
            }
        }
        Ok(())
    }

    /// Why an operation is closed to every caller, if its rules close it. A URI is not shown: it
    /// may hold secrets.
    pub(super) fn closes(&self, message: &Message<'_>) -> Option<String> {
        let unlisted = self.default_rule == DefaultRule::Deny;
        let why = |found: Option<&Requirement>, what: String| match found {
            Some(needs) if needs.is_denied() => {
                Some(format!("the rule for {what} denies it to everybody"))
            }
            None if unlisted => Some(format!(
                "no rule names {what}, and what no rule names is denied (`default_rule`)"
            )),
            _ => None,
        };
        if message.kind == Kind::Answer {
            return (self.client_responses.is_denied()).then(|| "answers are denied".to_owned());
        }
        let method = &*message.method;
        let is_notification = method.starts_with("notifications/");
        let of_method = match self.methods.find(method) {
            None if is_notification && self.notifications.is_denied() => {
                return Some("notifications are denied".to_owned());
            }
            None if is_notification || is_known(method) => None,
            found => why(found, format!("the method {}", quoted(method))),
        };
        let of_uri = |uri: &str| match self.resources.find_uri(uri) {
            Found::Rule(needs) => why(Some(needs), "the URI of the resource".to_owned()),
            Found::NoRule => why(None, "the URI of the resource".to_owned()),
            Found::Ambiguous => None,
        };
        let of_tasks = || match self.methods.find(GET_TASK) {
            Some(needs) if message.follows_tasks => {
                why(Some(needs), format!("the method {}", quoted(GET_TASK)))
            }
            _ => None,
        };
        let of_method = of_method.or_else(of_tasks);
        of_method.or_else(|| match &message.target {
            Target::None => None,
            Target::Tool(name) => why(self.tools.find(name), format!("the tool {}", quoted(name))),
            Target::Prompt(name) => why(
                self.prompts.find(name),
                format!("the prompt {}", quoted(name)),
            ),
            Target::Resource(uri) if method == "completion/complete" && uri.contains('{') => {
                let (rules, open) = self.resources.find_template(uri)?;
                let mut rules = rules.into_iter();
                let denied = rules.find(|needs| needs.is_denied());
                match denied {
                    None if !open => None,
                    denied => why(denied, "URIs of the template".to_owned()),
                }
            }
            Target::Resource(uri) => of_uri(uri),
            Target::Resources(uris) => uris.iter().find_map(|uri| of_uri(uri)),
        })
    }

    fn resource(&self, uri: &str) -> Result<&Requirement, AuthError> {
        match self.resources.find_uri(uri) {
            Found::Rule(needs) => Ok(needs),
            Found::NoRule => Ok(self.default_rule()),
            Found::Ambiguous => Err(ambiguous()),
        }
    }

    pub(super) fn default_rule(&self) -> &Requirement {
        match self.default_rule {
            DefaultRule::Deny => &DENY,
            DefaultRule::Baseline => &AUTHENTICATED,
        }
    }
}

/// What a request needs, each rule once: a batch asks for the same thing many times over.
pub(super) struct Needed<'t> {
    /// One message rarely falls under more rules; these need no allocation.
    few: [Option<&'t Requirement>; 4],
    many: Vec<&'t Requirement>,
}

impl<'t> Needed<'t> {
    pub(super) fn new(base: &'t Requirement) -> Self {
        Self {
            few: [Some(base), None, None, None],
            many: Vec::new(),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &'t Requirement> + Clone {
        let few = self.few.iter().flatten().copied();
        few.chain(self.many.iter().copied())
    }

    fn push(&mut self, needs: &'t Requirement) {
        if needs.is_none() || self.iter().any(|other| std::ptr::eq(other, needs)) {
            return;
        }
        match self.few.iter_mut().find(|place| place.is_none()) {
            Some(place) => *place = Some(needs),
            None => self.many.push(needs),
        }
    }
}

fn ambiguous() -> AuthError {
    AuthError::new(Reason::AMBIGUOUS_URI).with_detail(
        "the URI is no absolute one, or has dot segments, encoded delimiters or a host that \
             readers take for different ones",
    )
}

/// The methods of MCP, all revisions. Those of notifications are not among them.
fn is_known(method: &str) -> bool {
    is_open(method) || method == "logging/setLevel" || method.starts_with("tasks/")
}

/// The methods that lead to what can be open, or name what they act on. `logging/setLevel` changes
/// the log of all callers, and `tasks/…` needs no more than the id of a task: both need a caller.
fn is_open(method: &str) -> bool {
    const METHODS: [&str; 14] = [
        "initialize",
        "ping",
        "server/discover",
        "tools/list",
        "tools/call",
        "prompts/list",
        "prompts/get",
        "resources/list",
        "resources/templates/list",
        "resources/read",
        "resources/subscribe",
        "resources/unsubscribe",
        "subscriptions/listen",
        "completion/complete",
    ];
    METHODS.contains(&method)
}
