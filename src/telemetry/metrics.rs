//! The names of the metrics, and their descriptions.
//!
//! The [table](super#metrics) says what each of them counts.
//!
//! ```
//! use tower_mcp_auth::telemetry::metrics;
//!
//! // After the recorder was installed.
//! metrics::describe();
//! assert!(metrics::names().any(|name| name == metrics::REQUESTS));
//! ```

use ::metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

macro_rules! names {
    ($($describe:ident $constant:ident = $name:literal, $unit:ident, $text:literal;)*) => {
        $(
            #[doc = concat!("`", $name, "`: ", $text, ".")]
            pub const $constant: &str = $name;
        )*

        /// All names.
        pub fn names() -> impl Iterator<Item = &'static str> {
            [$($constant),*].into_iter()
        }

        /// Describes all metrics to the recorder in use, for exporters that show descriptions.
        /// Call it once, after the recorder was installed.
        pub fn describe() {
            $($describe!($constant, Unit::$unit, $text);)*
        }
    };
}

names! {
    describe_counter REQUESTS = "mcp_auth_requests_total", Count,
        "Requests that an auth layer judged, by provider, outcome and reason";
    describe_counter POLICY_DECISIONS = "mcp_auth_policy_decisions_total", Count,
        "Decisions of the layers inside and outside the auth layer, by layer, outcome and reason";
    describe_histogram VERIFICATION_SECONDS = "mcp_auth_verification_seconds", Seconds,
        "Time a provider took to judge a credential";
    describe_counter STEP_UPS = "mcp_auth_step_ups_total", Count,
        "Refusals that ask for more scopes, and those that were followed by an acceptance";
    describe_counter STREAMS_ENDED = "mcp_auth_streams_ended_total", Count,
        "Streams ended before their own end, by reason";
    describe_counter QUOTA_DECISIONS = "mcp_auth_quota_decisions_total", Count,
        "Requests that were counted against a budget, by budget and outcome";
    describe_gauge QUOTA_STORE_UP = "mcp_auth_quota_store_up", Count,
        "Whether the shared store of budgets answered when it was last asked";
    describe_counter FAILURES_NOT_SHARED = "mcp_auth_failures_not_shared_total", Count,
        "Failed attempts that the shared store was not told of";
    describe_gauge REVOCATION_ENTRIES = "mcp_auth_revocation_entries", Count,
        "Entries of what is revoked";
    describe_counter KEY_FETCHES = "mcp_auth_key_fetches_total", Count,
        "Fetches of key sets, by issuer and outcome";
    describe_gauge KEYS = "mcp_auth_keys", Count,
        "Usable keys held, by issuer";
    describe_gauge KEYS_FETCHED = "mcp_auth_keys_fetched_timestamp_seconds", Seconds,
        "When keys were fetched last, in seconds since 1970, by issuer";
    describe_counter TOKEN_CACHE_LOOKUPS = "mcp_auth_token_cache_lookups_total", Count,
        "JWTs looked for in the token cache, by result";
    describe_counter INTROSPECTION_LOOKUPS = "mcp_auth_introspection_lookups_total", Count,
        "Tokens looked for in the introspection answers kept, by issuer and result";
    describe_counter INTROSPECTION_CALLS = "mcp_auth_introspection_calls_total", Count,
        "Introspection calls that ended, by issuer and outcome";
    describe_gauge INTROSPECTION_QUEUE = "mcp_auth_introspection_queue", Count,
        "Introspection calls under way or queued, by issuer";
    describe_counter STORE_LOOKUPS = "mcp_auth_api_key_store_lookups_total", Count,
        "API keys looked for in the answers of the store kept, by result";
    describe_counter STORE_CALLS = "mcp_auth_api_key_store_calls_total", Count,
        "Questions to the API key store that ended, by outcome";
    describe_gauge STORE_QUEUE = "mcp_auth_api_key_store_queue", Count,
        "Questions to the API key store under way or queued";
}
