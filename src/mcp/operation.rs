//! What a JSON-RPC body asks for, read as the server behind will read it, or not at all.

use std::borrow::Cow;

use super::members::{
    ARGUMENTS, ERROR, ID, IN_NOTIFICATIONS, IN_PARAMS, IN_REF, METHOD, NAME, NOTIFICATIONS, PARAMS,
    REF, REF_NAME, REF_TYPE, REF_URI, RESOURCE_SUBSCRIPTIONS, RESULT, Seen, TASK_ID, TOP, URI,
};
use crate::error::{AuthError, Reason};
use crate::json::{Fault, Scanner};
use crate::telemetry::RecordedOperation;

/// Members and elements inside one another, the message itself included.
pub(super) const MAX_DEPTH: u32 = 32;
/// Messages of a batch: each takes more memory than its text.
const MAX_BATCH: usize = 1000;
/// URIs of a `subscriptions/listen`, for the same reason.
const MAX_SUBSCRIPTIONS: usize = 1000;
const LISTEN: &str = "subscriptions/listen";

/// The messages of one body.
#[derive(Debug)]
pub(super) enum Messages<'a> {
    One(Message<'a>),
    /// MCP 2025-03-26 has these.
    Batch(Vec<Message<'a>>),
}

impl<'a> Messages<'a> {
    /// Reads a body.
    pub(super) fn read(body: &'a [u8]) -> Result<Self, AuthError> {
        if body.starts_with(b"\xEF\xBB\xBF") {
            return Err(confused(Reason::UNEXPECTED_BOM));
        }
        let text = std::str::from_utf8(body).map_err(|_| confused(Reason::NOT_UTF8))?;
        let mut json = Scanner::strict(text, MAX_DEPTH);
        let messages = match json.peek() {
            Some(b'[') => {
                let mut batch = Vec::new();
                let mut elements = json.enter(b'[')?;
                while json.element(&mut elements)? {
                    if batch.len() == MAX_BATCH {
                        return Err(AuthError::new(Reason::BATCH_TOO_LONG)
                            .with_detail(format!("more than {MAX_BATCH} messages")));
                    }
                    batch.push(Message::read(&mut json)?);
                }
                if batch.is_empty() {
                    return Err(confused(Reason::EMPTY_BATCH));
                }
                Self::Batch(batch)
            }
            _ => Self::One(Message::read(&mut json)?),
        };
        json.finish()?;
        Ok(messages)
    }

    pub(super) fn as_slice(&self) -> &[Message<'a>] {
        match self {
            Self::One(message) => std::slice::from_ref(message),
            Self::Batch(messages) => messages,
        }
    }

    /// What is asked for, as it is told of: the first message stands for a batch.
    pub(super) fn operation(&self) -> RecordedOperation<'_> {
        let messages = self.as_slice();
        let Some(first) = messages.first() else {
            return RecordedOperation::Http;
        };
        let (target, is_name) = match &first.target {
            Target::None => (None, false),
            Target::Tool(name) | Target::Prompt(name) => (Some(&**name), true),
            Target::Resource(uri) => (Some(&**uri), false),
            Target::Resources(uris) => (uris.first().map(|uri| &**uri), false),
        };
        RecordedOperation::Mcp {
            method: match first.kind {
                Kind::Answer => "answer",
                Kind::Request | Kind::Notification => &first.method,
            },
            target,
            is_name,
            messages: messages.len(),
        }
    }
}

/// A request, a notification, or the answer to a request of the server's.
#[derive(Debug)]
pub(super) struct Message<'a> {
    pub(super) kind: Kind,
    /// That of a request, as JSON.
    pub(super) id: Option<&'a str>,
    /// Empty for an answer.
    pub(super) method: Cow<'a, str>,
    pub(super) target: Target<'a>,
    /// Whether it subscribes to what becomes of tasks, which tells as much of one as `tasks/get`.
    pub(super) follows_tasks: bool,
    /// The text of `params.arguments`.
    pub(super) arguments: Option<&'a str>,
    /// `params.name`, `params.uri` and `params.taskId`, which `Mcp-Name` can mirror.
    pub(super) mirrored: [Option<Cow<'a, str>>; 3],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Request,
    Notification,
    Answer,
}

