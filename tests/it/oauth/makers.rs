//! Tokens of makers that follow RFC 9068 less closely: header types, subjects.

use serde_json::{Value, json};
use tower_mcp_auth::oauth::AuthorizationServer;
use tower_mcp_auth::{ConfigError, OAuthLayer};

use crate::oauth::introspection::{OPAQUE, active, introspection, say_always};
use crate::oauth::support::*;

fn server() -> AuthorizationServer {
    AuthorizationServer::new(ISSUER).unwrap()
}

#[track_caller]
fn refused<T: std::fmt::Debug>(made: Result<T, ConfigError>, setting: &str, text: &str) {
    let error = made.unwrap_err();
    assert_eq!(error.setting(), setting, "{error}");
    assert!(error.to_string().contains(text), "{error}");
}

#[tokio::test]
async fn a_type_is_accepted_where_it_is_named_for_its_server() {
    let key = Key::new("a");
    let web = Web::with_issuer(&[&key]);
    let named = server().accepted_typ(["JWS", "application/x.acme+jwt"]);
    let (named, plain) = (
        Guarded::with_server(&web, named.unwrap()),
        Guarded::new(&web),
    );
    for (typ, is_named, is_plain) in [
        // What passes by default goes on to.
        (json!("at+jwt"), true, true),
        (json!("JWT"), true, true),
        (json!(null), true, true),
        (json!("JWS"), true, false),
        (json!("jws"), true, false),
        (json!("application/JWS"), true, false),
        (json!("Application/jws"), true, false),
        (json!("x.acme+jwt"), true, false),
        (json!("APPLICATION/X.ACME+JWT"), true, false),
        // Others are not.
        (json!("RSA"), false, false),
        (json!("JWS "), false, false),
        (json!(" JWS"), false, false),
        (json!("JWSX"), false, false),
        (json!("JW"), false, false),
        (json!("text/JWS"), false, false),
        (json!("application/application/JWS"), false, false),
        (json!("J\u{ff37}S"), false, false),
        (json!("JW\u{17f}"), false, false),
        (json!(""), false, false),
        (json!("dpop+jwt"), false, false),
    ] {
        let token = key.token_with_header(json!({"typ": typ}), json!({}));
        for (guarded, passes) in [(&named, is_named), (&plain, is_plain)] {
            let answer = guarded.bearer(&token).await;
            match passes {
                true => answer.assert(200, "accepted"),
                false => answer.assert(401, "wrong_token_type"),
            }
        }
    }
    for typ in [json!(5), json!(["JWS"]), json!({"JWS": true})] {
        let token = key.token_with_header(json!({"typ": typ}), json!({}));
        let answer = named.bearer(&token).await;
        answer.assert(401, "malformed_token");
    }
}

#[tokio::test]
async fn a_named_type_says_nothing_that_a_claim_denies() {
    let key = Key::new("a");
    let web = Web::with_issuer(&[&key]);
    let guarded = Guarded::with_server(&web, server().accepted_typ(["JWS"]).unwrap());
    for claims in [
        json!({"at_hash": "x"}),
        json!({"typ": "Refresh"}),
        json!({"token_use": "id"}),
        json!({"nonce": "n", "scope": null}),
        json!({"events": {}}),
    ] {
        let token = key.token_with_header(json!({"typ": "JWS"}), claims);
        let answer = guarded.bearer(&token).await;
        answer.assert(401, "wrong_token_type");
    }
    // Nor is it evidence where an audience may be a client.
    let server = server().accepted_typ(["JWS"]).unwrap();
    let guarded = Guarded::with_server(&web, server.audience("mcp-server").unwrap());
    let claims = json!({"aud": "mcp-server", "scope": null});
    for (typ, reason) in [("JWS", "wrong_token_type"), ("at+jwt", "accepted")] {
        let token = key.token_with_header(json!({"typ": typ}), claims.clone());
        let answer = guarded.bearer(&token).await;
        assert_eq!(answer.reason(), reason, "{typ}");
    }
}

