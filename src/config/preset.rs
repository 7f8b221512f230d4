//! Identity providers by their names.

use serde::Deserialize;

use super::human::{Flag, List};
use crate::error::ConfigError;
use crate::oauth::presets::{
    WithoutAudience, auth0, authentik, clerk, cognito, descope, entra, google, hydra,
    keycloak, logto, okta, ping_one, stytch, supabase, workos, zitadel,
};
use crate::oauth::{AuthorizationServer, Introspection};

/// One of [`presets`], and what it asks for.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Preset {
    Auth0 {
        domain: String,
    },
    Authentik {
        base_url: String,
        slug: String,
        client_id: String,
        #[serde(default)]
        insecure_http_on_loopback: Flag,
    },
    Clerk {
        domain: String,
    },
    Cognito {
        region: String,
        pool_id: String,
    },
    Descope {
        project: String,
        mcp_server: String,
    },
    /// Tokens of version 1.0.
    EntraV1 {
        tenant: String,
        app_id_uri: String,
    },
    EntraV2 {
        tenant: String,
        client_id: String,
    },
    EntraTenants {
        tenants: List<String>,
        client_id: String,
    },
    Google {
        client_ids: List<String>,
    },
    Hydra {
        issuer: String,
        admin_url: Option<String>,
        #[serde(default)]
        insecure_http_on_loopback: Flag,
    },
    Keycloak {
        base_url: String,
        realm: String,
        back_channel_url: Option<String>,
        #[serde(default)]
        insecure_http_on_loopback: Flag,
    },
    Logto {
        domain: String,
    },
    Okta {
        domain: String,
        authorization_server: String,
    },
    PingOne {
        domain: String,
        environment: String,
    },
    Stytch {
        domain: String,
        project_id: String,
    },
    Supabase {
        project: String,
    },
    Workos {
        domain: String,
    },
    Zitadel {
        domain: String,
        project_id: String,
    },
}

/// What a preset makes.
pub(super) enum Made {
    Server(AuthorizationServer),
    /// It must still be said whose tokens are accepted.
    WithoutAudience(WithoutAudience),
}

impl Preset {
    pub(super) fn server(&self) -> Result<Made, ConfigError> {
        let server = match self {
            Self::Clerk { domain } => return Ok(Made::WithoutAudience(clerk::server(domain)?)),
            Self::Cognito { region, pool_id } => {
                return Ok(Made::WithoutAudience(cognito::server(region, pool_id)?));
            }
            Self::Stytch { domain, project_id } => {
                return Ok(Made::WithoutAudience(stytch::server(domain, project_id)?));
            }
            Self::Supabase { project } => {
                return Ok(Made::WithoutAudience(supabase::server(project)?));
            }
            Self::Auth0 { domain } => auth0::server(domain),
            Self::Authentik {
                base_url,
                slug,
                client_id,
                insecure_http_on_loopback,
            } => match insecure_http_on_loopback.0 {
                true => authentik::insecure_http_on_loopback(base_url, slug, client_id),
                false => authentik::server(base_url, slug, client_id),
            },
            Self::Descope {
                project,
                mcp_server,
            } => descope::server(project, mcp_server),
            Self::EntraV1 { tenant, app_id_uri } => entra::v1(tenant, app_id_uri),
            Self::EntraV2 { tenant, client_id } => entra::v2(tenant, client_id),
            Self::EntraTenants { tenants, client_id } => entra::tenants(&tenants.0, client_id),
            Self::Google { client_ids } => google::server(client_ids.0.iter().cloned()),
            Self::Hydra {
                issuer,
                insecure_http_on_loopback,
                ..
            } => match insecure_http_on_loopback.0 {
                true => hydra::insecure_http_on_loopback(issuer),
                false => hydra::server(issuer),
            },
            Self::Keycloak {
                base_url,
                realm,
                back_channel_url,
                insecure_http_on_loopback,
            } => match (back_channel_url, insecure_http_on_loopback.0) {
                (Some(_), true) => Err(ConfigError::new(
                    "insecure_http_on_loopback",
                    "`back_channel_url` and `insecure_http_on_loopback` contradict each other: \
                     keep one",
                )),
                (Some(url), false) => keycloak::server_with_back_channel(base_url, url, realm),
                (None, true) => keycloak::insecure_http_on_loopback(base_url, realm),
                (None, false) => keycloak::server(base_url, realm),
            },
            Self::Logto { domain } => logto::server(domain),
            Self::Okta {
                domain,
                authorization_server,
            } => okta::server(domain, authorization_server),
            Self::PingOne {
                domain,
                environment,
            } => ping_one::server(domain, environment),
            Self::Workos { domain } => workos::server(domain),
            Self::Zitadel { domain, project_id } => zitadel::server(domain, project_id),
        };
        server.map(Made::Server)
    }

    /// The provider's own endpoint; `None` where the preset knows of none.
    pub(super) fn introspection(&self) -> Option<Result<Introspection, ConfigError>> {
        Some(match self {
            Self::Authentik { base_url, .. } => authentik::introspection(base_url),
            Self::Clerk { domain } => clerk::introspection(domain),
            Self::Hydra { admin_url, .. } => hydra::introspection(admin_url.as_deref()?),
            Self::Keycloak {
                base_url,
                realm,
                back_channel_url,
                ..
            } => {
                let base_url = back_channel_url.as_ref().unwrap_or(base_url);
                keycloak::introspection(base_url, realm)
            }
            Self::Logto { domain } => logto::introspection(domain),
            Self::Okta {
                domain,
                authorization_server,
            } => okta::introspection(domain, authorization_server),
            Self::PingOne {
                domain,
                environment,
            } => ping_one::introspection(domain, environment),
            Self::Workos { domain } => workos::introspection(domain),
            Self::Zitadel { domain, .. } => zitadel::introspection(domain),
            _ => return None,
        })
    }
}
