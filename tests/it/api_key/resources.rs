//! Keys name the resources they are for, and are good at no other.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use tower_mcp_auth::api_key::{
    ApiKey, ApiKeyStore, CachedApiKeyStore, GeneratedKey, KeyDigest, KeyFile, KeyLookup,
    LookupFuture,
};
use tower_mcp_auth::peer::{PeerAddr, ProxyHeaders, TrustedProxies};
use tower_mcp_auth::{
    ApiKeyLayer, AuthErrorKind, ConfigError, Principal, Reported, ResourceSet, Tenant, Tenants,
};

use crate::api_key::life::{allocations, at, new_key, pepper, seen, with_key};
use common::{API_KEY, Answer, NOW, ask, clock, request_to};

const A: &str = "https://a.example.com/mcp";
const B: &str = "https://b.example.com/mcp";
const MISMATCH: &str = "api_key_resource_mismatch";
const UNNAMED: &str = "api_key_without_resources";

/// A key to present, and what is known of it.
pub struct Known {
    pub key: String,
    pub digest: KeyDigest,
    pub resources: Vec<String>,
}

impl Known {
    fn named(resources: &[&str]) -> Self {
        let new = new_key();
        Self {
            key: new.expose().to_owned(),
            digest: new.digest(),
            resources: resources.iter().map(|url| (*url).to_owned()).collect(),
        }
    }

    fn foreign(resources: &[&str]) -> Self {
        Self {
            key: API_KEY.to_owned(),
            digest: KeyDigest::from_external(API_KEY, &pepper()).unwrap(),
            ..Self::named(resources)
        }
    }

    fn to_api_key(&self) -> ApiKey {
        self.named_as(ApiKey::from_digest(self.digest).owner("alice"))
    }

    fn named_as(&self, key: ApiKey) -> ApiKey {
        match &self.resources[..] {
            [] => key,
            named => key.resources(named).unwrap(),
        }
    }
}

#[derive(Debug)]
struct Store(HashMap<String, ApiKey>);

impl ApiKeyStore for Store {
    fn find(&self, wanted: KeyLookup) -> LookupFuture {
        let found = self.0.get(&wanted.digest().to_string()).cloned();
        Box::pin(async move { Ok(found) })
    }
}

/// A file of keys in this format.
fn file(known: &[Known], extension: &str) -> KeyFile {
    let path = file_at(known, extension);
    KeyFile::new(path).interval(Duration::ZERO).pepper(pepper())
}

fn file_at(known: &[Known], extension: &str) -> PathBuf {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let number = NEXT.fetch_add(1, Ordering::SeqCst);
    let name = format!("resources-{}-{number}.{extension}", std::process::id());
    let path = std::env::temp_dir().join(name);
    write(&path, known, extension);
    path
}

fn write(path: &Path, known: &[Known], extension: &str) {
    let text = match extension {
        "json" => {
            let one = |known: &Known| {
                let mut key = serde_json::json!({ "digest": known.digest.to_string() });
                if !known.resources.is_empty() {
                    key["resources"] = known.resources.clone().into();
                }
                key
            };
            let keys: Vec<_> = known.iter().map(one).collect();
            serde_json::json!({ "keys": keys }).to_string()
        }
        _ => {
            let one = |known: &Known| {
                let digest = format!("[[keys]]\ndigest = \"{}\"\n", known.digest);
                match known.resources.is_empty() {
                    true => digest,
                    false => format!("{digest}resources = {:?}\n", known.resources),
                }
            };
            known.iter().map(one).collect()
        }
    };
    fs::write(path, text).unwrap();
}

/// Layers with these keys, wherever keys come from.
pub fn everywhere(known: &[Known]) -> Vec<(&'static str, ApiKeyLayer)> {
    let keys = || known.iter().map(Known::to_api_key);
    let given = known.iter().map(|known| {
        let key = ApiKey::new(&known.key).unwrap();
        known.named_as(key)
    });
    let stored = keys()
        .zip(known)
        .map(|(key, known)| (known.digest.to_string(), key));
    let store = CachedApiKeyStore::new(Store(stored.collect())).pepper(pepper());
    vec![
        ("given", ApiKeyLayer::new(given).unwrap()),
        (
            "digests",
            ApiKeyLayer::from_peppered(keys(), pepper()).unwrap(),
        ),
        ("json", ApiKeyLayer::from_file(file(known, "json")).unwrap()),
        ("toml", ApiKeyLayer::from_file(file(known, "toml")).unwrap()),
        ("store", ApiKeyLayer::from_store(store)),
    ]
}

