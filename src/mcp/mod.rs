//! Layers that know MCP.

mod key;
pub mod origin;
mod sealer;
pub mod session;
mod version;

pub use self::key::MacKey;
pub use self::origin::OriginLayer;
pub use self::sealer::{PrincipalSealer, RequestDigest, SealError};
pub use self::session::SessionBindingLayer;

use bytes::Bytes;
use http::Response;

use crate::auth;
use crate::credential::RequestHead;
use crate::error::AuthError;
use crate::principal::refusal_context;
use crate::refusal;

/// Refuses a request as the auth layer around would; 500 where there is none.
fn refuse(error: AuthError, head: RequestHead<'_>) -> Response<Bytes> {
    match refusal_context(head.extensions()) {
        Some(context) => auth::refuse(error, context, head),
        None => refusal::internal_error(),
    }
}
