//! What the tests share: a service behind the layer that tells what it saw, requests and answers,
//! servers on the loopback, tokens signed without the crate's help, providers of a test's own, what
//! every store of revocations does, traces.

pub mod answer;
pub mod guards;
pub mod inner;
pub mod jwt;
pub mod loopback;
pub mod mcp_server;
pub mod provider;
pub mod revocations;
pub mod rmcp_dance;
pub mod store;
pub mod tls;
pub mod trace;

use std::path::Path;
use std::pin::Pin;

use tokio::task::JoinHandle;

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

/// Runs in the background.
///
/// The task is boxed: for each type of task, tokio is 190 functions to compile.
pub fn spawn<T: Send + 'static>(task: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    let boxed: Pin<Box<dyn Future<Output = T> + Send>> = Box::pin(task);
    tokio::spawn(boxed)
}
