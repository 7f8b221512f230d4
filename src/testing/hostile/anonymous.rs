//! Requests without a credential, or with what is none.

use http::{Method, Version};

use super::attack::{Attack, Class, Refusal};
use super::kit::Kit;
use super::shot::Shot;

pub(super) const ATTACKS: &[Attack] = &[
    Attack {
        name: "no_credential",
        class: Class::Anonymous,
        description: "the request as it is, without a credential",
        source: "RFC 6750 section 3; Azure MCP CVE-2026-32211",
        refusal: Refusal::Challenge,
        shots: |kit| vec![kit.plain("no credential")],
    },
    Attack {
        name: "empty_credential",
        class: Class::Anonymous,
        description: "headers for credentials with nothing in them",
        source: "RFC 6750 section 3.1; fast-jwt CVE-2026-44351",
        refusal: Refusal::Malformed,
        shots: |kit| {
            kit.with_headers(&[
                ("authorization", ""),
                ("authorization", "Bearer"),
                ("authorization", "Bearer "),
                ("authorization", "DPoP "),
                ("x-api-key", ""),
            ])
        },
    },
    Attack {
        name: "garbage_credential",
        class: Class::Anonymous,
        description: "what programs send that have no token, and texts that no token is",
        source: "RFC 6750 section 3.1",
        refusal: Refusal::Malformed,
        shots: garbage,
    },
    Attack {
        name: "other_scheme",
        class: Class::Anonymous,
        description: "default passwords, and schemes that the server does not know",
        source: "RFC 9110 section 11.1",
        refusal: Refusal::Malformed,
        shots: |kit| {
            kit.with_headers(&[
                ("authorization", "Basic YWRtaW46YWRtaW4="),
                ("authorization", "Basic Og=="),
                ("authorization", "Digest username=\"admin\""),
                ("authorization", "Negotiate YIIB"),
                ("authorization", "Token admin"),
                ("authorization", "None"),
            ])
        },
    },
    Attack {
        name: "forwarded_header",
        class: Class::Anonymous,
        description: "headers by which a proxy says who asks, from where, and for what",
        source: "oauth2-proxy CVE-2025-54576, CVE-2026-40575, CVE-2026-34457; \
                 Oathkeeper CVE-2026-33494; RFC 9700 section 4.13",
        refusal: Refusal::Closed,
        shots: forwarded,
    },
    Attack {
        name: "foreign_host",
        class: Class::Anonymous,
        description: "a Host that is not the server's, or that hides a path",
        source: "Starlette CVE-2026-48710; Python SDK CVE-2025-66416; rmcp CVE-2026-42559",
        refusal: Refusal::Closed,
        shots: hosts,
    },
    Attack {
        name: "foreign_origin",
        class: Class::Anonymous,
        description: "a page of another site asks, in ways that need no preflight",
        source: "MCP 2025-11-25 Transports, Security Warning; Go SDK CVE-2026-33252",
        refusal: Refusal::Closed,
        shots: origins,
    },
    Attack {
        name: "method_override",
        class: Class::Anonymous,
        description: "a header, or a parameter, names another method",
        source: "oauth2-proxy CVE-2025-54576",
        refusal: Refusal::Closed,
        shots: overrides,
    },
    Attack {
        name: "grpc_content_type",
        class: Class::Anonymous,
        description: "the request says that it is gRPC",
        source: "grpc-go CVE-2026-33186",
        refusal: Refusal::Closed,
        shots: grpc,
    },
    Attack {
        name: "json_rpc_method",
        class: Class::Anonymous,
        description: "messages that servers answer before they ask who it is",
        source: "MCP 2025-11-25 Authorization, Token Handling",
        refusal: Refusal::Challenge,
        shots: messages,
    },
];

fn garbage(kit: &Kit<'_>) -> Vec<Shot> {
    let mut shots = kit.with_headers(&[
        ("authorization", "Bearer null"),
        ("authorization", "Bearer undefined"),
        ("authorization", "Bearer true"),
        ("authorization", "Bearer ."),
        ("authorization", "Bearer .."),
        ("authorization", "Bearer e30.e30."),
        ("authorization", "Bearer ' OR '1'='1"),
        ("authorization", "Bearer *"),
        ("authorization", "Bearer {}"),
        ("x-api-key", "null"),
        ("x-api-key", "*"),
        ("x-api-key", "' OR '1'='1"),
    ]);
    // Nothing that was sent comes back.
    let marker = Kit::marker();
    let bearer = kit.plain("a random token");
    let bearer = bearer.header("authorization", format!("Bearer {marker}"));
    shots.push(bearer.secret(&*marker));
    let key = kit.plain("a random key").header("x-api-key", &marker);
    shots.push(key.secret(&*marker));
    let broken = kit.plain("a random token in quotes");
    let broken = broken.header(
        "authorization",
        format!("Bearer \"{marker}\", x=\"{marker}"),
    );
    shots.push(broken.secret(marker));
    shots
}

