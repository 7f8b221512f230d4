//! Faults of the endpoint, its challenge, its metadata, and what pages may read: each has its code
//! and no other.

use std::fmt::Write;

use http::Method;
use serde_json::{Value, json};
use tower_mcp_auth::doctor::Severity;

use super::server::{Asked, Fake, Reply};
use super::{assert_codes, look};

mod endpoint;
mod metadata;

/// What is seeded, the codes at least as bad as a warning, and how.
type Seeded = (
    &'static str,
    &'static [&'static str],
    fn(&Asked, &mut Reply),
);

#[tokio::test]
async fn each_fault_is_named_and_nothing_else_is() {
    let mut wrong = String::new();
    for (name, codes, twist) in endpoint::TABLE.iter().chain(metadata::TABLE) {
        let server = Fake::start(*twist).await;
        let report = look(&server).await;
        if report.codes(Severity::Warning) != *codes {
            let _ = writeln!(wrong, "{name}: not {codes:?}\n{report}");
        }
        let first = &report.findings[0];
        assert!(!first.evidence.is_empty(), "{name}: {report}");
        assert!(!first.fix.contains('{'), "{name}: {}", first.fix);
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[tokio::test]
async fn a_challenge_may_be_written_as_the_grammar_allows() {
    let edits: [fn(&str) -> String; 2] = [
        // A space before a comma.
        |own| format!("{own}, Negotiate YII= , Basic realm=\"x\""),
        // Text that is not ASCII.
        |own| own.replace("Bearer ", "Bearer realm=\"K\u{fc}che\", "),
    ];
    for edit in edits {
        let server = Fake::start(move |asked, reply| edit_challenge(asked, reply, edit)).await;
        assert_codes(&look(&server).await, &[], "by the grammar");
    }
}

#[tokio::test]
async fn the_cause_stands_before_what_follows_from_it() {
    let server = Fake::start(|asked, reply| {
        edit_metadata(asked, reply, |own| {
            own["resource"] = format!("{}/mcp/", asked.own).into();
            own["jwks_uri"] = Value::Null;
            own["bearer_methods_supported"] = json!(["body"]);
        });
        edit_challenge(asked, reply, |own| format!("Basic realm=\"x\", {own}"));
    })
    .await;
    let expected = [
        "metadata_null",
        "resource_trailing_slash",
        "challenge_not_first",
        "bearer_methods",
    ];
    assert_codes(&look(&server).await, &expected, "several");
}

#[tokio::test]
async fn fixes_are_worded_for_the_server_at_hand() {
    for (header, value, line) in [
        ("x-powered-by", "Express", "mcpAuthMetadataRouter"),
        ("server", "uvicorn", "AuthSettings(resource_server_url="),
        ("server", "nginx", ""),
    ] {
        let server = Fake::start(move |asked, reply| {
            reply.set(header, value);
            edit_metadata(asked, reply, |own| {
                own["resource"] = format!("{}/mcp/", asked.own).into();
            });
        })
        .await;
        let report = look(&server).await;
        let fix = &report.findings[0].fix;
        assert!(fix.contains(&server.url), "{fix}");
        assert!(fix.contains(line), "{value}: {fix}");
    }
}

fn edit_challenge(asked: &Asked, reply: &mut Reply, edit: impl FnOnce(&str) -> String) {
    let own = reply
        .headers
        .iter_mut()
        .find(|(name, _)| *name == "www-authenticate");
    if let Some((_, challenge)) = own.filter(|_| asked.is_mcp()) {
        *challenge = edit(challenge);
    }
}

fn edit_metadata(asked: &Asked, reply: &mut Reply, edit: impl FnOnce(&mut Value)) {
    if asked.is_metadata() && asked.method == Method::GET {
        reply.edit(edit);
    }
}
