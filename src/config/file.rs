//! Files that a configuration names.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::error::ConfigError;

/// The largest file a configuration may name, in bytes: key sets and keys are far smaller.
const LARGEST: u64 = 1 << 20;

/// The bytes of a file. The error names the file, and has to be told which setting named it.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, ConfigError> {
    let refuse = |why: String| ConfigError::new("file", format!("{}: {why}", path.display()));
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes))
        .map_err(|error| refuse(error.to_string()))?;
    if bytes.len() as u64 > LARGEST {
        return Err(refuse(format!("it has more than {LARGEST} bytes")));
    }
    Ok(bytes)
}
