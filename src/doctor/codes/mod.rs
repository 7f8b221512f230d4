//! The table of codes: the cause stands before what follows from it.

/// A line of the table.
macro_rules! entry {
    ($name:ident, $code:literal, $severity:ident, $what:literal, $cause:literal, $fix:literal,
     $own:expr) => {
        pub(crate) const $name: Code = Code::new(&Entry {
            code: $code,
            severity: Severity::$severity,
            what: $what,
            cause: $cause,
            fix: $fix,
            own: $own,
        });
    };
}

mod endpoint;
mod metadata;
mod server;
mod token;

pub(super) use self::endpoint::*;
pub(super) use self::metadata::*;
pub(super) use self::server::*;
pub(super) use self::token::*;

use super::code::Code;

impl Code {
    /// All of them, the cause before what follows from it.
    pub const ALL: &'static [Self] = &[
        UNREACHABLE,
        INTERIM_RESPONSES,
        CERTIFICATE_AUTHORITY_UNKNOWN,
        CERTIFICATE_IS_AUTHORITY,
        CERTIFICATE_HOST,
        CERTIFICATE_EXPIRED,
        CERTIFICATE_NOT_YET_VALID,
        TLS_FAILING,
        PLAIN_HTTP,
        ENDPOINT_REDIRECTS,
        ENDPOINT_NOT_FOUND,
        ENDPOINT_FAILING,
        HOST_REFUSED,
        NO_AUTHORIZATION,
        MADE_UP_TOKEN_ACCEPTED,
        METHOD_UNGUARDED,
        REFUSAL_WITH_200,
        WRONG_STATUS_WITHOUT_TOKEN,
        ANONYMOUS_ACCEPTED,
        CHALLENGE_MISSING,
        CHALLENGE_WITHOUT_BEARER,
        API_KEYS_ONLY,
        CHALLENGE_MALFORMED,
        CHALLENGE_NOT_FIRST,
        CHALLENGE_MISREAD,
        CHALLENGE_ERROR_WITHOUT_TOKEN,
        METADATA_NOT_IN_CHALLENGE,
        METADATA_URL_INVALID,
        METADATA_URL_INSECURE,
        METADATA_URL_ELSEWHERE,
        SCOPE_MALFORMED,
        METADATA_MISSING,
        METADATA_POINTER_BROKEN,
        METADATA_AUTH_REQUIRED,
        METADATA_REDIRECTS,
        METADATA_FAILING,
        METADATA_NOT_JSON,
        METADATA_CONTENT_TYPE,
        METADATA_VERSION_GATE,
        RESOURCE_WIDER,
        METADATA_ONLY_AT_ROOT,
        METADATA_DIFFER,
        METADATA_NULL,
        METADATA_EMPTY,
        BEARER_METHODS,
        OFFLINE_ACCESS,
        RESOURCE_MISSING,
        RESOURCE_TRAILING_SLASH,
        RESOURCE_SCHEME,
        RESOURCE_PORT,
        RESOURCE_HOST,
        RESOURCE_PATH,
        AUTHORIZATION_SERVERS_MISSING,
        CONFIGURATION_DIFFERS,
        ISSUER_INVALID,
        ISSUER_INSECURE,
        ISSUER_UNREACHABLE,
        ISSUER_METADATA_MISSING,
        ISSUER_METADATA_NOT_JSON,
        ISSUER_REDIRECTS,
        ISSUER_MISMATCH,
        ENDPOINTS_MISSING,
        ENDPOINT_INSECURE,
        PKCE_MISSING,
        REGISTRATION_MISSING,
        RESOURCE_NOT_LISTED,
        CODE_FLOW_MISSING,
        KEYS_NOT_NAMED,
        KEYS_UNREACHABLE,
        KEYS_UNUSABLE,
        PRIVATE_KEY_PUBLISHED,
        KEYS_AMBIGUOUS,
        KEY_SKIPPED,
        CLOCK_OFF,
        ISSUER_CLOCK_OFF,
        OWN_CLOCK_OFF,
        TOKEN_NOT_SENT,
        TOKEN_MALFORMED,
        TOKEN_OPAQUE,
        TOKEN_WRONG_KIND,
        TOKEN_ISSUER,
        TOKEN_AUDIENCE_MISSING,
        TOKEN_AUDIENCE,
        TOKEN_EXPIRED,
        TOKEN_NOT_YET_VALID,
        TOKEN_TIMES_MISSING,
        TOKEN_ALGORITHM,
        TOKEN_KEY_UNKNOWN,
        TOKEN_SIGNATURE,
        TOKEN_BOUND,
        TOKEN_SCOPE,
        BAD_TOKEN_ACCEPTED,
        FOREIGN_AUDIENCE_ACCEPTED,
        TOKEN_CHECK_FAILING,
        TOKEN_REFUSED,
        INVALID_TOKEN_WRONG_STATUS,
        INVALID_TOKEN_NOT_SAID,
        TOKEN_IN_QUERY,
        LIST_EMPTY_FOR_WANT_OF_SCOPE,
        LIST_EMPTY,
        RATE_LIMITED,
        SESSION_FAILING,
        CORS_ABSENT,
        CORS_PREFLIGHT_REFUSED,
        CORS_HEADERS_NOT_ALLOWED,
        CORS_REFUSAL_HIDDEN,
        CORS_CHALLENGE_NOT_EXPOSED,
        CORS_METADATA_CLOSED,
    ];

    /// The place in the table.
    pub(super) fn rank(self) -> usize {
        let own = Self::ALL.iter().position(|other| *other == self);
        own.unwrap_or(usize::MAX)
    }
}
