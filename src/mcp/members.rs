//! The members of a message that decide what is judged, by level.
//!
//! Each may come once, in this spelling alone.

use super::operation::confused;
use crate::error::{AuthError, Reason};

pub(super) const TOP: [&str; 6] = ["jsonrpc", "id", "method", "params", "result", "error"];
pub(super) const ID: usize = 1;
pub(super) const METHOD: usize = 2;
pub(super) const PARAMS: usize = 3;
pub(super) const RESULT: usize = 4;
pub(super) const ERROR: usize = 5;

pub(super) const IN_PARAMS: [&str; 7] = [
    "name",
    "uri",
    "taskId",
    "arguments",
    "ref",
    "notifications",
    "_meta",
];
pub(super) const NAME: usize = 0;
pub(super) const URI: usize = 1;
pub(super) const TASK_ID: usize = 2;
pub(super) const ARGUMENTS: usize = 3;
pub(super) const REF: usize = 4;
pub(super) const NOTIFICATIONS: usize = 5;

pub(super) const IN_REF: [&str; 3] = ["type", "name", "uri"];
pub(super) const REF_TYPE: usize = 0;
pub(super) const REF_NAME: usize = 1;
pub(super) const REF_URI: usize = 2;

pub(super) const IN_NOTIFICATIONS: [&str; 2] = ["resourceSubscriptions", "taskIds"];
pub(super) const RESOURCE_SUBSCRIPTIONS: usize = 0;

/// Which of the names of a level were there.
#[derive(Debug, Default)]
pub(super) struct Seen(u8);

impl Seen {
    /// The index of `name` among `names`. A second of the same is refused, for the first
    /// counts to some readers and the last to others; so is one that differs in case alone,
    /// which Go's reader takes for the same.
    pub(super) fn note(&mut self, name: &str, names: &[&str]) -> Result<Option<usize>, AuthError> {
        let Some(index) = names.iter().position(|own| *own == name) else {
            return match names.iter().any(|own| folds_to(name, own)) {
                true => Err(confused(Reason::MEMBER_IN_WRONG_CASE)),
                false => Ok(None),
            };
        };
        if self.has(index) {
            return Err(confused(Reason::DUPLICATE_BODY_MEMBER));
        }
        self.0 |= 1 << index;
        Ok(Some(index))
    }

    pub(super) fn has(&self, index: usize) -> bool {
        self.0 & 1 << index != 0
    }
}

/// Whether two names are the same to a reader without regard to case. Beside ASCII two
/// letters of Unicode fold into it: U+017F to `s`, U+212A to `k`.
fn folds_to(name: &str, own: &str) -> bool {
    if name.is_ascii() {
        return name.eq_ignore_ascii_case(own);
    }
    let fold = |character| match character {
        '\u{17F}' => 's',
        '\u{212A}' => 'k',
        other => other.to_ascii_lowercase(),
    };
    name.chars()
        .map(fold)
        .eq(own.chars().map(|own| own.to_ascii_lowercase()))
}