#[test]
fn types_of_other_kinds_are_not_configured() {
    let setting = "accepted_typ";
    for typ in [
        "dpop+jwt",
        "DPoP+JWT",
        "application/dpop+jwt",
        "logout+jwt",
        "secevent+jwt",
        "txntoken+jwt",
        "oauth-id-jag+jwt",
        "token-introspection+jwt",
        "oauth-authz-req+jwt",
        "oauth-client-attestation+jwt",
        "oauth-client-attestation-pop+jwt",
        "client-authentication+jwt",
        "id_token+jwt",
        "ID",
        "refresh+jwt",
        "rt+jwt",
        "entity-statement+jwt",
        "kb+jwt",
        "wit+jwt",
        "JWE",
    ] {
        refused(server().accepted_typ([typ]), setting, "another kind");
    }
    for typ in [
        "",
        " ",
        "JWS RSA",
        "JWS,RSA",
        "J\u{57}S\u{301}",
        "a\nb",
        "application/",
        &"x".repeat(128),
    ] {
        refused(server().accepted_typ([typ]), setting, "is no type");
    }
    refused(server().accepted_typ([""; 0]), setting, "empty");
    for typ in ["JWS", "RSA", "EC", "JOSE", "Bearer", "JWT", "at+jwt"] {
        drop(server().accepted_typ([typ]).unwrap());
    }
}

#[test]
fn named_types_and_at_jwt_alone_contradict_each_other_in_either_order() {
    for text in ["require_at_jwt", "accepted_typ"] {
        let first = server().require_at_jwt().accepted_typ(["JWS"]);
        refused(first, "accepted_typ", text);
        let second = server().accepted_typ(["JWS"]).unwrap().require_at_jwt();
        refused(OAuthLayer::new(RESOURCE, second), "accepted_typ", text);
    }
}

#[tokio::test]
async fn the_claim_that_is_named_is_the_subject() {
    let key = Key::new("a");
    let web = Web::with_issuer(&[&key]);
    let named = server().subject_claim("user_id").unwrap();
    let guarded = Guarded::with_server(&web, named);
    for (user_id, subject) in [
        (json!("u7"), "u7"),
        (json!(7), "7"),
        (json!("7"), "7"),
        (json!(0), "0"),
        (json!(-7), "-7"),
        (json!(u64::MAX), "18446744073709551615"),
        (json!("mal|lo%"), "mal%7Clo%25"),
    ] {
        // Of two tokens, one principal.
        for jti in ["1", "2"] {
            let claims = json!({"user_id": user_id, "sub": "somebody", "jti": jti});
            let answer = guarded.bearer(&key.token(claims)).await;
            answer.assert(200, "accepted");
            let id = format!("oauth|iss={ISSUER}|sub={subject}|client=app");
            assert_eq!(answer.principal.unwrap(), id);
        }
    }
    for (user_id, reason) in [
        (json!(null), "missing_subject"),
        (json!(""), "missing_subject"),
        (json!(7.0), "malformed_token"),
        (json!(7.5), "malformed_token"),
        (json!(1e30), "malformed_token"),
        (json!(true), "malformed_token"),
        (json!(["u7"]), "malformed_token"),
        (json!([7]), "malformed_token"),
        (json!({"id": 7}), "malformed_token"),
    ] {
        // What else names a user does not stand in.
        let claims = json!({"user_id": user_id, "sub": "alice", "username": "alice"});
        let answer = guarded.bearer(&key.token(claims)).await;
        answer.assert(401, reason);
        assert!(answer.detail().contains("user_id"), "{}", answer.detail());
    }
    // Written otherwise it is another claim.
    for claims in [json!({"userId": 7}), json!({"User_id": 7})] {
        let answer = guarded.bearer(&key.token(claims)).await;
        answer.assert(401, "missing_subject");
    }
}

