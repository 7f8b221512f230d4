//! `Requirement` and `ScopeHierarchy` as values: what they mean, and what is none.

use http::Method;
use serde_json::json;
use tower_mcp_auth::ConfigError;
use tower_mcp_auth::mcp::{McpPolicy, McpPolicyBuilder};
use tower_mcp_auth::scopes::{RequireScopesLayer, Requirement, ScopeHierarchy, Scopes};

fn hierarchy() -> ScopeHierarchy {
    ScopeHierarchy::new([("admin", ["write"]), ("write", ["read"])]).unwrap()
}

#[test]
fn settings_that_mean_nothing_are_refused() {
    assert!(RequireScopesLayer::new("").is_err());
    assert!(RequireScopesLayer::new(["two words"]).is_err());
    assert!(Requirement::any::<[&str; 0]>([]).is_err());
    for circle in [
        vec![("a", vec!["a"])],
        vec![("a", vec!["b"]), ("b", vec!["c"]), ("c", vec!["a"])],
        vec![("x", vec!["a"]), ("a", vec!["b"]), ("b", vec!["a"])],
    ] {
        let error = ScopeHierarchy::new(circle).unwrap_err();
        assert_eq!(error.setting(), "hierarchy");
    }
    assert!(ScopeHierarchy::new([("a", ["b c"])]).is_err());
}

/// What was to be filled in and came out empty must not open anything.
#[test]
fn an_empty_text_is_no_need() {
    type Build = fn(McpPolicyBuilder, &str) -> Result<McpPolicyBuilder, ConfigError>;
    let builders: [Build; 9] = [
        |policy, text| policy.baseline(text),
        |policy, text| policy.tool("delete", text),
        |policy, text| policy.prompt("p", text),
        |policy, text| policy.resource("file:///x", text),
        |policy, text| policy.method("tasks/*", text),
        |policy, text| policy.client_responses(text),
        |policy, text| policy.notifications(text),
        |policy, text| policy.http(Method::GET, text),
        |policy, text| policy.other_http_methods(text),
    ];
    for empty in ["", " ", "   ", "\t", "\n"] {
        assert!(Requirement::try_from(empty).is_err(), "{empty:?}");
        assert!(Requirement::all([empty]).is_err(), "{empty:?}");
        assert!(Requirement::any(["a", empty]).is_err(), "{empty:?}");
        assert!(Requirement::try_from([empty]).is_err(), "{empty:?}");
        assert!(
            Requirement::try_from(vec![empty.to_owned()]).is_err(),
            "{empty:?}"
        );
        assert!(RequireScopesLayer::new(empty).is_err(), "{empty:?}");
        assert!(RequireScopesLayer::new([empty]).is_err(), "{empty:?}");
        assert!(ScopeHierarchy::new([(empty, ["a"])]).is_err(), "{empty:?}");
        assert!(ScopeHierarchy::new([("a", [empty])]).is_err(), "{empty:?}");
        for (index, build) in builders.iter().enumerate() {
            let built = build(McpPolicy::builder(), empty);
            let error = built.err().unwrap_or_else(|| panic!("{index} {empty:?}"));
            assert_eq!(error.setting(), "scopes", "{error}");
            let _ = build(McpPolicy::builder(), "a").unwrap();
        }
        for needs in [
            json!(empty),
            json!([empty]),
            json!({ "all": [empty] }),
            json!({ "any": [empty] }),
        ] {
            assert!(
                serde_json::from_value::<Requirement>(needs.clone()).is_err(),
                "{needs}"
            );
            for policy in [
                json!({ "baseline": needs }),
                json!({ "tools": { "delete": needs } }),
                json!({ "prompts": { "p": needs } }),
                json!({ "resources": { "file:///x": needs } }),
                json!({ "methods": { "tasks/*": needs } }),
                json!({ "client_responses": needs }),
                json!({ "notifications": needs }),
                json!({ "http": { "GET": needs } }),
                json!({ "other_http_methods": needs }),
            ] {
                let read = serde_json::from_value::<McpPolicy>(policy.clone());
                assert!(read.is_err(), "{policy}");
            }
        }
        for hierarchy in [json!({ "a": [empty] }), json!({ empty: ["a"] })] {
            let policy = json!({ "hierarchy": hierarchy });
            assert!(
                serde_json::from_value::<McpPolicy>(policy).is_err(),
                "{hierarchy}"
            );
        }
    }
    let error = Requirement::try_from("").unwrap_err().to_string();
    assert!(
        error.contains("Requirement::none()") && error.contains("\"none\""),
        "{error}"
    );
    McpPolicy::builder()
        .tool("get", Requirement::none())
        .unwrap()
        .build()
        .unwrap();
}

