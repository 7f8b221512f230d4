//! A JWT that a proxy at the edge puts into a header of its own, with keys by URL.

use std::convert::Infallible;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use tower::{Layer, ServiceExt};
use tower_mcp_auth::auth::{AuthLayer, Authenticate};
use tower_mcp_auth::oauth::{AuthorizationServer, OAuthLayerBuilder, ProtectedResource};
use tower_mcp_auth::{ApiKeyLayer, AuthError, Clock, ConfigError, OAuthLayer, Principal};

use crate::oauth::support::*;

const HEADER: &str = "Cf-Access-Jwt-Assertion";
const TEAM: &str = "https://acme.cloudflareaccess.com";
const CERTS: &str = "https://acme.cloudflareaccess.com/cdn-cgi/access/certs";
const TAG: &str = "f8612530c08484786e83e00ff7b549bc";
/// A token that the edge has judged, and that means nothing here.
const JUDGED: &str = "Bearer opaque-token-the-edge-has-judged";

fn edge() -> AuthorizationServer {
    AuthorizationServer::new(TEAM)
        .and_then(|server| server.jwks_uri(CERTS))
        .and_then(|server| server.audience(TAG))
        .unwrap()
}

fn builder(server: AuthorizationServer) -> OAuthLayerBuilder {
    OAuthLayer::builder(RESOURCE)
        .unwrap()
        .authorization_server(server)
        .unwrap()
}

/// A layer behind the edge, on a network where it publishes this key.
fn layer(key: &Key) -> OAuthLayer {
    layer_by(key, Clock::manual(START))
}

fn layer_by(key: &Key, clock: Clock) -> OAuthLayer {
    let web = Web::new();
    web.set(CERTS, Page::Json(key_set(&[key])));
    let builder = builder(edge()).header_name(HEADER).require_bearer(false);
    builder.clock(clock).fetch(web).build().unwrap()
}

/// What Cloudflare Access hands on, with `changes` made to it (`null` takes one out).
// By value, because every caller writes the changes in place.
#[allow(clippy::needless_pass_by_value)]
fn assertion(key: &Key, changes: Value) -> String {
    let now = START.as_secs();
    let claims = json!({
        "iss": TEAM, "aud": [TAG], "type": "app", "identity_nonce": "n1",
        "email": "alice@example.com", "sub": "u1", "country": "DE",
        "exp": now + 3600, "nbf": now, "iat": now,
        "scope": null, "client_id": null, "jti": null,
    });
    let header = json!({"typ": null});
    key.token_with_header(header, with(claims, &changes))
}

/// Unlike `changed`, keeps the members that are `null`: they are taken out of the token.
fn with(mut base: Value, changes: &Value) -> Value {
    let members = base.as_object_mut().unwrap();
    members.extend(changes.as_object().unwrap().clone());
    base
}

/// What a client got, and what the inner service saw of its request.
#[derive(Debug)]
struct Seen {
    status: u16,
    reason: String,
    headers: HeaderMap,
    body: Vec<u8>,
    inside: Option<(HeaderMap, Option<Principal>)>,
}

#[derive(Clone)]
struct Inside(HeaderMap, Option<Principal>);

async fn ask<P>(layer: &AuthLayer<P>, path: &str, headers: &[(&str, &str)]) -> Seen
where
    P: Authenticate,
{
    let inner = tower::service_fn(async |request: Request<Full<Bytes>>| {
        let who = Principal::from_extensions(request.extensions()).cloned();
        let mut response = Response::new(Full::<Bytes>::default());
        let seen = Inside(request.headers().clone(), who);
        response.extensions_mut().insert(seen);
        Ok::<_, Infallible>(response)
    });
    let mut request = Request::get(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::default()).unwrap();
    let response = layer.layer(inner).oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let inside = parts.extensions.get::<Inside>().cloned();
    Seen {
        status: parts.status.as_u16(),
        reason: parts
            .extensions
            .get::<AuthError>()
            .map_or("accepted", AuthError::reason)
            .to_owned(),
        headers: parts.headers,
        body: body.collect().await.unwrap().to_bytes().to_vec(),
        inside: inside.map(|inside| (inside.0, inside.1)),
    }
}

impl Seen {
    #[track_caller]
    fn refused(&self, status: u16, reason: &str) {
        assert_eq!((self.status, &*self.reason), (status, reason), "{self:?}");
        assert!(self.inside.is_none());
    }

