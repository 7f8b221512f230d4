//! How a logout token is posted, and what is answered.

use common::trace;

use super::*;
use crate::revocation::service::Broken;

#[tokio::test]
async fn the_form_has_one_token_and_may_have_more() {
    let setup = Setup::new().await;
    let token = || setup.logout().sign();
    for body in [
        format!("logout_token={}", token()),
        format!("state=1&logout_token={}&other=a%20b+c", token()),
        format!("&&logout%5Ftoken={}&", token()),
        format!("other=%ff%00&logout_token={}", token()),
        format!("LOGOUT_TOKEN=x&logout_token={}", token()),
        format!("logout_token={}", token().replace('.', "%2e")),
    ] {
        let told = send(setup.service.clone(), form(body.clone())).await;
        assert_eq!(told.status, 200, "{body}: {}", told.body);
    }
    let missing = "the parameter logout_token is missing";
    let twice = "the parameter logout_token is there twice";
    let encoding = "the body has a percent sign without two hexadecimal digits";
    let good = token();
    for (body, text) in [
        (String::new(), missing),
        ("logout_token".to_owned(), missing),
        ("logout_token=".to_owned(), missing),
        (good.clone(), missing),
        (format!("token={good}"), missing),
        (format!("LOGOUT_TOKEN={good}"), missing),
        (format!("{{\"logout_token\":\"{good}\"}}"), missing),
        (format!("logout_token={good}&logout_token={good}"), twice),
        (format!("logout_token={good}&logout_token"), twice),
        (format!("logout_token=&logout_token={good}"), twice),
        (format!("logout_token={good}&logout%5ftoken=x"), twice),
        (format!("logout_token={good}&a=%"), encoding),
        (format!("logout_token={good}&a=%2"), encoding),
        (format!("logout_token={good}&a=%zz"), encoding),
        (format!("logout_token={good}&a=%%20"), encoding),
        (format!("%g0&logout_token={good}"), encoding),
    ] {
        let told = send(setup.service.clone(), form(body.clone())).await;
        let said = refused(&told, 400, "invalid_logout_request");
        assert_eq!(said, text, "{body}");
    }
    // None of these was used.
    assert_eq!(setup.post(&good).await.status, 200);
    assert_eq!(setup.revocation.entries(), 1);
}

#[tokio::test]
async fn method_type_and_size_are_judged_before_anything_else() {
    let setup = Setup::new().await;
    for method in ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"] {
        let mut request = post(&setup.logout().sign());
        *request.method_mut() = method.parse().unwrap();
        let told = send(setup.service.clone(), request).await;
        assert_eq!(told.status, 405);
        assert_eq!(told.headers["allow"], "POST");
    }
    for (content_type, status) in [
        (None, 415),
        (Some("application/json"), 415),
        (Some("application/jwt"), 415),
        (Some("multipart/form-data; boundary=x"), 415),
        (
            Some("Application/X-WWW-Form-URLencoded; charset=utf-8"),
            200,
        ),
    ] {
        let mut request = post(&setup.logout().sign());
        request.headers_mut().remove("content-type");
        if let Some(content_type) = content_type {
            let value = content_type.parse().unwrap();
            request.headers_mut().insert("content-type", value);
        }
        let told = send(setup.service.clone(), request).await;
        assert_eq!(told.status, status, "{content_type:?}");
    }
    for (bytes, status) in [(16 * 1024, 200), (16 * 1024 + 1, 413)] {
        let body = format!("logout_token={}&pad=", setup.logout().sign());
        let body = format!("{body}{}", "x".repeat(bytes - body.len()));
        let told = send(setup.service.clone(), form(body)).await;
        assert_eq!(told.status, status);
    }
    // A token in the query is none.
    let mut request = form("");
    *request.uri_mut() = format!("/?logout_token={}", setup.logout().sign())
        .parse()
        .unwrap();
    let told = send(setup.service.clone(), request).await;
    refused(&told, 400, "invalid_logout_request");
}