fn both() -> ResourceSet {
    ResourceSet::new().resource(A).unwrap().resource(B).unwrap()
}

fn at_host(host: &str, path: &str, key: &str) -> Request<Full<Bytes>> {
    request_to(path, &[("host", host), ("x-api-key", key)])
}

/// The resource of the principal, or a reason.
type Expected<'a> = Result<Option<&'a str>, &'a str>;

#[track_caller]
fn is(answer: &Answer, expected: Expected<'_>, what: &str) {
    match expected {
        Ok(url) => {
            let resource = answer.principal().resource();
            assert_eq!(resource.map(|resource| resource.url()), url, "{what}");
        }
        Err(reason) => {
            assert_eq!(answer.error().reason(), reason, "{what}");
            answer.invalid(reason);
        }
    }
}

#[tokio::test]
async fn where_a_layer_has_one_resource_a_key_that_names_some_names_that_one() {
    let cases: [(&[&str], Expected<'_>); 13] = [
        (&[], Ok(Some(A))),
        (&[A], Ok(Some(A))),
        (&[B, A, B], Ok(Some(A))),
        (
            &["https://c.example.com", "http://a.example.com/mcp", A],
            Ok(Some(A)),
        ),
        (&[B], Err(MISMATCH)),
        (&["https://a.example.com/mcp/"], Err(MISMATCH)),
        (&["https://a.example.com/mcp/more"], Err(MISMATCH)),
        (&["https://a.example.com/mc"], Err(MISMATCH)),
        (&["https://a.example.com"], Err(MISMATCH)),
        (&["https://A.example.com/mcp"], Err(MISMATCH)),
        (&["http://a.example.com/mcp"], Err(MISMATCH)),
        (&["https://a.example.com:443/mcp"], Err(MISMATCH)),
        (&["https://a.example.com/mcp?x"], Err(MISMATCH)),
    ];
    for (names, expected) in cases {
        for known in [Known::named(names), Known::foreign(names)] {
            let known = [known];
            for (source, layer) in everywhere(&known) {
                let layer = layer.resource(A).unwrap();
                for _ in 0..2 {
                    let answer = ask(&layer, with_key(&known[0].key)).await;
                    is(&answer, expected, &format!("{source}: {names:?}"));
                }
            }
        }
    }
}

#[tokio::test]
async fn a_layer_that_knows_no_resource_accepts_no_key_that_names_some() {
    let known = [Known::named(&[A]), Known::named(&[])];
    for (source, layer) in everywhere(&known) {
        let answer = ask(&layer, with_key(&known[0].key)).await;
        is(&answer, Err(MISMATCH), source);
        let detail = answer.error().detail().unwrap();
        assert!(detail.contains("`ApiKeyLayer::resource`"), "{detail}");
        let answer = ask(&layer, with_key(&known[1].key)).await;
        is(&answer, Ok(None), source);
        // Hosts and paths say nothing: they are not compared.
        let asked = at_host("a.example.com", "/mcp", &known[0].key);
        is(&ask(&layer, asked).await, Err(MISMATCH), source);
    }
}

#[tokio::test]
async fn of_several_resources_a_key_is_good_at_those_it_names() {
    const ACME: &str = "https://mcp.example.org/acme/mcp";
    let cases: [(&[&str], [bool; 4]); 7] = [
        (&[A], [true, false, false, false]),
        (&[B], [false, true, false, false]),
        (&[B, A], [true, true, false, false]),
        (&[ACME], [false, false, true, false]),
        (&["https://mcp.example.org/ACME/mcp"], [false; 4]),
        (
            &[
                "https://mcp.example.org/mcp",
                "https://mcp.example.org/acme",
            ],
            [false; 4],
        ),
        (
            &["https://mcp.example.org/globex/mcp", A],
            [true, false, false, true],
        ),
    ];
    let places = [
        ("a.example.com", "/mcp", A),
        ("b.example.com", "/mcp", B),
        ("mcp.example.org", "/acme/mcp", ACME),
        (
            "mcp.example.org",
            "/globex/mcp",
            "https://mcp.example.org/globex/mcp",
        ),
    ];
    let tenants = Tenants::new(["acme", "globex"]).unwrap();
    let resources = both()
        .template("https://mcp.example.org/{tenant}/mcp", tenants)
        .unwrap();
    for (names, good) in cases {
        let known = [Known::named(names)];
        for (source, layer) in everywhere(&known) {
            let layer = layer.resources(resources.clone()).unwrap();
            // In turn, so that what is remembered of the key is judged at each of them.
            for turn in 0..8 {
                let (host, path, url) = places[turn % 4];
                let answer = ask(&layer, at_host(host, path, &known[0].key)).await;
                let what = format!("{source}: {names:?} at {url}");
                match good[turn % 4] {
                    true => is(&answer, Ok(Some(url)), &what),
                    false => is(&answer, Err(MISMATCH), &what),
                }
            }
        }
    }
}

#[tokio::test]
async fn of_several_resources_a_key_without_names_is_good_at_none() {
    let known = || [Known::named(&[]), Known::named(&[A])];
    for (at, (source, layer)) in everywhere(&known()).into_iter().enumerate() {
        // Only a store is asked key by key.
        let made = layer.resources(both());
        assert_eq!(made.is_err(), source != "store", "{source}");
        if let Err(error) = made {
            assert_eq!(error.setting(), "resources");
            assert!(error.to_string().contains("number 1 of 2"), "{error}");
            continue;
        }
        let known = known();
        let (_, layer) = everywhere(&known).swap_remove(at);
        let layer = layer.resources(both()).unwrap();
        for host in ["a.example.com", "b.example.com"] {
            let answer = ask(&layer, at_host(host, "/mcp", &known[0].key)).await;
            is(&answer, Err(UNNAMED), source);
            let detail = answer.error().detail().unwrap();
            for word in ["`resources`", "`dangerously_all_resources`", host] {
                assert!(detail.contains(word), "{detail}");
            }
        }
        let answer = ask(&layer, at_host("a.example.com", "/mcp", &known[1].key)).await;
        is(&answer, Ok(Some(A)), source);
    }
    let known = known();
    for (source, layer) in everywhere(&known) {
        let layer = layer.dangerously_all_resources().resources(both()).unwrap();
        for (host, url) in [("a.example.com", A), ("b.example.com", B)] {
            let answer = ask(&layer, at_host(host, "/mcp", &known[0].key)).await;
            is(&answer, Ok(Some(url)), source);
            // Who names resources means them all the same.
            let answer = ask(&layer, at_host(host, "/mcp", &known[1].key)).await;
            let expected = if url == A { Ok(Some(A)) } else { Err(MISMATCH) };
            is(&answer, expected, source);
        }
    }
}

/// A file that is read again can have keys that name none.
#[tokio::test]
async fn a_key_without_names_that_a_file_has_later_is_good_at_none() {
    let (old, new) = ([Known::named(&[A])], [Known::named(&[])]);
    for extension in ["json", "toml"] {
        let path = file_at(&old, extension);
        let keys = KeyFile::new(&path)
            .interval(Duration::ZERO)
            .pepper(pepper());
        let layer = ApiKeyLayer::from_file(keys).unwrap();
        let layer = layer.resources(both()).unwrap();
        let answer = ask(&layer, at_host("a.example.com", "/mcp", &old[0].key)).await;
        is(&answer, Ok(Some(A)), extension);
        write(&path, &new, extension);
        layer.keys().reload().unwrap();
        for host in ["a.example.com", "b.example.com"] {
            let answer = ask(&layer, at_host(host, "/mcp", &new[0].key)).await;
            is(&answer, Err(UNNAMED), extension);
        }
    }
}

#[tokio::test]
async fn a_request_to_no_resource_reaches_neither_keys_nor_service() {
    let new = new_key();
    let used = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&used);
    let layer = ApiKeyLayer::new([new.to_api_key().resources([A]).unwrap()])
        .unwrap()
        .resources(both())
        .unwrap()
        .on_use(Duration::ZERO, move |_| {
            count.fetch_add(1, Ordering::SeqCst);
        })
        .public_path("/health")
        .unwrap();
    for (host, path, status, reason) in [
        ("c.example.com", "/mcp", 421, "unknown_host"),
        ("a.example.com:8443", "/mcp", 421, "unknown_host"),
        ("a.example.com", "/", 404, "unknown_resource"),
        ("a.example.com", "/mcpx", 404, "unknown_resource"),
        ("a.example.com", "/mcp/../mcp", 404, "unknown_resource"),
        ("a.example.com", "/mcp%2fx", 404, "unknown_resource"),
        (
            "a.example.com",
            "/.well-known/oauth-protected-resource/mcp",
            404,
            "unknown_resource",
        ),
        ("a.example.com.", "/mcp", 400, "malformed_host"),
        ("u@a.example.com", "/mcp", 400, "malformed_host"),
        ("", "/mcp", 400, "malformed_host"),
    ] {
        let answer = ask(&layer, at_host(host, path, new.expose())).await;
        let error = answer.error();
        assert_eq!(
            (error.reason(), error.status().as_u16()),
            (reason, status),
            "{host}{path}"
        );
        assert!(
            answer.challenges().is_empty() || status == 400,
            "{host}{path}"
        );
    }
    let twice = [
        ("host", "a.example.com"),
        ("host", "b.example.com"),
        ("x-api-key", new.expose()),
    ];
    let answer = ask(&layer, request_to("/mcp", &twice)).await;
    answer.refused(AuthErrorKind::Malformed, "ambiguous_host");
    assert_eq!(used.load(Ordering::SeqCst), 0);

    let answer = ask(&layer, at_host("c.example.com", "/health", new.expose())).await;
    assert!(!answer.admitted().headers.contains_key("x-api-key"));
    for (host, path) in [
        ("A.example.com", "/mcp"),
        ("a.example.com:443", "/mcp/messages?x=1"),
    ] {
        let answer = ask(&layer, at_host(host, path, new.expose())).await;
        is(&answer, Ok(Some(A)), host);
    }
    let anonymous = request_to("/mcp", &[("host", "b.example.com")]);
    let answer = ask(&layer, anonymous).await;
    answer.missing();
    assert_eq!(
        answer.challenges(),
        [r#"ApiKey realm="MCP Server", header="X-API-Key""#]
    );
}

#[tokio::test]
async fn tenants_come_and_go_and_proxies_say_the_host() {
    let open = Arc::new(AtomicBool::new(true));
    let is_open = Arc::clone(&open);
    let lookup = move |name: &str| match name {
        "acme" => Some(Tenant::new()),
        "late" => is_open.load(Ordering::SeqCst).then(Tenant::new),
        "odd" => Some(Tenant::new().authorization_servers(["https://auth.example.com"])),
        _ => None,
    };
    let proxies = TrustedProxies::new(ProxyHeaders::XForwarded, ["192.0.2.1"]).unwrap();
    let resources = ResourceSet::new()
        .template("https://{tenant}.example.com/mcp", Tenants::from_fn(lookup))
        .unwrap()
        .trusted_proxies(proxies);
    assert_eq!(resources.listed().count(), 0);
    let new = new_key();
    let names = ["late", "odd"].map(|name| format!("https://{name}.example.com/mcp"));
    let key = new.to_api_key().resources(names).unwrap();
    let layer = ApiKeyLayer::new([key])
        .unwrap()
        .resources(resources)
        .unwrap();
    let ask_at = async |host: &str, peer: [u8; 4]| {
        let mut request = at_host("inner", "/mcp", new.expose());
        let headers = request.headers_mut();
        headers.insert("x-forwarded-host", host.parse().unwrap());
        request
            .extensions_mut()
            .insert(PeerAddr::from(std::net::IpAddr::from(peer)));
        ask(&layer, request).await
    };
    let proxy = [192, 0, 2, 1];
    let answer = ask_at("late.example.com", proxy).await;
    is(&answer, Ok(Some("https://late.example.com/mcp")), "late");
    is(
        &ask_at("acme.example.com", proxy).await,
        Err(MISMATCH),
        "acme",
    );
    // What is not a proxy's says nothing.
    let answer = ask_at("late.example.com", [192, 0, 2, 2]).await;
    answer.refused(AuthErrorKind::Misdirected, "unknown_host");
    // Settings that are not obeyed are not passed over.
    let answer = ask_at("odd.example.com", proxy).await;
    let error = answer.refused(AuthErrorKind::UnknownResource, "unknown_resource");
    assert!(error.detail().unwrap().contains("OAuthLayer"), "{error:?}");
    open.store(false, Ordering::SeqCst);
    let answer = ask_at("late.example.com", proxy).await;
    answer.refused(AuthErrorKind::Misdirected, "unknown_host");
}

#[tokio::test]
async fn a_prefix_that_a_proxy_takes_away_is_a_part_of_the_resource() {
    let new = new_key();
    let key = new
        .to_api_key()
        .resources(["https://a.example.com/team/mcp"]);
    let resources = |prefix: &str| {
        let set = ResourceSet::new().resource("https://a.example.com/team/mcp")?;
        set.stripped_prefix(prefix)
    };
    for wrong in [
        "", "/", "team", "/team/", "/te//am", "/../team", "/te%2fam", "/t?x",
    ] {
        let error = resources(wrong).map(drop).unwrap_err();
        assert_eq!(error.setting(), "stripped_prefix", "{wrong:?}");
    }
    let layer = ApiKeyLayer::new([key.unwrap()]).unwrap();
    let layer = layer.resources(resources("/team").unwrap()).unwrap();
    for (path, status) in [
        ("/mcp", 200),
        ("/mcp/x", 200),
        ("/team/mcp", 404),
        ("/", 404),
    ] {
        let answer = ask(&layer, at_host("a.example.com", path, new.expose())).await;
        assert_eq!(answer.status, status, "{path}");
    }
    let answer = ask(&layer, at_host("a.example.com", "/x", new.expose())).await;
    let detail = answer.error().detail().unwrap();
    assert!(detail.contains("/team/x"), "{detail}");
}

#[tokio::test]
async fn hosts_are_those_of_the_resources_and_of_their_tenants() {
    let tenants = Tenants::new(["acme"]).unwrap();
    let resources = ResourceSet::new()
        .resource(A)
        .unwrap()
        .template("https://{tenant}.example.org:8443/mcp", tenants)
        .unwrap();
    let origin = tower_mcp_auth::mcp::OriginLayer::from_hosts(resources.hosts());
    for (host, status) in [
        ("a.example.com", 200),
        ("A.example.com:443", 200),
        ("acme.example.org:8443", 200),
        ("acme.example.org", 421),
        ("globex.example.org:8443", 421),
        ("b.example.com", 421),
    ] {
        let answer = ask(&origin, request_to("/mcp", &[("host", host)])).await;
        assert_eq!(answer.status, status, "{host}");
    }
}

#[tokio::test]
async fn a_session_of_one_resource_is_none_of_another() {
    use std::convert::Infallible;

    use http::Response;
    use tower::{ServiceBuilder, ServiceExt};
    use tower_mcp_auth::mcp::{MacKey, SessionBindingLayer};

    let new = new_key();
    let key = new.to_api_key().owner("alice").resources([A, B]).unwrap();
    let layer = ApiKeyLayer::new([key]).unwrap().resources(both()).unwrap();
    let mac = MacKey::new("R7vJ2nWq9sLx4TzK8mYc3FbHd6GpAeU5").unwrap();
    let service = ServiceBuilder::new()
        .layer(layer)
        .layer(SessionBindingLayer::new(mac))
        .service_fn(async |_: Request<Full<Bytes>>| {
            let response = Response::builder().header("mcp-session-id", "s1");
            Ok::<_, Infallible>(response.body(Full::<Bytes>::default()).unwrap())
        });
    let opened = at_host("a.example.com", "/mcp", new.expose());
    let response = service.clone().oneshot(opened).await.unwrap();
    let session = response.headers()["mcp-session-id"].clone();
    for (host, status) in [("a.example.com", 200), ("b.example.com", 404)] {
        let mut request = at_host(host, "/mcp", new.expose());
        request
            .headers_mut()
            .insert("mcp-session-id", session.clone());
        let response = service.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), status, "{host}");
    }
}

