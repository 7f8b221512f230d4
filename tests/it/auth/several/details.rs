//! What an operator is told of a request that presents its credential in the wrong place, in the
//! wrong way, or not at all. A detail never repeats what was presented.

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Version};
use tower::{Layer as _, Service, ServiceExt, service_fn};
use tower_mcp_auth::api_key::ApiKeyScheme;
use tower_mcp_auth::auth::{AuthLayer, Authenticate};
use tower_mcp_auth::jose::Secret;
use tower_mcp_auth::mcp::OriginLayer;
use tower_mcp_auth::{ApiKeyLayer, AuthError, JwtLayer, OAuthLayer};

use crate::auth::several::network::{ISSUER, RESOURCE};
use crate::auth::several::support::{KEY, Layer, keys, oauth, web};
use common::{Answer, SECRET, ask, clock, good_token, hs256_layer, request, trace};

/// Without the letters of any of the texts that are looked for.
const TOKEN: &str = "9Zk3qVbX7mWd2Lf8Rt4Y";

fn layers() -> Vec<(&'static str, Layer)> {
    let web = web();
    let clock = clock();
    let of_header = |name: &str| {
        let layer = ApiKeyLayer::new([KEY]).unwrap();
        layer.header_name(name).unwrap().boxed()
    };
    let of_scheme = |scheme| {
        let layer = ApiKeyLayer::new([KEY]).unwrap();
        layer.authorization_scheme(scheme).unwrap().boxed()
    };
    let bare = JwtLayer::builder(Secret::new(SECRET).unwrap()).require_bearer(false);
    vec![
        ("oauth", oauth(&web, &clock).boxed()),
        ("jwt", hs256_layer().boxed()),
        ("bare jwt", bare.build().unwrap().boxed()),
        ("key", keys(&clock).boxed()),
        ("own key header", of_header("X-Acme-Key")),
        ("key scheme", of_scheme(ApiKeyScheme::ApiKey)),
        ("bearer key", of_scheme(ApiKeyScheme::Bearer)),
        (
            "both",
            oauth(&web, &clock).or(keys(&clock)).unwrap().boxed(),
        ),
    ]
}

fn layer(name: &str) -> Layer {
    let mut layers = layers().into_iter();
    layers.find(|(own, _)| *own == name).unwrap().1
}

async fn send(layer: &Layer, headers: &[(&str, &[u8])]) -> Answer {
    ask(layer, request(headers)).await
}

/// The detail of a refusal for this reason, which repeats nothing of the credential.
#[track_caller]
fn detail<'a>(answer: &'a Answer, reason: &str) -> &'a str {
    let error = answer.error();
    assert_eq!(error.reason(), reason, "{error:?}");
    let detail = error.detail().unwrap_or_default();
    assert!(!detail.is_empty(), "{error:?}");
    assert!(!detail.contains(&TOKEN[..6]), "{detail}");
    assert!(!answer.text().contains(&TOKEN[..6]), "{}", answer.text());
    detail
}

const MISSING: &str = "missing_credential";
const MALFORMED: &str = "malformed_credential";

