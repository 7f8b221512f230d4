//! What the layers add to a request, beside the floors they cannot go below.
//!
//! ```sh
//! cargo bench -p dev --bench overhead                                # criterion, then the table
//! cargo bench -p dev --bench overhead -- --table                     # the table alone
//! cargo bench -p dev --bench overhead -- --facts                     # floods and a whole server
//! cargo bench -p dev --bench overhead -- --proofs                    # proofs of DPoP alone
//! cargo bench -p dev --bench overhead -- --quotas                    # budgets alone, aims as set
//! cargo bench -p dev --bench overhead -- --server                    # a whole server alone
//! cargo bench -p dev --bench overhead -- --criterion "seen before"   # single candidates
//! ```
//!
//! With `ENFORCE_TARGETS=1` a missed target fails the run.
//!
//! All times are CPU time of the thread. Requests are made outside of the measured time, and
//! their headers are fresh copies, as a server has them from the socket. The candidates of a
//! comparison take turns; a figure is the first decile over all rounds, because whatever else
//! the machine does only ever adds to it, and of several passes the quietest counts. Requests
//! per second of a whole server are by the clock, the median over rounds in which each server
//! has its turn.
//!
//! `least` is what a middleware adds that does nothing but what it must: header, digest,
//! look-up in a plain map, and who it is into the request. Memory is most of it where there
//! are many credentials.
//!
//! API keys are served twice: a few of many, which is what their number costs, and all in
//! turn, which is what memory costs too.
//!
//! Aims in microseconds, 3 for HS256, 0.4 for API keys, 0.3 for a budget in memory, 1.5 for a
//! refusal, 1.6 for a token introspected before, 0.5 for a certificate and 15 for one in a header,
//! are those of a machine that checks an RS256 signature in 15.9: here they are as many times longer
//! as that check is,
//! twice at most.

use std::convert::Infallible;
use std::hint::black_box;
use std::process::ExitCode;

use http::header::AUTHORIZATION;
use http::{HeaderName, Request, Response};
use tower::{Layer, Service};
use tower_mcp_auth::ApiKeyLayer;
use tower_mcp_auth::api_key::ApiKey;
use tower_mcp_auth::auth::AuthService;
use tower_mcp_auth::oauth::{OAuthProvider, TokenCacheOptions};

use support::certificates;
use support::drive::{Bare, Body, put_through, request};
use support::facts::{self, Fact};
use support::flood;
use support::floor::Floor;
use support::introspected;
use support::least::Least;
use support::measure::{Candidate, added, take_turns, timed};
use support::proofs;
use support::quota;
use support::raw::{RawCheck, Signed, TokenStore};
use support::resident;
use support::revocation::{self, Kinds};
use support::server;
use support::table::{self, Bound, Row};
use support::tenants::{self, Visit};
use support::tokens::Key;

mod support {
    pub(crate) mod browse;
    pub(crate) mod certificates;
    pub(crate) mod dpop;
    pub(crate) mod drive;
    pub(crate) mod facts;
    pub(crate) mod flood;
    pub(crate) mod floor;
    pub(crate) mod introspected;
    pub(crate) mod least;
    pub(crate) mod measure;
    pub(crate) mod proofs;
    pub(crate) mod quota;
    pub(crate) mod raw;
    pub(crate) mod resident;
    pub(crate) mod revocation;
    pub(crate) mod server;
    pub(crate) mod table;
    pub(crate) mod tenants;
    pub(crate) mod tokens;
}

/// What an RS256 check takes, in nanoseconds, where the aims in time were set.
const CHECK_OF_AIMS: f64 = 15_900.0;

/// Requests made ahead and measured together, few enough to stay in the nearest caches.
const BATCH: usize = 64;
/// New tokens before those that are measured.
const AHEAD: usize = 1024;
/// Tokens in a cache that is full, fewer than those that come before it is measured.
const FULL_CACHE: u64 = 500;

/// How much is done.
#[derive(Clone, Copy)]
struct Effort {
    passes: usize,
    rounds: usize,
    /// Requests of a round whose credential is known.
    known: usize,
    /// Tokens of a round that were never seen.
    new: usize,
    populations: [usize; 3],
    garbage: usize,
    /// Requests with one token at once.
    concurrent: usize,
    /// Rounds of the server, and how often each connection is used in one.
    server: (usize, usize),
}

