//! Whom tokens must be for.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use crate::auth::{ProviderInfo, Route};
use crate::credential::RequestHead;
use crate::error::{AuthError, ConfigError, Reason};
use crate::resources::ResourceSet;
use crate::scope::Scopes;
use crate::token::Audience;

/// Whom tokens must be for.
#[derive(Clone, Debug)]
pub(super) enum Expected {
    Fixed(Audience),
    /// The resource of the request, which is one of these.
    Chosen(Arc<ResourceSet>),
}

/// What was set of it.
#[derive(Clone, Debug, Default)]
pub(super) struct AudienceSettings {
    pub(super) audiences: Vec<Box<str>>,
    pub(super) any: bool,
    pub(super) resources: Option<ResourceSet>,
}

impl AudienceSettings {
    /// `are_secrets`: who can sign tokens can read them, so no other party's are among them.
    /// `required_scopes` are what challenges ask for at each resource.
    pub(super) fn check(
        self,
        are_secrets: bool,
        required_scopes: &Scopes,
    ) -> Result<Expected, ConfigError> {
        let refuse = |setting, why: &str| Err(ConfigError::new(setting, why));
        if self.audiences.iter().any(|audience| audience.is_empty()) {
            return refuse("audience", "an audience is empty");
        }
        if !self.audiences.is_empty() && self.any {
            return refuse(
                "audience",
                "`audience` and `dangerously_any_audience` contradict each other: keep one",
            );
        }
        if let Some(resources) = self.resources {
            if self.any || !self.audiences.is_empty() {
                return refuse(
                    "resources",
                    "the audience is the resource of a request: leave `audience` and \
                     `dangerously_any_audience` out",
                );
            }
            resources.check()?;
            return Ok(Expected::Chosen(
                resources.with_scopes(required_scopes).into(),
            ));
        }
        match self.audiences.is_empty() {
            false => Ok(Expected::Fixed(Audience::OneOf(self.audiences))),
            true if !self.any && !are_secrets => refuse(
                "audience",
                "a public key needs an audience, because its owner signs tokens for others too; \
                 set `.audience(..)`, or say `.dangerously_any_audience()`",
            ),
            true => Ok(Expected::Fixed(Audience::Unchecked)),
        }
    }
}

impl Expected {
    /// What it adds to the facts of the provider.
    pub(super) fn describe(&self, info: ProviderInfo) -> ProviderInfo {
        match self {
            Self::Fixed(_) => info.good_anywhere(
                "jwt",
                "its audience is not the resource of a request; give the JWTs a layer of their own, \
                 or name their issuer in `OAuthLayer::builder`"
                    .to_owned(),
            ),
            Self::Chosen(resources) => info
                .selects_resources(resources.listed().cloned())
                .judges_resources(),
        }
    }

    pub(super) fn route(&self, head: RequestHead<'_>) -> Route {
        match self {
            Self::Fixed(_) => Route::Default,
            Self::Chosen(resources) => resources.choose(head).into(),
        }
    }

    /// Whom the token of a request must be for.
    pub(super) fn of(&self, head: RequestHead<'_>) -> Result<Cow<'_, Audience>, AuthError> {
        match (self, head.resource()) {
            (Self::Fixed(audience), _) => Ok(Cow::Borrowed(audience)),
            (Self::Chosen(_), Some(resource)) => {
                Ok(Cow::Owned(Audience::OneOf(vec![resource.url().into()])))
            }
            (Self::Chosen(_), None) => Err(no_resource()),
        }
    }
}

/// Another provider sent the request elsewhere, so that nothing says what tokens must be for.
#[cold]
fn no_resource() -> AuthError {
    let error = AuthError::unavailable(Reason::RESOURCE_NOT_CHOSEN, Duration::from_secs(1));
    error.with_detail("no resource was chosen for the request")
}
