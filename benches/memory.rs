//! What a request allocates on the heap, and what stays in memory.
//!
//! ```sh
//! cargo bench -p dev --bench memory
//! ```
//!
//! With `ENFORCE_TARGETS=1` a missed target fails the run. It is a bench of its own, because
//! counting takes time at each allocation, which the times of the others would have in them.

use std::convert::Infallible;
use std::pin::Pin;
use std::process::ExitCode;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderName, Request, Response};
use http_body::{Body, Frame, SizeHint};
use tower::{Layer, Service, service_fn};
use tower_mcp_auth::ApiKeyLayer;
use tower_mcp_auth::api_key::ApiKey;
use tower_mcp_auth::oauth::TokenCacheOptions;
use tower_mcp_auth::testing::insert_principal;

use support::dpop::{self, Sender};
use support::drive::{self, Bare, put_through, request};
use support::facts::{self, Fact, Limit};
use support::introspected;
use support::judged;
use support::quota;
use support::revocation::{self, Kinds};
use support::tenants::{self, Visit};
use support::tokens::Key;

mod support {
    pub(crate) mod dpop;
    pub(crate) mod drive;
    pub(crate) mod facts;
    pub(crate) mod introspected;
    pub(crate) mod judged;
    pub(crate) mod quota;
    pub(crate) mod revocation;
    pub(crate) mod tenants;
    pub(crate) mod tokens;
}

const LARGE: usize = 4 << 20;
/// What a connection hands over at a time.
const FRAME: usize = 16 << 10;
/// Requests over which allocations are counted.
const COUNTED: usize = 512;
/// Tokens in a cache that is full, fewer than those that come before it is measured.
const FULL_CACHE: u64 = 500;

/// How much is done.
#[derive(Clone, Copy)]
struct Effort {
    tokens: usize,
    /// Revocations, and used proofs.
    many: usize,
}

