//! What a layer adds to a service, beside the floor below which it cannot go.
//!
//! `cargo bench --bench overhead` prints a table: for each candidate the thread's CPU time per
//! request, the work added to a bare service, its ratio to the floor measured in the same run,
//! and the heap allocations added. Candidates take turns, round by round, so that a machine
//! that slows down slows all of them; the figures are medians. `-- --svg PATH` draws it.

use std::alloc::System;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::hint::black_box;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair,
    Ed25519KeyPair, KeyPair, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256,
    RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use bytes::Bytes;
use cpu_time::ThreadTime;
use http::{HeaderValue, Request, Response};
use http_body_util::Empty;
use serde_json::{Value, json};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tower::{Layer, Service, service_fn};
use tower_mcp_auth::jose::Secret;
use tower_mcp_auth::oauth::{AuthorizationServer, TokenCache};
use tower_mcp_auth::{ApiKeyLayer, Clock, JwtLayer, OAuthLayer};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const ISSUER: &str = "https://auth.example.com";
const RESOURCE: &str = "https://mcp.example.com/mcp";
const ROUNDS: usize = 31;
/// Requests of a candidate in one round.
const TURN: usize = 256;

fn main() {
    let rows: Vec<Row> = [known_tokens(), new_tokens(), own_keys(), api_keys()]
        .into_iter()
        .flatten()
        .collect();
    println!(
        "{:<34} {:>9} {:>9} {:>9} {:>7} {:>7}",
        "", "in all", "added", "floor", "ratio", "allocs"
    );
    for row in &rows {
        println!(
            "{:<34} {:>6.0} ns {:>6.0} ns {:>6.0} ns {:>7.2} {:>7.1}",
            row.name,
            row.total,
            row.added(),
            row.floor,
            row.ratio(),
            row.allocations
        );
    }
    let mut arguments = std::env::args().skip_while(|argument| argument != "--svg");
    if let Some(path) = arguments.nth(1) {
        std::fs::write(&path, svg(&rows)).expect("the picture cannot be written");
    }
}

/// A line of the table; times in nanoseconds per request.
struct Row {
    name: String,
    bare: f64,
    total: f64,
    floor: f64,
    /// Beyond those of the bare service.
    allocations: f64,
}

impl Row {
    fn added(&self) -> f64 {
        self.total - self.bare
    }

    fn ratio(&self) -> f64 {
        self.added() / self.floor
    }
}

/// A token seen before: the floor is its digest and one look-up.
fn known_tokens() -> Vec<Row> {
    let signer = Signer::p256();
    let mut rows = Vec::new();
    for population in [10, 1_000, 100_000] {
        let tokens: Vec<String> = (0..population).map(|id| signer.token(id)).collect();
        let headers: Vec<HeaderValue> = tokens.iter().map(|token| bearer(token)).collect();
        let cache = TokenCache::new().max_tokens(200_000).max_bytes(1 << 30);
        let layer = oauth(&signer, cache);
        let mut bare = inner();
        let mut guarded = layer.layer(inner());
        let floor: moka::sync::Cache<[u8; 32], Arc<u64>> =
            moka::sync::Cache::builder().max_capacity(200_000).build();
        for (token, header) in tokens.iter().zip(&headers) {
            call(&mut guarded, "authorization", header);
            floor.insert(sha256(token), Arc::new(0));
        }
        floor.run_pending_tasks();
        // The same walk through the tokens for every candidate.
        let walk = move |turn: usize| turn.wrapping_mul(7919) % population;
        rows.push(compare(
            format!("known token, {population} cached"),
            |turn| call(&mut bare, "authorization", &headers[walk(turn)]),
            |turn| call(&mut guarded, "authorization", &headers[walk(turn)]),
            |turn| {
                black_box(floor.get(&sha256(&tokens[walk(turn)])));
            },
        ));
    }
    rows
}

/// A token never seen, kept afterwards: the floor is its signature, with the key parsed once.
fn new_tokens() -> Vec<Row> {
    let signers = [Signer::rsa(), Signer::p256(), Signer::ed25519()];
    signers
        .iter()
        .map(|signer| {
            let tokens: Vec<String> = (0..ROUNDS * TURN).map(|id| signer.token(id)).collect();
            let headers: Vec<HeaderValue> = tokens.iter().map(|token| bearer(token)).collect();
            let signatures: Vec<Vec<u8>> = tokens
                .iter()
                .map(|token| B64.decode(token.rsplit('.').next().unwrap()).unwrap())
                .collect();
            let mut bare = inner();
            let mut guarded = oauth(signer, TokenCache::new()).layer(inner());
            compare(
                format!("new token, {}", signer.alg),
                |turn| call(&mut bare, "authorization", &headers[turn]),
                |turn| call(&mut guarded, "authorization", &headers[turn]),
                |turn| {
                    let (input, _) = tokens[turn].rsplit_once('.').unwrap();
                    let verified = signer
                        .public
                        .verify_sig(input.as_bytes(), &signatures[turn]);
                    assert!(black_box(verified).is_ok());
                },
            )
        })
        .collect()
}

