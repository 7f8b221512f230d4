//! `ResourceMap`: resources by host and path.

use std::collections::HashMap;

use super::address::{Address, is_unambiguous, ports_meet, same_port};
use super::pattern::Pattern;
use super::tenants::{Tenant, Tenants};

/// What a request asks for: the host in lower case, its port where it was named, and the path.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'r> {
    pub(crate) host: &'r str,
    pub(crate) port: Option<u16>,
    pub(crate) path: &'r str,
}

/// How far the path of a resource reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// To the path itself, with or without a slash at its end.
    #[cfg_attr(not(feature = "oauth"), allow(dead_code))]
    Exact,
    /// To all below it, segment by segment.
    Below,
}

/// What a request is for.
#[derive(Debug)]
pub(crate) enum Found<'m, 'r, T> {
    One(&'m T),
    /// One of a template: the name of the tenant, and its settings.
    Tenant(&'m T, &'r str, Tenant),
    UnknownHost,
    /// There is something else at this host.
    UnknownPath,
}

/// Resources, or their documents, by host and path. A look-up costs the same for any number of
/// them.
#[derive(Clone, Debug)]
pub(crate) struct ResourceMap<T> {
    hosts: HashMap<Box<str>, Vec<Site<T>>>,
    /// Templates with the tenant in the host.
    templates: Vec<HostTemplate<T>>,
}

/// What is at one host and port.
#[derive(Clone, Debug)]
struct Site<T> {
    port: Option<u16>,
    default_port: u16,
    paths: HashMap<Box<str>, T>,
    /// Templates with the tenant in the path.
    templates: Vec<PathTemplate<T>>,
    /// How many segments the longest path has.
    deepest: usize,
}

#[derive(Clone, Debug)]
struct PathTemplate<T> {
    path: Pattern,
    tenants: Tenants,
    target: T,
}

#[derive(Clone, Debug)]
struct HostTemplate<T> {
    host: Pattern,
    /// Its port, and that of its scheme.
    ports: (Option<u16>, u16),
    path: Box<str>,
    tenants: Tenants,
    target: T,
}

impl<T> Default for ResourceMap<T> {
    fn default() -> Self {
        Self {
            hosts: HashMap::new(),
            templates: Vec::new(),
        }
    }
}

impl<T> ResourceMap<T> {
    /// Adds what is at this address. A template has `tenants`.
    ///
    /// # Errors
    /// A request could be for this and for what is there already, which is returned.
    pub(crate) fn insert(
        &mut self,
        address: Address,
        tenants: Option<&Tenants>,
        target: T,
    ) -> Result<(), T>
    where
        T: Clone,
    {
        if let Some(other) = self.clash(&address, tenants) {
            return Err(other.clone());
        }
        let path = address.path.text().into_boxed_str();
        match tenants.cloned() {
            Some(tenants) if address.host.is_template() => self.templates.push(HostTemplate {
                ports: address.ports(),
                host: address.host,
                path,
                tenants,
                target,
            }),
            tenants => {
                let site = self.site(&address);
                site.deepest = site.deepest.max(segments(&path).count());
                match tenants {
                    Some(tenants) => site.templates.push(PathTemplate {
                        path: address.path,
                        tenants,
                        target,
                    }),
                    None => {
                        site.paths.insert(path, target);
                    }
                }
            }
        }
        Ok(())
    }

    fn site(&mut self, address: &Address) -> &mut Site<T> {
        let sites = self.hosts.entry(address.host.text().into()).or_default();
        let is_own = |site: &Site<T>| site.ports() == address.ports();
        if let Some(at) = sites.iter().position(is_own) {
            return &mut sites[at];
        }
        sites.push(Site {
            port: address.port,
            default_port: address.default_port,
            paths: HashMap::new(),
            templates: Vec::new(),
            deepest: 0,
        });
        sites.last_mut().expect("it was pushed just now")
    }

    /// What is there already that a request to this address could be for as well.
    pub(crate) fn clash(&self, address: &Address, tenants: Option<&Tenants>) -> Option<&T> {
        match address.host.is_template() {
            true => self.clash_of_hosts(address, tenants),
            false => self.clash_of_host(address, tenants),
        }
    }

