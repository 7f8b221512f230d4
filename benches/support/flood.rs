//! Many requests at once of one token, and of tokens that are none.

use http::header::AUTHORIZATION;
use tower::ServiceExt;

use super::drive::{put_through, request};
use super::facts::{Fact, Limit};
use super::introspected::{CALLS_PER_SECOND, Server, ask_all, runtime, tokens};
use super::measure::{quantile, timed};
use super::resident::resident_bytes;

/// What `count` concurrent requests with one token cause.
pub(crate) fn one_call(count: usize) -> [Fact; 1] {
    let server = Server::default();
    let guarded = server.guarded();
    let value = format!("Bearer {}", tokens(43, 1)[0]);
    let accepted = runtime().block_on(async {
        let requests: Vec<_> = (0..count)
            .map(|_| tokio::spawn(guarded.clone().oneshot(request(&AUTHORIZATION, &value))))
            .collect();
        let mut accepted = 0;
        for request in requests {
            accepted += usize::from(request.await.unwrap().unwrap().status() == 200);
        }
        accepted
    });
    assert_eq!(accepted, count);
    [Fact {
        label: "Calls for 10,000 concurrent requests of one token".to_owned(),
        value: server.calls() as f64,
        unit: "",
        limit: Limit::Most(1.0),
    }]
}

/// What a flood of `count` garbage tokens, no two alike, does to the server that is asked, to
/// memory, and to good tokens in between.
pub(crate) fn flood(count: usize) -> Vec<Fact> {
    let server = Server::default();
    let flooding = server.guarded();
    let mut guarded = flooding.clone();
    let good = tokens(43, 64);
    ask_all(&guarded, &good, 200);
    let values: Vec<String> = good.iter().map(|it| format!("Bearer {it}")).collect();
    let mut serve_good = || {
        let requests = values.iter().map(|value| request(&AUTHORIZATION, value));
        timed(requests.collect(), |request| {
            put_through(&mut guarded, request, 200);
        })
    };
    let quiet: Vec<f64> = (0..200).map(|_| serve_good()).collect();
    let mut flooded = Vec::new();
    let (asked, before) = (server.calls(), resident_bytes());
    let started = std::time::Instant::now();
    runtime().block_on(async {
        for number in 0..count {
            let request = request(&AUTHORIZATION, &format!("Bearer garbage_{number:035}"));
            let response = flooding.clone().oneshot(request).await.unwrap();
            assert!(matches!(response.status().as_u16(), 401 | 503));
            if number % 5_000 == 0 {
                flooded.push(serve_good());
            }
        }
    });
    let seconds = started.elapsed().as_secs_f64().max(1.0);
    let calls = (server.calls() - asked) as f64;
    let typical = |samples: Vec<f64>| quantile(samples.into_iter(), 0.5);
    let mut facts = vec![
        Fact {
            label: "Calls a second under a flood of garbage tokens".to_owned(),
            // What a quiet second saved up is no rate.
            value: (calls - f64::from(CALLS_PER_SECOND)).max(0.0) / seconds,
            unit: "",
            limit: Limit::Most(f64::from(CALLS_PER_SECOND)),
        },
        Fact {
            label: "A good token during the flood, times as long".to_owned(),
            value: typical(flooded) / typical(quiet),
            unit: "x",
            limit: Limit::None,
        },
    ];
    if let (Some(before), Some(after)) = (before, resident_bytes()) {
        facts.push(Fact {
            label: "Process after that flood, larger by".to_owned(),
            value: (after - before) / f64::from(1 << 20),
            unit: "MiB",
            limit: Limit::Most(16.0),
        });
    }
    facts
}
