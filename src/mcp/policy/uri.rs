//! URIs of resources, in the one form rules are compared in.
//!
//! A server may resolve a URI before it opens what it names. So that no other spelling of it
//! slips past a rule, both are brought into the form of RFC 3986 section 6.2.2. A spelling
//! that parsers of the WHATWG URL Standard take for a plainer one is in no form at all, and
//! neither is what servers resolve in different ways.

use std::borrow::Cow;

use super::authority::{Scheme, Server};

/// Why a URI is in no form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unclear {
    /// It has a plainer spelling, which parsers take it for.
    Respelled(&'static str),
    /// It has no plainer spelling, and servers do not agree about what it names.
    Disputed(&'static str),
}

impl Unclear {
    pub(super) fn why(self) -> &'static str {
        match self {
            Self::Respelled(why) | Self::Disputed(why) => why,
        }
    }
}

/// Where the text ends that is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// Where the URI ends.
    Whole,
    /// Anywhere within it: more may follow.
    Cut,
}

const BYTE_ORDER_MARK: char = '\u{feff}';

/// Stands for a variable of a form. Elsewhere it is encoded.
pub(super) const VARIABLE: &str = "{";

/// The URI without its fragment, with scheme and host in lower case, and nothing encoded
/// that needs no encoding; `None` where servers could disagree about what it names.
pub(super) fn canonical(uri: &str) -> Option<Cow<'_, str>> {
    exact(uri).ok()
}

/// The same, with the reason.
pub(super) fn exact(uri: &str) -> Result<Cow<'_, str>, Unclear> {
    read(uri, End::Whole, false)
}

/// A form of URIs, with a [`VARIABLE`] in the place of each variable; one that is open goes
/// on with anything.
pub(super) fn form(text: &str, open: bool) -> Result<Cow<'_, str>, Unclear> {
    let end = if open { End::Cut } else { End::Whole };
    read(text, end, true)
}

/// What all URIs of a template begin with (RFC 6570).
pub(super) fn head(template: &str) -> Option<Cow<'_, str>> {
    let Some((before, expression)) = template.split_once('{') else {
        return canonical(template);
    };
    if climbs(template) {
        return None;
    }
    // Where nothing follows, it is left out.
    let before = before.trim_end();
    let head = read(before, End::Cut, false).ok()?;
    let scheme_end = scheme(&head).unwrap_or(0);
    let scheme = Scheme::of(&head[..scheme_end]);
    let Some(after) = head[scheme_end..].strip_prefix("//") else {
        return Some(head);
    };
    let known = match after.find(['/', '?']) {
        // A drive in the first segment would be taken for the host.
        Some(slash) if scheme == Scheme::File && slash > 0 && slash + 1 == after.len() => false,
        Some(_) => true,
        // The expression begins with what ends the host.
        None if expression.starts_with(['/', '?', '#']) => return canonical(before),
        // What the variable adds could make another name of the same host.
        None if scheme.is_special() => after.is_empty(),
        None => !after.contains([':', '@', '[']),
    };
    match known {
        true => Some(head),
        false => Some(head[..scheme_end + 2].to_owned().into()),
    }
}

/// Whether a template has dot segments: what its URIs begin with says little then.
fn climbs(template: &str) -> bool {
    let mut parts = template.split('{');
    let mut names = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (variable, literal) = part.split_once('}').unwrap_or((part, ""));
        // A variable is a part of a name, or begins with what ends one.
        let end = variable.chars().next();
        names.extend(end.filter(|end| matches!(end, '/' | '?' | '#')));
        names.push('x');
        names.push_str(literal);
    }
    let (names, _) = decode(&names, false);
    let path = names.find(['?', '#']).map_or(&*names, |end| &names[..end]);
    // A dropped character could make one.
    if path.contains(char::is_control) {
        return true;
    }
    let mut segments = path.split(['/', '\\']);
    segments.any(|segment| matches!(segment, "." | ".."))
}

