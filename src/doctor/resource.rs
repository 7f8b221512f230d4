//! How the `resource` of the metadata compares with the URL that clients are given.

use url::Url;

use super::codes;
use super::findings::Findings;
use crate::oauth::Written;
use crate::util::quoted;

/// Tells how they differ, if they do.
pub(super) fn judge(written: &str, resource: &str, at: &Url, findings: &mut Findings) {
    if is_same(written, resource) {
        return;
    }
    let evidence = format!("{} at {}", quoted(resource), quoted(at.as_str()));
    let (Ok(given), Ok(own)) = (written.parse::<Url>(), resource.parse::<Url>()) else {
        findings.add(codes::RESOURCE_PATH, evidence);
        return;
    };
    let code = if given.scheme() != own.scheme() {
        codes::RESOURCE_SCHEME
    } else if given.host_str() != own.host_str() {
        codes::RESOURCE_HOST
    } else if given.port_or_known_default() != own.port_or_known_default() {
        codes::RESOURCE_PORT
    } else if given.path() != own.path() || given.query() != own.query() {
        let (one, two) = (given.path(), own.path());
        let is_slash = one.trim_end_matches('/') == two.trim_end_matches('/');
        if is_slash && given.query() == own.query() {
            codes::RESOURCE_TRAILING_SLASH
        } else if is_above(two, one) {
            codes::RESOURCE_WIDER
        } else {
            codes::RESOURCE_PATH
        }
    } else if Written::split(written).origin.len() != Written::split(resource).origin.len() {
        // `:443`, which some compare letter by letter.
        codes::RESOURCE_PORT
    } else {
        codes::RESOURCE_HOST
    };
    findings.add(code, evidence);
}

/// Byte by byte; an origin is the same with its slash and without.
pub(super) fn is_same(one: &str, other: &str) -> bool {
    let with_slash = |text: &str| {
        let parts = Written::split(text);
        let slash = if parts.path.is_empty() { "/" } else { "" };
        format!("{}{}{slash}{}", parts.origin, parts.path, parts.query)
    };
    one == other || with_slash(one) == with_slash(other)
}

/// Whether whole segments of `path` follow those of `above`.
fn is_above(above: &str, path: &str) -> bool {
    let above = above.strip_suffix('/').unwrap_or(above);
    let rest = path.strip_prefix(above);
    rest.is_some_and(|rest| rest.starts_with('/') && rest.len() > 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_difference_has_its_code() {
        let at: Url = "https://h.example/.well-known/x".parse().unwrap();
        for (written, resource, code) in [
            ("https://h.example/mcp", "https://h.example/mcp", None),
            ("https://h.example", "https://h.example/", None),
            (
                "https://h.example/mcp",
                "https://h.example/mcp/",
                Some("resource_trailing_slash"),
            ),
            (
                "https://h.example/mcp/",
                "https://h.example/mcp",
                Some("resource_trailing_slash"),
            ),
            (
                "https://h.example/mcp",
                "http://h.example/mcp",
                Some("resource_scheme"),
            ),
            (
                "https://h.example/mcp",
                "https://g.example/mcp",
                Some("resource_host"),
            ),
            (
                "https://h.example/mcp",
                "https://H.example/mcp",
                Some("resource_host"),
            ),
            (
                "http://127.0.0.1:3/mcp",
                "http://localhost:3/mcp",
                Some("resource_host"),
            ),
            (
                "https://h.example/mcp",
                "https://h.example:443/mcp",
                Some("resource_port"),
            ),
            (
                "https://h.example/mcp",
                "https://h.example:8443/mcp",
                Some("resource_port"),
            ),
            (
                "https://h.example/team/mcp",
                "https://h.example/mcp",
                Some("resource_path"),
            ),
            (
                "https://h.example/mcp",
                "https://h.example/team/mcp",
                Some("resource_path"),
            ),
            (
                "https://h.example/mcp",
                "https://h.example/mcp2",
                Some("resource_path"),
            ),
            (
                "https://h.example/mcp",
                "https://h.example/mcp?x",
                Some("resource_path"),
            ),
            ("https://h.example/mcp", "mcp", Some("resource_path")),
            (
                "https://h.example/mcp",
                "https://h.example",
                Some("resource_wider"),
            ),
            (
                "https://h.example/a/mcp",
                "https://h.example/a",
                Some("resource_wider"),
            ),
        ] {
            let mut findings = Findings::new(written, "");
            judge(written, resource, &at, &mut findings);
            let found: Vec<_> = findings
                .ranked()
                .iter()
                .map(|own| own.code.code())
                .collect();
            assert_eq!(found, Vec::from_iter(code), "{resource} for {written}");
        }
    }
}
