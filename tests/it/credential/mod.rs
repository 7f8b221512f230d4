//! The one credential of a request: where it stands, and what a query may not carry.

mod location;
mod query;
