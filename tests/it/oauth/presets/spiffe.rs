//! SPIFFE JWT-SVIDs: the trust domain is the issuer, and the bundle has its keys.

use std::time::Duration;

use serde_json::{Value, json};
use tower_mcp_auth::jose::Secret;
use tower_mcp_auth::oauth::presets::spiffe;
use tower_mcp_auth::oauth::{AuthorizationServer, JwksOptions};
use tower_mcp_auth::{JwtLayer, OAuthLayer};

use crate::oauth::presets::fixture::{ES256, ES384, RS256, Signer};
use crate::oauth::presets::support::{Guarded, ISSUER, Key, Page, RESOURCE, START, Web, changed};

const BUNDLE: &str = "https://spire.example.org/bundle";
const AGENT: &str = "spiffe://example.org/agent";

fn server() -> AuthorizationServer {
    spiffe::trust_domain("example.org", BUNDLE).unwrap()
}

/// The key of a bundle, with changes.
fn jwk(signer: &Signer, kid: &str, changes: &Value) -> Value {
    changed(
        changed(signer.jwk(kid), &json!({"use": "jwt-svid"})),
        changes,
    )
}

fn bundle(keys: &[Value]) -> Value {
    json!({"keys": keys, "spiffe_sequence": 1, "spiffe_refresh_hint": 300})
}

fn web() -> Web {
    let web = Web::new();
    let authority = json!({
        "kty": "EC", "use": "x509-svid", "crv": "P-256", "x5c": ["MIIBvzCCAWWgAwIBAgIRAIXP"],
        "x": "kKh8EvJlNpXu5JvLLIGJExj5Sk3BAdXJLwzpFLLG2cY",
        "y": "MH_F8Jm_4U1r1-B2UMZkl4r4-OlVdmWlLVGGTMN9h4g",
    });
    let keys = [authority, jwk(&ES256, "k1", &json!({}))];
    web.set(BUNDLE, Page::Json(bundle(&keys)));
    web
}

fn svid(header: &Value, claims: &Value) -> String {
    let now = START.as_secs();
    let base = json!({"sub": AGENT, "aud": [RESOURCE], "exp": now + 300, "iat": now});
    let header = changed(json!({"kid": "k1", "typ": "JOSE"}), header);
    ES256.sign(&header, &changed(base, claims))
}

#[tokio::test]
async fn an_svid_of_the_trust_domain_passes_and_the_trust_domain_is_its_issuer() {
    let web = web();
    let guarded = Guarded::with_server(&web, server());
    for typ in [json!("JOSE"), json!("JWT"), json!("jose"), json!(null)] {
        let answer = guarded
            .bearer(&svid(&json!({"typ": typ}), &json!({})))
            .await;
        answer.assert(200, "accepted");
        let who = answer.who.unwrap();
        assert_eq!(who.issuer(), Some("spiffe://example.org"));
        assert_eq!(who.subject(), Some(AGENT));
        let id = "oauth|iss=spiffe://example.org|sub=spiffe://example.org/agent";
        assert_eq!(who.id().as_str(), id);
    }
    // The bundle is all that was asked for.
    assert_eq!(web.log(), [BUNDLE]);
    let plain = Guarded::with_server(&web, server().audience("mcp").unwrap());
    let answer = plain
        .bearer(&svid(&json!({}), &json!({"aud": "mcp"})))
        .await;
    answer.assert(200, "accepted");
}

