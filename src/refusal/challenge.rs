//! What a server asks of a client that is refused: data only, written by `refusal`.

use std::borrow::Cow;
use std::sync::{Arc, PoisonError, RwLock};

use crate::requirement::{AskedScopes, to_announce};
use crate::resource::Resource;
use crate::scope::Scopes;

/// One authentication scheme a refused client is told about, in a line of
/// `WWW-Authenticate` of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    pub(crate) scheme: Scheme,
    pub(crate) realm: Option<Cow<'static, str>>,
    pub(crate) message: Option<Cow<'static, str>>,
    /// Whether the message is for credentials that were presented, and are bad.
    pub(crate) message_of_bad_ones: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// An access token: `Bearer`, or, where there are algorithms of proofs, `DPoP`.
    Token {
        algs: Option<Cow<'static, str>>,
        resource_metadata: Option<Cow<'static, str>>,
        scopes: Scopes,
        /// What the metadata advertise, where they are a document of this crate.
        advertised: Option<Advertised>,
    },
    ApiKey {
        header: Cow<'static, str>,
    },
}

impl Challenge {
    /// The `Bearer` scheme of [RFC 6750](https://www.rfc-editor.org/rfc/rfc6750#section-3).
    pub fn bearer() -> Self {
        Self {
            scheme: Scheme::Token {
                algs: None,
                resource_metadata: None,
                scopes: Scopes::default(),
                advertised: None,
            },
            realm: None,
            message: None,
            message_of_bad_ones: false,
        }
    }

    /// The same for the `DPoP` scheme of
    /// [RFC 9449](https://www.rfc-editor.org/rfc/rfc9449#section-7.1), with proofs signed by
    /// one of these algorithms, separated by spaces.
    #[cfg(feature = "oauth")]
    pub(crate) fn with_proofs(mut self, algorithms: impl Into<Cow<'static, str>>) -> Self {
        if let Scheme::Token { algs, .. } = &mut self.scheme {
            *algs = Some(algorithms.into());
        }
        self
    }

    /// A key in the header `header`, written `ApiKey realm="…", header="…"`.
    pub fn api_key(header: impl Into<Cow<'static, str>>) -> Self {
        Self {
            scheme: Scheme::ApiKey {
                header: header.into(),
            },
            realm: None,
            message: None,
            message_of_bad_ones: false,
        }
    }

    /// Adds a `realm`.
    #[must_use]
    pub fn realm(mut self, realm: impl Into<Cow<'static, str>>) -> Self {
        self.realm = Some(realm.into());
        self
    }

    /// Adds the URL of the protected resource metadata
    /// ([RFC 9728 section 5.1](https://www.rfc-editor.org/rfc/rfc9728#section-5.1));
    /// `Bearer` only.
    #[must_use]
    pub fn resource_metadata(mut self, url: impl Into<Cow<'static, str>>) -> Self {
        if let Scheme::Token {
            resource_metadata, ..
        } = &mut self.scheme
        {
            *resource_metadata = Some(url.into());
        }
        self
    }

    /// Adds the scopes to ask for where the refusal itself names none; `Bearer` only.
    #[must_use]
    pub fn scopes(mut self, needed: Scopes) -> Self {
        if let Scheme::Token { scopes, .. } = &mut self.scheme {
            *scopes = needed;
        }
        self
    }

    /// Takes metadata URL and scopes from a resource, where it has none of its own.
    pub(crate) fn fill_in(&mut self, resource: &Resource) {
        if let Scheme::Token {
            resource_metadata,
            scopes,
            ..
        } = &mut self.scheme
        {
            if let (None, Some(url)) = (&resource_metadata, resource.metadata()) {
                *resource_metadata = Some(url.to_string().into());
            }
            if scopes.is_empty() {
                *scopes = resource.asked_scopes().clone();
            }
        }
    }

    /// Names the metadata and the scopes of a resource in the place of its own.
    pub(crate) fn lead_to(&mut self, resource: &Resource) {
        if let Scheme::Token {
            resource_metadata,
            scopes,
            advertised,
            ..
        } = &mut self.scheme
        {
            (*resource_metadata, *scopes) = (None, Scopes::none());
            if let Some(advertised) = advertised {
                *advertised = advertised.of(resource.supported_scopes().cloned());
            }
        }
        self.fill_in(resource);
    }

    /// Names the metadata that advertise these scopes.
    #[cfg(feature = "oauth")]
    pub(crate) fn with_advertised(mut self, document: Advertised) -> Self {
        if let Scheme::Token { advertised, .. } = &mut self.scheme {
            *advertised = Some(document);
        }
        self
    }

    /// Tells clients of the scopes that layers further in ask for, where the challenge leads to
    /// metadata of this crate. What was set by hand stays.
    pub(crate) fn announce(&mut self, asked: &[AskedScopes]) {
        let Scheme::Token {
            scopes,
            advertised: Some(advertised),
            ..
        } = &self.scheme
        else {
            return;
        };
        if asked.is_empty() {
            return;
        }
        let all = asked
            .iter()
            .fold(required(scopes, asked), |all, asked| all.union(&asked.all));
        advertised.announce(&to_announce(&all));
        self.ask_for(asked);
    }

