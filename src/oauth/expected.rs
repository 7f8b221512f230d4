//! What a layer that is not built yet will expect of tokens, for the doctor to compare with.

use super::{OAuthLayerBuilder, ProtectedResource};

/// What a configuration expects of the server at one URL.
#[derive(Clone, Debug, Default)]
pub(crate) struct Expected {
    /// All of them, whatever the URL.
    pub(crate) resources: Vec<String>,
    /// The `iss` of tokens.
    pub(crate) issuers: Vec<String>,
    /// What the metadata name as authorization servers.
    pub(crate) advertised: Vec<String>,
    pub(crate) audiences: Vec<String>,
    /// What every token needs.
    pub(crate) scopes: Vec<String>,
}

impl OAuthLayerBuilder {
    /// What it expects of tokens at this URL.
    pub(crate) fn expected(&self, url: &str) -> Expected {
        let mut expected = Expected::default();
        for server in self.servers() {
            expected.issuers.push(server.issuer().to_owned());
            expected.advertised.push(server.advertised().to_owned());
            let own = server.own_audiences().map(str::to_owned);
            expected.audiences.extend(own);
        }
        let required = self.required().to_vec();
        for resource in self.resources() {
            for tenant in tenants(resource) {
                let own = resource.url_of(&tenant);
                if own == url {
                    let audiences = resource.audiences_of(&tenant);
                    expected
                        .audiences
                        .extend(audiences.into_iter().map(String::from));
                    expected.scopes = match resource.own_scopes() {
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

/// Their names; one that is not used, where the resource is no template.
fn tenants(resource: &ProtectedResource) -> Vec<String> {
    let Some(tenants) = resource.tenants() else {
        return vec![String::new()];
    };
    let all = tenants.all();
    all.map_or_else(Vec::new, |all| {
        all.map(|(name, _)| name.to_owned()).collect()
    })
}
