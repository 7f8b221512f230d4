//! Tokens with a header that chooses the algorithm, or the key.

use serde_json::{Value, json};

use super::attack::{Attack, Class, Group, Refusal};
use super::forge::{Forge, Row, Signer};
use super::kit::Kit;
use super::public_key::forms;
use super::shot::Shot;
use crate::jose::Algorithm;

pub(super) const GROUP: Group = Group {
    class: Class::Signature,
    refusal: Refusal::Challenge,
};

pub(super) const ATTACKS: &[Attack] = &[
    GROUP.attack(
        "algorithm_none",
        "an unsigned token",
        "RFC 8725 section 2.1; Authlib CVE-2026-28802, HarbourJwt CVE-2026-23993",
        |kit| kit.forged(none),
    ),
    GROUP.attack(
        "algorithm_confusion",
        "a token of HMAC whose secret is the public key",
        "RFC 8725 section 2.1; Hono CVE-2026-22817, fast-jwt CVE-2023-48223, \
         PyJWT CVE-2022-29217, CVE-2026-48523",
        |kit| kit.forged(confused),
    ),
    GROUP.attack(
        "algorithm_unknown",
        "an algorithm that is none, or not a string, or missing",
        "RFC 8725 section 3.1; RFC 7515 section 4.1.1",
        |kit| kit.forged(unknown),
    ),
    GROUP.attack(
        "algorithm_mismatch",
        "a good signature under the name of another algorithm",
        "RFC 8725 section 3.1; PyJWT CVE-2026-48523",
        |kit| kit.forged(mismatched),
    ),
    GROUP.attack(
        "empty_secret",
        "a token of HMAC whose secret is empty, or a guess",
        "fast-jwt CVE-2026-44351; RFC 8725 section 3.5",
        |kit| kit.forged(guessed),
    ),
    GROUP.attack(
        "other_key",
        "a token of another key, under the id of the good one and others",
        "RFC 8725 section 3.3",
        |kit| kit.forged(signed_by_attacker),
    ),
    GROUP.attack(
        "embedded_key",
        "a token that holds the key it is signed with",
        "RFC 7515 section 4.1.3; Authlib CVE-2026-27962",
        |kit| kit.forged(embedded),
    ),
    Attack {
        name: "key_by_url",
        class: Class::Signature,
        description: "a token that names a URL where its key is to be fetched",
        source: "RFC 7515 sections 4.1.2 and 4.1.5; PyJWT CVE-2026-48522",
        refusal: Refusal::Challenge,
        shots: by_url,
    },
    GROUP.attack(
        "key_id_injection",
        "a key id that is a path, a query, a URL, or not a string",
        "RFC 8725 section 3.10",
        |kit| kit.forged(injected),
    ),
    GROUP.attack(
        "critical_extension",
        "a header member that the verifier must understand, or refuse",
        "RFC 7515 section 4.1.11; PyJWT CVE-2026-32597, Authlib CVE-2025-59420, \
         fast-jwt CVE-2026-35042",
        |kit| kit.forged(critical),
    ),
    GROUP.attack(
        "unencoded_payload",
        "a token that says its payload is not encoded",
        "RFC 7797; PyJWT CVE-2026-48525",
        |kit| kit.forged(unencoded),
    ),
];

fn none(forge: &Forge) -> Vec<Row<'_>> {
    let mut rows = Vec::new();
    for alg in ["none", "None", "NONE", "nOnE"] {
        let draft = forge.draft().header("alg", alg);
        let unsigned = draft.clone().by(Signer::None);
        rows.push((format!("alg {alg}, no signature"), unsigned));
        rows.push((format!("alg {alg}, a good signature"), draft));
    }
    rows
}

fn confused(forge: &Forge) -> Vec<Row<'_>> {
    const HMAC: [Algorithm; 3] = [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512];
    let Some(key) = forge.public_key() else {
        return Vec::new();
    };
    let mut rows = Vec::new();
    for (form, secret) in forms(&key) {
        for algorithm in HMAC {
            let draft = forge.draft().header("alg", algorithm.name());
            let draft = draft.by(Signer::Hmac(algorithm, secret.clone()));
            rows.push((format!("{} with {form}", algorithm.name()), draft));
        }
    }
    rows
}

fn unknown(forge: &Forge) -> Vec<Row<'_>> {
    let name = forge.algorithm().name();
    let values = [
        json!(""),
        json!("XX256"),
        json!(name.to_lowercase()),
        json!(format!("{name} ")),
        json!([name]),
        json!({ "alg": name }),
        json!(5),
        json!(true),
        json!(null),
    ];
    let row = |value: Value| (format!("alg {value}"), forge.draft().header("alg", value));
    let mut rows: Vec<Row<'_>> = values.into_iter().map(row).collect();
    rows.push(("no alg".to_owned(), forge.draft().without_header("alg")));
    rows
}

fn mismatched(forge: &Forge) -> Vec<Row<'_>> {
    const NAMES: [&str; 10] = [
        "RS256", "RS384", "PS256", "PS384", "ES256", "ES384", "EdDSA", "HS256", "HS384", "HS512",
    ];
    let own = forge.algorithm().name();
    let others = NAMES.into_iter().filter(|name| *name != own);
    others
        .map(|name| (format!("alg {name}"), forge.draft().header("alg", name)))
        .collect()
}

