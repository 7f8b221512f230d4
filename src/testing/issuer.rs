//! The handle of a running issuer.

use std::fmt;
use std::io;
use std::sync::Arc;

use serde_json::Value;
use tokio::task::AbortHandle;

use super::behaviour::Behaviour;
use super::builder::IssuerBuilder;
use super::endpoint::Endpoint;
use super::endpoints::metadata;
use super::request::RecordedRequest;
use super::shared::Shared;
use super::token::TokenBuilder;

/// A development authorization server on a loopback port: see the [module](super).
///
/// Clones are the same server; it ends with the last of them, or with the Tokio runtime it
/// was started on.
#[derive(Clone)]
pub struct Issuer(Arc<Running>);

struct Running {
    shared: Arc<Shared>,
    server: AbortHandle,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Issuer {
    /// Starts an issuer with keys for RS256, ES256 and EdDSA on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// The port cannot be opened, or the keys cannot be made.
    ///
    /// # Panics
    /// Outside of a Tokio runtime with I/O and time enabled.
    pub async fn start() -> io::Result<Self> {
        Self::builder().start().await
    }

    /// An issuer with settings of your own.
    pub fn builder() -> IssuerBuilder {
        IssuerBuilder::new()
    }

    pub(super) fn new(shared: Arc<Shared>, server: AbortHandle) -> Self {
        Self(Arc::new(Running { shared, server }))
    }

    fn shared(&self) -> &Shared {
        &self.0.shared
    }

    /// The issuer identifier: `http://127.0.0.1:PORT`, and the path if one was set.
    pub fn url(&self) -> &str {
        &self.shared().url
    }

    /// The URL of an endpoint.
    pub fn endpoint(&self, endpoint: Endpoint) -> String {
        self.shared().paths.url(endpoint)
    }

    /// A token of this issuer: a good one, until told to lie.
    pub fn token(&self) -> TokenBuilder {
        TokenBuilder::new(Arc::clone(&self.0.shared))
    }

    /// A logout token of this issuer ([OpenID Connect Back-Channel Logout 1.0][logout]): a good one,
    /// until told to lie.
    ///
    /// It has the header `typ` `logout+jwt`, and the claims `iss`, `sub` (`alice`), `iat`, `exp`
    /// (two minutes later), `events` and a random `jti`. There is no `aud` until
    /// [`audience`](TokenBuilder::audience) names one, and no `sid` until
    /// [`claim`](TokenBuilder::claim) sets one.
    ///
    /// [logout]: https://openid.net/specs/openid-connect-backchannel-1_0.html#LogoutToken
    pub fn logout_token(&self) -> TokenBuilder {
        self.token().for_logout()
    }

    /// The key set as it is published now.
    pub fn jwks(&self) -> Value {
        self.shared().keys.jwks()
    }

    /// The metadata document ([RFC 8414], with the members OpenID Connect Discovery needs).
    ///
    /// With a member changed, and as a [`Behaviour::json`], it imitates other servers.
    ///
    /// [RFC 8414]: https://www.rfc-editor.org/rfc/rfc8414
    pub fn metadata(&self) -> Value {
        metadata::document(self.shared())
    }

    /// Publishes a new key for each algorithm and signs with these from now on. The old
    /// keys stay published, at most 100 in all.
    ///
    /// # Panics
    /// The backend cannot make a key.
    pub fn rotate(&self) {
        self.shared().keys.rotate().expect("the backend makes keys");
    }

    /// Stops publishing every key but those that sign.
    pub fn withdraw_old_keys(&self) {
        self.shared().keys.withdraw_old();
    }

    /// Stops publishing the key with this id; whether it was published.
    ///
    /// If it was the newest of its algorithm, the one before it signs again.
    pub fn withdraw_key(&self, key_id: &str) -> bool {
        self.shared().keys.withdraw(key_id)
    }

    /// Revokes a token, opaque or signed: from now on introspection answers that it is not
    /// active. The signature of a signed one stays good, which is the trouble with those.
    ///
    /// The last 100,000 revocations are remembered.
    pub fn revoke(&self, token: &str) {
        self.shared().store().revoked.insert(token.to_owned(), ());
    }

    /// The last request that an endpoint received, preflights and bodies over 64 KiB not
    /// among them; `None` if there was none.
    pub fn last_request(&self, endpoint: Endpoint) -> Option<RecordedRequest> {
        self.shared().recorder.last(endpoint)
    }

    /// How many requests an endpoint has received, CORS preflights not among them. A
    /// request counts when it has arrived, body included, whatever the endpoint then does.
    pub fn requests(&self, endpoint: Endpoint) -> usize {
        self.shared().faults.requests(endpoint)
    }

    /// Sets what an endpoint does with the requests that arrive from now on.
    pub fn set_behaviour(&self, endpoint: Endpoint, behaviour: Behaviour) {
        self.shared().faults.set(endpoint, behaviour);
    }
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issuer")
            .field("url", &self.url())
            .finish_non_exhaustive()
    }
}
