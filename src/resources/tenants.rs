//! `Tenants`: the values that a template of resources takes.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use super::checked_scopes;
use crate::error::ConfigError;
use crate::scope::Scopes;

/// The longest name of a tenant, in bytes: that of a DNS label.
const LONGEST: usize = 63;

/// The tenants of a [template](crate::oauth::ProtectedResource::from_template): one DNS label or path
/// segment each.
///
/// A name has 1 to 63 of `a-z`, `0-9` and `-`. What is no tenant is no resource: a request to it
/// is rejected before a credential is looked at.
///
/// ```
/// use std::collections::HashMap;
/// use tower_mcp_auth::{Tenant, Tenants};
///
/// let listed = Tenants::new(["acme", "globex"])?;
/// assert!(Tenants::new(["Acme"]).is_err());
///
/// // From a directory of your own, asked for each request.
/// let directory = HashMap::from([("acme".to_owned(), "https://login.acme.example")]);
/// let looked_up = Tenants::from_fn(move |name| {
///     let issuer = directory.get(name)?;
///     Some(Tenant::new().authorization_servers([*issuer]))
/// });
/// # let _ = (listed, looked_up);
/// # Ok::<(), tower_mcp_auth::ConfigError>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct Tenants(Source);

#[derive(Clone)]
enum Source {
    Listed(Arc<HashMap<Box<str>, Tenant>>),
    Lookup(Arc<Lookup>),
}

type Lookup = dyn Fn(&str) -> Option<Tenant> + Send + Sync;

impl Tenants {
    /// The tenants with these names.
    ///
    /// # Errors
    /// There is none; or a name is not one, or is there twice.
    pub fn new<I>(names: I) -> Result<Self, ConfigError>
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        Self::from_settings(names.into_iter().map(|name| (name, Tenant::new())))
    }

    /// The tenants with these names, each with settings of its own.
    ///
    /// # Errors
    /// Those of [`new`](Self::new).
    pub fn from_settings<I, N>(tenants: I) -> Result<Self, ConfigError>
    where
        I: IntoIterator<Item = (N, Tenant)>,
        N: Into<String>,
    {
        let refuse = |why: String| Err(ConfigError::new("tenants", why));
        let mut listed = HashMap::new();
        for (name, tenant) in tenants {
            let name: String = name.into();
            if !is_tenant(&name) {
                return refuse(format!(
                    "{name:?} names no tenant: use 1 to {LONGEST} of a-z, 0-9 and -"
                ));
            }
            if listed.contains_key(&*name) {
                return refuse(format!("{name:?} is listed twice"));
            }
            listed.insert(name.into_boxed_str(), tenant);
        }
        if listed.is_empty() {
            return refuse("there is none, so no request could be served".to_owned());
        }
        Ok(Self(Source::Listed(Arc::new(listed))))
    }

    /// The tenants that `lookup` knows.
    ///
    /// It is called for each request, within the request: it must not wait, and where it panics the
    /// request ends as with a panic of the handler. Only names that a tenant can have reach it.
    pub fn from_fn(lookup: impl Fn(&str) -> Option<Tenant> + Send + Sync + 'static) -> Self {
        Self(Source::Lookup(Arc::new(lookup)))
    }

    /// The tenant of this name.
    pub(crate) fn get(&self, name: &str) -> Option<Tenant> {
        if !is_tenant(name) {
            return None;
        }
        match &self.0 {
            Source::Listed(listed) => listed.get(name).cloned(),
            Source::Lookup(lookup) => lookup(name),
        }
    }

    /// Whether this name was listed.
    pub(crate) fn lists(&self, name: &str) -> bool {
        match &self.0 {
            Source::Listed(listed) => listed.contains_key(name),
            Source::Lookup(_) => false,
        }
    }

    /// Those that were listed. `None`: they are looked up.
    pub(crate) fn all(&self) -> Option<impl Iterator<Item = (&str, &Tenant)>> {
        match &self.0 {
            Source::Listed(listed) => Some(listed.iter().map(|(name, tenant)| (&**name, tenant))),
            Source::Lookup(_) => None,
        }
    }
}

impl fmt::Debug for Tenants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Source::Listed(listed) => f.debug_tuple("Tenants").field(&listed.len()).finish(),
            Source::Lookup(_) => f.write_str("Tenants(lookup)"),
        }
    }
}

pub(super) fn is_tenant(name: &str) -> bool {
    !name.is_empty() && can_be_part(name)
}

/// Whether the name of a tenant can have this in it.
pub(super) fn can_be_part(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    text.len() <= LONGEST && text.bytes().all(is_plain)
}

/// The settings of one tenant, where they differ from those of the template. A clone is cheap.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Tenant {
    /// `None`: all that the template trusts.
    pub(crate) issuers: Option<Arc<[Arc<str>]>>,
    /// `None`: those of the template.
    pub(crate) required_scopes: Option<Scopes>,
}

impl Tenant {
    /// A tenant that is as the template says.
    pub fn new() -> Self {
        Self::default()
    }

    /// Trusts these authorization servers alone for this tenant.
    ///
    /// They are named by their issuers; one that is not among those of the layer is not trusted.
    /// Default: those of the template.
    pub fn authorization_servers<I>(mut self, issuers: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<Arc<str>>,
    {
        self.issuers = Some(issuers.into_iter().map(Into::into).collect());
        self
    }

    /// Requires these scopes of every token of this tenant, instead of those of the template.
    ///
    /// # Errors
    /// A scope is not one, or is `offline_access`.
    pub fn required_scopes<I>(mut self, scopes: I) -> Result<Self, ConfigError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        self.required_scopes = Some(checked_scopes("required_scopes", scopes)?);
        Ok(self)
    }
}
