//! The settings of a key set that takes more than its URL to fetch.

use std::path::PathBuf;

use url::Url;

use super::AuthorizationServer;
use super::keys::Source;
use super::url::is_loopback;
use crate::error::ConfigError;

const BEARER_TOKEN_FILE: &str = "jwks_bearer_token_file";
const ROOT_CERTIFICATES_FILE: &str = "jwks_root_certificates_file";

impl AuthorizationServer {
    /// Sends the token in this file with each fetch of the keys: as `Authorization: Bearer`,
    /// because an API server of Kubernetes asks for that of a service account.
    ///
    /// The file is read for each fetch, because such tokens are written anew while a server
    /// runs. The token goes to the configured [`jwks_uri`](Self::jwks_uri) and nowhere else.
    ///
    /// # Errors
    /// The path is empty. Without a `jwks_uri`, or with one that is http and not on loopback,
    /// the builder of the layer refuses it.
    pub fn jwks_bearer_token_file(mut self, path: impl Into<PathBuf>) -> Result<Self, ConfigError> {
        let path = not_empty(BEARER_TOKEN_FILE, path.into())?;
        self.origin.access.bearer_token_file = Some(path);
        Ok(self)
    }

    /// Trusts the authorities in this file for the key set, and no others. The file is PEM, has
    /// one certificate or several, and is read for each fetch.
    ///
    /// [`HttpFetch`](super::HttpFetch) does it. A [`Fetch`](super::Fetch) of your own has to
    /// trust the authority by itself.
    ///
    /// # Errors
    /// The path is empty. Without a [`jwks_uri`](Self::jwks_uri) the builder of the layer
    /// refuses it.
    pub fn jwks_root_certificates_file(
        mut self,
        path: impl Into<PathBuf>,
    ) -> Result<Self, ConfigError> {
        let path = not_empty(ROOT_CERTIFICATES_FILE, path.into())?;
        self.origin.access.root_certificates_file = Some(path);
        Ok(self)
    }

    /// Refuses what would send a token where the configuration does not allow it.
    pub(super) fn check_key_set_access(&self) -> Result<(), ConfigError> {
        let access = &self.origin.access;
        let set = [
            (BEARER_TOKEN_FILE, access.bearer_token_file.is_some()),
            (
                ROOT_CERTIFICATES_FILE,
                access.root_certificates_file.is_some(),
            ),
        ];
        let Some((setting, _)) = set.into_iter().find(|(_, is_set)| *is_set) else {
            return Ok(());
        };
        let Source::JwksUri(jwks_uri) = &self.origin.source else {
            return Err(ConfigError::new(
                setting,
                "it is for the key set at a `jwks_uri`: a place that is discovered may be \
                 anybody's, so give one",
            ));
        };
        let is_private =
            Url::parse(jwks_uri).is_ok_and(|url| url.scheme() == "https" || is_loopback(&url));
        if access.bearer_token_file.is_some() && !is_private {
            return Err(ConfigError::new(
                BEARER_TOKEN_FILE,
                format!("{jwks_uri:?} is not https, so everybody on the way would read the token"),
            ));
        }
        Ok(())
    }
}

fn not_empty(setting: &'static str, path: PathBuf) -> Result<PathBuf, ConfigError> {
    if path.as_os_str().is_empty() {
        let why = "the path is empty; is a variable of the environment not set?";
        return Err(ConfigError::new(setting, why));
    }
    Ok(path)
}