impl Effort {
    const FULL: Self = Self {
        passes: 3,
        rounds: 81,
        known: 1024,
        new: 64,
        populations: [10, 1_000, 100_000],
        garbage: 1_000_000,
        concurrent: 10_000,
        server: (303, 10),
    };
    /// To see that it runs: `cargo test --benches`.
    const SMOKE: Self = Self {
        passes: 1,
        rounds: 1,
        known: BATCH,
        new: 16,
        populations: [10, 20, 30],
        garbage: 100,
        concurrent: 20,
        server: (1, 2),
    };
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |name: &str| arguments.iter().any(|argument| argument == name);
    let after = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1).filter(|next| *next != "--bench")
    };
    // Cargo says `--bench` where it was asked for benches, and nothing where for tests.
    if !has("--bench") {
        table::print(&compare(Effort::SMOKE));
        facts::print(&facts(Effort::SMOKE));
        return ExitCode::SUCCESS;
    }
    if has("--proofs") {
        let Effort { new, rounds, .. } = Effort::FULL;
        let key = Key::es256();
        let rows = [(); 3].map(|()| proofs::row(&key, new, rounds));
        table::print(&rows);
        facts::print(&[proofs(Effort::FULL)]);
        return ExitCode::SUCCESS;
    }
    if has("--quotas") {
        let key = TokenStore::new(Key::es256());
        table::print(&quotas(&key, Effort::FULL));
        return ExitCode::SUCCESS;
    }
    if has("--server") {
        let (rounds, turns) = Effort::FULL.server;
        facts::print(&server::requests_per_second(rounds, turns));
        return ExitCode::SUCCESS;
    }
    if has("--facts") {
        facts::print(&facts(Effort::FULL));
        return ExitCode::SUCCESS;
    }
    if !has("--table") {
        support::browse::browse(after("--criterion").map(String::as_str));
        if has("--criterion") {
            return ExitCode::SUCCESS;
        }
    }
    let rows = compare(Effort::FULL);
    let slow = table::print(&rows);
    let missed = facts::print(&facts(Effort::FULL)) || slow;
    if missed && std::env::var_os("ENFORCE_TARGETS").is_some_and(|value| value == "1") {
        eprintln!("a target was missed");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// All rows, several times over; of each the one from when the machine was quietest.
fn compare(effort: Effort) -> Vec<Row> {
    let keys = [Key::rs256(), Key::es256(), Key::eddsa()].map(TokenStore::new);
    let mut rows = pass(&keys, effort);
    for _ in 1..effort.passes {
        for (row, again) in rows.iter_mut().zip(pass(&keys, effort)) {
            if again.total() < row.total() {
                *row = again;
            }
        }
    }
    scale_aims(&mut rows);
    rows
}

/// Aims in time are for this machine now.
fn scale_aims(rows: &mut [Row]) {
    let is_check = |row: &&Row| (row.group, row.name) == ("never seen", "RS256");
    let check = rows.iter().find(is_check).and_then(|row| row.floor);
    let (_, check) = check.expect("it is measured");
    // No more than machines differ: a check that is slow for another reason allows nothing.
    let times = (check / CHECK_OF_AIMS).clamp(0.5, 2.0);
    println!("An RS256 check takes {times:.2} times as long as where the aims in time were set.");
    for row in rows {
        if let Bound::Nanoseconds(most) = &mut row.bound {
            *most *= times;
        }
    }
}

fn pass(keys: &[TokenStore; 3], effort: Effort) -> Vec<Row> {
    let mut rows = Vec::new();
    for key in keys {
        for population in effort.populations {
            rows.push(seen_before(key, population, effort));
        }
    }
    rows.push(tenants(keys[1].key(), effort));
    rows.push(proofs::row(keys[1].key(), effort.new, effort.rounds));
    let (key, known) = (keys[1].key(), effort.known);
    rows.extend(certificates::rows(key, known, effort.rounds));
    rows.extend(revocations(&keys[1], effort));
    rows.extend(quotas(&keys[1], effort));
    for length in [43, 900] {
        rows.push(introspected(length, effort));
    }
    for (key, most) in keys.iter().zip([1.15, 1.06, 1.06]) {
        rows.push(never_seen(key, Some(FULL_CACHE), most, effort));
    }
    // What such a token costs more is memory that the process has from the system for the first
    // time.
    for (key, most) in keys.iter().zip([1.2, 1.1, 1.1]) {
        rows.push(never_seen(key, None, most, effort));
    }
    rows.push(hs256(effort));
    rows.push(refused(effort));
    let [few, ..] = effort.populations;
    for population in effort.populations {
        rows.push(api_key(population, few, effort));
    }
    for population in effort.populations.into_iter().skip(1) {
        rows.push(api_key(population, population, effort));
    }
    rows
}

fn facts(effort: Effort) -> Vec<Fact> {
    let (rounds, turns) = effort.server;
    let mut facts = Vec::from_iter(resident::after_garbage(effort.garbage));
    facts.push(proofs(effort));
    facts.extend(flood::one_call(effort.concurrent));
    facts.extend(flood::flood(effort.garbage));
    facts.extend(server::requests_per_second(rounds, turns));
    facts
}

/// As many used proofs as garbage: a million.
fn proofs(effort: Effort) -> Fact {
    let used = effort.garbage.max(1_000);
    proofs::full(&Key::es256(), used, effort.new, effort.rounds)
}

/// `tokens` are cached, and every request brings one of them.
fn seen_before(store: &TokenStore, tokens: usize, effort: Effort) -> Row {
    let (key, tokens) = (store.key(), store.tokens(tokens));
    let cache = TokenCacheOptions::new()
        .max_tokens(200_000)
        .max_bytes(1 << 30);
    let mut guarded = key.oauth_layer(cache).layer(Bare);
    // Verified, and then used once, so that nothing is still to be put in its place.
    for token in tokens.iter().chain(&tokens) {
        let value = format!("Bearer {token}");
        put_through(&mut guarded, request(&AUTHORIZATION, &value), 200);
    }
    repeated("seen before", key.alg(), &tokens, guarded, effort)
}

/// A few tenants of many, beside the same of a layer that has no others: what their number costs.
fn tenants(key: &Key, effort: Effort) -> Row {
    let [few, _, many] = effort.populations;
    // Those that are visited among them.
    let many = (many / few).max(few);
    let visits = tenants::visits(key, few);
    let mut layers = [few, many].map(|count| tenants::layer(key, count).layer(Bare));
    let mut sources = [(); 3].map(|()| visits.iter().cycle());
    let [first, second, third] = &mut sources;
    let [of_few, of_many] = &mut layers;
    let mut candidates = [
        Candidate::new(|| visit(&mut Bare, effort.known, first)),
        Candidate::new(|| visit(of_many, effort.known, second)),
        Candidate::new(|| visit(of_few, effort.known, third)),
    ];
    take_turns(&mut candidates, effort.rounds);
    let [bare, layer, floor] = &candidates;
    Row {
        group: "seen before",
        name: "ES256, one of many tenants",
        population: None,
        bare: bare.time(),
        layer: layer.time(),
        added: added(bare, layer),
        least: None,
        floor: Some(("a layer with few tenants", added(bare, floor))),
        bound: Bound::Ratio(1.1),
    }
}

/// What revocation adds to a layer that knows the token: `bare` is that layer without it. Where
/// nothing was revoked since the token was judged, and where it has to be judged anew, which is
/// so at each request here: two layers with revocations of their own take turns.
fn revocations(store: &TokenStore, effort: Effort) -> Vec<Row> {
    let (key, tokens) = (store.key(), store.tokens(BATCH * 16));
    let values: Vec<String> = tokens.iter().map(|it| format!("Bearer {it}")).collect();
    let many = effort.garbage;
    let candidates = [
        ("unchanged", None, Bound::Nanoseconds(100.0)),
        ("unchanged, shared", None, Bound::Nanoseconds(100.0)),
        (
            "judged anew, none",
            Some((0, Kinds::All)),
            Bound::Nanoseconds(100.0),
        ),
        (
            "judged anew, token ids",
            Some((many, Kinds::Tokens)),
            Bound::Nanoseconds(1_500.0),
        ),
        (
            "judged anew, six kinds",
            Some((many, Kinds::All)),
            Bound::Nanoseconds(1_500.0),
        ),
    ];
    let row = |(name, entries, bound): (_, Option<_>, _)| {
        let (entries, kinds) = entries.unwrap_or((0, Kinds::All));
        let both = [(); 2].map(|()| match name {
            "unchanged, shared" => revocation::shared(),
            _ => revocation::with_entries(entries, kinds),
        });
        let (mut plain, mut layers) = revocation::layers(key, both);
        let takes_turns = !name.starts_with("unchanged");
        // The tokens are known from then on.
        serve(
            &mut plain,
            &AUTHORIZATION,
            values.len(),
            &mut scattered(&values),
        );
        let mut sources = [(); 2].map(|()| scattered(&values));
        let [first, second] = &mut sources;
        let mut turn = 0;
        let mut candidates = [
            Candidate::new(|| serve(&mut plain, &AUTHORIZATION, values.len(), first)),
            Candidate::new(|| {
                turn += usize::from(takes_turns);
                let layer = &mut layers[turn % 2];
                serve(layer, &AUTHORIZATION, values.len(), second)
            }),
        ];
        take_turns(&mut candidates, effort.rounds);
        let [plain, layer] = &candidates;
        Row {
            group: "revocation",
            name,
            population: None,
            bare: plain.time(),
            layer: layer.time(),
            added: added(plain, layer),
            least: None,
            floor: None,
            bound,
        }
    };
    candidates.into_iter().map(row).collect()
}

/// What budgets in memory add to a layer that knows the token, for callers that have a bucket.
fn quotas(store: &TokenStore, effort: Effort) -> Vec<Row> {
    let (key, tokens) = (store.key(), store.tokens(BATCH * 16));
    let values: Vec<String> = tokens.iter().map(|it| format!("Bearer {it}")).collect();
    let rows = [("one budget", 1, 300.0), ("three budgets", 3, 900.0)];
    let row = |(name, budgets, most)| {
        let (mut plain, mut counted) = quota::layers(key, budgets);
        // The tokens are known from then on, and each caller has its bucket.
        serve(
            &mut counted,
            &AUTHORIZATION,
            values.len(),
            &mut scattered(&values),
        );
        let mut sources = [(); 2].map(|()| scattered(&values));
        let [first, second] = &mut sources;
        let mut candidates = [
            Candidate::new(|| serve(&mut plain, &AUTHORIZATION, values.len(), first)),
            Candidate::new(|| serve(&mut counted, &AUTHORIZATION, values.len(), second)),
        ];
        take_turns(&mut candidates, effort.rounds);
        let [plain, layer] = &candidates;
        Row {
            group: "quotas",
            name,
            population: None,
            bare: plain.time(),
            layer: layer.time(),
            added: added(plain, layer),
            least: None,
            floor: None,
            bound: Bound::Nanoseconds(most),
        }
    };
    rows.into_iter().map(row).collect()
}

/// One round of requests to tenants, nanoseconds per request.
fn visit<'v, S, B>(
    service: &mut S,
    total: usize,
    visits: &mut impl Iterator<Item = &'v Visit>,
) -> f64
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible>,
{
    batches(total, |count| {
        let requests = visits.take(count).map(Visit::request);
        timed(requests.collect(), |request| {
            put_through(service, request, 200);
        })
    })
}

