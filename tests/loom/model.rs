//! What threads share in `src/util`, in every order in which they can run.
//!
//! Locks and atomics are loom's. What is Tokio's (the channel an answer comes through) runs as it
//! is, as one step: it is tested there.
#![cfg(loom)]

mod util;

use std::future::{pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Poll;
use std::time::Duration;

use loom::future::block_on;
use loom::thread::{self, JoinHandle};
use tokio::sync::watch;

use self::util::places::{Place, Places};
use self::util::single_flight::{
    Calls, CutOff, Flight, FlightOwner, NoAnswer, SingleFlight, Ticket,
};
use self::util::sync::{Arc, AtomicUsize, Ordering};
use self::util::tenure::Tenure;

/// What a call brings.
const BROUGHT: u32 = 7;

/// Asks elsewhere, and remembers the answer.
struct Store(SingleFlight<(), Answer, Memory>);

type Answer = Result<u32, CutOff>;

#[derive(Default)]
struct Memory {
    kept: Option<u32>,
    begun: usize,
    landed: usize,
}

impl FlightOwner for Store {
    type Key = ();
    type Call = ();
    type State = Memory;
    type Outcome = u32;
    type Answer = Answer;

    fn flights(&self) -> &SingleFlight<(), Answer, Memory> {
        &self.0
    }

    fn land(
        &self,
        mut calls: Calls<'_, (), Answer, Memory>,
        (): &(),
        current: bool,
        outcome: Answer,
    ) -> Answer {
        calls.landed += 1;
        if current {
            calls.kept = outcome.ok();
        }
        outcome
    }
}

/// What a request finds.
enum Found {
    Kept(u32),
    Wait(Ticket<Answer>),
}

fn new_store() -> Arc<Store> {
    Arc::new(Store(SingleFlight::new(Memory::default())))
}

/// As the rooms of the library do it: who begins a call has it made in a thread of its own.
fn ask(store: &Arc<Store>) -> Found {
    let mut calls = store.0.lock();
    if let Some(kept) = calls.kept {
        return Found::Kept(kept);
    }
    if let Some(ticket) = calls.join(&()) {
        return Found::Wait(ticket);
    }
    calls.begun += 1;
    let (ticket, flight) = calls.begin(store, (), ());
    drop(calls);
    thread::spawn(move || bring(flight));
    Found::Wait(ticket)
}

fn begin(store: &Arc<Store>) -> (Ticket<Answer>, Flight<Store>) {
    store.0.lock().begin(store, (), ())
}

fn bring(flight: Flight<Store>) {
    block_on(flight.fly(async { BROUGHT }));
}

/// Waits for ever. Other threads may run between each look at the answer and the sleep after it.
fn answer(ticket: Ticket<Answer>) -> Answer {
    let never = poll_fn(|_| {
        thread::yield_now();
        Poll::Pending
    });
    let answer = block_on(ticket.answer_unless(never));
    answer.expect("a call lands, however it ends")
}

fn in_thread<T: 'static>(body: impl FnOnce() -> T + 'static) -> JoinHandle<T> {
    thread::spawn(body)
}

#[test]
fn requests_share_one_call_and_each_has_its_answer() {
    loom::model(|| {
        let store = new_store();
        let request = |store: Arc<Store>| {
            move || match ask(&store) {
                Found::Kept(kept) => assert_eq!(kept, BROUGHT),
                Found::Wait(ticket) => assert_eq!(answer(ticket), Ok(BROUGHT)),
            }
        };
        let other = in_thread(request(Arc::clone(&store)));
        request(Arc::clone(&store))();
        other.join().unwrap();
        let calls = store.0.lock();
        assert_eq!((calls.begun, calls.landed), (1, 1));
        assert!(
            calls.join(&()).is_none(),
            "a call that landed is off the record"
        );
    });
}

/// No wake-up is lost between the look at the answer and the wait for it.
#[test]
fn all_that_wait_are_woken() {
    loom::model(|| {
        let store = new_store();
        let (ticket, flight) = begin(&store);
        let joined = store.0.lock().join(&()).expect("it is under way");
        let waiting = in_thread(move || answer(joined));
        let landing = in_thread(move || bring(flight));
        assert_eq!(answer(ticket), Ok(BROUGHT));
        assert_eq!(waiting.join().unwrap(), Ok(BROUGHT));
        landing.join().unwrap();
    });
}

#[test]
fn a_request_gets_the_answer_or_gives_up() {
    loom::model(|| {
        let store = new_store();
        let (ticket, flight) = begin(&store);
        let (late, mut is_late) = watch::channel(());
        let waiting = in_thread(move || {
            let late = async move { is_late.changed().await.expect("it comes") };
            block_on(ticket.answer_unless(late))
        });
        let landing = in_thread(move || bring(flight));
        late.send_replace(());
        let ended = waiting.join().unwrap();
        assert!(
            matches!(ended, Ok(Ok(BROUGHT)) | Err(NoAnswer::InTime)),
            "{ended:?}"
        );
        landing.join().unwrap();
    });
}

