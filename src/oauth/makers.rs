//! The settings for tokens of makers that follow RFC 9068 less closely: what their types are, and who their
//! subject is.

use super::AuthorizationServer;
use crate::error::ConfigError;
use crate::telemetry;
use crate::token::{AcceptedTypes, SubjectClaim};

impl AuthorizationServer {
    /// Accepts these values of the header `typ` as well: `JWS`, `JOSE`, or whatever else a
    /// server writes there. They compare without regard to ASCII case and to `application/`
    /// before them. A second call replaces the list of the first.
    ///
    /// What has one of them is taken for an access token, unless a claim says that it is none:
    /// the other kinds of tokens of the server should have another. Default: `at+jwt`, `JWT`
    /// and no `typ` pass, and go on to.
    ///
    /// ```
    /// use tower_mcp_auth::oauth::AuthorizationServer;
    ///
    /// let server = AuthorizationServer::new("https://auth.example.com")?.accepted_typ(["JWS"])?;
    /// # let _ = server;
    /// // What proves possession of a key, or ends a session, gives no access.
    /// let server = AuthorizationServer::new("https://auth.example.com")?;
    /// assert!(server.accepted_typ(["dpop+jwt"]).is_err());
    /// # Ok::<(), tower_mcp_auth::ConfigError>(())
    /// ```
    ///
    /// # Errors
    /// The list is empty; a value is no media type, or that of another kind of token; or
    /// [`require_at_jwt`](Self::require_at_jwt) was set. Where that is set later, the builder of
    /// the layer refuses both.
    pub fn accepted_typ<I>(mut self, types: I) -> Result<Self, ConfigError>
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        if self.require_at_jwt {
            return Err(AcceptedTypes::contradicts_at_jwt());
        }
        self.accepted_types = AcceptedTypes::new(types)?;
        Ok(self)
    }

    /// Reads the subject from another claim than `sub`: `user_id`, `oid`, `uid`.
    ///
    /// It must be a string, or a whole number, which stands for its digits. A token without it
    /// is refused (`missing_subject`): nothing else stands in for it. With `"sub"`, a token
    /// must have that one. `oid` is that of Entra ID, one object within its tenant: the claim
    /// `tid` must be there as well, and the subject is `{tid}/{oid}`.
    ///
    /// The subject is a part of [`PrincipalId`](crate::PrincipalId), which limits and sessions
    /// go by. A claim that can be changed or given to somebody else (`email`, `upn`,
    /// `preferred_username`) takes
    /// [`dangerously_subject_claim`](Self::dangerously_subject_claim).
    ///
    /// # Errors
    /// The name is empty, or that of a claim that names no subject, or of one that can be
    /// given to somebody else; or `dangerously_subject_claim` was set.
    pub fn subject_claim(mut self, name: impl AsRef<str>) -> Result<Self, ConfigError> {
        SubjectClaim::named(name.as_ref())?.replace(&mut self.subject_claim)?;
        Ok(self)
    }

    /// The same with a claim that can be changed or given to somebody else: `email`, `upn`.
    ///
    /// Who has an address next is the principal that had it before, with its sessions and
    /// limits, and with whatever your service keeps for it; who can change it becomes somebody
    /// else. There is a warning at start.
    ///
    /// # Errors
    /// The name is empty, or that of a claim that names no subject; or
    /// [`subject_claim`](Self::subject_claim) was set.
    pub fn dangerously_subject_claim(mut self, name: impl AsRef<str>) -> Result<Self, ConfigError> {
        SubjectClaim::dangerously_named(name.as_ref())?.replace(&mut self.subject_claim)?;
        telemetry::weakened(SubjectClaim::DANGEROUS, self.issuer());
        Ok(self)
    }

    /// Refuses settings that contradict each other, whichever came first.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if self.require_at_jwt && !self.accepted_types.is_empty() {
            return Err(AcceptedTypes::contradicts_at_jwt());
        }
        Ok(())
    }
}
