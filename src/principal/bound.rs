//! What a credential is bound to: a caller that presents it must show that it has that.

/// A SHA-256 thumbprint: of a JSON Web Key ([RFC 7638](https://www.rfc-editor.org/rfc/rfc7638)), or
/// of a certificate ([RFC 8705](https://www.rfc-editor.org/rfc/rfc8705#section-3.1)).
pub(crate) type Thumbprint = [u8; 32];

/// What the `cnf` claim (RFC 7800) of a token names. Of two both must be shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct BoundTo {
    /// The key of its client: RFC 9449 section 6.1.
    pub(crate) key: Option<Thumbprint>,
    /// The certificate of its client: RFC 8705 section 3.1.
    pub(crate) certificate: Option<Thumbprint>,
}

#[cfg(feature = "jwt")]
impl BoundTo {
    pub(crate) fn is_anything(&self) -> bool {
        self.key.is_some() || self.certificate.is_some()
    }

    /// For keeping: most credentials are bound to nothing, and all of them are kept and moved.
    pub(crate) fn kept(self) -> Option<Box<Self>> {
        self.is_anything().then(|| Box::new(self))
    }
}

#[cfg(feature = "oauth")]
impl BoundTo {
    /// What either names, this one first.
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            key: self.key.or(other.key),
            certificate: self.certificate.or(other.certificate),
        }
    }

    /// What both name together. `None`: they contradict each other.
    pub(crate) fn and(self, other: Self) -> Option<Self> {
        let both = self.or(other);
        (both == other.or(self)).then_some(both)
    }
}
