//! What the attacks are made with: credentials, and the request they are put into.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};
use http::{Method, Request};

use super::super::dpop::{DpopKey, DpopProofBuilder};
use super::super::keys::random_name;
use super::forge::{Draft, Forge};
use super::settings::Hostile;
use super::shot::{Shot, append, target};

pub(super) struct Kit<'h> {
    pub(super) settings: &'h Hostile,
    pub(super) host: String,
    /// The path of the requests.
    pub(super) path: String,
    pub(super) forge: Option<&'h Forge>,
    pub(super) credentials: Vec<Credential>,
    pub(super) proving: Option<&'h DpopKey>,
    /// What the service wants in proofs.
    pub(super) nonce: Option<String>,
    /// A session of the good credential.
    pub(super) session: Option<String>,
    /// A URL that nothing should be read from.
    pub(super) trap: String,
}

/// A good one.
#[derive(Clone)]
pub(super) struct Credential {
    pub(super) kind: &'static str,
    pub(super) header: HeaderName,
    /// As it stands in its header.
    pub(super) value: String,
    /// The secret in it.
    pub(super) secret: String,
}

impl<'h> Kit<'h> {
    pub(super) fn new(settings: &'h Hostile, host: String, path: String) -> Self {
        let material = settings.material();
        let mut credentials = Vec::new();
        if let Some(secret) = &material.token {
            let scheme = if settings.dpop { "DPoP" } else { "Bearer" };
            credentials.push(Credential {
                kind: "access token",
                header: header::AUTHORIZATION,
                value: format!("{scheme} {secret}"),
                secret: secret.clone(),
            });
        }
        for (header, key) in &settings.api_keys {
            credentials.push(Credential {
                kind: "API key",
                header: header.clone(),
                value: key.clone(),
                secret: key.clone(),
            });
        }
        Self {
            settings,
            host,
            path,
            forge: material.forge.as_ref(),
            credentials,
            proving: material.proving.as_ref(),
            nonce: None,
            session: None,
            trap: String::new(),
        }
    }

    /// The request without a credential.
    pub(super) fn request(&self) -> Request<Bytes> {
        self.request_to(&self.path).unwrap_or_default()
    }

    /// The same to another target. `None`: no request can have it.
    pub(super) fn request_to(&self, text: &str) -> Option<Request<Bytes>> {
        let mut request = Request::new(self.settings.body.clone());
        *request.method_mut() = self.settings.method.clone();
        *request.uri_mut() = target(text)?;
        append(&mut request, "host", &self.host);
        append(&mut request, "content-type", &self.settings.content_type);
        let accept = "application/json, text/event-stream";
        append(&mut request, "accept", accept);
        Some(request)
    }

    /// Without a credential.
    pub(super) fn plain(&self, label: impl Into<Cow<'static, str>>) -> Shot {
        Shot::new(label, self.request())
    }

    /// Each with one more header.
    pub(super) fn with_headers(&self, rows: &[(&'static str, &'static str)]) -> Vec<Shot> {
        let shot = |(name, value): &(&'static str, &'static str)| {
            self.plain(format!("{name}: {value}")).header(name, value)
        };
        rows.iter().map(shot).collect()
    }

    /// With a good credential, and a new proof for it.
    pub(super) fn admitted(
        &self,
        label: impl Into<Cow<'static, str>>,
        credential: &Credential,
    ) -> Shot {
        let mut shot = self.plain(label);
        self.put(&mut shot.request, credential);
        shot
    }

    /// Puts a good credential into a request.
    pub(super) fn put(&self, request: &mut Request<Bytes>, credential: &Credential) {
        if let Ok(mut value) = HeaderValue::from_str(&credential.value) {
            value.set_sensitive(true);
            request
                .headers_mut()
                .append(credential.header.clone(), value);
        }
        if credential.kind == "access token"
            && let Some(proof) = self.proof(request.method(), &credential.secret)
        {
            append(request, "dpop", proof.sign());
        }
    }

    /// With this token where a good one stands.
    pub(super) fn with_token(&self, label: impl Into<Cow<'static, str>>, token: &str) -> Shot {
        let scheme = if self.settings.dpop { "DPoP" } else { "Bearer" };
        let mut shot = self
            .plain(label)
            .header("authorization", format!("{scheme} {token}"))
            .secret(token);
        if let Some(proof) = self.proof(&self.settings.method, token) {
            shot = shot.header("dpop", proof.sign());
        }
        shot
    }

    pub(super) fn with_draft(
        &self,
        label: impl Into<Cow<'static, str>>,
        draft: &Draft<'_>,
    ) -> Shot {
        self.with_token(label, &draft.sign())
    }

    /// A good proof. `None`: tokens need none.
    pub(super) fn proof(&self, method: &Method, token: &str) -> Option<DpopProofBuilder> {
        let key = self.proving?;
        let now = self.forge.map_or(0, Forge::now);
        let url = &self.settings.resource_text;
        let proof = key.proof(method.as_str(), url).access_token(token);
        let proof = proof.issued_at(Duration::from_secs(now));
        Some(match &self.nonce {
            Some(nonce) => proof.nonce(nonce),
            None => proof,
        })
    }

    /// Tokens that are nearly good. None, where there is no good one.
    pub(super) fn forged<L>(&self, make: impl FnOnce(&'h Forge) -> Vec<(L, Draft<'h>)>) -> Vec<Shot>
    where
        L: Into<Cow<'static, str>>,
    {
        let drafts = self.forge.map(make).unwrap_or_default();
        let shot = |(label, draft): (L, Draft<'_>)| self.with_draft(label, &draft);
        drafts.into_iter().map(shot).collect()
    }

    /// The good token, if there is one.
    pub(super) fn token(&self) -> Option<&Credential> {
        let is_token = |credential: &&Credential| credential.kind == "access token";
        self.credentials.iter().find(is_token)
    }

    /// The good API keys.
    pub(super) fn keys(&self) -> impl Iterator<Item = &Credential> {
        let is_key = |credential: &&Credential| credential.kind == "API key";
        self.credentials.iter().filter(is_key)
    }

    /// A text that must not come back, and that nothing else contains.
    pub(super) fn marker() -> String {
        random_name().replace(['-', '_'], "x")
    }

    /// What is in the place of a credential where there is no good one.
    pub(super) fn some_secret(&self) -> String {
        match self.credentials.first() {
            Some(credential) => credential.secret.clone(),
            None => Self::marker(),
        }
    }
}
