//! What the refusals behind one auth layer have in common.

use std::any::Any;
use std::sync::{Arc, LazyLock};

use super::challenge::Challenge;
use super::report_only::ReportOnly;
use super::written::Written;
use crate::clock::Clock;
use crate::error::{AuthError, Reason};
use crate::principal::{LayerContext, Principal};
use crate::requirement::Strength;
use crate::resource::Resource;
use crate::scope::Scopes;
use crate::telemetry::{self, Audit, WarnOnce};

/// What becomes of a request with a bad credential.
pub(crate) enum Settled {
    Refused(AuthError),
    /// It goes on, and what stands against it is told.
    Passes(AuthError),
}

/// All that the refusals behind one layer need: it travels with the request, so that a
/// layer further in refuses in the same words.
#[derive(Clone, Debug)]
pub(crate) struct RefusalContext {
    pub(crate) challenges: Vec<Challenge>,
    /// The protected resource, if the layer has one.
    pub(crate) resource: Option<Arc<Resource>>,
    pub(crate) grpc: bool,
    /// Whether a request without a credential passes the layer.
    pub(crate) is_optional: bool,
    /// Which refusals are not carried out. `None`: all are.
    pub(crate) report_only: Option<ReportOnly>,
    pub(crate) audit: Audit,
    /// By which sign-ins are judged.
    pub(crate) clock: Clock,
    /// What the layer asks of every sign-in.
    pub(crate) strength: Strength,
    /// What refusals said before.
    pub(crate) written: Written,
    /// Whether it was told that the layer is there twice.
    warned_twice: WarnOnce,
    /// The context of the layer, where this one is for a resource that was chosen.
    of_layer: Option<Arc<Self>>,
}

impl LayerContext for RefusalContext {
    fn resource(&self) -> Option<&Resource> {
        self.resource.as_deref()
    }
}

impl RefusalContext {
    /// With the gRPC form where a client speaks gRPC, and every refusal carried out.
    pub(crate) fn new(challenges: Vec<Challenge>, clock: Clock) -> Self {
        Self {
            challenges,
            resource: None,
            grpc: true,
            is_optional: false,
            report_only: None,
            audit: Audit::new(clock.clone()),
            clock,
            strength: Strength::new(),
            written: Written::default(),
            warned_twice: WarnOnce::default(),
            of_layer: None,
        }
    }

    /// The same for a resource that was chosen, with its challenges.
    pub(crate) fn for_resource(
        self: &Arc<Self>,
        resource: Arc<Resource>,
        challenges: Vec<Challenge>,
    ) -> Self {
        Self {
            challenges,
            resource: Some(resource),
            of_layer: Some(Arc::clone(self)),
            ..Self::clone(self)
        }
    }

    /// Whether it is that of this very resource.
    pub(crate) fn is_for(&self, resource: &Arc<Resource>) -> bool {
        let own = self.resource.as_ref();
        own.is_some_and(|own| Arc::ptr_eq(own, resource))
    }

    /// Whether it is that of a resource that was chosen for the request.
    pub(crate) fn is_of_chosen(&self) -> bool {
        self.of_layer.is_some()
    }

    /// Whether a client answers both with the same credential.
    pub(crate) fn asks_for_the_same(&self, other: &Self) -> bool {
        let mut own = self.challenges.iter();
        own.any(|own| other.challenges.iter().any(|other| own.stands_for(other)))
    }

    /// Tells once that this layer judged a request that it had judged before.
    #[cold]
    pub(crate) fn warn_if_twice(&self, before: &Self) {
        if std::ptr::eq(self.layer(), before.layer()) {
            self.warn_twice();
        }
    }

    /// Tells once that there are two layers for the same credential.
    pub(crate) fn warn_twice(&self) {
        let warned = &self.layer().warned_twice;
        warned.warn(|| telemetry::layer_twice("auth layer"));
    }

    /// What the layer has for all its resources.
    fn layer(&self) -> &Self {
        self.of_layer.as_deref().unwrap_or(self)
    }

    /// The scopes that clients learn of before they are refused for one; `None` where nothing
    /// leads them to metadata of this crate, so that no token of theirs can have more.
    pub(crate) fn learnable(&self) -> Option<Scopes> {
        self.challenges.iter().find_map(Challenge::learnable)
    }

    /// What is carried out of all that stands against a credential.
    pub(crate) fn settle(&self, error: AuthError) -> Settled {
        let refused = |error: &AuthError| !self.reports(error.as_reason());
        if refused(&error) {
            return Settled::Refused(error.alone());
        }
        match error.also().iter().find(|other| refused(other)) {
            Some(other) => Settled::Refused(other.clone().alone()),
            None => Settled::Passes(error),
        }
    }

    /// Whether a request is let pass that is to be refused for this.
    pub(crate) fn reports(&self, reason: Reason) -> bool {
        let report_only = self.report_only.as_ref();
        report_only.is_some_and(|mode| mode.lets_pass(reason))
    }

    /// What the layer said that put the principal into the request.
    pub(crate) fn of(principal: &Principal) -> &Self {
        let context: Option<&dyn Any> = principal.context().map(|context| context as _);
        context
            .and_then(<dyn Any>::downcast_ref)
            .unwrap_or_else(|| Self::bare())
    }

    /// For a principal that was put into a request by no layer of this crate.
    fn bare() -> &'static Self {
        static BARE: LazyLock<RefusalContext> =
            LazyLock::new(|| RefusalContext::new(vec![Challenge::bearer()], Clock::system()));
        &BARE
    }
}
