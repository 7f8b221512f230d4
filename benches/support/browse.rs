//! Single candidates under criterion, by CPU time of the thread.

use std::time::Duration;

use cpu_time::ThreadTime;
use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use criterion::{BatchSize, Bencher, Criterion};
use http::header::AUTHORIZATION;
use tower::Layer;
use tower_mcp_auth::oauth::TokenCacheOptions;

use super::drive::{Bare, put_through, request};
use super::raw::{RawCheck, Signed};
use super::tokens::Key;

/// Runs the candidates whose names contain `filter`.
pub(crate) fn browse(filter: Option<&str>) {
    let mut criterion = Criterion::default()
        .with_measurement(ThreadCpu(WallTime))
        .without_plots()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    if let Some(filter) = filter {
        criterion = criterion.with_filter(filter);
    }
    let mut group = criterion.benchmark_group("overhead");
    group.bench_function("bare service", |bencher| {
        bencher.iter_batched(
            || request(&AUTHORIZATION, "Bearer token"),
            |request| put_through(&mut Bare, request, 200),
            BatchSize::SmallInput,
        );
    });
    for key in [Key::rs256(), Key::es256(), Key::eddsa()] {
        let layer = key.oauth_layer(TokenCacheOptions::new());
        let seen = format!("Bearer {}", key.token(0));
        group.bench_function(format!("{} seen before", key.alg()), |bencher| {
            let mut guarded = layer.layer(Bare);
            bencher.iter_batched(
                || request(&AUTHORIZATION, &seen),
                |request| put_through(&mut guarded, request, 200),
                BatchSize::SmallInput,
            );
        });
        let mut number = 0;
        group.bench_function(format!("{} never seen", key.alg()), |bencher| {
            let mut guarded = layer.layer(Bare);
            bencher.iter_batched(
                || {
                    number += 1;
                    request(&AUTHORIZATION, &format!("Bearer {}", key.token(number)))
                },
                |request| put_through(&mut guarded, request, 200),
                BatchSize::SmallInput,
            );
        });
        group.bench_function(format!("{} raw check", key.alg()), |bencher| {
            raw_check(bencher, &key);
        });
    }
    group.bench_function("HS256 never seen", |bencher| {
        let mut guarded = Key::jwt_layer().layer(Bare);
        let value = format!("Bearer {}", Key::Hs256.token(0));
        bencher.iter_batched(
            || request(&AUTHORIZATION, &value),
            |request| put_through(&mut guarded, request, 200),
            BatchSize::SmallInput,
        );
    });
    group.bench_function("HS256 raw check", |bencher| {
        raw_check(bencher, &Key::Hs256);
    });
    group.finish();
}

fn raw_check(bencher: &mut Bencher<'_, ThreadCpu>, key: &Key) {
    let (raw, token) = (RawCheck::new(key), Signed::new(&key.token(0)));
    bencher.iter(|| assert!(raw.check(&token)));
}

/// CPU time of the thread, shown as criterion shows wall time.
pub(crate) struct ThreadCpu(WallTime);

impl Measurement for ThreadCpu {
    type Intermediate = ThreadTime;
    type Value = Duration;

    fn start(&self) -> ThreadTime {
        ThreadTime::now()
    }

    fn end(&self, start: ThreadTime) -> Duration {
        start.elapsed()
    }

    fn add(&self, one: &Duration, other: &Duration) -> Duration {
        *one + *other
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        value.as_nanos() as f64
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        self.0.formatter()
    }
}