    #[track_caller]
    fn accepted(&self) -> (&HeaderMap, &Principal) {
        assert_eq!(self.status, 200, "{self:?}");
        let (headers, who) = self.inside.as_ref().unwrap();
        (headers, who.as_ref().unwrap())
    }

    fn challenges(&self) -> Vec<&str> {
        let lines = self.headers.get_all("www-authenticate").iter();
        lines.map(|line| line.to_str().unwrap()).collect()
    }
}

#[tokio::test]
async fn an_assertion_of_the_edge_is_accepted_and_authorization_is_left_alone() {
    let key = Key::new("k1");
    let layer: AuthLayer<_> = layer(&key).into();
    let token = assertion(&key, json!({}));
    let headers = [(HEADER, &*token), ("authorization", JUDGED)];
    let seen = ask(&layer, "/mcp", &headers).await;
    let (inside, who) = seen.accepted();
    assert_eq!((who.issuer(), who.subject()), (Some(TEAM), Some("u1")));
    assert_eq!(who.provider(), "oauth");
    assert_eq!(inside["authorization"], JUDGED);
    // As any credential, it ends here.
    assert!(!inside.contains_key(HEADER));

    let forwarding = layer.forward_credential(true);
    let seen = ask(&forwarding, "/mcp", &headers).await;
    let (inside, _) = seen.accepted();
    assert_eq!(inside[HEADER], token);
    assert!(inside[HEADER].is_sensitive() && !inside["authorization"].is_sensitive());

    // An anonymous request keeps it too.
    let optional = forwarding.forward_credential(false).optional();
    let seen = ask(&optional, "/mcp", &[("authorization", JUDGED)]).await;
    let (inside, who) = seen.inside.unwrap();
    assert!(who.is_none());
    assert_eq!(inside["authorization"], JUDGED);
}

#[tokio::test]
async fn what_googles_proxy_hands_on_is_accepted() {
    const ISS: &str = "https://cloud.google.com/iap";
    const KEYS: &str = "https://www.gstatic.com/iap/verify/public_key-jwk";
    const AUD: &str = "/projects/1234/locations/us-central1/services/mcp";

    let key = Key::new("4BCyVw");
    let web = Web::new();
    web.set(KEYS, Page::Json(key_set(&[&key])));
    let iap = AuthorizationServer::new(ISS)
        .and_then(|server| server.jwks_uri(KEYS))
        .and_then(|server| server.audience(AUD))
        .unwrap();
    let layer: AuthLayer<_> = builder(iap)
        .header_name("X-Goog-IAP-JWT-Assertion")
        .require_bearer(false)
        .clock(Clock::manual(START))
        .fetch(web)
        .build()
        .unwrap()
        .into();
    let token = |aud: &str| {
        let claims = json!({
            "iss": ISS, "aud": aud, "azp": aud, "email": "alice@example.com",
            "hd": "example.com", "sub": "accounts.google.com:1", "identity_source": "GOOGLE",
            "scope": null, "client_id": null, "jti": null,
        });
        key.token_with_header(json!({"typ": "JWT"}), claims)
    };
    let send =
        async |token: String| ask(&layer, "/mcp", &[("x-goog-iap-jwt-assertion", &*token)]).await;
    send(token(AUD)).await.accepted();
    let other = "/projects/1234/locations/us-central1/services/other";
    send(token(other)).await.refused(401, "audience_mismatch");
}

#[tokio::test]
async fn a_refusal_has_no_challenge_and_there_are_no_metadata() {
    let key = Key::new("k1");
    let plain = layer(&key);
    let layer: AuthLayer<_> = plain.clone().into();
    let expired = assertion(&key, json!({"exp": START.as_secs() - 3600}));
    let of_another = Key::new("k1");
    let forged = assertion(&of_another, json!({}));
    for (headers, reason) in [
        (&[][..], "missing_credential"),
        (&[("authorization", JUDGED)], "missing_credential"),
        (&[(HEADER, "")], "missing_credential"),
        (&[(HEADER, "a.b.c")], "malformed_token"),
        (&[(HEADER, &*expired)], "expired"),
        (&[(HEADER, &*forged)], "invalid_signature"),
    ] {
        let seen = ask(&layer, "/mcp", headers).await;
        assert_eq!(seen.status, 401, "{seen:?}");
        assert_eq!(seen.challenges(), [""; 0], "{seen:?}");
        assert_eq!(seen.headers["cache-control"], "no-store");
        let body: Value = serde_json::from_slice(&seen.body).unwrap();
        assert_eq!(body["status"], 401, "{reason}");
        assert!(!String::from_utf8(seen.body).unwrap().contains("metadata"));
    }
    for path in [
        "/.well-known/oauth-protected-resource",
        "/.well-known/oauth-protected-resource/mcp",
        "/.well-known/oauth-authorization-server",
    ] {
        let seen = ask(&layer, path, &[]).await;
        seen.refused(401, "missing_credential");
        assert_eq!(seen.challenges(), [""; 0]);
        // A path like any other.
        let token = assertion(&key, json!({}));
        ask(&layer, path, &[(HEADER, &*token)]).await.accepted();
    }
    let request = Request::get("/").body(Full::<Bytes>::default()).unwrap();
    let served = plain.metadata_service().oneshot(request).await.unwrap();
    assert_eq!(served.status(), 404);
}