#[tokio::test]
async fn what_is_no_svid_of_the_trust_domain_is_refused() {
    let guarded = Guarded::with_server(&web(), server());
    let long = format!("spiffe://example.org/{}", "a".repeat(2048));
    for (name, header, claims, reason) in [
        (
            "other domain",
            json!({}),
            json!({"sub": "spiffe://other.org/agent"}),
            "missing_issuer",
        ),
        (
            "prefix",
            json!({}),
            json!({"sub": "spiffe://example.org.evil/agent"}),
            "missing_issuer",
        ),
        (
            "suffix",
            json!({}),
            json!({"sub": "spiffe://evil.example.org/agent"}),
            "missing_issuer",
        ),
        (
            "case",
            json!({}),
            json!({"sub": "spiffe://EXAMPLE.org/agent"}),
            "missing_issuer",
        ),
        (
            "scheme in another case",
            json!({}),
            json!({"sub": "SPIFFE://example.org/agent"}),
            "missing_issuer",
        ),
        (
            "port",
            json!({}),
            json!({"sub": "spiffe://example.org:443/agent"}),
            "missing_issuer",
        ),
        (
            "user",
            json!({}),
            json!({"sub": "spiffe://x@example.org/agent"}),
            "missing_issuer",
        ),
        (
            "no scheme",
            json!({}),
            json!({"sub": "example.org/agent"}),
            "missing_issuer",
        ),
        (
            "look-alike",
            json!({}),
            json!({"sub": "spiffe://ex\u{430}mple.org/agent"}),
            "missing_issuer",
        ),
        (
            "query",
            json!({}),
            json!({"sub": "spiffe://example.org?x/agent"}),
            "missing_issuer",
        ),
        (
            "no subject",
            json!({}),
            json!({"sub": null}),
            "missing_issuer",
        ),
        (
            "empty subject",
            json!({}),
            json!({"sub": ""}),
            "missing_issuer",
        ),
        (
            "subject of another type",
            json!({}),
            json!({"sub": [AGENT]}),
            "malformed_token",
        ),
        (
            "the domain itself",
            json!({}),
            json!({"sub": "spiffe://example.org"}),
            "claim_mismatch",
        ),
        (
            "no path",
            json!({}),
            json!({"sub": "spiffe://example.org/"}),
            "claim_mismatch",
        ),
        (
            "trailing slash",
            json!({}),
            json!({"sub": "spiffe://example.org/agent/"}),
            "claim_mismatch",
        ),
        (
            "empty segment",
            json!({}),
            json!({"sub": "spiffe://example.org//agent"}),
            "claim_mismatch",
        ),
        (
            "dots",
            json!({}),
            json!({"sub": "spiffe://example.org/a/../agent"}),
            "claim_mismatch",
        ),
        (
            "dot",
            json!({}),
            json!({"sub": "spiffe://example.org/./agent"}),
            "claim_mismatch",
        ),
        (
            "encoded",
            json!({}),
            json!({"sub": "spiffe://example.org/%61gent"}),
            "claim_mismatch",
        ),
        (
            "query behind",
            json!({}),
            json!({"sub": "spiffe://example.org/agent?x"}),
            "claim_mismatch",
        ),
        (
            "fragment",
            json!({}),
            json!({"sub": "spiffe://example.org/agent#x"}),
            "claim_mismatch",
        ),
        (
            "space",
            json!({}),
            json!({"sub": "spiffe://example.org/a gent"}),
            "claim_mismatch",
        ),
        (
            "too long",
            json!({}),
            json!({"sub": long}),
            "claim_mismatch",
        ),
        (
            "no audience",
            json!({}),
            json!({"aud": null}),
            "missing_audience",
        ),
        (
            "other audience",
            json!({}),
            json!({"aud": ["spiffe://example.org/other"]}),
            "audience_mismatch",
        ),
        ("no end", json!({}), json!({"exp": null}), "missing_exp"),
        (
            "expired",
            json!({}),
            json!({"exp": START.as_secs() - 61}),
            "expired",
        ),
        ("no key id", json!({"kid": null}), json!({}), "unknown_key"),
        (
            "other key id",
            json!({"kid": "k2"}),
            json!({}),
            "unknown_key",
        ),
        ("empty key id", json!({"kid": ""}), json!({}), "unknown_key"),
        (
            "at+jwt",
            json!({"typ": "at+jwt"}),
            json!({}),
            "wrong_token_type",
        ),
        (
            "wit+jwt",
            json!({"typ": "wit+jwt"}),
            json!({}),
            "wrong_token_type",
        ),
        (
            "EdDSA",
            json!({"alg": "EdDSA"}),
            json!({}),
            "algorithm_not_allowed",
        ),
        (
            "HMAC",
            json!({"alg": "HS256"}),
            json!({}),
            "algorithm_not_allowed",
        ),
        (
            "bound",
            json!({}),
            json!({"cnf": {"jkt": "x"}}),
            "bound_token",
        ),
        (
            "at_hash",
            json!({}),
            json!({"at_hash": "x"}),
            "wrong_token_type",
        ),
        // A token with an `iss` is one of that issuer.
        (
            "iss",
            json!({}),
            json!({"iss": "https://oidc.example.org"}),
            "issuer_mismatch",
        ),
        (
            "empty iss",
            json!({}),
            json!({"iss": ""}),
            "issuer_mismatch",
        ),
        (
            "iss of another type",
            json!({}),
            json!({"iss": ["spiffe://example.org"]}),
            "malformed_token",
        ),
    ] {
        let answer = guarded.bearer(&svid(&header, &claims)).await;
        assert_eq!(answer.reason(), reason, "{name}: {}", answer.detail());
        assert_eq!(answer.status.as_u16(), 401, "{name}");
    }
    // The trust domain as `iss` changes nothing: the subject must be in it all the same.
    for (sub, reason) in [
        (AGENT, "accepted"),
        ("spiffe://other.org/agent", "issuer_mismatch"),
        ("alice", "issuer_mismatch"),
    ] {
        let claims = json!({"iss": "spiffe://example.org", "sub": sub});
        let answer = guarded.bearer(&svid(&json!({}), &claims)).await;
        assert_eq!(answer.reason(), reason, "{sub}: {}", answer.detail());
    }
    let forged = svid(&json!({}), &json!({}));
    let forged = format!("{}{}", &forged[..forged.len() - 4], "AAAA");
    guarded
        .bearer(&forged)
        .await
        .assert(401, "invalid_signature");
}

