//! Shared stores that answer late, never, or what makes no sense.

use std::time::Duration;

use common::{Answer, LateQuotas};
use tower_mcp_auth::AuthErrorKind;
use tower_mcp_auth::mcp::QuotaLayer;
use tower_mcp_auth::store::{QuotaAnswer, QuotaCharge, QuotaState};

use super::support::{MINUTE, budget, clock, left, send, tool};
use crate::mcp::support::call;

const SECRET: &str = "R7vJ2nWq9sLx4TzK8mYc3FbHd6GpAeU5";

/// Two budgets, of eight a minute and of five.
fn behind(store: &LateQuotas) -> QuotaLayer {
    let layer = QuotaLayer::shared(store.clone(), SECRET).unwrap();
    let layer = layer.clock(clock()).budget(budget("calls", 8)).unwrap();
    layer.budget(budget("reports", 5)).unwrap()
}

async fn ask(quotas: &QuotaLayer) -> Answer {
    send(quotas, "sub~alice", &call("search")).await
}

/// The state of a bucket after a charge of this cost: 8 hold no more.
fn states(charges: &[QuotaCharge], count: usize, cost: u32) -> Vec<QuotaState> {
    let limit = charges[0].limit();
    vec![limit.charge(Duration::ZERO, MINUTE, cost); count]
}

#[tokio::test]
async fn an_answer_that_makes_no_sense_is_none() {
    type Says = fn(Vec<QuotaCharge>) -> QuotaAnswer;
    let (few, none) = (
        "says nothing of some budgets",
        "of no budget that it has no",
    );
    let rows: [(Says, &str); 6] = [
        (|_| QuotaAnswer::Admitted(Vec::new()), few),
        (|own| QuotaAnswer::Admitted(states(&own, 1, 1)), few),
        (|own| QuotaAnswer::Admitted(states(&own, 3, 1)), few),
        (|_| QuotaAnswer::Refused(Vec::new()), few),
        (|own| QuotaAnswer::Refused(states(&own, 3, 8)), few),
        // A refusal that no client could be told when it ends.
        (|own| QuotaAnswer::Refused(states(&own, 2, 1)), none),
    ];
    for (says, why) in rows {
        let store = LateQuotas::of(move |charges| Ok(says(charges)));
        let quotas = behind(&store);
        let answer = ask(&quotas).await;
        let error = answer.refused(AuthErrorKind::Unavailable, "quotas_unavailable");
        assert!(error.detail().unwrap().contains(why), "{error:?}");
        assert_eq!(answer.headers["retry-after"], "1");
        assert!(!quotas.health().is_exact());
        assert!(quotas.health().error().unwrap().contains(why));
        // With a part of its own a replica goes on.
        let quotas = behind(&store).local_share(5).unwrap();
        assert_eq!(left(&quotas, "sub~alice").await, 1, "{why}");
    }
}

/// Another budget than that of the caller may say so.
#[tokio::test]
async fn a_refusal_by_one_of_several_is_believed() {
    let store = LateQuotas::of(|own| {
        let full = own[1].limit().charge(Duration::ZERO, MINUTE, 5);
        let full = own[1].limit().charge(full.tat(), MINUTE, 1);
        let room = states(&own, 1, 1)[0];
        Ok(QuotaAnswer::Refused(vec![room, full]))
    });
    let answer = ask(&behind(&store)).await;
    answer.refused(AuthErrorKind::TooManyRequests, "quota_exceeded");
    assert_eq!(answer.headers["retry-after"], "12");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_never_answers_is_down_after_five_seconds_and_a_late_one_is_believed() {
    let store = LateQuotas::new(&clock());
    let quotas = behind(&store);
    store.hang();
    let begun = tokio::time::Instant::now();
    let answer = ask(&quotas).await;
    answer.refused(AuthErrorKind::Unavailable, "quotas_unavailable");
    assert_eq!(begun.elapsed().as_secs(), 5);
    assert_eq!(quotas.health().error(), Some("no answer within 5 s"));

    let later = async {
        tokio::time::sleep(Duration::from_millis(4900)).await;
        store.go_on();
    };
    let (status, ()) = tokio::join!(tool(&quotas, "sub~alice", "search"), later);
    assert_eq!(status, 200);
    assert!(quotas.health().is_exact());
}
