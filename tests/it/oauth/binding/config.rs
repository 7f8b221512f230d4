//! Settings that contradict each other, or that no request could fit.

use tower_mcp_auth::oauth::binding::{DpopMode, DpopOptions};
use tower_mcp_auth::store::MemoryReplayStore;
use tower_mcp_auth::{ConfigError, OAuthLayer};

use super::super::support::RESOURCE;
use super::server;

fn store(options: DpopOptions) -> Result<DpopOptions, ConfigError> {
    options.replay_store(MemoryReplayStore::default())
}

#[test]
fn used_proofs_are_kept_in_one_way() {
    type Set = fn(DpopOptions) -> Result<DpopOptions, ConfigError>;
    let settings: [(&str, Set); 3] = [
        ("max_used_proofs", |options| options.max_used_proofs(7)),
        ("replay_store", store),
        ("dangerously_allow_replays", |options| {
            options.dangerously_allow_replays()
        }),
    ];
    for (first, set_first) in settings {
        for (second, set_second) in settings {
            let set = set_first(DpopOptions::new()).unwrap();
            match set_second(set) {
                Ok(_) => assert_eq!(first, second),
                Err(error) => {
                    assert_eq!(error.setting(), second);
                    let text = error.to_string();
                    assert!(text.contains(first) && text.contains(second), "{text}");
                }
            }
        }
    }
    let error = DpopOptions::new().max_used_proofs(0).unwrap_err();
    assert_eq!(error.setting(), "max_used_proofs");
}

#[test]
fn the_secret_of_nonces_is_long_and_no_placeholder() {
    for bad in ["", "too short", &"changeme".repeat(8), &"a".repeat(64)] {
        let error = DpopOptions::new().nonce_secret(bad).unwrap_err();
        assert_eq!(error.setting(), "nonce_secret");
        assert!(
            bad.is_empty() || !error.to_string().contains(bad),
            "{error}"
        );
    }
    let secret = "R7vJ2nWq9sLx4TzK8mYc3FbHd6GpAeU5";
    let options = DpopOptions::new().nonce_secret(secret).unwrap();
    assert!(!format!("{options:?}").contains("R7vJ"), "{options:?}");
}

#[test]
fn tokens_that_stand_elsewhere_are_never_bound() {
    for mode in [DpopMode::Allowed, DpopMode::Required] {
        let builder = || {
            let builder = OAuthLayer::builder(RESOURCE).unwrap();
            builder.authorization_server(server(mode)).unwrap()
        };
        for builder in [
            builder().header_name("X-Token"),
            builder().require_bearer(false),
        ] {
            let error = builder.build().unwrap_err();
            assert_eq!(error.setting(), "dpop", "{error}");
        }
    }
}

/// For proofs alone: one resource is that of every path.
#[test]
fn a_prefix_of_one_resource_is_for_proofs() {
    let builder = |mode| {
        let builder = OAuthLayer::builder(RESOURCE).unwrap();
        builder.authorization_server(server(mode)).unwrap()
    };
    let built = builder(DpopMode::Allowed).stripped_prefix("/mcp").build();
    assert!(built.is_ok());
    let error = builder(DpopMode::Off).stripped_prefix("/mcp").build();
    assert_eq!(error.unwrap_err().setting(), "stripped_prefix");
    let error = builder(DpopMode::Allowed).stripped_prefix("mcp").build();
    assert_eq!(error.unwrap_err().setting(), "stripped_prefix");
}
