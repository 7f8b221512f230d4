//! Budgets in a store: the rule, the bound of memory, and that one is as the other.

use std::collections::HashMap;
use std::time::Duration;

use proptest::prelude::*;
use tower_mcp_auth::Clock;
use tower_mcp_auth::store::{
    MemoryQuotaStore, QuotaAnswer, QuotaCharge, QuotaLimit, QuotaState, QuotaStore, StoreKey,
};

const MINUTE: Duration = Duration::from_secs(60);
const START: Duration = Duration::from_secs(1_800_000_000);

fn key(number: u32) -> StoreKey {
    let mut bytes = [7; 32];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    StoreKey::new(bytes)
}

fn charge(number: u32, limit: QuotaLimit, cost: u32) -> QuotaCharge {
    QuotaCharge::new(key(number), limit, cost)
}

fn limit(count: u32, window: Duration) -> QuotaLimit {
    QuotaLimit::new(count, window).unwrap()
}

fn asked(store: &MemoryQuotaStore, charges: Vec<QuotaCharge>) -> QuotaAnswer {
    let mut answer = tokio_test::task::spawn(store.charge(charges));
    match answer.poll() {
        std::task::Poll::Ready(answer) => answer.unwrap(),
        std::task::Poll::Pending => panic!("a store in memory answers at once"),
    }
}

fn is_admitted(answer: &QuotaAnswer) -> bool {
    matches!(answer, QuotaAnswer::Admitted(_))
}

#[test]
fn a_bucket_fills_with_time_and_never_beyond_its_burst() {
    let own = limit(60, MINUTE).burst(3).unwrap();
    let mut tat = Duration::ZERO;
    let mut admitted = |now: Duration, cost| {
        let state = own.charge(tat, now, cost);
        if state.is_admitted() {
            tat = state.tat();
        }
        (state.is_admitted(), state.remaining(), state.retry_in())
    };
    let second = Duration::from_secs(1);
    assert_eq!(admitted(START, 2), (true, 1, None));
    assert_eq!(admitted(START, 2), (false, 1, Some(second)));
    assert_eq!(admitted(START, 1), (true, 0, None));
    assert_eq!(admitted(START, 1), (false, 0, Some(second)));
    assert_eq!(admitted(START + second, 1), (true, 0, None));
    assert_eq!(admitted(START + MINUTE, 3), (true, 0, None));
    // More than there ever is.
    assert_eq!(admitted(START + MINUTE * 2, 4), (false, 3, None));
    // A clock that is set back by an hour empties the bucket, and no more.
    let back = START - Duration::from_secs(3600);
    assert_eq!(admitted(back, 1), (false, 0, Some(second)));
    assert_eq!(admitted(back + second, 1), (false, 0, Some(second)));
    // Only what is admitted is kept, so that it is regained by the new time once something is.
    assert_eq!(
        own.charge(back + second * 3, back + second, 1).remaining(),
        0
    );
}

#[test]
fn a_part_of_a_limit_is_never_more_than_its_share() {
    let own = limit(10, MINUTE);
    for replicas in 1..=10 {
        let share = own.share_of(replicas).unwrap();
        assert!(share.most_at_once() * replicas <= 10);
    }
    assert_eq!(own.share_of(11), None);
    assert_eq!(own.share_of(0), None);
}

#[test]
fn of_several_all_are_charged_or_none() {
    let store = MemoryQuotaStore::default().clock(Clock::manual(START));
    let (large, small) = (limit(10, MINUTE), limit(2, MINUTE));
    let both = || vec![charge(1, large, 1), charge(2, small, 1)];
    assert!(is_admitted(&asked(&store, both())));
    assert!(is_admitted(&asked(&store, both())));
    for _ in 0..20 {
        let QuotaAnswer::Refused(states) = asked(&store, both()) else {
            panic!("the small one is empty");
        };
        assert_eq!(states[0].remaining(), 8);
        assert_eq!(states[0].retry_in(), None);
        assert_eq!(states[1].retry_in(), Some(Duration::from_secs(30)));
    }
    // What never fits is refused, whatever the others are.
    let QuotaAnswer::Refused(states) = asked(&store, vec![charge(3, small, 3)]) else {
        panic!("it is more than there is");
    };
    assert_eq!((states[0].remaining(), states[0].retry_in()), (2, None));
}

