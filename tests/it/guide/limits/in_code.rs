//! Limits that are set in code: each default is compared with what is made without the setter.

use std::fmt::{Debug, Write};
use std::time::Duration;

use tower_mcp_auth::api_key::{ApiKeyStore, CachedApiKeyStore, KeyLookup, LookupFuture};
use tower_mcp_auth::oauth::binding::DpopOptions;

use super::grouped;

#[derive(Debug)]
struct Empty;

impl ApiKeyStore for Empty {
    fn find(&self, _: KeyLookup) -> LookupFuture {
        Box::pin(async { Ok(None) })
    }
}

/// What it is for, the default, the setter's name, the configuration's, the setter.
type Row<T> = (
    &'static str,
    u64,
    &'static str,
    &'static str,
    fn(T, u64) -> T,
);

fn section<T: Debug>(
    page: &mut String,
    heading: &str,
    of: &str,
    place: &str,
    new: fn() -> T,
    rows: &[Row<T>],
) {
    let columns = "| what | default | setter | configuration |\n|---|---|---|---|";
    let _ = writeln!(page, "\n## {heading}\n\n{columns}");
    let text = |made: T| format!("{made:?}");
    for (what, value, setter, key, set) in rows {
        assert_eq!(text(set(new(), *value)), text(new()), "{setter}");
        assert_ne!(text(set(new(), value + 1)), text(new()), "{setter}");
        let is_time =
            setter.ends_with("_ttl") || setter.ends_with("timeout") || *key == "max_staleness";
        let value = if is_time {
            format!("{value} s")
        } else {
            grouped(*value)
        };
        let key = match *key {
            "" => "in code alone".to_owned(),
            key => format!("`{place}.{key}`"),
        };
        let _ = writeln!(page, "| {what} | {value} | `{of}::{setter}` | {key} |");
    }
}

fn size(value: u64) -> usize {
    value.try_into().unwrap()
}

pub(super) fn rows(page: &mut String) {
    section(
        page,
        "Tokens bound to keys",
        "DpopOptions",
        "oauth.dpop",
        DpopOptions::new,
        &[
            (
                "used proofs in memory; beyond them 503 `dpop_replays_unavailable`",
                1_000_000,
                "max_used_proofs",
                "max_used_proofs",
                |options, most| options.max_used_proofs(size(most)).unwrap(),
            ),
            (
                "keys of clients that are kept ready",
                10_000,
                "max_prepared_keys",
                "max_prepared_keys",
                |options, most| options.max_prepared_keys(size(most)),
            ),
        ],
    );
    section::<CachedApiKeyStore>(
        page,
        "Stores of API keys",
        "CachedApiKeyStore",
        "api_keys.shared",
        || CachedApiKeyStore::new(Empty),
        &[
            (
                "how long a good key is not asked about again",
                30,
                "positive_ttl",
                "positive_ttl",
                |store, time| store.positive_ttl(Duration::from_secs(time)),
            ),
            (
                "how long another one is not",
                10,
                "negative_ttl",
                "negative_ttl",
                |store, time| store.negative_ttl(Duration::from_secs(time)),
            ),
            (
                "how long a good key goes on while the store is gone",
                60,
                "max_staleness",
                "max_staleness",
                |store, time| store.max_staleness(Duration::from_secs(time)),
            ),
            (
                "keys remembered, of each kind",
                10_000,
                "max_keys",
                "max_keys",
                CachedApiKeyStore::max_keys,
            ),
            ("a question", 2, "timeout", "", |store, time| {
                store.timeout(Duration::from_secs(time)).unwrap()
            }),
            (
                "questions at once",
                32,
                "max_concurrent_lookups",
                "",
                |store, most| store.max_concurrent_lookups(size(most)).unwrap(),
            ),
            (
                "questions that wait for their turn",
                1024,
                "max_queued",
                "",
                |store, most| store.max_queued(size(most)),
            ),
            (
                "how long they wait",
                2,
                "queue_timeout",
                "",
                |store, time| store.queue_timeout(Duration::from_secs(time)),
            ),
            (
                "requests that wait for an answer",
                16_384,
                "max_waiting_requests",
                "",
                |store, most| store.max_waiting_requests(size(most)).unwrap(),
            ),
        ],
    );
}
