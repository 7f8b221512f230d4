//! The requests of a POST, and what their stream says if it ends before they are answered.
//!
//! Clients of revision 2026-07-28 cannot resume a stream: one that ends without an answer looks
//! to them like a broken server, and some wait for ever. Those of earlier revisions come back
//! with `Last-Event-ID`, where events have ids, and an error would take the answer from them.

use bytes::Bytes;
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};

use super::operation::{Kind, Message};
use crate::gate::{LastWords, StreamEnd};
use crate::json::Scanner;
use crate::refusal;

/// The most of one event that is kept to find out whether it is an answer. What is longer is
/// one: nothing else is that long.
const MAX_EVENT: usize = 64 * 1024;

/// The ids of the requests in a body, as JSON.
#[derive(Clone, Debug, Default)]
pub(super) struct Unanswered {
    /// Most bodies are one request, with an id that is short: it needs no allocation.
    first: Option<ShortId>,
    others: Vec<Box<str>>,
    /// Whether the client can resume a stream that has event ids.
    may_resume: bool,
}

#[derive(Clone, Copy, Debug)]
struct ShortId {
    length: u8,
    bytes: [u8; Self::MAX],
}

impl ShortId {
    const MAX: usize = 38;

    fn of(id: &str) -> Option<Self> {
        let mut bytes = [0; Self::MAX];
        bytes.get_mut(..id.len())?.copy_from_slice(id.as_bytes());
        let length = u8::try_from(id.len()).ok()?;
        Some(Self { length, bytes })
    }

    fn as_str(&self) -> &str {
        let bytes = self.bytes.get(..usize::from(self.length));
        std::str::from_utf8(bytes.unwrap_or_default()).unwrap_or_default()
    }
}

impl Unanswered {
    pub(super) fn of(messages: &[Message<'_>], may_resume: bool) -> Self {
        let mut unanswered = Self {
            may_resume,
            ..Self::default()
        };
        let requests = messages.iter().filter(|own| own.kind == Kind::Request);
        for id in requests.filter_map(|request| request.id) {
            match ShortId::of(id).filter(|_| unanswered.first.is_none()) {
                Some(short) => unanswered.first = Some(short),
                None => unanswered.others.push(id.into()),
            }
        }
        unanswered
    }

    fn is_empty(&self) -> bool {
        self.first.is_none() && self.others.is_empty()
    }

    fn iter(&self) -> impl Iterator<Item = &str> {
        let first = self.first.iter().map(ShortId::as_str);
        first.chain(self.others.iter().map(|id| &**id))
    }

    fn answered(&mut self, id: &str) {
        self.first.take_if(|own| own.as_str() == id);
        self.others.retain(|own| **own != *id);
    }

    /// What a response with these headers says in the end, if it is a stream of events.
    pub(super) fn on_stream(self, headers: &HeaderMap) -> Option<Listening> {
        let is_stream = headers.get(CONTENT_TYPE).is_some_and(|value| {
            let essence = value.as_bytes().split(|byte| *byte == b';').next();
            let essence = essence.unwrap_or_default().trim_ascii();
            essence.eq_ignore_ascii_case(b"text/event-stream")
        });
        let is_plain = !headers.contains_key(CONTENT_ENCODING);
        (is_stream && is_plain && !self.is_empty()).then(|| Listening {
            unanswered: self,
            has_ids: false,
            line: Line::default(),
            data: Vec::new(),
            at: At::Start,
        })
    }
}

/// Where a stream is between two frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// Before an event.
    Start,
    /// In an event, at the start of a line.
    NewLine,
    InLine,
}

/// The current line, as far as it matters.
#[derive(Debug, Default)]
struct Line {
    /// What it begins with.
    name: [u8; 6],
    length: usize,
    /// Whether it ended in a CR, of which an LF may be the other half.
    ended_in_cr: bool,
}

/// Follows the events of a stream
/// (<https://html.spec.whatwg.org/multipage/server-sent-events.html>).
#[derive(Debug)]
pub(super) struct Listening {
    unanswered: Unanswered,
    /// Whether an event had an id, from which the stream can be resumed.
    has_ids: bool,
    line: Line,
    /// The data of the current event, up to one byte more than is looked at.
    data: Vec<u8>,
    at: At,
}

