//! Layers that know MCP.

mod key;
pub mod session;
mod version;

pub use self::key::MacKey;
pub use self::session::SessionBindingLayer;