#[tokio::test]
async fn questions_that_have_no_answer_are_errors() {
    let store = MemoryQuotaStore::default();
    let own = limit(1, MINUTE);
    let many = (0..17).map(|number| charge(number, own, 1)).collect();
    for charges in [
        vec![],
        many,
        vec![charge(1, own, 0)],
        vec![charge(1, own, 1), charge(2, own, 1), charge(1, own, 1)],
    ] {
        store.charge(charges).await.unwrap_err();
    }
    assert_eq!(store.entries(), 0);
}

/// A million callers, each of them once.
#[test]
fn a_million_callers_leave_it_within_its_bound() {
    let clock = Clock::manual(START);
    let store = MemoryQuotaStore::new(10_000).clock(clock.clone());
    let own = limit(10, Duration::from_secs(10));
    let (mut admitted, mut full) = (0, 0);
    for number in 0..1_000_000 {
        match asked(&store, vec![charge(number, own, 1)]) {
            QuotaAnswer::Admitted(_) => admitted += 1,
            QuotaAnswer::Full => full += 1,
            other => panic!("{other:?}"),
        }
        if number % 1000 == 0 {
            // Each bucket is full again after a second.
            clock.advance(Duration::from_millis(50));
        }
    }
    assert!(store.entries() <= 10_000, "{}", store.entries());
    assert!(admitted > 490_000 && full > 100_000, "{admitted} {full}");
}

/// Who has used something keeps it, however many others come.
#[test]
fn a_flood_of_callers_drives_no_caller_out() {
    let clock = Clock::manual(START);
    let store = MemoryQuotaStore::new(16).clock(clock.clone());
    let (own, other) = (limit(5, MINUTE), limit(60, MINUTE));
    for _ in 0..5 {
        assert!(is_admitted(&asked(&store, vec![charge(0, own, 1)])));
    }
    for number in 1..10_000 {
        asked(&store, vec![charge(number, other, 1)]);
        if number % 16 == 0 {
            clock.advance(Duration::from_millis(10));
        }
        assert!(store.entries() <= 16);
    }
    // 6.25 seconds have passed, and in 12 there is room again.
    assert!(!is_admitted(&asked(&store, vec![charge(0, own, 1)])));
    clock.advance(Duration::from_secs(6));
    assert!(is_admitted(&asked(&store, vec![charge(0, own, 1)])));
}

#[test]
fn one_without_room_is_always_full() {
    let store = MemoryQuotaStore::new(0);
    let own = limit(5, MINUTE);
    assert_eq!(asked(&store, vec![charge(0, own, 1)]), QuotaAnswer::Full);
    // Of two that are charged together, none is where there is room for one.
    let store = MemoryQuotaStore::new(1);
    let both = vec![charge(0, own, 1), charge(1, own, 1)];
    assert_eq!(asked(&store, both), QuotaAnswer::Full);
    assert!(is_admitted(&asked(&store, vec![charge(1, own, 5)])));
    assert_eq!(asked(&store, vec![charge(0, own, 1)]), QuotaAnswer::Full);
}

/// Many threads at once, each with several buckets in another order: none waits for ever, and
/// none of them gets more than there is.
#[test]
fn of_many_at_once_no_more_are_admitted_than_there_are() {
    let store = MemoryQuotaStore::new(100_000).clock(Clock::manual(START));
    let own = limit(1000, MINUTE);
    let threads: Vec<_> = (0..8)
        .map(|thread| {
            let store = store.clone();
            std::thread::spawn(move || {
                let mut admitted = 0;
                for round in 0..500 {
                    let mut keys: Vec<u32> = (0..10).collect();
                    keys.rotate_left((thread + round) % 10);
                    let charges = keys.iter().map(|number| charge(*number, own, 1));
                    admitted += usize::from(is_admitted(&asked(&store, charges.collect())));
                }
                admitted
            })
        })
        .collect();
    let admitted = threads.into_iter().map(|thread| thread.join().unwrap());
    assert_eq!(admitted.sum::<usize>(), 1000);
}