#[tokio::test]
async fn subjects_are_narrowed_by_whole_segments() {
    let server = server()
        .require_subject(["spiffe://example.org/ns/*/sa/agent"])
        .unwrap();
    let guarded = Guarded::with_server(&web(), server);
    for (sub, reason) in [
        ("spiffe://example.org/ns/a/sa/agent", "accepted"),
        ("spiffe://example.org/ns/a/sa/agent2", "claim_mismatch"),
        ("spiffe://example.org/ns/a/b/sa/agent", "claim_mismatch"),
        ("spiffe://example.org/agent", "claim_mismatch"),
    ] {
        let answer = guarded
            .bearer(&svid(&json!({}), &json!({"sub": sub})))
            .await;
        assert_eq!(answer.reason(), reason, "{sub}");
    }
}

#[tokio::test]
async fn keys_of_a_bundle_are_those_for_svids_that_have_an_id() {
    let web = web();
    for (name, change, reason) in [
        ("as it is", json!({}), "accepted"),
        (
            "another kind",
            json!({"use": "x509-svid"}),
            "keys_unavailable",
        ),
        ("a signature", json!({"use": "sig"}), "keys_unavailable"),
        (
            "in another case",
            json!({"use": "JWT-SVID"}),
            "keys_unavailable",
        ),
        ("no use", json!({"use": null}), "keys_unavailable"),
        ("no id", json!({"kid": null}), "keys_unavailable"),
        ("empty id", json!({"kid": ""}), "keys_unavailable"),
        ("private", json!({"d": "AAAA"}), "keys_unavailable"),
    ] {
        let keys = [jwk(&ES256, "k1", &change)];
        web.set(BUNDLE, Page::Json(bundle(&keys)));
        let guarded = Guarded::with_server(&web, server());
        let answer = guarded.bearer(&svid(&json!({}), &json!({}))).await;
        assert_eq!(answer.reason(), reason, "{name}: {}", answer.detail());
    }
    // Nor does a key for SVIDs check the tokens of an ordinary server.
    web.publish_metadata(ISSUER);
    let keys = format!("{ISSUER}/keys");
    web.set(&keys, Page::Json(bundle(&[jwk(&ES256, "k1", &json!({}))])));
    let ordinary = Guarded::new(&web);
    let answer = ordinary
        .bearer(&svid(&json!({"typ": "JWT"}), &json!({"iss": ISSUER})))
        .await;
    answer.assert(503, "keys_unavailable");
    // Each algorithm of the specification; what goes with which key is the key's business.
    web.set(
        BUNDLE,
        Page::Json(bundle(&[
            jwk(&RS256, "rsa", &json!({})),
            jwk(&ES384, "p384", &json!({})),
        ])),
    );
    let guarded = Guarded::with_server(&web, server());
    for (signer, kid) in [(&RS256, "rsa"), (&ES384, "p384")] {
        let now = START.as_secs();
        let claims = json!({"sub": AGENT, "aud": RESOURCE, "exp": now + 300});
        let token = signer.sign(&json!({"kid": kid}), &claims);
        guarded.bearer(&token).await.assert(200, "accepted");
    }
}

