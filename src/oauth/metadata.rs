//! Serving the metadata document: by the layer itself, and as a service of its own.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{
    ACCEPT, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_MAX_AGE, ALLOW, CACHE_CONTROL, CONTENT_LENGTH,
    CONTENT_TYPE,
};
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use serde_json::{Map, Value};
use tower_service::Service;

use super::resource::{SCOPES, WELL_KNOWN};
use super::served::Resources;
use crate::auth::Route;
use crate::credential::RequestHead;
use crate::gate::own_body;
use crate::refusal::Advertised;
use crate::resources::is_unambiguous;

/// A document and the paths it is at.
#[derive(Clone, Debug)]
pub(super) struct MetadataDocument {
    /// Those below the well-known one, without a slash at the end.
    paths: Arc<[Box<str>]>,
    /// The others. There are none as a rule, and a request is compared with nothing then.
    elsewhere: Arc<[Box<str>]>,
    /// Without announced scopes.
    members: Arc<Map<String, Value>>,
    advertised: Advertised,
}

impl MetadataDocument {
    pub(super) fn new(
        paths: &[String],
        members: Map<String, Value>,
        advertised: Advertised,
    ) -> Self {
        let paths = paths.iter().map(|path| without_slash(path));
        let (below, elsewhere): (Vec<_>, Vec<_>) = paths.partition(|path| is_well_known(path));
        let kept = |paths: Vec<&str>| paths.into_iter().map(Box::from).collect();
        Self {
            paths: kept(below),
            elsewhere: kept(elsewhere),
            members: Arc::new(members),
            advertised,
        }
    }

    fn json(&self) -> Bytes {
        let scopes = self.advertised.scopes();
        let mut members = Map::clone(&self.members);
        if !scopes.is_empty() {
            members.insert(SCOPES.to_owned(), scopes.iter().collect());
        }
        Value::Object(members).to_string().into()
    }

    /// Where a request goes. An unknown path below the well-known one is 404, never 401: a client
    /// that looks for metadata is not to be sent looking for metadata. What looks for the metadata
    /// of another resource goes on, because the inner service may have them.
    pub(super) fn route(&self, head: RequestHead<'_>) -> Route {
        let path = head.uri().path();
        let is_below = is_well_known(path);
        let own = match is_below {
            true => &self.paths,
            false if self.elsewhere.is_empty() => return Route::Default,
            false => &self.elsewhere,
        };
        let path = without_slash(path);
        if own.iter().any(|own| **own == *path) {
            return Route::Document(self.serve(head.method(), false));
        }
        if !is_below {
            return Route::Default;
        }
        match looks_for_metadata(head) {
            true => Route::Public,
            false => Route::Unknown,
        }
    }

    /// `by_proxy`: what a proxy said of the request chose the document, so that caches must not
    /// keep it for others.
    pub(super) fn serve(&self, method: &Method, by_proxy: bool) -> Response<Bytes> {
        let caching = if by_proxy {
            "no-store"
        } else {
            "public, max-age=3600"
        };
        let caching = HeaderValue::from_static(caching);
        other_than_get(method).unwrap_or_else(|| document(method, self.json(), caching))
    }
}

/// The answer to a request that does not ask for the document at its place: a preflight, or what
/// cannot be done there.
pub(super) fn other_than_get(method: &Method) -> Option<Response<Bytes>> {
    const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, OPTIONS");
    match *method {
        Method::GET | Method::HEAD => None,
        Method::OPTIONS => {
            let mut response = status(StatusCode::NO_CONTENT);
            let headers = response.headers_mut();
            headers.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
            // The `MCP-Protocol-Version` of browser clients forces a preflight.
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("*"));
            headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("3600"));
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
            Some(response)
        }
        _ => {
            let mut response = status(StatusCode::METHOD_NOT_ALLOWED);
            response.headers_mut().insert(ALLOW, METHODS);
            Some(response)
        }
    }
}

/// A document, or its headers alone.
pub(super) fn document(method: &Method, json: Bytes, cached: HeaderValue) -> Response<Bytes> {
    let length = HeaderValue::from(json.len());
    let mut response = Response::new(json);
    if *method == Method::HEAD {
        *response.body_mut() = Bytes::new();
        response.headers_mut().insert(CONTENT_LENGTH, length);
    }
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, cached);
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response
}

pub(super) fn is_well_known(path: &str) -> bool {
    let below = path.strip_prefix(WELL_KNOWN);
    below.is_some_and(|below| below.is_empty() || below.starts_with('/'))
}

/// Whether a request below the well-known path is one for metadata, to every reader. A service
/// that looks at no path, as those of MCP do, must not take it for another one: a message is a
/// POST, a stream is accepted as one, and a session is named.
pub(super) fn looks_for_metadata(head: RequestHead<'_>) -> bool {
    const NAMES_A_SESSION: [HeaderName; 2] = [
        HeaderName::from_static("mcp-session-id"),
        HeaderName::from_static("last-event-id"),
    ];
    let (path, headers) = (head.uri().path(), head.headers());
    let streams = |value: &HeaderValue| {
        let value = value.as_bytes().to_ascii_lowercase();
        let mut windows = value.windows(EVENT_STREAM.len());
        windows.any(|window| window == EVENT_STREAM)
    };
    matches!(*head.method(), Method::GET | Method::HEAD)
        && is_unambiguous(path)
        && !NAMES_A_SESSION
            .iter()
            .any(|name| headers.contains_key(name))
        && !headers.get_all(ACCEPT).iter().any(streams)
}

const EVENT_STREAM: &[u8] = b"event-stream";

fn without_slash(path: &str) -> &str {
    path.strip_suffix('/').unwrap_or(path)
}

fn status(status: StatusCode) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = status;
    response
}

/// Serves the metadata document of a resource at whatever path it is mounted on. Where the layer
/// has several resources, host and path of a request choose the document.
///
/// Mount it outermost, at [`OAuthLayer::metadata_path`](super::OAuthLayer::metadata_path),
/// wherever the layer itself does not see that path: inside `nest`, `nest_service` and
/// `route_layer`. It is 404 where clients bring no tokens
/// ([`header_name`](super::OAuthLayerBuilder::header_name)).
#[derive(Clone, Debug)]
pub struct MetadataService {
    pub(super) resources: Arc<Resources>,
}

impl<B> Service<Request<B>> for MetadataService {
    type Response = Response<MetadataBody>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let response = self.resources.document(RequestHead::of(&request));
        ready(Ok(MetadataBody::of(response)))
    }
}

own_body! {
    /// The body of a response with metadata.
    MetadataBody
}