/// What an operation acts on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target<'a> {
    /// Nothing with a name of its own.
    None,
    Tool(Cow<'a, str>),
    Prompt(Cow<'a, str>),
    Resource(Cow<'a, str>),
    Resources(Vec<Cow<'a, str>>),
}

impl<'a> Message<'a> {
    fn read(json: &mut Scanner<'a>) -> Result<Self, AuthError> {
        if json.peek() != Some(b'{') {
            // JSON of another kind is no message; what is no JSON is told so.
            json.skip()?;
            return Err(confused(Reason::NOT_JSON_RPC));
        }
        let mut members = json.enter(b'{')?;
        let mut seen = Seen::default();
        let (mut method, mut params, mut id) = (None, None, None);
        while let Some(name) = json.member(&mut members)? {
            match seen.note(&name, &TOP)? {
                Some(ID) => id = Some(json.skip()?),
                Some(METHOD) => match Field::read(json)? {
                    Field::String(name) => method = Some(name),
                    Field::Absent | Field::Other => return Err(confused(Reason::MALFORMED_METHOD)),
                },
                Some(PARAMS) => params = Params::read(json)?,
                _ => {
                    json.skip()?;
                }
            }
        }
        let is_answer = seen.has(RESULT) || seen.has(ERROR);
        let kind = match (&method, id) {
            (Some(_), _) if is_answer => return Err(confused(Reason::NOT_JSON_RPC)),
            // A request without a usable id is a notification to some readers, and no
            // message to others.
            (Some(_), Some(id)) if !matches!(id.as_bytes()[0], b'"' | b'-' | b'0'..=b'9') => {
                return Err(confused(Reason::MALFORMED_ID));
            }
            (Some(_), Some(_)) => Kind::Request,
            (Some(_), None) => Kind::Notification,
            (None, _) if seen.has(RESULT) != seen.has(ERROR) => Kind::Answer,
            (None, _) => return Err(confused(Reason::NOT_JSON_RPC)),
        };
        let method = method.unwrap_or_default();
        let mut params = params.unwrap_or_default();
        let target = match kind {
            Kind::Answer => Target::None,
            Kind::Request | Kind::Notification => params.target(&method)?,
        };
        Ok(Self {
            kind,
            id: id.filter(|_| kind == Kind::Request),
            follows_tasks: kind != Kind::Answer && params.follows_tasks(&method),
            method,
            target,
            arguments: params.arguments,
            mirrored: [params.name, params.uri, params.task_id].map(Field::string),
        })
    }
}

impl Message<'_> {
    /// Whether it asks for something with an answer of another shape than a list.
    pub(super) fn answers_no_list(&self) -> bool {
        matches!(
            &*self.method,
            "tools/call" | "prompts/get" | "resources/read" | "completion/complete"
        )
    }
}

/// A member that should be a string.
#[derive(Debug, Default)]
enum Field<'a> {
    #[default]
    Absent,
    String(Cow<'a, str>),
    Other,
}

impl<'a> Field<'a> {
    fn read(json: &mut Scanner<'a>) -> Result<Self, Fault> {
        if json.peek() == Some(b'"') {
            return Ok(Self::String(json.string()?));
        }
        json.skip()?;
        Ok(Self::Other)
    }

    fn string(self) -> Option<Cow<'a, str>> {
        match self {
            Self::String(string) => Some(string),
            Self::Absent | Self::Other => None,
        }
    }

    /// The string the operation cannot go without.
    fn needed(&self) -> Result<Cow<'a, str>, AuthError> {
        match self {
            Self::String(string) => Ok(string.clone()),
            Self::Absent | Self::Other => Err(confused(Reason::MISSING_TARGET)),
        }
    }
}

