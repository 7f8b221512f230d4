//! The one call: all attacks on a service, one after the other.

use std::fmt::Display;
use std::future::poll_fn;

use bytes::{Buf, Bytes};
use http::{HeaderMap, HeaderName, Request, Response};
use http_body::Body;
use http_body_util::BodyExt;
use tokio::time::{Duration, timeout};
use tower_service::Service;
use url::Url;

use super::attack::{Attack, attacks};
use super::judge::{NoAnswer, Outcome, Verdict, is_admitted, judge};
use super::kit::{Credential, Kit};
use super::probe::{Probe, Seen};
use super::report::{Control, Finding, Report};
use super::settings::Hostile;
use super::shot::{RequestBody, Shot};
use super::trap::Trap;
use super::wire::{Wire, address};
use crate::error::ConfigError;

/// The most of a body that is looked at.
const MAX_BODY: usize = 64 * 1024;
/// A good answer may stream for as long as its server likes.
const GLANCE: Duration = Duration::from_secs(1);

/// Where the attacks go.
pub(super) trait Target {
    async fn send(&mut self, request: Request<Bytes>) -> Outcome;
}

impl Hostile {
    /// A handler that tells the report what reached it: see [`Probe`].
    ///
    /// It knows the API keys, and the one good token of these settings: the [`Hostile`] that
    /// attacks must be this one, or a clone.
    pub fn probe(&self) -> Probe {
        let kit = self.kit(self.host(), self.resource.path().to_owned());
        Probe::new(kit.credentials.into_iter().map(|good| good.secret))
    }

    /// Sends every attack to a service, which is cloned for each of them, one after the other; for
    /// the whole of a server, see [`attack_url`](Self::attack_url).
    ///
    /// # Panics
    /// Outside of a Tokio runtime with I/O and time enabled.
    pub async fn attack<S, B>(&self, service: S) -> Report
    where
        S: Service<Request<RequestBody>, Response = Response<B>> + Clone,
        S::Error: Display,
        B: Body,
    {
        let kit = self.kit(self.host(), self.resource.path().to_owned());
        run(kit, &mut InProcess(service), self.resource_text.clone()).await
    }

    /// Sends every attack to a server, to the path of `url`, over HTTP/1.1 and a connection for
    /// each.
    ///
    /// The name that `Host` holds is the one in `url`. The server may run anywhere on this machine.
    ///
    /// # Errors
    /// `url` is no `http` or `https` URL; or it is none of a loopback address, and
    /// [`i_run_this_server`](Self::i_run_this_server) was not called, or it is not `https`.
    ///
    /// # Panics
    /// Outside of a Tokio runtime with I/O and time enabled.
    pub async fn attack_url(&self, url: &str) -> Result<Report, ConfigError> {
        let refuse = |why: String| ConfigError::new("url", why);
        let parsed = Url::parse(url).map_err(|error| refuse(format!("it is no URL: {error}")))?;
        let mut wire = Wire::new(&parsed, self.is_mine)?;
        let kit = self.kit(address(&parsed), parsed.path().to_owned());
        Ok(run(kit, &mut wire, url.to_owned()).await)
    }

    fn kit(&self, host: String, path: String) -> Kit<'_> {
        Kit::new(self, host, path)
    }

    fn host(&self) -> String {
        address(&self.resource)
    }
}

struct InProcess<S>(S);

impl<S, B> Target for InProcess<S>
where
    S: Service<Request<RequestBody>, Response = Response<B>> + Clone,
    S::Error: Display,
    B: Body,
{
    async fn send(&mut self, request: Request<Bytes>) -> Outcome {
        let mut service = self.0.clone();
        let ready = poll_fn(|context| service.poll_ready(context)).await;
        ready.map_err(failed)?;
        let response = service.call(request.map(RequestBody::new)).await;
        let response = response.map_err(failed)?;
        Ok(collected(response).await)
    }
}

fn failed(error: impl Display) -> NoAnswer {
    NoAnswer::Other(format!("the service failed: {error}"))
}

/// The answer with so much of its body as there is of it soon.
pub(super) async fn collected<B: Body>(response: Response<B>) -> Response<Bytes> {
    let (parts, body) = response.into_parts();
    let mut read = Vec::new();
    let reading = async {
        let mut body = Box::pin(body);
        while read.len() < MAX_BODY
            && let Some(Ok(frame)) = body.frame().await
        {
            if let Ok(mut data) = frame.into_data() {
                read.extend_from_slice(&data.copy_to_bytes(data.remaining()));
            }
        }
    };
    // What streams is looked at for a moment only.
    let _ = timeout(GLANCE, reading).await;
    Response::from_parts(parts, read.into())
}

