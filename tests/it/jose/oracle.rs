//! jsonwebtoken as the oracle: what is accepted here is accepted there, under its strictest
//! settings and a provider that is named.

use std::cell::Cell;
use std::sync::Once;

#[cfg(feature = "aws-lc-rs")]
use jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER as NAMED;
#[cfg(not(feature = "aws-lc-rs"))]
use jsonwebtoken::crypto::rust_crypto::DEFAULT_PROVIDER as NAMED;
use jsonwebtoken::crypto::{CryptoProvider, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::Result as TheirResult;
use jsonwebtoken::{Algorithm as Theirs, DecodingKey, EncodingKey, Validation};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::TestRunner;
use serde_json::{Map, Value};
use tower_mcp_auth::JwtLayer;
use tower_mcp_auth::jose::Algorithm;

use crate::jose::harness::{
    AUDIENCE, CLAIMS, HEADER, ISSUER, PAIRS, SECRET, ask, at, b64, layer_for, outcome, sealed,
    secret, strict, token,
};

thread_local! {
    static ORACLE: Cell<bool> = const { Cell::new(false) };
}

fn verifier(alg: &Theirs, key: &DecodingKey) -> TheirResult<Box<dyn JwtVerifier>> {
    // `decode` takes the provider of the process. This one, named, serves the oracle; were it
    // ever asked by the library, this would say so.
    assert!(ORACLE.get(), "the library used the process-wide provider");
    (NAMED.verifier_factory)(alg, key)
}

static GUARDED: CryptoProvider = CryptoProvider {
    signer_factory: |_: &Theirs, _: &EncodingKey| panic!("the process-wide provider signed"),
    verifier_factory: verifier,
    key_utils: KeyUtils::new_unimplemented(),
};

/// Makes every use of the process-wide provider by the library a panic, in all tests here.
pub(crate) fn guard() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        assert!(
            GUARDED.install_default().is_ok(),
            "somebody used the default before"
        );
    });
}

fn decode(token: &str) -> TheirResult<Map<String, Value>> {
    guard();
    let mut validation = Validation::new(Theirs::HS256);
    validation.validate_nbf = true;
    validation.leeway = 60;
    validation.set_issuer(&[ISSUER]);
    validation.set_audience(&[AUDIENCE]);
    validation.set_required_spec_claims(&["exp", "iss", "aud"]);
    ORACLE.set(true);
    let decoded = jsonwebtoken::decode(token, &DecodingKey::from_secret(SECRET), &validation);
    ORACLE.set(false);
    decoded.map(|data| data.claims)
}

/// Theirs has no clock to set; ours follows the system's. Times below are far from any edge.
fn now() -> u64 {
    tower_mcp_auth::Clock::system().now().as_secs()
}

fn layer() -> JwtLayer {
    JwtLayer::builder(secret())
        .issuer(ISSUER)
        .audience(AUDIENCE)
        .clock(at(now()))
        .build()
        .expect("a layer")
}

/// Values a member may have, good ones often enough for some tokens to pass whole.
fn members(name: &'static str, good: &[&str], other: &[&str]) -> BoxedStrategy<Option<String>> {
    let member = |value: &&str| Some(format!("{name:?}:{value}"));
    let good: Vec<_> = good.iter().map(member).collect();
    let other: Vec<_> = other.iter().map(member).chain([None]).collect();
    prop_oneof![12 => select(good), 1 => select(other)].boxed()
}

const ODD: [&str; 16] = [
    "null",
    "true",
    "0",
    "-1",
    "1.5",
    "1e400",
    "18446744073709551616",
    "\"\"",
    "\"x\"",
    "[]",
    "{}",
    "[null]",
    "[[\"x\"]]",
    "{\"a\":{}}",
    "\"\\ud800\"",
    "\"\\u0000\"",
];

fn object(members: Vec<BoxedStrategy<Option<String>>>) -> impl Strategy<Value = String> {
    members.prop_map(|members| {
        let members: Vec<String> = members.into_iter().flatten().collect();
        format!("{{{}}}", members.join(","))
    })
}

