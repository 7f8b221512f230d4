//! What a layer that is not built yet will expect of tokens, for the doctor to compare with.

use super::configured::Configured;
use super::{OAuthLayerBuilder, ProtectedResource};
use crate::resources::Tenant;
use crate::token::Clients;

/// What a configuration expects of the server at one URL.
#[derive(Clone, Debug, Default)]
pub(crate) struct Expected {
    /// All of them, whatever the URL.
    pub(crate) resources: Vec<String>,
    /// Those with tokens that are accepted at the URL.
    pub(crate) servers: Vec<ExpectedServer>,
    /// What the metadata name as authorization servers.
    pub(crate) advertised: Vec<String>,
    pub(crate) audiences: Vec<String>,
    /// What every token needs.
    pub(crate) scopes: Vec<String>,
}

/// An authorization server.
#[derive(Clone, Debug)]
pub(crate) struct ExpectedServer {
    /// The issuer in its metadata.
    pub(crate) issuer: String,
    /// The `iss` of its tokens.
    pub(crate) token_issuer: String,
    /// The clients with tokens that need no audience.
    pub(crate) clients: Clients,
}

impl OAuthLayerBuilder {
    /// What it expects of tokens at this URL.
    pub(crate) fn expected(&self, url: &str) -> Expected {
        let mut expected = Expected::default();
        for server in self.servers() {
            expected.servers.push(ExpectedServer {
                issuer: server.issuer().to_owned(),
                token_issuer: server.origin.issuer.as_ref().to_owned(),
                clients: server.quirks.clients.clone(),
            });
            expected.advertised.push(server.advertised().to_owned());
            let own = server.own_audiences().map(str::to_owned);
            expected.audiences.extend(own);
        }
        let required = self.required().to_vec();
        for resource in self.resources() {
            for tenant in tenants(resource) {
                let name = tenant.map_or("", |(name, _)| name);
                let own = resource.url_of(name);
                if own == url {
                    let configured = Configured {
                        of: resource,
                        tenant,
                    };
                    if let Some(trusted) = configured.issuers() {
                        let is_trusted = |server: &ExpectedServer| {
                            trusted.iter().any(|issuer| **issuer == *server.issuer)
                        };
                        expected.servers.retain(is_trusted);
                    }
                    let audiences = resource.audiences_of(name);
                    expected
                        .audiences
                        .extend(audiences.into_iter().map(String::from));
                    expected.scopes = match configured.required_scopes() {
                        Some(scopes) => scopes.iter().map(str::to_owned).collect(),
                        None => required.clone(),
                    };
                }
                expected.resources.push(own);
            }
        }
        expected
    }
}

/// Its tenants; none, where it is no template.
fn tenants(resource: &ProtectedResource) -> Vec<Option<(&str, &Tenant)>> {
    let Some(tenants) = resource.tenants() else {
        return vec![None];
    };
    let all = tenants.all();
    all.map_or_else(Vec::new, |all| all.map(Some).collect())
}
