//! The line of code or configuration to change, for servers made with other software.

use super::code::Code;
use super::codes;
use super::report::Maker;

/// The line for servers that seem to be made with this.
pub(super) fn of(maker: Maker, code: Code) -> Option<&'static str> {
    let table = match maker {
        Maker::Express => EXPRESS,
        Maker::Uvicorn => UVICORN,
        Maker::TowerMcpAuth | Maker::Other => return None,
    };
    let line = table.iter().find(|(codes, _)| codes.contains(&code));
    line.map(|(_, line)| *line)
}

/// What the URL of the resource decides.
const RESOURCE: &[Code] = &[
    codes::RESOURCE_MISSING,
    codes::RESOURCE_TRAILING_SLASH,
    codes::RESOURCE_SCHEME,
    codes::RESOURCE_PORT,
    codes::RESOURCE_HOST,
    codes::RESOURCE_PATH,
    codes::RESOURCE_WIDER,
];

/// The TypeScript SDK.
const EXPRESS: &[(&[Code], &str)] = &[
    (
        RESOURCE,
        "`mcpAuthMetadataRouter({ …, resourceServerUrl: new URL(\"{url}\") })`.",
    ),
    (
        &[codes::METADATA_MISSING, codes::METADATA_ONLY_AT_ROOT],
        "`app.use(mcpAuthMetadataRouter({ oauthMetadata, resourceServerUrl: new URL(\"{url}\") \
         }))`, at the root of the application.",
    ),
    (
        &[
            codes::METADATA_NOT_IN_CHALLENGE,
            codes::METADATA_URL_INVALID,
            codes::METADATA_URL_INSECURE,
            codes::METADATA_URL_ELSEWHERE,
            codes::METADATA_POINTER_BROKEN,
        ],
        "`requireBearerAuth({ verifier, resourceMetadataUrl: \
         getOAuthProtectedResourceMetadataUrl(new URL(\"{url}\")) })`.",
    ),
    (
        &[
            codes::NO_AUTHORIZATION,
            codes::ANONYMOUS_ACCEPTED,
            codes::METHOD_UNGUARDED,
            codes::CHALLENGE_MISSING,
            codes::WRONG_STATUS_WITHOUT_TOKEN,
            codes::REFUSAL_WITH_200,
        ],
        "`app.use(\"/mcp\", requireBearerAuth({ … }))` before any route of that path.",
    ),
    (
        &[codes::INVALID_TOKEN_WRONG_STATUS],
        "`verifyAccessToken` throws `InvalidTokenError`; any other error is a 500.",
    ),
    (
        &[
            codes::CORS_ABSENT,
            codes::CORS_PREFLIGHT_REFUSED,
            codes::CORS_REFUSAL_HIDDEN,
            codes::CORS_CHALLENGE_NOT_EXPOSED,
        ],
        "`app.use(cors({ origin, exposedHeaders: [\"WWW-Authenticate\", \"Mcp-Session-Id\"] }))` \
         before `requireBearerAuth`.",
    ),
    (
        &[codes::ISSUER_MISMATCH],
        "`oauthMetadata.issuer` is written as the authorization server writes it.",
    ),
    (
        &[codes::TOKEN_AUDIENCE, codes::FOREIGN_AUDIENCE_ACCEPTED],
        "`verifyAccessToken` compares `aud`, or `requireBearerAuth({ …, expectedResource })`.",
    ),
];

/// The Python SDK and FastMCP.
const UVICORN: &[(&[Code], &str)] = &[
    (
        RESOURCE,
        "Python SDK `AuthSettings(resource_server_url=\"{url}\", …)`; FastMCP `base_url` is the \
         public origin, and `path` of `run` or `http_app` the rest.",
    ),
    (
        &[
            codes::METADATA_MISSING,
            codes::METADATA_ONLY_AT_ROOT,
            codes::METADATA_NOT_IN_CHALLENGE,
        ],
        "Python SDK `AuthSettings(resource_server_url=\"{url}\", …)`; FastMCP \
         `RemoteAuthProvider(…, base_url=…)`; mounted in another application, mount its routes \
         of `/.well-known` at the root.",
    ),
    (
        &[codes::AUTHORIZATION_SERVERS_MISSING, codes::ISSUER_MISMATCH],
        "Python SDK `AuthSettings(issuer_url=…)`; FastMCP \
         `RemoteAuthProvider(authorization_servers=[…])`: as the authorization server writes it.",
    ),
    (
        &[
            codes::NO_AUTHORIZATION,
            codes::ANONYMOUS_ACCEPTED,
            codes::METHOD_UNGUARDED,
        ],
        "Python SDK `MCPServer(…, auth=AuthSettings(…), token_verifier=…)`; FastMCP \
         `FastMCP(…, auth=…)`.",
    ),
    (
        &[codes::TOKEN_AUDIENCE, codes::FOREIGN_AUDIENCE_ACCEPTED],
        "Python SDK `AuthSettings(validate_token_resource=True)`; FastMCP \
         `JWTVerifier(audience=\"{url}\")`.",
    ),
    (
        &[codes::TOKEN_ISSUER],
        "FastMCP `JWTVerifier(issuer=…)`, byte by byte.",
    ),
    (
        &[
            codes::CORS_ABSENT,
            codes::CORS_PREFLIGHT_REFUSED,
            codes::CORS_REFUSAL_HIDDEN,
            codes::CORS_CHALLENGE_NOT_EXPOSED,
        ],
        "`CORSMiddleware(app, allow_origins=…, allow_headers=[\"*\"], \
         expose_headers=[\"WWW-Authenticate\", \"Mcp-Session-Id\"])` around the whole application.",
    ),
];
