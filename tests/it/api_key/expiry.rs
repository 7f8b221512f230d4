//! Keys that end soon are warned of.

use std::time::Duration;

use tower_mcp_auth::api_key::KeyFile;
use tower_mcp_auth::{ApiKeyLayer, Clock};
use tracing::Level;

use crate::api_key::life::{at, new_key, with_key};
use crate::api_key::store::Script;
use common::trace::{self, Traced};
use common::{NOW, ask, clock};

const DAY: Duration = Duration::from_secs(86_400);
const WEEKS: u64 = 14 * 86_400;

/// The warnings since `trace::start`.
fn warnings() -> Vec<Traced> {
    let events = trace::take().into_iter();
    events.filter(|event| event.level == Level::WARN).collect()
}

#[tokio::test]
async fn each_source_warns_of_a_key_once_a_day() {
    let new = new_key();
    let ends = NOW + WEEKS + 10;
    let key = || {
        let key = new.to_api_key().name("laptop").owner("ann\u{202e}\ne");
        key.expires_at(at(ends)).unwrap()
    };
    let file = std::env::temp_dir().join(format!("expiry-{}.json", std::process::id()));
    let document = serde_json::json!({ "keys": [{
        "digest": new.digest().to_string(), "id": new.id(), "name": "laptop",
        "owner": "ann\u{202e}\ne", "expires_at": ends,
    }] });
    std::fs::write(&file, document.to_string()).unwrap();
    let store = Script::with([key()], &[&new]);
    let layers: [(&str, ApiKeyLayer); 4] = [
        ("memory", ApiKeyLayer::new([key()]).unwrap()),
        ("file", ApiKeyLayer::from_file(KeyFile::new(&file)).unwrap()),
        ("store", store.layer(&clock())),
        (
            "a store that is asked each time",
            store.layer_with(&clock(), |keys| keys.positive_ttl(Duration::ZERO)),
        ),
    ];
    std::fs::remove_file(file).unwrap();
    for (source, layer) in layers {
        let clock: Clock = clock();
        let layer = layer.clock(clock.clone());
        let accepted = async |times: usize| {
            trace::start();
            for _ in 0..times {
                ask(&layer, with_key(new.expose())).await.admitted();
            }
            warnings()
        };
        // Fourteen days and ten seconds are left, and then fourteen days.
        assert!(accepted(2).await.is_empty(), "{source}");
        clock.advance(Duration::from_secs(10));
        assert!(accepted(2).await.is_empty(), "{source}");
        clock.advance(Duration::from_secs(1));
        let warned = accepted(3).await;
        let [event] = &warned[..] else {
            panic!("{source}: {warned:?}");
        };
        assert_eq!(event.field("id"), new.id());
        assert_eq!(event.field("name"), "laptop");
        assert_eq!(event.field("owner"), "ann??e");
        assert_eq!(event.field("expires_at"), ends.to_string());
        assert_eq!(event.field("seconds_left"), (WEEKS - 1).to_string());
        let told = format!("{warned:?}");
        let digest = new.digest().to_string();
        let hexadecimal = digest.split_once(':').unwrap().1;
        for secret in [new.expose(), hexadecimal] {
            assert!(!told.contains(secret), "{told}");
        }
        clock.advance(DAY - Duration::from_secs(1));
        assert!(accepted(2).await.is_empty(), "{source}");
        clock.advance(Duration::from_secs(1));
        assert_eq!(accepted(3).await.len(), 1, "{source}");
        // A clock that was days ahead and was set right delays the next one by no more than a day.
        let right = clock.now();
        clock.set_wall(right + DAY * 5);
        assert_eq!(accepted(3).await.len(), 1, "{source}");
        clock.set_wall(right);
        assert!(accepted(3).await.is_empty(), "{source}");
        clock.advance(DAY);
        assert_eq!(accepted(3).await.len(), 1, "{source}");
    }
}

#[tokio::test]
async fn the_time_is_a_setting_and_an_end_that_is_far_no_matter() {
    let (soon, later, never) = (new_key(), new_key(), new_key());
    let keys = [
        soon.to_api_key().expires_at(at(NOW + 3600)).unwrap(),
        later.to_api_key().expires_at(at(NOW + 7200)).unwrap(),
        never.to_api_key(),
    ];
    for (before, expected) in [(0, vec![]), (5000, vec![soon.id()])] {
        let layer = ApiKeyLayer::new(keys.clone()).unwrap().clock(clock());
        let layer = layer.expiry_warning(Duration::from_secs(before));
        trace::start();
        for key in [&soon, &later, &never] {
            ask(&layer, with_key(key.expose())).await.admitted();
        }
        let warned = warnings();
        let ids: Vec<_> = warned.iter().map(|event| event.field("id")).collect();
        assert_eq!(ids, expected);
    }
    // A key that is not accepted is not warned of.
    let layer = ApiKeyLayer::new([soon.to_api_key().expires_at(at(NOW)).unwrap()]).unwrap();
    let layer = layer.clock(clock());
    trace::start();
    ask(&layer, with_key(soon.expose()))
        .await
        .invalid("expired_api_key");
    assert!(warnings().is_empty());
}

/// Of more keys than are remembered, no more are warned of on a day.
#[tokio::test]
async fn warnings_are_bounded() {
    let new: Vec<_> = (0..4_100).map(|_| new_key()).collect();
    let keys = new
        .iter()
        .map(|key| key.to_api_key().expires_at(at(NOW + WEEKS / 2)).unwrap());
    let clock = clock();
    let layer = ApiKeyLayer::new(keys).unwrap().clock(clock.clone());
    for _ in 0..2 {
        trace::start();
        for key in &new {
            ask(&layer, with_key(key.expose())).await.admitted();
        }
        assert_eq!(warnings().len(), 4_096);
        clock.advance(DAY);
    }
}
