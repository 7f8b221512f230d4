//! Base64url without padding (RFC 7515 section 2), strictly: one text for one run of bytes.

use base64::Engine;

/// With the instructions of the processor that are made for it, where it has them: a new token is
/// decoded in 0.06 µs, not 0.35 (bench rows "never seen").
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod engine {
    use std::sync::LazyLock;

    use base64::engine::Simd;
    use base64::engine::general_purpose::NO_PAD;

    pub(super) static ENGINE: LazyLock<Simd> = LazyLock::new(|| Simd::url_safe(NO_PAD));
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
mod engine {
    pub(super) use base64::engine::general_purpose::URL_SAFE_NO_PAD as ENGINE;
}

/// The bytes that `length` characters decode to, if they decode.
pub(crate) fn decoded_len(length: usize) -> usize {
    length / 4 * 3 + (length % 4).saturating_sub(1)
}

/// The six bits that one character stands for.
pub(crate) fn sextet(character: u8) -> Option<u32> {
    Some(u32::from(match character {
        b'A'..=b'Z' => character - b'A',
        b'a'..=b'z' => character - b'a' + 26,
        b'0'..=b'9' => character - b'0' + 52,
        b'-' => 62,
        b'_' => 63,
        _ => return None,
    }))
}

/// Decodes `text` into the start of `out`. `None`: it is not base64url, or `out` is too short.
pub(crate) fn decode<'o>(text: &[u8], out: &'o mut [u8]) -> Option<&'o [u8]> {
    let length = engine::ENGINE.decode_slice(text, out).ok()?;
    out.get(..length)
}

/// Decodes `text` on the heap. `None`: it is not base64url.
pub(crate) fn decode_to_vec(text: &[u8]) -> Option<Vec<u8>> {
    engine::ENGINE.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;

    #[test]
    fn a_text_is_decoded_where_it_is_the_one_spelling_and_fits() {
        for (text, room, bytes) in [
            ("", 0, Some(&b""[..])),
            ("Zg", 1, Some(b"f")),
            ("Zm8", 2, Some(b"fo")),
            ("Zm9v", 3, Some(b"foo")),
            ("-_8", 4, Some(b"\xfb\xff")),
            // Too long for the room, padded, of the other alphabet, with bits left over.
            ("Zm9v", 2, None),
            ("Zg==", 4, None),
            ("+/8", 4, None),
            ("Zh", 1, None),
            ("Zm9", 2, None),
            ("Z", 1, None),
            ("Zm9vZ", 4, None),
            ("Zm 9v", 4, None),
        ] {
            let mut out = vec![0; room];
            assert_eq!(decode(text.as_bytes(), &mut out), bytes, "{text}");
            if room >= decoded_len(text.len()) {
                let on_heap = decode_to_vec(text.as_bytes());
                assert_eq!(on_heap.as_deref(), bytes, "{text}");
            }
        }
    }

    #[test]
    fn sextets_and_lengths_are_those_of_the_alphabet() {
        for byte in 0..=u8::MAX {
            let decoded = URL_SAFE_NO_PAD.decode([b'A', byte, b'A', b'A']);
            let expected = decoded
                .ok()
                .map(|bytes| u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]]) >> 12);
            assert_eq!(sextet(byte), expected, "{byte}");
        }
        for length in 0..40 {
            let text = URL_SAFE_NO_PAD.encode(vec![0; length]);
            assert_eq!(decoded_len(text.len()), length);
        }
    }
}
