//! `Actor`: who acts for the subject of a principal.

/// Who acts for the subject of a [`Principal`](super::Principal): an agent, a service.
///
/// See [`Principal::actors`](super::Principal::actors). The names mean something within their
/// issuer, or within that of the principal where the actor has none.
///
/// ```
/// use tower_mcp_auth::{Actor, Principal};
///
/// let agent = Actor::builder().subject("planner").issuer("https://agents.example.com").build();
/// let principal = Principal::builder("oauth").subject("alice").actors([agent]).build();
/// assert_eq!(principal.actors()[0].subject(), Some("planner"));
/// // Whichever actor acts for alice, the principal is alice.
/// assert_eq!(principal.id().to_string(), "oauth|sub=alice");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Actor {
    subject: Option<Box<str>>,
    issuer: Option<Box<str>>,
    client_id: Option<Box<str>>,
}

impl Actor {
    /// Starts an actor, for providers of your own and for unit tests.
    pub fn builder() -> ActorBuilder {
        ActorBuilder(Self::default())
    }

    /// The actor itself: `sub` of [`act`], or the agent identity of Entra ID.
    ///
    /// [`act`]: https://www.rfc-editor.org/rfc/rfc8693#section-4.1
    pub fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }

    /// The issuer of its names, where the credential says one.
    pub fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref()
    }

    /// The client it belongs to: `client_id` of `act`, or the blueprint of an agent identity of
    /// Entra ID. Many actors share one: for audit, and no ground to let one in.
    pub fn client_id(&self) -> Option<&str> {
        self.client_id.as_deref()
    }

    /// The actor that claims name. `None`: they name none.
    #[cfg(feature = "jwt")]
    pub(crate) fn claimed(
        subject: Option<&str>,
        issuer: Option<&str>,
        client_id: Option<&str>,
    ) -> Option<Self> {
        let actor = Self {
            subject: subject.and_then(super::named),
            issuer: issuer.and_then(super::named),
            client_id: client_id.and_then(super::named),
        };
        let is_named = actor.subject.is_some() || actor.client_id.is_some();
        is_named.then_some(actor)
    }

    /// The bytes it takes up.
    #[cfg(feature = "oauth")]
    pub(super) fn weight(&self) -> usize {
        let texts = [&self.subject, &self.issuer, &self.client_id];
        let texts = texts.into_iter().flatten().map(|text| text.len());
        size_of::<Self>() + texts.sum::<usize>()
    }
}

/// Makes an [`Actor`].
#[derive(Clone, Debug)]
#[must_use]
pub struct ActorBuilder(Actor);

impl ActorBuilder {
    /// Sets the subject. An empty one is none, as are all empty names.
    pub fn subject(mut self, subject: impl Into<String>) -> Self {
        self.0.subject = super::named(&subject.into());
        self
    }

    /// Sets the issuer.
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.0.issuer = super::named(&issuer.into());
        self
    }

    /// Sets the client.
    pub fn client_id(mut self, client_id: impl Into<String>) -> Self {
        self.0.client_id = super::named(&client_id.into());
        self
    }

    /// The finished actor.
    pub fn build(self) -> Actor {
        self.0
    }
}
