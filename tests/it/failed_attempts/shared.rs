//! Failures that replicas count together, and a store that is late, wrong, or has no room.

use std::net::IpAddr;
use std::task::Poll;
use std::time::Duration;

use tower::layer::util::Stack;
use tower_mcp_auth::auth::AuthLayer;
use tower_mcp_auth::failed_attempts::FailedAttemptsLayer;
use tower_mcp_auth::mcp::{Budget, QuotaLayer};
use tower_mcp_auth::peer::PeerAddr;
use tower_mcp_auth::store::{QuotaAnswer, StoreError};
use tower_mcp_auth::{AuthErrorKind, Clock};
use tracing::Level;

use common::{Answering, LateQuotas, SECRET, ask, clock, invalid, request, trace};

use super::{ONE, OTHER, ask_for, fail, limit, succeed};

const MINUTE: Duration = Duration::from_secs(60);

/// What was told to the store is known there, and its answer here.
async fn told() {
    for _ in 0..8 {
        tokio::task::yield_now().await;
    }
}

fn shared(failures: u32, clock: &Clock, store: &LateQuotas) -> FailedAttemptsLayer {
    limit(failures, clock)
        .shared(store.clone(), SECRET)
        .unwrap()
}

fn warnings() -> Vec<String> {
    let told = trace::take();
    let warned = told.iter().filter(|event| event.level == Level::WARN);
    warned.map(|event| event.field("why").to_owned()).collect()
}

#[tokio::test]
async fn replicas_count_together_in_a_shared_store() {
    let clock = clock();
    let store = LateQuotas::new(&clock);
    let replica = || shared(4, &clock, &store);
    let (here, there, third) = (replica(), replica(), replica());
    for replica in [&here, &there, &here] {
        assert_eq!(fail(replica, ONE).await, 401);
        told().await;
    }
    assert_eq!(succeed(&there, ONE).await, 200);
    // The fourth of all is the second there.
    assert_eq!(fail(&there, ONE).await, 401);
    told().await;
    assert_eq!(succeed(&there, ONE).await, 429);
    // One more guess at each of the others, and no more.
    for replica in [&here, &third] {
        assert_eq!(fail(replica, ONE).await, 401);
        told().await;
        assert_eq!(fail(replica, ONE).await, 429);
        assert_eq!(succeed(replica, OTHER).await, 200);
    }
    clock.advance(MINUTE);
    assert_eq!(succeed(&here, ONE).await, 200);
}

/// Guesses that are faster than the store are not as many at each replica as the limit.
#[tokio::test]
async fn before_the_store_has_answered_an_address_has_few_guesses() {
    let clock = clock();
    let store = LateQuotas::new(&clock);
    let here = shared(60, &clock, &store);
    while fail(&here, ONE).await == 401 {
        told().await;
    }
    store.hang();
    for _ in 0..3 {
        let there = shared(60, &clock, &store);
        let mut guesses = 0;
        while fail(&there, ONE).await == 401 {
            guesses += 1;
        }
        assert_eq!(guesses, 4);
        let waits = ask_for(&there, ONE, None).await;
        let error = waits.refused(AuthErrorKind::TooManyRequests, "too_many_failed_attempts");
        assert!(error.detail().unwrap().contains("not answered yet"));
        assert_eq!(waits.headers["retry-after"], "1");
        assert_eq!(succeed(&there, OTHER).await, 200);
        store.go_on();
        told().await;
        let blocked = ask_for(&there, ONE, None).await;
        assert_eq!(blocked.headers["retry-after"], "60");
        store.hang();
    }
    // An address of which there is room is heard again.
    let there = shared(60, &clock, &store);
    while fail(&there, OTHER).await == 401 {}
    store.go_on();
    told().await;
    assert_eq!(succeed(&there, OTHER).await, 200);
}

/// The limit is that of one replica, and no client waits for a store that is down.
#[tokio::test]
async fn without_an_answer_each_replica_goes_on_by_itself() {
    type Says = fn() -> Result<QuotaAnswer, StoreError>;
    let answers: [(&str, Says); 4] = [
        ("out of?reach", || Err(StoreError::new("out of\nreach"))),
        ("it has no room", || Ok(QuotaAnswer::Full)),
        ("it does not say how many there are", || {
            Ok(QuotaAnswer::Admitted(Vec::new()))
        }),
        ("it does not say how many there are", || {
            let limit = tower_mcp_auth::store::QuotaLimit::new(1, MINUTE).unwrap();
            let state = limit.charge(Duration::ZERO, MINUTE, 1);
            Ok(QuotaAnswer::Admitted(vec![state; 2]))
        }),
    ];
    for (why, answer) in answers {
        let clock = clock();
        let store = LateQuotas::of(move |_| answer());
        let limit = shared(10, &clock, &store);
        trace::start();
        for _ in 0..10 {
            assert_eq!(fail(&limit, ONE).await, 401, "{why}");
            told().await;
        }
        assert_eq!(succeed(&limit, ONE).await, 429, "{why}");
        assert_eq!(warnings(), [why]);
        clock.advance(Duration::from_secs(11));
        fail(&limit, OTHER).await;
        told().await;
        assert_eq!(warnings(), [why]);
    }
}

