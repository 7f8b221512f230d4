//! The resources that a key is for.

use std::fmt;
use std::sync::Arc;

use super::demand::Demand;
use crate::error::{ConfigError, Reason};
use crate::resources::check_url;
use crate::util::quoted;

/// How many of them a trace names.
const TRACED: usize = 3;

/// URLs of resources: each once, in order.
#[derive(Clone, Debug)]
pub(super) struct KeyResources(Arc<[Box<str>]>);

impl KeyResources {
    #[cfg(all(feature = "api-key-store", feature = "redis"))]
    pub(super) fn urls(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|url| &**url)
    }

    pub(super) fn new<I>(urls: I) -> Result<Self, ConfigError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let refuse = |why: String| Err(ConfigError::new("resources", why));
        let mut named: Vec<Box<str>> = Vec::new();
        for (index, url) in urls.into_iter().enumerate() {
            let url = url.as_ref();
            if let Err(why) = check_url(url) {
                return refuse(format!("number {} names no resource: {why}", index + 1));
            }
            named.push(url.into());
        }
        if named.is_empty() {
            return refuse(
                "the list is empty, so the key would be good nowhere; name a resource, or leave \
                 the setting out"
                    .to_owned(),
            );
        }
        named.sort_unstable();
        named.dedup();
        Ok(Self(named.into()))
    }

    fn has(&self, url: &str) -> bool {
        self.0.binary_search_by(|own| (**own).cmp(url)).is_ok()
    }
}

impl fmt::Display for KeyResources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, others) = self.0.split_at(self.0.len().min(TRACED));
        let first: Vec<_> = first.iter().map(|url| quoted(url)).collect();
        f.write_str(&first.join(", "))?;
        match others.len() {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

/// Why a key is not for the resource of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Misplaced {
    /// It names others.
    Elsewhere,
    /// It names some, and the resource of the request is not known.
    Nowhere,
    /// It names none, and there are several.
    Unnamed,
}

impl Misplaced {
    /// `own` are the resources that the key names.
    pub(super) fn of(own: Option<&KeyResources>, demand: Demand<'_>) -> Option<Self> {
        match (own, demand.resource()) {
            (None, _) => demand.must_name().then_some(Self::Unnamed),
            (Some(_), None) => Some(Self::Nowhere),
            (Some(own), Some(asked)) => (!own.has(asked)).then_some(Self::Elsewhere),
        }
    }

    pub(super) fn reason(self) -> Reason {
        match self {
            Self::Elsewhere | Self::Nowhere => Reason::API_KEY_RESOURCE_MISMATCH,
            Self::Unnamed => Reason::API_KEY_WITHOUT_RESOURCES,
        }
    }

    /// For the operator, behind the names of both resources.
    pub(super) fn hint(self, own: Option<&KeyResources>, demand: Demand<'_>) -> &'static str {
        let named = || own.iter().flat_map(|own| own.0.iter());
        let asked = demand.resource().unwrap_or_default();
        let bare = |url: &str| url.trim_end_matches('/').len();
        match self {
            Self::Unnamed => {
                "; the layer has several resources, and the key names none: give it `resources`, \
                 or say `dangerously_all_resources`"
            }
            Self::Nowhere => {
                "; the resource of the request is not known here: `ApiKeyLayer::resource` names \
                 that of a layer"
            }
            Self::Elsewhere if named().any(|own| own[..bare(own)] == asked[..bare(asked)]) => {
                " (they differ only by a slash at the end)"
            }
            Self::Elsewhere if named().any(|own| own.eq_ignore_ascii_case(asked)) => {
                " (they differ only by case)"
            }
            Self::Elsewhere => "",
        }
    }
}
