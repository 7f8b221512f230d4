//! Tokens with a signature that is not that of their claims.

use super::algorithms::GROUP;
use super::attack::Attack;
use super::forge::{Forge, Signer};
use super::kit::Kit;
use super::public_key::{number, value};
use super::shot::Shot;

pub(super) const ATTACKS: &[Attack] = &[
    GROUP.attack(
        "signature_missing",
        "a good token without its signature",
        "RFC 8725 section 3.3",
        |kit| kit.forged(|forge| vec![("no signature", forge.draft().by(Signer::None))]),
    ),
    GROUP.attack(
        "signature_zero",
        "a signature of zeros: r and s of ECDSA",
        "Java CVE-2022-21449",
        |kit| {
            changed(
                kit,
                &[
                    ("zeros", |good| vec![0; good.len()]),
                    ("ones", |good| vec![0xff; good.len()]),
                    ("one zero", |_| vec![0]),
                ],
            )
        },
    ),
    GROUP.attack(
        "signature_changed",
        "a good signature with one bit, or one end, changed",
        "LiteLLM CVE-2026-35030; RFC 8725 section 3.3",
        |kit| {
            changed(
                kit,
                &[
                    ("the last bit", |mut good| {
                        if let Some(last) = good.last_mut() {
                            *last ^= 1;
                        }
                        good
                    }),
                    ("the first bit", |mut good| {
                        if let Some(first) = good.first_mut() {
                            *first ^= 0x80;
                        }
                        good
                    }),
                    ("without its last byte", |mut good| {
                        good.pop();
                        good
                    }),
                    ("half of it", |mut good| {
                        good.truncate(good.len() / 2);
                        good
                    }),
                    ("and a byte", |mut good| {
                        good.push(0);
                        good
                    }),
                    ("twice", |good| good.repeat(2)),
                ],
            )
        },
    ),
    GROUP.attack(
        "signature_der",
        "a signature of ECDSA in the encoding of X.509",
        "RFC 7518 section 3.4; Java CVE-2022-21449",
        |kit| {
            let is_ec = |forge: &&Forge| forge.algorithm().name().starts_with("ES");
            match kit.forge.filter(is_ec) {
                Some(_) => changed(kit, &[("DER", |good| der(&good))]),
                None => Vec::new(),
            }
        },
    ),
    GROUP.attack(
        "signature_of_other_token",
        "the claims of one token with the signature of another",
        "RFC 8725 section 3.3",
        borrowed,
    ),
];

type Change = fn(Vec<u8>) -> Vec<u8>;

fn changed(kit: &Kit<'_>, changes: &[(&'static str, Change)]) -> Vec<Shot> {
    let token = |change: Change| {
        let forge = kit.forge?;
        Some(forge.draft().by(Signer::Changed(change)).sign())
    };
    let mut shots = Vec::new();
    for (label, change) in changes {
        let shot = token(*change).map(|token| kit.with_token(*label, &token));
        // Right after the good one: what remembers it must look at the whole of it.
        let good = kit.token().map(|good| kit.admitted("", good).request);
        if let (Some(shot), Some(good)) = (shot, good) {
            shots.push(shot.after(good));
        }
    }
    shots
}

fn der(good: &[u8]) -> Vec<u8> {
    let (r, s) = good.split_at(good.len() / 2);
    value(0x30, &[number(r), number(s)].concat())
}

fn borrowed(kit: &Kit<'_>) -> Vec<Shot> {
    let (Some(forge), Some(good)) = (kit.forge, kit.token()) else {
        return Vec::new();
    };
    let other = forge
        .draft()
        .claim("sub", "admin")
        .claim("jti", Kit::marker())
        .sign();
    let (claims, _) = other.rsplit_once('.').unwrap_or_default();
    let (_, signature) = good.secret.rsplit_once('.').unwrap_or_default();
    let token = format!("{claims}.{signature}");
    vec![kit.with_token("another subject", &token)]
}
