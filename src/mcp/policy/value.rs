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
        let in_order = |setting: &'static str, rule: &str, needs: Requirement| {
            needs.in_order(&order).map_err(|acr| {
                let what = match rule {
                    "" => "it".to_owned(),
                    rule => format!("{rule:?}"),
                };
                let why = format!(
                    "{what} asks for the acr {acr:?}, which `acr_order` does not have: add it \
                     there, or ask for one that is there"
                );
                ConfigError::new(setting, why)
            })
        };
        let mut builder = Self::builder()
            .baseline(in_order("baseline", "", value.baseline)?)?
            .client_responses(in_order("client_responses", "", value.client_responses)?)?
            .notifications(in_order("notifications", "", value.notifications)?)?
            .hierarchy(value.hierarchy)
            .include_granted(value.include_granted)
            .default_rule(value.default_rule);
        for (pattern, needs) in value.methods.0 {
            let needs = in_order("methods", &pattern, needs)?;
            builder = builder.method(&pattern, needs)?;
        }
        for (pattern, needs) in value.tools.0 {
            let needs = in_order("tools", &pattern, needs)?;
            builder = builder.tool(&pattern, needs)?;
        }
        for (pattern, needs) in value.prompts.0 {
            let needs = in_order("prompts", &pattern, needs)?;
            builder = builder.prompt(&pattern, needs)?;
        }
        for (pattern, needs) in value.resources.0 {
            let needs = in_order("resources", &pattern, needs)?;
            builder = builder.resource(&pattern, needs)?;
        }
        for (method, needs) in value.http.0 {
            // Methods of HTTP are case-sensitive, and all that are meant here are upper case.
            let known = Method::from_bytes(method.as_bytes())
                .ok()
                .filter(|_| method.bytes().all(|byte| byte.is_ascii_uppercase()));
            let needs = in_order("http", &method, needs)?;
            let method = known.ok_or_else(|| {
                ConfigError::new("http", format!("{method:?} is no method; write `GET`"))
            })?;
            builder = builder.http(method, needs)?;
        }
        if let Some(needs) = value.other_http_methods {
            let needs = in_order("other_http_methods", "", needs)?;
            builder = builder.other_http_methods(needs)?;
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
