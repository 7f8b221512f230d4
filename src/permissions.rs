//! Who may touch a file that holds secrets.

use std::fs::Metadata;

/// What others than the owner may do, where that is more than nothing.
#[cfg(unix)]
pub(crate) fn open_to_others(metadata: &Metadata) -> Option<String> {
    use std::os::unix::fs::PermissionsExt;

    let mode = metadata.permissions().mode() & 0o777;
    let can = match (mode & 0o022, mode & 0o044) {
        (0, 0) => return None,
        (0, _) => "read",
        _ => "changed",
    };
    Some(format!(
        "can be {can} by others than its owner (mode {mode:o}): chmod 600"
    ))
}

/// Elsewhere permissions are no three digits.
#[cfg(not(unix))]
pub(crate) fn open_to_others(_: &Metadata) -> Option<String> {
    None
}
