//! What a finding is called, and what is known of it before anything was seen.

use std::fmt;

/// How bad a finding is. The first is the worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Severity {
    /// A client fails, or a request is accepted that must not be.
    Fault,
    /// Some client has less than it could, or a specification says SHOULD.
    Warning,
    /// Nothing is wrong, as far as can be seen from outside.
    Note,
}

impl Severity {
    /// `fault`, `warning` or `note`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fault => "fault",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What is wrong, as one of [`Code::ALL`].
///
/// Codes are stable: they are not renamed in a compatible release.
#[derive(Clone, Copy)]
pub struct Code(&'static Entry);

/// A line of the table.
pub(super) struct Entry {
    pub(super) code: &'static str,
    pub(super) severity: Severity,
    pub(super) what: &'static str,
    pub(super) cause: &'static str,
    pub(super) fix: &'static str,
    /// The settings of this crate, where another server has others.
    pub(super) own: Option<&'static str>,
}

impl Code {
    pub(super) const fn new(entry: &'static Entry) -> Self {
        Self(entry)
    }

    /// The code: `snake_case`.
    pub fn code(self) -> &'static str {
        self.0.code
    }

    /// How bad it is, as a rule.
    pub fn severity(self) -> Severity {
        self.0.severity
    }

    /// What is wrong, in a sentence.
    pub fn what(self) -> &'static str {
        self.0.what
    }

    /// Why it matters, and to which clients.
    pub fn cause(self) -> &'static str {
        self.0.cause
    }

    /// What to change, whatever the server is made with.
    pub fn fix(self) -> &'static str {
        self.0.fix
    }

    /// What to change in a server that is made with this crate.
    pub fn own_fix(self) -> Option<&'static str> {
        self.0.own
    }
}

impl PartialEq for Code {
    fn eq(&self, other: &Self) -> bool {
        self.code() == other.code()
    }
}

impl Eq for Code {}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}
