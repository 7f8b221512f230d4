//! The HTTP client of the doctor, through which every request of it goes.
//!
//! Requests are bounded, redirects are not followed, and a public server leads to no private
//! address.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AGE, CONTENT_TYPE, DATE, HOST, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::rustls::pki_types::CertificateDer;
use url::{Position, Url};

use super::connection::{Connector, Meter};
use super::failure::Failure;
use super::stream;
use crate::clock::Clock;
use crate::oauth::{is_loopback, is_public, may_be_public};
use crate::util::http_date;

/// Of a request, from the look-up of its name to the end of the answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Of all requests together: a hostile server has no more time than this.
const TIME_FOR_ALL: Duration = Duration::from_secs(120);
/// Of a body.
const MAX_BYTES: usize = 1024 * 1024;
/// Of the pieces that a body comes in.
const MAX_PIECES: usize = 10_000;
/// Of requests that are under way.
const AT_ONCE: usize = 4;

const UNKNOWN: u8 = 0;
const PRIVATE: u8 = 1;
const PUBLIC: u8 = 2;

/// A request.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) source: UrlSource,
}

/// Where a URL comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UrlSource {
    /// It was given by who runs the doctor.
    Given,
    /// A document named it.
    Followed,
}

/// What came back.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// More came than is read.
    pub(super) is_cut: bool,
    /// How far the clock of the sender is ahead, in seconds.
    pub(super) ahead: Option<i64>,
}

pub(super) type Outcome = Result<Answer, Failure>;

impl Answer {
    pub(super) fn header(&self, name: impl http::header::AsHeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// All lines of a header, joined as RFC 9110 section 5.3 has it.
    pub(super) fn list(&self, name: impl http::header::AsHeaderName) -> String {
        let lines = self.headers.get_all(name).iter();
        let lines = lines.map(|line| String::from_utf8_lossy(line.as_bytes()));
        lines.collect::<Vec<_>>().join(", ")
    }

    /// Without its parameters, in lower case.
    pub(super) fn media_type(&self) -> String {
        let text = self.header(CONTENT_TYPE).unwrap_or_default();
        let end = text.find(';').unwrap_or(text.len());
        text[..end].trim().to_ascii_lowercase()
    }

    pub(super) fn is_redirect(&self) -> bool {
        self.status.is_redirection()
    }
}

/// See the module.
pub(super) struct Client {
    connector: Connector,
    clock: Clock,
    may_follow_private: bool,
    /// Where the server that was given is: one of the constants above. A name that leads to a
    /// public address and later to a private one stays public.
    place: AtomicU8,
    turns: Arc<Semaphore>,
    /// When the time for all requests is over.
    end: Instant,
}

/// Which addresses a request may go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    Any,
    Public,
}