impl Listening {
    fn byte(&mut self, byte: u8) {
        let after_cr = std::mem::take(&mut self.line.ended_in_cr);
        match byte {
            b'\n' if after_cr => {}
            b'\n' | b'\r' => {
                self.line_ended();
                self.line.ended_in_cr = byte == b'\r';
            }
            _ => {
                if let Some(place) = self.line.name.get_mut(self.line.length) {
                    *place = byte;
                }
                if self.is_data() && self.data.len() <= MAX_EVENT {
                    self.data.push(byte);
                }
                self.line.length += 1;
                self.at = At::InLine;
            }
        }
    }

    /// Whether the current byte is one of the value of a `data` line.
    fn is_data(&self) -> bool {
        self.line.length >= 5 && self.line.name.starts_with(b"data:")
    }

    fn line_ended(&mut self) {
        let length = std::mem::take(&mut self.line.length);
        if length == 0 {
            self.event_ended();
            return;
        }
        self.at = At::NewLine;
        let name = &self.line.name[..length.min(6)];
        // `id:`, with a value; an empty one says that there is none.
        self.has_ids |= name.starts_with(b"id:") && name.len() > 3 && name != b"id: ";
        if name.starts_with(b"data:") && self.data.len() <= MAX_EVENT {
            self.data.push(b'\n');
        }
    }

    fn event_ended(&mut self) {
        self.at = At::Start;
        if self.data.len() > MAX_EVENT {
            self.unanswered.first = None;
            self.unanswered.others.clear();
        } else if let Ok(text) = std::str::from_utf8(&self.data)
            && may_be_answer(text)
        {
            let mut ids = Vec::new();
            // What cannot be read answers nothing.
            let _ = answers(text, &mut ids);
            for id in ids {
                self.unanswered.answered(id);
            }
        }
        self.data.clear();
        self.data.shrink_to(1024);
    }
}

fn may_be_answer(text: &str) -> bool {
    text.contains("\"result\"") || text.contains("\"error\"")
}

/// The ids of the answers in a message, or a batch of them.
fn answers<'a>(text: &'a str, ids: &mut Vec<&'a str>) -> Result<(), crate::json::Fault> {
    let mut json = Scanner::lenient(text);
    if json.peek() == Some(b'[') {
        let mut elements = json.enter(b'[')?;
        while json.element(&mut elements)? {
            answer(&mut json, ids)?;
        }
        return Ok(());
    }
    answer(&mut json, ids)
}

fn answer<'a>(json: &mut Scanner<'a>, ids: &mut Vec<&'a str>) -> Result<(), crate::json::Fault> {
    let (mut id, mut is_answer) = (None, false);
    let mut members = json.enter(b'{')?;
    while let Some(name) = json.member(&mut members)? {
        is_answer |= name == "result" || name == "error";
        let is_id = name == "id";
        json.peek();
        let value = json.skip()?;
        if is_id {
            id = Some(value);
        }
    }
    ids.extend(id.filter(|_| is_answer));
    Ok(())
}

impl LastWords for Listening {
    fn heard(&mut self, data: &[u8]) {
        // Once all is answered there is nothing more to say.
        if !self.unanswered.is_empty() {
            data.iter().for_each(|byte| self.byte(*byte));
        }
    }

    fn say(&mut self, why: StreamEnd) -> Option<Bytes> {
        if self.unanswered.is_empty() || self.unanswered.may_resume && self.has_ids {
            return None;
        }
        // What was cut is ended first, so that it takes nothing of this with it.
        let mut said = match (self.at, self.line.ended_in_cr) {
            (At::Start, _) => String::new(),
            (At::NewLine, false) => "\n".to_owned(),
            (At::NewLine, true) | (At::InLine, _) => "\n\n".to_owned(),
        };
        for id in self.unanswered.iter() {
            said.push_str("event: message\ndata: ");
            said.push_str(&refusal::ended_under_way(id, why.cut_off()));
            said.push_str("\n\n");
        }
        Some(said.into())
    }
}
