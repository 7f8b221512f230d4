//! Hostile requests: every attack that this crate knows, sent to a service of yours by one call.
//!
//! A [`Hostile`] is told what the service protects and which credential it accepts. It forges what
//! is nearly good, sends each request, and judges the answers. The [`Report`] says which got
//! through; as the message of a failed test it is a table.
//!
//! ```
//! use http::{Request, Response, StatusCode};
//! use tower::{BoxError, Layer, ServiceBuilder};
//! use tower_mcp_auth::OAuthLayer;
//! use tower_mcp_auth::oauth::AuthorizationServer;
//! use tower_mcp_auth::testing::Issuer;
//! use tower_mcp_auth::testing::hostile::{Hostile, RequestBody};
//!
//! // Looks whether there is a token, and not at it.
//! async fn careless(request: Request<RequestBody>) -> Result<Response<RequestBody>, BoxError> {
//!     let mut response = Response::new(RequestBody::default());
//!     if !request.headers().contains_key("authorization") {
//!         *response.status_mut() = StatusCode::UNAUTHORIZED;
//!         response.headers_mut().insert("www-authenticate", "Bearer".parse()?);
//!     }
//!     Ok(response)
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), BoxError> {
//! # use tower_mcp_auth::jose::Algorithm;
//! # let issuer = Issuer::builder().algorithms([Algorithm::ES256]).start().await?;
//! # /*
//! let issuer = Issuer::start().await?;
//! # */
//! let resource = "https://mcp.example.com/mcp";
//! let hostile = Hostile::new(resource)?.issuer(&issuer);
//!
//! // A right middleware: nothing is found.
//! let server = AuthorizationServer::insecure_http_on_loopback(issuer.url())?;
//! let layer = OAuthLayer::new(resource, server)?;
//! hostile.attack(layer.layer(hostile.probe())).await.assert_held();
//!
//! // A wrong one: `assert_held` would panic with the table.
//! let report = hostile.attack(ServiceBuilder::new().service_fn(careless)).await;
//! assert!(!report.is_held());
//! assert!(report.holes().contains(&"algorithm_none"));
//! println!("{report}");
//! # Ok(())
//! # }
//! ```
//!
//! The table has a line for each request, and one for each attack:
//!
//! ```text
//! hostile requests to https://mcp.example.com/mcp: 584 sent, 576 held, 8 through, …
//!
//! attack          verdict      what was sent                                  what came back
//! algorithm_none  got through  POST /mcp with authorization (alg none, …)     200
//! …
//! algorithm_none: an unsigned token [RFC 8725 section 2.1; Authlib CVE-2026-28802, …]
//! ```
//!
//! # Credentials
//!
//! | the service accepts | setting | what is forged |
//! |---|---|---|
//! | access tokens of an [`Issuer`](super::Issuer) | [`issuer`](Hostile::issuer), or [`token`](Hostile::token) with scopes and claims | signatures, claims, kinds and spellings of tokens |
//! | tokens that are bound to a key | and [`dpop`](Hostile::dpop) | proofs as well |
//! | tokens of HS256 | [`jwt_secret`](Hostile::jwt_secret) | as for an issuer |
//! | API keys | [`api_key`](Hostile::api_key), [`api_key_in`](Hostile::api_key_in) | keys that are nearly good |
//! | some of these | all of their settings | each, and two credentials at once |
//!
//! Without any of them only those attacks are sent that need no credential.
//!
//! # Verdicts
//!
//! 1. **The good credential first, and again at the end.** It must be answered with 2xx, or nothing is
//!    proven: a service that refuses everything refuses every attack too.
//! 2. **A refusal is 401 with a challenge**, or 400 where the request itself is malformed; beside the
//!    guarded path 403, 404, 405, 421 and redirects are refusals too. OPTIONS may be answered by
//!    CORS. A gRPC status counts as the status of HTTP that means the same.
//! 3. **A hole** is anything that a handler answers ([`Verdict::GotThrough`]), a credential that
//!    comes back or is passed on ([`Verdict::Leaked`]), and a URL in a token that is fetched
//!    ([`Verdict::Fetched`]).
//! 4. **Everything else is no refusal either**: another status ([`Verdict::Irregular`]), and 429,
//!    503 or no answer ([`Verdict::Unproven`]). Limits on failed attempts are to be taken out, or
//!    set high: more than five hundred requests are sent.
//! 5. **A [`Probe`] in the place of the handler** marks what it answers. With it the report goes by
//!    what was reached, whatever the status became, and sees credentials that are passed on.
//!
//! What a service does on purpose is left out by name ([`without`](Hostile::without)).
//!
//! # Remote servers
//!
//! [`attack_url`](Hostile::attack_url) attacks a server on a loopback address, as its clients reach
//! it. Any other one only after [`i_run_this_server`](Hostile::i_run_this_server).
//!
//! # Incidents
//!
//! What others were hurt by, and the attacks that try it.
//!
//! | | incident | attacks |
//! |---|---|---|
//! | 1 | Hono CVE-2026-22817, CVE-2026-22818: a key without `alg` takes that of the header | `algorithm_confusion` |
//! | 2 | fast-jwt CVE-2023-48223, CVE-2026-34950; PyJWT CVE-2022-29217, CVE-2026-48526; Authlib CVE-2024-37568; python-jose CVE-2024-33663: a public key is taken for a secret | `algorithm_confusion` |
//! | 3 | PyJWT CVE-2026-48523: the algorithm of the key beats the list of the caller | `algorithm_mismatch`, `algorithm_confusion` |
//! | 4 | Authlib CVE-2026-28802, HarbourJwt CVE-2026-23993: `none` in some spelling | `algorithm_none`, `algorithm_unknown`, `signature_missing` |
//! | 5 | Authlib CVE-2026-27962: a key in the header is used | `embedded_key`, `key_by_url` |
//! | 6 | PyJWT CVE-2026-48522: keys are fetched from any URL | `key_by_url`, `key_id_injection` |
//! | 7 | PyJWT CVE-2026-32597, CVE-2026-48525; Authlib CVE-2025-59420; fast-jwt CVE-2026-35042: `crit` and `b64` are ignored | `critical_extension`, `unencoded_payload` |
//! | 8 | pac4j CVE-2026-29000: a JWE around an unsigned token | `encrypted_token` |
//! | 9 | fast-jwt CVE-2026-44351: an empty key | `empty_secret`, `empty_credential` |
//! | 10 | jsonwebtoken CVE-2026-25537: a time in a string is no time | `expiry_type`, `not_before_type` |
//! | 11 | fast-jwt CVE-2025-30144: a list of issuers | `issuer_type` |
//! | 12 | PyJWT CVE-2024-53861: a part of the issuer suffices | `issuer_near`, `audience_near` |
//! | 13 | Hono CVE-2025-62610, Argo CD CVE-2023-22482, agentgateway #2993: no audience, or another one | `audience_missing`, `audience_other`, `audience_type`, `issuer_missing` |
//! | 14 | FastMCP CVE-2025-69196: one audience for all servers of a host | `audience_other`, `audience_near` |
//! | 15 | Entra ID, Keycloak, Clerk: other tokens of the same issuer | `id_token`, `refresh_token`, `logout_token`, `other_type` |
//! | 16 | Spring, agentgateway: one space of key ids for all issuers | `other_key`, `issuer_near` |
//! | 17 | LiteLLM CVE-2026-35030: a cache that looks at the beginning of a token | `signature_changed`, `signature_of_other_token`, `api_key_changed` |
//! | 18 | Oathkeeper CVE-2026-33496: one cache for two introspection endpoints | no request: it takes two endpoints of the operator |
//! | 19 | fast-jwt CVE-2026-35039: a key of a cache by the user | no request: it is code of the operator |
//! | 20 | APISIX CVE-2025-46647: introspection of another issuer | no request: it is an answer of the authorization server |
//! | 21 | Answers of introspection that are read loosely | no request: it is an answer of the authorization server |
//! | 22 | lua-resty-openidc #468, fastapi-zitadel-auth #149, go-oidc #482: floods of unknown key ids | no request: it is a rate; `other_key` and `key_id_injection` send a few |
//! | 23 | jwks-rsa-java #173: a flood keeps good tokens out | no request: it is a rate; the good credential is tried again after all attacks |
//! | 24 | Envoy CVE-2025-64527, CVE-2024-45809: a header twice | `two_credentials` |
//! | 25 | jwt-go CVE-2025-30204, go-jose CVE-2025-27144, Authlib CVE-2025-61920, Nimbus CVE-2025-53864, CVE-2023-52428: size, dots, depth, rounds | `huge_token`, `deep_json`, `encrypted_token`, `wrong_parts` |
//! | 26 | Python SDK CVE-2026-52869: the id of a session suffices | `session_guessed`, `session_without_credential`, `session_of_other_principal` |
//! | 27 | TypeScript SDK CVE-2026-25536: state that clients share | `session_without_credential`, `session_of_other_principal` |
//! | 28 | Go SDK CVE-2026-27896, GHSA-q382: messages that two readers read in two ways | `forbidden_tool`, `ambiguous_call`, `call_in_disguise` |
//! | 29 | Go SDK CVE-2026-34742, CVE-2026-33252; rmcp CVE-2026-42559; Python SDK CVE-2025-66416, CVE-2026-59950: pages of other sites | `foreign_host`, `foreign_origin`, `call_in_disguise` |
//! | 30 | grpc-go CVE-2026-33186: a path without its slash | `path_spelling`, `grpc_content_type` |
//! | 31 | oauth2-proxy CVE-2025-54576, CVE-2026-41059, CVE-2026-40575, CVE-2026-34457; Oathkeeper CVE-2026-33494, CVE-2026-33495; Starlette CVE-2026-48710: a path that looks open | `public_path_disguise`, `path_spelling`, `forwarded_header`, `method_override`, `foreign_host` |
//! | 32 | Auth0 1.9.1: a proof for another URL | `proof_of_other_request` |
//! | 33 | Nginx UI CVE-2026-33032, Azure MCP CVE-2026-32211: a path beside the guarded one | `sibling_route`, `other_method`, `options_request`, `no_credential` |
//! | 34 | oauth2-proxy CVE-2026-40574, nOAuth, Grafana CVE-2023-3128: an email for an identity | no request: the token is good, and who it is the handler decides |
//! | 35 | TypeScript SDK, Spring, FastMCP, agentgateway: text of a token in a challenge | `echoed_text`, `garbage_credential` |
//! | 36 | Java CVE-2022-21449: zeros for r and s | `signature_zero`, `signature_der` |
//! | 37 | Spring CVE-2024-38827: letters that fold into others | `audience_near`, `issuer_near`, `scope_missing`, `api_key_case` |

mod algorithms;
mod anonymous;
mod api_keys;
mod attack;
mod bound;
mod claims;
mod excess;
mod forge;
mod judge;
mod kinds;
mod kit;
mod placement;
mod policy;
mod probe;
mod public_key;
mod report;
mod routes;
mod run;
mod sessions;
mod settings;
mod shot;
mod signatures;
mod syntax;
mod trap;
mod wire;

pub use self::attack::{Attack, Class, attacks};
pub use self::judge::Verdict;
pub use self::probe::Probe;
pub use self::report::{Finding, Report};
pub use self::settings::Hostile;
pub use self::shot::RequestBody;
