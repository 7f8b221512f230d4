//! What the tests share: a service behind the layer that tells what it saw, requests and
//! answers, tokens signed without the crate's help, providers of a test's own, traces.

// Every test file is a crate of its own, and none uses all of this.
#![allow(dead_code, unreachable_pub, unused_imports, missing_docs)]

pub mod answer;
pub mod guards;
pub mod inner;
pub mod jwt;
pub mod provider;
pub mod trace;

pub use self::answer::{Answer, ask, request, request_to};
pub use self::guards::{API_KEY, Guard, api_key_guard, guards, jwt_guard};
pub use self::inner::Inner;
pub use self::jwt::{NOW, SECRET, SigningKey, clock, good_token, hs256_layer, sign, token};
pub use self::provider::Answering;
