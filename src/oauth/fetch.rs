//! The one way out: every request of this crate goes through [`Fetch`].

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};

use super::public_addresses::{PublicAddresses, may_be_public};

/// Sends a request to an authorization server.
///
/// The default is [`HttpFetch`]. Bring your own for a proxy, a private certificate
/// authority, or a test double. An implementation keeps the limits of a request, follows
/// no redirect, and returns a response of any status as it is.
pub trait Fetch: fmt::Debug + Send + Sync + 'static {
    /// Sends `request`. An answer whose body is larger than `max_bytes` is an error, found
    /// without reading on: a part of a key set is not one.
    fn fetch(&self, request: Request<Bytes>, max_bytes: usize) -> Fetching;
}

/// The future of a fetch.
pub type Fetching = Pin<Box<dyn Future<Output = Result<Response<Bytes>, FetchError>> + Send>>;

/// Why there is no response.
#[derive(Debug)]
pub struct FetchError {
    text: Box<str>,
    answered: bool,
}

impl FetchError {
    /// An error with this text, which reaches traces: no secret belongs in it.
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into().into(),
            answered: false,
        }
    }

    /// The server answered, with more than `max_bytes`. It is not taken for a server that
    /// cannot be reached: a large answer about one token says nothing of the others.
    pub fn too_large(max_bytes: usize) -> Self {
        Self {
            text: format!("the answer has more than {max_bytes} bytes").into(),
            answered: true,
        }
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

/// The default [`Fetch`]: HTTPS with the system's root certificates, no redirects, no
/// compression, no cookies; 2 s to connect, 5 s in all, and a body over its limit refused whole.
///
/// Proxies are taken from the environment (`HTTPS_PROXY`, `NO_PROXY`).
#[derive(Debug)]
#[must_use]
pub struct HttpFetch {
    connect_timeout: Duration,
    timeout: Duration,
    public_addresses_only: bool,
    /// Made at the first request: reading root certificates is no work for a constructor.
    client: OnceLock<reqwest::Client>,
}

impl Default for HttpFetch {
    fn default() -> Self {
        Self::new()
    }
}

impl HttpFetch {
    /// A client with the defaults.
    pub fn new() -> Self {
        Self {
            connect_timeout: Duration::from_secs(2),
            timeout: Duration::from_secs(5),
            public_addresses_only: false,
            client: OnceLock::new(),
        }
    }

    /// How long a connection may take; default 2 s.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long a request may take, body included; default 5 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Refuses addresses that are not public: loopback, private and link-local ones, those
    /// of cloud metadata services among them. Default off.
    ///
    /// Meant for servers whose issuers are configured by tenants. Proxies are not used then,
    /// because a proxy would do the resolving.
    pub fn public_addresses_only(mut self) -> Self {
        self.public_addresses_only = true;
        self
    }

    fn client(&self) -> Result<&reqwest::Client, FetchError> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .connect_timeout(self.connect_timeout)
            .timeout(self.timeout)
            .user_agent(concat!("tower-mcp-auth/", env!("CARGO_PKG_VERSION")));
        let client = if self.public_addresses_only {
            client.no_proxy().dns_resolver(Arc::new(PublicAddresses))
        } else {
            client
        };
        let client = client
            .build()
            .map_err(|error| FetchError::new(format!("no HTTP client: {}", chain(&error))))?;
        Ok(self.client.get_or_init(|| client))
    }
}

impl Fetch for HttpFetch {
    fn fetch(&self, request: Request<Bytes>, max_bytes: usize) -> Fetching {
        let client = self.client().cloned();
        let public_only = self.public_addresses_only;
        Box::pin(async move {
            let request = reqwest::Request::try_from(request).map_err(fetch_error)?;
            if public_only && !may_be_public(request.url()) {
                return Err(FetchError::new("the address is not public"));
            }
            let mut response = client?.execute(request).await.map_err(fetch_error)?;
            if response
                .content_length()
                .is_some_and(|length| length > max_bytes as u64)
            {
                return Err(FetchError::too_large(max_bytes));
            }
            let mut body = Vec::new();
            while let Some(chunk) = response.chunk().await.map_err(fetch_error)? {
                if body.len() + chunk.len() > max_bytes {
                    return Err(FetchError::too_large(max_bytes));
                }
                body.extend_from_slice(&chunk);
            }
            let mut answer = Response::new(Bytes::from(body));
            *answer.status_mut() = response.status();
            *answer.headers_mut() = std::mem::take(response.headers_mut());
            Ok(answer)
        })
    }
}

/// A document, whatever its `Content-Type` says.
pub(super) async fn get(
    place: &str,
    max_bytes: usize,
    fetch: &dyn Fetch,
) -> Result<Response<Bytes>, String> {
    let request = Request::get(place)
        .header(http::header::ACCEPT, "application/json")
        .body(Bytes::new())
        .map_err(|_| "not a URL that can be requested".to_owned())?;
    let response = fetch
        .fetch(request, max_bytes)
        .await
        .map_err(|error| error.to_string())?;
    if response.status() != StatusCode::OK {
        return Err(format!("status {}", response.status().as_u16()));
    }
    if response.body().len() > max_bytes {
        return Err(format!("the answer has more than {max_bytes} bytes"));
    }
    Ok(response)
}

fn fetch_error(error: reqwest::Error) -> FetchError {
    let what = if error.is_timeout() {
        "timed out"
    } else if error.is_connect() {
        "no connection"
    } else {
        "failed"
    };
    // The URL is named by the caller, who knows whether it may be.
    FetchError::new(format!("{what}: {}", chain(&error.without_url())))
}

/// The innermost cause: reqwest's own text says only that something went wrong.
fn chain(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}
