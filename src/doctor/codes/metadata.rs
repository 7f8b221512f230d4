//! The codes of findings about the metadata of the resource.

use crate::doctor::code::{Code, Entry, Severity};

entry!(
    METADATA_MISSING,
    "metadata_missing",
    Fault,
    "There are no metadata of the protected resource",
    "Clients take this server for the authorization server, try to register here, \
         and report that instead (`HTTP 404 trying to register`).",
    "Serve RFC 9728 metadata at `{metadata}`; a proxy must pass that path on, which \
         is not below the endpoint.",
    Some(
        "the layer must see `/.well-known/…`: mount it outside of `nest`, and route the \
         path in the proxy"
    )
);

entry!(
    METADATA_POINTER_BROKEN,
    "metadata_pointer_broken",
    Fault,
    "What the challenge names has no metadata",
    "The TypeScript SDKs look nowhere else.",
    "Name the URL that answers.",
    Some("`advertised_metadata_url`, or the rule of the proxy for `/.well-known/`")
);

entry!(
    METADATA_AUTH_REQUIRED,
    "metadata_auth_required",
    Fault,
    "The metadata ask for a token",
    "Clients read them before they have one.",
    "Let GET of `/.well-known/oauth-protected-resource` pass without a token, in \
         the server and in the proxy.",
    Some("mount `OAuthLayer::metadata_service` outside of other guards")
);

entry!(
    METADATA_REDIRECTS,
    "metadata_redirects",
    Fault,
    "The metadata redirect",
    "Clients do not follow, or not to another origin.",
    "Serve the document at the place itself.",
    None
);

entry!(
    METADATA_FAILING,
    "metadata_failing",
    Fault,
    "The server fails at its metadata",
    "The TypeScript SDKs and rmcp give up at a 5xx.",
    "Look into the log of the server and of the proxy.",
    None
);

entry!(
    METADATA_NOT_JSON,
    "metadata_not_json",
    Fault,
    "What stands in the place of the metadata is no JSON object",
    "It may be an error page, or the page of a web application that answers every \
         path.",
    "Serve the JSON document there.",
    None
);

entry!(
    METADATA_CONTENT_TYPE,
    "metadata_content_type",
    Warning,
    "The metadata are not `application/json`",
    "RFC 9728 section 3.2 requires it; stricter clients refuse other types.",
    "Send `Content-Type: application/json`.",
    None
);

entry!(
    METADATA_VERSION_GATE,
    "metadata_version_gate",
    Fault,
    "The metadata are refused with `MCP-Protocol-Version`",
    "Clients send that header with the request for metadata, in their own revision.",
    "Check protocol versions at the endpoint alone.",
    None
);

entry!(
    METADATA_ONLY_AT_ROOT,
    "metadata_only_at_root",
    Warning,
    "The metadata are at the root of the origin only",
    "RFC 9728 section 3.1: the path of the resource stands behind \
         `/.well-known/oauth-protected-resource`. A document without that path is about \
         the whole origin.",
    "Serve the document at `{metadata}` too.",
    None
);

entry!(
    METADATA_DIFFER,
    "metadata_differ",
    Warning,
    "The documents of metadata differ from each other",
    "What a client learns depends on where it looks.",
    "Serve the same `resource` and `authorization_servers` at all places.",
    None
);

entry!(
    METADATA_NULL,
    "metadata_null",
    Fault,
    "A member of the metadata is `null`",
    "The TypeScript SDKs refuse the document silently, and take this server for the \
         authorization server.",
    "Leave out members without a value.",
    None
);

entry!(
    METADATA_EMPTY,
    "metadata_empty",
    Note,
    "A member of the metadata is an empty list",
    "RFC 9728 section 3.2: members without values are left out. Clients accept it.",
    "Leave it out.",
    None
);

entry!(
    BEARER_METHODS,
    "bearer_methods",
    Warning,
    "`bearer_methods_supported` does not have `header`",
    "MCP allows the header alone.",
    "Write `[\"header\"]`, or leave it out.",
    None
);

