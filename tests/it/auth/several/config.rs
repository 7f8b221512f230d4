//! Combinations that would let a credential reach the wrong provider are not built.

use std::sync::Arc;
use std::time::Duration;

use tower_mcp_auth::api_key::ApiKeyScheme;
use tower_mcp_auth::auth::ProviderInfo;
use tower_mcp_auth::auth::{
    AuthLayer, Authenticate, Authenticated, Authentication, CredentialMatcher, Either, SseEndpoints,
};
use tower_mcp_auth::jose::Secret;
use tower_mcp_auth::{
    ApiKeyLayer, Clock, ConfigError, Credential, JwtLayer, Location, OAuthLayer, Principal,
    RequestHead,
};

use crate::auth::several::network::{ISSUER, RESOURCE};
use crate::auth::several::support::*;
use common::{Answering, SECRET, clock};

/// Both ways round, and in combinations of three.
#[track_caller]
fn refused(one: &Layer, other: &Layer, setting: &str, words: &[&str]) {
    let spare = Answering::accepting().locations([Location::bare("x-spare".parse().unwrap())]);
    let spare = AuthLayer::new(spare).boxed();
    let spared = |layer: &Layer| -> Result<Layer, ConfigError> {
        Ok(layer.clone().or(spare.clone())?.boxed())
    };
    for error in [
        one.clone().or(other.clone()).err(),
        other.clone().or(one.clone()).err(),
        Either::new(Arc::clone(one.provider()), Arc::clone(other.provider())).err(),
    ] {
        let error = error.expect("refused");
        assert_eq!(error.setting(), setting, "{error}");
        for word in words {
            assert!(error.to_string().contains(word), "{word}: {error}");
        }
    }
    if let Ok(nested) = spared(one) {
        assert_eq!(nested.or(other.clone()).unwrap_err().setting(), setting);
    }
}

fn accepted(one: &Layer, other: &Layer) {
    let _ = one.clone().or(other.clone()).unwrap();
    let _ = other.clone().or(one.clone()).unwrap();
}

#[derive(Clone, Debug)]
struct Badges(Vec<CredentialMatcher>);

impl Authenticate for Badges {
    fn describe(&self) -> ProviderInfo {
        let matchers = self.0.iter().cloned();
        matchers.fold(ProviderInfo::new("badge"), ProviderInfo::matcher)
    }
    fn authenticate(&self, _: &Credential<'_>, _: RequestHead<'_>) -> Authentication {
        Authentication::Ready(Ok(Authenticated::new(Principal::builder("badge").build())))
    }
}

#[test]
fn keys_among_bearer_tokens_need_a_prefix_no_token_has() {
    let (web, clock) = (web(), clock());
    let oauth = oauth(&web, &clock).boxed();
    let jwt = jwt(JWT_ISSUER, &clock).boxed();
    let keys = |prefix: Option<&str>| {
        let key = format!("{}0123456789abcdef", prefix.unwrap_or("sk-"));
        let keys = ApiKeyLayer::new([key]).unwrap().clock(clock.clone());
        let keys = keys.authorization_scheme(ApiKeyScheme::Bearer).unwrap();
        match prefix {
            Some(prefix) => keys.prefix(prefix).unwrap().boxed(),
            None => keys.boxed(),
        }
    };
    for beside in [&oauth, &jwt] {
        let words = ["api_key takes anything", "prefix", "authorization: Bearer"];
        refused(&keys(None), beside, "prefix", &words);
        for begins_a_jwt in ["e", "ey", "eyJ", "eyJhbGciOiJI", "ewog"] {
            refused(
                &keys(Some(begins_a_jwt)),
                beside,
                "prefix",
                &["a JWT can begin"],
            );
        }
        for fine in ["acme_", "sk-", "enterprise_", "E"] {
            accepted(&keys(Some(fine)), beside);
        }
    }
    let prefixed = introspection().token_prefix("tok_").unwrap();
    let oauth = oauth_with(&web, &clock, prefixed).boxed();
    for overlapping in ["tok_", "tok_key_", "t"] {
        refused(
            &keys(Some(overlapping)),
            &oauth,
            "prefix",
            &["oauth", "api_key"],
        );
    }
    accepted(&keys(Some("acme_")), &oauth);
    // The issue is the place, not the scheme of the challenge.
    let other_scheme = ApiKeyLayer::new([KEY]).unwrap().clock(clock.clone());
    let other_scheme = other_scheme
        .authorization_scheme(ApiKeyScheme::ApiKey)
        .unwrap();
    accepted(&other_scheme.boxed(), &oauth);
}

