//! What the report says, and what the kit does not do.

use std::convert::Infallible;
use std::time::Duration;

use http::{Method, Request, Response, StatusCode};
use tower::{Layer, Service, service_fn};
use tower_mcp_auth::testing::hostile::{Hostile, RequestBody, Verdict, attacks};

use super::handmade::{Fault, Handmade};
use super::{RESOURCE, hostile, issuer, oauth};
use common::API_KEY;

/// Answers everything with this status.
fn answering(
    status: StatusCode,
) -> impl Service<
    Request<RequestBody>,
    Response = Response<RequestBody>,
    Error = Infallible,
    Future: Send,
> + Clone {
    service_fn(move |_: Request<RequestBody>| async move {
        let response = Response::builder().status(status);
        let response = response.header("www-authenticate", "Bearer");
        Ok(response.body(RequestBody::default()).unwrap())
    })
}

#[tokio::test]
async fn a_service_that_refuses_everything_proves_nothing() {
    let issuer = issuer().await;
    let refusing = answering(StatusCode::UNAUTHORIZED);
    let report = hostile(&issuer).attack(refusing.clone()).await;
    assert!(!report.is_proven() && !report.is_held());
    assert_eq!(report.failures().count(), 0, "{report}");
    let text = report.to_string();
    assert!(
        text.contains("nothing is proven: the good access token is refused: 401"),
        "{text}"
    );
    // Without a good credential it cannot be told from a right one, which is said.
    let report = Hostile::new(RESOURCE).unwrap().attack(refusing).await;
    report.assert_held();
    let text = report.to_string();
    assert!(text.contains("no good credential was given"), "{text}");
}

#[tokio::test]
async fn a_service_without_a_guard_lets_everything_through() {
    let report = Hostile::new(RESOURCE).unwrap();
    let report = report.attack(answering(StatusCode::OK)).await;
    let held = report.into_iter().filter(|it| it.verdict().is_held());
    // Long tables are cut: the first of each attack tell enough.
    assert!(
        report.to_string().contains("more of other_method"),
        "{report}"
    );
    // Only OPTIONS may be answered.
    assert!(
        held.clone()
            .all(|it| it.attack().name() == "options_request"),
        "{report}"
    );
    assert_eq!(held.count(), 2);
    assert!(report.into_result().is_err());
}

