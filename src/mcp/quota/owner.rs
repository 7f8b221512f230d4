//! By what a caller is counted: tenant, subject, client, or address.

use std::borrow::Cow;

use super::budget::{Budget, BudgetKey};
use crate::error::{AuthError, Reason};
use crate::json::{Fault, Scanner};
use crate::peer::CountedAddr;
use crate::principal::Principal;

/// How many bits of an IPv6 address count: what one host has at the least.
const IPV6_PREFIX: u8 = 64;
/// What principals of API keys name as their provider. Who has a key cannot make another one.
const API_KEY: &str = "api_key";
/// Kinds of owners that are anonymous.
const ADDRESS: &str = "address";
const NOWHERE: &str = "nowhere";

/// Who has a bucket. No two owners have the same parts.
pub(super) struct Owner<'a> {
    kind: &'static str,
    /// The issuer, or a provider that has none.
    scope: &'a str,
    name: Name<'a>,
    /// Why a caller may have many of these.
    pub(super) multiplies: Option<Multiplies>,
}

enum Name<'a> {
    Text(Cow<'a, str>),
    Address([u8; 17]),
}

/// What callers may be able to multiply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Multiplies {
    Client,
    Credential,
    /// The other way round: many callers have one.
    NoAddress,
}

impl<'a> Owner<'a> {
    fn of(kind: &'static str, scope: &'a str, name: impl Into<Cow<'a, str>>) -> Self {
        Self {
            kind,
            scope,
            name: Name::Text(name.into()),
            multiplies: None,
        }
    }

    /// The owner of the bucket of a budget that a request is counted by.
    pub(super) fn find(
        budget: &Budget,
        principal: Option<&'a Principal>,
        address: Option<CountedAddr>,
    ) -> Result<Self, AuthError> {
        if budget.key == BudgetKey::Everyone {
            return Ok(Self::of("all", "", ""));
        }
        let Some(principal) = principal else {
            return Ok(Self::anonymous(address));
        };
        let identity = principal.identity();
        // By its issuer, through whichever provider a token came.
        let scope = identity.issuer().unwrap_or(identity.provider());
        if let Some(claim) = &budget.tenant {
            match tenant(identity.raw_claims().unwrap_or("{}"), claim) {
                Some(tenant) => return Ok(Self::of("tenant", scope, tenant)),
                None if budget.needs_tenant => {
                    let detail = format!(
                        "the budget `{}` is counted by the claim `{claim}`, which is missing, or \
                         neither a text nor a whole number",
                        budget.name
                    );
                    return Err(AuthError::new(Reason::MISSING_TENANT).with_detail(detail));
                }
                None => {}
            }
        }
        let client = || {
            let client = identity.client_id()?;
            let mut owner = Self::of("client", scope, client);
            owner.multiplies = Some(Multiplies::Client);
            Some(owner)
        };
        if budget.key == BudgetKey::Client
            && let Some(client) = client()
        {
            return Ok(client);
        }
        if let Some(subject) = identity.subject() {
            return Ok(Self::of("subject", scope, subject));
        }
        if let Some(username) = identity.username() {
            return Ok(Self::of("username", scope, username));
        }
        if let Some(client) = client() {
            return Ok(client);
        }
        // With a digest of the credential.
        let mut owner = Self::of("credential", scope, principal.id().as_str());
        if identity.provider() != API_KEY {
            owner.multiplies = Some(Multiplies::Credential);
        }
        Ok(owner)
    }

    fn anonymous(address: Option<CountedAddr>) -> Self {
        match address {
            Some(address) => Self {
                kind: ADDRESS,
                scope: "",
                name: Name::Address(address.bytes()),
                multiplies: None,
            },
            None => {
                let mut owner = Self::of(NOWHERE, "", "");
                owner.multiplies = Some(Multiplies::NoAddress);
                owner
            }
        }
    }

    /// Whether it is a caller without a principal.
    pub(super) fn is_anonymous(&self) -> bool {
        matches!(self.kind, ADDRESS | NOWHERE)
    }

    pub(super) fn parts(&self) -> [&[u8]; 3] {
        let name = match &self.name {
            Name::Text(text) => text.as_bytes(),
            Name::Address(bytes) => bytes,
        };
        [self.kind.as_bytes(), self.scope.as_bytes(), name]
    }
}

/// The address that an anonymous caller is counted by.
pub(super) fn counted(address: std::net::IpAddr) -> CountedAddr {
    CountedAddr::of(address, IPV6_PREFIX)
}

/// The claim that has the tenant. Claims that cannot be read have none.
fn tenant<'c>(claims: &'c str, wanted: &str) -> Option<Cow<'c, str>> {
    read(claims, wanted).ok().flatten()
}

fn read<'c>(claims: &'c str, wanted: &str) -> Result<Option<Cow<'c, str>>, Fault> {
    let mut json = Scanner::lenient(claims);
    let mut members = json.enter(b'{')?;
    let mut found = None;
    // To the end: of two with one name the last one counts, as elsewhere.
    while let Some(name) = json.member(&mut members)? {
        let is_wanted = *name == *wanted;
        match json.peek() {
            Some(b'"') if is_wanted => found = Some(json.string()?),
            Some(b'-' | b'0'..=b'9') if is_wanted => {
                let number = json.skip()?;
                // `1e3` and `1000` are one number to some.
                let digits = number.strip_prefix('-').unwrap_or(number);
                let is_whole = digits.bytes().all(|byte| byte.is_ascii_digit());
                found = is_whole.then_some(number.into());
            }
            _ => {
                json.skip()?;
                if is_wanted {
                    found = None;
                }
            }
        }
    }
    Ok(found.filter(|tenant: &Cow<'_, str>| !tenant.is_empty()))
}
