//! Several providers behind one layer, optional authentication, and observe mode.
#![cfg(feature = "oauth")]
// Nothing of a test crate is reachable from outside.
#![allow(unreachable_pub)]

#[path = "../common/mod.rs"]
mod common;
#[allow(dead_code, reason = "shared with the tests of one provider")]
#[path = "../oauth/support.rs"]
mod network;

mod challenges;
mod config;
mod details;
mod observe;
mod optional;
mod proven;
mod routing;
mod support;
