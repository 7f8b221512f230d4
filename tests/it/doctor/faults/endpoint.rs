//! Of the endpoint, its challenge, and what pages may read.

use http::Method;
use serde_json::json;

use super::{Seeded, edit_challenge};
use crate::doctor::server::Reply;

pub(super) const TABLE: &[Seeded] = &[
    ("404", &["endpoint_not_found"], |asked, reply| {
        if asked.is_mcp() {
            *reply = Reply::new(404);
        }
    }),
    (
        "405, as pages have it that are only read",
        &["endpoint_not_found"],
        |asked, reply| {
            if asked.is_mcp() {
                *reply = Reply::new(405);
            }
        },
    ),
    (
        "a redirect to the slash",
        &["endpoint_redirects"],
        |asked, reply| {
            if asked.is_mcp() {
                *reply = Reply::new(307).with("location", "/mcp/");
            }
        },
    ),
    ("500", &["endpoint_failing"], |asked, reply| {
        if asked.is_mcp() {
            *reply = Reply::new(500);
        }
    }),
    (
        "the host check of rmcp",
        &["host_refused"],
        |asked, reply| {
            if asked.is_mcp() {
                *reply = Reply::new(403);
                reply.body = "Forbidden: Host header is not allowed".to_owned();
            }
        },
    ),
    ("an unknown host", &["host_refused"], |asked, reply| {
        if asked.is_mcp() {
            *reply = Reply::new(421);
        }
    }),
    ("no guard", &["no_authorization"], |asked, reply| {
        if asked.is_mcp() && asked.method == Method::POST {
            *reply = Reply::json(&json!({ "jsonrpc": "2.0", "id": 1, "result": {} }));
        }
    }),
    (
        "any token is good",
        &["made_up_token_accepted"],
        |asked, reply| {
            if asked.is_mcp() && !asked.is_anonymous() {
                *reply = Reply::json(&json!({ "jsonrpc": "2.0", "id": 1, "result": {} }));
            }
        },
    ),
    (
        "a token without signature is good",
        &["made_up_token_accepted"],
        |asked, reply| {
            if asked.is_mcp() && asked.header("authorization").starts_with("Bearer eyJ") {
                *reply = Reply::json(&json!({ "jsonrpc": "2.0", "id": 1, "result": {} }));
            }
        },
    ),
    (
        "a bad token is 500",
        &["invalid_token_wrong_status"],
        |asked, reply| {
            if asked.is_mcp() && !asked.is_anonymous() {
                *reply = Reply::new(500);
            }
        },
    ),
    ("GET is open", &["method_unguarded"], |asked, reply| {
        if asked.is_mcp() && asked.method == Method::GET {
            *reply = Reply::new(200).with("content-type", "text/event-stream");
        }
    }),
    (
        "the new revision is open",
        &["method_unguarded"],
        |asked, reply| {
            if asked.header("mcp-protocol-version") == "2026-07-28" {
                *reply = Reply::json(&json!({ "jsonrpc": "2.0", "id": 1, "result": {} }));
            }
        },
    ),
    (
        "a refusal in a 200",
        &["refusal_with_200"],
        |asked, reply| {
            if asked.is_mcp() && asked.is_anonymous() && asked.method == Method::POST {
                let error = json!({ "code": -32001, "message": "Unauthorized" });
                *reply = Reply::json(&json!({ "jsonrpc": "2.0", "id": 1, "error": error }))
                    .with("access-control-allow-origin", "*");
            }
        },
    ),
    (
        "403 for 401",
        &["wrong_status_without_token"],
        |asked, reply| {
            if reply.status == 401 && asked.is_anonymous() {
                reply.status = 403;
            }
        },
    ),
    (
        "400 for 401",
        &["wrong_status_without_token"],
        |asked, reply| {
            if reply.status == 401 && asked.is_anonymous() {
                reply.status = 400;
            }
        },
    ),
    (
        "open without a token",
        &["anonymous_accepted"],
        |asked, reply| {
            if asked.is_mcp() && asked.is_anonymous() && asked.method == Method::POST {
                *reply = Reply::json(&json!({ "jsonrpc": "2.0", "id": 1, "result": {} }))
                    .with("access-control-allow-origin", "*");
            }
        },
    ),
    ("no challenge", &["challenge_missing"], |asked, reply| {
        if asked.is_mcp() {
            reply.remove("www-authenticate");
        }
    }),
    (
        "a proxy with a sign-in of its own",
        &["challenge_without_bearer"],
        |asked, reply| {
            if asked.is_mcp() {
                reply.set("www-authenticate", "Basic realm=\"x\"");
            }
        },
    ),
    (
        "an URL without quotes",
        &["challenge_malformed"],
        |asked, reply| {
            if asked.is_mcp() && reply.status == 401 {
                let url = format!("{}/.well-known/oauth-protected-resource/mcp", asked.own);
                reply.set(
                    "www-authenticate",
                    format!("Bearer resource_metadata={url}"),
                );
            }
        },
    ),
    (
        "a word between the scheme and its parameters",
        &["challenge_malformed"],
        |asked, reply| {
            edit_challenge(asked, reply, |own| own.replace("Bearer ", "Bearer Basic "));
        },
    ),
    (
        "parameters of a scheme that has a token68",
        &["challenge_malformed"],
        |asked, reply| {
            edit_challenge(asked, reply, |own| own.replace("Bearer ", "Bearer YII=, "));
        },
    ),
    (
        "no space after the scheme",
        &["challenge_malformed"],
        |asked, reply| {
            edit_challenge(asked, reply, |own| own.replace("Bearer ", "Bearer, "));
        },
    ),
    (
        "another scheme first",
        &["challenge_not_first"],
        |asked, reply| {
            edit_challenge(asked, reply, |own| format!("DPoP algs=\"ES256\", {own}"));
        },
    ),
    (
        "a description before the scope",
        &["challenge_misread"],
        |asked, reply| {
            edit_challenge(asked, reply, |own| {
                own.replace("Bearer ", "Bearer error_description=\"needs scope=x\", ")
            });
        },
    ),
    (
        "no pointer",
        &["metadata_not_in_challenge"],
        |asked, reply| {
            if asked.is_mcp() && reply.status == 401 {
                reply.set("www-authenticate", "Bearer scope=\"mcp:read\"");
            }
        },
    ),
    (
        "a pointer without origin",
        &["metadata_url_invalid"],
        |asked, reply| {
            if asked.is_mcp() && reply.status == 401 {
                let pointer =
                    "Bearer resource_metadata=\"/.well-known/oauth-protected-resource/mcp\"";
                reply.set("www-authenticate", pointer);
            }
        },
    ),
    (
        "a pointer to nowhere",
        &["metadata_pointer_broken"],
        |asked, reply| {
            edit_challenge(asked, reply, |own| {
                own.replace("/.well-known", "/wellknown")
            });
        },
    ),
    (
        "the name of the inside",
        &["metadata_url_elsewhere"],
        |asked, reply| {
            edit_challenge(asked, reply, |own| own.replace("127.0.0.1", "localhost"));
        },
    ),
    (
        "two spaces between scopes",
        &["scope_malformed"],
        |asked, reply| {
            edit_challenge(asked, reply, |own| {
                own.replace("mcp:read", "mcp:read  mcp:write")
            });
        },
    ),
    (
        "tokens in the query",
        &["token_in_query"],
        |asked, reply| {
            if asked.is_mcp() && asked.query.contains("access_token=") {
                let challenge = reply
                    .headers
                    .iter()
                    .find(|(name, _)| *name == "www-authenticate");
                let challenge = challenge
                    .unwrap()
                    .1
                    .replace("Bearer ", "Bearer error=\"invalid_token\", ");
                reply.set("www-authenticate", challenge);
            }
        },
    ),
    (
        "preflights behind the guard",
        &["cors_preflight_refused"],
        |asked, reply| {
            if asked.is_mcp() && asked.method == Method::OPTIONS {
                *reply = Reply::new(401);
            }
        },
    ),
    (
        "a star for Authorization",
        &["cors_headers_not_allowed"],
        |asked, reply| {
            if asked.method == Method::OPTIONS {
                reply.set("access-control-allow-headers", "*");
            }
        },
    ),
    (
        "CORS inside of the guard",
        &["cors_refusal_hidden"],
        |asked, reply| {
            if reply.status == 401 {
                reply.remove("access-control-allow-origin");
            }
            let _ = asked;
        },
    ),
    (
        "a challenge that pages cannot read",
        &["cors_challenge_not_exposed"],
        |asked, reply| {
            reply.remove("access-control-expose-headers");
            let _ = asked;
        },
    ),
    (
        "metadata that pages cannot read",
        &["cors_metadata_closed"],
        |asked, reply| {
            if asked.is_metadata() {
                reply.remove("access-control-allow-origin");
            }
        },
    ),
];