#[tokio::test]
async fn a_bearer_token_in_the_wrong_form_is_told_apart() {
    let jwt = good_token();
    for (name, reads) in [
        ("oauth", "Bearer"),
        ("jwt", "Bearer"),
        ("bearer key", "Bearer"),
    ] {
        let layer = layer(name);
        for (value, reason, says) in [
            (format!("Bearer Bearer {TOKEN}"), MALFORMED, "twice"),
            (format!("bearer  BEARER {TOKEN}"), MALFORMED, "twice"),
            (format!("Bearer Token {TOKEN}"), MALFORMED, "twice"),
            ("Bearer ${TOKEN}".into(), MALFORMED, "placeholder"),
            ("Bearer ${env:TOKEN}".into(), MALFORMED, "placeholder"),
            ("Bearer $TOKEN".into(), MALFORMED, "placeholder"),
            ("Bearer $(cat token)".into(), MALFORMED, "placeholder"),
            ("Bearer <token>".into(), MALFORMED, "placeholder"),
            ("Bearer <your token>".into(), MALFORMED, "placeholder"),
            ("Bearer {{token}}".into(), MALFORMED, "placeholder"),
            ("Bearer {{ token }}".into(), MALFORMED, "placeholder"),
            ("Bearer {token}".into(), MALFORMED, "placeholder"),
            ("Bearer #{token}".into(), MALFORMED, "placeholder"),
            ("Bearer [token]".into(), MALFORMED, "placeholder"),
            ("Bearer [object Object]".into(), MALFORMED, "placeholder"),
            ("Bearer %TOKEN%".into(), MALFORMED, "placeholder"),
            (format!("Bearer \"{TOKEN}\""), MALFORMED, "quotes"),
            (format!("Bearer '{TOKEN}'"), MALFORMED, "quotes"),
            (format!("Bearer `{TOKEN}`"), MALFORMED, "quotes"),
            (format!("Bearer {TOKEN}\""), MALFORMED, "quotes"),
            (
                format!("Bearer \u{201c}{TOKEN}\u{201d}"),
                MALFORMED,
                "quotes",
            ),
            (format!("Bearer: {TOKEN}"), MALFORMED, "colon"),
            (format!("Bearer:{TOKEN}"), MALFORMED, "colon"),
            (format!("Bearer={TOKEN}"), MALFORMED, "equals sign"),
            (format!("Bearer\t{TOKEN}"), MALFORMED, "tab"),
            (
                format!("Bearer {TOKEN}, Bearer {TOKEN}"),
                MALFORMED,
                "comma",
            ),
            (format!("Bearer {TOKEN} {TOKEN}"), MALFORMED, "white space"),
            (format!("Bearer {TOKEN}\u{e4}"), MALFORMED, "ASCII"),
            (format!("Bearer {TOKEN}&x"), MALFORMED, "character"),
            (TOKEN.to_owned(), MISSING, "bare token"),
            (jwt.clone(), MISSING, "a JWT stands"),
            (format!("  {jwt} "), MISSING, "a JWT stands"),
            (format!("\"Bearer {TOKEN}\""), MISSING, "quotes"),
            (format!("'{TOKEN}'"), MISSING, "quotes"),
            ("${TOKEN}".into(), MISSING, "placeholder"),
            ("$TOKEN".into(), MISSING, "placeholder"),
            ("<token>".into(), MISSING, "placeholder"),
            ("{{token}}".into(), MISSING, "placeholder"),
            ("%TOKEN%".into(), MISSING, "placeholder"),
            (
                format!("Authorization: Bearer {TOKEN}"),
                MISSING,
                "name of the header",
            ),
            (format!("Bearer{TOKEN}"), MISSING, "no space"),
            ("Bearer".into(), MISSING, "nothing follows"),
            ("Bearer   ".into(), MISSING, "nothing follows"),
            (String::new(), MISSING, "empty"),
            ("Basic dXNlcjpwYXNz".into(), MISSING, "`Basic`"),
            ("basic".into(), MISSING, "`Basic`"),
            (format!("Token {TOKEN}"), MISSING, "`Token`"),
            (format!("DPoP {TOKEN}"), MISSING, "`DPoP`"),
            (format!("{TOKEN} {TOKEN}"), MISSING, "another scheme"),
            (format!(":{TOKEN}"), MISSING, "no scheme"),
        ] {
            let answer = send(&layer, &[("authorization", value.as_bytes())]).await;
            let told = detail(&answer, reason);
            assert!(told.contains(says), "{name}: {value:?}: {told}");
            if reason == MISSING {
                assert!(told.contains(reads), "{name}: {value:?}: {told}");
            }
            for word in ["dXNlcjpwYXNz", &jwt[..20], "env:TOKEN"] {
                assert!(!told.contains(word), "{told}");
            }
        }
    }
}

