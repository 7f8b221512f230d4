//! The URL that a proof is for, compared as RFC 3986 sections 6.2.2 and 6.2.3 have it.

use crate::authority::Origin;

/// A URL without query and fragment, in the one spelling of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target(String);

impl Target {
    /// The target of a request: scheme and authority of the resource, and the path as the client
    /// sent it.
    pub(super) fn of_request(resource: &str, path: &str) -> Result<Self, &'static str> {
        let (origin, _) = split(resource)?;
        Self::new(origin, path)
    }

    /// The `htu` of a proof. Query and fragment are dropped (RFC 9449 section 4.3).
    pub(super) fn parse(htu: &str) -> Result<Self, &'static str> {
        let (origin, rest) = split(htu)?;
        let end = rest.find(['?', '#']).unwrap_or(rest.len());
        Self::new(origin, &rest[..end])
    }

    fn new(origin: &str, path: &str) -> Result<Self, &'static str> {
        // An empty port is none.
        let origin = origin.strip_suffix(':').unwrap_or(origin);
        let origin = Origin::parse(origin).ok_or("its scheme or its host is not plain")?;
        let host = origin.authority.host.lower();
        // With room for a port.
        let room = origin.scheme.len() + "://".len() + host.len() + ":65535".len() + path.len();
        let mut url = String::with_capacity(room + 1);
        url.push_str(origin.scheme);
        url.make_ascii_lowercase();
        url.push_str("://");
        url.push_str(&host);
        if let Some(port) = origin.authority.port_beyond(origin.scheme) {
            url.push(':');
            url.push_str(&port.to_string());
        }
        let begin = url.len();
        decode_unreserved(path, &mut url)?;
        if url.len() == begin {
            url.push('/');
        }
        if !url[begin..].starts_with('/') {
            return Err("its path does not begin with a slash");
        }
        // No URL has them, and browsers read a backslash as a slash and leave tabs out.
        if path.contains(|c: char| c == '\\' || c.is_ascii_control() || c == ' ') {
            return Err("its path has a backslash, a space or a control character");
        }
        // Most paths have none, and stay where they are.
        if url[begin..].contains("/.") {
            let path = without_dot_segments(&url[begin..]);
            url.truncate(begin);
            url.push_str(&path);
        }
        Ok(Self(url))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Scheme and authority, and what follows.
fn split(url: &str) -> Result<(&str, &str), &'static str> {
    let after_scheme = url.find("://").ok_or("it is no absolute URL")? + 3;
    let end = url[after_scheme..].find(['/', '?', '#']);
    let end = end.map_or(url.len(), |at| after_scheme + at);
    match url[after_scheme..end].contains('@') {
        // RFC 9110 section 4.2.4.
        true => Err("it has a user name or a password"),
        false => Ok(url.split_at(end)),
    }
}

/// Section 6.2.2.2: what needs no encoding is decoded, and the rest is written in upper case.
fn decode_unreserved(path: &str, out: &mut String) -> Result<(), &'static str> {
    let is_unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let mut parts = path.split('%');
    out.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let code = part.get(..2).filter(|code| {
            let mut digits = code.bytes();
            digits.all(|digit| digit.is_ascii_hexdigit())
        });
        let byte = code.and_then(|code| u8::from_str_radix(code, 16).ok());
        let (Some(code), Some(byte)) = (code, byte) else {
            return Err("its path has a percent sign that encodes nothing");
        };
        if is_unreserved(byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push_str(&code.to_ascii_uppercase());
        }
        out.push_str(&part[2..]);
    }
    Ok(())
}

/// Section 5.2.4, for a path that begins with a slash.
fn without_dot_segments(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut is_open = false;
    for segment in path.split('/').skip(1) {
        // What ends in a dot segment ends in a slash.
        is_open = matches!(segment, "." | "..");
        match segment {
            "." => {}
            ".." => drop(kept.pop()),
            segment => kept.push(segment),
        }
    }
    let mut path = String::with_capacity(path.len());
    for segment in kept {
        path.push('/');
        path.push_str(segment);
    }
    if is_open {
        path.push('/');
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Section 5.2.4 of RFC 3986, and what readers of other specifications trip over.
    #[test]
    fn each_url_has_one_spelling() {
        for (written, normal) in [
            ("https://a.example", "https://a.example/"),
            ("HTTPS://A.Example:443/", "https://a.example/"),
            ("https://a.example:/x", "https://a.example/x"),
            ("http://a.example:80/x?q=1#f", "http://a.example/x"),
            ("https://a.example:80/x", "https://a.example:80/x"),
            ("https://a.example?q=/../x", "https://a.example/"),
            ("https://[2001:DB8:0::1]/x", "https://[2001:db8::1]/x"),
            (
                "https://a.example/%7Ealice/%2f",
                "https://a.example/~alice/%2F",
            ),
            ("https://a.example/a/./b/../c", "https://a.example/a/c"),
            ("https://a.example/a/%2E%2e/c", "https://a.example/c"),
            ("https://a.example/a/..", "https://a.example/"),
            ("https://a.example/a/b/.", "https://a.example/a/b/"),
            ("https://a.example/../../a", "https://a.example/a"),
            ("https://a.example/a//b", "https://a.example/a//b"),
            (
                "https://a.example/.well-known/..x",
                "https://a.example/.well-known/..x",
            ),
            ("https://a.example/A", "https://a.example/A"),
            ("https://a.example/a/", "https://a.example/a/"),
        ] {
            let target = Target::parse(written);
            assert_eq!(target.as_ref().map(Target::as_str), Ok(normal), "{written}");
            assert_eq!(Target::parse(normal), target, "{normal}");
        }
    }

    #[test]
    fn what_has_no_one_spelling_is_refused() {
        for written in [
            "/mcp",
            "mcp.example.com/mcp",
            "https://alice@a.example/x",
            "https://a.example:0443/x",
            "https://a.example:x/",
            "https://a.ex ample/x",
            "https://a%2eexample/x",
            "https:///x",
            "https://a.example./x",
            "https://a.example/%",
            "https://a.example/%4",
            "https://a.example/%zz",
            "https://a.example/%+1",
            "https://a.example/a\\..\\b",
            "https://a.example/a/.\t./b",
            "https://a.example/a b",
            "https://a.example/a\0",
            "https://a.example/a\x7f",
            "",
        ] {
            assert!(Target::parse(written).is_err(), "{written}");
        }
        assert!(Target::of_request("https://a.example/mcp", "*").is_err());
    }
}
