//! An authorization server's metadata, copied to the origin of the resource.
//!
//! Clients of MCP 2025-03-26 look there.

mod keep;

use std::collections::HashSet;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Method, Request, Response};
use tower_service::Service;

pub(super) use self::keep::{Known, ServerMetadata};
use super::metadata::{MetadataBody, looks_for_metadata, other_than_get};
use super::served::Resources;
use super::{AuthorizationServer, OAuthLayerBuilder};
use crate::auth::Route;
use crate::credential::RequestHead;
use crate::error::{AuthError, ConfigError, Reason};
use crate::refusal;

/// Where clients look for the metadata of an authorization server
/// ([RFC 8414 section 3](https://www.rfc-editor.org/rfc/rfc8414#section-3)).
const PLACE: &str = "/.well-known/oauth-authorization-server";

/// Of which server there is a copy.
#[derive(Clone, Debug)]
pub(super) enum CopyOf {
    TheOnlyServer,
    Named(String),
}

impl OAuthLayerBuilder {
    /// Serves a copy of the authorization server's metadata at
    /// `/.well-known/oauth-authorization-server`; default off.
    ///
    /// For clients of MCP 2025-03-26, which take the MCP server for the authorization server and look
    /// there. Newer ones find the server by the metadata of the resource. Those that compare the
    /// `issuer` of the copy with the place it is at refuse it, as
    /// [RFC 8414 section 3.3](https://www.rfc-editor.org/rfc/rfc8414#section-3.3) has it. Clients of
    /// that revision name no `resource` to the server, which must issue tokens for this one
    /// nevertheless.
    ///
    /// The document is that of the server that clients are sent to
    /// ([`advertised_as`](AuthorizationServer::advertised_as)), byte by byte, once its `issuer` is
    /// found to be that one. It is fetched when it is asked for first, from where discovery looks
    /// ([`max_document_bytes`](super::JwksOptions::max_document_bytes), no redirects), kept as long as
    /// what discovery found ([`rediscovery`](super::JwksOptions::rediscovery), 1 h), and fetched anew
    /// before that is over. All that ask meanwhile share one fetch. While the server cannot be asked,
    /// the last copy is served for [`stale_if_error`](super::JwksOptions::stale_if_error) longer, then
    /// 503 with `Retry-After`; where it has no metadata, 404. Nothing of a request takes part in what
    /// is fetched.
    ///
    /// What looks for metadata below that path goes on to the inner service without a credential, as
    /// below the metadata of the resource: a 401 there would send clients in circles. Where there are
    /// several resources it is 404.
    ///
    /// The path must reach the layer: inside `nest` and `nest_service` mount
    /// [`server_metadata_service`](super::OAuthLayer::server_metadata_service).
    ///
    /// # Errors
    /// [`build`](Self::build) fails where there are several servers: say which, with
    /// [`copy_server_metadata_of`](Self::copy_server_metadata_of). So it does where one of several
    /// resources does not trust the server, and beside a
    /// [`header_name`](Self::header_name) that clients send no tokens in.
    pub fn copy_server_metadata(mut self) -> Self {
        self.copy_of = Some(CopyOf::TheOnlyServer);
        self
    }

    /// The same of the server with this issuer.
    ///
    /// # Errors
    /// [`build`](Self::build) fails where there is no such server, where one of several resources does
    /// not trust it, and beside a
    /// [`header_name`](Self::header_name) that clients send no tokens in.
    pub fn copy_server_metadata_of(mut self, issuer: impl Into<String>) -> Self {
        self.copy_of = Some(CopyOf::Named(issuer.into()));
        self
    }
}