#[tokio::test]
async fn the_hint_of_a_bundle_says_how_long_it_is_fresh_within_the_bounds() {
    let fresh = async |hint: Value, cache: &'static str, limits: JwksOptions| {
        let web = web();
        let keys = [jwk(&ES256, "k1", &json!({}))];
        let document = changed(bundle(&keys), &json!({"spiffe_refresh_hint": hint}));
        web.set(BUNDLE, Page::WithHeader("cache-control", cache, document));
        let mut guarded = Guarded::with_server(&web, server());
        guarded.layer = OAuthLayer::builder(RESOURCE)
            .unwrap()
            .authorization_server(server())
            .unwrap()
            .clock(guarded.clock.clone())
            .fetch(web)
            .jwks_options(limits)
            .build()
            .unwrap();
        guarded.layer.warm_up().await.unwrap();
        let health = guarded.layer.health().remove(0);
        assert_eq!(&*health.0, "spiffe://example.org");
        // A fifth of it is left when they are fetched anew.
        health.1.next_refresh.unwrap().as_secs() * 5 / 4
    };
    let limits = JwksOptions::new;
    for (hint, cache, expected) in [
        (json!(300), "", 300),
        (json!(300), "max-age=3000", 300),
        (json!(300), "no-store", 300),
        (json!(1), "", 60),
        (json!(0), "", 60),
        (json!(2_592_000), "", 3600),
        (json!(u64::MAX), "", 3600),
        // What is no hint is none.
        (json!(null), "max-age=3000", 3000),
        (json!("300"), "max-age=3000", 3000),
        (json!(300.5), "max-age=3000", 3000),
        (json!(-300), "", 600),
        (json!([300]), "", 600),
    ] {
        let got = fresh(hint.clone(), cache, limits()).await;
        assert_eq!(got, expected, "{hint} {cache}");
    }
    let wide = || limits().ttl_bounds(Duration::from_secs(10)..=Duration::from_secs(100_000));
    assert_eq!(fresh(json!(50_000), "", wide()).await, 50_000);
    // To other key sets it means nothing.
    let key = Key::new("a");
    let web = Web::new();
    web.publish_metadata(ISSUER);
    let set = json!({"keys": [key.jwk()], "spiffe_refresh_hint": 60});
    web.set(&format!("{ISSUER}/keys"), Page::Json(set));
    let guarded = Guarded::new(&web);
    guarded.layer.warm_up().await.unwrap();
    let health = guarded.layer.health().remove(0).1;
    assert_eq!(health.next_refresh.unwrap().as_secs(), 480);
}

#[tokio::test]
async fn svids_that_have_an_issuer_must_have_that_one_and_the_subject() {
    let web = web();
    let issuer = "https://oidc.example.org";
    let server = spiffe::trust_domain_with_issuer("example.org", BUNDLE, issuer).unwrap();
    let guarded = Guarded::with_server(&web, server);
    for (claims, reason) in [
        (json!({"iss": issuer}), "accepted"),
        (json!({}), "missing_issuer"),
        (json!({"iss": "spiffe://example.org"}), "issuer_mismatch"),
        (
            json!({"iss": issuer, "sub": "spiffe://other.org/agent"}),
            "issuer_mismatch",
        ),
        (json!({"iss": issuer, "sub": "alice"}), "issuer_mismatch"),
        (json!({"iss": issuer, "sub": null}), "missing_subject"),
    ] {
        let answer = guarded.bearer(&svid(&json!({}), &claims)).await;
        assert_eq!(answer.reason(), reason, "{claims}: {}", answer.detail());
    }
}