fn headers() -> impl Strategy<Value = String> {
    let typ = ["\"JWT\"", "\"at+jwt\"", "\"application/at+jwt\"", "\"jwt\""];
    object(vec![
        members(
            "alg",
            &["\"HS256\""],
            &["\"HS384\"", "\"none\"", "\"RS256\"", "\"HS256 \"", "null"],
        ),
        members("typ", &typ, &ODD),
        prop_oneof![9 => Just(None), 1 => select(vec![
            Some("\"kid\":\"k\"".to_owned()),
            Some("\"kid\":null".to_owned()),
            Some("\"crit\":[\"exp\"]".to_owned()),
            Some("\"b64\":false".to_owned()),
            Some("\"alg\":\"HS256\"".to_owned()),
            Some("\"cty\":\"JWT\"".to_owned()),
            Some("\"private\":{\"a\":[1]}".to_owned()),
        ])]
        .boxed(),
    ])
}

fn claims() -> impl Strategy<Value = String> {
    let now = now();
    let times: Vec<String> = [
        0,
        1,
        now - 10_000,
        now - 600,
        now + 600,
        now + 10_000,
        u64::MAX / 2,
    ]
    .iter()
    .flat_map(|at| {
        [
            format!("{at}"),
            format!("{at}.5"),
            format!("{at}e0"),
            format!("\"{at}\""),
        ]
    })
    .chain(ODD.iter().map(|odd| (*odd).to_owned()))
    .collect();
    let times: Vec<&'static str> = times.into_iter().map(|time| &*time.leak()).collect();
    let future: &'static str = format!("{}", now + 3_600).leak();
    let past: &'static str = format!("{}", now - 3_600).leak();
    let issuers = [
        "\"https://idp.example.com/\"",
        "[\"https://idp.example.com\"]",
        "\"https://idp.example.co\"",
        "5",
        "null",
        "{}",
    ];
    let audiences = [
        "[]",
        "5",
        "null",
        "\"https://mcp.example.com\"",
        "[\"https://mcp.example.com/mcp\",5]",
        "\"a https://mcp.example.com/mcp\"",
        "[[\"https://mcp.example.com/mcp\"]]",
        "\"\"",
    ];
    let good_audiences = [
        "\"https://mcp.example.com/mcp\"",
        "[\"https://mcp.example.com/mcp\"]",
        "[\"x\",\"https://mcp.example.com/mcp\"]",
        "\"https:\\/\\/mcp.example.com\\/mcp\"",
    ];
    object(vec![
        members(
            "iss",
            &[
                "\"https://idp.example.com\"",
                "\"https:\\u002f/idp.example.com\"",
            ],
            &issuers,
        ),
        members("aud", &good_audiences, &audiences),
        members("exp", &[future, "9999999999"], &times),
        prop_oneof![1 => Just(None), 1 => members("nbf", &[past, "0"], &times)].boxed(),
        prop_oneof![1 => Just(None), 1 => members("iat", &[past, "0"], &times)].boxed(),
        members("sub", &["\"alice\"", "\"\"", "\"\\u00fc\""], &ODD),
        prop_oneof![4 => Just(None), 1 => members("extra", &ODD, &ODD)].boxed(),
        prop_oneof![9 => Just(None), 1 => members("iss", &["\"https://idp.example.com\""], &[])]
            .boxed(),
        prop_oneof![9 => Just(None), 1 => members("exp", &[future], &[])].boxed(),
    ])
}

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