fn forwarded(kit: &Kit<'_>) -> Vec<Shot> {
    let mut shots = kit.with_headers(&[
        ("x-forwarded-for", "127.0.0.1"),
        ("x-real-ip", "127.0.0.1"),
        ("forwarded", "for=127.0.0.1;host=localhost;proto=https"),
        ("x-forwarded-host", "localhost"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-user", "admin"),
        ("x-remote-user", "admin"),
        ("x-auth-request-email", "admin@localhost"),
        ("x-authenticated-user", "admin"),
        ("x-ms-client-principal-id", "admin"),
        ("x-user-id", "1"),
        ("x-client-verify", "SUCCESS"),
        ("x-internal", "true"),
        ("via", "1.1 internal"),
        ("user-agent", "kube-probe/1.30"),
        ("user-agent", "ELB-HealthChecker/2.0"),
        ("user-agent", "GoogleHC/1.0"),
    ]);
    let public = kit.settings.public.iter().map(String::as_str);
    for path in ["/health", "/", "/.well-known/x"].into_iter().chain(public) {
        for name in ["x-original-url", "x-rewrite-url", "x-forwarded-uri"] {
            let shot = kit.plain(format!("{name}: {path}"));
            shots.push(shot.header(name, path));
        }
    }
    shots
}

fn hosts(kit: &Kit<'_>) -> Vec<Shot> {
    let hosts = ["localhost", "127.0.0.1", "evil.example", "x/health?y=", ""];
    let shot = |host: &&'static str| {
        let mut shot = kit.plain(format!("host: {host:?}"));
        shot.request.headers_mut().remove("host");
        shot.header("host", host)
    };
    hosts.iter().map(shot).collect()
}

fn origins(kit: &Kit<'_>) -> Vec<Shot> {
    let origin = |origin| kit.plain("a form of another site").header("origin", origin);
    let body = &kit.settings.body;
    vec![
        origin("https://evil.example").body("text/plain", body.clone()),
        origin("null").body("text/plain", body.clone()),
        origin("https://evil.example").body("application/x-www-form-urlencoded", "a=b"),
        origin("http://localhost").body("text/plain", body.clone()),
        kit.plain("an upgrade to WebSocket")
            .method(Method::GET)
            .header("origin", "https://evil.example")
            .header("connection", "upgrade")
            .header("upgrade", "websocket"),
    ]
}

fn overrides(kit: &Kit<'_>) -> Vec<Shot> {
    let mut shots = kit.with_headers(&[
        ("x-http-method-override", "OPTIONS"),
        ("x-http-method-override", "HEAD"),
        ("x-http-method", "OPTIONS"),
        ("x-method-override", "OPTIONS"),
        ("access-control-request-method", "POST"),
    ]);
    let target = format!("{}?_method=OPTIONS", kit.path);
    let query = kit.request_to(&target);
    shots.extend(query.map(|request| Shot::new("_method in the query", request)));
    shots
}

fn grpc(kit: &Kit<'_>) -> Vec<Shot> {
    let types = [
        "application/grpc",
        "application/grpc+proto",
        "application/grpc-web",
        "application/grpc-web-text",
    ];
    let shot = |content_type: &&'static str| {
        let shot = kit.plain(*content_type).header("te", "trailers");
        let mut shot = shot.method(Method::POST).body(content_type, &[0; 5][..]);
        *shot.request.version_mut() = Version::HTTP_2;
        shot
    };
    types.iter().map(shot).collect()
}

fn messages(kit: &Kit<'_>) -> Vec<Shot> {
    let message = |method: &str| format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}"}}"#);
    let methods = [
        "initialize",
        "ping",
        "server/discover",
        "tools/list",
        "tools/call",
        "resources/read",
        "logging/setLevel",
        "notifications/initialized",
    ];
    let post = |label: String, body: String| {
        let shot = kit.plain(label).method(Method::POST);
        shot.body("application/json", body)
    };
    let mut shots: Vec<Shot> = methods
        .iter()
        .map(|method| post((*method).to_owned(), message(method)))
        .collect();
    let batch = format!("[{},{}]", message("ping"), message("tools/call"));
    shots.push(post("a batch".to_owned(), batch));
    shots.push(post("an empty batch".to_owned(), "[]".to_owned()));
    shots
}
