//! The claim that names the subject, where that is another than `sub`.

use std::borrow::Cow;

use super::kinds;
use crate::error::{AuthError, ConfigError, Reason};
use crate::jose;
use crate::json::object::{Value, read_object};
use crate::util::quoted;

/// Which claim names the subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SubjectClaim {
    name: Box<str>,
    /// Entra ID: an object is one within its tenant (`tid`).
    within_tenant: bool,
    /// By which setter it was named.
    dangerous: bool,
}

/// The claims that are judged for themselves, that stand for a client or for all of a tenant, or
/// that are others in the next token of the same subject.
const NO_SUBJECTS: [&str; 30] = [
    "iss",
    "aud",
    "exp",
    "nbf",
    "iat",
    "jti",
    "client_id",
    "azp",
    "appid",
    "cid",
    "tid",
    "tenant_id",
    "org_id",
    "organization_id",
    "hd",
    "token_use",
    "cnf",
    "nonce",
    "scope",
    "scp",
    "sid",
    "session_id",
    "auth_time",
    "acr",
    "amr",
    "act",
    "may_act",
    "uti",
    "aio",
    "rh",
];

/// What users or administrators can change, and what another user may have next: names and
/// addresses, with nothing but letters and digits.
const REASSIGNED: [&str; 44] = [
    "email",
    "emails",
    "mail",
    "emailaddress",
    "useremail",
    "primaryemail",
    "verifiedprimaryemail",
    "verifiedsecondaryemail",
    "upn",
    "userprincipalname",
    "preferredusername",
    "uniquename",
    "username",
    "login",
    "userlogin",
    "loginname",
    "name",
    "fullname",
    "displayname",
    "givenname",
    "familyname",
    "middlename",
    "surname",
    "nickname",
    "handle",
    "alias",
    "screenname",
    "accountname",
    "windowsaccountname",
    "distinguishedname",
    "samaccountname",
    "onpremsamaccountname",
    "commonname",
    "phone",
    "phonenumber",
    "telephonenumber",
    "mobile",
    "msisdn",
    "website",
    "ipaddr",
    "actor",
    "repository",
    "projectpath",
    "namespacepath",
];

impl SubjectClaim {
    pub(crate) const SETTING: &'static str = "subject_claim";
    pub(crate) const DANGEROUS: &'static str = "dangerously_subject_claim";

    /// A claim that names the same subject for ever.
    pub(crate) fn named(name: &str) -> Result<Self, ConfigError> {
        let claim = Self::checked(Self::SETTING, name)?;
        if is_reassigned(name) {
            return Err(ConfigError::new(
                Self::SETTING,
                format!(
                    "what is in {name:?} can be changed, or given to somebody else, who would then \
                     be this principal; name the claim with an id that stays, or say \
                     `dangerously_subject_claim`"
                ),
            ));
        }
        Ok(claim)
    }

    /// Any claim that can name a subject.
    pub(crate) fn dangerously_named(name: &str) -> Result<Self, ConfigError> {
        Self::checked(Self::DANGEROUS, name)
    }

    /// Replaces what was named before, by the same setter.
    pub(crate) fn replace(self, before: &mut Option<Self>) -> Result<(), ConfigError> {
        match before.replace(self.clone()) {
            Some(before) if before.dangerous != self.dangerous => Err(ConfigError::new(
                Self::SETTING,
                "`dangerously_subject_claim` and `subject_claim` contradict each other: keep one",
            )),
            _ => Ok(()),
        }
    }

    fn checked(setting: &'static str, name: &str) -> Result<Self, ConfigError> {
        if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c == ',') {
            return Err(ConfigError::new(
                setting,
                format!("{name:?} is empty, or has white space or a comma; name one claim"),
            ));
        }
        if NO_SUBJECTS.contains(&name) || kinds::is_mark(name) {
            return Err(ConfigError::new(
                setting,
                format!(
                    "{name:?} names no subject: it has a meaning of its own, or is another one in \
                     the next token; for tokens of clients there is `clients_are_principals`"
                ),
            ));
        }
        Ok(Self {
            within_tenant: name == "oid",
            dangerous: setting == Self::DANGEROUS,
            name: name.into(),
        })
    }

    /// The subject, from claims that were read before, strictly. A whole number stands for its
    /// digits.
    pub(crate) fn read<'p>(&self, claims: &'p str) -> Result<Cow<'p, str>, AuthError> {
        let (mut subject, mut tenant, mut wrong) = (None, None, None);
        let read = read_object(claims, |name, value| {
            let place = match name {
                own if *own == *self.name => &mut subject,
                "tid" if self.within_tenant => &mut tenant,
                _ => return Ok(()),
            };
            match named(value) {
                Ok(text) => *place = text,
                Err(()) => wrong = Some(name.to_owned()),
            }
            Ok(())
        });
        read.map_err(|refused| jose::refused(refused, "claims"))?;
        if let Some(wrong) = wrong {
            return Err(AuthError::new(Reason::MALFORMED_TOKEN).with_detail(format!(
                "the claim {} names the subject, and is neither a string nor a whole number",
                quoted(&wrong)
            )));
        }
        let missing = |claim: &str| {
            AuthError::new(Reason::MISSING_SUBJECT).with_detail(format!(
                "the claim {claim:?}, by `subject_claim`, is not there"
            ))
        };
        let subject = subject.ok_or_else(|| missing(&self.name))?;
        if !self.within_tenant {
            return Ok(subject);
        }
        let tenant = tenant.ok_or_else(|| missing("tid"))?;
        // The first slash is where the tenant ends, whatever follows.
        if tenant.contains('/') {
            return Err(AuthError::new(Reason::MALFORMED_TOKEN)
                .with_detail("the claim tid has a slash, so it is no id of a tenant"));
        }
        Ok(Cow::Owned(format!("{tenant}/{subject}")))
    }
}

/// A text, or the digits of a whole number. One that is empty names no subject.
fn named(value: Value<'_>) -> Result<Option<Cow<'_, str>>, ()> {
    match value {
        Value::Null => Ok(None),
        Value::Text(text) => Ok(Some(text).filter(|text| !text.is_empty())),
        // As it is written: what does not fit 64 bits must not be rounded.
        Value::Number(number) if is_whole(number) => Ok(Some(Cow::Borrowed(number))),
        _ => Err(()),
    }
}

/// Whether a number has one spelling: neither a fraction nor an exponent, and no `-0`.
fn is_whole(number: &str) -> bool {
    let digits = number.strip_prefix('-').unwrap_or(number);
    number != "-0" && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether another user may have tomorrow what is in this claim. A name with a namespace is
/// judged by its last part.
fn is_reassigned(name: &str) -> bool {
    let last = name.rsplit(['/', ':', '|', '.']).next().unwrap_or(name);
    let folded = last.bytes().filter(u8::is_ascii_alphanumeric);
    let folded = folded.map(|byte| byte.to_ascii_lowercase());
    REASSIGNED.iter().any(|own| folded.clone().eq(own.bytes()))
}
