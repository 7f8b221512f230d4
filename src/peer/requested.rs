//! The host a request was sent to.

use std::borrow::Cow;

use http::HeaderValue;
use http::header::HOST;

use super::TrustedProxies;
use crate::authority::{Authority, without_user};
use crate::credential::RequestHead;
use crate::error::{AuthError, Reason};
use crate::util::quoted;

/// The host a request was sent to.
#[derive(Clone, Copy, Debug)]
pub struct Requested<'a> {
    authority: Authority<'a>,
    scheme: Option<&'static str>,
    by_proxy: bool,
}

impl<'a> Requested<'a> {
    /// The host in lower case.
    ///
    /// It is a name without a trailing dot, or an address in its shortest form, IPv6 in brackets.
    pub fn host(&self) -> Cow<'a, str> {
        self.authority.host.lower()
    }

    /// The port that was written, be it the default one.
    pub fn port(&self) -> Option<u16> {
        self.authority.port
    }

    /// The port, unless it is the default one of `scheme`: 443 of `https`, 80 of `http`.
    pub fn port_beyond(&self, scheme: &str) -> Option<u16> {
        self.authority.port_beyond(scheme)
    }

    /// `https` or `http`, where a trusted proxy says what its client used.
    pub fn scheme(&self) -> Option<&'static str> {
        self.scheme
    }

    /// Whether host or scheme are what a trusted proxy says. What is chosen by that belongs in no
    /// cache that knows the URL alone.
    pub fn is_by_proxy(&self) -> bool {
        self.by_proxy
    }

    pub(crate) fn authority(&self) -> Authority<'a> {
        self.authority
    }
}

/// Reads which host a request was sent to.
///
/// That is `Host`, or the authority of the request target (`:authority` in HTTP/2), or what a
/// trusted proxy says instead. It is for [providers of your own](crate::provider) that choose a
/// resource by host. The scheme of the request target is the client's word, and not in the result.
///
/// # Errors
/// 400, as [RFC 9112 section 3.2](https://www.rfc-editor.org/rfc/rfc9112#section-3.2) has it: there
/// is no host or there are two `Host` headers, `Host` and target name different hosts, or one is
/// spelled in a way that readers disagree about (a trailing dot, a user name, a list, `127.1`). Or a
/// trusted proxy sent a header that cannot be read.
pub fn requested<'a>(
    head: RequestHead<'a>,
    proxies: Option<&TrustedProxies>,
) -> Result<Requested<'a>, AuthError> {
    read(head, proxies).map_err(Fault::error)
}

/// The same, for a layer that has an answer of its own for what is wrong with `Host`.
pub(crate) fn read<'a>(
    head: RequestHead<'a>,
    proxies: Option<&TrustedProxies>,
) -> Result<Requested<'a>, Fault<'a>> {
    // It is read whatever the proxy says: two hosts are what smuggling a request looks like.
    let own = own(head)?;
    let said = match proxies {
        Some(proxies) => proxies.said(head).map_err(Fault::Proxy)?,
        None => None,
    };
    let (host, scheme) = match &said {
        Some(said) => (
            said.host().map_err(Fault::Proxy)?,
            said.scheme().map_err(Fault::Proxy)?,
        ),
        None => (None, None),
    };
    Ok(Requested {
        authority: host.or(own).ok_or(Fault::Missing)?,
        scheme,
        by_proxy: host.is_some() || scheme.is_some(),
    })
}

/// Why a request names no host.
#[derive(Debug)]
pub(crate) enum Fault<'a> {
    Missing,
    /// There are two `Host` headers.
    Twice,
    /// `Host` and the target differ.
    Differs(&'a str, &'a str),
    Malformed(&'a str),
    /// It is the header of a trusted proxy that cannot be read.
    Proxy(AuthError),
}

impl Fault<'_> {
    pub(crate) fn error(self) -> AuthError {
        let reason = match &self {
            Self::Missing => Reason::MISSING_HOST,
            Self::Twice | Self::Differs(..) => Reason::AMBIGUOUS_HOST,
            Self::Malformed(_) => Reason::MALFORMED_HOST,
            Self::Proxy(error) => return error.clone(),
        };
        AuthError::new(reason).with_detail(self.detail())
    }

    /// For traces, without the name and password that may stand in front of a host.
    pub(crate) fn detail(&self) -> String {
        let shown = |host: &str| quoted(without_user(host));
        match self {
            Self::Missing => {
                "the request names no host, neither in a `Host` header nor in its target".to_owned()
            }
            Self::Twice => {
                "more than one host header: readers would take different ones".to_owned()
            }
            Self::Differs(header, target) => format!(
                "`Host` is {}, and the target of the request names {}",
                shown(header),
                shown(target)
            ),
            Self::Malformed(host) => format!(
                "{} is no host that all read alike: a name or an address, with a port or without",
                shown(host)
            ),
            Self::Proxy(error) => error.detail().unwrap_or_default().to_owned(),
        }
    }
}

/// What the request itself says.
fn own(head: RequestHead<'_>) -> Result<Option<Authority<'_>>, Fault<'_>> {
    let mut headers = head.headers().get_all(HOST).iter();
    let header = headers.next();
    if headers.next().is_some() {
        return Err(Fault::Twice);
    }
    let header = header.map(text);
    let target = head.uri().authority().map(http::uri::Authority::as_str);
    let (header, target) = match (header, target) {
        (None, None) => return Ok(None),
        (Some(host), None) | (None, Some(host)) => {
            return Authority::parse(host)
                .map(Some)
                .ok_or(Fault::Malformed(host));
        }
        (Some(header), Some(target)) => (header, target),
    };
    let read = |host| Authority::parse(host).ok_or(Fault::Malformed(host));
    let (one, other) = (read(header)?, read(target)?);
    let scheme = head.uri().scheme_str().unwrap_or_default();
    if !one.host.is(other.host) || one.port_beyond(scheme) != other.port_beyond(scheme) {
        return Err(Fault::Differs(header, target));
    }
    // What was written says more than what was left out.
    Ok(Some(if one.port.is_some() { one } else { other }))
}

/// A value that is not ASCII is no host.
fn text(value: &HeaderValue) -> &str {
    value.to_str().unwrap_or("(not ASCII)")
}
