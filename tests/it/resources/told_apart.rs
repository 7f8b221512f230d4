//! Resources that could be taken for each other: which of them a request is for, and which stand
//! beside each other at all.

use std::sync::atomic::AtomicUsize;

use tower_mcp_auth::auth::{AuthLayer, SseEndpoints};
use tower_mcp_auth::provider::*;

use super::*;

fn template(url: &str, tenants: &[&str]) -> ProtectedResource {
    let tenants = Tenants::new(tenants.iter().copied()).unwrap();
    ProtectedResource::from_template(url, tenants).unwrap()
}

fn looked_up(url: &str) -> ProtectedResource {
    let tenants = Tenants::from_fn(|_| Some(Tenant::new()));
    ProtectedResource::from_template(url, tenants).unwrap()
}

fn of(
    resources: impl IntoIterator<Item = ProtectedResource>,
) -> Result<OAuthLayerBuilder, ConfigError> {
    let mut resources = resources.into_iter();
    let first = OAuthLayer::builder(resources.next().unwrap())?;
    resources.try_fold(first, OAuthLayerBuilder::resource)
}

fn plain(url: &str) -> ProtectedResource {
    ProtectedResource::new(url).unwrap()
}

/// An inner service may decode what the layer compares byte by byte.
#[tokio::test]
async fn an_encoded_name_of_a_narrower_resource_is_not_the_wider_one() {
    let key = Key::new("k1");
    let web = Web::with_issuer(&[&key]);
    let resources = [
        plain("https://mcp.example.com"),
        plain("https://mcp.example.com/admin/mcp"),
        template("https://mcp.example.com/{tenant}/chat", &["acme"]),
        template("https://{tenant}.example.org", &["acme"]),
        template("https://{tenant}.example.org/admin", &["acme"]),
        plain("https://one.example.com/mcp"),
    ];
    let guarded = guarded(&web, of(resources).unwrap());
    let cases = [
        ("mcp.example.com", "/files/x", 200),
        ("mcp.example.com", "/files/x/a%7Eb", 200),
        ("mcp.example.com", "/%61dmin/mcp", 404),
        ("mcp.example.com", "/admin/%6dcp", 404),
        ("mcp.example.com", "/admin/%6Dcp/x", 404),
        ("mcp.example.com", "/%61cme/chat", 404),
        ("mcp.example.com", "/acme/ch%61t/x", 404),
        ("mcp.example.com", "/caf%C3%A9/chat", 404),
        ("acme.example.org", "/x", 200),
        ("acme.example.org", "/x/%61dmin", 200),
        ("acme.example.org", "/%61dmin", 404),
        ("one.example.com", "/mcp/a%7Eb", 200),
        ("one.example.com", "/mc%70", 404),
    ];
    for (host, path, status) in cases {
        let audience = match host {
            "one.example.com" => "https://one.example.com/mcp".to_owned(),
            host => format!("https://{host}"),
        };
        let token = for_audience(&key, &audience);
        let answer = guarded.ask(with_token(get(host, path), &token)).await;
        assert_eq!(answer.status.as_u16(), status, "{host}{path}: {answer:?}");
    }
}

#[tokio::test]
async fn a_tenant_is_at_its_path_whatever_else_is_at_its_host() {
    let web = Web::new();
    let resources = [
        template("https://{tenant}.example.com/mcp", &["acme"]),
        plain("https://acme.example.com/admin"),
        plain("https://globex.example.com/admin"),
    ];
    let guarded = guarded(&web, of(resources).unwrap());
    let cases = [
        ("acme.example.com", "/mcp", 401),
        ("acme.example.com", "/admin", 401),
        ("acme.example.com", "/", 404),
        ("globex.example.com", "/admin", 401),
        ("globex.example.com", "/mcp", 404),
        ("hooli.example.com", "/mcp", 421),
    ];
    for (host, path, status) in cases {
        let answer = guarded.ask(get(host, path)).await;
        assert_eq!(answer.status.as_u16(), status, "{host}{path}: {answer:?}");
        let document = format!("/.well-known/oauth-protected-resource{path}");
        let (got, _, json) = body(&guarded, get(host, &document)).await;
        match status {
            401 => assert_eq!(json["resource"], format!("https://{host}{path}")),
            status => assert_eq!(got, status, "{host}{document}"),
        }
    }
}

