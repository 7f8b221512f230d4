//! The table of reason codes: for each its kind, what it says of the credential, and its texts.
//!
//! Docs, the page for operators and the schema of the configuration are made from it.

use std::fmt;

use Standing::{Custom, Guess, Never, Other, Proven};

use super::AuthErrorKind;

/// Why a request is refused: a stable code, its kind and its texts.
///
/// [`AuthError::new`](crate::AuthError::new) makes an error of it, and
/// [`AuthError::reason`](crate::AuthError::reason) returns the code. The codes of this crate are
/// constants, and stay. A provider of your own makes [custom](Self::custom) ones:
///
/// ```
/// use tower_mcp_auth::{AuthErrorKind, Reason};
///
/// const REVOKED: Reason = Reason::custom(AuthErrorKind::Invalid, "badge_revoked");
///
/// assert_eq!(REVOKED.code(), "badge_revoked");
/// assert_eq!(REVOKED.description(), "The access token is not valid");
/// assert_eq!(Reason::EXPIRED.to_string(), "expired");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Reason {
    code: &'static str,
    kind: AuthErrorKind,
    row: Row,
}

impl Reason {
    /// A reason of a provider of your own.
    ///
    /// The code is constant, `snake_case`, and none of [this crate's](Self::ALL): metrics count
    /// by it. The description is the general one of `kind`; [`AuthError::with_description`]
    /// replaces it.
    ///
    /// [`AuthError::with_description`]: crate::AuthError::with_description
    pub const fn custom(kind: AuthErrorKind, code: &'static str) -> Self {
        Self {
            code,
            kind,
            row: Row::CUSTOM,
        }
    }

    /// The code: stable, `snake_case`, fit for metrics.
    pub const fn code(self) -> &'static str {
        self.code
    }

    /// The category, which decides the status.
    pub const fn kind(self) -> AuthErrorKind {
        self.kind
    }

    /// The text for the client. Some errors have a more particular one.
    pub const fn description(self) -> &'static str {
        match self.facts() {
            Some(facts) => facts.description,
            None => general(self.kind),
        }
    }

    /// What happened and what to do, for the operator. Empty for a custom reason.
    pub const fn explanation(self) -> &'static str {
        match self.facts() {
            // Each line of a doc comment begins with a space.
            Some(facts) => facts.explanation.trim_ascii_start(),
            None => "",
        }
    }

    /// Whether [report-only mode](crate::AuthLayer::dangerously_report_only) may let it pass.
    ///
    /// It may not where the request cannot go on: its body did not arrive, its credential cannot
    /// be removed, its handler lacks claims. Nor where a layer refuses that knows no auth layer:
    /// for hosts, origins and addresses.
    pub const fn may_be_reported(self) -> bool {
        !matches!(self.standing(), Never)
    }

    /// What it says of the credential.
    pub(crate) const fn standing(self) -> Standing {
        match self.facts() {
            Some(facts) => facts.standing,
            None => Custom,
        }
    }

    /// The code of RFC 9449 section 7.1 for what is wrong with a proof.
    pub(crate) fn dpop_code(self) -> Option<&'static str> {
        match self {
            Self::DPOP_NONCE_REQUIRED => Some("use_dpop_nonce"),
            Self::DPOP_METHOD_MISMATCH
            | Self::DPOP_TIME_MISMATCH
            | Self::DPOP_TOKEN_MISMATCH
            | Self::DPOP_URI_MISMATCH
            | Self::DUPLICATE_DPOP_PROOF
            | Self::INVALID_DPOP_SIGNATURE
            | Self::MALFORMED_DPOP_PROOF
            | Self::MISSING_DPOP_PROOF
            | Self::REPLAYED_DPOP_PROOF => Some("invalid_dpop_proof"),
            _ => None,
        }
    }

    /// The reason of this crate with this code.
    pub(crate) fn find(code: &str) -> Option<Self> {
        let found = Self::ALL.binary_search_by(|own| own.code.cmp(code));
        found.ok().map(|index| Self::ALL[index])
    }

    const fn facts(self) -> Option<&'static Facts> {
        match self.row {
            Row::CUSTOM => None,
            row => Some(&FACTS[row as usize]),
        }
    }
}

impl AsRef<str> for Reason {
    fn as_ref(&self) -> &str {
        self.code
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.code)
    }
}

impl fmt::Debug for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Reason").field(&self.code).finish()
    }
}

/// What a reason says of the credential that was refused for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// No issued credential is known to be like it: it may be a guess, and counts as one.
    Guess,
    /// The credential was issued to somebody, and only its time, its scopes or its sign-in are at
    /// fault. The
    /// provider proves that, case by case ([`AuthError::proven`](crate::AuthError::proven)).
    Proven,
    /// Neither: nothing was presented, it was presented badly, it is meant for somebody else or
    /// was taken back, something else in the request is wrong, or the trouble is ours.
    Other,
    /// Nothing, and report-only mode does not let it pass.
    Never,
    /// What the provider outside this crate says.
    Custom,
}

