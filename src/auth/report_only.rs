//! Settings for report-only mode.

use std::sync::Arc;

use super::{AuthLayer, Authenticate};
use crate::error::ConfigError;
use crate::refusal::ReportOnly;
use crate::telemetry;

impl<P: Authenticate + Clone> AuthLayer<P> {
    /// Carries out no refusal, and tells of each instead: for the roll-out of a layer. **Until
    /// it is taken out again, the server is open to every caller.**
    ///
    /// A request that would be refused goes on, without a principal, and without its
    /// credentials, even with [`forward_credential`](Self::forward_credential). The response
    /// has the error in [`Reported`](crate::Reported); there is one event for each, and a
    /// warning at start.
    ///
    /// Layers further in report as well: a principal that lacks scopes keeps its name and goes
    /// on; lists are not filtered; a session id goes to the server as it was before it was bound. So do
    /// [`ScopedPrincipal`](crate::scopes::ScopedPrincipal) and [`Principal::require`](crate::Principal::require)
    /// for a principal. Our own trouble (503) is let pass like any refusal.
    ///
    /// Refused as ever are a credential in the query string, which cannot be taken out; a body
    /// that cannot be read or is too large; foreign hosts and origins; and a handler that
    /// takes a [`Principal`](crate::Principal) where there is none answers the error.
    pub fn dangerously_report_only(mut self) -> Self {
        telemetry::weakened(
            "dangerously_report_only",
            "requests that are to be refused are let pass",
        );
        Arc::make_mut(&mut self.shared_mut().context).report_only = Some(ReportOnly::All);
        self
    }

    /// [`dangerously_report_only`](Self::dangerously_report_only) for these
    /// [reasons](crate::Reason), by their codes; what is refused for another one is refused, and
    /// so is a token against which both stand. Layers further in go by the same list.
    ///
    /// A token that is let pass for its claims (`audience_mismatch`, `expired`, …) has a good
    /// signature: it is verified first. What is found out without a key (`issuer_mismatch`,
    /// `not_a_jwt`, …) every caller can cause.
    ///
    /// What such a request may do further in depends on the credential:
    ///
    /// | reasons | layers for scopes, lists and sessions |
    /// |---|---|
    /// | `expired`, `expired_api_key`, `not_yet_valid`, `not_yet_valid_api_key`, `issued_in_the_future`, `missing_exp`, `insufficient_scope`, `insufficient_user_authentication`, `missing_user`, where nothing else is wrong with the credential, and what a provider of your own says was [proven](crate::AuthError::proven) | judge by the principal it was issued to: it can do what it could do with a good credential, and no more |
    /// | all others: wrong audiences and issuers, revoked and inactive credentials, unproven ones, none at all, and our own trouble | judge as if it had no scopes. What needs one is refused, for what is wrong with the credential, unless `missing_credential` or `insufficient_scope` is in the list too. Its sessions are those of anonymous callers |
    ///
    /// Either way the request has no [`Principal`](crate::Principal). A JWT of a server that is
    /// asked about it as well ([`introspect_jwts`](crate::oauth::Introspection::introspect_jwts)) counts as
    /// revoked once it expired, because the server no longer says.
    ///
    /// ```
    /// use tower_mcp_auth::OAuthLayer;
    ///
    /// let layer = OAuthLayer::new("https://mcp.example.com/mcp", "https://auth.example.com")?
    ///     .dangerously_report_only_for(["audience_mismatch"])?;
    /// # let _ = layer;
    /// # Ok::<(), tower_mcp_auth::ConfigError>(())
    /// ```
    ///
    /// # Errors
    /// The list is empty, holds what is no code or one that is
    /// [always refused](crate::Reason::may_be_reported), or
    /// [`dangerously_report_only`](Self::dangerously_report_only) was set, which is more.
    pub fn dangerously_report_only_for<I>(mut self, reasons: I) -> Result<Self, ConfigError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let shared = self.shared_mut();
        let report_only = ReportOnly::only(reasons, &shared.reasons)?;
        let context = Arc::make_mut(&mut shared.context);
        if context.report_only == Some(ReportOnly::All) {
            return Err(ConfigError::new(
                ReportOnly::ONLY,
                "`dangerously_report_only` says already that nothing is refused; keep one",
            ));
        }
        if let ReportOnly::Only(reasons) = &report_only {
            let codes: Vec<_> = reasons.iter().map(|reason| reason.code()).collect();
            let detail = format!("requests are let pass that are to be refused for {codes:?}");
            telemetry::weakened(ReportOnly::ONLY, &detail);
        }
        context.report_only = Some(report_only);
        Ok(self)
    }
}