#[test]
fn what_is_accepted_here_jsonwebtoken_accepts() {
    let accepted = Cell::new(0);
    let layer = layer();
    let result = TestRunner::new(cases(4_000)).run(&(headers(), claims()), |(header, claims)| {
        let signed = token(&header, &claims);
        if let Ok(principal) = ask(&layer, &signed) {
            accepted.set(accepted.get() + 1);
            // A claim that is `null` is absent here, and of the wrong type to them.
            let mut own = principal.claims().clone();
            let before = own.len();
            own.retain(|_, value| !value.is_null());
            let theirs = match own.len() == before {
                true => decode(&signed),
                false => decode(&token(&header, Value::from(own.clone()).to_string())),
            };
            prop_assert!(theirs.is_ok(), "{header} {claims}: {theirs:?}");
            prop_assert_eq!(own, theirs.expect("checked"));
        }
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
    println!("{} of 4,000 accepted", accepted.get());
    // An oracle that is never asked proves nothing, nor does one that always is.
    assert!((400..3_600).contains(&accepted.get()), "{}", accepted.get());
}

proptest! {
    #![proptest_config(cases(4_000))]

    /// Whatever bytes are signed: no panic, and what passes is one object, read alike twice.
    #[test]
    fn signed_garbage_does_not_panic(
        header in prop_oneof![3 => Just(HEADER.as_bytes().to_vec()), 1 => vec(any::<u8>(), 0..200)],
        claims in vec(any::<u8>(), 0..400),
    ) {
        let token = sealed(&format!("{}.{}", b64(header), b64(&claims)));
        if let Ok(principal) = ask(&layer(), &token) {
            let read: Value = serde_json::from_slice(&claims).expect("one JSON value");
            prop_assert_eq!(Some(principal.claims()), read.as_object());
        }
    }

    /// Bytes of good JSON, changed and signed again: closer to the edges than garbage.
    #[test]
    fn signed_mutations_do_not_panic(
        changes in vec((any::<Index>(), select(b"\"\\{}[]:,0-9.eEu \x00\xff\xc3at+".to_vec())), 1..4),
    ) {
        let mut claims = CLAIMS.as_bytes().to_vec();
        for (index, byte) in changes {
            let at = index.index(claims.len());
            claims[at] = byte;
        }
        let token = sealed(&format!("{}.{}", b64(HEADER), b64(&claims)));
        if let Ok(principal) = ask(&strict(), &token) {
            let read: Value = serde_json::from_slice(&claims).expect("one JSON value");
            prop_assert_eq!(Some(principal.claims()), read.as_object());
            prop_assert_eq!(principal.issuer(), Some(ISSUER));
        }
    }
}

/// Every byte of a token of this algorithm, changed.
fn mutations(alg: Algorithm, stride: usize) {
    let layer = layer_for(alg);
    let header = serde_json::json!({"alg": alg.name()}).to_string();
    let good = PAIRS.token(alg, &header, CLAIMS);
    assert_eq!(outcome(&layer, &good), "accepted", "{alg}");
    for at in (0..good.len()).step_by(stride) {
        for flip in 0..8 {
            let mut bad = good.clone().into_bytes();
            bad[at] ^= 1 << flip;
            if bad[at] < 0x21 || bad[at] > 0x7e {
                continue;
            }
            let bad = String::from_utf8(bad).expect("ASCII");
            assert_ne!(
                outcome(&layer, &bad),
                "accepted",
                "{alg}, byte {at}, bit {flip}"
            );
        }
        let cut = format!("{}{}", &good[..at], &good[at + 1..]);
        assert_ne!(outcome(&layer, &cut), "accepted", "{alg} without byte {at}");
        let twice = format!("{}{}", &good[..=at], &good[at..]);
        assert_ne!(
            outcome(&layer, &twice),
            "accepted",
            "{alg} with byte {at} twice"
        );
        let short = &good[..at];
        assert_ne!(outcome(&layer, short), "accepted", "{alg} of {at} bytes");
    }
}

#[test]
fn no_changed_byte_of_an_hmac_token_passes() {
    mutations(Algorithm::HS256, 1);
    mutations(Algorithm::HS512, 3);
}

#[test]
fn no_changed_byte_of_a_signed_token_passes() {
    mutations(Algorithm::EdDSA, 5);
    mutations(Algorithm::ES256, 7);
    mutations(Algorithm::ES384, 23);
    mutations(Algorithm::RS256, 7);
    mutations(Algorithm::PS256, 17);
}

#[test]
fn the_oracle_accepts_what_it_should() {
    let claims = CLAIMS.replace("1800003600", "9999999999");
    let good = token(r#"{"alg":"HS256"}"#, claims);
    assert!(decode(&good).is_ok());
    assert_eq!(outcome(&layer(), &good), "accepted");
    // Known differences, in which this crate is the stricter one.
    for (header, claims) in [
        (r#"{"alg":"HS256","typ":"dpop+jwt"}"#, CLAIMS.to_owned()),
        (r#"{"alg":"HS256","crit":["exp"]}"#, CLAIMS.to_owned()),
        (
            r#"{"alg":"HS256"}"#,
            CLAIMS.replace(
                r#""https://idp.example.com""#,
                r#"["https://idp.example.com"]"#,
            ),
        ),
    ] {
        let token = token(header, claims.replace("1800003600", "9999999999"));
        assert!(decode(&token).is_ok(), "{header}");
        assert_ne!(outcome(&layer(), &token), "accepted", "{header}");
    }
}
