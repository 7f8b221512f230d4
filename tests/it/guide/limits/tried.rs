//! Bounds that have no setting: values on both sides of them are tried.

use std::fmt::Write;
use std::time::Duration;

use tower_mcp_auth::api_key::ApiKey;
use tower_mcp_auth::jose::{Algorithm, Secret};
use tower_mcp_auth::mcp::{Budget, QuotaLayer};
use tower_mcp_auth::oauth::binding::DpopOptions;
use tower_mcp_auth::peer::{ProxyHeaders, TrustedProxies};
use tower_mcp_auth::revocation::Revocation;
use tower_mcp_auth::store::{MemoryQuotaStore, MemoryReplayStore, MemoryRevocationStore};
use tower_mcp_auth::{ApiKeyLayer, JwtLayer, Tenants};

use super::{KEY, SECRET, grouped};

/// The least and the most of a range that is accepted.
fn bounds(within: u64, beyond: u64, accepted: impl Fn(u64) -> bool) -> (u64, u64) {
    assert!(accepted(within) && !accepted(beyond));
    let search = |mut good: u64, mut bad: u64| {
        while good.abs_diff(bad) > 1 {
            let middle = good.midpoint(bad);
            if accepted(middle) {
                good = middle;
            } else {
                bad = middle;
            }
        }
        good
    };
    let least = if accepted(0) { 0 } else { search(within, 0) };
    (least, search(within, beyond))
}

pub(super) fn rows(page: &mut String) {
    page.push_str(
        "\n## Bounds of settings, and what cannot be set\n\n| what | bound |\n|---|---|\n",
    );
    let mut row = |what: &str, bound: String| {
        let _ = writeln!(page, "| {what} | {bound} |");
    };
    // Of all characters, so that no rule but that of length counts.
    let text = |length: u64| {
        let characters = "R7vJ2nWq9sLx4TzK8mYc3FbHd6GpAeU5".chars().cycle();
        characters
            .take(length.try_into().unwrap())
            .collect::<String>()
    };
    let jwt = || JwtLayer::builder(Secret::new(text(64)).unwrap());
    for (name, algorithm) in [
        ("HS256", Algorithm::HS256),
        ("HS384", Algorithm::HS384),
        ("HS512", Algorithm::HS512),
    ] {
        let fits = |length| {
            Secret::new(text(length))
                .and_then(|secret| JwtLayer::builder(secret).algorithms([algorithm]).build())
                .is_ok()
        };
        let least = (0..=64).find(|length| fits(*length)).unwrap();
        row(
            &format!("a secret for {name}"),
            format!("at least {least} bytes"),
        );
    }
    let (least, most) = bounds(100, 10_000, |length| {
        ApiKey::new(text(length))
            .and_then(|key| ApiKeyLayer::new([key]))
            .is_ok()
    });
    row(
        "an API key (`ApiKey::new`)",
        format!("{least} to {most} bytes"),
    );
    let (_, most) = bounds(60, 100_000, |seconds| {
        jwt()
            .clock_skew(Duration::from_secs(seconds))
            .build()
            .is_ok()
    });
    row("`clock_skew`", format!("at most {most} s"));
    let kibi = |bytes: u64| match bytes {
        1024.. => format!("{} KiB", bytes / 1024),
        less => format!("{less} bytes"),
    };
    let (least, most) = bounds(16 << 10, 10 << 20, |bytes| {
        jwt()
            .max_header_bytes(256)
            .max_token_bytes(bytes.try_into().unwrap())
            .build()
            .is_ok()
    });
    row(
        "`max_token_bytes`",
        format!("{} to {}", kibi(least), kibi(most)),
    );
    let (least, most) = bounds(1024, 1 << 20, |bytes| {
        jwt()
            .max_token_bytes(64 << 10)
            .max_header_bytes(bytes.try_into().unwrap())
            .build()
            .is_ok()
    });
    row(
        "`max_header_bytes`",
        format!("{} to {}", kibi(least), kibi(most)),
    );
    let (least, most) = bounds(1, 1000, |hops| {
        TrustedProxies::new(ProxyHeaders::XForwarded, ["10.0.0.7"])
            .and_then(|proxies| proxies.hops(hops.try_into().unwrap()))
            .is_ok()
    });
    row("`hops` of trusted proxies", format!("{least} to {most}"));
    let (least, most) = bounds(10, 1000, |length| {
        Tenants::new(["a".repeat(length.try_into().unwrap())]).is_ok()
    });
    row(
        "the name of a tenant",
        format!("{least} to {most} characters"),
    );
    let (least, most) = bounds(10, 1000, |length| {
        let name = "a".repeat(length.try_into().unwrap());
        ApiKeyLayer::new([KEY])
            .unwrap()
            .forbidden_query_names([name])
            .is_ok()
    });
    row(
        "a name in `forbidden_query_names`",
        format!("{least} to {most} characters"),
    );
    let number = |count: usize| grouped(count.try_into().unwrap());
    row(
        "`MemoryReplayStore::default()`",
        format!("{} entries", number(MemoryReplayStore::MAX_ENTRIES)),
    );
    row(
        "`MemoryRevocationStore::default()`",
        format!("{} records", number(MemoryRevocationStore::MAX_RECORDS)),
    );
    row(
        "entries of `Revocation::in_memory()`",
        number(Revocation::MAX_ENTRIES),
    );
    row(
        "used DPoP proofs in memory (`max_used_proofs`)",
        number(DpopOptions::MAX_USED_PROOFS),
    );
    quotas(&mut row);
}

