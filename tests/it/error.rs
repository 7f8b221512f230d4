//! The table of reason codes, and the page for operators that is made from it.

use std::fmt::Write;
use std::fs;

use tower_mcp_auth::{AuthError, AuthErrorKind, Reason};

#[test]
fn codes_are_sorted_and_unique_and_can_be_explained() {
    assert!(Reason::ALL.is_sorted_by(|one, next| one.code() < next.code()));
    for reason in Reason::ALL {
        let code = reason.code();
        let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        assert!(code.chars().all(is_plain), "{code}");
        assert_eq!(reason.to_string(), code);
        assert_eq!(reason.as_ref(), code);
        for text in [reason.explanation(), reason.client(), reason.fix()] {
            assert!(text.ends_with('.'), "{code}: {text:?}");
            assert!(!text.starts_with(' '), "{code}: {text:?}");
            // It is a cell of a table.
            assert!(
                !text.contains("  ") && !text.contains(['|', '\n']),
                "{code}: {text:?}"
            );
        }
        // As a quoted text of a challenge has to be.
        let description = reason.description();
        let is_harmless = |c: char| matches!(c, ' '..='~') && !"\",=\\".contains(c);
        assert!(!description.is_empty() && description.chars().all(is_harmless));
    }
}

#[test]
fn an_error_takes_kind_and_description_from_its_reason() {
    for reason in Reason::ALL {
        let error = AuthError::new(*reason);
        assert_eq!(error.reason(), reason.code());
        assert_eq!(error.kind(), reason.kind());
        assert_eq!(error.description(), reason.description());
    }
}

#[test]
fn a_custom_reason_is_no_reason_of_the_crate() {
    const CUSTOM: Reason = Reason::custom(AuthErrorKind::Invalid, "expired");
    assert_ne!(CUSTOM, Reason::EXPIRED);
    assert_eq!(
        [CUSTOM.explanation(), CUSTOM.client(), CUSTOM.fix()],
        [""; 3]
    );
    assert!(CUSTOM.may_be_reported());
    for (kind, description) in [
        (AuthErrorKind::Missing, "Authentication is required"),
        (
            AuthErrorKind::Malformed,
            "The request presents its credential in a way that is not accepted",
        ),
        (AuthErrorKind::Invalid, "The access token is not valid"),
        (AuthErrorKind::Forbidden, "The request is not allowed"),
        (
            AuthErrorKind::TooManyRequests,
            "There were too many requests",
        ),
    ] {
        assert_eq!(Reason::custom(kind, "x").description(), description);
    }
}

#[test]
fn the_page_for_operators_is_the_one_that_is_made() {
    let file = common::root().join("docs/reason-codes.md");
    let made = page();
    if std::env::var_os("WRITE_REASON_CODES").is_some() {
        fs::write(&file, &made).unwrap();
    }
    assert!(
        fs::read_to_string(&file).unwrap() == made,
        "run this test with WRITE_REASON_CODES=1, and look at what changes"
    );
}

const HEAD: &str = "\
# Reason codes

*\"Why is this request refused?\" \"What is `audience_mismatch`?\"*

Every refusal has a code. It is the field `reason` of events, the label `reason` of metrics and
`AuthError::reason` in the extensions of the response; clients see the description instead. Codes
are stable: they are not renamed in a compatible release. A provider of your own has codes of its
own besides (`Reason::custom`).

Where nothing proves a token, a forged one perhaps, its client reads \"The access token is not
valid\" instead of the description. A server for API keys or for JWTs alone answers in general
terms; its events have the code. The detail of an event says more than this page: what was
expected, what came, and how they differ.

What clients show instead, and where to begin: [why does my client not get in?][why-does-my-client-not-get-in.md]

Report-only: whether `dangerously_report_only` lets the request pass, and whether
`dangerously_report_only_for` takes the code.
";

/// The kinds in the order of their status, and their headings.
const KINDS: [(AuthErrorKind, &str); 14] = [
    (AuthErrorKind::Malformed, "malformed requests"),
    (AuthErrorKind::HeaderMismatch, "MCP headers"),
    (AuthErrorKind::Missing, "no credential"),
    (AuthErrorKind::Invalid, "invalid credentials"),
    (
        AuthErrorKind::InsufficientUserAuthentication,
        "sign-ins that do not suffice",
    ),
    (AuthErrorKind::InsufficientScope, "insufficient scope"),
    (AuthErrorKind::Forbidden, "forbidden"),
    (AuthErrorKind::UnknownSession, "unknown sessions"),
    (AuthErrorKind::UnknownResource, "unknown resources"),
    (AuthErrorKind::PayloadTooLarge, "too large"),
    (
        AuthErrorKind::UnsupportedMediaType,
        "unsupported media types",
    ),
    (AuthErrorKind::Misdirected, "misdirected requests"),
    (AuthErrorKind::TooManyRequests, "too many requests"),
    (AuthErrorKind::Unavailable, "unavailable"),
];

fn page() -> String {
    let mut page = HEAD.to_owned();
    let mut listed = 0;
    for (kind, heading) in KINDS {
        let reasons: Vec<_> = Reason::ALL
            .iter()
            .filter(|own| own.kind() == kind)
            .collect();
        let status = AuthError::new(*reasons[0]).status().as_u16();
        let _ = write!(
            page,
            "\n## {status}: {heading}\n\n\
             | code | meaning | what the client did | what to do | what it is told | report-only |\n\
             |---|---|---|---|---|---|\n"
        );
        for reason in &reasons {
            let may = if reason.may_be_reported() {
                "yes"
            } else {
                "no"
            };
            let _ = writeln!(
                page,
                "| `{reason}` | {} | {} | {} | {} | {may} |",
                reason.explanation(),
                reason.client(),
                reason.fix(),
                reason.description()
            );
        }
        listed += reasons.len();
    }
    assert_eq!(listed, Reason::ALL.len());
    page.push_str("\n[why-does-my-client-not-get-in.md]: why-does-my-client-not-get-in.md\n");
    page
}
