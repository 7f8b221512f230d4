//! How often keys in use are fetched, and that no request waits for it, at every lifetime.

use std::task::{Context, Poll, Waker};
use std::time::Duration;

use serde_json::json;
use tower_mcp_auth::oauth::JwksOptions;

use crate::oauth::support::*;

/// From 1 s on.
const LIFETIMES: [u64; 17] = [
    1, 2, 3, 4, 5, 7, 10, 15, 20, 30, 45, 60, 90, 150, 300, 600, 3600,
];

/// Where a lifetime comes from.
#[derive(Clone, Copy, Debug)]
enum From {
    Operator,
    MaxAge,
}

struct Drill {
    guarded: Guarded,
    web: Web,
    token: String,
}

impl Drill {
    async fn start(lifetime: u64, from: From) -> Self {
        let key = Key::new("a");
        let web = Web::with_issuer(&[&key]);
        let lifetime = Duration::from_secs(lifetime);
        let limits: &dyn Fn(JwksOptions) -> JwksOptions = match from {
            From::Operator => &|limits| {
                let hour = Duration::from_secs(3600);
                limits
                    .default_ttl(lifetime)
                    .ttl_bounds(lifetime.min(hour)..=hour)
            },
            From::MaxAge => {
                let value: &str = format!("max-age={}", lifetime.as_secs()).leak();
                let page = Page::WithHeader("cache-control", value, key_set(&[&key]));
                web.set(JWKS, page);
                &|limits| limits.ttl_bounds(Duration::ZERO..=Duration::from_secs(3600))
            }
        };
        let mut guarded = Guarded::new(&web);
        guarded.layer = guarded.with_limits(&web, limits);
        let token = key.token(json!({"exp": START.as_secs() + 10 * 86_400}));
        guarded.bearer(&token).await.assert(200, "accepted");
        Self {
            guarded,
            web,
            token,
        }
    }

    /// A request that must be answered at once.
    #[track_caller]
    fn ask(&self, what: &str) {
        let mut request = Box::pin(self.guarded.bearer(&self.token));
        match request
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
        {
            Poll::Ready(answer) => answer.assert(200, "accepted"),
            Poll::Pending => panic!("a request waits: {what}"),
        }
    }
}

#[tokio::test]
async fn keys_in_use_are_fetched_about_once_a_lifetime_and_no_request_waits() {
    for (from, lifetimes) in [
        (From::Operator, &LIFETIMES[..]),
        (From::MaxAge, &[1, 2, 10, 30, 60, 600]),
    ] {
        for lifetime in lifetimes.iter().copied() {
            // Requests in a lifetime, and whether a fetch takes a while.
            for (requests, slow) in [(4, false), (4, true), (10, false), (10, true), (100, true)] {
                // Not all lifetimes are in use with so few.
                if requests > 4 || lifetime <= 20 {
                    drill(lifetime, from, requests, slow).await;
                }
            }
        }
    }
}

async fn drill(lifetime: u64, from: From, requests: u64, slow: bool) {
    let what = format!("{from:?}, {lifetime} s, {requests} requests, slow {slow}");
    let drill = Drill::start(lifetime, from).await;
    let step = Duration::from_millis(lifetime * 1000 / requests);
    let takes = match slow {
        true => Duration::from_millis(lifetime * 1000 / 4).min(Duration::from_secs(2)),
        false => Duration::ZERO,
    };
    let apart = Duration::from_millis((lifetime * 500).max(1000));
    let lifetimes = if requests == 100 { 2 } else { 8 };
    let (mut now, mut seen) = (Duration::ZERO, drill.web.log().len());
    let mut begun = Vec::new();
    drill.web.hold(slow);
    for _ in 0..requests * lifetimes {
        now += step;
        drill.guarded.clock.advance(step);
        drill.ask(&what);
        settle().await;
        if drill.web.log().len() > seen {
            begun.push(now);
        }
        if begun.last().is_none_or(|at| now >= *at + takes) {
            drill.web.hold(false);
            settle().await;
            drill.web.hold(slow);
        }
        seen = drill.web.log().len();
    }
    let too_near = begun.windows(2).find(|pair| pair[1] - pair[0] < apart);
    assert_eq!(too_near, None, "{what}");
    let least = lifetimes as usize * 3 / 4;
    let most = match lifetime {
        ..=20 => 2 * lifetimes,
        _ => 8 * lifetimes / 5,
    };
    let range = least..=most as usize + 1;
    assert!(range.contains(&begun.len()), "{what}: {}", begun.len());
}