#[test]
fn resources_that_one_request_or_one_token_could_be_for_are_refused() {
    let localhost = || {
        [
            plain("https://localhost/mcp"),
            plain("http://localhost:443/mcp"),
        ]
    };
    let shadowed = || {
        let b = "https://mcp.example.com/b/mcp";
        let a = plain("https://mcp.example.com/a/mcp");
        [a.advertised_metadata_url(b).unwrap(), plain(b)]
    };
    let shadowed_tenant = || {
        let a = plain("https://mcp.example.com/a/mcp");
        let url = "https://mcp.example.com/b/mcp";
        let b = template("https://mcp.example.com/{tenant}/mcp", &["b"]);
        [a.advertised_metadata_url(url).unwrap(), b]
    };
    let audiences = |one: &str, two: &str| {
        let a = looked_up("https://a.example.com/{t}/mcp").audience(one);
        let b = looked_up("https://b.example.com/{t}/mcp").audience(two);
        [a.unwrap(), b.unwrap()]
    };
    let crossing = |tenants: &[&str], servers: &[&str]| {
        let one = template("https://{t}.example.com/x/mcp", tenants);
        let two = template("https://a.example.com/{s}/mcp", servers);
        // The audiences are not why they are refused.
        [
            one.audience("one:{t}").unwrap(),
            two.audience("two:{s}").unwrap(),
        ]
    };
    let cases = [
        ("one port, named and not", "resource", localhost()),
        (
            "a document in the place of another resource",
            "resource",
            shadowed(),
        ),
        (
            "a document in the place of a tenant",
            "resource",
            shadowed_tenant(),
        ),
        (
            "names in two places",
            "audience",
            audiences("api://{t}/x", "api://a/{s}"),
        ),
        (
            "names beside each other",
            "audience",
            audiences("api://{t}-x/y", "api://a-{s}/y"),
        ),
        (
            "names that overlap",
            "audience",
            audiences("a-{t}", "{s}-b"),
        ),
        (
            "a tenant of both hosts and paths",
            "resource",
            crossing(&["a"], &["x"]),
        ),
    ];
    for (what, setting, resources) in cases {
        for turned in [false, true] {
            let mut resources = resources.clone();
            if turned {
                resources.reverse();
            }
            let builder = of(resources).unwrap();
            let built = builder.authorization_server(ISSUER).unwrap().build();
            let error = built.map(drop).expect_err(what);
            assert_eq!(error.setting(), setting, "{what}: {error}");
        }
    }
    let apart = [
        audiences("api://{t}/x", "api://a/b/{s}"),
        audiences("api://{t}/x", "api://a/{s}/x"),
        audiences("a-{t}_", "{s}-b"),
        crossing(&["b"], &["x"]),
        crossing(&["a"], &["y"]),
    ];
    for resources in apart {
        let builder = of(resources).unwrap();
        let built = builder.authorization_server(ISSUER).unwrap().build();
        assert_eq!(built.map(drop), Ok(()));
    }
}

/// No request names such a host in a way that all read alike.
#[test]
fn a_resource_that_no_request_could_name_is_refused_beside_others() {
    for url in [
        "https://mcp.example.com./mcp",
        "https://[2001:db8:0:0::1]/mcp",
        "https://127.1/mcp",
        "https://m%63p.example.com/mcp",
    ] {
        let builder = OAuthLayer::builder(A).unwrap().resource(url).unwrap();
        let error = builder.authorization_server(ISSUER).unwrap().build();
        let error = error.map(drop).expect_err(url);
        assert_eq!(error.setting(), "resource", "{error}");
    }
}

#[tokio::test]
async fn a_resource_with_a_scheme_in_upper_case_is_at_its_host() {
    let web = Web::new();
    let resources = [plain("HTTPS://B.example.com/mcp"), plain(A)];
    let guarded = guarded(&web, of(resources).unwrap());
    let answer = guarded.ask(get("b.example.com", "/mcp")).await;
    answer.assert(401, "missing_credential");
    let answer = guarded.ask(get("b.example.com:80", "/mcp")).await;
    answer.assert(421, "unknown_host");
}

#[tokio::test]
async fn a_resource_stands_beside_tenants_of_whom_it_is_none() {
    let key = Key::new("k1");
    let web = Web::with_issuer(&[&key]);
    let admin = "https://mcp.example.com/admin/mcp";
    let resources = [
        template("https://mcp.example.com/{tenant}/mcp", &["acme", "globex"]),
        plain(admin),
    ];
    let guarded = guarded(&web, of(resources).unwrap());
    for (path, audience, status) in [
        ("/admin/mcp", admin, 200),
        ("/acme/mcp", admin, 401),
        ("/admin/mcp", "https://mcp.example.com/acme/mcp", 401),
        ("/acme/mcp", "https://mcp.example.com/acme/mcp", 200),
    ] {
        let token = for_audience(&key, audience);
        let request = with_token(get("mcp.example.com", path), &token);
        let answer = guarded.ask(request).await;
        assert_eq!(answer.status.as_u16(), status, "{path}: {answer:?}");
    }
}

