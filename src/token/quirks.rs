//! What tokens of some issuers say in another way than RFC 9068 does, as data.
//!
//! Nothing of this is looked at for an issuer without quirks: its claims were read once, and
//! that was all.

use std::borrow::Cow;
use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Map, Value};

use super::claims::ClaimReader;
use super::required::Required;
use super::subject_pattern::SubjectPattern;
use crate::error::{AuthError, Reason};
use crate::util::quoted;

/// See the [module](self).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Quirks {
    /// Which claim names the client, where it is not `client_id`.
    pub(crate) client_claim: Option<Cow<'static, str>>,
    /// The clients with tokens that are accepted without an audience.
    pub(crate) clients: Clients,
    /// Audiences all tokens of the issuer have: they say nothing, and count as none.
    pub(crate) ignore_audiences: Vec<Box<str>>,
    /// Claims that must have one of these values.
    pub(crate) required: Vec<Required>,
    /// Lists of patterns of subjects: of each list, one must match.
    pub(crate) subjects: Vec<Vec<SubjectPattern>>,
    /// Audiences for which every token counts as an access token.
    pub(crate) any_token_for: Vec<Box<str>>,
    /// Whether `auth_time` must be there, and not after `iat`.
    pub(crate) auth_time: bool,
    /// Claims that access tokens of the issuer have, and no other kind of its tokens.
    pub(crate) marks: Cow<'static, [Cow<'static, str>]>,
    pub(crate) mappings: Vec<ScopeMapping>,
}

/// The clients with tokens that are accepted although they have no audience.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Clients {
    #[default]
    None,
    OneOf(Vec<Box<str>>),
    Any,
}

/// Roles or groups, and the scopes they stand for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ScopeMapping {
    /// The members that lead to them, from the claim on.
    pub(crate) path: Vec<Box<str>>,
    /// By role: scopes, separated by spaces.
    pub(crate) scopes: HashMap<Box<str>, Box<str>>,
}

impl Quirks {
    pub(crate) fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// The claims as the profile judges them. `payload` was read once already, strictly.
    pub(crate) fn amend_payload(
        &self,
        claims: &mut ClaimReader<'_>,
        payload: &str,
    ) -> Result<(), AuthError> {
        let all = serde_json::from_str(payload)
            .map_err(|_| malformed("the claims are no JSON object".to_owned()))?;
        self.amend(claims, &all)
    }

    /// The same, of claims that are at hand.
    pub(crate) fn amend(
        &self,
        claims: &mut ClaimReader<'_>,
        all: &Map<String, Value>,
    ) -> Result<(), AuthError> {
        if let Some(claim) = &self.client_claim {
            claims.client_id = text(all, claim)?.map(|client| Cow::Owned(client.to_owned()));
        }
        let is_shared = |aud: &str| self.ignore_audiences.iter().any(|shared| **shared == *aud);
        let named = claims.aud.iter().count();
        claims.aud.retain(|aud| !is_shared(aud));
        // An empty list stays one: a token for no audience is not one without the claim.
        claims.has_aud &= named == 0 || claims.aud.iter().next().is_some();
        let is_there = |name: &str| all.get(name).is_some_and(|value| !value.is_null());
        let is_for_any = |aud: &str| self.any_token_for.iter().any(|own| **own == *aud);
        claims.marked =
            self.marks.iter().any(|mark| is_there(mark)) || claims.aud.iter().any(is_for_any);
        for required in &self.required {
            if claims.unmet.is_none() {
                claims.unmet = required.unmet_by(all);
            }
        }
        if claims.unmet.is_none() {
            claims.unmet = self.unmet_subject(claims.sub.as_deref());
        }
        if claims.unmet.is_none() && self.auth_time {
            claims.unmet = unmet_auth_time(claims.iat, all.get("auth_time"));
        }
        for mapping in &self.mappings {
            mapping.add_to(claims, all)?;
        }
        Ok(())
    }
}

