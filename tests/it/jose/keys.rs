//! Which keys are taken, and which are refused before they verify anything.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use serde_json::{Value, json};
use tower_mcp_auth::JwtLayer;
use tower_mcp_auth::jose::{Algorithm, PublicKey, Secret};

use crate::jose::harness::{
    AUDIENCE, CLAIMS, PAIRS, SECRET, aws_lc, b64, builder, outcome, pem, secret, unb64,
};

macro_rules! fixture {
    ($name:literal) => {
        ($name, include_str!(concat!("fixtures/", $name, ".pem")))
    };
}

fn der_of(pem: &str) -> Vec<u8> {
    use base64::Engine;
    let body: String = pem
        .lines()
        .filter(|line| !line.starts_with("-----"))
        .collect();
    base64::engine::general_purpose::STANDARD
        .decode(body)
        .expect("base64")
}

/// PKCS#8 of the key pairs: what must never be configured.
fn private_keys() -> Vec<(&'static str, Vec<u8>)> {
    let rsa: Pkcs8V1Der<'_> = PAIRS.rsa.as_der().expect("PKCS#8");
    let p256 = PAIRS.p256.to_pkcs8v1().expect("PKCS#8");
    let p384 = PAIRS.p384.to_pkcs8v1().expect("PKCS#8");
    let p521 = PAIRS.p521.to_pkcs8v1().expect("PKCS#8");
    let ed_v1 = PAIRS.ed25519.to_pkcs8v1().expect("PKCS#8");
    let ed_v2 = PAIRS.ed25519.to_pkcs8().expect("PKCS#8");
    vec![
        ("RSA", rsa.as_ref().to_vec()),
        ("P-256", p256.as_ref().to_vec()),
        ("P-384", p384.as_ref().to_vec()),
        ("P-521", p521.as_ref().to_vec()),
        ("Ed25519", ed_v1.as_ref().to_vec()),
        ("Ed25519 with its public key", ed_v2.as_ref().to_vec()),
    ]
}

/// The contents of the first OCTET STRING of a PKCS#8 key: SEC 1 or PKCS#1.
fn inner_private(pkcs8: &[u8]) -> Option<Vec<u8>> {
    (0..pkcs8.len()).find_map(|start| {
        let (&tag, rest) = pkcs8[start..].split_first()?;
        let (length, body) = match rest {
            [0x82, high, low, body @ ..] => (usize::from(u16::from_be_bytes([*high, *low])), body),
            [0x81, length, body @ ..] => (usize::from(*length), body),
            [length, body @ ..] => (usize::from(*length), body),
            [] => return None,
        };
        (tag == 4 && body.len() >= length && body.first() == Some(&0x30))
            .then(|| body[..length].to_vec())
    })
}

