//! tonic: the layer on a gRPC server. A refused call is `UNAUTHENTICATED`.
//!
//! Run with
//!
//! ```sh
//! cargo run -p dev --example tonic
//! ```
//!
//! and paste the lines it prints: they hold a token made at start. The message sent is an
//! empty one, five zero bytes; look for `grpc-status` in the answer.
//!
//! ```sh
//! printf '\0\0\0\0\0' | curl -i --http2-prior-knowledge --data-binary @- --output - \
//!   http://127.0.0.1:50051/example.Greeter/Hello -H 'Content-Type: application/grpc' \
//!   -H 'TE: trailers' -H 'Authorization: Bearer …'
//! ```
//!
//! The layer reads a small message before it refuses a call, because curl 7.88 loses an answer
//! that comes while it still sends. A stream of messages, or more than 64 KiB, is refused at once,
//! and that curl may then report `Stream error in the HTTP/2 framing layer`; clients of gRPC get
//! the status. Around an `McpStack`, or with a configuration, gRPC's form of a refusal is switched
//! on with `grpc_refusals(true)` (`auth.grpc_refusals`); here it is the default.

#[path = "support/listen.rs"]
mod listen;
#[path = "support/random.rs"]
mod random;
#[path = "support/token.rs"]
mod token;
#[path = "support/trace.rs"]
mod trace;

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::json;
use tonic::body::Body;
use tonic::server::{Grpc, NamedService};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;
use tower::service_fn;
use tower_mcp_auth::jose::Secret;
use tower_mcp_auth::{JwtLayer, Principal};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    trace::install();
    let secret = random::random()?;
    let auth = JwtLayer::new(Secret::new(&secret)?)?;

    let (listener, url) = listen::listen(50051).await;
    let key = EncodingKey::from_secret(secret.as_bytes());
    let claims = json!({ "sub": "alice", "exp": token::now() + 3600 });
    let token = token::sign(Algorithm::HS256, &key, &claims)?;
    let call = format!(
        r"printf '\0\0\0\0\0' | curl -i --http2-prior-knowledge --data-binary @- --output - \
  {url}/example.Greeter/Hello -H 'Content-Type: application/grpc' -H 'TE: trailers'"
    );
    println!("# without a token: grpc-status 16\n{call}\n");
    println!("# with a good token: grpc-status 0\n{call} -H 'Authorization: Bearer {token}'\n");
    println!("listening on {url}");
    Server::builder()
        .layer(auth)
        .add_service(Greeter)
        .serve_with_incoming(TcpIncoming::from(listener))
        .await?;
    Ok(())
}

/// `rpc Hello(google.protobuf.Empty) returns (google.protobuf.StringValue)`
async fn hello(request: Request<()>) -> Result<Response<String>, Status> {
    let principal = Principal::from_extensions(request.extensions())
        .ok_or_else(|| Status::internal("no auth layer ran"))?;
    let name = principal.subject().unwrap_or("somebody");
    Ok(Response::new(format!("hello {name}")))
}

/// What `tonic-prost-build` would make of the service definition
/// `package example; service Greeter { rpc Hello … }`.
#[derive(Clone)]
struct Greeter;

impl NamedService for Greeter {
    const NAME: &'static str = "example.Greeter";
}

impl tower::Service<http::Request<Body>> for Greeter {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(async move {
            if request.uri().path() != "/example.Greeter/Hello" {
                return Ok(Status::unimplemented("no such method").into_http());
            }
            let codec = ProstCodec::<String, ()>::default();
            Ok(Grpc::new(codec).unary(service_fn(hello), request).await)
        })
    }
}
