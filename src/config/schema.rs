//! The JSON Schema of the configuration.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema as schema};
use serde_json::Value;

use super::Config;
#[cfg(feature = "oauth")]
use super::claim_values::ClaimValues;
#[cfg(feature = "oauth")]
use super::ids::Ids;
use super::secret::{OlderKeys, SecretSource};
use super::sections::Sections;
use super::units::{Life, Listed, Name, Size, Span, Texts, Time};
use crate::error::Reason;

/// The JSON Schema (2020-12) of a [`Config`], for editors and for checks before a roll-out.
///
/// It has the settings of the features that are on. `docs/config.schema.json` in the package is
/// the one with all features. It takes what can be read: that a setting is good, and goes with
/// the others, is found out where layers are made; reason codes alone are listed. Numbers and flags in texts, which are read
/// for the sake of the environment, are not in it.
///
/// ```
/// use tower_mcp_auth::config::json_schema;
///
/// let schema = json_schema();
/// assert!(schema["properties"]["resource"].is_object());
/// assert_eq!(schema["additionalProperties"], false);
/// ```
pub fn json_schema() -> Value {
    let generator = SchemaSettings::draft2020_12().into_generator();
    let mut schema = generator.into_root_schema_for::<Config>().to_value();
    drop_null(&mut schema);
    schema
}

/// What is left out is left out: nothing may be null, as derived code would have it.
fn drop_null(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(drop_null),
        Value::Object(members) => {
            members.values_mut().for_each(drop_null);
            if members.get("default").is_some_and(Value::is_null) {
                members.remove("default");
            }
            if let Some(Value::Array(types)) = members.get_mut("type") {
                types.retain(|kind| kind != "null");
                if let [kind] = &types[..] {
                    let kind = kind.clone();
                    members.insert("type".to_owned(), kind);
                }
            }
            if let Some(Value::Array(kinds)) = members.get_mut("anyOf") {
                kinds.retain(|kind| kind["type"] != "null");
                if let [Value::Object(kind)] = &mut kinds[..] {
                    let kind = std::mem::take(kind);
                    members.remove("anyOf");
                    for (name, member) in kind {
                        members.entry(name).or_insert(member);
                    }
                }
            }
        }
        _ => {}
    }
}

/// One or more numbers, each with its unit, or a number of seconds.
const DURATION: &str = concat!(
    r"^(\+?[0-9]+|(\s*[0-9]+(\.[0-9]+)?\s*(",
    "nanos|nsec|ns|usec|us|µs|millis|msec|ms|seconds?|secs?|s|minutes?|mins?|m|hours?|hrs?|hr|h|",
    "days?|d|weeks?|wks?|w|months?|years?|yrs?|y",
    r"))+\s*)$",
);

/// Texts with white space between them, and none with a comma at either end.
const SEPARATED: &str = r"^\s*[^\s,](\S*[^\s,])?(\s+[^\s,](\S*[^\s,])?)*\s*$";

impl JsonSchema for Config {
    fn schema_name() -> Cow<'static, str> {
        "Config".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Sections::json_schema(generator)
    }
}

macro_rules! scalar {
    ($kind:ty, $name:literal, $($schema:tt)*) => {
        impl JsonSchema for $kind {
            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                schema!({ $($schema)* })
            }
        }
    };
}

scalar! { Span, "Duration",
    "description": "A duration: \"30s\", \"1h 30m\", or whole seconds.",
    "anyOf": [
        { "type": "string", "pattern": DURATION },
        { "type": "integer", "minimum": 0 },
    ],
}

scalar! { Life, "Life",
    "description": "A duration: \"30s\", \"1h 30m\", or whole seconds; or \"unlimited\".",
    "anyOf": [
        { "type": "string", "pattern": DURATION },
        { "type": "string", "const": "unlimited" },
        { "type": "integer", "minimum": 0 },
    ],
}

scalar! { Size, "Size",
    "description": "A size: \"4 MiB\", \"64 kB\", or bytes.",
    "anyOf": [
        { "type": "string", "pattern": "^[0-9]+((\\.[0-9]+)?\\s*([kKmMgGtTpPeE][iI]?[bB]?|[bB]))?$" },
        { "type": "integer", "minimum": 0 },
    ],
}

