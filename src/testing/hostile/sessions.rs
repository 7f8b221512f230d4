//! Sessions of MCP: an id is no credential, and a session is one principal's.

use http::Method;

use super::attack::{Attack, Class, Refusal};
use super::kit::Kit;
use super::shot::Shot;

pub(super) const ATTACKS: &[Attack] = &[
    Attack {
        name: "session_guessed",
        class: Class::Session,
        description: "an id of a session instead of a credential",
        source: "MCP 2025-11-25 Security Best Practices, Session Hijacking",
        refusal: Refusal::Challenge,
        shots: guessed,
    },
    Attack {
        name: "session_without_credential",
        class: Class::Session,
        description: "the id of a session that exists, without a credential",
        source: "Python SDK CVE-2026-52869; TypeScript SDK CVE-2026-25536",
        refusal: Refusal::Challenge,
        shots: |kit| {
            let session = kit.session.as_deref();
            session.map_or_else(Vec::new, |session| in_session(kit, session, None))
        },
    },
    Attack {
        name: "session_of_other_principal",
        class: Class::Session,
        description: "the id of a session that exists, with a good token of another user",
        source: "Python SDK CVE-2026-52869; MCP Security Best Practices, Session Hijacking",
        refusal: Refusal::Closed,
        shots: of_other,
    },
];

fn guessed(kit: &Kit<'_>) -> Vec<Shot> {
    const IDS: [&str; 5] = [
        "1",
        "null",
        "00000000-0000-0000-0000-000000000000",
        "*",
        "../1",
    ];
    let ids = IDS.into_iter();
    ids.flat_map(|id| in_session(kit, id, None)).collect()
}

fn of_other(kit: &Kit<'_>) -> Vec<Shot> {
    let (Some(session), Some(forge)) = (&kit.session, kit.forge) else {
        return Vec::new();
    };
    let other = forge
        .draft()
        .claim("sub", "mallory")
        .claim("jti", Kit::marker());
    in_session(kit, session, Some(&other.sign()))
}

/// A message, the stream, its resumption, and the end: the last of them ends the session.
fn in_session(kit: &Kit<'_>, session: &str, token: Option<&str>) -> Vec<Shot> {
    const LIST: &str = r#"{"jsonrpc":"2.0","id":2,"method":"tools/list"}"#;
    let shot = |label: &'static str| {
        let shot = match token {
            Some(token) => kit.with_token(label, token),
            None => kit.plain(label),
        };
        shot.header("mcp-session-id", session)
            .header("mcp-protocol-version", "2025-11-25")
    };
    let as_method = |shot: Shot, method: Method| {
        let Some(token) = token else {
            return shot.method(method);
        };
        // A proof is for one method.
        let proof = kit.proof(&method, token);
        let mut shot = shot.method(method);
        if let Some(proof) = proof {
            shot.request.headers_mut().remove("dpop");
            shot = shot.header("dpop", proof.sign());
        }
        shot
    };
    vec![
        as_method(shot("a message"), Method::POST).body("application/json", LIST),
        as_method(shot("its stream"), Method::GET),
        as_method(shot("its stream, resumed"), Method::GET).header("last-event-id", "0"),
        as_method(shot("its end"), Method::DELETE),
    ]
}