#[test]
fn jwts_need_disjoint_issuers() {
    let (web, clock) = (web(), clock());
    let anonymous = JwtLayer::builder(Secret::new(SECRET).unwrap()).clock(clock.clone());
    let anonymous = anonymous.build().unwrap().boxed();
    let own = |issuer| jwt(issuer, &clock).boxed();
    let oauth = oauth(&web, &clock).boxed();
    refused(
        &anonymous,
        &oauth,
        "issuer",
        &["JWTs of any issuer", "oauth", "jwt"],
    );
    refused(&anonymous, &anonymous, "issuer", &["jwt"]);
    refused(&own(ISSUER), &oauth, "issuer", &[ISSUER]);
    refused(&own(JWT_ISSUER), &own(JWT_ISSUER), "issuer", &[JWT_ISSUER]);
    refused(&own(JWT_ISSUER), &anonymous, "issuer", &["any issuer"]);
    accepted(&own(JWT_ISSUER), &oauth);
    accepted(&own(JWT_ISSUER), &own("https://other.example.com"));
    // In a header of its own any token is told by where it stands.
    let elsewhere = JwtLayer::builder(Secret::new(SECRET).unwrap())
        .header_name("x-token")
        .clock(clock.clone());
    accepted(&elsewhere.build().unwrap().boxed(), &oauth);
    // One reads the whole header, the other a scheme in it.
    let whole = JwtLayer::builder(Secret::new(SECRET).unwrap())
        .require_bearer(false)
        .issuer(JWT_ISSUER)
        .clock(clock.clone());
    refused(
        &whole.build().unwrap().boxed(),
        &oauth,
        "header_name",
        &["`authorization`"],
    );
}

#[test]
fn providers_of_users_own_say_their_shapes() {
    let (web, clock) = (web(), Clock::system());
    let oauth = oauth(&web, &clock).boxed();
    let badges = |matchers: Vec<CredentialMatcher>| AuthLayer::new(Badges(matchers)).boxed();
    // Without a word they take everything.
    refused(&badges(vec![]), &oauth, "prefix", &["badge takes anything"]);
    refused(
        &AuthLayer::new(Answering::accepting()).boxed(),
        &oauth,
        "prefix",
        &["test takes"],
    );
    let at = Location::bearer;
    refused(
        &badges(vec![CredentialMatcher::opaque(at())]),
        &oauth,
        "token_prefix",
        &["any opaque token"],
    );
    let empty = CredentialMatcher::prefixed(at(), "");
    refused(&badges(vec![empty]), &oauth, "prefix", &["anything"]);
    refused(
        &badges(vec![CredentialMatcher::any_jwt(at())]),
        &oauth,
        "issuer",
        &["any issuer"],
    );
    accepted(
        &badges(vec![CredentialMatcher::prefixed(at(), "badge-")]),
        &oauth,
    );
    accepted(
        &badges(vec![CredentialMatcher::jwt_from(at(), [JWT_ISSUER])]),
        &oauth,
    );
    // Schemes compare without regard to case.
    let lower = Location::scheme(http::header::AUTHORIZATION, "bearer");
    let lower = AuthLayer::new(Badges(vec![CredentialMatcher::any(lower)])).boxed();
    refused(&lower, &oauth, "prefix", &["badge"]);
}