#[tokio::test]
async fn too_little_scope_and_our_own_trouble_are_told_without_a_challenge() {
    let key = Key::new("k1");
    let web = Web::new();
    web.set(CERTS, Page::Json(key_set(&[&key])));
    let with_scopes = || {
        builder(edge())
            .header_name(HEADER)
            .require_bearer(false)
            .required_scopes(["mcp:write"])
            .clock(Clock::manual(START))
    };
    let layer: AuthLayer<_> = with_scopes().fetch(web).build().unwrap().into();
    let token = assertion(&key, json!({}));
    let seen = ask(&layer, "/mcp", &[(HEADER, &*token)]).await;
    seen.refused(403, "insufficient_scope");
    assert_eq!(seen.challenges(), [""; 0]);
    let enough = assertion(&key, json!({"scope": "mcp:write"}));
    ask(&layer, "/mcp", &[(HEADER, &*enough)]).await.accepted();

    let layer: AuthLayer<_> = with_scopes().fetch(Web::new()).build().unwrap().into();
    let seen = ask(&layer, "/mcp", &[(HEADER, &*token)]).await;
    seen.refused(503, "keys_unavailable");
    assert!(seen.headers.contains_key("retry-after"));
    assert_eq!(seen.challenges(), [""; 0]);
}

#[tokio::test]
async fn the_token_is_read_in_one_place_and_as_it_is() {
    let key = Key::new("k1");
    let layer: AuthLayer<_> = layer(&key).into();
    let token = &*assertion(&key, json!({}));
    let bearer = &*format!("Bearer {token}");
    for (headers, status, reason) in [
        (&[("authorization", bearer)][..], 401, "missing_credential"),
        (&[("authorization", token)], 401, "missing_credential"),
        (&[("cf-access-token", token)], 401, "missing_credential"),
        (&[("cookie", token)], 401, "missing_credential"),
        (&[(HEADER, bearer)], 400, "malformed_credential"),
        (
            &[(HEADER, token), (HEADER, token)],
            400,
            "duplicate_credential",
        ),
        // A client that put one beside that of the edge.
        (
            &[(HEADER, "x.y.z"), (HEADER, token)],
            400,
            "duplicate_credential",
        ),
        (
            &[(HEADER, &*format!("{token},{token}"))],
            400,
            "malformed_credential",
        ),
        (&[(HEADER, &*format!("{token}=="))], 401, "malformed_token"),
    ] {
        let seen = ask(&layer, "/mcp", headers).await;
        seen.refused(status, reason);
        assert_eq!(seen.challenges(), [""; 0]);
    }
    for query in ["cf-access-jwt-assertion", "CF_ACCESS_JWT_ASSERTION"] {
        let path = format!("/mcp?{query}={token}");
        let seen = ask(&layer, &path, &[(HEADER, token)]).await;
        seen.refused(400, "token_in_query");
    }
    // Names of headers have no case.
    ask(&layer, "/mcp", &[("CF-ACCESS-JWT-ASSERTION", token)])
        .await
        .accepted();
}