#[tokio::test]
async fn a_client_does_not_learn_that_a_key_is_good_elsewhere() {
    let known = [Known::named(&[B]), Known::named(&[]), Known::named(&[A])];
    let unknown = new_key();
    for (source, layer) in everywhere(&known).split_off(4) {
        let layer = layer.resources(both()).unwrap();
        let mut answers = Vec::new();
        for key in [&known[0].key, &known[1].key, unknown.expose()] {
            let answer = ask(&layer, at_host("a.example.com", "/mcp", key)).await;
            let detail = answer.error().detail().unwrap();
            assert!(!detail.contains(&key[18..]), "{detail}");
            answers.push(seen(&answer));
        }
        assert_eq!(answers[0], answers[2], "{source}");
        assert_eq!(answers[1], answers[2], "{source}");
    }
}

#[tokio::test]
async fn the_operator_learns_both_resources_and_how_they_differ() {
    for (names, words) in [
        (&[B][..], &[B, A, "owner \"alice\""][..]),
        (
            &["https://a.example.com/mcp/"],
            &["only by a slash at the end"],
        ),
        (&[B, "https://A.example.com/MCP"], &["only by case"]),
        (
            &[
                "https://1.example",
                "https://2.example",
                "https://3.example",
                "https://4.example",
            ],
            &["https://3.example", "and 1 more"],
        ),
    ] {
        let known = Known::named(names);
        let layer = ApiKeyLayer::new([known.to_api_key()])
            .unwrap()
            .resource(A)
            .unwrap();
        let answer = ask(&layer, with_key(&known.key)).await;
        let detail = answer.error().detail().unwrap();
        for word in words {
            assert!(detail.contains(word), "{word}: {detail}");
        }
        assert!(!detail.contains("4.example"), "{detail}");
    }
}

