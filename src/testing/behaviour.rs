//! How an endpoint answers: properly, or with a fault.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;

use super::endpoint::Endpoint;

/// How one endpoint of an [`Issuer`](super::Issuer) answers: properly, or with a fault.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Behaviour {
    /// The proper answer.
    #[default]
    Normal,
    /// This status, and a short JSON error. 404 imitates a server without the endpoint.
    Status(u16),
    /// The proper answer, so much later.
    Delay(Duration),
    /// Status 200 with this body.
    Body {
        /// The `Content-Type`; any text.
        content_type: String,
        /// The body.
        bytes: Vec<u8>,
    },
    /// This status with these headers and this body: 429 with `Retry-After`, say.
    Answer {
        /// The status.
        status: u16,
        /// The headers, any `Content-Type` among them.
        headers: Vec<(String, String)>,
        /// The body.
        bytes: Vec<u8>,
    },
    /// The proper answer, one byte a second.
    Drip,
    /// The proper answer, filled up with spaces to this many bytes and sent in chunks, so
    /// that its length is not known in advance.
    Oversize(usize),
    /// A redirect (302) to this URL.
    Redirect(String),
    /// The proper answer with these headers, which replace its own of the same name.
    Headers(Vec<(String, String)>),
    /// No answer until the behaviour of the endpoint is set anew; then that one.
    Hang,
    /// The connection is closed instead of an answer.
    Disconnect,
    /// The behaviour inside, for so many requests; then [`Normal`](Self::Normal).
    Times(usize, Box<Self>),
}

impl Behaviour {
    /// Status 200 with this JSON, as `application/json`.
    pub fn json(document: &Value) -> Self {
        Self::Body {
            content_type: "application/json".to_owned(),
            bytes: document.to_string().into_bytes(),
        }
    }

    /// This status with these headers and no body.
    ///
    /// ```
    /// use tower_mcp_auth::testing::Behaviour;
    ///
    /// let busy = Behaviour::status_with_headers(429, [("Retry-After", "7")]);
    /// ```
    pub fn status_with_headers<'h>(
        status: u16,
        headers: impl IntoIterator<Item = (&'h str, &'h str)>,
    ) -> Self {
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        Self::Answer {
            status,
            headers: headers.into_iter().map(owned).collect(),
            bytes: Vec::new(),
        }
    }

    /// This behaviour for `times` requests, then [`Normal`](Self::Normal).
    #[must_use]
    pub fn times(self, times: usize) -> Self {
        Self::Times(times, Box::new(self))
    }

    /// What the next request gets, `self` being what those after it get.
    fn take(&mut self) -> Self {
        match self {
            Self::Times(0, _) => {
                *self = Self::Normal;
                Self::Normal
            }
            Self::Times(left, inner) => {
                *left -= 1;
                inner.take()
            }
            other => other.clone(),
        }
    }
}

/// What each endpoint does, and how often it was asked.
#[derive(Debug, Default)]
pub(super) struct Faults([Slot; Endpoint::COUNT]);

#[derive(Debug, Default)]
struct Slot {
    requests: AtomicUsize,
    behaviour: watch::Sender<Behaviour>,
}

impl Faults {
    pub(super) fn count(&self, endpoint: Endpoint) {
        self.0[endpoint as usize]
            .requests
            .fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn requests(&self, endpoint: Endpoint) -> usize {
        self.0[endpoint as usize].requests.load(Ordering::SeqCst)
    }

    pub(super) fn set(&self, endpoint: Endpoint, behaviour: Behaviour) {
        self.0[endpoint as usize].behaviour.send_replace(behaviour);
    }

    /// The behaviour of one request, once it is not to hang.
    pub(super) async fn next(&self, endpoint: Endpoint) -> Behaviour {
        let sender = &self.0[endpoint as usize].behaviour;
        // Subscribed before the look, so that no change is missed.
        let mut changes = sender.subscribe();
        loop {
            let mut taken = Behaviour::Normal;
            sender.send_if_modified(|current| {
                taken = current.take();
                // Counting down is no change that requests wait for.
                false
            });
            if taken != Behaviour::Hang || changes.changed().await.is_err() {
                return taken;
            }
        }
    }
}
