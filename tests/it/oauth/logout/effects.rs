//! What a logout ends, and what it takes to carry one out.

use common::{FlakyStore, trace};
use http_body_util::BodyExt;
use std::time::UNIX_EPOCH;
use tower_mcp_auth::revocation::Entry;
use tower_mcp_auth::store::MemoryReplayStore;
use tower_mcp_auth::testing::{Behaviour, Endpoint};

use super::*;
use crate::revocation::{shared::Shop, streams};

const REVOKED: Option<&str> = Some("revoked_token");

#[tokio::test]
async fn a_session_ends_and_others_of_its_subject_go_on() {
    let setup = Setup::new().await;
    let in_session = |sid: &str| setup.access().claim("sid", sid);
    let [mine, other] = ["s-1", "s-2"].map(|sid| in_session(sid).sign());
    let without = setup.access().sign();
    for token in [&mine, &other, &without] {
        assert_eq!(setup.reason(token).await, None);
    }
    setup.log_out(setup.logout().claim("sid", "s-1")).await;
    assert_eq!(setup.reason(&mine).await, REVOKED);
    assert_eq!(setup.reason(&other).await, None);
    assert_eq!(setup.reason(&without).await, None);
    // A refresh token does not bring it back.
    setup.clock.advance(seconds(600));
    assert_eq!(setup.reason(&in_session("s-1").sign()).await, REVOKED);
    assert_eq!(setup.reason(&in_session("s-3").sign()).await, None);
}

#[tokio::test]
async fn the_claim_of_the_session_can_have_another_name() {
    let setup = Setup::with_revocation(Ok, |clock| {
        in_memory(clock).session_claim("session_id").unwrap()
    })
    .await;
    setup.log_out(setup.logout().claim("sid", "s-1")).await;
    let named = setup.access().claim("session_id", "s-1").sign();
    assert_eq!(setup.reason(&named).await, REVOKED);
    let usual = setup.access().claim("sid", "s-1").sign();
    assert_eq!(setup.reason(&usual).await, None);
}

#[tokio::test]
async fn without_a_session_all_that_the_subject_has_until_then_ends() {
    let setup = Setup::new().await;
    let (alice, bob) = (
        setup.access().claim("sid", "s-1").sign(),
        setup.access().subject("bob").sign(),
    );
    setup.log_out(setup.logout()).await;
    assert_eq!(setup.reason(&alice).await, REVOKED);
    assert_eq!(setup.reason(&bob).await, None);
    // Within the skew of clocks it counts as before, and then as a new sign-in.
    for (later, reason) in [(5, REVOKED), (1, None)] {
        setup.clock.advance(seconds(later));
        assert_eq!(setup.reason(&setup.access().sign()).await, reason);
    }
    assert_eq!(setup.reason(&alice).await, REVOKED);
}

#[tokio::test]
async fn the_moment_is_that_of_the_issuer_with_a_clock_ahead_or_late() {
    for ahead in [-180, -30, 30, 60] {
        let setup = Setup::new().await;
        let at = |more: i64| START.as_secs().checked_add_signed(ahead + more).unwrap();
        let issued = |more| setup.access().claim("iat", at(more)).sign();
        let (before, after) = (issued(0), issued(6));
        setup
            .log_out(setup.logout().claim("iat", at(0)).claim("exp", at(181)))
            .await;
        assert_eq!(setup.reason(&before).await, REVOKED, "{ahead}");
        setup.clock.advance(seconds(10));
        assert_eq!(setup.reason(&after).await, None, "{ahead}");
    }
}

#[tokio::test]
async fn by_the_subject_as_well_where_access_tokens_name_no_session() {
    let setup = Setup::new().await;
    let service = setup.service.clone().by_subject();
    let alice = setup.access().sign();
    let token = setup.logout().claim("sid", "s-1");
    let told = send(
        service.clone(),
        post(&token.clone().without_claim("sub").sign()),
    )
    .await;
    let said = refused(&told, 400, "invalid_logout_token");
    assert_eq!(said, "The logout token has no sub");
    assert_eq!(setup.reason(&alice).await, None);
    assert_eq!(send(service, post(&token.sign())).await.status, 200);
    assert_eq!(setup.reason(&alice).await, REVOKED);
    setup.clock.advance(seconds(10));
    assert_eq!(setup.reason(&setup.access().sign()).await, None);
    let refreshed = setup.access().claim("sid", "s-1").sign();
    assert_eq!(setup.reason(&refreshed).await, REVOKED);
}

