//! `JwtLayer`: its settings and its keys.

mod config;
mod keys;
mod layer;
