//! Which hosts and origins pass.

use http::header::ORIGIN;
use http::{HeaderMap, HeaderValue, Method};

use crate::auth::is_public;
use crate::authority::{Authority, Origin, default_port, without_user};
use crate::credential::RequestHead;
use crate::error::{AuthError, ConfigError, Reason};
use crate::peer::{self, Fault, TrustedProxies};
use crate::resource::WELL_KNOWN;
use crate::resources::Hosts;
use crate::util::{quoted, repeated};

#[derive(Clone, Debug)]
pub(super) struct Rules {
    /// The hosts of several resources.
    of: Option<Hosts>,
    hosts: Vec<AllowedHost>,
    /// Each is an `Origin`.
    origins: Vec<Box<str>>,
    /// `localhost`, `127.0.0.1` and `[::1]` with any port.
    loopback: bool,
    pub(super) any_host: bool,
    pub(super) proxies: Option<TrustedProxies>,
    /// What answers by whatever address it is asked for.
    public_paths: Vec<Box<str>>,
}

#[derive(Clone, Debug)]
struct AllowedHost {
    /// An `Authority`.
    text: Box<str>,
    /// The ports that say no more than no port.
    default_ports: &'static [u16],
}

impl AllowedHost {
    fn is(&self, authority: Authority<'_>) -> bool {
        // What was configured was read once before.
        Authority::parse(&self.text).is_some_and(|own| {
            let fold = |port: Option<u16>| port.filter(|port| !self.default_ports.contains(port));
            own.host.is(authority.host) && fold(own.port) == fold(authority.port)
        })
    }
}

/// Whether it is an origin that can be allowed.
pub(crate) fn check_origin(origin: &str) -> Result<(), ConfigError> {
    if Origin::parse(origin).is_some() {
        return Ok(());
    }
    Err(ConfigError::new(
        "allow_origin",
        format!(
            "{} is no origin: write `https://host` or `https://host:port`, without path, \
             trailing slash or wildcard; `null` cannot be allowed, as any page can have it",
            repeated(origin)
        ),
    ))
}

/// Whether a browser says `origin` where `allowed` is meant: however its host is written, and
/// with the port of its scheme or without.
#[cfg(all(feature = "config", feature = "cors"))]
pub(crate) fn is_origin(origin: &str, allowed: &str) -> bool {
    let both = Origin::parse(origin).zip(Origin::parse(allowed));
    both.is_some_and(|(origin, allowed)| origin.is(&allowed))
}

impl Rules {
    pub(super) fn of(resource: &str) -> Result<Self, ConfigError> {
        let origin = resource.find("://").and_then(|scheme| {
            let authority = scheme + 3;
            let end = resource[authority..].find(['/', '?', '#']);
            let text = &resource[..end.map_or(resource.len(), |end| authority + end)];
            let origin = Origin::parse(text)?;
            let default_ports: &[u16] = match default_port(origin.scheme)? {
                443 => &[443],
                _ => &[80],
            };
            Some((text, origin, &text[authority..], default_ports))
        });
        let Some((text, origin, host, default_ports)) = origin else {
            return Err(ConfigError::new(
                "resource",
                format!(
                    "{} is no absolute http or https URL with a plain host",
                    repeated(resource)
                ),
            ));
        };
        Ok(Self {
            of: None,
            hosts: vec![AllowedHost {
                text: host.into(),
                default_ports,
            }],
            origins: vec![text.into()],
            loopback: origin.authority.host.is_loopback(),
            any_host: false,
            proxies: None,
            public_paths: Vec::new(),
        })
    }

    pub(super) fn of_hosts(hosts: Hosts) -> Self {
        Self {
            of: Some(hosts),
            hosts: Vec::new(),
            origins: Vec::new(),
            loopback: false,
            any_host: false,
            proxies: None,
            public_paths: Vec::new(),
        }
    }

    pub(super) fn allow_host(&mut self, host: &str) -> Result<(), ConfigError> {
        if Authority::parse(host).is_none() {
            return Err(ConfigError::new(
                "allow_host",
                format!(
                    "{} is no host: write `host` or `host:port`, without scheme, path, wildcard \
                     or trailing dot",
                    repeated(host)
                ),
            ));
        }
        self.hosts.push(AllowedHost {
            text: host.into(),
            default_ports: &[80, 443],
        });
        Ok(())
    }

    pub(super) fn allow_origin(&mut self, origin: &str) -> Result<(), ConfigError> {
        check_origin(origin)?;
        self.origins.push(origin.into());
        Ok(())
    }

    pub(super) fn add_public_path(&mut self, path: &str) {
        if self.public_paths.iter().all(|own| **own != *path) {
            self.public_paths.push(path.into());
        }
    }

    pub(super) fn check(&self, head: RequestHead<'_>) -> Result<(), AuthError> {
        self.check_host(head)?;
        if is_metadata(head) {
            return Ok(());
        }
        self.check_origin(head)
    }

    fn check_host(&self, head: RequestHead<'_>) -> Result<(), AuthError> {
        if self.any_host {
            return Ok(());
        }
        let proxies = self.proxies.as_ref();
        let requested = peer::read(head, proxies).map_err(|fault| self.unread_host(fault, head))?;
        let authority = requested.authority();
        if self.allows_host(authority)
            || (authority.host.is_address() && is_public(&self.public_paths, &head))
        {
            return Ok(());
        }
        Err(self.bad_host(&authority.to_string(), head))
    }

