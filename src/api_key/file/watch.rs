//! Reading the file again.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tracing::{error, info};

use super::{KeyFile, TARGET};
use crate::api_key::provider::Memory;
use crate::digest::sha256;
use crate::error::ConfigError;

/// The keys of a file, as they were when it was last good.
pub(in crate::api_key) struct FileKeys {
    pub(super) file: KeyFile,
    pub(super) memory: Memory,
    /// What the file last was, good or bad. Held while it is read: what was read first must
    /// not be kept last.
    pub(super) seen: Mutex<Seen>,
    pub(super) polling: AtomicBool,
}

/// Contents are compared, not times: those of two writes can be the same, and nobody who can
/// write the file has to be trusted with them.
#[derive(PartialEq, Eq)]
pub(super) enum Seen {
    Content([u8; 32]),
    Unreadable(String),
}

impl Seen {
    pub(super) fn content(bytes: &[u8]) -> Self {
        Self::Content(sha256(&[bytes]))
    }
}

impl FileKeys {
    /// The keys; sees to it that somebody looks after the file.
    pub(in crate::api_key) fn watched(self: &Arc<Self>) -> &Memory {
        if !self.polling.load(Ordering::Relaxed) && !self.file.interval.is_zero() {
            self.start_polling();
        }
        &self.memory
    }

    /// Reads the file, and says what is wrong with it.
    pub(in crate::api_key) fn reload(&self) -> Result<(), ConfigError> {
        self.poll(true).map_err(|why| self.file.error(&why))
    }

    /// Takes the file as it is now; what it was when last seen is not told again.
    fn poll(&self, anyway: bool) -> Result<(), String> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let (now, read) = match self.file.read() {
            Ok((bytes, metadata)) => (Seen::content(&bytes), Ok((bytes, metadata))),
            Err(why) => (Seen::Unreadable(why.clone()), Err(why)),
        };
        let changed = *seen != now;
        if !changed && !anyway {
            return Ok(());
        }
        *seen = now;
        let path = &self.file.path;
        let keys = read.and_then(|(bytes, metadata)| {
            self.file.warn_of_others(&metadata);
            self.file.understand(&bytes)
        });
        match keys {
            Ok(keys) => {
                info!(target: TARGET, ?path, keys = keys.len(), "the API key file was read");
                self.memory.replace(keys);
                Ok(())
            }
            Err(why) => {
                error!(
                    target: TARGET,
                    ?path,
                    why,
                    "the API key file cannot be used: the last good keys stay"
                );
                Err(why)
            }
        }
    }

    fn start_polling(self: &Arc<Self>) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        if !self.polling.swap(true, Ordering::Relaxed) {
            let polling = Polling(Arc::downgrade(self));
            drop(runtime.spawn(polling.run()));
        }
    }
}

/// The task that looks after the file. Where its runtime ends before the layer does, the next
/// request starts another.
struct Polling(Weak<FileKeys>);

impl Polling {
    async fn run(self) {
        while let Some(interval) = self.0.upgrade().map(|keys| keys.file.interval) {
            tokio::time::sleep(interval).await;
            let Some(keys) = self.0.upgrade() else { return };
            // A panic or an error was told of; the next look may fare better.
            let _ = tokio::task::spawn_blocking(move || keys.poll(false)).await;
        }
    }
}

impl Drop for Polling {
    fn drop(&mut self) {
        if let Some(keys) = self.0.upgrade() {
            keys.polling.store(false, Ordering::Relaxed);
        }
    }
}

impl fmt::Debug for FileKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileKeys")
            .field("path", &self.file.path)
            .field("keys", &self.memory.keys.load().len())
            .finish_non_exhaustive()
    }
}
