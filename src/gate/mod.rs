//! What gates are made of: the traits, the service around them, bodies, readiness.
//!
//! The gates themselves are in `scopes`, `mcp` and `failed_attempts`.

mod body;
mod body_gate;
mod gated;
mod macros;
pub(crate) mod readiness;
mod request_body;
mod stream_end;

pub use self::body::ResponseBody;
pub(crate) use self::body_gate::{BodyGate, BodyGateFuture, Next};
pub(crate) use self::gated::{Gate, Gated, GatedFuture, Pass};
pub(crate) use self::macros::{gated_service, own_body};
pub use self::request_body::RequestBody;
pub(crate) use self::stream_end::{Deadline, EndOfStream, LastWords, StreamEnd, Watch, Watched};

/// In the extensions of a response: its length was known before a layer took parts of it out, so it
/// has an end of its own, and what ends streams leaves it alone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KnownLength;
