//! npm `oidc-provider` as the authorization server.

use std::convert::Infallible;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use tower::{Layer, ServiceExt, service_fn};
use tower_mcp_auth::oauth::{AuthorizationServer, Introspection};
use tower_mcp_auth::revocation::Revocation;
use tower_mcp_auth::scopes::{AcrOrder, RequireScopesLayer, Requirement, Strength};
use tower_mcp_auth::{AuthError, Clock, OAuthLayer, Principal};

use crate::introspection::PLAIN_SECRET;
use crate::programs::{Running, node};

pub(crate) const RESOURCE: &str = "https://mcp.example.com/mcp";
pub(crate) const ELSEWHERE: &str = "https://elsewhere.example/mcp";

pub(crate) struct Provider {
    program: Running,
    pub(crate) issuer: String,
    pub(crate) token_endpoint: String,
}

impl Provider {
    pub(crate) async fn start() -> Self {
        let mut command = node("oidc-provider.mjs");
        command.args(["--port", "0", "--resource", RESOURCE]);
        let mut program = Running::start(&mut command);
        let issuer = program.line("issuer ").await;
        let metadata = format!("{issuer}/.well-known/openid-configuration");
        let metadata = reqwest::get(metadata).await.expect("metadata");
        let metadata: serde_json::Value = metadata.json().await.expect("JSON");
        Self {
            program,
            issuer,
            token_endpoint: metadata["token_endpoint"]
                .as_str()
                .expect("a URL")
                .to_owned(),
        }
    }

    async fn token(&self, resource: Option<&str>) -> String {
        let mut form = vec![
            ("grant_type", "client_credentials"),
            ("scope", "mcp:read mcp:write"),
        ];
        form.extend(resource.map(|resource| ("resource", resource)));
        let response = reqwest::Client::new()
            .post(&self.token_endpoint)
            .basic_auth("interop", Some("interop-secret"))
            .form(&form)
            .send()
            .await
            .expect("an answer");
        let answer: serde_json::Value = response.json().await.expect("JSON");
        let token = answer["access_token"].as_str();
        token.unwrap_or_else(|| panic!("no token: {answer}")).into()
    }

    /// A layer that trusts this provider, with a second of tolerance instead of a minute: `iat` is
    /// rounded either way.
    fn layer(&self, clock: &Clock) -> OAuthLayer {
        let server = AuthorizationServer::insecure_http_on_loopback(&*self.issuer)
            .and_then(|server| server.clock_skew(Duration::from_secs(1)))
            .expect("an authorization server");
        OAuthLayer::builder(RESOURCE)
            .and_then(|layer| layer.authorization_server(server))
            .and_then(|layer| layer.clock(clock.clone()).build())
            .expect("a layer")
    }
}

/// A clock that is moved by hand. The provider's goes on meanwhile, however long a step takes.
pub(crate) fn clock() -> Clock {
    Clock::manual(Clock::system().now())
}

/// Sets it to the time of the provider, which has just issued something.
fn catch_up(clock: &Clock) {
    clock.set_wall(Clock::system().now());
}

/// What the layer makes of a token: who it is, or the status and the reason.
pub(crate) async fn ask(
    layer: &OAuthLayer,
    token: &str,
) -> Result<Principal, (StatusCode, &'static str)> {
    let inner = service_fn(async |request: Request<Full<Bytes>>| {
        let mut response = Response::new(Full::<Bytes>::default());
        let principal = Principal::from_extensions(request.extensions()).expect("a principal");
        response.extensions_mut().insert(principal.clone());
        Ok::<_, Infallible>(response)
    });
    let request = Request::post("/mcp")
        .header("authorization", format!("Bearer {token}"))
        .body(Full::default())
        .expect("a request");
    let response = layer
        .layer(inner)
        .oneshot(request)
        .await
        .expect("a response");
    match response.extensions().get::<AuthError>() {
        Some(error) => Err((response.status(), error.reason())),
        None => Ok(response
            .extensions()
            .get::<Principal>()
            .expect("it")
            .clone()),
    }
}

const fn refused(reason: &'static str) -> Option<(StatusCode, &'static str)> {
    Some((StatusCode::UNAUTHORIZED, reason))
}

