//! The verification of tokens: RFC examples, published signature vectors, keys, jsonwebtoken as an
//! oracle, and hostile input.
//!
//! Everything goes through the public interface. Run it on both backends:
//!
//! ```text
//! cargo test -p dev --test it -- jose::
//! cargo test -p dev --no-default-features --features rust-crypto --test it -- jose::
//! ```

mod algorithms;
mod attack;
mod compact;
pub(crate) mod harness;
mod header;
mod keys;
mod oracle;
mod rfc;
mod vectors;

#[test]
fn the_backend_is_the_one_asked_for() {
    // Only aws-lc verifies RSA keys over 4096 bits, so this sees what is really linked in.
    let rsa8192 = include_str!("fixtures/rsa8192.pem");
    let key = tower_mcp_auth::jose::PublicKey::from_pem(rsa8192);
    assert_eq!(key.is_ok(), harness::aws_lc());
}
