//! How long ago a sign-in may be, by a clock that is moved.

use std::time::Duration;

use serde_json::{Value, json};
use tower_mcp_auth::jose::Secret;
use tower_mcp_auth::scopes::Strength;
use tower_mcp_auth::{ConfigError, JwtLayer};

use super::{auth, bearer, outcome};
use common::{NOW, SECRET, ask, clock, request_to, token};

fn within(seconds: u64) -> Strength {
    Strength::new()
        .max_age(Duration::from_secs(seconds))
        .unwrap()
}

#[tokio::test]
async fn a_sign_in_grows_too_old_by_the_clock_of_the_layer() {
    const WEAK: &str = "insufficient_user_authentication";
    let cases: [(Value, u64, &str); 14] = [
        (json!(NOW), 0, "admitted"),
        (json!(NOW), 300, "admitted"),
        (json!(NOW), 301, WEAK),
        (json!(NOW - 300), 0, "admitted"),
        (json!(NOW - 301), 0, WEAK),
        // Ahead, as far as clocks may differ; then too far, and then it is past.
        (json!(NOW + 60), 0, "admitted"),
        (json!(NOW + 61), 0, WEAK),
        (json!(NOW + 61), 1, "admitted"),
        (json!(NOW + 61), 362, WEAK),
        (json!(NOW as f64 - 299.5), 0, "admitted"),
        (json!(null), 0, WEAK),
        (json!(NOW.to_string()), 0, WEAK),
        (json!(-1), 0, WEAK),
        (json!([NOW]), 0, WEAK),
    ];
    for (auth_time, passed, expected) in cases {
        let clock = clock();
        let layer = auth(&clock).required_strength(within(300)).unwrap();
        clock.advance(Duration::from_secs(passed));
        let request = request_to(
            "/mcp",
            &[("authorization", bearer(json!({ "auth_time": auth_time })))],
        );
        let answer = ask(&layer, request).await;
        assert_eq!(outcome(&answer), expected, "{auth_time} {passed}");
        if let Some(error) = answer.extensions.get::<tower_mcp_auth::AuthError>() {
            assert!(error.acr_values().next().is_none());
            assert!(answer.challenges()[0].contains(", max_age=\"300\", "));
            assert!(!answer.challenges()[0].contains("acr_values"));
        }
    }
}

/// The clocks of an authorization server may differ by less, or by more, than usual.
#[tokio::test]
async fn the_skew_is_that_of_the_issuer_of_the_token() {
    for (skew, ahead, admitted) in [
        (0, 1, false),
        (0, 0, true),
        (300, 300, true),
        (60, 61, false),
    ] {
        let layer = JwtLayer::builder(Secret::new(SECRET).unwrap())
            .clock(clock())
            .clock_skew(Duration::from_secs(skew))
            .build()
            .and_then(|layer| layer.required_strength(within(10)))
            .unwrap();
        let at = NOW + ahead;
        let claims = format!(r#"{{"sub":"alice","exp":{},"auth_time":{at}}}"#, NOW + 300);
        let authorization = format!("Bearer {}", token(&claims));
        let request = request_to("/mcp", &[("authorization", authorization)]);
        let answer = ask(&layer, request).await;
        assert_eq!(answer.reached.is_some(), admitted, "{skew} {ahead}");
    }
}

#[test]
fn an_age_is_whole_seconds_and_at_least_one() {
    for none in [Duration::ZERO, Duration::from_millis(999)] {
        let error: ConfigError = Strength::new().max_age(none).unwrap_err();
        assert_eq!(error.setting(), "max_age");
    }
    let cut = Strength::new()
        .max_age(Duration::from_millis(1_999))
        .unwrap();
    assert_eq!(cut, within(1));
    // The shorter of two counts, whichever came first.
    let twice = within(60).max_age(Duration::from_secs(300)).unwrap();
    assert_eq!(twice, within(60));
}
