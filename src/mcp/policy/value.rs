//! A policy as a value of any serde format.

use http::Method;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::{DefaultRule, McpPolicy};
use crate::error::ConfigError;
use crate::requirement::{AcrOrder, Requirement, ScopeHierarchy, UniqueMap};
use crate::scopes::IncludeGranted;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
struct Policy {
    baseline: Requirement,
    methods: UniqueMap<Requirement>,
    tools: UniqueMap<Requirement>,
    prompts: UniqueMap<Requirement>,
    resources: UniqueMap<Requirement>,
    client_responses: Requirement,
    notifications: Requirement,
    http: UniqueMap<Requirement>,
    other_http_methods: Option<Requirement>,
    hierarchy: ScopeHierarchy,
    acr_order: AcrOrder,
    include_granted: IncludeGranted,
    default_rule: DefaultRule,
}

impl TryFrom<Policy> for McpPolicy {
    type Error = ConfigError;

    fn try_from(value: Policy) -> Result<Self, ConfigError> {
        let order = value.acr_order;
        let mut builder = Self::builder()
            .baseline(value.baseline.in_order(&order))?
            .client_responses(value.client_responses.in_order(&order))?
            .notifications(value.notifications.in_order(&order))?
            .hierarchy(value.hierarchy)
            .include_granted(value.include_granted)
            .default_rule(value.default_rule);
        for (pattern, needs) in value.methods.0 {
            builder = builder.method(&pattern, needs.in_order(&order))?;
        }
        for (pattern, needs) in value.tools.0 {
            builder = builder.tool(&pattern, needs.in_order(&order))?;
        }
        for (pattern, needs) in value.prompts.0 {
            builder = builder.prompt(&pattern, needs.in_order(&order))?;
        }
        for (pattern, needs) in value.resources.0 {
            builder = builder.resource(&pattern, needs.in_order(&order))?;
        }
        for (method, needs) in value.http.0 {
            // Methods of HTTP are case-sensitive, and all that are meant here are upper case.
            let known = Method::from_bytes(method.as_bytes())
                .ok()
                .filter(|_| method.bytes().all(|byte| byte.is_ascii_uppercase()));
            let method = known.ok_or_else(|| {
                ConfigError::new("http", format!("{method:?} is no method; write `GET`"))
            })?;
            builder = builder.http(method, needs.in_order(&order))?;
        }
        if let Some(needs) = value.other_http_methods {
            builder = builder.other_http_methods(needs.in_order(&order))?;
        }
        builder.build()
    }
}

impl<'de> Deserialize<'de> for McpPolicy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let policy = Policy::deserialize(deserializer)?;
        Self::try_from(policy).map_err(D::Error::custom)
    }
}
