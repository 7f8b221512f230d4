//! Every algorithm, and what keeps them apart.

use tower_mcp_auth::JwtLayer;
use tower_mcp_auth::jose::{Algorithm, PublicKey, Secret};

use crate::jose::harness::{
    ALL, AUDIENCE, CLAIMS, PAIRS, Pairs, SECRET, ask, aws_lc, b64, builder, hs256, lax, layer_for,
    outcome, secret, signing_input, table, token, unb64,
};

fn named(alg: &str) -> String {
    serde_json::json!({ "alg": alg }).to_string()
}

#[test]
fn every_algorithm_verifies_and_a_flipped_bit_fails() {
    for alg in ALL {
        let layer = layer_for(alg);
        let token = PAIRS.token(alg, &named(alg.name()), CLAIMS);
        let principal = ask(&layer, &token).unwrap_or_else(|error| panic!("{alg}: {error}"));
        assert_eq!(principal.subject(), Some("alice"), "{alg}");

        let (input, signature) = token.rsplit_once('.').expect("a signature");
        let signature = unb64(signature);
        for bit in [0, 7, signature.len() * 4, signature.len() * 8 - 1] {
            let mut flipped = signature.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let forged = format!("{input}.{}", b64(flipped));
            assert_eq!(
                outcome(&layer, &forged),
                "invalid_signature",
                "{alg} bit {bit}"
            );
        }
        for length in [0, 1, signature.len() - 1] {
            let forged = format!("{input}.{}", b64(&signature[..length]));
            assert_eq!(
                outcome(&layer, &forged),
                "invalid_signature",
                "{alg} cut to {length}"
            );
        }
        let longer = format!("{input}.{}", b64([&signature[..], &[0]].concat()));
        assert_eq!(
            outcome(&layer, &longer),
            "invalid_signature",
            "{alg} longer"
        );
        let other_claims = signing_input(named(alg.name()), CLAIMS.replace("alice", "mallo"));
        let forged = format!("{other_claims}.{}", b64(&signature));
        assert_eq!(
            outcome(&layer, &forged),
            "invalid_signature",
            "{alg} other claims"
        );
    }
}

#[test]
fn another_key_of_the_same_kind_does_not_verify() {
    let foreign = Pairs::generate();
    for alg in [
        Algorithm::RS256,
        Algorithm::PS256,
        Algorithm::ES256,
        Algorithm::ES384,
        Algorithm::ES512,
        Algorithm::EdDSA,
    ] {
        if !ALL.contains(&alg) {
            continue;
        }
        let token = foreign.token(alg, &named(alg.name()), CLAIMS);
        assert_eq!(
            outcome(&layer_for(alg), &token),
            "invalid_signature",
            "{alg}"
        );
    }
}

/// Each signature is good under the algorithm that made it, and claims to be of another.
#[test]
fn a_signature_does_not_pass_under_another_algorithm() {
    for signed in ALL {
        for claimed in ALL {
            if signed == claimed {
                continue;
            }
            let token = PAIRS.token(signed, &named(claimed.name()), CLAIMS);
            let got = outcome(&layer_for(claimed), &token);
            assert_eq!(got, "invalid_signature", "{signed} as {claimed}");
            let got = outcome(&layer_for(signed), &token);
            assert_eq!(got, "algorithm_not_allowed", "{signed} as {claimed}");
        }
    }
}

