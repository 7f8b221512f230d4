//! The one way out of the doctor: bounded requests, no redirects, and no private address behind
//! a public server.

use std::error::Error;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{AGE, CONTENT_TYPE, DATE};
use http::{HeaderMap, Method, StatusCode};
use reqwest::Certificate;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use url::Url;

use super::stream;
use crate::clock::Clock;
use crate::oauth::{PublicAddresses, is_loopback, is_public, may_be_public};
use crate::util::{http_date, one_line};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_secs(10);
/// Of all requests together: a hostile server has no more time than this.
const TIME_FOR_ALL: Duration = Duration::from_secs(120);
/// Of a body.
const MAX_BYTES: usize = 1024 * 1024;
/// Of requests that are under way.
const AT_ONCE: usize = 4;
/// Of what is told of a failure, in characters.
const MOST_TOLD: usize = 256;

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

/// Why nothing came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// It was not sent: the address is not one to follow.
    NotFollowed(&'static str),
    /// The certificate, or what else is of TLS.
    Tls(String),
    Connection(String),
    Timeout,
    /// The time for all requests was over.
    Late,
}

impl Failure {
    pub(super) fn text(&self) -> String {
        match self {
            Self::NotFollowed(why) => format!("not asked: {why}"),
            // A certificate is a text of the server's.
            Self::Tls(why) => format!("TLS: {}", one_line(why, MOST_TOLD)),
            Self::Connection(why) => format!("no connection: {}", one_line(why, MOST_TOLD)),
            Self::Timeout => format!("no answer within {} s", TIMEOUT.as_secs()),
            Self::Late => "the two minutes for all requests are over".to_owned(),
        }
    }
}

pub(super) type Outcome = Result<Answer, Failure>;

impl Answer {
    pub(super) fn header(&self, name: impl http::header::AsHeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// All lines of a header, joined as RFC 9110 section 5.3 has it.
    pub(super) fn list(&self, name: impl http::header::AsHeaderName) -> String {
        let lines = self.headers.get_all(name).iter();
        let lines: Vec<&str> = lines.filter_map(|line| line.to_str().ok()).collect();
        lines.join(", ")
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
    any: reqwest::Client,
    public: reqwest::Client,
    clock: Clock,
    may_follow_private: bool,
    /// Where the server that was given is: one of the constants below. A name that leads to a
    /// public address and later to a private one stays public.
    place: AtomicU8,
    turns: Arc<Semaphore>,
    /// When the time for all requests is over.
    end: Instant,
}

impl Client {
    pub(super) fn new(
        clock: Clock,
        may_follow_private: bool,
        roots: &[Certificate],
    ) -> Result<Self, String> {
        let builder = || {
            let builder = reqwest::Client::builder()
                .redirect(reqwest::redirect::Policy::none())
                .referer(false)
                .no_proxy()
                .connect_timeout(CONNECT_TIMEOUT)
                .timeout(TIMEOUT)
                .user_agent(concat!("mcp-auth-doctor/", env!("CARGO_PKG_VERSION")));
            match roots.is_empty() {
                true => builder,
                false => builder.tls_certs_merge(roots.iter().cloned()),
            }
        };
        let built = |builder: reqwest::ClientBuilder| builder.build().map_err(|e| innermost(&e));
        Ok(Self {
            any: built(builder())?,
            public: built(builder().dns_resolver(Arc::new(PublicAddresses)))?,
            clock,
            may_follow_private,
            place: AtomicU8::new(UNKNOWN),
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            end: Instant::now() + TIME_FOR_ALL,
        })
    }

    /// Sends all, a few at a time; the outcomes are in the order of the calls.
    pub(super) async fn all(self: &Arc<Self>, calls: Vec<Call>) -> Vec<Outcome> {
        let mut outcomes: Vec<Outcome> = vec![Err(Failure::Timeout); calls.len()];
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
        let client = self.client_for(&call)?;
        timeout_at(self.end, self.send(client, call))
            .await
            .unwrap_or(Err(Failure::Late))
    }

    async fn send(&self, client: &reqwest::Client, call: Call) -> Outcome {
        let is_get = call.method == Method::GET;
        let is_given = call.source == UrlSource::Given;
        let before = self.clock.now();
        let request = client
            .request(call.method, call.url)
            .headers(call.headers)
            .body(call.body);
        let mut response = request.send().await.map_err(failure)?;
        let after = self.clock.now();
        if is_given && let Some(address) = response.remote_addr() {
            let place = if is_public(address.ip()) {
                PUBLIC
            } else {
                PRIVATE
            };
            self.place.fetch_max(place, Ordering::Relaxed);
        }
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
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => break,
                // What came of a stream counts; of a document it does not.
                Err(_) if is_stream => break,
                Err(error) => return Err(failure(error)),
            }
            if body.len() > MAX_BYTES {
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

    fn client_for(&self, call: &Call) -> Result<&reqwest::Client, Failure> {
        if call.source == UrlSource::Given {
            return Ok(&self.any);
        }
        match call.url.scheme() {
            "https" => {}
            "http" if is_loopback(&call.url) => {}
            _ => return Err(Failure::NotFollowed("it is not https")),
        }
        if self.may_follow_private || self.place.load(Ordering::Relaxed) == PRIVATE {
            return Ok(&self.any);
        }
        let is_local = is_loopback(&call.url);
        if is_local || !may_be_public(&call.url) {
            return Err(Failure::NotFollowed(
                "the server is public and this address is not (`--follow-private` asks it)",
            ));
        }
        Ok(&self.public)
    }
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

fn failure(error: reqwest::Error) -> Failure {
    if error.is_timeout() {
        return Failure::Timeout;
    }
    let why = innermost(&error.without_url());
    match why.contains("certificate") || why.contains("Tls") || why.contains("TLS") {
        true => Failure::Tls(why),
        false => Failure::Connection(why),
    }
}

fn innermost(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
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
    fn why_nothing_came_back_is_one_line_that_is_cut() {
        // Certificates name thousands of hosts, as they like.
        let nasty = "\u{1b}[2J\n".repeat(10_000);
        for failure in [Failure::Tls(nasty.clone()), Failure::Connection(nasty)] {
            let text = failure.text();
            assert!(
                text.len() < 400 && !text.contains(char::is_control),
                "{text:?}"
            );
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
        let client = Client::new(Clock::system(), false, &[]).unwrap();
        for url in LOCAL {
            let refused = client.client_for(&call(url, UrlSource::Followed));
            assert!(matches!(refused, Err(Failure::NotFollowed(_))), "{url}");
            assert!(
                client.client_for(&call(url, UrlSource::Given)).is_ok(),
                "{url}"
            );
        }
        let named = call("https://auth.example.com/", UrlSource::Followed);
        let chosen = client.client_for(&named).unwrap();
        assert!(
            std::ptr::eq(chosen, &raw const client.public),
            "names are resolved with care"
        );

        let allowed = Client::new(Clock::system(), true, &[]).unwrap();
        client.place.store(PRIVATE, Ordering::Relaxed);
        for client in [client, allowed] {
            for url in LOCAL {
                assert!(
                    client.client_for(&call(url, UrlSource::Followed)).is_ok(),
                    "{url}"
                );
            }
            for url in [
                "http://auth.example.com/",
                "ftp://auth.example.com/",
                "file:///etc/passwd",
            ] {
                let refused = client.client_for(&call(url, UrlSource::Followed));
                assert!(matches!(refused, Err(Failure::NotFollowed(_))), "{url}");
            }
        }
    }
}
