//! `ResourceMap`: resources by host and path.

use std::collections::HashMap;

use super::address::{Address, Place, is_unambiguous, ports_meet, same_port};
use super::tenants::{Tenant, Tenants, is_tenant};

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
    /// Templates whose tenant is in the host.
    templates: Vec<HostTemplate<T>>,
}

/// What is at one host and port.
#[derive(Clone, Debug)]
struct Site<T> {
    port: Option<u16>,
    default_port: u16,
    paths: HashMap<Box<str>, T>,
    /// Templates whose tenant is in the path.
    templates: Vec<PathTemplate<T>>,
    /// How many segments the longest path has.
    deepest: usize,
}

#[derive(Clone, Debug)]
struct PathTemplate<T> {
    path: Box<str>,
    segment: usize,
    tenants: Tenants,
    target: T,
}

#[derive(Clone, Debug)]
struct HostTemplate<T> {
    address: Address,
    label: usize,
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
        match (address.place, tenants.cloned()) {
            (Place::Label(label), Some(tenants)) => self.templates.push(HostTemplate {
                address,
                label,
                tenants,
                target,
            }),
            (place, tenants) => {
                let site = self.site(&address);
                site.deepest = site.deepest.max(segments(&address.path).count());
                match (place, tenants) {
                    (Place::Segment(segment), Some(tenants)) => site.templates.push(PathTemplate {
                        path: address.path,
                        segment,
                        tenants,
                        target,
                    }),
                    _ => {
                        site.paths.insert(address.path, target);
                    }
                }
            }
        }
        Ok(())
    }

    fn site(&mut self, address: &Address) -> &mut Site<T> {
        let sites = self.hosts.entry(address.host.clone()).or_default();
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
        match address.place {
            Place::Label(_) => self.clash_of_hosts(address, tenants),
            _ => self.clash_of_host(address, tenants),
        }
    }

    fn clash_of_hosts(&self, address: &Address, tenants: Option<&Tenants>) -> Option<&T> {
        let at_template = self.templates.iter().find(|other| {
            ports_meet(other.address.ports(), address.ports())
                && other.address.path == address.path
                && meet(other.address.host.split('.'), address.host.split('.'))
        });
        let at_host = || {
            let mut names = tenants?.all()?;
            names.find_map(|(name, _)| {
                let host = of_tenant(&address.host, name);
                let mut sites = self.hosts.get(&*host).into_iter().flatten();
                sites.find_map(|site| {
                    let meets = ports_meet(site.ports(), address.ports());
                    meets.then(|| site.clash_of_path(&address.path)).flatten()
                })
            })
        };
        at_template.map(|other| &other.target).or_else(at_host)
    }

    fn clash_of_host(&self, address: &Address, tenants: Option<&Tenants>) -> Option<&T> {
        let mut sites = self.hosts.get(&address.host).into_iter().flatten();
        let at_site = sites.find_map(|site| {
            if !ports_meet(site.ports(), address.ports()) {
                return None;
            }
            match address.place {
                Place::Segment(_) => site.clash_of_template(&address.path, tenants),
                _ => site.clash_of_path(&address.path),
            }
        });
        let has_path = |path: &str| match (address.place, tenants) {
            (Place::Segment(segment), Some(tenants)) => {
                let name = part(segments(&address.path), segments(path), segment);
                name.is_some_and(|name| tenants.lists(name))
            }
            _ => *address.path == *path,
        };
        let of_host = || {
            self.templates.iter().find(|other| {
                let name = label(&other.address.host, &address.host, other.label);
                ports_meet(other.address.ports(), address.ports())
                    && name.is_some_and(|name| other.tenants.lists(name))
                    && has_path(&other.address.path)
            })
        };
        at_site.or_else(|| of_host().map(|other| &other.target))
    }

    /// Whether anything is at this host and port; at a URL whose scheme has this default port, if
    /// there is one.
    pub(crate) fn has_host(&self, host: &str, port: Option<u16>, default: Option<u16>) -> bool {
        let asked = Asked {
            host,
            port,
            path: "",
        };
        let is_scheme = |own: u16| default.is_none_or(|default| own == default);
        let mut sites = self.hosts.get(host).into_iter().flatten();
        let mut templates = self.templates.iter();
        sites.any(|site| is_scheme(site.default_port) && same_port(site.ports(), port))
            || templates.any(|template| {
                is_scheme(template.address.default_port) && template.tenant(asked).is_some()
            })
    }

    /// What a request is for. Of paths that lead to it the longest one counts, and one that was
    /// written out before one with a tenant.
    pub(crate) fn find<'m, 'r>(&'m self, asked: Asked<'r>, reach: Reach) -> Found<'m, 'r, T> {
        let mut best: Option<Hit<'m, 'r, T>> = None;
        let mut is_known = false;
        let mut deepest = 0;
        for site in self.hosts.get(asked.host).into_iter().flatten() {
            if same_port(site.ports(), asked.port) {
                is_known = true;
                deepest = deepest.max(site.deepest);
                best = longer(best, site.find(asked.path, reach));
            }
        }
        for template in &self.templates {
            let Some((name, tenant)) = template.tenant(asked) else {
                continue;
            };
            is_known = true;
            let path = &*template.address.path;
            deepest = deepest.max(segments(path).count());
            if leads_to(path, asked.path, reach) {
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
        if !is_unambiguous(path) || !(path.is_empty() || path.starts_with('/')) {
            return None;
        }
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
        let listed = self.templates.iter().find(|template| template.lists(path));
        let same = self.paths.get(path);
        same.or(listed.map(|template| &template.target))
    }

    fn clash_of_template(&self, path: &str, tenants: Option<&Tenants>) -> Option<&T> {
        let mut others = self.templates.iter();
        let other = others.find(|other| meet(segments(&other.path), segments(path)));
        let written = || {
            let mut names = tenants?.all()?;
            names.find_map(|(name, _)| self.paths.get(&*of_tenant(path, name)))
        };
        other.map(|other| &other.target).or_else(written)
    }
}

impl<T> PathTemplate<T> {
    /// The tenant that this path is of.
    fn tenant<'r>(&self, path: &'r str) -> Option<(&'r str, Tenant)> {
        let name = part(segments(&self.path), segments(path), self.segment)?;
        Some((name, self.tenants.get(name)?))
    }

    /// Whether this path is of a tenant that was listed.
    fn lists(&self, path: &str) -> bool {
        let name = part(segments(&self.path), segments(path), self.segment);
        name.is_some_and(|name| self.tenants.lists(name))
    }
}

