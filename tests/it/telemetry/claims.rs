//! Claims that cannot be read are told of: empty ones could be taken for none.

use serde_json::{Map, Value, json};
use tower_mcp_auth::Principal;
use tracing::Level;

use common::trace;

/// Claims nested as deep as told.
fn nested(depth: usize) -> Map<String, Value> {
    let innermost = json!("confidential");
    let value = (0..depth).fold(innermost, |inner, _| json!([inner]));
    Map::from_iter([("x".to_owned(), value)])
}

#[test]
fn claims_that_cannot_be_read_are_empty_and_an_error_without_them() {
    let principal = Principal::builder("badge").claims(&nested(200)).build();
    trace::start();
    for _ in 0..3 {
        assert!(principal.claims().is_empty());
    }
    let events = trace::take();
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(events[0].level, Level::ERROR);
    assert_eq!(events[0].field("provider"), "badge");
    assert!(!format!("{events:?}").contains("confidential"));
    principal.claims_as::<Map<String, Value>>().unwrap_err();
}

#[test]
fn claims_that_can_be_read_are_not_reported() {
    let principal = Principal::builder("badge").claims(&nested(100)).build();
    trace::start();
    assert_eq!(*principal.claims(), nested(100));
    assert!(Principal::builder("badge").build().claims().is_empty());
    assert!(trace::take().is_empty());
}
