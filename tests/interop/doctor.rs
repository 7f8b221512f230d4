//! The doctor on servers of other makers: good ones, and each with one seeded fault.

use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use http::StatusCode;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, WWW_AUTHENTICATE};
use serde_json::{Value, json};
use tower_mcp_auth::doctor::{Judgement, Options, Report, Severity, examine};
use tower_mcp_auth::jose::Algorithm;
use tower_mcp_auth::testing::{Behaviour, Endpoint, Issuer, TokenBuilder};

use crate::programs::{Running, node, python};
use common::loopback;
use common::mcp_server::{mcp_app, with_sessions};

const TYPESCRIPT: &str = "doctor-typescript.mjs";
const PYTHON: &str = "doctor_python.py";
const FASTMCP: &str = "doctor_fastmcp.py";
const RMCP: &str = "rmcp";

/// Who asks about tokens, and the secret.
const CLIENT: &str = "server";

/// An authorization server, and a server of another maker that trusts it.
struct Server {
    issuer: Issuer,
    url: String,
    _program: Option<Running>,
}

impl Server {
    async fn start(maker: &str, fault: &str) -> Self {
        // With a path, so that the places of its metadata differ from each other.
        let issuer = Issuer::builder()
            .algorithms([Algorithm::ES256])
            .path("/tenant")
            .client(CLIENT, CLIENT);
        let issuer = issuer.start().await.expect("an issuer");
        if maker == RMCP {
            let url = by_hand(&issuer, fault).await;
            return Self {
                issuer,
                url,
                _program: None,
            };
        }
        let mut command = match maker {
            TYPESCRIPT => node(maker),
            _ => python(maker),
        };
        let mut program = Running::start(command.arg(issuer.url()).arg(fault));
        let url = program.line("listening on ").await;
        Self {
            issuer,
            url,
            _program: Some(program),
        }
    }

    async fn look(&self, token: Option<String>) -> Report {
        let mut options = Options::new(&self.url).expect("a URL");
        if let Some(token) = token {
            options = options.token(token).expect("a token");
        }
        examine(options).await
    }

    /// A good token.
    fn token(&self) -> TokenBuilder {
        self.issuer.token().audience(&self.url).scope("mcp:read")
    }
}

/// Faults and warnings are these.
fn compare(wrong: &mut Vec<String>, name: &str, report: &Report, codes: &[&str]) {
    if report.codes(Severity::Warning) != codes {
        wrong.push(format!("{name}: not {codes:?}\n{report}"));
    }
}

/// What is seeded in a server, and the codes at least as bad as a warning.
const SEEDED: &[(&str, &str, &[&str])] = &[
    (TYPESCRIPT, "slash", &["resource_trailing_slash"]),
    (TYPESCRIPT, "no-pointer", &["metadata_not_in_challenge"]),
    (TYPESCRIPT, "relative-pointer", &["metadata_url_invalid"]),
    (TYPESCRIPT, "plain-error", &["invalid_token_wrong_status"]),
    (TYPESCRIPT, "any-token", &["made_up_token_accepted"]),
    (TYPESCRIPT, "open", &["anonymous_accepted"]),
    (TYPESCRIPT, "no-guard", &["no_authorization"]),
    (TYPESCRIPT, "post-only", &["method_unguarded"]),
    (TYPESCRIPT, "query", &["token_in_query"]),
    (TYPESCRIPT, "html", &["metadata_not_json"]),
    (TYPESCRIPT, "issuer-slash", &["issuer_mismatch"]),
    (TYPESCRIPT, "cors-default", &["cors_challenge_not_exposed"]),
    (PYTHON, "host", &["resource_host", "metadata_url_elsewhere"]),
    (PYTHON, "prefix", &["resource_path"]),
    (
        PYTHON,
        "origin",
        &["resource_wider", "metadata_only_at_root"],
    ),
    (PYTHON, "issuer-slash", &["issuer_mismatch"]),
    (PYTHON, "http-issuer", &["issuer_insecure"]),
    (PYTHON, "no-guard", &["no_authorization"]),
    (PYTHON, "clock", &["clock_off"]),
    (
        FASTMCP,
        "scheme",
        &[
            "metadata_pointer_broken",
            "resource_scheme",
            "metadata_url_elsewhere",
        ],
    ),
    (FASTMCP, "mounted", &["metadata_missing"]),
    (FASTMCP, "redirect", &["metadata_redirects"]),
    (RMCP, "no-challenge", &["challenge_missing"]),
    (RMCP, "forbidden", &["wrong_status_without_token"]),
    (RMCP, "hosts", &["host_refused"]),
    (RMCP, "root", &["metadata_only_at_root"]),
    (RMCP, "text", &["metadata_content_type"]),
    (RMCP, "redirect", &["endpoint_redirects"]),
    (RMCP, "no-servers", &["authorization_servers_missing"]),
    (RMCP, "null", &["metadata_null"]),
];

