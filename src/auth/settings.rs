//! What every auth layer can be set to, whatever its provider.

use std::sync::Arc;

use super::Authenticate;
use super::exempt::Exemptions;
use super::lease::Streams;
use crate::challenge::RefusalContext;
use crate::credential::QueryNames;
use crate::error::ConfigError;

/// The settings of an auth layer.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) exempt: Exemptions,
    pub(super) query_names: QueryNames,
    pub(super) forward_credential: bool,
    /// Whether who presents nothing passes, as nobody.
    pub(super) optional: bool,
    pub(super) streams: Streams,
    pub(super) context: Arc<RefusalContext>,
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
            context: Arc::new(RefusalContext::new(provider.challenges(), provider.clock())),
        }
    }

    /// Takes over what a provider says of itself.
    pub(super) fn follow(&mut self, provider: &impl Authenticate) {
        let context = Arc::make_mut(&mut self.context);
        context.challenges = provider.challenges();
        context.audit.set_clock(provider.clock());
        self.streams.clock = provider.clock();
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
                "dangerously_observe_only",
                self.context.observe == other.context.observe,
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
