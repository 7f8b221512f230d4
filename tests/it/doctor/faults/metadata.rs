//! Of the metadata of the resource.

use serde_json::{Value, json};

use super::{Seeded, edit_challenge, edit_metadata};
use crate::doctor::server::{Reply, metadata};

pub(super) const TABLE: &[Seeded] = &[
    ("no metadata", &["metadata_missing"], |asked, reply| {
        if asked.is_metadata() {
            *reply = Reply::new(404);
        }
    }),
    (
        "metadata behind the guard",
        &["metadata_auth_required"],
        |asked, reply| {
            if asked.is_metadata() {
                *reply = Reply::new(401);
            }
        },
    ),
    (
        "metadata that redirect",
        &["metadata_redirects"],
        |asked, reply| {
            if asked.is_metadata() {
                *reply = Reply::new(302).with("location", "/elsewhere");
            }
        },
    ),
    (
        "metadata that fail",
        &["metadata_failing"],
        |asked, reply| {
            if asked.is_metadata() {
                *reply = Reply::new(502);
            }
        },
    ),
    (
        "a page for metadata",
        &["metadata_not_json"],
        |asked, reply| {
            if asked.is_metadata() {
                *reply = Reply::html(200);
            }
        },
    ),
    (
        "metadata as text",
        &["metadata_content_type"],
        |asked, reply| {
            if asked.is_metadata() {
                reply.set("content-type", "text/plain");
            }
        },
    ),
    (
        "a gate of revisions",
        &["metadata_version_gate"],
        |asked, reply| {
            if asked.is_metadata() && !asked.header("mcp-protocol-version").is_empty() {
                reply.status = 400;
            }
        },
    ),
    (
        "metadata at the root alone",
        &["metadata_only_at_root"],
        |asked, reply| {
            if asked.is_metadata() {
                *reply = Reply::new(404);
            } else if asked.path == "/.well-known/oauth-protected-resource" {
                *reply = Reply::json(&metadata(asked)).with("access-control-allow-origin", "*");
            } else {
                edit_challenge(asked, reply, |own| {
                    own.replace("oauth-protected-resource/mcp", "oauth-protected-resource")
                });
            }
        },
    ),
    ("two answers", &["metadata_differ"], |asked, reply| {
        if asked.path == "/.well-known/oauth-protected-resource" {
            *reply = Reply::json(&metadata(asked));
            reply.edit(|own| own["authorization_servers"] = json!(["https://other.example.com"]));
        }
    }),
    ("a null", &["metadata_null"], |asked, reply| {
        edit_metadata(asked, reply, |own| own["jwks_uri"] = Value::Null);
    }),
    ("tokens in the body", &["bearer_methods"], |asked, reply| {
        edit_metadata(asked, reply, |own| {
            own["bearer_methods_supported"] = json!(["body"]);
        });
    }),
    ("no resource", &["resource_missing"], |asked, reply| {
        edit_metadata(asked, reply, |own| own["resource"] = json!(["x"]));
    }),
    (
        "a slash at the end",
        &["resource_trailing_slash"],
        |asked, reply| {
            edit_metadata(asked, reply, |own| {
                own["resource"] = format!("{}/mcp/", asked.own).into();
            });
        },
    ),
    (
        "https behind a proxy",
        &["resource_scheme"],
        |asked, reply| {
            let own = asked.own.replace("http:", "https:");
            edit_metadata(asked, reply, |it| {
                it["resource"] = format!("{own}/mcp").into();
            });
        },
    ),
    ("another port", &["resource_port"], |asked, reply| {
        edit_metadata(asked, reply, |own| {
            own["resource"] = "http://127.0.0.1:1/mcp".into();
        });
    }),
    ("another host", &["resource_host"], |asked, reply| {
        let own = asked.own.replace("127.0.0.1", "localhost");
        edit_metadata(asked, reply, |it| {
            it["resource"] = format!("{own}/mcp").into();
        });
    }),
    (
        "the prefix of a proxy",
        &["resource_path"],
        |asked, reply| {
            edit_metadata(asked, reply, |own| {
                own["resource"] = format!("{}/a/mcp", asked.own).into();
            });
        },
    ),
    ("the origin", &["resource_wider"], |asked, reply| {
        edit_metadata(asked, reply, |own| {
            own["resource"] = asked.own.clone().into();
        });
    }),
    (
        "no authorization server",
        &["authorization_servers_missing"],
        |asked, reply| {
            edit_metadata(asked, reply, |own| own["authorization_servers"] = json!([]));
        },
    ),
    (
        "an issuer that is no URL",
        &["issuer_invalid"],
        |asked, reply| {
            edit_metadata(asked, reply, |own| {
                own["authorization_servers"] = json!(["auth"]);
            });
        },
    ),
    (
        "an issuer without TLS",
        &["issuer_insecure"],
        |asked, reply| {
            edit_metadata(asked, reply, |own| {
                own["authorization_servers"] = json!(["http://auth.example.com"]);
            });
        },
    ),
];