/// The same for opaque tokens whose introspection is cached.
fn introspected(length: usize, effort: Effort) -> Row {
    let tokens = introspected::tokens(length, effort.populations[1]);
    let server = introspected::Server::default();
    let guarded = server.guarded();
    introspected::ask_all(&guarded, &tokens, 200);
    let name = match length {
        900 => "opaque 900 B",
        _ => "opaque 43 B",
    };
    let mut row = repeated("known", name, &tokens, guarded, effort);
    // Of moka alone, which keeps a list of uses; and of 43 bytes the floor is next to nothing.
    row.bound = Bound::Nanoseconds(1_600.0);
    assert_eq!(
        server.calls(),
        tokens.len(),
        "only what is not known is asked"
    );
    row
}

/// Tokens the layer knows, one after the other.
fn repeated(
    group: &'static str,
    name: &'static str,
    tokens: &[String],
    mut guarded: AuthService<Bare, OAuthProvider>,
    effort: Effort,
) -> Row {
    let values: Vec<String> = tokens.iter().map(|it| format!("Bearer {it}")).collect();
    let floor = Floor::new();
    for token in tokens {
        floor.insert(Floor::digest(token.as_bytes()));
    }

    let mut least = Least::new(Bare, &AUTHORIZATION, "Bearer ", &values);
    let mut sources = [(); 4].map(|()| scattered(&values));
    let [first, second, third, fourth] = &mut sources;
    let mut candidates = [
        Candidate::new(|| serve(&mut Bare, &AUTHORIZATION, effort.known, first)),
        Candidate::new(|| serve(&mut guarded, &AUTHORIZATION, effort.known, second)),
        Candidate::new(|| serve(&mut least, &AUTHORIZATION, effort.known, fourth)),
        Candidate::new(|| {
            batches(effort.known, |count| {
                let inputs = third
                    .take(count)
                    .map(|value| (value, request(&AUTHORIZATION, value)));
                timed(inputs.collect(), |(value, request)| {
                    let digest = Floor::digest(&value.as_bytes()["Bearer ".len()..]);
                    assert!(black_box(floor.look_up(&digest)).is_some());
                    put_through(&mut Bare, request, 200);
                })
            })
        }),
    ];
    take_turns(&mut candidates, effort.rounds);
    let [bare, layer, least, floor] = &candidates;
    Row {
        group,
        name,
        population: Some(tokens.len()),
        bare: bare.time(),
        layer: layer.time(),
        added: added(bare, layer),
        least: Some(added(bare, least)),
        floor: Some(("SHA-256 + moka look-up", added(bare, floor))),
        // Among many tokens every look-up waits for memory.
        bound: Bound::Ratio(if tokens.len() > 1_000 { 1.5 } else { 1.25 }),
    }
}