#[test]
fn what_names_no_resource_is_refused_and_not_repeated() {
    let key = || new_key().to_api_key();
    let secret = "acme_V5f2Q0sYx8Lk_0pZ3nD6wJt9RrB1cFh7Ug4KmE8aXy2Qs0ztSHr";
    for (bad, why) in [
        ("", "no absolute"),
        ("/mcp", "no absolute"),
        ("a.example.com/mcp", "no absolute"),
        ("https:/a.example.com", "no absolute"),
        ("ftp://a.example.com", "no absolute"),
        ("urn:mcp", "no absolute"),
        (secret, "no absolute"),
        (" https://a.example.com", "no absolute"),
        ("https://", "no host"),
        ("https:///mcp", "no host"),
        ("https://?x", "no host"),
        ("https://:443/mcp", "no host"),
        ("https://a.example.com/mcp ", "character"),
        ("https://a.example.com/\nmcp", "character"),
        (
            "https://a.example.com/mcp, https://b.example.com",
            "character",
        ),
        ("https://a.example.com/mcp#x", "fragment"),
        ("https://u:s3cret@a.example.com/mcp", "user name"),
        ("https://{tenant}.example.com/mcp", "template"),
        ("https://mcp.example.com/{tenant}", "template"),
    ] {
        for names in [vec![bad], vec![A, bad]] {
            let error = key().resources(&names).unwrap_err();
            assert_eq!(error.setting(), "resources");
            let text = error.to_string();
            assert!(text.contains(why), "{bad:?}: {text}");
            assert!(text.contains(&format!("number {}", names.len())), "{text}");
            assert!(bad.len() < 16 || !text.contains(bad), "{text}");
            assert!(!text.contains("s3cret"), "{text}");
        }
    }
    let none: [&str; 0] = [];
    assert_eq!(key().resources(none).unwrap_err().setting(), "resources");
    for good in [
        "HTTPS://A.example.com",
        "http://127.0.0.1:3000/mcp",
        "https://[::1]:8443/",
        "https://a.example.com?tenant=1",
        "https://m\u{fc}nchen.example/mcp",
    ] {
        key().resources([good]).unwrap();
    }
}

