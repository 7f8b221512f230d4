//! Principals for unit tests of handlers.

use std::sync::Arc;

use http::Extensions;

use crate::clock::Clock;
use crate::principal::Principal;
use crate::refusal::{Cause, NoPrincipal};
use crate::refusal::{Challenge, RefusalContext};

/// Puts `principal` where a layer puts it that accepted a credential, so that a handler can
/// be tested without a layer.
///
/// It works on the extensions of a request, of its [`Parts`](http::request::Parts), or of a
/// tonic request. What is refused further in for want of scopes is refused with a plain
/// `Bearer` challenge.
///
/// ```
/// use http::Request;
/// use tower_mcp_auth::Principal;
/// use tower_mcp_auth::testing::insert_principal;
///
/// let mut request = Request::new(());
/// let alice = Principal::builder("oauth").subject("alice").build();
/// insert_principal(request.extensions_mut(), alice);
///
/// let found = Principal::from_extensions(request.extensions()).and_then(Principal::subject);
/// assert_eq!(found, Some("alice"));
/// ```
pub fn insert_principal(extensions: &mut Extensions, principal: Principal) {
    extensions.remove::<NoPrincipal>();
    extensions.insert(principal.with_context(context()));
}

/// Marks a request as one that a layer let through without a credential: an exempt path,
/// or a layer whose authentication is optional.
///
/// ```
/// use http::Request;
/// use tower_mcp_auth::Principal;
/// use tower_mcp_auth::testing::insert_anonymous;
///
/// let mut request = Request::new(());
/// insert_anonymous(request.extensions_mut());
/// assert!(Principal::from_extensions(request.extensions()).is_none());
/// ```
pub fn insert_anonymous(extensions: &mut Extensions) {
    extensions.remove::<Principal>();
    extensions.insert(NoPrincipal {
        context: context(),
        cause: Cause::Anonymous,
        error: None,
        proven: None,
    });
}

fn context() -> Arc<RefusalContext> {
    let challenges = vec![Challenge::bearer()];
    Arc::new(RefusalContext::new(challenges, Clock::system()))
}
