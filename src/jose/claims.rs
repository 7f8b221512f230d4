//! The claims of a JWT (RFC 7519 section 4), read once and strictly.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::compact::{json_error, or_wrong_type, wrong_type};
use super::json::{Names, Skip, Text, read_object};
use crate::error::{AuthError, ConfigError};

/// The claims this crate judges, borrowed from the payload. A claim of the wrong type was
/// refused, so `None` means absent.
#[derive(Debug, Default)]
pub(crate) struct Claims<'p> {
    pub(crate) iss: Option<Cow<'p, str>>,
    pub(crate) sub: Option<Cow<'p, str>>,
    pub(crate) aud: Vec<Cow<'p, str>>,
    pub(crate) has_aud: bool,
    pub(crate) exp: Option<Duration>,
    pub(crate) nbf: Option<Duration>,
    pub(crate) iat: Option<Duration>,
    pub(crate) client_id: Option<Cow<'p, str>>,
    pub(crate) azp: Option<Cow<'p, str>>,
    pub(crate) username: Option<Cow<'p, str>>,
    /// The configured scope claim, its scopes separated by spaces.
    pub(crate) scope: Option<Cow<'p, str>>,
    /// Whether `scope` or `scp` names any.
    pub(crate) has_scope: bool,
    pub(crate) token_use: Option<Cow<'p, str>>,
    /// The `typ` claim of the payload (Keycloak's), where it is a string.
    pub(crate) payload_typ: Option<Cow<'p, str>>,
    pub(crate) has_nonce: bool,
    /// The first claim found that only other kinds of tokens have.
    pub(crate) foreign: Option<&'static str>,
    pub(crate) confirmation: Option<Confirmation<'p>>,
    /// Whether one of the marks of an access token is there, where the issuer has such.
    pub(crate) marked: bool,
    /// The required claim that is missing or another, where the issuer's tokens have such.
    pub(crate) unmet: Option<String>,
}

/// The `cnf` claim (RFC 7800): the key the token is bound to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Confirmation<'p> {
    /// RFC 9449 section 6.1.
    pub(crate) jkt: Option<Cow<'p, str>>,
    /// RFC 8705 section 3.1.
    pub(crate) x5t_s256: Option<Cow<'p, str>>,
}

/// Which claim holds the scopes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ScopeClaim {
    pub(crate) name: Cow<'static, str>,
    /// RFC 9068 section 2.2.3 has one string; some servers send an array.
    pub(crate) array: bool,
}

impl ScopeClaim {
    /// The claims that are judged for themselves: read as scopes, they would not be.
    const JUDGED: [&'static str; 18] = [
        "iss",
        "sub",
        "aud",
        "exp",
        "nbf",
        "iat",
        "client_id",
        "azp",
        "username",
        "token_use",
        "typ",
        "cnf",
        "nonce",
        "at_hash",
        "c_hash",
        "s_hash",
        "events",
        "",
    ];

    /// A claim of another name, as a string with spaces or as an array of strings.
    pub(crate) fn named(name: Cow<'static, str>) -> Result<Self, ConfigError> {
        if Self::JUDGED.contains(&&*name) {
            return Err(ConfigError::new(
                "scope_claim",
                format!("{name:?} cannot hold scopes: it is empty, or has a meaning of its own"),
            ));
        }
        Ok(Self { name, array: true })
    }
}

impl Default for ScopeClaim {
    fn default() -> Self {
        Self {
            name: Cow::Borrowed("scope"),
            array: false,
        }
    }
}

impl<'p> Claims<'p> {
    pub(crate) fn read(payload: &'p [u8], scope: &ScopeClaim) -> Result<Self, AuthError> {
        let mut claims = Self::default();
        let visitor = ClaimsVisitor(scope, &mut claims);
        read_object(payload, visitor).map_err(|error| json_error(&error, "claims"))?;
        Ok(claims)
    }

    /// The client: `client_id` (RFC 9068), or `azp`.
    pub(crate) fn client(&self) -> Option<&str> {
        self.client_id.as_deref().or(self.azp.as_deref())
    }
}

/// Fills in claims where they stand: they are too large to be handed on.
struct ClaimsVisitor<'s, 'c, 'de>(&'s ScopeClaim, &'c mut Claims<'de>);

