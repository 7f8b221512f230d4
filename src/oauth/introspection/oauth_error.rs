//! Whether a refusal names this server: `invalid_client` or `unauthorized_client`.
//!
//! The error stands in the body (RFC 6749 section 5.2) or in the challenge (RFC 6750 section 3).

use bytes::Bytes;
use http::Response;
use serde_json::Value;

use crate::json;
use crate::util::challenges::{Challenge, Challenges};

/// The errors that speak of who asks, and of nothing else.
const OURS: [&str; 2] = ["invalid_client", "unauthorized_client"];

/// Whether an answer says that it does not accept who asks.
pub(super) fn names_us(response: &Response<Bytes>) -> bool {
    let in_body = || match json::object(response.body()) {
        Ok(members) => matches!(members.get("error"), Some(Value::String(error)) if is_ours(error)),
        Err(_) => false,
    };
    // Of a description nothing is read: it may repeat anything.
    let in_challenge = |challenge: &Challenge| challenge.param("error").is_some_and(is_ours);
    in_body()
        || Challenges::of(response.headers())
            .list
            .iter()
            .any(in_challenge)
}

fn is_ours(error: &str) -> bool {
    OURS.contains(&error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::util::challenges::headers;

    #[test]
    fn errors_are_read_from_challenges() {
        let table: [(&str, &[&str]); 14] = [
            ("Basic realm=\"x\"", &[]),
            ("Bearer error=\"invalid_client\"", &["invalid_client"]),
            ("Bearer error=invalid_client", &["invalid_client"]),
            ("Bearer ERROR = \"invalid_client\"", &["invalid_client"]),
            (
                "Bearer realm=\"a, b\", error=\"invalid_token\"",
                &["invalid_token"],
            ),
            (
                "Basic realm=\"a\", Bearer error=\"invalid_client\", scope=\"x\"",
                &["invalid_client"],
            ),
            ("Bearer error=\"a\", Other error=b", &["a", "b"]),
            ("Bearer error_description=\"error=invalid_client\"", &[]),
            (
                "Bearer error_description=\"x\\\", error=\\\"invalid_client\\\"\"",
                &[],
            ),
            ("Bearer error=\"invalid\\_client\"", &["invalid_client"]),
            ("Bearer error=\"invalid_client", &[]),
            ("Basic dGVzdA==", &[]),
            ("\"\"\"", &[]),
            ("", &[]),
        ];
        for (challenge, errors) in table {
            let headers = headers(&[challenge]);
            let list = Challenges::of(&headers).list;
            let found: Vec<&str> = list.iter().filter_map(|own| own.param("error")).collect();
            assert_eq!(found, errors, "{challenge}");
            let mut response = Response::new(Bytes::new());
            *response.headers_mut() = headers;
            assert_eq!(
                names_us(&response),
                errors.contains(&OURS[0]),
                "{challenge}"
            );
        }
    }
}
