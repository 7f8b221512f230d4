//! The layer that knows no provider: exempt requests, and several providers behind one layer.

mod exempt;
mod provider;
pub(crate) mod several;
