//! The introspection endpoint (RFC 7662): where it is, what it is asked, what answers mean.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, Request, Response, StatusCode};
use tokio::sync::Mutex;
use url::Url;
use url::form_urlencoded::Serializer;

use super::answer::keep_long_names;
use super::client_auth::ClientAuth;
use super::custom::{IntrospectionError, IntrospectionResponse, Kind};
use super::oauth_error::names_us;
use super::signed::Signed;
use crate::clock::Clock;
use crate::json;
use crate::oauth::discovery::{self, Limits, Wanted};
use crate::oauth::fetch::Fetch;
use crate::oauth::jwks_options::JwksOptions;
use crate::oauth::url::{UrlPolicy, is_loopback};
use crate::util::http_date;

/// How long a failed discovery stands for those that come after it.
const FAILURE_LIFE: Duration = Duration::from_secs(1);
/// How often, at most, a known place is looked up again: one token that makes the endpoint
/// fail must not send every call through discovery.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

pub(super) struct Endpoint {
    pub(super) issuer: Arc<str>,
    pub(super) policy: UrlPolicy,
    /// `None`: found by discovery.
    pub(super) at: Option<Box<str>>,
    pub(super) client_auth: ClientAuth,
    pub(super) signed: Option<Signed>,
    pub(super) max_response_bytes: usize,
    pub(super) jwks_options: JwksOptions,
    /// What is left of a call's time after it is for the call.
    pub(super) discovery_deadline: Duration,
    pub(super) clock: Clock,
    /// Held while discovery runs, so that it runs once. Only calls wait for it, and each has
    /// its deadline.
    pub(super) found: Mutex<Found>,
}

/// What discovery found, and when.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Without a time it is looked up again before it is used.
    place: Option<(Arc<str>, Option<Duration>)>,
    failure: Option<(String, Duration)>,
    forgotten: Option<Duration>,
}

impl Endpoint {
    /// Asks about a token.
    pub(super) async fn ask(
        &self,
        token: &str,
        fetch: &Arc<dyn Fetch>,
    ) -> Result<IntrospectionResponse, IntrospectionError> {
        let place = self.place(fetch).await?;
        let request = self.request(&place, token)?;
        let answer = match fetch.fetch(request, self.max_response_bytes).await {
            Ok(response) => self.read(&response).await,
            Err(error) => Err(error.into()),
        };
        answer.map_err(|error| IntrospectionError {
            text: format!("{place}: {}", error.text).into(),
            ..error
        })
    }

    /// Finds the endpoint now, where it is not configured.
    pub(super) async fn warm_up(&self, fetch: &Arc<dyn Fetch>) -> Result<(), IntrospectionError> {
        // It may have moved, and an operator who asks need not wait for the hour.
        if let Some((_, found_at)) = &mut self.found.lock().await.place {
            *found_at = None;
        }
        self.place(fetch).await.map(drop)
    }

    /// Looks for the endpoint anew before the next call: it may have moved.
    pub(super) async fn forget_place(&self) {
        let mut found = self.found.lock().await;
        let now = self.clock.monotonic();
        let lately = |at: Duration| now < at.saturating_add(LOOK_AGAIN);
        if found.forgotten.is_some_and(lately) {
            return;
        }
        if let Some((_, found_at)) = &mut found.place {
            *found_at = None;
            found.forgotten = Some(now);
        }
    }

    async fn place(&self, fetch: &Arc<dyn Fetch>) -> Result<Arc<str>, IntrospectionError> {
        if let Some(at) = &self.at {
            return Ok((**at).into());
        }
        let mut found = self.found.lock().await;
        let now = self.clock.monotonic();
        let young = |at: Duration, life| now < at.saturating_add(life);
        if let Some((place, found_at)) = &found.place
            && found_at.is_some_and(|at| young(at, self.jwks_options.rediscovery))
        {
            return Ok(Arc::clone(place));
        }
        if let Some((failure, failed_at)) = &found.failure {
            match &found.place {
                // The last one known may still answer.
                Some((place, _)) if young(*failed_at, LOOK_AGAIN) => return Ok(Arc::clone(place)),
                None if young(*failed_at, FAILURE_LIFE) => {
                    return Err(IntrospectionError::new(Kind::Unreachable, failure.clone()));
                }
                _ => {}
            }
        }
        let discovery = tokio::time::timeout(self.discovery_deadline, self.discover(fetch));
        let discovered = match discovery.await {
            Ok(discovered) => discovered,
            Err(_) => Err(format!(
                "discovery ended not within {} ms",
                self.discovery_deadline.as_millis()
            )),
        };
        // It may have taken longer than a failure is remembered.
        let now = self.clock.monotonic();
        match discovered {
            Ok(place) => {
                let place: Arc<str> = place.into();
                found.place = Some((Arc::clone(&place), Some(now)));
                found.failure = None;
                Ok(place)
            }
            Err(failure) => {
                found.failure = Some((failure.clone(), now));
                match &found.place {
                    Some((place, _)) => Ok(Arc::clone(place)),
                    None => Err(IntrospectionError::new(Kind::Unreachable, failure)),
                }
            }
        }
    }

