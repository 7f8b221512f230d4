//! What a query string must not have: a credential there has leaked into logs and histories.

use http::Uri;
use percent_encoding::percent_decode;

use super::Location;
use crate::error::{AuthError, ConfigError, Reason};
use crate::util::quoted;

/// The longest name of a query parameter that can be forbidden.
const LONGEST_NAME: usize = 64;

/// The names a query string must not have. They compare percent-decoded, with ASCII case
/// and the characters `-` and `_` left out of account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct QueryNames {
    folded: Vec<Box<[u8]>>,
}

impl Default for QueryNames {
    fn default() -> Self {
        let names = [
            "access_token",
            "token",
            "authorization",
            "api_key",
            "x-api-key",
        ];
        Self {
            folded: names
                .iter()
                .map(|name| fold(name.bytes()).collect())
                .collect(),
        }
    }
}

impl QueryNames {
    pub(crate) fn new<I>(names: I) -> Result<Self, ConfigError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let mut folded = Vec::new();
        for name in names {
            let name: Box<[u8]> = fold(name.as_ref().bytes()).collect();
            if name.is_empty() || name.len() > LONGEST_NAME {
                return Err(ConfigError::new(
                    "forbidden_query_names",
                    format!("a name needs 1 to {LONGEST_NAME} characters besides `-` and `_`"),
                ));
            }
            folded.push(name);
        }
        Ok(Self { folded })
    }

    /// Refuses a query that has one of the names, or the name of a header a provider reads.
    pub(crate) fn check(&self, uri: &Uri, locations: &[Location]) -> Result<(), AuthError> {
        let Some(query) = uri.query() else {
            return Ok(());
        };
        self.check_query(query, locations)
    }

    fn check_query(&self, query: &str, locations: &[Location]) -> Result<(), AuthError> {
        for pair in query.split('&') {
            let name = pair.split('=').next().unwrap_or_default();
            // Compared as it is decoded: each comparison ends at the first difference.
            let asked = || fold(percent_decode(name.as_bytes()));
            let forbidden = self
                .folded
                .iter()
                .any(|own| asked().eq(own.iter().copied()))
                || locations
                    .iter()
                    .any(|location| asked().eq(fold(location.header.as_str().bytes())));
            if forbidden {
                return Err(AuthError::new(Reason::TOKEN_IN_QUERY)
                    .with_detail(format!("query parameter {}", quoted(name))));
            }
        }
        Ok(())
    }
}

/// A name as it compares: without `-` and `_`, in lower case.
fn fold(name: impl Iterator<Item = u8>) -> impl Iterator<Item = u8> {
    name.filter(|byte| !matches!(byte, b'-' | b'_'))
        .map(|byte| byte.to_ascii_lowercase())
}
