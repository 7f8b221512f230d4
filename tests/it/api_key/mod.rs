//! API keys: their format, their lives, and the files and stores they come from.
mod expiry;
mod file;
mod format;
mod layer;
mod life;
mod outage;
mod placement;
mod resources;
mod store;
mod wire;
