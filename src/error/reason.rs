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

    /// What it means, for the operator. Empty for a custom reason.
    pub const fn explanation(self) -> &'static str {
        match self.facts() {
            // Each line of a doc comment begins with a space.
            Some(facts) => facts.explanation.trim_ascii_start(),
            None => "",
        }
    }

    /// What the client most likely did. Empty for a custom reason.
    pub const fn client(self) -> &'static str {
        match self.facts() {
            Some(facts) => facts.client,
            None => "",
        }
    }

    /// What to do: at the client, here, or at the authorization server. Empty for a custom reason.
    pub const fn fix(self) -> &'static str {
        match self.facts() {
            Some(facts) => facts.fix,
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
    /// The credential is genuine, and only its time, its scopes or its sign-in are at fault. The
    /// provider proves that, case by case ([`AuthError::proven`](crate::AuthError::proven)).
    Proven,
    /// Neither: nothing was presented, it was presented badly, it is meant for another server or
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
    client: &'static str,
    fix: &'static str,
}

/// What is said of a token where nothing more is.
pub(super) const NOT_VALID: &str = "The access token is not valid";
const API_KEY: &str = "The API key is not valid";
const BUSY: &str = "The server cannot count requests at the moment";
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

/// Constants, [`Reason::ALL`] and the facts of each, from rows. The doc comment of a row is what
/// the reason means, `client` is what the client did, `fix` what to do.
macro_rules! reasons {
    ($(
        $(#[doc = $line:literal])+
        $name:ident = $code:literal: $kind:ident, $standing:ident, $description:expr,
        client: $client:literal,
        fix: $fix:literal;
    )+) => {
        impl Reason {
            $(
                $(#[doc = $line])+
                #[doc = concat!("\n\nThe client: ", $client)]
                #[doc = concat!("\n\nWhat to do: ", $fix)]
                #[doc = concat!("\n\nThe code is `", $code, "`.")]
                pub const $name: Self = Self {
                    code: $code,
                    kind: AuthErrorKind::$kind,
                    row: Row::$name,
                };
            )+

            /// Every reason of this crate, sorted by its code. `guide::reason_codes` has a table of
            /// what each means and what to do.
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
            client: $client,
            fix: $fix,
        }),+];
    };
}