    fn clash_of_hosts(&self, address: &Address, tenants: Option<&Tenants>) -> Option<&T> {
        let path = address.path.text();
        let at_template = self.templates.iter().find(|other| {
            ports_meet(other.ports, address.ports())
                && *other.path == *path
                && other.host.meets(&address.host)
        });
        let at_host = || {
            let mut names = tenants?.all()?;
            names.find_map(|(name, _)| {
                let mut sites = self
                    .hosts
                    .get(&*address.host.of(name))
                    .into_iter()
                    .flatten();
                sites.find_map(|site| {
                    let meets = ports_meet(site.ports(), address.ports());
                    meets.then(|| site.clash_of_path(&path)).flatten()
                })
            })
        };
        at_template.map(|other| &other.target).or_else(at_host)
    }

    fn clash_of_host(&self, address: &Address, tenants: Option<&Tenants>) -> Option<&T> {
        let (host, path) = (address.host.text(), address.path.text());
        let mut sites = self.hosts.get(&*host).into_iter().flatten();
        let at_site = sites.find_map(|site| {
            if !ports_meet(site.ports(), address.ports()) {
                return None;
            }
            match address.path.is_template() {
                true => site.clash_of_template(&address.path, tenants),
                false => site.clash_of_path(&path),
            }
        });
        let has_path = |other: &str| match tenants {
            Some(tenants) => lists(&address.path, tenants, other),
            None => *path == *other,
        };
        let of_host = || {
            self.templates.iter().find(|other| {
                ports_meet(other.ports, address.ports())
                    && lists(&other.host, &other.tenants, &host)
                    && has_path(&other.path)
            })
        };
        at_site.or_else(|| of_host().map(|other| &other.target))
    }

    /// Whether anything is at this host and port; at a URL with this default port of its scheme, if
    /// there is one.
    pub(crate) fn has_host(&self, host: &str, port: Option<u16>, default: Option<u16>) -> bool {
        let is_scheme = |own: u16| default.is_none_or(|default| own == default);
        let mut sites = self.hosts.get(host).into_iter().flatten();
        let mut templates = self.templates.iter();
        sites.any(|site| is_scheme(site.default_port) && same_port(site.ports(), port))
            || templates.any(|template| {
                is_scheme(template.ports.1) && template.tenant(host, port).is_some()
            })
    }

    /// What a request is for. Of paths that lead to it the longest one counts, and one that was
    /// written out before one with a tenant.
    pub(crate) fn find<'m, 'r>(&'m self, asked: Asked<'r>, reach: Reach) -> Found<'m, 'r, T> {
        let is_path = asked.path.is_empty() || asked.path.starts_with('/');
        let is_path = is_path && is_unambiguous(asked.path);
        let mut best: Option<Hit<'m, 'r, T>> = None;
        let mut is_known = false;
        let mut deepest = 0;
        for site in self.hosts.get(asked.host).into_iter().flatten() {
            if same_port(site.ports(), asked.port) {
                is_known = true;
                deepest = deepest.max(site.deepest);
                if is_path {
                    best = longer(best, site.find(asked.path, reach));
                }
            }
        }
        for template in &self.templates {
            let Some((name, tenant)) = template.tenant(asked.host, asked.port) else {
                continue;
            };
            is_known = true;
            let path = &*template.path;
            deepest = deepest.max(segments(path).count());
            if is_path && leads_to(path, asked.path, reach) {
                let hit = Hit {
                    length: path.len(),
                    target: &template.target,
                    tenant: Some((name, tenant)),
                };
                best = longer(best, Some(hit));
            }
        }
        match best.filter(|hit| !hit.is_ambiguous(asked.path, deepest)) {
            Some(Hit {
                target,
                tenant: Some((name, tenant)),
                ..
            }) => Found::Tenant(target, name, tenant),
            Some(Hit { target, .. }) => Found::One(target),
            None if is_known => Found::UnknownPath,
            None => Found::UnknownHost,
        }
    }
}

/// Something that a path leads to, and how much of the path does.
struct Hit<'m, 'r, T> {
    length: usize,
    target: &'m T,
    tenant: Option<(&'r str, Tenant)>,
}

impl<T> Hit<'_, '_, T> {
    /// Whether the path leads deeper to a reader who decodes it: to a resource that is not this
    /// one. The deepest one at the host has so many segments.
    fn is_ambiguous(&self, path: &str, deepest: usize) -> bool {
        let (own, below) = path.split_at(self.length);
        let open = deepest.saturating_sub(segments(own).count());
        let is_encoded = |segment: &str| segment.contains('%') || !segment.is_ascii();
        segments(below).take(open).any(is_encoded)
    }
}

fn longer<'m, 'r, T>(
    one: Option<Hit<'m, 'r, T>>,
    other: Option<Hit<'m, 'r, T>>,
) -> Option<Hit<'m, 'r, T>> {
    match (one, other) {
        (Some(one), Some(other)) if other.length > one.length => Some(other),
        (Some(one), _) => Some(one),
        (None, other) => other,
    }
}

impl<T> Site<T> {
    /// Its port, and that of its scheme.
    fn ports(&self) -> (Option<u16>, u16) {
        (self.port, self.default_port)
    }

