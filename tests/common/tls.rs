//! Clients of servers with a certificate of their own making, which may show one as well.

use reqwest::{Certificate, Client, Identity};

/// A client that trusts this authority and no other, in PEM. `identity`: the certificate that it
/// shows, and its key. Every request has a connection of its own; its TLS sessions are resumed.
pub fn client(authority: &str, identity: Option<&str>) -> Client {
    let authority = Certificate::from_pem(authority.as_bytes()).expect("a certificate");
    let mut client = Client::builder()
        .no_proxy()
        .pool_max_idle_per_host(0)
        .tls_certs_only([authority]);
    if let Some(pem) = identity {
        client = client.identity(Identity::from_pem(pem.as_bytes()).expect("a key"));
    }
    client.build().expect("a client")
}
