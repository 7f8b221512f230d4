//! Clocks: how far the others are from the one here, and from each other.

use super::codes;
use super::findings::Findings;
use super::report::SeenClock;
use super::servers::Server;
use crate::util::one_line;

/// What most servers allow.
const TOLERATED: u64 = 60;

/// Compares them. `ahead`: that of the server that was looked at.
pub(super) fn look(
    url: &str,
    ahead: Option<i64>,
    servers: &[Server],
    findings: &mut Findings,
) -> Vec<SeenClock> {
    let mut clocks: Vec<SeenClock> = Vec::new();
    let mut see = |of: &str, ahead: Option<i64>| {
        clocks.extend(ahead.map(|ahead_seconds| SeenClock {
            of: one_line(of, 128),
            ahead_seconds,
        }));
    };
    see(url, ahead);
    for server in servers {
        see(&server.issuer, server.ahead);
    }
    let is_off = |clock: &SeenClock| clock.ahead_seconds.unsigned_abs() > TOLERATED;
    let describe = |clock: &SeenClock| format!("{}: {:+} s", clock.of, clock.ahead_seconds);
    let Some(first) = clocks.first() else {
        return clocks;
    };
    let agrees = |own: &SeenClock| own.ahead_seconds.abs_diff(first.ahead_seconds) <= TOLERATED;
    if clocks.len() > 1 && clocks.iter().all(|own| is_off(own) && agrees(own)) {
        findings.add(codes::OWN_CLOCK_OFF, describe(first));
        return clocks;
    }
    for (index, clock) in clocks.iter().enumerate() {
        if is_off(clock) {
            let code = match index == 0 && ahead.is_some() {
                true => codes::CLOCK_OFF,
                false => codes::ISSUER_CLOCK_OFF,
            };
            findings.add(code, describe(clock));
        }
    }
    clocks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(ahead: Option<i64>) -> Server {
        Server {
            issuer: "https://auth.example.com".to_owned(),
            ahead,
            named: None,
            keys: None,
        }
    }

    #[test]
    fn the_clock_that_differs_from_the_others_is_wrong() {
        for (own, issuer, expected) in [
            (Some(0), Some(0), None),
            (Some(60), Some(-60), None),
            (None, None, None),
            (Some(61), Some(0), Some("clock_off")),
            (Some(-3600), None, Some("clock_off")),
            (Some(0), Some(-61), Some("issuer_clock_off")),
            (None, Some(300), Some("issuer_clock_off")),
            (Some(600), Some(610), Some("own_clock_off")),
        ] {
            let mut findings = Findings::new("", "");
            look(
                "https://mcp.example.com/mcp",
                own,
                &[server(issuer)],
                &mut findings,
            );
            let found: Vec<_> = findings
                .ranked()
                .iter()
                .map(|own| own.code.code())
                .collect();
            assert_eq!(found, Vec::from_iter(expected), "{own:?}, {issuer:?}");
        }
    }
}
