//! Extractors of axum: `Principal` and `Claims`.

use axum_core::body::Body;
use axum_core::extract::{FromRequestParts, OptionalFromRequestParts};
use axum_core::response::{IntoResponse, Response};
use http::request::Parts;
use serde::de::DeserializeOwned;

use crate::credential::RequestHead;
use crate::error::{AuthError, Reason};
use crate::principal::Principal;
use crate::refusal::{self, Caller, RefusalForm, refuse};
use crate::telemetry::{self, Case, Stage};
use crate::util::quoted;

/// What a handler that asks for a [`Principal`] answers when there is none.
///
/// On a request that an auth layer let through without a credential this is 401 with the
/// layer's challenge; where no auth layer ran it is a logged 500.
#[derive(Debug)]
pub struct PrincipalRejection(Response);

impl IntoResponse for PrincipalRejection {
    fn into_response(self) -> Response {
        self.0
    }
}

impl PrincipalRejection {
    pub(crate) fn no_auth_layer(piece: &'static str) -> Self {
        telemetry::no_auth_layer(piece);
        Self(refusal::no_auth_layer().map(Body::from))
    }

    pub(crate) fn new(response: http::Response<bytes::Bytes>) -> Self {
        Self(response.map(Body::from))
    }

    /// Rejects a request that an auth layer let through.
    fn refused(error: AuthError, caller: Caller<'_>, parts: &Parts) -> Self {
        let head = RequestHead::from(parts);
        let case = Case::new(Stage::Handler, caller.known());
        let form = RefusalForm::of(head);
        Self::new(refuse(error, caller.context, form, head, case))
    }
}

impl<S: Sync> FromRequestParts<S> for Principal {
    type Rejection = PrincipalRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, PrincipalRejection> {
        if let Some(principal) = parts.extensions.get::<Self>() {
            return Ok(principal.clone());
        }
        let caller = Caller::of(&parts.extensions)
            .ok_or_else(|| PrincipalRejection::no_auth_layer("Principal"))?;
        let error = caller.reported.cloned().unwrap_or_else(|| {
            AuthError::missing().with_detail(
                "the handler takes a `Principal`, and the request was let through without a \
                 credential: its path is public, or credentials are optional",
            )
        });
        Err(PrincipalRejection::refused(error, caller, parts))
    }
}

/// The claims of the caller, as a type of your own.
///
/// A request without a principal is rejected as it is by [`Principal`]. Claims that do not fit `T`
/// are rejected with 403 `insufficient_claims` and without a challenge: another token of the same
/// issuer would not fit either.
///
/// ```
/// use axum::{Router, routing::get};
/// use serde::Deserialize;
/// use tower_mcp_auth::Claims;
///
/// #[derive(Deserialize)]
/// struct Tenant {
///     tenant: String,
/// }
///
/// async fn handler(Claims(Tenant { tenant }): Claims<Tenant>) -> String {
///     format!("hello {tenant}")
/// }
///
/// let app: Router = Router::new().route("/", get(handler));
/// # let _ = app;
/// ```
// Handlers take it apart in their arguments.
#[allow(clippy::exhaustive_structs)]
#[derive(Clone, Copy, Debug)]
pub struct Claims<T>(pub T);

impl<S: Sync, T: DeserializeOwned> FromRequestParts<S> for Claims<T> {
    type Rejection = PrincipalRejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, PrincipalRejection> {
        let principal: Principal =
            <Principal as FromRequestParts<S>>::from_request_parts(parts, state).await?;
        let error = match principal.claims_as() {
            Ok(claims) => return Ok(Self(claims)),
            Err(error) => AuthError::new(Reason::INSUFFICIENT_CLAIMS).with_detail(format!(
                "the claims do not fit: {}",
                quoted(&error.to_string())
            )),
        };
        let Some(caller) = Caller::of(&parts.extensions) else {
            return Err(PrincipalRejection::no_auth_layer("Claims"));
        };
        Err(PrincipalRejection::refused(error, caller, parts))
    }
}

impl<S: Sync> OptionalFromRequestParts<S> for Principal {
    type Rejection = PrincipalRejection;

    async fn from_request_parts(
        parts: &mut Parts,
        _: &S,
    ) -> Result<Option<Self>, PrincipalRejection> {
        if let Some(principal) = parts.extensions.get::<Self>() {
            return Ok(Some(principal.clone()));
        }
        match Caller::of(&parts.extensions) {
            Some(_) => Ok(None),
            None => Err(PrincipalRejection::no_auth_layer("Principal")),
        }
    }
}