/// The members of `params` that say what is acted on. Which of them count depends on the
/// method, which may come later.
#[derive(Debug, Default)]
struct Params<'a> {
    name: Field<'a>,
    uri: Field<'a>,
    task_id: Field<'a>,
    reference: Option<Reference<'a>>,
    subscriptions: Subscriptions<'a>,
    arguments: Option<&'a str>,
}

/// What a `subscriptions/listen` is for, besides changes of lists.
#[derive(Debug, Default)]
struct Subscriptions<'a> {
    uris: Vec<Cow<'a, str>>,
    tasks: bool,
    /// It is no object: some readers take a list for its members in their order.
    is_malformed: bool,
}

#[derive(Debug, Default)]
struct Reference<'a> {
    kind: Field<'a>,
    name: Field<'a>,
    uri: Field<'a>,
}

impl<'a> Params<'a> {
    /// `null` is no params; anything but an object is refused, because a list can be read as
    /// parameters by position.
    fn read(json: &mut Scanner<'a>) -> Result<Option<Self>, AuthError> {
        match json.peek() {
            Some(b'{') => {}
            Some(b'n') => {
                json.skip()?;
                return Ok(None);
            }
            _ => {
                json.skip()?;
                return Err(confused(Reason::MALFORMED_PARAMS));
            }
        }
        let mut params = Self::default();
        let mut seen = Seen::default();
        let mut members = json.enter(b'{')?;
        while let Some(member) = json.member(&mut members)? {
            match seen.note(&member, &IN_PARAMS)? {
                Some(NAME) => params.name = Field::read(json)?,
                Some(URI) => params.uri = Field::read(json)?,
                Some(TASK_ID) => params.task_id = Field::read(json)?,
                Some(ARGUMENTS) => params.arguments = Some(json.skip()?),
                Some(REF) if json.peek() == Some(b'{') => {
                    params.reference = Some(Reference::read(json)?);
                }
                Some(NOTIFICATIONS) => params.subscriptions = Subscriptions::read(json)?,
                _ => {
                    json.skip()?;
                }
            }
        }
        Ok(Some(params))
    }

    /// What an operation with this method acts on.
    fn target(&mut self, method: &str) -> Result<Target<'a>, AuthError> {
        Ok(match method {
            "tools/call" => Target::Tool(self.name.needed()?),
            "prompts/get" => Target::Prompt(self.name.needed()?),
            "resources/read" | "resources/subscribe" | "resources/unsubscribe" => {
                Target::Resource(self.uri.needed()?)
            }
            "completion/complete" => match &self.reference {
                Some(reference) => reference.target()?,
                None => return Err(confused(Reason::MISSING_TARGET)),
            },
            LISTEN if self.subscriptions.is_malformed => {
                return Err(confused(Reason::MISSING_TARGET));
            }
            LISTEN => Target::Resources(std::mem::take(&mut self.subscriptions.uris)),
            // Whatever an extension does with the URI of a resource is a use of it.
            _ if method.starts_with("resources/") => match &self.uri {
                Field::Absent => Target::None,
                uri => Target::Resource(uri.needed()?),
            },
            _ => Target::None,
        })
    }

    fn follows_tasks(&self, method: &str) -> bool {
        method == LISTEN && self.subscriptions.tasks
    }
}

impl<'a> Reference<'a> {
    fn read(json: &mut Scanner<'a>) -> Result<Self, AuthError> {
        let mut reference = Self::default();
        let mut seen = Seen::default();
        let mut members = json.enter(b'{')?;
        while let Some(member) = json.member(&mut members)? {
            match seen.note(&member, &IN_REF)? {
                Some(REF_TYPE) => reference.kind = Field::read(json)?,
                Some(REF_NAME) => reference.name = Field::read(json)?,
                Some(REF_URI) => reference.uri = Field::read(json)?,
                _ => {
                    json.skip()?;
                }
            }
        }
        Ok(reference)
    }

