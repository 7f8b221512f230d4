//! What an answer says of the attack it answers.

use std::fmt;

use bytes::Bytes;
use http::header::{self, HeaderMap};
use http::{Response, StatusCode};

use super::attack::Refusal;
use super::probe::{Seen, contains};

/// What came back, or why nothing did.
pub(super) type Outcome = Result<Response<Bytes>, NoAnswer>;

/// Why there is no answer.
pub(super) enum NoAnswer {
    /// The connection was closed while the request was sent, or instead of an answer.
    Closed(String),
    Other(String),
}

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Closed(why) | Self::Other(why)) = self;
        f.write_str(why)
    }
}

/// What became of an attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// It was refused as it should be.
    Held,
    /// It reached what is behind the middleware.
    GotThrough,
    /// The credential came back, or reached the handler.
    Leaked,
    /// The service fetched a URL that stood in a token.
    Fetched,
    /// It was refused, but not in the way that clients understand.
    Irregular,
    /// Nothing is known: no answer in time, 429, or a fault of the service.
    Unproven,
}

impl Verdict {
    /// Whether the service did what it should.
    pub fn is_held(self) -> bool {
        self == Self::Held
    }

    /// Whether it is a hole: a caller gets what it has no right to.
    pub fn is_hole(self) -> bool {
        matches!(self, Self::GotThrough | Self::Leaked | Self::Fetched)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Held => "held",
            Self::GotThrough => "got through",
            Self::Leaked => "leaked",
            Self::Fetched => "fetched",
            Self::Irregular => "irregular",
            Self::Unproven => "unproven",
        })
    }
}

/// The verdict, and what came back in a few words.
pub(super) fn judge(refusal: Refusal, outcome: &Outcome, secrets: &[&str]) -> (Verdict, String) {
    let response = match outcome {
        Ok(response) => response,
        Err(NoAnswer::Closed(why)) if refusal == Refusal::TooLong => {
            return (Verdict::Held, why.clone());
        }
        Err(why) => return (Verdict::Unproven, why.to_string()),
    };
    let status = status_of(response);
    let shown = shown(response, status);
    let seen = Seen::in_headers(response.headers());
    if refusal == Refusal::Nothing {
        return if seen == Some(Seen::Credential) {
            let why = format!("{shown}; the handler was given the credential");
            (Verdict::Leaked, why)
        } else {
            leaked(response, secrets, &shown).unwrap_or((Verdict::Held, shown))
        };
    }
    if seen.is_some() {
        return (
            Verdict::GotThrough,
            format!("{shown}; the handler was reached"),
        );
    }
    if let Some(leaked) = leaked(response, secrets, &shown) {
        return leaked;
    }
    match status.as_u16() {
        429 | 503 | 504 => {
            let why = format!("{shown}: no judgement of the credential");
            (Verdict::Unproven, why)
        }
        401 if !matches!(refusal, Refusal::Tool | Refusal::Unreached)
            && !has_challenge(response.headers()) =>
        {
            (Verdict::Irregular, format!("{shown} without a challenge"))
        }
        code if is_refusal(refusal, code, response.body()) => (Verdict::Held, shown),
        // They say of the request what is said of admitted ones alone.
        402 | 406..=428 if refusal == Refusal::Closed => (Verdict::GotThrough, shown),
        400 | 403 | 404 | 405 | 413 | 414 | 421 | 431 | 500.. => (Verdict::Irregular, shown),
        _ => (Verdict::GotThrough, shown),
    }
}

/// Whether this is the answer of a service that was never asked for anything but to refuse.
pub(super) fn is_admitted(response: &Response<Bytes>) -> bool {
    Seen::in_headers(response.headers()).is_some() || status_of(response).is_success()
}

fn is_refusal(refusal: Refusal, code: u16, body: &[u8]) -> bool {
    match refusal {
        Refusal::Nothing | Refusal::Unreached => true,
        Refusal::Challenge => code == 401,
        // A message that is too long need not be read.
        Refusal::Malformed | Refusal::TooLong => matches!(code, 400 | 401 | 413 | 414 | 431),
        Refusal::Closed => {
            matches!(
                code,
                300..=399 | 400 | 401 | 403 | 404 | 405 | 410 | 414 | 421 | 431 | 501
            )
        }
        Refusal::Scope => matches!(code, 401 | 403),
        Refusal::Tool => match code {
            200..=299 => is_json_rpc_error(body),
            code => matches!(code, 400 | 401 | 403 | 404 | 405 | 406 | 413 | 415 | 422),
        },
    }
}

/// Whether every message in the body is an error of JSON-RPC.
fn is_json_rpc_error(body: &[u8]) -> bool {
    let text = String::from_utf8_lossy(body);
    let events = text.lines().filter_map(|line| line.strip_prefix("data:"));
    let mut messages: Vec<&str> = events.filter(|data| !data.trim().is_empty()).collect();
    if messages.is_empty() {
        messages.push(&text);
    }
    messages.iter().all(|message| {
        let message = serde_json::from_str::<serde_json::Value>(message);
        message.is_ok_and(|message| match message.as_array() {
            Some(batch) => batch.iter().all(|message| message.get("error").is_some()),
            None => message.get("error").is_some(),
        })
    })
}

/// The status; of a gRPC answer, the one of HTTP that means the same.
fn status_of(response: &Response<Bytes>) -> StatusCode {
    let grpc = response.headers().get("grpc-status");
    match grpc.and_then(|code| code.to_str().ok()) {
        Some("16") => StatusCode::UNAUTHORIZED,
        Some("7") => StatusCode::FORBIDDEN,
        Some("14") => StatusCode::SERVICE_UNAVAILABLE,
        Some("12") => StatusCode::NOT_FOUND,
        Some("3") => StatusCode::BAD_REQUEST,
        _ => response.status(),
    }
}

/// A gRPC answer has its challenge in the metadata, or none.
fn has_challenge(headers: &HeaderMap) -> bool {
    headers.contains_key(header::WWW_AUTHENTICATE) || headers.contains_key("grpc-status")
}

fn shown(response: &Response<Bytes>, status: StatusCode) -> String {
    match response.status() == status {
        true => status.as_u16().to_string(),
        false => format!("{} as gRPC", status.as_u16()),
    }
}

fn leaked(response: &Response<Bytes>, secrets: &[&str], shown: &str) -> Option<(Verdict, String)> {
    let place = secrets.iter().find_map(|secret| {
        let mut headers = response.headers().iter();
        if let Some((name, _)) = headers.find(|(_, value)| holds(value.as_bytes(), secret)) {
            return Some(format!("{shown}; `{name}` repeats what was sent"));
        }
        holds(response.body(), secret).then(|| format!("{shown}; the body repeats what was sent"))
    })?;
    Some((Verdict::Leaked, place))
}

/// Whether a text holds a secret, or one of the parts of a token that are long enough to be no
/// accident. The header of a token is no secret.
fn holds(text: &[u8], secret: &str) -> bool {
    const PART: usize = 24;
    let parts = secret.split('.').skip(1).filter(|part| part.len() >= PART);
    let whole = (secret.len() >= 8).then_some(secret);
    whole
        .into_iter()
        .chain(parts)
        .any(|wanted| wanted.len() <= text.len() && contains(text, wanted.as_bytes()))
}