/// A store that hangs is down after five seconds, and then makes no address wait.
#[tokio::test(start_paused = true)]
async fn a_store_that_never_answers_keeps_an_address_waiting_once() {
    let clock = clock();
    let store = LateQuotas::new(&clock);
    store.hang();
    let limit = shared(10, &clock, &store);
    trace::start();
    for status in [401, 401, 401, 401, 429, 429] {
        assert_eq!(fail(&limit, ONE).await, status);
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    told().await;
    assert_eq!(warnings(), ["no answer within 5 s"]);
    for status in [401, 401, 401, 401, 401, 401, 429] {
        assert_eq!(fail(&limit, ONE).await, status);
    }
}

/// Of all addresses together so many are on their way that memory is bounded.
#[tokio::test]
async fn what_the_store_has_no_time_for_is_counted_here_alone_and_told() {
    let clock = clock();
    let store = LateQuotas::new(&clock);
    store.hang();
    let limit = shared(2, &clock, &store);
    trace::start();
    for number in 0..1200_u32 {
        let address = IpAddr::from(number.to_be_bytes()).to_string();
        assert_eq!(fail(&limit, &address).await, 401);
    }
    assert_eq!(store.asked().len(), 1024);
    assert_eq!(warnings(), ["too many failures are on their way to it"]);
    for status in [401, 401, 429] {
        assert_eq!(fail(&limit, ONE).await, status);
    }
    store.go_on();
    told().await;
    fail(&limit, OTHER).await;
    assert_eq!(store.asked().len(), 1);
}

#[test]
fn without_a_runtime_a_failure_is_counted_here_alone_and_told() {
    let store = LateQuotas::new(&clock());
    let limit = shared(2, &clock(), &store);
    trace::start();
    for status in [401, 401, 429] {
        let mut failing = tokio_test::task::spawn(fail(&limit, ONE));
        assert_eq!(failing.poll(), Poll::Ready(status));
    }
    assert_eq!(warnings(), ["there is no Tokio runtime to ask it in"]);
}

/// It begins with the failure, and not with the answer.
#[tokio::test]
async fn a_late_answer_makes_no_block_longer() {
    let clock = clock();
    let store = LateQuotas::new(&clock);
    store.hang();
    let limit = shared(1, &clock, &store);
    assert_eq!(fail(&limit, ONE).await, 401);
    clock.advance(MINUTE);
    store.go_on();
    told().await;
    assert_eq!(succeed(&limit, ONE).await, 200);

    // Another replica, which learns of it half a minute late.
    clock.advance(MINUTE);
    let there = limit.clone().max_failures(2).unwrap();
    store.hang();
    assert_eq!(fail(&limit, OTHER).await, 401);
    assert_eq!(fail(&there, OTHER).await, 401);
    clock.advance(MINUTE / 2);
    store.go_on();
    told().await;
    for replica in [&limit, &there] {
        let blocked = ask_for(replica, OTHER, None).await;
        assert_eq!(blocked.status, 429);
        assert_eq!(blocked.headers["retry-after"], "30");
    }
}

/// However its address is written, and by whichever replica: and no other has its code.
#[tokio::test]
async fn an_address_has_one_code_in_the_store_and_no_two_have_the_same() {
    let store = LateQuotas::new(&clock());
    let code = async |limit: &FailedAttemptsLayer, address: &str| {
        assert_eq!(fail(limit, address).await, 401);
        told().await;
        let [code] = store.asked()[..] else {
            panic!("one failure is one question");
        };
        code
    };
    let many = || shared(1000, &clock(), &store);
    let (here, there) = (many(), many());
    let rows: [&[&str]; 5] = [
        &["192.0.2.1", "::ffff:192.0.2.1", "64:ff9b::192.0.2.1"],
        &["2001:db8::", "2001:db8::1", "2001:db8:0:0:ffff::c000:201"],
        &["2001:db8:0:1::1"],
        // As many bits as the first one.
        &["::c000:201"],
        &["2002:c000:201::1"],
    ];
    let mut codes = Vec::new();
    for spellings in rows {
        let own = code(&here, spellings[0]).await;
        for address in spellings {
            assert_eq!(code(&there, address).await, own, "{address}");
        }
        assert!(!codes.contains(&own), "{spellings:?}");
        codes.push(own);
    }
    // Without the secret no code tells an address.
    let other = SECRET.iter().rev().copied().collect::<Vec<u8>>();
    let other = many().shared(store.clone(), other);
    assert!(!codes.contains(&code(&other.unwrap(), ONE).await));
    // And a budget in the same store with the same secret is another bucket.
    let minute = Budget::new("calls", 5, MINUTE).unwrap();
    let quotas = QuotaLayer::shared(store.clone(), SECRET).unwrap();
    let quotas = quotas.budget(minute.only_anonymous()).unwrap();
    let auth = AuthLayer::new(Answering::accepting()).optional();
    let mut anonymous = request::<&str>(&[]);
    let address: IpAddr = ONE.parse().unwrap();
    anonymous.extensions_mut().insert(PeerAddr::from(address));
    let answer = ask(&Stack::new(quotas, auth), anonymous).await;
    assert_eq!(answer.status, 200);
    let asked = store.asked();
    assert_eq!(asked.len(), 1);
    assert!(asked.iter().all(|key| !codes.contains(key)));
}

/// A success is not told, and what is no guess neither.
#[tokio::test]
async fn the_store_is_told_of_guesses_alone() {
    let store = LateQuotas::new(&clock());
    let limit = shared(4, &clock(), &store);
    assert_eq!(fail(&limit, ONE).await, 401);
    told().await;
    assert_eq!(store.asked().len(), 1);
    for _ in 0..9 {
        assert_eq!(succeed(&limit, ONE).await, 200);
        let expired = tower_mcp_auth::AuthError::new(tower_mcp_auth::Reason::EXPIRED);
        ask_for(&limit, ONE, Some(expired)).await;
        told().await;
    }
    assert!(store.asked().is_empty());
    // And no success gives a guess back.
    for status in [401, 401, 401, 429] {
        let answer = ask_for(&limit, ONE, Some(invalid("bad"))).await;
        assert_eq!(answer.status, status);
        told().await;
    }
}
