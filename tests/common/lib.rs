//! What the tests share: a service behind the layer that tells what it saw, requests and
//! answers, tokens signed without the crate's help, providers of a test's own, what every store of revocations
//! does, traces.

pub mod answer;
pub mod guards;
pub mod inner;
pub mod jwt;
pub mod provider;
pub mod revocations;
pub mod rmcp_dance;
pub mod store;
pub mod tls;
pub mod trace;

use std::path::Path;

pub use self::answer::{Answer, ask, assert_explained, request, request_to};
pub use self::guards::{API_KEY, Guard, api_key_guard, guards, jwt_guard};
pub use self::inner::Inner;
pub use self::jwt::{NOW, SECRET, SigningKey, clock, good_token, hs256_layer, sign, token};
pub use self::provider::{Answering, invalid};
pub use self::store::{FlakyStore, LateQuotas};

/// The folder of the crate: where `src` and `docs` are.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the tests are a folder of the crate")
}
