//! The form of a token: parts, sizes and base64url, judged before anything is read.

use crate::jose::harness::{
    AUDIENCE, CLAIMS, HEADER, ISSUER, ask, b64, builder, lax, outcome, sealed, secret, strict,
    table, token,
};

const SIGNATURE: usize = 43;

fn encoded(bytes: usize) -> usize {
    (bytes * 4).div_ceil(3)
}

/// A good token of exactly this many bytes.
fn sized(length: usize) -> String {
    let header = |pad: usize| format!(r#"{{"alg":"HS256","x":"{}"}}"#, "h".repeat(pad));
    let claims = |pad: usize| format!(r#"{{"exp":1800003600,"x":"{}"}}"#, "c".repeat(pad));
    let (bare_header, bare_claims) = (header(0).len(), claims(0).len());
    for pad in 0..8 {
        let rest = length - SIGNATURE - 2 - encoded(bare_header + pad);
        for claims_pad in (rest * 3 / 4 - bare_claims).saturating_sub(4)..=rest * 3 / 4 {
            if encoded(bare_claims + claims_pad) == rest {
                let token = token(header(pad), claims(claims_pad));
                assert_eq!(token.len(), length);
                return token;
            }
        }
    }
    panic!("no token has {length} bytes");
}

/// A good token whose header is exactly this many bytes of JSON.
fn with_header_of(length: usize) -> String {
    let bare = r#"{"alg":"HS256","x":""}"#.len();
    let header = format!(r#"{{"alg":"HS256","x":"{}"}}"#, "h".repeat(length - bare));
    assert_eq!(header.len(), length);
    token(header, r#"{"exp":1800003600}"#)
}

#[test]
fn a_token_of_16384_bytes_passes_and_one_more_does_not() {
    for (length, expected) in [
        (16_383, "accepted"),
        (16_384, "accepted"),
        (16_385, "token_too_large"),
        (16_386, "token_too_large"),
        (65_536, "token_too_large"),
    ] {
        assert_eq!(outcome(&lax(), &sized(length)), expected, "{length} bytes");
    }
}

#[test]
fn a_header_of_4096_bytes_passes_and_one_more_does_not() {
    for (length, expected) in [
        (4_094, "accepted"),
        (4_095, "accepted"),
        (4_096, "accepted"),
        (4_097, "header_too_large"),
        (4_098, "header_too_large"),
        (4_099, "header_too_large"),
        (8_000, "header_too_large"),
    ] {
        assert_eq!(
            outcome(&lax(), &with_header_of(length)),
            expected,
            "{length} bytes"
        );
    }
}

#[test]
fn the_longest_token_and_header_are_settings() {
    let layer = |token, header| {
        let builder = builder(secret()).max_token_bytes(token);
        builder.max_header_bytes(header).build()
    };
    let large = layer(64 * 1024, 16 * 1024).expect("a layer");
    let small = layer(1024, 256).expect("a layer");
    let rows = [
        (&large, sized(65_536), "accepted"),
        (&large, sized(65_537), "token_too_large"),
        (&large, with_header_of(16_384), "accepted"),
        (&large, with_header_of(16_385), "header_too_large"),
        (&small, with_header_of(256), "accepted"),
        (&small, with_header_of(257), "header_too_large"),
        (&small, token(HEADER, "x".repeat(1_024)), "token_too_large"),
    ];
    for (layer, token, expected) in rows {
        assert_eq!(outcome(layer, &token), expected, "{} bytes", token.len());
    }
    for (token, header, setting) in [
        (0, 4_096, "max_token_bytes"),
        (1_023, 256, "max_token_bytes"),
        (65_537, 4_096, "max_token_bytes"),
        (usize::MAX, 4_096, "max_token_bytes"),
        (16_384, 0, "max_header_bytes"),
        (16_384, 255, "max_header_bytes"),
        (65_536, 16_385, "max_header_bytes"),
        (65_536, usize::MAX, "max_header_bytes"),
        // The two contradict each other.
        (4_096, 4_096, "max_header_bytes"),
        (1_024, 4_096, "max_header_bytes"),
    ] {
        let error = layer(token, header).expect_err("out of bounds");
        assert_eq!(error.setting(), setting, "{token} {header}: {error}");
    }
}

#[test]
fn oversize_is_refused_as_a_token_not_as_a_request() {
    for huge in [
        ".".repeat(1 << 20),
        "a".repeat(1 << 20),
        "A.".repeat(1 << 19),
    ] {
        assert_eq!(outcome(&lax(), &huge), "token_too_large");
    }
}

#[test]
fn a_token_has_three_parts() {
    let good = token(HEADER, CLAIMS);
    let (input, signature) = good.rsplit_once('.').expect("parts");
    let (header, claims) = input.split_once('.').expect("parts");
    table(
        &strict(),
        [
            ("itself", good.clone(), "accepted"),
            ("one part", header.to_owned(), "not_a_jwt"),
            ("two parts", input.to_owned(), "not_a_jwt"),
            ("four parts", format!("{good}.{signature}"), "not_a_jwt"),
            ("a dot behind", format!("{good}."), "not_a_jwt"),
            ("a dot in front", format!(".{good}"), "not_a_jwt"),
            (
                "five parts",
                format!("{good}.{signature}.{signature}"),
                "encrypted_token",
            ),
            ("five empty parts", "....".to_owned(), "encrypted_token"),
            (
                "five parts, header first",
                format!("{header}..{claims}.x.{signature}"),
                "encrypted_token",
            ),
            ("six parts", format!("{good}.a.b.c"), "not_a_jwt"),
            ("16,384 dots", ".".repeat(16_384), "not_a_jwt"),
            (
                "no header",
                format!(".{claims}.{signature}"),
                "malformed_token",
            ),
            (
                "no payload",
                sealed(&format!("{header}.")),
                "malformed_token",
            ),
            ("no signature", format!("{input}."), "invalid_signature"),
            ("nothing but dots", "..".to_owned(), "malformed_token"),
            (
                "payload and header swapped",
                sealed(&format!("{claims}.{header}")),
                "algorithm_not_allowed",
            ),
        ],
    );
}

/// A JWE with this header, of which a careless verifier would read the inside.
#[test]
fn an_encrypted_token_is_never_opened() {
    let header = b64(r#"{"alg":"dir","enc":"A256GCM","cty":"JWT"}"#);
    let inner = b64(token(HEADER, CLAIMS));
    let jwe = format!(
        "{header}..{iv}.{inner}.{tag}",
        iv = b64([0; 12]),
        tag = b64([0; 16])
    );
    assert_eq!(outcome(&lax(), &jwe), "encrypted_token");
}

/// One text for one token: RFC 7515 section 2 takes base64url without padding, and a
/// second spelling of the same bytes would dodge a list of revoked tokens.
#[test]
fn base64url_has_one_spelling() {
    let claims = |text: &str| sealed(&format!("{}.{text}", b64(HEADER)));
    let header = |text: &str| sealed(&format!("{text}.{}", b64(CLAIMS)));
    // One byte over a multiple of three leaves four unused bits, two over leave two.
    let one_over = r#"{"alg":"HS256","x":"123"}"#;
    let two_over = r#"{"alg":"HS256","x":"1234"}"#;
    assert_eq!((one_over.len() % 3, two_over.len() % 3), (1, 2));
    let bump = |text: &str, by: u8| {
        const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let last = text.as_bytes()[text.len() - 1];
        let index = ALPHABET
            .iter()
            .position(|own| *own == last)
            .expect("base64url");
        let next = ALPHABET[index + usize::from(by)] as char;
        format!("{}{next}", &text[..text.len() - 1])
    };
    let (one, two) = (b64(one_over), b64(two_over));
    let good = token(HEADER, CLAIMS);
    let (input, signature) = good.rsplit_once('.').expect("parts");
    let slashes = r#"{"exp":1800003600,"x":"???>>>~~~"}"#;
    let url = b64(slashes);
    let standard = url.replace('-', "+").replace('_', "/");
    assert_ne!(url, standard);
    let rows = [
        ("the header itself", header(&one), "accepted"),
        (
            "four bits to spare",
            header(&bump(&one, 1)),
            "malformed_token",
        ),
        (
            "four bits to spare, all",
            header(&bump(&one, 15)),
            "malformed_token",
        ),
        (
            "two bits to spare",
            header(&bump(&two, 1)),
            "malformed_token",
        ),
        (
            "header with ==",
            header(&format!("{one}==")),
            "malformed_credential",
        ),
        (
            "a lone letter behind",
            header(&format!("{}A", b64(r#"{"alg":"HS256" }"#))),
            "malformed_token",
        ),
        ("- and _", claims(&url), "accepted"),
        ("+ and /", claims(&standard), "malformed_token"),
        (
            "payload bits to spare",
            claims(&bump(&b64(r#"{"exp":1800003600 }"#), 1)),
            "malformed_token",
        ),
        (
            "a tilde",
            claims(&format!("{}~", b64(CLAIMS))),
            "malformed_token",
        ),
        (
            "signature bits to spare",
            format!("{input}.{}", bump(signature, 1)),
            "malformed_token",
        ),
        (
            "signature in another spelling",
            format!("{input}.{}", bump(signature, 2)),
            "malformed_token",
        ),
        ("signature with =", format!("{good}="), "malformed_token"),
        (
            "signature with ====",
            format!("{good}===="),
            "malformed_token",
        ),
        (
            "signature of 1,025 bytes",
            format!("{input}.{}", b64([0; 1025])),
            "malformed_token",
        ),
        (
            "signature of 9,000 bytes",
            format!("{input}.{}", b64([0; 9000])),
            "malformed_token",
        ),
        (
            "signature of 1,024 bytes",
            format!("{input}.{}", b64([0; 1024])),
            "invalid_signature",
        ),
    ];
    table(&lax(), rows);
}

#[test]
fn the_text_of_a_refusal_repeats_nothing_of_the_token() {
    let secretive = "xyzzyplughxyzzyplugh";
    let named = builder(secret())
        .key_id("k1")
        .issuer(ISSUER)
        .audience(AUDIENCE);
    let named = named.build().expect("a layer");
    for bad in [
        token(format!(r#"{{"alg":"{secretive}"}}"#), CLAIMS),
        token(format!(r#"{{"alg":"HS256","typ":"{secretive}"}}"#), CLAIMS),
        token(format!(r#"{{"alg":"HS256","kid":"{secretive}"}}"#), CLAIMS),
        token(HEADER, format!(r#"{{"iss":"{secretive}","exp":1}}"#)),
        token(
            HEADER,
            CLAIMS.replace("https://mcp.example.com/mcp", secretive),
        ),
        token(HEADER, format!(r#"{{"{secretive}":1,"{secretive}":2}}"#)),
    ] {
        let error = ask(&named, &bad).expect_err("a bad token");
        assert!(
            !error.description().contains("xyzzy"),
            "{}",
            error.description()
        );
    }
    // The operator sees the value, escaped and cut.
    let kid = "a\\n\\u0007\\u202e\\\"".to_owned() + &"k".repeat(2_000);
    let bad = token(format!(r#"{{"alg":"HS256","kid":"{kid}"}}"#), CLAIMS);
    let error = ask(&named, &bad).expect_err("an unknown key");
    let detail = error.detail().expect("a detail");
    assert!(detail.contains(r#""a\n\u{7}\u{202e}\"kkk"#), "{detail}");
    assert!(detail.contains("kkk…\"") && detail.len() < 300, "{detail}");
}
