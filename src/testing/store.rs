use std::collections::{HashMap, VecDeque};
use std::time::Duration;

/// The most registered clients, codes and refresh tokens that are kept, of each; the oldest go first.
const LIMIT: usize = 1000;

/// What the issuer remembers.
pub(super) struct Store {
    /// Clients that were configured, and so are never forgotten.
    configured: HashMap<String, Client>,
    /// Clients that registered, by client id.
    registered: Bounded<Client>,
    /// By code.
    pub(super) codes: Bounded<Code>,
    /// By refresh token.
    pub(super) refresh_tokens: Bounded<Grant>,
}

/// A client that registered, or was configured.
#[derive(Clone)]
pub(super) struct Client {
    /// `None`: a public client.
    pub(super) secret: Option<String>,
    /// `None`: any on a loopback host.
    pub(super) redirect_uris: Option<Vec<String>>,
}

/// What was granted, and to whom.
#[derive(Clone)]
pub(super) struct Grant {
    pub(super) client_id: String,
    pub(super) subject: String,
    pub(super) scope: String,
    pub(super) audience: Vec<String>,
}

/// An authorization code that was not exchanged yet.
pub(super) struct Code {
    pub(super) grant: Grant,
    /// S256 of the verifier (RFC 7636 section 4.2).
    pub(super) challenge: String,
    /// As the authorization request had it.
    pub(super) redirect_uri: Option<String>,
    pub(super) expires_at: Duration,
}

impl Store {
    pub(super) fn new(clients: Vec<(String, String)>) -> Self {
        let configured = clients.into_iter().map(|(id, secret)| {
            let client = Client {
                secret: Some(secret),
                redirect_uris: None,
            };
            (id, client)
        });
        Self {
            configured: configured.collect(),
            registered: Bounded::default(),
            codes: Bounded::default(),
            refresh_tokens: Bounded::default(),
        }
    }

    pub(super) fn client(&self, id: &str) -> Option<&Client> {
        self.configured.get(id).or_else(|| self.registered.get(id))
    }

    pub(super) fn register(&mut self, id: String, client: Client) {
        self.registered.insert(id, client);
    }
}

/// A map that forgets its oldest entry when it is full. It is searched from end to end,
/// which for this size takes no longer than parsing the request.
pub(super) struct Bounded<V>(VecDeque<(String, V)>);

impl<V> Default for Bounded<V> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<V> Bounded<V> {
    pub(super) fn insert(&mut self, key: String, value: V) {
        self.remove(&key);
        if self.0.len() == LIMIT {
            self.0.pop_front();
        }
        self.0.push_back((key, value));
    }

    pub(super) fn get(&self, key: &str) -> Option<&V> {
        self.0
            .iter()
            .find(|(own, _)| own == key)
            .map(|(_, value)| value)
    }

    pub(super) fn remove(&mut self, key: &str) -> Option<V> {
        let at = self.0.iter().position(|(own, _)| own == key)?;
        self.0.remove(at).map(|(_, value)| value)
    }
}
