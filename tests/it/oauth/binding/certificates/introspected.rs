//! Tokens that the authorization server is asked about: it says which certificate they are bound
//! to.

use serde_json::{Value, json};
use tower_mcp_auth::oauth::Introspection;
use tower_mcp_auth::oauth::binding::{DpopMode, MtlsMode};

use super::super::super::introspection::{ENDPOINT, active, introspection};
use super::super::super::support::{Guarded, Key, Page, Web};
use super::{OTHER, OWN, cnf, request, server};

const OPAQUE: &str = "Zx81-opaque_token";

/// A server that is asked, and its key.
fn asked(mode: MtlsMode, introspection: Introspection) -> (Guarded, Key, Web) {
    let issuer = Key::new("a");
    let web = Web::with_issuer(&[&issuer]);
    let server = server(DpopMode::Off, mode).introspection(introspection);
    (Guarded::with_server(&web, server.unwrap()), issuer, web)
}

fn say(web: &Web, token: &str, said: Value) {
    let tokens = [(token.to_owned(), active(said))];
    web.set(ENDPOINT, Page::Tokens(tokens.into()));
}

/// By the answer that was waited for, and by what is remembered of it.
#[tokio::test]
async fn an_opaque_token_is_bound_by_the_answer() {
    for mode in [MtlsMode::Allowed, MtlsMode::Required] {
        for first in [None, Some(OTHER), Some(OWN)] {
            let (guarded, _, web) = asked(mode, introspection());
            say(&web, OPAQUE, json!({ "cnf": cnf(OWN) }));
            for certificate in [first, None, Some(OTHER), Some(OWN)] {
                let reason = match certificate {
                    None => "missing_certificate",
                    Some(OWN) => "accepted",
                    Some(_) => "certificate_mismatch",
                };
                let answer = guarded.ask(request(OPAQUE, certificate)).await;
                assert_eq!(answer.reason(), reason);
            }
            assert_eq!(web.count(ENDPOINT), 1);
        }
    }
    for (mode, said, reason) in [
        (MtlsMode::Off, json!({ "cnf": cnf(OWN) }), "bound_token"),
        (MtlsMode::Allowed, json!({}), "accepted"),
        (MtlsMode::Required, json!({}), "unbound_token"),
        (
            MtlsMode::Allowed,
            json!({"cnf": {"x5t#S256": "x"}}),
            "bound_token",
        ),
        (MtlsMode::Allowed, json!({"cnf": {}}), "bound_token"),
    ] {
        let (guarded, _, web) = asked(mode, introspection());
        say(&web, OPAQUE, said.clone());
        let answer = guarded.ask(request(OPAQUE, Some(OWN))).await;
        assert_eq!(answer.reason(), reason, "{mode:?} {said}");
    }
}

/// A JWT that is asked about too: what either names binds it, and both must name the same.
#[tokio::test]
async fn a_token_and_the_answer_name_the_same_certificate() {
    for (in_token, in_answer, reason) in [
        (cnf(OWN), Value::Null, "accepted"),
        (Value::Null, cnf(OWN), "accepted"),
        (cnf(OWN), cnf(OWN), "accepted"),
        (cnf(OWN), cnf(OTHER), "bound_token"),
        (cnf(OTHER), Value::Null, "certificate_mismatch"),
        (Value::Null, cnf(OTHER), "certificate_mismatch"),
        (Value::Null, Value::Null, "accepted"),
    ] {
        let introspection = introspection().introspect_jwts().unwrap();
        let (guarded, issuer, web) = asked(MtlsMode::Allowed, introspection);
        let token = issuer.token(json!({ "cnf": in_token }));
        say(&web, &token, json!({ "cnf": in_answer }));
        for _ in 0..2 {
            let answer = guarded.ask(request(&token, Some(OWN))).await;
            assert_eq!(answer.reason(), reason, "{in_token} {in_answer}");
        }
    }
}
