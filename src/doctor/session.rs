//! Presents the token to the server that was given, and to no other.

use std::sync::Arc;

use http::header::{AUTHORIZATION, RETRY_AFTER};
use http::{HeaderValue, Method, StatusCode};
use serde_json::{Value, json};

use super::client::{Answer, Call, Client, Outcome};
use super::code::Code;
use super::codes;
use super::findings::Findings;
use super::options::Options;
use super::probes::{initialize, modern, post, set};
use super::stream;
use super::token::Judged;
use crate::oauth::is_loopback;
use crate::util::challenges::Challenges;
use crate::util::quoted;

/// What servers that accept a token should have refused it for.
const NEVER_ACCEPTED: [Code; 7] = [
    codes::TOKEN_EXPIRED,
    codes::TOKEN_NOT_YET_VALID,
    codes::TOKEN_SIGNATURE,
    codes::TOKEN_ALGORITHM,
    codes::TOKEN_WRONG_KIND,
    codes::TOKEN_MALFORMED,
    codes::TOKEN_BOUND,
];

/// Presents the token, and tells what comes of it. `known`: the scopes that the server names.
pub(super) async fn look(
    client: &Arc<Client>,
    options: &Options,
    judged: &Judged,
    known: &[String],
    findings: &mut Findings,
) {
    let Some(bearer) = options.bearer() else {
        return;
    };
    if options.url.scheme() == "http" && !is_loopback(&options.url) {
        findings.add(codes::TOKEN_NOT_SENT, "plain http");
        return;
    }
    let mut first = initialize(&options.url);
    first.headers.insert(AUTHORIZATION, bearer.clone());
    let Ok(answer) = client.one(first).await else {
        findings.add(
            codes::TOKEN_CHECK_FAILING,
            "no answer to a request with the token",
        );
        return;
    };
    if judged.is_opaque {
        findings.add(codes::TOKEN_OPAQUE, "");
    }
    if !answer.status.is_success() {
        outcome(&answer, judged, findings);
    }
    let is_open = answer.status.is_success() || may_be_modern(answer.status);
    if !is_open {
        return;
    }
    let list = list(client, options, &bearer, &answer).await;
    match list {
        Ok(list) if !answer.status.is_success() && !list.status.is_success() => {
            if !outcome(&list, judged, findings) {
                let status = list.status.as_u16();
                findings.add(codes::SESSION_FAILING, format!("with the token: {status}"));
            }
        }
        Ok(list) => {
            accepted(judged, findings);
            match list.status {
                StatusCode::FORBIDDEN => forbidden(&list, "tools/list", judged, findings),
                StatusCode::TOO_MANY_REQUESTS => limited(&list, "tools/list", findings),
                _ => tools(&list, judged, known, findings),
            }
        }
        Err(failure) => findings.add(codes::SESSION_FAILING, failure.text()),
    }
}

/// Whether a server of the newest revision alone may answer so to `initialize`.
fn may_be_modern(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED
    )
}

/// What an answer that is no success says of the token; whether it says anything.
fn outcome(answer: &Answer, judged: &Judged, findings: &mut Findings) -> bool {
    let status = format!("with the token: {}", answer.status.as_u16());
    match answer.status {
        StatusCode::UNAUTHORIZED => refused(answer, judged, findings),
        StatusCode::FORBIDDEN => forbidden(answer, "with the token", judged, findings),
        _ if answer.status.is_server_error() => findings.add(codes::TOKEN_CHECK_FAILING, status),
        StatusCode::TOO_MANY_REQUESTS => limited(answer, "with the token", findings),
        other if may_be_modern(other) => return false,
        _ => findings.add(codes::SESSION_FAILING, status),
    }
    true
}

fn limited(answer: &Answer, asked: &str, findings: &mut Findings) {
    let evidence = match answer.header(RETRY_AFTER) {
        Some(after) => format!("{asked}: 429 with `Retry-After` {}", quoted(after)),
        None => format!("{asked}: 429 without `Retry-After`"),
    };
    findings.add(codes::RATE_LIMITED, evidence);
}

fn refused(answer: &Answer, judged: &Judged, findings: &mut Findings) {
    for fault in &judged.faults {
        findings.add_with(fault.code, &fault.got, fault.evidence.clone());
    }
    if judged.faults.is_empty() {
        let said = said(answer, "error_description");
        let said = said.map(|said| format!(", {said}")).unwrap_or_default();
        findings.add(codes::TOKEN_REFUSED, format!("401{said}"));
    }
}

