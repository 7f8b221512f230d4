//! Starts every example as a user would, and asks it what it advertises: the `curl` lines it
//! prints are taken apart and sent, and the statuses announced above them compared.
//!
//! `cargo test --workspace` builds the examples; `cargo test -p dev --test examples` alone does
//! not.

#[cfg(unix)]
mod config_server;
mod mixed;
mod replicas;
mod tenants;

use common::rmcp_dance;

use std::convert::Infallible;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use http::uri::PathAndQuery;
use http::{HeaderMap, Method};
use rmcp::ServiceExt;
use rmcp::transport::StreamableHttpClientTransport;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::net::TcpListener;
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tonic::Code;
use tonic_prost::ProstCodec;
use tower::{Layer, ServiceExt as _, service_fn};
use tower_mcp_auth::api_key::KeyFile;
use tower_mcp_auth::{ApiKeyLayer, Principal};

/// All that listen: `every_example_is_asked` compares with the folder.
const EXAMPLES: [&str; 19] = [
    "api_key",
    "axum",
    "config_server",
    "dpop",
    "hyper",
    "introspection",
    "jwt",
    "mcp_server",
    "metrics",
    "mixed",
    "mtls",
    "quickstart",
    "rate_limit",
    "replicas",
    "several",
    "sqlite_keys",
    "tenants",
    "token_info",
    "tonic",
];

/// Those that do their work and end.
const COMMANDS: [&str; 1] = ["generate_key"];

/// What a line begins with that is sent after a while.
const A_SECOND_LATER: &str = "sleep 1; ";

/// How long an example may take to start, or to give up.
const DEADLINE: Duration = Duration::from_secs(30);

/// An example that listens. It is killed when dropped, so by a panic as well.
struct Example {
    child: Child,
    /// Kept open, because writing into a closed pipe would end the example.
    _stdout: Lines<BufReader<ChildStdout>>,
    printed: Vec<String>,
    url: String,
    /// Whether a refusal was told on the standard error.
    refusal_told: Option<watch::Receiver<bool>>,
}

