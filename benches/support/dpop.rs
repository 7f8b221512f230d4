//! Clients with a key, which send a proof with each request.

use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue, Request};
use tower::Layer;
use tower_mcp_auth::OAuthLayer;
use tower_mcp_auth::auth::AuthService;
use tower_mcp_auth::oauth::OAuthProvider;
use tower_mcp_auth::oauth::binding::DpopMode;
use tower_mcp_auth::testing::DpopKey;

use super::drive::{Bare, Body, put_through, request};
use super::tokens::{Key, RESOURCE};

const DPOP: HeaderName = HeaderName::from_static("dpop");

/// How many users share the memory of used proofs: one alone does not get all of it.
const USERS: usize = 16;

pub(crate) type Guarded = AuthService<Bare, OAuthProvider>;

pub(crate) fn guarded(key: &Key) -> Guarded {
    let builder = OAuthLayer::builder(RESOURCE).unwrap();
    let server = key.server().dpop(DpopMode::Required);
    let builder = builder.authorization_server(server).unwrap();
    builder.build().unwrap().layer(Bare)
}

/// A token, and the key it is bound to.
pub(crate) struct Sender {
    client: DpopKey,
    token: String,
}

impl Sender {
    pub(crate) fn new(key: &Key, number: usize) -> Self {
        let client = DpopKey::generate();
        let token = key.bound_token(number, "jkt", client.thumbprint());
        Self { client, token }
    }

    pub(crate) fn proof(&self) -> String {
        let proof = self.client.proof("POST", RESOURCE);
        proof.access_token(&self.token).sign()
    }

    /// A request with a proof.
    pub(crate) fn with(&self, proof: &str) -> Request<Body> {
        let mut request = request(&AUTHORIZATION, &format!("DPoP {}", self.token));
        let proof = HeaderValue::from_str(proof).unwrap();
        request.headers_mut().insert(DPOP, proof);
        request
    }

    /// A request with a new proof.
    pub(crate) fn request(&self) -> Request<Body> {
        self.with(&self.proof())
    }
}

/// Uses so many proofs up, and returns the clients that took turns.
pub(crate) fn use_proofs(key: &Key, guarded: &mut Guarded, count: usize) -> Vec<Sender> {
    let senders: Vec<Sender> = (0..USERS).map(|number| Sender::new(key, number)).collect();
    for sender in senders.iter().cycle().take(count) {
        put_through(guarded, sender.request(), 200);
    }
    senders
}
