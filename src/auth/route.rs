//! `Route`: where a request goes.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::Response;

use crate::error::AuthError;
use crate::resource::Resource;

/// A document that needs waiting. It is dropped with the request, so work that others wait for as
/// well belongs in a task of its own.
pub type DocumentFuture = Pin<Box<dyn Future<Output = Response<Bytes>> + Send + 'static>>;

/// Where a request goes, before a credential is read.
#[non_exhaustive]
pub enum Route {
    /// To the one resource of the provider, or wherever it was sent: authentication goes on.
    Default,
    /// To this resource, which refusals then name.
    Resource(Arc<Resource>),
    /// To a document that the provider serves itself: the response, without authentication.
    Document(Response<Bytes>),
    /// The same, where the response is known later.
    Pending(DocumentFuture),
    /// To a document that the inner service may have, and that clients look for before they have
    /// a credential. The request goes on without one. A 401 of the inner service becomes a 404
    /// without a challenge.
    Public,
    /// Nowhere: 404, without a challenge.
    Unknown,
    /// To no resource: the request is refused for this, unless it needs no credential.
    Refused(AuthError),
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("Default"),
            Self::Resource(resource) => f.debug_tuple("Resource").field(resource).finish(),
            Self::Document(response) => f.debug_tuple("Document").field(response).finish(),
            Self::Pending(_) => f.write_str("Pending"),
            Self::Refused(error) => f.debug_tuple("Refused").field(error).finish(),
            Self::Public => f.write_str("Public"),
            Self::Unknown => f.write_str("Unknown"),
        }
    }
}

/// What a [`ResourceSet`](crate::ResourceSet) chose.
impl From<Result<Arc<Resource>, AuthError>> for Route {
    fn from(chosen: Result<Arc<Resource>, AuthError>) -> Self {
        match chosen {
            Ok(resource) => Self::Resource(resource),
            Err(error) => Self::Refused(error),
        }
    }
}
