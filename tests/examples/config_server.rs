//! The `config_server` example, reloaded by signals while it is asked.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::process::ChildStderr;

use super::*;

/// Digits, which most sources of configuration would make a number of.
const SESSION_KEY: &str = "0816735492081673549208167354920816735492";
const FIRST: &str = "0271828182845904523536028747135266";
const SECOND: &str = "0314159265358979323846264338327950";

/// Files of its own, gone with the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("config-server-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;

        let path = self.0.join(name);
        std::fs::write(&path, text).expect("a file");
        let own = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(&path, own).expect("permissions");
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What the example traces.
struct Log(Lines<BufReader<ChildStderr>>);

impl Log {
    /// Reads up to a line with these words.
    async fn line_with(&mut self, words: &str) -> String {
        let found = async {
            loop {
                let line = self.0.next_line().await.expect("a text");
                let line = line.unwrap_or_else(|| panic!("it ended before {words:?}"));
                for secret in [SESSION_KEY, FIRST, SECOND] {
                    assert!(!line.contains(secret), "{line}");
                }
                if line.contains(words) {
                    return line;
                }
            }
        };
        let found = timeout(DEADLINE, found).await;
        found.unwrap_or_else(|_| panic!("{words:?} is not traced"))
    }
}

impl Example {
    /// Sends the signal to this child alone.
    async fn hang_up(&self) {
        let id = self.child.id().expect("it runs").to_string();
        let status = Command::new("kill").args(["-HUP", &id]).status().await;
        assert!(status.expect("`kill` runs").success());
    }

    /// The line printed below the comment.
    fn line_of(&self, title: &str) -> &str {
        let comment = format!("# {title}: ");
        let mut lines = self.printed.iter();
        lines.find(|line| line.starts_with(&comment)).expect(title);
        lines.next().expect("a line")
    }

    async fn status(&self, line: &str) -> u16 {
        Curl::parse(line).send("asked").await.status
    }

    async fn ready(&self) -> String {
        let line = self.line_of("which configuration is in force");
        Curl::parse(line).send("ready").await.body
    }
}

fn configuration(tools: &str) -> String {
    let base = include_str!("../../examples/config_server.toml");
    let (before, after) = base
        .split_once("add_note = \"notes:write\"\n")
        .expect("the tool");
    format!("{before}{tools}\n{after}")
}

