//! Several resources: what one provider accepts at those that another one chooses.

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use serde_json::json;
use tower_mcp_auth::api_key::{
    ApiKey, ApiKeyStore, CachedApiKeyStore, GeneratedKey, KeyFile, KeyLookup, LookupFuture,
};
use tower_mcp_auth::auth::AuthLayer;
use tower_mcp_auth::oauth::{OAuthLayerBuilder, ProtectedResource};
use tower_mcp_auth::provider::*;
use tower_mcp_auth::{ApiKeyLayer, ConfigError, OAuthLayer, Reported, ResourceSet, Tenants};

use crate::auth::several::support::*;
use crate::oauth::support::{ISSUER, Web};
use common::{Answer, ask, request_to};

const A: &str = "https://a.example.com/mcp";
const B: &str = "https://b.example.com/mcp";
const MISMATCH: &str = "api_key_resource_mismatch";
const UNNAMED: &str = "api_key_without_resources";

/// Providers behind one layer go by one clock.
fn clock() -> Clock {
    static CLOCK: LazyLock<Clock> = LazyLock::new(common::clock);
    CLOCK.clone()
}

fn built(web: &Web, builder: OAuthLayerBuilder) -> OAuthLayer {
    let builder = builder.authorization_server(ISSUER).unwrap();
    builder.clock(clock()).fetch(web.clone()).build().unwrap()
}

/// For `A` and `B`.
fn oauth_for_two(web: &Web) -> OAuthLayer {
    built(web, OAuthLayer::builder(A).unwrap().resource(B).unwrap())
}

fn new_key() -> GeneratedKey {
    ApiKey::generate("acme").unwrap()
}

fn keys_of(keys: impl IntoIterator<Item = ApiKey>) -> ApiKeyLayer {
    ApiKeyLayer::new(keys).unwrap().clock(clock())
}

fn named(new: &GeneratedKey, resources: &[&str]) -> ApiKey {
    new.to_api_key().owner("ci").resources(resources).unwrap()
}

fn asked(host: &str, path: &str, credential: (&str, &str)) -> Request<Full<Bytes>> {
    request_to(path, &[("host", host), credential])
}

async fn with_key(layer: &Layer, host: &str, path: &str, key: &str) -> Answer {
    ask(layer, asked(host, path, ("x-api-key", key))).await
}

/// In either order, and with a third one on either side.
fn combined<P, Q>(
    one: impl Into<AuthLayer<P>>,
    other: impl Into<AuthLayer<Q>>,
) -> Vec<Result<Layer, ConfigError>>
where
    P: Authenticate + Clone,
    Q: Authenticate + Clone,
{
    let (one, other) = (one.into().boxed(), other.into().boxed());
    let third = || AuthLayer::new(Badges::judging("x-third")).boxed();
    let both = |left: Layer, right: Layer| Ok(left.or(right)?.boxed());
    let (a, b) = (|| one.clone(), || other.clone());
    vec![
        both(a(), b()),
        both(b(), a()),
        both(a(), third()).and_then(|left| both(left, b())),
        both(b(), third()).and_then(|left| both(left, a())),
        both(third(), a()).and_then(|right| both(b(), right)),
        both(third(), b()).and_then(|right| both(a(), right)),
    ]
}

/// Accepts `badge-of.URL` at that resource, and everything where it does not judge.
#[derive(Clone, Debug)]
struct Badges {
    header: &'static str,
    judges: bool,
    selects: bool,
    /// What it chooses for each request.
    chosen: Option<&'static str>,
    /// What it chooses from.
    set: Option<ResourceSet>,
}

impl Badges {
    fn new(header: &'static str) -> Self {
        Self {
            header,
            judges: false,
            selects: false,
            chosen: None,
            set: None,
        }
    }

    fn judging(header: &'static str) -> Self {
        Self {
            judges: true,
            ..Self::new(header)
        }
    }
}

impl Authenticate for Badges {
    fn describe(&self) -> ProviderInfo {
        let location = Location::bare(self.header.parse().unwrap());
        let mut info = ProviderInfo::new("badge").matcher(CredentialMatcher::any(location));
        if self.judges {
            info = info.judges_resources();
        }
        if self.selects {
            info = info.selects_resources([Resource::new(A), Resource::new(B)]);
        }
        if let Some(set) = &self.set {
            info = info.selects_resources(set.listed().cloned());
        }
        info.clock(clock())
    }