impl Quirks {
    /// What is wrong with a subject that matches none of a list of patterns.
    fn unmet_subject(&self, subject: Option<&str>) -> Option<String> {
        let is_met = |patterns: &&Vec<SubjectPattern>| match subject {
            Some(subject) => patterns.iter().any(|own| own.matches(subject)),
            None => false,
        };
        let unmet = self.subjects.iter().find(|patterns| !is_met(patterns))?;
        let subject = subject.map_or_else(|| "absent".to_owned(), quoted);
        Some(format!(
            "the claim sub is {subject}, and matches none of {} patterns of `require_subject`",
            unmet.len()
        ))
    }
}

/// What is wrong with the time of a sign-in. `iat` is judged by the clock, so that nothing that
/// is not after it lies in the future.
fn unmet_auth_time(iat: Option<Duration>, auth_time: Option<&Value>) -> Option<String> {
    let Some(iat) = iat else {
        return Some("the claim iat is absent, and this issuer writes it".to_owned());
    };
    let at = auth_time.and_then(Value::as_f64);
    match at.filter(|at| at.is_sign_positive()) {
        None => Some("the claim auth_time is no time, and this issuer writes one".to_owned()),
        Some(at) if at > iat.as_secs_f64() => {
            Some("the claim auth_time is later than iat".to_owned())
        }
        Some(_) => None,
    }
}

impl Clients {
    /// Judges a token without an audience by its client.
    pub(crate) fn check(&self, client: Option<&str>) -> Result<(), AuthError> {
        let Some(client) = client.filter(|client| !client.is_empty()) else {
            return Err(AuthError::new(Reason::MISSING_CLIENT)
                .with_detail("the token has no audience, and no client is named in it either"));
        };
        let is_accepted = match self {
            Self::None => false,
            Self::OneOf(clients) => clients.iter().any(|own| **own == *client),
            Self::Any => true,
        };
        if is_accepted {
            return Ok(());
        }
        Err(AuthError::new(Reason::CLIENT_MISMATCH).with_detail(format!(
            "the token has no audience, and its client {} is none of `client_ids`",
            quoted(client)
        )))
    }
}

impl ScopeMapping {
    fn add_to(
        &self,
        claims: &mut ClaimReader<'_>,
        all: &Map<String, Value>,
    ) -> Result<(), AuthError> {
        let mut found: Vec<&str> = Vec::new();
        for role in self.roles(all)? {
            if let Some(scopes) = self.scopes.get(role)
                && !found.contains(&&**scopes)
            {
                found.push(scopes);
            }
        }
        for scopes in found {
            let scope = claims.scope.get_or_insert_default().to_mut();
            if !scope.is_empty() {
                scope.push(' ');
            }
            scope.push_str(scopes);
        }
        Ok(())
    }

    /// The roles a token names: one string, an array of strings, or the names of an object's
    /// members.
    fn roles<'a>(&self, all: &'a Map<String, Value>) -> Result<Vec<&'a str>, AuthError> {
        let wrong = || malformed(format!("the claim {} has no roles", self.path.join(".")));
        let mut members = all;
        let (last, way) = self.path.split_last().expect("the setter asks for one");
        for step in way {
            members = match members.get(&**step) {
                None | Some(Value::Null) => return Ok(Vec::new()),
                Some(Value::Object(next)) => next,
                Some(_) => return Err(wrong()),
            };
        }
        match members.get(&**last) {
            None | Some(Value::Null) => Ok(Vec::new()),
            // Only a list of scopes is one by its spaces; the name of a group may have some.
            Some(Value::String(list)) if way.is_empty() && matches!(&**last, "scope" | "scp") => {
                Ok(list.split(' ').collect())
            }
            Some(Value::String(role)) => Ok(vec![role]),
            Some(Value::Array(roles)) => roles
                .iter()
                .map(|role| role.as_str().ok_or_else(wrong))
                .collect(),
            Some(Value::Object(roles)) => Ok(roles.keys().map(String::as_str).collect()),
            Some(_) => Err(wrong()),
        }
    }
}

fn text<'a>(all: &'a Map<String, Value>, claim: &str) -> Result<Option<&'a str>, AuthError> {
    match all.get(claim) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(malformed(format!("the claim {claim} is not a string"))),
    }
}

fn malformed(detail: String) -> AuthError {
    AuthError::new(Reason::MALFORMED_TOKEN).with_detail(detail)
}