#[tokio::test]
async fn the_subject_claim_may_be_sub_itself_which_must_be_there_then() {
    let key = Key::new("a");
    let web = Web::with_issuer(&[&key]);
    let guarded = Guarded::with_server(&web, server().subject_claim("sub").unwrap());
    let answer = guarded.bearer(&key.token(json!({}))).await;
    answer.assert(200, "accepted");
    for sub in [json!(null), json!("")] {
        let answer = guarded.bearer(&key.token(json!({"sub": sub}))).await;
        answer.assert(401, "missing_subject");
        let plain = Guarded::new(&web);
        let answer = plain.bearer(&key.token(json!({"sub": sub}))).await;
        answer.assert(200, "accepted");
    }
}

#[tokio::test]
async fn an_object_is_one_within_its_tenant() {
    let key = Key::new("a");
    let web = Web::with_issuer(&[&key]);
    let guarded = Guarded::with_server(&web, server().subject_claim("oid").unwrap());
    let subject = async |tid: Value, oid: Value| {
        let token = key.token(json!({"tid": tid, "oid": oid}));
        let answer = guarded.bearer(&token).await;
        match answer.who.as_ref().and_then(|who| who.subject()) {
            Some(subject) => Ok(subject.to_owned()),
            None => Err(answer.reason().to_owned()),
        }
    };
    let (accepted, refused) = (
        |text: &str| Ok(text.to_owned()),
        |reason: &str| Err(reason.to_owned()),
    );
    assert_eq!(subject(json!("t"), json!("o")).await, accepted("t/o"));
    assert_eq!(subject(json!("t"), json!("a/b")).await, accepted("t/a/b"));
    // No two tenants and objects have one text.
    let slash = subject(json!("t/a"), json!("b")).await;
    assert_eq!(slash, refused("malformed_token"));
    for (tid, oid) in [
        (json!(null), json!("o")),
        (json!(""), json!("o")),
        (json!("t"), json!(null)),
        (json!("t"), json!("")),
    ] {
        assert_eq!(subject(tid, oid).await, refused("missing_subject"));
    }
    let list = subject(json!(["t"]), json!("o")).await;
    assert_eq!(list, refused("malformed_token"));
}

#[test]
fn a_claim_that_names_no_lasting_subject_is_not_configured() {
    let safe = |name: &str| server().subject_claim(name);
    let dangerous = |name: &str| server().dangerously_subject_claim(name);
    for name in [
        "email",
        "Email",
        "e-mail",
        "emails",
        "upn",
        "preferred_username",
        "preferredUsername",
        "username",
        "cognito:username",
        "unique_name",
        "name",
        "nickname",
        "phone_number",
        "screen_name",
        "https://example.com/claims/email",
    ] {
        refused(safe(name), "subject_claim", "dangerously_subject_claim");
        drop(dangerous(name).unwrap());
    }
    for name in [
        "",
        " ",
        "a b",
        "a,b",
        "iss",
        "aud",
        "exp",
        "jti",
        "client_id",
        "azp",
        "appid",
        "tid",
        "org_id",
        "hd",
        "nonce",
        "sid",
        "scope",
        "act",
        "typ",
        "at_hash",
        "token_use",
        "Refresh",
    ] {
        refused(safe(name), "subject_claim", "");
        refused(dangerous(name), "dangerously_subject_claim", "");
    }
    for name in [
        "user_id",
        "uid",
        "oid",
        "sub",
        "employee_number",
        "account.id",
    ] {
        drop(safe(name).unwrap());
    }
    for both in [
        safe("uid").unwrap().dangerously_subject_claim("email"),
        dangerous("email").unwrap().subject_claim("uid"),
    ] {
        refused(both, "subject_claim", "contradict each other");
    }
    drop(safe("uid").unwrap().subject_claim("user_id").unwrap());
}