    fn route(&self, head: RequestHead<'_>) -> Route {
        match (self.chosen, &self.set) {
            (Some(url), _) => Route::Resource(Arc::new(Resource::new(url))),
            (None, Some(set)) => set.choose(head).into(),
            (None, None) => Route::Default,
        }
    }

    fn authenticate(&self, credential: &Credential<'_>, head: RequestHead<'_>) -> Authentication {
        let host = head.resource().map_or("", |resource| resource.url());
        let host = host.trim_start_matches("https://").split('.').next();
        let is_for = Some(credential.value()) == host;
        Authentication::Ready(match is_for || !self.judges {
            true => Ok(Principal::builder("badge").subject("bob").build().into()),
            false => Err(common::invalid("other_badge")),
        })
    }
}

#[tokio::test]
async fn keys_beside_several_resources_are_good_at_those_they_name() {
    let web = web();
    let (of_a, of_both) = (new_key(), new_key());
    let keys = keys_of([named(&of_a, &[A]), named(&of_both, &[A, B])]);
    let oauth = oauth_for_two(&web);
    for layer in combined(oauth.clone(), keys.clone()) {
        let layer = layer.unwrap();
        for _ in 0..2 {
            for (host, url, reason) in [("a.example.com", A, ""), ("b.example.com", B, MISMATCH)] {
                let answer = with_key(&layer, host, "/mcp", of_a.expose()).await;
                match reason {
                    "" => assert_eq!(answer.principal().resource().unwrap().url(), url),
                    reason => answer.invalid(reason),
                }
                let answer = with_key(&layer, host, "/mcp", of_both.expose()).await;
                assert_eq!(answer.principal().resource().unwrap().url(), url);

                // Tokens are judged as ever, and challenges lead to the metadata of this one.
                let token = SIGNER.token(json!({ "aud": url }));
                let token = ("authorization", &*format!("Bearer {token}"));
                let answer = ask(&layer, asked(host, "/mcp", token)).await;
                assert_eq!(answer.principal().provider(), "oauth");
                let answer = ask(&layer, request_to("/mcp", &[("host", host)])).await;
                let metadata = format!("https://{host}/.well-known/oauth-protected-resource/mcp");
                assert!(answer.challenges()[0].contains(&metadata), "{answer:?}");
            }
        }
        for (host, path, status) in [
            ("c.example.com", "/mcp", 421),
            ("a.example.com", "/", 404),
            ("a.example.com.", "/mcp", 400),
        ] {
            let answer = with_key(&layer, host, path, of_both.expose()).await;
            assert_eq!(answer.error().status(), status, "{host}{path}");
        }
    }
}

#[tokio::test]
async fn a_key_of_one_tenant_is_none_of_another() {
    let tenants = Tenants::new(["acme", "globex", "acme-2"]).unwrap();
    let template =
        ProtectedResource::from_template("https://mcp.example.com/{tenant}/mcp", tenants);
    let web = web();
    let oauth = built(&web, OAuthLayer::builder(template.unwrap()).unwrap());
    let new = new_key();
    let keys = keys_of([named(&new, &["https://mcp.example.com/acme/mcp"])]);
    let layer = oauth.or(keys).unwrap().boxed();
    for (path, status) in [
        ("/acme/mcp", 200),
        ("/acme/mcp/messages", 200),
        ("/globex/mcp", 401),
        ("/acme-2/mcp", 401),
        ("/ACME/mcp", 404),
        ("/hooli/mcp", 404),
        ("/{tenant}/mcp", 404),
        ("/acme/mcp/../../globex/mcp", 404),
        ("/%61cme/mcp", 404),
        ("/globex/mcp/acme/mcp", 401),
    ] {
        let answer = with_key(&layer, "mcp.example.com", path, new.expose()).await;
        assert_eq!(answer.status, status, "{path}");
        if status == 401 {
            answer.invalid(MISMATCH);
        }
    }
    // A resource is named by itself, not by its template.
    let template =
        ProtectedResource::from_template("https://{t}.example.com", Tenants::new(["a"]).unwrap());
    let error = new.to_api_key().resources([template.unwrap()]).unwrap_err();
    assert!(error.to_string().contains("tenant"), "{error}");
    let plain = ProtectedResource::new(A).unwrap();
    new.to_api_key().resources([&plain]).unwrap();
}

