//! The endpoint without a token that counts: what it answers, and how it challenges.

use std::sync::Arc;

use http::StatusCode;
use http::header::{LOCATION, WWW_AUTHENTICATE};
use url::Url;

use super::challenge::are_scopes;
use super::client::{Answer, Client, is_private};
use super::codes;
use super::findings::Findings;
use super::options::Options;
use super::probes::Seen;
use super::report::Maker;
use super::stream;
use crate::oauth::is_loopback;
use crate::util::challenges::{Challenge, Challenges};
use crate::util::quoted;

/// What there is to know of the endpoint.
#[derive(Debug, Default)]
pub(super) struct Endpoint {
    /// Whether it makes sense to look on.
    pub(super) goes_on: bool,
    /// What leads clients to the metadata.
    pub(super) challenge: Option<Challenge>,
    /// How far the clock of the server is ahead, in seconds.
    pub(super) ahead: Option<i64>,
    pub(super) is_unseen: bool,
    /// The status without a token.
    pub(super) status: Option<StatusCode>,
}

/// Looks at the endpoint.
pub(super) async fn look(
    client: &Arc<Client>,
    options: &Options,
    findings: &mut Findings,
) -> Endpoint {
    let url = &options.url;
    if url.scheme() == "http" && !is_loopback(url) {
        findings.add(codes::PLAIN_HTTP, quoted(&options.written));
    }
    let seen = Seen::of(client, url).await;
    let mut endpoint = Endpoint::default();
    let anonymous = match &seen.anonymous {
        Ok(answer) => answer,
        Err(failure) => {
            findings.add(failure.code(), failure.text());
            endpoint.is_unseen = true;
            return endpoint;
        }
    };
    findings.maker = maker(anonymous);
    endpoint.ahead = anonymous.ahead;
    // A server of the newest revision alone may refuse `initialize` before it asks for a token.
    let anonymous = match &seen.modern {
        Ok(answer)
            if anonymous.status == StatusCode::BAD_REQUEST
                && answer.status == StatusCode::UNAUTHORIZED =>
        {
            answer
        }
        _ => anonymous,
    };
    endpoint.status = Some(anonymous.status);
    let status = |what: &str, answer: &Answer| format!("{what}: {}", answer.status.as_u16());
    let first = status("a request without a token", anonymous);
    match anonymous.status {
        StatusCode::UNAUTHORIZED => {
            look_at_challenge(anonymous, options, findings, &mut endpoint);
            look_at_others(&seen, findings);
        }
        // An endpoint serves POST: what answers 405 is a page, or of an older protocol.
        StatusCode::NOT_FOUND | StatusCode::GONE | StatusCode::METHOD_NOT_ALLOWED => {
            findings.add(codes::ENDPOINT_NOT_FOUND, first);
            return endpoint;
        }
        StatusCode::MISDIRECTED_REQUEST => {
            findings.add(codes::HOST_REFUSED, first);
            return endpoint;
        }
        StatusCode::FORBIDDEN if names_the_host(anonymous) => {
            findings.add(codes::HOST_REFUSED, first);
            return endpoint;
        }
        _ if anonymous.is_redirect() => {
            let to = anonymous.header(LOCATION).unwrap_or_default();
            findings.add(
                codes::ENDPOINT_REDIRECTS,
                format!("{first}, to {}", quoted(to)),
            );
            return endpoint;
        }
        _ if anonymous.status.is_server_error() => {
            findings.add(codes::ENDPOINT_FAILING, first);
            return endpoint;
        }
        _ if anonymous.status.is_success() => {
            if !look_at_open(anonymous, &seen, options, findings, &mut endpoint) {
                return endpoint;
            }
        }
        _ => {
            findings.add(codes::WRONG_STATUS_WITHOUT_TOKEN, first);
            endpoint.challenge = Challenges::of(&anonymous.headers).bearer().cloned();
        }
    }
    look_at_query(&seen, anonymous, findings);
    endpoint.goes_on = !findings.has(codes::API_KEYS_ONLY);
    endpoint
}

