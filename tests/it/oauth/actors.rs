//! Who acts for the subject of a token.

use serde_json::{Value, json};
use tower_mcp_auth::Principal;
use tower_mcp_auth::oauth::AuthorizationServer;

use crate::oauth::introspection::{OPAQUE, active, introspection, say_always};
use crate::oauth::support::*;

/// Subject, issuer and client of each actor.
fn actors(principal: &Principal) -> Vec<[Option<&str>; 3]> {
    let of = |actor| -> [Option<&str>; 3] {
        let actor: &tower_mcp_auth::Actor = actor;
        [actor.subject(), actor.issuer(), actor.client_id()]
    };
    principal.actors().iter().map(of).collect()
}

/// An actor for each name, the first one outermost.
fn nested(names: &[&str]) -> Value {
    let inner = |act: Value, name: &&str| match act {
        Value::Null => json!({"sub": name}),
        act => json!({"sub": name, "act": act}),
    };
    names.iter().rev().fold(Value::Null, inner)
}

#[tokio::test]
async fn the_outermost_actor_is_the_first_and_no_part_of_the_id() {
    let key = Key::new("a");
    let guarded = Guarded::new(&Web::with_issuer(&[&key]));
    let alone = guarded.bearer(&key.token(json!({}))).await;
    assert!(alone.who.unwrap().actors().is_empty());
    for (act, chain) in [
        (json!({"sub": "agent"}), vec![[Some("agent"), None, None]]),
        (
            json!({"sub": "agent", "iss": "https://agents.example.com", "client_id": "c",
                   "email": "x", "amr": ["pwd"], "cnf": {"jkt": "x"}, "exp": "never"}),
            vec![[Some("agent"), Some("https://agents.example.com"), Some("c")]],
        ),
        (json!({"client_id": "c"}), vec![[None, None, Some("c")]]),
        (
            json!({"sub": "agent", "iss": null, "client_id": "", "act": null}),
            vec![[Some("agent"), None, None]],
        ),
        (
            nested(&["now", "before", "first"]),
            vec![
                [Some("now"), None, None],
                [Some("before"), None, None],
                [Some("first"), None, None],
            ],
        ),
    ] {
        let token = key.token(json!({"act": act}));
        // The second time from memory.
        for _ in 0..2 {
            let answer = guarded.bearer(&token).await;
            answer.assert(200, "accepted");
            let who = answer.who.unwrap();
            assert_eq!(actors(&who), chain);
            assert_eq!(who.subject(), Some("alice"));
            assert_eq!(Some(who.id().to_string()), alone.principal);
        }
    }
}

#[tokio::test]
async fn a_chain_is_four_actors_long_at_most() {
    let key = Key::new("a");
    let guarded = Guarded::new(&Web::with_issuer(&[&key]));
    let names = ["a", "b", "c", "d", "e"];
    let answer = guarded
        .bearer(&key.token(json!({"act": nested(&names[..4])})))
        .await;
    assert_eq!(answer.who.unwrap().actors().len(), 4);
    let answer = guarded
        .bearer(&key.token(json!({"act": nested(&names)})))
        .await;
    answer.assert(401, "malformed_token");
    assert!(answer.detail().contains("more than 4 actors"));
    // However deep: what is nested without end was refused before.
    let deep: Vec<&str> = std::iter::repeat_n("x", 40).collect();
    let answer = guarded
        .bearer(&key.token(json!({"act": nested(&deep)})))
        .await;
    answer.assert(401, "malformed_token");
}

#[tokio::test]
async fn an_actor_of_the_wrong_type_is_refused_and_never_passed_over() {
    let key = Key::new("a");
    let guarded = Guarded::new(&Web::with_issuer(&[&key]));
    for act in [
        json!("agent"),
        json!(["agent"]),
        json!([{"sub": "agent"}]),
        json!(true),
        json!(5),
        json!({}),
        json!({"sub": ""}),
        json!({"iss": "https://agents.example.com"}),
        json!({"sub": 5}),
        json!({"sub": ["agent"]}),
        json!({"sub": "agent", "iss": 5}),
        json!({"sub": "agent", "client_id": ["c"]}),
        json!({"sub": "agent", "act": "before"}),
        json!({"sub": "agent", "act": ["before"]}),
        json!({"sub": "agent", "act": {}}),
        json!({"sub": "agent", "act": {"sub": 5}}),
    ] {
        let answer = guarded.bearer(&key.token(json!({"act": act}))).await;
        answer.assert(401, "malformed_token");
        assert!(
            answer.detail().starts_with("claims: "),
            "{}",
            answer.detail()
        );
    }
}