#[test]
fn a_key_that_names_no_resource_does_not_stand_beside_several() {
    let web = web();
    let (of_a, of_none) = (new_key(), new_key());
    let unnamed = of_none.to_api_key().name("build server");
    let keys = keys_of([named(&of_a, &[A]), unnamed]);
    for refused in combined(oauth_for_two(&web), keys.clone()) {
        let error = refused.map(drop).expect_err("refused");
        assert_eq!(error.setting(), "resources", "{error}");
        let text = error.to_string();
        for word in [
            "oauth",
            "api_key",
            "number 2 of 2",
            of_none.id(),
            "build server",
            "`ApiKey::resources`",
            "`dangerously_all_resources`",
        ] {
            assert!(text.contains(word), "{word}: {text}");
        }
        assert!(!text.contains(&of_none.expose()[18..]), "{text}");
    }
    for made in combined(oauth_for_two(&web), keys.dangerously_all_resources()) {
        let _ = made.unwrap();
    }
}

#[tokio::test]
async fn a_key_without_names_is_good_at_all_resources_where_that_was_said() {
    let web = web();
    let (of_a, of_none) = (new_key(), new_key());
    let keys = keys_of([named(&of_a, &[A]), of_none.to_api_key()]).dangerously_all_resources();
    for layer in combined(oauth_for_two(&web), keys) {
        let layer = layer.unwrap();
        for host in ["a.example.com", "b.example.com"] {
            let answer = with_key(&layer, host, "/mcp", of_none.expose()).await;
            assert_eq!(answer.principal().provider(), "api_key");
        }
        with_key(&layer, "b.example.com", "/mcp", of_a.expose())
            .await
            .invalid(MISMATCH);
    }
}

#[tokio::test]
async fn keys_of_stores_are_judged_when_they_come_and_those_of_a_file_before() {
    #[derive(Debug)]
    struct Store(ApiKey);

    impl ApiKeyStore for Store {
        fn find(&self, _: KeyLookup) -> LookupFuture {
            let key = self.0.clone();
            Box::pin(async move { Ok(Some(key)) })
        }
    }

    let web = web();
    let new = new_key();
    let path = std::env::temp_dir().join(format!("beside-{}.json", std::process::id()));
    let text = json!({ "keys": [{ "digest": new.digest().to_string() }] });
    std::fs::write(&path, text.to_string()).unwrap();
    let sources = || {
        let store = CachedApiKeyStore::new(Store(new.to_api_key()));
        let file = ApiKeyLayer::from_file(KeyFile::new(&path)).unwrap();
        [ApiKeyLayer::from_store(store), file].map(|keys| keys.clock(clock()))
    };
    let [store, file] = sources();
    // What a file has is known; it may have others later.
    for layer in combined(oauth_for_two(&web), file) {
        assert_eq!(layer.map(drop).unwrap_err().setting(), "resources");
    }
    for layer in combined(oauth_for_two(&web), store) {
        let layer = layer.unwrap();
        for host in ["a.example.com", "b.example.com"] {
            let answer = with_key(&layer, host, "/mcp", new.expose()).await;
            answer.invalid(UNNAMED);
            let detail = answer.error().detail().unwrap();
            assert!(detail.contains("give it `resources`"), "{detail}");
        }
    }
    for keys in sources() {
        for layer in combined(oauth_for_two(&web), keys.dangerously_all_resources()) {
            let layer = layer.unwrap();
            with_key(&layer, "b.example.com", "/mcp", new.expose())
                .await
                .admitted();
        }
    }
    std::fs::remove_file(path).unwrap();
}

#[tokio::test]
async fn keys_that_are_given_later_have_to_name_their_resources_too() {
    let web = web();
    let (first, next) = (new_key(), new_key());
    let keys = keys_of([named(&first, &[A])]);
    keys.keys().replace([next.to_api_key()]).unwrap();
    keys.keys().replace([named(&first, &[A])]).unwrap();
    let layer = oauth_for_two(&web).or(keys).unwrap();
    let provider = layer.provider().right().clone();
    let error = provider.replace([next.to_api_key()]).unwrap_err();
    assert_eq!(error.setting(), "resources");
    assert!(error.to_string().contains(next.id()), "{error}");
    provider.replace([named(&next, &[B])]).unwrap();
    let layer = layer.boxed();
    with_key(&layer, "b.example.com", "/mcp", next.expose())
        .await
        .admitted();
    with_key(&layer, "a.example.com", "/mcp", first.expose())
        .await
        .invalid("unknown_api_key");

    // Deep among others, and behind the type that is erased.
    let keys = keys_of([named(&first, &[A])]);
    let provider = keys.keys().clone();
    let nested = keys.or(AuthLayer::new(Badges::judging("x-badge")).boxed());
    let _layer = nested.unwrap().boxed().or(oauth_for_two(&web)).unwrap();
    assert!(provider.replace([next.to_api_key()]).is_err());
}

