//! Every method of the closed paths, and the paths beside them, without a credential.

use http::Method;

use super::attack::{Attack, Class, Refusal};
use super::kit::Kit;
use super::shot::Shot;

pub(super) const ATTACKS: &[Attack] = &[
    Attack {
        name: "other_method",
        class: Class::Routes,
        description: "every method on every closed path",
        source: "Nginx UI CVE-2026-33032; MCP 2025-11-25 Authorization, Token Handling",
        refusal: Refusal::Closed,
        shots: methods,
    },
    Attack {
        name: "options_request",
        class: Class::Routes,
        description: "OPTIONS, as a preflight and otherwise, which may not reach the handler",
        source: "Fetch section 4.8; FastMCP, agentgateway: every path of OPTIONS open",
        refusal: Refusal::Unreached,
        shots: preflights,
    },
    Attack {
        name: "sibling_route",
        class: Class::Routes,
        description: "the paths that servers have beside a closed one: /messages, /sse",
        source: "Nginx UI CVE-2026-33032",
        refusal: Refusal::Closed,
        shots: |kit| spelled(kit, siblings),
    },
    Attack {
        name: "path_spelling",
        class: Class::Routes,
        description: "a closed path with slashes, dots, semicolons, percent signs, capitals",
        source: "oauth2-proxy CVE-2025-54576, CVE-2026-41059; Oathkeeper CVE-2026-33495; \
                 grpc-go CVE-2026-33186",
        refusal: Refusal::Closed,
        shots: |kit| spelled(kit, spellings),
    },
    Attack {
        name: "public_path_disguise",
        class: Class::Routes,
        description: "a closed path that looks like an open one",
        source: "oauth2-proxy CVE-2025-54576, CVE-2026-41059",
        refusal: Refusal::Closed,
        shots: |kit| spelled(kit, disguises),
    },
];

/// The closed paths, each once.
fn closed(kit: &Kit<'_>) -> Vec<String> {
    let mut paths = vec![kit.path.clone()];
    for path in &kit.settings.routes {
        if !paths.contains(path) && !kit.settings.public.contains(path) {
            paths.push(path.clone());
        }
    }
    paths
}

fn methods(kit: &Kit<'_>) -> Vec<Shot> {
    const METHODS: [&str; 12] = [
        "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "QUERY", "PROPFIND", "MKCOL",
        "get", "X",
    ];
    let mut shots = Vec::new();
    for path in closed(kit) {
        for name in METHODS {
            let request = kit.request_to(&path);
            let (Some(request), Ok(method)) = (request, Method::from_bytes(name.as_bytes())) else {
                continue;
            };
            let shot = Shot::new(format!("{name} of a closed path"), request);
            shots.push(shot.method(method));
        }
    }
    shots
}

fn preflights(kit: &Kit<'_>) -> Vec<Shot> {
    let mut shots = Vec::new();
    for path in closed(kit) {
        let options = |label: &str| {
            let request = kit.request_to(&path)?;
            Some(Shot::new(format!("{label} of a closed path"), request).method(Method::OPTIONS))
        };
        shots.extend(options("OPTIONS"));
        shots.extend(options("a preflight").map(|shot| {
            shot.header("origin", "https://evil.example")
                .header("access-control-request-method", "POST")
                .header("access-control-request-headers", "authorization")
        }));
    }
    shots
}

/// By GET, and by the method of the good request.
fn spelled(kit: &Kit<'_>, spell: fn(&str, &[String]) -> Vec<String>) -> Vec<Shot> {
    let public = &kit.settings.public;
    let mut methods = vec![kit.settings.method.clone(), Method::GET];
    methods.dedup();
    let mut shots = Vec::new();
    for path in closed(kit) {
        for spelling in spell(&path, public) {
            if public.contains(&spelling) {
                continue;
            }
            for method in &methods {
                let Some(request) = kit.request_to(&spelling) else {
                    continue;
                };
                let shot = Shot::new(format!("beside {path}"), request);
                shots.push(shot.method(method.clone()));
            }
        }
    }
    shots
}

fn siblings(path: &str, _: &[String]) -> Vec<String> {
    const NAMES: [&str; 9] = [
        "message", "messages", "sse", "stream", "events", "rpc", "ws", "mcp", "session",
    ];
    let path = path.trim_end_matches('/');
    let parent = path.rfind('/').map_or("", |at| &path[..at]);
    let mut all = Vec::new();
    for name in NAMES {
        for base in [path, parent] {
            all.push(format!("{base}/{name}"));
        }
        if !path.is_empty() {
            all.push(format!("{path}_{name}"));
        }
    }
    all.sort_unstable();
    all.dedup();
    // The path itself has its own attacks.
    all.retain(|sibling| sibling != path);
    all
}

fn spellings(path: &str, _: &[String]) -> Vec<String> {
    let bare = path.trim_end_matches('/');
    let mut all = vec![
        "*".to_owned(),
        format!("/{path}"),
        format!("/.{path}"),
        format!("/x/..{path}"),
        format!("/x/%2e%2e{path}"),
        format!("{bare}/."),
        format!("{bare}//"),
        format!("{bare}/%2e"),
        format!("{bare};x=y"),
        format!("{bare}%00"),
        format!("{bare}%20"),
        format!("{bare}.json"),
        format!("{bare}?"),
        format!("{bare}?/.well-known/oauth-protected-resource"),
    ];
    if let Some(rest) = bare.strip_prefix('/').filter(|rest| !rest.is_empty()) {
        all.push(format!("{bare}/"));
        all.push(format!("/%2f{rest}"));
        let (first, others) = rest.split_at(rest.chars().next().map_or(0, char::len_utf8));
        all.push(format!("/%{:02x}{others}", first.as_bytes()[0]));
        all.push(format!("/%25{:02x}{others}", first.as_bytes()[0]));
        all.push(bare.to_ascii_uppercase());
    }
    all
}

fn disguises(path: &str, public: &[String]) -> Vec<String> {
    let public = public.iter().map(|open| open.trim_end_matches('/'));
    public
        .filter(|open| !open.is_empty())
        .flat_map(|open| {
            [
                format!("{open}/..{path}"),
                format!("{open}/%2e%2e{path}"),
                format!("{open}%2f..{path}"),
                format!("{open};/..{path}"),
                format!("{path}?{open}"),
                format!("{path}/..{open}/..{path}"),
                format!("{path}%23{open}"),
                format!("{path};{open}"),
            ]
        })
        .collect()
}
