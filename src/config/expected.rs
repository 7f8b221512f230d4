//! What a configuration expects of the server that is made from it.

use super::Config;
use super::binding::Mode;
use super::common::missing;
use super::fetch::FetchSection;
use crate::error::ConfigError;
use crate::oauth::Expected;

impl Config {
    /// What it expects of tokens at this URL. Neither secrets nor files are read: the doctor may
    /// run where there are none.
    pub(crate) fn expected(&self, url: &str) -> Result<Expected, ConfigError> {
        let mut sections = self.sections.clone();
        let mut audiences = Vec::new();
        for (_, server) in &mut sections.authorization_servers.items {
            if let Some(introspection) = server.introspection.take() {
                audiences.extend(introspection.audience.0);
            }
            server.introspection_without_audience = false;
            server.dpop = Mode::Off;
            server.mtls = Mode::Off;
            server.jwks_file = None;
            server.jwks_bearer_token_file = None;
            server.jwks_root_certificates_file = None;
        }
        if let Some(oauth) = &mut sections.oauth {
            oauth.dpop = None;
            oauth.forwarded_certificates = None;
            oauth.fetch = FetchSection::default();
        }
        let why = "there are none, and the doctor looks at access tokens alone";
        let builder = sections.oauth_builder()?;
        let builder = builder
            .ok_or_else(|| missing("authorization_servers", "authorization_servers", why))?;
        let mut expected = builder.expected(url);
        expected.audiences.extend(audiences);
        Ok(expected)
    }
}