/// Every request brings a token of its own; it is verified, and kept: in the place of another where
/// the cache is `full` with so many, as in a server that has run for a while.
fn never_seen(store: &TokenStore, full: Option<u64>, most: f64, effort: Effort) -> Row {
    let total = effort.new * effort.rounds + AHEAD;
    let (key, tokens) = (store.key(), store.tokens(total));
    let values: Vec<String> = tokens.iter().map(|it| format!("Bearer {it}")).collect();
    let signed: Vec<Signed> = tokens.iter().map(|it| Signed::new(it)).collect();
    let raw = RawCheck::new(key);
    let mut cache = TokenCacheOptions::new();
    if let Some(tokens) = full {
        cache = cache.max_tokens(tokens);
    }
    let mut guarded = key.oauth_layer(cache).layer(Bare);

    // The first of them warm what is made once, and fill a small cache.
    let mut new = values.iter().map(String::as_str);
    serve(&mut guarded, &AUTHORIZATION, AHEAD, &mut new);

    let mut bare_source = scattered(&values);
    let mut raw_source = signed.iter().skip(AHEAD);
    let mut candidates = [
        Candidate::new(|| serve(&mut Bare, &AUTHORIZATION, effort.new, &mut bare_source)),
        Candidate::new(|| serve(&mut guarded, &AUTHORIZATION, effort.new, &mut new)),
        Candidate::new(|| batches(effort.new, |count| raw.check_next(count, &mut raw_source))),
    ];
    take_turns(&mut candidates, effort.rounds);
    let [bare, layer, raw] = &candidates;
    Row {
        group: match full {
            Some(_) => "never seen",
            None => "never seen, the cache grows",
        },
        name: key.alg(),
        population: None,
        bare: bare.time(),
        layer: layer.time(),
        added: added(bare, layer),
        least: None,
        floor: Some(("raw signature check", raw.time())),
        bound: Bound::Ratio(most),
    }
}

