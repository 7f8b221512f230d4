//! One connection to one engine process, and what is asked before it is used.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::{
    AsyncConnectionConfig, Cmd, ErrorKind, RedisConnectionInfo, RedisError, ServerErrorKind, Value,
    cmd, pipe,
};
use secrecy::ExposeSecret;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::address::Node;
use super::builder::Settings;
use super::scripts::Script;
use super::tls;
use crate::error::ConfigError;
use crate::util::{TRACED_CHARS, one_line};

/// How long it may take until a connection can be used.
const OPENING: Duration = Duration::from_secs(1);
/// How many commands may stand before the connection. Those of a flood wait in their own time.
const BUFFER: usize = 1024;

/// A connection. A connection is of one process of the engine, so its run id is the connection's.
pub(super) struct Link {
    pub(super) node: Node,
    /// The run id, and what the process followed before it was made a primary, if it did.
    pub(super) run: Arc<str>,
    /// `None`: the engine does not say.
    pub(super) persistent: Option<bool>,
    connection: MultiplexedConnection,
    driver: AbortHandle,
    /// Their hashes, as the engine says them.
    scripts: Vec<Box<str>>,
}

type Driver = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Why there is no connection.
pub(super) enum Fault {
    /// It will not do before somebody changes a setting.
    Config(ConfigError),
    /// Another node of the cluster has the keys.
    Moved(Node),
    Unreachable(String),
}

impl Drop for Link {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Link {
    /// A connection that somebody is woken about when it ends.
    pub(super) async fn open(
        settings: &Settings,
        node: &Node,
        wake: &Arc<Notify>,
    ) -> Result<Self, Fault> {
        let opened = timeout(OPENING, Self::opened(settings, node, wake)).await;
        let late = || Fault::Unreachable(format!("no answer within {} s", OPENING.as_secs()));
        opened.unwrap_or_else(|_| Err(late()))
    }

    async fn opened(settings: &Settings, node: &Node, wake: &Arc<Notify>) -> Result<Self, Fault> {
        let drive = |driver: Driver| {
            let wake = Arc::clone(wake);
            let driver = tokio::spawn(async move {
                driver.await;
                wake.notify_one();
            });
            driver.abort_handle()
        };
        let stream = TcpStream::connect((&*node.host, node.port)).await?;
        stream.set_nodelay(true)?;
        let info = RedisConnectionInfo::default().set_skip_set_lib_name();
        let config = AsyncConnectionConfig::new()
            .set_response_timeout(None)
            .set_connection_timeout(None)
            .set_pipeline_buffer_size(BUFFER);
        let (connection, driver) = match &settings.tls {
            None => {
                let made = MultiplexedConnection::new_with_config(&info, stream, config).await?;
                (made.0, drive(Box::pin(made.1)))
            }
            Some(connector) => {
                let stream = tls::connect(connector, &node.host, stream).await;
                let stream = stream.map_err(|error| match error.kind() {
                    io::ErrorKind::InvalidData => {
                        let why = one_line(&error.to_string(), TRACED_CHARS);
                        Fault::Config(ConfigError::new(
                            "ca",
                            format!("TLS to {node} fails: {why}"),
                        ))
                    }
                    _ => error.into(),
                })?;
                let made = MultiplexedConnection::new_with_config(&info, stream, config).await?;
                (made.0, drive(Box::pin(made.1)))
            }
        };
        let mut link = Self {
            node: node.clone(),
            run: Arc::default(),
            persistent: None,
            connection,
            driver,
            scripts: vec![Box::default(); Script::ALL.len()],
        };
        link.greet(settings).await?;
        link.inspect().await?;
        link.load().await?;
        Ok(link)
    }

    /// Whether it can still carry an answer, as far as this end knows.
    pub(super) fn is_open(&self) -> bool {
        !self.driver.is_finished()
    }

    /// Says who asks, and for which database. The library would do it, and has one error for
    /// whatever an engine answers to a password.
    async fn greet(&self, settings: &Settings) -> Result<(), Fault> {
        if let Some(password) = &settings.password {
            let mut asked = cmd("AUTH");
            asked.arg(settings.username.as_deref());
            asked.arg(password.expose_secret());
            self.send(&asked).await.map_err(not_let_in)?;
        }
        if settings.database != 0 {
            let mut asked = cmd("SELECT");
            asked.arg(settings.database);
            self.send(&asked).await?;
        }
        Ok(())
    }

