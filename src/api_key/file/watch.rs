//! Reads the key file again when its content has changed.

use std::fmt;
use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{KeyFile, understand, warn_of_others};
use crate::api_key::digest::Pepper;
use crate::api_key::memory::Memory;
use crate::error::ConfigError;
use crate::reload::watched::{Content, Watched};
use crate::telemetry;

/// The keys of a file, as they were when it was last good.
#[derive(Clone)]
pub(in crate::api_key) struct FileKeys(Arc<Watched<Keys>>);

/// What is made of the file.
struct Keys {
    path: PathBuf,
    memory: Memory,
    pepper: Option<Pepper>,
}

impl Content for Keys {
    const NAME: &'static str = "API key file";

    /// How many keys there are.
    type Taken = usize;

    fn take(&self, bytes: &[u8]) -> Result<usize, String> {
        let keys = understand(&self.path, bytes, self.pepper.as_ref())?;
        let count = keys.len();
        self.memory.replace(keys);
        Ok(count)
    }

    fn report_access(path: &Path, metadata: &Metadata) {
        warn_of_others(path, metadata);
    }

    fn report(path: &Path, keys: usize) {
        telemetry::file::read(Self::NAME, path, keys);
        if keys == 0 {
            telemetry::file::without_keys(path);
        }
    }
}

impl FileKeys {
    pub(super) fn new(file: KeyFile, bytes: &[u8], memory: Memory) -> Self {
        let KeyFile { place, pepper } = file;
        let keys = Keys {
            path: place.path.clone(),
            memory,
            pepper,
        };
        Self(Arc::new(Watched::new(place, bytes, keys)))
    }

    /// The keys as they were read last.
    pub(in crate::api_key) fn memory(&self) -> &Memory {
        &self.0.content().memory
    }

    /// The keys; sees to it that somebody looks after the file.
    pub(in crate::api_key) fn watched(&self) -> &Memory {
        &self.0.watched().memory
    }

    /// Reads the file, and says what is wrong with it.
    pub(in crate::api_key) fn reload(&self) -> Result<(), ConfigError> {
        let path = &self.0.place().path;
        self.0.reload().map_err(|why| super::error(path, &why))
    }
}

impl fmt::Debug for FileKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileKeys")
            .field("path", &self.0.place().path)
            .field("keys", &self.0.content().memory.keys.load().len())
            .finish_non_exhaustive()
    }
}