    /// The same for another resource of a layer that announced them.
    pub(crate) fn ask_for(&mut self, asked: &[AskedScopes]) {
        let Scheme::Token {
            scopes,
            advertised: Some(advertised),
            ..
        } = &mut self.scheme
        else {
            return;
        };
        if asked.is_empty() {
            return;
        }
        let required = to_announce(&required(scopes, asked));
        *scopes = match advertised.by_hand() {
            _ if !required.is_empty() => required,
            // Who advertises the few that a client needs at first means these: a challenge
            // that named others would keep clients from looking there.
            Some(by_hand) if !by_hand.is_empty() => by_hand.clone(),
            _ => {
                let mut least = asked.iter().map(|asked| asked.least.clone());
                least.find(|least| !least.is_empty()).unwrap_or_default()
            }
        };
    }

    /// Whether it names this scope where the refusal itself names none.
    pub(crate) fn asks_for(&self, scope: &str) -> bool {
        match &self.scheme {
            Scheme::Token { scopes, .. } => scopes.contains(scope),
            Scheme::ApiKey { .. } => false,
        }
    }

    /// The scopes that clients learn of before they are refused for one, if it leads them to
    /// metadata of this crate.
    pub(crate) fn learnable(&self) -> Option<Scopes> {
        let Scheme::Token {
            scopes,
            advertised: Some(advertised),
            ..
        } = &self.scheme
        else {
            return None;
        };
        Some(scopes.union(&advertised.scopes()))
    }

    /// Whether it leads a client to an authorization server.
    pub(crate) fn names_metadata(&self) -> bool {
        let Scheme::Token {
            resource_metadata, ..
        } = &self.scheme
        else {
            return false;
        };
        resource_metadata.is_some()
    }

    /// The challenges of two providers, each scheme once and `Bearer` first: the first one
    /// speaks for the server in the body as well. Of two `Bearer` challenges the one that
    /// names metadata stays, since a client can act on that alone; keys in different headers
    /// are told of each.
    pub(crate) fn merged(left: Vec<Self>, right: Vec<Self>) -> Vec<Self> {
        let mut merged: Vec<Self> = Vec::new();
        for challenge in left.into_iter().chain(right) {
            match merged.iter_mut().find(|kept| kept.stands_for(&challenge)) {
                Some(kept) if challenge.names_metadata() && !kept.names_metadata() => {
                    *kept = challenge;
                }
                Some(_) => {}
                None => merged.push(challenge),
            }
        }
        merged.sort_by_key(Self::rank);
        merged
    }

    /// Its place among the lines: some clients read the first one alone, and know `Bearer`.
    pub(super) fn rank(&self) -> u8 {
        match &self.scheme {
            Scheme::Token { algs: None, .. } => 0,
            Scheme::Token { algs: Some(_), .. } => 1,
            Scheme::ApiKey { .. } => 2,
        }
    }

    /// Whether it asks for a token as the scheme of a request has it: with a proof, or without.
    pub(super) fn is_of_tokens(&self, by_proof: bool) -> bool {
        matches!(&self.scheme, Scheme::Token { algs, .. } if algs.is_some() == by_proof)
    }

    /// The same message, but not for a request without a credential.
    #[must_use]
    pub(crate) fn of_bad_credentials(mut self) -> Self {
        self.message_of_bad_ones = true;
        self
    }

    /// Whether one line is enough for both.
    pub(super) fn stands_for(&self, other: &Self) -> bool {
        match (&self.scheme, &other.scheme) {
            (Scheme::Token { algs: one, .. }, Scheme::Token { algs: other, .. }) => {
                one.is_some() == other.is_some()
            }
            (Scheme::ApiKey { header: one }, Scheme::ApiKey { header: two }) => {
                one.eq_ignore_ascii_case(two)
            }
            _ => false,
        }
    }

    /// Sets the one text the `error` member of the JSON body holds at every 401.
    ///
    /// Without it the body holds the error code of RFC 6750 and a description. The first
    /// challenge of a provider decides.
    #[must_use]
    pub fn message(mut self, message: impl Into<Cow<'static, str>>) -> Self {
        self.message = Some(message.into());
        self
    }
}

/// What every caller needs: of the resource, and of layers further in.
fn required(scopes: &Scopes, asked: &[AskedScopes]) -> Scopes {
    asked
        .iter()
        .fold(scopes.clone(), |all, asked| all.union(&asked.lacking(&all)))
}

/// The scopes that a document of metadata advertises. Clones share those that were announced:
/// all documents of a layer, whichever service serves them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Advertised {
    by_hand: Option<Scopes>,
    announced: Arc<RwLock<Scopes>>,
}

impl Advertised {
    /// With the scopes that were set by hand, none of them included: then no others come in.
    #[cfg(feature = "oauth")]
    pub(crate) fn new(by_hand: Option<Scopes>) -> Self {
        Self {
            by_hand,
            announced: Arc::default(),
        }
    }

    /// Those of another resource of the layer.
    pub(crate) fn of(&self, by_hand: Option<Scopes>) -> Self {
        Self {
            by_hand,
            announced: Arc::clone(&self.announced),
        }
    }

    fn by_hand(&self) -> Option<&Scopes> {
        self.by_hand.as_ref()
    }

    fn announce(&self, scopes: &Scopes) {
        if self.by_hand().is_some() {
            return;
        }
        let announced = self.announced.write();
        let mut announced = announced.unwrap_or_else(PoisonError::into_inner);
        *announced = announced.union(scopes);
    }

    /// What the document advertises.
    pub(crate) fn scopes(&self) -> Scopes {
        if let Some(by_hand) = self.by_hand() {
            return by_hand.clone();
        }
        let announced = self.announced.read();
        announced.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl PartialEq for Advertised {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.announced, &other.announced) && self.by_hand == other.by_hand
    }
}

impl Eq for Advertised {}
