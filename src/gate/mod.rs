//! Layers that decide before the inner service is called.

mod body;
mod gated;
mod macros;
pub(crate) mod readiness;
mod stream_end;

pub use self::body::ResponseBody;
pub(crate) use self::gated::{Gate, Gated, GatedFuture, Pass};
pub(crate) use self::macros::{gated_service, inner_service, own_body};
pub(crate) use self::stream_end::{Deadline, EndOfStream, LastWords, StreamEnd, Watch, Watched};
