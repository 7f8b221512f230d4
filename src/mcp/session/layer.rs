//! `SessionBindingLayer`: the layer and its settings.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use tower_layer::Layer;

use super::SessionBinding;
use super::bind::{Binder, Facts};
use super::claims::{Anonymous, Claimer, Claims};
use crate::clock::Clock;
use crate::credential::trim;
use crate::error::{AuthError, ConfigError, Reason};
use crate::mcp::headers;
use crate::mcp::key::{Keyring, MacKey, Owner};
use crate::store::ReplayStore;
use crate::util::quoted;

pub(in crate::mcp) const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// The layer that binds sessions to principals. It belongs inside an auth layer.
///
/// See the [module docs](crate::mcp::session) for an example.
#[derive(Clone, Debug)]
#[must_use]
pub struct SessionBindingLayer {
    /// `None`: sessions are not bound.
    binder: Option<Arc<Binder>>,
}

impl SessionBindingLayer {
    /// Binds with this key, which every replica has.
    pub fn new(key: MacKey) -> Self {
        Self {
            binder: Some(Arc::new(Binder {
                keys: Keyring::new(key),
                server: Box::default(),
                clock: Clock::system(),
                claims: None,
            })),
        }
    }

    /// A disabled layer: requests and responses pass unchanged.
    #[cfg(feature = "config")]
    pub(crate) fn disabled() -> Self {
        Self { binder: None }
    }

    /// Accepts what was bound with a second key, which itself binds nothing: the key before,
    /// or the one to come. See [how to change the key](crate::mcp::session#changing-the-key).
    ///
    /// # Errors
    /// It is the same key, or there is a second one already.
    pub fn also_accept(mut self, key: MacKey) -> Result<Self, ConfigError> {
        if let Some(binder) = &mut self.binder {
            Arc::make_mut(binder).keys.also_accept(key)?;
        }
        Ok(self)
    }

    /// Names the server, which then takes part in what is bound: an id of one server is a 404
    /// at another that has the same key and another name. Default: no name.
    pub fn server(mut self, name: impl Into<String>) -> Self {
        if let Some(binder) = &mut self.binder {
            Arc::make_mut(binder).server = name.into().into();
        }
        self
    }

    /// Lets a principal take over a session that an anonymous caller opened. Default: it is a 404
    /// to every principal.
    ///
    /// The first principal that presents it within ten minutes of its opening claims it. Then the
    /// session is that principal's alone, and streams of anonymous callers in it end. Anonymous
    /// sessions last 24 hours. Give all replicas stores of one place, and every layer of one
    /// process the same store. While a store gives no answer, requests in anonymous sessions are
    /// 503; [`dangerously_allow_on_outage`](crate::store::ReplayStore::dangerously_allow_on_outage)
    /// lets them in. See
    /// [signing in in the middle of a session](crate::mcp::session#signing-in-in-the-middle-of-a-session).
    ///
    /// ```
    /// use tower_mcp_auth::mcp::{MacKey, SessionBindingLayer};
    /// use tower_mcp_auth::store::MemoryReplayStore;
    ///
    /// let key = MacKey::new("R7vJ2nWq9sLx4TzK8mYc3FbHd6GpAeU5")?;
    /// let sessions = SessionBindingLayer::new(key)
    ///     .anonymous_sessions_can_be_claimed(MemoryReplayStore::default());
    /// # let _ = sessions;
    /// # Ok::<(), tower_mcp_auth::ConfigError>(())
    /// ```
    pub fn anonymous_sessions_can_be_claimed(mut self, store: impl ReplayStore) -> Self {
        if let Some(binder) = &mut self.binder {
            Arc::make_mut(binder).claims = Some(Arc::new(Claims::new(store)));
        }
        self
    }

    /// Replaces the clock; for tests.
    pub fn clock(mut self, clock: Clock) -> Self {
        if let Some(binder) = &mut self.binder {
            Arc::make_mut(binder).clock = clock;
        }
        self
    }
}

impl<S> Layer<S> for SessionBindingLayer {
    type Service = SessionBinding<S>;

    fn layer(&self, inner: S) -> Self::Service {
        SessionBinding::new(inner, self.binder.clone())
    }
}

/// The session of a request.
pub(super) struct Presented {
    /// The bound id, as the client has it.
    pub(super) bound: HeaderValue,
    pub(super) facts: Facts,
    /// Where it is an anonymous one that can be claimed, or was.
    pub(super) anonymous: Option<(Anonymous, Claimer)>,
}

impl Binder {
    /// Leaves on the request only what the server behind may see.
    pub(super) fn admit(
        &self,
        headers: &mut HeaderMap,
        owner: Owner<'_>,
    ) -> Result<Option<Presented>, AuthError> {
        // The first revision whose headers mirror the body is the first without sessions.
        if headers::is_mirrored(headers::protocol_version(headers)?) {
            headers.remove(&SESSION_ID);
            headers.remove(&LAST_EVENT_ID);
            return Ok(None);
        }
        let resumes = only(headers, &LAST_EVENT_ID, Reason::DUPLICATE_LAST_EVENT_ID)?.is_some();
        let Some(bound) = only(headers, &SESSION_ID, Reason::DUPLICATE_SESSION_ID)? else {
            return if resumes {
                Err(AuthError::unknown_session().with_detail("Last-Event-ID without a session"))
            } else {
                Ok(None)
            };
        };
        let trimmed = trim(bound.as_bytes());
        let unbound = self
            .unbind(owner, trimmed)
            .map_err(|why| AuthError::unknown_session().with_detail(why))?;
        let header_value = |text: &[u8]| {
            // It is a part of a header value.
            let mut value = HeaderValue::from_bytes(text)
                .map_err(|_| AuthError::unknown_session().with_detail(quoted("no header value")))?;
            value.set_sensitive(true);
            Ok::<_, AuthError>(value)
        };
        let inner = header_value(unbound.inner)?;
        let facts = unbound.facts;
        let is_claimable = unbound.is_anonymous && self.claims.is_some();
        let anonymous = is_claimable.then(|| {
            let (key, id) = (unbound.key, unbound.inner);
            let session = self.anonymous_session(key, owner, id, facts.opened);
            (session, self.claimer(key, owner, id))
        });
        let had_spaces = trimmed.len() < bound.len();
        let respelled = had_spaces.then(|| header_value(trimmed)).transpose()?;
        // Taken as it is: to keep it costs no copy.
        let whole = headers.insert(SESSION_ID, inner);
        let bound = respelled.or(whole).map(|mut bound| {
            bound.set_sensitive(true);
            bound
        });
        Ok(bound.map(|bound| Presented {
            bound,
            facts,
            anonymous,
        }))
    }
}

/// The one value of a header.
fn only<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
    reason: Reason,
) -> Result<Option<&'a HeaderValue>, AuthError> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() {
        return Err(
            AuthError::new(reason).with_detail(format!("there is more than one {name} header"))
        );
    }
    Ok(first)
}
