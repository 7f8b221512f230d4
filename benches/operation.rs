//! What judging an operation costs, beside reading its message once.
//!
//! ```sh
//! cargo bench -p dev --bench operation                      # criterion, then the figures
//! cargo bench -p dev --bench operation -- --table           # the figures alone
//! ```
//!
//! With `ENFORCE_TARGETS=1` a missed target fails the run. Times are CPU time of the thread;
//! the candidates take turns, and a figure is the median over all rounds. What is judged goes
//! through the whole layer, with a service behind it that does nothing; its own cost is
//! measured beside it and taken off.

use std::convert::Infallible;
use std::hint::black_box;
use std::pin::Pin;
use std::process::ExitCode;
use std::task::{Context, Poll};

use bytes::Bytes;
use criterion::Criterion;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use serde::Deserialize;
use serde_json::value::RawValue;
use tower::{Layer, Service, service_fn};
use tower_mcp_auth::Principal;
use tower_mcp_auth::mcp::{McpPolicy, McpScopesLayer};
use tower_mcp_auth::testing::insert_principal;

use support::measure::{Candidate, added, take_turns, timed};

mod support {
    pub(crate) mod measure;
}

const KIB: usize = 1024;
const LARGE: usize = 4 * KIB * KIB;
/// What a connection hands over at a time.
const FRAME: usize = 16 * KIB;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |name: &str| arguments.iter().any(|argument| argument == name);
    let is_bench = has("--bench");
    if is_bench && !has("--table") {
        browse();
    }
    let rounds = if is_bench { 101 } else { 1 };
    let mut missed = false;
    let mut line = |what: &str, ratio: f64, target: f64| {
        let verdict = if ratio <= target { "met" } else { "MISSED" };
        missed |= ratio > target;
        println!("{what:<58} {ratio:>6.2}   target {target:.2}   {verdict}");
    };
    let (judging, reading, by_many) = times(rounds);
    println!("judging a tools/call of 1 KiB: {judging:.0} ns; reading it: {reading:.0} ns");
    line("judging / reading with serde_json", judging / reading, 1.5);
    line(
        "judging by 10,000 prefix rules, in µs",
        by_many / 1000.0,
        2.0,
    );
    let size = message(LARGE).len() as f64;
    line(
        "peak memory / body of 4 MiB, Content-Length",
        peak(true) / size,
        1.2,
    );
    line(
        "peak memory / body of 4 MiB, chunked",
        peak(false) / size,
        2.0,
    );
    if missed && is_bench && std::env::var_os("ENFORCE_TARGETS").is_some_and(|value| value == "1") {
        eprintln!("a target was missed");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn layer() -> McpScopesLayer {
    let build = || {
        McpPolicy::builder()
            .baseline("mcp:read")?
            .tool("get_*", "files:read")?
            .tool("delete_*", "files:admin")?
            .build()
    };
    McpScopesLayer::new(build().expect("a policy"))
}

/// Of many rules for prefixes, of which the last one written is for the call.
fn many_rules() -> McpScopesLayer {
    const RULES: usize = 10_000;
    let build = || {
        let mut policy = McpPolicy::builder().baseline("mcp:read")?;
        for number in 1..RULES {
            // Of lengths as they come.
            let tenant = "t".repeat(number % 24);
            policy = policy.tool(&format!("{tenant}{number}_*"), "files:read")?;
        }
        policy.tool("get_*", "files:read")?.build()
    };
    McpScopesLayer::new(build().expect("a policy"))
}

/// A `tools/call` of this many bytes, the way SDKs write one.
fn message(bytes: usize) -> Bytes {
    let write = |filler: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","id":17,"method":"tools/call","params":{{"name":"get_file","arguments":{{"path":"src/lib.rs","options":{{"depth":3,"hidden":false,"filter":["*.rs","*.toml"],"limit":1.5e3}},"query":"what is \"quoted\" here","text":"{filler}"}},"_meta":{{"progressToken":"a1","io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}}}}"#
        )
    };
    let filler = "The quick brown fox jumps over the lazy dog. ".repeat(bytes / 45 + 1);
    let room = bytes - write("").len();
    write(&filler[..room]).into()
}

fn head<B>(body: B) -> Request<B> {
    let mut request = Request::post("/mcp").body(body).expect("a request");
    let json = HeaderValue::from_static("application/json");
    request.headers_mut().insert(CONTENT_TYPE, json);
    request
}

