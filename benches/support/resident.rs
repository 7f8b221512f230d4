//! How large the process is.

use http::header::AUTHORIZATION;
use tower::Layer;
use tower_mcp_auth::oauth::TokenCacheOptions;

use super::drive::{Bare, put_through, request};
use super::facts::{Fact, Limit};
use super::tokens::Key;

/// By how much `count` garbage tokens, no two alike, leave the process larger. `None` where
/// the system does not tell the size of a process as Linux does.
pub(crate) fn after_garbage(count: usize) -> Option<Fact> {
    let key = Key::rs256();
    let good = key.token(0);
    let (text, signature) = good.rsplit_once('.').unwrap();
    let (header, _) = text.split_once('.').unwrap();
    let mut guarded = key.oauth_layer(TokenCacheOptions::new()).layer(Bare);
    let mut put = |number: usize| {
        // Nine of ten are refused for what they are; every tenth for its signature alone.
        let token = match number % 10 {
            0 => format!("{text}.{number:08}{}", &signature[8..]),
            1..=3 => format!("{number:0900}"),
            4..=6 => format!("{header}.{number:0400}.{signature}"),
            _ => format!("{number:08}.{text}"),
        };
        let value = format!("Bearer {token}");
        put_through(&mut guarded, request(&AUTHORIZATION, &value), 401);
    };
    // The first ones warm what is made once.
    (0..1_000).for_each(&mut put);
    let before = resident_bytes()?;
    (1_000..1_000 + count).for_each(&mut put);
    let after = resident_bytes()?;
    Some(Fact {
        label: "Process after 1,000,000 garbage tokens, larger by".to_owned(),
        value: (after - before) / f64::from(1 << 20),
        unit: "MiB",
        limit: Limit::Most(16.0),
    })
}

pub(crate) fn resident_bytes() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kibibytes: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kibibytes * 1024.0)
}
