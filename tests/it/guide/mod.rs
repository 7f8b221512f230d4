//! The chapters of `docs/`: their links, their numbers, and programs that they print.

mod dashboard;
// Its `main` is for its readers.
#[allow(dead_code)]
mod five_minute_server;
mod limits;
mod links;
mod providers;
