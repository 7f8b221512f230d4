//! Answers that code of an application brings.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use tower_mcp_auth::oauth::{
    Fetch, Introspect, IntrospectFuture, IntrospectionError, IntrospectionResponse,
};

use super::*;

/// Code that hands on all that a server said.
#[derive(Debug)]
struct HandsOn(Result<Map<String, Value>, IntrospectionError>);

impl Introspect for HandsOn {
    fn introspect(&self, _: &str, _: Arc<dyn Fetch>) -> IntrospectFuture {
        let said = self.0.clone();
        Box::pin(async { said.map(IntrospectionResponse::active) })
    }
}

fn hands_on(said: &Value) -> AuthorizationServer {
    let said = said.as_object().unwrap().clone();
    server(Introspection::custom(HandsOn(Ok(said))))
}

#[tokio::test]
async fn claims_that_say_inactive_are_not_active() {
    for said in [
        json!(false),
        json!("true"),
        json!("false"),
        json!(null),
        json!(1),
        json!([true]),
        json!({"active": true}),
    ] {
        let mut whole = active(json!({}));
        whole["active"] = said.clone();
        let alone = json!({"active": said});
        for server in [
            hands_on(&whole),
            hands_on(&alone).introspection_without_audience(),
        ] {
            let guarded = Guarded::with_server(&Web::new(), server);
            guarded.bearer(OPAQUE).await.assert(401, "inactive_token");
        }
        let claims = whole.as_object().unwrap().clone();
        let debug = format!("{:?}", IntrospectionResponse::active(claims));
        assert_eq!(debug, "IntrospectionResponse { active: false, .. }");
    }
    // Servers that do not speak RFC 7662 have no such member.
    let mut without = active(json!({}));
    without.as_object_mut().unwrap().remove("active");
    for said in [active(json!({})), without] {
        let guarded = Guarded::with_server(&Web::new(), hands_on(&said));
        guarded.bearer(OPAQUE).await.assert(200, "accepted");
    }
}

#[tokio::test]
async fn code_of_your_own_says_that_our_credentials_are_refused() {
    let refused = IntrospectionError::credentials_refused("no");
    let server = server(Introspection::custom(HandsOn(Err(refused))));
    let guarded = Guarded::with_server(&Web::new(), server);
    let first = guarded.bearer("opaque-token-number-0").await;
    first.assert(503, "introspection_refused");
    guarded
        .bearer("opaque-token-number-1")
        .await
        .assert(503, "introspection_failed");
}
