//! Tokens that are bound to a key, without what proves it; and proofs that prove nothing.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use super::super::dpop::{DpopKey, DpopProofBuilder};
use super::attack::{Attack, Class, Group, Refusal};
use super::forge::Forge;
use super::kit::Kit;
use super::shot::Shot;
use crate::jose::Algorithm;

const GROUP: Group = Group {
    class: Class::Binding,
    // Two proofs, or no proof, are `invalid_dpop_proof`: 401, or 400 with two headers.
    refusal: Refusal::Malformed,
};

pub(super) const ATTACKS: &[Attack] = &[
    GROUP.attack(
        "bound_token_as_bearer",
        "a token that is bound to a key, or a certificate, without any proof",
        "RFC 9449 section 7.2; RFC 8705 section 3",
        as_bearer,
    ),
    GROUP.attack(
        "unbound_token_as_dpop",
        "a token that is bound to nothing, with a proof",
        "RFC 9449 section 7.1",
        unbound,
    ),
    GROUP.attack(
        "proof_missing",
        "a bound token of DPoP without a proof, and with two",
        "RFC 9449 section 4.3",
        missing,
    ),
    GROUP.attack(
        "proof_replayed",
        "a proof that was used",
        "RFC 9449 section 11.1",
        replayed,
    ),
    GROUP.attack(
        "proof_of_other_request",
        "a good proof for another method, URL or token",
        "RFC 9449 section 4.3; Auth0 1.9.1",
        |kit| {
            proofs(
                kit,
                &[
                    ("another method", |proof| proof.claim("htm", "X")),
                    ("no method", |proof| proof.without_claim("htm")),
                    ("another host", |proof| {
                        proof.claim("htu", "https://evil.example/mcp")
                    }),
                    ("another path", |proof| {
                        proof.claim("htu", "https://evil.example/")
                    }),
                    ("no URL", |proof| proof.without_claim("htu")),
                    ("another token", |proof| proof.access_token("another")),
                    ("no token", |proof| proof.without_claim("ath")),
                ],
            )
        },
    ),
    GROUP.attack(
        "proof_of_other_time",
        "a proof of an hour ago, or of tomorrow",
        "RFC 9449 section 11.1",
        |kit| {
            let now = kit.forge.map_or(0, Forge::now);
            let mut shots = proofs(
                kit,
                &[
                    ("no time", |proof| proof.without_claim("iat")),
                    ("a time in a string", |proof| proof.claim("iat", "now")),
                    ("no id", |proof| proof.without_claim("jti")),
                ],
            );
            // Where there are nonces, the time is theirs (RFC 9449 section 8).
            if kit.nonce.is_some() {
                shots.extend(proofs(
                    kit,
                    &[
                        ("no nonce", |proof| proof.without_claim("nonce")),
                        ("another nonce", |proof| proof.nonce("another")),
                    ],
                ));
                return shots;
            }
            for (label, at) in [
                ("an hour ago", now.saturating_sub(3600)),
                ("tomorrow", now + 86_400),
            ] {
                let at = Duration::from_secs(at);
                shots.extend(proof(kit, label, |proof| proof.issued_at(at)));
            }
            shots
        },
    ),
    GROUP.attack(
        "proof_of_other_key",
        "a proof by another key, a private one, a secret, or without a signature",
        "RFC 9449 section 4.3",
        other_keys,
    ),
];

fn as_bearer(kit: &Kit<'_>) -> Vec<Shot> {
    let Some(forge) = kit.forge else {
        return Vec::new();
    };
    let thumbprint = Kit::marker();
    let mut rows = vec![
        ("a key", json!({ "jkt": &*thumbprint })),
        ("a certificate", json!({ "x5t#S256": &*thumbprint })),
        (
            "both",
            json!({ "jkt": &*thumbprint, "x5t#S256": &*thumbprint }),
        ),
        ("something unknown", json!({ "unknown": &*thumbprint })),
        ("nothing", json!({})),
        ("a text", json!("jkt")),
    ];
    if let Some(own) = forge.claim("cnf") {
        rows.push(("its own key", own.clone()));
    }
    let shot = |(label, cnf): (&'static str, Value)| {
        let token = forge.draft().claim("cnf", cnf).sign();
        let shot = kit.plain(format!("bound to {label}"));
        shot.header("authorization", format!("Bearer {token}"))
            .secret(token)
    };
    rows.into_iter().map(shot).collect()
}

