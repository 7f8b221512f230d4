//! Three replicas, each a process of its own, on one engine.

mod attempts;
mod flood;
mod proofs;
mod quotas;

use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::Response;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use super::engine::Server;
use super::{PATIENCE, until};
use crate::programs;

const RESOURCE: &str = "https://mcp.example.com/mcp";
const ISSUER: &str = "https://auth.example.com";

/// A token with this id.
pub(super) fn token(id: &str, scope: &str) -> String {
    token_of("alice", id, scope)
}

fn token_of(subject: &str, id: &str, scope: &str) -> String {
    let now = tower_mcp_auth::Clock::system().now().as_secs();
    let claims = json!({
        "iss": ISSUER, "aud": RESOURCE, "sub": subject, "jti": id, "scope": scope, "iat": now,
        "exp": now + 3600,
    });
    common::token(&claims.to_string())
}

/// One of the processes. It ends with this.
struct Replica {
    url: String,
    client: reqwest::Client,
    child: Child,
}

impl Replica {
    async fn start(engines: &[String]) -> Self {
        Self::of_issuer(engines, None).await
    }

    /// One that takes bound tokens of this issuer.
    async fn of_issuer(engines: &[String], issuer: Option<&str>) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_replica"))
            .args(engines)
            .envs(issuer.map(|issuer| ("ISSUER", issuer)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("it starts");
        let stdout = child.stdout.take().expect("a pipe");
        let mut stdout = BufReader::new(stdout).lines();
        let port = timeout(PATIENCE, stdout.next_line()).await;
        let port = port.expect("it listens").unwrap().expect("a port");
        Self {
            url: format!("http://127.0.0.1:{port}"),
            client: reqwest::Client::new(),
            child,
        }
    }

    /// Three on one engine, the first of which says that it is new.
    async fn three(engines: [&[String]; 3]) -> [Arc<Self>; 3] {
        let [first, others @ ..] = engines;
        let first = Self::start(first).await;
        until("it is told", async || first.init().await == 204).await;
        let mut replicas = vec![Arc::new(first)];
        for engines in others {
            replicas.push(Arc::new(Self::start(engines).await));
        }
        for replica in &replicas {
            replica.until_ready().await;
        }
        replicas.try_into().unwrap_or_else(|_| panic!("three"))
    }

    /// Four on one engine, the first of which says that it is new.
    async fn four(engines: &[String]) -> [Arc<Self>; 4] {
        let [one, two, three] = Self::three([engines; 3]).await;
        let four = Arc::new(Self::start(engines).await);
        four.until_ready().await;
        [one, two, three, four]
    }

    async fn signal(&self, signal: &str) {
        let id = self.child.id().expect("it runs").to_string();
        programs::run(Command::new("kill").args([signal, &id])).await;
    }

    async fn init(&self) -> u16 {
        let request = self.client.put(format!("{}/init", self.url));
        request.send().await.expect("an answer").status().as_u16()
    }

    async fn until_ready(&self) {
        until("it is ready", async || self.health().await.0 == 200).await;
    }

    async fn health(&self) -> (u16, String) {
        let request = self.client.get(format!("{}/health", self.url));
        let answer = request.send().await.expect("an answer");
        (answer.status().as_u16(), answer.text().await.expect("text"))
    }

    async fn get(&self, path: &str, token: &str) -> Response {
        let request = self.client.get(format!("{}/{path}", self.url));
        let answer = request.bearer_auth(token).send().await;
        answer.expect("an answer")
    }

    async fn ask(&self, token: &str) -> u16 {
        self.get("ask", token).await.status().as_u16()
    }

    async fn revoke(&self, id: &str) -> u16 {
        let entry = json!({ "token": { "issuer": ISSUER, "jti": id } });
        let request = self.client.post(format!("{}/revoke", self.url));
        let request = request.bearer_auth(token("of-the-admin", "mcp:revoke"));
        let answer = request.json(&entry).send().await.expect("an answer");
        answer.status().as_u16()
    }

    /// What begins now is dated so.
    async fn begin(&self) -> Duration {
        let request = self.client.get(format!("{}/now", self.url));
        let answer = request.send().await.expect("an answer");
        let millis = answer.text().await.expect("text");
        Duration::from_millis(millis.parse().expect("a number"))
    }

    async fn claim(&self, number: u32, own: u8, begun: Duration) -> u16 {
        let begun = begun.as_millis();
        let path = format!("{}/first/{number}/{own}/{begun}", self.url);
        let answer = self.client.put(path).send().await.expect("an answer");
        answer.status().as_u16()
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn what_one_process_revokes_the_others_refuse_within_a_second() {
    const WORKERS: usize = 10;
    const EACH: usize = 100;

    let engine = Server::start(&[]).await;
    let engines = [engine.url()];
    let replicas = Replica::three([&engines[..]; 3]).await;
    let mut streams = Vec::new();
    for replica in &replicas {
        streams.push(replica.get("stream", &token("of-a-stream", "")).await);
    }
    let mut workers = Vec::new();
    for worker in 0..WORKERS {
        let replicas = replicas.clone();
        workers.push(tokio::spawn(async move {
            let mut delays = Vec::new();
            for number in 0..EACH {
                let id = format!("token-{worker}-{number}");
                let token = token(&id, "");
                let [one, others @ ..] = &replicas;
                for replica in &replicas {
                    assert_eq!(replica.ask(&token).await, 200);
                }
                assert_eq!(one.revoke(&id).await, 204);
                let revoked = Instant::now();
                assert_eq!(one.ask(&token).await, 401);
                for other in others {
                    while other.ask(&token).await == 200 {
                        assert!(revoked.elapsed() < PATIENCE, "{id}");
                        sleep(Duration::from_millis(1)).await;
                    }
                    assert_eq!(other.ask(&token).await, 401);
                }
                delays.push(revoked.elapsed());
            }
            delays
        }));
    }
    let mut delays = Vec::new();
    for worker in workers {
        delays.extend(worker.await.unwrap());
    }
    delays.sort_unstable();
    let at = |part: usize| delays[(delays.len() - 1) * part / 100];
    println!(
        "refused by three processes after revoking {} tokens: half within {:?}, p99 {:?}, all {:?}",
        delays.len(),
        at(50),
        at(99),
        at(100)
    );
    assert!(at(99) < Duration::from_secs(1));

    assert_eq!(replicas[0].revoke("of-a-stream").await, 204);
    for stream in streams {
        let ended = timeout(PATIENCE, stream.bytes()).await;
        assert_eq!(ended.expect("the stream ends").expect("cleanly"), "");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn a_process_that_stood_still_does_not_go_by_what_it_knew() {
    let engine = Server::start(&[]).await;
    let engines = [engine.url()];
    let [one, other, _] = Replica::three([&engines[..]; 3]).await;
    for round in 0..3 {
        let token = token(&format!("token-{round}"), "");
        assert_eq!(other.ask(&token).await, 200);
        let mut stream = other.get("stream", &token).await;
        other.signal("-STOP").await;
        assert_eq!(one.revoke(&format!("token-{round}")).await, 204);
        // By what it knew it may go on for 2 seconds.
        sleep(Duration::from_millis(2500)).await;
        let asks = (0..20).map(|_| {
            let (other, token) = (Arc::clone(&other), token.clone());
            tokio::spawn(async move { other.ask(&token).await })
        });
        let asks: Vec<_> = asks.collect();
        sleep(Duration::from_millis(100)).await;
        other.signal("-CONT").await;
        for answer in asks {
            let answer = answer.await.unwrap();
            assert!([401, 503].contains(&answer), "{answer}");
        }
        let ended = timeout(PATIENCE, stream.chunk()).await;
        assert!(!matches!(ended.expect("it ends"), Ok(Some(_))));
        until("it is known", async || other.ask(&token).await == 401).await;
    }
}