#[tokio::test]
async fn words_of_programs_for_nothing_are_told_apart() {
    for word in ["undefined", "null", "None", "nil", "NaN", "false", "TOKEN"] {
        let value = format!("Bearer {word}");
        let answer = send(&layer("jwt"), &[("authorization", value.as_bytes())]).await;
        let told = detail(&answer, "not_a_jwt");
        assert!(told.contains("the variable of the client"), "{told}");
        let answer = send(&layer("key"), &[("x-api-key", word.as_bytes())]).await;
        let told = detail(&answer, "unknown_api_key");
        assert!(told.contains("the variable of the client"), "{told}");
    }
}

#[tokio::test]
async fn a_credential_of_another_kind_is_told_apart() {
    let jwt = good_token();
    let bearer = format!("Bearer {TOKEN}");
    for (name, header, value, reason, says) in [
        ("key", "authorization", &*bearer, MISSING, "`Bearer`"),
        ("key", "authorization", TOKEN, MISSING, "`authorization`"),
        ("key", "authorization", "ApiKey 9Zk3", MISSING, "`ApiKey`"),
        ("key", "apikey", TOKEN, MISSING, "`apikey`"),
        ("key", "x-auth-token", TOKEN, MISSING, "`x-auth-token`"),
        ("key", "x-api-key", "", MISSING, "empty"),
        ("own key header", "x-api-key", TOKEN, MISSING, "`x-api-key`"),
        (
            "own key header",
            "authorization",
            &*bearer,
            MISSING,
            "x-acme-key",
        ),
        ("key scheme", "authorization", &*bearer, MISSING, "`Bearer`"),
        ("oauth", "x-api-key", TOKEN, MISSING, "`x-api-key`"),
        ("jwt", "x-api-key", TOKEN, MISSING, "`x-api-key`"),
        ("jwt", "x-access-token", TOKEN, MISSING, "`x-access-token`"),
        (
            "jwt",
            "proxy-authorization",
            &*bearer,
            MISSING,
            "`proxy-authorization`",
        ),
        ("both", "authorization", TOKEN, MISSING, "bare token"),
        ("both", "api-key", TOKEN, MISSING, "`api-key`"),
        // A JWT as an API key, and an API key as a token.
        (
            "key",
            "x-api-key",
            &*jwt,
            "unknown_api_key",
            "form of a JWT",
        ),
        ("bearer key", "authorization", "", MISSING, "empty"),
        (
            "jwt",
            "authorization",
            &*bearer,
            "not_a_jwt",
            "`Introspection`",
        ),
        // What is read is the whole value.
        (
            "key",
            "x-api-key",
            &*bearer,
            MALFORMED,
            "a scheme stands before it",
        ),
        (
            "bare jwt",
            "authorization",
            &*bearer,
            MALFORMED,
            "a scheme stands before it",
        ),
        ("key", "x-api-key", "${KEY}", MALFORMED, "placeholder"),
        ("key", "x-api-key", "<your key>", MALFORMED, "placeholder"),
        ("key", "x-api-key", "\"9Zk3qVbX\"", MALFORMED, "quotes"),
        // A key of another format than the generated ones has no id.
        (
            "key",
            "x-api-key",
            TOKEN,
            "unknown_api_key",
            "no generated one",
        ),
    ] {
        let answer = send(&layer(name), &[(header, value.as_bytes())]).await;
        let told = detail(&answer, reason);
        assert!(told.contains(says), "{name} {header}: {value:?}: {told}");
        assert!(!told.contains(r#"id """#), "{told}");
    }
    let prefixed = ApiKeyLayer::new([KEY]).unwrap().prefix("acme_").unwrap();
    for (value, says) in [(TOKEN, "prefix"), (&*jwt, "form of a JWT")] {
        let answer = ask(&prefixed, request(&[("x-api-key", value)])).await;
        let told = detail(&answer, "unaccepted_credential");
        assert!(told.contains(says), "{told}");
    }
}

#[tokio::test]
async fn a_request_with_nothing_says_what_is_read() {
    for (name, layer) in layers() {
        let answer = send(&layer, &[]).await;
        let told = detail(&answer, MISSING);
        let header = match name {
            "key" => "x-api-key",
            "own key header" => "x-acme-key",
            _ => "authorization",
        };
        assert!(told.contains(header), "{name}: {told}");
    }
}

#[tokio::test]
async fn a_preflight_says_that_cors_belongs_outside() {
    for (name, layer) in layers() {
        let mut preflight = request(&[
            ("origin", "https://app.example.com"),
            ("access-control-request-method", "POST"),
        ]);
        *preflight.method_mut() = Method::OPTIONS;
        let answer = ask(&layer, preflight).await;
        let told = detail(&answer, MISSING);
        assert!(told.contains("CORS layer outside"), "{name}: {told}");
        // Any other OPTIONS is none.
        let mut other = request::<&str>(&[]);
        *other.method_mut() = Method::OPTIONS;
        let answer = ask(&layer, other).await;
        let told = detail(&answer, MISSING);
        assert!(!told.contains("CORS"), "{name}: {told}");
    }
}

async fn through<S>(service: S, headers: &[(&str, &str)]) -> (u16, Option<AuthError>)
where
    S: Service<Request<String>>,
    S::Error: std::fmt::Debug,
    S::Response: Into2,
{
    let mut request = Request::get("/mcp");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = service.oneshot(request.body(String::new()).unwrap()).await;
    response.unwrap().parts()
}

/// A response of whatever body.
trait Into2 {
    fn parts(self) -> (u16, Option<AuthError>);
}

impl<B> Into2 for http::Response<B> {
    fn parts(self) -> (u16, Option<AuthError>) {
        let error = self.extensions().get().cloned();
        (self.status().as_u16(), error)
    }
}

async fn inner(_: Request<String>) -> Result<http::Response<String>, std::convert::Infallible> {
    Ok(http::Response::default())
}

/// How many events of this thread name a layer that is there twice.
fn warned_twice() -> usize {
    let events = trace::take();
    let twice = events
        .iter()
        .filter(|event| event.field("message").contains("twice"));
    twice.count()
}

#[tokio::test]
async fn a_layer_twice_around_one_service_says_so_and_warns_once() {
    let token = format!("Bearer {}", good_token());
    let good = [("authorization", &*token)];
    let another = || {
        JwtLayer::builder(Secret::new(SECRET).unwrap())
            .clock(clock())
            .build()
            .unwrap()
    };

    let layer = hs256_layer();
    let service = layer.layer(layer.layer(service_fn(inner)));
    trace::start();
    for _ in 0..3 {
        let (status, error) = through(service.clone(), &good).await;
        let error = error.unwrap();
        assert_eq!((status, error.reason()), (401, MISSING));
        assert!(error.detail().unwrap().contains("further out"), "{error:?}");
    }
    assert_eq!(warned_twice(), 1);

    // Another layer that reads the same header.
    let service = hs256_layer().layer(another().layer(service_fn(inner)));
    let (status, error) = through(service, &good).await;
    assert_eq!(status, 401);
    assert!(error.unwrap().detail().unwrap().contains("further out"));
    assert_eq!(warned_twice(), 1);

    // It works, and is told all the same.
    let layer = hs256_layer().forward_credential(true);
    let service = layer.layer(layer.layer(service_fn(inner)));
    assert_eq!(through(service.clone(), &good).await.0, 200);
    assert_eq!(through(service, &good).await.0, 200);
    assert_eq!(warned_twice(), 1);

    // The inner one would take the principal away.
    let layer = hs256_layer().optional();
    let service = layer.layer(layer.layer(service_fn(inner)));
    assert_eq!(through(service, &good).await.0, 200);
    assert_eq!(warned_twice(), 1);

    // Two of different kinds are no mistake.
    let keys = ApiKeyLayer::new([KEY]).unwrap();
    let service = keys.layer(hs256_layer().layer(service_fn(inner)));
    let both = [("authorization", &*token), ("x-api-key", KEY)];
    assert_eq!(through(service.clone(), &both).await.0, 200);
    let (_, error) = through(service, &[("x-api-key", KEY)]).await;
    let error = error.unwrap();
    assert!(
        !error.detail().unwrap().contains("further out"),
        "{error:?}"
    );
    assert_eq!(warned_twice(), 0);

    // One layer around two services is none twice.
    let layer = hs256_layer();
    let (one, two) = (
        layer.layer(service_fn(inner)),
        layer.layer(service_fn(inner)),
    );
    assert_eq!(through(one, &good).await.0, 200);
    assert_eq!(through(two, &good).await.0, 200);
    assert_eq!(warned_twice(), 0);
}

#[tokio::test]
async fn a_path_that_something_outside_cut_short_warns_once() {
    let cut = |resource: &str| OAuthLayer::new(resource, ISSUER).unwrap();
    for (resource, path, is_told) in [
        ("https://mcp.example.com/team/mcp", "/mcp", true),
        ("https://mcp.example.com/a/b/mcp", "/b/mcp", true),
        ("https://mcp.example.com/a/b/mcp", "/mcp", true),
        ("https://mcp.example.com/team/mcp/", "/mcp/", true),
        ("https://mcp.example.com/team/mcp", "/team/mcp", false),
        ("https://mcp.example.com/team/mcp", "/", false),
        ("https://mcp.example.com/team/mcp", "/cp", false),
        ("https://mcp.example.com/team/mcp", "/m/mcp", false),
        ("https://mcp.example.com/team/mcp", "/x/team/mcp", false),
        ("https://mcp.example.com/team/mcp", "/MCP", false),
        ("https://mcp.example.com/mcp", "/mcp", false),
        ("https://mcp.example.com/mcp", "/", false),
        ("https://mcp.example.com/", "/", false),
    ] {
        let layer: AuthLayer<_> = cut(resource).into();
        let service = layer.layer(service_fn(inner));
        trace::start();
        for _ in 0..3 {
            let request = Request::post(path).body(String::new()).unwrap();
            assert_eq!(
                service.clone().oneshot(request).await.unwrap().status(),
                401
            );
        }
        let mut events = trace::take();
        events.retain(|event| event.field("message").contains("took the rest away"));
        assert_eq!(events.len(), usize::from(is_told), "{resource} {path}");
        for event in events {
            assert_eq!(event.level, tracing::Level::WARN);
            assert_eq!(event.field("path"), path);
            assert!(event.field("message").contains("metadata"), "{event:?}");
        }
    }
    // What is left of it does not become public.
    let layer = cut("https://mcp.example.com/team/mcp").public_path("/mcp");
    assert_eq!(layer.unwrap_err().setting(), "public_path");
}

#[tokio::test]
async fn a_foreign_host_is_told_what_is_allowed_and_what_to_do() {
    async fn refused(layer: &OriginLayer, headers: &[(&str, &str)]) -> String {
        let (status, error) = through(layer.layer(service_fn(inner)), headers).await;
        assert_eq!(status, 403);
        error.unwrap().detail().unwrap_or_default().to_owned()
    }
    let layer = OriginLayer::new(RESOURCE).unwrap();
    let told = refused(&layer, &[("host", "127.0.0.1:3000")]).await;
    for says in [
        "127.0.0.1:3000",
        "mcp.example.com",
        "let the proxy pass",
        "`allow_host`",
    ] {
        assert!(told.contains(says), "{told}");
    }
    let many = (0..20).try_fold(layer.clone(), |layer, number| {
        layer.allow_host(format!("internal-{number}.example.com"))
    });
    let told = refused(&many.unwrap(), &[("host", "evil.example")]).await;
    assert!(told.contains("internal-6.example.com"), "{told}");
    assert!(told.contains("and 13 more"), "{told}");
    let told = refused(&layer, &[]).await;
    assert!(told.contains("names no host"), "{told}");
    let twice = [("host", "mcp.example.com"), ("host", "mcp.example.com")];
    assert!(refused(&layer, &twice).await.contains("more than one host"));
    let own = ("host", "mcp.example.com");
    let told = refused(&layer, &[own, ("origin", "https://evil.example")]).await;
    for says in [
        "https://evil.example",
        "https://mcp.example.com",
        "`allow_origin`",
    ] {
        assert!(told.contains(says), "{told}");
    }
    let origin = ("origin", "https://mcp.example.com");
    let told = refused(&layer, &[own, origin, origin]).await;
    assert!(told.contains("more than one origin"), "{told}");
    // A name and a password before a host are not repeated.
    let told = refused(&layer, &[("host", "user:9Zk3qVbX@evil.example")]).await;
    assert!(!told.contains("9Zk3qVbX"), "{told}");
}

#[tokio::test]
async fn what_is_refused_before_a_provider_is_asked_says_why() {
    let (bearer, key) = (format!("Bearer {TOKEN}"), TOKEN.to_owned());
    let twice = [
        ("authorization", bearer.as_bytes()),
        ("authorization", b"x"),
    ];
    let answer = send(&layer("jwt"), &twice).await;
    assert!(detail(&answer, "duplicate_credential").contains("authorization"));
    let two = [
        ("authorization", bearer.as_bytes()),
        ("x-api-key", key.as_bytes()),
    ];
    let answer = send(&layer("both"), &two).await;
    detail(&answer, "multiple_credentials");
    let query = common::request_to::<&str>("/mcp?token=9Zk3qVbX7mWd2Lf8Rt4Y", &[]);
    let answer = ask(&layer("jwt"), query).await;
    assert!(detail(&answer, "token_in_query").contains("token"));
}

/// With `Authenticate` of one's own the same is told.
#[tokio::test]
async fn a_provider_of_ones_own_is_told_of_by_its_name() {
    use tower_mcp_auth::auth::{Authenticated, Authentication, CredentialMatcher, ProviderInfo};
    use tower_mcp_auth::{Challenge, Credential, Location, RequestHead};

    #[derive(Clone, Debug)]
    struct Badges(Location);

    impl Authenticate for Badges {
        fn describe(&self) -> ProviderInfo {
            let badges = CredentialMatcher::prefixed(self.0.clone(), "badge-");
            ProviderInfo::new("badge")
                .matcher(badges)
                .challenge(Challenge::bearer())
        }

        fn authenticate(&self, _: &Credential<'_>, _: RequestHead<'_>) -> Authentication {
            let alice = tower_mcp_auth::Principal::builder("badge").subject("alice");
            Authentication::Ready(Ok(Authenticated::new(alice.build())))
        }
    }

    let badges = HeaderName::from_static("x-badge");
    let layer = AuthLayer::new(Badges(Location::bare(badges)));
    let answer = ask(&layer, request(&[("x-badge", TOKEN)])).await;
    let told = detail(&answer, "unaccepted_credential");
    assert!(
        told.contains("badge takes") && told.contains("x-badge"),
        "{told}"
    );
    let answer = ask(&layer, request(&[("x-badge", "badge-17")])).await;
    answer.admitted();
    let mut headers = HeaderMap::new();
    headers.insert("x-badge", HeaderValue::from_static(""));
    let mut empty = request::<&str>(&[]);
    *empty.headers_mut() = headers;
    *empty.version_mut() = Version::HTTP_2;
    let answer = ask(&layer, empty).await;
    assert!(detail(&answer, MISSING).contains("empty"));
}
