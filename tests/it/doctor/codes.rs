//! The table of codes, and the page that has it.

use std::collections::HashSet;
use std::fmt::Write;
use std::fs;

use tower_mcp_auth::doctor::{Code, Options, Severity, examine};

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

#[test]
fn the_page_has_the_table_of_the_code() {
    const BEGIN: &str = "<!-- codes: WRITE_DOCTOR_CODES=1 cargo test -p dev --test it doctor -->\n";
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
