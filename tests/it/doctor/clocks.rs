//! Clocks that differ, by the `Date` of answers.

use std::time::Duration;

use tower_mcp_auth::Clock;
use tower_mcp_auth::doctor::{Options, examine};

use super::server::Fake;
use super::{assert_codes, look};

/// 2018-06-09T21:18:47Z.
const LONG_AGO: &str = "Sat, 09 Jun 2018 21:18:47 GMT";

#[tokio::test]
async fn the_wrong_clock_of_a_server_is_told_apart_from_that_of_this_machine() {
    let server = Fake::start(|asked, reply| {
        if asked.is_mcp() {
            reply.set("date", LONG_AGO);
        }
    })
    .await;
    let report = look(&server).await;
    assert_codes(&report, &["clock_off"], "the server's");
    assert!(report.clocks[0].ahead_seconds < -100_000_000, "{report}");
    assert_eq!(report.clocks[1].ahead_seconds, 0, "{report}");

    let server = Fake::good().await;
    let options = Options::new(&server.url).unwrap();
    let early = Clock::manual(Duration::from_secs(1_500_000_000));
    let report = examine(options.clock(early)).await;
    assert_codes(&report, &[], "the one here");
    let codes: Vec<_> = report.findings.iter().map(|own| own.code.code()).collect();
    assert_eq!(codes, ["own_clock_off"], "{report}");
}

#[tokio::test]
async fn an_answer_out_of_a_cache_says_nothing_of_clocks() {
    let server = Fake::start(|asked, reply| {
        if asked.is_mcp() {
            reply.set("date", LONG_AGO);
            reply.set("age", "100");
        }
    })
    .await;
    assert_codes(&look(&server).await, &[], "cached");
}

#[tokio::test]
async fn times_of_a_token_are_judged_by_the_clock_of_the_server() {
    // By the clock here the token is good; by the server's, it is not valid yet.
    let server = Fake::start(|asked, reply| {
        if asked.is_mcp() {
            reply.set("date", LONG_AGO);
            if asked.header("authorization").starts_with("Bearer eyJ") {
                reply.status = 401;
            }
        }
    })
    .await;
    let options = Options::new(&server.url).unwrap().token(server.token());
    let report = examine(options.unwrap()).await;
    assert_codes(
        &report,
        &["clock_off", "token_not_yet_valid"],
        "a token of today",
    );
}
