//! The layers around axum, hyper, tonic and rmcp, unchanged, over sockets of the loopback.

#[path = "../common/mod.rs"]
mod common;

mod axum;
mod http2;
mod hyper;
mod rmcp;
mod tonic;
