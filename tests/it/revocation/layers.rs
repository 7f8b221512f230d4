//! Several layers, several revocations, layers that only report, and bound sessions.

use http::Response;
use tower::{Service, ServiceBuilder, ServiceExt};
use tower_mcp_auth::api_key::ApiKey;
use tower_mcp_auth::mcp::{MacKey, SessionBindingLayer};
use tower_mcp_auth::revocation::{Entry, Revocation};
use tower_mcp_auth::scopes::RequireScopesLayer;
use tower_mcp_auth::{AuthError, AuthErrorKind, Clock, Reported};

use super::*;

#[tokio::test]
async fn each_layer_goes_by_its_own_revocation_also_where_they_share_a_cache() {
    let clock = Clock::manual(START);
    let key = Key::new("k");
    let plain = oauth(&clock, &key, |it| it);
    let [one, other] = [(); 2].map(|()| Revocation::in_memory().clock(clock.clone()));
    let first = plain.clone().revocation(one.clone());
    let second = plain.clone().revocation(other.clone());
    let token = key.token(json!({}));
    let reasons = async || {
        let mut reasons = Vec::new();
        for layer in [&plain, &first, &second, &first] {
            let answer = ask(layer, bearer(&token)).await;
            let error = answer.extensions.get::<AuthError>();
            reasons.push(error.map_or("accepted", AuthError::reason).to_owned());
        }
        reasons
    };
    let accepted = "accepted";
    for _ in 0..2 {
        assert_eq!(reasons().await, [accepted; 4]);
    }
    // As many entries in both, so that a count of their own would be the same.
    other.revoke(Entry::subject(ISSUER, "bob")).await.unwrap();
    one.revoke(Entry::subject(ISSUER, "alice")).await.unwrap();
    for _ in 0..2 {
        let revoked = "revoked_token";
        assert_eq!(reasons().await, [accepted, revoked, accepted, revoked]);
    }
}

#[tokio::test]
async fn clones_of_a_revocation_are_one_and_a_setting_begins_anew() {
    let layer = own(&claims(json!({"exp": now() + 10})), false);
    let revocation = Revocation::in_memory().clock(Clock::manual(START));
    let layer = layer.revocation(revocation.clone());
    let other = revocation.clone().max_entries(10);
    other.revoke(Entry::issuer(ISSUER)).await.unwrap();
    ask(&layer, bearer("badge")).await.admitted();
    revocation
        .clone()
        .revoke(Entry::issuer(ISSUER))
        .await
        .unwrap();
    ask(&layer, bearer("badge")).await.invalid("revoked_token");
}

#[tokio::test]
async fn combined_layers_have_one_revocation() {
    let clock = Clock::manual(START);
    let key = ApiKey::new(API_KEY).unwrap().id("k-1");
    let keys = api_keys(key, &clock);
    let [one, other] = [(); 2].map(|()| Revocation::in_memory().clock(clock.clone()));
    for (left, right, same) in [
        (Some(&one), Some(&one), true),
        (Some(&one), Some(&other), false),
        (Some(&one), None, false),
        (None, Some(&one), false),
        (None, None, true),
    ] {
        let mut jwt = hs256(&clock);
        let mut keys = keys.clone();
        if let Some(left) = left {
            jwt = jwt.revocation(left.clone());
        }
        if let Some(right) = right {
            keys = keys.revocation(right.clone());
        }
        match jwt.or(keys) {
            Ok(both) if left.is_some() => {
                assert!(same);
                let token = common::token(&claims(json!({})).to_string());
                ask(&both, bearer(&token)).await.admitted();
                ask(&both, with_key()).await.admitted();
                one.revoke(Entry::client(ISSUER, "app")).await.unwrap();
                one.revoke(Entry::api_key("k-1")).await.unwrap();
                ask(&both, bearer(&token)).await.invalid("revoked_token");
                ask(&both, with_key()).await.invalid("revoked_api_key");
            }
            Ok(_) => assert!(same),
            Err(error) => {
                assert!(!same);
                assert_eq!(error.setting(), "revocation");
            }
        }
    }
}

#[tokio::test]
async fn a_layer_that_reports_lets_pass_what_it_is_told_and_nothing_for_a_second_reason() {
    let now = now();
    let expired = json!({"exp": now - 100, "iat": now - 3600});
    let report: [fn(Layer) -> Layer; 4] = [
        Layer::dangerously_report_only,
        |it| it.dangerously_report_only_for(["revoked_token"]).unwrap(),
        |it| it.dangerously_report_only_for(["expired"]).unwrap(),
        |it| {
            it.dangerously_report_only_for(["expired", "revoked_token"])
                .unwrap()
        },
    ];
    let only_revoked = ["revoked_token", "revoked_token", "", "revoked_token"];
    let also_expired = ["expired", "", "", "expired"];
    for (changes, passes) in [(json!({}), only_revoked), (expired, also_expired)] {
        for (report, passes) in report.into_iter().zip(passes) {
            for (tokens, revocation) in providers(&claims(changes.clone()), |it| it) {
                // The others do not look at times, or are not told of whom an expired one is.
                if !["jwt", "oauth"].contains(&tokens.name) {
                    continue;
                }
                revocation
                    .revoke(Entry::subject(ISSUER, "alice"))
                    .await
                    .unwrap();
                let layer = report(tokens.layer.clone());
                let answer = ask(&layer, bearer(&tokens.token)).await;
                let reported = answer.extensions.get::<Reported>();
                let reported = reported.map_or("", |it| it.errors()[0].reason());
                assert_eq!(reported, passes, "{changes} at {}: {answer:?}", tokens.name);
                assert_eq!(answer.reached.is_some(), !passes.is_empty());
                if let Some(parts) = &answer.reached {
                    assert!(Principal::from_extensions(&parts.extensions).is_none());
                }
            }
        }
    }
}

