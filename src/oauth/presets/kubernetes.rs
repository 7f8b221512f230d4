//! Kubernetes service accounts: `kubernetes::in_cluster(…)` and `kubernetes::server(…)`.
//!
//! ```
//! use tower_mcp_auth::{OAuthLayer, oauth::presets::kubernetes};
//!
//! // In a pod of the cluster itself.
//! let server = kubernetes::in_cluster(kubernetes::DEFAULT_ISSUER, ["agents/planner"])?;
//! let layer = OAuthLayer::new("https://mcp.example.com/mcp", server)?;
//! # let _ = layer;
//!
//! // From outside, where the provider publishes the keys.
//! let issuer = "https://oidc.eks.eu-central-1.amazonaws.com/id/5BD7A0E6C4F24B9A8D3E1F2A3B4C5D6E";
//! let server = kubernetes::server(issuer, ["agents/*"])?;
//! let layer = OAuthLayer::new("https://mcp.example.com/mcp", server)?;
//! # let _ = layer;
//! # Ok::<(), tower_mcp_auth::ConfigError>(())
//! ```
//!
//! Step by step, with a first token and the usual refusals:
//! [`guide::identity_providers::kubernetes`](crate::guide::identity_providers::kubernetes).
//!
//! # Setup in the cluster
//! 1. Find the issuer: `kubectl get --raw /.well-known/openid-configuration`.
//! 2. Mount a token for this resource into the pods that call it, a projected volume
//!    (`serviceAccountToken`) with `audience: https://mcp.example.com/mcp` and a short
//!    `expirationSeconds`. Another audience works with
//!    [`audience`](super::super::AuthorizationServer::audience), but not that of the API server,
//!    which is in the tokens of all pods.
//! 3. For [`in_cluster`] let the service account of this server read the keys. By default
//!    all of them may (`system:service-account-issuer-discovery`).
//!
//! # Differences from the defaults
//! **A token of a pod that was deleted stays valid here until it expires.** Only the API server
//! knows that a pod, a service account or a secret is gone; who checks signatures does not. The
//! pod or secret that a token is bound to is not looked up either. Keep the life of tokens short;
//! Kubernetes allows no less than ten minutes.
//!
//! Keys come from the API server, by the cluster's certificate authority and with the token of
//! this pod, both read again for each fetch: they rotate. The subject is
//! `system:serviceaccount:NAMESPACE:NAME`. Who may create pods, or tokens, in a namespace
//! can act as each of its service accounts. Tokens in secrets, of the old kind, have another
//! issuer and no end, and are refused. There is no scope, and the issuer is not in the metadata.
//!
//! Documentation: [managing service accounts](https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/)
//! and [service account issuer discovery](https://kubernetes.io/docs/tasks/configure-pod-container/configure-service-account/#service-account-issuer-discovery).

use std::borrow::Cow;

use super::shape::Shape;
use crate::error::ConfigError;
use crate::oauth::AuthorizationServer;

const SHAPE: Shape = Shape {
    marks: &[Cow::Borrowed("kubernetes.io")],
    advertised: false,
    ..Shape::PLAIN
};

/// The issuer of clusters that were not told another one.
pub const DEFAULT_ISSUER: &str = "https://kubernetes.default.svc.cluster.local";

/// Where the API server is for the pods of its cluster.
const API_SERVER: &str = "https://kubernetes.default.svc";

/// What each pod has from its service account.
const TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";
const AUTHORITIES: &str = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt";

/// Service accounts of the cluster this server runs in. Each is `namespace/name`, or
/// `namespace/*` for all of a namespace. The keys come from the API server.
///
/// # Errors
/// The issuer is not https, there is no service account, or one is not written like that.
pub fn in_cluster<I>(issuer: &str, service_accounts: I) -> Result<AuthorizationServer, ConfigError>
where
    I: IntoIterator,
    I::Item: AsRef<str>,
{
    server(issuer, service_accounts)?
        .jwks_uri(format!("{API_SERVER}/openid/v1/jwks"))?
        .jwks_bearer_token_file(TOKEN)?
        .jwks_root_certificates_file(AUTHORITIES)
}

/// Service accounts of a cluster with an issuer that publishes its keys: EKS, GKE, AKS.
///
/// # Errors
/// As for [`in_cluster`].
pub fn server<I>(issuer: &str, service_accounts: I) -> Result<AuthorizationServer, ConfigError>
where
    I: IntoIterator,
    I::Item: AsRef<str>,
{
    let accounts = service_accounts.into_iter();
    let subjects = accounts
        .map(|account| subject(account.as_ref()))
        .collect::<Result<Vec<String>, ConfigError>>()?;
    if subjects.is_empty() {
        let why = "there is none, so no token could pass";
        return Err(ConfigError::new(ACCOUNTS, why));
    }
    let mut server = SHAPE.server(issuer.to_owned())?.ignore_audience(issuer)?;
    // What the tokens of all pods are for that were not asked for otherwise.
    for audience in [DEFAULT_ISSUER, API_SERVER] {
        if audience != issuer {
            server = server.ignore_audience(audience)?;
        }
    }
    server.require_subject(subjects)
}

const ACCOUNTS: &str = "kubernetes service accounts";

/// The subject of a service account, written `namespace/name`.
fn subject(account: &str) -> Result<String, ConfigError> {
    // RFC 1123 labels, with dots between them in names.
    let is_label = |text: &str, most: usize, dots: bool| {
        let is_right =
            |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-') || dots && byte == b'.';
        (1..=most).contains(&text.len()) && text.bytes().all(is_right)
    };
    match account.split_once('/') {
        Some((namespace, name))
            if is_label(namespace, 63, false) && (name == "*" || is_label(name, 253, true)) =>
        {
            Ok(format!("system:serviceaccount:{namespace}:{name}"))
        }
        _ => Err(ConfigError::new(
            ACCOUNTS,
            format!("{account:?} is not written `namespace/name`, or `namespace/*`"),
        )),
    }
}