impl CopyOf {
    pub(super) fn setting(&self) -> &'static str {
        match self {
            Self::TheOnlyServer => "copy_server_metadata",
            Self::Named(_) => "copy_server_metadata_of",
        }
    }

    /// Where clients of that server are sent.
    pub(super) fn server<'s>(
        &self,
        servers: &'s [AuthorizationServer],
    ) -> Result<&'s str, ConfigError> {
        let refuse = |why: String| Err(ConfigError::new(self.setting(), why));
        let is_meant = |server: &&AuthorizationServer| match self {
            Self::TheOnlyServer => true,
            Self::Named(issuer) => server.issuer() == issuer || *server.origin.issuer == **issuer,
        };
        let meant = servers.iter().filter(is_meant);
        let advertised = meant.filter(|server| server.is_advertised);
        let found: HashSet<&str> = advertised.map(AuthorizationServer::advertised).collect();
        let mut found = found.into_iter();
        match (found.next(), found.next(), self) {
            (Some(only), None, _) => Ok(only),
            (None, _, Self::Named(issuer)) => {
                refuse(format!("clients are sent to no server with the issuer {issuer:?}"))
            }
            (None, ..) => refuse(
                "clients are sent to no server of this layer, so there is nothing to copy: leave it \
                 out"
                .to_owned(),
            ),
            _ => refuse(
                "there are several servers, and one document: say which with \
                 `copy_server_metadata_of`"
                    .to_owned(),
            ),
        }
    }
}

/// What a request for the copy gets.
enum Answer {
    Now(Response<Bytes>),
    Later(Pin<Box<dyn Future<Output = Response<Bytes>> + Send>>),
}

/// Answers a request at the place of the copy.
fn answer(copy: &Arc<ServerMetadata>, method: &Method) -> Answer {
    if let Some(response) = other_than_get(method) {
        return Answer::Now(response);
    }
    match copy.known() {
        Known::Now(known) => Answer::Now(known.respond(method)),
        Known::Later(known) => {
            let method = method.clone();
            Answer::Later(Box::pin(async move { known.await.respond(&method) }))
        }
    }
}

/// Whether a request is refused for its host: at one that is none there is no copy either.
pub(super) fn is_of_host(error: &AuthError) -> bool {
    error.as_reason() != Reason::UNKNOWN_RESOURCE
}

/// Where a request goes, if that is below the place of the copy: a client that looks for metadata is
/// not to be sent looking for metadata.
pub(super) fn route(copy: &Arc<ServerMetadata>, head: RequestHead<'_>) -> Option<Route> {
    let below = head.uri().path().strip_prefix(PLACE)?;
    match below {
        "" | "/" => Some(match answer(copy, head.method()) {
            Answer::Now(response) => Route::Document(response),
            Answer::Later(response) => Route::Pending(response),
        }),
        _ if !below.starts_with('/') => None,
        // The inner service may have metadata of servers of its own.
        _ if looks_for_metadata(head) => Some(Route::Public),
        _ => Some(Route::Unknown),
    }
}

/// Serves the copy of an authorization server's metadata at whatever path it is mounted on.
///
/// Mount it outermost, at `/.well-known/oauth-authorization-server`, wherever the layer itself does
/// not see that path. It is 404 without
/// [`copy_server_metadata`](OAuthLayerBuilder::copy_server_metadata), and 421 at a host of none of
/// several resources.
#[derive(Clone, Debug)]
pub struct ServerMetadataService {
    pub(super) copy: Option<Arc<ServerMetadata>>,
    pub(super) resources: Arc<Resources>,
}

impl<B> Service<Request<B>> for ServerMetadataService {
    type Response = Response<MetadataBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let answer = match (&self.copy, self.resources.route(RequestHead::of(&request))) {
            (None, _) => Answer::Now(refusal::no_document()),
            (Some(_), Route::Refused(error)) if is_of_host(&error) => {
                Answer::Now(refusal::of_document(error))
            }
            (Some(copy), _) => answer(copy, request.method()),
        };
        Box::pin(async {
            Ok(MetadataBody::of(match answer {
                Answer::Now(response) => response,
                Answer::Later(response) => response.await,
            }))
        })
    }
}
