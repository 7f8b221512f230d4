//! `OAuthLayer`: the layer.

use std::fmt;
use std::sync::Arc;

use super::{
    AuthorizationServer, KeyHealth, MetadataService, OAuthLayerBuilder, OAuthProvider,
    ProtectedResource, ServerMetadataService,
};
use crate::auth::{AuthLayer, auth_layer_newtype};
use crate::error::{AuthError, ConfigError};
use crate::requirement::Strength;
use crate::resources::Hosts;

/// The layer of an OAuth 2.1 resource server.
///
/// [`new`](Self::new) takes two strings, [`builder`](Self::builder) has the settings. The
/// [module docs](crate::oauth) have an example that shows an accept and a reject, the
/// [guide](crate::guide::why_does_my_client_not_get_in) what to do when a client does not get in.
#[derive(Clone)]
#[must_use]
pub struct OAuthLayer(AuthLayer<OAuthProvider>);

impl OAuthLayer {
    /// A layer from two strings: who we are, and whom we trust.
    ///
    /// `resource` is the public URL of the MCP endpoint, `server` the issuer identifier of
    /// the authorization server. Tokens must be from that issuer and for that resource.
    ///
    /// ```
    /// use tower_mcp_auth::OAuthLayer;
    ///
    /// let layer = OAuthLayer::new("https://mcp.example.com/mcp", "https://auth.example.com")?;
    /// assert!(OAuthLayer::new("https://mcp.example.com/mcp", "http://auth.example.com").is_err());
    /// # let _ = layer;
    /// # Ok::<(), tower_mcp_auth::ConfigError>(())
    /// ```
    ///
    /// # Errors
    /// See [`ProtectedResource::new`] and [`AuthorizationServer::new`].
    pub fn new<R, A>(resource: R, server: A) -> Result<Self, ConfigError>
    where
        R: TryInto<ProtectedResource>,
        A: TryInto<AuthorizationServer>,
        ConfigError: From<R::Error> + From<A::Error>,
    {
        Self::builder(resource)?
            .authorization_server(server)?
            .build()
    }

    /// Starts a layer for `resource` with settings of its own.
    ///
    /// # Errors
    /// See [`ProtectedResource::new`].
    pub fn builder<R>(resource: R) -> Result<OAuthLayerBuilder, ConfigError>
    where
        R: TryInto<ProtectedResource>,
        ConfigError: From<R::Error>,
    {
        Ok(OAuthLayerBuilder::new(resource.try_into()?))
    }

    pub(super) fn from_provider(provider: OAuthProvider) -> Self {
        Self(AuthLayer::new(provider))
    }

    /// The layer with the settings that all providers share.
    pub(super) fn auth_layer(&self) -> &AuthLayer<OAuthProvider> {
        &self.0
    }

    /// The protected resource; the first one, where there are several.
    pub fn resource(&self) -> &ProtectedResource {
        self.0.provider().resource()
    }

    /// The protected resources, and the templates of such, in the order they were named.
    pub fn resources(&self) -> &[ProtectedResource] {
        self.0.provider().resources()
    }

    /// The hosts of the resources, for
    /// [`OriginLayer::from_hosts`](crate::mcp::OriginLayer::from_hosts).
    pub fn hosts(&self) -> Hosts {
        Hosts::of_resources(self.resources())
    }

    /// The path to mount [`metadata_service`](Self::metadata_service) at; that of the first
    /// resource, where there are several.
    pub fn metadata_path(&self) -> String {
        self.resource().metadata_path()
    }

    /// All paths that this layer serves metadata documents at; those of a template have the place
    /// of its tenant in them.
    ///
    /// There are more than [`metadata_path`](Self::metadata_path) where
    /// [`advertised_metadata_url`](ProtectedResource::advertised_metadata_url) or
    /// [`metadata_at_root`](ProtectedResource::metadata_at_root) says so.
    pub fn metadata_paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        for path in self
            .resources()
            .iter()
            .flat_map(ProtectedResource::metadata_paths)
        {
            if !paths.contains(&path) {
                paths.push(path);
            }
        }
        paths
    }

    /// The metadata document as a service of its own.
    ///
    /// Mount it outermost at the root where this layer does not see its path: inside `nest`,
    /// `nest_service`, and `route_layer`.
    ///
    /// ```
    /// # use tower_mcp_auth::OAuthLayer;
    /// use axum::{Router, routing::post};
    ///
    /// # let oauth = OAuthLayer::new("https://mcp.example.com/mcp", "https://auth.example.com")?;
    /// let app: Router = Router::new()
    ///     .route_service(&oauth.metadata_path(), oauth.metadata_service())
    ///     .nest("/mcp", Router::new().route("/", post(|| async {})).layer(oauth));
    /// # let _ = app;
    /// # Ok::<(), tower_mcp_auth::ConfigError>(())
    /// ```
    pub fn metadata_service(&self) -> MetadataService {
        MetadataService {
            resources: Arc::clone(&self.0.provider().inner.resources),
        }
    }

    /// The copy of the authorization server's metadata as a service of its own.
    ///
    /// Mount it outermost at `/.well-known/oauth-authorization-server` where this layer does not
    /// see that path. It is 404 without
    /// [`copy_server_metadata`](OAuthLayerBuilder::copy_server_metadata).
    pub fn server_metadata_service(&self) -> ServerMetadataService {
        ServerMetadataService {
            copy: self.0.provider().inner.server_metadata.clone(),
            resources: Arc::clone(&self.0.provider().inner.resources),
        }
    }

    /// Fetches all keys now; see [`OAuthProvider::warm_up`].
    ///
    /// # Errors
    /// The keys of a server could not be fetched; [`AuthError::detail`] says why.
    pub async fn warm_up(&self) -> Result<(), AuthError> {
        self.0.provider().warm_up().await
    }

    /// See [`AuthLayer::required_strength`]: asks every token for a user who signed in like this.
    ///
    /// # Errors
    /// It asks for nothing, or for values of `acr` that exclude each other.
    pub fn required_strength(self, strength: Strength) -> Result<Self, ConfigError> {
        self.0.required_strength(strength).map(Self)
    }

    /// Drops all that is remembered of a token; see [`OAuthProvider::invalidate_token`].
    pub fn invalidate_token(&self, token: &str) {
        self.0.provider().invalidate_token(token);
    }

    /// Drops all that is remembered of all tokens; see [`OAuthProvider::invalidate_all`].
    pub fn invalidate_all(&self) {
        self.0.provider().invalidate_all();
    }

    /// The state of each issuer's keys; see [`OAuthProvider::health`].
    pub fn health(&self) -> Vec<(Arc<str>, KeyHealth)> {
        self.0.provider().health()
    }
}

auth_layer_newtype!(OAuthLayer, OAuthProvider);

impl fmt::Debug for OAuthLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OAuthLayer")
            .field(self.0.provider())
            .finish()
    }
}