#[tokio::test]
async fn config_server_reads_its_configuration_again_without_dropping_a_request() {
    let folder = Folder::new();
    let key = folder.write("key", &format!("{FIRST}\n"));
    let file = folder.write("server.toml", &configuration("add_note = \"notes:write\""));
    let example = command("config_server");
    let mut example = { example };
    example
        .arg("127.0.0.1:0")
        .env("CONFIG_FILE", &file)
        .env("MCP_AUTH_SESSION__KEY", SESSION_KEY)
        .env("MCP_AUTH_OPERATIONS__READ_TIMEOUT", "20")
        .env("MCP_AUTH_API_KEYS__KEYS__CI__KEY__FILE", &key)
        .env("MCP_AUTH_API_KEYS__KEYS__CI__SCOPES", "notes:read")
        .env("MCP_AUTH_API_KEYS__KEYS__DIGITS__KEY", SECOND)
        .env("MCP_AUTH_API_KEYS__KEYS__DIGITS__SCOPES", "notes:read")
        .stderr(Stdio::piped());
    let mut example = Example::spawn(&mut example).await;
    let stderr = example.child.stderr.take().expect("a pipe");
    let mut log = Log(BufReader::new(stderr).lines());
    assert_eq!(
        example.ready().await,
        "configuration 1, the last one read\n"
    );

    let list = example.line_of("notes:read is enough to list").to_owned();
    let add = example
        .line_of("and not to add, by the policy of the file")
        .to_owned();
    let keyed = |key: &str| {
        let (before, rest) = list.split_once("-H 'Authorization: ").expect("a token");
        let (_, after) = rest.split_once('\'').expect("its end");
        format!("{before}-H 'X-API-Key: {key}'{after}")
    };
    let (first, digits) = (keyed(FIRST), keyed(SECOND));
    assert_eq!(example.status(&add).await, 403);
    assert_eq!(example.status(&first).await, 200);
    assert_eq!(
        example.status(&digits).await,
        200,
        "digits stay what they were"
    );
    assert_eq!(
        example.status(&keyed(SECOND.trim_start_matches('0'))).await,
        401
    );

    // A session that was opened before has to be there afterwards.
    let (mcp, token) = (format!("{}/mcp", example.url), example.token().to_owned());
    let client = reqwest::Client::new();
    let in_session = |body: &'static str, session: Option<&str>| {
        let mut request = client
            .post(&mcp)
            .bearer_auth(&token)
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
            .timeout(DEADLINE)
            .body(body);
        if let Some(session) = session {
            request = request.header("mcp-session-id", session);
        }
        async move { request.send().await.expect("an answer") }
    };
    let opened = in_session(
        r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"test","version":"1"}}}"#,
        None,
    )
    .await;
    assert_eq!(opened.status(), 200);
    let session = opened.headers()["mcp-session-id"]
        .to_str()
        .expect("a text")
        .to_owned();
    drop(opened);
    let initialized = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
    assert_eq!(in_session(initialized, Some(&session)).await.status(), 202);

    // From here on there is always a request.
    let (stop, asked) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let askers: Vec<_> = (0..4)
        .map(|_| {
            let (stop, asked, list) = (Arc::clone(&stop), Arc::clone(&asked), list.clone());
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let answer = Curl::parse(&list).send("asking").await;
                    assert_eq!(answer.status, 200, "{}", answer.body);
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();

    // A new policy, and a new key where the old one stood.
    folder.write("server.toml", &configuration("add_note = \"notes:read\""));
    let third = "0577215664901532860606512090082402";
    folder.write("key", third);
    example.hang_up().await;
    log.line_with("reloaded").await;
    assert_eq!(
        example.ready().await,
        "configuration 2, the last one read\n"
    );
    assert_eq!(example.status(&add).await, 200);
    assert_eq!(example.status(&first).await, 401);
    assert_eq!(example.status(&keyed(third)).await, 200);

    // Bad files: the last good configuration stays. None of what is told repeats the file.
    for (bad, path) in [
        (
            configuration("add_note = 0271828182845904523536028747135266"),
            "config",
        ),
        (
            configuration("add_note = { al = \"notes:read\" }"),
            "policy",
        ),
        (
            "policy = \"0271828182845904523536028747135266\"".to_owned(),
            "policy",
        ),
        (configuration("") + "[operations_two]\n", "operations_two"),
        // There is no listener: keys that are held are worth more.
        (
            configuration("").replace(
                "[authorization_servers.main]\n",
                "[authorization_servers.main]\nissuer = \"http://127.0.0.1:1\"\n",
            ),
            "authorization_servers",
        ),
        (
            configuration("").replace("[session]\n", "[session]\nalso_accept = [\"short\"]\n"),
            "session.also_accept",
        ),
    ] {
        folder.write("server.toml", &bad);
        example.hang_up().await;
        let line = log.line_with("reload").await;
        assert!(
            line.contains("reload failed") && line.contains(path),
            "{bad}\n{line}"
        );
        let told = example.ready().await;
        assert!(
            told.starts_with("configuration 2, not the last one read: "),
            "{told}"
        );
        assert_eq!(example.status(&add).await, 200);
    }
    // So is a secret that is gone.
    folder.write("server.toml", &configuration("add_note = \"notes:write\""));
    std::fs::remove_file(&key).expect("the key");
    example.hang_up().await;
    let line = log.line_with("reload failed").await;
    assert!(
        line.contains("api_keys.keys") && line.contains("cannot be read"),
        "{line}"
    );
    assert_eq!(example.status(&keyed(third)).await, 200);
    assert_eq!(example.status(&add).await, 200);

    // And good again.
    folder.write("key", FIRST);
    example.hang_up().await;
    log.line_with("reloaded").await;
    assert_eq!(
        example.ready().await,
        "configuration 3, the last one read\n"
    );
    assert_eq!(example.status(&add).await, 403);
    assert_eq!(example.status(&first).await, 200);
    let tools = r#"{"jsonrpc":"2.0","id":2,"method":"tools/list"}"#;
    assert_eq!(in_session(tools, Some(&session)).await.status(), 200);

    stop.store(true, Ordering::Relaxed);
    for asker in askers {
        asker.await.expect("every request was answered");
    }
    let asked = asked.load(Ordering::Relaxed);
    assert!(asked > 50, "{asked} requests are too few to say anything");
}

#[tokio::test]
async fn config_server_answers_as_it_says() {
    let answers = Example::start("config_server").await.ask_all().await;
    let narrow = answers
        .to("and not to add, by the policy of the file")
        .challenge();
    assert!(narrow.contains(r#"scope="notes:write""#), "{narrow}");
}

#[tokio::test]
async fn config_server_does_not_start_with_a_bad_configuration() {
    for (name, value, expected) in [
        ("MCP_AUTH_SESSION__KEY", "0816735492", "session.key: "),
        ("MCP_AUTH_SESSION__KEY__ENV", "NOT_SET", "session.key: "),
        (
            "MCP_AUTH_SESION__KEY",
            SESSION_KEY,
            "configuration: `sesion` is no setting",
        ),
        (
            "MCP_AUTH_OPERATIONS__MAX_BODY_BYTES",
            "0816735492 mistakes",
            "operations.max_body_bytes",
        ),
        ("CONFIG_FILE", "no-such.toml", "no-such.toml"),
    ] {
        let (code, stderr) =
            fails(command("config_server").arg("127.0.0.1:0").env(name, value)).await;
        assert_eq!(code, Some(1), "{name}");
        assert!(stderr.contains(expected), "{name}: {stderr}");
        assert!(!stderr.contains("0816735492"), "{name}: {stderr}");
    }
}
