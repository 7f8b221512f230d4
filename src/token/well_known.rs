//! Addresses of metadata documents, given where an issuer, a key set or a resource is expected.

use crate::error::ConfigError;

/// Where the metadata of authorization servers are (RFC 8414 section 3.1, OpenID Connect
/// Discovery 1.0 section 4), and what people take for it.
const OF_ISSUERS: [&str; 4] = [
    "openid-configuration",
    "oauth-authorization-server",
    "jwks.json",
    "jwks",
];

/// Where the metadata of resources are (RFC 9728 section 3.1).
const OF_RESOURCES: &str = "oauth-protected-resource";

/// Refuses the address of a document about an issuer or a resource in the place of the issuer.
pub(crate) fn refuse_as_issuer(setting: &'static str, url: &str) -> Result<(), ConfigError> {
    if split(url, OF_RESOURCES).is_some() {
        return Err(ConfigError::new(
            setting,
            format!(
                "{url:?} is the address of the metadata of a resource; write the issuer, which \
                 stands in their `authorization_servers`"
            ),
        ));
    }
    let Some(found) = OF_ISSUERS.iter().find_map(|name| split(url, name)) else {
        return Ok(());
    };
    let issuer = found.identifier();
    Err(ConfigError::new(
        setting,
        format!(
            "{url:?} is the address of a document about the issuer; write the issuer itself, \
             {issuer:?}, or with a `/` at its end if the `issuer` of that document has one"
        ),
    ))
}

/// Refuses the address of an authorization server's metadata where `wanted` is asked for.
#[cfg(feature = "oauth")]
pub(crate) fn refuse_as(setting: &'static str, url: &str, wanted: &str) -> Result<(), ConfigError> {
    let documents = &OF_ISSUERS[..2];
    // What lies behind the OpenID document is a place of its own: IdentityServer has keys there.
    let is_document = |name: &&&str| {
        split(url, name).is_some_and(|found| found.after.is_empty() || **name != OF_ISSUERS[0])
    };
    match documents.iter().find(is_document) {
        None => Ok(()),
        Some(_) => Err(ConfigError::new(
            setting,
            format!("{url:?} is the address of metadata; {wanted}"),
        )),
    }
}

/// Refuses the address of a resource's metadata in the place of the resource.
#[cfg(feature = "oauth")]
pub(crate) fn refuse_as_resource(url: &str) -> Result<(), ConfigError> {
    let Some(found) = split(url, OF_RESOURCES) else {
        return Ok(());
    };
    let resource = found.identifier();
    Err(ConfigError::new(
        "resource",
        format!(
            "{url:?} is the address of the metadata of a resource; write the URL of the resource \
             itself, {resource:?}"
        ),
    ))
}

struct Found<'u> {
    before: &'u str,
    after: &'u str,
}

impl Found<'_> {
    /// What the document is about: its own path is put before the path of that, or behind.
    fn identifier(&self) -> String {
        // Where IdentityServer has its keys.
        let after = if self.after == "/jwks" {
            ""
        } else {
            self.after
        };
        format!("{}{after}", self.before)
    }
}

/// A URL with the well-known document of this name in its path.
fn split<'u>(url: &'u str, name: &str) -> Option<Found<'u>> {
    let url = &url[..url.find(['?', '#']).unwrap_or(url.len())];
    let mark = format!("/.well-known/{name}");
    let start = url.to_ascii_lowercase().find(&mark)?;
    let after = &url[start + mark.len()..];
    let after = after.strip_suffix('/').unwrap_or(after);
    let is_segment = after.is_empty() || after.starts_with('/');
    is_segment.then_some(Found {
        before: &url[..start],
        after,
    })
}
