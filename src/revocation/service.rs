//! `RevocationService`: entries over HTTP.

use std::convert::Infallible;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::RETRY_AFTER;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body::Body;
use tower_service::Service;

use super::error::RevokeErrorKind;
use super::{Revocation, document};
use crate::credential::RequestHead;
use crate::error::{AuthError, ConfigError};
use crate::gate::own_body;
use crate::refusal::{
    self, Answer, Caller, RefusalForm, misdirected, posted, posted_badly, read_posted, refuse,
};
use crate::requirement::{Requirement, ScopeHierarchy, Verdict, shortfall};
use crate::scope::Scopes;
use crate::telemetry::{self, Case, Stage};

/// The media type of its bodies.
const JSON: &str = "application/json";

impl Revocation {
    /// A service that takes entries over HTTP, from callers with all of these scopes, separated
    /// by spaces; see [the service](crate::revocation#revocation-service).
    ///
    /// ```
    /// use axum::Router;
    /// use tower_mcp_auth::OAuthLayer;
    /// use tower_mcp_auth::revocation::Revocation;
    ///
    /// let revocation = Revocation::in_memory();
    /// let oauth = OAuthLayer::new("https://mcp.example.com/mcp", "https://auth.example.com")?;
    /// let app: Router = Router::new()
    ///     .route_service("/revoke", revocation.revocation_service("mcp:revoke")?)
    ///     .layer(oauth.revocation(revocation));
    /// # let _ = app;
    /// # Ok::<(), tower_mcp_auth::ConfigError>(())
    /// ```
    ///
    /// # Errors
    /// No scope is named, or one that RFC 6749 does not allow.
    pub fn revocation_service(&self, scopes: &str) -> Result<RevocationService, ConfigError> {
        let scopes = Scopes::configured(scopes.split_ascii_whitespace());
        let scopes =
            scopes.map_err(|error| ConfigError::new("revocation_service", error.to_string()))?;
        if scopes.is_empty() {
            return Err(ConfigError::new(
                "revocation_service",
                "without a scope every caller could revoke everything; name one",
            ));
        }
        Ok(RevocationService {
            revocation: self.clone(),
            needs: Arc::new(scopes.into()),
        })
    }
}

/// Takes entries over HTTP; made by
/// [`revocation_service`](Revocation::revocation_service).
///
/// It refuses every request that no auth layer let in with the scopes.
#[derive(Clone)]
pub struct RevocationService {
    revocation: Revocation,
    /// One for all clones, by which decisions are told apart.
    needs: Arc<Requirement>,
}

impl RevocationService {
    /// The answer to a request that goes no further.
    fn judge(&self, head: RequestHead<'_>) -> Option<Response<Bytes>> {
        let Some(caller) = Caller::of(head.extensions()) else {
            telemetry::no_auth_layer("RevocationService");
            return Some(refusal::no_auth_layer());
        };
        let case = Case::new(Stage::Handler, caller.principal).by(&*self.needs);
        let refuse = |error| {
            let form = RefusalForm::of(head);
            Some(refuse(error, caller.context, form, head, case))
        };
        let hierarchy = ScopeHierarchy::default();
        let needs = std::iter::once(&*self.needs);
        // One with a credential that a layer only reported is none.
        let judged = caller.judged().filter(|_| caller.principal.is_some());
        // It needs scopes and nothing else, so that no other verdict lacks any.
        let of_layer = &caller.context.strength;
        let lacking = match Requirement::judge(needs, of_layer, judged, &hierarchy) {
            Verdict::Granted => {
                case.accepted(head, &caller.context.audit);
                return None;
            }
            Verdict::Lacking(lacking) => lacking,
            Verdict::TooWeak { .. } | Verdict::Denied | Verdict::Excluded => Scopes::default(),
        };
        match (caller.principal, caller.reported) {
            (Some(principal), _) => {
                let detail = shortfall(&lacking, principal);
                let error = AuthError::insufficient_scope(lacking).with_detail(detail);
                refuse(error.with_principal(principal))
            }
            (None, Some(reported)) => refuse(reported.clone().with_scopes(lacking)),
            (None, None) => {
                let error = AuthError::missing().with_scopes(lacking);
                refuse(error.with_detail(
                    "the revocation service needs a principal, and the request was let through \
                     without a credential",
                ))
            }
        }
    }

    async fn revoke(&self, body: &[u8]) -> Response<Bytes> {
        let entry = match document::read(body) {
            Ok(entry) => entry,
            Err(why) => return posted_badly(StatusCode::BAD_REQUEST, "invalid_request", &why),
        };
        let Err(error) = self.revocation.revoke(entry).await else {
            return posted(StatusCode::NO_CONTENT);
        };
        match error.kind() {
            RevokeErrorKind::Full => {
                posted_badly(StatusCode::CONFLICT, "revocations_full", &error.to_string())
            }
            RevokeErrorKind::NotShared => {
                let mut response = posted_badly(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "temporarily_unavailable",
                    "it holds at this replica; others hear of it when their store answers again",
                );
                let headers = response.headers_mut();
                headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
                response
            }
            RevokeErrorKind::InTheFuture | RevokeErrorKind::Invalid => posted_badly(
                StatusCode::BAD_REQUEST,
                "invalid_request",
                &error.to_string(),
            ),
        }
    }
}

impl<B> Service<Request<B>> for RevocationService
where
    B: Body + Send + 'static,
    B::Data: Send,
{
    type Response = Response<RevocationBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let refused = self.judge(RequestHead::of(&request));
        let refused = refused.or_else(|| misdirected(request.method(), request.headers(), JSON));
        let service = self.clone();
        Box::pin(async move {
            let response = match refused {
                Some(response) => {
                    let mut answer = Answer::to(request, response);
                    poll_fn(|cx| answer.poll(cx)).await
                }
                None => match read_posted(request.into_body()).await {
                    Ok(body) => service.revoke(&body).await,
                    Err(response) => response,
                },
            };
            Ok(RevocationBody::of(response))
        })
    }
}

impl fmt::Debug for RevocationService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RevocationService")
            .field("needs", &self.needs)
            .finish_non_exhaustive()
    }
}

own_body! {
    /// The body of a [`RevocationService`]'s response.
    RevocationBody
}
