//! The codes of findings about clocks, tokens, lists and pages.

use crate::doctor::code::{Code, Entry, Severity};

entry!(
    CLOCK_OFF,
    "clock_off",
    Fault,
    "The clock of the server differs",
    "Tokens expire early or late there, and new ones are not yet valid: most \
         servers allow 60 s.",
    "Set the clock (NTP) of the machine or container.",
    Some("`clock_skew` allows up to 300 s")
);

entry!(
    ISSUER_CLOCK_OFF,
    "issuer_clock_off",
    Fault,
    "The clock of the authorization server differs",
    "New tokens are not yet valid elsewhere, or expired already.",
    "Set the clock (NTP) of the authorization server.",
    Some("`clock_skew` allows up to 300 s")
);

entry!(
    OWN_CLOCK_OFF,
    "own_clock_off",
    Note,
    "The clock of this machine differs from all others",
    "Only what the doctor says of times is concerned, which goes by the server's.",
    "Set the clock (NTP) here.",
    None
);

entry!(
    TOKEN_NOT_SENT,
    "token_not_sent",
    Fault,
    "The token was not sent",
    "The doctor sends it to the server that was given, over https or loopback, and \
         nowhere else.",
    "Give the https URL.",
    None
);

entry!(
    TOKEN_MALFORMED,
    "token_malformed",
    Fault,
    "The token is no JWT that can be read in one way",
    "Strict servers refuse it.",
    "Take the access token as the authorization server wrote it, without quotes or \
         `Bearer`.",
    None
);

entry!(
    TOKEN_OPAQUE,
    "token_opaque",
    Note,
    "The token is opaque",
    "What it is worth only its authorization server knows: the doctor judges by the \
         answer alone.",
    "Where the server refuses it: turn on introspection there, or signed tokens at \
         the authorization server.",
    Some("AuthorizationServer::introspection")
);

entry!(
    TOKEN_WRONG_KIND,
    "token_wrong_kind",
    Fault,
    "The token is no access token",
    "An ID or refresh token is meant for other receivers.",
    "Present `access_token` of the token response, not `id_token`.",
    Some("`accepted_typ`, where the maker calls its access tokens otherwise")
);

entry!(
    TOKEN_ISSUER,
    "token_issuer",
    Fault,
    "The token is of an issuer that the metadata do not name",
    "The server trusts another one, or writes it differently: a slash, a tenant, v1 \
         for v2.",
    "Get the token from the named server, or name the issuer of the token.",
    Some("AuthorizationServer::new(\"{got}\"), or `token_issuer`")
);

entry!(
    TOKEN_AUDIENCE_MISSING,
    "token_audience_missing",
    Fault,
    "The token has no audience",
    "MCP requires an audience: servers MUST refuse it.",
    "Send `resource={url}` with the authorization and token requests, or set the \
         audience at the authorization server.",
    Some("AuthorizationServer::client_ids, for issuers that write none")
);

entry!(
    TOKEN_AUDIENCE,
    "token_audience",
    Fault,
    "The token is for another server",
    "Its `aud` is not the `resource` of the metadata; servers MUST refuse it.",
    "Send `resource={url}` with the authorization and token requests; where the \
         authorization server writes its own audience, set that in the server.",
    Some("AuthorizationServer::audience(\"{got}\")")
);

entry!(
    TOKEN_EXPIRED,
    "token_expired",
    Fault,
    "The token is expired",
    "Clients refresh at the 401.",
    "Get a new one; compare the clocks if it is new.",
    None
);

entry!(
    TOKEN_NOT_YET_VALID,
    "token_not_yet_valid",
    Fault,
    "The token is not valid yet",
    "`nbf` or `iat` is ahead of the server's clock.",
    "Compare the clocks of the server and of the authorization server.",
    Some("`clock_skew` allows up to 300 s")
);