fn read(text: &str, end: End, variables: bool) -> Result<Cow<'_, str>, Unclear> {
    use Unclear::{Disputed, Respelled};

    let cut = end == End::Cut;
    // A fragment names a part of the same resource.
    let text = text.split_once('#').map_or(text, |(uri, _)| uri);
    let blank = char::is_whitespace;
    if text.starts_with(blank) || !cut && text.ends_with(blank) {
        return Err(Respelled(
            "white space at its beginning or end, which some readers drop, is left out",
        ));
    }
    if text.chars().any(|c| c.is_control() || c == BYTE_ORDER_MARK) {
        return Err(Respelled(
            "control characters and byte order marks, which some readers drop, are left out or \
             encoded",
        ));
    }
    let (uri, mut disputed) = decode(text, variables);
    let mut dispute = |why| {
        disputed.get_or_insert(why);
    };
    let scheme_end = scheme(&uri).unwrap_or(0);
    let scheme = Scheme::of(&uri[..scheme_end]);
    let rest = &uri[scheme_end..];
    if cut && scheme_end == 0 && is_scheme(&uri) && uri.bytes().any(|b| b.is_ascii_uppercase()) {
        return Err(Respelled("schemes are in lower case"));
    }
    let hierarchy = &rest[..rest.find('?').unwrap_or(rest.len())];
    if scheme.is_special() && hierarchy.contains('\\') {
        return Err(Respelled("a `\\` of this scheme is a `/`"));
    }
    if rest.contains('\\') {
        dispute("a `\\` is a `/` to some servers");
    }
    let authority = match rest.strip_prefix("//") {
        Some(after) => 2 + after.find(['/', '?']).unwrap_or(after.len()),
        // The beginning of a form may be cut short.
        None if cut && "//".starts_with(rest) => 0,
        None if scheme.is_special() => {
            return Err(Respelled("behind this scheme are `//` and the host"));
        }
        None => 0,
    };
    let is_complete = !cut || authority < rest.len();
    if let Some(text) = rest[..authority].strip_prefix("//")
        && !(variables && text == VARIABLE)
    {
        let server = Server { scheme, text };
        let disputed = match is_complete {
            true => server.check(),
            false => server.check_beginning(),
        };
        if let Some(why) = disputed.map_err(Respelled)? {
            dispute(why);
        }
    }
    let path = &hierarchy[authority..];
    let is_hierarchy = authority > 0 || path.starts_with('/');
    let mut segments = path.split('/').enumerate().peekable();
    while let Some((index, segment)) = segments.next() {
        let is_last = segments.peek().is_none();
        // Of the last one more may follow, which makes a name of it.
        let is_cut = is_last && cut && hierarchy.len() == rest.len();
        match segment {
            "." | ".." if is_cut => {}
            "." | ".." if is_hierarchy => {
                return Err(Respelled("the segments `.` and `..` are resolved"));
            }
            "." | ".." => dispute("the segments `.` and `..` are resolved by some servers"),
            "" if index == 0 || is_last => {}
            "" if index == 1 && scheme == Scheme::File => {
                return Err(Respelled("the path begins with one `/`"));
            }
            "" => dispute("empty segments are dropped by some servers"),
            _ if index == 1 && scheme == Scheme::File => {
                drive(segment, authority > 2).map_err(Respelled)?;
            }
            _ => {}
        }
    }
    if let Some(why) = disputed {
        return Err(Disputed(why));
    }
    let folded = scheme_end + authority;
    let has_capitals = uri.as_bytes()[..folded].iter().any(u8::is_ascii_uppercase);
    // RFC 3986 section 6.2.3.
    let lacks_slash = scheme.is_special() && authority > 0 && is_complete && path.is_empty();
    if !has_capitals && !lacks_slash {
        return Ok(uri);
    }
    let mut owned = uri.into_owned();
    owned[..folded].make_ascii_lowercase();
    if lacks_slash {
        owned.insert(folded, '/');
    }
    Ok(owned.into())
}

/// A drive as the first segment of a file's path: `C:`, never `C|`, and on no host.
fn drive(segment: &str, has_host: bool) -> Result<(), &'static str> {
    match segment.as_bytes() {
        [letter, b'|'] if letter.is_ascii_alphabetic() => Err("a drive is written with `:`"),
        [letter, b':'] if letter.is_ascii_alphabetic() && has_host => Err("a drive has no host"),
        _ => Ok(()),
    }
}

/// How long the scheme is, with its colon.
fn scheme(uri: &str) -> Option<usize> {
    let (scheme, _) = uri.split_once(':')?;
    is_scheme(scheme).then_some(scheme.len() + 1)
}

fn is_scheme(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    text.starts_with(|first: char| first.is_ascii_alphabetic()) && text.bytes().all(allowed)
}

/// Decodes what a server may decode before it looks, and encodes what it may encode. What is
/// in no form is left as it is, and the second value says why: an encoded `/` or `\` is part
/// of a name to one server and the end of it to another.
fn decode(uri: &str, variables: bool) -> (Cow<'_, str>, Option<&'static str>) {
    let is_plain = |byte: u8| match byte {
        b'%' | b' ' | b'}' | 0x80.. => false,
        b'{' => variables,
        _ => true,
    };
    if uri.bytes().all(is_plain) {
        return (uri.into(), None);
    }
    let mut decoded = String::with_capacity(uri.len());
    let mut why = None;
    let mut rest = uri.as_bytes();
    while let [byte, after @ ..] = rest {
        rest = after;
        if *byte != b'%' {
            match byte {
                b'{' if variables => decoded.push_str(VARIABLE),
                b' ' | b'{' | b'}' | 0x80.. => push_encoded(&mut decoded, *byte),
                _ => decoded.push(char::from(*byte)),
            }
            continue;
        }
        let encoded = match after {
            [high, low, after @ ..] => hex(*high).zip(hex(*low)).map(|digits| (digits, after)),
            _ => None,
        };
        let Some(((high, low), after)) = encoded else {
            why = Some("a `%` stands before two hexadecimal digits");
            decoded.push('%');
            continue;
        };
        rest = after;
        match high << 4 | low {
            byte @ (b'/' | b'\\' | b'%' | 0..=0x1F | 0x7F) => {
                why = Some("servers decode `%2F`, `%5C`, `%25` and control characters, or do not");
                push_encoded(&mut decoded, byte);
            }
            byte @ (b' ' | b'?' | b'#' | b'{' | b'}' | 0x80..) => push_encoded(&mut decoded, byte),
            byte => decoded.push(char::from(byte)),
        }
    }
    (decoded.into(), why)
}

fn hex(digit: u8) -> Option<u8> {
    let digit = char::from(digit).to_digit(16)?;
    u8::try_from(digit).ok()
}

fn push_encoded(uri: &mut String, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    uri.push('%');
    uri.push(char::from(DIGITS[usize::from(byte >> 4)]));
    uri.push(char::from(DIGITS[usize::from(byte & 0xF)]));
}
