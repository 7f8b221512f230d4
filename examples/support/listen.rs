//! Where an example listens: on an address given as its argument, on the port in `PORT`, or
//! where it likes to.

use std::io::{Error, ErrorKind};
use std::net::SocketAddr;
use std::process::exit;

use tokio::net::TcpListener;

/// A listener on loopback and its URL, or a clear message and exit code 1.
pub(crate) async fn listen(default_port: u16) -> (TcpListener, String) {
    match bind(default_port).await {
        Ok(bound) => bound,
        Err(message) => {
            eprintln!("{message}");
            exit(1);
        }
    }
}

async fn bind(default_port: u16) -> Result<(TcpListener, String), String> {
    let address = address(default_port)?;
    let cannot_listen = |error: Error| match error.kind() {
        ErrorKind::AddrInUse => format!(
            "{address} is in use: stop what listens there, or give another address as the \
             argument (or a port in PORT; 0 picks a free one)"
        ),
        _ => format!("cannot listen on {address}: {error}"),
    };
    let listener = TcpListener::bind(address).await.map_err(cannot_listen)?;
    let url = format!("http://{}", listener.local_addr().map_err(cannot_listen)?);
    Ok((listener, url))
}

fn address(default_port: u16) -> Result<SocketAddr, String> {
    if let Some(argument) = std::env::args().nth(1) {
        return argument
            .parse()
            .map_err(|_| format!("{argument:?} is not an address like 127.0.0.1:3000"));
    }
    let port = match std::env::var("PORT") {
        Ok(port) => port
            .parse()
            .map_err(|_| format!("PORT={port:?} is not a port"))?,
        Err(_) => default_port,
    };
    Ok(SocketAddr::from(([127, 0, 0, 1], port)))
}
