//! The settings for tokens of makers that follow RFC 9068 less closely.
//!
//! They say which types are accepted, who the subject is, and what else must be true where nothing
//! marks the tokens.

use super::AuthorizationServer;
use crate::error::ConfigError;
use crate::telemetry;
use crate::token::{AcceptedTypes, Clients, SubjectClaim, SubjectPattern};

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
    /// go by. A claim that can be changed or reassigned (`email`, `upn`,
    /// `preferred_username`) takes
    /// [`dangerously_subject_claim`](Self::dangerously_subject_claim).
    ///
    /// # Errors
    /// The name is empty, or that of a claim that names no subject, or of one that can be
    /// reassigned; or `dangerously_subject_claim` was set.
    pub fn subject_claim(mut self, name: impl AsRef<str>) -> Result<Self, ConfigError> {
        SubjectClaim::named(name.as_ref())?.replace(&mut self.subject_claim)?;
        Ok(self)
    }

    /// The same with a claim that can change hands: `email`, `upn`.
    ///
    /// Who has an address next is the principal that had it before, with its sessions and
    /// limits, and with whatever your service keeps for it; who can change it becomes another
    /// principal. There is a warning at start.
    ///
    /// # Errors
    /// The name is empty, or that of a claim that names no subject; or
    /// [`subject_claim`](Self::subject_claim) was set.
    pub fn dangerously_subject_claim(mut self, name: impl AsRef<str>) -> Result<Self, ConfigError> {
        SubjectClaim::dangerously_named(name.as_ref())?.replace(&mut self.subject_claim)?;
        telemetry::weakened(SubjectClaim::DANGEROUS, self.issuer());
        Ok(self)
    }

    /// Requires the claim `sub` to match one of these patterns: those of
    /// `repo:acme/widgets:ref:refs/heads/main`, or of all branches of that repository by `*`.
    ///
    /// A subject is compared segment by segment, with `:` and `/` between them, byte by byte:
    /// never as a prefix, because `acme/widgets-evil` is another repository. `*` is exactly one
    /// segment that is not empty, and `**`, at the end alone, one or more of them. Further
    /// calls require more: a subject must match one pattern of each.
    ///
    /// ```
    /// use tower_mcp_auth::oauth::AuthorizationServer;
    ///
    /// let server = AuthorizationServer::new("https://ci.example.com")?
    ///     .require_subject(["repo:acme/widgets:ref:refs/heads/*", "repo:acme/*:environment:prod"])?;
    /// # let _ = server;
    /// let server = AuthorizationServer::new("https://ci.example.com")?;
    /// assert!(server.require_subject(["repo:acme/widgets*"]).is_err());
    /// # Ok::<(), tower_mcp_auth::ConfigError>(())
    /// ```
    ///
    /// # Errors
    /// There is no pattern; or one has `*` in a part of a segment, `**` before the end, or
    /// nothing else.
    pub fn require_subject<I>(mut self, patterns: I) -> Result<Self, ConfigError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let patterns = patterns
            .into_iter()
            .map(|pattern| SubjectPattern::new(pattern.as_ref()))
            .collect::<Result<Vec<_>, ConfigError>>()?;
        if patterns.is_empty() {
            let why = "there is no pattern, so no token could pass";
            return Err(ConfigError::new(SubjectPattern::SETTING, why));
        }
        self.quirks.subjects.push(patterns);
        Ok(self)
    }

    /// Takes every token for this audience for an access token: of an issuer that marks its
    /// access tokens by nothing, such as those of workloads. The audience is expected instead
    /// of the resource, as by [`audience`](Self::audience).
    ///
    /// It needs a claim that must be there besides
    /// ([`require_claim`](Self::require_claim), [`require_subject`](Self::require_subject)):
    /// who can have the issuer make a token for any audience could come in otherwise. A
    /// token that says of itself that it is of another kind is refused as ever: by `at_hash`,
    /// `c_hash`, `s_hash` and `events`, and by the marks of ID, refresh, offline and logout
    /// tokens. There is a warning at start.
    ///
    /// Where the audience is the client id of an application, every user who signs in to that
    /// application has an ID token for it, which is accepted here then.
    ///
    /// # Errors
    /// The audience is empty, or one that all tokens of the issuer have. The builder of the
    /// layer refuses the setting where no claim is required.
    pub fn dangerously_any_token_for_audience(
        self,
        audience: impl Into<String>,
    ) -> Result<Self, ConfigError> {
        let audience: String = audience.into();
        let named = self.audience(audience.as_str());
        let mut server = named.map_err(|error| error.of(ANY_TOKEN))?;
        telemetry::weakened(ANY_TOKEN, server.issuer());
        server.quirks.any_token_for.push(audience.into());
        Ok(server)
    }

    /// Refuses settings that contradict each other, whichever came first.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if self.require_at_jwt && !self.accepted_types.is_empty() {
            return Err(AcceptedTypes::contradicts_at_jwt());
        }
        self.check_key_set_access()?;
        if self.trust_domain.is_some() && self.introspection.is_some() {
            return Err(ConfigError::new(
                "introspection",
                "a trust domain has no server that answers about its tokens; leave it out",
            ));
        }
        if self.trust_domain.is_some() && self.quirks.clients != Clients::None {
            return Err(ConfigError::new(
                "client_ids",
                "tokens of a trust domain name no client, and each must be for an audience; leave \
                 it out",
            ));
        }
        // What every token has narrows nothing.
        let narrows = |claim: &str| !matches!(claim, "iss" | "aud" | "exp" | "nbf" | "iat");
        let is_narrowed = !self.quirks.subjects.is_empty()
            || (self.quirks.required.iter()).any(|required| narrows(&required.claim));
        if !self.quirks.any_token_for.is_empty() && !is_narrowed {
            return Err(ConfigError::new(
                ANY_TOKEN,
                "every caller with a token of this issuer for the audience would be accepted: \
                 restrict them with `require_claim` or `require_subject`",
            ));
        }
        Ok(())
    }
}

const ANY_TOKEN: &str = "dangerously_any_token_for_audience";