#[test]
fn a_file_names_the_place_of_what_is_no_resource() {
    for (members, expected) in [
        (
            r#""resources": []"#,
            "at keys[1].resources: resources: the list is empty",
        ),
        (
            r#""resources": ["mcp7712345"]"#,
            "at keys[1].resources: resources: number 1",
        ),
        (
            r#""resources": "https://a.example.com""#,
            "at keys[1].resources: a list of texts",
        ),
        (
            r#""resources": [7712345]"#,
            "at keys[1].resources: a list of texts",
        ),
        (
            r#""resource": "https://a.example.com""#,
            "the unknown member keys[1].resource",
        ),
    ] {
        let keys = [new_key(), new_key()].map(|new: GeneratedKey| new.digest().to_string());
        let text = format!(
            r#"{{"keys": [{{"digest": "{}"}}, {{"digest": "{}", {members}}}]}}"#,
            keys[0], keys[1]
        );
        let path = std::env::temp_dir().join(format!("no-resource-{}.json", std::process::id()));
        fs::write(&path, text).unwrap();
        let error = ApiKeyLayer::from_file(KeyFile::new(&path)).unwrap_err();
        fs::remove_file(path).unwrap();
        assert_eq!(error.setting(), "key_file");
        assert!(error.to_string().contains(expected), "{error}");
        assert!(!error.to_string().contains("7712345"), "{error}");
    }
}