    fn target(&self) -> Result<Target<'a>, AuthError> {
        match &*self.kind.needed()? {
            "ref/prompt" => Ok(Target::Prompt(self.name.needed()?)),
            "ref/resource" => Ok(Target::Resource(self.uri.needed()?)),
            _ => Err(confused(Reason::MISSING_TARGET)),
        }
    }
}

impl<'a> Subscriptions<'a> {
    fn read(json: &mut Scanner<'a>) -> Result<Self, AuthError> {
        let mut own = Self::default();
        if json.peek() != Some(b'{') {
            own.is_malformed = json.skip()? != "null";
            return Ok(own);
        }
        let mut seen = Seen::default();
        let mut members = json.enter(b'{')?;
        while let Some(member) = json.member(&mut members)? {
            let Some(index) = seen.note(&member, &IN_NOTIFICATIONS)? else {
                json.skip()?;
                continue;
            };
            match json.peek() {
                Some(b'[') => {
                    let mut elements = json.enter(b'[')?;
                    while json.element(&mut elements)? {
                        match index {
                            RESOURCE_SUBSCRIPTIONS => own.add(Field::read(json)?.needed()?)?,
                            _ => {
                                json.skip()?;
                                own.tasks = true;
                            }
                        }
                    }
                }
                Some(b'n') => {
                    json.skip()?;
                }
                _ => {
                    json.skip()?;
                    return Err(confused(Reason::MISSING_TARGET));
                }
            }
        }
        Ok(own)
    }

    fn add(&mut self, uri: Cow<'a, str>) -> Result<(), AuthError> {
        if self.uris.len() == MAX_SUBSCRIPTIONS {
            return Err(AuthError::new(Reason::TOO_MANY_SUBSCRIPTIONS)
                .with_detail(format!("more than {MAX_SUBSCRIPTIONS} URIs")));
        }
        self.uris.push(uri);
        Ok(())
    }
}

/// A body that two readers could take for two things, or that is no message.
pub(super) fn confused(reason: Reason) -> AuthError {
    AuthError::new(reason).with_detail(why(reason))
}

/// The same for the operator, who is shown nothing of the body.
fn why(reason: Reason) -> &'static str {
    match reason {
        Reason::UNEXPECTED_BOM => "the body begins with a byte order mark",
        Reason::NOT_UTF8 => "the body is not UTF-8",
        Reason::NOT_JSON => "the body is not JSON",
        Reason::BODY_TOO_DEEP => "more members and elements stand inside one another than are read",
        Reason::LONE_SURROGATE => "a string has half of a surrogate pair, which readers replace",
        Reason::EMPTY_BATCH => "the body is an empty batch",
        Reason::NOT_JSON_RPC => {
            "the body is JSON, and neither a request nor a notification nor an answer"
        }
        Reason::MALFORMED_METHOD => "the `method` is no string",
        Reason::MALFORMED_PARAMS => "the `params` are no object",
        Reason::MALFORMED_ID => "the `id` of a request is neither a string nor a number",
        Reason::MISSING_TARGET => {
            "the message does not say what it acts on: a name or URI is missing, or no string"
        }
        Reason::DUPLICATE_BODY_MEMBER => "a member is there twice",
        Reason::RESERVED_MEMBER => "a member has a name that serde_json keeps for itself",
        Reason::MEMBER_IN_WRONG_CASE => {
            "a member has the name of one that is judged, in another case"
        }
        _ => "two readers could take the body for two messages",
    }
}

impl From<Fault> for AuthError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Syntax => confused(Reason::NOT_JSON),
            Fault::Depth => confused(Reason::BODY_TOO_DEEP),
            Fault::Surrogate => confused(Reason::LONE_SURROGATE),
            Fault::Long => Self::new(Reason::NAME_TOO_LONG)
                .with_detail("the name of a member is longer than any that is compared"),
            Fault::Reserved => confused(Reason::RESERVED_MEMBER),
            Fault::Twice => confused(Reason::DUPLICATE_BODY_MEMBER),
        }
    }
}