impl<'de> Visitor<'de> for ClaimsVisitor<'_, '_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self(scope, claims) = self;
        let mut names = Names::new();
        while let Some(name) = map.next_key_seed(Text)? {
            let is_scope = *name == *scope.name;
            match &*name {
                _ if is_scope => {
                    let scope = map
                        .next_value_seed(SpaceSeparated(scope.array))
                        .map_err(|_| wrong_type("scope"))?;
                    claims.has_scope |= !scope.is_empty() && is_scope_name(&name);
                    claims.scope = Some(scope);
                }
                // Not where scopes are read from; that there are some says what the token is.
                _ if is_scope_name(&name) => {
                    let scope = map
                        .next_value_seed(SpaceSeparated(true))
                        .map_err(|_| wrong_type("scope"))?;
                    claims.has_scope |= !scope.is_empty();
                }
                "iss" => claims.iss = Some(text(&mut map, "iss")?),
                "sub" => claims.sub = Some(text(&mut map, "sub")?),
                "aud" => {
                    claims.has_aud = true;
                    claims.aud = map
                        .next_value_seed(OneOrMany)
                        .map_err(|_| wrong_type("aud"))?;
                }
                "exp" => claims.exp = Some(date(&mut map, "exp")?),
                "nbf" => claims.nbf = Some(date(&mut map, "nbf")?),
                "iat" => claims.iat = Some(date(&mut map, "iat")?),
                "client_id" => claims.client_id = Some(text(&mut map, "client_id")?),
                "azp" => claims.azp = Some(text(&mut map, "azp")?),
                "username" => claims.username = Some(text(&mut map, "username")?),
                "token_use" => claims.token_use = Some(text(&mut map, "token_use")?),
                "typ" => claims.payload_typ = Some(text(&mut map, "typ")?),
                "cnf" => {
                    claims.confirmation = Some(
                        map.next_value_seed(ConfirmationSeed)
                            .map_err(|error| or_wrong_type(error, "cnf"))?,
                    );
                }
                "nonce" => {
                    claims.has_nonce = true;
                    map.next_value_seed(Skip(1))?;
                }
                "at_hash" | "c_hash" | "s_hash" | "events" => {
                    claims.foreign = claims.foreign.or(Some(match &*name {
                        "at_hash" => "at_hash",
                        "c_hash" => "c_hash",
                        "s_hash" => "s_hash",
                        _ => "events",
                    }));
                    map.next_value_seed(Skip(1))?;
                }
                _ => map.next_value_seed(Skip(1))?,
            }
            names.add(name)?;
        }
        Ok(())
    }
}

fn is_scope_name(name: &str) -> bool {
    matches!(name, "scope" | "scp")
}

fn text<'de, A: MapAccess<'de>>(map: &mut A, name: &str) -> Result<Cow<'de, str>, A::Error> {
    map.next_value_seed(Text).map_err(|_| wrong_type(name))
}

fn date<'de, A: MapAccess<'de>>(map: &mut A, name: &str) -> Result<Duration, A::Error> {
    map.next_value_seed(NumericDate)
        .map_err(|_| wrong_type(name))
}

/// RFC 7519 section 2, NumericDate: seconds since 1970, fractions allowed, never negative.
struct NumericDate;

impl<'de> DeserializeSeed<'de> for NumericDate {
    type Value = Duration;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Duration, D::Error> {
        // Not `deserialize_any`: where a build turns on serde_json's `arbitrary_precision`,
        // that passes numbers as maps, which an object in the token could imitate.
        deserializer.deserialize_f64(self)
    }
}

impl<'de> Visitor<'de> for NumericDate {
    type Value = Duration;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("seconds since 1970")
    }

    fn visit_u64<E>(self, seconds: u64) -> Result<Duration, E> {
        Ok(Duration::from_secs(seconds))
    }

    fn visit_f64<E: Error>(self, seconds: f64) -> Result<Duration, E> {
        Duration::try_from_secs_f64(seconds).map_err(E::custom)
    }
}

/// RFC 7519 section 4.1.3: one string, or an array of strings.
struct OneOrMany;

impl<'de> DeserializeSeed<'de> for OneOrMany {
    type Value = Vec<Cow<'de, str>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for OneOrMany {
    type Value = Vec<Cow<'de, str>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or an array of strings")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(vec![Cow::Borrowed(text)])
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(vec![Cow::Owned(text.to_owned())])
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut all = Vec::new();
        while let Some(text) = seq.next_element_seed(Text)? {
            all.push(text);
        }
        Ok(all)
    }
}

/// A string, or, where that is configured, an array of strings joined by spaces.
struct SpaceSeparated(bool);

impl<'de> DeserializeSeed<'de> for SpaceSeparated {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for SpaceSeparated {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("scopes")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        if !self.0 {
            return Err(A::Error::custom("an array where a string belongs"));
        }
        let mut joined = String::new();
        while let Some(scope) = seq.next_element_seed(Text)? {
            // One element is one scope; joined, a space inside would make it two.
            if scope.contains(' ') {
                return Err(A::Error::custom("a scope with a space"));
            }
            if !joined.is_empty() {
                joined.push(' ');
            }
            joined.push_str(&scope);
        }
        Ok(Cow::Owned(joined))
    }
}

struct ConfirmationSeed;

impl<'de> DeserializeSeed<'de> for ConfirmationSeed {
    type Value = Confirmation<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for ConfirmationSeed {
    type Value = Confirmation<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut confirmation = Confirmation::default();
        let mut names = Names::new();
        while let Some(name) = map.next_key_seed(Text)? {
            match &*name {
                "jkt" => confirmation.jkt = Some(text(&mut map, "jkt")?),
                "x5t#S256" => confirmation.x5t_s256 = Some(text(&mut map, "x5t#S256")?),
                // Keycloak adds members; those beside a known one change nothing.
                _ => map.next_value_seed(Skip(2))?,
            }
            names.add(name)?;
        }
        Ok(confirmation)
    }
}