    async fn discover(&self, fetch: &Arc<dyn Fetch>) -> Result<Box<str>, String> {
        let Self { issuer, policy, .. } = self;
        let limits = Limits {
            within: self.discovery_deadline,
            max_bytes: self.jwks_options.max_document_bytes,
        };
        let wanted = Wanted::IntrospectionEndpoint;
        let place = discovery::find(wanted, issuer, limits, policy, &**fetch).await?;
        let (Ok(endpoint), Ok(own)) = (Url::parse(&place), Url::parse(issuer)) else {
            return Err(format!("{place:?} is no URL"));
        };
        // Credentials go there, and a document is not who configured them.
        if endpoint.origin() != own.origin() {
            return Err(format!(
                "the introspection_endpoint {place:?} is not on the origin of the issuer; if it \
                 is the right one, configure it with `Introspection::at`"
            ));
        }
        let in_the_open = matches!(self.client_auth, ClientAuth::Nothing { anywhere: false });
        if in_the_open && !is_loopback(&endpoint) {
            return Err(format!(
                "{place:?} is not on loopback, and no credentials are configured"
            ));
        }
        Ok(place)
    }

    fn request(&self, place: &str, token: &str) -> Result<Request<Bytes>, IntrospectionError> {
        let mut form = Serializer::new(String::new());
        form.append_pair("token", token);
        form.append_pair("token_type_hint", "access_token");
        self.client_auth
            .add_to(&mut form, &self.issuer, self.clock.now())
            .map_err(IntrospectionError::failed)?;
        let accept = match &self.signed {
            Some(_) => Signed::MEDIA_TYPE,
            None => "application/json",
        };
        let mut request = Request::post(place)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(ACCEPT, accept);
        if let Some(proof) = self.client_auth.header() {
            request = request.header(AUTHORIZATION, proof);
        }
        request
            .body(form.finish().into())
            .map_err(|_| IntrospectionError::failed("not a URL that can be requested"))
    }

    async fn read(
        &self,
        response: &Response<Bytes>,
    ) -> Result<IntrospectionResponse, IntrospectionError> {
        let body = response.body();
        check_status(response, self.clock.now())?;
        if body.len() > self.max_response_bytes {
            return Err(unreadable(format!(
                "the answer has more than {} bytes",
                self.max_response_bytes
            )));
        }
        let expected = match &self.signed {
            Some(_) => Signed::MEDIA_TYPE,
            None => "application/json",
        };
        check_media_type(response.headers(), expected, self.signed.is_some())?;
        let said = match &self.signed {
            Some(signed) => signed.open(body, self.clock.now()).await,
            None => json::object(body).map(|mut said| {
                let json = std::str::from_utf8(body).unwrap_or_default();
                keep_long_names(json, &mut said);
                said
            }),
        };
        let said = said.map_err(|why| unreadable(format!("the answer: {why}")))?;
        if !said.contains_key("active") {
            return Err(unreadable(
                "the answer has no `active`: is this an introspection endpoint?",
            ));
        }
        Ok(IntrospectionResponse::active(said))
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("issuer", &self.issuer)
            .field("at", &self.at)
            .field("client_auth", &self.client_auth)
            .finish_non_exhaustive()
    }
}

/// Everything but 200 is trouble between us and the server, and says nothing of the token.
fn check_status(response: &Response<Bytes>, now: Duration) -> Result<(), IntrospectionError> {
    let (status, headers) = (response.status(), response.headers());
    let code = status.as_u16();
    Err(match status {
        StatusCode::OK => return Ok(()),
        // RFC 6749 section 5.2: with 400 as well.
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::BAD_REQUEST
            if names_us(response) =>
        {
            IntrospectionError::credentials_refused(format!(
                "status {code}: the server names the credentials of this server as the error"
            ))
        }
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => IntrospectionError::new(
            Kind::Refused,
            format!(
                "status {code}, which speaks of the credentials of this server, or, at some \
                 servers, of one token"
            ),
        ),
        StatusCode::BAD_REQUEST => IntrospectionError::token_not_supported(
            "status 400: some servers introspect no JWTs, which are then to be checked with keys; \
             others answer so where the way this server proves who it is is not the one they ask \
             for",
        ),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            let pause = retry_after(headers, now);
            IntrospectionError::new(Kind::Busy(pause), format!("status {code}"))
        }
        _ => IntrospectionError::failed(format!("status {code}")),
    })
}

/// An answer, but none that says anything.
fn unreadable(text: impl Into<String>) -> IntrospectionError {
    IntrospectionError::new(Kind::Answer, text)
}

/// RFC 9110 section 10.2.3: seconds, or a date.
fn retry_after(headers: &HeaderMap, now: Duration) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    match value.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => http_date(value).map(|at| at.saturating_sub(now)),
    }
}

/// A page that happens to parse is no answer. Without a type the body decides, except where
/// a signed answer was asked for: there is no way back to an unsigned one.
fn check_media_type(
    headers: &HeaderMap,
    expected: &str,
    required: bool,
) -> Result<(), IntrospectionError> {
    let Some(value) = headers.get(CONTENT_TYPE) else {
        if required {
            return Err(unreadable(format!(
                "the answer has no content type, where {expected} was asked for"
            )));
        }
        return Ok(());
    };
    let value = value.to_str().unwrap_or_default();
    let media_type = value.split(';').next().unwrap_or_default().trim();
    if media_type.eq_ignore_ascii_case(expected) {
        return Ok(());
    }
    Err(unreadable(format!(
        "the answer is {}, and not {expected}",
        crate::util::quoted(media_type)
    )))
}
