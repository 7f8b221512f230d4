//! Chapters: how to begin, how to run a server, and why a client does not get in.
//!
//! The same pages are in `docs/` of the repository. Their code is compiled and run with the tests.
//!
//! # Getting started
//!
//! | chapter | what it has |
//! |---|---|
//! | [Five-minute server](five_minute_server) | a protected MCP server, scopes for its tools, a test |
//! | [Concepts](concepts) | the words, and what happens to a request |
//! | [Choosing a provider](choosing_a_provider) | OAuth, JWT, API keys, several of them, one of your own |
//! | [Identity providers](identity_providers) | a page each: Auth0, Entra ID, Keycloak, Okta and 18 others |
//! | [Layers and routers](layers_and_routers) | in which order, and what `route`, `nest` and `merge` protect |
//! | [MCP](mcp) | scopes of tools, sessions, streams, lists |
//!
//! # Troubleshooting
//!
//! | chapter | what it has |
//! |---|---|
//! | [Why does my client not get in?](why_does_my_client_not_get_in) | symptoms, causes and fixes, by client |
//! | [The doctor](doctor) | a program that looks at a live server, and says which line to change |
//! | [Reason codes](reason_codes) | every refusal: meaning, what the client did, what to do |
//! | [What clients do](what_clients_do) | Inspector, SDKs, `mcp-remote`, agents, as tried |
//!
//! # Advanced topics
//!
//! | chapter | what it has |
//! |---|---|
//! | [Several resources and tenants](several_resources) | several MCP servers behind one layer |
//! | [Mixed authentication](mixed_authentication) | a server that is open in part |
//! | [Tokens of other makers](tokens_of_other_makers) | claims, types and issuers that differ |
//! | [Tokens bound to their client](bound_tokens) | DPoP and client certificates |
//! | [Calling other services](calling_other_services) | as the caller, without passing its token on |
//!
//! # Operations
//!
//! | chapter | what it has |
//! |---|---|
//! | [Configuration](configuration) | all of it from TOML, JSON or the environment |
//! | [Deployment](deployment) | is it ready for production, Kubernetes, probes, replicas |
//! | [Behind a proxy](behind_a_proxy) | nginx, haproxy, Caddy, Envoy, a path prefix |
//! | [Quotas](quotas) | calls a minute for each user, tenant and tool |
//! | [More than one machine](more_than_one_machine) | Redis or Valkey, and what happens without |
//! | [Observability](observability) | events, metrics, audit logs, a dashboard |
//! | [Rotating keys](rotating_keys) | keys and secrets of all kinds, without downtime |
//! | [Limits](limits) | every bound, its default and its setter |
//! | [Performance](performance) | what a request costs |
//!
//! # Testing and security
//!
//! | chapter | what it has |
//! |---|---|
//! | [Testing](testing) | your server: handlers, a development issuer, hostile requests |
//! | [Threat model](threat_model) | what is promised, and what is not |
//! | [Migration](migration) | from middleware of your own, `jwt-authorizer`, options of MCP frameworks |

/// Modules of pages, and of pages below a page. The links of a page to others are found before those
/// that the page defines for readers of the repository.
macro_rules! chapters {
    ($($name:ident: $page:literal $({ $($below:tt)+ })?;)+) => {$(
        #[doc = include_str!("links.md")]
        #[doc = include_str!($page)]
        pub mod $name {
            $(chapters! { $($below)+ })?
        }
    )+};
}

chapters! {
    behind_a_proxy: "../../docs/behind-a-proxy.md";
    bound_tokens: "../../docs/bound-tokens.md";
    calling_other_services: "../../docs/calling-other-services.md";
    choosing_a_provider: "../../docs/choosing-a-provider.md";
    concepts: "../../docs/concepts.md";
    deployment: "../../docs/deployment.md";
    doctor: "../../docs/doctor.md";
    five_minute_server: "../../docs/five-minute-server.md";
    identity_providers: "../../docs/identity-providers.md" {
        auth0: "../../docs/identity-providers/auth0.md";
        authentik: "../../docs/identity-providers/authentik.md";
        clerk: "../../docs/identity-providers/clerk.md";
        cloudflare_access: "../../docs/identity-providers/cloudflare-access.md";
        cognito: "../../docs/identity-providers/cognito.md";
        descope: "../../docs/identity-providers/descope.md";
        entra: "../../docs/identity-providers/entra.md";
        firebase: "../../docs/identity-providers/firebase.md";
        github_actions: "../../docs/identity-providers/github-actions.md";
        gitlab_ci: "../../docs/identity-providers/gitlab-ci.md";
        google: "../../docs/identity-providers/google.md";
        hydra: "../../docs/identity-providers/hydra.md";
        keycloak: "../../docs/identity-providers/keycloak.md";
        kubernetes: "../../docs/identity-providers/kubernetes.md";
        logto: "../../docs/identity-providers/logto.md";
        okta: "../../docs/identity-providers/okta.md";
        ping_one: "../../docs/identity-providers/ping-one.md";
        spiffe: "../../docs/identity-providers/spiffe.md";
        stytch: "../../docs/identity-providers/stytch.md";
        supabase: "../../docs/identity-providers/supabase.md";
        workos: "../../docs/identity-providers/workos.md";
        zitadel: "../../docs/identity-providers/zitadel.md";
    };
    layers_and_routers: "../../docs/layers-and-routers.md";
    limits: "../../docs/limits.md";
    mcp: "../../docs/mcp.md";
    migration: "../../docs/migration.md";
    mixed_authentication: "../../docs/mixed-authentication.md";
    more_than_one_machine: "../../docs/more-than-one-machine.md";
    performance: "../../docs/performance.md";
    quotas: "../../docs/quotas.md";
    reason_codes: "../../docs/reason-codes.md";
    rotating_keys: "../../docs/rotating-keys.md";
    several_resources: "../../docs/several-resources.md";
    testing: "../../docs/testing.md";
    threat_model: "../../docs/threat-model.md";
    tokens_of_other_makers: "../../docs/tokens-of-other-makers.md";
    what_clients_do: "../../docs/what-clients-do.md";
    why_does_my_client_not_get_in: "../../docs/why-does-my-client-not-get-in.md";
}

// The picture of the dashboard is in its link: in the documentation no file is beside the page.
#[doc = include_str!("links.md")]
#[doc = include_str!("dashboard.md")]
#[doc = include_str!("../../docs/observability.md")]
pub mod observability {}

#[doc = include_str!("links.md")]
#[doc = include_str!("../../docs/configuration.md")]
///
/// # All settings
///
/// ```toml
#[doc = include_str!("../../docs/config.toml")]
/// ```
pub mod configuration {}
