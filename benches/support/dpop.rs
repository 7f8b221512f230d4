//! A proof with each request: one check of a signature, and what else it takes.

use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue, Request};
use tower::Layer;
use tower_mcp_auth::OAuthLayer;
use tower_mcp_auth::auth::AuthService;
use tower_mcp_auth::oauth::OAuthProvider;
use tower_mcp_auth::oauth::binding::DpopMode;
use tower_mcp_auth::testing::DpopKey;

use super::drive::{Bare, Body, put_through, request};
use super::measure::{Candidate, added, take_turns, timed};
use super::table::{Bound, Fact, Limit, Row};
use super::tokens::{Key, RESOURCE, Signed};

const DPOP: HeaderName = HeaderName::from_static("dpop");

/// How many requests are counted.
const COUNTED: usize = 100;

/// How many users share the memory of used proofs: one alone does not get all of it.
const USERS: usize = 16;

type Guarded = AuthService<Bare, OAuthProvider>;

fn guarded(key: &Key) -> Guarded {
    let builder = OAuthLayer::builder(RESOURCE).unwrap();
    let server = key.server().dpop(DpopMode::Required);
    let builder = builder.authorization_server(server).unwrap();
    builder.build().unwrap().layer(Bare)
}

/// A token, and the key it is bound to.
struct Sender {
    client: DpopKey,
    token: String,
}

impl Sender {
    fn new(key: &Key, number: usize) -> Self {
        let client = DpopKey::generate();
        let token = key.bound_token(number, "jkt", client.thumbprint());
        Self { client, token }
    }

    fn proof(&self) -> String {
        let proof = self.client.proof("POST", RESOURCE);
        proof.access_token(&self.token).sign()
    }

    /// A request with a proof.
    fn with(&self, proof: &str) -> Request<Body> {
        let mut request = request(&AUTHORIZATION, &format!("DPoP {}", self.token));
        let proof = HeaderValue::from_str(proof).unwrap();
        request.headers_mut().insert(DPOP, proof);
        request
    }

    /// A request with a new proof.
    fn request(&self) -> Request<Body> {
        self.with(&self.proof())
    }
}

/// A token that is cached, with a new proof of its client for each of `count` requests in each of
/// `rounds`; beside the raw check of an ES256 signature.
pub(crate) fn row(key: &Key, count: usize, rounds: usize) -> Row {
    compare(key, &mut guarded(key), &Sender::new(key, 0), count, rounds)
}

/// The memory of `used` proofs, and a request when there are so many.
pub(crate) fn full(key: &Key, used: usize, count: usize, rounds: usize) -> [Fact; 2] {
    let mut guarded = guarded(key);
    let senders: Vec<Sender> = (0..USERS).map(|number| Sender::new(key, number)).collect();
    let counted = allocation_counter::measure(|| {
        for sender in senders
            .iter()
            .cycle()
            .take(used - count * rounds - 2 * COUNTED)
        {
            put_through(&mut guarded, sender.request(), 200);
        }
    });
    let row = compare(key, &mut guarded, &senders[0], count, rounds);
    [
        Fact {
            label: "Memory of 1,000,000 used proofs",
            value: counted.bytes_max as f64 / f64::from(1 << 20),
            unit: "MiB",
            limit: Limit::Most(64.0),
        },
        Fact {
            label: "One more proof then, by checks of ES256",
            value: row.ratio().unwrap_or(f64::INFINITY),
            unit: "x",
            limit: Limit::Most(1.2),
        },
    ]
}

fn compare(key: &Key, guarded: &mut Guarded, sender: &Sender, count: usize, rounds: usize) -> Row {
    // The token and the key are known from then on.
    put_through(guarded, sender.request(), 200);
    let mut requests: Vec<_> = (0..COUNTED).map(|_| sender.request()).collect();
    let counted = allocation_counter::measure(|| {
        for request in requests.drain(..) {
            put_through(guarded, request, 200);
        }
    });
    let proofs: Vec<String> = (0..count * rounds).map(|_| sender.proof()).collect();
    // As many, no two alike: of one that comes again and again the processor guesses the way.
    let signed = key.tokens(0, count * rounds);
    let signed: Vec<Signed> = signed.iter().map(|token| Signed::new(token)).collect();
    let raw = key.raw_check();
    let mut raw_source = signed.iter();
    let known = sender.with(&proofs[0]);
    let mut proofs = proofs.iter();
    let mut candidates = [
        Candidate::new(|| {
            let inputs = (0..count).map(|_| known.clone()).collect();
            timed(inputs, |request| put_through(&mut Bare, request, 200))
        }),
        Candidate::new(|| {
            let inputs = proofs.by_ref().take(count).map(|proof| sender.with(proof));
            timed(inputs.collect(), |request| {
                put_through(guarded, request, 200);
            })
        }),
        Candidate::new(|| {
            let inputs = raw_source.by_ref().take(count).collect();
            timed(inputs, |token: &Signed| assert!(raw.check(token)))
        }),
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