#[tokio::test]
async fn an_answer_about_a_token_names_the_subject_by_the_same_claim() {
    let key = Key::new("a");
    let web = Web::with_issuer(&[&key]);
    let server = server().introspection(introspection()).unwrap();
    let guarded = Guarded::with_server(&web, server.subject_claim("user_id").unwrap());
    say_always(&web, &active(json!({"user_id": 7, "sub": "somebody"})));
    let answer = guarded.bearer(OPAQUE).await;
    answer.assert(200, "accepted");
    assert_eq!(answer.who.unwrap().subject(), Some("7"));
    for (number, changes, reason) in [
        (1, json!({}), "missing_subject"),
        (2, json!({"user_id": 7.5}), "malformed_token"),
        (3, json!({"user_id": [7]}), "malformed_token"),
    ] {
        say_always(&web, &active(changes));
        let answer = guarded.bearer(&format!("{number}{OPAQUE}")).await;
        answer.assert(401, reason);
    }
}

/// What a CI system says of a job: no scope, no client, no type.
fn job(changes: &Value) -> Value {
    let claims = json!({
        "aud": "mcp-server", "sub": "repo:acme/widgets:ref:refs/heads/main", "owner_id": "65",
        "client_id": null, "scope": null,
    });
    let mut claims = claims;
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
}

#[tokio::test]
async fn any_token_for_an_audience_is_accepted_where_a_claim_narrows_its_owners() {
    let key = Key::new("a");
    let web = Web::with_issuer(&[&key]);
    let open = || {
        server()
            .dangerously_any_token_for_audience("mcp-server")
            .unwrap()
    };
    let by_claim = Guarded::with_server(&web, open().require_claim("owner_id", ["65"]).unwrap());
    let by_subject = open().require_subject(["repo:acme/*:ref:refs/heads/main"]);
    let by_subject = Guarded::with_server(&web, by_subject.unwrap());
    let closed = server().audience("mcp-server").unwrap();
    let closed = Guarded::with_server(&web, closed.require_claim("owner_id", ["65"]).unwrap());
    let header = json!({"typ": "JWT"});
    for (name, changes, reason) in [
        ("as it is", json!({}), "accepted"),
        (
            "with others",
            json!({"aud": ["x", "mcp-server"]}),
            "accepted",
        ),
        ("nonce", json!({"nonce": "n"}), "accepted"),
        (
            "client as audience",
            json!({"azp": "mcp-server"}),
            "accepted",
        ),
        (
            "sign-in",
            json!({"auth_time": 1, "email": "a@example.com"}),
            "accepted",
        ),
        (
            "other audience",
            json!({"aud": "other"}),
            "audience_mismatch",
        ),
        ("resource", json!({"aud": RESOURCE}), "audience_mismatch"),
        (
            "prefix",
            json!({"aud": "mcp-server-2"}),
            "audience_mismatch",
        ),
        ("case", json!({"aud": "MCP-server"}), "audience_mismatch"),
        ("no audience", json!({"aud": null}), "missing_audience"),
        ("empty list", json!({"aud": []}), "audience_mismatch"),
        ("at_hash", json!({"at_hash": "x"}), "wrong_token_type"),
        ("c_hash", json!({"c_hash": "x"}), "wrong_token_type"),
        ("s_hash", json!({"s_hash": "x"}), "wrong_token_type"),
        ("events", json!({"events": {}}), "wrong_token_type"),
        ("refresh", json!({"typ": "Refresh"}), "wrong_token_type"),
        ("offline", json!({"typ": "Offline"}), "wrong_token_type"),
        ("logout", json!({"typ": "Logout"}), "wrong_token_type"),
        ("ID", json!({"typ": "ID"}), "wrong_token_type"),
        ("token_use", json!({"token_use": "id"}), "wrong_token_type"),
        (
            "refresh by flag",
            json!({"refresh": true}),
            "wrong_token_type",
        ),
        ("bound", json!({"cnf": {"jkt": "x"}}), "bound_token"),
        ("expired", json!({"exp": START.as_secs() - 61}), "expired"),
        ("no end", json!({"exp": null}), "missing_exp"),
    ] {
        let token = key.token_with_header(header.clone(), job(&changes));
        for guarded in [&by_claim, &by_subject] {
            let answer = guarded.bearer(&token).await;
            assert_eq!(answer.reason(), reason, "{name}: {}", answer.detail());
        }
        let answer = closed.bearer(&token).await;
        assert_ne!(answer.reason(), "accepted", "{name}");
    }
    for (changes, claim, subject) in [
        (json!({"owner_id": "66"}), "claim_mismatch", "accepted"),
        (json!({"owner_id": 65}), "claim_mismatch", "accepted"),
        (json!({"owner_id": null}), "claim_mismatch", "accepted"),
        (
            json!({"sub": "repo:evil/widgets:ref:refs/heads/main"}),
            "accepted",
            "claim_mismatch",
        ),
        (json!({"sub": null}), "accepted", "claim_mismatch"),
        (json!({"sub": ""}), "accepted", "claim_mismatch"),
    ] {
        let token = key.token_with_header(header.clone(), job(&changes));
        for (guarded, reason) in [(&by_claim, claim), (&by_subject, subject)] {
            let answer = guarded.bearer(&token).await;
            assert_eq!(answer.reason(), reason, "{changes}: {}", answer.detail());
        }
    }
}

