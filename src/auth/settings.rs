//! What every auth layer can be set to, whatever its provider; and the facts of the provider.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use http::HeaderName;

use super::AuthLayer;
use super::exempt::{self, Exemptions};
use super::info::ProviderInfo;
use super::lease::Streams;
use super::routes::Routes;
use crate::credential::{QueryNames, RequestHead};
use crate::error::{ConfigError, Reason};
use crate::refusal::{Challenge, RefusalContext, Written};
use crate::requirement::AskedScopes;
use crate::resource::Resource;
use crate::revocation::Revocation;
#[cfg(feature = "oauth")]
use crate::telemetry::Audit;
use crate::telemetry::{self, WarnOnce};

/// The settings of an auth layer, and what its provider said of itself: all that does not depend
/// on the type of the provider.
#[derive(Clone, Debug)]
pub(super) struct Shared {
    pub(super) routes: Routes,
    pub(super) consumed_headers: Vec<HeaderName>,
    pub(super) removed_headers: Vec<HeaderName>,
    /// Reason codes of the provider's own.
    pub(super) reasons: Vec<Reason>,
    pub(super) exempt: Exemptions,
    pub(super) query_names: QueryNames,
    pub(super) forward_credential: bool,
    pub(super) streams: Streams,
    pub(super) revocation: Option<Revocation>,
    /// Whether gRPC requests are refused in gRPC's form, where that was said.
    pub(super) grpc: Option<bool>,
    /// What layers further in ask for.
    pub(super) asked: Vec<AskedScopes>,
    pub(super) context: Arc<RefusalContext>,
    /// What the provider challenges with, before anything is announced.
    challenges: Vec<Challenge>,
    /// The one of the layer, or those that the provider listed.
    pub(super) resources: Vec<Arc<Resource>>,
    /// Whether the provider chooses the resource of each request.
    pub(super) selects: bool,
    contexts: Contexts,
    /// Of a resource with a path that something outside can cut short.
    pub(super) resource_path: Option<ResourcePath>,
}

/// The path of a resource, and whether it was told that requests come with a part of it.
#[derive(Clone, Debug)]
pub(super) struct ResourcePath {
    whole: Box<str>,
    warned: WarnOnce,
}

impl ResourcePath {
    /// `None` for a path of one segment, of which nothing is left where one is cut off, and where
    /// it was said that the metadata are elsewhere.
    fn of(resource: Option<&Arc<Resource>>) -> Option<Self> {
        let resource = resource.filter(|resource| resource.has_derived_metadata())?;
        let path = resource.path();
        let has_more = path
            .trim_end_matches('/')
            .rfind('/')
            .is_some_and(|at| at > 0);
        has_more.then(|| Self {
            whole: path.into(),
            warned: WarnOnce::default(),
        })
    }

    /// Tells once of a request at a proper end of the path.
    pub(super) fn look_at(&self, path: &str) {
        let is_end = path.len() > 1 && path.len() < self.whole.len() && self.whole.ends_with(path);
        if is_end && path.starts_with('/') {
            let warn = || telemetry::path_cut_short(&self.whole, path);
            self.warned.warn(warn);
        }
    }
}

/// What refusals say at each of the resources that the provider listed; made when the first
/// request asks for one of them, because settings come before.
#[derive(Debug, Default)]
struct Contexts(OnceLock<HashMap<Arc<str>, Arc<RefusalContext>>>);

// A copy is changed before it is used.
impl Clone for Contexts {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl<P> AuthLayer<P> {
    /// What refuses the credentials that are revoked, if anything does.
    #[cfg(feature = "oauth")]
    pub(crate) fn revokes_by(&self) -> Option<&Revocation> {
        self.state.shared.revocation.as_ref()
    }

    /// The hook that is told of decisions.
    #[cfg(feature = "oauth")]
    pub(crate) fn audit(&self) -> &Audit {
        &self.state.shared.context.audit
    }
}

impl Shared {
    /// The defaults.
    pub(super) fn new(info: ProviderInfo) -> Self {
        let challenges = info.all_challenges();
        let mut context = RefusalContext::new(challenges.clone(), info.clock.clone());
        context.resource.clone_from(&info.resource);
        Self {
            routes: Routes::new(&info),
            exempt: Exemptions::default(),
            query_names: QueryNames::default(),
            forward_credential: false,
            streams: Streams::new(info.clock.clone()),
            revocation: None,
            grpc: None,
            asked: Vec::new(),
            resource_path: ResourcePath::of(info.resource.as_ref()),
            context: Arc::new(context),
            challenges,
            resources: info.all_resources(),
            selects: info.selects.is_some(),
            contexts: Contexts::default(),
            consumed_headers: info.consumed_headers,
            removed_headers: info.removed_headers,
            reasons: info.reasons,
        }
    }

