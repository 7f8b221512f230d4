//! The reasons of this crate for which a request can be let pass, and what each of them says of
//! the credential.

use Standing::{Guess, Other, Proven};

/// What a reason says of the credential that was refused for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// No issued credential is known to be like it: it may be a guess, and counts as one.
    Guess,
    /// The credential was issued to somebody, and only its time or its scopes are at fault. The
    /// provider proves that, case by case ([`AuthError::proven`](crate::AuthError::proven)).
    Proven,
    /// Neither: nothing was presented, it was presented badly, it is meant for somebody else or
    /// was taken back, something else in the request is wrong, or the trouble is ours.
    Other,
}

/// `None`: the reason is not one of these, but of a provider outside this crate, or one that is
/// never let pass.
pub(crate) fn standing(reason: &str) -> Option<Standing> {
    let found = REASONS.iter().find(|(own, _)| *own == reason);
    found.map(|(_, standing)| *standing)
}

/// Not among them are those of bodies that did not arrive, of foreign hosts and origins, and of
/// limits for addresses.
const REASONS: &[(&str, Standing)] = &[
    ("algorithm_not_allowed", Guess),
    ("ambiguous_key", Other),
    ("api_key_store_failed", Other),
    ("api_key_store_limited", Other),
    ("ambiguous_arguments", Other),
    ("arguments_too_large", Other),
    ("audience_mismatch", Other),
    ("malformed_id", Other),
    ("invalid_signature", Guess),
    ("empty_batch", Other),
    ("batch_too_long", Other),
    ("unexpected_batch", Other),
    ("unexpected_bom", Other),
    ("not_json", Other),
    ("body_too_deep", Other),
    ("bound_token", Other),
    ("claim_mismatch", Other),
    ("client_mismatch", Other),
    ("unsupported_content_encoding", Other),
    ("unsupported_content_type", Other),
    ("critical_header", Other),
    ("duplicate_credential", Other),
    ("duplicate_last_event_id", Other),
    ("duplicate_token_member", Other),
    ("duplicate_session_id", Other),
    ("encrypted_token", Other),
    ("expired", Proven),
    ("expired_api_key", Proven),
    ("header_too_large", Other),
    ("inactive_token", Guess),
    ("insufficient_scope", Proven),
    ("introspection_busy", Other),
    ("introspection_failed", Other),
    ("introspection_limited", Other),
    ("introspection_refused", Other),
    ("introspection_unsupported", Other),
    ("issued_in_the_future", Proven),
    ("issuer_mismatch", Other),
    ("keys_unavailable", Other),
    ("lone_surrogate", Other),
    ("malformed_credential", Other),
    ("malformed_token", Guess),
    ("duplicate_mcp_header", Other),
    ("malformed_mcp_header", Other),
    ("mcp_method_mismatch", Other),
    ("missing_mcp_method", Other),
    ("mcp_name_mismatch", Other),
    ("missing_mcp_name", Other),
    ("malformed_mcp_name", Other),
    ("malformed_method", Other),
    ("misplaced_credential", Other),
    ("missing_audience", Other),
    ("missing_client", Other),
    ("missing_credential", Other),
    ("missing_exp", Proven),
    ("missing_issuer", Other),
    ("mistyped_api_key", Guess),
    ("multiple_credentials", Other),
    ("name_too_long", Other),
    ("not_a_jwt", Guess),
    ("not_json_rpc", Other),
    ("not_yet_valid", Proven),
    ("not_yet_valid_api_key", Proven),
    ("operation_denied", Other),
    ("malformed_params", Other),
    ("duplicate_protocol_version", Other),
    ("malformed_protocol_version", Other),
    ("reserved_member", Other),
    ("revoked_api_key", Other),
    ("missing_target", Other),
    ("token_too_large", Other),
    ("too_many_subscriptions", Other),
    ("keys_limited", Other),
    ("unaccepted_credential", Guess),
    ("unencoded_payload", Other),
    ("unknown_api_key", Guess),
    ("unknown_key", Guess),
    ("unknown_session", Other),
    ("unknown_token", Guess),
    ("ambiguous_uri", Other),
    ("wrong_token_type", Other),
];
