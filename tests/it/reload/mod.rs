//! What changes while a server runs: secrets that are read again, and stacks that are swapped.

mod environment;
mod secret;
mod swap;
