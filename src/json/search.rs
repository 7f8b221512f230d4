//! Where a string ends: several bytes of it are looked at side by side.

/// The offset of the first `"`, `\` or control character.
pub(super) fn special(bytes: &[u8]) -> Option<usize> {
    /// Names end soon.
    const NEAR: usize = 16;

    let mut at = 0;
    while let Some(word) = bytes[at..].first_chunk::<8>() {
        let found = specials(u64::from_le_bytes(*word));
        if found != 0 {
            return Some(at + found.trailing_zeros() as usize / 8);
        }
        at += 8;
        // What does not is text: a block without any is passed by in a few vector
        // instructions.
        while at >= NEAR
            && let Some(block) = bytes[at..].first_chunk::<32>()
            && is_plain(block)
        {
            at += 32;
        }
    }
    let is_special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..=0x1F);
    Some(at + bytes[at..].iter().position(is_special)?)
}

/// The offset of the first `"`.
#[inline(always)]
pub(super) fn quote(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    while let Some(word) = bytes[at..].first_chunk::<8>() {
        let found = equal(u64::from_le_bytes(*word), b'"') & HIGH;
        if found != 0 {
            return Some(at + found.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    Some(at + bytes[at..].iter().position(|byte| *byte == b'"')?)
}

fn is_plain(block: &[u8; 32]) -> bool {
    let any = block.iter().fold(0, |any, &byte| {
        any | u8::from(byte < 0x20) | u8::from(byte == b'"') | u8::from(byte == b'\\')
    });
    any == 0
}

/// The high bit of the first special byte of eight, and perhaps of some after it.
fn specials(word: u64) -> u64 {
    (below(word, 0x20) | equal(word, b'"') | equal(word, b'\\')) & HIGH
}

const ONES: u64 = u64::MAX / 0xFF;
const HIGH: u64 = ONES << 7;

/// Whether bytes are below a limit, in the high bit of the first that is.
fn below(word: u64, limit: u64) -> u64 {
    word.wrapping_sub(ONES * limit) & !word
}

fn equal(word: u64, byte: u8) -> u64 {
    below(word ^ (ONES * u64::from(byte)), 1)
}