#[tokio::test]
async fn a_subject_is_called_as_the_layer_calls_it() {
    let setup = Setup::with(|server| server.subject_claim("employee")).await;
    let alice = setup.access().claim("employee", "e-1").sign();
    let told = setup.post(&setup.logout().sign()).await;
    let said = refused(&told, 400, "invalid_logout_token");
    assert_eq!(
        said,
        "The logout token lacks the claim that names its subject"
    );
    setup.log_out(setup.logout().claim("employee", "e-1")).await;
    assert_eq!(setup.reason(&alice).await, REVOKED);
    // A session needs no name of a subject.
    setup.log_out(setup.logout().claim("sid", "s-1")).await;
}

#[tokio::test]
async fn an_open_stream_of_the_session_ends() {
    let setup = Setup::new().await;
    let layer = tower_mcp_auth::AuthLayer::from(setup.layer.clone()).boxed();
    let mut bodies = Vec::new();
    for sid in ["s-1", "s-2"] {
        let token = setup.access().claim("sid", sid).sign();
        let bearer = request(&[("authorization", format!("Bearer {token}"))]);
        bodies.push(streams::open(&layer, bearer, &[]).await);
    }
    setup.log_out(setup.logout().claim("sid", "s-1")).await;
    let [(ended, _), (open, feeder)] = &mut bodies[..] else {
        unreachable!("there are two");
    };
    assert!(ended.frame().await.is_none());
    feeder.send("more".into()).unwrap();
    assert!(open.frame().await.is_some());
}

#[tokio::test]
async fn issuers_and_their_clients_are_kept_apart() {
    let clock = Clock::manual(START);
    let issuers = [
        issuer(&clock).await,
        issuer(&clock).await,
        issuer(&clock).await,
    ];
    let mut builder = OAuthLayer::builder(RESOURCE).unwrap();
    for issuer in &issuers {
        let server = AuthorizationServer::insecure_http_on_loopback(issuer.url()).unwrap();
        builder = builder.authorization_server(server).unwrap();
    }
    let layer = builder.clock(clock.clone()).build().unwrap();
    let layer = layer.revocation(Revocation::in_memory().clock(clock.clone()));
    let [one, two, three] = issuers;
    let service = layer
        .backchannel_logout(one.url(), CLIENT)
        .and_then(|service| service.client(one.url(), "second-client"))
        .and_then(|service| service.client(two.url(), "their-client"))
        .unwrap();
    let setup = |issuer: &Issuer| Setup {
        clock: clock.clone(),
        issuer: issuer.clone(),
        revocation: Revocation::in_memory(),
        layer: layer.clone(),
        service: service.clone(),
    };
    let [one, two, three] = [one, two, three].map(|issuer| setup(&issuer));
    let token = |setup: &Setup, client: &str| {
        let token = setup.issuer.logout_token().audience(client);
        token.claim("sid", "s-1").claim("jti", "same")
    };
    for (setup, client) in [
        (&one, "their-client"),
        (&two, CLIENT),
        (&two, "second-client"),
        // It is trusted, and has no client here.
        (&three, CLIENT),
    ] {
        let told = setup.post(&token(setup, client).sign()).await;
        refused(&told, 400, "invalid_logout_token");
    }
    // One speaks for another.
    let forged = token(&two, CLIENT).claim("iss", one.issuer.url());
    refused(&one.post(&forged.sign()).await, 400, "invalid_logout_token");

    let in_session = |setup: &Setup| setup.access().claim("sid", "s-1").sign();
    one.log_out(token(&one, "second-client")).await;
    assert_eq!(one.reason(&in_session(&one)).await, REVOKED);
    assert_eq!(two.reason(&in_session(&two)).await, None);
    // The id of a token is one of its issuer.
    two.log_out(token(&two, "their-client")).await;
    assert_eq!(two.reason(&in_session(&two)).await, REVOKED);
}

#[tokio::test]
async fn a_token_is_taken_once_as_long_as_it_is_good() {
    let setup = Setup::new().await;
    let token = setup.logout().expires_in(seconds(900)).sign();
    assert_eq!(setup.post(&token).await.status, 200);
    for age in [0, 100, 80] {
        setup.clock.advance(seconds(age));
        refused(&setup.post(&token).await, 400, "replayed_logout_token");
        // Clones share what was taken.
        let clone = setup.service.clone().accept_untyped();
        let told = send(clone, post(&token)).await;
        refused(&told, 400, "replayed_logout_token");
    }
    setup.clock.advance(seconds(1));
    refused(&setup.post(&token).await, 400, "invalid_logout_token");
    // Another token with the same id is none.
    let first = setup.logout().claim("jti", "j-1");
    setup.log_out(first.clone()).await;
    let told = setup.post(&first.subject("bob").sign()).await;
    refused(&told, 400, "replayed_logout_token");
    assert_eq!(setup.revocation.entries(), 1);
}