reasons! {
    /// The token's `alg` is not in the list of algorithms.
    ALGORITHM_NOT_ALLOWED = "algorithm_not_allowed": Invalid, Guess, NOT_VALID,
        client: "Presented a token that is signed in another way; it cannot mend that.",
        fix: "Compare what the authorization server signs with to `algorithms` here.";

    /// The arguments of the call can be read in more than one way.
    AMBIGUOUS_ARGUMENTS = "ambiguous_arguments": Malformed, Other,
        "The arguments of the call cannot be read in one way",
        client: "Sent a member twice, a reserved name, or a number that cannot be held.",
        fix: "Have the client send plain JSON.";

    /// The request names two hosts: in two `Host` headers, or in `Host` and in its target. Readers
    /// would take different ones.
    AMBIGUOUS_HOST = "ambiguous_host": Malformed, Never, HOST,
        client: "Sent both, or a proxy added one.",
        fix: "Look for a proxy that adds a host, or for an attack on it.";

    /// More keys fit the token than are tried.
    AMBIGUOUS_KEY = "ambiguous_key": Invalid, Other, NOT_VALID,
        client: "Nothing wrong: the key set is at fault.",
        fix: "Give the keys of the set different ids, and have tokens name theirs in `kid`.";

    /// The resource's URI can be read in more than one way.
    AMBIGUOUS_URI = "ambiguous_uri": Malformed, Other,
        "The URI of the resource can be read in more than one way",
        client: "Sent a relative URI, dot segments or encoded delimiters.",
        fix: "Have the client send an absolute URI without them.";

    /// The API key is for other resources than that of the request, or the layer knows none. The
    /// detail names both.
    API_KEY_RESOURCE_MISMATCH = "api_key_resource_mismatch": Invalid, Other, API_KEY,
        client: "Used a key of another resource.",
        fix: "Add the resource to those of the key, or use another key there.";

    /// The key store failed, and the key could not be looked up.
    API_KEY_STORE_FAILED = "api_key_store_failed": Unavailable, Other, UNAVAILABLE,
        client: "Nothing wrong; it tries again after `Retry-After`.",
        fix: "The event of the failure says why; lookups start again after a short pause.";

    /// Too many lookups in the key store were under way or waiting.
    API_KEY_STORE_LIMITED = "api_key_store_limited": Unavailable, Other, UNAVAILABLE,
        client: "Came when many keys were looked up; it tries again after `Retry-After`.",
        fix: "If it is not a flood of unknown keys, make the store faster, or raise \
            `max_concurrent_lookups`.";

    /// The layer has several resources, and the API key does not say which it is for.
    API_KEY_WITHOUT_RESOURCES = "api_key_without_resources": Invalid, Other, API_KEY,
        client: "Used a key that was made for a server of one resource.",
        fix: "Add `resources` to the key; `dangerously_all_resources` accepts such keys \
            everywhere.";

    /// The arguments of a call are larger than a policy's check reads.
    ARGUMENTS_TOO_LARGE = "arguments_too_large": PayloadTooLarge, Other, TOO_LARGE,
        client: "Sent a large call.",
        fix: "Send less, or judge the call by its name alone.";

    /// The token is for another resource.
    AUDIENCE_MISMATCH = "audience_mismatch": Invalid, Other, OTHER_RESOURCE,
        client: "Asked the authorization server for another resource, or for none, and got a token \
            for its default one.",
        fix: "Have the client request this one (`resource` of RFC 8707), or set `audience` to what \
            the authorization server writes into `aud`.";

    /// A batch has more messages than are judged.
    BATCH_TOO_LONG = "batch_too_long": PayloadTooLarge, Other, TOO_LARGE,
        client: "Put too many messages into one body.",
        fix: "Have the client split the batch.";

    /// Values in the body are nested deeper than is read.
    BODY_TOO_DEEP = "body_too_deep": Malformed, Other, AMBIGUOUS_BODY,
        client: "Sent deeply nested JSON.",
        fix: "Have the client send flatter JSON.";

    /// The body is larger than `max_body_bytes`.
    BODY_TOO_LARGE = "body_too_large": PayloadTooLarge, Never, TOO_LARGE,
        client: "Sent a large message.",
        fix: "Raise the limit if such messages are meant to be sent.";

    /// The body did not end within `read_timeout`.
    BODY_TOO_SLOW = "body_too_slow": Malformed, Never, INCOMPLETE,
        client: "Sends slowly, or holds connections open on purpose.",
        fix: "Put a proxy that buffers requests in front; it helps with both.";

    /// The token is bound to a key, and came without the proof of it: as a plain bearer token, or
    /// bound in a way that is not checked here.
    BOUND_TOKEN = "bound_token": Invalid, Other, NOT_VALID,
        client: "Sent a bound token under `Bearer`.",
        fix: "Have the client use the scheme `DPoP` where `dpop` of the authorization server is \
            on, and set `mtls` where its tokens are bound to certificates; otherwise have the \
            client ask for bearer tokens.";

    /// The token is bound to another certificate than the one that the client has shown. The detail
    /// has the hashes of both.
    CERTIFICATE_MISMATCH = "certificate_mismatch": Invalid, Other,
        "The access token is bound to another client certificate",
        client: "Uses two certificates, has renewed its own, or stole the token.",
        fix: "If it is not a stolen token, have the client ask for a new one with the certificate \
            that it uses.";

    /// A required claim is missing or has another value.
    CLAIM_MISMATCH = "claim_mismatch": Invalid, Other, "The access token is not accepted here",
        client: "Presented a token of another user, group or tenant than is accepted here.",
        fix: "Compare the token with the claims that are required here.";

    /// The token has no audience and is of another client.
    CLIENT_MISMATCH = "client_mismatch": Invalid, Other, OTHER_RESOURCE,
        client: "Presented a token that was issued to a client not listed here.",
        fix: "Add the client to `client_ids` if it is meant to call this server.";

    /// The token's header has `crit`, and no extension is understood.
    CRITICAL_HEADER = "critical_header": Invalid, Other, NOT_VALID,
        client: "Presented a token with an extension.",
        fix: "Have the authorization server issue plain tokens.";

    /// The proof was signed with another key than the token is bound to.
    DPOP_KEY_MISMATCH = "dpop_key_mismatch": Invalid, Other,
        "The DPoP proof is of another key than the access token",
        client: "Mixes up its keys, or stole the token.",
        fix: "If it is not a stolen token, mend the client: one token, one key.";

    /// The `htm` of the proof is not the method of the request.
    DPOP_METHOD_MISMATCH = "dpop_method_mismatch": Invalid, Other,
        "The DPoP proof is for another method",
        client: "Used a proof that was made for another request.",
        fix: "Have the client make a proof for each request.";

    /// The proof has no nonce of this server, or one that is too old. Without a `nonce_secret` one
    /// is needed in the minutes after a shared store was new, or lost its records.
    DPOP_NONCE_REQUIRED = "dpop_nonce_required": Invalid, Other,
        "The DPoP proof needs a nonce of this server",
        client: "Sent its first request, or one after the nonce changed; it takes the new one from \
            `DPoP-Nonce` and sends the request again.",
        fix: "Nothing, once in a while. If a client stops here, it does not know nonces.";

    /// It could not be found out whether the proof was used before: the memory of used proofs is
    /// full, the shared store gave no answer, or the clock was set back.
    DPOP_REPLAYS_UNAVAILABLE = "dpop_replays_unavailable": Unavailable, Other, UNAVAILABLE,
        client: "Nothing wrong; it tries again with a new proof.",
        fix: "The detail says which: raise `max_used_proofs`, or look at the store or the clock.";

    /// The time of the proof is too far from that of this server, or its `exp` or `nbf` excludes
    /// now.
    DPOP_TIME_MISMATCH = "dpop_time_mismatch": Invalid, Other,
        "The DPoP proof is too old or from the future",
        client: "Its clock is wrong, or it sent an old proof.",
        fix: "Set the clocks; where those of clients cannot be set, configure nonces.";

    /// The `ath` of the proof is not the hash of the token.
    DPOP_TOKEN_MISMATCH = "dpop_token_mismatch": Invalid, Other,
        "The DPoP proof is for another access token",
        client: "Used a proof that was made for another token.",
        fix: "Have the client make a proof for the token that it sends.";

    /// The `htu` of the proof is not the URL of the request. The detail has both.
    DPOP_URI_MISMATCH = "dpop_uri_mismatch": Invalid, Other, "The DPoP proof is for another URL",
        client: "Called another URL than it signed, or something on the way changed it.",
        fix: "If scheme or host differ, the resource has another URL than clients use; if the path \
            differs, something takes a part of it away, which `stripped_prefix` names.";

    /// A member that decides what is judged is in the body twice. Readers would take different
    /// ones.
    DUPLICATE_BODY_MEMBER = "duplicate_body_member": Malformed, Other, AMBIGUOUS_BODY,
        client: "Sent the member twice.",
        fix: "Have the client send it once.";

    /// The header with the certificate of the client is in the request more than once.
    DUPLICATE_CERTIFICATE = "duplicate_certificate": Invalid, Other,
        "The request has more than one client certificate",
        client: "Sent such a header itself, perhaps to pass for another client.",
        fix: "Have the proxy replace the header of its client, instead of adding its own to it.";

    /// A credential header is in the request more than once.
    DUPLICATE_CREDENTIAL = "duplicate_credential": Malformed, Other,
        "The request carries a credential header more than once",
        client: "Sent it twice, or a proxy added one.",
        fix: "Remove the second one, at the client or at the proxy.";

    /// The request has more than one `DPoP` header.
    DUPLICATE_DPOP_PROOF = "duplicate_dpop_proof": Invalid, Other,
        "The request has more than one DPoP proof",
        client: "Sent two proofs, or a proxy added one.",
        fix: "Remove the second one, at the client or at the proxy.";

    /// The request has more than one `Host`.
    DUPLICATE_HOST = "duplicate_host": Forbidden, Never, NOT_ALLOWED,
        client: "Sent two, or a proxy added one.",
        fix: "Look for a proxy that adds one, or for an attack on it.";

    /// The request has more than one `Last-Event-ID`.
    DUPLICATE_LAST_EVENT_ID = "duplicate_last_event_id": Malformed, Other, TWICE,
        client: "Sent the header twice.",
        fix: "Have the client send it once.";

    /// A mirrored MCP header is in the request more than once.
    DUPLICATE_MCP_HEADER = "duplicate_mcp_header": HeaderMismatch, Other, HEADERS,
        client: "Sent `Mcp-Method` or `Mcp-Name` twice.",
        fix: "Have the client send each once.";

    /// The request has more than one `Origin`. No browser sends that.
    DUPLICATE_ORIGIN = "duplicate_origin": Forbidden, Never, NOT_ALLOWED,
        client: "Sent two, or a proxy added one.",
        fix: "Look for a proxy that adds one.";

    /// The request has more than one `MCP-Protocol-Version`.
    DUPLICATE_PROTOCOL_VERSION = "duplicate_protocol_version": Malformed, Other, VERSION,
        client: "Sent the header twice.",
        fix: "Have the client send it once.";

    /// The request has more than one `Mcp-Session-Id`.
    DUPLICATE_SESSION_ID = "duplicate_session_id": Malformed, Other, TWICE,
        client: "Sent the header twice.",
        fix: "Have the client send it once.";

    /// A member is in the token, or in an introspection response, twice. Readers would take
    /// different ones.
    DUPLICATE_TOKEN_MEMBER = "duplicate_token_member": Invalid, Other, NOT_VALID,
        client: "Nothing wrong, unless it made the token up.",
        fix: "Have the authorization server write the member once.";

    /// The body is a batch without messages.
    EMPTY_BATCH = "empty_batch": Malformed, Other, AMBIGUOUS_BODY,
        client: "Sent `[]`.",
        fix: "Have the client send at least one message.";

    /// The token is encrypted (JWE), which is not accepted.
    ENCRYPTED_TOKEN = "encrypted_token": Invalid, Other, NOT_VALID,
        client: "Presented what the authorization server issued.",
        fix: "Have the authorization server issue signed tokens.";

    /// The token expired.
    EXPIRED = "expired": Invalid, Proven, "The access token expired",
        client: "Waited too long; it gets a new one by itself.",
        fix: "Nothing. If new tokens fail too, compare the clocks and look at `clock_skew`.";

    /// The API key expired.
    EXPIRED_API_KEY = "expired_api_key": Invalid, Proven, API_KEY,
        client: "Still uses the old key.",
        fix: "Issue a new one if its owner still needs access.";

    /// The body came in more than a thousand empty pieces.
    FRAGMENTED_BODY = "fragmented_body": Malformed, Never, INCOMPLETE,
        client: "Sent them on purpose: it does not happen by accident.",
        fix: "Look at where the requests come from.";

    /// The token's header is larger than is read.
    HEADER_TOO_LARGE = "header_too_large": Invalid, Other, NOT_VALID,
        client: "Presented a token with a large header.",
        fix: "Raise `max_header_bytes` if the authorization server issues such tokens.";

    /// The `Host` of the request is not allowed.
    HOST_NOT_ALLOWED = "host_not_allowed": Forbidden, Never,
        "Requests to this host are not allowed",
        client: "Reached the server by another name, or a page in a browser did (DNS rebinding).",
        fix: "Allow it with `allow_host` if clients reach this server by that name; have the proxy \
            pass `Host` on.";

    /// The authorization server says that the token is not active: it expired, was revoked or was
    /// never issued.
    INACTIVE_TOKEN = "inactive_token": Invalid, Guess, "The access token is not active",
        client: "Presented an old token; it must get a new one.",
        fix: "Nothing, unless new tokens fail too: then compare which server issued them and which \
            is asked.";

    /// The connection broke before the whole body arrived.
    INCOMPLETE_BODY = "incomplete_body": Malformed, Never, INCOMPLETE,
        client: "Gave up, or a proxy closed the connection.",
        fix: "Look at the time limits of the proxy if it happens often.";

    /// The credential's claims do not fit the type that the handler takes. The detail names the
    /// claim.
    INSUFFICIENT_CLAIMS = "insufficient_claims": Forbidden, Never,
        "The credential lacks claims that the operation needs",
        client: "Presented a good token without the claim.",
        fix: "Have the authorization server write the claim.";

    /// The credential is good and lacks scopes. The challenge names those that are needed.
    INSUFFICIENT_SCOPE = "insufficient_scope": InsufficientScope, Proven,
        "The operation needs scopes that were not granted",
        client: "Called more than it was granted; it asks the authorization server for the scopes.",
        fix: "Nothing, if the client asks for more by itself. Otherwise name the scopes in \
            `scopes_supported`, so that the first token has them.";

    /// The credential is good, and its user did not sign in strongly or lately enough. The
    /// challenge says what suffices.
    INSUFFICIENT_USER_AUTHENTICATION = "insufficient_user_authentication":
        InsufficientUserAuthentication, Proven,
        "A stronger or more recent sign-in is needed",
        client: "Called what needs a better sign-in. One that does not know the error asks for \
            another token of the same kind.",
        fix: "Have the authorization server ask for the sign-in by itself.";

    /// The authorization server limits introspection (429). Calls pause as long as it asks.
    INTROSPECTION_BUSY = "introspection_busy": Unavailable, Other, UNAVAILABLE,
        client: "Nothing wrong; it tries again after `Retry-After`.",
        fix: "Raise the server's limit, or cache responses longer.";

    /// The introspection endpoint could not be reached or answered badly.
    INTROSPECTION_FAILED = "introspection_failed": Unavailable, Other, UNAVAILABLE,
        client: "Nothing wrong; it tries again after `Retry-After`.",
        fix: "The event of the failure says why; calls start again after a pause.";

    /// Too many introspection calls were under way or waiting.
    INTROSPECTION_LIMITED = "introspection_limited": Unavailable, Other, UNAVAILABLE,
        client: "Came when many tokens were asked about; it tries again after `Retry-After`.",
        fix: "If it is not a flood of unknown tokens, the endpoint is too slow, or \
            `max_concurrent_requests` too low.";

    /// The authorization server refuses introspection to this server.
    INTROSPECTION_REFUSED = "introspection_refused": Unavailable, Other, UNAVAILABLE,
        client: "Nothing wrong; it tries again after `Retry-After`.",
        fix: "Check the client id and the secret or key that this server introspects with.";

    /// The authorization server cannot introspect tokens of this kind.
    INTROSPECTION_UNSUPPORTED = "introspection_unsupported": Unavailable, Other, UNAVAILABLE,
        client: "Presented a token of that kind.",
        fix: "Check whether the server supports introspection for the tokens that clients present.";

    /// The signature of the proof does not hold for the key in it.
    INVALID_DPOP_SIGNATURE = "invalid_dpop_signature": Invalid, Other,
        "The signature of the DPoP proof does not hold",
        client: "Signed it wrongly, or something changed the header.",
        fix: "If it is not an attack, look for what changes headers between the client and this \
            server.";

    /// What was posted to the service for logouts is no form with one `logout_token`. The detail
    /// says what is wrong.
    INVALID_LOGOUT_REQUEST = "invalid_logout_request": Malformed, Never,
        "The request has no logout token that can be read in one way",
        client: "Is no authorization server, or a proxy changed its request.",
        fix: "Look at who posts there, and at the proxy.";

    /// The logout token is not accepted. The detail says which check failed.
    INVALID_LOGOUT_TOKEN = "invalid_logout_token": Malformed, Never,
        "The logout token is not valid",
        client: "The authorization server sent a token that does not fit the settings.",
        fix: "Compare the settings of the service with what the authorization server sends.";

    /// The token's signature is wrong.
    INVALID_SIGNATURE = "invalid_signature": Invalid, Guess, NOT_VALID,
        client: "Changed or forged the token, or presents one that was signed with another key of \
            the same id.",
        fix: "If all tokens fail, compare the issuer's key set with the one that is configured.";

    /// The token's `iat` lies in the future.
    ISSUED_IN_THE_FUTURE = "issued_in_the_future": Invalid, Proven, TOO_EARLY,
        client: "Presented what the authorization server issued.",
        fix: "Compare the clocks of this server and of the authorization server.";

    /// The token is from an issuer that is not configured here. The detail shows both, and how they
    /// differ.
    ISSUER_MISMATCH = "issuer_mismatch": Invalid, Other, "The access token is from another issuer",
        client: "Got its token from another authorization server, or from the same one under \
            another name.",
        fix: "Add the issuer if it is meant to be trusted. Where the server is found by another \
            name than its tokens have, set `token_issuer`.";

    /// Too many requests waited for the keys of an issuer.
    KEYS_LIMITED = "keys_limited": Unavailable, Other, UNAVAILABLE,
        client: "Nothing wrong; it tries again after `Retry-After`.",
        fix: "Find out why its key set is slow to fetch; see `max_waiting_requests`.";

    /// There are no usable keys of the issuer: its metadata or key set cannot be fetched.
    KEYS_UNAVAILABLE = "keys_unavailable": Unavailable, Other, UNAVAILABLE,
        client: "Nothing wrong; it tries again after `Retry-After`.",
        fix: "The event of the failure says why: look at the issuer's URL, the network, TLS and \
            the proxy for outgoing requests.";

    /// A logout token was good, and the logout could not be recorded or carried out.
    LOGOUT_UNAVAILABLE = "logout_unavailable": Unavailable, Never,
        "Logouts are temporarily unavailable",
        client: "Nothing wrong; the sender may try again.",
        fix: "The detail says what failed: the replay store, or the revocation.";

    /// A string in the body has half of a surrogate pair. Readers replace it with different things.
    LONE_SURROGATE = "lone_surrogate": Malformed, Other, AMBIGUOUS_BODY,
        client: "Cut a string in the middle of a character.",
        fix: "Have the client send valid Unicode.";

    /// The header with the certificate of the client cannot be read. The detail says why.
    MALFORMED_CERTIFICATE = "malformed_certificate": Invalid, Other,
        "The client certificate of the request cannot be read in one way",
        client: "Nothing wrong, as a rule: the proxy writes the header.",
        fix: "Compare what the proxy writes with the `format` that is configured.";

    /// The credential has characters that no token has. The detail names the usual slips.
    MALFORMED_CREDENTIAL = "malformed_credential": Malformed, Other,
        "The credential header is malformed",
        client: "Sent quotes, the scheme twice, or a placeholder.",
        fix: "Mend the header in the settings of the client.";

    /// The proof is no JWT as RFC 9449 section 4.2 has it. The detail says what is wrong with it.
    MALFORMED_DPOP_PROOF = "malformed_dpop_proof": Invalid, Other, "The DPoP proof is malformed",
        client: "Made the proof wrongly.",
        fix: "Mend the client.";

    /// A trusted proxy sent a header that cannot be read: `Forwarded`, or one of `X-Forwarded-*`.
    /// The detail names it.
    MALFORMED_FORWARDED = "malformed_forwarded": Malformed, Never,
        "What the proxy says of the request cannot be read in one way",
        client: "Nothing wrong, unless the proxy passes its headers on.",
        fix: "Compare what the proxy writes with what is read, and with `hops`.";

    /// The `Host` of the request is none that can be read in one way.
    MALFORMED_HOST = "malformed_host": Malformed, Never, HOST,
        client: "Sent a trailing dot, a user name, a list, or no name at all.",
        fix: "Have the client send a name or an address, with a port or without.";

    /// The `id` of a request is neither a string nor a number.
    MALFORMED_ID = "malformed_id": Malformed, Other, AMBIGUOUS_BODY,
        client: "Sent another type.",
        fix: "Have the client send a string or a number.";

    /// A mirrored MCP header is not visible ASCII.
    MALFORMED_MCP_HEADER = "malformed_mcp_header": HeaderMismatch, Other, HEADERS,
        client: "Sent the value without encoding it.",
        fix: "Have the client encode the value as the specification says.";

    /// The value of `Mcp-Name` is no base64 of UTF-8.
    MALFORMED_MCP_NAME = "malformed_mcp_name": HeaderMismatch, Other, HEADERS,
        client: "Encoded it in another way.",
        fix: "Have the client encode it as the specification says.";

    /// The `method` of a message is no string.
    MALFORMED_METHOD = "malformed_method": Malformed, Other, AMBIGUOUS_BODY,
        client: "Sent another type.",
        fix: "Have the client send a string.";

    /// The `params` of a message are no object.
    MALFORMED_PARAMS = "malformed_params": Malformed, Other, AMBIGUOUS_BODY,
        client: "Sent a list or another value.",
        fix: "Have the client send an object, or none.";

    /// The value of `MCP-Protocol-Version` is not visible ASCII.
    MALFORMED_PROTOCOL_VERSION = "malformed_protocol_version": Malformed, Other, VERSION,
        client: "Sent something else than a revision.",
        fix: "Have the client send the name of a revision.";

    /// The token, or the response about it, cannot be read. The detail says what is wrong; a claim
    /// may have another type than it must have.
    MALFORMED_TOKEN = "malformed_token": Invalid, Guess, NOT_VALID,
        client: "Cut the token off, or presents something that is none.",
        fix: "Look at the detail; if it is a claim, have the authorization server write the right \
            type.";

    /// The value of `Mcp-Method` differs from the body's method.
    MCP_METHOD_MISMATCH = "mcp_method_mismatch": HeaderMismatch, Other, HEADERS,
        client: "Changed one of them, or a proxy did.",
        fix: "Look for what rewrites headers or bodies.";

    /// The value of `Mcp-Name` differs from the name in the body.
    MCP_NAME_MISMATCH = "mcp_name_mismatch": HeaderMismatch, Other, HEADERS,
        client: "Changed one of them, or a proxy did.",
        fix: "Look for what rewrites headers or bodies.";

    /// A member's name differs only in case from one that decides. Some readers take both for the
    /// same.
    MEMBER_IN_WRONG_CASE = "member_in_wrong_case": Malformed, Other, AMBIGUOUS_BODY,
        client: "Wrote the name in another case.",
        fix: "Have the client use the name of the specification.";

    /// The credential is in a header that its provider does not read.
    MISPLACED_CREDENTIAL = "misplaced_credential": Invalid, Other,
        "The credential belongs in another header",
        client: "Sent an API key as a bearer token, or a token as an API key.",
        fix: "Tell the client which header to use; the challenge names it.";

    /// The token names no audience.
    MISSING_AUDIENCE = "missing_audience": Invalid, Other, OTHER_RESOURCE,
        client: "Asked for a token without saying for what, or the authorization server never \
            writes `aud`.",
        fix: "Have the authorization server issue tokens for this resource, or set what stands in \
            for an audience: `client_ids`, `introspection_without_audience`.";

    /// The token is bound to a certificate, and the client has shown none.
    MISSING_CERTIFICATE = "missing_certificate": Invalid, Other,
        "The access token is bound to a client certificate and there is none",
        client: "Connected without its certificate, or stole the token.",
        fix: "Have the client connect with that certificate, and the server, or the proxy in front \
            of it, ask clients for one and hand it on.";

    /// The token names neither an audience nor a client.
    MISSING_CLIENT = "missing_client": Invalid, Other, OTHER_RESOURCE,
        client: "Presented what the authorization server issued.",
        fix: "It cannot be accepted by `client_ids`; have the authorization server write an \
            audience or a client.";

    /// The request has no credential. The detail says what the request has instead.
    MISSING_CREDENTIAL = "missing_credential": Missing, Other, "Authentication is required",
        client: "Sent its first request: OAuth clients begin like that, and get a token then.",
        fix: "Nothing, unless the client stops here: then see whether it can fetch the metadata, \
            and whether a proxy removes `Authorization`.";

    /// The token came under the scheme `DPoP` without a `DPoP` header.
    MISSING_DPOP_PROOF = "missing_dpop_proof": Invalid, Other, "The request has no DPoP proof",
        client: "Sent no proof, or a proxy removed it.",
        fix: "Have the client send a proof with each request, and look for a proxy that removes \
            the header.";

    /// The token has no `exp`. Tokens without an end are not accepted.
    MISSING_EXP = "missing_exp": Invalid, Proven, NOT_VALID,
        client: "Presented what the authorization server issued.",
        fix: "Have the authorization server set one.";

    /// The request names no host, neither in `Host` nor in its target.
    MISSING_HOST = "missing_host": Malformed, Never, HOST,
        client: "Sent none.",
        fix: "Have the client send a `Host`.";

    /// The token has no `iss`.
    MISSING_ISSUER = "missing_issuer": Invalid, Other, NOT_VALID,
        client: "Presented what the authorization server issued.",
        fix: "Have the authorization server write it.";

    /// The request lacks `Mcp-Method`, which its protocol version requires.
    MISSING_MCP_METHOD = "missing_mcp_method": HeaderMismatch, Other, HEADERS,
        client: "Announced a version that it does not follow.",
        fix: "Have the client send the header, or an older version.";

    /// The request lacks `Mcp-Name`, which its method requires.
    MISSING_MCP_NAME = "missing_mcp_name": HeaderMismatch, Other, HEADERS,
        client: "Announced a protocol version that it does not follow.",
        fix: "Have the client send the header, or an older version.";

    /// The token lacks the claim that names its subject.
    MISSING_SUBJECT = "missing_subject": Invalid, Other, NOT_VALID,
        client: "Presented what the authorization server issued.",
        fix: "Have the authorization server write the claim, or name another one with \
            `subject_claim`.";

    /// The message does not name what it acts on: a name or URI is missing, or is no string.
    MISSING_TARGET = "missing_target": Malformed, Other, AMBIGUOUS_BODY,
        client: "Sent a call without a name.",
        fix: "Have the client name the tool, the prompt or the resource.";

    /// A budget is counted by tenant, and the credential names none.
    MISSING_TENANT = "missing_tenant": Forbidden, Other,
        "The credential does not say which tenant it is of",
        client: "Presented a good token without the claim.",
        fix: "Have the authorization server write the claim of `tenant_claim`; without \
              `require_tenant` such callers are counted by themselves.";

    /// The operation asks for a sign-in (`acr`, `max_age`), and the credential is no user's.
    MISSING_USER = "missing_user": Forbidden, Proven, "The operation needs a user who signed in",
        client: "Used an API key, or a token that it got for itself.",
        fix: "Its rule must not ask for a sign-in if such callers are meant to use it.";

    /// The API key has the right form and a wrong checksum.
    MISTYPED_API_KEY = "mistyped_api_key": Invalid, Guess, API_KEY,
        client: "Mistyped the key or cut it off.",
        fix: "Copy the key again, whole.";

    /// The request has credentials in more than one header or scheme.
    MULTIPLE_CREDENTIALS = "multiple_credentials": Malformed, Other,
        "The request carries more than one credential",
        client: "Sent two, or a proxy added one.",
        fix: "Have the client, or the proxy, send one alone.";

    /// The name of a member is longer than any that is compared.
    NAME_TOO_LONG = "name_too_long": PayloadTooLarge, Other, TOO_LARGE,
        client: "Sent a very long name.",
        fix: "Have the client send shorter names.";

    /// The token is no JWT: it is opaque, or another kind of credential.
    NOT_A_JWT = "not_a_jwt": Invalid, Guess, NOT_VALID,
        client: "Presented an opaque token. Some authorization servers issue these when no \
            resource is asked for.",
        fix: "Configure introspection, or have the client ask for this resource.";

    /// The body is not JSON.
    NOT_JSON = "not_json": Malformed, Other, AMBIGUOUS_BODY,
        client: "Sent something else.",
        fix: "Have the client send one JSON-RPC message.";

    /// The body is JSON and no JSON-RPC message.
    NOT_JSON_RPC = "not_json_rpc": Malformed, Other, AMBIGUOUS_BODY,
        client: "Sent other JSON.",
        fix: "Have the client send a request, a notification or a response.";

    /// The body is not UTF-8.
    NOT_UTF8 = "not_utf8": Malformed, Other, AMBIGUOUS_BODY,
        client: "Sent another encoding.",
        fix: "Have the client send JSON in UTF-8.";

    /// The token's `nbf` lies in the future.
    NOT_YET_VALID = "not_yet_valid": Invalid, Proven, TOO_EARLY,
        client: "Presented it early; it will be accepted then.",
        fix: "If it should be accepted now, compare the clocks.";

    /// The API key is not valid yet.
    NOT_YET_VALID_API_KEY = "not_yet_valid_api_key": Invalid, Proven, API_KEY,
        client: "Presented it early.",
        fix: "Nothing: it will be accepted from its `not_before` on.";

    /// The policy denies the operation to every caller. The detail names the rule.
    OPERATION_DENIED = "operation_denied": Forbidden, Other, "The operation is denied to every caller",
        client: "Called what no rule opens.",
        fix: "Add a rule if the operation is meant to be used.";

    /// The `Origin` of the request is not allowed.
    ORIGIN_NOT_ALLOWED = "origin_not_allowed": Forbidden, Never,
        "Requests from this origin are not allowed",
        client: "Is a page in a browser, of another origin.",
        fix: "Allow it with `allow_origin` if pages of that origin are meant to call this server.";

    /// The address of the peer is not known, and it decides whether the header with the certificate
    /// of the client counts.
    PEER_UNKNOWN = "peer_unknown": Unavailable, Other, UNAVAILABLE,
        client: "Nothing wrong.",
        fix: "Set the address further out, with a `SetPeerAddrLayer`.";

    /// The request costs more than a budget holds when it is full, so that it is never admitted. The
    /// detail names the budget.
    QUOTA_COST_TOO_HIGH = "quota_cost_too_high": PayloadTooLarge, Other,
        "The request costs more than its budget ever holds",
        client: "Put too much into one batch.",
        fix: "Have the client split the batch, or raise the `burst`.";

    /// A budget of the caller is used up. The detail names it, and `RateLimit` says where each of
    /// them stands.
    QUOTA_EXCEEDED = "quota_exceeded": TooManyRequests, Other,
        "A budget of this caller is used up",
        client: "Called too often; it tries again after `Retry-After`.",
        fix: "Raise the budget if such callers are meant to call that often.";

    /// There is no room to count one more caller, and none of those that are counted can be
    /// forgotten.
    QUOTA_STORE_FULL = "quota_store_full": Unavailable, Other, BUSY,
        client: "Nothing wrong; it tries again after `Retry-After`.",
        fix: "Raise `max_entries`, or the memory of the engine; if callers multiply their ids, \
              count by tenant or subject.";

    /// The store that replicas share did not answer, and what it counts is refused meanwhile.
    QUOTAS_UNAVAILABLE = "quotas_unavailable": Unavailable, Other, BUSY,
        client: "Nothing wrong; it tries again after `Retry-After`.",
        fix: "The detail says why: look at the store. With `replicas` each replica serves its share.";

    /// The proof was used before.
    REPLAYED_DPOP_PROOF = "replayed_dpop_proof": Invalid, Other, "The DPoP proof was used before",
        client: "Sent a proof twice, or an attacker repeats its requests.",
        fix: "Have the client make a new one for each request, also for one that it sends again; \
            if it does, look for who repeats them.";

    /// The logout token was taken before: it, or another one with its id (`jti`).
    REPLAYED_LOGOUT_TOKEN = "replayed_logout_token": Malformed, Never,
        "The logout token was used before",
        client: "The authorization server sent it twice, or an attacker sent a copy.",
        fix: "Nothing, if it was a repetition: the logout holds.";

    /// A member has a name that a JSON library reserves for itself. Readers would disagree about
    /// it.
    RESERVED_MEMBER = "reserved_member": Malformed, Other, AMBIGUOUS_BODY,
        client: "Used such a name.",
        fix: "Have the client use another name.";

    /// The resource of the request was chosen by another provider than that of the token.
    RESOURCE_NOT_CHOSEN = "resource_not_chosen": Unavailable, Never, UNAVAILABLE,
        client: "Nothing wrong.",
        fix: "This is a mistake in the providers that were combined; see \
            `ProviderInfo::selects_resources`.";

    /// The store that replicas share did not answer for too long, so it is not known which
    /// credentials are revoked.
    REVOCATIONS_UNAVAILABLE = "revocations_unavailable": Unavailable, Other, UNAVAILABLE,
        client: "Nothing wrong; it tries again after `Retry-After`.",
        fix: "The detail says why; `max_staleness` of the revocation is how long it may take.";

    /// The API key was revoked.
    REVOKED_API_KEY = "revoked_api_key": Invalid, Other, API_KEY,
        client: "Still uses the key.",
        fix: "Find out which program still uses it.";

    /// The token was revoked here, or all tokens of its subject, client, grant, session or issuer.
    /// The detail says by which entry.
    REVOKED_TOKEN = "revoked_token": Invalid, Other, "The access token was revoked",
        client: "Still uses the token; it must get a new one.",
        fix: "Nothing, unless the revocation was a mistake: it lasts as long as its entry.";

    /// The store of claimed sessions did not answer. No caller is served in an anonymous session
    /// until it does.
    SESSION_STORE_UNAVAILABLE = "session_store_unavailable": Unavailable, Never,
        "Sessions are temporarily unavailable",
        client: "Nothing wrong; it tries again after `Retry-After`.",
        fix: "The detail says why: look at the store.";

    /// A credential is in the query string, which ends up in logs. It cannot be removed from the
    /// URL.
    TOKEN_IN_QUERY = "token_in_query": Malformed, Never,
        "Credentials in the query string are not accepted: use a request header",
        client: "Put its token into the URL.",
        fix: "Have the client use a header, and replace the credential.";

    /// The token lives longer than revocations are remembered, or without an end.
    TOKEN_LIVES_TOO_LONG = "token_lives_too_long": Invalid, Other, NOT_VALID,
        client: "Presented what the authorization server issued.",
        fix: "Have the authorization server issue shorter ones, or raise `max_token_lifetime` of \
            the revocation, and revoke again what was revoked before.";

    /// The token is larger than is read.
    TOKEN_TOO_LARGE = "token_too_large": Invalid, Other, NOT_VALID,
        client: "Presented a token with many claims, groups for instance.",
        fix: "Raise `max_token_bytes` if the authorization server issues such tokens.";

    /// The address presented too many bad credentials, and is blocked for a while.
    TOO_MANY_FAILED_ATTEMPTS = "too_many_failed_attempts": TooManyRequests, Never,
        "There were too many failed attempts from this address",
        client: "Guesses, or goes on with an old credential.",
        fix: "If it is the address of a proxy, name it in `trusted_proxies`, so that its clients \
            are counted instead.";

    /// A subscription names more URIs than are judged.
    TOO_MANY_SUBSCRIPTIONS = "too_many_subscriptions": PayloadTooLarge, Other, TOO_LARGE,
        client: "Subscribed to too many at once.",
        fix: "Have the client split it.";

    /// The credential has the form of none that is accepted there.
    UNACCEPTED_CREDENTIAL = "unaccepted_credential": Invalid, Guess, NOT_VALID,
        client: "Sent a credential of another kind, or one with another prefix.",
        fix: "Compare its form with what the layer accepts: a JWT, a prefix, an issuer.";

    /// The token is not bound as it must be: to a key, or it came with a proof of one, or to a
    /// certificate.
    UNBOUND_TOKEN = "unbound_token": Invalid, Other, "The access token is not bound as it must be",
        client: "Asked for its token without a proof, or without its certificate.",
        fix: "Have the client ask the authorization server for its token with a proof, or with its \
            certificate; or send a bearer token where `dpop` and `mtls` allow those.";

    /// The token's payload is not encoded (`b64` is false).
    UNENCODED_PAYLOAD = "unencoded_payload": Invalid, Other, NOT_VALID,
        client: "Presented a token with an unencoded payload.",
        fix: "Have the authorization server issue plain tokens.";

    /// A batch came under a protocol version that has none.
    UNEXPECTED_BATCH = "unexpected_batch": HeaderMismatch, Other, HEADERS,
        client: "Sent several messages in one body.",
        fix: "Have the client send its messages one by one.";

    /// The body begins with a byte order mark.
    UNEXPECTED_BOM = "unexpected_bom": Malformed, Other, AMBIGUOUS_BODY,
        client: "Wrote one before the JSON.",
        fix: "Have the client send JSON without it.";

    /// No such API key is known.
    UNKNOWN_API_KEY = "unknown_api_key": Invalid, Guess, API_KEY,
        client: "Uses a key that was mistyped, deleted or made for another server.",
        fix: "Compare the id of the key with those that are configured.";

    /// No resource of this server is at the host that the request was sent to.
    UNKNOWN_HOST = "unknown_host": Misdirected, Never,
        "Requests to this host are answered elsewhere",
        client: "Reached the server by another name, or a proxy replaced `Host`.",
        fix: "Add the resource, or the tenant, if clients are meant to reach it; behind a proxy, \
            see `trusted_proxies`.";

    /// No key fits the token's `kid` and `alg`.
    UNKNOWN_KEY = "unknown_key": Invalid, Guess, NOT_VALID,
        client: "Presents a token of another server, or one that was signed after a rotation a \
            moment ago.",
        fix: "Nothing after a rotation: keys are fetched again by themselves. Otherwise compare \
            the issuer of the token.";

    /// No resource of this server is at the path of the request. Paths with `..`, `//`, `;` or
    /// encoded separators match none.
    UNKNOWN_RESOURCE = "unknown_resource": UnknownResource, Never,
        "There is no protected resource at this path",
        client: "Asked for another path, or a proxy takes a part of it away.",
        fix: "Add the resource, or the tenant, if clients are meant to reach it; see \
            `stripped_prefix`.";

    /// The session does not exist for this caller. The detail says what is wrong with the id.
    UNKNOWN_SESSION = "unknown_session": UnknownSession, Other, "The session is not known",
        client: "Uses a session of before a restart, or of another caller; it starts a new one by \
            itself.",
        fix: "Nothing. If every session fails, give all replicas the same session key.";

    /// The opaque token can be of no configured authorization server: its prefix or its length is
    /// of none.
    UNKNOWN_TOKEN = "unknown_token": Invalid, Guess, NOT_VALID,
        client: "Presents a token of another server, or something that is none.",
        fix: "Check `token_prefix` and `token_lengths`.";

    /// The body has a `Content-Encoding`. It is judged as it is.
    UNSUPPORTED_CONTENT_ENCODING = "unsupported_content_encoding": UnsupportedMediaType, Other,
        UNSUPPORTED,
        client: "Compressed the body.",
        fix: "Have the client send it without.";

    /// The body is not declared as JSON in UTF-8.
    UNSUPPORTED_CONTENT_TYPE = "unsupported_content_type": UnsupportedMediaType, Other, UNSUPPORTED,
        client: "Sent another `Content-Type`, or none.",
        fix: "Have the client send `Content-Type: application/json`.";

    /// The token is no access token.
    WRONG_TOKEN_TYPE = "wrong_token_type": Invalid, Other, "The token is not an access token",
        client: "Sent an ID or refresh token, or the authorization server marks its access tokens \
            as something else.",
        fix: "Have the client send its access token. If it does, see `accepted_typ` and the preset \
            of the identity provider.";
}