#[tokio::test]
async fn a_token_of_the_edge_needs_no_mark_and_must_have_none_of_another_kind() {
    let key = Key::new("k1");
    let layer: AuthLayer<_> = layer(&key).into();
    let send = async |changes: Value| {
        let token = assertion(&key, changes);
        ask(&layer, "/mcp", &[(HEADER, &*token)]).await
    };
    send(json!({"azp": TAG})).await.accepted();
    for changes in [
        json!({"nonce": "n"}),
        json!({"at_hash": "h"}),
        json!({"c_hash": "h"}),
        json!({"events": {}}),
        json!({"type": "refresh"}),
        json!({"token_use": "id"}),
        json!({"typ": "Logout"}),
    ] {
        let seen = send(changes.clone()).await;
        assert_eq!(
            (seen.status, &*seen.reason),
            (401, "wrong_token_type"),
            "{changes}"
        );
    }
    for (changes, reason) in [
        (json!({"aud": [RESOURCE]}), "audience_mismatch"),
        (json!({"aud": "0000"}), "audience_mismatch"),
        (json!({"aud": null}), "missing_audience"),
        (
            json!({"iss": "https://other.cloudflareaccess.com"}),
            "issuer_mismatch",
        ),
        (json!({"iss": format!("{TEAM}/")}), "issuer_mismatch"),
        (json!({"exp": null}), "missing_exp"),
    ] {
        send(changes).await.refused(401, reason);
    }
}

/// What a client presents itself is an access token, whatever stands before it.
#[tokio::test]
async fn a_token_in_authorization_needs_the_marks_of_an_access_token() {
    let key = Key::new("k1");
    let web = Web::new();
    web.set(CERTS, Page::Json(key_set(&[&key])));
    for (require_bearer, scheme) in [(true, "Bearer "), (false, "")] {
        let layer = builder(edge())
            .require_bearer(require_bearer)
            .clock(Clock::manual(START))
            .fetch(web.clone());
        let layer: AuthLayer<_> = layer.build().unwrap().into();
        let send = async |changes: Value| {
            let value = format!("{scheme}{}", assertion(&key, changes));
            ask(&layer, "/mcp", &[("authorization", &*value)]).await
        };
        let seen = send(json!({})).await;
        seen.refused(401, "wrong_token_type");
        // Clients of MCP send the scheme, or can send nothing.
        assert_eq!(seen.challenges().len(), usize::from(require_bearer));
        send(json!({"scope": "mcp:read"})).await.accepted();
        let path = "/.well-known/oauth-protected-resource/mcp";
        let seen = ask(&layer, path, &[]).await;
        assert_eq!(seen.status == 200, require_bearer);
    }
}

#[tokio::test]
async fn a_scheme_may_stand_before_the_token() {
    let key = Key::new("k1");
    let web = Web::new();
    web.set(CERTS, Page::Json(key_set(&[&key])));
    let layer = builder(edge())
        .header_name("X-Forwarded-Authorization")
        .clock(Clock::manual(START))
        .fetch(web);
    let layer: AuthLayer<_> = layer.build().unwrap().into();
    let token = assertion(&key, json!({}));
    let send =
        async |value: &str| ask(&layer, "/mcp", &[("x-forwarded-authorization", value)]).await;
    send(&format!("Bearer {token}")).await.accepted();
    for other in [&*token, "Basic dTpw"] {
        let seen = send(other).await;
        seen.refused(401, "missing_credential");
        assert_eq!(seen.challenges(), [""; 0]);
    }
}

const API_KEY: &str = "b25lLXJhbmRvbS1rZXktMTIzNA";

#[tokio::test]
async fn beside_other_credentials_each_is_told_by_its_header() {
    let key = Key::new("k1");
    let clock = Clock::manual(START);
    let keys = ApiKeyLayer::new([API_KEY]).unwrap().clock(clock.clone());
    let both = layer_by(&key, clock).or(keys).unwrap();
    let token = &*assertion(&key, json!({}));
    ask(&both, "/mcp", &[(HEADER, token)]).await.accepted();
    ask(&both, "/mcp", &[("x-api-key", API_KEY)])
        .await
        .accepted();
    let seen = ask(&both, "/mcp", &[]).await;
    assert_eq!(
        seen.challenges(),
        ["ApiKey realm=\"MCP Server\", header=\"X-API-Key\""]
    );
    ask(&both, "/mcp", &[(HEADER, token), ("x-api-key", API_KEY)])
        .await
        .refused(400, "multiple_credentials");
    // One in the place of the other is neither.
    ask(&both, "/mcp", &[("x-api-key", token)])
        .await
        .refused(401, "unknown_api_key");
    let seen = ask(&both, "/mcp", &[(HEADER, API_KEY)]).await;
    assert_eq!((seen.status, seen.inside.is_none()), (401, true));
}