#[test]
fn any_token_needs_an_audience_and_a_claim() {
    let setting = "dangerously_any_token_for_audience";
    let open = |audience: &str| server().dangerously_any_token_for_audience(audience);
    refused(open(""), setting, "empty");
    let shared = server().ignore_audience("shared").unwrap();
    let shared = shared.dangerously_any_token_for_audience("shared");
    refused(shared, setting, "counts as none");
    let built = |server: AuthorizationServer| OAuthLayer::new(RESOURCE, server);
    refused(built(open("a").unwrap()), setting, "require_claim");
    // What every token has says nothing of its subject.
    for claim in ["iss", "aud"] {
        let server = open("a").unwrap().require_claim(claim, ["a"]).unwrap();
        refused(built(server), setting, "require_subject");
    }
    let server = open("a").unwrap().require_claim("owner", ["a"]).unwrap();
    drop(built(server).unwrap());
    let server = open("a").unwrap().require_subject(["a:b"]).unwrap();
    drop(built(server).unwrap());
}

#[tokio::test]
async fn a_subject_matches_by_whole_segments() {
    let key = Key::new("a");
    let web = Web::with_issuer(&[&key]);
    for (pattern, matching, others) in [
        (
            "repo:acme/widgets:ref:refs/heads/main",
            vec!["repo:acme/widgets:ref:refs/heads/main"],
            vec![
                "repo:acme/widgets:ref:refs/heads/main2",
                "repo:acme/widgets:ref:refs/heads/main/x",
                "repo:acme/widgets:ref:refs/heads/main:",
                "repo:acme/widgets:ref:refs/heads/mai",
                "repo:acme/widgets-evil:ref:refs/heads/main",
                "xrepo:acme/widgets:ref:refs/heads/main",
                "repo:acme/widgets:ref:refs:heads:main",
                "repo/acme/widgets/ref/refs/heads/main",
                "repo:ACME/widgets:ref:refs/heads/main",
                "repo:acme/widgets:ref:refs/heads/ma\u{456}n",
                "repo:acme/widgets:ref:refs/heads/main ",
                "repo:acme/widgets:ref:refs/heads/main\u{0}",
                "repo:acme//widgets:ref:refs/heads/main",
                "repo%3Aacme/widgets:ref:refs/heads/main",
                "repo:acme@1/widgets@2:ref:refs/heads/main",
                "",
            ],
        ),
        (
            "repo:acme/*:ref:refs/heads/main",
            vec![
                "repo:acme/widgets:ref:refs/heads/main",
                "repo:acme/*:ref:refs/heads/main",
                "repo:acme/a b\u{e9}:ref:refs/heads/main",
            ],
            vec![
                "repo:acme/:ref:refs/heads/main",
                "repo:acme/a/b:ref:refs/heads/main",
                "repo:acme/a:b:ref:refs/heads/main",
                "repo:acme:ref:refs/heads/main",
                "repo:acmex/a:ref:refs/heads/main",
            ],
        ),
        (
            "repo:acme/**",
            vec![
                "repo:acme/a",
                "repo:acme/a:b/c",
                "repo:acme/widgets:ref:refs/heads/main",
            ],
            vec![
                "repo:acme",
                "repo:acme/",
                "repo:acme:a",
                "repo:acme/a/",
                "repo:acme//a",
                "repo:acme-evil/a",
            ],
        ),
        (
            "spiffe://example.org/*/agent",
            vec!["spiffe://example.org/ns/agent"],
            vec![
                "spiffe:/example.org/ns/agent",
                "spiffe:///example.org/ns/agent",
                "spiffe://example.org.evil/ns/agent",
                "spiffe://example.org/ns/agent/",
                "spiffe://example.org/ns/agent/x",
            ],
        ),
        ("*:b", vec!["a:b"], vec![":b", "a:b:c", "b"]),
    ] {
        let server = server().require_subject([pattern, "never:this"]).unwrap();
        let guarded = Guarded::with_server(&web, server);
        for (subjects, reason) in [(matching, "accepted"), (others, "claim_mismatch")] {
            for subject in subjects {
                let answer = guarded.bearer(&key.token(json!({"sub": subject}))).await;
                assert_eq!(answer.reason(), reason, "{pattern} and {subject:?}");
            }
        }
    }
}

