//! The resources that a layer of API keys protects, where it names them.

use std::sync::Arc;

use crate::auth::{ProviderInfo, Route};
use crate::credential::RequestHead;
use crate::error::ConfigError;
use crate::resource::Resource;
use crate::resources::{ResourceSet, check_url};
use crate::util::repeated;

/// The resources of a layer, as far as it says.
#[derive(Clone, Default)]
pub(super) enum Protects {
    #[default]
    Unsaid,
    One(Arc<Resource>),
    Several(Arc<ResourceSet>),
}

impl Protects {
    pub(super) fn set_one(&mut self, url: &str) -> Result<(), ConfigError> {
        self.check_unsaid("resource")?;
        check_url(url).map_err(|why| {
            ConfigError::new("resource", format!("{} is none: {why}", repeated(url)))
        })?;
        *self = Self::One(Arc::new(Resource::new(url)));
        Ok(())
    }

    pub(super) fn set_several(&mut self, resources: ResourceSet) -> Result<(), ConfigError> {
        self.check_unsaid("resources")?;
        resources.check()?;
        *self = Self::Several(Arc::new(resources));
        Ok(())
    }

    fn check_unsaid(&self, setting: &'static str) -> Result<(), ConfigError> {
        let other = match self {
            Self::Unsaid => return Ok(()),
            Self::One(_) => "resource",
            Self::Several(_) => "resources",
        };
        Err(ConfigError::new(
            setting,
            format!("`{other}` says already what the layer protects; set one of them, once"),
        ))
    }

    /// What they add to the facts of the provider.
    pub(super) fn describe(&self, info: ProviderInfo) -> ProviderInfo {
        match self {
            Self::Unsaid => info,
            Self::One(resource) => info.resource(Arc::clone(resource)),
            Self::Several(resources) => info.selects_resources(resources.listed().cloned()),
        }
    }

    pub(super) fn route(&self, head: RequestHead<'_>) -> Route {
        match self {
            Self::Several(resources) => resources.choose(head).into(),
            Self::Unsaid | Self::One(_) => Route::Default,
        }
    }
}
