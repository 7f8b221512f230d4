//! Two replicas of one MCP server: what is revoked at one is refused at the other, and a budget of
//! calls is used up at both together.
//!
//! Run with
//!
//! ```sh
//! cargo run --example replicas
//! ```
//!
//! and paste the `curl` lines it prints: they hold tokens made at start. The replicas share the
//! Redis or Valkey at `REDIS_URL`; without that, one that this example starts from the
//! `redis-server` on the `PATH`; and without that, a store in memory, which separate processes
//! cannot share. `docs/more-than-one-machine.md` is about the engine.

#[path = "support/listen.rs"]
mod listen;
#[path = "support/mcp.rs"]
mod mcp;
#[path = "support/random.rs"]
mod random;
#[path = "support/trace.rs"]
mod trace;

use std::error::Error;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use axum::Router;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};
use tower_mcp_auth::OAuthLayer;
use tower_mcp_auth::mcp::{Budget, QuotaLayer};
use tower_mcp_auth::oauth::AuthorizationServer;
use tower_mcp_auth::redis::Redis;
use tower_mcp_auth::revocation::Revocation;
use tower_mcp_auth::store::{MemoryQuotaStore, MemoryRevocationStore};
use tower_mcp_auth::testing::Issuer;

/// How long the engine may take to be there.
const PATIENCE: Duration = Duration::from_secs(10);
const MINUTE: Duration = Duration::from_secs(60);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    trace::install();
    let (first, origin) = listen::listen(3000).await;
    let second = TcpListener::bind("127.0.0.1:0").await?;
    let other = format!("http://{}", second.local_addr()?);

    // Behind a load balancer both have one address, which is the resource.
    let resource = format!("{origin}/mcp");
    // As in the quickstart: the development issuer stands for your authorization server.
    let issuer = Issuer::start().await?;
    let store = Store::find().await?;
    // All replicas are given the same one.
    let secrets = [random::random()?, random::random()?];

    let mut apps = Vec::new();
    for _ in 0..2 {
        let server = AuthorizationServer::insecure_http_on_loopback(issuer.url())?;
        let replica = store.replica(&resource).await?;
        let revocation = replica.revocation(&secrets[0]).await?;
        // Five calls a minute for each user, at whichever replica.
        let quotas = replica
            .quotas(&secrets[1])?
            .budget(Budget::new("calls", 5, MINUTE)?)?;
        let service = revocation.revocation_service("mcp:revoke")?;
        let auth = OAuthLayer::new(&resource, server)?.revocation(revocation);
        let app = Router::new()
            .route_service("/mcp", mcp::service())
            .layer(quotas)
            .route_service("/revoke", service)
            .layer(auth);
        apps.push(app);
    }
    print_requests(&issuer, &resource, &[&origin, &other]);
    println!("listening on {origin}");
    let [one, two] = apps.try_into().map_err(|_| "there are two")?;
    tokio::try_join!(async { axum::serve(first, one).await }, async {
        axum::serve(second, two).await
    },)?;
    Ok(())
}

/// What the replicas share.
enum Store {
    Memory(MemoryRevocationStore, MemoryQuotaStore),
    Engine {
        url: String,
        /// Ended with the example; Ctrl-C ends both.
        _server: Option<Box<Child>>,
    },
}

