//! Entries and requests at once.

use std::sync::atomic::{AtomicBool, Ordering};

use tower_mcp_auth::Clock;
use tower_mcp_auth::revocation::{Entry, Revocation};

use super::*;

/// Many requests with one cached token, while entries come: a request that begins after the entry
/// for its token is there is never accepted, whatever else is added meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_request_that_begins_after_its_entry_is_accepted() {
    let clock = Clock::manual(START);
    let key = Key::new("k");
    let layer = oauth(&clock, &key, |it| it);
    layer.warm_up().await.unwrap();
    for round in 0..50 {
        let revocation = Revocation::in_memory().clock(clock.clone());
        let layer = layer.clone().revocation(revocation.clone());
        let jti = format!("j-{round}");
        let token = key.token(json!({"jti": jti}));
        ask(&layer, bearer(&token)).await.admitted();
        let is_revoked = Arc::new(AtomicBool::new(false));
        let askers = [(); 4].map(|()| {
            let (layer, token, is_revoked) = (layer.clone(), token.clone(), is_revoked.clone());
            common::spawn(async move {
                for _ in 0..200 {
                    let must_refuse = is_revoked.load(Ordering::SeqCst);
                    let answer = ask(&layer, bearer(&token)).await;
                    assert!(!must_refuse || answer.reached.is_none());
                }
            })
        });
        let noise = {
            let revocation = revocation.clone();
            common::spawn(async move {
                for number in 0..200 {
                    let id = format!("other-{number}");
                    revocation.revoke(Entry::token(ISSUER, &id)).await.unwrap();
                }
            })
        };
        tokio::task::yield_now().await;
        revocation.revoke(Entry::token(ISSUER, &jti)).await.unwrap();
        is_revoked.store(true, Ordering::SeqCst);
        for asker in askers {
            asker.await.unwrap();
        }
        noise.await.unwrap();
        ask(&layer, bearer(&token)).await.invalid("revoked_token");
        assert_eq!(revocation.entries(), 201);
    }
}