#[tokio::test]
async fn beside_one_resource_only_what_a_key_names_counts() {
    let web = web();
    let (of_a, of_b, of_none) = (new_key(), new_key(), new_key());
    let all = || [named(&of_a, &[A]), named(&of_b, &[B]), of_none.to_api_key()];
    let oauth = || built(&web, OAuthLayer::builder(A).unwrap());
    for keys in [keys_of(all()), keys_of(all()).resource(A).unwrap()] {
        for layer in combined(oauth(), keys) {
            let layer = layer.unwrap();
            // Its host and path are not looked at.
            for host in ["a.example.com", "10.1.2.3"] {
                for (new, reason) in [(&of_a, ""), (&of_b, MISMATCH), (&of_none, "")] {
                    let answer = with_key(&layer, host, "/other", new.expose()).await;
                    match reason {
                        "" => assert_eq!(answer.principal().resource().unwrap().url(), A),
                        reason => answer.invalid(reason),
                    }
                }
            }
            let answer = ask(&layer, request_to::<&str>("/mcp", &[])).await;
            let challenges = answer.challenges();
            assert!(
                challenges[0].contains("resource_metadata="),
                "{challenges:?}"
            );
        }
    }
}

#[test]
fn two_layers_that_protect_different_resources_are_not_combined() {
    let web = web();
    let new = new_key();
    let oauth = || built(&web, OAuthLayer::builder(A).unwrap());
    for other in [
        B,
        "https://a.example.com/mcp/",
        "https://A.example.com/mcp",
        "http://a.example.com/mcp",
        "https://a.example.com:443/mcp",
        "https://a.example.com",
    ] {
        let keys = keys_of([named(&new, &[other])]).resource(other).unwrap();
        for refused in combined(oauth(), keys) {
            let error = refused.map(drop).expect_err(other);
            assert_eq!(error.setting(), "resource", "{other}");
            assert!(error.to_string().contains(other), "{error}");
        }
    }
    // One that chooses stands beside no other resources, and beside no other choice.
    let key = || keys_of([named(&new, &[A])]);
    let both = ResourceSet::new().resource(A).unwrap().resource(B).unwrap();
    for keys in [key().resource(A).unwrap(), key().resources(both).unwrap()] {
        for refused in combined(oauth_for_two(&web), keys) {
            assert_eq!(refused.map(drop).unwrap_err().setting(), "resource");
        }
    }
}

#[tokio::test]
async fn a_provider_of_ones_own_says_that_it_judges_resources() {
    let web = web();
    let badges = |provider: Badges| AuthLayer::new(provider);
    for refused in combined(oauth_for_two(&web), badges(Badges::new("x-badge"))) {
        let error = refused.map(drop).expect_err("it does not judge");
        assert_eq!(error.setting(), "resource");
        assert!(
            error
                .to_string()
                .contains("`ProviderInfo::judges_resources`"),
            "{error}"
        );
    }
    for layer in combined(oauth_for_two(&web), badges(Badges::judging("x-badge"))) {
        let layer = layer.unwrap();
        for (host, badge, status) in [
            ("a.example.com", "a", 200),
            ("b.example.com", "a", 401),
            ("b.example.com", "b", 200),
            ("a.example.com", "b", 401),
            ("c.example.com", "c", 421),
        ] {
            let answer = ask(&layer, asked(host, "/mcp", ("x-badge", badge))).await;
            assert_eq!(answer.status, status, "{badge} at {host}");
        }
    }
}

#[tokio::test]
async fn a_token_at_a_resource_that_another_provider_made_up_is_503() {
    let web = web();
    let badges = Badges {
        chosen: Some("https://elsewhere.example.com/mcp"),
        ..Badges::judging("x-badge")
    };
    let layer = AuthLayer::new(badges).or(oauth_for_two(&web)).unwrap();
    let layer = layer.boxed();
    for resource in [A, B, "https://elsewhere.example.com/mcp"] {
        let token = format!("Bearer {}", SIGNER.token(json!({ "aud": resource })));
        let asked = asked("a.example.com", "/mcp", ("authorization", &token));
        let answer = ask(&layer, asked).await;
        let error = answer.error();
        let said = (answer.status.as_u16(), error.reason());
        assert_eq!(said, (503, "resource_not_chosen"), "{resource}");
        assert!(answer.challenges().is_empty(), "{answer:?}");
    }
}