fn alice() -> Principal {
    let scopes = "mcp:read files:read".parse().expect("scopes");
    Principal::builder("bench")
        .subject("alice")
        .scopes(scopes)
        .build()
}

fn requests(count: usize) -> Vec<Request<Full<Bytes>>> {
    let body = message(KIB);
    let alice = alice();
    let request = || {
        let mut request = head(Full::new(body.clone()));
        insert_principal(request.extensions_mut(), alice.clone());
        request
    };
    (0..count).map(|_| request()).collect()
}

fn put_through<S, B, R>(service: &mut S, request: Request<B>)
where
    S: Service<Request<B>, Response = Response<R>, Error = Infallible>,
{
    let mut context = Context::from_waker(std::task::Waker::noop());
    assert!(service.poll_ready(&mut context).is_ready());
    let mut future = std::pin::pin!(service.call(request));
    loop {
        if let Poll::Ready(Ok(response)) = future.as_mut().poll(&mut context) {
            assert_eq!(response.status(), 200);
            black_box(response);
            return;
        }
    }
}

async fn nothing<B>(request: Request<B>) -> Result<Response<Full<Bytes>>, Infallible> {
    black_box(&request);
    Ok(Response::default())
}

/// What a server reads of a call before it runs it, borrowed from the text.
#[derive(Deserialize)]
struct Message<'a> {
    jsonrpc: &'a str,
    #[serde(borrow)]
    id: &'a RawValue,
    method: &'a str,
    #[serde(borrow)]
    params: Params<'a>,
}

#[derive(Deserialize)]
struct Params<'a> {
    name: &'a str,
    #[serde(borrow)]
    arguments: &'a RawValue,
    #[serde(borrow, rename = "_meta")]
    meta: &'a RawValue,
}

fn read(body: &[u8]) {
    let message: Message<'_> = serde_json::from_slice(body).expect("a message");
    black_box((
        message.jsonrpc,
        message.id,
        message.method,
        message.params.name,
        message.params.arguments,
        message.params.meta,
    ));
}

/// Nanoseconds of judging, of reading, and of judging by many rules.
fn times(rounds: usize) -> (f64, f64, f64) {
    /// Requests made ahead and measured together, few enough to stay in the nearest caches.
    const BATCH: usize = 32;
    const BATCHES: usize = 32;

    let body = message(KIB);
    let mut bare = service_fn(nothing);
    let mut guarded = layer().layer(service_fn(nothing));
    let mut by_many = many_rules().layer(service_fn(nothing));
    let mean = |mut batch: Box<dyn FnMut() -> f64>| {
        Candidate::new(move || (0..BATCHES).map(|_| batch()).sum::<f64>() / BATCHES as f64)
    };
    let mut candidates = [
        mean(Box::new(move || {
            timed(requests(BATCH), |request| {
                put_through(&mut bare, request);
            })
        })),
        mean(Box::new(move || {
            timed(requests(BATCH), |request| {
                put_through(&mut guarded, request);
            })
        })),
        mean(Box::new(move || timed(vec![(); BATCH], |()| read(&body)))),
        mean(Box::new(move || {
            timed(requests(BATCH), |request| {
                put_through(&mut by_many, request);
            })
        })),
    ];
    take_turns(&mut candidates, rounds);
    let [bare, guarded, reading, by_many] = &candidates;
    (added(bare, guarded), reading.time(), added(bare, by_many))
}

/// A body whose frames are made when they are asked for.
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
    let left = message(LARGE);
    let mut guarded = layer().layer(service_fn(nothing));
    let mut request = head(Wire { left, has_length });
    insert_principal(request.extensions_mut(), alice());
    let info = allocation_counter::measure(|| put_through(&mut guarded, request));
    info.bytes_max as f64
}

fn browse() {
    let mut criterion = Criterion::default();
    let body = message(KIB);
    let mut guarded = layer().layer(service_fn(nothing));
    criterion.bench_function("judge a tools/call of 1 KiB", |bencher| {
        bencher.iter_batched(
            || requests(1).remove(0),
            |request| put_through(&mut guarded, request),
            criterion::BatchSize::SmallInput,
        );
    });
    criterion.bench_function("read a tools/call of 1 KiB", |bencher| {
        bencher.iter(|| read(&body));
    });
    criterion.final_summary();
}
