//! Each kind of entry, at each provider.

use serde_json::json;
use tower_mcp_auth::api_key::ApiKey;
use tower_mcp_auth::revocation::{Entry, Revocation};
use tower_mcp_auth::{AuthLayer, Clock};

use super::*;

const OTHER: &str = "https://other.example.com";

/// An entry of each kind that alice's token is of, and its like that it is not of.
fn entries() -> Vec<(&'static str, Entry, Vec<Entry>)> {
    vec![
        (
            "token",
            Entry::token(ISSUER, "j-1"),
            vec![
                Entry::token(ISSUER, "j-2"),
                Entry::token(OTHER, "j-1"),
                Entry::token(None, "j-1"),
                Entry::session(ISSUER, "j-1"),
            ],
        ),
        (
            "subject",
            Entry::subject(ISSUER, "alice"),
            vec![
                Entry::subject(ISSUER, "bob"),
                Entry::subject(OTHER, "alice"),
                Entry::subject(None, "alice"),
                Entry::client(ISSUER, "alice"),
            ],
        ),
        (
            "client",
            Entry::client(ISSUER, "app"),
            vec![Entry::client(ISSUER, "web"), Entry::client(OTHER, "app")],
        ),
        (
            "grant",
            Entry::grant(ISSUER, "g-1"),
            vec![Entry::grant(ISSUER, "g-2"), Entry::grant(OTHER, "g-1")],
        ),
        (
            "session",
            Entry::session(ISSUER, "s-1"),
            vec![Entry::session(ISSUER, "s-2"), Entry::session(OTHER, "s-1")],
        ),
        (
            "issuer",
            Entry::issuer(ISSUER),
            vec![Entry::issuer(OTHER), Entry::issuer(None)],
        ),
    ]
}

fn with_grants(revocation: Revocation) -> Revocation {
    revocation.grant_claim("gid").unwrap()
}

#[tokio::test]
async fn a_token_is_refused_once_an_entry_names_it_and_by_no_other_entry() {
    for (kind, entry, others) in entries() {
        for before in [None, Some(now())] {
            for (tokens, revocation) in providers(&claims(json!({})), with_grants) {
                let context = format!("{kind}, {before:?}, {}", tokens.name);
                // Once new, and then remembered where the provider remembers.
                for _ in 0..2 {
                    tokens.expect(None, "at first").await;
                }
                let moved = |entry: Entry| match before {
                    Some(before) => entry.issued_before(at(before)),
                    None => entry,
                };
                for other in &others {
                    revocation.revoke(moved(other.clone())).await.unwrap();
                    tokens.expect(None, "at first").await;
                }
                revocation.revoke(Entry::api_key("alice")).await.unwrap();
                tokens.expect(None, "at first").await;

                revocation.revoke(moved(entry.clone())).await.unwrap();
                for _ in 0..2 {
                    let answer = tokens.ask().await;
                    let error = answer.error();
                    assert_eq!(error.reason(), "revoked_token", "{context}");
                    let detail = error.detail().unwrap();
                    assert!(detail.contains(&format!("for its {kind}")), "{detail}");
                    let principal = error.principal_id().unwrap().as_str();
                    assert!(principal.contains("sub=alice"), "{principal}");
                    answer.invalid("revoked_token");
                }
            }
        }
    }
}

#[tokio::test]
async fn the_client_is_told_that_its_token_was_revoked() {
    let (tokens, revocation) = providers(&claims(json!({})), |it| it).remove(1);
    revocation.revoke(Entry::issuer(ISSUER)).await.unwrap();
    let answer = tokens.ask().await;
    let [challenge] = answer.challenges()[..] else {
        panic!("{answer:?}")
    };
    assert!(challenge.contains("error=\"invalid_token\""), "{challenge}");
    assert!(
        challenge.contains("The access token was revoked"),
        "{challenge}"
    );
}

