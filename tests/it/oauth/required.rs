//! Claims that tokens must have.

use serde_json::{Value, json};
use tower_mcp_auth::ConfigError;
use tower_mcp_auth::oauth::AuthorizationServer;

use crate::oauth::introspection::{OPAQUE, active, introspection, say_always};
use crate::oauth::support::*;

type Require = fn(AuthorizationServer) -> Result<AuthorizationServer, ConfigError>;

#[tokio::test]
async fn a_required_claim_is_equal_in_type_and_value_or_a_list_with_one_that_is() {
    let key = Key::new("a");
    let rows: Vec<(Require, Vec<Value>, Vec<Value>)> = vec![
        (
            |server| server.require_claim("c", ["mcp-users"]),
            vec![
                json!("mcp-users"),
                json!(["mcp-users"]),
                json!(["staff", "mcp-users"]),
                json!(["mcp-users", 5, null, {"a": []}]),
            ],
            vec![
                json!("MCP-users"),
                json!("mcp-users staff"),
                json!(["staff"]),
                json!([]),
                json!(""),
                json!([["mcp-users"]]),
                json!({"mcp-users": true}),
                json!([{"mcp-users": true}]),
                json!(true),
                json!(1),
                json!(null),
                json!([null]),
            ],
        ),
        (
            |server| server.require_claim("c", ["true".to_owned(), "1".to_owned()]),
            vec![json!("true"), json!("1"), json!(["1"])],
            vec![json!(true), json!(1), json!([true, 1]), json!(1.0)],
        ),
        (
            |server| server.require_claim("c", [true]),
            vec![json!(true), json!([false, true])],
            vec![
                json!(false),
                json!("true"),
                json!(1),
                json!("1"),
                json!([]),
                json!(["true"]),
            ],
        ),
        (
            |server| server.require_claim("c", [false]),
            vec![json!(false)],
            vec![json!(null), json!(0), json!(""), json!([]), json!(true)],
        ),
        (
            |server| server.require_claim("c", [17, 18]),
            vec![json!(17), json!(18), json!(17.0), json!([1, 18])],
            vec![
                json!("17"),
                json!(17.5),
                json!(-17),
                json!(1718),
                json!(true),
                json!(["17"]),
            ],
        ),
        (
            |server| server.require_claim("c", [u64::MAX]),
            vec![json!(u64::MAX)],
            vec![json!(u64::MAX - 1), json!(-1), json!(u64::MAX as f64)],
        ),
        (
            |server| server.require_claim("c", [9_007_199_254_740_993_u64]),
            vec![json!(9_007_199_254_740_993_u64)],
            vec![
                json!(9_007_199_254_740_992_u64),
                json!(9_007_199_254_740_992.0),
            ],
        ),
        (
            |server| server.require_claim("c", [-1])?.require_claim("d", ["x"]),
            vec![],
            vec![json!(-1), json!("x")],
        ),
    ];
    for (row, (require, good, bad)) in rows.into_iter().enumerate() {
        let web = Web::with_issuer(&[&key]);
        let server = require(AuthorizationServer::new(ISSUER).unwrap()).unwrap();
        let guarded = Guarded::with_server(&web, server);
        let asked = AuthorizationServer::new(ISSUER).unwrap();
        let asked = require(asked.introspection(introspection()).unwrap()).unwrap();
        let asked = Guarded::with_server(&web, asked);
        let good = good.into_iter().map(|value| (value, "accepted"));
        let bad = bad.into_iter().map(|value| (value, "claim_mismatch"));
        for (value, reason) in good.chain(bad) {
            let answer = guarded
                .bearer(&key.token_with_nulls(json!({"c": value})))
                .await;
            assert_eq!(
                answer.reason(),
                reason,
                "row {row}: {value}: {}",
                answer.detail()
            );
            asked.layer.invalidate_all();
            let mut said = active(json!({}));
            said["c"] = value.clone();
            say_always(&web, &said);
            let answer = asked.bearer(OPAQUE).await;
            assert_eq!(answer.reason(), reason, "row {row}, introspected: {value}");
        }
        let answer = guarded.bearer(&key.token(json!({}))).await;
        answer.assert(401, "claim_mismatch");
    }
}

#[test]
fn what_no_claim_can_be_is_not_required() {
    let server = || AuthorizationServer::new(ISSUER).unwrap();
    for built in [
        server().require_claim("", ["x"]),
        server().require_claim("c", Vec::<String>::new()),
        server().require_claim("c", [""]),
        server().require_claim("c", ["x", ""]),
    ] {
        assert_eq!(built.unwrap_err().setting(), "require_claim");
    }
}
