//! Requirements in handlers: `Principal::require`, `Requirement::require` and the axum extractor.

use std::error::Error;
use std::fmt;

use bytes::Bytes;
use http::Response;

use super::judge::{judge, refused};
use crate::error::AuthError;
use crate::principal::Principal;
use crate::refusal::{self, Caller, RefusalContext, RefusalForm};
use crate::requirement::{Requirement, ScopeHierarchy};
use crate::scope::Scopes;
use crate::telemetry::{Case, RecordedOperation, Stage};

impl Principal {
    /// Goes on only if this scope was granted; several, separated by spaces, are all needed.
    ///
    /// For what a handler alone can know. No scope implies another here:
    /// [`ScopeHierarchy::require`] knows which include which. In axum, `?` in a handler
    /// answers with the 403 a layer would have given.
    ///
    /// ```
    /// use tower_mcp_auth::Principal;
    /// use tower_mcp_auth::scopes::UnmetRequirement;
    ///
    /// async fn delete(principal: Principal) -> Result<&'static str, UnmetRequirement> {
    ///     principal.require("files:delete")?;
    ///     Ok("deleted")
    /// }
    /// ```
    ///
    /// # Errors
    /// A scope was not granted, or is none that RFC 6749 allows.
    pub fn require(&self, scope: &str) -> Result<(), UnmetRequirement> {
        ScopeHierarchy::default().require(self, scope)
    }
}

impl ScopeHierarchy {
    /// [`Principal::require`] with this hierarchy.
    ///
    /// # Errors
    /// A scope was not granted, or is none that RFC 6749 allows.
    pub fn require(&self, principal: &Principal, scope: &str) -> Result<(), UnmetRequirement> {
        let case = Case::new(Stage::Handler, Some(principal)).on(RecordedOperation::Scope(scope));
        let named: Option<Scopes> = scope.parse().ok();
        match named.filter(|scopes| !scopes.is_empty()) {
            Some(scopes) => self.judge(principal, &scopes.into(), case),
            // What no caller can be granted is refused, and named in no challenge.
            None => {
                let error = AuthError::insufficient_scope(Scopes::default())
                    .with_detail("the handler asks for what is no scope, which cannot be granted");
                Self::settle(principal, Some(error), case)
            }
        }
    }

    /// [`Requirement::require`] with this hierarchy.
    ///
    /// # Errors
    /// The principal does not meet it.
    pub fn require_all(
        &self,
        principal: &Principal,
        needs: &Requirement,
    ) -> Result<(), UnmetRequirement> {
        let scopes = needs.scopes();
        let case = Case::new(Stage::Handler, Some(principal)).by(needs);
        let case = match scopes.is_empty() {
            true => case,
            false => case.on(RecordedOperation::Scope(scopes.as_str())),
        };
        self.judge(principal, needs, case)
    }

    fn judge(
        &self,
        principal: &Principal,
        needs: &Requirement,
        case: Case<'_>,
    ) -> Result<(), UnmetRequirement> {
        let caller = Caller::accepted(principal);
        let verdict = judge(std::iter::once(needs), caller, self);
        Self::settle(principal, refused(verdict, caller, None), case)
    }

    fn settle(
        principal: &Principal,
        error: Option<AuthError>,
        case: Case<'_>,
    ) -> Result<(), UnmetRequirement> {
        let caller = Caller::accepted(principal);
        let audit = &caller.context.audit;
        let Some(error) = error else {
            case.granted_in_handler(audit);
            return Ok(());
        };
        let Some(error) = caller.carried_out(&error) else {
            case.reported_in_handler(&error, audit);
            return Ok(());
        };
        case.refused_in_handler(&error, audit);
        Err(UnmetRequirement {
            error: error.alone(),
            principal: principal.clone(),
        })
    }
}

impl Requirement {
    /// Goes on only if this principal meets it: for what a handler alone can know, and for a strong
    /// or recent sign-in. No scope implies another here:
    /// [`ScopeHierarchy::require_all`] knows which include which.
    ///
    /// ```
    /// use std::sync::LazyLock;
    /// use std::time::Duration;
    ///
    /// use tower_mcp_auth::Principal;
    /// use tower_mcp_auth::scopes::{Requirement, UnmetRequirement};
    ///
    /// static PAY: LazyLock<Requirement> = LazyLock::new(|| {
    ///     let needs = Requirement::all(["payments"]).and_then(|needs| needs.acr(["phr", "phrh"]));
    ///     let needs = needs.and_then(|needs| needs.max_age(Duration::from_secs(300)));
    ///     needs.expect("the requirement is well formed")
    /// });
    ///
    /// async fn pay(principal: Principal) -> Result<&'static str, UnmetRequirement> {
    ///     PAY.require(&principal)?;
    ///     Ok("paid")
    /// }
    /// ```
    ///
    /// # Errors
    /// The principal does not meet it.
    pub fn require(&self, principal: &Principal) -> Result<(), UnmetRequirement> {
        ScopeHierarchy::default().require_all(principal, self)
    }
}

/// Why [`Principal::require`] or [`Requirement::require`] stopped: a scope was not granted, or the
/// user did not sign in strongly or lately enough.
///
/// In axum it is a response (feature `axum`). Elsewhere
/// [`into_response`](Self::into_response) makes it one, and
/// [`error`](Self::error) tells a tonic handler what to put into its status.
#[derive(Clone)]
pub struct UnmetRequirement {
    error: AuthError,
    principal: Principal,
}