fn main() -> ExitCode {
    // Cargo says `--bench` where it was asked for benches, and nothing where for tests.
    let is_bench = std::env::args().any(|argument| argument == "--bench");
    let effort = match is_bench {
        true => Effort {
            tokens: 1_000,
            many: 1_000_000,
        },
        false => Effort {
            tokens: 20,
            many: 1_000,
        },
    };
    println!("Heap allocations of a request beside its own");
    let mut missed = facts::print(&requests(effort));
    println!("\nMemory");
    missed |= facts::print(&kept(effort));
    if missed && is_bench && std::env::var_os("ENFORCE_TARGETS").is_some_and(|value| value == "1") {
        eprintln!("a target was missed");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// What requests allocate.
fn requests(effort: Effort) -> Vec<Fact> {
    let keys = [Key::rs256(), Key::es256(), Key::eddsa()];
    let [_, key, _] = &keys;
    let mut facts = Vec::new();
    let mut fact = |label: String, value: f64, limit| {
        facts.push(Fact {
            label,
            // A mean over many requests: now and then moka tidies up, and a map grows.
            value: (value * 10.0).round() / 10.0,
            unit: "",
            limit,
        });
    };
    for key in &keys {
        let of_alg = |what: &str| format!("{}, {what}", key.alg());
        let values = bearers(&key.tokens(0, 2 * COUNTED));
        let (first, second) = values.split_at(COUNTED);
        for (what, cache) in [
            ("never seen, the cache grows", TokenCacheOptions::new()),
            (
                "never seen, the cache is full",
                TokenCacheOptions::new().max_tokens(FULL_CACHE),
            ),
        ] {
            let mut guarded = key.oauth_layer(cache).layer(Bare);
            count(&mut guarded, made(&AUTHORIZATION, first));
            let counted = count(&mut guarded, made(&AUTHORIZATION, second));
            fact(of_alg(what), counted, Limit::Most(12.0));
        }
        let mut guarded = key.oauth_layer(TokenCacheOptions::new()).layer(Bare);
        let counted = known(&mut guarded, &AUTHORIZATION, first);
        fact(of_alg("seen before"), counted, Limit::Most(3.0));
    }

    let hs256 = Key::Hs256;
    let values = bearers(&hs256.tokens(0, COUNTED));
    let counted = known(&mut Key::jwt_layer().layer(Bare), &AUTHORIZATION, &values);
    fact("HS256, never seen".to_owned(), counted, Limit::Most(12.0));

    for (label, length) in [("opaque 43 B, known", 43), ("opaque 900 B, known", 900)] {
        let tokens = introspected::tokens(length, effort.tokens);
        let server = introspected::Server::default();
        let mut guarded = server.guarded();
        introspected::ask_all(&guarded, &tokens, 200);
        let counted = known(&mut guarded, &AUTHORIZATION, &bearers(&tokens));
        assert_eq!(server.calls(), tokens.len());
        fact(label.to_owned(), counted, Limit::Most(3.0));
    }

    let header = HeaderName::from_static("x-api-key");
    let values: Vec<String> = (1..=effort.tokens)
        .map(|number| format!("mcp_{number:039x}"))
        .collect();
    let entries = values.iter().map(|value| ApiKey::new(value).unwrap());
    let mut guarded = ApiKeyLayer::new(entries).unwrap().layer(Bare);
    let counted = known(&mut guarded, &header, &values);
    fact("API key".to_owned(), counted, Limit::Most(3.0));

    // The token is known; the proof is not.
    let (mut guarded, sender) = (dpop::guarded(key), Sender::new(key, 0));
    let proven = || (0..COUNTED).map(|_| sender.request()).collect();
    count(&mut guarded, proven());
    let counted = count(&mut guarded, proven());
    fact("ES256, with a proof".to_owned(), counted, Limit::None);

    let visits = tenants::visits(key, effort.tokens.min(64));
    let mut guarded = tenants::layer(key, effort.tokens).layer(Bare);
    let visited = || visits.iter().cycle().take(COUNTED).map(Visit::request);
    count(&mut guarded, visited().collect());
    let counted = count(&mut guarded, visited().collect());
    fact(
        "ES256, one of many tenants".to_owned(),
        counted,
        Limit::None,
    );

    // What they add to a layer that knows the token.
    let values = bearers(&key.tokens(0, COUNTED));
    for (label, revocation) in [
        (
            "revocation, unchanged",
            revocation::with_entries(0, Kinds::All),
        ),
        ("revocation, unchanged, shared", revocation::shared()),
    ] {
        let (mut plain, [mut layer]) = revocation::layers(key, [revocation]);
        let own = known(&mut layer, &AUTHORIZATION, &values);
        let added = own - known(&mut plain, &AUTHORIZATION, &values);
        fact(label.to_owned(), added, Limit::Most(1.0));
    }
    for (label, kinds) in [
        ("revocation, judged anew, token ids", Kinds::Tokens),
        ("revocation, judged anew, six kinds", Kinds::All),
    ] {
        let both = [(); 2].map(|()| revocation::with_entries(effort.many / 10, kinds));
        let (mut plain, [mut layer, mut other]) = revocation::layers(key, both);
        known(&mut layer, &AUTHORIZATION, &values);
        // Tokens were found good by this one then, and have to be judged by that one again.
        known(&mut other, &AUTHORIZATION, &values);
        let own = count(&mut layer, made(&AUTHORIZATION, &values));
        let added = own - known(&mut plain, &AUTHORIZATION, &values);
        fact(label.to_owned(), added, Limit::Most(1.0));
    }
    for (label, budgets) in [("one budget", 1), ("three budgets", 3)] {
        let (mut plain, mut counted) = quota::layers(key, budgets);
        let own = known(&mut counted, &AUTHORIZATION, &values);
        let added = own - known(&mut plain, &AUTHORIZATION, &values);
        fact(label.to_owned(), added, Limit::Most(0.0));
    }
    facts
}

fn bearers(tokens: &[String]) -> Vec<String> {
    tokens.iter().map(|it| format!("Bearer {it}")).collect()
}

fn made(header: &HeaderName, values: &[String]) -> Vec<Request<drive::Body>> {
    let values = values.iter().cycle().take(COUNTED);
    values.map(|value| request(header, value)).collect()
}

/// Allocations a request, counted once what is made at first is there.
fn known<S, B>(service: &mut S, header: &HeaderName, values: &[String]) -> f64
where
    S: Service<Request<drive::Body>, Response = Response<B>, Error = Infallible>,
{
    // A credential is remembered at its first use; caches note the second one.
    count(service, made(header, values));
    count(service, made(header, values));
    count(service, made(header, values))
}

/// Allocations a request, all of which are accepted.
fn count<S, B>(service: &mut S, requests: Vec<Request<drive::Body>>) -> f64
where
    S: Service<Request<drive::Body>, Response = Response<B>, Error = Infallible>,
{
    let (total, mut requests) = (requests.len(), requests);
    let counted = allocation_counter::measure(|| {
        for request in requests.drain(..) {
            put_through(service, request, 200);
        }
    });
    counted.count_total as f64 / total as f64
}

/// What stays in memory, or is there at once.
fn kept(effort: Effort) -> Vec<Fact> {
    let size = judged::message(LARGE).len() as f64;
    let of_size = |label: &str, has_length, most| Fact {
        label: label.to_owned(),
        value: peak(has_length) / size,
        unit: "x",
        limit: Limit::Most(most),
    };
    vec![
        per_token(effort.tokens),
        revocations(effort.many),
        proofs(effort.many),
        of_size("Peak for a body of 4 MiB, Content-Length", true, 1.2),
        of_size("Peak for a body of 4 MiB, chunked", false, 2.0),
    ]
}

/// What a cached token takes up beyond its claims.
fn per_token(tokens: usize) -> Fact {
    let key = Key::eddsa();
    let tokens = key.tokens(0, tokens);
    let claims: usize = tokens.iter().map(|token| claims_len(token)).sum();
    let cache = TokenCacheOptions::new()
        .max_tokens(200_000)
        .max_bytes(1 << 30);
    let mut guarded = key.oauth_layer(cache).layer(Bare);
    let counted = allocation_counter::measure(|| {
        for token in tokens.iter().chain(&tokens) {
            let value = format!("Bearer {token}");
            put_through(&mut guarded, request(&AUTHORIZATION, &value), 200);
        }
    });
    let bytes = (counted.bytes_current - claims as i64) as f64 / tokens.len() as f64;
    Fact {
        label: "A cached token beyond its claims".to_owned(),
        value: bytes,
        unit: "B",
        limit: Limit::Most(2048.0),
    }
}

fn claims_len(token: &str) -> usize {
    let payload = token.split('.').nth(1).unwrap();
    payload.len() * 3 / 4
}

/// What so many entries take up at the most, while they come.
fn revocations(entries: usize) -> Fact {
    let mut revocation = None;
    let counted = allocation_counter::measure(|| {
        revocation = Some(revocation::with_entries(entries, Kinds::All));
    });
    assert_eq!(revocation.map(|it| it.entries()), Some(entries));
    Fact {
        label: "1,000,000 revocations".to_owned(),
        value: counted.bytes_max as f64 / f64::from(1 << 20),
        unit: "MiB",
        limit: Limit::Most(128.0),
    }
}

/// What so many used proofs take up at the most, while they come.
fn proofs(used: usize) -> Fact {
    let key = Key::es256();
    let mut guarded = dpop::guarded(&key);
    let counted = allocation_counter::measure(|| {
        dpop::use_proofs(&key, &mut guarded, used);
    });
    Fact {
        label: "1,000,000 used proofs".to_owned(),
        value: counted.bytes_max as f64 / f64::from(1 << 20),
        unit: "MiB",
        limit: Limit::Most(64.0),
    }
}

/// A body that copies a frame each time it is polled.
struct Wire {
    left: Bytes,
    has_length: bool,
}

impl Body for Wire {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left.is_empty() {
            return Poll::Ready(None);
        }
        let frame = self.left.len().min(FRAME);
        let frame = self.left.split_to(frame);
        // A copy, as from a socket: what is sent from must not count as ours.
        Poll::Ready(Some(Ok(Frame::data(Bytes::copy_from_slice(&frame)))))
    }

    fn size_hint(&self) -> SizeHint {
        match self.has_length {
            true => SizeHint::with_exact(self.left.len() as u64),
            false => SizeHint::default(),
        }
    }
}

/// The most that is allocated at once while a large body is judged and handed on.
fn peak(has_length: bool) -> f64 {
    let left = judged::message(LARGE);
    let mut guarded = judged::layer().layer(service_fn(judged::nothing));
    let mut request = judged::head(Wire { left, has_length });
    insert_principal(request.extensions_mut(), judged::alice());
    let info = allocation_counter::measure(|| judged::put_through(&mut guarded, request));
    info.bytes_max as f64
}