#[test]
fn what_a_layer_protects_is_said_once_and_is_a_place() {
    let layer = || ApiKeyLayer::new([new_key().to_api_key().resources([A]).unwrap()]).unwrap();
    type Set = fn(ApiKeyLayer) -> Result<ApiKeyLayer, ConfigError>;
    let cases: [(&str, &str, Set); 9] = [
        ("no URL", "resource", |layer| layer.resource("mcp")),
        ("a template", "resource", |layer| {
            layer.resource("https://{t}.example.com")
        }),
        ("a password", "resource", |layer| {
            layer.resource("https://u:s3cret@a.example.com")
        }),
        ("twice", "resource", |layer| layer.resource(A)?.resource(A)),
        ("one and several", "resources", |layer| {
            layer.resource(A)?.resources(both())
        }),
        ("several and one", "resource", |layer| {
            layer.resources(both())?.resource(A)
        }),
        ("several twice", "resources", |layer| {
            layer.resources(both())?.resources(both())
        }),
        ("none of several", "resources", |layer| {
            layer.resources(ResourceSet::new())
        }),
        ("its own path public", "public_path", |layer| {
            layer.resource(A)?.public_path("/mcp")
        }),
    ];
    for (what, setting, set) in cases {
        let error = set(layer()).expect_err(what);
        assert_eq!(error.setting(), setting, "{what}: {error}");
        assert!(!error.to_string().contains("s3cret"), "{error}");
    }
    let tenants = || Tenants::new(["acme"]).unwrap();
    let set = |tenant: Tenant| {
        let tenants = Tenants::from_settings([("acme", tenant)]).unwrap();
        ResourceSet::new().template("https://{t}.example.com", tenants)
    };
    assert!(set(Tenant::new()).is_ok());
    let tenant = Tenant::new().required_scopes(["admin"]).unwrap();
    assert_eq!(set(tenant).unwrap_err().setting(), "tenants");
    for url in [
        "mcp",
        "https://a.example.com/mcp?x",
        "https://a.example.com/mcp#x",
        "https://a.example.com//mcp",
        "https://a.example.com/%2e/mcp",
        "https://a.example.com./mcp",
        "https://127.1/mcp",
        "https://[0:0::1]/mcp",
        "https://a.example.com:0443/mcp",
        "https://m\u{fc}nchen.example/mcp",
        "https://{tenant}.example.com/mcp",
        "https://a.example.com/mcp/",
        "https://A.example.com:443/mcp",
    ] {
        let refused = both().resource(url).map(drop).unwrap_err();
        assert_eq!(refused.setting(), "resource", "{url}: {refused}");
    }
    for template in [
        "https://a.example.com/mcp",
        "https://mcp-{t}.example.com",
        "https://{t}",
        "https://{t}.example.com/mcp",
    ] {
        // Of these the last one can be the place of A.
        let refused = both().template(template, Tenants::new(["a"]).unwrap());
        assert_eq!(
            refused.map(drop).unwrap_err().setting(),
            "resource",
            "{template}"
        );
    }
    for good in [
        "http://127.0.0.1:3000",
        "https://[::1]/mcp",
        "https://a.example.com:8443/mcp",
    ] {
        let _ = both().resource(good).unwrap();
    }
    let _ = both()
        .template("https://{t}.example.com/mcp", tenants())
        .unwrap();
}

