//! The codes of findings about the authorization server and its keys.

use crate::doctor::code::{Code, Entry, Severity};

entry!(
    ISSUER_INVALID,
    "issuer_invalid",
    Fault,
    "An entry of `authorization_servers` is no URL of an issuer",
    "Clients cannot look for its metadata.",
    "Write the issuer: https, without query and fragment.",
    None
);

entry!(
    ISSUER_INSECURE,
    "issuer_insecure",
    Fault,
    "An authorization server is plain http",
    "Clients refuse it: codes and tokens could be read on the way.",
    "Serve it with https, and name that issuer.",
    None
);

entry!(
    ISSUER_UNREACHABLE,
    "issuer_unreachable",
    Fault,
    "An authorization server does not answer",
    "No client can sign in. From elsewhere it may be reached: compare networks.",
    "Look at its address and its certificate, and name the public issuer.",
    None
);

entry!(
    ISSUER_METADATA_MISSING,
    "issuer_metadata_missing",
    Fault,
    "The authorization server has no metadata where clients look",
    "Clients guess its endpoints, and fail.",
    "Name the issuer with its path (realm, tenant), as its documents write it.",
    Some("AuthorizationServer::new(\"…\") with the issuer, or `advertised_as`")
);

entry!(
    ISSUER_METADATA_NOT_JSON,
    "issuer_metadata_not_json",
    Fault,
    "The metadata of the authorization server are no JSON object",
    "An error page, or the page of an application.",
    "Serve the JSON document, or name the right issuer.",
    None
);

entry!(
    ISSUER_REDIRECTS,
    "issuer_redirects",
    Fault,
    "The metadata of the authorization server redirect",
    "Clients do not follow to another origin, and the issuer they end at is \
         another.",
    "Name the issuer that the redirect leads to.",
    None
);

entry!(
    ISSUER_MISMATCH,
    "issuer_mismatch",
    Fault,
    "The authorization server calls itself something else than the metadata do",
    "RFC 8414 section 3.3: clients MUST refuse it, and compare byte by byte: a \
         slash at the end counts.",
    "Write in `authorization_servers` what its metadata have as `issuer`.",
    Some("AuthorizationServer::new(\"{got}\")")
);

entry!(
    ENDPOINTS_MISSING,
    "endpoints_missing",
    Fault,
    "The authorization server does not name its endpoints",
    "Without `authorization_endpoint` and `token_endpoint` no user can sign in.",
    "Turn on the authorization code flow there.",
    None
);

entry!(
    ENDPOINT_INSECURE,
    "endpoint_insecure",
    Fault,
    "An endpoint of the authorization server is plain http",
    "Clients refuse it. The server takes the scheme from the request that a proxy \
         passes on.",
    "Configure its public URL (`X-Forwarded-Proto`, hostname).",
    None
);

entry!(
    PKCE_MISSING,
    "pkce_missing",
    Fault,
    "The authorization server does not say that it knows PKCE with S256",
    "MCP clients MUST refuse to go on without `code_challenge_methods_supported`.",
    "Turn on PKCE there; where it is on and not said, put \
         `\"code_challenge_methods_supported\": [\"S256\"]` into its metadata.",
    Some("`advertised_as` leads clients to a proxy that says it")
);

entry!(
    REGISTRATION_MISSING,
    "registration_missing",
    Warning,
    "Clients cannot register at the authorization server",
    "Without `registration_endpoint` or `client_id_metadata_document_supported` \
         Claude, ChatGPT, VS Code and Inspector need a client id that their users \
         enter.",
    "Turn on client ID metadata documents or dynamic registration, or hand out a \
         client id.",
    Some("`advertised_as` leads clients to a proxy that registers them")
);

entry!(
    RESOURCE_NOT_LISTED,
    "resource_not_listed",
    Warning,
    "The authorization server lists its resources, and this one is not among them",
    "It refuses `resource={url}`, or issues tokens for another audience.",
    "Register the resource there, byte by byte.",
    None
);

entry!(
    CODE_FLOW_MISSING,
    "code_flow_missing",
    Fault,
    "The authorization server does not offer the response type `code`",
    "MCP clients use no other flow.",
    "Turn on the authorization code flow there.",
    None
);

entry!(
    KEYS_NOT_NAMED,
    "keys_not_named",
    Note,
    "The authorization server does not say where its keys are",
    "Signed tokens cannot be checked by discovery; opaque ones need none.",
    "Nothing where tokens are introspected; else add `jwks_uri` there.",
    Some("AuthorizationServer::jwks_uri")
);

entry!(
    KEYS_UNREACHABLE,
    "keys_unreachable",
    Fault,
    "The keys of the authorization server cannot be fetched",
    "No signed token can be checked.",
    "Look at `jwks_uri`, and at what keeps it from being reached.",
    Some("AuthorizationServer::jwks_uri")
);

entry!(
    KEYS_UNUSABLE,
    "keys_unusable",
    Fault,
    "No published key can check a token",
    "The set is empty, is no key set, or has keys of other kinds alone.",
    "Publish public keys for signatures: RSA of 2048 bits at least, P-256, P-384 or \
         Ed25519.",
    None
);

entry!(
    PRIVATE_KEY_PUBLISHED,
    "private_key_published",
    Fault,
    "A private or symmetric key is published",
    "Any client can sign tokens with it.",
    "Withdraw it now, rotate, and publish the public half alone.",
    None
);

entry!(
    KEYS_AMBIGUOUS,
    "keys_ambiguous",
    Warning,
    "Several keys have one id",
    "Servers try one of them, and refuse tokens of the others.",
    "Give each key its own `kid`.",
    None
);

entry!(
    KEY_SKIPPED,
    "key_skipped",
    Note,
    "A published key is of no use for access tokens",
    "It is for encryption, or of a kind that few verify. The evidence says which.",
    "Nothing, unless tokens are signed with it.",
    None
);
