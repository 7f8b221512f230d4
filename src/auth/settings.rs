//! What every auth layer can be set to, whatever its provider.

use std::sync::Arc;

use super::Authenticate;
use super::exempt::Exemptions;
use super::lease::Streams;
use crate::credential::QueryNames;
use crate::error::ConfigError;
use crate::refusal::RefusalContext;
use crate::requirement::AskedScopes;
use crate::telemetry::{self, Told};

/// The settings of an auth layer.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) exempt: Exemptions,
    pub(super) query_names: QueryNames,
    pub(super) forward_credential: bool,
    /// Whether who presents nothing passes, as nobody.
    pub(super) optional: bool,
    pub(super) streams: Streams,
    /// Whether gRPC requests are refused in gRPC's form, where that was said.
    pub(super) grpc: Option<bool>,
    /// What layers further in ask for.
    pub(super) asked: Vec<AskedScopes>,
    pub(super) context: Arc<RefusalContext>,
    /// Of a resource whose path something outside can cut short.
    pub(super) resource_path: Option<ResourcePath>,
}

/// The path of a resource, and whether it was told that requests come with a part of it.
#[derive(Clone, Debug)]
pub(super) struct ResourcePath {
    whole: Box<str>,
    told: Told,
}

impl ResourcePath {
    /// `None` for a path of one segment, of which nothing is left where one is cut off.
    fn of(provider: &impl Authenticate) -> Option<Self> {
        let path = provider.resource_path()?;
        let has_more = path
            .trim_end_matches('/')
            .rfind('/')
            .is_some_and(|at| at > 0);
        has_more.then(|| Self {
            whole: path.into(),
            told: Told::default(),
        })
    }

    /// Tells once of a request at a proper end of the path.
    #[inline]
    pub(super) fn look_at(&self, path: &str) {
        let is_end = path.len() > 1 && path.len() < self.whole.len() && self.whole.ends_with(path);
        if is_end && path.starts_with('/') {
            let tell = || telemetry::path_cut_short(&self.whole, path);
            self.told.tell(tell);
        }
    }
}

impl Settings {
    /// The defaults.
    pub(super) fn new(provider: &impl Authenticate) -> Self {
        Self {
            exempt: Exemptions::default(),
            query_names: QueryNames::default(),
            forward_credential: false,
            optional: false,
            streams: Streams::new(provider.clock()),
            grpc: None,
            asked: Vec::new(),
            context: Arc::new(RefusalContext::new(provider.challenges(), provider.clock())),
            resource_path: ResourcePath::of(provider),
        }
    }

    /// Takes over what a provider says of itself.
    pub(super) fn follow(&mut self, provider: &impl Authenticate) {
        let context = Arc::make_mut(&mut self.context);
        context.challenges = provider.challenges();
        for challenge in &mut context.challenges {
            challenge.announce(&self.asked);
        }
        context.audit.set_clock(provider.clock());
        self.streams.clock = provider.clock();
        self.resource_path = ResourcePath::of(provider);
    }

    pub(super) fn set_grpc(&mut self, grpc: bool) {
        Arc::make_mut(&mut self.context).grpc = grpc;
    }

    /// Announces what the layers inside another auth layer ask for as well.
    pub(super) fn join_asked(&mut self, other: &Self) {
        self.asked.extend_from_slice(&other.asked);
    }

    /// Tells the hooks of another layer as well.
    pub(super) fn join_hooks(&mut self, other: &Self) {
        let context = Arc::make_mut(&mut self.context);
        context.audit.join_hooks(&other.context.audit);
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
            ("optional", self.optional == other.optional),
            (
                "dangerously_report_only",
                self.context.report_only == other.context.report_only,
            ),
            ("grpc_refusals", self.context.grpc == other.context.grpc),
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
