//! What is never told: credentials, to anybody; details, to clients; long or forged values, to
//! the log.

use std::time::Duration;

use common::{
    API_KEY, Answering, SigningKey, ask, good_token, guards, invalid, request, sign, token, trace,
};
use http::{Method, Version};
use tower_mcp_auth::auth::AuthLayer;
use tower_mcp_auth::{AuthError, AuthErrorKind, Reason};

#[tokio::test]
async fn what_a_peer_sent_is_escaped_and_cut_in_traces() {
    let [_, jwt] = guards();
    let long = "x".repeat(1_000);
    let forged = format!(r#"{{"alg":"HS256","kid":"\u001b[31m\n{long}"}}"#);
    let token = sign(&SigningKey::hmac(common::SECRET), "HS256", &forged, "{}");
    trace::start();
    ask(
        &jwt.layer,
        request(&[("authorization", format!("Bearer {token}"))]),
    )
    .await
    .error();
    let query = format!("/mcp?a%0a={long}&token%2d%2d{}=x", "%5f".repeat(100));
    ask(&jwt.layer, jwt.bare_request(&query))
        .await
        .malformed("token_in_query");
    let mut request = jwt.bare_request("/mcp");
    *request.method_mut() = long.parse().unwrap();
    ask(&jwt.layer, request).await.missing();
    let events = trace::take();
    assert_eq!(events.len(), 3);
    for event in events {
        for value in event.fields.values() {
            assert!(value.len() < 300, "{value}");
            assert!(!value.contains(['\u{1b}', '\n', '\r']), "{value:?}");
        }
    }
}

#[test]
fn an_error_says_the_same_everywhere_and_shows_its_detail_to_operators_only() {
    let error = invalid("revoked")
        .with_description("safe")
        .with_detail("full");
    assert_eq!(error.reason(), "revoked");
    assert_eq!(error.description(), "safe");
    assert_eq!(error.detail(), Some("full"));
    assert_eq!(error.to_string(), "safe (revoked)");
    assert!(format!("{error:?}").contains("full"));
    assert_eq!(
        AuthError::missing().to_string(),
        "Authentication is required (missing_credential)"
    );
    assert_eq!(error.clone(), error);
}

#[tokio::test]
async fn the_detail_for_operators_is_never_in_a_response() {
    let error = AuthError::unavailable(
        Reason::custom(AuthErrorKind::Unavailable, "down"),
        Duration::from_secs(1),
    )
    .with_detail("DETAIL");
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let layer = AuthLayer::new(Answering::refusing(error.clone()));
        let mut request = request(&[
            ("authorization", "Bearer x"),
            ("content-type", "application/grpc"),
        ]);
        *request.method_mut() = Method::POST;
        *request.version_mut() = version;
        let answer = ask(&layer, request).await;
        answer.error();
        assert!(!format!("{:?} {}", answer.headers, answer.text()).contains("DETAIL"));
    }
}