fn guessed(forge: &Forge) -> Vec<Row<'_>> {
    let secrets: [&[u8]; 6] = [b"", b"\0", b"secret", b"null", b"undefined", b"changeme"];
    let row = |secret: &[u8]| {
        let draft = forge.draft().header("alg", "HS256");
        let label = format!("the secret {:?}", String::from_utf8_lossy(secret));
        (
            label,
            draft.by(Signer::Hmac(Algorithm::HS256, secret.to_vec())),
        )
    };
    secrets.into_iter().map(row).collect()
}

fn signed_by_attacker(forge: &Forge) -> Vec<Row<'_>> {
    let draft = forge.draft().by_attacker();
    vec![
        ("the good key id".to_owned(), draft.clone()),
        ("no key id".to_owned(), draft.clone().without_header("kid")),
        (
            "an unknown key id".to_owned(),
            draft.header("kid", Kit::marker()),
        ),
    ]
}

fn embedded(forge: &Forge) -> Vec<Row<'_>> {
    let mut key = forge.attacker_key();
    let bare = forge.draft().by_attacker().header("jwk", key.clone());
    key["kid"] = "embedded".into();
    key["alg"] = forge.attacker_algorithm().name().into();
    let own = forge.draft().by_attacker().header("kid", "embedded");
    let own = own.header("jwk", key.clone());
    vec![
        ("jwk, the good key id".to_owned(), bare.clone()),
        ("jwk, no key id".to_owned(), bare.without_header("kid")),
        ("jwk, its own key id".to_owned(), own),
        (
            "a key set".to_owned(),
            forge
                .draft()
                .by_attacker()
                .header("jwks", json!({ "keys": [key] })),
        ),
        (
            "x5c, x5t and x5t#S256 of no certificate".to_owned(),
            forge
                .draft()
                .by_attacker()
                .header("x5c", json!(["MIIB"]))
                .header("x5t", "AAAA")
                .header("x5t#S256", "AAAA"),
        ),
    ]
}

fn by_url(kit: &Kit<'_>) -> Vec<Shot> {
    if kit.trap.is_empty() {
        return Vec::new();
    }
    kit.forged(|forge| {
        let mut rows = Vec::new();
        for name in ["jku", "x5u", "jwks_uri", "kid"] {
            let draft = forge.draft().by_attacker().header(name, &*kit.trap);
            rows.push((format!("{name}, signed by its key"), draft.clone()));
            if name != "kid" {
                let draft = draft.without_header("kid");
                rows.push((format!("{name}, no key id"), draft));
            }
        }
        let good = forge
            .draft()
            .header("jku", &*kit.trap)
            .header("x5u", &*kit.trap);
        // Such a header means nothing: the signature is good. It is changed, so that this is
        // refused whatever is thought of the header.
        let good = good.by(Signer::Changed(|good| vec![1; good.len()]));
        rows.push(("jku and x5u, the good key id".to_owned(), good));
        let file = forge
            .draft()
            .by_attacker()
            .header("jku", "file:///etc/passwd");
        rows.push(("jku of a file".to_owned(), file));
        // Of a claim, too: who goes to the issuer of any token goes where it says.
        let trap = kit.trap.trim_end_matches("/keys");
        let issuer = forge.draft().by_attacker().claim("iss", trap);
        rows.push(("an issuer of its own".to_owned(), issuer));
        rows
    })
}

fn injected(forge: &Forge) -> Vec<Row<'_>> {
    let texts = [
        "../../../../dev/null",
        "/dev/null",
        "file:///dev/null",
        "' UNION SELECT '' -- ",
        "| cat /etc/passwd",
        "*",
        "",
        "\0",
    ];
    let mut rows = Vec::new();
    for text in texts {
        let hmac = forge.draft().header("alg", "HS256").header("kid", text);
        let empty = hmac.by(Signer::Hmac(Algorithm::HS256, Vec::new()));
        rows.push((format!("kid {text:?}, an empty secret"), empty));
        let attacker = forge.draft().by_attacker().header("kid", text);
        rows.push((format!("kid {text:?}, another key"), attacker));
    }
    for value in [json!(["a"]), json!({}), json!(0), json!(true)] {
        let label = format!("kid {value}, another key");
        let draft = forge.draft().by_attacker().header("kid", value);
        rows.push((label, draft));
    }
    rows
}

fn critical(forge: &Forge) -> Vec<Row<'_>> {
    let values = [
        json!(["exp"]),
        json!(["x-unknown"]),
        json!(["b64"]),
        json!([]),
        json!(["alg"]),
        json!("exp"),
        json!([1]),
    ];
    let row = |value: Value| {
        let label = format!("crit {value}");
        let draft = forge.draft().header("crit", value);
        (label, draft.header("x-unknown", true))
    };
    values.into_iter().map(row).collect()
}

fn unencoded(forge: &Forge) -> Vec<Row<'_>> {
    let draft = forge.draft().header("b64", false);
    vec![
        ("b64 false".to_owned(), draft.clone()),
        (
            "b64 false, and critical".to_owned(),
            draft.header("crit", json!(["b64"])),
        ),
    ]
}