    /// What cannot be read is never what was allowed.
    fn unread_host(&self, fault: Fault<'_>, head: RequestHead<'_>) -> AuthError {
        let reason = match fault {
            fault if self.of.is_some() => return fault.error(),
            Fault::Proxy(error) => return error,
            Fault::Malformed(host) => return self.bad_host(host, head),
            Fault::Twice => Reason::DUPLICATE_HOST,
            Fault::Missing | Fault::Differs(..) => Reason::HOST_NOT_ALLOWED,
        };
        AuthError::new(reason).with_detail(fault.detail())
    }

    fn bad_host(&self, host: &str, head: RequestHead<'_>) -> AuthError {
        let reason = match self.of {
            Some(_) => Reason::UNKNOWN_HOST,
            None => Reason::HOST_NOT_ALLOWED,
        };
        let error = AuthError::new(reason).with_detail(self.host_detail(host));
        let proxies = self.proxies.as_ref();
        match proxies.and_then(|proxies| proxies.why_not_asked(head)) {
            Some(why) => error.and_detail(&why),
            None => error,
        }
    }

    /// What is not allowed, what is, and what can be done.
    fn host_detail(&self, host: &str) -> String {
        let of = self.of.iter().flat_map(Hosts::urls);
        let allowed = listed(of.chain(self.hosts.iter().map(|host| &*host.text)));
        let loopback = match self.loopback {
            true => ", and the names of loopback with any port",
            false => "",
        };
        format!(
            "{}; allowed are {allowed}{loopback}: let the proxy pass `Host` on, or allow the host \
             (`allow_host`, in a configuration `origin.allow_hosts`)",
            not_allowed(host)
        )
    }

    fn origin_detail(&self, origin: &str) -> String {
        let of = self.of.iter().map(|_| "that of the host");
        let allowed = listed(of.chain(self.origins.iter().map(|origin| &**origin)));
        let loopback = match self.loopback {
            true => ", and pages of loopback",
            false => "",
        };
        format!(
            "{}; allowed are {allowed}{loopback}: allow the origin of the page (`allow_origin`, in \
             a configuration `origin.allow_origins`)",
            not_allowed(origin)
        )
    }

    fn allows_host(&self, authority: Authority<'_>) -> bool {
        (self.loopback && authority.host.is_common_loopback())
            || self.hosts.iter().any(|allowed| allowed.is(authority))
            || self
                .of
                .as_ref()
                .is_some_and(|hosts| hosts.has(&authority.host.lower(), authority.port, None))
    }

    fn check_origin(&self, head: RequestHead<'_>) -> Result<(), AuthError> {
        let Some(origin) = only_origin(head.headers())?.map(text) else {
            return Ok(());
        };
        let allows = |origin| self.allows_origin(&origin) || self.is_own_origin(&origin, head);
        if Origin::parse(origin).is_some_and(allows) {
            return Ok(());
        }
        Err(AuthError::new(Reason::ORIGIN_NOT_ALLOWED).with_detail(self.origin_detail(origin)))
    }

    /// Whether it is the origin of the resource that the request is for, where there are several.
    fn is_own_origin(&self, origin: &Origin<'_>, head: RequestHead<'_>) -> bool {
        let (scheme, own) = (origin.scheme.to_ascii_lowercase(), origin.authority);
        let is_of_resource = |hosts: &Hosts| {
            let requested = peer::read(head, self.proxies.as_ref());
            hosts.has(&own.host.lower(), own.port, Some(&scheme))
                && requested.is_ok_and(|requested| {
                    requested.authority().host.is(own.host)
                        && requested.port_beyond(&scheme) == own.port_beyond(&scheme)
                })
        };
        self.of.as_ref().is_some_and(is_of_resource)
    }

    fn allows_origin(&self, origin: &Origin<'_>) -> bool {
        let is_web = ["http", "https"]
            .iter()
            .any(|scheme| scheme.eq_ignore_ascii_case(origin.scheme));
        (self.loopback && is_web && origin.authority.host.is_common_loopback())
            || self
                .origins
                .iter()
                .filter_map(|allowed| Origin::parse(allowed))
                .any(|allowed| allowed.is(origin))
    }
}

/// A path that another reader could take elsewhere is not that of metadata.
fn is_metadata(head: RequestHead<'_>) -> bool {
    let reads = matches!(*head.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let path = head.uri().path();
    let below = path.strip_prefix(WELL_KNOWN);
    reads
        && below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        && !path.contains("..")
        && !path.contains(['%', '\\', ';'])
}

fn only_origin(headers: &HeaderMap) -> Result<Option<&HeaderValue>, AuthError> {
    let mut values = headers.get_all(&ORIGIN).iter();
    let first = values.next();
    if values.next().is_some() {
        return Err(AuthError::new(Reason::DUPLICATE_ORIGIN)
            .with_detail("more than one origin header: readers would take different ones"));
    }
    Ok(first)
}

/// A value that is not ASCII is none that was allowed.
fn text(value: &HeaderValue) -> &str {
    value.to_str().unwrap_or("(not ASCII)")
}

/// How many of what is allowed a detail names.
const LISTED: usize = 8;

fn listed<'a>(allowed: impl Iterator<Item = &'a str> + Clone) -> String {
    let named: Vec<_> = allowed.clone().take(LISTED).collect();
    match allowed.count().saturating_sub(LISTED) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

fn not_allowed(value: &str) -> String {
    format!("{} is not allowed", quoted(without_user(value)))
}
