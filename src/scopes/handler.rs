//! Scopes in handlers: `Principal::require` and the axum extractor.

use std::error::Error;
use std::fmt;

use bytes::Bytes;
use http::Response;

use crate::error::AuthError;
use crate::principal::Principal;
use crate::refusal::{self, RefusalContext, RefusalForm};
use crate::requirement::{Requirement, ScopeHierarchy, Verdict, shortfall};
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
    /// use tower_mcp_auth::scopes::InsufficientScope;
    ///
    /// async fn delete(principal: Principal) -> Result<&'static str, InsufficientScope> {
    ///     principal.require("files:delete")?;
    ///     Ok("deleted")
    /// }
    /// ```
    ///
    /// # Errors
    /// A scope was not granted, or is none that RFC 6749 allows.
    pub fn require(&self, scope: &str) -> Result<(), InsufficientScope> {
        ScopeHierarchy::default().require(self, scope)
    }
}

impl ScopeHierarchy {
    /// [`Principal::require`] with this hierarchy.
    ///
    /// # Errors
    /// A scope was not granted, or is none that RFC 6749 allows.
    pub fn require(&self, principal: &Principal, scope: &str) -> Result<(), InsufficientScope> {
        let context = RefusalContext::of(principal);
        let case = Case::new(Stage::Handler, Some(principal)).on(RecordedOperation::Scope(scope));
        let needs: Result<Scopes, _> = scope.parse();
        // What nobody can be granted is refused, and named in no challenge.
        let lacking = match needs {
            Ok(scopes) if scopes.is_empty() => Scopes::default(),
            Ok(scopes) => {
                let needs = Requirement::from(scopes);
                match Requirement::judge(std::iter::once(&needs), Some(principal.scopes()), self) {
                    Verdict::Granted => {
                        case.granted_in_handler(&context.audit);
                        return Ok(());
                    }
                    Verdict::Lacking(lacking) => lacking,
                    Verdict::Denied => Scopes::default(),
                }
            }
            Err(_) => Scopes::default(),
        };
        let detail = match lacking.is_empty() {
            true => "the handler asks for what is no scope, which cannot be granted".to_owned(),
            false => shortfall(&lacking, principal),
        };
        let error = AuthError::insufficient_scope(lacking).with_detail(detail);
        if context.reports(error.as_reason()) {
            case.reported_in_handler(&error, &context.audit);
            return Ok(());
        }
        case.refused_in_handler(&error, &context.audit);
        Err(InsufficientScope {
            error,
            principal: principal.clone(),
        })
    }
}

/// Why [`Principal::require`] stopped: a scope was not granted.
///
/// In axum it is a response (feature `axum`). Elsewhere
/// [`into_response`](Self::into_response) makes it one, and
/// [`error`](Self::error) tells a tonic handler what to put into its status.
#[derive(Clone)]
pub struct InsufficientScope {
    error: AuthError,
    principal: Principal,
}

impl InsufficientScope {
    /// The error, with all scopes that were asked for.
    pub fn error(&self) -> &AuthError {
        &self.error
    }

    /// The response over HTTP: 403 with the challenge of the layer that let the principal in.
    pub fn into_response(self) -> Response<Bytes> {
        refusal::respond(
            self.error,
            RefusalContext::of(&self.principal),
            RefusalForm::Http,
        )
    }
}

impl fmt::Debug for InsufficientScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InsufficientScope")
            .field("scopes", self.error.scopes())
            .finish_non_exhaustive()
    }
}

impl fmt::Display for InsufficientScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl Error for InsufficientScope {}

#[cfg(feature = "axum")]
mod axum {
    use std::marker::PhantomData;
    use std::ops::{ControlFlow, Deref};

    use axum_core::body::Body;
    use axum_core::extract::FromRequestParts;
    use axum_core::response::{IntoResponse, Response};
    use http::request::Parts;

    use super::{InsufficientScope, Principal, Requirement, ScopeHierarchy, fmt};
    use crate::auth::PrincipalRejection;
    use crate::credential::RequestHead;
    use crate::refusal::Caller;
    use crate::refusal::{RefusalForm, refuse, refuse_or_report};
    use crate::scopes::judge::refused;
    use crate::telemetry::{Case, Stage};

    impl IntoResponse for InsufficientScope {
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
    }

    /// The principal of a request that has the scopes `R`; refused like by a
    /// [`RequireScopesLayer`](crate::scopes::RequireScopesLayer) otherwise.
    ///
    /// Without any scope in `R` everybody is refused.
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
            // Scopes that no client can have are met by nobody.
            let needs = Requirement::all(R::SCOPES)
                .ok()
                .filter(|needs| !needs.is_of_empty_list())
                .unwrap_or_else(Requirement::deny);
            let verdict =
                Requirement::judge(std::iter::once(&needs), caller.granted(), &R::hierarchy());
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
