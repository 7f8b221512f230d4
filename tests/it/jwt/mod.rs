//! `JwtLayer`: its settings, its keys and the tokens it takes.

mod config;
mod keys;
mod layer;
mod resources;
mod tokens;