#[tokio::test]
async fn ids_are_strings_or_numbers_as_they_are_written() {
    for (jti, id) in [
        (json!("a\"\u{e9}/b"), "a\"\u{e9}/b"),
        (json!(17), "17"),
        (json!(""), "17"),
    ] {
        for (tokens, revocation) in providers(&claims(json!({"jti": jti})), |it| it) {
            revocation.revoke(Entry::token(ISSUER, "18")).await.unwrap();
            tokens.expect(None, "at first").await;
            revocation.revoke(Entry::token(ISSUER, id)).await.unwrap();
            let answer = tokens.ask().await;
            match jti == json!("") {
                true => drop(answer.admitted()),
                false => answer.invalid("revoked_token"),
            }
        }
    }
}

#[tokio::test]
async fn an_introspected_id_that_is_a_long_number_is_not_rounded() {
    let (id, like_it) = (
        "123456789012345678901234567890",
        "123456789012345678901234567891",
    );
    for claim in ["jti", "sid"] {
        let said = claims(json!({claim: "ID", "active": true})).to_string();
        let web = Web::with_issuer(&[]);
        let page = Page::Raw(said.replace("\"ID\"", id).into());
        web.set("https://auth.example.com/introspect", page);
        let clock = Clock::manual(START);
        let revocation = Revocation::in_memory().clock(clock.clone());
        let layer = introspecting_at(&clock, web, None).revocation(revocation.clone());
        let entry = |id| match claim {
            "jti" => Entry::token(ISSUER, id),
            _ => Entry::session(ISSUER, id),
        };
        revocation.revoke(entry(like_it)).await.unwrap();
        ask(&layer, bearer(OPAQUE)).await.admitted();
        revocation.revoke(entry(id)).await.unwrap();
        ask(&layer, bearer(OPAQUE)).await.invalid("revoked_token");
    }
}

#[tokio::test]
async fn claims_that_cannot_be_read_may_be_what_an_entry_names() {
    for (entry, refused) in [
        (Entry::subject(ISSUER, "bob"), false),
        (Entry::token(ISSUER, "j-1"), true),
        (Entry::session(ISSUER, "s-1"), true),
    ] {
        let said = claims(json!({"$serde_json::private::Number": "1"}));
        let revocation = Revocation::in_memory().clock(Clock::manual(START));
        let layer = own(&said, false).revocation(revocation.clone());
        ask(&layer, bearer("badge")).await.admitted();
        revocation.revoke(entry).await.unwrap();
        let answer = ask(&layer, bearer("badge")).await;
        match refused {
            true => answer.invalid("revoked_token"),
            false => drop(answer.admitted()),
        }
    }
}

#[tokio::test]
async fn sessions_and_grants_are_in_the_claims_that_are_named() {
    let said = claims(json!({"sid": null, "session_state": "s-9", "gid": null, "grant": "s-9"}));
    let named = |revocation: Revocation| {
        let revocation = revocation.session_claim("session_state").unwrap();
        revocation.grant_claim("grant").unwrap()
    };
    for entry in [Entry::session(ISSUER, "s-9"), Entry::grant(ISSUER, "s-9")] {
        for (tokens, revocation) in providers(&said, named) {
            revocation.revoke(entry.clone()).await.unwrap();
            tokens.expect(Some("revoked_token"), "in the end").await;
        }
    }
    // Both in one claim.
    let one = |revocation: Revocation| revocation.grant_claim("sid").unwrap();
    for entry in [Entry::session(ISSUER, "s-1"), Entry::grant(ISSUER, "s-1")] {
        for (tokens, revocation) in providers(&claims(json!({})), one) {
            revocation.revoke(entry.clone()).await.unwrap();
            tokens.expect(Some("revoked_token"), "in the end").await;
        }
    }
}

