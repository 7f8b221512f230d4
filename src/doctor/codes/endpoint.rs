//! The codes of findings about the endpoint and its challenge.

use crate::doctor::code::{Code, Entry, Severity};

entry!(
    UNREACHABLE,
    "unreachable",
    Fault,
    "The server does not answer",
    "No client reaches it.",
    "Look at the address, the port, the firewall and the process: the evidence says how far \
         the doctor came.",
    None
);

entry!(
    INTERIM_RESPONSES,
    "interim_responses",
    Fault,
    "The server sends interim responses, and no answer",
    "Clients wait for the answer that follows `100 Continue` or `103 Early Hints` (RFC 9110 \
         section 15.2), until they give up.",
    "Let the server, or the proxy that adds them, send one final response to each request.",
    None
);

entry!(
    CERTIFICATE_AUTHORITY_UNKNOWN,
    "certificate_authority_unknown",
    Fault,
    "The certificate is of no authority that is known here",
    "Clients refuse the connection, unless they are told to trust that authority.",
    "If the authority is your own, give its certificate to the doctor with `--ca FILE`, and to \
         each client. Otherwise send the whole chain: the server's certificate and those between \
         it and the authority (`fullchain.pem`).",
    None
);

entry!(
    CERTIFICATE_IS_AUTHORITY,
    "certificate_is_authority",
    Fault,
    "The certificate is that of an authority, not of a server",
    "Clients made with rustls refuse such a certificate (`CA:TRUE`), and so does the doctor; others \
         refuse it unless they are told to trust it.",
    "Make one with `CA:FALSE` (`openssl req -x509 … -addext basicConstraints=CA:FALSE`), and give it \
         to the doctor with `--ca FILE`.",
    None
);

entry!(
    CERTIFICATE_HOST,
    "certificate_host",
    Fault,
    "The certificate is for another host",
    "Clients refuse the connection: the certificate does not name the host of the URL. A proxy \
         may show its default certificate.",
    "Give clients a URL with a host that the certificate names, or get a certificate that names \
         the host of `{url}`.",
    None
);

entry!(
    CERTIFICATE_EXPIRED,
    "certificate_expired",
    Fault,
    "The certificate is expired",
    "Clients refuse the connection.",
    "Renew it, and let the server or the proxy load the new one. If it is valid still, set the \
         clock of this machine.",
    None
);

entry!(
    CERTIFICATE_NOT_YET_VALID,
    "certificate_not_yet_valid",
    Fault,
    "The certificate is not valid yet",
    "Clients refuse the connection.",
    "Set the clock of this machine if it is late; otherwise get a certificate that is valid now.",
    None
);

entry!(
    TLS_FAILING,
    "tls_failing",
    Fault,
    "TLS with the server fails",
    "No client gets a connection.",
    "If the port is one of plain http, give the URL of the port of https. Otherwise \
         serve TLS 1.2 or 1.3 there, with a certificate for servers, and ask clients for \
         none.",
    None
);

entry!(
    PLAIN_HTTP,
    "plain_http",
    Fault,
    "The server is plain http, and not on loopback",
    "Tokens can be read on the way; clients refuse it. The token was not sent.",
    "Serve https, and give clients that URL.",
    Some("`OAuthLayer::new(\"https://…\", …)`: the resource is the public https URL")
);

entry!(
    ENDPOINT_REDIRECTS,
    "endpoint_redirects",
    Fault,
    "The endpoint redirects",
    "Clients do not follow a redirect of a POST, or drop the token and the body on \
         the way.",
    "Give clients the URL that the redirect leads to, or route this path without a \
         redirect.",
    None
);

entry!(
    ENDPOINT_NOT_FOUND,
    "endpoint_not_found",
    Fault,
    "There is no MCP endpoint at this path",
    "Clients take a 404 for an ended session, and a 405 for a server of another \
         protocol.",
    "Give the doctor the URL of the endpoint, with its path; behind a proxy compare \
         the prefix it takes away.",
    Some("the path of the router and `stripped_prefix`; docs/behind-a-proxy.md")
);

entry!(
    ENDPOINT_FAILING,
    "endpoint_failing",
    Fault,
    "The server fails at a request without a token",
    "No client gets as far as a sign-in.",
    "Look into the log of the server, and of the proxy in front of it.",
    None
);

entry!(
    HOST_REFUSED,
    "host_refused",
    Fault,
    "The server refuses the host",
    "A proxy changed `Host`, or the server allows hosts of loopback alone.",
    "Pass `Host` on in the proxy, and allow the public host in the server.",
    Some(
        "`OriginLayer::allow_host`; for rmcp \
         `StreamableHttpServerConfig::default().disable_allowed_hosts()`"
    )
);

entry!(
    NO_AUTHORIZATION,
    "no_authorization",
    Fault,
    "The server serves requests without a token, and with a made-up one",
    "Nothing is protected.",
    "Put the authorization around the whole endpoint.",
    Some("`.layer(OAuthLayer::new(…)?)` after the routes it is to protect")
);

entry!(
    MADE_UP_TOKEN_ACCEPTED,
    "made_up_token_accepted",
    Fault,
    "The server accepts a token that the doctor made up",
    "Any caller gets in.",
    "Verify signature, issuer, audience and times of each token before the request \
         is served.",
    Some(
        "no `dangerously_report_only`, and no provider of your own that accepts \
         everything"
    )
);