/// By the time of the machine as well, by which the cache of key sets drops what is of no use.
#[tokio::test]
async fn keys_serve_while_a_refresh_that_was_held_back_is_under_way() {
    let key = Key::new("a");
    let web = Web::with_issuer(&[&key]);
    let mut guarded = Guarded::new(&web);
    let second = Duration::from_secs(1);
    guarded.layer = guarded.with_limits(&web, |limits| {
        let limits = limits.default_ttl(second).ttl_bounds(second..=second);
        limits.stale_if_error(Duration::ZERO)
    });
    let token = |sub: &str| key.token(json!({"sub": sub, "exp": START.as_secs() + 3600}));
    guarded.bearer(&token("a")).await.assert(200, "accepted");
    let mut drill = Drill {
        guarded,
        web,
        token: token("b"),
    };
    drill.guarded.clock.advance(Duration::from_millis(700));
    drill.ask("while a refresh is held back");
    tokio::time::sleep(Duration::from_millis(1100)).await;
    drill.guarded.clock.advance(Duration::from_millis(500));
    drill.web.hold(true);
    drill.token = token("c");
    drill.ask("while a refresh is under way");
    assert!(drill.guarded.layer.health()[0].1.serving);
}

/// A set that was not used since is not in use, however short it lives.
#[tokio::test]
async fn idle_keys_of_a_short_life_are_refreshed_before_they_serve() {
    for lifetime in LIFETIMES {
        let drill = Drill::start(lifetime, From::Operator).await;
        drill.web.publish_keys(&[&Key::new("another")]);
        drill.ask("just fetched");
        drill.guarded.advance(lifetime);
        let answer = drill.guarded.bearer(&drill.token).await;
        answer.assert(401, "unknown_key");
    }
}

#[tokio::test]
async fn without_a_second_passing_keys_are_fetched_once() {
    // `START` is Fri, 15 Jan 2027 08:00:00 GMT.
    let headers = [
        ("cache-control", "max-age=30"),
        ("cache-control", "max-age=1"),
        ("cache-control", "max-age=0"),
        ("cache-control", "max-age=30, must-revalidate"),
        ("cache-control", "no-store"),
        ("cache-control", "no-cache"),
        ("expires", "Fri, 15 Jan 2027 08:00:30 GMT"),
        ("expires", "Fri, 15 Jan 2027 08:00:00 GMT"),
        ("expires", "Fri, 15 Jan 2027 07:00:00 GMT"),
        ("expires", "0"),
        ("etag", "\"without a lifetime\""),
    ];
    for (name, value) in headers {
        let key = Key::new("a");
        let web = Web::with_issuer(&[&key]);
        web.set(JWKS, Page::WithHeader(name, value, key_set(&[&key])));
        let mut guarded = Guarded::new(&web);
        guarded.layer = guarded.with_limits(&web, |limits| {
            let hour = Duration::from_secs(3600);
            limits
                .default_ttl(Duration::from_secs(30))
                .ttl_bounds(Duration::ZERO..=hour)
        });
        let token = key.token(json!({}));
        for _ in 0..100 {
            guarded.bearer(&token).await.assert(200, "accepted");
            settle().await;
        }
        assert_eq!(web.count(JWKS), 1, "{name}: {value}");
    }
}