#[test]
fn only_names_of_the_list_pass_byte_by_byte() {
    let names = [
        "none",
        "None",
        "NONE",
        "nOnE",
        "",
        " ",
        "HS256 ",
        " HS256",
        "hs256",
        "Hs256",
        "HS-256",
        "HS1",
        "HS224",
        "HS384",
        "HS512",
        "RS256",
        "ES256",
        "EdDSA",
        "ES256K",
        "ES512",
        "A256GCM",
        "dir",
        "HS256\u{0}",
        "ＨＳ256",
        "ΗS256",
    ];
    let layer = lax();
    let claims = r#"{"exp":1800003600}"#;
    for name in names {
        let header = named(name);
        let unsigned = format!("{}.", signing_input(&header, claims));
        // With a good HMAC, with none, and with what some libraries take for one.
        for (how, token) in [
            ("signed", token(&header, claims)),
            ("unsigned", unsigned.clone()),
            ("a zero byte", format!("{unsigned}AA")),
        ] {
            let got = outcome(&layer, &token);
            assert_eq!(got, "algorithm_not_allowed", "alg {name:?}, {how}");
        }
    }
    table(
        &layer,
        [
            ("alg absent", token("{}", claims), "algorithm_not_allowed"),
            (
                "alg null",
                token(r#"{"alg":null}"#, claims),
                "malformed_token",
            ),
            (
                "alg number",
                token(r#"{"alg":256}"#, claims),
                "malformed_token",
            ),
            (
                "alg array",
                token(r#"{"alg":["HS256"]}"#, claims),
                "malformed_token",
            ),
            (
                "alg object",
                token(r#"{"alg":{"HS256":1}}"#, claims),
                "malformed_token",
            ),
            (
                "alg twice",
                token(r#"{"alg":"none","alg":"HS256"}"#, claims),
                "duplicate_token_member",
            ),
            (
                "Alg",
                token(r#"{"Alg":"HS256"}"#, claims),
                "algorithm_not_allowed",
            ),
            (
                "alg escaped",
                token(r#"{"\u0061lg":"HS\u003256"}"#, claims),
                "accepted",
            ),
            (
                "empty signature",
                format!("{}.", signing_input(named("HS256"), claims)),
                "invalid_signature",
            ),
        ],
    );
}

/// The classic: HMAC over the token with whatever form of the public key a verifier holds.
#[test]
fn hmac_with_the_bytes_of_a_public_key_is_refused() {
    for alg in [
        Algorithm::RS256,
        Algorithm::PS512,
        Algorithm::ES256,
        Algorithm::ES384,
        Algorithm::ES512,
        Algorithm::EdDSA,
    ] {
        if !ALL.contains(&alg) {
            continue;
        }
        let pem = PAIRS.pem(alg);
        let jwk = PAIRS.jwk(alg);
        let point = jwk.get("x").or(jwk.get("n")).and_then(|x| x.as_str());
        let point = point.expect("the key itself");
        let secrets: [(&str, Vec<u8>); 8] = [
            ("PEM", pem.clone().into_bytes()),
            (
                "PEM without its last newline",
                pem.trim_end().as_bytes().to_vec(),
            ),
            ("PEM with CRLF", pem.replace('\n', "\r\n").into_bytes()),
            ("DER", PAIRS.spki(alg)),
            ("JWK", jwk.to_string().into_bytes()),
            ("number", unb64(point)),
            ("number in base64", point.as_bytes().to_vec()),
            ("nothing", Vec::new()),
        ];
        let keys = [
            ("PEM", PublicKey::from_pem(&pem)),
            ("DER", PublicKey::from_der(PAIRS.spki(alg))),
            ("JWK", PublicKey::from_jwk(jwk.to_string())),
        ];
        for (read, key) in keys {
            let layer = builder(key.expect("a key"))
                .algorithms([alg])
                .audience(AUDIENCE)
                .build()
                .expect("a layer");
            for (with, secret) in &secrets {
                let input = signing_input(named("HS256"), CLAIMS);
                let forged = format!("{input}.{}", b64(hs256(secret, &input)));
                let got = outcome(&layer, &forged);
                assert_eq!(
                    got, "algorithm_not_allowed",
                    "{alg} from {read}, HMAC by {with}"
                );
                let input = signing_input(named(alg.name()), CLAIMS);
                let forged = format!("{input}.{}", b64(hs256(secret, &input)));
                let got = outcome(&layer, &forged);
                assert_eq!(
                    got, "invalid_signature",
                    "{alg} from {read}, HMAC by {with}"
                );
            }
        }
    }
}

#[test]
fn a_list_of_algorithms_must_fit_the_key() {
    use Algorithm::*;
    let setting = |builder: tower_mcp_auth::jwt::JwtLayerBuilder| {
        builder.build().err().map(|error| error.setting())
    };
    let public = |alg| builder(PAIRS.public(alg)).audience(AUDIENCE);
    for list in [&[HS256, RS256][..], &[RS256], &[EdDSA], &[]] {
        let got = setting(builder(secret()).algorithms(list.iter().copied()));
        assert_eq!(got, Some("algorithms"), "a secret with {list:?}");
    }
    for list in [
        &[RS256, HS256][..],
        &[RS256, ES256],
        &[ES256],
        &[HS256],
        &[],
    ] {
        let got = setting(public(RS256).algorithms(list.iter().copied()));
        assert_eq!(got, Some("algorithms"), "an RSA key with {list:?}");
    }
    for (key, list) in [
        (ES256, [ES384]),
        (ES384, [ES256]),
        (EdDSA, [ES256]),
        (ES256, [EdDSA]),
    ] {
        let got = setting(public(key).algorithms(list));
        assert_eq!(got, Some("algorithms"), "a key of {key} with {list:?}");
    }
    if ALL.contains(&ES512) {
        for (key, list) in [(ES384, [ES512]), (ES512, [ES384])] {
            let got = setting(public(key).algorithms(list));
            assert_eq!(got, Some("algorithms"), "a key of {key} with {list:?}");
        }
    } else {
        let got = setting(public(ES256).algorithms([ES256, ES512]));
        assert_eq!(got, Some("algorithms"), "without a backend that knows it");
    }
    assert_eq!(
        setting(public(RS256).algorithms([RS256, RS384, RS512, PS256, PS384, PS512])),
        None
    );
    assert_eq!(
        setting(builder(secret()).algorithms([HS256, HS384, HS512])),
        None
    );

    // The alg of a JWK and the list must both agree.
    let mut jwk = PAIRS.jwk(RS256);
    jwk["alg"] = "RS256".into();
    let key = || PublicKey::from_jwk(jwk.to_string()).expect("a key");
    for list in [&[PS256][..], &[RS256, PS256], &[RS512]] {
        let got = setting(
            builder(key())
                .audience(AUDIENCE)
                .algorithms(list.iter().copied()),
        );
        assert_eq!(got, Some("algorithms"), "a JWK for RS256 with {list:?}");
    }
    let layer = builder(key()).audience(AUDIENCE).build().expect("a layer");
    let token = |alg: Algorithm| PAIRS.token(alg, &named(alg.name()), CLAIMS);
    assert_eq!(outcome(&layer, &token(RS256)), "accepted");
    assert_eq!(outcome(&layer, &token(PS256)), "algorithm_not_allowed");
}

#[test]
fn all_algorithms_of_a_family_can_be_listed_at_once() {
    let (hmac, rsa) = (&ALL[..3], &ALL[3..9]);
    let public = builder(PAIRS.public(Algorithm::RS256)).audience(AUDIENCE);
    for (list, builder) in [(hmac, builder(secret())), (rsa, public)] {
        let layer: JwtLayer = builder
            .algorithms(list.iter().copied())
            .build()
            .expect("a layer");
        for alg in list {
            let token = PAIRS.token(*alg, &named(alg.name()), CLAIMS);
            assert_eq!(outcome(&layer, &token), "accepted", "{alg}");
        }
    }
}

#[test]
fn the_default_algorithm_is_one_and_follows_the_key() {
    let hmac = lax();
    assert_eq!(
        outcome(
            &hmac,
            &PAIRS.token(Algorithm::HS256, &named("HS256"), CLAIMS)
        ),
        "accepted"
    );
    for alg in [Algorithm::HS384, Algorithm::HS512] {
        let token = PAIRS.token(alg, &named(alg.name()), CLAIMS);
        assert_eq!(outcome(&hmac, &token), "algorithm_not_allowed", "{alg}");
    }
    for alg in [
        Algorithm::RS256,
        Algorithm::ES256,
        Algorithm::ES384,
        Algorithm::ES512,
        Algorithm::EdDSA,
    ] {
        if !ALL.contains(&alg) {
            continue;
        }
        let layer = builder(PAIRS.public(alg))
            .audience(AUDIENCE)
            .build()
            .expect("a layer");
        let token = PAIRS.token(alg, &named(alg.name()), CLAIMS);
        assert_eq!(outcome(&layer, &token), "accepted", "{alg}");
    }
}

#[test]
fn secrets_are_as_long_as_the_hash() {
    for (length, alg, fits) in [
        (32, Algorithm::HS256, true),
        (32, Algorithm::HS384, false),
        (47, Algorithm::HS384, false),
        (48, Algorithm::HS384, true),
        (48, Algorithm::HS512, false),
        (63, Algorithm::HS512, false),
        (64, Algorithm::HS512, true),
    ] {
        let secret = Secret::new(&SECRET[..length]).expect("a secret");
        let layer = builder(secret).algorithms([alg]).build();
        assert_eq!(layer.is_ok(), fits, "{alg} with {length} bytes");
        if let Err(error) = layer {
            assert_eq!(error.setting(), "secret");
        }
    }
}

/// RFC 7518 section 3.4: two numbers of full size, each from 1 to the order less one.
#[test]
fn degenerate_ecdsa_signatures_are_refused() {
    let layer = layer_for(Algorithm::ES256);
    let input = signing_input(named("ES256"), CLAIMS);
    let order = unb64("_____wAAAAD__________7zm-q2nF56E87nKwvxjJVE");
    let mut one = vec![0; 32];
    one[31] = 1;
    let zero = vec![0; 32];
    let max = vec![0xff; 32];
    let numbers = [
        ("0", &zero),
        ("1", &one),
        ("the order", &order),
        ("all ones", &max),
    ];
    for (r_name, r) in numbers {
        for (s_name, s) in numbers {
            let token = format!("{input}.{}", b64([&r[..], &s[..]].concat()));
            let got = outcome(&layer, &token);
            assert_eq!(got, "invalid_signature", "r is {r_name}, s is {s_name}");
        }
    }
    let good = PAIRS.sign(Algorithm::ES256, input.as_bytes());
    let (r, s) = good.split_at(32);
    // DER: SEQUENCE { INTEGER r, INTEGER s }, with a leading zero where the top bit is set.
    let integer = |n: &[u8]| {
        let padded = [&[0][..], n].concat();
        let n = if n[0] >= 0x80 { &padded[..] } else { n };
        [&[2, n.len() as u8], n].concat()
    };
    let body = [integer(r), integer(s)].concat();
    let der = [&[0x30, body.len() as u8], &body[..]].concat();
    let padded = [&[0][..], r, &[0], s].concat();
    for (name, signature) in [
        ("DER", der),
        ("r and s with leading zeros", padded),
        ("r alone", r.to_vec()),
        ("s and r", [s, r].concat()),
        ("twice", good.repeat(2)),
    ] {
        let token = format!("{input}.{}", b64(signature));
        assert_eq!(outcome(&layer, &token), "invalid_signature", "{name}");
    }
    assert_eq!(
        outcome(&layer, &format!("{input}.{}", b64(&good))),
        "accepted"
    );
}

#[test]
fn rsa_keys_of_8192_bits_verify_where_the_backend_can() {
    let token = include_str!("fixtures/rsa8192.jwt");
    match PublicKey::from_pem(include_str!("fixtures/rsa8192.pem")) {
        Ok(key) => {
            let layer = builder(key)
                .dangerously_any_audience()
                .build()
                .expect("a layer");
            let principal = ask(&layer, token).expect("a good token");
            assert_eq!(principal.subject(), Some("alice"));
            let (input, signature) = token.rsplit_once('.').expect("a signature");
            let longer = format!("{input}.{}", b64([&unb64(signature)[..], &[0]].concat()));
            assert!(ask(&layer, &longer).is_err());
        }
        Err(error) => assert!(!aws_lc(), "{error}"),
    }
    // A JWK of that size is refused as well, not taken to verify nothing.
    let mut jwk = PAIRS.jwk(Algorithm::RS256);
    jwk["n"] = b64([0xff; 1024]).into();
    match PublicKey::from_jwk(jwk.to_string()) {
        Ok(_) => assert!(aws_lc()),
        Err(error) => {
            assert!(!aws_lc());
            let text = error.to_string();
            assert!(
                text.ends_with("has 8192 bits; between 2048 and 4096 are accepted"),
                "{text}"
            );
        }
    }
}
