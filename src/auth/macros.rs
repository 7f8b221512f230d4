//! The macro that makes the newtypes of `AuthLayer`.

/// The parts every provider's layer has in common with [`AuthLayer`](super::AuthLayer):
/// its settings under their own names, the conversion into it, and `Layer`.
macro_rules! auth_layer_newtype {
    ($layer:ident, $provider:ty) => {
        impl $layer {
            /// See [`AuthLayer::public_path`](crate::auth::AuthLayer::public_path): `GET` and
            /// `HEAD` of exactly this path pass without a credential.
            ///
            /// # Errors
            /// The value is no exact path, is the path of the protected resource, or is `/`.
            pub fn public_path(self, path: &str) -> Result<Self, crate::ConfigError> {
                self.0.public_path(path).map(Self)
            }

            /// See [`AuthLayer::public_paths`](crate::auth::AuthLayer::public_paths):
            /// [`public_path`](Self::public_path) for several.
            ///
            /// # Errors
            /// Those of [`public_path`](Self::public_path).
            pub fn public_paths<I>(self, paths: I) -> Result<Self, crate::ConfigError>
            where
                I: IntoIterator,
                I::Item: AsRef<str>,
            {
                self.0.public_paths(paths).map(Self)
            }

            /// See
            /// [`AuthLayer::dangerously_public_root`](crate::auth::AuthLayer::dangerously_public_root).
            pub fn dangerously_public_root(self) -> Self {
                Self(self.0.dangerously_public_root())
            }

            /// See [`AuthLayer::sse_endpoints`](crate::auth::AuthLayer::sse_endpoints): the
            /// switches for the two endpoints of the old HTTP+SSE transport.
            ///
            /// # Errors
            /// A path is no exact path, both are the same, or one left open is the path of
            /// the protected resource.
            pub fn sse_endpoints(
                self,
                endpoints: crate::auth::SseEndpoints,
            ) -> Result<Self, crate::ConfigError> {
                self.0.sse_endpoints(endpoints).map(Self)
            }

            /// See
            /// [`AuthLayer::forbidden_query_names`](crate::auth::AuthLayer::forbidden_query_names):
            /// replaces the names of query parameters that are refused.
            ///
            /// # Errors
            /// A name is empty, or longer than 64 characters.
            pub fn forbidden_query_names<I>(self, names: I) -> Result<Self, crate::ConfigError>
            where
                I: IntoIterator,
                I::Item: AsRef<str>,
            {
                self.0.forbidden_query_names(names).map(Self)
            }

            /// See [`AuthLayer::forward_credential`](crate::auth::AuthLayer::forward_credential):
            /// whether the inner service sees the credential; default false.
            pub fn forward_credential(self, forward: bool) -> Self {
                Self(self.0.forward_credential(forward))
            }

            /// See [`AuthLayer::optional`](crate::auth::AuthLayer::optional): requests without a
            /// credential pass, as anonymous ones; a bad credential is refused as ever.
            pub fn optional(self) -> Self {
                Self(self.0.optional())
            }

            /// See [`AuthLayer::grpc_refusals`](crate::auth::AuthLayer::grpc_refusals): whether
            /// gRPC requests are refused in gRPC's form; default true, and false in an
            /// [`McpStack`](crate::mcp::McpStack).
            pub fn grpc_refusals(self, grpc: bool) -> Self {
                Self(self.0.grpc_refusals(grpc))
            }

            /// See [`AuthLayer::on_decision`](crate::auth::AuthLayer::on_decision): calls `hook`
            /// with every decision about a request, for audit logs.
            pub fn on_decision(
                self,
                hook: impl Fn(&crate::telemetry::DecisionRecord<'_>) + Send + Sync + 'static,
            ) -> Self {
                Self(self.0.on_decision(hook))
            }

            /// See [`AuthLayer::announce`](crate::auth::AuthLayer::announce): tells clients of the
            /// scopes that a layer further in asks for.
            pub fn announce(self, asked: impl Into<crate::requirement::AskedScopes>) -> Self {
                Self(self.0.announce(asked))
            }

            /// See [`AuthLayer::stream_grace`](crate::auth::AuthLayer::stream_grace): how much
            /// longer than its credential an answer may take; default 10 minutes.
            pub fn stream_grace(self, grace: std::time::Duration) -> Self {
                Self(self.0.stream_grace(grace))
            }

            /// See [`AuthLayer::stream_max_life`](crate::auth::AuthLayer::stream_max_life): how
            /// long a stream may stay open with a credential that does not expire.
            ///
            /// # Errors
            /// The time is zero.
            pub fn stream_max_life(
                self,
                life: std::time::Duration,
            ) -> Result<Self, crate::ConfigError> {
                self.0.stream_max_life(life).map(Self)
            }

            /// See
            /// [`AuthLayer::dangerously_streams_outlive_credentials`](crate::auth::AuthLayer::dangerously_streams_outlive_credentials).
            pub fn dangerously_streams_outlive_credentials(self) -> Self {
                Self(self.0.dangerously_streams_outlive_credentials())
            }

            /// See [`AuthLayer::revocation`](crate::auth::AuthLayer::revocation): refuses the
            /// credentials that are revoked, and ends their streams.
            pub fn revocation(self, revocation: crate::revocation::Revocation) -> Self {
                Self(self.0.revocation(revocation))
            }

            /// See
            /// [`AuthLayer::dangerously_report_only`](crate::auth::AuthLayer::dangerously_report_only):
            /// no refusal is carried out, and each is told.
            pub fn dangerously_report_only(self) -> Self {
                Self(self.0.dangerously_report_only())
            }

            /// See
            /// [`AuthLayer::dangerously_report_only_for`](crate::auth::AuthLayer::dangerously_report_only_for):
            /// the same for chosen reasons.
            ///
            /// # Errors
            /// The list is empty, holds what is no reason or one that is always refused, or
            /// everything is reported already.
            pub fn dangerously_report_only_for<I>(
                self,
                reasons: I,
            ) -> Result<Self, crate::ConfigError>
            where
                I: IntoIterator,
                I::Item: AsRef<str>,
            {
                self.0.dangerously_report_only_for(reasons).map(Self)
            }

            /// See [`AuthLayer::or`](crate::auth::AuthLayer::or): a layer that takes the
            /// credentials of `other` as well, told apart by their form.
            ///
            /// # Errors
            /// A credential can have the form of both, or a common setting differs.
            pub fn or<B>(
                self,
                other: impl Into<crate::auth::AuthLayer<B>>,
            ) -> Result<
                crate::auth::AuthLayer<crate::auth::Either<$provider, B>>,
                crate::ConfigError,
            >
            where
                B: crate::auth::Authenticate + Clone,
            {
                self.0.or(other)
            }

            /// See [`AuthLayer::boxed`](crate::auth::AuthLayer::boxed): the layer with its
            /// provider's type erased.
            pub fn boxed(
                self,
            ) -> crate::auth::AuthLayer<std::sync::Arc<dyn crate::auth::Authenticate>> {
                self.0.boxed()
            }
        }

        impl<S> tower_layer::Layer<S> for $layer {
            type Service = crate::auth::AuthService<S, $provider>;

            fn layer(&self, inner: S) -> Self::Service {
                self.0.layer(inner)
            }
        }

        impl From<$layer> for crate::auth::AuthLayer<$provider> {
            fn from(layer: $layer) -> Self {
                layer.0
            }
        }
    };
}

pub(crate) use auth_layer_newtype;
