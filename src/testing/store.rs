//! What an issuer remembers: clients, codes, tokens.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use serde_json::{Map, Value};

/// The most registered clients, codes, refresh tokens and ids of assertions that are kept,
/// of each; the oldest go first.
const LIMIT: usize = 1000;
/// The most opaque tokens that are kept, and the most revocations; the oldest go first.
const TOKEN_LIMIT: usize = 100_000;

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
    /// The claims, by opaque token.
    pub(super) opaque_tokens: Bounded<Map<String, Value>>,
    /// Tokens that were revoked, opaque ones and others.
    pub(super) revoked: Bounded<()>,
    /// Assertions that were used, by client id and `jti`.
    pub(super) assertions: Bounded<()>,
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
            registered: Bounded::new(LIMIT),
            codes: Bounded::new(LIMIT),
            refresh_tokens: Bounded::new(LIMIT),
            opaque_tokens: Bounded::new(TOKEN_LIMIT),
            revoked: Bounded::new(TOKEN_LIMIT),
            assertions: Bounded::new(LIMIT),
        }
    }

    pub(super) fn client(&self, id: &str) -> Option<&Client> {
        self.configured.get(id).or_else(|| self.registered.get(id))
    }

    pub(super) fn register(&mut self, id: String, client: Client) {
        self.registered.insert(id, client);
    }
}

/// A map that forgets its oldest entry when it is full.
pub(super) struct Bounded<V> {
    limit: usize,
    entries: HashMap<String, V>,
    /// The keys of the entries, in order of age.
    ages: VecDeque<String>,
}

impl<V> Bounded<V> {
    fn new(limit: usize) -> Self {
        Self {
            limit,
            entries: HashMap::new(),
            ages: VecDeque::new(),
        }
    }

    pub(super) fn insert(&mut self, key: String, value: V) {
        self.remove(&key);
        if self.ages.len() == self.limit
            && let Some(oldest) = self.ages.pop_front()
        {
            self.entries.remove(&oldest);
        }
        self.ages.push_back(key.clone());
        self.entries.insert(key, value);
    }

    pub(super) fn get(&self, key: &str) -> Option<&V> {
        self.entries.get(key)
    }

    pub(super) fn contains(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    pub(super) fn remove(&mut self, key: &str) -> Option<V> {
        let value = self.entries.remove(key)?;
        // From end to end, which happens to codes and refresh tokens only.
        self.ages.retain(|own| own != key);
        Some(value)
    }
}