entry!(
    OFFLINE_ACCESS,
    "offline_access",
    Note,
    "`offline_access` is among the scopes of the resource",
    "Since 2026-07-28 a resource SHOULD NOT ask for it; whether there are refresh \
         tokens is between client and authorization server.",
    "Leave it out of the challenge and of `scopes_supported`.",
    None
);

entry!(
    RESOURCE_MISSING,
    "resource_missing",
    Fault,
    "The metadata do not say which resource they are of",
    "RFC 9728 section 2 requires it: every client refuses the document.",
    "Add `\"resource\": \"{url}\"`.",
    None
);

entry!(
    RESOURCE_TRAILING_SLASH,
    "resource_trailing_slash",
    Fault,
    "`resource` differs from the URL by a slash at the end",
    "The TypeScript SDKs refuse `/mcp/` for `/mcp`; rmcp and the Go SDK refuse \
         either.",
    "Write `\"resource\": \"{url}\"`, and give clients exactly that URL. Or, where \
         `resource` is right, give clients that one.",
    Some("`OAuthLayer::new(\"{url}\", …)`")
);

entry!(
    RESOURCE_SCHEME,
    "resource_scheme",
    Fault,
    "`resource` differs from the URL in its scheme",
    "Every client refuses it. The server takes it from the request that a proxy \
         passes on.",
    "If `resource` is right, give clients that URL. Else configure the public URL: \
         `\"resource\": \"{url}\"`.",
    Some("`OAuthLayer::new(\"{url}\", …)`")
);

entry!(
    RESOURCE_PORT,
    "resource_port",
    Fault,
    "`resource` differs from the URL in its port",
    "Every client refuses it. The server names its own port, or the default one in \
         full (`:443`).",
    "If `resource` is right, give clients that URL. Else configure the public URL: \
         `\"resource\": \"{url}\"`.",
    Some("`OAuthLayer::new(\"{url}\", …)`")
);

entry!(
    RESOURCE_HOST,
    "resource_host",
    Fault,
    "`resource` differs from the URL in its host",
    "Every client refuses it. The server names itself by an internal name, by \
         `localhost` instead of `127.0.0.1`, or in upper case.",
    "If `resource` is right, give clients that URL. Else configure the public URL: \
         `\"resource\": \"{url}\"`.",
    Some("`OAuthLayer::new(\"{url}\", …)`")
);

entry!(
    RESOURCE_PATH,
    "resource_path",
    Fault,
    "`resource` differs from the URL in its path",
    "Every client refuses it. A proxy takes a prefix away, or this is the document of \
         another endpoint.",
    "If `resource` is right, give clients that URL. Else configure the path that \
         clients see: `\"resource\": \"{url}\"`.",
    Some("`OAuthLayer::new(\"{url}\", …)`, and `stripped_prefix`")
);

entry!(
    RESOURCE_WIDER,
    "resource_wider",
    Warning,
    "`resource` covers more than this endpoint",
    "The Go and C# SDKs refuse it, and a token for it serves every endpoint below.",
    "Write `\"resource\": \"{url}\"`.",
    Some("`OAuthLayer::new(\"{url}\", …)`")
);

entry!(
    AUTHORIZATION_SERVERS_MISSING,
    "authorization_servers_missing",
    Fault,
    "The metadata name no authorization server",
    "MCP requires one: clients have nowhere to sign in, or take this server for it.",
    "Add `\"authorization_servers\": [\"https://…\"]` with the issuer, as its own \
         metadata write it.",
    None
);

entry!(
    CONFIGURATION_DIFFERS,
    "configuration_differs",
    Fault,
    "The server says something else than the configuration file",
    "Another configuration is deployed, another file was read, or a proxy leads \
         elsewhere.",
    "Deploy the file, or give the doctor the one that is deployed.",
    None
);
