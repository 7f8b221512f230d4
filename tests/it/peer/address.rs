//! The address of the peer.

use std::net::{IpAddr, SocketAddr};

use axum::extract::ConnectInfo;
use http::Request;
use tower::ServiceBuilder;
use tower_mcp_auth::peer::{PeerAddr, SetPeerAddrLayer};

use common::{Inner, ask, request};

fn axum_peer(address: &str) -> ConnectInfo<SocketAddr> {
    ConnectInfo(SocketAddr::new(address.parse().unwrap(), 49152))
}

#[test]
fn an_ipv4_address_is_one_however_it_is_written() {
    for (written, address) in [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("::192.0.2.1", "::c000:201"),
        ("2001:db8::1", "2001:db8::1"),
    ] {
        let written: IpAddr = written.parse().unwrap();
        let address: IpAddr = address.parse().unwrap();
        assert_eq!(PeerAddr::from(written).ip(), address);
        assert_eq!(PeerAddr::from(SocketAddr::new(written, 1)).ip(), address);
    }
}

#[tokio::test]
async fn the_layer_finds_the_address_where_the_server_put_it() {
    let layer = SetPeerAddrLayer::from_extension(|peer: &ConnectInfo<SocketAddr>| peer.0);
    let mut request = request::<&str>(&[]);
    request
        .extensions_mut()
        .insert(axum_peer("::ffff:192.0.2.1"));
    let answer = ask(&layer, request).await;
    let peer: Option<&PeerAddr> = answer.admitted().extensions.get();
    assert_eq!(peer.unwrap().ip(), IpAddr::from([192, 0, 2, 1]));
}

/// An address that a layer further out took from elsewhere is none.
#[tokio::test]
async fn the_layer_leaves_no_other_address() {
    let elsewhere = PeerAddr::from(IpAddr::from([10, 0, 0, 7]));
    let found = SetPeerAddrLayer::from_extension(|peer: &ConnectInfo<SocketAddr>| peer.0);
    let never = SetPeerAddrLayer::new(|_| None);
    for (layer, peer, expected) in [
        (&found, Some("192.0.2.1"), Some([192, 0, 2, 1])),
        (&found, None, None),
        (&never, Some("192.0.2.1"), None),
    ] {
        let mut request: Request<_> = request::<&str>(&[]);
        request.extensions_mut().insert(elsewhere);
        if let Some(peer) = peer {
            request.extensions_mut().insert(axum_peer(peer));
        }
        let stack = ServiceBuilder::new().layer(layer.clone());
        let answer = ask(&stack, request).await;
        let peer: Option<&PeerAddr> = answer.admitted().extensions.get();
        let peer = peer.map(|peer| peer.ip());
        assert_eq!(peer, expected.map(IpAddr::from));
    }
    let service = tower::Layer::layer(&never, Inner::default());
    assert!(format!("{service:?}").starts_with("SetPeerAddr"));
}

/// As the README has it, over a connection.
#[tokio::test]
async fn in_axum_it_takes_one_layer() {
    use axum::routing::get;
    use axum::{Extension, Router};

    let app = Router::new()
        .route(
            "/",
            get(async |Extension(peer): Extension<PeerAddr>| peer.ip().to_string()),
        )
        .layer(SetPeerAddrLayer::from_extension(
            |peer: &ConnectInfo<SocketAddr>| peer.0,
        ));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    common::spawn(async { axum::serve(listener, app).await });
    let answer = reqwest::get(&url).await.unwrap();
    assert_eq!(answer.text().await.unwrap(), "127.0.0.1");
}
