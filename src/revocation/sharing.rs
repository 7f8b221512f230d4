//! A `Revocation` that the replicas of a server have together.

use std::pin::pin;
use std::sync::Arc;

use super::error::{RevokeError, RevokeErrorKind};
use super::health::RevocationHealth;
use super::index::{Added, Key};
use super::record::Sealer;
use super::replicas::Replicas;
use super::settings::Settings;
use super::{Revocation, sync};
use crate::error::ConfigError;
use crate::store::{Appended, RevocationStore, within_patience};
use crate::telemetry;

impl Revocation {
    /// One that all replicas with this store and this secret have together; see
    /// [several replicas](crate::revocation#several-replicas).
    ///
    /// The secret has 32 bytes or more from a secure random source. It is for records alone, which
    /// are sealed with it: a reader of the store learns no names, and a writer without the secret
    /// revokes nothing.
    ///
    /// ```no_run
    /// use tower_mcp_auth::ConfigError;
    /// use tower_mcp_auth::revocation::Revocation;
    /// use tower_mcp_auth::store::RevocationStore;
    ///
    /// # async fn run(store: impl RevocationStore, secret: &str) -> Result<(), ConfigError> {
    /// let revocation = Revocation::shared(store, secret)?;
    /// // Until all entries are read, requests are 503.
    /// revocation.ready().await;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The secret has fewer than 32 bytes, or is an obvious placeholder.
    pub fn shared(
        store: impl RevocationStore,
        secret: impl AsRef<[u8]>,
    ) -> Result<Self, ConfigError> {
        let sealer = Sealer::new(secret.as_ref())?;
        let replicas = Replicas::new(Arc::new(store), sealer);
        Ok(Self::with(Settings::default(), Some(replicas)))
    }

    pub(super) async fn share(
        &self,
        replicas: &Replicas,
        key: Key,
        added: Added,
    ) -> Result<(), RevokeError> {
        // First: a caller that waits no longer leaves it to the task.
        replicas.unsent().insert(key);
        let entry = replicas.entry(key, added.now, added.before);
        match within_patience(replicas.store.append(vec![entry])).await {
            Ok(Appended::Appended) => {
                replicas.sent(&self.shared.index, &[(key, added.now)]);
                Ok(())
            }
            Ok(Appended::Full) => {
                telemetry::revocation_store_full();
                Err(RevokeError::new(
                    RevokeErrorKind::Full,
                    "the store has no room: it holds at this replica alone until there is some",
                ))
            }
            Err(error) => {
                replicas.unsent().insert(key);
                let why = error.to_string();
                telemetry::revocation_not_shared(&why);
                Err(RevokeError::new(
                    RevokeErrorKind::NotShared,
                    format!(
                        "it holds at this replica alone, and others hear of it when the store is \
                         back: {why}"
                    ),
                ))
            }
        }
    }

    /// Waits until everything is known that other replicas have revoked. One of a single process is
    /// ready at once.
    ///
    /// It waits as long as that takes: where a server should not start without its store, put a
    /// time limit around it, and ask [`health`](Self::health) why.
    pub async fn ready(&self) {
        self.start();
        let Some(replicas) = &self.shared.replicas else {
            return;
        };
        loop {
            let mut completed = pin!(replicas.completed.notified());
            // Before the look: what completes in between wakes it.
            completed.as_mut().enable();
            if replicas.is_complete() {
                return;
            }
            completed.await;
        }
    }

    /// How much is known of the entries of other replicas now. It asks no store.
    pub fn health(&self) -> RevocationHealth {
        self.start();
        self.shared.health()
    }

    /// Runs the task that reads from the store, unless it runs.
    pub(crate) fn start(&self) {
        let Some(replicas) = &self.shared.replicas else {
            return;
        };
        replicas.start(|| {
            let shared = Arc::downgrade(&self.shared);
            tokio::spawn(sync::keep(shared, Arc::clone(&replicas.store))).abort_handle()
        });
    }
}