    /// Takes over what the provider says of itself by now.
    pub(super) fn follow(&mut self, info: ProviderInfo) {
        let context = Arc::make_mut(&mut self.context);
        self.challenges = info.all_challenges();
        context.challenges.clone_from(&self.challenges);
        for challenge in &mut context.challenges {
            challenge.announce(&self.asked);
        }
        context.audit.set_clock(info.clock.clone());
        context.clock = info.clock.clone();
        context.resource.clone_from(&info.resource);
        context.written = Written::default();
        self.routes = Routes::new(&info);
        self.streams.clock = info.clock.clone();
        self.resource_path = ResourcePath::of(info.resource.as_ref());
        self.resources = info.all_resources();
        self.selects = info.selects.is_some();
        self.consumed_headers = info.consumed_headers;
        self.removed_headers = info.removed_headers;
        self.reasons = info.reasons;
        self.forget_contexts();
    }

    /// Comes before a setting is changed that refusals go by.
    pub(super) fn forget_contexts(&mut self) {
        self.contexts = Contexts::default();
    }

    /// What refusals say at a resource that was chosen for a request.
    pub(super) fn context_for(&self, resource: Arc<Resource>) -> Arc<RefusalContext> {
        let listed = self.contexts.0.get_or_init(|| {
            let resources = self.resources.iter();
            let of = |resource: &Arc<Resource>| {
                let context = self.new_context(Arc::clone(resource));
                (resource.shared_url(), context)
            };
            resources.map(of).collect()
        });
        match listed.get(resource.url()) {
            Some(context) if context.is_for(&resource) => Arc::clone(context),
            _ => self.new_context(resource),
        }
    }

    fn new_context(&self, resource: Arc<Resource>) -> Arc<RefusalContext> {
        let mut challenges = self.challenges.clone();
        for challenge in &mut challenges {
            challenge.lead_to(&resource);
            challenge.ask_for(&self.asked);
        }
        Arc::new(self.context.for_resource(resource, challenges))
    }

    /// Whether a request needs no credential. What is the path of the resource always needs one.
    /// `is_nowhere`: no resource was found for it.
    pub(super) fn is_exempt(
        &self,
        head: RequestHead<'_>,
        context: &RefusalContext,
        is_nowhere: bool,
    ) -> bool {
        let path = head.uri().path();
        let is_own = |own: &Arc<Resource>| exempt::leads_to(own, path);
        self.exempt.cover(&head, is_nowhere) && !context.resource.as_ref().is_some_and(is_own)
    }

    /// Adds the settings of another layer that combine: announced scopes, hooks, and the form of
    /// gRPC refusals where this layer has none.
    pub(super) fn join(&mut self, other: &Self) {
        self.grpc = self.grpc.or(other.grpc);
        self.asked.extend_from_slice(&other.asked);
        let context = Arc::make_mut(&mut self.context);
        context.audit.join_hooks(&other.context.audit);
    }

    pub(super) fn set_grpc(&mut self, grpc: bool) {
        Arc::make_mut(&mut self.context).grpc = grpc;
    }

    fn has_revocation_of(&self, other: &Self) -> bool {
        match (&self.revocation, &other.revocation) {
            (None, None) => true,
            (Some(one), Some(other)) => one.is(other),
            _ => false,
        }
    }

    /// Refuses settings of which one layer could have only one.
    pub(super) fn check_same(&self, other: &Self) -> Result<(), ConfigError> {
        let (one, two) = (&self.streams, &other.streams);
        let settings = [
            ("public_path", self.exempt.has_paths_of(&other.exempt)),
            ("sse_endpoints", self.exempt.has_sse_of(&other.exempt)),
            (
                "forbidden_query_names",
                self.query_names == other.query_names,
            ),
            (
                "forward_credential",
                self.forward_credential == other.forward_credential,
            ),
            (
                "optional",
                self.context.is_optional == other.context.is_optional,
            ),
            (
                "dangerously_report_only",
                self.context.report_only == other.context.report_only,
            ),
            ("grpc_refusals", self.context.grpc == other.context.grpc),
            ("revocation", self.has_revocation_of(other)),
            (
                "required_strength",
                self.context.strength == other.context.strength,
            ),
            ("stream_grace", one.grace == two.grace),
            ("stream_max_life", one.max_life == two.max_life),
            (
                "dangerously_streams_outlive_credentials",
                one.outlive_credentials == two.outlive_credentials,
            ),
        ];
        match settings.into_iter().find(|(_, is_same)| !is_same) {
            None => Ok(()),
            Some((setting, _)) => Err(ConfigError::new(
                setting,
                "the two layers are set differently, and one layer has to obey both; leave it \
                 out on them, and set it on what `.or(..)` returns",
            )),
        }
    }
}
