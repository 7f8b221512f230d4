//! One connection to one engine process, and what is asked before it is used.

use std::sync::Arc;
use std::time::Duration;

use ::redis::{ErrorKind, RedisError, ServerErrorKind, Value, cmd, pipe};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::address::Node;
use super::builder::Settings;
use super::fault::{Fault, text};
use super::scripts::Script;
use super::wire::Wire;
use crate::error::ConfigError;
use crate::util::{TRACED_CHARS, one_line};

/// How long it may take until a connection can be used.
pub(super) const OPENING: Duration = Duration::from_secs(1);

/// A connection. A connection is of one process of the engine, so its run id is the connection's.
pub(super) struct Link {
    pub(super) node: Node,
    /// The run id, and what the process followed before it was made a primary, if it did.
    pub(super) run: Arc<str>,
    /// `None`: the engine does not say.
    pub(super) persistent: Option<bool>,
    wire: Wire,
    /// Their hashes, as the engine says them.
    scripts: Vec<Box<str>>,
}

impl Link {
    /// A connection that wakes a task when it ends.
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
        let wire = Wire::open(settings, node, wake).await?;
        let mut link = Self {
            node: node.clone(),
            run: Arc::default(),
            persistent: None,
            wire,
            scripts: vec![Box::default(); Script::ALL.len()],
        };
        link.inspect().await?;
        link.load().await?;
        Ok(link)
    }

    /// Whether it can still carry an answer, as far as this end knows.
    pub(super) fn is_open(&self) -> bool {
        self.wire.is_open()
    }

    async fn inspect(&mut self) -> Result<(), Fault> {
        let answer = self.wire.send(&cmd("INFO")).await?;
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
        match self.wire.send(&asked).await.ok()? {
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
        let answers = self.wire.send_all(&asked, Script::ALL.len()).await?;
        for (script, answer) in Script::ALL.iter().zip(answers) {
            let hash = answer.extract_error()?;
            self.scripts[*script as usize] = text(&hash).unwrap_or_default().into();
        }
        Ok(())
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
        match self.wire.send(&asked).await {
            // They were flushed. The hash is of the text, and so the same. Both are sent at
            // once: a flush between them would be an error.
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                let mut both = pipe();
                both.cmd("SCRIPT").arg("LOAD").arg(script.text());
                both.add_command(asked);
                let answers = self.wire.send_all(&both, 2).await?.into_iter();
                answers
                    .map(Value::extract_error)
                    .try_fold(Value::Nil, |_, answer| answer)
            }
            answer => answer,
        }
    }
}

fn unusable(what: &str) -> Fault {
    Fault::Unreachable(format!("the answer to {what} cannot be used"))
}
