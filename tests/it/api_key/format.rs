//! The format of generated keys, checked by a second implementation of it.

use std::collections::HashSet;

use proptest::prelude::*;
use tower_mcp_auth::ApiKeyLayer;
use tower_mcp_auth::api_key::{ApiKey, KeyDigest, KeyFormatError, ParsedKey, Pepper};

use common::{ask, request};

/// Their checksums are Python's: `zlib.crc32`, in base 62.
pub const KNOWN: [(&str, &str, &str); 4] = [
    (
        "acme",
        "V5f2Q0sYx8Lk",
        "acme_V5f2Q0sYx8Lk_0pZ3nD6wJt9RrB1cFh7Ug4KmE8aXy2Qs0ztSHr",
    ),
    (
        "acme_live",
        "V5f2Q0sYx8Lk",
        "acme_live_V5f2Q0sYx8Lk_0pZ3nD6wJt9RrB1cFh7Ug4KmE8aXy2Qs3LVhZZ",
    ),
    (
        "acme",
        "000000000000",
        "acme_000000000000_000000000000000000000000000000000DK0CT",
    ),
    (
        "ab",
        "zzzzzzzzzzzz",
        "ab_zzzzzzzzzzzz_zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz39dd9P",
    ),
];

const BASE62: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// By the documents alone, and slowly: polynomial division, bit by bit.
fn is_key(text: &str) -> Option<bool> {
    let mut parts: Vec<&str> = text.split('_').collect();
    let (rest, id) = (parts.pop()?, parts.pop()?);
    let prefix = parts.join("_");
    let base62 = |text: &str| text.chars().all(|c| BASE62.contains(c));
    let word = |word: &&str| {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        !word.is_empty() && word.chars().all(allowed)
    };
    let shape = (2..=32).contains(&prefix.len())
        && prefix.starts_with(|c: char| c.is_ascii_lowercase())
        && parts.iter().all(word)
        && (id.len(), rest.len()) == (12, 38)
        && base62(id)
        && base62(rest);
    if !shape {
        return None;
    }
    let (checked, checksum) = text.split_at(text.len() - 6);
    let mut register = 0xffff_ffff_u32;
    for bit in checked
        .bytes()
        .flat_map(|byte| (0..8).map(move |at| byte >> at & 1))
    {
        let carry = (register & 1) as u8 ^ bit;
        register >>= 1;
        if carry == 1 {
            register ^= 0xedb8_8320;
        }
    }
    let value = checksum.chars().fold(0_u64, |value, digit| {
        value * 62 + BASE62.find(digit).unwrap() as u64
    });
    Some(value == u64::from(!register))
}

#[test]
fn known_keys_are_taken_apart() {
    for (prefix, id, key) in KNOWN {
        let parsed = ParsedKey::parse(key).unwrap();
        assert_eq!((parsed.prefix(), parsed.id()), (prefix, id));
        assert_eq!(is_key(key), Some(true), "the oracle");
    }
}

#[test]
fn what_is_generated_has_the_format_and_is_never_the_same() {
    let mut seen = HashSet::new();
    for prefix in ["ab", "acme", "acme_live", "a1_b2_c3", &"x".repeat(32)] {
        for _ in 0..20 {
            let new = ApiKey::generate(prefix).unwrap();
            let key = new.expose();
            assert_eq!(is_key(key), Some(true), "{key}");
            let parsed = ParsedKey::parse(key).unwrap();
            assert_eq!((parsed.prefix(), parsed.id()), (prefix, new.id()));
            assert!(seen.insert(new.id().to_owned()));
            assert_eq!(KeyDigest::from_generated(key).unwrap(), new.digest());
        }
    }
}