#[tokio::test]
async fn keys_that_are_given_later_name_their_resources_too() {
    let (named, unnamed) = (new_key(), new_key());
    let with_names = || named.to_api_key().resources([A, B]).unwrap();
    let without = || unnamed.to_api_key().id("the-id");
    let layer = ApiKeyLayer::new([with_names()]).unwrap();
    // Where names are not asked for, none are needed.
    layer.keys().replace([without()]).unwrap();
    layer.keys().replace([with_names()]).unwrap();
    let several = layer.clone().resources(both()).unwrap();
    for layer in [&several, &layer] {
        let error = layer.keys().replace([with_names(), without()]).unwrap_err();
        assert_eq!(error.setting(), "resources");
        let text = error.to_string();
        for word in ["number 2 of 2", "the-id", "`ApiKey::resources`"] {
            assert!(text.contains(word), "{text}");
        }
        assert!(!text.contains(&unnamed.expose()[18..]), "{text}");
    }
    let answer = ask(&several, at_host("a.example.com", "/mcp", named.expose())).await;
    is(&answer, Ok(Some(A)), "the old keys stay");

    let layer = ApiKeyLayer::new([without()])
        .unwrap()
        .dangerously_all_resources();
    let layer = layer.resources(both()).unwrap();
    layer.keys().replace([without()]).unwrap();
    let answer = ask(&layer, at_host("b.example.com", "/mcp", unnamed.expose())).await;
    is(&answer, Ok(Some(B)), "all resources");
}

