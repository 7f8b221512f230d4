//! The certificate of the peer, and how it gets into requests.

use std::sync::Arc;

use sha2::{Digest, Sha256};
use tower_mcp_auth::peer::{PeerCertificate, SetPeerCertificateLayer};

use common::{ask, request};

/// What a server may know of a connection.
#[derive(Clone)]
struct Connection(Option<PeerCertificate>);

#[test]
fn the_thumbprint_is_the_sha_256_of_the_der() {
    let der = b"\x30\x03\x02\x01\x01";
    let certificate = PeerCertificate::from_der(der);
    let expected: [u8; 32] = Sha256::digest(der).into();
    assert_eq!(*certificate.thumbprint(), expected);
    assert_eq!(PeerCertificate::from_thumbprint(expected), certificate);
    assert_ne!(PeerCertificate::from_der(b"\x30\x00"), certificate);
    // As `x5t#S256` has it.
    let zero = PeerCertificate::from_thumbprint([0; 32]);
    let text = format!("PeerCertificate(\"{}\")", "A".repeat(43));
    assert_eq!(format!("{zero:?}"), text);
}

#[tokio::test]
async fn the_layer_puts_the_certificate_of_the_connection_into_each_request() {
    let own = PeerCertificate::from_der(b"own");
    let elsewhere = PeerCertificate::from_der(b"elsewhere");
    let of_connection = SetPeerCertificateLayer::of_connection;
    let found = SetPeerCertificateLayer::from_extension(|peer: &Connection| peer.0);
    let shared =
        SetPeerCertificateLayer::from_extension(|peer: &Arc<PeerCertificate>| Some(**peer));
    for (layer, connection, expected) in [
        (of_connection(Some(own)), None, Some(own)),
        (of_connection(None), None, None),
        (found.clone(), Some(Connection(Some(own))), Some(own)),
        (found.clone(), Some(Connection(None)), None),
        (found, None, None),
        (shared, None, None),
    ] {
        // One that a layer further out took from elsewhere is none.
        for before in [None, Some(elsewhere)] {
            let mut request = request::<&str>(&[]);
            if let Some(before) = before {
                request.extensions_mut().insert(before);
            }
            if let Some(connection) = &connection {
                request.extensions_mut().insert(connection.clone());
            }
            let answer = ask(&layer, request).await;
            let set: Option<&PeerCertificate> = answer.admitted().extensions.get();
            assert_eq!(set.copied(), expected);
        }
    }
}
