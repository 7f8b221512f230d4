//! Settings of the layer that are refused, and what shows them.

use std::time::Duration;

use tower_mcp_auth::mcp::QuotaLayer;

use super::support::{FlakyQuotas, budget, clock};

const SECRET: &str = "R7vJ2nWq9sLx4TzK8mYc3FbHd6GpAeU5";

fn shared() -> QuotaLayer {
    QuotaLayer::shared(FlakyQuotas::new(&clock()), SECRET).unwrap()
}

#[test]
fn layers_that_make_no_sense_are_refused() {
    let own = QuotaLayer::in_memory;
    let calls = || budget("calls", 5);
    let many = || {
        let mut layer = own();
        for number in 0..16 {
            layer = layer.budget(budget(&format!("b{number}"), 1)).unwrap();
        }
        layer
    };
    let for_a_tool = || budget("reports", 1).tool("make_report").unwrap();
    for (refused, setting) in [
        (
            QuotaLayer::shared(FlakyQuotas::new(&clock()), "short"),
            "secret",
        ),
        (
            own().budget(calls()).and_then(|own| own.budget(calls())),
            "budget",
        ),
        (many().budget(calls()), "budget"),
        (own().budget(calls().local()), "budget"),
        // No request would ever be admitted.
        (own().budget(calls().cost(6).unwrap()), "budget"),
        (
            own()
                .requests_only()
                .and_then(|own| own.budget(for_a_tool())),
            "requests_only",
        ),
        (
            own()
                .budget(for_a_tool())
                .and_then(QuotaLayer::requests_only),
            "requests_only",
        ),
        (
            own()
                .budget(calls().cost_by(|_| 1))
                .and_then(QuotaLayer::requests_only),
            "requests_only",
        ),
        (own().local_share(2), "local_share"),
        (
            own().dangerously_allow_on_outage(),
            "dangerously_allow_on_outage",
        ),
        (shared().local_share(0), "local_share"),
        (shared().local_share(10_001), "local_share"),
        // Of five at once, six replicas have none.
        (
            shared().budget(calls()).and_then(|own| own.local_share(6)),
            "local_share",
        ),
        (
            shared().local_share(6).and_then(|own| own.budget(calls())),
            "local_share",
        ),
        (
            shared()
                .local_share(2)
                .and_then(QuotaLayer::dangerously_allow_on_outage),
            "dangerously_allow_on_outage",
        ),
        (own().max_body_bytes(0), "max_body_bytes"),
        (own().read_timeout(Duration::ZERO), "read_timeout"),
    ] {
        let error = refused.unwrap_err();
        assert_eq!(error.setting(), setting, "{error}");
        assert!(!error.to_string().contains(SECRET));
    }
    let shown = format!("{:?}", shared().budget(for_a_tool()).unwrap());
    assert!(
        shown.contains("make_report") && !shown.contains(SECRET),
        "{shown}"
    );
}
