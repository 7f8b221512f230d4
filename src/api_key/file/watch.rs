//! Reads the key file again when its content has changed.

use std::fmt;
use std::fs::Metadata;
use std::path::Path;
use std::sync::Arc;

use super::{KeyFile, understand, warn_of_others};
use crate::api_key::digest::Pepper;
use crate::api_key::memory::Memory;
use crate::error::ConfigError;
use crate::reload::watched::{Content, Watched};

/// The keys of a file, as they were when it was last good.
#[derive(Clone)]
pub(in crate::api_key) struct FileKeys(Arc<Watched<Taken>>);

/// What is made of the file.
struct Taken {
    memory: Memory,
    pepper: Option<Pepper>,
}

impl Content for Taken {
    const NAME: &'static str = "API key file";

    fn take(&self, path: &Path, bytes: &[u8], metadata: &Metadata) -> Result<usize, String> {
        warn_of_others(path, metadata);
        let keys = understand(path, bytes, self.pepper.as_ref())?;
        let count = keys.len();
        self.memory.replace(keys);
        Ok(count)
    }
}

impl FileKeys {
    pub(super) fn new(file: KeyFile, bytes: &[u8], memory: Memory) -> Self {
        let KeyFile { place, pepper } = file;
        Self(Arc::new(Watched::new(
            place,
            bytes,
            Taken { memory, pepper },
        )))
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