/// `JwtLayer`, which keeps no tokens.
fn hs256(effort: Effort) -> Row {
    let key = Key::Hs256;
    let tokens = key.tokens(0, 1_000);
    let values: Vec<String> = tokens.iter().map(|it| format!("Bearer {it}")).collect();
    let signed: Vec<Signed> = tokens.iter().map(|it| Signed::new(it)).collect();
    let raw = RawCheck::new(&key);
    let mut guarded = Key::jwt_layer().layer(Bare);
    let mut sources = [scattered(&values), scattered(&values)];
    let [first, second] = &mut sources;
    let mut raw_source = signed.iter().cycle();
    let mut candidates = [
        Candidate::new(|| serve(&mut Bare, &AUTHORIZATION, effort.known, first)),
        Candidate::new(|| serve(&mut guarded, &AUTHORIZATION, effort.known, second)),
        Candidate::new(|| batches(effort.known, |count| raw.check_next(count, &mut raw_source))),
    ];
    take_turns(&mut candidates, effort.rounds);
    let [bare, layer, raw] = &candidates;
    Row {
        group: "never seen",
        name: key.alg(),
        population: None,
        bare: bare.time(),
        layer: layer.time(),
        added: added(bare, layer),
        least: None,
        floor: Some(("raw signature check", raw.time())),
        bound: Bound::Nanoseconds(3_000.0),
    }
}

