//! Servers of the tests, on ports of the loopback.

use axum::Router;
use tokio::net::TcpListener;

/// A free port, and the origin by which clients reach it.
pub async fn bind() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    (listener, format!("http://{address}"))
}

/// A free port, and the URL by which clients reach `/mcp` there.
pub async fn bind_mcp() -> (TcpListener, String) {
    let (listener, origin) = bind().await;
    (listener, format!("{origin}/mcp"))
}

/// Serves in the background, until the runtime ends.
pub fn serve(listener: TcpListener, app: Router) {
    tokio::spawn(async move { axum::serve(listener, app).await.expect("it serves") });
}