impl<T> HostTemplate<T> {
    /// The tenant that this host is of.
    fn tenant<'r>(&self, asked: Asked<'r>) -> Option<(&'r str, Tenant)> {
        if !self.address.is_port(asked.port) {
            return None;
        }
        let name = label(&self.address.host, asked.host, self.label)?;
        Some((name, self.tenants.get(name)?))
    }
}

fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').skip(1)
}

fn label<'r>(template: &str, host: &'r str, label: usize) -> Option<&'r str> {
    part(template.split('.'), host.split('.'), label)
}

/// The part in the place of the tenant, where all others are equal.
fn part<'t, 'r>(
    template: impl Iterator<Item = &'t str>,
    text: impl Iterator<Item = &'r str>,
    place: usize,
) -> Option<&'r str> {
    let (mut template, mut text) = (template, text);
    let mut found = None;
    for at in 0.. {
        match (template.next(), text.next()) {
            (None, None) => return found,
            (Some(_), Some(name)) if at == place => found = Some(name),
            (Some(own), Some(asked)) if own == asked => {}
            _ => return None,
        }
    }
    found
}

/// Whether one text can be of both templates.
fn meet<'t>(one: impl Iterator<Item = &'t str>, other: impl Iterator<Item = &'t str>) -> bool {
    let (mut one, mut other) = (one, other);
    loop {
        let is_open = |part: &str| part.starts_with('{');
        let takes = |part: &str, other: &str| is_open(part) && (is_open(other) || is_tenant(other));
        match (one.next(), other.next()) {
            (None, None) => return true,
            (Some(a), Some(b)) if a == b || takes(a, b) || takes(b, a) => {}
            _ => return false,
        }
    }
}

/// The text of a template for this tenant.
fn of_tenant(template: &str, name: &str) -> String {
    match (template.split_once('{'), template.rsplit_once('}')) {
        (Some((before, _)), Some((_, after))) => [before, name, after].concat(),
        _ => template.to_owned(),
    }
}

/// Whether a path is this one, or below it.
fn leads_to(own: &str, path: &str, reach: Reach) -> bool {
    if !is_unambiguous(path) || !(path.is_empty() || path.starts_with('/')) {
        return false;
    }
    let Some(below) = path.strip_prefix(own) else {
        return false;
    };
    match reach {
        Reach::Exact => matches!(below, "" | "/"),
        Reach::Below => below.is_empty() || below.starts_with('/'),
    }
}
