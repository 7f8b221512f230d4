//! Several providers behind one layer, optional authentication, and observe mode.
use crate::oauth::support as network;

mod challenges;
mod config;
mod details;
mod optional;
mod proven;
mod report_only;
mod routing;
pub(crate) mod support;
