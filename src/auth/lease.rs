//! How long a streamed answer may outlive the credential it was asked with.

use std::time::Duration;

use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, Method, Request};

use crate::clock::Clock;
use crate::credential::trim;
use crate::error::ConfigError;
use crate::gate::{Deadline, StreamEnd};
use crate::refusal::Media;

/// MCP 2026-07-28 (Transports, "Standard headers") repeats the method of the message in a
/// header. The one long stream of that revision is told by it. Who lies about it gains the
/// grace of any other answer, and nothing else.
const MCP_METHOD: HeaderName = HeaderName::from_static("mcp-method");
const LISTEN: &[u8] = b"subscriptions/listen";

/// The settings of a layer.
#[derive(Clone, Debug)]
pub(super) struct Streams {
    pub(super) outlive_credentials: bool,
    pub(super) grace: Duration,
    pub(super) max_life: Option<Duration>,
    /// The provider's.
    pub(super) clock: Clock,
}

impl Streams {
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            outlive_credentials: false,
            grace: Duration::from_secs(600),
            max_life: None,
            clock,
        }
    }

    pub(super) fn set_max_life(&mut self, life: Duration) -> Result<(), ConfigError> {
        if life.is_zero() {
            return Err(ConfigError::new(
                "stream_max_life",
                "no stream could say anything; leave the setting out for streams without an end",
            ));
        }
        self.max_life = Some(life);
        Ok(())
    }

    /// The lease of the answer to `request`, with a credential that is good until `valid_until`.
    pub(super) fn lease<B>(
        &self,
        request: &Request<B>,
        valid_until: Option<Duration>,
    ) -> Option<Lease> {
        // The clock is read last: most credentials expire, or most layers set no longest life.
        let longest = || {
            let life = self.max_life?;
            Some((self.clock.now().saturating_add(life), StreamEnd::MaxLife))
        };
        let (ends, why) = valid_until
            .filter(|_| !self.outlive_credentials)
            .map(|at| (at, StreamEnd::Expired))
            .or_else(longest)?;
        let kind = match *request.method() {
            Method::GET => Kind::Get,
            Method::POST if is_listen(request.headers()) => Kind::Listen,
            _ => Kind::Other,
        };
        Some(Lease {
            ends,
            why,
            grace: self.grace,
            kind,
            clock: self.clock.clone(),
        })
    }
}

fn is_listen(headers: &HeaderMap) -> bool {
    // Seldom there, and found out by code that is near: credentials are looked up with it.
    if headers.get(MCP_METHOD).is_none() {
        return false;
    }
    let mut methods = headers.get_all(MCP_METHOD).iter();
    methods.any(|method| trim(method.as_bytes()) == LISTEN)
}

/// What a response may be, as far as its request tells.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Get,
    Listen,
    Other,
}

/// Until when the answer to a request may go on.
#[derive(Debug)]
pub(super) struct Lease {
    ends: Duration,
    why: StreamEnd,
    grace: Duration,
    kind: Kind,
    clock: Clock,
}

impl Lease {
    /// The deadline of a response with these headers. `None`: its size is known, so it has an
    /// end of its own.
    pub(super) fn deadline(self, headers: &HeaderMap) -> Option<Deadline> {
        if headers.contains_key(CONTENT_LENGTH) {
            return None;
        }
        let content_type = headers.get(CONTENT_TYPE).map(|value| value.as_bytes());
        let ends_at_once = match self.kind {
            Kind::Listen => true,
            Kind::Get => content_type.is_some_and(is_event_stream),
            Kind::Other => false,
        };
        // The grace is for calls that began with a credential which ended.
        let grace = match ends_at_once || self.why == StreamEnd::MaxLife {
            true => Duration::ZERO,
            false => self.grace,
        };
        let grpc = media(headers);
        let ends = self.ends.saturating_add(grace);
        Some(Deadline::new(ends, self.why, self.clock, grpc))
    }
}

/// The form of the end of a response with these headers that has no lease. `None`: its size is
/// known.
pub(super) fn without_end(headers: &HeaderMap) -> Option<Deadline> {
    (!headers.contains_key(CONTENT_LENGTH)).then(|| Deadline::never(media(headers)))
}

fn media(headers: &HeaderMap) -> Option<Media> {
    let content_type = headers.get(CONTENT_TYPE).map(|value| value.as_bytes());
    content_type.and_then(Media::of_content_type)
}

fn is_event_stream(content_type: &[u8]) -> bool {
    let essence = content_type.split(|byte| *byte == b';').next();
    essence.is_some_and(|essence| {
        essence
            .trim_ascii()
            .eq_ignore_ascii_case(b"text/event-stream")
    })
}
