//! The credentials and roots of a fetch of keys, for servers that ask for them.
//!
//! Both are read from files each time, because both change while the server runs.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use http::HeaderValue;

use crate::oauth::fetch::{Extras, RootCertificates};

/// The files. A Kubernetes cluster gives each pod both.
#[derive(Clone, Debug, Default)]
pub(in crate::oauth) struct KeySetAccess {
    pub(in crate::oauth) bearer_token_file: Option<PathBuf>,
    pub(in crate::oauth) root_certificates_file: Option<PathBuf>,
}

/// How large the files may be: far larger than any that is there.
const MAX_TOKEN: u64 = 64 << 10;
const MAX_CERTIFICATES: u64 = 1 << 20;

impl KeySetAccess {
    /// What is in the files now.
    pub(super) async fn read(&self) -> Result<Extras, String> {
        if self.bearer_token_file.is_none() && self.root_certificates_file.is_none() {
            return Ok(Extras::default());
        }
        let files = self.clone();
        let read = tokio::task::spawn_blocking(move || files.read_now());
        read.await
            .unwrap_or_else(|_| Err("the files that go with the request were not read".to_owned()))
    }

    fn read_now(&self) -> Result<Extras, String> {
        let authorization = self.bearer_token_file.as_deref().map(bearer).transpose()?;
        let roots = self.root_certificates_file.as_deref();
        let roots = roots.map(|path| read(path, MAX_CERTIFICATES)).transpose()?;
        Ok(Extras {
            authorization,
            root_certificates: roots.map(|pem| RootCertificates(pem.into())),
            ..Extras::default()
        })
    }
}

/// The header with the token in a file.
fn bearer(path: &Path) -> Result<HeaderValue, String> {
    let token = read(path, MAX_TOKEN)?;
    let token = token.trim_ascii();
    let is_right = |byte: &u8| byte.is_ascii_graphic();
    if token.is_empty() || !token.iter().all(is_right) {
        return Err(format!("the file {path:?} has no token"));
    }
    let mut header = HeaderValue::from_bytes(&[b"Bearer ", token].concat())
        .map_err(|_| format!("the file {path:?} has no token"))?;
    header.set_sensitive(true);
    Ok(header)
}

fn read(path: &Path, most: u64) -> Result<Vec<u8>, String> {
    let failed = |error: std::io::Error| format!("the file {path:?} cannot be read: {error}");
    // Opening a pipe would wait for a writer, and some devices never end.
    if !std::fs::metadata(path).map_err(failed)?.is_file() {
        return Err(format!("{path:?} is no regular file"));
    }
    let mut content = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(most + 1)
        .read_to_end(&mut content)
        .map_err(failed)?;
    match content.len() as u64 {
        length if length <= most => Ok(content),
        _ => Err(format!("the file {path:?} has more than {most} bytes")),
    }
}
