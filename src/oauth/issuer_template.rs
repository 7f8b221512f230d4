//! One issuer for each tenant of an allow-list.

use super::{AuthorizationServer, OAuthLayerBuilder};
use crate::error::ConfigError;

/// The most tenants of one template.
const MAX_TENANTS: usize = 1000;

fn is_tenant(tenant: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=64).contains(&tenant.len())
        && tenant.bytes().all(allowed)
        && !tenant.bytes().all(|byte| byte == b'.')
}

impl OAuthLayerBuilder {
    /// Trusts one issuer for each tenant of an allow-list: `template`, with `{tenant}`
    /// replaced. `server` refines each of them; `Ok` leaves the defaults.
    ///
    /// ```
    /// use tower_mcp_auth::OAuthLayer;
    ///
    /// let oauth = OAuthLayer::builder("https://mcp.example.com/mcp")?
    ///     .issuer_template("https://login.example/{tenant}/v2.0", ["contoso", "fabrikam"], Ok)?
    ///     .build()?;
    /// # let _ = oauth;
    /// # Ok::<(), tower_mcp_auth::ConfigError>(())
    /// ```
    ///
    /// # Errors
    /// The template does not hold `{tenant}` exactly once, there are more than 1,000 tenants,
    /// a tenant is not 1 to 64 of `A-Z a-z 0-9 . _ -` or is dots only, or a resulting issuer
    /// is refused.
    pub fn issuer_template<I>(
        mut self,
        template: &str,
        tenants: I,
        server: impl Fn(AuthorizationServer) -> Result<AuthorizationServer, ConfigError>,
    ) -> Result<Self, ConfigError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let refuse = |why: String| Err(ConfigError::new("issuer_template", why));
        if template.matches("{tenant}").count() != 1 {
            return refuse(format!(
                "{template:?} does not hold `{{tenant}}` exactly once"
            ));
        }
        for (index, tenant) in tenants.into_iter().enumerate() {
            let tenant = tenant.as_ref();
            if index >= MAX_TENANTS {
                return refuse(format!("there are more than {MAX_TENANTS} tenants"));
            }
            if !is_tenant(tenant) {
                return refuse(format!(
                    "{tenant:?} is no tenant: 1 to 64 of A-Z a-z 0-9 . _ - and not dots only"
                ));
            }
            let issuer = AuthorizationServer::new(template.replace("{tenant}", tenant))?;
            let mut server = server(issuer)?;
            server.origin.label = template.into();
            self = self.authorization_server(server)?;
        }
        Ok(self)
    }
}