/// Every request brings what is no token at all: a refusal by its form, with challenge and body.
fn refused(effort: Effort) -> Row {
    let values: Vec<String> = (0..1_000)
        .map(|number| format!("Bearer {number:043}"))
        .collect();
    let mut guarded = Key::jwt_layer().layer(Bare);
    let mut sources = [scattered(&values), scattered(&values)];
    let [first, second] = &mut sources;
    let mut refuse = |total: usize| {
        batches(total, |count| {
            let requests = second
                .take(count)
                .map(|value| request(&AUTHORIZATION, value));
            timed(requests.collect(), |request| {
                put_through(&mut guarded, request, 401);
            })
        })
    };
    let mut candidates = [
        Candidate::new(|| serve(&mut Bare, &AUTHORIZATION, effort.known, first)),
        Candidate::new(|| refuse(effort.known)),
    ];
    take_turns(&mut candidates, effort.rounds);
    let [bare, layer] = &candidates;
    Row {
        group: "refused",
        name: "no token by its form",
        population: None,
        bare: bare.time(),
        layer: layer.time(),
        added: added(bare, layer),
        least: None,
        floor: None,
        bound: Bound::Nanoseconds(1_500.0),
    }
}

/// There are `keys` keys, and every request brings one of those `in_use`.
fn api_key(keys: usize, in_use: usize, effort: Effort) -> Row {
    let header = HeaderName::from_static("x-api-key");
    let values: Vec<String> = (0..keys)
        .map(|number| {
            format!(
                "mcp_{:039x}",
                (number as u128 + 1) * 0x9E37_79B9_7F4A_7C15_F39C
            )
        })
        .collect();
    let entries = values.iter().enumerate().map(|(number, value)| {
        let key = ApiKey::new(value).unwrap();
        key.name(format!("client-{number}"))
    });
    let mut guarded = ApiKeyLayer::new(entries).unwrap().layer(Bare);
    let mut least = Least::new(Bare, &header, "", &values);
    let values = &values[..in_use];
    let mut sources = [(); 3].map(|()| scattered(values));
    let [first, second, third] = &mut sources;
    let mut candidates = [
        Candidate::new(|| serve(&mut Bare, &header, effort.known, first)),
        Candidate::new(|| serve(&mut guarded, &header, effort.known, second)),
        Candidate::new(|| serve(&mut least, &header, effort.known, third)),
    ];
    take_turns(&mut candidates, effort.rounds);
    let [bare, layer, least] = &candidates;
    Row {
        group: "API key",
        name: if in_use == keys { "" } else { "10 in use" },
        population: Some(keys),
        bare: bare.time(),
        layer: layer.time(),
        added: added(bare, layer),
        least: Some(added(bare, least)),
        floor: None,
        bound: Bound::Nanoseconds(400.0),
    }
}

/// All values again and again, in an order no prefetcher follows.
fn scattered(values: &[String]) -> impl Iterator<Item = &str> {
    // A prime that divides no number of values, so that every value has its turn.
    const STEP: usize = 7_919;
    assert!(!values.len().is_multiple_of(STEP));
    (0..).map(|turn: usize| values[turn * STEP % values.len()].as_str())
}

/// `total` requests in batches; nanoseconds per request.
fn batches(total: usize, mut batch: impl FnMut(usize) -> f64) -> f64 {
    let mut sum = 0.0;
    let mut left = total;
    while left > 0 {
        let count = left.min(BATCH);
        sum += batch(count) * count as f64;
        left -= count;
    }
    sum / total as f64
}

/// One round of requests that are accepted, nanoseconds per request.
fn serve<'v, S, B>(
    service: &mut S,
    header: &HeaderName,
    total: usize,
    values: &mut impl Iterator<Item = &'v str>,
) -> f64
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible>,
{
    batches(total, |count| {
        let requests = values.take(count).map(|value| request(header, value));
        timed(requests.collect(), |request| {
            put_through(service, request, 200);
        })
    })
}
