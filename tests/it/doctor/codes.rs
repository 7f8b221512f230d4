//! The table of codes, and the page that has it.

use std::collections::HashSet;
use std::fmt::Write;
use std::fs;

use tower_mcp_auth::Reason;
use tower_mcp_auth::doctor::{Code, Options, Severity, examine, explain, list_codes};

use super::server::Fake;

#[test]
fn codes_are_unique_and_can_be_explained() {
    let mut seen = HashSet::new();
    for code in Code::ALL {
        let name = code.code();
        assert!(seen.insert(name), "{name} is there twice");
        let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        assert!(name.chars().all(is_plain), "{name}");
        assert!(
            !code.what().ends_with('.'),
            "{name}: a sentence for a headline"
        );
        for text in [code.cause(), code.fix()] {
            assert!(text.ends_with('.') || text.ends_with('`'), "{name}: {text}");
        }
        for text in [
            code.what(),
            code.cause(),
            code.fix(),
            code.own_fix().unwrap_or("x"),
        ] {
            assert!(
                !text.contains("  ") && !text.contains('\n') && !text.is_empty(),
                "{name}"
            );
        }
    }
}

/// A text without the breaks of its lines.
fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn every_code_is_explained_and_listed() {
    let list = list_codes();
    for code in Code::ALL {
        let text = explain(code.code()).unwrap();
        assert!(flat(&text).contains(code.what()), "{text}");
        for part in [code.cause(), code.fix(), code.own_fix().unwrap_or_default()] {
            let end = part.find('{').unwrap_or(part.len());
            assert!(flat(&text).contains(flat(&part[..end]).as_str()), "{text}");
        }
        for placeholder in ["{url}", "{metadata}", "{got}"] {
            assert!(!text.contains(placeholder), "{text}");
        }
        assert!(list.contains(&format!(" {code} ")), "{code}");
    }
    for reason in Reason::ALL {
        let text = explain(reason.code()).unwrap();
        for part in [reason.explanation(), reason.client(), reason.fix()] {
            assert!(flat(&text).contains(&flat(part)), "{text}");
        }
        assert!(list.contains(&format!(" {reason} ")), "{reason}");
    }
    // One of both.
    let both = explain("token_in_query").unwrap();
    assert!(both.contains("FAULT token_in_query"), "{both}");
    assert!(both.contains("400 token_in_query"), "{both}");
}

#[test]
fn what_is_no_code_leads_to_those_that_are_spelled_alike() {
    for (code, near) in [
        ("audience_missmatch", "`audience_mismatch`"),
        ("resource_trailing", "`resource_trailing_slash`"),
        ("expird", "`expired`"),
        ("audiance", "`token_audience`"),
        ("xyzzy", "without a code lists all"),
        ("", "without a code lists all"),
    ] {
        let error = explain(code).unwrap_err().to_string();
        assert!(error.contains(near), "{code}: {error}");
    }
    // As it may be written elsewhere.
    assert_eq!(
        explain(" Audience-Mismatch\n"),
        explain("audience_mismatch")
    );
    let token = format!("eyJ{}", "a".repeat(100_000));
    let error = explain(&token).unwrap_err().to_string();
    assert!(!error.contains("eyJ") && !error.contains("eyj"), "{error}");
}

#[tokio::test]
async fn a_report_ends_with_the_command_that_explains() {
    const COMMAND: &str = "`mcp-auth-doctor --explain CODE` says more about a code.\n";
    let bad = Fake::start(|asked, reply| {
        if asked.is_metadata() {
            reply.set("content-type", "text/plain");
        }
    })
    .await;
    for url in [&*bad.url, "http://127.0.0.1:1/mcp"] {
        let report = examine(Options::new(url).unwrap()).await.to_string();
        assert!(report.ends_with(COMMAND), "{report}");
    }
    let good = examine(Options::new(&Fake::good().await.url).unwrap()).await;
    let says = good.to_string().ends_with(COMMAND);
    assert_eq!(says, !good.findings.is_empty(), "{good}");
}

#[test]
fn the_page_has_the_table_of_the_code() {
    const BEGIN: &str =
        "<!-- codes: WRITE_DOCTOR_CODES=1 cargo test -p dev --all-features --test it doctor -->\n";
    let file = common::root().join("docs/doctor.md");
    let page = fs::read_to_string(&file).unwrap();
    let (before, _) = page.split_once(BEGIN).expect("the mark of the table");
    let made = format!("{before}{BEGIN}{}", table());
    if std::env::var_os("WRITE_DOCTOR_CODES").is_some() {
        fs::write(&file, &made).unwrap();
    }
    assert!(
        fs::read_to_string(&file).unwrap() == made,
        "run this test with WRITE_DOCTOR_CODES=1, and look at what changes"
    );
}

fn table() -> String {
    let mut table = String::new();
    for severity in [Severity::Fault, Severity::Warning, Severity::Note] {
        let _ = write!(
            table,
            "\n### {}s\n\n| code | what | why | what to change | in this crate |\n\
             |---|---|---|---|---|\n",
            match severity {
                Severity::Fault => "Fault",
                Severity::Warning => "Warning",
                _ => "Note",
            }
        );
        for code in Code::ALL.iter().filter(|own| own.severity() == severity) {
            let filled = |text: &str| {
                text.replace("{url}", "https://mcp.example.com/mcp")
                    .replace(
                        "{metadata}",
                        "https://mcp.example.com/.well-known/oauth-protected-resource/mcp",
                    )
                    .replace("{got}", "…")
            };
            let own = code.own_fix().map(filled).unwrap_or_default();
            let _ = writeln!(
                table,
                "| `{code}` | {} | {} | {} | {own} |",
                code.what(),
                filled(code.cause()),
                filled(code.fix()),
            );
        }
    }
    table
}

#[tokio::test]
async fn the_json_has_the_members_that_are_documented() {
    let server = Fake::start(|asked, reply| {
        if asked.is_metadata() {
            reply.set("content-type", "text/plain");
        }
    })
    .await;
    let options = Options::new(&server.url).unwrap().token(server.token());
    let report = examine(options.unwrap()).await;
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["format"], 1);
    assert_eq!(json["url"], server.url);
    assert_eq!(json["verdict"], "good");
    assert_eq!(json["made_with"], "other");
    let finding = &json["findings"][0];
    assert_eq!(finding["severity"], "warning");
    assert_eq!(finding["code"], "metadata_content_type");
    for member in ["what", "cause", "fix"] {
        assert!(finding[member].is_string(), "{finding}");
    }
    assert!(finding["evidence"][0].is_string(), "{finding}");
    assert_eq!(json["token"][0]["name"], "form");
    assert_eq!(json["token"][0]["judgement"], "good");
    assert_eq!(json["claims"]["aud"], server.url);
    assert_eq!(json["keys"][0]["usable"], true);
    assert_eq!(json["clocks"][0]["of"], server.url);
    assert_eq!(json["clocks"][0]["ahead_seconds"], 0);
}