/// Credentials with a mark in every part, good and bad.
fn marked() -> Vec<(&'static str, String)> {
    let other = SigningKey::hmac("an0ther-secret-of-somebody-else-entirely");
    let claims = r#"{"sub":"MARK","iss":5,"exp":"MARK"}"#;
    let header = r#"{"alg":"HS256","typ":"JWT"}"#;
    let forged = sign(
        &other,
        "HS256",
        header,
        r#"{"sub":"MARK","exp":1900000000}"#,
    );
    vec![
        ("x-api-key", "MARK-MARK-MARK-MARK".to_owned()),
        ("x-api-key", "MARK".to_owned()),
        ("x-api-key", "MARK MARK".to_owned()),
        ("authorization", "Bearer MARK".to_owned()),
        ("authorization", "Bearer MARK.MARK.MARK".to_owned()),
        ("authorization", "Bearer MARK MARK".to_owned()),
        ("authorization", "Basic MARK".to_owned()),
        ("authorization", format!("Bearer {}", token(claims))),
        ("authorization", format!("Bearer {forged}")),
        ("authorization", format!("Bearer {}MARK", good_token())),
        (
            "authorization",
            format!("Bearer {}", token(r#"{"MARK":1,"MARK":2}"#)),
        ),
        (
            "authorization",
            format!("Bearer {}", token(r#"{"sub":"MARK","exp":1}"#)),
        ),
    ]
}

#[tokio::test]
async fn no_credential_is_in_a_trace_a_response_or_an_error() {
    for guard in guards() {
        for (header, value) in marked() {
            trace::start();
            let answer = ask(&guard.layer, request(&[(header, &value)])).await;
            let error = answer.error();
            let everything = format!(
                "{:?} {:?} {} {error:?} {error}",
                trace::take_all(),
                answer.headers,
                answer.text()
            );
            let token = value.split(' ').next_back().unwrap();
            let parts = token.split('.').filter(|part| part.len() > 8);
            for needle in parts.chain(["MARK", token]) {
                assert!(!everything.contains(needle), "{needle} in {everything}");
            }
        }
        for query in ["token=MARK", "access_token=MARK&x=MARK", "api_key=MARK"] {
            trace::start();
            let answer = ask(&guard.layer, guard.good_request(&format!("/mcp?{query}"))).await;
            let error = answer.error();
            let all = format!("{:?} {answer:?} {error}", trace::take_all());
            assert!(
                !all.contains("MARK") && !all.contains(&guard.credential),
                "{all}"
            );
        }
    }
    // Nor is the credential that was accepted, in what the handler is given.
    for guard in guards() {
        trace::start();
        let answer = ask(&guard.layer, guard.good_request("/mcp")).await;
        let shown = format!(
            "{answer:?} {:?} {:?}",
            answer.principal(),
            trace::take_all()
        );
        assert!(
            !shown.contains(&guard.credential) && !shown.contains(API_KEY),
            "{shown}"
        );
    }
}

/// All providers, all that they can be told, good and bad: what is emitted at `TRACE` by this
/// crate and those below it, in responses, in `Debug`, in hooks.
mod everything {
    use std::fmt::Debug;
    use std::sync::{Arc, Mutex};

    use bytes::Bytes;
    use http::{HeaderMap, Request, Response};
    use http_body_util::{BodyExt, Full};
    use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};
    use tower_mcp_auth::api_key::{
        ApiKey, ApiKeyStore, ApiKeyStoreError, CachedApiKeyStore, KeyLookup, LookupFuture, Pepper,
    };
    use tower_mcp_auth::auth::{AuthLayer, Authenticate, ResponseBody};
    use tower_mcp_auth::jose::Secret;
    use tower_mcp_auth::mcp::{MacKey, PrincipalSealer, RequestDigest, SessionBindingLayer};
    use tower_mcp_auth::oauth::{AuthorizationServer, Introspection};
    use tower_mcp_auth::testing::{Behaviour, Endpoint, Issuer};
    use tower_mcp_auth::{ApiKeyLayer, AuthError, OAuthLayer, Principal};

    use common::{API_KEY, SECRET, SigningKey, clock, good_token, hs256_layer, request};
    use common::{sign, trace};

    const RESOURCE: &str = "https://mcp.example.com/mcp";
    const CLIENT_SECRET: &str = "cl1ent-secret-of-this-server";
    const PEPPER: &str = "pepper-0f-thirty-two-bytes-or-more";
    const SESSION: &str = "1nner-session-id-of-the-server";
    const MAC: &str = "mac-key-0f-thirty-two-bytes-or-more";

    /// What was seen, and what must not be in it.
    #[derive(Clone, Default)]
    struct Watch(Arc<Mutex<Seen>>);

    #[derive(Default)]
    struct Seen {
        text: String,
        secrets: Vec<String>,
    }

    impl Watch {
        /// The whole of it, its parts, and the digests a store would look for.
        fn secret(&self, secret: &str) {
            let mut seen = self.0.lock().unwrap();
            // The last part of a JWT is what makes it one; the others are claims.
            let parts = secret.split('.').filter(|part| part.len() > 16);
            seen.secrets.extend(parts.map(str::to_owned));
            seen.secrets.push(secret.to_owned());
        }

        fn see(&self, text: &str) {
            self.0.lock().unwrap().text.push_str(text);
        }

        fn saw(&self, what: &impl Debug) {
            self.see(&format!("{what:?} {what:#?}\n"));
        }

        #[track_caller]
        fn assert(&self, least: usize) {
            for event in trace::take_everything() {
                self.saw(&event);
            }
            let seen = self.0.lock().unwrap();
            assert!(seen.text.len() > least && seen.secrets.len() > 1);
            for secret in &seen.secrets {
                if let Some(at) = seen.text.find(secret.as_str()) {
                    let from = at.saturating_sub(200);
                    let context = seen.text.get(from..at + secret.len() + 50);
                    panic!("{secret} in …{}", context.unwrap_or(&seen.text));
                }
            }
        }

        /// Sends a request and looks at all that comes of it.
        async fn ask(&self, layer: &AuthLayer<Arc<dyn Authenticate>>, header: (&str, &str)) {
            self.secret(header.1.trim_start_matches("Bearer "));
            let watch = self.clone();
            let layer = layer.clone().on_decision(move |decision| {
                watch.saw(decision);
                watch.see(&format!("{:?} {:?}", decision.path(), decision.operation()));
            });
            self.saw(&layer);
            let watch = self.clone();
            let service = layer.layer(service_fn(move |request: Request<Full<Bytes>>| {
                let principal = Principal::from_extensions(request.extensions());
                watch.saw(&principal.map(|principal| (principal, principal.id())));
                // A request is printed by many, and the credential must be out of it.
                watch.saw(&request);
                async { Ok::<_, AuthError>(Response::new(Full::<Bytes>::default())) }
            }));
            let response = service.oneshot(request(&[header])).await.unwrap();
            let error = response.extensions().get::<AuthError>().cloned();
            let error = error.map(|error| (error.to_string(), error));
            let (parts, body) = response.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            let body = String::from_utf8_lossy(&body).into_owned();
            self.saw(&(parts.status, parts.headers, body, error));
        }
    }

    #[derive(Debug)]
    struct Store;

    impl ApiKeyStore for Store {
        fn find(&self, wanted: KeyLookup) -> LookupFuture {
            Box::pin(async move {
                match wanted.id() {
                    Some(_) => Ok(Some(ApiKey::from_digest(*wanted.digest()).name("alice"))),
                    None => Err(ApiKeyStoreError::unreachable("the store is down")),
                }
            })
        }
    }

    #[tokio::test]
    async fn nothing_that_a_provider_was_shown_is_ever_told() {
        let (watch, clock) = (Watch::default(), clock());
        trace::start();

        // Tokens of an issuer, signed and opaque; the secret this server asks with.
        watch.secret(CLIENT_SECRET);
        let issuer = Issuer::builder().client("mcp", CLIENT_SECRET);
        let issuer = issuer.clock(clock.clone()).start().await.unwrap();
        for basic in [true, false] {
            let introspection = Introspection::at(issuer.endpoint(Endpoint::Introspect)).unwrap();
            let introspection = match basic {
                true => introspection.client_secret_basic("mcp", CLIENT_SECRET),
                false => introspection.client_secret_post("mcp", CLIENT_SECRET),
            };
            let introspection = introspection.unwrap();
            watch.saw(&introspection);
            let server = AuthorizationServer::insecure_http_on_loopback(issuer.url()).unwrap();
            let server = server.introspection(introspection).unwrap();
            watch.saw(&server);
            let oauth = OAuthLayer::builder(RESOURCE).unwrap();
            let oauth = oauth
                .authorization_server(server)
                .unwrap()
                .clock(clock.clone());
            watch.saw(&oauth);
            let oauth = oauth.required_scopes(["a"]).build().unwrap().boxed();
            let token = || issuer.token().audience(RESOURCE).scope("a");
            let good = token().sign();
            for token in [
                good.clone(),
                // From the cache.
                good.clone(),
                format!("{good}x"),
                token().expired().sign(),
                token().with_wrong_key().sign(),
                token().unsigned().sign(),
                token().audience("https://other.example.com").sign(),
                token().scope("b").sign(),
                token().claim("iss", "https://other.example.com").sign(),
                token().key_id("nobody-knows-this-key").sign(),
                token().opaque(),
                token().scope("b").opaque(),
                token().expired().opaque(),
                "opaque-and-not-known-to-anybody-at-all".to_owned(),
            ] {
                watch
                    .ask(&oauth, ("authorization", &format!("Bearer {token}")))
                    .await;
            }
            for behaviour in [
                Behaviour::Status(500),
                Behaviour::Status(401),
                Behaviour::Status(400),
                Behaviour::Disconnect,
            ] {
                issuer.set_behaviour(Endpoint::Introspect, behaviour);
                let token = format!("Bearer {}", token().opaque());
                watch.ask(&oauth, ("authorization", &token)).await;
                clock.advance(std::time::Duration::from_secs(20));
            }
            issuer.set_behaviour(Endpoint::Introspect, Behaviour::Normal);
        }

        // JWTs by a secret.
        watch.secret(std::str::from_utf8(SECRET).unwrap());
        let jwt = hs256_layer().boxed();
        let other = SigningKey::hmac("an0ther-secret-of-somebody-else-entirely");
        let header = r#"{"alg":"HS256"}"#;
        for token in [
            good_token(),
            common::token(r#"{"sub":"alice","exp":1}"#),
            common::token(r#"{"sub":["alice"],"exp":1900000000}"#),
            sign(
                &other,
                "HS256",
                header,
                r#"{"sub":"alice","exp":1900000000}"#,
            ),
            "n0t-a-token-but-somebodys-secret".to_owned(),
        ] {
            watch
                .ask(&jwt, ("authorization", &format!("Bearer {token}")))
                .await;
        }
        let short = Secret::new("tooshort-S3CR3T");
        watch.secret("tooshort-S3CR3T");
        watch.saw(&short.map_err(|error| error.to_string()));

        // API keys, held here and elsewhere.
        watch.secret(PEPPER);
        let pepper = || Pepper::new(PEPPER).unwrap();
        watch.saw(&pepper());
        let generated = ApiKey::generate("acme").unwrap();
        watch.saw(&(
            &generated,
            generated.to_api_key(),
            ApiKey::new(API_KEY).unwrap(),
        ));
        let held = [ApiKey::new(API_KEY).unwrap(), generated.to_api_key()];
        let held = ApiKeyLayer::from_peppered(held, pepper()).unwrap().boxed();
        let stored = ApiKeyLayer::from_store(CachedApiKeyStore::new(Store).pepper(pepper()));
        let stored = stored.clock(clock.clone()).boxed();
        for layer in [&held, &stored] {
            for key in [
                generated.expose(),
                API_KEY,
                "guessed-key-that-nobody-ever-had",
                // The checksum is wrong.
                &format!("{}x", &generated.expose()[..generated.expose().len() - 1]),
            ] {
                watch.ask(layer, ("x-api-key", key)).await;
            }
        }
        watch.assert(20_000);
    }

    fn principal() -> Principal {
        Principal::builder("test").subject("alice").build()
    }

    #[tokio::test]
    async fn session_ids_and_sealed_state_are_never_told() {
        let watch = Watch::default();
        trace::start();
        watch.secret(MAC);
        watch.secret(SESSION);
        let key = || MacKey::new(MAC).unwrap();
        watch.saw(&key());

        let told = watch.clone();
        let auth = hs256_layer().on_decision(move |decision| told.saw(decision));
        let binding = SessionBindingLayer::new(key());
        watch.saw(&binding);
        let service = ServiceBuilder::new().layer(auth).layer(binding);
        let service = service.service(service_fn(async |_: Request<Full<Bytes>>| {
            let mut response = Response::new(Full::<Bytes>::default());
            let id = http::HeaderValue::from_static(SESSION);
            response.headers_mut().insert("mcp-session-id", id);
            Ok::<_, AuthError>(response)
        }));
        let bearer = format!("Bearer {}", good_token());
        let opened = send(service.clone(), &[("authorization", &bearer)]).await;
        let bound = opened["mcp-session-id"].to_str().unwrap().to_owned();
        // What is shown of it is that it is sensitive.
        watch.saw(&opened);
        watch.secret(&bound);
        let forged = format!("{}A", &bound[..bound.len() - 1]);
        watch.secret(&forged);
        for id in [&bound, &forged, &SESSION.to_owned()] {
            let headers = [("authorization", &*bearer), ("mcp-session-id", id)];
            watch.saw(&send(service.clone(), &headers).await);
        }

        let sealer = PrincipalSealer::new(key());
        let request = RequestDigest::unbound();
        let sealed = sealer.seal(&principal(), &request, b"c0nfidential-state-of-a-tool");
        let sealed = sealed.unwrap();
        watch.secret(&sealed);
        let forged = format!("{}A", &sealed[..sealed.len() - 1]);
        watch.secret(&forged);
        watch.saw(&sealer);
        watch.saw(
            &sealer
                .open(&principal(), &request, &forged)
                .map_err(|error| {
                    let text = error.to_string();
                    (error, text)
                }),
        );
        watch.assert(500);
    }

    async fn send<S>(service: S, headers: &[(&str, &str)]) -> HeaderMap
    where
        S: Service<
                Request<Full<Bytes>>,
                Response = Response<ResponseBody<ResponseBody<Full<Bytes>>>>,
            >,
        S::Error: Debug,
    {
        service
            .oneshot(request(headers))
            .await
            .unwrap()
            .headers()
            .clone()
    }
}