fn look_at_challenge(
    answer: &Answer,
    options: &Options,
    findings: &mut Findings,
    endpoint: &mut Endpoint,
) {
    let challenges = Challenges::of(&answer.headers);
    if !answer.headers.contains_key(WWW_AUTHENTICATE) {
        findings.add(codes::CHALLENGE_MISSING, "401 without it");
        return;
    }
    let text = quoted(&answer.list(WWW_AUTHENTICATE));
    if let Some(fault) = &challenges.fault {
        let evidence = format!("{}, in {text}", crate::util::one_line(fault, 128));
        findings.add(codes::CHALLENGE_MALFORMED, evidence);
    }
    let Some(bearer) = challenges.bearer() else {
        match challenges.list.iter().any(|own| own.is("ApiKey")) {
            true => findings.add(codes::API_KEYS_ONLY, text),
            false if challenges.fault.is_some() => {}
            false => findings.add(codes::CHALLENGE_WITHOUT_BEARER, text),
        }
        return;
    };
    if challenges
        .schemes()
        .first()
        .is_some_and(|first| !first.eq_ignore_ascii_case("bearer"))
    {
        findings.add(codes::CHALLENGE_NOT_FIRST, text.clone());
    }
    if let Some((own, name)) = bearer.misread() {
        let own = quoted(own);
        findings.add(
            codes::CHALLENGE_MISREAD,
            format!("`{name}=` stands in {own}"),
        );
    }
    if bearer.param("error").is_some() {
        let error = quoted(bearer.param("error").unwrap_or_default());
        findings.add(
            codes::CHALLENGE_ERROR_WITHOUT_TOKEN,
            format!("error {error}"),
        );
    }
    if let Some(scope) = bearer.param("scope") {
        if !are_scopes(scope) {
            findings.add(codes::SCOPE_MALFORMED, quoted(scope));
        }
        if scope.split(' ').any(|own| own == "offline_access") {
            findings.add(codes::OFFLINE_ACCESS, "in the challenge");
        }
    }
    look_at_pointer(bearer, challenges.fault.is_some(), options, findings);
    endpoint.challenge = Some(bearer.clone());
}

/// Judges what the challenge names as the place of the metadata.
fn look_at_pointer(
    bearer: &Challenge,
    is_broken: bool,
    options: &Options,
    findings: &mut Findings,
) {
    let Some(pointer) = bearer.param("resource_metadata") else {
        if !is_broken {
            findings.add(
                codes::METADATA_NOT_IN_CHALLENGE,
                "there is no `resource_metadata`",
            );
        }
        return;
    };
    let Some(url) = pointer_url(bearer) else {
        findings.add(codes::METADATA_URL_INVALID, quoted(pointer));
        return;
    };
    let own = &options.url;
    if own.scheme() == "https" && url.scheme() == "http" {
        findings.add(codes::METADATA_URL_INSECURE, quoted(pointer));
    } else if url.origin() != own.origin() {
        let inside = match is_private(&url) && !is_private(own) {
            true => ", a private address",
            false => "",
        };
        findings.add(
            codes::METADATA_URL_ELSEWHERE,
            format!("{}{inside}", quoted(pointer)),
        );
    }
}

/// What the challenge names, if it can be asked for.
pub(super) fn pointer_url(bearer: &Challenge) -> Option<Url> {
    let url: Url = bearer.param("resource_metadata")?.parse().ok()?;
    (matches!(url.scheme(), "http" | "https") && url.has_host()).then_some(url)
}

/// What else asks for no token, where the first request is refused as it should be.
fn look_at_others(seen: &Seen, findings: &mut Findings) {
    if let Ok(answer) = &seen.garbage {
        look_at_bad_token(answer, "a made-up token", findings);
    }
    for (what, outcome) in [
        ("GET of an event stream", &seen.get),
        ("a request of revision 2026-07-28", &seen.modern),
    ] {
        let Ok(answer) = outcome else { continue };
        // A page for people who come by is no way in.
        let is_mcp = answer.media_type() == "text/event-stream"
            || stream::answer(answer).is_some_and(|own| own.contains_key("result"));
        if answer.status.is_success() && is_mcp {
            let status = answer.status.as_u16();
            findings.add(codes::METHOD_UNGUARDED, format!("{what}: {status}"));
        }
    }
}