async fn run(mut kit: Kit<'_>, target: &mut impl Target, name: String) -> Report {
    let trap = Trap::start(kit.forge).await;
    kit.trap = trap.as_ref().map(Trap::url).unwrap_or_default();
    let mut report = Report {
        target: name,
        controls: Vec::new(),
        findings: Vec::new(),
        left_out: kit.settings.left_out.clone(),
        has_probe: false,
    };
    for credential in kit.credentials.clone() {
        let control = control(&mut kit, target, &credential, &mut report.has_probe).await;
        report.controls.push(control);
    }
    for attack in attacks() {
        if kit.settings.left_out.iter().any(|name| name == attack.name) {
            continue;
        }
        for shot in (attack.shots)(&kit) {
            let finding = fire(&kit, target, attack, shot, trap.as_ref()).await;
            report.findings.push(finding);
        }
    }
    // Nothing that was sent may have spoilt what is good.
    for credential in kit.credentials.clone() {
        let mut control = control(&mut kit, target, &credential, &mut report.has_probe).await;
        control.what.push_str(" after the attacks");
        report.controls.push(control);
    }
    report
}

/// Sends a good credential, and takes the nonce and the session that it is answered with.
async fn control(
    kit: &mut Kit<'_>,
    target: &mut impl Target,
    credential: &Credential,
    has_probe: &mut bool,
) -> Control {
    let mut outcome = send(kit, target, kit.admitted("", credential).request).await;
    let nonce = |outcome: &Outcome| {
        let response = outcome.as_ref().ok()?;
        text(response.headers(), "dpop-nonce")
    };
    if let (Some(nonce), true) = (nonce(&outcome), kit.proving.is_some()) {
        kit.nonce = Some(nonce);
        outcome = send(kit, target, kit.admitted("", credential).request).await;
    }
    let (is_admitted, answer) = match &outcome {
        Ok(response) => (is_admitted(response), response.status().to_string()),
        Err(why) => (false, why.to_string()),
    };
    if let Ok(response) = &outcome {
        *has_probe |= Seen::in_headers(response.headers()).is_some();
        if credential.kind == "access token" && kit.session.is_none() {
            kit.session = text(response.headers(), "mcp-session-id");
        }
    }
    Control {
        what: format!("the good {}", credential.kind),
        is_admitted,
        answer,
    }
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    Some(headers.get(name)?.to_str().ok()?.to_owned())
}

async fn fire(
    kit: &Kit<'_>,
    target: &mut impl Target,
    attack: &'static Attack,
    shot: Shot,
    trap: Option<&Trap>,
) -> Finding {
    let Shot {
        label,
        before,
        request,
        secrets,
    } = shot;
    for request in before {
        let _ = send(kit, target, request).await;
    }
    let good = kit.credentials.iter().map(|good| good.secret.as_str());
    let secrets: Vec<&str> = secrets.iter().map(String::as_str).chain(good).collect();
    let sent = sent(&request, &secrets);
    let fetched = trap.map_or(0, Trap::fetched);
    let outcome = send(kit, target, request).await;
    let (mut verdict, mut answer) = judge(attack.refusal, &outcome, &secrets);
    if trap.map_or(0, Trap::fetched) != fetched {
        verdict = Verdict::Fetched;
        answer.push_str("; a URL in the token was fetched");
    }
    Finding {
        attack,
        variant: label.into_owned(),
        sent,
        status: outcome.ok().map(|response| response.status()),
        verdict,
        answer,
    }
}

async fn send(kit: &Kit<'_>, target: &mut impl Target, request: Request<Bytes>) -> Outcome {
    let patience = kit.settings.patience;
    match timeout(patience, target.send(request)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(NoAnswer::Other(format!("no answer within {patience:?}"))),
    }
}

/// The request, without what is secret in it.
fn sent(request: &Request<Bytes>, secrets: &[&str]) -> String {
    let mut target = request.uri().to_string();
    for secret in secrets {
        target = target.replace(secret, "[credential]");
    }
    const USUAL: [&str; 3] = ["host", "content-type", "accept"];
    let headers = request.headers();
    let names = headers.keys().map(HeaderName::as_str);
    let headers: Vec<String> = names
        .filter(|name| !USUAL.contains(name))
        .map(|name| match headers.get_all(name).iter().count() {
            1 => name.to_owned(),
            count => format!("{name} x{count}"),
        })
        .collect();
    match headers.is_empty() {
        true => format!("{} {target}", request.method()),
        false => format!("{} {target} with {}", request.method(), headers.join(", ")),
    }
}