fn command(name: &str) -> Command {
    let mut path: PathBuf = std::env::current_exe().expect("the path of this test");
    path.pop();
    path.pop();
    path.push("examples");
    path.push(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    assert!(
        path.exists(),
        "{} is missing: `cargo build --workspace --examples` builds it",
        path.display()
    );
    let mut command = Command::new(path);
    command
        .current_dir(common::root())
        .env_remove("PORT")
        .env_remove("RUST_LOG")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    command
}

impl Example {
    async fn start(name: &str) -> Self {
        let mut command = command(name);
        let command = command.arg("127.0.0.1:0").stderr(Stdio::piped());
        let mut example = Self::spawn(command).await;
        let stderr = example.child.stderr.take().expect("a pipe");
        let mut stderr = BufReader::new(stderr).lines();
        let (tell, refusal_told) = watch::channel(false);
        // To its end: an example that writes into a full pipe would wait.
        tokio::spawn(async move {
            while let Ok(Some(line)) = stderr.next_line().await {
                tell.send_if_modified(|told| {
                    line.contains("request refused") && !std::mem::replace(told, true)
                });
            }
        });
        example.refusal_told = Some(refusal_told);
        example
    }

    /// Reads what the example prints up to the line that says where it listens.
    async fn spawn(command: &mut Command) -> Self {
        let mut child = command.spawn().expect("the example starts");
        let stdout = child.stdout.take().expect("a pipe");
        let mut stdout = BufReader::new(stdout).lines();
        let mut printed = Vec::new();
        let listening = async {
            while let Some(line) = stdout.next_line().await.expect("lines of text") {
                match line.strip_prefix("listening on ") {
                    Some(url) => return url.to_owned(),
                    None => printed.push(line),
                }
            }
            panic!("the example ended without listening");
        };
        let url = timeout(DEADLINE, listening).await.expect("it listens");
        Self {
            child,
            _stdout: stdout,
            printed,
            url,
            refusal_told: None,
        }
    }

    /// What was printed after the words `Bearer` and a space, the first time.
    fn token(&self) -> &str {
        let line = self.printed.iter().find_map(|line| {
            let (_, rest) = line.split_once("Bearer ")?;
            rest.split('\'').next()
        });
        line.expect("a token is printed")
    }

    /// Sends every request that was printed, in order, and compares the statuses with those
    /// announced in the comment above it.
    async fn ask_all(&self) -> Answers {
        let mut answers = Vec::new();
        let mut announced = None;
        for line in &self.printed {
            if let Some(comment) = line.strip_prefix("# ") {
                announced = comment.rsplit_once(": ");
            }
            let Some((times, curl)) = requests_of(line) else {
                continue;
            };
            let (title, statuses) = announced.take().expect("a comment with statuses");
            if line.starts_with(A_SECOND_LATER) {
                sleep(Duration::from_secs(1)).await;
            }
            let mut got = Vec::new();
            for _ in 0..times {
                let answer = Curl::parse(curl).send(title).await;
                got.push(answer.status.to_string());
                answers.push(answer);
            }
            assert_eq!(got.join(" "), statuses, "{title}");
        }
        assert!(!answers.is_empty(), "the example prints curl lines");
        if let Some(told) = &self.refusal_told
            && answers.iter().any(|answer| answer.status == 401)
        {
            let mut told = told.clone();
            let told = timeout(DEADLINE, told.wait_for(|told| *told)).await;
            let _ = told
                .expect("the terminal shows a refusal")
                .expect("it runs");
        }
        Answers(answers)
    }
}

/// How often the line asks, and with which command; `None` if it does not.
fn requests_of(line: &str) -> Option<(usize, &str)> {
    let line = line.strip_prefix(A_SECOND_LATER).unwrap_or(line);
    if line.starts_with("curl ") {
        return Some((1, line));
    }
    let (numbers, rest) = line.strip_prefix("for i in ")?.split_once("; do ")?;
    Some((
        numbers.split_whitespace().count(),
        rest.strip_suffix("; done")?,
    ))
}

struct Curl {
    method: Method,
    url: String,
    headers: HeaderMap,
    body: Option<String>,
    /// Files: the authority that is trusted, the certificate that is shown, and its key.
    authority: Option<String>,
    certificate: Option<String>,
    key: Option<String>,
}

impl Curl {
    fn parse(line: &str) -> Self {
        let mut curl = Self {
            method: Method::GET,
            url: String::new(),
            headers: HeaderMap::new(),
            body: None,
            authority: None,
            certificate: None,
            key: None,
        };
        let mut words = words(line).into_iter().skip(1);
        while let Some(word) = words.next() {
            let mut value = || words.next().expect("a value");
            match &*word {
                "-i" => {}
                "-X" => curl.method = value().parse().expect("a method"),
                "-H" => {
                    let header = value();
                    let (name, value) = header.split_once(": ").expect("a header");
                    let name: http::HeaderName = name.parse().expect("a name");
                    curl.headers.append(name, value.parse().expect("a value"));
                }
                "-d" => {
                    curl.method = Method::POST;
                    curl.body = Some(value());
                }
                "--cacert" => curl.authority = Some(value()),
                "--cert" => curl.certificate = Some(value()),
                "--key" => curl.key = Some(value()),
                url if url.starts_with("http://127.0.0.1:") => curl.url = word,
                url if url.starts_with("https://127.0.0.1:") => curl.url = word,
                other => panic!("unknown argument {other:?} in {line}"),
            }
        }
        curl
    }

    /// What sends it: over TLS what trusts that authority alone.
    fn client(&self) -> reqwest::Client {
        let read = |path: &String| std::fs::read_to_string(path).expect("a file");
        let Some(authority) = &self.authority else {
            return reqwest::Client::new();
        };
        let shown = self.certificate.as_ref().zip(self.key.as_ref());
        let shown = shown.map(|(certificate, key)| read(certificate) + &read(key));
        common::tls::client(&read(authority), shown.as_deref())
    }

    async fn send(self, title: &str) -> Answer {
        let mut request = self
            .client()
            .request(self.method, self.url)
            .timeout(DEADLINE)
            .headers(self.headers);
        if let Some(body) = self.body {
            request = request.body(body);
        }
        let response = request.send().await.expect("an answer");
        Answer {
            title: title.to_owned(),
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.text().await.expect("a text"),
        }
    }
}

/// The words of a shell command; single quotes are the only quotes the examples print.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (index, part) in line.split('\'').enumerate() {
        if index % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

struct Answer {
    title: String,
    status: u16,
    headers: HeaderMap,
    body: String,
}

struct Answers(Vec<Answer>);

impl Answers {
    /// The last answer to the request announced with these words.
    fn to(&self, title: &str) -> &Answer {
        let answer = self.0.iter().rfind(|answer| answer.title == title);
        answer.unwrap_or_else(|| panic!("no request is announced as {title:?}"))
    }
}

impl Answer {
    fn challenge(&self) -> &str {
        let challenge = self.headers.get("www-authenticate").expect("a challenge");
        challenge.to_str().expect("ASCII")
    }

    fn assert_refusal(&self, error: &str) {
        let Self { status, body, .. } = self;
        let expected =
            format!(r#"{{"error":"{error}","status":{status},"type":"authentication_error"}}"#);
        assert_eq!(*body, expected, "{}", self.title);
    }
}

const BAD_JWT: &str = "Invalid or expired JWT token";
const IN_QUERY: &str = "Credentials in the query string are not accepted: use a request header";

#[test]
fn every_example_is_asked() {
    let folder = common::root().join("examples");
    let mut found: Vec<String> = std::fs::read_dir(folder)
        .expect("the folder of the examples")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .map(|path| path.file_stem().expect("a name").to_string_lossy().into())
        .collect();
    found.sort();
    let mut asked = [&EXAMPLES[..], &COMMANDS[..]].concat();
    asked.sort_unstable();
    assert_eq!(found, asked);
}

#[tokio::test]
async fn quickstart_answers_as_it_says() {
    let example = Example::start("quickstart").await;
    let answers = example.ask_all().await;
    let call = &answers.to("with a good token").body;
    assert!(call.contains(r#""text":"alice""#), "{call}");

    let missing = answers.to("without a token, and told where to get one");
    let metadata = format!("{}/.well-known/oauth-protected-resource/mcp", example.url);
    let challenge = format!(r#"Bearer resource_metadata="{metadata}""#);
    assert_eq!(missing.challenge(), challenge);
    assert_eq!(missing.headers["access-control-allow-origin"], "*");
    let metadata = &answers.to("the metadata that the challenge names").body;
    let metadata: serde_json::Value = serde_json::from_str(metadata).expect("JSON");
    let url = format!("{}/mcp", example.url);
    assert_eq!(metadata["resource"], *url);
    // Alone on a line, to be copied.
    assert!(example.printed.contains(&url));

    let other = answers.to("with a token for another server").challenge();
    assert!(other.contains(r#"error="invalid_token""#), "{other}");
    assert!(other.contains("not for this resource"), "{other}");
    let expired = answers.to("with an expired token").challenge();
    assert!(expired.contains(r#"error="invalid_token""#), "{expired}");
    assert!(expired.contains("expired"), "{expired}");
}

#[tokio::test]
async fn quickstart_serves_the_client_of_rmcp() {
    let example = Example::start("quickstart").await;
    let url = format!("{}/mcp", example.url);

    let client = rmcp_dance::dance(&url, None).await;
    let (tools, whoami) = rmcp_dance::ask(&client).await;
    assert_eq!(tools, ["add", "whoami"]);
    assert_eq!(whoami, "alice");
    client.cancel().await.expect("the end");

    let anonymous = ().serve(StreamableHttpClientTransport::from_uri(&*url)).await;
    let error = anonymous.expect_err("no session without a token");
    assert!(format!("{error:?}").contains("AuthRequired"), "{error:?}");
}

#[tokio::test]
async fn mcp_server_answers_as_it_says() {
    let example = Example::start("mcp_server").await;
    let answers = example.ask_all().await;
    let listed = &answers.to("which includes the smaller one").body;
    assert!(listed.contains("buy milk"), "{listed}");
    let needed = answers.to("and not to add; the challenge names what is needed");
    let challenge = needed.challenge();
    assert!(challenge.contains(r#"scope="notes:write""#), "{challenge}");
    assert!(challenge.contains("resource_metadata="), "{challenge}");
    let lie = &answers
        .to("a header that says another tool than the body")
        .body;
    assert!(lie.contains("-32020"), "{lie}");
    let session = answers.to("a session, for clients of 2025-11-25");
    assert!(session.headers.contains_key("mcp-session-id"));
}

#[tokio::test]
async fn mcp_server_serves_the_client_of_rmcp() {
    let example = Example::start("mcp_server").await;
    let client = rmcp_dance::dance(&format!("{}/mcp", example.url), None).await;
    let (mut tools, whoami) = rmcp_dance::ask(&client).await;
    tools.sort();
    // It asked for what the metadata advertises, and is shown what more scopes are good for.
    assert_eq!(tools, ["add_note", "delete_notes", "list_notes", "whoami"]);
    assert_eq!(whoami, "alice");
    client.cancel().await.expect("the end");
}

#[tokio::test]
async fn axum_answers_as_it_says() {
    let answers = Example::start("axum").await.ask_all().await;
    assert_eq!(answers.to("with a good token").body, "hello alice\n");
    assert_eq!(answers.to("a public path").body, "well\n");
    answers.to("without a token").assert_refusal(BAD_JWT);
    answers
        .to("with a good token, but in the URL")
        .assert_refusal(IN_QUERY);
}

#[tokio::test]
async fn mtls_answers_as_it_says() {
    let answers = Example::start("mtls").await.ask_all().await;
    let accepted = &answers.to("with the token and its certificate").body;
    assert!(accepted.contains("sub=alice"), "{accepted}");
    for title in [
        "the token without a certificate",
        "with the certificate of the thief",
        "a token that is not bound",
    ] {
        let challenge = answers.to(title).challenge();
        assert!(challenge.contains(r#"error="invalid_token""#), "{title}");
    }
    let said = answers.to("with the certificate of the thief").challenge();
    assert!(said.contains("another client certificate"), "{said}");
}

#[tokio::test]
async fn hyper_answers_as_it_says() {
    let answers = Example::start("hyper").await.ask_all().await;
    assert_eq!(answers.to("with a good key").body, "hello alice\n");
    let none = answers.to("without a key");
    assert_eq!(
        none.body,
        r#"{"error":"unauthorized","error_description":"Authentication is required","status":401,"type":"authentication_error"}"#
    );
    answers
        .to("with an unknown key")
        .assert_refusal("Invalid API key");
}

#[tokio::test]
async fn api_key_answers_as_it_says() {
    let answers = Example::start("api_key").await.ask_all().await;
    assert_eq!(answers.to("with a good key").body, "hello ci\n");
    answers
        .to("with the key in the URL")
        .assert_refusal(IN_QUERY);
    let retired = answers.to("with the key that was good before");
    retired.assert_refusal("Invalid API key");
    let challenge = r#"ApiKey realm="MCP Server", header="X-API-Key""#;
    assert_eq!(retired.challenge(), challenge);
}

#[tokio::test]
async fn api_key_takes_the_new_key_at_once() {
    let example = Example::start("api_key").await;
    let replaced = example.ask_all().await;
    let key = replaced
        .to("replacing the key of ci")
        .body
        .trim()
        .to_owned();
    let line = format!("curl {}/hello -H 'X-API-Key: {key}'", example.url);
    let answer = Curl::parse(&line).send("with the new key").await;
    assert_eq!((answer.status, &*answer.body), (200, "hello ci\n"));
}

#[tokio::test]
async fn sqlite_keys_answers_as_it_says() {
    let answers = Example::start("sqlite_keys").await.ask_all().await;
    let good = &answers.to("with a good key").body;
    assert_eq!(good, "hello alice, by laptop\n");
    let other = &answers.to("with the other, as before").body;
    assert_eq!(other, "hello alice, by phone\n");
    for refused in [
        "with an expired key",
        "with a mistyped key",
        "with a key for another server",
        "with the revoked key",
    ] {
        answers.to(refused).assert_refusal("Invalid API key");
    }
}

#[tokio::test]
async fn generate_key_prints_a_key_and_the_lines_of_a_key_file() {
    let mut command_line = command("generate_key");
    let command_line = command_line.args(["acme_live", "alice"]);
    let output = command_line.stderr(Stdio::piped()).output();
    let output = timeout(DEADLINE, output)
        .await
        .expect("it ends")
        .expect("it starts");
    assert!(output.status.success());
    let (lines, shown) = (
        String::from_utf8(output.stdout),
        String::from_utf8(output.stderr),
    );
    let (lines, shown) = (lines.expect("a text"), shown.expect("a text"));
    let key = shown.split_whitespace().last().expect("a key");
    assert!(
        key.starts_with("acme_live_") && !lines.contains(key),
        "{lines}"
    );

    let path = std::env::temp_dir().join(format!("generate-key-{}.toml", std::process::id()));
    std::fs::write(&path, lines).expect("a key file");
    let layer = ApiKeyLayer::from_file(KeyFile::new(&path)).expect("a good one");
    std::fs::remove_file(path).expect("a file");
    let service = layer.layer(service_fn(async |request: http::Request<String>| {
        let principal = Principal::from_extensions(request.extensions()).expect("a principal");
        assert_eq!(principal.subject(), Some("alice"));
        Ok::<_, Infallible>(http::Response::new(String::new()))
    }));
    let request = http::Request::builder()
        .header("x-api-key", key)
        .body(String::new());
    let response = service
        .oneshot(request.expect("a request"))
        .await
        .expect("an answer");
    assert_eq!(response.status(), 200);

    for (arguments, expected) in [
        (&["Acme"][..], "prefix: \"Acme\" cannot begin a key"),
        (&["--foreign"], "API_KEY_PEPPER is not set"),
    ] {
        let (code, stderr) = fails(
            command("generate_key")
                .env_remove("API_KEY_PEPPER")
                .args(arguments),
        )
        .await;
        assert_eq!(code, Some(1));
        assert!(stderr.starts_with(expected), "{stderr}");
    }
}

#[tokio::test]
async fn jwt_answers_as_it_says() {
    let answers = Example::start("jwt").await.ask_all().await;
    assert_eq!(answers.to("with a good token").body, "acme\n");
    answers.to("without a token").assert_refusal(BAD_JWT);
    let expired = answers.to("with an expired token");
    expired.assert_refusal(BAD_JWT);
    assert!(expired.challenge().contains(r#"error="invalid_token""#));
    assert!(expired.challenge().contains("expired"));
    let narrow = answers.to("with a token of too little scope").challenge();
    assert!(narrow.contains(r#"error="insufficient_scope", scope="tenant:read""#));
}

#[tokio::test]
async fn dpop_answers_as_it_says() {
    let answers = Example::start("dpop").await.ask_all().await;
    for (case, code) in [
        ("the same request again", "invalid_dpop_proof"),
        ("with one for another method", "invalid_dpop_proof"),
        ("with one of the thief's own key", "invalid_token"),
        ("a token that is not bound", "invalid_token"),
    ] {
        let lines = answers.to(case).headers.get_all("www-authenticate");
        let mut lines = lines.iter().map(|line| line.to_str().unwrap());
        let begin = format!("DPoP error=\"{code}\"");
        assert!(lines.any(|line| line.starts_with(&begin)), "{case}");
    }
    let stolen = answers.to("a token that is bound, without its proof");
    assert!(
        stolen
            .challenge()
            .starts_with("Bearer error=\"invalid_token\"")
    );
}

#[tokio::test]
async fn introspection_answers_as_it_says() {
    let answers = Example::start("introspection").await.ask_all().await;
    let opaque = &answers.to("with an opaque token").body;
    let jwt = &answers.to("with a JWT").body;
    assert!(
        opaque.contains("|sub=") && opaque.ends_with("with mcp:read\n"),
        "{opaque}"
    );
    assert_eq!(opaque, jwt);
    let revoked = answers
        .to("with an opaque token that was revoked")
        .challenge();
    assert!(revoked.contains("not active"), "{revoked}");
}

#[tokio::test]
async fn token_info_answers_as_it_says() {
    let answers = Example::start("token_info").await.ask_all().await;
    let known = &answers.to("with a token the server knows").body;
    assert!(known.ends_with("|sub=alice with mcp:read\n"), "{known}");
}

#[tokio::test]
async fn rate_limit_answers_as_it_says() {
    let answers = Example::start("rate_limit").await.ask_all().await;
    for limited in [
        "alice, one after the other",
        "guessing, until nobody listens",
    ] {
        let limited = answers.to(limited);
        assert!(limited.headers.contains_key("retry-after"));
    }
    let waiting = &answers.to("a good key from the address that guessed").body;
    assert!(waiting.contains("too_many_requests"), "{waiting}");
}

#[tokio::test]
async fn metrics_answers_as_it_says() {
    let answers = Example::start("metrics").await.ask_all().await;
    let page = &answers.to("what was counted").body;
    for line in [
        r#"mcp_auth_requests_total{provider="none",outcome="refused",reason="missing_credential"} 1"#,
        r#"mcp_auth_requests_total{provider="oauth",outcome="accepted",reason="none"} 2"#,
        r#"mcp_auth_policy_decisions_total{layer="scopes",outcome="refused",reason="insufficient_scope"} 1"#,
        r#"mcp_auth_step_ups_total{event="granted"} 1"#,
        "# HELP mcp_auth_requests_total Requests that an auth layer judged",
        "# TYPE mcp_auth_verification_seconds histogram",
    ] {
        assert!(page.contains(line), "{line} in {page}");
    }
}

#[tokio::test]
async fn several_answers_as_it_says() {
    let answers = Example::start("several").await.ask_all().await;
    let token = &answers.to("with a token").body;
    assert!(token.ends_with("with mcp:read\n"), "{token}");
    let key = &answers.to("with a key").body;
    assert_eq!(key, "api_key|sub=ci with mcp:read\n");
    let anybody = &answers.to("nobody, where anybody may be").body;
    assert_eq!(anybody, "welcome\n");
    let unknown = answers.to("with a key nobody has").challenge();
    assert!(unknown.contains("resource_metadata="), "{unknown}");
}

#[tokio::test]
async fn tonic_answers_as_it_says() {
    let example = Example::start("tonic").await;
    let endpoint = tonic::transport::Endpoint::from_shared(example.url.clone()).expect("a URL");
    let channel = endpoint.connect().await.expect("a connection");
    let call = async |token: Option<&str>| {
        let mut request = tonic::Request::new(());
        if let Some(token) = token {
            let value = format!("Bearer {token}").parse().expect("ASCII");
            request.metadata_mut().insert("authorization", value);
        }
        let mut client = tonic::client::Grpc::new(channel.clone());
        client.ready().await.expect("a channel");
        let path = PathAndQuery::from_static("/example.Greeter/Hello");
        let codec = ProstCodec::<(), String>::default();
        client.unary(request, path, codec).await
    };

    let good = call(Some(example.token())).await.expect("an answer");
    assert_eq!(good.get_ref(), "hello alice");
    for bad in [None, Some("no.good.token")] {
        let status = call(bad).await.expect_err("a refusal");
        assert_eq!(status.code(), Code::Unauthenticated);
        assert!(status.metadata().contains_key("www-authenticate"));
    }
}

#[tokio::test]
async fn a_port_in_use_is_a_message() {
    let taken = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    for name in EXAMPLES {
        let (code, stderr) = fails(command(name).arg(&address)).await;
        let expected = format!("{address} is in use: ");
        assert!(stderr.starts_with(&expected), "{name}: {stderr}");
        assert_eq!((code, stderr.lines().count()), (Some(1), 1), "{name}");
    }
}

#[tokio::test]
async fn a_bad_address_is_a_message() {
    let (code, stderr) = fails(command("hyper").arg("localhost")).await;
    assert_eq!(code, Some(1));
    let expected = "\"localhost\" is not an address like 127.0.0.1:3000\n";
    assert_eq!(stderr, expected);

    let (code, stderr) = fails(command("hyper").env("PORT", "http")).await;
    assert_eq!((code, &*stderr), (Some(1), "PORT=\"http\" is not a port\n"));
}

#[tokio::test]
async fn the_port_can_come_from_the_environment() {
    let example = Example::spawn(command("hyper").env("PORT", "0")).await;
    assert!(example.url.starts_with("http://127.0.0.1:"));
    example.ask_all().await;
}

/// The exit code and what is said on standard error.
async fn fails(command: &mut Command) -> (Option<i32>, String) {
    let output = command.stderr(Stdio::piped()).output();
    let output = timeout(DEADLINE, output).await.expect("it gives up");
    let output = output.expect("the example starts");
    let stderr = String::from_utf8(output.stderr).expect("a text");
    (output.status.code(), stderr)
}