/// HS256 with a secret of one's own, never cached.
fn own_keys() -> Vec<Row> {
    let secret = B64.encode(sha256("a secret for the benchmark"));
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let input = signing_input(&json!({"alg": "HS256", "typ": "at+jwt"}), 0);
    let tag = hmac::sign(&key, input.as_bytes());
    let header = bearer(&format!("{input}.{}", B64.encode(tag.as_ref())));
    let layer = JwtLayer::new(Secret::new(&secret).unwrap()).unwrap();
    let (mut bare, mut guarded) = (inner(), layer.layer(inner()));
    vec![compare(
        "HS256, not cached".to_owned(),
        |_| call(&mut bare, "authorization", &header),
        |_| call(&mut guarded, "authorization", &header),
        |_| {
            black_box(hmac::verify(&key, input.as_bytes(), tag.as_ref())).unwrap();
        },
    )]
}

/// API keys: the floor is the digest of the key.
fn api_keys() -> Vec<Row> {
    [10_usize, 1_000, 100_000]
        .into_iter()
        .map(|population| {
            let key = |id: usize| B64.encode(sha256(&format!("key {id}")));
            let layer = ApiKeyLayer::new((0..population).map(key)).unwrap();
            let keys: Vec<String> = (0..population.min(1_000)).map(key).collect();
            let headers: Vec<HeaderValue> = keys.iter().map(|key| key.parse().unwrap()).collect();
            let (mut bare, mut guarded) = (inner(), layer.layer(inner()));
            let walk = |turn: usize| turn.wrapping_mul(7919) % keys.len();
            compare(
                format!("API key, {population} keys"),
                |turn| call(&mut bare, "x-api-key", &headers[walk(turn)]),
                |turn| call(&mut guarded, "x-api-key", &headers[walk(turn)]),
                |turn| {
                    black_box(sha256(&keys[walk(turn)]));
                },
            )
        })
        .collect()
}

/// Lets the three take turns. Each is given the number of its request.
fn compare(
    name: String,
    mut bare: impl FnMut(usize),
    mut total: impl FnMut(usize),
    mut floor: impl FnMut(usize),
) -> Row {
    let mut times: [Vec<f64>; 3] = Default::default();
    let mut allocations = [0_usize; 2];
    for round in 0..ROUNDS {
        let turns = round * TURN..(round + 1) * TURN;
        let before = Region::new(ALLOCATOR);
        times[0].push(per_request(turns.clone(), &mut bare));
        allocations[0] += before.change().allocations;
        let before = Region::new(ALLOCATOR);
        times[1].push(per_request(turns.clone(), &mut total));
        allocations[1] += before.change().allocations;
        times[2].push(per_request(turns, &mut floor));
    }
    let [bare, total, floor] = times.map(median);
    let requests = (ROUNDS * TURN) as f64;
    Row {
        name,
        bare,
        total,
        floor,
        allocations: (allocations[1] as f64 - allocations[0] as f64) / requests,
    }
}