fn forbidden(answer: &Answer, what: &str, judged: &Judged, findings: &mut Findings) {
    if said(answer, "error").as_deref() == Some("\"insufficient_scope\"") {
        let wanted = said(answer, "scope").unwrap_or_else(|| "no scope named".to_owned());
        let got = quoted(&judged.scopes.join(" "));
        findings.add(
            codes::TOKEN_SCOPE,
            format!("{what}: 403, {wanted} asked for, {got} there"),
        );
    } else {
        findings.add(codes::TOKEN_REFUSED, format!("{what}: 403"));
    }
}

/// What the challenge says, quoted.
fn said(answer: &Answer, name: &str) -> Option<String> {
    let challenges = Challenges::of(&answer.headers);
    challenges.bearer()?.param(name).map(quoted)
}

fn accepted(judged: &Judged, findings: &mut Findings) {
    for fault in &judged.faults {
        let evidence = fault.evidence.clone();
        if NEVER_ACCEPTED.contains(&fault.code) {
            findings.add(codes::BAD_TOKEN_ACCEPTED, evidence);
        } else if [codes::TOKEN_AUDIENCE, codes::TOKEN_AUDIENCE_MISSING].contains(&fault.code) {
            findings.add_with(codes::FOREIGN_AUDIENCE_ACCEPTED, &fault.got, evidence);
        }
    }
}

/// Asks for the tools, in the session that was opened or without one.
async fn list(
    client: &Arc<Client>,
    options: &Options,
    bearer: &HeaderValue,
    opened: &Answer,
) -> Outcome {
    const SESSION: &str = "mcp-session-id";
    let result = stream::answer(opened).and_then(|own| own.get("result").cloned());
    let version = result
        .as_ref()
        .and_then(|own| own.get("protocolVersion")?.as_str());
    let session = opened.headers.get(SESSION).cloned();
    let is_open = opened.status.is_success() && version.is_some();
    let with_token = |mut call: Call| {
        call.headers.insert(AUTHORIZATION, bearer.clone());
        if let Some(session) = session.as_ref().filter(|_| is_open) {
            call.headers.insert(SESSION, session.clone());
        }
        if let Some(version) = version.filter(|_| is_open) {
            set(&mut call, "mcp-protocol-version", version);
        }
        call
    };
    let answer = match is_open {
        true => {
            let ready = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
            let _ = client.one(with_token(post(&options.url, &ready))).await;
            let list = json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/list", "params": {} });
            client.one(with_token(post(&options.url, &list))).await
        }
        false => {
            client
                .one(with_token(modern(&options.url, "tools/list")))
                .await
        }
    };
    if let Some(session) = session.as_ref().filter(|_| is_open) {
        let mut end = with_token(post(&options.url, &Value::Null));
        end.method = Method::DELETE;
        end.body = bytes::Bytes::new();
        end.headers.insert(SESSION, session.clone());
        let _ = client.one(end).await;
    }
    answer
}

fn tools(answer: &Answer, judged: &Judged, known: &[String], findings: &mut Findings) {
    let message = stream::answer(answer);
    let tools = message
        .as_ref()
        .and_then(|own| own.get("result")?.get("tools"));
    let Some(tools) = tools.and_then(Value::as_array) else {
        let error = message
            .as_ref()
            .and_then(|own| own.get("error")?.get("code"));
        // A server without tools says that there is no such method.
        if error.is_some_and(|code| code == -32601) {
            findings.add(codes::LIST_EMPTY, "there is no `tools/list`");
            return;
        }
        let status = answer.status.as_u16();
        findings.add(codes::SESSION_FAILING, format!("tools/list: {status}"));
        return;
    };
    if !tools.is_empty() {
        return;
    }
    let is_lacking = |scope: &&&str| !judged.scopes.iter().any(|own| own == **scope);
    let known: Vec<&str> = known.iter().map(|own| &**own).collect();
    let lacking: Vec<&str> = known.iter().filter(is_lacking).copied().collect();
    match lacking.is_empty() || judged.is_opaque {
        true => findings.add(codes::LIST_EMPTY, "no tool"),
        false => findings.add(
            codes::LIST_EMPTY_FOR_WANT_OF_SCOPE,
            format!("the token lacks {}", quoted(&lacking.join(" "))),
        ),
    }
}
