//! `SessionBindingLayer`: the layer and its settings.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use tower_layer::Layer;

use super::SessionBinding;
use super::bind::Binder;
use crate::credential::trim;
use crate::error::{AuthError, ConfigError, Reason};
use crate::mcp::headers;
use crate::mcp::key::{Keyring, MacKey, Owner};
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
}

impl<S> Layer<S> for SessionBindingLayer {
    type Service = SessionBinding<S>;

    fn layer(&self, inner: S) -> Self::Service {
        SessionBinding::new(inner, self.binder.clone())
    }
}

impl Binder {
    /// Leaves on the request only what the server behind may see.
    pub(super) fn admit(&self, headers: &mut HeaderMap, owner: Owner<'_>) -> Result<(), AuthError> {
        // The first revision whose headers mirror the body is the first without sessions.
        if headers::is_mirrored(headers::protocol_version(headers)?) {
            headers.remove(&SESSION_ID);
            headers.remove(&LAST_EVENT_ID);
            return Ok(());
        }
        let resumes = only(headers, &LAST_EVENT_ID, Reason::DUPLICATE_LAST_EVENT_ID)?.is_some();
        let Some(bound) = only(headers, &SESSION_ID, Reason::DUPLICATE_SESSION_ID)? else {
            return if resumes {
                Err(AuthError::unknown_session().with_detail("Last-Event-ID without a session"))
            } else {
                Ok(())
            };
        };
        let inner = self
            .unbind(owner, trim(bound.as_bytes()))
            .map_err(|why| AuthError::unknown_session().with_detail(why))?;
        // It is a part of a header value.
        let mut inner = HeaderValue::from_bytes(inner)
            .map_err(|_| AuthError::unknown_session().with_detail(quoted("no header value")))?;
        inner.set_sensitive(true);
        headers.insert(SESSION_ID, inner);
        Ok(())
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