fn per_request(turns: std::ops::Range<usize>, work: &mut impl FnMut(usize)) -> f64 {
    let count = turns.len() as f64;
    let start = ThreadTime::now();
    turns.for_each(work);
    start.elapsed().as_nanos() as f64 / count
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

type Body = Empty<Bytes>;

fn inner() -> impl Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone {
    service_fn(|request: Request<Body>| {
        black_box(&request);
        std::future::ready(Ok(Response::new(Body::new())))
    })
}

/// One request, which must be answered 200 without waiting.
fn call<S, B>(service: &mut S, name: &'static str, value: &HeaderValue)
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible>,
{
    let mut context = Context::from_waker(Waker::noop());
    let mut request = Request::new(Body::new());
    request.headers_mut().insert(name, value.clone());
    let _ = service.poll_ready(&mut context);
    let mut future = std::pin::pin!(service.call(request));
    match future.as_mut().poll(&mut context) {
        Poll::Ready(Ok(response)) => assert_eq!(response.status(), 200),
        Poll::Ready(Err(never)) => match never {},
        Poll::Pending => panic!("a request waited"),
    }
}

fn oauth(signer: &Signer, cache: TokenCache) -> OAuthLayer {
    let server = AuthorizationServer::new(ISSUER).unwrap();
    let keys = json!({"keys": [signer.jwk]}).to_string();
    OAuthLayer::builder(RESOURCE)
        .unwrap()
        .authorization_server(server.jwks(keys).unwrap())
        .unwrap()
        .token_cache(cache)
        .build()
        .unwrap()
}

type Sign = Box<dyn Fn(&[u8]) -> Vec<u8>>;

/// A key that signs tokens of about 900 bytes, and checks them as fast as can be.
struct Signer {
    alg: &'static str,
    jwk: Value,
    public: ParsedPublicKey,
    sign: Sign,
}

impl Signer {
    fn rsa() -> Self {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let public = pair.public_key();
        let number = |bytes: &[u8]| B64.encode(bytes);
        let n = number(public.modulus().big_endian_without_leading_zero());
        let e = number(public.exponent().big_endian_without_leading_zero());
        Self {
            alg: "RS256",
            jwk: json!({"kty": "RSA", "kid": "k", "alg": "RS256", "use": "sig", "n": n, "e": e}),
            public: ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public).unwrap(),
            sign: Box::new(move |message| {
                let mut signature = vec![0; pair.public_modulus_len()];
                let random = SystemRandom::new();
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
                    .unwrap();
                signature
            }),
        }
    }

    fn p256() -> Self {
        let random = SystemRandom::new();
        let curve = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(curve, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(curve, pkcs8.as_ref()).unwrap();
        let point = pair.public_key().as_ref().to_vec();
        let (x, y) = (B64.encode(&point[1..33]), B64.encode(&point[33..]));
        Self {
            alg: "ES256",
            jwk: json!({"kty": "EC", "crv": "P-256", "kid": "k", "alg": "ES256", "x": x, "y": y}),
            public: ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &point).unwrap(),
            sign: Box::new(move |message| pair.sign(&random, message).unwrap().as_ref().to_vec()),
        }
    }

    fn ed25519() -> Self {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let pair = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap();
        let point = pair.public_key().as_ref().to_vec();
        Self {
            alg: "EdDSA",
            jwk: json!({"kty": "OKP", "crv": "Ed25519", "kid": "k", "x": B64.encode(&point)}),
            public: ParsedPublicKey::new(&ED25519, &point).unwrap(),
            sign: Box::new(move |message| pair.sign(message).as_ref().to_vec()),
        }
    }

    fn token(&self, id: usize) -> String {
        let header = json!({"alg": self.alg, "typ": "at+jwt", "kid": "k"});
        let input = signing_input(&header, id);
        let signature = (self.sign)(input.as_bytes());
        format!("{input}.{}", B64.encode(signature))
    }
}

fn signing_input(header: &Value, id: usize) -> String {
    let now = Clock::system().now();
    let claims = json!({
        "iss": ISSUER, "aud": RESOURCE, "sub": format!("user-{id}"), "client_id": "client",
        "iat": now.as_secs(), "exp": (now + Duration::from_secs(3600)).as_secs(),
        "jti": format!("token-{id}"), "scope": "mcp:read mcp:write",
        "tenant": "x".repeat(260),
    });
    format!(
        "{}.{}",
        B64.encode(header.to_string()),
        B64.encode(claims.to_string())
    )
}

fn bearer(token: &str) -> HeaderValue {
    format!("Bearer {token}").parse().unwrap()
}

fn sha256(text: &str) -> [u8; 32] {
    digest(&SHA256, text.as_bytes())
        .as_ref()
        .try_into()
        .unwrap()
}

/// The table as bars: the floor, and what the layer adds, on a logarithmic scale.
fn svg(rows: &[Row]) -> String {
    const LEFT: f64 = 210.0;
    let length = |nanoseconds: f64| (nanoseconds.max(10.0) / 10.0).log10() * 110.0;
    let height = 50 + rows.len() * 36;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"780\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"780\" height=\"{height}\" fill=\"white\"/>\n\
         <text x=\"10\" y=\"20\" font-size=\"14\">CPU time added to a request (dark) beside its \
         floor (light), logarithmic</text>\n"
    );
    for (index, row) in rows.iter().enumerate() {
        let y = 38 + index * 36;
        let (floor, added) = (length(row.floor), length(row.added()));
        let _ = write!(
            out,
            "<text x=\"10\" y=\"{}\">{}</text>\n\
             <rect x=\"{LEFT}\" y=\"{y}\" width=\"{floor:.0}\" height=\"12\" fill=\"#b8c7d9\"/>\n\
             <rect x=\"{LEFT}\" y=\"{}\" width=\"{added:.0}\" height=\"12\" fill=\"#2f5d8a\"/>\n\
             <text x=\"{:.0}\" y=\"{}\">{:.2} µs, {:.2} × the floor</text>\n",
            y + 16,
            row.name,
            y + 12,
            LEFT + added.max(floor) + 8.0,
            y + 17,
            row.added() / 1000.0,
            row.ratio(),
        );
    }
    out.push_str("</svg>\n");
    out
}
