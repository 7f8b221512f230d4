//! The settings of bound tokens, and of the proxies that hand certificates on.

use serde::Deserialize;

use super::Config;
use super::common::missing;
use super::sections::section;
use super::units::{Name, Texts};
use crate::error::ConfigError;
use crate::oauth::OAuthLayerBuilder;
use crate::oauth::binding::{DpopMode, MtlsMode};
use crate::peer::{CertificateFormat, ForwardedCertificates};

/// Whether tokens may, or must, be bound.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(super) enum Mode {
    #[default]
    Off,
    Allowed,
    Required,
}

impl From<Mode> for DpopMode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Off => Self::Off,
            Mode::Allowed => Self::Allowed,
            Mode::Required => Self::Required,
        }
    }
}

impl From<Mode> for MtlsMode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Off => Self::Off,
            Mode::Allowed => Self::Allowed,
            Mode::Required => Self::Required,
        }
    }
}

section! {
    /// Certificates of clients, where TLS ends at a proxy.
    ForwardedSection {
        /// The form of the header in which the proxies hand them on.
        format: Option<Format>,
        /// The name of that header, for `escaped_pem` and `base64_der`.
        header_name: Option<Name>,
        /// The networks the proxies are in, or their addresses.
        networks: Texts,
    }
}

/// The form in which a proxy writes the certificate of its client.
#[derive(Clone, Copy, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) enum Format {
    #[serde(rename = "Client-Cert")]
    ClientCert,
    #[serde(rename = "escaped_pem")]
    EscapedPem,
    #[serde(rename = "base64_der")]
    Base64Der,
    #[serde(rename = "X-Forwarded-Client-Cert")]
    Xfcc,
}

impl From<Format> for CertificateFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::ClientCert => Self::ClientCert,
            Format::EscapedPem => Self::EscapedPem,
            Format::Base64Der => Self::Base64Der,
            Format::Xfcc => Self::Xfcc,
        }
    }
}

impl Config {
    /// Sets which proxies hand on certificates, where tokens may be bound to these.
    pub(super) fn bind_to_certificates(
        &self,
        builder: OAuthLayerBuilder,
    ) -> Result<OAuthLayerBuilder, ConfigError> {
        const PATH: &str = "oauth.forwarded_certificates";
        let oauth = self.sections.oauth.as_ref();
        let Some(section) = oauth.and_then(|oauth| oauth.forwarded_certificates.as_ref()) else {
            return Ok(builder);
        };
        let mut servers = self.sections.authorization_servers.items.iter();
        if servers.all(|(_, server)| matches!(server.mtls, Mode::Off)) {
            let why = "it is for tokens that are bound to certificates, and `mtls` of no \
                       authorization server is `allowed` or `required`";
            return Err(ConfigError::new("forwarded_certificates", why).at(PATH));
        }
        let Some(format) = section.format else {
            let why = "say how the proxies write it: `Client-Cert`, `escaped_pem`, `base64_der` or \
                       `X-Forwarded-Client-Cert`";
            return Err(missing(
                "format",
                "oauth.forwarded_certificates.format",
                why,
            ));
        };
        let under = |error: ConfigError| error.under(PATH);
        let Texts(networks) = &section.networks;
        let mut forwarded = ForwardedCertificates::new(format.into(), networks).map_err(under)?;
        if let Some(name) = &section.header_name {
            forwarded = forwarded.header_name(name.as_str()).map_err(under)?;
        }
        Ok(builder.forwarded_certificates(forwarded))
    }
}
