//! Two providers behind one layer, chosen by the form of the credential.

use std::fmt;
use std::sync::Arc;

use super::info::ProviderInfo;
use super::route::Route;
use super::{AuthLayer, Authenticate, Authentication};
use crate::credential::{Credential, RequestHead};
use crate::error::ConfigError;

/// Two providers behind one layer: what [`or`](AuthLayer::or) makes.
///
/// A credential goes to one of them, chosen by its form, and never to the other; see
/// [several providers](crate::auth#several-providers).
#[derive(Clone)]
pub struct Either<A, B> {
    left: A,
    right: B,
    info: Arc<ProviderInfo>,
    /// How many providers are on the left.
    split: usize,
}

impl<A: Authenticate, B: Authenticate> Either<A, B> {
    /// Either of two providers.
    ///
    /// # Errors
    /// A credential can have the form of both; both protect a resource of their own, or
    /// publish its metadata; or they go by different clocks. The message names both providers,
    /// and the way out.
    pub fn new(left: A, right: B) -> Result<Self, ConfigError> {
        let of_left = left.describe();
        let split = of_left.names.len();
        let info = Arc::new(ProviderInfo::merged(of_left, right.describe())?);
        Ok(Self {
            left,
            right,
            info,
            split,
        })
    }

    /// The provider written first.
    pub fn left(&self) -> &A {
        &self.left
    }

    /// The provider written second: the keys of `oauth.or(api_keys)`, to replace them.
    pub fn right(&self) -> &B {
        &self.right
    }
}

impl<A: Authenticate, B: Authenticate> Authenticate for Either<A, B> {
    fn describe(&self) -> ProviderInfo {
        (*self.info).clone()
    }

    fn route(&self, head: RequestHead<'_>) -> Route {
        match self.left.route(head) {
            Route::Default => self.right.route(head),
            own @ (Route::Document(_) | Route::Pending(_)) => own,
            // To one provider that may be any document; the other one serves it.
            chosen => match (chosen, self.right.route(head)) {
                (_, own @ (Route::Document(_) | Route::Pending(_))) => own,
                // The provider that chooses resources says where there is none.
                (refused @ Route::Refused(_), _) | (_, refused @ Route::Refused(_)) => refused,
                (chosen, _) => chosen,
            },
        }
    }

    fn authenticate(&self, credential: &Credential<'_>, head: RequestHead<'_>) -> Authentication {
        match credential.leaf().checked_sub(self.split) {
            None => self.left.authenticate(credential, head),
            Some(leaf) => self.right.authenticate(&credential.at_leaf(leaf), head),
        }
    }
}

impl<A: fmt::Debug, B: fmt::Debug> fmt::Debug for Either<A, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Either")
            .field(&self.left)
            .field(&self.right)
            .finish()
    }
}

impl<P: Authenticate + Clone> AuthLayer<P> {
    /// A layer that takes the credentials of `other` as well; see
    /// [several providers](crate::auth#several-providers).
    ///
    /// Set what both share (exempt paths, `forward_credential`, …) on the result: settings
    /// that differ are an error, because one of them would be lost.
    ///
    /// ```
    /// use tower_mcp_auth::ApiKeyLayer;
    ///
    /// let web = ApiKeyLayer::new(["b25lLXJhbmRvbS1rZXktMTIzNA"])?;
    /// let old = ApiKeyLayer::new(["YW5vdGhlci1yYW5kb20ta2V5LTU2"])?.header_name("X-Old-Key")?;
    /// let both = web.or(old)?.public_path("/health")?;
    /// # let _ = both;
    /// # Ok::<(), tower_mcp_auth::ConfigError>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`Either::new`]; or a setting is not the same on both layers.
    pub fn or<B>(
        self,
        other: impl Into<AuthLayer<B>>,
    ) -> Result<AuthLayer<Either<P, B>>, ConfigError>
    where
        B: Authenticate + Clone,
    {
        let ((left, mut shared), (right, other)) = (self.into_parts(), other.into().into_parts());
        shared.check_same(&other)?;
        let provider = Either::new(left, right)?;
        shared.join(&other);
        shared.follow(provider.describe());
        Ok(AuthLayer::from_parts(provider, shared))
    }
}
