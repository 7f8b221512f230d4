//! Values of `acr` that are stronger than others.

use std::fmt;

use serde::{Deserialize, Deserializer};

use super::strength::listed;
use super::value::Values;
use crate::error::ConfigError;

/// Which values of `acr` are stronger than which others.
///
/// The values of an authorization server have no order that a resource server could know
/// ([RFC 9470 section 5]): it is configured.
///
/// ```
/// use tower_mcp_auth::scopes::{AcrOrder, Requirement};
///
/// let order = AcrOrder::new(["pwd", "mfa", "phr"])?; // the weakest first
/// assert!(order.at_least("mfa")?.eq(["mfa", "phr"]));
/// assert!(order.at_least("gold").is_err());
///
/// let pay = Requirement::all(["payments"])?.acr(order.at_least("mfa")?)?;
/// let sign = Requirement::authenticated().acr(order.at_least("phr")?)?;
/// // Both together accept `phr` alone.
/// let both = pay.and(&sign);
/// # let _ = both;
/// # Ok::<(), tower_mcp_auth::ConfigError>(())
/// ```
///
/// As a serde value it is the list, or one text with white space between the values.
///
/// [RFC 9470 section 5]: https://www.rfc-editor.org/rfc/rfc9470#section-5
#[derive(Clone, Default, PartialEq, Eq)]
pub struct AcrOrder(Vec<Box<str>>);

impl AcrOrder {
    /// From these values, the weakest first.
    ///
    /// # Errors
    /// There is none, one is there twice, or one has characters that
    /// [`Strength::acr`](super::Strength::acr) refuses.
    pub fn new<I>(values: I) -> Result<Self, ConfigError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let given: Vec<I::Item> = values.into_iter().collect();
        let values = listed("acr_order", &given)?;
        if values.len() != given.len() {
            return Err(ConfigError::new(
                "acr_order",
                "a value is there twice, and has one place: take one of them out",
            ));
        }
        Ok(Self(values))
    }

    /// This value and all that are stronger, the weakest first.
    ///
    /// # Errors
    /// The order does not have it.
    pub fn at_least(&self, value: &str) -> Result<impl Iterator<Item = &str>, ConfigError> {
        let place = self.place(value).ok_or_else(|| {
            ConfigError::new(
                "acr_order",
                format!("{value:?} is none of its values: add it, or ask for another one"),
            )
        })?;
        Ok(self.0[place..].iter().map(|value| &**value))
    }

    /// These values with all that are stronger, the least demanding first. Without an order each
    /// stands for itself.
    ///
    /// # Errors
    /// One that the order does not have.
    pub(super) fn widened<'v>(&self, values: &'v [Box<str>]) -> Result<Vec<Box<str>>, &'v str> {
        if self.0.is_empty() {
            return Ok(values.to_vec());
        }
        let mut lowest = self.0.len();
        for value in values {
            lowest = lowest.min(self.place(value).ok_or(&**value)?);
        }
        Ok(self.0[lowest..].to_vec())
    }

    fn place(&self, value: &str) -> Option<usize> {
        self.0.iter().position(|own| **own == *value)
    }
}

impl fmt::Debug for AcrOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.0).finish()
    }
}

impl<'de> Deserialize<'de> for AcrOrder {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Values(values) = Deserialize::deserialize(deserializer)?;
        Self::new(values).map_err(serde::de::Error::custom)
    }
}