entry!(
    TOKEN_TIMES_MISSING,
    "token_times_missing",
    Fault,
    "The token has no `exp`",
    "RFC 9068 requires it, and so do most servers.",
    "Let the authorization server write `exp`.",
    None
);

entry!(
    TOKEN_ALGORITHM,
    "token_algorithm",
    Fault,
    "The token is signed with an algorithm that no server should accept",
    "`none` proves nothing, and HMAC needs a secret that no published key is.",
    "Let the authorization server sign with RS256, ES256 or EdDSA.",
    Some("`algorithms`, for a list of your own")
);

entry!(
    TOKEN_KEY_UNKNOWN,
    "token_key_unknown",
    Fault,
    "No published key fits the token",
    "It was rotated away, is of another environment, or the set is cached too long.",
    "Compare `kid` with the published ids; get a new token.",
    Some("`AuthorizationServer::jwks_uri`; keys are fetched again by themselves")
);

entry!(
    TOKEN_SIGNATURE,
    "token_signature",
    Fault,
    "The signature of the token does not hold",
    "It was changed, or signed with another key of the same id.",
    "Get a new token; compare the environments.",
    None
);

entry!(
    TOKEN_BOUND,
    "token_bound",
    Fault,
    "The token is bound to a key, and was sent as Bearer",
    "RFC 9449 section 7.2: such a token needs a proof with each request, which the \
         doctor does not have.",
    "Use a token that is not bound, or a client that sends proofs.",
    Some("AuthorizationServer::dpop, or `mtls` for certificates")
);

entry!(
    TOKEN_SCOPE,
    "token_scope",
    Fault,
    "The token lacks scopes",
    "The server asks for them in its challenge.",
    "Ask the authorization server for the scopes that the challenge names.",
    Some("`required_scopes`, `policy`")
);

entry!(
    BAD_TOKEN_ACCEPTED,
    "bad_token_accepted",
    Fault,
    "The server accepts a token that it must refuse",
    "The rows say what is wrong with it.",
    "Check signature, issuer, times and kind of each token.",
    None
);

entry!(
    FOREIGN_AUDIENCE_ACCEPTED,
    "foreign_audience_accepted",
    Warning,
    "The server accepts a token whose `aud` is not its resource",
    "If that is not configured on purpose, tokens for other services get in.",
    "Check `aud` against the resource, or name the other audience on purpose.",
    Some("AuthorizationServer::audience")
);

entry!(
    TOKEN_CHECK_FAILING,
    "token_check_failing",
    Fault,
    "The server fails at the token",
    "Its own trouble, not the token's: keys or introspection are not to be reached \
         from there.",
    "Look into its log; let it reach the authorization server.",
    Some("events with `keys_unavailable`; `OAuthLayer::health`")
);

entry!(
    TOKEN_REFUSED,
    "token_refused",
    Fault,
    "The server refuses the token, and nothing visible is wrong with it",
    "The server expects another audience, issuer or claim than can be seen from \
         outside.",
    "Look into the log of the server for the reason.",
    Some(
        "the field `reason` of its events; `mcp-auth-doctor --explain REASON` says what \
         it means"
    )
);

entry!(
    INVALID_TOKEN_WRONG_STATUS,
    "invalid_token_wrong_status",
    Fault,
    "A bad token is refused with another status than 401",
    "Clients get a new token at a 401 alone.",
    "Answer 401 with `error=\"invalid_token\"`.",
    None
);

entry!(
    INVALID_TOKEN_NOT_SAID,
    "invalid_token_not_said",
    Note,
    "The 401 for a bad token does not say `invalid_token`",
    "RFC 6750 section 3.1 asks for it. Clients sign in all the same.",
    "Add `error=\"invalid_token\"`.",
    None
);

entry!(
    TOKEN_IN_QUERY,
    "token_in_query",
    Fault,
    "The server reads tokens from the query",
    "They get into logs and histories; MCP forbids it.",
    "Read the token from `Authorization` alone.",
    None
);

