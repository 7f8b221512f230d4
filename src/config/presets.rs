//! The presets of authorization servers by name.

use serde::Deserialize;

use super::ids::Ids;
use super::server::Server;
use super::units::Texts;
use crate::error::ConfigError;
use crate::oauth::presets::{
    NeedsAudience, auth0, authentik, clerk, cloudflare_access, cognito, descope, entra, firebase,
    github_actions, gitlab_ci, google, hydra, keycloak, kubernetes, logto, okta, ping_one, spiffe,
    stytch, supabase, workos, zitadel,
};
use crate::oauth::{AuthorizationServer, Introspection};

/// A well-known provider: its name, with what it needs.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Preset {
    #[serde(rename = "auth0")]
    Auth0 {
        domain: String,
    },
    Authentik {
        base_url: String,
        slug: String,
        client_id: String,
    },
    Clerk {
        domain: String,
    },
    CloudflareAccess {
        team_domain: String,
        /// The AUD tag of the application.
        audience_tag: String,
    },
    Cognito {
        region: String,
        pool_id: String,
    },
    Descope {
        project: String,
        mcp_server: String,
    },
    #[serde(rename = "entra_v1")]
    EntraV1 {
        tenant: String,
        app_id_uri: String,
    },
    #[serde(rename = "entra_v2")]
    EntraV2 {
        tenant: String,
        client_id: String,
    },
    EntraTenants {
        tenants: Texts,
        client_id: String,
    },
    Firebase {
        project_id: String,
    },
    /// Give one of the two lists: it names the owners of the accepted workflows.
    GithubActions {
        owner_ids: Option<Ids>,
        repository_ids: Option<Ids>,
    },
    /// Give one of the two lists: it names the owners of the accepted jobs.
    GitlabCi {
        base_url: String,
        namespace_ids: Option<Ids>,
        project_ids: Option<Ids>,
    },
    Google {
        client_ids: Texts,
    },
    Hydra {
        issuer: String,
        /// Where introspection is.
        admin_url: Option<String>,
    },
    Keycloak {
        base_url: String,
        realm: String,
        /// How the server is reached from here, if otherwise.
        back_channel_url: Option<String>,
    },
    Kubernetes {
        issuer: String,
        /// Each `namespace/name`, or `namespace/*`.
        service_accounts: Texts,
        /// Whether keys come from the API server of this server's cluster.
        #[serde(default)]
        in_cluster: bool,
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
    Spiffe {
        trust_domain: String,
        bundle_url: String,
        /// The `iss` of its tokens, if they have one.
        issuer: Option<String>,
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

impl Preset {
    pub(super) fn server(
        &self,
        section: &Server,
        path: &str,
    ) -> Result<AuthorizationServer, ConfigError> {
        if let Self::Hydra { admin_url, .. } = self {
            let asks = section.introspection.as_ref();
            if admin_url.is_some() && asks.is_none_or(|asks| asks.endpoint.is_some()) {
                let why = "it says where `introspection` is, which is not there, or has an \
                           `endpoint` of its own";
                return Err(ConfigError::new("admin_url", why).at(path));
            }
        }
        let made = self.made(section).map_err(|error| error.at(path))?;
        let server = match made {
            Made::Whole(server) if section.audience_is_the_resource => {
                let issuer = server.issuer();
                let why = format!("tokens of {issuer:?} are for the resource by default");
                return Err(ConfigError::new("audience_is_the_resource", why).at(path));
            }
            Made::Whole(server) => server,
            Made::NeedsAudience(server) => {
                let more = section.client_ids.is_some()
                    || !section.audience.0.is_empty()
                    || section.dangerously_accept_every_client_of_this_issuer;
                if !more && !section.audience_is_the_resource {
                    let why = "tokens of this provider name no audience: list the accepted \
                               clients in `client_ids`, or set `audience` or \
                               `audience_is_the_resource` where tokens name one";
                    return Err(ConfigError::new("client_ids", why).at(path));
                }
                if section.audience_is_the_resource && more {
                    let why = "then the tokens name the resource: leave `audience`, `client_ids` \
                               and `dangerously_accept_every_client_of_this_issuer` out";
                    return Err(ConfigError::new("audience_is_the_resource", why).at(path));
                }
                // The settings that follow say which it is.
                server.audience_is_the_resource()
            }
        };
        if section.dangerously_plain_http {
            let why = "it is for an `issuer`, not for a preset";
            return Err(ConfigError::new("dangerously_plain_http", why).at(path));
        }
        Ok(server)
    }

    fn made(&self, section: &Server) -> Result<Made, ConfigError> {
        let loopback = section.insecure_http_on_loopback;
        let server = match self {
            Self::Authentik {
                base_url,
                slug,
                client_id,
            } if loopback => authentik::insecure_http_on_loopback(base_url, slug, client_id),
            Self::Hydra { issuer, .. } if loopback => hydra::insecure_http_on_loopback(issuer),
            Self::Keycloak {
                base_url,
                realm,
                back_channel_url: None,
            } if loopback => keycloak::insecure_http_on_loopback(base_url, realm),
            _ if loopback => Err(ConfigError::new(
                "insecure_http_on_loopback",
                "this preset does not run on loopback: use `issuer`",
            )),
            Self::Auth0 { domain } => auth0::server(domain),
            Self::Authentik {
                base_url,
                slug,
                client_id,
            } => authentik::server(base_url, slug, client_id),
            Self::Clerk { domain } => return clerk::server(domain).map(Made::NeedsAudience),
            Self::Cognito { region, pool_id } => {
                return cognito::server(region, pool_id).map(Made::NeedsAudience);
            }
            Self::Descope {
                project,
                mcp_server,
            } => descope::server(project, mcp_server),
            Self::EntraV1 { tenant, app_id_uri } => entra::v1(tenant, app_id_uri),
            Self::EntraV2 { tenant, client_id } => entra::v2(tenant, client_id),
            Self::EntraTenants { tenants, client_id } => entra::tenants(&tenants.0, client_id),
            Self::CloudflareAccess {
                team_domain,
                audience_tag,
            } => cloudflare_access::server(team_domain, audience_tag),
            Self::Firebase { project_id } => firebase::server(project_id),
            Self::GithubActions {
                owner_ids,
                repository_ids,
            } => match one_of(["owner_ids", "repository_ids"], owner_ids, repository_ids)? {
                (true, ids) => github_actions::owners(ids),
                (false, ids) => github_actions::repositories(ids),
            },
            Self::GitlabCi {
                base_url,
                namespace_ids,
                project_ids,
            } => match one_of(["namespace_ids", "project_ids"], namespace_ids, project_ids)? {
                (true, ids) => gitlab_ci::namespaces(base_url, ids),
                (false, ids) => gitlab_ci::projects(base_url, ids),
            },
            Self::Google { client_ids } => google::server(client_ids.0.iter().map(String::as_str)),
            Self::Hydra { issuer, .. } => hydra::server(issuer),
            Self::Keycloak {
                base_url,
                realm,
                back_channel_url,
            } => match back_channel_url {
                Some(inside) => keycloak::server_with_back_channel(base_url, inside, realm),
                None => keycloak::server(base_url, realm),
            },
            Self::Kubernetes {
                issuer,
                service_accounts,
                in_cluster: true,
            } => kubernetes::in_cluster(issuer, &service_accounts.0),
            Self::Kubernetes {
                issuer,
                service_accounts,
                in_cluster: false,
            } => kubernetes::server(issuer, &service_accounts.0),
            Self::Logto { domain } => logto::server(domain),
            Self::Okta {
                domain,
                authorization_server,
            } => okta::server(domain, authorization_server),
            Self::PingOne {
                domain,
                environment,
            } => ping_one::server(domain, environment),
            Self::Spiffe {
                trust_domain,
                bundle_url,
                issuer,
            } => match issuer {
                Some(issuer) => spiffe::trust_domain_with_issuer(trust_domain, bundle_url, issuer),
                None => spiffe::trust_domain(trust_domain, bundle_url),
            },
            Self::Stytch { domain, project_id } => {
                return stytch::server(domain, project_id).map(Made::NeedsAudience);
            }
            Self::Supabase { project } => {
                return supabase::server(project).map(Made::NeedsAudience);
            }
            Self::Workos { domain } => workos::server(domain),
            Self::Zitadel { domain, project_id } => zitadel::server(domain, project_id),
        };
        server.map(Made::Whole)
    }

    /// The endpoint of the provider, where it has one that is known.
    pub(super) fn introspection(&self) -> Option<Result<Introspection, ConfigError>> {
        Some(match self {
            Self::Authentik { base_url, .. } => authentik::introspection(base_url),
            Self::Clerk { domain } => clerk::introspection(domain),
            Self::Hydra { admin_url, .. } => hydra::introspection(admin_url.as_deref()?),
            Self::Keycloak {
                base_url,
                realm,
                back_channel_url,
            } => keycloak::introspection(back_channel_url.as_ref().unwrap_or(base_url), realm),
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

enum Made {
    Whole(AuthorizationServer),
    NeedsAudience(NeedsAudience),
}

/// Which of two lists is given, the first or the second, and what is in it.
fn one_of(
    names: [&'static str; 2],
    first: &Option<Ids>,
    second: &Option<Ids>,
) -> Result<(bool, Vec<u64>), ConfigError> {
    let [one, other] = names;
    match (first, second) {
        (Some(Ids(ids)), None) => Ok((true, ids.clone())),
        (None, Some(Ids(ids))) => Ok((false, ids.clone())),
        (None, None) => Err(ConfigError::new(
            one,
            format!("everybody has tokens of this issuer: give `{one}` or `{other}`"),
        )),
        (Some(_), Some(_)) => Err(ConfigError::new(
            one,
            format!("`{one}` and `{other}` contradict each other: keep one"),
        )),
    }
}
