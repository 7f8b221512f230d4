//! The sign-in that an auth layer asks of all its callers (RFC 9470).

use std::sync::Arc;

use super::{AuthLayer, Authenticate, Authenticated};
use crate::error::{AuthError, AuthErrorKind, ConfigError};
use crate::refusal::RefusalContext;
use crate::requirement::{EXCLUDED, Judged, Strength};

impl<P: Authenticate + Clone> AuthLayer<P> {
    /// Asks every credential for a user who signed in like this
    /// ([RFC 9470](https://www.rfc-editor.org/rfc/rfc9470)); default nothing is asked of a sign-in.
    ///
    /// A sign-in that does not suffice is 401 `insufficient_user_authentication`, with the scopes
    /// in the same challenge if some lack as well. API keys, and tokens that a client got for
    /// itself, are 403 `missing_user`: where such callers are welcome, ask in the rules of a
    /// [policy](crate::mcp::McpPolicy) or a [route](crate::scopes::RequireScopesLayer) instead.
    /// [Public paths](Self::public_path) and anonymous requests of an [`optional`](Self::optional)
    /// layer have no sign-in to judge, and pass. It is judged at each request: a stream goes on
    /// when its sign-in becomes too old.
    ///
    /// Layers and handlers further in ask for more, never for less: what they accept of `acr` has
    /// to be accepted here as well. See [the sign-in](crate::scopes#strength-of-the-sign-in).
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_mcp_auth::OAuthLayer;
    /// use tower_mcp_auth::scopes::Strength;
    ///
    /// let a_day = Strength::new().max_age(Duration::from_secs(86_400))?;
    /// let oauth = OAuthLayer::new("https://mcp.example.com/mcp", "https://auth.example.com")?
    ///     .required_strength(a_day)?;
    /// # let _ = oauth;
    /// # Ok::<(), tower_mcp_auth::ConfigError>(())
    /// ```
    ///
    /// # Errors
    /// It asks for nothing, or was joined of values of `acr` that exclude each other.
    pub fn required_strength(mut self, strength: Strength) -> Result<Self, ConfigError> {
        let refuse = |why: &str| Err(ConfigError::new("required_strength", why));
        if strength.is_none() {
            return refuse("it asks for nothing: give `acr` or `max_age`, or leave it out");
        }
        if strength.excludes_all() {
            return refuse(EXCLUDED);
        }
        Arc::make_mut(&mut self.shared_mut().context).strength = strength;
        Ok(self)
    }
}

impl<P> AuthLayer<P> {
    /// What is asked of every sign-in.
    pub(crate) fn strength(&self) -> &Strength {
        &self.state.shared.context.strength
    }
}

/// The answer of a provider, as far as the user signed in as the layer asks of all.
pub(super) fn unless_too_weak(
    answer: Result<Authenticated, AuthError>,
    context: &RefusalContext,
) -> Result<Authenticated, AuthError> {
    let strength = &context.strength;
    if strength.is_none() {
        return answer;
    }
    let (principal, lacking) = match &answer {
        Ok(accepted) => (&accepted.principal, None),
        // What scope lacks stands in the same challenge.
        Err(error) if error.kind() == AuthErrorKind::InsufficientScope => {
            let Some(owner) = error.proven_owner() else {
                return answer;
            };
            (owner, Some(error))
        }
        Err(_) => return answer,
    };
    let clock = &context.clock;
    let judged = Judged { principal, clock };
    if strength.is_met(judged) {
        return answer;
    }
    let needed = lacking.map(|error| error.scopes().clone());
    let lacking = lacking.cloned().map(AuthError::alone);
    let error = strength.refusal(judged, needed.unwrap_or_default(), lacking);
    Err(error.with_principal(principal).proven(principal.clone()))
}
