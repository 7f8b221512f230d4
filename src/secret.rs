//! What every secret of a configuration must pass, and who may touch a file that holds one.

use crate::error::ConfigError;

/// Refuses a secret of fewer than 32 bytes, and an obvious placeholder. `what` is how the message
/// calls it.
pub(crate) fn check_strength(
    setting: &'static str,
    what: &str,
    secret: &[u8],
) -> Result<(), ConfigError> {
    if secret.len() < 32 {
        return Err(ConfigError::new(
            setting,
            format!(
                "a {what} has at least 32 bytes and this one {}; `openssl rand -base64 32` makes \
                 one",
                secret.len()
            ),
        ));
    }
    if is_placeholder(secret) {
        return Err(ConfigError::new(
            setting,
            format!(
                "the {what} is a placeholder that anyone can guess; `openssl rand -base64 32` \
                 makes one"
            ),
        ));
    }
    Ok(())
}

/// Whether a key or secret is an obvious placeholder: a word from a tutorial, a run of the
/// keyboard, a few characters over and over.
pub(crate) fn is_placeholder(secret: &[u8]) -> bool {
    const WORDS: [&str; 10] = [
        "changeme",
        "changethis",
        "replaceme",
        "replacethis",
        "placeholder",
        "yourapikey",
        "yoursecret",
        "apikeyhere",
        "secrethere",
        "insertkey",
    ];
    const RUNS: [&str; 4] = [
        "01234567890123456789",
        "abcdefghijklmnopqrstuvwxyz",
        "0123456789abcdef",
        "qwertyuiopasdfghjklzxcvbnm",
    ];
    let folded: String = secret
        .iter()
        .filter(|byte| byte.is_ascii_alphanumeric())
        .map(|byte| byte.to_ascii_lowercase() as char)
        .collect();
    let mut seen = [false; 256];
    secret
        .iter()
        .for_each(|byte| seen[usize::from(*byte)] = true);
    let distinct = seen.iter().filter(|seen| **seen).count();
    // Random bytes have few letters and digits, and one alone is part of every run.
    let is_text = folded.len() * 2 >= secret.len();
    let is_run = |run: &str| {
        let doubled = run.repeat(1 + folded.len() / run.len() + 1);
        is_text && doubled.contains(&folded)
    };
    distinct < 5
        || WORDS.iter().any(|word| folded.contains(word))
        || RUNS.iter().any(|run| is_run(run))
}

/// What others than the owner may do, where that is more than nothing.
#[cfg(all(unix, any(feature = "api-key-store", feature = "config")))]
pub(crate) fn open_to_others(metadata: &std::fs::Metadata) -> Option<String> {
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
#[cfg(all(not(unix), any(feature = "api-key-store", feature = "config")))]
pub(crate) fn open_to_others(_: &std::fs::Metadata) -> Option<String> {
    None
}