entry!(
    LIST_EMPTY_FOR_WANT_OF_SCOPE,
    "list_empty_for_want_of_scope",
    Warning,
    "`tools/list` is empty, and the token lacks scopes that the server knows",
    "Clients show a server without tools, and never ask for more.",
    "Let clients ask for these scopes at first: name them in the challenge or in \
         `scopes_supported`.",
    Some("`baseline` of the policy, or `show = \"all\"` of `lists`")
);

entry!(
    LIST_EMPTY,
    "list_empty",
    Note,
    "`tools/list` is empty",
    "The server has no tools, or hides them from this token.",
    "Nothing, if it has none.",
    None
);

entry!(
    RATE_LIMITED,
    "rate_limited",
    Warning,
    "The server answers 429",
    "A budget or a rate limit of this user is used up, so that the doctor saw no more. It sends \
         a few requests with the token, which count.",
    "Wait as long as `Retry-After` says. Leave room for `initialize`, lists and the end of a \
         session, or count calls of tools alone.",
    Some("`Budget::tool(\"*\")`")
);

entry!(
    SESSION_FAILING,
    "session_failing",
    Warning,
    "The server accepts the token, and no session comes about",
    "The doctor could not look at `tools/list`.",
    "Look into the log of the server.",
    None
);

entry!(
    CORS_ABSENT,
    "cors_absent",
    Note,
    "Pages of other origins cannot use this server",
    "Clients in a browser fail: Inspector without its proxy, and web chats. Other \
         clients are not affected. With `--origin` it is a fault.",
    "Answer preflights, and send `Access-Control-Allow-Origin`, where clients run \
         in a browser.",
    Some(
        "cors::layer(AllowOrigin::exact(…)), outermost, and `OriginLayer::allow_origin` \
         where there is one; in a configuration `origin.allow_origins`"
    )
);

entry!(
    CORS_PREFLIGHT_REFUSED,
    "cors_preflight_refused",
    Fault,
    "The preflight is refused, though the server allows the origin otherwise",
    "Browsers never send the request. Preflights carry no token: what asks for one \
         must stand further in.",
    "Let CORS answer OPTIONS before the token is asked for.",
    Some("cors::layer(…) outermost")
);

entry!(
    CORS_HEADERS_NOT_ALLOWED,
    "cors_headers_not_allowed",
    Fault,
    "The preflight does not allow headers that clients send",
    "Browsers never send the request; `*` does not cover `Authorization`.",
    "Allow `Authorization, Content-Type, Accept, MCP-Protocol-Version, \
         Mcp-Session-Id, Mcp-Method, Mcp-Name, Last-Event-ID`.",
    Some("cors::layer mirrors what is asked for")
);

entry!(
    CORS_REFUSAL_HIDDEN,
    "cors_refusal_hidden",
    Fault,
    "The 401 lacks the CORS headers that the preflight has",
    "Clients in a browser see a network error instead of the 401, and do not sign \
         in.",
    "Put CORS around the authorization, not inside of it.",
    Some("cors::layer(…) outermost")
);

entry!(
    CORS_CHALLENGE_NOT_EXPOSED,
    "cors_challenge_not_exposed",
    Fault,
    "The 401 does not expose `WWW-Authenticate` to pages",
    "Clients in a browser cannot read the challenge.",
    "Send `Access-Control-Expose-Headers: WWW-Authenticate, Mcp-Session-Id`.",
    Some("cors::layer exposes it")
);

entry!(
    CORS_METADATA_CLOSED,
    "cors_metadata_closed",
    Fault,
    "The metadata lack the CORS headers that the endpoint has",
    "Clients in a browser cannot read where to sign in.",
    "Send `Access-Control-Allow-Origin: *` with the metadata, and answer their \
         preflight.",
    Some("the layer sends it; a proxy or another route answers now")
);