#[tokio::test]
async fn what_is_let_pass_for_one_reason_is_not_let_pass_for_another() {
    let keys = ["ends", "elsewhere", "both", "revoked"].map(|owner| (owner, new_key()));
    let made = keys.each_ref().map(|(owner, new)| {
        let key = new.to_api_key().owner(*owner);
        let key = match *owner {
            "ends" | "both" | "revoked" => key.expires_at(at(NOW)).unwrap(),
            _ => key,
        };
        let key = key.revoked(*owner == "revoked");
        match *owner {
            "elsewhere" | "both" => key.resources([B]).unwrap(),
            _ => key.resources([A]).unwrap(),
        }
    });
    let layer = ApiKeyLayer::new(made)
        .unwrap()
        .clock(clock())
        .resource(A)
        .unwrap();
    let expired = "expired_api_key";
    let cases: [(&[&str], [&str; 4]); 5] = [
        (&[expired], ["", MISMATCH, MISMATCH, "revoked_api_key"]),
        (&[MISMATCH], [expired, "", expired, "revoked_api_key"]),
        (&[expired, MISMATCH], ["", "", "", "revoked_api_key"]),
        (&["revoked_api_key"], [expired, MISMATCH, expired, expired]),
        (&["revoked_api_key", expired], ["", MISMATCH, MISMATCH, ""]),
    ];
    for (reported, refused) in cases {
        let layer = layer.clone().dangerously_report_only_for(reported).unwrap();
        for ((owner, new), reason) in keys.iter().zip(refused) {
            let answer = ask(&layer, with_key(new.expose())).await;
            let what = format!("{owner}, {reported:?}");
            match reason {
                "" => {
                    let told = answer.extensions.get::<Reported>().expect(&what);
                    assert!(reported.contains(&told.errors()[0].reason()), "{what}");
                    let passed = &answer.admitted().extensions;
                    assert!(Principal::from_extensions(passed).is_none(), "{what}");
                    // Only the time of a key is at fault where its owner counts.
                    let owned = told.errors()[0].principal_id().is_some();
                    assert_eq!(owned, *owner == "ends", "{what}");
                }
                reason => is(&answer, Err(reason), &what),
            }
        }
    }
    let layer = layer.dangerously_report_only();
    let answer = ask(&layer, with_key(keys[1].1.expose())).await;
    let told = answer.extensions.get::<Reported>().unwrap();
    assert_eq!(told.errors()[0].reason(), MISMATCH);
    assert!(Principal::from_extensions(&answer.admitted().extensions).is_none());
}

#[tokio::test]
async fn what_is_wrong_with_the_life_of_a_key_comes_first() {
    let (revoked, ended) = (new_key(), new_key());
    let layer = ApiKeyLayer::new([
        revoked.to_api_key().revoked(true).resources([B]).unwrap(),
        ended
            .to_api_key()
            .expires_at(at(NOW))
            .unwrap()
            .resources([B])
            .unwrap(),
    ]);
    let layer = layer.unwrap().clock(clock()).resource(A).unwrap();
    for (key, reason) in [(&revoked, "revoked_api_key"), (&ended, "expired_api_key")] {
        is(
            &ask(&layer, with_key(key.expose())).await,
            Err(reason),
            reason,
        );
    }
}

#[tokio::test]
async fn a_key_that_is_used_elsewhere_is_not_told_as_used() {
    let new = new_key();
    let used = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&used);
    let layer = ApiKeyLayer::new([new.to_api_key().resources([A]).unwrap()])
        .unwrap()
        .resources(both())
        .unwrap()
        .on_use(Duration::ZERO, move |_| {
            count.fetch_add(1, Ordering::SeqCst);
        });
    for (host, times) in [
        ("b.example.com", 0),
        ("a.example.com", 1),
        ("b.example.com", 1),
    ] {
        ask(&layer, at_host(host, "/mcp", new.expose())).await;
        assert_eq!(used.load(Ordering::SeqCst), times, "{host}");
    }
}

#[test]
fn names_cost_no_allocation() {
    let new = new_key();
    let key = new.to_api_key().owner("alice");
    let named = key.clone().resources([B, A]).unwrap();
    let layer = |key| ApiKeyLayer::new([key]).unwrap();
    assert_eq!(
        allocations(&layer(named).resource(A).unwrap(), new.expose()),
        allocations(&layer(key), new.expose())
    );
}
