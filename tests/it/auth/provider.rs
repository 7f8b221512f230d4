//! What a provider of one's own says of itself, and where it sends requests.

use std::sync::Arc;

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderName, Response, StatusCode};
use tower::{ServiceBuilder, ServiceExt};
use tower_mcp_auth::auth::AuthLayer;
use tower_mcp_auth::provider::*;

use common::{Inner, ask, request, request_to, trace};

const PROOF: HeaderName = HeaderName::from_static("dpop");

/// What is sent where, by the beginning of its path.
#[derive(Clone, Debug)]
struct Router {
    name: &'static str,
    header: &'static str,
    routes: Vec<(&'static str, To)>,
    consumes: bool,
}

#[derive(Clone, Copy, Debug)]
enum To {
    Public,
    Unknown,
    Document,
    /// A document that is there when it is asked for once more.
    Later,
    Resource,
}

fn router(name: &'static str, header: &'static str, routes: &[(&'static str, To)]) -> Router {
    Router {
        name,
        header,
        routes: routes.to_vec(),
        consumes: false,
    }
}

impl Authenticate for Router {
    fn describe(&self) -> ProviderInfo {
        let location = Location::bare(HeaderName::from_static(self.header));
        let info = ProviderInfo::new(self.name).matcher(CredentialMatcher::any(location));
        match self.consumes {
            true => info.consumed_header(PROOF),
            false => info,
        }
    }

    fn route(&self, head: RequestHead<'_>) -> Route {
        let path = head.uri().path();
        let found = self
            .routes
            .iter()
            .find(|(begin, _)| path.starts_with(begin));
        match found.map(|(_, to)| to) {
            None => Route::Default,
            Some(To::Public) => Route::Public,
            Some(To::Unknown) => Route::Unknown,
            Some(To::Document) => Route::Document(Response::new(Bytes::from_static(b"document"))),
            Some(To::Later) => Route::Pending(Box::pin(async {
                tokio::task::yield_now().await;
                Response::new(Bytes::from_static(b"document"))
            })),
            Some(To::Resource) => {
                let resource = Resource::new(format!("https://mcp.example.com{path}"));
                Route::Resource(Arc::new(resource))
            }
        }
    }

    fn authenticate(&self, credential: &Credential<'_>, _: RequestHead<'_>) -> Authentication {
        Authentication::Ready(match credential.value() {
            "good" => Ok(Principal::builder("badge").subject("alice").build().into()),
            _ => Err(AuthError::new(Reason::UNKNOWN_API_KEY).with_detail("not good")),
        })
    }
}

#[tokio::test]
async fn a_consumed_header_is_removed_like_the_credential() {
    let provider = Router {
        consumes: true,
        ..router("badge", "x-badge", &[])
    };
    let layer = AuthLayer::new(provider).optional();
    let forwarding = layer.clone().forward_credential(true);
    let reporting = forwarding.clone().dangerously_report_only();
    let good = [("x-badge", "good"), ("dpop", "proof")];
    let bad = [("x-badge", "bad"), ("dpop", "proof")];
    let none = [("dpop", "proof")];

    for headers in [&good[..], &none] {
        let answer = ask(&layer, request(headers)).await;
        assert!(!answer.admitted().headers.contains_key(PROOF));
        let answer = ask(&forwarding, request(headers)).await;
        let kept = &answer.admitted().headers;
        assert!(kept.get(PROOF).is_some_and(|proof| proof.is_sensitive()));
    }
    let answer = ask(&reporting, request(&bad)).await;
    assert!(answer.admitted().headers.get(PROOF).is_none());
}

/// Who reads of `Bearer` puts a token into `Authorization: Bearer`, and nowhere else.
#[tokio::test]
async fn a_challenge_that_is_derived_leads_to_the_place_that_is_read() {
    #[derive(Clone, Debug)]
    struct At(Location);

    impl Authenticate for At {
        fn describe(&self) -> ProviderInfo {
            ProviderInfo::new("at").matcher(CredentialMatcher::any(self.0.clone()))
        }

        fn authenticate(&self, _: &Credential<'_>, _: RequestHead<'_>) -> Authentication {
            unreachable!("no credential is sent")
        }
    }

    let badge = HeaderName::from_static("x-badge");
    for (location, challenge) in [
        (Location::bearer(), "Bearer"),
        (Location::scheme(AUTHORIZATION, "bearer"), "Bearer"),
        (
            Location::scheme(AUTHORIZATION, "ApiKey"),
            r#"ApiKey header="authorization""#,
        ),
        (
            Location::scheme(badge.clone(), "Bearer"),
            r#"ApiKey header="x-badge""#,
        ),
        (Location::bare(badge), r#"ApiKey header="x-badge""#),
    ] {
        let layer = AuthLayer::new(At(location));
        let answer = ask(&layer, request::<&str>(&[])).await;
        assert_eq!(answer.challenges(), [challenge]);
    }
}

#[tokio::test]
async fn a_document_of_either_provider_is_served() {
    let one = |document: To| {
        [
            ("/known", document),
            ("/open", To::Public),
            ("/no", To::Unknown),
        ]
    };
    let other = |document: To| {
        [
            ("/open/document", document),
            ("/no/document", document),
            ("/known", To::Unknown),
        ]
    };
    for (one, other) in [
        (one(To::Document), other(To::Document)),
        (other(To::Document), one(To::Document)),
        (one(To::Later), other(To::Later)),
        (other(To::Later), one(To::Later)),
    ] {
        let one = AuthLayer::new(router("one", "x-one", &one));
        let other = AuthLayer::new(router("other", "x-other", &other));
        let both = one.or(other).unwrap();
        for path in ["/known", "/open/document", "/no/document"] {
            let answer = ask(&both, request_to::<&str>(path, &[])).await;
            assert_eq!(&answer.body[..], b"document", "{path}");
        }
        let answer = ask(&both, request_to::<&str>("/open/other", &[])).await;
        answer.admitted();
        let answer = ask(&both, request_to::<&str>("/no/other", &[])).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
    }
}

#[tokio::test]
async fn a_layer_that_is_there_twice_says_so_once_whatever_resource_was_chosen() {
    trace::start();
    for forward in [false, true] {
        let layer = AuthLayer::new(router("badge", "x-badge", &[("/mcp", To::Resource)]));
        let layer = layer.forward_credential(forward);
        let twice = ServiceBuilder::new().layer(layer.clone()).layer(layer);
        for _ in 0..3 {
            let request = request(&[("x-badge", "good")]);
            let service = twice.clone().service(Inner::default());
            service.oneshot(request).await.unwrap();
        }
        let events = trace::take();
        let is_of_two = |event: &&trace::Traced| event.field("message").contains("stands twice");
        assert_eq!(events.iter().filter(is_of_two).count(), 1, "{events:?}");
    }
}
