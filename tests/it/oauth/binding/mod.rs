//! Tokens that are bound to a key: what a proof must be, and what becomes of the others.
mod certificates;
mod config;
mod fapi;
mod introspected;
mod losses;
mod metadata;
mod nonces;
mod proofs;
mod replays;
mod report_only;
mod schemes;
mod targets;
mod vectors;

use http::Request;
use http_body_util::Full;
use serde_json::json;
use tower_mcp_auth::oauth::binding::{DpopMode, DpopOptions};
use tower_mcp_auth::oauth::{AuthorizationServer, OAuthLayerBuilder};
use tower_mcp_auth::testing::{DpopKey, DpopProofBuilder};
use tower_mcp_auth::{Clock, OAuthLayer};

use super::support::{Answer, Guarded, ISSUER, Key, RESOURCE, START, Web};

/// A server whose tokens may be bound, one that is, and the key of its client.
pub struct Bound {
    pub guarded: Guarded,
    pub issuer: Key,
    pub key: DpopKey,
    pub token: String,
}

pub fn server(mode: DpopMode) -> AuthorizationServer {
    AuthorizationServer::new(ISSUER).unwrap().dpop(mode)
}

impl Bound {
    pub fn new() -> Self {
        Self::with(DpopMode::Allowed, DpopOptions::new())
    }

    pub fn with(mode: DpopMode, options: DpopOptions) -> Self {
        Self::built(mode, |builder| builder.dpop_options(options))
    }

    pub fn built(mode: DpopMode, set: impl FnOnce(OAuthLayerBuilder) -> OAuthLayerBuilder) -> Self {
        let issuer = Key::new("a");
        let web = Web::with_issuer(&[&issuer]);
        let builder = OAuthLayer::builder(RESOURCE).unwrap();
        let builder = builder.authorization_server(server(mode)).unwrap();
        let clock = Clock::manual(START);
        let builder = builder.clock(clock.clone()).fetch(web);
        let guarded = Guarded::of(set(builder).build().unwrap(), clock);
        let key = DpopKey::generate();
        let token = issuer.token(json!({"cnf": {"jkt": key.thumbprint()}}));
        Self {
            guarded,
            issuer,
            key,
            token,
        }
    }

    /// A good proof for a POST to the resource.
    pub fn proof(&self) -> DpopProofBuilder {
        self.proof_for(&self.token)
    }

    pub fn proof_for(&self, token: &str) -> DpopProofBuilder {
        let proof = self.key.proof("POST", RESOURCE).access_token(token);
        proof.issued_at(self.guarded.clock.now())
    }

    /// A request with the token under `DPoP`, and this proof.
    pub async fn ask(&self, proof: &str) -> Answer {
        self.ask_with("DPoP", &self.token, &[proof]).await
    }

    pub async fn ask_with(&self, scheme: &str, token: &str, proofs: &[&str]) -> Answer {
        let mut request =
            Request::post("/mcp").header("authorization", format!("{scheme} {token}"));
        for proof in proofs {
            request = request.header("dpop", *proof);
        }
        let request = request.body(Full::default()).unwrap();
        self.guarded.ask(request).await
    }
}

/// The lines of `WWW-Authenticate`.
pub fn challenges(answer: &Answer) -> Vec<&str> {
    let lines = answer.headers.get_all("www-authenticate").iter();
    lines.map(|line| line.to_str().unwrap()).collect()
}

/// The value of a parameter in the challenge of this scheme. `None`: the challenge has none.
#[track_caller]
pub fn parameter<'a>(answer: &'a Answer, scheme: &str, name: &str) -> Option<&'a str> {
    let lines = challenges(answer);
    let line = lines
        .into_iter()
        .find(|line| line.split(' ').next() == Some(scheme));
    let line = line.unwrap_or_else(|| panic!("no challenge of {scheme}: {answer:?}"));
    let begin = format!("{name}=\"");
    let at = line.find(&format!(" {begin}"))? + begin.len() + 1;
    line[at..].split('"').next()
}

/// Refused for this reason, with this code in the challenge of DPoP and in no other one.
#[track_caller]
pub fn assert_refused(answer: &Answer, code: &str, reason: &str) {
    answer.assert(401, reason);
    assert_eq!(parameter(answer, "DPoP", "error"), Some(code), "{answer:?}");
    assert!(parameter(answer, "DPoP", "error_description").is_some());
    assert!(parameter(answer, "DPoP", "algs").unwrap().contains("ES256"));
    let lines = challenges(answer);
    if lines.len() > 1 {
        assert_eq!(parameter(answer, "Bearer", "error"), None, "{answer:?}");
    }
    assert_eq!(answer.headers["cache-control"], "no-store");
}
