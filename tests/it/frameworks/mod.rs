//! The layers around axum, hyper, tonic and rmcp, unchanged, over sockets of the loopback.

mod axum;
mod http2;
mod hyper;
mod rmcp;
mod tonic;