struct Facts {
    standing: Standing,
    description: &'static str,
    explanation: &'static str,
}

/// What is said of a token where nothing more is.
pub(super) const NOT_VALID: &str = "The access token is not valid";
const API_KEY: &str = "The API key is not valid";
const AMBIGUOUS_BODY: &str = "The request body is no JSON-RPC message that can be read in one way";
const HEADERS: &str = "Header mismatch: the MCP headers are missing or differ from the body";
const HOST: &str = "The request does not name its host in one way";
const INCOMPLETE: &str = "The request body did not arrive whole";
const NOT_ALLOWED: &str = "The request is not allowed";
const OTHER_RESOURCE: &str = "The access token is not for this resource";
const TOO_EARLY: &str = "The access token is not valid yet";
const TOO_LARGE: &str = "The request is larger than this server inspects";
const TWICE: &str = "The request has a header twice that can be there once";
const UNAVAILABLE: &str = "Authentication is temporarily unavailable";
const UNSUPPORTED: &str = "The request's media type or encoding is not accepted";
const VERSION: &str = "The MCP-Protocol-Version header cannot be read in one way";

/// The description of a custom reason.
const fn general(kind: AuthErrorKind) -> &'static str {
    match kind {
        AuthErrorKind::Missing => Reason::MISSING_CREDENTIAL.description(),
        AuthErrorKind::Malformed => {
            "The request presents its credential in a way that is not accepted"
        }
        AuthErrorKind::Invalid => NOT_VALID,
        AuthErrorKind::InsufficientScope => Reason::INSUFFICIENT_SCOPE.description(),
        AuthErrorKind::InsufficientUserAuthentication => {
            Reason::INSUFFICIENT_USER_AUTHENTICATION.description()
        }
        AuthErrorKind::Forbidden => NOT_ALLOWED,
        AuthErrorKind::UnknownSession => Reason::UNKNOWN_SESSION.description(),
        AuthErrorKind::UnknownResource => Reason::UNKNOWN_RESOURCE.description(),
        AuthErrorKind::Misdirected => Reason::UNKNOWN_HOST.description(),
        AuthErrorKind::PayloadTooLarge => TOO_LARGE,
        AuthErrorKind::UnsupportedMediaType => UNSUPPORTED,
        AuthErrorKind::HeaderMismatch => HEADERS,
        AuthErrorKind::TooManyRequests => "There were too many requests",
        AuthErrorKind::Unavailable => UNAVAILABLE,
    }
}