/// 32 characters of 62 are 190 bits only if all are as likely as each other.
#[test]
fn every_character_of_the_alphabet_is_as_likely_as_any_other() {
    let mut counts = [0_u32; 62];
    for _ in 0..2_000 {
        let new = ApiKey::generate("acme").unwrap();
        let secret = &new.expose()["acme_".len() + 13..][..32];
        for character in secret.chars() {
            counts[BASE62.find(character).unwrap()] += 1;
        }
    }
    // 64,000 characters: 1,032 of each, with a deviation of 32. Without the rejection, 8 of
    // them would come 1,250 times.
    for (character, count) in BASE62.chars().zip(counts) {
        assert!((850..1_215).contains(&count), "{character}: {count}");
    }
}

#[test]
fn a_prefix_is_words_of_lower_case_letters_and_digits() {
    for prefix in [
        "",
        "a",
        "Acme",
        "1acme",
        "_acme",
        "acme_",
        "acme__live",
        "acme-live",
        "acme live",
        "caf\u{e9}",
        &"x".repeat(33),
    ] {
        let error = ApiKey::generate(prefix).unwrap_err();
        assert_eq!(error.setting(), "prefix", "{prefix:?}");
    }
}

#[test]
fn every_typo_is_told() {
    for (_, _, key) in KNOWN {
        for at in 0..key.len() {
            // One character another, two next to each other swapped, one left out, one twice.
            for other in BASE62.chars().filter(|c| !key[at..].starts_with(*c)) {
                let typo = format!("{}{other}{}", &key[..at], &key[at + 1..]);
                assert!(ParsedKey::parse(&typo).is_err(), "{typo}");
            }
            let mut swapped: Vec<char> = key.chars().collect();
            swapped.swap(at, (at + 1).min(key.len() - 1));
            let swapped: String = swapped.into_iter().collect();
            assert_eq!(ParsedKey::parse(&swapped).is_err(), swapped != key);
            for changed in [
                format!("{}{}", &key[..at], &key[at + 1..]),
                format!("{}{}", &key[..=at], &key[at..]),
            ] {
                assert!(ParsedKey::parse(&changed).is_err(), "{changed}");
            }
        }
    }
}

#[test]
fn what_is_no_key_is_told_from_a_mistyped_one() {
    let (_, _, key) = KNOWN[0];
    for other in [
        "",
        "_",
        "acme",
        "b25lLXJhbmRvbS1rZXktMTIzNA",
        &key[1..key.len() - 1],
        &key.replace('_', "-"),
        &key.to_uppercase(),
        &format!("{key}="),
        &format!(" {key}"),
        &format!("ac\u{e9}{}", &key[4..]),
        &format!("{}\u{e9}", &key[..key.len() - 2]),
    ] {
        assert_eq!(
            ParsedKey::parse(other),
            Err(KeyFormatError::Shape),
            "{other:?}"
        );
    }
    let mistyped = key.replace("Qs0z", "Qs0y");
    assert_eq!(ParsedKey::parse(&mistyped), Err(KeyFormatError::Checksum));
}

proptest! {
    #[test]
    fn no_text_is_judged_otherwise_than_the_documents_say(
        text in prop_oneof![
            any::<String>(),
            "[a-z_0-9]{0,40}_[0-9A-Za-z]{12}_[0-9A-Za-z]{38}",
            "[a-z]{2,4}_[0-9A-Za-z]{11,13}_[0-9A-Za-z]{37,39}",
            "\\PC{0,80}",
        ],
    ) {
        let expected = match is_key(&text) {
            Some(true) => Ok(()),
            Some(false) => Err(KeyFormatError::Checksum),
            None => Err(KeyFormatError::Shape),
        };
        prop_assert_eq!(ParsedKey::parse(&text).map(|_| ()), expected);
    }

    #[test]
    fn a_key_that_was_tampered_with_is_none(
        known in 0..KNOWN.len(),
        at in any::<prop::sample::Index>(),
        length in 0_usize..4,
        with in "[0-9A-Za-z_]{0,4}",
    ) {
        let (_, _, key) = KNOWN[known];
        let start = at.index(key.len());
        let end = (start + length).min(key.len());
        // By chance one in four billion fits.
        let changed = format!("{}{with}{}", &key[..start], &key[end..]);
        prop_assert_eq!(ParsedKey::parse(&changed).is_ok(), changed == key);
    }

    #[test]
    fn any_credential_is_answered(text in "[ -~]{1,600}") {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let new = ApiKey::generate("acme").unwrap();
        let pepper = Pepper::new("5kq0Vb8JtXyRz3GmWc7NdHf2LpSa9UeT").unwrap();
        let layer = ApiKeyLayer::from_peppered([new.to_api_key()], pepper).unwrap();
        let answer = runtime.block_on(ask(&layer, request(&[("x-api-key", &text)])));
        prop_assert!(matches!(answer.status.as_u16(), 400 | 401), "{}", answer.status);
    }
}