impl Client {
    pub(super) fn new(
        clock: Clock,
        may_follow_private: bool,
        roots: &[CertificateDer<'static>],
    ) -> Self {
        Self {
            connector: Connector::new(&clock, roots),
            clock,
            may_follow_private,
            place: AtomicU8::new(UNKNOWN),
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            end: Instant::now() + TIME_FOR_ALL,
        }
    }

    /// Sends all, a few at a time; the outcomes are in the order of the calls.
    pub(super) async fn all(self: &Arc<Self>, calls: Vec<Call>) -> Vec<Outcome> {
        let mut outcomes: Vec<Outcome> = vec![Err(Failure::Late); calls.len()];
        let mut tasks = JoinSet::new();
        for (index, call) in calls.into_iter().enumerate() {
            let client = Arc::clone(self);
            tasks.spawn(async move { (index, client.one(call).await) });
        }
        while let Some(done) = tasks.join_next().await {
            if let Ok((index, outcome)) = done {
                outcomes[index] = outcome;
            }
        }
        outcomes
    }

    pub(super) async fn one(&self, call: Call) -> Outcome {
        let _turn = self.turns.acquire().await;
        let reach = self.reach(&call)?;
        let meter = Meter::new();
        let limit = Instant::now() + TIMEOUT;
        let answer = timeout_at(limit.min(self.end), self.send(reach, call, &meter)).await;
        answer.unwrap_or_else(|_| {
            if limit > self.end {
                return Err(Failure::Late);
            }
            let seconds = TIMEOUT.as_secs();
            let interim = meter.interim(&format!("no answer within {seconds} s"));
            Err(interim.unwrap_or(Failure::Timeout(seconds)))
        })
    }

    async fn send(&self, reach: Reach, call: Call, meter: &Arc<Meter>) -> Outcome {
        let is_get = call.method == Method::GET;
        let is_given = call.source == UrlSource::Given;
        let before = self.clock.now();
        let url = call.url.clone();
        let stream = self.connector.connect(&url, reach == Reach::Public).await?;
        if is_given && let Ok(address) = stream.peer_addr() {
            let place = match is_public(address.ip()) {
                true => PUBLIC,
                false => PRIVATE,
            };
            self.place.fetch_max(place, Ordering::Relaxed);
        }
        let request = request(call)?;
        let sent = self.connector.send(stream, &url, request, meter).await;
        let (mut response, _driver) = sent?;
        let after = self.clock.now();
        let mut answer = Answer {
            status: response.status(),
            headers: std::mem::take(response.headers_mut()),
            body: Bytes::new(),
            is_cut: false,
            ahead: None,
        };
        answer.ahead = ahead(&answer, before, after);
        let is_stream = answer.media_type() == "text/event-stream";
        // A stream that a GET opens stays open.
        if is_stream && is_get {
            return Ok(answer);
        }
        let mut body = Vec::new();
        let mut pieces = 0;
        while let Some(frame) = response.frame().await {
            match frame {
                Ok(frame) => body.extend(frame.into_data().unwrap_or_default()),
                // What came of a stream counts; of a document it does not.
                Err(_) if is_stream => break,
                Err(error) => return Err(meter.failure(&error)),
            }
            pieces += 1;
            if body.len() > MAX_BYTES || pieces > MAX_PIECES {
                body.truncate(MAX_BYTES);
                answer.is_cut = true;
                break;
            }
            if is_stream && stream::has_answer(&body) {
                break;
            }
        }
        answer.body = body.into();
        Ok(answer)
    }

    fn reach(&self, call: &Call) -> Result<Reach, Failure> {
        if call.source == UrlSource::Given {
            return Ok(Reach::Any);
        }
        match call.url.scheme() {
            "https" => {}
            "http" if is_loopback(&call.url) => {}
            _ => return Err(Failure::NotFollowed("it is not https")),
        }
        if self.may_follow_private || self.place.load(Ordering::Relaxed) == PRIVATE {
            return Ok(Reach::Any);
        }
        let is_local = is_loopback(&call.url);
        if is_local || !may_be_public(&call.url) {
            return Err(Failure::NotFollowed(
                "the server is public and this address is not (`--follow-private` asks it)",
            ));
        }
        Ok(Reach::Public)
    }
}

fn request(call: Call) -> Result<Request<Full<Bytes>>, Failure> {
    let target = &call.url[Position::BeforePath..Position::AfterQuery];
    let host = &call.url[Position::BeforeHost..Position::AfterPort];
    let refuse = |error: &dyn std::error::Error| Failure::Connection(error.to_string());
    let host = HeaderValue::try_from(host).map_err(|error| refuse(&error))?;
    let mut request = Request::builder().method(call.method).uri(target);
    if let Some(headers) = request.headers_mut() {
        headers.insert(HOST, host);
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        let agent = concat!("mcp-auth-doctor/", env!("CARGO_PKG_VERSION"));
        headers.insert(USER_AGENT, HeaderValue::from_static(agent));
        headers.extend(call.headers);
    }
    let request = request.body(Full::new(call.body));
    request.map_err(|error| refuse(&error))
}

/// By the `Date` of an answer that no cache kept.
fn ahead(answer: &Answer, before: Duration, after: Duration) -> Option<i64> {
    if answer.headers.contains_key(AGE) {
        return None;
    }
    let date = http_date(answer.header(DATE)?)?.as_secs();
    let (before, after) = (before.as_secs(), after.as_secs());
    // Within the time that the request took there is no difference.
    let nearest = date.clamp(before, after);
    i64::try_from(date).ok()?.checked_sub_unsigned(nearest)
}

/// Whether a host is a name of this machine, or an address that is not public.
pub(super) fn is_private(url: &Url) -> bool {
    let ip = url.host_str().map(|host| host.trim_matches(['[', ']']));
    let ip = ip.and_then(|host| host.parse::<IpAddr>().ok());
    is_loopback(url) || ip.is_some_and(|ip| !is_public(ip))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(url: &str, source: UrlSource) -> Call {
        Call {
            method: Method::GET,
            url: url.parse().unwrap(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            source,
        }
    }

    #[test]
    fn behind_a_public_server_private_addresses_are_not_followed() {
        const LOCAL: [&str; 5] = [
            "https://127.0.0.1/",
            "http://localhost/",
            "https://10.1.2.3/",
            "https://169.254.169.254/latest/meta-data",
            "https://[::1]/",
        ];
        let client = Client::new(Clock::system(), false, &[]);
        for url in LOCAL {
            let refused = client.reach(&call(url, UrlSource::Followed));
            assert!(matches!(refused, Err(Failure::NotFollowed(_))), "{url}");
            assert!(client.reach(&call(url, UrlSource::Given)).is_ok(), "{url}");
        }
        let named = call("https://auth.example.com/", UrlSource::Followed);
        assert_eq!(
            client.reach(&named),
            Ok(Reach::Public),
            "names are resolved with care"
        );

        let allowed = Client::new(Clock::system(), true, &[]);
        client.place.store(PRIVATE, Ordering::Relaxed);
        for client in [client, allowed] {
            for url in LOCAL {
                assert!(
                    client.reach(&call(url, UrlSource::Followed)).is_ok(),
                    "{url}"
                );
            }
            for url in [
                "http://auth.example.com/",
                "ftp://auth.example.com/",
                "file:///etc/passwd",
            ] {
                let refused = client.reach(&call(url, UrlSource::Followed));
                assert!(matches!(refused, Err(Failure::NotFollowed(_))), "{url}");
            }
        }
    }
}
