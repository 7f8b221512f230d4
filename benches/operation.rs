//! What judging an operation costs, beside reading its message once.
//!
//! ```sh
//! cargo bench -p dev --bench operation                      # criterion, then the figures
//! cargo bench -p dev --bench operation -- --table           # the figures alone
//! ```
//!
//! With `ENFORCE_TARGETS=1` a missed target fails the run. Times are CPU time of the thread;
//! the candidates take turns, and a figure is the first decile over all rounds. What is judged goes
//! through the whole layer, with a service behind it that does nothing; its own cost is
//! measured beside it and taken off.

use std::hint::black_box;
use std::process::ExitCode;

use bytes::Bytes;
use criterion::Criterion;
use http::Request;
use http_body_util::Full;
use serde::Deserialize;
use serde_json::value::RawValue;
use tower::{Layer, service_fn};
use tower_mcp_auth::mcp::{McpPolicy, McpScopesLayer};
use tower_mcp_auth::testing::insert_principal;

use support::judged::{alice, head, layer, message, nothing, put_through};
use support::measure::{Candidate, added, take_turns, timed};

mod support {
    pub(crate) mod judged;
    pub(crate) mod measure;
}

const KIB: usize = 1024;

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
    if missed && is_bench && std::env::var_os("ENFORCE_TARGETS").is_some_and(|value| value == "1") {
        eprintln!("a target was missed");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
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
