//! `Principal` as an extractor of axum.

use axum_core::body::Body;
use axum_core::extract::{FromRequestParts, OptionalFromRequestParts};
use axum_core::response::{IntoResponse, Response};
use http::request::Parts;

use crate::error::AuthError;
use crate::principal::Principal;
use crate::refusal::Caller;
use crate::refusal::{self, refuse};
use crate::telemetry::{self, Case, Stage};

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
        let case = Case::new(Stage::Handler, caller.known());
        let response = refuse(error, caller.context, (&*parts).into(), case);
        Err(PrincipalRejection::new(response))
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