#[tokio::test]
async fn neither_a_client_nor_who_may_act_is_an_actor() {
    let key = Key::new("a");
    let guarded = Guarded::new(&Web::with_issuer(&[&key]));
    for claims in [
        json!({"client_id": "app", "azp": "app"}),
        json!({"may_act": {"sub": "agent"}}),
        json!({"Act": {"sub": "agent"}}),
        json!({"actor": "agent", "act_as": "agent"}),
        json!({"act": null}),
    ] {
        let answer = guarded.bearer(&key.token(claims)).await;
        answer.assert(200, "accepted");
        assert!(answer.who.unwrap().actors().is_empty());
    }
}

#[tokio::test]
async fn agent_identities_of_entra_id_act_unless_they_are_the_subject() {
    let key = Key::new("a");
    let server = || AuthorizationServer::new(ISSUER).unwrap();
    let web = Web::with_issuer(&[&key]);
    let v2 = Guarded::with_server(&web, server().client_claim("azp").unwrap());
    let v1 = Guarded::with_server(&web, server().client_claim("appid").unwrap());
    let by_hand = Guarded::new(&web);
    let (agent, blueprint) = ("agent-1", "blueprint-1");
    for (claims, expected) in [
        // On behalf of a user.
        (json!({"xms_act_fct": "3 9 11"}), true),
        (json!({"xms_act_fct": "11"}), true),
        (json!({"xms_act_fct": "11 9 3", "xms_sub_fct": "2 3"}), true),
        // By its own user account.
        (json!({"xms_act_fct": "11", "xms_sub_fct": "13"}), true),
        // By itself.
        (
            json!({"xms_act_fct": "3 9 11", "xms_sub_fct": "9 3 11"}),
            false,
        ),
        // No agent.
        (json!({"xms_act_fct": "9 3"}), false),
        (json!({"xms_act_fct": "111 1 1111"}), false),
        (json!({"xms_act_fct": ""}), false),
        (json!({"xms_sub_fct": "13"}), false),
        (json!({"xms_act_fct": null}), false),
        (json!({}), false),
    ] {
        let claims = changed(json!({"xms_par_app_azp": blueprint, "azp": agent}), &claims);
        let v1_claims = changed(claims.clone(), &json!({"azp": null, "appid": agent}));
        let none = json!({"client_id": null});
        for (guarded, claims) in [
            (&v2, claims.clone()),
            (&v1, v1_claims),
            (&by_hand, changed(claims, &none)),
        ] {
            let mut claims = claims;
            claims["client_id"] = Value::Null;
            let answer = guarded.bearer(&key.token(claims)).await;
            answer.assert(200, "accepted");
            let who = answer.who.unwrap();
            let act = match expected {
                true => vec![[Some(agent), None, Some(blueprint)]],
                false => Vec::new(),
            };
            assert_eq!(actors(&who), act);
            assert_eq!(who.client_id(), Some(agent));
        }
    }
    for claims in [
        json!({"xms_act_fct": 11}),
        json!({"xms_act_fct": ["11"]}),
        json!({"xms_sub_fct": 13}),
        json!({"xms_par_app_azp": 5}),
        // An agent without a name.
        json!({"xms_act_fct": "11", "client_id": null}),
    ] {
        let answer = by_hand.bearer(&key.token(claims)).await;
        answer.assert(401, "malformed_token");
    }
    // What RFC 8693 says counts before what Entra ID says.
    let claims = json!({"act": {"sub": "x"}, "xms_act_fct": "11"});
    let answer = by_hand.bearer(&key.token(claims)).await;
    assert_eq!(actors(&answer.who.unwrap()), [[Some("x"), None, None]]);
}

#[tokio::test]
async fn answers_about_a_token_name_its_actors() {
    let key = Key::new("a");
    let web = Web::with_issuer(&[&key]);
    let server = AuthorizationServer::new(ISSUER).unwrap();
    let guarded = Guarded::with_server(&web, server.introspection(introspection()).unwrap());
    say_always(&web, &active(json!({"act": nested(&["now", "before"])})));
    for _ in 0..2 {
        let answer = guarded.bearer(OPAQUE).await;
        answer.assert(200, "accepted");
        let who = answer.who.unwrap();
        let expected = [[Some("now"), None, None], [Some("before"), None, None]];
        assert_eq!(actors(&who), expected);
    }
    for (number, act) in [
        (1, json!("agent")),
        (2, nested(&["a", "b", "c", "d", "e"])),
        (3, json!({})),
    ] {
        say_always(&web, &active(json!({"act": act})));
        let answer = guarded.bearer(&format!("{number}{OPAQUE}")).await;
        answer.assert(401, "malformed_token");
    }
}