#[test]
fn pem_keys_of_supported_kinds_are_read() {
    for ((name, pem), family) in [
        (fixture!("rsa2048"), "Rsa"),
        (fixture!("rsa2048_pkcs1"), "Rsa"),
        (fixture!("rsa2048_e3"), "Rsa"),
        (fixture!("prime256v1"), "P256"),
        (fixture!("secp384r1"), "P384"),
        (fixture!("ed25519"), "Ed25519"),
        (fixture!("cert_rsa2048"), "Rsa"),
        (fixture!("cert_prime256v1"), "P256"),
        (fixture!("cert_ed25519"), "Ed25519"),
        (fixture!("cert_p256_by_rsa"), "P256"),
    ] {
        for text in [
            pem.to_owned(),
            pem.replace('\n', "\r\n"),
            format!("a comment\n\n{pem}"),
            pem.trim_end().to_owned(),
        ] {
            let key = PublicKey::from_pem(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
            let printed = format!("{key:?}");
            assert!(
                printed.contains(&format!("family: {family},")),
                "{name}: {printed}"
            );
        }
        if !name.starts_with("cert") {
            let key = PublicKey::from_der(der_of(pem));
            key.unwrap_or_else(|error| panic!("{name} as DER: {error}"));
        }
    }
    for larger in [fixture!("rsa8192"), fixture!("secp521r1")] {
        let key = PublicKey::from_pem(larger.1);
        assert_eq!(key.is_ok(), aws_lc(), "{key:?}");
        let key = PublicKey::from_der(der_of(larger.1));
        assert_eq!(key.is_ok(), aws_lc(), "{key:?}");
    }
}

#[test]
fn pem_and_der_keys_of_other_kinds_are_refused() {
    for (name, pem) in [
        fixture!("rsa1024"),
        fixture!("secp256k1"),
        fixture!("brainpoolP256r1"),
        fixture!("prime256v1_compressed"),
        fixture!("prime256v1_explicit"),
        fixture!("ed448"),
        fixture!("x25519"),
        fixture!("x448"),
        fixture!("rsa_pss_oid"),
        // An Ed25519 signature marks the certificate as if the key were one.
        fixture!("cert_p256_by_ed25519"),
    ] {
        let error = PublicKey::from_pem(pem).expect_err(name);
        assert_eq!(error.setting(), "key", "{name}");
        assert!(PublicKey::from_der(der_of(pem)).is_err(), "{name} as DER");
    }
    let good = fixture!("rsa2048").1;
    let (ec, ed) = (fixture!("prime256v1").1, fixture!("ed25519").1);
    for (name, text) in [
        ("empty", String::new()),
        ("no PEM", "secret".to_owned()),
        (
            "DER as PEM",
            String::from_utf8_lossy(&der_of(good)).into_owned(),
        ),
        ("cut off", good[..200].to_owned()),
        ("no body", pem("PUBLIC KEY", &[])),
        ("garbage", pem("PUBLIC KEY", &[0x30; 300])),
        ("another label", good.replace("PUBLIC KEY", "EC PARAMETERS")),
        (
            "an SSH key",
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA".to_owned(),
        ),
        (
            "an EC key labelled PKCS#1",
            ec.replace("PUBLIC KEY", "RSA PUBLIC KEY"),
        ),
        (
            "an Ed25519 key labelled PKCS#1",
            ed.replace("PUBLIC KEY", "RSA PUBLIC KEY"),
        ),
        (
            "an RSA key labelled PKCS#1",
            good.replace("PUBLIC KEY", "RSA PUBLIC KEY"),
        ),
    ] {
        assert!(PublicKey::from_pem(&text).is_err(), "{name}");
    }
    for (name, der) in [
        ("empty", vec![]),
        ("one byte", vec![0x30]),
        (
            "a length that lies",
            vec![0x30, 0x84, 0xff, 0xff, 0xff, 0xff],
        ),
        ("an endless length", vec![0x30, 0x80, 0, 0]),
        (
            "a raw point",
            PAIRS.jwk(Algorithm::ES256)["x"].to_string().into_bytes(),
        ),
        ("text", good.as_bytes().to_vec()),
        ("cut off", der_of(good)[..290].to_vec()),
    ] {
        assert!(PublicKey::from_der(&der).is_err(), "{name}");
    }
}

#[test]
fn every_byte_of_a_key_can_be_wrong_without_a_panic() {
    for (name, text) in [
        fixture!("rsa2048"),
        fixture!("rsa2048_pkcs1"),
        fixture!("prime256v1"),
        fixture!("ed25519"),
    ] {
        let good = der_of(text);
        for index in 0..good.len() {
            let mut bad = good.clone();
            bad[index] ^= 0x41;
            let _ = PublicKey::from_der(&bad);
            let _ = PublicKey::from_der(&good[..index]);
        }
        assert!(PublicKey::from_der(&good).is_ok(), "{name}");
    }
}

#[test]
fn private_keys_are_refused_in_every_wrapping() {
    for (name, pkcs8) in private_keys() {
        for label in [
            "PRIVATE KEY",
            "RSA PRIVATE KEY",
            "EC PRIVATE KEY",
            "ENCRYPTED PRIVATE KEY",
        ] {
            let error = PublicKey::from_pem(pem(label, &pkcs8)).expect_err(name);
            assert!(error.to_string().contains("private key"), "{name}: {error}");
        }
        let mut wrapped = vec![pkcs8.clone()];
        wrapped.extend(inner_private(&pkcs8));
        assert!(wrapped.len() == 2 || name.starts_with("Ed25519"), "{name}");
        for der in wrapped {
            assert!(PublicKey::from_der(&der).is_err(), "{name} as DER");
            for label in ["PUBLIC KEY", "RSA PUBLIC KEY", "CERTIFICATE"] {
                assert!(
                    PublicKey::from_pem(pem(label, &der)).is_err(),
                    "{name} as {label}"
                );
            }
        }
    }
    // Beside a good key as well: its sender should know.
    let good = PAIRS.pem(Algorithm::RS256);
    let both = format!("{good}{}", pem("PRIVATE KEY", &private_keys()[0].1));
    assert!(PublicKey::from_pem(both).is_err());
}

fn change(mut jwk: Value, name: &str, value: Value) -> String {
    jwk[name] = value;
    jwk.to_string()
}

#[test]
fn jwks_are_read_with_their_id_and_algorithm() {
    for alg in [
        Algorithm::RS256,
        Algorithm::ES256,
        Algorithm::ES384,
        Algorithm::EdDSA,
    ] {
        let jwk = PAIRS.jwk(alg);
        for (name, value) in [
            ("kid", json!("k1")),
            ("kid", json!("")),
            ("alg", json!(alg.name())),
            ("use", json!("sig")),
            ("key_ops", json!(["verify"])),
            ("key_ops", json!(["sign", "verify"])),
            ("x5c", json!(["ignored"])),
            ("x5t", json!(5)),
            ("nbf", json!(1)),
            ("ext", json!(true)),
            ("unknown", json!({"a": []})),
            // What a server has not it may write as `null`, or as an empty list.
            ("kid", json!(null)),
            ("alg", json!(null)),
            ("use", json!(null)),
            ("key_ops", json!(null)),
            ("key_ops", json!([])),
            ("x5c", json!(null)),
            ("x5c", json!([])),
            ("d", json!(null)),
            ("k", json!(null)),
        ] {
            let key = PublicKey::from_jwk(change(jwk.clone(), name, value.clone()));
            let key = key.unwrap_or_else(|error| panic!("{alg}, {name} {value}: {error}"));
            let layer = builder(key).audience(AUDIENCE).build().expect("a layer");
            let header = json!({"alg": alg.name()}).to_string();
            let token = PAIRS.token(alg, &header, CLAIMS);
            assert_eq!(outcome(&layer, &token), "accepted", "{alg}, {name} {value}");
        }
    }
}

#[test]
fn jwks_that_are_not_for_signatures_or_not_valid_are_refused() {
    let rsa = || PAIRS.jwk(Algorithm::RS256);
    let p256 = || PAIRS.jwk(Algorithm::ES256);
    let p384 = || PAIRS.jwk(Algorithm::ES384);
    let p521 = || PAIRS.jwk(Algorithm::ES512);
    let ed = || PAIRS.jwk(Algorithm::EdDSA);
    let mut rows: Vec<(String, String)> = Vec::new();
    for jwk in [rsa(), p256(), p384(), ed()] {
        let kty = jwk["kty"].clone();
        for (name, value) in [
            ("use", json!("enc")),
            ("use", json!("SIG")),
            ("use", json!("")),
            ("use", json!(["sig"])),
            ("key_ops", json!(["encrypt"])),
            ("key_ops", json!(["sign"])),
            ("key_ops", json!(["deriveKey", "wrapKey"])),
            ("key_ops", json!("verify")),
            ("key_ops", json!([1])),
            ("kid", json!(5)),
            ("kid", json!(["k1"])),
            ("alg", json!("HS256")),
            ("alg", json!("none")),
            ("alg", json!("")),
            ("alg", json!("RSA-OAEP")),
            ("alg", json!("ES512")),
            ("alg", json!("ECDH-ES")),
            ("alg", json!(["RS256"])),
            ("d", json!("AAAA")),
            ("p", json!("AAAA")),
            ("k", json!("AAAA")),
            ("kty", json!("oct")),
            ("kty", json!("rsa")),
            ("kty", json!("")),
            ("kty", json!(null)),
            ("kty", json!(["RSA"])),
            ("kty", json!("AKP")),
        ] {
            rows.push((
                format!("{kty} with {name} {value}"),
                change(jwk.clone(), name, value),
            ));
        }
    }
    let n = unb64(rsa()["n"].as_str().expect("n"));
    let number = |bytes: &[u8]| json!(b64(bytes));
    let mut even = n.clone();
    *even.last_mut().expect("a number") &= 0xfe;
    let mut over = vec![0xff; 1025];
    over[0] = 1;
    for (name, member, value) in [
        ("alg of EC", "alg", json!("ES256")),
        ("alg of OKP", "alg", json!("EdDSA")),
        ("1024 bits", "n", number(&n[..128])),
        ("2047 bits", "n", number(&[&[0x7f], &n[1..]].concat())),
        ("8193 bits", "n", number(&over)),
        ("1 MiB", "n", number(&vec![0xff; 1 << 20])),
        ("an even modulus", "n", number(&even)),
        ("zero", "n", number(&[0; 256])),
        ("no modulus", "n", number(&[])),
        ("padding", "n", json!(format!("{}==", b64(&n)))),
        ("not base64url", "n", json!("+/+/")),
        ("a number", "n", json!(65537)),
        ("exponent 0", "e", number(&[0])),
        ("exponent 1", "e", number(&[1])),
        ("exponent 1 with zeros", "e", number(&[0, 0, 1])),
        ("exponent 2", "e", number(&[2])),
        ("exponent 65536", "e", number(&[1, 0, 0])),
        ("no exponent", "e", number(&[])),
        ("exponent of 34 bits", "e", number(&[2, 0, 0, 0, 1])),
        ("exponent of 40 bits", "e", number(&[0xff, 0, 0, 0, 1])),
        ("exponent of 41 bits", "e", number(&[1, 0, 0, 0, 0, 1])),
        ("exponent as long as the modulus", "e", number(&n)),
        ("exponent as a number", "e", json!(65537)),
        ("exponent null", "e", json!(null)),
    ] {
        rows.push((format!("RSA: {name}"), change(rsa(), member, value)));
    }
    let coordinate = |jwk: &Value, name: &str| unb64(jwk[name].as_str().expect("a coordinate"));
    for jwk in [p256(), p384(), p521()] {
        let (x, y) = (coordinate(&jwk, "x"), coordinate(&jwk, "y"));
        let crv = jwk["crv"].clone();
        let mut off = y.clone();
        *off.last_mut().expect("a number") ^= 1;
        for (name, member, value) in [
            ("off the curve", "y", number(&off)),
            ("x as y", "y", number(&x)),
            ("y 0", "y", number(&vec![0; y.len()])),
            ("x too short", "x", number(&x[1..])),
            ("x too long", "x", number(&[&[0], &x[..]].concat())),
            ("y empty", "y", number(&[])),
            ("x over the field", "x", number(&vec![0xff; x.len()])),
            ("y null", "y", json!(null)),
            ("secp256k1", "crv", json!("secp256k1")),
            (
                "another curve",
                "crv",
                json!(if crv == "P-521" { "P-384" } else { "P-521" }),
            ),
            ("p-256", "crv", json!("p-256")),
            ("Ed25519", "crv", json!("Ed25519")),
            ("no curve", "crv", json!(null)),
            (
                "another alg",
                "alg",
                json!(if crv == "P-256" { "ES384" } else { "ES256" }),
            ),
            ("RS256", "alg", json!("RS256")),
            ("EdDSA", "alg", json!("EdDSA")),
        ] {
            rows.push((format!("{crv}: {name}"), change(jwk.clone(), member, value)));
        }
        let infinity = change(jwk.clone(), "y", number(&vec![0; y.len()]));
        let infinity = serde_json::from_str(&infinity).expect("JSON");
        rows.push((
            format!("{crv}: 0, 0"),
            change(infinity, "x", number(&vec![0; x.len()])),
        ));
    }
    rows.push((
        "P-256 as P-384".into(),
        change(p256(), "crv", json!("P-384")),
    ));
    let x = coordinate(&ed(), "x");
    for (name, member, value) in [
        ("X25519", "crv", json!("X25519")),
        ("Ed448", "crv", json!("Ed448")),
        ("ed25519", "crv", json!("ed25519")),
        ("P-256", "crv", json!("P-256")),
        ("31 bytes", "x", number(&x[1..])),
        ("33 bytes", "x", number(&[&x[..], &[0]].concat())),
        ("57 bytes", "x", number(&[0; 57])),
        ("no point", "x", json!(null)),
        ("ES256", "alg", json!("ES256")),
        ("Ed448 as alg", "alg", json!("Ed448")),
    ] {
        rows.push((format!("Ed25519: {name}"), change(ed(), member, value)));
    }
    for (name, text) in [
        ("empty", String::new()),
        ("null", "null".into()),
        ("an array", format!("[{}]", rsa())),
        ("a set", json!({"keys": [rsa()]}).to_string()),
        ("a string", json!(rsa().to_string()).to_string()),
        ("no members", "{}".into()),
        ("PEM", PAIRS.pem(Algorithm::RS256)),
        (
            "a symmetric key",
            json!({"kty": "oct", "k": b64(SECRET)}).to_string(),
        ),
    ] {
        rows.push((name.into(), text));
    }
    assert!(rows.len() > 180, "{}", rows.len());
    let taken: Vec<&str> = rows
        .iter()
        .filter(|(_, jwk)| PublicKey::from_jwk(jwk).is_ok())
        .map(|(name, _)| name.as_str())
        .collect();
    assert!(taken.is_empty(), "{taken:#?}");
}

#[test]
fn rsa_exponents_up_to_33_bits_are_taken() {
    for exponent in [
        &[3][..],
        &[17],
        &[1, 0, 1],
        &[0, 1, 0, 1],
        &[0xff; 4],
        &[1, 0, 0, 0, 1],
    ] {
        let jwk = change(PAIRS.jwk(Algorithm::RS256), "e", json!(b64(exponent)));
        assert!(PublicKey::from_jwk(jwk).is_ok(), "{exponent:?}");
    }
}

#[test]
fn a_public_key_asks_for_an_audience() {
    let key = || PAIRS.public(Algorithm::ES256);
    let error = JwtLayer::new(key()).expect_err("no audience");
    assert_eq!(error.setting(), "audience");
    assert!(builder(key()).dangerously_any_audience().build().is_ok());
    let both = builder(key())
        .audience("a")
        .dangerously_any_audience()
        .build();
    assert_eq!(both.expect_err("both").setting(), "audience");
    let empty = builder(key()).audience("").build();
    assert_eq!(empty.expect_err("empty").setting(), "audience");
    assert!(JwtLayer::new(secret()).is_ok());
}

#[test]
fn secrets_are_long_and_no_placeholders() {
    for length in [0, 1, 16, 31] {
        let error = Secret::new(&SECRET[..length]).expect_err("too short");
        assert!(
            error.to_string().contains(&format!("{length} bytes")),
            "{error}"
        );
    }
    for length in [32, 48, 64] {
        assert!(Secret::new(&SECRET[..length]).is_ok(), "{length} bytes");
    }
    for placeholder in [
        &[0; 64][..],
        &[b'a'; 40],
        "secretsecretsecretsecretsecretse-changeme".as_bytes(),
        "CHANGE-ME-CHANGE-ME-CHANGE-ME-CHANGE-ME".as_bytes(),
        "your-secret-your-secret-your-secret-your".as_bytes(),
        "replace_this_with_a_real_secret_please_!".as_bytes(),
        "0123456789012345678901234567890123456789".as_bytes(),
        "0123456789abcdef0123456789abcdef".as_bytes(),
        "abcdefghijklmnopqrstuvwxyzabcdefghij".as_bytes(),
        "qwertyuiopasdfghjklzxcvbnmqwertyuiop".as_bytes(),
        "12121212121212121212121212121212".as_bytes(),
    ] {
        let text = String::from_utf8_lossy(placeholder).into_owned();
        let error = Secret::new(placeholder).expect_err(&text);
        assert!(error.to_string().contains("placeholder"), "{error}");
        assert!(
            text.is_empty() || !error.to_string().contains(&text),
            "{error}"
        );
    }
}

/// A random secret is never a placeholder, whichever letters and digits are among its bytes.
#[test]
fn random_secrets_are_taken() {
    let random = aws_lc_rs::rand::SystemRandom::new();
    let mut bytes = [0; 32];
    for _ in 0..5_000 {
        aws_lc_rs::rand::SecureRandom::fill(&random, &mut bytes).expect("random bytes");
        assert!(Secret::new(bytes).is_ok(), "{bytes:02x?}");
        let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(Secret::new(&text).is_ok(), "{text}");
        assert!(Secret::new(b64(bytes)).is_ok(), "{}", b64(bytes));
    }
}

#[test]
fn debug_prints_no_secret() {
    let text = String::from_utf8_lossy(SECRET).into_owned();
    let bytes = format!("{SECRET:?}");
    let bytes = &bytes[1..20];
    let layer = builder(secret()).issuer("https://idp.example.com").build();
    let layer = layer.expect("a layer");
    let builder = builder(secret()).key_id("k1");
    let key = tower_mcp_auth::jwt::JwtKey::from(secret());
    for (name, printed) in [
        ("Secret", format!("{:?}", secret())),
        ("Secret in full", format!("{:#?}", secret())),
        ("JwtKey", format!("{key:?}")),
        ("builder", format!("{builder:?}")),
        ("layer", format!("{layer:?}")),
        ("layer in full", format!("{layer:#?}")),
    ] {
        for part in [&text[..8], bytes, &b64(SECRET)[..10]] {
            assert!(!printed.contains(part), "{name}: {printed}");
        }
    }
    assert_eq!(format!("{:?}", secret()), "Secret([redacted])");
}

/// y = 2 has no x on the curve. aws-lc sees that with each signature, not before.
#[test]
fn ed25519_points_off_the_curve_verify_nothing() {
    let point = [&[2][..], &[0; 31]].concat();
    let jwk = change(PAIRS.jwk(Algorithm::EdDSA), "x", json!(b64(point)));
    match PublicKey::from_jwk(jwk) {
        Ok(key) => {
            assert!(aws_lc());
            let good = PAIRS.sign(Algorithm::EdDSA, b"anything");
            let forged = [&[1][..], &[0; 63]].concat();
            for signature in [&good[..], &forged, &[0; 64], &[]] {
                assert!(!key.verify(Algorithm::EdDSA, b"anything", signature));
            }
        }
        Err(error) => assert!(!aws_lc(), "{error}"),
    }
}

/// With a point of small order as the key, everybody can sign.
#[test]
fn ed25519_points_of_small_order_are_refused() {
    let ones = "f".repeat(60);
    let forged = [&[1][..], &[0; 63]].concat();
    for point in [
        "00".repeat(32),
        format!("01{}", "00".repeat(31)),
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05".to_owned(),
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a".to_owned(),
        format!("ec{ones}7f"),
        format!("ed{ones}7f"),
        format!("ee{ones}7f"),
    ] {
        let mut bytes: Vec<u8> = (0..32)
            .map(|at| u8::from_str_radix(&point[2 * at..2 * at + 2], 16).expect("hex"))
            .collect();
        for sign in [0, 0x80] {
            bytes[31] = bytes[31] & 0x7f | sign;
            let jwk = change(PAIRS.jwk(Algorithm::EdDSA), "x", json!(b64(&bytes)));
            if let Ok(key) = PublicKey::from_jwk(jwk) {
                let works = key.verify(Algorithm::EdDSA, b"anything", &forged);
                panic!("{point} is taken, and a signature without a key holds: {works}");
            }
        }
    }
}