/// An SVID is for an audience: no client stands in for it.
#[test]
fn clients_of_a_trust_domain_are_not_configured() {
    for server in [
        server().client_ids(["app"]).unwrap(),
        server()
            .dangerously_accept_every_client_of_this_issuer()
            .unwrap(),
    ] {
        let error = OAuthLayer::new(RESOURCE, server).unwrap_err();
        assert_eq!(error.setting(), "client_ids");
    }
}

#[tokio::test]
async fn a_trust_domain_stands_beside_other_servers_and_takes_nothing_of_theirs() {
    let (key, web) = (Key::new("k1"), web());
    web.publish_metadata(ISSUER);
    web.publish_keys(&[&key]);
    let other = spiffe::trust_domain("other.org", "https://other.org/bundle").unwrap();
    web.set(
        "https://other.org/bundle",
        Page::Json(bundle(&[jwk(&ES384, "k1", &json!({}))])),
    );
    let ordinary = AuthorizationServer::new(ISSUER).unwrap();
    let guarded = Guarded::with_servers(&web, [ordinary, server(), other]);
    let now = START.as_secs();
    guarded
        .bearer(&key.token(json!({})))
        .await
        .assert(200, "accepted");
    guarded
        .bearer(&svid(&json!({}), &json!({})))
        .await
        .assert(200, "accepted");
    let claims = json!({"sub": "spiffe://other.org/agent", "aud": RESOURCE, "exp": now + 300});
    let theirs = ES384.sign(&json!({"kid": "k1"}), &claims);
    guarded.bearer(&theirs).await.assert(200, "accepted");
    // One trust domain does not sign for another, nor for an issuer, nor the reverse.
    let forged = ES384.sign(
        &json!({"kid": "k1"}),
        &changed(claims, &json!({"sub": AGENT})),
    );
    guarded.bearer(&forged).await.assert(401, "unknown_key");
    let forged = svid(&json!({"typ": "at+jwt"}), &json!({"iss": ISSUER}));
    guarded
        .bearer(&forged)
        .await
        .assert(401, "invalid_signature");
    let forged = key.token_with_header(json!({"typ": null}), json!({"iss": null, "sub": AGENT}));
    guarded
        .bearer(&forged)
        .await
        .assert(401, "invalid_signature");
    // Without an issuer and without a trust domain it has no owner, as ever.
    let nobodys = key.token(json!({"iss": null}));
    guarded.bearer(&nobodys).await.assert(401, "missing_issuer");
}

#[tokio::test]
async fn other_providers_of_a_layer_are_told_from_a_trust_domain() {
    const SECRET: &str = "jR4v8sQ1xT6yB9kW3nM7pL2dF5hG0cZaVeUoIiSrKtE";
    let web = web();
    let guarded = Guarded::with_server(&web, server());
    let jwt = JwtLayer::builder(Secret::new(SECRET).unwrap())
        .issuer("https://internal.example.com")
        .clock(guarded.clock.clone())
        .build()
        .unwrap();
    for layer in [
        guarded.layer.clone().or(jwt.clone()).unwrap().boxed(),
        jwt.clone().or(guarded.layer.clone()).unwrap().boxed(),
    ] {
        for (claims, reason, provider) in [
            (json!({}), "accepted", "oauth"),
            (
                json!({"sub": "spiffe://other.org/agent"}),
                "missing_issuer",
                "",
            ),
            (json!({"sub": "alice"}), "missing_issuer", ""),
            (json!({"sub": null}), "missing_issuer", ""),
            (
                json!({"iss": "https://internal.example.com"}),
                "wrong_token_type",
                "",
            ),
            (
                json!({"iss": "https://evil.example.com"}),
                "issuer_mismatch",
                "",
            ),
        ] {
            let token = svid(&json!({}), &claims);
            let header = ("authorization", format!("Bearer {token}"));
            let answer = common::ask(&layer, common::request(&[header])).await;
            if provider.is_empty() {
                assert_eq!(answer.error().reason(), reason, "{claims}");
            } else {
                assert_eq!(answer.principal().provider(), provider, "{claims}");
            }
        }
    }
}