#[tokio::test]
async fn replicas_that_share_a_store_take_a_token_once() {
    let setup = Setup::new().await;
    let store = MemoryReplayStore::default().clock(setup.clock.clone());
    let replica = || setup.layer.backchannel_logout(setup.issuer.url(), CLIENT);
    let [one, two] = [replica(), replica()].map(|it| it.unwrap().replay_store(store.clone()));
    let token = setup.logout().sign();
    assert_eq!(send(one, post(&token)).await.status, 200);
    let told = send(two, post(&token)).await;
    refused(&told, 400, "replayed_logout_token");
}

#[tokio::test]
async fn access_ends_although_the_replay_store_fails_and_the_token_may_come_again() {
    let setup = Setup::new().await;
    let store = FlakyStore::default();
    let service = setup.service.clone().replay_store(store.clone());
    let (alice, token) = (setup.access().sign(), setup.logout().sign());
    store.fail(true);
    trace::start();
    let told = send(service.clone(), post(&token)).await;
    refused(&told, 503, "logout_unavailable");
    let events = trace::take();
    let warning = events
        .iter()
        .find(|event| event.level == tracing::Level::WARN);
    assert_eq!(warning.unwrap().field("detail"), "out of?reach");
    assert_eq!(setup.reason(&alice).await, REVOKED);
    store.fail(false);
    assert_eq!(send(service.clone(), post(&token)).await.status, 200);
    let told = send(service, post(&token)).await;
    refused(&told, 400, "replayed_logout_token");

    // No room is no answer either.
    let bob = setup.access().subject("bob").sign();
    let service = setup
        .service
        .clone()
        .replay_store(MemoryReplayStore::new(0));
    let token = setup.logout().subject("bob").sign();
    refused(
        &send(service, post(&token)).await,
        503,
        "logout_unavailable",
    );
    assert_eq!(setup.reason(&bob).await, REVOKED);
}

#[tokio::test]
async fn access_ends_here_although_other_replicas_cannot_be_told() {
    let shop = Shop::default();
    let setup = Setup::with_revocation(Ok, |clock| shop.replica(clock)).await;
    setup.revocation.ready().await;
    let service = setup.service.clone().by_subject();
    let in_session = || setup.access().claim("sid", "s-1");
    let tokens = [in_session().subject("bob").sign(), setup.access().sign()];
    let token = setup.logout().claim("sid", "s-1").sign();
    shop.close(true);
    let told = send(service.clone(), post(&token)).await;
    refused(&told, 503, "logout_unavailable");
    for token in &tokens {
        assert_eq!(setup.reason(token).await, REVOKED);
    }
    shop.close(false);
    assert_eq!(send(service, post(&token)).await.status, 200);
}

#[tokio::test]
async fn what_could_not_be_revoked_may_come_again() {
    let setup = Setup::with_revocation(Ok, |clock| in_memory(clock).max_entries(1)).await;
    let service = setup.service.clone().max_token_age(seconds(3600)).unwrap();
    let until = UNIX_EPOCH + START + seconds(10);
    let taken = Entry::token(setup.issuer.url(), "j").expires_at(until);
    setup.revocation.revoke(taken).await.unwrap();
    let alice = setup.access().sign();
    let token = setup.logout().expires_in(seconds(3600)).sign();
    for _ in 0..2 {
        let told = send(service.clone(), post(&token)).await;
        refused(&told, 503, "logout_unavailable");
        assert_eq!(setup.reason(&alice).await, None);
    }
    setup.clock.advance(seconds(400));
    assert_eq!(send(service, post(&token)).await.status, 200);
    assert_eq!(setup.reason(&alice).await, REVOKED);
}

#[tokio::test]
async fn keys_that_cannot_be_had_are_503_until_they_can() {
    let setup = Setup::new().await;
    setup
        .issuer
        .set_behaviour(Endpoint::Jwks, Behaviour::Status(500));
    let token = setup.logout().sign();
    let told = setup.post(&token).await;
    refused(&told, 503, "keys_unavailable");
    setup
        .issuer
        .set_behaviour(Endpoint::Jwks, Behaviour::Normal);
    setup.clock.advance(seconds(20));
    assert_eq!(setup.post(&token).await.status, 200);
}
