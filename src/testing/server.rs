//! The HTTP server of an issuer.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::behaviour::Behaviour;
use super::body::Answer;
use super::endpoint::Endpoint;
use super::endpoints;
use super::origin::is_foreign;
use super::request::RecordedRequest;
use super::shared::Shared;

/// The most connections at once; others wait.
const MAX_CONNECTIONS: usize = 4096;
/// The largest request body.
const MAX_BODY: usize = 64 * 1024;
/// How long a request may take to arrive.
const PATIENCE: Duration = Duration::from_secs(30);

/// Accepts connections until it is aborted; the connections end with it.
pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        // Out of file descriptors, say: others may be closed meanwhile.
        let Ok((stream, _)) = listener.accept().await else {
            sleep(Duration::from_millis(10)).await;
            continue;
        };
        let _ = stream.set_nodelay(true);
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            let service = service_fn(|request| answer(Arc::clone(&shared), request));
            // An error here is a client that went away, or a fault that was asked for.
            let _ = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(PATIENCE)
                .serve_connection(TokioIo::new(stream), service)
                .await;
            drop(place);
        });
        while connections.try_join_next().is_some() {}
    }
}

/// A request; an error closes the connection.
async fn answer(
    shared: Arc<Shared>,
    request: Request<Incoming>,
) -> Result<Response<Answer>, io::Error> {
    let Some(endpoint) = shared.paths.find(request.uri().path()) else {
        return Ok(empty(StatusCode::NOT_FOUND).map(Answer::Whole));
    };
    if request.method() == Method::OPTIONS {
        let answer = match is_foreign(request.headers()) {
            true => foreign(),
            false => preflight(endpoint, request.headers()),
        };
        return Ok(answer.map(Answer::Whole));
    }
    let (head, incoming) = request.into_parts();
    let received = receive(incoming).await;
    // Without an await between them: a test that sees the request counted sees it recorded.
    if let Ok(body) = &received {
        let request = RecordedRequest::new(head.clone(), body.clone());
        shared.recorder.record(endpoint, request);
    }
    shared.faults.count(endpoint);
    if is_foreign(&head.headers) {
        return Ok(foreign().map(Answer::Whole));
    }
    let proper = || match received {
        Ok(body) => endpoints::answer(&shared, endpoint, &head, &body),
        Err(status) => error(status, "invalid_request"),
    };
    let behaviour = shared.faults.next(endpoint).await;
    let mut response = match behaviour {
        Behaviour::Disconnect => return Err(io::ErrorKind::ConnectionAborted.into()),
        Behaviour::Status(status) => match StatusCode::from_u16(status) {
            Ok(status) => error(status, "temporarily_unavailable").map(Answer::Whole),
            Err(_) => broken("the status is none").map(Answer::Whole),
        },
        Behaviour::Body {
            content_type,
            bytes,
        } => body(&content_type, bytes).map(Answer::Whole),
        Behaviour::Answer {
            status,
            headers,
            bytes,
        } => match StatusCode::from_u16(status) {
            Ok(status) => {
                let mut response = Response::new(bytes.into());
                *response.status_mut() = status;
                with_headers(response, headers).map(Answer::Whole)
            }
            Err(_) => broken("the status is none").map(Answer::Whole),
        },
        Behaviour::Redirect(url) => redirect(&url).map(Answer::Whole),
        Behaviour::Delay(delay) => {
            sleep(delay).await;
            proper().map(Answer::Whole)
        }
        Behaviour::Drip => proper().map(Answer::drip),
        Behaviour::Oversize(total) => proper().map(|bytes| Answer::padded(bytes, total)),
        Behaviour::Headers(headers) => with_headers(proper(), headers).map(Answer::Whole),
        Behaviour::Normal | Behaviour::Hang | Behaviour::Times(..) => proper().map(Answer::Whole),
    };
    allow(endpoint, response.headers_mut());
    Ok(response)
}

/// Lets the page that asks read the answer; foreign ones do not get this far, nor what was
/// meant for others.
fn allow(endpoint: Endpoint, headers: &mut HeaderMap) {
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    if endpoint.is_for_scripts() {
        headers.insert(
            header::ACCESS_CONTROL_ALLOW_ORIGIN,
            HeaderValue::from_static("*"),
        );
    }
}

/// Refuses a page of another origin, which would have a token otherwise.
fn foreign() -> Response<Bytes> {
    // Silence is what makes a page of one's own on another host hard to debug.
    let mut response = endpoints::json(
        StatusCode::FORBIDDEN,
        "application/json",
        &serde_json::json!({
            "error": "access_denied",
            "error_description": "the development issuer answers pages of loopback origins only",
        }),
    );
    let headers = response.headers_mut();
    headers.insert(header::VARY, HeaderValue::from_static("Origin"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The body of a request; else the status of the refusal.
async fn receive(body: Incoming) -> Result<Bytes, StatusCode> {
    match timeout(PATIENCE, Limited::new(body, MAX_BODY).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(_)) => Err(StatusCode::PAYLOAD_TOO_LARGE),
        Err(_) => Err(StatusCode::REQUEST_TIMEOUT),
    }
}

/// Browser clients ask first. Their headers are mirrored, because `*` does not cover
/// `Authorization`.
fn preflight(endpoint: Endpoint, asked: &HeaderMap) -> Response<Bytes> {
    let mut response = empty(StatusCode::NO_CONTENT);
    let headers = response.headers_mut();
    headers.insert(header::ALLOW, endpoint.methods());
    allow(endpoint, headers);
    if endpoint.is_for_scripts() {
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, endpoint.methods());
        if let Some(names) = asked.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
            headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
        }
    }
    response
}

fn empty(status: StatusCode) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = status;
    response
}

fn error(status: StatusCode, code: &str) -> Response<Bytes> {
    endpoints::json(
        status,
        "application/json",
        &serde_json::json!({ "error": code }),
    )
}

/// A [`Behaviour`] that cannot be carried out.
fn broken(why: &str) -> Response<Bytes> {
    let text = format!("this behaviour is not possible: {why}\n");
    let mut response = Response::new(text.into());
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response
}

fn body(content_type: &str, bytes: Vec<u8>) -> Response<Bytes> {
    let Ok(content_type) = HeaderValue::try_from(content_type) else {
        return broken("the content type is no header value");
    };
    let mut response = Response::new(bytes.into());
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, content_type);
    response
}

fn redirect(url: &str) -> Response<Bytes> {
    let Ok(url) = HeaderValue::try_from(url) else {
        return broken("the URL is no header value");
    };
    let mut response = empty(StatusCode::FOUND);
    response.headers_mut().insert(header::LOCATION, url);
    response
}

fn with_headers(mut response: Response<Bytes>, headers: Vec<(String, String)>) -> Response<Bytes> {
    let mut parsed = Vec::with_capacity(headers.len());
    for (name, value) in headers {
        match (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            (Ok(name), Ok(value)) => parsed.push((name, value)),
            _ => return broken("a header has a bad name or value"),
        }
    }
    for (name, _) in &parsed {
        response.headers_mut().remove(name);
    }
    response.headers_mut().extend(parsed);
    response
}
