//! No token is good at two resources: what would make one so is refused before serving.

use std::collections::HashMap;
use std::sync::Arc;

use super::{AuthorizationServer, ProtectedResource};
use crate::error::ConfigError;
use crate::resources::{Pattern, Tenants};

/// # Errors
/// A resource trusts a server that is not there; a document would be that of all tenants; two
/// resources accept one audience; or a server with tokens that are accepted whatever resource they
/// are for is trusted for more than one.
pub(super) fn check(
    resources: &[ProtectedResource],
    servers: &[AuthorizationServer],
) -> Result<(), ConfigError> {
    for resource in resources {
        check_issuers(resource, servers)?;
        resource.check_documents()?;
    }
    if let [only] = resources
        && !only.is_template()
    {
        return Ok(());
    }
    let trusting: Vec<(&AuthorizationServer, Trusting<'_>)> = servers
        .iter()
        .map(|server| (server, Trusting::of(server, resources)))
        .collect();
    for (server, trusting) in &trusting {
        if let Some((setting, why)) = server.knows_no_resource()
            && let Trusting::Several = trusting
        {
            let message = format!(
                "{why}, and {:?} is trusted for more than one resource: have one alone trust it, \
                 by `authorization_servers` of each resource",
                server.issuer()
            );
            return Err(ConfigError::new(setting, message));
        }
    }
    check_audiences(resources)?;
    check_own_audiences(resources, &trusting)
}

/// Clients of each resource are sent to the server with the copied metadata, at `advertised`.
///
/// # Errors
/// A resource, or a tenant that is listed, does not trust that server.
pub(super) fn check_copy(
    resources: &[ProtectedResource],
    servers: &[AuthorizationServer],
    advertised: &str,
    setting: &'static str,
) -> Result<(), ConfigError> {
    let copied: Vec<&str> = servers
        .iter()
        .filter(|server| server.advertised() == advertised)
        .map(AuthorizationServer::issuer)
        .collect();
    let trusts = |issuers| trusts(issuers, |issuer| copied.contains(&issuer));
    for resource in resources {
        let own = resource.terms.issuers.as_deref();
        let mut listed = resource
            .tenants()
            .and_then(Tenants::all)
            .into_iter()
            .flatten();
        let is_trusted = match resource.tenants() {
            None => trusts(own),
            Some(_) => listed.all(|(_, tenant)| trusts(tenant.issuers.as_deref().or(own))),
        };
        if !is_trusted {
            return Err(ConfigError::new(
                setting,
                format!(
                    "{advertised:?} is not trusted for all of {:?}, and clients there would be sent \
                     to it: leave the copy out, or give that resource a layer of its own",
                    resource.resource()
                ),
            ));
        }
    }
    Ok(())
}

/// Whether one of these issuers is such. `None`: all are trusted.
fn trusts(issuers: Option<&[Arc<str>]>, is_such: impl Fn(&str) -> bool) -> bool {
    issuers.is_none_or(|listed| listed.iter().any(|own| is_such(own)))
}

/// The resources that trust a server.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trusting<'r> {
    None,
    /// The place of a resource, and the tenant of a template.
    One(usize, Option<&'r str>),
    Several,
}

impl<'r> Trusting<'r> {
    fn of(server: &AuthorizationServer, resources: &'r [ProtectedResource]) -> Self {
        let mut found = Self::None;
        let trusts = |issuers| trusts(issuers, |issuer| issuer == server.issuer());
        for (place, resource) in resources.iter().enumerate() {
            let own = resource.terms.issuers.as_deref();
            match resource.tenants().map(|tenants| tenants.all()) {
                None if trusts(own) => found = found.and(place, None),
                None => {}
                Some(Some(listed)) => {
                    for (name, tenant) in listed {
                        if trusts(tenant.issuers.as_deref().or(own)) {
                            found = found.and(place, Some(name));
                        }
                    }
                }
                // It is not known which tenants there will be.
                Some(None) => found = Self::Several,
            }
        }
        found
    }

    fn and(self, place: usize, tenant: Option<&'r str>) -> Self {
        match self {
            Self::None => Self::One(place, tenant),
            _ => Self::Several,
        }
    }
}

/// Every server that a resource names is one of the layer.
fn check_issuers(
    resource: &ProtectedResource,
    servers: &[AuthorizationServer],
) -> Result<(), ConfigError> {
    let check = |issuers: Option<&[Arc<str>]>| {
        let Some(issuers) = issuers else {
            return Ok(());
        };
        let is_there = |issuer: &&Arc<str>| {
            let mut servers = servers.iter();
            servers.any(|server| *server.issuer() == ***issuer)
        };
        let why = match issuers.iter().find(|issuer| !is_there(issuer)) {
            None if !issuers.is_empty() => return Ok(()),
            None => "it names none, so no token could pass".to_owned(),
            Some(issuer) => format!("{issuer:?} is no authorization server of the layer: add it"),
        };
        Err(ConfigError::new(
            "authorization_servers",
            format!("of the resource {:?}: {why}", resource.resource()),
        ))
    };
    check(resource.terms.issuers.as_deref())?;
    let listed = resource.tenants().and_then(|tenants| tenants.all());
    for (_, tenant) in listed.into_iter().flatten() {
        check(tenant.issuers.as_deref())?;
    }
    Ok(())
}

/// Two resources expect no common audience.
fn check_audiences(resources: &[ProtectedResource]) -> Result<(), ConfigError> {
    for (at, one) in resources.iter().enumerate() {
        let mut earlier = resources[..at].iter();
        if earlier.any(|other| other.resource() == one.resource()) {
            return Err(ConfigError::new(
                "resource",
                format!("{:?} is there twice; leave one out", one.resource()),
            ));
        }
    }
    // Those that are known, by the places of their resources; and those of tenants that are not.
    let (mut known, mut open) = (HashMap::new(), Vec::new());
    for (at, resource) in resources.iter().enumerate() {
        let patterns = resource.audience_patterns();
        match resource.tenants().map(Tenants::all) {
            Some(None) => open.extend(patterns.into_iter().map(|pattern| (at, pattern))),
            Some(Some(listed)) => {
                let names: Vec<&str> = listed.map(|(name, _)| name).collect();
                for pattern in patterns {
                    let of = |name: &&str| (pattern.of(name), at);
                    insert_all(&mut known, names.iter().map(of), resources)?;
                }
            }
            None => {
                let texts = patterns.iter().map(|pattern| (pattern.of(""), at));
                insert_all(&mut known, texts, resources)?;
            }
        }
    }
    for (index, (at, pattern)) in open.iter().enumerate() {
        let mut shared = known.iter().filter(|(_, other)| *other != at);
        let shared = shared.find(|(text, _)| pattern.meets(&Pattern::plain(text)));
        if let Some((text, other)) = shared {
            return Err(shared_audience(text, &resources[*other], &resources[*at]));
        }
        let mut others = open[..index].iter().filter(|(other, _)| other != at);
        if let Some((other, _)) = others.find(|(_, other)| other.meets(pattern)) {
            let text = pattern.text();
            return Err(shared_audience(&text, &resources[*other], &resources[*at]));
        }
    }
    Ok(())
}

fn insert_all(
    known: &mut HashMap<String, usize>,
    audiences: impl Iterator<Item = (String, usize)>,
    resources: &[ProtectedResource],
) -> Result<(), ConfigError> {
    for (audience, at) in audiences {
        match known.get(&audience) {
            Some(other) if *other != at => {
                return Err(shared_audience(
                    &audience,
                    &resources[*other],
                    &resources[at],
                ));
            }
            _ => known.insert(audience, at),
        };
    }
    Ok(())
}

/// Nor one of a server that is trusted for another resource.
fn check_own_audiences(
    resources: &[ProtectedResource],
    trusting: &[(&AuthorizationServer, Trusting<'_>)],
) -> Result<(), ConfigError> {
    let mut seen: Vec<(&str, usize, Option<&str>)> = Vec::new();
    for (server, trusting) in trusting {
        let Trusting::One(place, tenant) = *trusting else {
            continue;
        };
        for audience in server.own_audiences() {
            let plain = Pattern::plain(audience);
            for (at, other) in resources.iter().enumerate() {
                let is_own = |pattern: &Pattern| {
                    at == place && (tenant.is_none() || pattern.name_in(audience) == tenant)
                };
                let is_there = |pattern: &Pattern| {
                    let name = pattern.name_in(audience).unwrap_or_default();
                    let tenants = other.tenants();
                    tenants.is_none_or(|tenants| tenants.all().is_none() || tenants.lists(name))
                };
                let meets = |pattern: &Pattern| pattern.meets(&plain) && is_there(pattern);
                let mut patterns = other.audience_patterns().into_iter();
                if patterns.any(|pattern| meets(&pattern) && !is_own(&pattern)) {
                    return Err(shared_audience(audience, other, &resources[place]));
                }
            }
            let clash = seen
                .iter()
                .find(|(own, at, of)| *own == audience && (*at, *of) != (place, tenant));
            if let Some((_, at, _)) = clash {
                return Err(shared_audience(
                    audience,
                    &resources[*at],
                    &resources[place],
                ));
            }
            seen.push((audience, place, tenant));
        }
    }
    Ok(())
}

fn shared_audience(
    audience: &str,
    one: &ProtectedResource,
    other: &ProtectedResource,
) -> ConfigError {
    ConfigError::new(
        "audience",
        format!(
            "{:?} and {:?} would both accept tokens for {audience:?}, and a token for one resource \
             must not be good at another; give each its own with `audience`, or leave one out",
            one.resource(),
            other.resource()
        ),
    )
}
