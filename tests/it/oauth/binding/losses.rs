//! Used proofs that a shared store has lost: none is accepted again, and new ones are.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tower_mcp_auth::oauth::binding::{DpopMode, DpopOptions};
use tower_mcp_auth::store::{Insertion, ReplayStore, StoreFuture, StoreKey, StoreValue};

use super::super::support::{Answer, START, Web};
use super::{Bound, assert_refused};

fn with(options: DpopOptions) -> Bound {
    Bound::with(DpopMode::Allowed, options)
}

/// A store that can lose everything, and that keeps how long records live.
#[derive(Clone, Debug, Default)]
struct Lossy(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    complete_since: Duration,
    records: HashMap<StoreKey, StoreValue>,
    lives: Vec<Duration>,
}

impl Lossy {
    /// Knows nothing of what was before, and everything from this time on.
    fn lose(&self, complete_since: Duration) {
        *self.0.lock().unwrap() = Kept {
            complete_since,
            ..Kept::default()
        };
    }

    fn new(complete_since: Duration) -> Self {
        let store = Self::default();
        store.lose(complete_since);
        store
    }
}

impl ReplayStore for Lossy {
    fn insert_if_absent(
        &self,
        key: StoreKey,
        value: StoreValue,
        life: Duration,
    ) -> StoreFuture<Insertion> {
        let mut kept = self.0.lock().unwrap();
        kept.lives.push(life);
        let answer = match kept.records.entry(key) {
            Entry::Occupied(there) => Insertion::Present(*there.get()),
            Entry::Vacant(place) => {
                place.insert(value);
                Insertion::Inserted
            }
        };
        Box::pin(async move { Ok(answer) })
    }

    fn get(&self, key: StoreKey) -> StoreFuture<Option<StoreValue>> {
        let there = self.0.lock().unwrap().records.get(&key).copied();
        Box::pin(async move { Ok(there) })
    }

    fn complete_since(&self) -> Duration {
        self.0.lock().unwrap().complete_since
    }
}

fn nonce(answer: &Answer) -> String {
    answer.headers["dpop-nonce"].to_str().unwrap().to_owned()
}

/// As long as a replica whose clock is late accepts the proof.
#[tokio::test]
async fn records_live_longer_than_their_proofs() {
    let store = Lossy::default();
    let bound = with(DpopOptions::new().replay_store(store.clone()).unwrap());
    let now = START.as_secs();
    for iat in [now, now - 10, now + 300] {
        let proof = bound.proof().claim("iat", iat).sign();
        bound.ask(&proof).await.assert(200, "accepted");
    }
    let lives = store.0.lock().unwrap().lives.clone();
    assert_eq!(lives, [600, 590, 900].map(Duration::from_secs));
}

/// What was used before a loss may be dated by a clock that is ahead, as far as that is accepted.
/// It is told from what is new by a nonce that is made after the loss.
#[tokio::test]
async fn what_was_used_before_a_loss_is_refused_after_it() {
    let store = Lossy::default();
    let options = || DpopOptions::new().replay_store(store.clone()).unwrap();
    let bound = with(options());
    let now = START.as_secs();
    let dated = |offset: i64| {
        let iat = now.checked_add_signed(offset).unwrap();
        bound.proof().claim("iat", iat).sign()
    };
    let used: Vec<String> = [0, 59, 60, 61, 299, 300].map(dated).into();
    for proof in &used {
        bound.ask(proof).await.assert(200, "accepted");
    }
    store.lose(START + Duration::from_secs(60));
    for proof in &used {
        let answer = bound.ask(proof).await;
        answer.assert(503, "dpop_replays_unavailable");
        assert_eq!(answer.retry_after(), Some(61));
        assert!(!answer.headers.contains_key("dpop-nonce"));
    }
    // With none of them a request is served a second time, at any later one.
    for seconds in [60, 1, 100, 139, 1, 58, 1, 239, 1, 1] {
        bound.guarded.advance(seconds);
        for proof in &used {
            assert_eq!(bound.ask(proof).await.status, 401, "{seconds}");
        }
    }
}