scalar! { Time, "Time",
    "description": "A time: \"2027-01-01T00:00:00Z\", or seconds since 1970.",
    "anyOf": [
        {
            "type": "string",
            "pattern": "^([0-9]+|[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2}))$",
        },
        { "type": "integer", "minimum": 0 },
    ],
}

scalar! { Texts, "Texts",
    "description": "A list of texts, or one text with white space between its elements.",
    "anyOf": [
        { "type": "string", "pattern": SEPARATED },
        { "type": "array", "items": { "type": "string" } },
    ],
}

/// Reason codes; in a list, those that may be reported.
pub(super) struct ReasonCodes;

scalar! { ReasonCodes, "ReasonCodes",
    "description": "Codes of docs/reason-codes.md: a list, or one text with white space between them.",
    "anyOf": [
        { "type": "string", "pattern": SEPARATED },
        { "type": "array", "items": { "type": "string", "enum": reason_codes() } },
    ],
}

fn reason_codes() -> Vec<&'static str> {
    let reportable = Reason::ALL.iter().filter(|reason| reason.may_be_reported());
    reportable.map(|reason| reason.code()).collect()
}

#[cfg(feature = "oauth")]
scalar! { Ids, "Ids",
    "description": "A list of ids that are whole numbers, or one of them.",
    "anyOf": [
        { "type": "string", "pattern": "^\\s*[0-9]+(\\s+[0-9]+)*\\s*$" },
        { "type": "integer", "minimum": 0 },
        { "type": "array", "items": {
            "anyOf": [
                { "type": "string", "pattern": "^[0-9]+$" },
                { "type": "integer", "minimum": 0 },
            ],
        } },
    ],
}

#[cfg(feature = "oauth")]
scalar! { ClaimValues, "ClaimValues",
    "description": "What a claim may be: a list of texts, booleans and whole numbers, or one of them.",
    "anyOf": [
        { "type": "string", "pattern": SEPARATED },
        { "type": ["boolean", "integer"] },
        { "type": "array", "items": { "type": ["string", "boolean", "integer"] } },
    ],
}

scalar! { Name, "Name",
    "description": "A text that is not empty.",
    "type": "string",
    "pattern": "\\S",
}

impl<T: JsonSchema> JsonSchema for Listed<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("ListOrMapOf{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let item = generator.subschema_for::<T>();
        schema!({
            "description": "A list, or a map by name.",
            "anyOf": [
                { "type": "array", "items": item },
                { "type": "object", "additionalProperties": item },
            ],
        })
    }
}

impl JsonSchema for OlderKeys {
    fn schema_name() -> Cow<'static, str> {
        "OlderKeys".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let key = generator.subschema_for::<SecretSource>();
        schema!({
            "description": "Older keys: a list, or a map by name.",
            "anyOf": [
                { "type": "array", "items": key },
                {
                    "type": "object",
                    "additionalProperties": key,
                    "propertyNames": { "not": { "enum": Self::PLACES } },
                },
            ],
        })
    }
}

/// RFC 6749, section 3.3, with no comma at either end.
macro_rules! scope {
    () => {
        concat!(
            r"[\x21\x23-\x2b\x2d-\x5b\x5d-\x7e]",
            r"([\x21\x23-\x5b\x5d-\x7e]*[\x21\x23-\x2b\x2d-\x5b\x5d-\x7e])?",
        )
    };
}

const SCOPE: &str = concat!("^", scope!(), "$");

/// At least one.
const SCOPES: &str = concat!("^ *", scope!(), "( +", scope!(), ")* *$");

scalar! { Scope, "Scope",
    "description": "One scope.",
    "type": "string",
    "pattern": SCOPE,
}

struct SignInValues;

scalar! { SignInValues, "SignInValues",
    "description": "Values of `acr` or `amr`: a list, or one text with white space between them.",
    "anyOf": [
        { "type": "string", "pattern": SCOPES },
        { "type": "array", "minItems": 1, "items": { "type": "string", "pattern": SCOPE } },
    ],
}