#[test]
fn a_request_gives_up_a_call_that_is_not_driven() {
    loom::model(|| {
        let store = new_store();
        let (ticket, flight) = begin(&store);
        let (late, mut is_late) = watch::channel(());
        let waiting = in_thread(move || {
            let late = async move { is_late.changed().await.expect("it comes") };
            block_on(ticket.answer_unless(late))
        });
        late.send_replace(());
        assert_eq!(waiting.join().unwrap(), Err(NoAnswer::InTime));
        drop(flight);
    });
}

#[test]
fn a_call_that_panics_or_is_dropped_wakes_all_with_an_error() {
    let ends: [fn(Flight<Store>); 3] = [
        |flight| drop(flight),
        // As a runtime does that shuts down.
        |flight| drop(flight.fly(pending())),
        |flight| {
            let call = async { panic!("as a call may") };
            let flying = AssertUnwindSafe(|| block_on(flight.fly(call)));
            assert!(catch_unwind(flying).is_err());
        },
    ];
    for end in ends {
        loom::model(move || {
            let store = new_store();
            let (ticket, flight) = begin(&store);
            let joined = store.0.lock().join(&()).expect("it is under way");
            let waiting = in_thread(move || answer(joined));
            let ending = in_thread(move || end(flight));
            assert_eq!(answer(ticket), Err(CutOff::Dropped));
            assert_eq!(waiting.join().unwrap(), Err(CutOff::Dropped));
            ending.join().unwrap();
            let calls = store.0.lock();
            assert!(calls.join(&()).is_none(), "the next one may begin");
        });
    }
}

/// Who asks after something was forgotten learns nothing from before.
#[test]
fn what_is_left_is_not_kept_and_not_joined() {
    const BEFORE: u32 = 1;
    loom::model(|| {
        let store = new_store();
        let (ticket, flight) = begin(&store);
        let landing = in_thread(move || block_on(flight.fly(async { BEFORE })));
        let mut calls = store.0.lock();
        calls.leave(&());
        calls.kept = None;
        drop(calls);
        // Another call may begin while the one before is under way.
        let Found::Wait(later) = ask(&store) else {
            panic!("an answer from before");
        };
        assert_eq!(answer(ticket), Ok(BEFORE), "those that wait still get it");
        landing.join().unwrap();
        assert_eq!(answer(later), Ok(BROUGHT));
        let calls = store.0.lock();
        assert_eq!((calls.begun, calls.landed), (1, 2));
        assert_eq!(calls.kept, Some(BROUGHT));
        assert!(calls.join(&()).is_none());
    });
}

#[test]
fn no_more_places_are_taken_than_there_are_and_each_is_given_back() {
    loom::model(|| {
        let (places, store) = (Places::new(1), new_store());
        let inside = Arc::new(AtomicUsize::new(0));
        let (ticket, flight) = begin(&store);
        let request = |ticket: Ticket<Answer>| {
            let (places, inside) = (Arc::clone(&places), Arc::clone(&inside));
            move || {
                let Some(place) = Place::of(&places) else {
                    return;
                };
                let asked = (place, ticket);
                assert_eq!(inside.fetch_add(1, Ordering::Relaxed), 0);
                inside.fetch_sub(1, Ordering::Relaxed);
                // The request goes away.
                drop(asked);
            }
        };
        let joined = store.0.lock().join(&()).expect("it is under way");
        let other = in_thread(request(joined));
        request(ticket)();
        other.join().unwrap();
        assert_eq!(places.taken(), 0);
        assert!(
            Place::of(&places).is_some(),
            "a place that was left is free"
        );
        drop(flight);
    });
}

#[test]
fn a_generation_serves_to_its_own_end_and_no_longer() {
    let ends = [1, 3, 9].map(Duration::from_secs);
    loom::model(move || {
        let tenure = Arc::new(Tenure::new());
        tenure.renew(1, ends[0]);
        let renewing = in_thread({
            let tenure = Arc::clone(&tenure);
            move || {
                tenure.prolong(ends[1]);
                tenure.renew(2, ends[2]);
            }
        });
        // The first one is over, even if it is prolonged.
        let now = Duration::from_secs(5);
        assert!(matches!(tenure.at(now), None | Some(2)));
        renewing.join().unwrap();
        assert_eq!(tenure.at(now), Some(2));
        assert_eq!(tenure.at(ends[2]), None);
        assert_eq!(tenure.generation(), 2);
    });
}