entry!(
    METHOD_UNGUARDED,
    "method_unguarded",
    Fault,
    "One way to the endpoint asks for a token, and another does not",
    "A caller gets in by the other way: each HTTP request needs a token, whatever its \
         method or revision.",
    "Put the authorization around all methods of the path, before any routing by \
         method or body.",
    Some("`.layer(…)` around the whole service, and no `public_path` for the endpoint")
);

entry!(
    REFUSAL_WITH_200,
    "refusal_with_200",
    Fault,
    "A request without a token is refused inside a 200",
    "Clients start to sign in at a 401 alone: Claude, the official SDKs and \
         Inspector show the error and stop.",
    "Answer 401 with `WWW-Authenticate` before the message is dispatched.",
    Some("the layer answers so by itself: leave the refusal to it")
);

entry!(
    WRONG_STATUS_WITHOUT_TOKEN,
    "wrong_status_without_token",
    Fault,
    "A request without a token is refused with another status than 401",
    "Clients start to sign in at a 401 alone; a 400 sends some to an older \
         protocol, and a 403 is an error to all.",
    "Answer 401 with `WWW-Authenticate`, before anything else of the request is \
         judged.",
    Some("put the auth layer outside of what answers now")
);

entry!(
    ANONYMOUS_ACCEPTED,
    "anonymous_accepted",
    Warning,
    "A request without a token is served",
    "Clients never start to sign in, unless a tool asks for it with a 401. It is \
         right where some tools are free: say `--mixed`.",
    "Answer 401 to every request without a token.",
    Some("leave `optional()` and `Policy` entries with `none = true` out")
);

entry!(
    CHALLENGE_MISSING,
    "challenge_missing",
    Fault,
    "The 401 has no `WWW-Authenticate`",
    "Clients do not learn where to sign in; RFC 9110 asks for it at every 401. A \
         proxy may have dropped it.",
    "Send `WWW-Authenticate: Bearer resource_metadata=\"{metadata}\"`.",
    None
);

entry!(
    CHALLENGE_WITHOUT_BEARER,
    "challenge_without_bearer",
    Fault,
    "The challenge has no scheme `Bearer`",
    "OAuth clients know no other. Another layer, or a proxy with a sign-in of its \
         own, answered first.",
    "Send `Bearer` first, and let no other sign-in stand in front of the endpoint.",
    None
);

entry!(
    API_KEYS_ONLY,
    "api_keys_only",
    Note,
    "The challenge asks for an API key, and for no token",
    "OAuth clients cannot sign in here, and are not told to.",
    "Nothing, if API keys are what you want.",
    None
);

entry!(
    CHALLENGE_MALFORMED,
    "challenge_malformed",
    Fault,
    "The challenge cannot be read as RFC 9110 has it",
    "Clients read parts of it, or nothing.",
    "Write `Bearer name=\"value\", name=\"value\"`: each name once, and values in \
         double quotes.",
    None
);

entry!(
    CHALLENGE_NOT_FIRST,
    "challenge_not_first",
    Warning,
    "`Bearer` is not the first challenge",
    "The TypeScript SDKs and rmcp look at the first one alone, and do not ask for \
         more scopes after a 403.",
    "Send `Bearer` in the first line.",
    None
);

entry!(
    CHALLENGE_MISREAD,
    "challenge_misread",
    Warning,
    "A description in the challenge looks like a parameter",
    "The TypeScript and Python SDKs search for `scope=` and `resource_metadata=` \
         wherever they stand, and take what the description says.",
    "Put `error_description` last, without `=` and commas.",
    None
);

entry!(
    CHALLENGE_ERROR_WITHOUT_TOKEN,
    "challenge_error_without_token",
    Note,
    "The challenge to a request without a token names an error",
    "RFC 6750 section 3.1: it SHOULD NOT. Clients read it as an invalid token, and \
         sign in all the same.",
    "Leave `error` out where the request has no token.",
    None
);

entry!(
    METADATA_NOT_IN_CHALLENGE,
    "metadata_not_in_challenge",
    Warning,
    "The challenge does not name the metadata",
    "Clients have to guess where they are; revision 2025-06-18 and the C# SDK need \
         the name.",
    "Add `resource_metadata=\"{metadata}\"` to the challenge.",
    None
);

entry!(
    METADATA_URL_INVALID,
    "metadata_url_invalid",
    Fault,
    "`resource_metadata` is no absolute URL",
    "No client finds the metadata by it.",
    "Write the whole URL: `{metadata}`.",
    None
);

entry!(
    METADATA_URL_INSECURE,
    "metadata_url_insecure",
    Fault,
    "`resource_metadata` is http, and the server is https",
    "Clients refuse to go there. The server takes the scheme from the request that \
         a proxy passes on.",
    "Configure the public URL; derive nothing from the request.",
    Some("`OAuthLayer::new(\"https://…\", …)`: the resource is the public URL")
);

entry!(
    METADATA_URL_ELSEWHERE,
    "metadata_url_elsewhere",
    Warning,
    "`resource_metadata` is on another origin than the server",
    "It may be an internal name, which clients outside do not reach.",
    "Configure the public URL: `{metadata}`.",
    Some("`ProtectedResource::advertised_metadata_url`, or the resource itself")
);

entry!(
    SCOPE_MALFORMED,
    "scope_malformed",
    Fault,
    "The scopes of the challenge are malformed",
    "They have characters that RFC 6750 section 3 leaves out: authorization servers \
         refuse them.",
    "Separate scopes by one space, without quotes and commas.",
    None
);