/// Says of every request that it is for a document of the inner service.
#[derive(Clone, Debug)]
struct Documents(Clock);

impl Authenticate for Documents {
    fn describe(&self) -> ProviderInfo {
        let location = Location::bare("x-own".parse().unwrap());
        let info = ProviderInfo::new("own").matcher(CredentialMatcher::any(location));
        info.judges_resources().clock(self.0.clone())
    }

    fn route(&self, _: RequestHead<'_>) -> Route {
        Route::Public
    }

    fn authenticate(&self, _: &Credential<'_>, _: RequestHead<'_>) -> Authentication {
        unreachable!()
    }
}

#[tokio::test]
async fn what_is_no_resource_stays_none_whatever_another_provider_says() {
    let web = Web::new();
    let guarded = guarded(&web, two_hosts());
    let oauth = || AuthLayer::from(guarded.layer.clone()).boxed();
    let own = || AuthLayer::new(Documents(guarded.clock.clone())).boxed();
    for layer in [oauth().or(own()).unwrap(), own().or(oauth()).unwrap()] {
        let inner = tower::service_fn(async |_: Request<Full<Bytes>>| {
            Ok::<_, ConfigError>(http::Response::new(Full::<Bytes>::default()))
        });
        let service = layer.layer(inner);
        for (host, path, status) in [
            ("c.example.com", "/mcp", 421),
            ("a.example.com", "/other", 404),
            ("a.example.com.", "/mcp", 400),
        ] {
            let response = service.clone().oneshot(get(host, path)).await.unwrap();
            assert_eq!(response.status().as_u16(), status, "{host}{path}");
        }
    }
}

#[tokio::test]
async fn what_lies_behind_the_copy_of_server_metadata_is_no_resource() {
    let web = Web::new();
    let guarded = guarded(&web, two_hosts().copy_server_metadata());
    let path = "/.well-known/oauth-authorization-server/x";
    for (host, status) in [("a.example.com", 404), ("c.example.com", 421)] {
        let answer = guarded.ask(get(host, path)).await;
        assert_eq!(answer.status.as_u16(), status, "{host}");
        assert!(!answer.headers.contains_key("www-authenticate"));
    }
    assert_eq!(guarded.reached(), 0);

    web.publish_metadata(ISSUER);
    let service = guarded.layer.server_metadata_service();
    let path = "/.well-known/oauth-authorization-server";
    for (host, status) in [
        ("a.example.com", 200),
        ("c.example.com", 421),
        ("a.example.com.", 400),
    ] {
        let response = service.clone().oneshot(get(host, path)).await.unwrap();
        assert_eq!(response.status().as_u16(), status, "{host}");
    }
}

#[tokio::test]
async fn a_public_path_is_not_that_of_a_resource_after_its_prefix_was_taken_away() {
    let web = Web::new();
    let resources = [template(
        "https://mcp.example.com/team/{tenant}/mcp",
        &["acme"],
    )];
    let mut guarded = guarded(&web, of(resources).unwrap().stripped_prefix("/team"));
    let layer = guarded.layer.clone().public_path("/health").unwrap();
    guarded.layer = layer.public_path("/acme/mcp").unwrap();
    let ask = |path| guarded.ask(get("mcp.example.com", path));
    ask("/health").await.assert(200, "accepted");
    ask("/acme/mcp").await.assert(401, "missing_credential");
}

