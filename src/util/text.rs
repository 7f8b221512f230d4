//! Values of others in texts: quoted, escaped and cut; and the characters of a token.

use std::fmt::Write as _;

/// How many characters of a value sent by a peer reach a trace.
pub(crate) const TRACED_CHARS: usize = 128;

/// A setting that is refused, quoted, or not repeated where it may hold a password
/// (`https://user:password@host`).
pub(crate) fn repeated(value: &str) -> String {
    match value.contains('@') {
        true => "the value (not shown, for its `@`)".to_owned(),
        false => quoted(value),
    }
}

/// Characters that could forge a line of a log, or show another text than there is: controls,
/// separators of lines and paragraphs, marks of direction, and what cannot be seen (Unicode's
/// `Default_Ignorable_Code_Point`).
pub(crate) fn is_deceptive(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}'
                | '\u{34f}'
                | '\u{61c}'
                | '\u{115f}'..='\u{1160}'
                | '\u{17b4}'..='\u{17b5}'
                | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{3164}'
                | '\u{fe00}'..='\u{fe0f}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{fff0}'..='\u{fffb}'
                | '\u{1bca0}'..='\u{1bca3}'
                | '\u{1d173}'..='\u{1d17a}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

/// A text that is a peer's in part, as one line of at most `most` characters.
pub(crate) fn one_line(text: &str, most: usize) -> String {
    let plain = |c: char| if is_deceptive(c) { '?' } else { c };
    text.chars().map(plain).take(most).collect()
}

/// Whether this is a GUID in lower case, as Entra ID writes them.
#[cfg(feature = "oauth")]
pub(crate) fn is_guid(text: &str) -> bool {
    let is_right = |(index, byte)| match index {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
    };
    text.len() == 36 && text.bytes().enumerate().all(is_right)
}

/// A value sent by a peer, quoted for a trace: escaped, so that it cannot forge a
/// line of a log, and cut, so that it cannot fill one.
pub(crate) fn quoted(value: &str) -> String {
    let mut out = String::with_capacity(value.len().min(TRACED_CHARS) + 2);
    out.push('"');
    for (count, character) in value.chars().enumerate() {
        if count == TRACED_CHARS {
            out.push('…');
            break;
        }
        // What has a short escape (`\n`) keeps it.
        let _ = match is_deceptive(character) && !character.is_ascii_control() {
            true => write!(out, "{}", character.escape_unicode()),
            false => write!(out, "{}", character.escape_debug()),
        };
    }
    out.push('"');
    out
}
/// How many characters are to be changed, added or left out (Levenshtein).
pub(crate) fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (above, a) in one.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], above + 1);
        for (left, b) in other.bytes().enumerate() {
            let changed = diagonal + usize::from(a != b);
            diagonal = row[left + 1];
            row[left + 1] = changed.min(diagonal + 1).min(row[left] + 1);
        }
    }
    row[other.len()]
}

/// Whether a byte may stand in a token (RFC 9110 section 5.6.2).
pub(crate) fn is_tchar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
