//! The one way out: every request of this crate goes through [`Fetch`].

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode};

/// A request, a fetch of keys, a question about a token: each of them, unless it is set.
pub(in crate::oauth) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection, unless it is set.
pub(in crate::oauth) const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Sends a request to an authorization server.
///
/// The default is [`HttpFetch`](super::HttpFetch), which knows proxies and private certificate
/// authorities. Bring your own for what it does not know, or as a test double. An
/// implementation keeps the limits of a request, follows no redirect, and returns a response of
/// any status as it is.
pub trait Fetch: fmt::Debug + Send + Sync + 'static {
    /// Sends `request`. An answer with a body larger than `max_bytes` is an error, found
    /// without reading on: a part of a key set is not one.
    fn fetch(&self, request: Request<Bytes>, max_bytes: usize) -> FetchFuture;

    /// The time limits that it keeps, as far as it tells. A layer asks when it is built, to tell of
    /// [time limits](crate::oauth#time-limits) that never take effect.
    ///
    /// Default: none is known.
    fn timeouts(&self) -> FetchTimeouts {
        FetchTimeouts::default()
    }
}

/// The time limits of a [`Fetch`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FetchTimeouts {
    /// How long a connection may take, if that is known.
    pub connect: Option<Duration>,
    /// How long a request may take, body included, if that is known.
    pub request: Option<Duration>,
}

/// The future of a fetch.
pub type FetchFuture = Pin<Box<dyn Future<Output = Result<Response<Bytes>, FetchError>> + Send>>;

/// Why there is no response.
#[derive(Debug)]
pub struct FetchError {
    text: Box<str>,
    answered: bool,
    stale: bool,
}

impl FetchError {
    /// An error with this text, which reaches traces: no secret belongs in it.
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into().into(),
            answered: false,
            stale: false,
        }
    }

    /// A connection that was kept open after an earlier request ended before any answer. The
    /// request is then made anew and sent once more, because the server may have closed the
    /// connection before it was sent.
    pub fn stale_connection(text: impl Into<String>) -> Self {
        Self {
            stale: true,
            ..Self::new(text)
        }
    }

    /// The server answered, with more than `max_bytes`. It is not taken for a server that
    /// cannot be reached: a large answer about one token says nothing of the others.
    pub fn too_large(max_bytes: usize) -> Self {
        Self {
            text: format!("the answer has more than {max_bytes} bytes").into(),
            answered: true,
            stale: false,
        }
    }

    /// Whether the request may be made anew and sent once more.
    pub(super) fn may_be_sent_again(&self) -> bool {
        self.stale
    }

    /// Whether the server was reached.
    pub(super) fn answered(&self) -> bool {
        self.answered
    }
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for FetchError {}

/// Marks a request that must not be sent over a connection that was kept open.
#[derive(Clone, Copy, Debug)]
pub(super) struct FreshConnection;

/// Sends everything over connections of its own.
#[derive(Debug)]
pub(super) struct OnFreshConnections(pub(super) Arc<dyn Fetch>);

impl Fetch for OnFreshConnections {
    fn fetch(&self, mut request: Request<Bytes>, max_bytes: usize) -> FetchFuture {
        request.extensions_mut().insert(FreshConnection);
        self.0.fetch(request, max_bytes)
    }

    fn timeouts(&self) -> FetchTimeouts {
        self.0.timeouts()
    }
}

/// The certificate authorities that alone are trusted for a request, as PEM.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct RootCertificates(pub(super) Arc<[u8]>);

impl fmt::Debug for RootCertificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RootCertificates({} bytes)", self.0.len())
    }
}

/// What goes with a request, besides what always does.
#[derive(Debug, Default)]
pub(super) struct Extras {
    /// Whether it is for a key set.
    pub(super) is_key_set: bool,
    pub(super) authorization: Option<HeaderValue>,
    pub(super) root_certificates: Option<RootCertificates>,
}

/// A document, whatever its `Content-Type` says.
pub(super) async fn get(
    place: &str,
    max_bytes: usize,
    fetch: &dyn Fetch,
    extras: &Extras,
) -> Result<Response<Bytes>, String> {
    let response = get_anything(place, max_bytes, fetch, extras).await?;
    match response.status() {
        StatusCode::OK => Ok(response),
        status => Err(format!("status {}", status.as_u16())),
    }
}

/// What is at a place, a document or not.
pub(super) async fn get_anything(
    place: &str,
    max_bytes: usize,
    fetch: &dyn Fetch,
    extras: &Extras,
) -> Result<Response<Bytes>, String> {
    let request = || {
        // Kubernetes publishes its keys by their own type, and refuses requests for others with 406.
        let accepted = match extras.is_key_set {
            true => "application/jwk-set+json, application/json",
            false => "application/json",
        };
        let mut request = Request::get(place)
            .header(http::header::ACCEPT, accepted)
            .body(Bytes::new())
            .map_err(|_| "not a URL that can be requested".to_owned())?;
        if let Some(authorization) = &extras.authorization {
            let headers = request.headers_mut();
            headers.insert(http::header::AUTHORIZATION, authorization.clone());
        }
        if let Some(roots) = &extras.root_certificates {
            request.extensions_mut().insert(roots.clone());
        }
        Ok::<_, String>(request)
    };
    let response = match fetch.fetch(request()?, max_bytes).await {
        Err(error) if error.may_be_sent_again() => {
            let mut request = request()?;
            request.extensions_mut().insert(FreshConnection);
            fetch.fetch(request, max_bytes).await
        }
        response => response,
    };
    let response = response.map_err(|error| error.to_string())?;
    if response.status() == StatusCode::OK && response.body().len() > max_bytes {
        return Err(format!("the answer has more than {max_bytes} bytes"));
    }
    Ok(response)
}
