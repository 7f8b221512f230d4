//! A URL that no server should fetch: what stands in the header of a forged token.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

use super::forge::Forge;

/// A server on loopback that hands out the key of the forger. It ends when it is dropped.
pub(super) struct Trap {
    url: String,
    fetched: Arc<AtomicUsize>,
    server: AbortHandle,
}

impl Drop for Trap {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Trap {
    /// `None`: no token is forged, or there is no port.
    pub(super) async fn start(forge: Option<&Forge>) -> Option<Self> {
        let keys = json!({ "keys": [forge?.attacker_key()] });
        let listener = TcpListener::bind("127.0.0.1:0").await.ok()?;
        let url = format!("http://{}/keys", listener.local_addr().ok()?);
        let fetched = Arc::new(AtomicUsize::new(0));
        let server = tokio::spawn(serve(listener, keys, Arc::clone(&fetched)));
        Some(Self {
            url,
            fetched,
            server: server.abort_handle(),
        })
    }

    pub(super) fn url(&self) -> String {
        self.url.clone()
    }

    /// How often it was fetched.
    pub(super) fn fetched(&self) -> usize {
        self.fetched.load(Ordering::SeqCst)
    }
}

/// One after the other: who fetches waits for the answer, and judges the token by it.
async fn serve(listener: TcpListener, keys: Value, fetched: Arc<AtomicUsize>) {
    let body = keys.to_string();
    while let Ok((stream, _)) = listener.accept().await {
        fetched.fetch_add(1, Ordering::SeqCst);
        // One that went away.
        let _ = answer(stream, &body).await;
    }
}

async fn answer(mut stream: TcpStream, body: &str) -> std::io::Result<()> {
    let mut request = [0; 4096];
    let _ = stream.read(&mut request).await?;
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{body}"
    );
    stream.write_all(answer.as_bytes()).await
}
