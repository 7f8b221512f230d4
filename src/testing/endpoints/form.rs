//! Form parameters.

use http::header::{self, HeaderMap};
use url::form_urlencoded;

use super::OAuthError;

/// The parameters of a request (RFC 6749 appendix B). Those without a value count as
/// absent (section 3.1).
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    pub(super) fn parse(encoded: &[u8]) -> Self {
        let pairs = form_urlencoded::parse(encoded)
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| (name.into_owned(), value.into_owned()));
        Self(pairs.collect())
    }

    /// The body of a POST.
    pub(super) fn body(headers: &HeaderMap, body: &[u8]) -> Result<Self, OAuthError> {
        let content_type = headers
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        if !media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(OAuthError::invalid_request(
                "the body is not application/x-www-form-urlencoded",
            ));
        }
        Ok(Self::parse(body))
    }

    /// A parameter that must not be repeated (RFC 6749 section 3.1).
    pub(super) fn one(&self, name: &str) -> Result<Option<&str>, OAuthError> {
        let mut values = self.all(name);
        let first = values.next();
        if values.next().is_some() {
            return Err(OAuthError::invalid_request("a parameter is repeated"));
        }
        Ok(first)
    }

    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .filter(move |(own, _)| own == name)
            .map(|(_, value)| value.as_str())
    }

    /// The values of `resource` (RFC 8707 section 2), byte for byte.
    pub(super) fn resources(&self) -> Result<Vec<String>, OAuthError> {
        let mut resources: Vec<String> = Vec::new();
        for resource in self.all("resource") {
            let is_absolute = url::Url::parse(resource).is_ok();
            if !is_absolute || resource.contains('#') {
                return Err(OAuthError::new(
                    "invalid_target",
                    "resource is not an absolute URI without a fragment",
                ));
            }
            if !resources.iter().any(|known| known == resource) {
                resources.push(resource.to_owned());
            }
        }
        Ok(resources)
    }
}
