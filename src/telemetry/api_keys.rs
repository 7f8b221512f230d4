//! Events of API keys.

use tracing::warn;

use super::events::TARGET;
use crate::util::{TRACED_CHARS, one_line};

/// A key was accepted that ends soon.
pub(crate) fn api_key_expires_soon(
    id: Option<&str>,
    name: Option<&str>,
    owner: Option<&str>,
    expires_at: u64,
    seconds_left: u64,
) {
    let own = |text: Option<&str>| one_line(text.unwrap_or_default(), TRACED_CHARS);
    let (id, name, owner) = (own(id), own(name), own(owner));
    warn!(
        target: TARGET,
        id,
        name,
        owner,
        expires_at,
        seconds_left,
        "an API key expires soon: give its owner a new one"
    );
}
