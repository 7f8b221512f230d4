//! A refusal for scopes, and the acceptance that answers it.

use std::time::Duration;

use tower::ServiceBuilder;
use tower::layer::util::{Identity, Stack};
use tower_mcp_auth::mcp::{McpPolicy, McpScopesLayer};
use tower_mcp_auth::scopes::{RequireScopesLayer, Requirement};
use tower_mcp_auth::{Clock, JwtLayer};

use crate::telemetry::decisions::{bearer, jwt, post};
use common::{ask, clock, hs256_layer, request_to, token, trace};

type Stacked = ServiceBuilder<Stack<RequireScopesLayer, Stack<JwtLayer, Identity>>>;

fn stack(clock: &Clock) -> Stacked {
    ServiceBuilder::new()
        .layer(jwt(clock, ""))
        .layer(RequireScopesLayer::new("write").unwrap())
}

/// The `step_up` of the decision of `layer` on a request.
async fn step_up(stack: &Stacked, path: &str, authorization: &str) -> Option<String> {
    trace::start();
    ask(stack, request_to(path, &[("authorization", authorization)])).await;
    told("scopes")
}

fn told(layer: &str) -> Option<String> {
    let events = trace::take_all();
    let of_layer = events.iter().find(|event| event.field("layer") == layer);
    let event = of_layer.unwrap_or_else(|| panic!("{events:?}"));
    event.fields.get("step_up").cloned()
}

#[tokio::test]
async fn a_refusal_and_the_acceptance_after_it_have_one_id() {
    let stack = stack(&clock());
    assert_eq!(step_up(&stack, "/a", &bearer("write")).await, None);

    let asked = step_up(&stack, "/a", &bearer("read")).await.unwrap();
    assert!(asked.len() == 16 && asked.bytes().all(|byte| byte.is_ascii_hexdigit()));
    // Asked again with too little, it is the same matter still.
    let again = step_up(&stack, "/a", &bearer("read")).await;
    assert_eq!(again.as_ref(), Some(&asked));
    let granted = step_up(&stack, "/a", &bearer("write")).await;
    assert_eq!(granted.as_ref(), Some(&asked));
    // Answered is answered.
    assert_eq!(step_up(&stack, "/a", &bearer("write")).await, None);
    let another = step_up(&stack, "/a", &bearer("read")).await;
    assert_ne!(another.as_ref(), Some(&asked));
}

#[tokio::test]
async fn another_principal_and_another_operation_are_another_matter() {
    let stack = stack(&clock());
    step_up(&stack, "/a", &bearer("read")).await.unwrap();
    let bob = token(r#"{"sub":"bob","exp":1900000000,"scope":"write"}"#);
    let bob = step_up(&stack, "/a", &format!("Bearer {bob}")).await;
    assert_eq!(bob, None);
    assert_eq!(step_up(&stack, "/b", &bearer("write")).await, None);
    assert!(step_up(&stack, "/a", &bearer("write")).await.is_some());
}

#[tokio::test]
async fn a_refusal_waits_for_a_quarter_of_an_hour() {
    for (seconds, found) in [(899, true), (900, false)] {
        let clock = clock();
        let stack = stack(&clock);
        step_up(&stack, "/a", &bearer("read")).await.unwrap();
        clock.advance(Duration::from_secs(seconds));
        let granted = step_up(&stack, "/a", &bearer("write")).await;
        assert_eq!(granted.is_some(), found, "{seconds}");
    }
}

#[tokio::test]
async fn those_that_wait_are_bounded_and_the_oldest_goes_first() {
    let clock = clock();
    let stack = stack(&clock);
    let of = |number: u32, scope: &str| {
        let subject = number % 32;
        let claims = format!(r#"{{"sub":"user-{subject}","exp":1900000000,"scope":"{scope}"}}"#);
        (format!("/{number}"), format!("Bearer {}", token(&claims)))
    };
    for number in 0..=1024 {
        let (path, bearer) = of(number, "read");
        step_up(&stack, &path, &bearer).await.unwrap();
        clock.advance(Duration::from_millis(1));
    }
    for (number, is_known) in [(0, false), (1, true), (512, true), (1024, true)] {
        let (path, bearer) = of(number, "write");
        let granted = step_up(&stack, &path, &bearer).await;
        assert_eq!(granted.is_some(), is_known, "{number}");
    }
}

#[tokio::test]
async fn tools_handlers_and_the_auth_layer_itself_ask_for_scopes_as_well() {
    // A tool.
    let policy = McpPolicy::builder().tool("add", "write").unwrap();
    let stack = ServiceBuilder::new()
        .layer(hs256_layer())
        .layer(McpScopesLayer::new(policy.build().unwrap()));
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"add"}}"#;
    let mut ids = Vec::new();
    for scopes in ["read", "write"] {
        trace::start();
        ask(&stack, post(call, &bearer(scopes))).await;
        ids.push(told("mcp_scopes").expect("an id"));
    }
    assert_eq!(ids[0], ids[1]);

    // A handler.
    let layer = hs256_layer();
    let mut ids = Vec::new();
    for scopes in ["read", "write"] {
        let request = request_to("/mcp", &[("authorization", bearer(scopes))]);
        let answer = ask(&layer, request).await;
        trace::start();
        let _ = answer.principal().require("write");
        ids.push(told("handler").expect("an id"));
    }
    assert_eq!(ids[0], ids[1]);

    // The auth layer.
    let layer = jwt(&clock(), "write");
    let mut ids = Vec::new();
    for scopes in ["read", "write"] {
        trace::start();
        ask(
            &layer,
            request_to("/mcp", &[("authorization", bearer(scopes))]),
        )
        .await;
        ids.push(told("auth").expect("an id"));
    }
    assert_eq!(ids[0], ids[1]);
}

