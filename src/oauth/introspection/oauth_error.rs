//! Whether a refusal names this server: `invalid_client` or `unauthorized_client`.
//!
//! The error stands in the body (RFC 6749 section 5.2) or in the challenge (RFC 6750 section 3).

use bytes::Bytes;
use http::Response;
use http::header::WWW_AUTHENTICATE;
use serde_json::Value;

use crate::json;

/// The errors that speak of who asks, and of nothing else.
const OURS: [&str; 2] = ["invalid_client", "unauthorized_client"];

/// Whether an answer says that it does not accept who asks.
pub(super) fn names_us(response: &Response<Bytes>) -> bool {
    let in_body = || match json::object(response.body()) {
        Ok(members) => matches!(members.get("error"), Some(Value::String(error)) if is_ours(error)),
        Err(_) => false,
    };
    let challenges = response.headers().get_all(WWW_AUTHENTICATE);
    let mut challenges = challenges.iter().filter_map(|value| value.to_str().ok());
    in_body() || challenges.any(|challenge| errors_in(challenge).any(|error| is_ours(&error)))
}

fn is_ours(error: &str) -> bool {
    OURS.contains(&error)
}

/// The values of the parameters `error` of challenges (RFC 9110 section 11.6.1). What stands in
/// quotes is skipped: a description may repeat anything.
fn errors_in(challenge: &str) -> impl Iterator<Item = String> {
    let mut rest = challenge;
    std::iter::from_fn(move || {
        while !rest.is_empty() {
            let name = rest.trim_start_matches([' ', '\t', ',']);
            let end = name.find([' ', '\t', ',', '=', '"']).unwrap_or(name.len());
            let (name, after) = name.split_at(end);
            let after = after.trim_start_matches([' ', '\t']);
            let Some(value) = after.strip_prefix('=') else {
                // A scheme, or a quotation mark that belongs nowhere.
                rest = after.strip_prefix('"').unwrap_or(after);
                continue;
            };
            let (value, after) = value_in(value.trim_start_matches([' ', '\t']));
            rest = after;
            if name.eq_ignore_ascii_case("error") {
                return Some(value);
            }
        }
        None
    })
}

/// A token, or a quoted string without its quotes and escapes; and what follows.
fn value_in(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([' ', '\t', ',']).unwrap_or(text.len());
        return (text[..end].to_owned(), &text[end..]);
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            _ => value.push(character),
        }
    }
    // Without an end: no value that is to be believed.
    (String::new(), "")
}

#[cfg(test)]
mod tests {
    use super::*;

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
            ("Bearer error=\"invalid_client", &[""]),
            ("Basic dGVzdA==", &[]),
            ("\"\"\"", &[]),
            ("", &[]),
        ];
        for (challenge, errors) in table {
            assert_eq!(
                errors_in(challenge).collect::<Vec<_>>(),
                errors,
                "{challenge}"
            );
        }
    }
}