#[tokio::test]
async fn what_does_not_judge_the_credential_is_no_refusal() {
    for status in [
        StatusCode::TOO_MANY_REQUESTS,
        StatusCode::SERVICE_UNAVAILABLE,
        StatusCode::INTERNAL_SERVER_ERROR,
    ] {
        let report = Hostile::new(RESOURCE)
            .unwrap()
            .attack(answering(status))
            .await;
        assert!(!report.is_held(), "{status}");
        let expected = match status {
            StatusCode::INTERNAL_SERVER_ERROR => Verdict::Irregular,
            _ => Verdict::Unproven,
        };
        let finding = report.failures().next().unwrap();
        assert_eq!(
            (finding.attack().name(), finding.verdict()),
            ("no_credential", expected)
        );
        assert_eq!(finding.status(), Some(status));
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_does_not_answer_is_not_waited_for() {
    let silent = service_fn(|_: Request<RequestBody>| {
        std::future::pending::<Result<Response<RequestBody>, Infallible>>()
    });
    let hostile = Hostile::new(RESOURCE)
        .unwrap()
        .patience(Duration::from_secs(2));
    let report = hostile.attack(silent).await;
    assert!(
        report
            .into_iter()
            .all(|it| it.verdict() == Verdict::Unproven),
        "{report}"
    );
    assert!(
        report.to_string().contains("no answer within 2s"),
        "{report}"
    );
}

#[tokio::test]
async fn the_table_names_the_attack_and_shows_no_credential() {
    let issuer = issuer().await;
    let good = issuer.token().audience(RESOURCE);
    let hostile = Hostile::new(RESOURCE).unwrap().token(good);
    let service = Handmade::new(Fault::ReadsQuery, &issuer, hostile.probe());
    let report = hostile.attack(service).await;
    let text = report.to_string();
    println!("{text}");
    for expected in [
        "query_credential",
        "got through",
        "GET /mcp",
        "?access_token=[credential]",
        "200; the handler was reached",
        "RFC 6750 section 2.3",
    ] {
        assert_eq!(
            text.contains(expected),
            expected != "GET /mcp",
            "{expected}\n{text}"
        );
    }
    assert!(!text.contains("eyJ"), "{text}");
    let panic = std::panic::catch_unwind(|| report.assert_held()).unwrap_err();
    assert_eq!(panic.downcast_ref::<String>(), Some(&text));
    for debug in [
        format!("{report:?}"),
        format!("{hostile:?}"),
        format!("{:?}", hostile.probe()),
    ] {
        assert!(!debug.contains("eyJ"), "{debug}");
    }
}

#[tokio::test]
async fn the_good_request_is_a_setting() {
    let issuer = issuer().await;
    let get_only = service_fn(|request: Request<RequestBody>| async move {
        let status = match *request.method() {
            Method::GET => StatusCode::OK,
            _ => StatusCode::METHOD_NOT_ALLOWED,
        };
        let response = Response::builder().status(status);
        Ok::<_, Infallible>(response.body(RequestBody::default()).unwrap())
    });
    let service = oauth(&issuer).layer(get_only);
    let hostile = hostile(&issuer);
    let report = hostile.attack(service.clone()).await;
    assert!(!report.is_proven(), "{report}");
    let hostile = hostile.request(Method::GET, "text/plain", "");
    hostile.attack(service).await.assert_held();
}

#[test]
fn settings_that_cannot_be_are_refused() {
    let hostile = || Hostile::new(RESOURCE).unwrap();
    for (setting, refused) in [
        ("resource", Hostile::new("mcp.example.com")),
        ("resource", Hostile::new("ftp://mcp.example.com/")),
        ("resource", Hostile::new("https://mcp.example.com/mcp#x")),
        ("api_key", hostile().api_key("short")),
        ("api_key", hostile().api_key("with a space")),
        ("api_key_in", hostile().api_key_in("no header", API_KEY)),
        (
            "jwt_secret",
            hostile().jwt_secret("secret", serde_json::json!({"sub": "alice"})),
        ),
        (
            "jwt_secret",
            hostile().jwt_secret("secret", serde_json::json!(["exp"])),
        ),
        ("routes", hostile().routes(["mcp"])),
        ("routes", hostile().routes(["/mcp?x"])),
        ("public", hostile().public(["/health", "/a b"])),
        (
            "without",
            hostile().without(["algorithm_none", "algorithm_nun"]),
        ),
    ] {
        assert_eq!(refused.unwrap_err().setting(), setting);
    }
}

#[test]
fn attacks_have_names_of_their_own() {
    let mut names: Vec<&str> = attacks().map(|attack| attack.name()).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
    for attack in attacks() {
        let is_plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_');
        assert!(attack.name().bytes().all(is_plain), "{attack:?}");
        assert!(!attack.description().is_empty() && !attack.source().is_empty());
    }
}

/// The table in the documentation has each incident, and each name in it is one of an attack.
#[test]
fn every_incident_is_mapped() {
    let file = common::root().join("src/testing/hostile/mod.rs");
    let text = std::fs::read_to_string(file).unwrap();
    let rows = text.lines().filter_map(|line| line.strip_prefix("//! | "));
    let rows: Vec<(u32, &str)> = rows
        .filter_map(|row| row.split_once(" | "))
        .filter_map(|(number, rest)| Some((number.parse().ok()?, rest)))
        .collect();
    let numbers: Vec<u32> = rows.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, (1..=37).collect::<Vec<u32>>());
    for (number, row) in &rows {
        let last = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        let named: Vec<&str> = last.split('`').skip(1).step_by(2).collect();
        assert!(
            !named.is_empty() || last.starts_with("no request:"),
            "{number}: {last}"
        );
        for name in named {
            assert!(
                attacks().any(|attack| attack.name() == name),
                "{number}: {name}"
            );
        }
    }
}