#[tokio::test]
#[ignore = "needs Node 22 and npm oidc-provider: see tests/interop/README.md"]
async fn oidc_provider_issues_tokens_for_our_resource() {
    let mut provider = Provider::start().await;
    let layer = provider.layer(&Clock::system());
    for alg in ["RS256", "PS256", "ES256", "ES384", "EdDSA"] {
        let said = format!("alg {alg}");
        provider.program.command(&said, &said).await;

        let token = provider.token(Some(RESOURCE)).await;
        let principal = ask(&layer, &token).await.expect(alg);
        assert_eq!(principal.client_id(), Some("interop"), "{alg}");
        assert_eq!(principal.issuer(), Some(&*provider.issuer), "{alg}");
        assert!(principal.scopes().contains("mcp:read"), "{alg}");
        assert!(principal.scopes().contains("mcp:write"), "{alg}");

        let token = provider.token(Some(ELSEWHERE)).await;
        let outcome = ask(&layer, &token).await.err();
        assert_eq!(outcome, refused("audience_mismatch"), "{alg}");
    }
    let opaque = provider.token(None).await;
    let outcome = ask(&layer, &opaque).await.err();
    assert_eq!(outcome, refused("not_a_jwt"));
}

#[tokio::test]
#[ignore = "needs Node 22 and npm oidc-provider: see tests/interop/README.md"]
async fn a_token_of_oidc_provider_expires() {
    let mut provider = Provider::start().await;
    provider.program.command("ttl 60", "ttl 60").await;
    let clock = clock();
    let layer = provider.layer(&clock);
    let token = provider.token(Some(RESOURCE)).await;
    catch_up(&clock);
    assert!(ask(&layer, &token).await.is_ok());
    clock.advance(Duration::from_secs(30));
    assert!(ask(&layer, &token).await.is_ok());
    clock.advance(Duration::from_secs(60));
    assert_eq!(ask(&layer, &token).await.err(), refused("expired"));
}

#[tokio::test]
#[ignore = "needs Node 22 and npm oidc-provider: see tests/interop/README.md"]
async fn the_keys_of_oidc_provider_are_followed() {
    let mut provider = Provider::start().await;
    let layer = provider.layer(&Clock::system());
    let first = provider.token(Some(RESOURCE)).await;
    assert!(ask(&layer, &first).await.is_ok());

    // New keys beside the old ones: both are good at once.
    provider.program.command("rotate keep", "rotated").await;
    let second = provider.token(Some(RESOURCE)).await;
    assert!(ask(&layer, &second).await.is_ok());
    assert!(ask(&layer, &first).await.is_ok());

    // New keys in the place of the old ones.
    provider.program.command("rotate", "rotated").await;
    let third = provider.token(Some(RESOURCE)).await;
    assert!(ask(&layer, &third).await.is_ok());
    assert_eq!(ask(&layer, &second).await.err(), refused("unknown_key"));
}

#[tokio::test]
#[ignore = "needs Node 22 and npm oidc-provider: see tests/interop/README.md"]
async fn oidc_provider_says_how_its_users_signed_in() {
    let mut provider = Provider::start().await;
    let clock = clock();
    let strength = Strength::new().acr(["mfa", "phr"]).expect("values");
    let strength = strength.max_age(Duration::from_secs(60)).expect("an age");
    for format in ["jwt", "opaque"] {
        let said = format!("format {format}");
        provider.program.command(&said, &said).await;
        let server = AuthorizationServer::insecure_http_on_loopback(&*provider.issuer);
        let introspection = Introspection::discovered();
        let introspection = introspection.client_secret_post("mcp-post", PLAIN_SECRET);
        let layer = OAuthLayer::builder(RESOURCE)
            .and_then(|layer| layer.authorization_server(server?.introspection(introspection?)?))
            .and_then(|layer| layer.clock(clock.clone()).build())
            .and_then(|layer| layer.required_strength(strength.clone()))
            .expect("a layer");

        provider.program.command("acr pwd", "acr pwd").await;
        let weak = provider.program.ask("login one alice", "token ").await;
        catch_up(&clock);
        let outcome = ask(&layer, &weak).await.err();
        assert_eq!(
            outcome,
            refused("insufficient_user_authentication"),
            "{format}"
        );

        provider.program.command("acr mfa", "acr mfa").await;
        let strong = provider.program.ask("login two alice", "token ").await;
        catch_up(&clock);
        let principal = ask(&layer, &strong).await.expect(format);
        assert_eq!(principal.subject(), Some("alice"), "{format}");
        assert_eq!(principal.acr(), Some("mfa"), "{format}");
        let now = UNIX_EPOCH + clock.now();
        let ago = now.duration_since(principal.auth_time().expect("a time"));
        assert!(
            ago.expect("in the past") <= Duration::from_secs(60),
            "{format}"
        );

        let machine = provider.token(Some(RESOURCE)).await;
        let outcome = ask(&layer, &machine).await.err();
        assert_eq!(
            outcome,
            Some((StatusCode::FORBIDDEN, "missing_user")),
            "{format}"
        );

        clock.advance(Duration::from_secs(70));
        let outcome = ask(&layer, &strong).await.err();
        assert_eq!(
            outcome,
            refused("insufficient_user_authentication"),
            "{format}"
        );
    }
}

