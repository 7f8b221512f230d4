//! The conditions that a request puts on a key, besides that it is known.

use std::sync::Arc;

use crate::credential::RequestHead;
use crate::resource::Resource;

/// Whether a refusal names the key's owner: to a layer that may let it pass, and to no other,
/// because then it is less work to refuse a key that never was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    Dropped,
    Kept,
}

/// What is asked of the key of a request. Nothing of it is kept with the key.
#[derive(Clone, Copy)]
pub(super) struct Demand<'r> {
    pub(super) proof: Proof,
    resource: Option<&'r Arc<Resource>>,
    must_name: bool,
}

impl<'r> Demand<'r> {
    /// `all_resources`: a key that names no resource is good at all of them.
    pub(super) fn of(head: RequestHead<'r>, all_resources: bool) -> Self {
        Self {
            proof: match head.needs_proof() {
                true => Proof::Kept,
                false => Proof::Dropped,
            },
            resource: head.resource(),
            must_name: head.is_one_of_several() && !all_resources,
        }
    }

    /// The URL of the resource that the key must be for. `None`: it is not known.
    pub(super) fn resource(&self) -> Option<&'r str> {
        self.resource.map(|resource| resource.url())
    }

    /// Whether a key that names no resource is refused.
    pub(super) fn must_name(&self) -> bool {
        self.must_name
    }

    /// The same for a request that waits.
    #[cfg(feature = "api-key-store")]
    pub(super) fn to_owned(self) -> OwnedDemand {
        OwnedDemand {
            proof: self.proof,
            resource: self.resource.cloned(),
            must_name: self.must_name,
        }
    }
}

/// A [`Demand`] that outlives the head of its request.
#[cfg(feature = "api-key-store")]
pub(super) struct OwnedDemand {
    proof: Proof,
    resource: Option<Arc<Resource>>,
    must_name: bool,
}

#[cfg(feature = "api-key-store")]
impl OwnedDemand {
    pub(super) fn get(&self) -> Demand<'_> {
        Demand {
            proof: self.proof,
            resource: self.resource.as_ref(),
            must_name: self.must_name,
        }
    }
}
