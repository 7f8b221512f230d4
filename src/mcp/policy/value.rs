//! A policy as a value of any serde format.

use http::Method;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::{ScopePolicy, Unlisted};
use crate::error::ConfigError;
use crate::requirement::UniqueMap;
use crate::requirement::{Needs, ScopeHierarchy};
use crate::scopes::IncludeGranted;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
struct Policy {
    base: Needs,
    methods: UniqueMap<Needs>,
    tools: UniqueMap<Needs>,
    prompts: UniqueMap<Needs>,
    resources: UniqueMap<Needs>,
    answers: Needs,
    notifications: Needs,
    http: UniqueMap<Needs>,
    other_http: Option<Needs>,
    hierarchy: ScopeHierarchy,
    include_granted: IncludeGranted,
    unlisted: Unlisted,
}

impl TryFrom<Policy> for ScopePolicy {
    type Error = ConfigError;

    fn try_from(value: Policy) -> Result<Self, ConfigError> {
        let mut builder = Self::builder()
            .base(value.base)?
            .answers(value.answers)?
            .notifications(value.notifications)?
            .hierarchy(value.hierarchy)
            .include_granted(value.include_granted)
            .unlisted(value.unlisted);
        for (pattern, needs) in value.methods.0 {
            builder = builder.method(&pattern, needs)?;
        }
        for (pattern, needs) in value.tools.0 {
            builder = builder.tool(&pattern, needs)?;
        }
        for (pattern, needs) in value.prompts.0 {
            builder = builder.prompt(&pattern, needs)?;
        }
        for (pattern, needs) in value.resources.0 {
            builder = builder.resource(&pattern, needs)?;
        }
        for (method, needs) in value.http.0 {
            // Methods of HTTP are case-sensitive, and all that are meant here are upper case.
            let known = Method::from_bytes(method.as_bytes())
                .ok()
                .filter(|_| method.bytes().all(|byte| byte.is_ascii_uppercase()));
            let method = known.ok_or_else(|| {
                ConfigError::new("http", format!("{method:?} is no method; write `GET`"))
            })?;
            builder = builder.http(method, needs)?;
        }
        if let Some(needs) = value.other_http {
            builder = builder.other_http(needs)?;
        }
        builder.build()
    }
}

impl<'de> Deserialize<'de> for ScopePolicy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let policy = Policy::deserialize(deserializer)?;
        Self::try_from(policy).map_err(D::Error::custom)
    }
}