    async fn inspect(&mut self) -> Result<(), Fault> {
        let answer = self.send(&cmd("INFO")).await?;
        let text = text(&answer).ok_or_else(|| unusable("INFO"))?;
        let member = |name: &str| {
            let mut lines = text.lines();
            lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        };
        // A node of a cluster says itself who has the keys, when it is asked for one.
        let of_cluster = member("cluster_enabled") == Some("1");
        if !of_cluster && member("role") != Some("master") {
            return Err(Fault::Unreachable("it is no primary".to_owned()));
        }
        if member("loading").is_some_and(|loading| loading != "0") {
            return Err(Fault::Unreachable("it loads its data".to_owned()));
        }
        let run = member("run_id").filter(|id| !id.is_empty());
        let run = run.ok_or_else(|| unusable("INFO"))?;
        // A process that followed another one for a while has the data of that one, in which what
        // it acknowledged itself may be missing. The id of what it followed is zeros otherwise.
        let followed = member("master_replid2").filter(|id| id.bytes().any(|digit| digit != b'0'));
        self.run = match followed {
            Some(followed) => format!("{run}:{followed}").into(),
            None => run.into(),
        };
        let policy = member("maxmemory_policy").unwrap_or_default();
        if policy != "noeviction" {
            return Err(Fault::Config(ConfigError::new(
                "url",
                format!(
                    "the engine at {} has `maxmemory-policy {}`, so it drops records where memory \
                     is short, and what was refused once would be let in: set `maxmemory-policy \
                     noeviction`",
                    self.node,
                    one_line(policy, TRACED_CHARS),
                ),
            )));
        }
        let appends = member("aof_enabled") == Some("1");
        self.persistent = match appends {
            true => Some(true),
            false => self.takes_snapshots().await,
        };
        Ok(())
    }

    /// `INFO` does not say it, and who may not ask is not told.
    async fn takes_snapshots(&mut self) -> Option<bool> {
        let mut asked = cmd("CONFIG");
        asked.arg("GET").arg("save");
        match self.send(&asked).await.ok()? {
            Value::Array(pair) => Some(text(pair.get(1)?)?.trim() != ""),
            _ => None,
        }
    }

    /// All scripts in one round trip: an engine that is far away is none that does not answer.
    async fn load(&mut self) -> Result<(), RedisError> {
        let mut asked = pipe();
        for script in Script::ALL {
            asked.cmd("SCRIPT").arg("LOAD").arg(script.text());
        }
        let mut connection = self.connection.clone();
        let answers = connection
            .send_packed_commands(&asked, 0, Script::ALL.len())
            .await?;
        for (script, answer) in Script::ALL.iter().zip(answers) {
            let hash = answer.extract_error()?;
            self.scripts[*script as usize] = text(&hash).unwrap_or_default().into();
        }
        Ok(())
    }

    async fn send(&self, command: &Cmd) -> Result<Value, RedisError> {
        let mut connection = self.connection.clone();
        connection
            .send_packed_command(command)
            .await?
            .extract_error()
    }

    /// Runs a script with these keys and the arguments after the run id.
    pub(super) async fn run(
        &self,
        script: Script,
        keys: &[String],
        arguments: &[&[u8]],
    ) -> Result<Value, RedisError> {
        let mut asked = cmd("EVALSHA");
        asked.arg(&*self.scripts[script as usize]).arg(keys.len());
        for key in keys {
            asked.arg(key);
        }
        asked.arg(&*self.run);
        for argument in arguments {
            asked.arg(*argument);
        }
        match self.send(&asked).await {
            // Somebody has flushed them. The hash is of the text, and so the same.
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                let mut load = cmd("SCRIPT");
                load.arg("LOAD").arg(script.text());
                self.send(&load).await?;
                self.send(&asked).await
            }
            answer => answer,
        }
    }
}

/// What an answer of text says.
pub(super) fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => Some(text),
        _ => None,
    }
}

fn unusable(what: &str) -> Fault {
    Fault::Unreachable(format!("the answer to {what} cannot be used"))
}

/// Why `AUTH` fails. An engine with too many connections says that in its place, and closes.
fn not_let_in(error: RedisError) -> Fault {
    let why = one_line(&error.to_string(), TRACED_CHARS);
    let is_refused = matches!(error.kind(), ErrorKind::Server(_));
    if !is_refused || why.contains("max number of clients") {
        return error.into();
    }
    let why = format!("the engine refuses the user or the password ({why})");
    Fault::Config(ConfigError::new("password", why))
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Unreachable(one_line(&error.to_string(), TRACED_CHARS))
    }
}

impl From<RedisError> for Fault {
    fn from(error: RedisError) -> Self {
        if let Some(node) = moved(&error) {
            return Self::Moved(node);
        }
        let why = one_line(&error.to_string(), TRACED_CHARS);
        let code = error.code().unwrap_or_default();
        if matches!(code, "NOAUTH" | "WRONGPASS") {
            let why = format!("the engine refuses the user or the password ({why})");
            return Self::Config(ConfigError::new("password", why));
        }
        if code == "NOPERM" {
            let why =
                format!("the user may not do what is needed; see the list of commands ({why})");
            return Self::Config(ConfigError::new("username", why));
        }
        Self::Unreachable(why)
    }
}

/// The node of the cluster that has the keys.
pub(super) fn moved(error: &RedisError) -> Option<Node> {
    if error.kind() != ErrorKind::Server(ServerErrorKind::Moved) {
        return None;
    }
    let (address, _slot) = error.redirect_node()?;
    let (host, port) = address.rsplit_once(':')?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    // An empty host is the one that was asked, which the caller knows.
    Some(Node {
        host: host.into(),
        port: port.parse().ok()?,
    })
}