fn quotas(row: &mut impl FnMut(&str, String)) {
    let number = grouped;
    let limit = |count: u64, window: Duration| {
        u32::try_from(count).is_ok_and(|count| Budget::new("calls", count, window).is_ok())
    };
    let (least, most) = bounds(100, 1_000_000, |count| limit(count, Duration::from_secs(1)));
    row(
        "`limit` of a budget, in a second",
        format!("{least} to {}", number(most)),
    );
    let (least, _) = bounds(1000, 1 << 40, |millis| {
        limit(1, Duration::from_millis(millis))
    });
    let (_, most) = bounds(60, 1 << 40, |seconds| {
        limit(1, Duration::from_secs(seconds))
    });
    row(
        "`window` of a budget",
        format!("{least} ms to {} days", most / 86_400),
    );
    let day = Duration::from_secs(86_400);
    let (_, most) = bounds(1, 1 << 20, |burst| {
        let budget = Budget::new("calls", 1, day).unwrap();
        budget.burst(burst.try_into().unwrap()).is_ok()
    });
    row(
        "how long a `burst` takes to be regained",
        format!("at most {most} days"),
    );
    let (least, most) = bounds(10, 1 << 31, |cost| {
        let budget = Budget::new("calls", 2_000_000, Duration::from_secs(1000)).unwrap();
        budget.cost(cost.try_into().unwrap()).is_ok()
    });
    row("`cost` of a call", format!("{least} to {}", number(most)));
    let (least, most) = bounds(10, 1000, |length| {
        let name = "a".repeat(length.try_into().unwrap());
        Budget::new(name, 1, day).is_ok()
    });
    row(
        "the name of a budget",
        format!("{least} to {most} characters"),
    );
    let (least, most) = bounds(1, 100, |count| {
        let layer = (0..count).try_fold(QuotaLayer::in_memory(), |layer, at| {
            layer.budget(Budget::new(format!("calls-{at}"), 1, day).unwrap())
        });
        layer.is_ok()
    });
    assert_eq!(least, 0);
    row("budgets of a layer", format!("at most {most}"));
    let (least, most) = bounds(4, 1 << 20, |replicas| {
        QuotaLayer::shared(MemoryQuotaStore::default(), SECRET)
            .unwrap()
            .local_share(replicas.try_into().unwrap())
            .is_ok()
    });
    row(
        "replicas of `local_share`",
        format!("{least} to {}", number(most)),
    );
    let entries = MemoryQuotaStore::MAX_ENTRIES.try_into().unwrap();
    row(
        "`MemoryQuotaStore::default()`",
        format!("{} buckets", number(entries)),
    );
    let all = format!("{:?}", MemoryQuotaStore::new(usize::MAX));
    let digits: String = all.chars().filter(char::is_ascii_digit).collect();
    row(
        "`MemoryQuotaStore::new`",
        format!("at most {} buckets", number(digits.parse().unwrap())),
    );
}
