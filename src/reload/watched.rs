//! A file that is read again, and taken when its content is another.

use std::fs::{File, Metadata};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use crate::crypto::sha256;
use crate::telemetry;
use crate::util::locked;

/// Which file it is, and how it is read.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) path: PathBuf,
    /// How often it is read; zero: when asked.
    pub(crate) interval: Duration,
    pub(crate) max_bytes: u64,
}

impl Place {
    pub(crate) fn new(path: PathBuf, max_bytes: u64) -> Self {
        Self {
            path,
            interval: Duration::from_secs(5),
            max_bytes,
        }
    }

    pub(crate) fn read(&self) -> Result<(Vec<u8>, Metadata), String> {
        let failed = |error: std::io::Error| format!("cannot be read: {error}");
        // Opening a pipe would wait for a writer.
        if !std::fs::metadata(&self.path).map_err(failed)?.is_file() {
            return Err("is no regular file".to_owned());
        }
        let file = File::open(&self.path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        let mut bytes = Vec::new();
        // Not by what the metadata says: the file may grow meanwhile.
        let limit = self.max_bytes.saturating_add(1);
        file.take(limit).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() as u64 > self.max_bytes {
            return Err(format!("is larger than {} bytes", self.max_bytes));
        }
        Ok((bytes, metadata))
    }
}

/// What a file is for.
pub(crate) trait Content: Send + Sync + 'static {
    /// What events call the file.
    const NAME: &'static str;

    /// What events say of a file that was taken.
    type Taken;

    /// Puts what is in the file in place of what there was. An error leaves all as it was.
    fn take(&self, bytes: &[u8]) -> Result<Self::Taken, String>;

    /// Tells who else may use a file that was read.
    fn report_access(_path: &Path, _metadata: &Metadata) {}

    /// Tells of a file that was taken.
    fn report(path: &Path, taken: Self::Taken);
}

/// A file, as it was when it was last good.
pub(crate) struct Watched<C> {
    place: Place,
    content: C,
    /// What the file last was, good or bad. Held while it is read: what was read first must
    /// not be kept last.
    seen: Mutex<Seen>,
    polling: AtomicBool,
}

/// Contents are compared, not times: those of two writes can be the same, and a writer of the
/// file need not be trusted with them.
#[derive(PartialEq, Eq)]
enum Seen {
    Content([u8; 32]),
    Unreadable(String),
}

impl<C: Content> Watched<C> {
    /// `bytes` were read already, and are what `content` was made of.
    pub(crate) fn new(place: Place, bytes: &[u8], content: C) -> Self {
        Self {
            place,
            content,
            seen: Mutex::new(Seen::Content(sha256(&[bytes]))),
            polling: AtomicBool::new(false),
        }
    }

    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    #[cfg(feature = "api-key-store")]
    pub(crate) fn content(&self) -> &C {
        &self.content
    }

    /// What there is now; sees to it that the file is watched.
    pub(crate) fn watched(self: &Arc<Self>) -> &C {
        if !self.polling.load(Ordering::Relaxed) && !self.place.interval.is_zero() {
            self.start_polling();
        }
        &self.content
    }

    /// Reads the file, and says what is wrong with it.
    #[cfg(feature = "api-key-store")]
    pub(crate) fn reload(&self) -> Result<(), String> {
        self.poll(true)
    }

    /// Takes the file as it is now; what it was when last seen is not told again.
    fn poll(&self, anyway: bool) -> Result<(), String> {
        let mut seen = locked(&self.seen);
        let (now, read) = match self.place.read() {
            Ok((bytes, metadata)) => (Seen::Content(sha256(&[&bytes])), Ok((bytes, metadata))),
            Err(why) => (Seen::Unreadable(why.clone()), Err(why)),
        };
        let changed = *seen != now;
        if !changed && !anyway {
            return Ok(());
        }
        *seen = now;
        let path = &self.place.path;
        let taken = read.map(|(bytes, metadata)| (self.content.take(&bytes), metadata));
        // Events are written without the lock: a subscriber may call this layer.
        drop(seen);
        let taken = taken.and_then(|(taken, metadata)| {
            C::report_access(path, &metadata);
            taken
        });
        match taken {
            Ok(taken) => {
                C::report(path, taken);
                Ok(())
            }
            Err(why) => {
                telemetry::file::unusable(C::NAME, path, &why);
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
struct Polling<C: Content>(Weak<Watched<C>>);

impl<C: Content> Polling<C> {
    async fn run(self) {
        while let Some(interval) = self.0.upgrade().map(|file| file.place.interval) {
            tokio::time::sleep(interval).await;
            let Some(file) = self.0.upgrade() else { return };
            // A panic or an error was told of; the next look may fare better.
            let _ = tokio::task::spawn_blocking(move || file.poll(false)).await;
        }
    }
}

impl<C: Content> Drop for Polling<C> {
    fn drop(&mut self) {
        if let Some(file) = self.0.upgrade() {
            file.polling.store(false, Ordering::Relaxed);
        }
    }
}
