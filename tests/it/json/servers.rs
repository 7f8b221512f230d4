//! Members with names that serde_json keeps for itself, in what authorization servers send.
//!
//! With its feature `raw_value` anywhere in the build (axum turns it on) serde_json reads
//! `{"$serde_json::private::RawValue": "<json>"}` into a `Value` as `<json>`, by a parser of its
//! own.

use std::process::Command;

use bytes::Bytes;
use http::{Request, Response};
use serde_json::json;
use tower_mcp_auth::OAuthLayer;
use tower_mcp_auth::jose::PublicKey;
use tower_mcp_auth::oauth::{AuthorizationServer, Fetch, FetchFuture, IntrospectionResponse};

use crate::oauth::introspection::{ENDPOINT, OPAQUE, active, guarded, introspection};
use crate::oauth::support::*;

const NAMES: [&str; 4] = [
    "$serde_json::private::RawValue",
    "$serde_json::private::Number",
    r"\u0024serde_json::private::RawValue",
    r"$serde_json\u003a:private::RawValue",
];

/// Texts with such a member, in the place of which `json` might be read.
fn disguised(json: &str) -> Vec<String> {
    let text = serde_json::to_string(json).unwrap();
    let disguise = |name: &&str| format!(r#"{{"{name}":{text}}}"#);
    NAMES.iter().map(disguise).collect()
}

#[tokio::test]
async fn a_key_set_with_a_reserved_member_is_refused_whole() {
    let key = Key::new("a");
    let jwk = key.jwk().to_string();
    let set = key_set(&[&key]).to_string();
    let mut sets = disguised(&set);
    sets.extend(
        disguised(&jwk)
            .iter()
            .map(|jwk| format!(r#"{{"keys":[{jwk}]}}"#)),
    );
    sets.extend(
        disguised("[]")
            .iter()
            .map(|x| format!(r#"{{"keys":[{jwk}],"x":{x}}}"#)),
    );
    sets.extend(
        disguised("1")
            .iter()
            .map(|x| format!(r#"{{"keys":[{jwk},{{"x":[{x}]}}]}}"#)),
    );
    let levels = |count| (r#"{"a":"#.repeat(count), "}".repeat(count));
    let (open, close) = levels(31);
    sets.push(format!(r#"{{"keys":[{jwk},{open}1{close}]}}"#));
    for set in sets {
        let web = Web::with_issuer(&[]);
        web.set(JWKS, Page::Raw(set.clone().into()));
        let guarded = Guarded::new(&web);
        let answer = guarded.bearer(&key.token(json!({}))).await;
        assert_eq!(
            (answer.status.as_u16(), answer.reason()),
            (503, "keys_unavailable"),
            "{set}"
        );
        let server = AuthorizationServer::new(ISSUER).unwrap();
        assert_eq!(server.jwks(&set).unwrap_err().setting(), "jwks", "{set}");
    }
    for jwk in disguised(&jwk) {
        assert!(PublicKey::from_jwk(&jwk).is_err(), "{jwk}");
        let more = format!(
            r#"{},"x":{jwk}}}"#,
            key.jwk().to_string().strip_suffix('}').unwrap()
        );
        assert!(PublicKey::from_jwk(&more).is_err(), "{more}");
    }
    assert!(PublicKey::from_jwk(key.jwk().to_string()).is_ok());
}

/// A set of which one key can be read in two ways loses that one.
#[tokio::test]
async fn a_key_with_a_member_twice_is_skipped() {
    let (key, other) = (Key::new("a"), Key::new("b"));
    let set = key_set(&[&key, &other])
        .to_string()
        .replace(r#""kid":"b""#, r#""kid":"c","kid":"b""#);
    let web = Web::with_issuer(&[]);
    web.set(JWKS, Page::Raw(set.into()));
    let guarded = Guarded::new(&web);
    guarded
        .bearer(&key.token(json!({})))
        .await
        .assert(200, "accepted");
    guarded
        .bearer(&other.token(json!({})))
        .await
        .assert(401, "unknown_key");
    let twice = r#"{"keys":[],"keys":[]}"#;
    let server = AuthorizationServer::new(ISSUER).unwrap();
    assert_eq!(server.jwks(twice).unwrap_err().setting(), "jwks");
}

#[tokio::test]
async fn metadata_with_a_reserved_member_is_not_used() {
    let key = Key::new("a");
    let document = json!({"issuer": ISSUER, "jwks_uri": JWKS}).to_string();
    let mut documents = disguised(&document);
    for value in disguised(&format!("{JWKS:?}")) {
        documents.push(format!(r#"{{"issuer":"{ISSUER}","jwks_uri":{value}}}"#));
        documents.push(format!(
            r#"{{"issuer":"{ISSUER}","jwks_uri":"{JWKS}","x":[{value}]}}"#
        ));
    }
    for document in documents {
        let web = Web::with_issuer(&[&key]);
        let place = format!("{ISSUER}/.well-known/oauth-authorization-server");
        web.set(&place, Page::Raw(document.clone().into()));
        let answer = Guarded::new(&web).bearer(&key.token(json!({}))).await;
        assert_eq!(answer.reason(), "keys_unavailable", "{document}");
    }
}

/// What is asked in one's own way can be read as strictly.
#[test]
fn an_answer_of_ones_own_is_read_in_one_way() {
    let said = active(json!({})).to_string();
    let good = IntrospectionResponse::from_json(said.as_bytes()).unwrap();
    assert_eq!(
        format!("{good:?}"),
        "IntrospectionResponse { active: true, .. }"
    );
    for inactive in [
        r#"{"active":false}"#,
        r#"{"active":"true"}"#,
        r#"{"active":1,"sub":"x"}"#,
    ] {
        let answer = IntrospectionResponse::from_json(inactive.as_bytes()).unwrap();
        assert_eq!(
            format!("{answer:?}"),
            "IntrospectionResponse { active: false, .. }"
        );
    }
    let (open, close) = (r#"{"a":"#.repeat(33), "}".repeat(33));
    let mut answers = disguised(&said);
    answers.push(format!("{open}1{close}"));
    answers.push(deep(120));
    answers.extend(["", "[]", "null", "{}x", r#"{"a":1,"a":1}"#].map(str::to_owned));
    for answer in answers {
        let error = IntrospectionResponse::from_json(answer.as_bytes()).unwrap_err();
        assert!(error.to_string().starts_with("the answer: "), "{error}");
    }
}

#[tokio::test]
async fn an_answer_with_a_reserved_member_says_nothing() {
    let said = active(json!({})).to_string();
    let mut answers = disguised(&said);
    for value in disguised("\"mcp:admin\"") {
        let open = said.strip_suffix('}').unwrap();
        answers.push(format!(r#"{open},"x":{value}}}"#));
        answers.push(format!(r#"{open},"x":[{{"y":1,"z":{value}}}]}}"#));
    }
    for answer in answers {
        let web = Web::with_issuer(&[]);
        let json = vec![("content-type", "application/json".to_owned())];
        web.set(ENDPOINT, Page::Answer(200, json, answer.clone().into()));
        let got = guarded(&web, introspection()).bearer(OPAQUE).await;
        assert_ne!(got.status, 200, "{answer}");
    }
}

/// Each such text within a text is read by a parser of its own, which counts the depth from zero.
fn deep(levels: usize) -> String {
    let mut json = String::from("1");
    for _ in 0..levels {
        let text = json.replace('\\', "\\u005c").replace('"', "\\u0022");
        let (open, close) = ("[".repeat(100), "]".repeat(100));
        json = format!(r#"{open}{{"$serde_json::private::RawValue":"{text}"}}{close}"#);
    }
    format!(r#"{{"keys":[{json}]}}"#)
}

#[derive(Debug)]
struct Keys;

impl Fetch for Keys {
    fn fetch(&self, _: Request<Bytes>, max_bytes: usize) -> FetchFuture {
        let set = deep(120);
        assert!(set.len() <= max_bytes);
        Box::pin(async move { Ok(Response::new(set.into())) })
    }
}

/// What the test runs in a process of its own.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "is run by the other test"]
async fn one_key_set() {
    let server = AuthorizationServer::new(ISSUER).unwrap();
    let server = server.jwks_uri(JWKS).unwrap();
    let layer = OAuthLayer::builder(RESOURCE)
        .unwrap()
        .authorization_server(server)
        .unwrap()
        .fetch(Keys)
        .build()
        .unwrap();
    assert!(
        common::spawn(async move { layer.warm_up().await })
            .await
            .unwrap()
            .is_err()
    );
}

#[test]
fn a_key_set_does_not_end_the_process() {
    let arguments = [
        "json::servers::one_key_set",
        "--exact",
        "--ignored",
        "--nocapture",
    ];
    let this = std::env::current_exe().unwrap();
    let ended = Command::new(this).args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{}: {said}", ended.status);
}