    fn find<'m, 'r>(&'m self, path: &'r str, reach: Reach) -> Option<Hit<'m, 'r, T>> {
        let path = path.strip_suffix('/').unwrap_or(path);
        // From the longest beginning that can be one to the shortest.
        let all = segments(path).count();
        let ends = |count: usize| match path.match_indices('/').nth(count) {
            Some((at, _)) => at,
            None => path.len(),
        };
        let counts = match reach {
            Reach::Exact => all..=all,
            Reach::Below => 0..=all.min(self.deepest),
        };
        counts.rev().find_map(|count| {
            let begin = &path[..ends(count)];
            let hit = |target, tenant| Hit {
                length: begin.len(),
                target,
                tenant,
            };
            if let Some(target) = self.paths.get(begin) {
                return Some(hit(target, None));
            }
            self.templates.iter().find_map(|template| {
                let (name, tenant) = template.tenant(begin)?;
                Some(hit(&template.target, Some((name, tenant))))
            })
        })
    }

    fn clash_of_path(&self, path: &str) -> Option<&T> {
        let mut templates = self.templates.iter();
        let listed = templates.find(|own| lists(&own.path, &own.tenants, path));
        let same = self.paths.get(path);
        same.or(listed.map(|template| &template.target))
    }

    fn clash_of_template(&self, path: &Pattern, tenants: Option<&Tenants>) -> Option<&T> {
        let mut others = self.templates.iter();
        let other = others.find(|other| other.path.meets(path));
        let written = || {
            let mut names = tenants?.all()?;
            names.find_map(|(name, _)| self.paths.get(&*path.of(name)))
        };
        other.map(|other| &other.target).or_else(written)
    }
}

impl<T> PathTemplate<T> {
    /// The tenant that this path is of.
    fn tenant<'r>(&self, path: &'r str) -> Option<(&'r str, Tenant)> {
        let name = self.path.name_in(path)?;
        Some((name, self.tenants.get(name)?))
    }
}

impl<T> HostTemplate<T> {
    /// The tenant that this host is of.
    fn tenant<'r>(&self, host: &'r str, port: Option<u16>) -> Option<(&'r str, Tenant)> {
        if !same_port(self.ports, port) {
            return None;
        }
        let name = self.host.name_in(host)?;
        Some((name, self.tenants.get(name)?))
    }
}

fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').skip(1)
}

/// Whether a text is the pattern for a tenant that was listed.
fn lists(pattern: &Pattern, tenants: &Tenants, text: &str) -> bool {
    let name = pattern.name_in(text);
    name.is_some_and(|name| tenants.lists(name))
}

/// Whether a path is this one, or below it.
fn leads_to(own: &str, path: &str, reach: Reach) -> bool {
    let Some(below) = path.strip_prefix(own) else {
        return false;
    };
    match reach {
        Reach::Exact => matches!(below, "" | "/"),
        Reach::Below => below.is_empty() || below.starts_with('/'),
    }
}