/// A route that asks for a strong sign-in tells the client which one, and is open with it.
#[tokio::test]
#[ignore = "needs Node 22 and npm oidc-provider: see tests/interop/README.md"]
async fn a_stronger_sign_in_at_oidc_provider_is_asked_for() {
    let mut provider = Provider::start().await;
    let layer = provider.layer(&Clock::system());
    let order = AcrOrder::new(["pwd", "mfa", "phr"]).expect("values");
    let needs = Requirement::all(["mcp:read"]).and_then(|needs| needs.acr(order.at_least("mfa")?));
    let route = RequireScopesLayer::new(needs.expect("a requirement")).expect("a layer");
    let ask = async |token: &str| {
        let inner = service_fn(async |_: Request<Full<Bytes>>| {
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
        });
        let request = Request::post("/mcp")
            .header("authorization", format!("Bearer {token}"))
            .body(Full::default())
            .expect("a request");
        let service = layer.clone().layer(route.clone().layer(inner));
        service.oneshot(request).await.expect("a response")
    };
    for (acr, is_strong) in [
        ("pwd", false),
        ("mfa", true),
        ("phr", true),
        ("other", false),
    ] {
        let said = format!("acr {acr}");
        provider.program.command(&said, &said).await;
        let login = format!("login {acr} alice");
        let token = provider.program.ask(&login, "token ").await;
        let response = ask(&token).await;
        if is_strong {
            assert_eq!(response.status(), StatusCode::OK, "{acr}");
            continue;
        }
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{acr}");
        let challenge = response.headers()["www-authenticate"].to_str();
        let challenge = challenge.expect("text");
        for part in [
            "error=\"insufficient_user_authentication\"",
            "acr_values=\"mfa phr\"",
            "scope=\"mcp:read\"",
        ] {
            assert!(challenge.contains(part), "{acr}: {challenge}");
        }
    }
}

/// Serves what takes logout tokens, and tells the provider where.
async fn receive_logouts(provider: &mut Provider, layer: &OAuthLayer, client: &str, what: &str) {
    let service = layer.backchannel_logout(&provider.issuer, client);
    let app = axum::Router::new().route_service("/logout", service.expect("a service"));
    let (listener, origin) = common::loopback::bind().await;
    common::loopback::serve(listener, app);
    let command = format!("backchannel {origin}/logout {what}");
    provider.program.command(&command, "backchannel").await;
}

#[tokio::test]
#[ignore = "needs Node 22 and npm oidc-provider: see tests/interop/README.md"]
async fn a_logout_at_oidc_provider_ends_access_here() {
    for (what, by_session) in [("session", true), ("user", false)] {
        let mut provider = Provider::start().await;
        let revocation = Revocation::in_memory();
        let layer = provider.layer(&Clock::system());
        let layer = layer.revocation(revocation.clone());
        receive_logouts(&mut provider, &layer, "app", what).await;

        let mut tokens = Vec::new();
        for login in ["login one alice", "login two alice", "login three bob"] {
            let token = provider.program.ask(login, "token ").await;
            let principal = ask(&layer, &token).await.expect("a good token");
            assert_eq!(principal.claims().contains_key("sid"), by_session);
            tokens.push(token);
        }
        let [one, two, three] = [&tokens[0], &tokens[1], &tokens[2]];

        let told = provider
            .program
            .ask("logout one", "logout, and told ")
            .await;
        assert_eq!(told, "200");
        assert_eq!(revocation.entries(), 1);
        let revoked = refused("revoked_token");
        assert_eq!(ask(&layer, one).await.err(), revoked);
        // Another session of the same user ends where the user is signed out.
        let other = ask(&layer, two).await.err();
        assert_eq!(other, revoked.filter(|_| !by_session));
        assert!(ask(&layer, three).await.is_ok());

        let told = provider
            .program
            .ask("logout two", "logout, and told ")
            .await;
        assert_eq!(told, "200");
        assert_eq!(ask(&layer, two).await.err(), revoked);
        assert!(ask(&layer, three).await.is_ok());
    }
}

#[tokio::test]
#[ignore = "needs Node 22 and npm oidc-provider: see tests/interop/README.md"]
async fn a_logout_for_another_client_of_oidc_provider_is_refused() {
    let mut provider = Provider::start().await;
    let revocation = Revocation::in_memory();
    let layer = provider.layer(&Clock::system());
    let layer = layer.revocation(revocation.clone());
    receive_logouts(&mut provider, &layer, "interop", "session").await;

    let token = provider.program.ask("login one alice", "token ").await;
    let told = provider
        .program
        .ask("logout one", "logout, and told ")
        .await;
    assert_eq!(told, "400");
    assert_eq!(revocation.entries(), 0);
    assert!(ask(&layer, &token).await.is_ok());
}