#[tokio::test]
async fn what_was_not_answered_is_forgotten_when_it_is_over() {
    let clock = clock();
    let stack = stack(&clock);
    step_up(&stack, "/a", &bearer("read")).await.unwrap();
    clock.advance(Duration::from_secs(3600));
    // Forgotten by this one, and not known anywhere any more.
    assert_eq!(step_up(&stack, "/b", &bearer("write")).await, None);
    assert_eq!(step_up(&stack, "/a", &bearer("write")).await, None);
}

/// Each refusal is of another path, which costs a client nothing.
#[tokio::test]
async fn one_principal_can_push_out_no_refusal_of_another() {
    let clock = clock();
    let stack = stack(&clock);
    let asked = step_up(&stack, "/a", &bearer("read")).await.unwrap();
    let bob = token(r#"{"sub":"bob","exp":1900000000,"scope":"read"}"#);
    let bob = format!("Bearer {bob}");
    let mut last = None;
    for number in 0..2000 {
        clock.advance(Duration::from_millis(1));
        last = step_up(&stack, &format!("/{number}"), &bob).await;
    }
    let granted = step_up(&stack, "/a", &bearer("write")).await;
    assert_eq!(granted, Some(asked));
    // Their own last one is still known.
    assert_eq!(step_up(&stack, "/1999", &bob).await, last);
}

/// Two layers of one kind, as a router and one of its routes have them.
#[tokio::test]
async fn who_passes_one_layer_has_not_answered_the_refusal_of_another() {
    let stack = ServiceBuilder::new()
        .layer(jwt(&clock(), ""))
        .layer(RequireScopesLayer::new("read").unwrap())
        .layer(RequireScopesLayer::new("write").unwrap());
    let ids = async |scopes| {
        trace::start();
        ask(
            &stack,
            request_to("/a", &[("authorization", bearer(scopes))]),
        )
        .await;
        let mut events = trace::take_all();
        events.retain(|event| event.field("layer") == "scopes");
        let ids = events.iter().map(|event| event.field("step_up").to_owned());
        ids.collect::<Vec<_>>()
    };
    let asked = ids("read").await;
    let ["", id] = [&*asked[0], &*asked[1]] else {
        panic!("{asked:?}");
    };
    assert_eq!(ids("read").await, ["", id]);
    assert_eq!(ids("read write").await, ["", id]);
}

/// RFC 9470: it is the same matter, whether scopes lacked or the sign-in.
#[tokio::test]
async fn another_sign_in_answers_a_refusal_as_more_scope_does() {
    let needs = Requirement::all(["write"]).and_then(|needs| needs.acr(["mfa"]));
    let stack = ServiceBuilder::new()
        .layer(jwt(&clock(), ""))
        .layer(RequireScopesLayer::new(needs.unwrap()).unwrap());
    let signed_in = |acr: &str, scope: &str| {
        let claims =
            format!(r#"{{"sub":"alice","exp":1900000000,"scope":"{scope}","acr":"{acr}"}}"#);
        format!("Bearer {}", token(&claims))
    };
    let asked = step_up(&stack, "/a", &signed_in("pwd", "write")).await;
    assert!(asked.is_some());
    let again = step_up(&stack, "/a", &signed_in("mfa", "read")).await;
    assert_eq!(again, asked);
    let granted = step_up(&stack, "/a", &signed_in("mfa", "write")).await;
    assert_eq!(granted, asked);
    // A caller who is no user is asked for nothing.
    let machine = token(r#"{"exp":1900000000,"scope":"write","client_id":"app"}"#);
    let machine = step_up(&stack, "/a", &format!("Bearer {machine}")).await;
    assert_eq!(machine, None);
}
