//! Which requests need no credential.

use std::sync::Arc;

use http::{Method, Uri, Version};

use crate::credential::RequestHead;
use crate::error::ConfigError;
use crate::resource::Resource;

/// Requests that pass without a credential. All others need one.
#[derive(Clone, Debug, Default)]
pub(super) struct Exemptions {
    public: Vec<Box<str>>,
    sse: Option<SseEndpoints>,
}

impl Exemptions {
    pub(super) fn add_public(
        &mut self,
        path: &str,
        resources: &[Arc<Resource>],
    ) -> Result<(), ConfigError> {
        check_path("public_path", path)?;
        if path == "/" {
            return Err(ConfigError::new(
                "public_path",
                "behind `nest_service` every `/mcp` is seen as `/`, so this path can make the \
                 whole server public; say `.dangerously_public_root()` if that is meant",
            ));
        }
        check_resource("public_path", path, resources)?;
        self.public.push(path.into());
        Ok(())
    }

    pub(super) fn add_root(&mut self) {
        self.public.push("/".into());
    }

    pub(super) fn set_sse(
        &mut self,
        endpoints: SseEndpoints,
        resources: &[Arc<Resource>],
    ) -> Result<&SseEndpoints, ConfigError> {
        check_path("sse_endpoints", &endpoints.sse_path)?;
        check_path("sse_endpoints", &endpoints.messages_path)?;
        if endpoints.sse_path == endpoints.messages_path {
            return Err(ConfigError::new(
                "sse_endpoints",
                "the SSE path and the messages path are the same: give them different paths",
            ));
        }
        let open_root = !endpoints.sse && &*endpoints.sse_path == "/"
            || !endpoints.messages && &*endpoints.messages_path == "/";
        if open_root {
            return Err(ConfigError::new(
                "sse_endpoints",
                "an endpoint without authentication is at `/`, and behind `nest_service` every \
                 `/mcp` is seen as `/`; give it a path of its own",
            ));
        }
        if !endpoints.sse {
            check_resource("sse_endpoints", &endpoints.sse_path, resources)?;
        }
        if !endpoints.messages {
            check_resource("sse_endpoints", &endpoints.messages_path, resources)?;
        }
        Ok(self.sse.insert(endpoints))
    }

    pub(super) fn public_paths(&self) -> impl Iterator<Item = &str> {
        self.public.iter().map(|path| &**path)
    }

    /// Whether both let the same paths pass.
    pub(super) fn has_paths_of(&self, other: &Self) -> bool {
        let within = |one: &Self, other: &Self| {
            let mut paths = one.public.iter();
            paths.all(|path| other.public.contains(path))
        };
        within(self, other) && within(other, self)
    }

    pub(super) fn has_sse_of(&self, other: &Self) -> bool {
        self.sse == other.sse
    }

    /// `is_nowhere`: the request is for no resource, of which only what is public is left.
    // As a rule there is nothing to look at, and not even a path to find.
    pub(super) fn cover(&self, head: &RequestHead<'_>, is_nowhere: bool) -> bool {
        (!self.public.is_empty() || self.sse.is_some()) && self.one_covers(head, is_nowhere)
    }

    fn one_covers(&self, head: &RequestHead<'_>, is_nowhere: bool) -> bool {
        let path = head.uri().path();
        let method = head.method();
        let public = || is_public(&self.public, head);
        let sse = || {
            self.sse
                .as_ref()
                .is_some_and(|endpoints| endpoints.cover(method, path))
        };
        (public() || (!is_nowhere && sse())) && is_origin_form(head.uri(), head.version())
    }
}

/// The two switches for the endpoints of the HTTP+SSE transport of MCP 2024-11-05.
///
/// With this value a layer asks for a credential on the messages endpoint and **not** on
/// the SSE endpoint, because many clients of that transport cannot send headers with
/// their `EventSource`. Every client that opens the stream then reads what the server sends on it:
/// prefer [`sse(true)`](Self::sse), and the streamable HTTP transport before that. Without
/// this value (the default of every layer) both need a credential.
///
/// Only `GET` of exactly the SSE path is let through, and only `POST` of exactly the
/// messages path if that is switched off as well.
///
/// ```
/// use tower_mcp_auth::auth::SseEndpoints;
///
/// let endpoints = SseEndpoints::new().sse(true).paths("/sse", "/messages");
/// # let _ = endpoints;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SseEndpoints {
    sse: bool,
    messages: bool,
    sse_path: Box<str>,
    messages_path: Box<str>,
}

