//! Several providers behind one layer, optional authentication, and observe mode.
use crate::oauth::support as network;

mod challenges;
mod config;
mod details;
mod observe;
mod optional;
mod proven;
mod routing;
mod support;