#[tokio::test]
#[ignore = "needs Node, npm @modelcontextprotocol/sdk, PyPI mcp and fastmcp: see tests/interop/README.md"]
async fn good_servers_of_other_makers_raise_no_alarm() {
    let mut wrong = Vec::new();
    for maker in [TYPESCRIPT, PYTHON, FASTMCP, RMCP] {
        let server = Server::start(maker, "none").await;
        let report = server.look(None).await;
        compare(&mut wrong, maker, &report, &[]);
        let report = server.look(Some(server.token().sign())).await;
        compare(&mut wrong, &format!("{maker} with a token"), &report, &[]);
        let rows = &report.token;
        if rows.is_empty() || rows.iter().any(|row| row.judgement != Judgement::Good) {
            wrong.push(format!("{maker}: a row is not good\n{report}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
#[ignore = "needs Node, npm @modelcontextprotocol/sdk, PyPI mcp and fastmcp: see tests/interop/README.md"]
async fn seeded_faults_of_other_makers_are_named() {
    let mut wrong = Vec::new();
    for (maker, fault, codes) in SEEDED {
        let server = Server::start(maker, fault).await;
        let report = server.look(None).await;
        compare(&mut wrong, &format!("{maker} {fault}"), &report, codes);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
#[ignore = "needs Node, npm @modelcontextprotocol/sdk, PyPI mcp and fastmcp: see tests/interop/README.md"]
async fn tokens_at_servers_of_other_makers_are_judged() {
    type Edit = fn(TokenBuilder) -> TokenBuilder;
    let mut wrong = Vec::new();
    let refused: [(&str, Edit, &str); 5] = [
        ("expired", TokenBuilder::expired, "token_expired"),
        (
            "for somebody else",
            |token| token.claim("aud", "https://files.example.com"),
            "token_audience",
        ),
        (
            "of an unknown key",
            |token| token.key_id("gone"),
            "token_key_unknown",
        ),
        ("forged", TokenBuilder::with_wrong_key, "token_signature"),
        (
            "of another issuer",
            |token| token.claim("iss", "https://other.example.com"),
            "token_issuer",
        ),
    ];
    for maker in [TYPESCRIPT, PYTHON, FASTMCP] {
        let server = Server::start(maker, "none").await;
        for (name, edit, code) in refused {
            let report = server.look(Some(edit(server.token()).sign())).await;
            compare(&mut wrong, &format!("{maker} {name}"), &report, &[code]);
        }
    }
    for maker in [TYPESCRIPT, PYTHON, FASTMCP] {
        let server = Server::start(maker, "no-audience-check").await;
        let token = server.token().claim("aud", "https://files.example.com");
        let report = server.look(Some(token.sign())).await;
        compare(&mut wrong, maker, &report, &["foreign_audience_accepted"]);
    }
    for (maker, fault, codes) in [
        (PYTHON, "scope", &["token_scope"][..]),
        (FASTMCP, "hidden", &["list_empty_for_want_of_scope"]),
    ] {
        let server = Server::start(maker, fault).await;
        let report = server.look(Some(server.token().sign())).await;
        compare(&mut wrong, &format!("{maker} {fault}"), &report, codes);
    }
    let server = Server::start(PYTHON, "late").await;
    let report = server.look(Some(server.token().expired().sign())).await;
    compare(
        &mut wrong,
        "a verifier that forgets exp",
        &report,
        &["bad_token_accepted"],
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
#[ignore = "needs PyPI mcp: see tests/interop/README.md"]
async fn faults_of_the_authorization_server_are_told_of_at_servers_of_other_makers() {
    type Twist = fn(&mut Value);
    let mut wrong = Vec::new();
    let server = Server::start(PYTHON, "none").await;
    let twists: [(&str, Twist); 3] = [
        ("pkce_missing", |own| {
            own["code_challenge_methods_supported"] = Value::Null;
        }),
        ("registration_missing", |own| {
            own["registration_endpoint"] = Value::Null;
        }),
        ("issuer_mismatch", |own| {
            own["issuer"] = "https://other.example.com".into();
        }),
    ];
    for (code, twist) in twists {
        let mut metadata = server.issuer.metadata();
        twist(&mut metadata);
        for place in [Endpoint::OAuthMetadata, Endpoint::OidcMetadata] {
            server
                .issuer
                .set_behaviour(place, Behaviour::json(&metadata));
        }
        compare(&mut wrong, code, &server.look(None).await, &[code]);
    }
    for place in [
        Endpoint::OAuthMetadata,
        Endpoint::OidcMetadata,
        Endpoint::OidcMetadataInserted,
    ] {
        server.issuer.set_behaviour(place, Behaviour::Status(404));
    }
    let code = "issuer_metadata_missing";
    compare(&mut wrong, code, &server.look(None).await, &[code]);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What the guard by hand knows.
#[derive(Clone)]
struct Guard {
    metadata: String,
    issuer: Issuer,
    fault: String,
}

/// A server of rmcp whose guard was written by hand.
async fn by_hand(issuer: &Issuer, fault: &str) -> String {
    let (listener, origin) = loopback::bind().await;
    let url = format!("{origin}/mcp");
    let place = match fault {
        "root" => "/.well-known/oauth-protected-resource",
        _ => "/.well-known/oauth-protected-resource/mcp",
    };
    let mut metadata = json!({ "resource": url, "authorization_servers": [issuer.url()] });
    match fault {
        "null" => metadata["resource_name"] = Value::Null,
        "no-servers" => metadata["authorization_servers"] = json!([]),
        _ => {}
    }
    let kind = match fault {
        "text" => "text/plain",
        _ => "application/json",
    };
    let document = move || async move { ([(CONTENT_TYPE, kind)], metadata.to_string()) };
    let guard = Guard {
        metadata: format!("{origin}{place}"),
        issuer: issuer.clone(),
        fault: fault.to_owned(),
    };
    let mut config = with_sessions(true);
    if fault == "hosts" {
        config = config.with_allowed_hosts(["mcp.example.com"]);
    }
    let server = mcp_app(&[("echo", |_| "echo".to_owned())], config);
    let server = match fault {
        // It checks hosts before anybody asks for a token.
        "hosts" => server,
        _ => server.layer(from_fn_with_state(guard, check)),
    };
    loopback::serve(listener, server.route(place, get(document)));
    url
}

async fn check(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let fault = &*guard.fault;
    if fault == "redirect" {
        let host = request
            .headers()
            .get(HOST)
            .and_then(|host| host.to_str().ok());
        let to = format!("http://{}/mcp/", host.unwrap_or_default());
        return Redirect::temporary(&to).into_response();
    }
    let token = request.headers().get(AUTHORIZATION);
    let token = token.and_then(|own| own.to_str().ok()?.strip_prefix("Bearer "));
    // It asks the authorization server.
    let is_good = match token {
        Some(token) => is_active(&guard.issuer, token).await,
        None => false,
    };
    if is_good {
        return next.run(request).await;
    }
    let status = match fault {
        "forbidden" => StatusCode::FORBIDDEN,
        _ => StatusCode::UNAUTHORIZED,
    };
    if fault == "no-challenge" {
        return status.into_response();
    }
    let challenge = format!("Bearer resource_metadata=\"{}\"", guard.metadata);
    (status, [(WWW_AUTHENTICATE, challenge)]).into_response()
}

async fn is_active(issuer: &Issuer, token: &str) -> bool {
    let request = reqwest::Client::new()
        .post(issuer.endpoint(Endpoint::Introspect))
        .basic_auth(CLIENT, Some(CLIENT))
        .form(&[("token", token)]);
    let answer = request.send().await.expect("an answer");
    let answer: Value = answer.json().await.expect("JSON");
    answer["active"] == true
}