#[test]
fn keys_without_the_prefix_are_refused_when_they_are_configured() {
    let other = "sk_YW5vdGhlci1rZXktZm9yLXRlc3Rz";
    let error = ApiKeyLayer::new([KEY, other])
        .unwrap()
        .prefix("acme_")
        .unwrap_err();
    assert_eq!(error.setting(), "prefix");
    assert!(error.to_string().contains("1 of 2 keys"), "{error}");
    assert!(!error.to_string().contains("YW5v"), "{error}");

    let layer = ApiKeyLayer::new([KEY]).unwrap().prefix("acme_").unwrap();
    assert_eq!(
        layer.keys().replace([other]).unwrap_err().setting(),
        "prefix"
    );
    let generated = tower_mcp_auth::api_key::ApiKey::generate("other").unwrap();
    for key in [
        generated.to_api_key(),
        tower_mcp_auth::api_key::ApiKey::new(generated.expose()).unwrap(),
    ] {
        assert!(layer.keys().replace([key.clone()]).is_err());
        assert!(ApiKeyLayer::new([key]).unwrap().prefix("other_").is_ok());
    }
}

#[test]
fn common_settings_that_differ_are_refused_by_name() {
    let clock = clock();
    let keys = || keys(&clock);
    let other = || keys().header_name("x-other").unwrap();
    type Change = fn(ApiKeyLayer) -> ApiKeyLayer;
    let changes: [(&str, Change); 11] = [
        (
            "dangerously_report_only",
            ApiKeyLayer::dangerously_report_only,
        ),
        ("optional", ApiKeyLayer::optional),
        ("public_path", |keys| keys.public_path("/health").unwrap()),
        ("public_path", ApiKeyLayer::dangerously_public_root),
        ("sse_endpoints", |keys| {
            keys.sse_endpoints(SseEndpoints::new().sse(true)).unwrap()
        }),
        ("forbidden_query_names", |keys| {
            keys.forbidden_query_names(["token"]).unwrap()
        }),
        ("forward_credential", |keys| keys.forward_credential(true)),
        ("grpc_refusals", |keys| keys.grpc_refusals(false)),
        ("stream_grace", |keys| {
            keys.stream_grace(Duration::from_secs(1))
        }),
        ("stream_max_life", |keys| {
            keys.stream_max_life(Duration::from_secs(1)).unwrap()
        }),
        (
            "dangerously_streams_outlive_credentials",
            ApiKeyLayer::dangerously_streams_outlive_credentials,
        ),
    ];
    for (setting, change) in changes {
        for error in [
            change(keys()).or(other()).err(),
            keys().or(change(other())).err(),
        ] {
            assert_eq!(error.expect(setting).setting(), setting);
        }
        let _ = change(keys()).or(change(other())).expect(setting);
    }
    let observe = |keys: ApiKeyLayer, reasons: [&str; 2]| {
        let observing = keys.dangerously_report_only_for(reasons);
        observing.unwrap()
    };
    let one = observe(keys(), ["expired", "unknown_key"]);
    let two = observe(other(), ["unknown_key", "expired"]);
    let _ = one.or(two).expect("the order of reasons says nothing");
    let error = keys().or(other().clock(Clock::system())).unwrap_err();
    assert_eq!(error.setting(), "clock");
    let _ = keys().or(other()).unwrap();
}

#[test]
fn one_layer_protects_one_resource() {
    let web = web();
    let oauth = |resource, issuer| OAuthLayer::new(resource, issuer).unwrap().boxed();
    let other = "https://other.example.com";
    let (mcp, admin) = (
        oauth(RESOURCE, ISSUER),
        oauth("https://mcp.example.com/admin", other),
    );
    refused(&mcp, &admin, "resource", &["/mcp", "/admin", "oauth"]);
    refused(
        &mcp,
        &oauth(RESOURCE, other),
        "resource",
        &["OAuthLayer::builder"],
    );
    let provider = Answering::accepting().resource_path("/mcp");
    let badge = Location::bare("x-badge".parse().unwrap());
    accepted(&mcp, &AuthLayer::new(provider.locations([badge])).boxed());
    drop(web);

    // What one protects, the combination does not open.
    let keys = ApiKeyLayer::new([KEY]).unwrap();
    let layer = keys.or(OAuthLayer::new(RESOURCE, ISSUER).unwrap()).unwrap();
    assert_eq!(
        layer.public_path("/mcp").unwrap_err().setting(),
        "public_path"
    );
}