#[test]
fn a_digest_is_read_as_it_is_written_and_nothing_else_is() {
    let pepper = Pepper::new("5kq0Vb8JtXyRz3GmWc7NdHf2LpSa9UeT").unwrap();
    let generated = ApiKey::generate("acme").unwrap().digest();
    let foreign = KeyDigest::from_external("Zm9yLXRoZS10ZXN0cy1vbmx5LTE3", &pepper).unwrap();
    for digest in [generated, foreign] {
        let text = digest.to_string();
        assert_eq!(text.parse::<KeyDigest>().unwrap(), digest);
        assert!(!format!("{digest:?}").contains(&text[text.len() - 16..]));
    }
    // Python: hmac.new(pepper, key, "sha256").
    assert_eq!(
        foreign.to_string(),
        "hmac-sha256:7ab1c58b217d6833b56572dff561aaaa814a84853c14f52455222abc77883cc7"
    );
    let text = generated.to_string();
    for bad in [
        "",
        "sha256:",
        &text[7..],
        &text[..text.len() - 1],
        &format!("{text}0"),
        &text.replace("sha256", "sha512"),
        &text.replace("sha256", "SHA256"),
        &format!("{}+1", &text[..text.len() - 2]),
        "acme_V5f2Q0sYx8Lk_0pZ3nD6wJt9RrB1cFh7Ug4KmE8aXy2Qs0ztSHr",
    ] {
        let error = bad.parse::<KeyDigest>().unwrap_err();
        assert_eq!(error.setting(), "digest", "{bad:?}");
        assert!(!error.to_string().contains("V5f2Q0"), "{error}");
    }
}

#[test]
fn each_kind_of_key_has_its_kind_of_digest() {
    let pepper = Pepper::new("5kq0Vb8JtXyRz3GmWc7NdHf2LpSa9UeT").unwrap();
    let (_, _, generated) = KNOWN[0];
    KeyDigest::from_generated(generated).unwrap();
    KeyDigest::from_generated("Zm9yLXRoZS10ZXN0cy1vbmx5LTE3").unwrap_err();
    KeyDigest::from_generated(&generated.replace("Qs0z", "Qs0y")).unwrap_err();
    KeyDigest::from_external(generated, &pepper).unwrap_err();
    KeyDigest::from_external("changemechangeme", &pepper).unwrap_err();
    for pepper in [
        "",
        "short",
        &"a".repeat(40),
        "changeme-changeme-changeme-changeme",
    ] {
        let error = Pepper::new(pepper).unwrap_err();
        assert_eq!(error.setting(), "pepper");
        assert!(pepper.is_empty() || !error.to_string().contains(pepper));
    }
}

#[test]
fn debug_shows_no_key() {
    let (_, _, key) = KNOWN[0];
    let new = ApiKey::generate("acme").unwrap();
    let pepper = Pepper::new("5kq0Vb8JtXyRz3GmWc7NdHf2LpSa9UeT").unwrap();
    let shown = format!(
        "{new:?} {:?} {:?} {pepper:?}",
        new.to_api_key(),
        ParsedKey::parse(key).unwrap()
    );
    assert!(shown.contains(new.id()) && shown.contains("V5f2Q0sYx8Lk"));
    for secret in [
        &new.expose()[18..],
        &key[18..],
        "5kq0Vb8J",
        &new.digest().to_string()[10..],
    ] {
        assert!(!shown.contains(secret), "{shown}");
    }
}