#[tokio::test]
async fn an_endpoint_of_streams_is_open_at_resources_alone() {
    let web = Web::new();
    let resources = [plain("https://a.example.com"), plain(B)];
    let mut guarded = guarded(&web, of(resources).unwrap());
    let endpoints = SseEndpoints::new().messages(false);
    guarded.layer = guarded.layer.clone().sse_endpoints(endpoints).unwrap();
    let post = |host, path| {
        let mut request = get(host, path);
        *request.method_mut() = http::Method::POST;
        request
    };
    for (host, status) in [
        ("a.example.com", 200),
        ("b.example.com", 404),
        ("c.example.com", 421),
    ] {
        for request in [get(host, "/sse"), post(host, "/messages")] {
            let answer = guarded.ask(request).await;
            assert_eq!(answer.status.as_u16(), status, "{host}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn a_document_that_is_not_there_is_not_kept_for_others() {
    let web = Web::new();
    let guarded = guarded(&web, two_hosts());
    let document = get("a.example.com", "/.well-known/oauth-protected-resource/x");
    let (status, caching, _) = body(&guarded, document).await;
    assert_eq!((status, &*caching), (404, "no-store"));
}

#[test]
fn the_paths_of_metadata_are_those_of_all_resources() {
    let layer = two_hosts().resource("https://a.example.com/other").unwrap();
    let layer = layer.authorization_server(ISSUER).unwrap().build().unwrap();
    let base = "/.well-known/oauth-protected-resource";
    assert_eq!(
        layer.metadata_paths(),
        [format!("{base}/mcp"), format!("{base}/other")]
    );
}

#[tokio::test]
async fn tenants_are_looked_up_once_for_a_request() {
    let web = Web::new();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let tenants = || {
        let count = Arc::clone(&count);
        Tenants::from_fn(move |name| {
            count.fetch_add(1, Ordering::SeqCst);
            (name == "acme").then(Tenant::new)
        })
    };
    let resources = [
        ProtectedResource::from_template("https://mcp.example.com/{tenant}/mcp", tenants())
            .unwrap(),
        ProtectedResource::from_template("https://{tenant}.example.org/mcp", tenants()).unwrap(),
    ];
    let guarded = guarded(&web, of(resources).unwrap());
    let well_known = "/.well-known/oauth-protected-resource";
    let paths = [
        ("mcp.example.com", "/acme/mcp".to_owned()),
        ("mcp.example.com", "/hooli/mcp".to_owned()),
        (
            "mcp.example.com",
            format!("/acme/mcp/{}", "x/".repeat(10_000)),
        ),
        ("acme.example.org", "/mcp".to_owned()),
        ("hooli.example.org", "/mcp".to_owned()),
        ("mcp.example.com", format!("{well_known}/acme/mcp")),
        ("mcp.example.com", format!("{well_known}/hooli/mcp")),
        ("acme.example.org", format!("{well_known}/mcp")),
    ];
    for (host, path) in paths {
        asked.store(0, Ordering::SeqCst);
        guarded.ask(get(host, &path)).await;
        let shown = &path[..path.len().min(60)];
        assert_eq!(asked.load(Ordering::SeqCst), 1, "{host}{shown}");
    }
}

#[test]
fn a_document_that_would_be_that_of_all_tenants_is_refused() {
    let by_path = || template("https://mcp.example.com/{tenant}/mcp", &["acme"]);
    let by_host = || template("https://{tenant}.example.com/mcp", &["acme"]);
    let cases = [
        (by_path().metadata_at_root(), Some("metadata_at_root")),
        (by_host().metadata_at_root(), None),
        (
            by_path().signed_metadata("e30.e30.c2ln"),
            Some("signed_metadata"),
        ),
        (
            by_host().signed_metadata("e30.e30.c2ln"),
            Some("signed_metadata"),
        ),
        (plain(A).signed_metadata("e30.e30.c2ln"), None),
    ];
    for (resource, expected) in cases {
        let url = resource.resource().to_owned();
        let builder = of([resource, plain(B)]).unwrap();
        let built = builder.authorization_server(ISSUER).unwrap().build();
        let error = built.map(drop).err();
        let setting = error.as_ref().map(ConfigError::setting);
        assert_eq!(setting, expected, "{url}: {error:?}");
    }
}

/// A gateway with a stage, and tenants by the host.
#[tokio::test]
async fn tenants_may_have_their_documents_at_hosts_of_their_own() {
    let web = Web::new();
    let at = |url: &str, document: &str| {
        let tenants = template(url, &["acme", "globex"]);
        tenants.advertised_metadata_url(document).unwrap()
    };
    let well_known = "/.well-known/oauth-protected-resource";
    let resources = [
        at(
            "https://mcp.example.com/{tenant}/one",
            &format!("https://{{tenant}}.example.org/one{well_known}"),
        ),
        at(
            "https://mcp.example.com/{tenant}/two",
            &format!("https://{{tenant}}.example.org/two{well_known}"),
        ),
    ];
    let guarded = guarded(&web, of(resources).unwrap());
    for (host, path, status, resource) in [
        (
            "acme.example.org",
            format!("/one{well_known}"),
            200,
            "acme/one",
        ),
        (
            "globex.example.org",
            format!("/two{well_known}"),
            200,
            "globex/two",
        ),
        (
            "mcp.example.com",
            format!("{well_known}/acme/two"),
            200,
            "acme/two",
        ),
        ("mcp.example.com", format!("/one{well_known}"), 404, ""),
        ("mcp.example.com", well_known.to_owned(), 404, ""),
    ] {
        let answer = guarded.ask(get(host, &path)).await;
        assert_eq!(answer.status.as_u16(), status, "{host}{path}");
        if status == 200 {
            let (.., json) = body(&guarded, get(host, &path)).await;
            let url = format!("https://mcp.example.com/{resource}");
            assert_eq!(json["resource"], url, "{host}{path}");
        }
    }
}
