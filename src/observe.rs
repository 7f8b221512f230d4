//! Observe mode: which refusals are let pass, and how that is told.

use http::Extensions;

use crate::error::{AuthError, ConfigError};

/// What would have been refused, in the extensions of the *response*, where a layer only
/// [observes](crate::AuthLayer::dangerously_observe_only).
///
/// ```
/// use http::Response;
/// use tower_mcp_auth::Observed;
///
/// fn count<B>(response: &Response<B>) {
///     for error in response.extensions().get::<Observed>().into_iter().flat_map(Observed::errors) {
///         println!("would be refused: {}", error.reason());
///     }
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Observed(Vec<AuthError>);

impl Observed {
    /// The errors, the one of the outermost layer first. There is at least one.
    pub fn errors(&self) -> &[AuthError] {
        &self.0
    }

    /// Tells of an error in a response. Layers further in have told of theirs already.
    pub(crate) fn tell(extensions: &mut Extensions, error: AuthError) {
        match extensions.get_mut::<Self>() {
            Some(told) => told.0.insert(0, error),
            None => drop(extensions.insert(Self(vec![error]))),
        }
    }
}

/// The refusals a layer does not carry out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Observe {
    All,
    Only(Vec<Box<str>>),
}

impl Observe {
    pub(crate) fn only<I>(reasons: I, own: &[&'static str]) -> Result<Self, ConfigError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let refuse = |message: String| Err(ConfigError::new(Self::ONLY, message));
        let mut list: Vec<Box<str>> = Vec::new();
        for reason in reasons {
            let reason = reason.as_ref();
            if reason == TOKEN_IN_QUERY {
                return refuse(format!(
                    "{reason:?} is always refused, because the credential cannot be taken out \
                     of the URL; leave it out of the list"
                ));
            }
            if !REASONS.contains(&reason) && !own.contains(&reason) {
                return refuse(format!(
                    "{reason:?} is no reason a layer can observe; look for the right one in \
                     `AuthError::reason` of refusals"
                ));
            }
            list.push(reason.into());
        }
        if list.is_empty() {
            return refuse("there is no reason to observe; name one".to_owned());
        }
        // In whatever order they are named, they say the same.
        list.sort_unstable();
        list.dedup();
        Ok(Self::Only(list))
    }

    pub(crate) const ONLY: &'static str = "dangerously_observe_only_for";

    /// Whether a request is let pass that is to be refused for this.
    pub(crate) fn lets_pass(&self, reason: &str) -> bool {
        // What stands in a URL cannot be kept from the service behind.
        reason != TOKEN_IN_QUERY
            && match self {
                Self::All => true,
                Self::Only(reasons) => reasons.iter().any(|own| **own == *reason),
            }
    }
}

const TOKEN_IN_QUERY: &str = "token_in_query";

/// The reasons of this crate for which a request can be let pass. Not among them are those
/// of bodies that did not arrive, and of foreign hosts and origins.
const REASONS: &[&str] = &[
    "algorithm_not_allowed",
    "ambiguous_key",
    "api_key_store_failed",
    "api_key_store_limited",
    "arguments_ambiguous",
    "arguments_too_large",
    "audience_mismatch",
    "bad_id",
    "bad_signature",
    "batch_empty",
    "batch_too_long",
    "batch_with_headers",
    "body_has_bom",
    "body_not_json",
    "body_too_deep",
    "bound_token",
    "claim_mismatch",
    "client_mismatch",
    "content_encoding",
    "content_type",
    "critical_header",
    "duplicate_credential",
    "duplicate_last_event_id",
    "duplicate_member",
    "duplicate_session_id",
    "encrypted_token",
    "expired",
    "expired_api_key",
    "header_too_large",
    "inactive_token",
    "insufficient_scope",
    "introspection_busy",
    "introspection_failed",
    "introspection_limited",
    "introspection_refused",
    "introspection_unsupported",
    "issued_in_the_future",
    "issuer_mismatch",
    "keys_unavailable",
    "lone_surrogate",
    "malformed_credential",
    "malformed_token",
    "mcp_header_twice",
    "mcp_header_unreadable",
    "mcp_method_mismatch",
    "mcp_method_missing",
    "mcp_name_mismatch",
    "mcp_name_missing",
    "mcp_name_unreadable",
    "method_not_a_string",
    "misplaced_credential",
    "missing_audience",
    "missing_client",
    "missing_credential",
    "missing_exp",
    "missing_issuer",
    "mistyped_api_key",
    "multiple_credentials",
    "name_too_long",
    "not_a_jwt",
    "not_json_rpc",
    "not_yet_valid",
    "not_yet_valid_api_key",
    "operation_denied",
    "params_not_an_object",
    "protocol_version_twice",
    "protocol_version_unreadable",
    "reserved_member",
    "revoked_api_key",
    "target_missing",
    "token_too_large",
    "too_many_subscriptions",
    "too_many_waiting",
    "unaccepted_credential",
    "unencoded_payload",
    "unknown_api_key",
    "unknown_key",
    "unknown_session",
    "unknown_token",
    "uri_ambiguous",
    "wrong_token_type",
];