#[test]
fn patterns_that_narrow_nothing_are_not_configured() {
    for (pattern, text) in [
        ("", "no segment is fixed"),
        ("*", "no segment is fixed"),
        ("**", "no segment is fixed"),
        ("*:*", "no segment is fixed"),
        ("*/**", "no segment is fixed"),
        ("://", "no segment is fixed"),
        ("repo:acme/widgets*", "whole segment"),
        ("repo:*main", "whole segment"),
        ("repo:a*b", "whole segment"),
        ("repo:***", "whole segment"),
        ("**:main", "at the end"),
        ("repo:**/main", "at the end"),
    ] {
        refused(server().require_subject([pattern]), "require_subject", text);
    }
    let none = server().require_subject([""; 0]);
    refused(none, "require_subject", "no pattern");
}

#[tokio::test]
async fn a_second_list_of_patterns_narrows_the_first() {
    let key = Key::new("a");
    let web = Web::with_issuer(&[&key]);
    let server = server().require_subject(["a:*", "b:*"]).unwrap();
    let server = server.require_subject(["*:x", "*:y"]).unwrap();
    let guarded = Guarded::with_server(&web, server);
    for (sub, reason) in [
        ("a:x", "accepted"),
        ("b:y", "accepted"),
        ("a:z", "claim_mismatch"),
        ("c:x", "claim_mismatch"),
    ] {
        let answer = guarded.bearer(&key.token(json!({"sub": sub}))).await;
        assert_eq!(answer.reason(), reason, "{sub}");
    }
}

#[tokio::test]
async fn answers_about_a_token_are_narrowed_alike() {
    let key = Key::new("a");
    let web = Web::with_issuer(&[&key]);
    let server = server().introspection(introspection()).unwrap();
    let server = server.require_subject(["user:*"]).unwrap();
    let guarded = Guarded::with_server(&web, server);
    for (number, sub, reason) in [(1, "user:1", "accepted"), (2, "user:1:x", "claim_mismatch")] {
        say_always(&web, &active(json!({"sub": sub})));
        let answer = guarded.bearer(&format!("{number}{OPAQUE}")).await;
        assert_eq!(answer.reason(), reason, "{sub}");
    }
}
