//! hyper without a framework: the layer around a plain service.
//!
//! Run with
//!
//! ```sh
//! cargo run --example hyper
//! ```
//!
//! and paste the `curl` lines it prints: they hold a key made at start.
//!
//! ```sh
//! curl -i http://127.0.0.1:3000/
//! curl -i http://127.0.0.1:3000/ -H 'X-API-Key: …'
//! ```

#[path = "support/listen.rs"]
mod listen;
#[path = "support/random.rs"]
mod random;
#[path = "support/trace.rs"]
mod trace;

use std::convert::Infallible;

use http::{Request, Response};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tower::ServiceBuilder;
use tower_mcp_auth::api_key::ApiKey;
use tower_mcp_auth::{ApiKeyLayer, Principal};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    trace::install();
    let key = random::random()?;
    let service = ServiceBuilder::new()
        .layer(ApiKeyLayer::new([ApiKey::new(&key)?.name("alice")])?)
        .service_fn(hello);

    let (listener, url) = listen::listen(3000).await;
    println!("# without a key: 401\ncurl -i {url}/\n");
    println!("# with a good key: 200\ncurl -i {url}/ -H 'X-API-Key: {key}'\n");
    println!("# with an unknown key: 401\ncurl -i {url}/ -H 'X-API-Key: {key}x'\n");
    println!("listening on {url}");
    loop {
        let (stream, _) = listener.accept().await?;
        let service = TowerToHyperService::new(service.clone());
        tokio::spawn(async move {
            let connection = Builder::new(TokioExecutor::new());
            // A client that hangs up in the middle is no concern of this example.
            let _ = connection
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn hello(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let name = Principal::from_extensions(request.extensions())
        .and_then(Principal::subject)
        .unwrap_or("somebody");
    Ok(Response::new(Full::from(format!("hello {name}\n"))))
}
