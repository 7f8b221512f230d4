//! `Bindings`: whether a request has all that its token is bound to, the key and the certificate.

use http::HeaderName;

use super::certificates::Certificates;
use super::check::{Binding, Checked, Expected, Presented};
use crate::clock::Clock;
use crate::credential::{Credential, RequestHead};
use crate::error::{AuthError, Reason};
use crate::peer::ShownCertificate;
use crate::principal::Principal;

/// What checks how the tokens of one layer are presented.
pub(in crate::oauth) struct Bindings {
    /// Where a server has tokens that are bound to keys.
    proofs: Option<Binding>,
    /// Where a server has tokens that are bound to certificates.
    certificates: Option<Certificates>,
}

/// What a request shows of its sender, kept while there is something to wait for.
pub(in crate::oauth) struct Shown {
    token: Presented,
    /// `None`: certificates are not looked at.
    certificate: Option<ShownCertificate>,
}

impl Shown {
    /// Whether the token came under the scheme `DPoP`.
    pub(in crate::oauth) fn is_by_proof(&self) -> bool {
        matches!(self.token, Presented::Proof(_))
    }
}

impl Bindings {
    pub(in crate::oauth) fn new(
        proofs: Option<Binding>,
        certificates: Option<Certificates>,
    ) -> Self {
        Self {
            proofs,
            certificates,
        }
    }

    pub(in crate::oauth) fn are_checked(&self) -> bool {
        self.proofs.is_some() || self.certificates.is_some()
    }

    pub(in crate::oauth) fn proofs(&self) -> Option<&Binding> {
        self.proofs.as_ref()
    }

    /// The headers that are removed from every request.
    pub(in crate::oauth) fn certificate_headers(&self) -> impl Iterator<Item = HeaderName> {
        self.certificates.iter().flat_map(Certificates::headers)
    }

    pub(in crate::oauth) fn shown(
        &self,
        credential: &Credential<'_>,
        head: RequestHead<'_>,
    ) -> Shown {
        let certificates = self.certificates.as_ref();
        Shown {
            token: match &self.proofs {
                Some(proofs) => proofs.presented(credential, head),
                None => Presented::Bearer,
            },
            certificate: certificates.map(|certificates| certificates.shown(head)),
        }
    }

    /// Judges how a token is presented, all but whether its proof was used before.
    pub(in crate::oauth) fn judge(
        &self,
        shown: &Shown,
        expected: Expected<'_>,
        clock: &Clock,
    ) -> Result<(), AuthError> {
        self.judge_certificate(shown, expected)?;
        match &self.proofs {
            Some(proofs) => proofs.judge(&shown.token, expected, clock.read()),
            None => Ok(()),
        }
    }

    /// The same, and records that the proof was used. The certificate comes before: who has not got
    /// it uses no proof up.
    pub(in crate::oauth) fn check(
        &self,
        shown: &Shown,
        expected: Expected<'_>,
        principal: &Principal,
        clock: &Clock,
    ) -> Result<Checked, AuthError> {
        self.judge_certificate(shown, expected)?;
        match &self.proofs {
            Some(proofs) => proofs.check(&shown.token, expected, principal, clock.read()),
            None => Ok(Checked::default()),
        }
    }

    fn judge_certificate(&self, shown: &Shown, expected: Expected<'_>) -> Result<(), AuthError> {
        let Some(bound_to) = &expected.bound_to.certificate else {
            return Ok(());
        };
        match (&self.certificates, &shown.certificate) {
            (Some(certificates), Some(shown)) => certificates.judge(shown, bound_to),
            // Such a token was refused for what it says.
            _ => Err(AuthError::new(Reason::BOUND_TOKEN)
                .with_detail("the token is bound to a certificate, and none are looked at")),
        }
    }
}