/// Constants, [`Reason::ALL`] and the facts of each, from rows. The doc comment of a row is its
/// explanation.
macro_rules! reasons {
    ($(
        $(#[doc = $line:literal])+
        $name:ident = $code:literal: $kind:ident, $standing:ident, $description:expr;
    )+) => {
        impl Reason {
            $(
                $(#[doc = $line])+
                #[doc = concat!("\n\nThe code is `", $code, "`.")]
                pub const $name: Self = Self {
                    code: $code,
                    kind: AuthErrorKind::$kind,
                    row: Row::$name,
                };
            )+

            #[doc = include_str!("../../docs/reason-codes.md")]
            pub const ALL: &[Self] = &[$(Self::$name),+];
        }

        // Its names are those of the constants.
        #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
        #[derive(Clone, Copy, PartialEq, Eq, Hash)]
        enum Row {
            $($name,)+
            CUSTOM,
        }

        static FACTS: &[Facts] = &[$(Facts {
            standing: $standing,
            description: $description,
            explanation: concat!($($line),+),
        }),+];
    };
}

reasons! {
    /// The token's `alg` is not in the list of algorithms. Clients cannot mend that: check which
    /// algorithm the authorization server signs with, and `algorithms` here.
    ALGORITHM_NOT_ALLOWED = "algorithm_not_allowed": Invalid, Guess, NOT_VALID;

    /// The arguments can be read in more than one way. The client sends a member twice,
    /// a reserved name or a number that cannot be held; it must send plain JSON.
    AMBIGUOUS_ARGUMENTS = "ambiguous_arguments": Malformed, Other,
        "The arguments of the call cannot be read in one way";

    /// The request names two hosts: in two `Host` headers, or in `Host` and in its target. Readers
    /// would take different ones; look for a proxy that adds one, or for an attack on it.
    AMBIGUOUS_HOST = "ambiguous_host": Malformed, Never, HOST;

    /// More keys fit the token than are tried. Give the keys of the set different ids, and have
    /// tokens name theirs in `kid`.
    AMBIGUOUS_KEY = "ambiguous_key": Invalid, Other, NOT_VALID;

    /// The resource's URI can be read in more than one way. The client must send an absolute
    /// URI without dot segments and without encoded delimiters.
    AMBIGUOUS_URI = "ambiguous_uri": Malformed, Other,
        "The URI of the resource can be read in more than one way";

    /// The API key is for other resources than that of the request, or the layer knows none. The
    /// detail names both; add the resource to those of the key, or use another key there.
    API_KEY_RESOURCE_MISMATCH = "api_key_resource_mismatch": Invalid, Other, API_KEY;

    /// The key store failed, and the key could not be looked up. The event of the failure says
    /// why; lookups start again after a short pause.
    API_KEY_STORE_FAILED = "api_key_store_failed": Unavailable, Other, UNAVAILABLE;

    /// Too many lookups in the key store were under way or waiting. If it is not a flood of
    /// unknown keys, the store is too slow, or `max_concurrent_lookups` too low.
    API_KEY_STORE_LIMITED = "api_key_store_limited": Unavailable, Other, UNAVAILABLE;

    /// The layer has several resources, and the API key does not say which it is for. Add
    /// `resources` to the key; `dangerously_all_resources` accepts such keys everywhere.
    API_KEY_WITHOUT_RESOURCES = "api_key_without_resources": Invalid, Other, API_KEY;

    /// The arguments of a call are larger than a policy's check reads. Send less, or judge the
    /// call by its name alone.
    ARGUMENTS_TOO_LARGE = "arguments_too_large": PayloadTooLarge, Other, TOO_LARGE;

    /// The token is for another resource. Have the client request this one (`resource` of
    /// RFC 8707), or set `audience` to what the authorization server writes into `aud`.
    AUDIENCE_MISMATCH = "audience_mismatch": Invalid, Other, OTHER_RESOURCE;

    /// A batch has more messages than are judged. The client must split it.
    BATCH_TOO_LONG = "batch_too_long": PayloadTooLarge, Other, TOO_LARGE;

    /// Values in the body are nested deeper than is read. The client must send flatter JSON.
    BODY_TOO_DEEP = "body_too_deep": Malformed, Other, AMBIGUOUS_BODY;

    /// The body is larger than `max_body_bytes`. Raise the limit if such messages are meant to
    /// be sent.
    BODY_TOO_LARGE = "body_too_large": PayloadTooLarge, Never, TOO_LARGE;

    /// The body did not end within `read_timeout`. The client is slow or holds connections open on
    /// purpose; a proxy that buffers requests helps with both.
    BODY_TOO_SLOW = "body_too_slow": Malformed, Never, INCOMPLETE;

    /// The token is bound to a key, and came without the proof of it: as a plain bearer token, or
    /// bound in a way that is not checked here. Have the client use the scheme `DPoP` where `dpop`
    /// of the authorization server is on; otherwise have it ask for bearer tokens.
    BOUND_TOKEN = "bound_token": Invalid, Other, NOT_VALID;

    /// A required claim is missing or has another value. Compare the token with the claims that
    /// are required here.
    CLAIM_MISMATCH = "claim_mismatch": Invalid, Other, "The access token is not accepted here";

    /// The token has no audience and is of another client. Add the client to `client_ids` if it
    /// is meant to call this server.
    CLIENT_MISMATCH = "client_mismatch": Invalid, Other, OTHER_RESOURCE;

    /// The token's header has `crit`, and no extension is understood. The authorization server
    /// must issue plain tokens.
    CRITICAL_HEADER = "critical_header": Invalid, Other, NOT_VALID;

    /// The proof was signed with another key than the token is bound to. If it is not a stolen
    /// token, the client mixes up its keys: one token, one key.
    DPOP_KEY_MISMATCH = "dpop_key_mismatch": Invalid, Other,
        "The DPoP proof is of another key than the access token";

    /// The `htm` of the proof is not the method of the request. The client must make a proof for
    /// each request.
    DPOP_METHOD_MISMATCH = "dpop_method_mismatch": Invalid, Other,
        "The DPoP proof is for another method";

    /// The proof has no nonce of this server, or one that is too old. Clients take the new one
    /// from `DPoP-Nonce` and send the request again; each does so once in a while.
    DPOP_NONCE_REQUIRED = "dpop_nonce_required": Invalid, Other,
        "The DPoP proof needs a nonce of this server";

    /// It could not be found out whether the proof was used before: the memory of used proofs is
    /// full, the shared store gave no answer, or the clock was set back. The detail says which.
    DPOP_REPLAYS_UNAVAILABLE = "dpop_replays_unavailable": Unavailable, Other, UNAVAILABLE;

    /// The time of the proof is too far from that of this server, or its `exp` or `nbf` excludes
    /// now. Set the clocks; where those of clients cannot be set, configure nonces.
    DPOP_TIME_MISMATCH = "dpop_time_mismatch": Invalid, Other,
        "The DPoP proof is too old or from the future";

    /// The `ath` of the proof is not the hash of the token. The client must make a proof for the
    /// token that it sends.
    DPOP_TOKEN_MISMATCH = "dpop_token_mismatch": Invalid, Other,
        "The DPoP proof is for another access token";

    /// The `htu` of the proof is not the URL of the request. The detail has both: if scheme or host
    /// differ, the resource has another URL than clients use; if the path differs, something takes
    /// a part of it away, which `stripped_prefix` names.
    DPOP_URI_MISMATCH = "dpop_uri_mismatch": Invalid, Other,
        "The DPoP proof is for another URL";

    /// A member that decides what is judged is in the body twice. Readers would take different
    /// ones; the client must send it once.
    DUPLICATE_BODY_MEMBER = "duplicate_body_member": Malformed, Other, AMBIGUOUS_BODY;

    /// A credential header is in the request more than once. The client or a proxy adds a second
    /// one.
    DUPLICATE_CREDENTIAL = "duplicate_credential": Malformed, Other,
        "The request carries a credential header more than once";

    /// The request has more than one `DPoP` header. The client or a proxy adds a second one.
    DUPLICATE_DPOP_PROOF = "duplicate_dpop_proof": Invalid, Other,
        "The request has more than one DPoP proof";

    /// The request has more than one `Host`. Look for a proxy that adds one, or for an attack on
    /// it.
    DUPLICATE_HOST = "duplicate_host": Forbidden, Never, NOT_ALLOWED;

    /// The request has more than one `Last-Event-ID`. The client must send one.
    DUPLICATE_LAST_EVENT_ID = "duplicate_last_event_id": Malformed, Other, TWICE;

    /// A mirrored MCP header is in the request more than once. The client must send `Mcp-Method`
    /// and `Mcp-Name` once each.
    DUPLICATE_MCP_HEADER = "duplicate_mcp_header": HeaderMismatch, Other, HEADERS;

    /// The request has more than one `Origin`. No browser sends that; look for a proxy that adds
    /// one.
    DUPLICATE_ORIGIN = "duplicate_origin": Forbidden, Never, NOT_ALLOWED;

    /// The request has more than one `MCP-Protocol-Version`. The client must send one.
    DUPLICATE_PROTOCOL_VERSION = "duplicate_protocol_version": Malformed, Other, VERSION;

    /// The request has more than one `Mcp-Session-Id`. The client must send one.
    DUPLICATE_SESSION_ID = "duplicate_session_id": Malformed, Other, TWICE;

    /// A member is in the token, or in an introspection response, twice. Readers would take
    /// different ones; the authorization server must write it once.
    DUPLICATE_TOKEN_MEMBER = "duplicate_token_member": Invalid, Other, NOT_VALID;

    /// The body is a batch without messages. The client must send at least one.
    EMPTY_BATCH = "empty_batch": Malformed, Other, AMBIGUOUS_BODY;

    /// The token is encrypted (JWE), which is not accepted. Have the authorization server issue
    /// signed tokens.
    ENCRYPTED_TOKEN = "encrypted_token": Invalid, Other, NOT_VALID;

    /// The token expired. Clients get a new one by themselves; if new tokens fail too, compare the
    /// clocks and look at `clock_skew`.
    EXPIRED = "expired": Invalid, Proven, "The access token expired";

    /// The API key expired. Issue a new one if its owner still needs access.
    EXPIRED_API_KEY = "expired_api_key": Invalid, Proven, API_KEY;

    /// The body came in more than a thousand empty pieces. Clients do not do that by accident.
    FRAGMENTED_BODY = "fragmented_body": Malformed, Never, INCOMPLETE;

    /// The token's header is larger than is read. Raise `max_header_bytes` if the authorization
    /// server issues such tokens.
    HEADER_TOO_LARGE = "header_too_large": Invalid, Other, NOT_VALID;

    /// The `Host` of the request is not allowed. Allow it with `allow_host` if clients reach this
    /// server by that name; otherwise it may be DNS rebinding.
    HOST_NOT_ALLOWED = "host_not_allowed": Forbidden, Never,
        "Requests to this host are not allowed";

    /// The authorization server says that the token is not active. It expired, was revoked or was
    /// never issued; the client must get a new one.
    INACTIVE_TOKEN = "inactive_token": Invalid, Guess, "The access token is not active";

    /// The connection broke before the whole body arrived. The client gave up, or a proxy closed
    /// the connection.
    INCOMPLETE_BODY = "incomplete_body": Malformed, Never, INCOMPLETE;

    /// The credential's claims do not fit the type that the handler takes. The detail names the
    /// claim; have the authorization server write it.
    INSUFFICIENT_CLAIMS = "insufficient_claims": Forbidden, Never,
        "The credential lacks claims that the operation needs";

    /// The credential is good and lacks scopes. The challenge names those that are needed; clients
    /// ask the authorization server for them.
    INSUFFICIENT_SCOPE = "insufficient_scope": InsufficientScope, Proven,
        "The operation needs scopes that were not granted";

    /// The credential is good, and its user did not sign in strongly or lately enough. The
    /// challenge says what suffices; clients that do not know it ask for another token of the same
    /// kind, so have the authorization server ask for it by itself.
    INSUFFICIENT_USER_AUTHENTICATION = "insufficient_user_authentication":
        InsufficientUserAuthentication, Proven, "A stronger or more recent sign-in is needed";

    /// The authorization server limits introspection (429). Calls pause as long as it asks; raise
    /// its limit, or cache responses longer.
    INTROSPECTION_BUSY = "introspection_busy": Unavailable, Other, UNAVAILABLE;

    /// The introspection endpoint could not be reached or answered badly. The event of the failure
    /// says why; calls start again after a pause.
    INTROSPECTION_FAILED = "introspection_failed": Unavailable, Other, UNAVAILABLE;

    /// Too many introspection calls were under way or waiting. If it is not a flood of unknown
    /// tokens, the endpoint is too slow, or `max_concurrent_requests` too low.
    INTROSPECTION_LIMITED = "introspection_limited": Unavailable, Other, UNAVAILABLE;

    /// The authorization server refuses introspection to this server. Check the client id and
    /// the secret or key that this server introspects with.
    INTROSPECTION_REFUSED = "introspection_refused": Unavailable, Other, UNAVAILABLE;

    /// The authorization server cannot introspect tokens of this kind. Check whether it supports
    /// that for the tokens that clients present.
    INTROSPECTION_UNSUPPORTED = "introspection_unsupported": Unavailable, Other, UNAVAILABLE;

    /// The signature of the proof does not hold for the key in it. If it is not an attack, look for
    /// what changes headers between the client and this server.
    INVALID_DPOP_SIGNATURE = "invalid_dpop_signature": Invalid, Other,
        "The signature of the DPoP proof does not hold";

    /// What was posted to the service for logouts is no form with one `logout_token`. The detail
    /// says what is wrong; the sender is no authorization server, or a proxy changed the request.
    INVALID_LOGOUT_REQUEST = "invalid_logout_request": Malformed, Never,
        "The request has no logout token that can be read in one way";

    /// The logout token is not accepted. The detail says which check failed; compare the settings of
    /// the service with what the authorization server sends.
    INVALID_LOGOUT_TOKEN = "invalid_logout_token": Malformed, Never,
        "The logout token is not valid";

    /// The token's signature is wrong. It was changed or forged, or it was signed with another key
    /// of the same id.
    INVALID_SIGNATURE = "invalid_signature": Invalid, Guess, NOT_VALID;

    /// The token's `iat` lies in the future. Compare the clocks of this server and of the
    /// authorization server.
    ISSUED_IN_THE_FUTURE = "issued_in_the_future": Invalid, Proven, TOO_EARLY;

    /// The token is from an issuer that is not configured here. The detail of the event shows both,
    /// and how they differ.
    /// Where the authorization server is found by another name than its tokens have, set
    /// `token_issuer`.
    ISSUER_MISMATCH = "issuer_mismatch": Invalid, Other,
        "The access token is from another issuer";

    /// Too many requests waited for the keys of an issuer. Its key set is slow to fetch; see
    /// `max_waiting_requests`.
    KEYS_LIMITED = "keys_limited": Unavailable, Other, UNAVAILABLE;

    /// There are no usable keys of the issuer. Its metadata or key set cannot be fetched; the event
    /// of the failure says why.
    KEYS_UNAVAILABLE = "keys_unavailable": Unavailable, Other, UNAVAILABLE;

    /// A logout token was good, and the logout could not be recorded or carried out. The detail says
    /// what failed: the replay store, or the revocation; the sender may try again.
    LOGOUT_UNAVAILABLE = "logout_unavailable": Unavailable, Never,
        "Logouts are temporarily unavailable";

    /// A string in the body has half of a surrogate pair. Readers replace it with different things;
    /// the client must send valid Unicode.
    LONE_SURROGATE = "lone_surrogate": Malformed, Other, AMBIGUOUS_BODY;

    /// The credential has characters that no token has. The detail names the usual slips: quotes,
    /// a scheme sent twice, a placeholder.
    MALFORMED_CREDENTIAL = "malformed_credential": Malformed, Other,
        "The credential header is malformed";

    /// The proof is no JWT as RFC 9449 section 4.2 has it. The detail says what is wrong with it;
    /// the client must mend that.
    MALFORMED_DPOP_PROOF = "malformed_dpop_proof": Invalid, Other,
        "The DPoP proof is malformed";

    /// A trusted proxy sent a header that cannot be read: `Forwarded`, or one of `X-Forwarded-*`. The
    /// detail names it; compare what the proxy writes with what is read, and with `hops`.
    MALFORMED_FORWARDED = "malformed_forwarded": Malformed, Never,
        "What the proxy says of the request cannot be read in one way";

    /// The `Host` of the request is none that can be read in one way. The client must send a name or
    /// an address, with a port or without: no trailing dot, no user name, no list.
    MALFORMED_HOST = "malformed_host": Malformed, Never, HOST;

    /// The `id` of a request is neither a string nor a number. The client must send one of these.
    MALFORMED_ID = "malformed_id": Malformed, Other, AMBIGUOUS_BODY;

    /// A mirrored MCP header is not visible ASCII. The client must encode the value as the
    /// specification says.
    MALFORMED_MCP_HEADER = "malformed_mcp_header": HeaderMismatch, Other, HEADERS;

    /// The value of `Mcp-Name` is no base64 of UTF-8. The client must encode it as the
    /// specification says.
    MALFORMED_MCP_NAME = "malformed_mcp_name": HeaderMismatch, Other, HEADERS;

    /// The `method` of a message is no string. The client must send one.
    MALFORMED_METHOD = "malformed_method": Malformed, Other, AMBIGUOUS_BODY;

    /// The `params` of a message are no object. The client must send one, or none.
    MALFORMED_PARAMS = "malformed_params": Malformed, Other, AMBIGUOUS_BODY;

    /// The value of `MCP-Protocol-Version` is not visible ASCII. The client must send the name of a
    /// revision.
    MALFORMED_PROTOCOL_VERSION = "malformed_protocol_version": Malformed, Other, VERSION;

    /// The token, or the response about it, cannot be read. The detail says what is wrong; a claim
    /// may have another type than it must have.
    MALFORMED_TOKEN = "malformed_token": Invalid, Guess, NOT_VALID;

    /// The value of `Mcp-Method` differs from the body's method. The client or a proxy changed one
    /// of them.
    MCP_METHOD_MISMATCH = "mcp_method_mismatch": HeaderMismatch, Other, HEADERS;

    /// The value of `Mcp-Name` differs from the name in the body. The client or a proxy changed one
    /// of them.
    MCP_NAME_MISMATCH = "mcp_name_mismatch": HeaderMismatch, Other, HEADERS;

    /// A member's name differs only in case from one that decides. Some readers take both for the
    /// same; the client must use the name of the specification.
    MEMBER_IN_WRONG_CASE = "member_in_wrong_case": Malformed, Other, AMBIGUOUS_BODY;

    /// The credential is in a header that its provider does not read. Tell the client which header
    /// to use; the challenge names it.
    MISPLACED_CREDENTIAL = "misplaced_credential": Invalid, Other,
        "The credential belongs in another header";

    /// The token names no audience. Have the authorization server issue tokens for this resource,
    /// or set what stands in for an audience: `client_ids`, `introspection_without_audience`.
    MISSING_AUDIENCE = "missing_audience": Invalid, Other, OTHER_RESOURCE;

    /// The token names neither an audience nor a client. It cannot be accepted by `client_ids`;
    /// have the authorization server write one of them.
    MISSING_CLIENT = "missing_client": Invalid, Other, OTHER_RESOURCE;

    /// The request has no credential. OAuth clients begin like that, and get a token then; the
    /// detail says what the request has instead.
    MISSING_CREDENTIAL = "missing_credential": Missing, Other, "Authentication is required";

    /// The token came under the scheme `DPoP` without a `DPoP` header. Have the client send a proof
    /// with each request, and look for a proxy that removes the header.
    MISSING_DPOP_PROOF = "missing_dpop_proof": Invalid, Other,
        "The request has no DPoP proof";

    /// The token has no `exp`. Tokens without an end are not accepted; the authorization server
    /// must set one.
    MISSING_EXP = "missing_exp": Invalid, Proven, NOT_VALID;

    /// The request names no host, neither in `Host` nor in its target. The client must send one.
    MISSING_HOST = "missing_host": Malformed, Never, HOST;

    /// The token has no `iss`. The authorization server must write it.
    MISSING_ISSUER = "missing_issuer": Invalid, Other, NOT_VALID;

    /// The request lacks `Mcp-Method`, which its protocol version requires. The client must send
    /// it, or an older version.
    MISSING_MCP_METHOD = "missing_mcp_method": HeaderMismatch, Other, HEADERS;

    /// The request lacks `Mcp-Name`, which its method requires. The client must send it, or an
    /// older protocol version.
    MISSING_MCP_NAME = "missing_mcp_name": HeaderMismatch, Other, HEADERS;

    /// The token lacks the claim that names its subject. Have the authorization server write the
    /// claim, or name another one with `subject_claim`.
    MISSING_SUBJECT = "missing_subject": Invalid, Other, NOT_VALID;

    /// The message does not name what it acts on. A name or URI is missing, or is no string.
    MISSING_TARGET = "missing_target": Malformed, Other, AMBIGUOUS_BODY;

    /// The operation asks for a sign-in (`acr`, `max_age`), and the credential is no user's: an API
    /// key, or a token that a client got for itself. Its rule must not ask for one if such callers
    /// are meant to use it.
    MISSING_USER = "missing_user": Forbidden, Proven,
        "The operation needs a user who signed in";

    /// The API key has the right form and a wrong checksum. It was mistyped or cut off.
    MISTYPED_API_KEY = "mistyped_api_key": Invalid, Guess, API_KEY;

    /// The request has credentials in more than one header or scheme. The client, or a proxy, must
    /// send one alone.
    MULTIPLE_CREDENTIALS = "multiple_credentials": Malformed, Other,
        "The request carries more than one credential";

    /// The name of a member is longer than any that is compared. The client must send shorter
    /// names.
    NAME_TOO_LONG = "name_too_long": PayloadTooLarge, Other, TOO_LARGE;

    /// The token is no JWT. It is opaque, for which introspection must be configured, or another
    /// kind of credential.
    NOT_A_JWT = "not_a_jwt": Invalid, Guess, NOT_VALID;

    /// The body is not JSON. The client must send one JSON-RPC message.
    NOT_JSON = "not_json": Malformed, Other, AMBIGUOUS_BODY;

    /// The body is JSON and no JSON-RPC message. The client must send a request, a notification or
    /// a response.
    NOT_JSON_RPC = "not_json_rpc": Malformed, Other, AMBIGUOUS_BODY;

    /// The body is not UTF-8. The client must send JSON in UTF-8.
    NOT_UTF8 = "not_utf8": Malformed, Other, AMBIGUOUS_BODY;

    /// The token's `nbf` lies in the future. It will be accepted then; if it should be now, compare
    /// the clocks.
    NOT_YET_VALID = "not_yet_valid": Invalid, Proven, TOO_EARLY;

    /// The API key is not valid yet. It will be accepted from its `not_before` on.
    NOT_YET_VALID_API_KEY = "not_yet_valid_api_key": Invalid, Proven, API_KEY;

    /// The policy denies the operation to every caller. The detail names the rule; add one if the
    /// operation is meant to be used.
    OPERATION_DENIED = "operation_denied": Forbidden, Other,
        "The operation is not open to anybody";

    /// The `Origin` of the request is not allowed. Allow it with `allow_origin` if pages of that
    /// origin are meant to call this server.
    ORIGIN_NOT_ALLOWED = "origin_not_allowed": Forbidden, Never,
        "Requests from this origin are not allowed";

    /// The proof was used before. The client must make a new one for each request, also for one
    /// that it sends again; if it does, somebody repeats its requests.
    REPLAYED_DPOP_PROOF = "replayed_dpop_proof": Invalid, Other,
        "The DPoP proof was used before";

    /// The logout token was taken before: it, or another one with its id (`jti`). The authorization
    /// server sent it twice, or an attacker sent a copy.
    REPLAYED_LOGOUT_TOKEN = "replayed_logout_token": Malformed, Never,
        "The logout token was used before";

    /// A member has a name that a JSON library reserves for itself. Readers would disagree about
    /// it; the client must use another name.
    RESERVED_MEMBER = "reserved_member": Malformed, Other, AMBIGUOUS_BODY;

    /// The resource of the request was chosen by another provider than that of the token. This is
    /// a mistake in the providers that were combined; see `ProviderInfo::selects_resources`.
    RESOURCE_NOT_CHOSEN = "resource_not_chosen": Unavailable, Never, UNAVAILABLE;

    /// The store that replicas share did not answer for too long, so it is not known which credentials
    /// are revoked. The detail says why; `max_staleness` of the revocation is how long it may take.
    REVOCATIONS_UNAVAILABLE = "revocations_unavailable": Unavailable, Other, UNAVAILABLE;

    /// The API key was revoked. Find out which program still uses it.
    REVOKED_API_KEY = "revoked_api_key": Invalid, Other, API_KEY;

    /// The token was revoked here, or all tokens of its subject, client, grant, session or issuer. The
    /// detail says by which entry; the client must get a new one.
    REVOKED_TOKEN = "revoked_token": Invalid, Other, "The access token was revoked";

    /// The store of claimed sessions did not answer. The detail says why; no caller is served in an
    /// anonymous session until it does.
    SESSION_STORE_UNAVAILABLE = "session_store_unavailable": Unavailable, Never,
        "Sessions are temporarily unavailable";

    /// A credential is in the query string, which ends up in logs. It cannot be removed from the
    /// URL; the client must use a header, and the credential should be replaced.
    TOKEN_IN_QUERY = "token_in_query": Malformed, Never,
        "Credentials in the query string are not accepted: use a request header";

    /// The token lives longer than revocations are remembered, or without an end. Have the
    /// authorization server issue shorter ones, or raise `max_token_lifetime` of the revocation.
    TOKEN_LIVES_TOO_LONG = "token_lives_too_long": Invalid, Other, NOT_VALID;

    /// The token is larger than is read. Raise `max_token_bytes` if the authorization server issues
    /// such tokens.
    TOKEN_TOO_LARGE = "token_too_large": Invalid, Other, NOT_VALID;

    /// The address presented too many bad credentials. It is blocked for a while; if it is a
    /// proxy's, name it in `trusted_proxies`, so that its clients are counted instead.
    TOO_MANY_FAILED_ATTEMPTS = "too_many_failed_attempts": TooManyRequests, Never,
        "There were too many failed attempts from this address";

    /// A subscription names more URIs than are judged. The client must split it.
    TOO_MANY_SUBSCRIPTIONS = "too_many_subscriptions": PayloadTooLarge, Other, TOO_LARGE;

    /// The credential has the form of none that is accepted there. It may be of another kind, or
    /// begin with another prefix.
    UNACCEPTED_CREDENTIAL = "unaccepted_credential": Invalid, Guess, NOT_VALID;

    /// The token is bound to no key, and it came with a proof or must have one. Have the client ask
    /// the authorization server for its token with a proof, or send it as a bearer token where
    /// `dpop` allows those.
    UNBOUND_TOKEN = "unbound_token": Invalid, Other,
        "The access token is bound to no key";

    /// The token's payload is not encoded (`b64` is false). The authorization server must issue
    /// plain tokens.
    UNENCODED_PAYLOAD = "unencoded_payload": Invalid, Other, NOT_VALID;

    /// A batch came under a protocol version that has none. The client must send its messages one
    /// by one.
    UNEXPECTED_BATCH = "unexpected_batch": HeaderMismatch, Other, HEADERS;

    /// The body begins with a byte order mark. The client must send JSON without it.
    UNEXPECTED_BOM = "unexpected_bom": Malformed, Other, AMBIGUOUS_BODY;

    /// No such API key is known. It was mistyped, deleted or made for another server.
    UNKNOWN_API_KEY = "unknown_api_key": Invalid, Guess, API_KEY;

    /// No resource of this server is at the host that the request was sent to. Add the resource, or
    /// the tenant, if clients are meant to reach it; behind a proxy, see `trusted_proxies`.
    UNKNOWN_HOST = "unknown_host": Misdirected, Never,
        "Requests to this host are answered elsewhere";

    /// No key fits the token's `kid` and `alg`. After a rotation keys are fetched again by
    /// themselves; otherwise the token is of another server.
    UNKNOWN_KEY = "unknown_key": Invalid, Guess, NOT_VALID;

    /// No resource of this server is at the path of the request. Add the resource, or the tenant, if
    /// clients are meant to reach it; paths with `..`, `//`, `;` or encoded separators match none.
    UNKNOWN_RESOURCE = "unknown_resource": UnknownResource, Never,
        "There is no protected resource at this path";

    /// The session does not exist for this caller. Clients start a new one by themselves; the
    /// detail says what is wrong with the id.
    UNKNOWN_SESSION = "unknown_session": UnknownSession, Other, "The session is not known";

    /// The opaque token can be of no configured authorization server. Its prefix or its length is
    /// of none; check `token_prefix` and `token_lengths`.
    UNKNOWN_TOKEN = "unknown_token": Invalid, Guess, NOT_VALID;

    /// The body has a `Content-Encoding`. It is judged as it is; the client must send it without.
    UNSUPPORTED_CONTENT_ENCODING = "unsupported_content_encoding": UnsupportedMediaType, Other,
        UNSUPPORTED;

    /// The body is not declared as JSON in UTF-8. The client must send `Content-Type:
    /// application/json`.
    UNSUPPORTED_CONTENT_TYPE = "unsupported_content_type": UnsupportedMediaType, Other,
        UNSUPPORTED;

    /// The token is no access token. The client sends an ID or refresh token, or the authorization
    /// server marks its access tokens as something else.
    WRONG_TOKEN_TYPE = "wrong_token_type": Invalid, Other, "The token is not an access token";
}
