//! A provider of the tests' own.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tower_mcp_auth::Clock;
use tower_mcp_auth::provider::*;

/// An error of a provider, of the kind [`Invalid`](AuthErrorKind::Invalid).
pub fn invalid(code: &'static str) -> AuthError {
    AuthError::new(Reason::custom(AuthErrorKind::Invalid, code))
}

type Answers = dyn Fn(&Credential<'_>) -> Authentication + Send + Sync;

/// Answers what it is told to.
#[derive(Clone)]
pub struct Answering {
    pub locations: Vec<Location>,
    pub challenges: Vec<Challenge>,
    pub resource_path: Option<&'static str>,
    clock: Clock,
    asked: Arc<AtomicUsize>,
    answers: Arc<Answers>,
}

impl Answering {
    pub fn new(
        answers: impl Fn(&Credential<'_>) -> Authentication + Send + Sync + 'static,
    ) -> Self {
        Self {
            locations: vec![Location::bearer()],
            challenges: vec![Challenge::bearer()],
            resource_path: None,
            clock: Clock::system(),
            asked: Arc::default(),
            answers: Arc::new(answers),
        }
    }

    /// Accepts everyone, as the subject `alice`.
    pub fn accepting() -> Self {
        Self::new(|_| Authentication::Ready(Ok(alice())))
    }

    /// Refuses everyone for this reason.
    pub fn refusing(error: AuthError) -> Self {
        Self::new(move |_| Authentication::Ready(Err(error.clone())))
    }

    #[must_use]
    pub fn locations(mut self, locations: impl IntoIterator<Item = Location>) -> Self {
        self.locations = locations.into_iter().collect();
        self
    }

    #[must_use]
    pub fn challenges(mut self, challenges: impl IntoIterator<Item = Challenge>) -> Self {
        self.challenges = challenges.into_iter().collect();
        self
    }

    #[must_use]
    pub fn resource_path(mut self, path: &'static str) -> Self {
        self.resource_path = Some(path);
        self
    }

    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// How often it was asked, by any clone.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

pub fn alice() -> Authenticated {
    Authenticated::new(Principal::builder("test").subject("alice").build())
}

impl fmt::Debug for Answering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answering").finish_non_exhaustive()
    }
}

impl Authenticate for Answering {
    fn describe(&self) -> ProviderInfo {
        let mut info = ProviderInfo::new("test").clock(self.clock.clone());
        for location in &self.locations {
            info = info.matcher(CredentialMatcher::any(location.clone()));
        }
        info = info.challenges(self.challenges.clone());
        match self.resource_path {
            Some(path) => info.resource(Resource::new(format!("https://mcp.example.com{path}"))),
            None => info,
        }
    }

    fn authenticate(&self, credential: &Credential<'_>, _: RequestHead<'_>) -> Authentication {
        self.asked.fetch_add(1, Ordering::SeqCst);
        (self.answers)(credential)
    }
}