impl Store {
    async fn find() -> Result<Self, Box<dyn Error>> {
        if let Ok(url) = std::env::var("REDIS_URL") {
            println!("# the replicas share the engine of REDIS_URL");
            return Ok(Self::Engine { url, _server: None });
        }
        let Some(program) = on_path("redis-server") else {
            println!(
                "# there is no REDIS_URL, and no redis-server on the PATH: the replicas share a \
                 store in memory, as they are in one process"
            );
            return Ok(Self::Memory(
                MemoryRevocationStore::default(),
                MemoryQuotaStore::default(),
            ));
        };
        let port = free_port().await?.to_string();
        let server = Command::new(program)
            .args(["--bind", "127.0.0.1", "--port", &port])
            // It forgets everything when it ends; yours has `--appendonly yes`.
            .args(["--save", "", "--appendonly", "no"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let address = format!("127.0.0.1:{port}");
        let answers = async {
            while TcpStream::connect(&address).await.is_err() {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(PATIENCE, answers).await?;
        println!("# the replicas share a redis-server on port {port}, which was started for this");
        Ok(Self::Engine {
            url: format!("redis://{address}"),
            _server: Some(Box::new(server)),
        })
    }

    /// What one replica has of it: of an engine a connection of its own.
    async fn replica(&self, resource: &str) -> Result<Replica, Box<dyn Error>> {
        Ok(match self {
            Self::Memory(revocations, quotas) => {
                Replica::Memory(revocations.clone(), quotas.clone())
            }
            Self::Engine { url, .. } => {
                let redis = Redis::connect(url, resource).await?;
                // Once for each new engine; yours is told in a job of the deployment.
                redis.init().await?;
                Replica::Engine(redis)
            }
        })
    }
}

enum Replica {
    Memory(MemoryRevocationStore, MemoryQuotaStore),
    Engine(Redis),
}

impl Replica {
    /// What this one knows of the revocations of all.
    async fn revocation(&self, secret: &str) -> Result<Revocation, Box<dyn Error>> {
        let revocation = match self {
            Self::Memory(store, _) => Revocation::shared(store.clone(), secret)?,
            Self::Engine(redis) => Revocation::shared(redis.clone(), secret)?,
        };
        timeout(PATIENCE, revocation.ready()).await?;
        Ok(revocation)
    }

    /// Budgets that all have together.
    fn quotas(&self, secret: &str) -> Result<QuotaLayer, Box<dyn Error>> {
        Ok(match self {
            Self::Memory(_, store) => QuotaLayer::shared(store.clone(), secret)?,
            Self::Engine(redis) => QuotaLayer::shared(redis.clone(), secret)?,
        })
    }
}

fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let mut folders = std::env::split_paths(&path).map(|folder| folder.join(program));
    folders.find(|program| program.is_file())
}

async fn free_port() -> std::io::Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    Ok(listener.local_addr()?.port())
}

fn print_requests(issuer: &Issuer, resource: &str, origins: &[&str; 2]) {
    let token = |subject: &str| issuer.token().audience(resource).subject(subject);
    let bearer = |token: String| format!("-H 'Authorization: Bearer {token}'");
    let [alice, bob, carol] =
        ["alice", "bob", "carol"].map(|subject| bearer(token(subject).sign()));
    let admin = bearer(token("admin").scope("mcp:revoke").sign());
    let call = |origin: &str, bearer: &str| {
        format!(
            "curl -i {origin}/mcp -H 'Content-Type: application/json' \
             -H 'Accept: application/json, text/event-stream' \
             -d '{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\
             \"params\":{{\"name\":\"whoami\"}}}}' {bearer}"
        )
    };
    let revoke = |origin: &str, bearer: &str| {
        format!(
            "curl -i {origin}/revoke -H 'Content-Type: application/json' \
             -d '{{\"subject\":{{\"issuer\":\"{}\",\"subject\":\"alice\"}}}}' {bearer}",
            issuer.url()
        )
    };
    let [one, other] = origins;
    println!("# alice at one replica: 200\n{}\n", call(one, &alice));
    println!("# alice at the other: 200\n{}\n", call(other, &alice));
    println!("# bob may not revoke: 403\n{}\n", revoke(one, &bob));
    println!(
        "# the admin revokes all tokens of alice here: 204\n{}\n",
        revoke(one, &admin)
    );
    println!("# refused here: 401\n{}\n", call(one, &alice));
    println!(
        "# and a second later there: 401\nsleep 1; {}\n",
        call(other, &alice)
    );
    println!("# bob is served: 200\n{}\n", call(other, &bob));
    for number in ["one", "two", "three", "four", "five"] {
        println!(
            "# call {number} of carol here: 200\n{}\n",
            call(one, &carol)
        );
    }
    println!("# and the sixth there: 429\n{}\n", call(other, &carol));
}
