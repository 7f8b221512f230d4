//! Layers that decide before the inner service is called.

pub(crate) mod readiness;