/// People past the edge by its header, agents with access tokens.
#[tokio::test]
async fn beside_access_tokens_clients_are_led_to_these() {
    let key = Key::new("k1");
    let web = Web::with_issuer(&[&key]);
    web.set(CERTS, Page::Json(key_set(&[&key])));
    let clock = Clock::manual(START);
    let of_edge = builder(edge()).header_name(HEADER).require_bearer(false);
    let of_edge = of_edge.clock(clock.clone()).fetch(web.clone());
    let of_clients = builder(AuthorizationServer::new(ISSUER).unwrap());
    let of_clients = of_clients.clock(clock).fetch(web).build().unwrap();
    let of_edge = of_edge.build().unwrap();
    for both in [
        of_edge.clone().or(of_clients.clone()).unwrap().boxed(),
        of_clients.or(of_edge).unwrap().boxed(),
    ] {
        let assertion = &*assertion(&key, json!({}));
        let access = &*format!("Bearer {}", key.token(json!({})));
        let seen = ask(&both, "/mcp", &[(HEADER, assertion)]).await;
        assert_eq!(seen.accepted().1.issuer(), Some(TEAM));
        let seen = ask(&both, "/mcp", &[("authorization", access)]).await;
        assert_eq!(seen.accepted().1.issuer(), Some(ISSUER));
        // In the header of the other one, neither is what its issuer hands out.
        let swapped = format!("Bearer {assertion}");
        for headers in [
            [("authorization", &*swapped)],
            [(HEADER, access.trim_start_matches("Bearer "))],
        ] {
            ask(&both, "/mcp", &headers)
                .await
                .refused(401, "issuer_mismatch");
        }
        ask(
            &both,
            "/mcp",
            &[(HEADER, assertion), ("authorization", access)],
        )
        .await
        .refused(400, "multiple_credentials");
        let seen = ask(&both, "/mcp", &[]).await;
        let metadata = "https://mcp.example.com/.well-known/oauth-protected-resource/mcp";
        assert_eq!(
            seen.challenges(),
            [format!("Bearer resource_metadata=\"{metadata}\"")]
        );
        let path = "/.well-known/oauth-protected-resource/mcp";
        let seen = ask(&both, path, &[]).await;
        let document: Value = serde_json::from_slice(&seen.body).unwrap();
        assert_eq!(document["authorization_servers"], json!([ISSUER]));
    }
}

#[test]
fn headers_that_are_none_and_what_clients_would_be_told_are_refused() {
    let refused = |builder: OAuthLayerBuilder| {
        let error = builder.build().expect_err("accepted");
        assert_eq!(error.setting(), "header_name", "{error}");
        error.to_string()
    };
    let with = |name: &str| builder(edge()).header_name(name).require_bearer(false);
    for name in [
        "",
        "a b",
        "a:b",
        "ä",
        "Cookie",
        "Host",
        "Origin",
        &"x".repeat(65),
    ] {
        refused(with(name));
    }
    assert!(with("Authorization").build().is_ok());

    type Tell = fn(ProtectedResource) -> Result<ProtectedResource, ConfigError>;
    let told: [(&str, Tell); 7] = [
        ("scopes_supported", |r| r.scopes_supported(["mcp:read"])),
        ("scopes_supported", |r| r.scopes_supported([""; 0])),
        ("resource_name", |r| Ok(r.resource_name("Tools"))),
        ("jwks_uri", |r| r.jwks_uri("https://mcp.example.com/keys")),
        ("x", |r| r.member("x", "y")),
        ("metadata_at_root", |r| Ok(r.metadata_at_root())),
        ("advertised_metadata_url", |r| {
            r.advertised_metadata_url("https://mcp.example.com/meta")
        }),
    ];
    for (setting, tell) in told {
        let resource = tell(ProtectedResource::new(RESOURCE).unwrap()).unwrap();
        let builder = OAuthLayer::builder(resource).unwrap();
        let builder = builder.authorization_server(edge()).unwrap();
        let error = refused(builder.header_name(HEADER).require_bearer(false));
        assert!(error.contains(setting), "{error}");
    }
    let advertised = edge()
        .advertised_as("https://register.example.com")
        .unwrap();
    let error = refused(builder(advertised).header_name(HEADER));
    assert!(error.contains("advertised_as"), "{error}");
    // The name of an issuer is not told.
    let named = edge().token_issuer("acme").unwrap();
    assert!(builder(named).header_name(HEADER).build().is_ok());
    // One header cannot have a scheme for one provider and none for the other.
    let whole = builder(edge()).require_bearer(false).build().unwrap();
    let scheme = OAuthLayer::new(RESOURCE, ISSUER).unwrap();
    let error = whole.or(scheme).unwrap_err();
    assert_eq!(error.setting(), "header_name", "{error}");
}
