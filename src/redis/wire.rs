//! The wire to an engine: TCP or TLS, and the login.

use std::io;
use std::pin::Pin;
use std::sync::Arc;

use ::redis::aio::MultiplexedConnection;
use ::redis::{AsyncConnectionConfig, Cmd, Pipeline, RedisConnectionInfo, RedisError, Value, cmd};
use secrecy::ExposeSecret;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use super::address::Node;
use super::builder::Settings;
use super::fault::{Fault, not_let_in, not_selected};
use super::tls;
use crate::error::ConfigError;
use crate::util::{TRACED_CHARS, one_line};

/// How many commands may stand before the connection. Those of a flood wait in their own time.
const BUFFER: usize = 1024;

/// It ends when it is dropped.
pub(super) struct Wire {
    connection: MultiplexedConnection,
    driver: AbortHandle,
}

type Driver = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Drop for Wire {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Wire {
    /// Opens a wire. `wake` is notified when it ends.
    pub(super) async fn open(
        settings: &Settings,
        node: &Node,
        wake: &Arc<Notify>,
    ) -> Result<Self, Fault> {
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
        let wire = Self { connection, driver };
        wire.greet(settings).await?;
        Ok(wire)
    }

    /// Whether it can still carry an answer, as far as this end knows.
    pub(super) fn is_open(&self) -> bool {
        !self.driver.is_finished()
    }

    /// Logs in, and selects the database. The library would do it, with one error for every answer
    /// to a password.
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
            let selected = self.send(&asked).await;
            selected.map_err(|error| not_selected(error, settings.database))?;
        }
        Ok(())
    }

    pub(super) async fn send(&self, command: &Cmd) -> Result<Value, RedisError> {
        let mut connection = self.connection.clone();
        connection
            .send_packed_command(command)
            .await?
            .extract_error()
    }

    pub(super) async fn send_all(
        &self,
        commands: &Pipeline,
        answers: usize,
    ) -> Result<Vec<Value>, RedisError> {
        let mut connection = self.connection.clone();
        connection.send_packed_commands(commands, 0, answers).await
    }
}
