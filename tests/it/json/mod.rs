//! One reading of JSON: in messages, in what authorization servers send, and in tokens.

mod messages;
mod servers;
mod tokens;