#[tokio::test]
async fn tokens_of_a_layer_without_an_issuer_are_named_without_one() {
    let clock = Clock::manual(START);
    let secret = tower_mcp_auth::jose::Secret::new(common::SECRET).unwrap();
    let builder = JwtLayer::builder(secret).clock(clock.clone());
    // An empty one names no subject.
    let tokens = [json!(null), json!("")].map(|issuer| {
        let said = claims(json!({"iss": issuer, "aud": null}));
        common::token(&said.to_string())
    });
    let entries = [
        (Entry::subject(None, "alice"), true),
        (Entry::subject(ISSUER, "alice"), false),
        (Entry::issuer(None), true),
        (Entry::token(None, "j-1"), true),
    ];
    let each = |token| {
        entries
            .clone()
            .map(|(entry, refused)| (token, entry, refused))
    };
    for (token, entry, refused) in tokens.iter().flat_map(each) {
        let revocation = Revocation::in_memory().clock(clock.clone());
        let layer = builder
            .clone()
            .build()
            .unwrap()
            .revocation(revocation.clone());
        revocation.revoke(entry).await.unwrap();
        let answer = ask(&layer, bearer(token)).await;
        match refused {
            true => answer.invalid("revoked_token"),
            false => drop(answer.admitted()),
        }
    }
}

#[tokio::test]
async fn an_api_key_is_refused_by_its_id_and_by_no_entry_for_tokens() {
    let clock = Clock::manual(START);
    let revocation = Revocation::in_memory().clock(clock.clone());
    let key = ApiKey::new(API_KEY).unwrap().id("k-1").owner("alice");
    let layer = api_keys(key, &clock).revocation(revocation.clone());
    for entry in [
        Entry::api_key("k-2"),
        Entry::api_key("alice"),
        Entry::subject(None, "alice"),
        Entry::issuer(None),
        Entry::token(None, "k-1"),
    ] {
        ask(&layer, with_key()).await.admitted();
        revocation.revoke(entry).await.unwrap();
    }
    ask(&layer, with_key()).await.admitted();
    revocation.revoke(Entry::api_key("k-1")).await.unwrap();
    for _ in 0..2 {
        ask(&layer, with_key()).await.invalid("revoked_api_key");
        // For good.
        clock.advance(HOUR * 24 * 4000);
    }
}

#[tokio::test]
async fn an_api_key_is_refused_by_when_it_was_made() {
    for (made, refused) in [
        (None, true),
        (Some(now() - 100), true),
        (Some(now() - 60), true),
        // There is no allowance: one clock made both.
        (Some(now() - 59), false),
        (Some(now()), false),
    ] {
        let clock = Clock::manual(START);
        let revocation = Revocation::in_memory().clock(clock.clone());
        let mut key = ApiKey::new(API_KEY).unwrap().name("alice");
        if let Some(made) = made {
            key = key.created_at(at(made));
        }
        let layer = api_keys(key, &clock).revocation(revocation.clone());
        let answer = ask(&layer, with_key()).await;
        assert_eq!(answer.principal().issued_at(), made.map(at));
        revocation
            .revoke(Entry::api_keys_created_before(at(now() - 60)))
            .await
            .unwrap();
        clock.advance(HOUR * 24 * 4000);
        let answer = ask(&layer, with_key()).await;
        match refused {
            true => answer.invalid("revoked_api_key"),
            false => drop(answer.admitted()),
        }
    }
}

#[tokio::test]
async fn keys_of_a_provider_of_ones_own_are_told_by_its_name() {
    let claims = json!({"key_id": "k-1"});
    let provider = Answering::new(move |_| {
        let principal = Principal::builder("api_key").claims(claims.as_object().unwrap());
        Authentication::Ready(Ok(principal.build().into()))
    });
    let revocation = Revocation::in_memory();
    let layer = AuthLayer::new(provider).revocation(revocation.clone());
    ask(&layer, bearer("x")).await.admitted();
    revocation.revoke(Entry::api_key("k-1")).await.unwrap();
    ask(&layer, bearer("x")).await.invalid("revoked_api_key");
}