/// `"deny"` would be a scope that every client is told to ask for.
#[test]
fn a_word_that_stands_for_no_scope_is_none() {
    for word in ["none", "authenticated", "deny"] {
        for needs in [json!(word), json!(format!(" {word} "))] {
            let error = serde_json::from_value::<Requirement>(needs.clone()).unwrap_err();
            let error = error.to_string();
            assert!(error.contains(&format!("{{\"{word}\": true}}")), "{error}");
            let policy = json!({ "tools": { "delete": needs } });
            assert!(
                serde_json::from_value::<McpPolicy>(policy).is_err(),
                "{word}"
            );
        }
        for needs in [
            json!([word]),
            json!({ "any": [word] }),
            json!(format!("{word} a")),
        ] {
            let scopes: Requirement = serde_json::from_value(needs).unwrap();
            assert!(!scopes.is_none(), "{word}");
        }
    }
}

/// RFC 6749 allows a comma within a scope; where it looks like a list it was meant as one.
#[test]
fn commas_do_not_separate_scopes() {
    for list in [
        "mcp:read, mcp:write",
        "mcp:read,",
        "a b,",
        ",a",
        "a ,b",
        ",",
    ] {
        let names: Vec<&str> = list.split(' ').collect();
        for error in [
            Requirement::try_from(list).unwrap_err(),
            Requirement::all(&names).unwrap_err(),
            Requirement::any(&names).unwrap_err(),
            RequireScopesLayer::new(list).unwrap_err(),
            McpPolicy::builder().tool("x", list).unwrap_err(),
            ScopeHierarchy::new([("admin", &names)]).unwrap_err(),
        ] {
            let says = error.to_string();
            assert!(
                says.contains("comma") && says.contains(r#"["a", "b"]"#),
                "{says}"
            );
        }
        assert!(serde_json::from_value::<Requirement>(json!(list)).is_err());
        assert!(serde_json::from_value::<Requirement>(json!(names)).is_err());
    }
    assert_eq!(
        Requirement::try_from("a,b c").unwrap(),
        Requirement::all(["a,b", "c"]).unwrap()
    );
    // What a token says is read as it is.
    assert_eq!("a, b".parse::<Scopes>().unwrap().as_str(), "a, b");
    assert!("".parse::<Scopes>().unwrap().is_empty());
}

#[test]
fn a_hierarchy_reaches_as_far_as_it_goes_and_no_further() {
    let hierarchy = hierarchy();
    let granted = |scopes: &str, needed| hierarchy.grants(&scopes.parse().unwrap(), needed);
    assert!(granted("admin", "read"));
    assert!(granted("x admin", "write"));
    assert!(!granted("read", "write"));
    assert!(!granted("admins", "read"));
    assert!(granted("other", "other"));
    let scopes: Scopes = "read admin other write".parse().unwrap();
    assert_eq!(hierarchy.minimal(&scopes).as_str(), "admin other");
}

#[test]
fn needs_and_hierarchies_are_read_from_values() {
    let needs = |json: &str| serde_json::from_str::<Requirement>(json);
    let all = Requirement::all(["a", "b"]).unwrap();
    assert_eq!(needs(r#""a b""#).unwrap(), all);
    assert_eq!(needs(r#"["a","b"]"#).unwrap(), all);
    assert_eq!(needs(r#"{"all":["a","b"]}"#).unwrap(), all);
    for empty in ["[]", r#"{"all":[]}"#] {
        // A list that came out empty opens nothing to anonymous callers.
        assert!(!needs(empty).unwrap().is_none(), "{empty}");
    }
    assert_eq!(needs(r#"{"none":true}"#).unwrap(), Requirement::none());
    assert_eq!(needs(r#"{"none":"true"}"#).unwrap(), Requirement::none());
    assert_eq!(needs(r#"{"deny":"true"}"#).unwrap(), Requirement::deny());
    assert_eq!(needs(r#"{"deny":true}"#).unwrap(), Requirement::deny());
    let caller = needs(r#"{"authenticated":true}"#).unwrap();
    assert_eq!(caller, Requirement::authenticated());
    assert!(!caller.is_none() && Requirement::none().is_none());
    let both = Requirement::authenticated().and(&all);
    assert_eq!(
        needs(r#"{"authenticated":true,"all":["a","b"]}"#).unwrap(),
        both
    );
    assert_eq!(
        needs(r#"{"any":["a","b"]}"#).unwrap(),
        Requirement::any(["a", "b"]).unwrap()
    );
    for bad in [
        r#"{"any":[]}"#,
        r#"{"al":["a"]}"#,
        r#"["a b"]"#,
        r#"{"deny":true,"all":["a"]}"#,
        r#"{"deny":false}"#,
        r#"{"none":false}"#,
        r#"{"none":"false"}"#,
        r#"{"none":"yes"}"#,
        r#"{"none":"true","deny":"true"}"#,
        r#"{"none":true,"deny":true}"#,
        r#"{"none":true,"all":["a"]}"#,
        r#"{"none":true,"authenticated":true}"#,
        r#"{"deny":true,"authenticated":true}"#,
        r#"{"authenticated":false}"#,
        r#"{"none":true,"any":["a"]}"#,
        "{}",
        "7",
    ] {
        assert!(needs(bad).is_err(), "{bad}");
    }
    assert!(serde_json::from_str::<ScopeHierarchy>(r#"{"a":["b"],"a":["c"]}"#).is_err());
    assert!(serde_json::from_str::<ScopeHierarchy>(r#"{"a":["a"]}"#).is_err());
}
