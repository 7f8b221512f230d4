//! What the targets share.

pub mod json;

use bytes::Bytes;
use futures_util::FutureExt;
use http::{Request, Response};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use tower::{Service, ServiceExt};
use tower_mcp_auth::provider::*;

/// Calls a service that never waits. The body of the answer was read to its end.
pub fn call<S, Q, B>(service: S, request: Request<Q>) -> Response<Bytes>
where
    S: Service<Request<Q>, Response = Response<B>>,
    S::Error: std::fmt::Debug,
    B: Body<Data = Bytes>,
    B::Error: std::fmt::Debug,
{
    let response = service.oneshot(request).now_or_never();
    let response = response.expect("it does not wait").expect("an answer");
    response.map(|body| {
        let body = body.collect().now_or_never();
        let body = body.expect("it does not wait");
        body.expect("a body").to_bytes()
    })
}

/// The error of a refusal.
pub fn refused<B>(response: &Response<B>) -> Option<&AuthError> {
    response.extensions().get()
}

/// A response with nothing in it.
pub fn empty() -> Response<Full<Bytes>> {
    Response::new(Full::default())
}

/// A provider that accepts what it is shown, as a principal of that name.
#[derive(Clone, Debug)]
pub struct Anybody(pub Vec<Location>);

impl Authenticate for Anybody {
    fn describe(&self) -> ProviderInfo {
        let challenge = Challenge::bearer().resource_metadata("https://fuzz.example/metadata");
        let info = ProviderInfo::new("fuzz").challenge(challenge);
        let places = self.0.iter().cloned().map(CredentialMatcher::any);
        places.fold(info, ProviderInfo::matcher)
    }

    fn authenticate(&self, credential: &Credential<'_>, _: RequestHead<'_>) -> Authentication {
        let principal = Principal::builder("fuzz")
            .subject(credential.value())
            .client_id(credential.location().to_string())
            .build();
        Authentication::Ready(Ok(Authenticated::new(principal)))
    }
}