#[tokio::test]
async fn a_body_that_breaks_or_does_not_come_is_400() {
    let setup = Setup::new().await;
    tokio::time::pause();
    for breaks in [true, false] {
        let body = Broken {
            begun: false,
            breaks,
        };
        let request = form("").map(|_| body);
        let service = setup.service.clone();
        let response = tower::ServiceExt::oneshot(service, request).await.unwrap();
        assert_eq!(response.status(), 400);
    }
}

#[tokio::test]
async fn the_token_is_bounded_as_access_tokens_are() {
    let clock = Clock::manual(START);
    let issuer = issuer(&clock).await;
    let server = AuthorizationServer::insecure_http_on_loopback(issuer.url()).unwrap();
    let layer = OAuthLayer::builder(RESOURCE)
        .and_then(|layer| layer.authorization_server(server))
        .and_then(|layer| {
            layer
                .max_header_bytes(256)
                .max_token_bytes(1024)
                .clock(clock.clone())
                .build()
        })
        .unwrap()
        .revocation(Revocation::in_memory().clock(clock));
    let service = layer.backchannel_logout(issuer.url(), CLIENT).unwrap();
    for (more, status) in [(0, 200), (1000, 400)] {
        let token = issuer.logout_token().audience(CLIENT);
        let token = token.claim("more", "x".repeat(more)).sign();
        let told = send(service.clone(), post(&token)).await;
        assert_eq!(told.status, status, "{}", told.body);
    }
}

#[tokio::test]
async fn decisions_are_told_without_the_token() {
    let setup = Setup::new().await;
    let (sender, heard) = std::sync::mpsc::channel();
    let layer = setup.layer.clone().on_decision(move |decision| {
        let reason = decision.error().map(AuthError::reason);
        let told = format!("{decision:?}");
        let heard = (decision.layer(), decision.outcome().as_str(), reason, told);
        sender.send(heard).unwrap();
    });
    let service = layer
        .backchannel_logout(setup.issuer.url(), CLIENT)
        .unwrap();
    let (good, bad) = (
        setup.logout().sign(),
        setup.logout().with_wrong_key().sign(),
    );
    trace::start();
    for (token, status) in [(&good, 200), (&good, 400), (&bad, 400)] {
        let told = send(service.clone(), post(token)).await;
        assert_eq!(told.status, status);
        assert!(!told.body.contains(token));
    }
    let heard: Vec<_> = heard.try_iter().collect();
    let told: Vec<_> = heard.iter().map(|(a, b, c, _)| (*a, *b, *c)).collect();
    let layer = "backchannel_logout";
    assert_eq!(
        told,
        [
            (layer, "accepted", None),
            (layer, "refused", Some("replayed_logout_token")),
            (layer, "refused", Some("invalid_logout_token")),
        ]
    );
    let events = trace::take_everything();
    let of_layer = events.iter().filter(|event| event.field("layer") == layer);
    let levels: Vec<_> = of_layer.map(|event| event.level).collect();
    use tracing::Level;
    assert_eq!(levels, [Level::TRACE, Level::DEBUG, Level::DEBUG]);
    let refusal = events.iter().rfind(|event| event.field("layer") == layer);
    assert_eq!(
        refusal.unwrap().field("detail"),
        "invalid_signature: the ES256 signature does not hold"
    );
    let all = format!("{events:?} {heard:?} {service:?}");
    for token in [&good, &bad] {
        for part in token.split('.').skip(1) {
            assert!(!all.contains(part), "{all}");
        }
    }
}

#[tokio::test]
async fn what_would_end_nothing_cannot_be_made() {
    let setup = Setup::new().await;
    let url = setup.issuer.url();
    let bare = OAuthLayer::new(RESOURCE, "https://auth.example.com").unwrap();
    let error = bare
        .backchannel_logout("https://auth.example.com", CLIENT)
        .unwrap_err();
    assert!(error.to_string().contains("`revocation`"), "{error}");
    for (issuer, client) in [
        ("https://auth.example.com", CLIENT),
        (&*format!("{url}/"), CLIENT),
        ("", CLIENT),
        (url, ""),
    ] {
        let error = setup.layer.backchannel_logout(issuer, client).unwrap_err();
        assert_eq!(error.setting(), "backchannel_logout");
        let error = setup.service.clone().client(issuer, client).unwrap_err();
        assert_eq!(error.setting(), "backchannel_logout");
    }
}