impl Default for SseEndpoints {
    fn default() -> Self {
        Self::new()
    }
}

impl SseEndpoints {
    /// `sse` false, `messages` true, at `/sse` and `/messages`.
    pub fn new() -> Self {
        Self {
            sse: false,
            messages: true,
            sse_path: "/sse".into(),
            messages_path: "/messages".into(),
        }
    }

    /// Whether opening the SSE stream needs a credential; default false.
    #[must_use]
    pub fn sse(mut self, needs_credential: bool) -> Self {
        self.sse = needs_credential;
        self
    }

    /// Whether posting a message needs a credential; default true. Switching it off lets
    /// anyone call every tool.
    #[must_use]
    pub fn messages(mut self, needs_credential: bool) -> Self {
        self.messages = needs_credential;
        self
    }

    /// Replaces both paths. They compare byte by byte with the path the layer sees.
    #[must_use]
    pub fn paths(mut self, sse: impl Into<String>, messages: impl Into<String>) -> Self {
        self.sse_path = sse.into().into();
        self.messages_path = messages.into().into();
        self
    }

    fn cover(&self, method: &Method, path: &str) -> bool {
        let sse = !self.sse && *method == Method::GET && *path == *self.sse_path;
        let messages = !self.messages && *method == Method::POST && *path == *self.messages_path;
        sse || messages
    }

    /// What is said at start, for each endpoint left open.
    pub(super) fn warnings(&self) -> impl Iterator<Item = String> {
        let sse = (!self.sse).then(|| format!("GET {} needs no credential", self.sse_path));
        let messages =
            (!self.messages).then(|| format!("POST {} needs no credential", self.messages_path));
        sse.into_iter().chain(messages)
    }
}

/// Whether this is a GET or HEAD of exactly one of these paths.
pub(crate) fn is_public(paths: &[Box<str>], head: &RequestHead<'_>) -> bool {
    let path = head.uri().path();
    matches!(*head.method(), Method::GET | Method::HEAD)
        && paths.iter().any(|own| **own == *path)
        && is_origin_form(head.uri(), head.version())
}

/// An exemption holds for a target in origin form, `/path` (RFC 9112 section 3.2.1). In
/// HTTP/1 an absolute target is a proxy's, and which path it routes to is not ours to guess;
/// HTTP/2 always has scheme and authority, in pseudo-headers.
fn is_origin_form(uri: &Uri, version: Version) -> bool {
    uri.path().starts_with('/') && (version >= Version::HTTP_2 || uri.scheme().is_none())
}

/// Exemptions compare byte by byte, so a path that no router would see like this is a mistake.
pub(crate) fn check_path(setting: &'static str, path: &str) -> Result<(), ConfigError> {
    let plain = |byte: u8| byte.is_ascii_graphic() && !b"?#%\\;*{}".contains(&byte);
    let dots = || path.split('/').any(|segment| matches!(segment, "." | ".."));
    if path.starts_with('/') && path.bytes().all(plain) && !path.contains("//") && !dots() {
        return Ok(());
    }
    Err(ConfigError::new(
        setting,
        format!(
            "{path:?} is not an exact path: it starts with `/` and has no query, fragment, \
             percent-encoding, `;`, pattern, dot segment or empty segment"
        ),
    ))
}

fn check_resource(
    setting: &'static str,
    path: &str,
    resources: &[Arc<Resource>],
) -> Result<(), ConfigError> {
    let Some(own) = resources.iter().find(|own| leads_to(own, path)) else {
        return Ok(());
    };
    let is_whole = path.trim_end_matches('/').len() == own.path().trim_end_matches('/').len();
    let why = match is_whole {
        true => format!("{path:?} is the path of the protected resource itself"),
        false => format!(
            "{path:?} is the end of the path of the protected resource, {:?}, and all of it that is \
             seen where a proxy or `nest_service` takes the beginning away",
            own.path()
        ),
    };
    Err(ConfigError::new(setting, why))
}

/// Whether a path is that of a resource, or what is left of it where a proxy took its beginning
/// away. A slash more or less at the end is the same place to routers.
pub(super) fn leads_to(resource: &Resource, path: &str) -> bool {
    let (own, path) = (
        resource.path().trim_end_matches('/'),
        path.trim_end_matches('/'),
    );
    match path.is_empty() {
        // The root: what is at its own path is another place, unless that is the root as well.
        true => own.is_empty(),
        false => own.ends_with(path),
    }
}
