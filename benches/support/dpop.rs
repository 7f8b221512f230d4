//! A proof with each request: one check of a signature, and what else it takes.

use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue, Request};
use tower::Layer;
use tower_mcp_auth::OAuthLayer;
use tower_mcp_auth::oauth::binding::DpopMode;
use tower_mcp_auth::testing::DpopKey;

use super::drive::{Bare, Body, put_through, request};
use super::measure::{Candidate, added, take_turns, timed};
use super::table::{Bound, Row};
use super::tokens::{Key, RESOURCE, Signed};

const DPOP: HeaderName = HeaderName::from_static("dpop");

/// How many requests are counted.
const COUNTED: usize = 100;

/// A token that is cached, with a new proof of its client for each of `count` requests in each of
/// `rounds`; beside the raw check of an ES256 signature.
pub(crate) fn row(key: &Key, count: usize, rounds: usize) -> Row {
    let client = DpopKey::generate();
    let token = key.bound_token(0, "jkt", client.thumbprint());
    let made = |value: &str| -> Request<Body> {
        let mut request = request(&AUTHORIZATION, &format!("DPoP {token}"));
        let value = HeaderValue::from_str(value).unwrap();
        request.headers_mut().insert(DPOP, value);
        request
    };
    let proof = || client.proof("POST", RESOURCE).access_token(&token).sign();
    let mut guarded = OAuthLayer::builder(RESOURCE)
        .unwrap()
        .authorization_server(key.server().dpop(DpopMode::Required))
        .unwrap()
        .build()
        .unwrap()
        .layer(Bare);
    // The token and the key are known from then on.
    put_through(&mut guarded, made(&proof()), 200);

    let mut requests: Vec<_> = (0..COUNTED).map(|_| made(&proof())).collect();
    let counted = allocation_counter::measure(|| {
        for request in requests.drain(..) {
            put_through(&mut guarded, request, 200);
        }
    });
    let proofs: Vec<String> = (0..count * rounds).map(|_| proof()).collect();
    let signed = Signed::new(&key.token(0));
    let raw = key.raw_check();
    let known = made(&proofs[0]);
    let mut proofs = proofs.iter();
    let mut candidates = [
        Candidate::new(|| {
            let inputs = (0..count).map(|_| known.clone()).collect();
            timed(inputs, |request| put_through(&mut Bare, request, 200))
        }),
        Candidate::new(|| {
            let inputs = proofs.by_ref().take(count).map(|proof| made(proof));
            timed(inputs.collect(), |request| {
                put_through(&mut guarded, request, 200);
            })
        }),
        Candidate::new(|| timed((0..count).collect(), |_: usize| assert!(raw.check(&signed)))),
    ];
    take_turns(&mut candidates, rounds);
    let [bare, layer, raw] = &candidates;
    Row {
        group: "seen before",
        name: "ES256, with a proof",
        population: None,
        bare: bare.time(),
        layer: layer.time(),
        added: added(bare, layer),
        least: None,
        floor: Some(("raw signature check", raw.time())),
        bound: Bound::Ratio(1.2),
        allocations: counted.count_total as f64 / COUNTED as f64,
        most_allocations: None,
    }
}