struct Age;

scalar! { Age, "Age",
    "description": "A duration such as \"5m\" or \"8h\", or whole seconds.",
    "anyOf": [
        { "type": "string", "pattern": "^\\s*([0-9]+|([0-9]+\\s*(s|m|min|h|d)\\s*)+)\\s*$" },
        { "type": "integer", "minimum": 1 },
    ],
}

/// POST is judged by its message, and HEAD like GET.
fn method() -> Value {
    serde_json::json!({ "pattern": "^[A-Z]+$", "not": { "enum": ["POST", "HEAD"] } })
}

/// What a [`McpPolicy`](crate::mcp::McpPolicy) is read from.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[allow(dead_code)] // Only its schema is wanted.
pub(super) struct Policy {
    /// What every request needs.
    baseline: Option<Requirement>,
    /// Rules for JSON-RPC methods.
    methods: Option<BTreeMap<String, Requirement>>,
    /// Rules for tools.
    tools: Option<BTreeMap<String, Requirement>>,
    /// Rules for prompts.
    prompts: Option<BTreeMap<String, Requirement>>,
    /// Rules for resources.
    resources: Option<BTreeMap<String, Requirement>>,
    /// What responses of the client need.
    client_responses: Option<Requirement>,
    /// What notifications need.
    notifications: Option<Requirement>,
    /// Rules for HTTP methods that carry no message.
    #[schemars(extend("propertyNames" = method()))]
    http: Option<BTreeMap<String, Requirement>>,
    /// What other HTTP methods need.
    other_http_methods: Option<Requirement>,
    /// Which scopes include which.
    #[schemars(extend("propertyNames" = { "pattern": SCOPE }))]
    hierarchy: Option<BTreeMap<String, Vec<Scope>>>,
    /// Which values of `acr` are stronger, the weakest first: each stands for those before it.
    acr_order: Option<SignInValues>,
    /// Whether a challenge names the scopes that were granted as well.
    include_granted: Option<IncludeGranted>,
    /// What becomes of what no rule is for.
    default_rule: Option<DefaultRule>,
}

struct Scope;

/// Scopes an operation needs.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[allow(dead_code)] // Only its schema is wanted.
enum Requirement {
    /// All of them, separated by spaces.
    #[schemars(extend("pattern" = SCOPES))]
    Joined(String),
    /// All of them.
    All(Vec<Scope>),
    Map(RequirementMap),
}

/// All of one list and one of another, of a user who signed in so; nothing; a caller without
/// scopes; or what no caller meets.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, extend("minProperties" = 1))]
#[allow(dead_code)] // Only its schema is wanted.
struct RequirementMap {
    all: Option<Vec<Scope>>,
    #[schemars(extend("minItems" = 1))]
    any: Option<Vec<Scope>>,
    none: Option<bool>,
    authenticated: Option<bool>,
    deny: Option<bool>,
    /// The values of `acr` that are accepted, the least demanding first.
    acr: Option<SignInValues>,
    /// Methods of `amr` that are all needed, beside an `acr`.
    amr: Option<SignInValues>,
    /// How long ago the user may have signed in.
    max_age: Option<Age>,
}

/// How strongly and how lately a user must have signed in (RFC 9470).
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, extend("minProperties" = 1))]
#[allow(dead_code)] // Only its schema is wanted.
pub(super) struct Strength {
    /// The values of `acr` that are accepted, the least demanding first.
    acr: Option<SignInValues>,
    /// Methods of `amr` that are all needed, beside an `acr`.
    amr: Option<SignInValues>,
    /// How long ago the user may have signed in.
    max_age: Option<Age>,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
#[allow(dead_code)] // Only its schema is wanted.
enum IncludeGranted {
    /// Always, or never.
    Flag(bool),
    Setting(IncludeGrantedSetting),
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
#[allow(dead_code)] // Only its schema is wanted.
enum IncludeGrantedSetting {
    Always,
    Never,
    ByRevision,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
#[allow(dead_code)] // Only its schema is wanted.
enum DefaultRule {
    Deny,
    Base,
}