/// The answer to a made-up token.
pub(super) fn look_at_bad_token(answer: &Answer, what: &str, findings: &mut Findings) {
    let evidence = format!("{what}: {}", answer.status.as_u16());
    match answer.status {
        StatusCode::UNAUTHORIZED => {
            let challenges = Challenges::of(&answer.headers);
            let says = |own: &Challenge| own.param("error") == Some("invalid_token");
            if challenges.bearer().is_some_and(|own| !says(own)) {
                findings.add(codes::INVALID_TOKEN_NOT_SAID, evidence);
            }
        }
        StatusCode::TOO_MANY_REQUESTS => {}
        status if status.is_success() => match refuses(answer) {
            true => findings.add(codes::INVALID_TOKEN_WRONG_STATUS, evidence),
            false => findings.add(codes::MADE_UP_TOKEN_ACCEPTED, evidence),
        },
        _ => findings.add(codes::INVALID_TOKEN_WRONG_STATUS, evidence),
    }
}

/// Judges a server that answers 2xx without a token; whether to look on.
fn look_at_open(
    anonymous: &Answer,
    seen: &Seen,
    options: &Options,
    findings: &mut Findings,
    endpoint: &mut Endpoint,
) -> bool {
    let first = format!("a request without a token: {}", anonymous.status.as_u16());
    if refuses(anonymous) {
        findings.add(codes::REFUSAL_WITH_200, first);
        return true;
    }
    let Ok(garbage) = &seen.garbage else {
        findings.add(codes::ANONYMOUS_ACCEPTED, first);
        return true;
    };
    if garbage.status.is_success() && !refuses(garbage) {
        let second = format!("with a made-up one: {}", garbage.status.as_u16());
        findings.add(codes::NO_AUTHORIZATION, format!("{first}; {second}"));
        return false;
    }
    if !options.is_mixed {
        findings.add(codes::ANONYMOUS_ACCEPTED, first);
    }
    look_at_bad_token(garbage, "a made-up token", findings);
    let challenges = Challenges::of(&garbage.headers);
    if let Some(bearer) = challenges.bearer() {
        look_at_pointer(bearer, challenges.fault.is_some(), options, findings);
        endpoint.challenge = Some(bearer.clone());
    }
    true
}

/// Whether a server that answers a made-up token in the query read it there: it answers as to one
/// in the header, and not as to none.
fn look_at_query(seen: &Seen, anonymous: &Answer, findings: &mut Findings) {
    let (Ok(query), Ok(garbage)) = (&seen.query, &seen.garbage) else {
        return;
    };
    let of = |answer: &Answer| (answer.status, answer.list(WWW_AUTHENTICATE));
    let (bare, query, header) = (of(anonymous), of(query), of(garbage));
    let is_let_in = query.0.is_success() && !bare.0.is_success();
    if is_let_in || query != bare && query == header {
        let status = query.0.as_u16();
        findings.add(
            codes::TOKEN_IN_QUERY,
            format!("?access_token=… is answered like a bad token in the header: {status}"),
        );
    }
}

/// Whether a 2xx is a refusal all the same.
fn refuses(answer: &Answer) -> bool {
    const WORDS: [&str; 7] = [
        "auth",
        "token",
        "login",
        "log in",
        "sign in",
        "credential",
        "forbidden",
    ];
    let message = stream::answer(answer);
    let error = message.as_ref().and_then(|own| own.get("error"));
    let text = error.map(|error| error.to_string().to_ascii_lowercase());
    text.is_some_and(|text| WORDS.iter().any(|word| text.contains(word)))
}

/// Whether a 403 is about `Host`. The pages of proxies have the word anywhere.
fn names_the_host(answer: &Answer) -> bool {
    const SAID: [&str; 5] = [
        "host header",
        "invalid host",
        "this host",
        "host_not_allowed",
        "host not allowed",
    ];
    let body = String::from_utf8_lossy(&answer.body).to_ascii_lowercase();
    SAID.iter().any(|said| body.contains(said))
}

fn maker(answer: &Answer) -> Maker {
    let body = crate::json::object(&answer.body).unwrap_or_default();
    let is = |name: &str, start: &str| {
        let value = answer.header(name).map(str::to_ascii_lowercase);
        value.is_some_and(|value| value.starts_with(start))
    };
    if body
        .get("type")
        .is_some_and(|own| own == "authentication_error")
    {
        Maker::TowerMcpAuth
    } else if is("x-powered-by", "express") {
        Maker::Express
    } else if is("server", "uvicorn") {
        Maker::Uvicorn
    } else {
        Maker::Other
    }
}