#[tokio::test]
async fn a_request_of_a_bound_session_is_refused_as_any_other() {
    let clock = Clock::manual(START);
    let revocation = Revocation::in_memory().clock(clock.clone());
    let server = tower::service_fn(|_| async {
        let mut response = Response::new(Full::<Bytes>::default());
        response
            .headers_mut()
            .insert("mcp-session-id", "inner-1".parse().unwrap());
        Ok::<_, std::convert::Infallible>(response)
    });
    let mut service = ServiceBuilder::new()
        .layer(hs256(&clock).revocation(revocation.clone()))
        .layer(SessionBindingLayer::new(MacKey::ephemeral().unwrap()))
        .service(server);
    let token = common::token(&claims(json!({})).to_string());
    let response = service
        .ready()
        .await
        .unwrap()
        .call(bearer(&token))
        .await
        .unwrap();
    let session = response.headers()["mcp-session-id"].clone();
    let mut status = async || {
        let mut request = bearer(&token);
        request
            .headers_mut()
            .insert("mcp-session-id", session.clone());
        let service = service.ready().await.unwrap();
        service.call(request).await.unwrap().status().as_u16()
    };
    assert_eq!(status().await, 200);
    revocation
        .revoke(Entry::session(ISSUER, "s-1"))
        .await
        .unwrap();
    assert_eq!(status().await, 401);
}

#[tokio::test]
async fn a_revoked_token_is_not_told_which_scopes_it_lacks() {
    let clock = Clock::manual(START);
    let key = Key::new("k");
    let revocation = Revocation::in_memory().clock(clock.clone());
    let layer = oauth(&clock, &key, |it| it.required_scopes(["mcp:write"]));
    let layer = layer.revocation(revocation.clone());
    let token = key.token(json!({"scope": "mcp:read"}));
    let asked = ask(&layer, bearer(&token)).await;
    asked.refused(AuthErrorKind::InsufficientScope, "insufficient_scope");
    revocation
        .revoke(Entry::subject(ISSUER, "alice"))
        .await
        .unwrap();
    let asked = ask(&layer, bearer(&token)).await;
    asked.invalid("revoked_token");
    let layer = layer.dangerously_report_only_for(["insufficient_scope"]);
    let asked = ask(&layer.unwrap(), bearer(&token)).await;
    asked.invalid("revoked_token");
}

#[tokio::test]
async fn what_is_let_pass_as_revoked_is_refused_where_it_lives_too_long_as_well() {
    let said = claims(json!({"exp": now() + 7 * 86_400}));
    for (tokens, revocation) in providers(&said, |it| it) {
        revocation
            .revoke(Entry::subject(ISSUER, "alice"))
            .await
            .unwrap();
        let layer = tokens.layer.clone();
        let layer = layer.dangerously_report_only_for(["revoked_token"]);
        let asked = ask(&layer.unwrap(), bearer(&tokens.token)).await;
        asked.invalid("token_lives_too_long");
    }
}

#[tokio::test]
async fn the_owner_of_an_expired_token_counts_as_long_as_its_entries_are_kept() {
    let gate = RequireScopesLayer::new("mcp:read").unwrap();
    for is_revoked in [false, true] {
        for (after, known) in [(100, true), (299, true), (300, false), (4 * 86_400, false)] {
            let clock = Clock::manual(START);
            let revocation = Revocation::in_memory().clock(clock.clone());
            let layer = hs256(&clock).dangerously_report_only_for(["expired"]);
            let layer = layer.unwrap().revocation(revocation.clone());
            let layers = ServiceBuilder::new().layer(layer).layer(gate.clone());
            let token = common::token(&claims(json!({})).to_string());
            if is_revoked {
                let entry = Entry::token(ISSUER, "j-1").expires_at(at(now() + 3600));
                revocation.revoke(entry).await.unwrap();
            }
            clock.advance(HOUR + Duration::from_secs(after));
            let answer = ask(&layers, bearer(&token)).await;
            match (known, is_revoked) {
                (true, true) => answer.invalid("revoked_token"),
                (true, false) => drop(answer.admitted()),
                (false, _) => answer.invalid("expired"),
            }
        }
    }
    // Entries for API keys are kept for good.
    let clock = Clock::manual(START);
    let key = ApiKey::new(API_KEY).unwrap().id("k-1").scopes(["mcp:read"]);
    let key = key.unwrap().expires_at(at(now() + 10)).unwrap();
    let layer = api_keys(key, &clock).dangerously_report_only_for(["expired_api_key"]);
    let revocation = Revocation::in_memory().clock(clock.clone());
    let layer = layer.unwrap().revocation(revocation.clone());
    let layers = ServiceBuilder::new().layer(layer).layer(gate);
    clock.advance(HOUR * 24 * 4000);
    ask(&layers, with_key()).await.admitted();
    revocation.revoke(Entry::api_key("k-1")).await.unwrap();
    ask(&layers, with_key()).await.invalid("revoked_api_key");
}