#[tokio::test]
async fn after_a_loss_a_new_proof_is_known_by_a_nonce() {
    let store = Lossy::new(START - Duration::from_secs(10));
    let options = || DpopOptions::new().replay_store(store.clone()).unwrap();
    let bound = with(options());
    let now = START.as_secs();
    // As long as a clock can be ahead; what is later was not used before.
    for (iat, is_known) in [
        (now - 10, false),
        (now, false),
        (now + 289, false),
        (now + 290, true),
    ] {
        let answer = bound.ask(&bound.proof().claim("iat", iat).sign()).await;
        match is_known {
            true => answer.assert(200, "accepted"),
            false => assert_refused(&answer, "use_dpop_nonce", "dpop_nonce_required"),
        }
    }
    let told = nonce(&bound.ask(&bound.proof().sign()).await);
    for wrong in ["", "x", &told[1..]] {
        let answer = bound.ask(&bound.proof().nonce(wrong).sign()).await;
        assert_refused(&answer, "use_dpop_nonce", "dpop_nonce_required");
        assert_eq!(nonce(&answer), told);
    }
    // Replicas have the same one, and a proof with it is used once.
    let web = Web::with_issuer(&[&bound.issuer]);
    let other = Bound::built(DpopMode::Allowed, |builder| {
        builder.dpop_options(options()).fetch(web)
    });
    for iat in [now, now - 300, now + 10] {
        let proof = bound.proof().nonce(&told).claim("iat", iat).sign();
        let answer = other.ask_with("DPoP", &bound.token, &[&proof]).await;
        answer.assert(200, "accepted");
        let again = bound.ask(&proof).await;
        assert_refused(&again, "invalid_dpop_proof", "replayed_dpop_proof");
    }
    // `iat` counts all the same.
    let proof = bound.proof().nonce(&told).claim("iat", now - 301).sign();
    bound.ask(&proof).await.assert(401, "dpop_time_mismatch");
    // Of another loss it says nothing.
    let proof = bound.proof().nonce(&told).sign();
    store.lose(START);
    let answer = bound.ask(&proof).await;
    assert_refused(&answer, "use_dpop_nonce", "dpop_nonce_required");
    assert_ne!(nonce(&answer), told);
    // When the time is over it is not needed any more, and does no harm.
    bound.guarded.advance(300);
    for proof in [bound.proof(), bound.proof().nonce(&told)] {
        bound.ask(&proof.sign()).await.assert(200, "accepted");
    }
}

/// With a nonce `iat` is of any clock, and says nothing of when the proof was made.
#[tokio::test]
async fn what_a_store_may_have_lost_is_told_by_the_nonce_where_there_is_one() {
    let with_store = |complete_since| {
        let store = Lossy::new(complete_since);
        let options = DpopOptions::new().replay_store(store).unwrap();
        let secret = "R7vJ2nWq9sLx4TzK8mYc3FbHd6GpAeU5";
        with(options.nonce_secret(secret).unwrap())
    };
    let now = START.as_secs();
    assert_eq!(now % 150, 0);
    // Clients whose clocks are wrong are served after a loss.
    let bound = with_store(START - Duration::from_secs(10));
    let told = nonce(&bound.ask(&bound.proof().sign()).await);
    for iat in [0, now - 1000, now + 1000] {
        let proof = bound.proof().nonce(&told).claim("iat", iat).sign();
        bound.ask(&proof).await.assert(200, "accepted");
    }
    // A proof that may have been used before the loss is refused, whatever time it says.
    let bound = with_store(START + Duration::from_secs(10));
    bound.guarded.advance(20);
    let told = nonce(&bound.ask(&bound.proof().sign()).await);
    let ahead = || bound.proof().nonce(&told).claim("iat", now + 100).sign();
    let answer = bound.ask(&ahead()).await;
    answer.assert(503, "dpop_replays_unavailable");
    assert!(!answer.headers.contains_key("dpop-nonce"));
    // Until there is a nonce that was given since.
    bound.guarded.advance(140);
    let answer = bound.ask(&ahead()).await;
    answer.assert(503, "dpop_replays_unavailable");
    let next = nonce(&answer);
    let proof = bound.proof().nonce(&next).claim("iat", 0).sign();
    bound.ask(&proof).await.assert(200, "accepted");
}