#[tokio::test]
async fn a_provider_of_ones_own_chooses_from_a_set() {
    let set = ResourceSet::new().resource(A).unwrap().resource(B).unwrap();
    let provider = Badges {
        set: Some(set),
        ..Badges::judging("x-badge")
    };
    let (of_a, of_none) = (new_key(), new_key());
    let unnamed = AuthLayer::new(provider.clone()).or(keys_of([of_none.to_api_key()]));
    assert_eq!(unnamed.map(drop).unwrap_err().setting(), "resources");
    for layer in combined(AuthLayer::new(provider), keys_of([named(&of_a, &[A])])) {
        let layer = layer.unwrap();
        for (host, path, statuses) in [
            ("a.example.com", "/mcp", [200, 200]),
            ("b.example.com", "/mcp", [401, 401]),
            ("a.example.com", "/", [404, 404]),
            ("c.example.com", "/mcp", [421, 421]),
        ] {
            for (credential, status) in [("x-badge", "a"), ("x-api-key", of_a.expose())]
                .into_iter()
                .zip(statuses)
            {
                let answer = ask(&layer, asked(host, path, credential)).await;
                assert_eq!(answer.status, status, "{} at {host}{path}", credential.0);
            }
        }
    }
}

/// What a provider does not say of itself is found out when it does it.
#[tokio::test]
async fn keys_are_judged_whichever_provider_chooses_and_whatever_it_says() {
    let (of_a, of_none) = (new_key(), new_key());
    let key = |new: &GeneratedKey| match std::ptr::eq(new, &of_a) {
        true => named(new, &[A]),
        false => new.to_api_key(),
    };
    let cases = [
        // It chooses A, or B, and does not say that it chooses.
        (false, Some(A), ["", UNNAMED]),
        (false, Some(B), [MISMATCH, UNNAMED]),
        // It says so, and then chooses none.
        (true, None, [MISMATCH, UNNAMED]),
        (true, Some(A), ["", UNNAMED]),
        (false, None, [MISMATCH, ""]),
    ];
    for (selects, chosen, expected) in cases {
        let provider = Badges {
            selects,
            chosen,
            ..Badges::judging("x-badge")
        };
        for (new, reason) in [&of_a, &of_none].into_iter().zip(expected) {
            // As a store could have it: replaced after the layers were combined.
            let keys = ApiKeyLayer::new([key(&of_a)]).unwrap().clock(clock());
            let handle = keys.keys().clone();
            let layer = AuthLayer::new(provider.clone()).or(keys).unwrap().boxed();
            let replaced = handle.replace([key(&of_a), key(&of_none)]);
            assert_eq!(replaced.is_err(), selects);
            if replaced.is_err() && std::ptr::eq(new, &of_none) {
                continue;
            }
            let answer = with_key(&layer, "a.example.com", "/mcp", new.expose()).await;
            let what = format!("{selects}, {chosen:?}");
            match reason {
                "" => assert!(answer.reached.is_some(), "{what}: {answer:?}"),
                reason => assert_eq!(answer.error().reason(), reason, "{what}"),
            }
        }
    }
}

#[tokio::test]
async fn what_is_only_reported_is_anonymous_at_every_resource() {
    let web = web();
    let new = new_key();
    let keys = keys_of([named(&new, &[A]).scopes(["mcp:read"]).unwrap()]);
    for layer in combined(oauth_for_two(&web), keys) {
        let layer = layer.unwrap();
        let all = layer.clone().dangerously_report_only();
        let only = layer.dangerously_report_only_for([MISMATCH]).unwrap();
        for layer in [all, only] {
            let answer = with_key(&layer, "b.example.com", "/mcp", new.expose()).await;
            let told = answer.extensions.get::<Reported>().unwrap();
            assert_eq!(told.errors()[0].reason(), MISMATCH);
            assert_eq!(told.errors()[0].principal_id(), None);
            let passed = answer.admitted();
            assert!(Principal::from_extensions(&passed.extensions).is_none());
            assert!(!passed.headers.contains_key("x-api-key"));
            // Where there is no resource nothing passes.
            let answer = with_key(&layer, "c.example.com", "/mcp", new.expose()).await;
            assert_eq!(answer.error().status(), 421);
            let answer = with_key(&layer, "a.example.com", "/mcp", new.expose()).await;
            assert_eq!(answer.principal().subject(), Some("ci"));
        }
    }
}
