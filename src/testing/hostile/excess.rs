//! Tokens that cost more than they should: long, deep, or encrypted.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::attack::{Attack, Refusal};
use super::forge::{Draft, Forge, Signer};
use super::kit::Kit;
use super::shot::Shot;
use super::syntax::attack;

type Row<'f> = (String, Draft<'f>);

pub(super) const ATTACKS: &[Attack] = &[
    attack(
        "deep_json",
        "claims and a header that are nested too deep",
        "Nimbus CVE-2025-53864",
        Refusal::Malformed,
        |kit| kit.forged(deep),
    ),
    attack(
        "huge_token",
        "tokens of a megabyte: dots, letters, a long header, long claims",
        "jwt-go CVE-2025-30204, go-jose CVE-2025-27144, Authlib CVE-2025-61920",
        Refusal::TooLong,
        huge,
    ),
    attack(
        "encrypted_token",
        "five parts: a JWE, with a token within it, or with a costly key derivation",
        "pac4j CVE-2026-29000; Nimbus CVE-2023-52428; RFC 8725 section 3.4",
        Refusal::Challenge,
        encrypted,
    ),
];

fn deep(forge: &Forge) -> Vec<Row<'_>> {
    let mut rows = Vec::new();
    for (open, close, depth) in [("[", "]", 5_000), ("{\"a\":", "}", 1_500)] {
        let nested = format!("{}0{}", open.repeat(depth), close.repeat(depth));
        let claims = forge.draft().claims_end(&format!(r#","deep":{nested}"#));
        rows.push((format!("claims, {depth} times {open}"), claims));
        let unclosed = forge
            .draft()
            .claims_end(&format!(r#","deep":{}"#, open.repeat(depth)));
        rows.push((format!("claims, {depth} times {open}, unclosed"), unclosed));
        let header = forge.draft().header_starts(&format!(r#""deep":{nested},"#));
        rows.push((format!("header, {depth} times {open}"), header));
    }
    rows
}

fn huge(kit: &Kit<'_>) -> Vec<Shot> {
    const MEGABYTE: usize = 1 << 20;
    let mut texts = vec![
        ("dots", ".".repeat(MEGABYTE)),
        ("letters", "a".repeat(MEGABYTE)),
        (
            "letters and two dots",
            format!("{0}.{0}.{0}", "a".repeat(MEGABYTE / 3)),
        ),
    ];
    if let Some(forge) = kit.forge {
        let filler = "x".repeat(MEGABYTE / 2);
        let signed = forge.draft().claim("x", filler.clone()).sign();
        texts.push(("long claims", signed));
        texts.push(("a long header", forge.draft().header("x", filler).sign()));
        let dots = format!("{}{}", forge.good(), ".".repeat(MEGABYTE));
        texts.push(("a good token and dots", dots));
    }
    let mut shots: Vec<Shot> = texts
        .iter()
        .map(|(label, text)| {
            let shot = kit.plain(*label);
            shot.header("authorization", format!("Bearer {text}"))
        })
        .collect();
    let key = kit
        .plain("an API key")
        .header("x-api-key", "a".repeat(MEGABYTE));
    shots.push(key);
    shots
}

fn encrypted(kit: &Kit<'_>) -> Vec<Shot> {
    let Some(forge) = kit.forge else {
        return Vec::new();
    };
    let b64 = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let good = forge.good();
    let plain = forge.draft().header("alg", "none").by(Signer::None).sign();
    let wrapped = |header: &str, inner: &str| {
        let tag = b64("0123456789abcdef");
        format!(
            "{}..{}.{}.{tag}",
            b64(header),
            b64("0123456789ab"),
            b64(inner)
        )
    };
    let dir = r#"{"alg":"dir","enc":"A256GCM","cty":"JWT"}"#;
    let costly = r#"{"alg":"PBES2-HS256+A128KW","enc":"A128GCM","p2c":2147483647,"p2s":"AAAA"}"#;
    let zipped = r#"{"alg":"dir","enc":"A256GCM","zip":"DEF"}"#;
    let rows = [
        ("a good token within", wrapped(dir, &good)),
        ("an unsigned token within", wrapped(dir, &plain)),
        (
            "alg none",
            wrapped(r#"{"alg":"none","enc":"none"}"#, &plain),
        ),
        ("many rounds of PBKDF2", wrapped(costly, &good)),
        ("compressed", wrapped(zipped, &good)),
    ];
    let shot = |(label, token): (&'static str, String)| kit.with_token(label, &token);
    rows.into_iter().map(shot).collect()
}