/// A million callers from four threads, each of whom asks for what all have together as well.
#[test]
fn of_a_million_callers_at_once_no_more_are_admitted_than_have_room() {
    const EACH: u32 = 250_000;

    let store = MemoryQuotaStore::new(20_000).clock(Clock::manual(START));
    let (own, all) = (limit(1, MINUTE), limit(5000, MINUTE));
    let threads: Vec<_> = (0..4)
        .map(|thread| {
            let store = store.clone();
            std::thread::spawn(move || {
                let (mut both, mut alone) = (0, 0);
                for number in 1 + thread * EACH..=(thread + 1) * EACH {
                    let charges = match number % 10 {
                        0 => vec![charge(number, own, 1), charge(0, all, 1)],
                        _ => vec![charge(number, own, 1)],
                    };
                    let together = charges.len() == 2;
                    if is_admitted(&asked(&store, charges)) {
                        both += u32::from(together);
                        alone += u32::from(!together);
                        let again = asked(&store, vec![charge(number, own, 1)]);
                        assert!(matches!(again, QuotaAnswer::Refused(_)));
                    }
                }
                (both, alone)
            })
        })
        .collect();
    let admitted = threads.into_iter().map(|thread| thread.join().unwrap());
    let (both, alone) = admitted.fold((0, 0), |sum, own| (sum.0 + own.0, sum.1 + own.1));
    assert!(both <= 5000, "{both}");
    // None was driven out, and nearly all room is used: each part has its own.
    let entries = u32::try_from(store.entries()).unwrap();
    assert_eq!(entries, both + alone + 1);
    assert!((18_000..=20_000).contains(&entries), "{entries}");
}

proptest! {
    /// Over random histories the store in memory says what the rule says of each bucket.
    #[test]
    fn memory_is_as_the_rule(
        limits in proptest::collection::vec((1_u32..20, 1_u64..5000, 1_u32..30), 4),
        history in proptest::collection::vec(
            (0_u64..400, proptest::collection::btree_map(0_usize..4, 1_u32..12, 1..4)),
            1..200,
        ),
    ) {
        let clock = Clock::manual(START);
        let store = MemoryQuotaStore::default().clock(clock.clone());
        let limits: Vec<QuotaLimit> = limits
            .into_iter()
            .map(|(count, window, burst)| {
                let window = Duration::from_millis(window.max(u64::from(count)));
                limit(count, window).burst(burst).unwrap()
            })
            .collect();
        let mut tats: HashMap<usize, Duration> = HashMap::new();
        for (pause, costs) in history {
            clock.advance(Duration::from_millis(pause));
            let charges: Vec<_> = costs
                .iter()
                .map(|(bucket, cost)| charge(u32::try_from(*bucket).unwrap(), limits[*bucket], *cost))
                .collect();
            let (admitted, states) = match asked(&store, charges) {
                QuotaAnswer::Admitted(states) => (true, states),
                QuotaAnswer::Refused(states) => (false, states),
                other => panic!("{other:?}"),
            };
            let now = states[0].now();
            let by_rule: Vec<QuotaState> = costs
                .iter()
                .map(|(bucket, cost)| {
                    let tat = tats.get(bucket).copied().unwrap_or_default();
                    limits[*bucket].charge(tat, now, *cost)
                })
                .collect();
            prop_assert_eq!(admitted, by_rule.iter().all(QuotaState::is_admitted));
            for (((bucket, _), state), rule) in costs.iter().zip(&states).zip(&by_rule) {
                if admitted {
                    prop_assert_eq!(state.tat(), rule.tat());
                    tats.insert(*bucket, rule.tat());
                } else if !rule.is_admitted() {
                    prop_assert_eq!(state, rule);
                }
            }
        }
    }

    /// In no span of time more is admitted than the limit says.
    #[test]
    fn no_more_than_the_limit_in_any_time(
        count in 1_u32..50,
        window in 50_u64..5000,
        burst in 1_u32..50,
        pauses in proptest::collection::vec(0_u64..300, 1..300),
    ) {
        let window = Duration::from_millis(window);
        let own = limit(count, window).burst(burst).unwrap();
        let (mut tat, mut now) = (Duration::ZERO, START);
        let mut admitted = Vec::new();
        for pause in pauses {
            now += Duration::from_millis(pause);
            let state = own.charge(tat, now, 1);
            if state.is_admitted() {
                tat = state.tat();
                admitted.push(now);
            }
        }
        for (first, begins) in admitted.iter().enumerate() {
            for (last, ends) in admitted.iter().enumerate().skip(first) {
                let span = (*ends - *begins).as_secs_f64();
                let most = f64::from(burst) + span * f64::from(count) / window.as_secs_f64();
                prop_assert!(((last - first + 1) as f64) <= most + 1e-6);
            }
        }
    }
}