fn unbound(kit: &Kit<'_>) -> Vec<Shot> {
    let (Some(forge), Some(_)) = (kit.forge, kit.proving) else {
        return Vec::new();
    };
    let other = DpopKey::generate();
    let bound = json!({ "jkt": other.thumbprint() });
    let (without, elsewhere) = (forge.draft().without_claim("cnf"), forge.draft());
    vec![
        kit.with_draft("bound to nothing", &without),
        kit.with_draft("bound to another key", &elsewhere.claim("cnf", bound)),
    ]
}

/// The good token with a proof of one's own.
fn presented(kit: &Kit<'_>, label: &'static str, proofs: &[String]) -> Option<Shot> {
    let token = kit.token()?;
    let mut shot = kit
        .plain(label)
        .header("authorization", format!("DPoP {}", token.secret));
    for proof in proofs {
        shot = shot.header("dpop", proof);
    }
    Some(shot)
}

fn good(kit: &Kit<'_>) -> Option<DpopProofBuilder> {
    kit.proof(&kit.settings.method, &kit.token()?.secret)
}

fn proof(
    kit: &Kit<'_>,
    label: &'static str,
    change: impl FnOnce(DpopProofBuilder) -> DpopProofBuilder,
) -> Option<Shot> {
    presented(kit, label, &[change(good(kit)?).sign()])
}

type Change = fn(DpopProofBuilder) -> DpopProofBuilder;

fn proofs(kit: &Kit<'_>, changes: &[(&'static str, Change)]) -> Vec<Shot> {
    let shot = |(label, change): &(&'static str, Change)| proof(kit, label, change);
    changes.iter().filter_map(shot).collect()
}

fn missing(kit: &Kit<'_>) -> Vec<Shot> {
    let (Some(one), Some(other)) = (good(kit), good(kit)) else {
        return Vec::new();
    };
    let two = [one.sign(), other.sign()];
    let rows = [
        ("none", vec![]),
        ("an empty one", vec![String::new()]),
        ("two", two.to_vec()),
        ("two in one header", vec![two.join(", ")]),
        ("the token itself", vec![kit.some_secret()]),
    ];
    let shot = |(label, proofs): (&'static str, Vec<String>)| presented(kit, label, &proofs);
    rows.into_iter().filter_map(shot).collect()
}

fn replayed(kit: &Kit<'_>) -> Vec<Shot> {
    let Some(proof) = good(kit).map(|proof| proof.sign()) else {
        return Vec::new();
    };
    let first = presented(kit, "", std::slice::from_ref(&proof));
    let again = presented(kit, "the same again", &[proof]);
    let shots = again.zip(first);
    shots
        .map(|(again, first)| again.after(first.request))
        .into_iter()
        .collect()
}

fn other_keys(kit: &Kit<'_>) -> Vec<Shot> {
    let Some(token) = kit.token().filter(|_| kit.proving.is_some()) else {
        return Vec::new();
    };
    let other = DpopKey::for_algorithm(Algorithm::ES256);
    let method = Method::as_str(&kit.settings.method);
    let fresh = other.proof(method, &kit.settings.resource_text);
    let now = Duration::from_secs(kit.forge.map_or(0, Forge::now));
    let fresh = fresh.access_token(&token.secret).issued_at(now);
    let fresh = match &kit.nonce {
        Some(nonce) => fresh.nonce(nonce),
        None => fresh,
    };
    let mut shots: Vec<Shot> = presented(kit, "another key", &[fresh.sign()])
        .into_iter()
        .collect();
    shots.extend(proof(kit, "signed with another key", |proof| {
        proof.signed_with(&other)
    }));
    shots.extend(proofs(
        kit,
        &[
            ("alg none", |proof| proof.header("alg", "none")),
            ("HMAC", |proof| proof.header("alg", "HS256")),
            ("no key", |proof| proof.without_header("jwk")),
            ("a secret key", |proof| {
                proof.header("jwk", json!({ "kty": "oct", "k": "AAAA" }))
            }),
            ("no type", |proof| proof.without_header("typ")),
            ("the type of a token", |proof| proof.header("typ", "at+jwt")),
        ],
    ));
    shots
}
