//! `Server::builder().layer`, asked by tonic's own client.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::task::{Context, Poll};

use http::uri::PathAndQuery;
use tokio::net::TcpListener;
use tonic::body::Body;
use tonic::server::{NamedService, UnaryService};
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Server};
use tonic::{Code, Request, Response, Status};
use tonic_prost::ProstCodec;
use tower::Service;
use tower_mcp_auth::{ApiKeyLayer, AuthError, AuthErrorKind, JwtLayer, Principal, Reason};

use common::{API_KEY, SECRET, clock, good_token, hs256_layer, token};

type Codec = ProstCodec<String, String>;

/// One method, which says hello to the principal.
#[derive(Clone)]
struct Greeter;

impl NamedService for Greeter {
    const NAME: &'static str = "test.Greeter";
}

impl Service<http::Request<Body>> for Greeter {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(async {
            let mut grpc = tonic::server::Grpc::new(Codec::default());
            Ok(grpc.unary(Hello, request).await)
        })
    }
}

struct Hello;

impl UnaryService<String> for Hello {
    type Response = String;
    type Future = Ready<Result<Response<String>, Status>>;

    fn call(&mut self, request: Request<String>) -> Self::Future {
        let credential = request.metadata().contains_key("authorization")
            || request.metadata().contains_key("x-api-key");
        ready(match Principal::from_extensions(request.extensions()) {
            Some(principal) => Ok(Response::new(format!(
                "{} {} {credential}",
                request.get_ref(),
                principal.id()
            ))),
            None => Err(Status::internal("no principal")),
        })
    }
}

macro_rules! serve {
    ($layer:expr) => {{
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = Server::builder().layer($layer).add_service(Greeter);
        common::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
        Channel::from_shared(format!("http://{address}"))
            .unwrap()
            .connect()
            .await
            .unwrap()
    }};
}

async fn hello(channel: &Channel, metadata: &[(&'static str, &str)]) -> Result<String, Status> {
    let mut client = tonic::client::Grpc::new(channel.clone());
    client.ready().await.unwrap();
    let mut request = Request::new("hello".to_owned());
    for (name, value) in metadata {
        request.metadata_mut().append(*name, value.parse().unwrap());
    }
    let path = PathAndQuery::from_static("/test.Greeter/Hello");
    let response: Response<String> = client.unary(request, path, Codec::default()).await?;
    Ok(response.into_inner())
}

#[tokio::test]
async fn a_grpc_client_sees_unauthenticated_and_the_challenge() {
    let channel = serve!(hs256_layer());
    let bearer = format!("Bearer {}", good_token());
    let answer = hello(&channel, &[("authorization", &bearer)])
        .await
        .unwrap();
    assert_eq!(answer, "hello jwt|sub=alice false");

    let expired = format!("Bearer {}", token(r#"{"sub":"alice","exp":1}"#));
    for (metadata, message, challenge) in [
        (
            &[][..],
            "Authentication is required",
            r#"Bearer realm="MCP Server""#,
        ),
        (
            &[("authorization", "Basic dXNlcjpwYXNz")],
            "Authentication is required",
            r#"Bearer realm="MCP Server""#,
        ),
        (
            &[("authorization", &*expired)],
            "The access token expired",
            r#"Bearer realm="MCP Server", error="invalid_token", error_description="The access token expired""#,
        ),
        (
            &[("authorization", "Bearer a b")],
            "The credential header is malformed",
            r#"Bearer realm="MCP Server", error="invalid_request", error_description="The credential header is malformed""#,
        ),
        (
            &[("authorization", &*bearer), ("authorization", &*bearer)],
            "The request carries a credential header more than once",
            r#"Bearer realm="MCP Server", error="invalid_request", error_description="The request carries a credential header more than once""#,
        ),
    ] {
        let status = hello(&channel, metadata).await.unwrap_err();
        assert_eq!(
            (status.code(), status.message()),
            (Code::Unauthenticated, message)
        );
        assert_eq!(
            status.metadata().get("www-authenticate").unwrap(),
            challenge
        );
    }
    // The connection survives the refusals.
    hello(&channel, &[("authorization", &bearer)])
        .await
        .unwrap();
}

#[tokio::test]
async fn too_little_scope_is_permission_denied() {
    let secret = tower_mcp_auth::jose::Secret::new(SECRET).unwrap();
    let layer = JwtLayer::builder(secret)
        .required_scopes(["mcp:write"])
        .clock(clock());
    let channel = serve!(layer.build().unwrap());
    let bearer = format!("Bearer {}", good_token());
    let status = hello(&channel, &[("authorization", &bearer)])
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    let challenge = status
        .metadata()
        .get("www-authenticate")
        .unwrap()
        .to_str()
        .unwrap();
    assert!(challenge.contains(r#"scope="mcp:write""#), "{challenge}");
}

#[tokio::test]
async fn an_api_key_is_metadata() {
    let channel = serve!(ApiKeyLayer::new([API_KEY]).unwrap());
    let answer = hello(&channel, &[("x-api-key", API_KEY)]).await.unwrap();
    assert!(
        answer.starts_with("hello api_key|") && answer.ends_with(" false"),
        "{answer}"
    );
    let status = hello(&channel, &[("x-api-key", "bm90LWEta2V5LWF0LWFsbA")])
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn a_provider_in_trouble_is_unavailable() {
    let down = Reason::custom(AuthErrorKind::Unavailable, "down");
    let error = AuthError::unavailable(down, std::time::Duration::from_secs(3));
    let provider = common::Answering::refusing(error);
    let channel = serve!(tower_mcp_auth::AuthLayer::new(provider));
    let status = hello(&channel, &[("authorization", "Bearer x")])
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(status.metadata().get("retry-after").unwrap(), "3");
}