impl UnmetRequirement {
    /// The error, with all scopes that were asked for, and what was asked of the sign-in.
    pub fn error(&self) -> &AuthError {
        &self.error
    }

    /// The response over HTTP, with the challenge of the layer that let the principal in: 403, or
    /// 401 where another sign-in can help.
    pub fn into_response(self) -> Response<Bytes> {
        refusal::respond(
            self.error,
            RefusalContext::of(&self.principal),
            RefusalForm::Http,
        )
    }
}

impl fmt::Debug for UnmetRequirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnmetRequirement")
            .field("reason", &self.error.reason())
            .field("scopes", self.error.scopes())
            .finish_non_exhaustive()
    }
}

impl fmt::Display for UnmetRequirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl Error for UnmetRequirement {}

#[cfg(feature = "axum")]
mod axum {
    use std::marker::PhantomData;
    use std::ops::{ControlFlow, Deref};

    use axum_core::body::Body;
    use axum_core::extract::FromRequestParts;
    use axum_core::response::{IntoResponse, Response};
    use http::request::Parts;

    use super::{Principal, Requirement, ScopeHierarchy, UnmetRequirement, fmt};
    use crate::auth::PrincipalRejection;
    use crate::credential::RequestHead;
    use crate::refusal::Caller;
    use crate::refusal::{RefusalForm, refuse, refuse_or_report};
    use crate::requirement::Strength;
    use crate::scopes::judge::{judge, refused};
    use crate::telemetry::{Case, Stage};

    impl IntoResponse for UnmetRequirement {
        fn into_response(self) -> Response {
            Self::into_response(self).map(Body::from)
        }
    }

    /// The scopes a handler needs, for [`ScopedPrincipal`].
    pub trait RequiredScopes: 'static {
        /// All of these.
        const SCOPES: &'static [&'static str];

        /// Which scopes include which others; none by default.
        fn hierarchy() -> ScopeHierarchy {
            ScopeHierarchy::default()
        }

        /// What is asked of the sign-in; nothing by default. It is called for each request.
        fn strength() -> Strength {
            Strength::new()
        }
    }

    /// The principal of a request that has the scopes `R`; refused like by a
    /// [`RequireScopesLayer`](crate::scopes::RequireScopesLayer) otherwise.
    ///
    /// Without any scope in `R` every caller is refused.
    ///
    /// ```
    /// use tower_mcp_auth::scopes::{ScopedPrincipal, RequiredScopes};
    ///
    /// struct Write;
    /// impl RequiredScopes for Write {
    ///     const SCOPES: &'static [&'static str] = &["mcp:write"];
    /// }
    ///
    /// async fn handler(writer: ScopedPrincipal<Write>) -> String {
    ///     format!("{} may write", writer.id())
    /// }
    /// ```
    pub struct ScopedPrincipal<R> {
        principal: Principal,
        required: PhantomData<fn() -> R>,
    }

    impl<R> ScopedPrincipal<R> {
        /// The principal, taken out.
        pub fn into_principal(self) -> Principal {
            self.principal
        }
    }

    impl<R> Deref for ScopedPrincipal<R> {
        type Target = Principal;

        fn deref(&self) -> &Principal {
            &self.principal
        }
    }

    impl<R> fmt::Debug for ScopedPrincipal<R> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.debug_tuple("ScopedPrincipal")
                .field(&self.principal)
                .finish()
        }
    }

    impl<R: RequiredScopes, S: Sync> FromRequestParts<S> for ScopedPrincipal<R> {
        type Rejection = PrincipalRejection;

        async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, PrincipalRejection> {
            let caller = Caller::of(&parts.extensions)
                .ok_or_else(|| PrincipalRejection::no_auth_layer("ScopedPrincipal"))?;
            // Scopes that no client can have are met by no caller.
            let needs = Requirement::all(R::SCOPES)
                .ok()
                .filter(|needs| !needs.is_of_empty_list())
                .unwrap_or_else(Requirement::deny);
            let needs = needs.and(&R::strength().into());
            let verdict = judge(std::iter::once(&needs), caller, &R::hierarchy());
            let head = RequestHead::from(&*parts);
            let refusal = refused(verdict, caller, None);
            let case = Case::new(Stage::Handler, caller.known()).by(R::SCOPES);
            let Some(principal) = caller.principal else {
                let error = caller.reported.cloned().or(refusal);
                let error = error.unwrap_or_else(|| {
                    crate::AuthError::missing().with_detail(
                        "the handler takes a `ScopedPrincipal`, and the request was let through without a \
                         credential",
                    )
                });
                let response = refuse(error, caller.context, RefusalForm::of(head), head, case);
                return Err(PrincipalRejection::new(response));
            };
            match refusal {
                None => case.accepted(head, &caller.context.audit),
                Some(error) => {
                    let outcome =
                        refuse_or_report(error, caller, RefusalForm::of(head), head, case);
                    if let ControlFlow::Break(response) = outcome {
                        return Err(PrincipalRejection::new(response));
                    }
                }
            }
            Ok(Self {
                principal: principal.clone(),
                required: PhantomData,
            })
        }
    }
}

#[cfg(feature = "axum")]
pub use self::axum::{RequiredScopes, ScopedPrincipal};
