//! What became of the attacks, as a table.

use std::error::Error;
use std::fmt::{self, Write as _};

use http::StatusCode;

use super::attack::Attack;
use super::judge::Verdict;

/// So many requests of an attack are shown. The others are counted.
const SHOWN: usize = 6;

/// What became of every attack: see the [module](super).
#[derive(Clone, Debug)]
#[must_use]
pub struct Report {
    pub(super) target: String,
    pub(super) controls: Vec<Control>,
    pub(super) findings: Vec<Finding>,
    /// Attacks that were left out by name.
    pub(super) left_out: Vec<String>,
    /// What only a `Probe` would have told was not.
    pub(super) has_probe: bool,
}

/// A good credential, and whether it got in.
#[derive(Clone, Debug)]
pub(super) struct Control {
    pub(super) what: String,
    pub(super) is_admitted: bool,
    pub(super) answer: String,
}

/// One request of an attack, and what came back.
#[derive(Clone, Debug)]
pub struct Finding {
    pub(super) attack: &'static Attack,
    pub(super) variant: String,
    pub(super) sent: String,
    pub(super) status: Option<StatusCode>,
    pub(super) verdict: Verdict,
    pub(super) answer: String,
}

impl Finding {
    /// The attack.
    pub fn attack(&self) -> &'static Attack {
        self.attack
    }

    /// Which of its requests this was.
    pub fn variant(&self) -> &str {
        &self.variant
    }

    /// The method, the target and the names of the headers, without the credential.
    pub fn sent(&self) -> &str {
        &self.sent
    }

    /// The status of the answer, if there was one.
    pub fn status(&self) -> Option<StatusCode> {
        self.status
    }

    /// What became of it.
    pub fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// What came back, in a few words.
    pub fn answer(&self) -> &str {
        &self.answer
    }
}

impl Report {
    /// Whether every good credential got in, before the attacks and after them. Where one did not,
    /// nothing is proven: a service that refuses everything refuses every attack.
    pub fn is_proven(&self) -> bool {
        self.controls.iter().all(|control| control.is_admitted)
    }

    /// Whether every attack was refused as it should be, and [something is
    /// proven](Self::is_proven).
    pub fn is_held(&self) -> bool {
        self.is_proven() && self.failures().next().is_none()
    }

    /// Every request of every attack, in the order in which they were sent.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Those that were not refused as they should be.
    pub fn failures(&self) -> impl Iterator<Item = &Finding> {
        let findings = self.findings.iter();
        findings.filter(|finding| !finding.verdict.is_held())
    }

    /// The names of the attacks that found a hole, each once.
    pub fn holes(&self) -> Vec<&'static str> {
        let holes = self.findings.iter();
        let mut names: Vec<&'static str> = holes
            .filter(|finding| finding.verdict.is_hole())
            .map(|finding| finding.attack.name)
            .collect();
        names.dedup();
        names
    }

    /// The report itself, as an error unless it [is held](Self::is_held).
    ///
    /// # Errors
    /// An attack was not refused as it should be, or nothing is proven.
    pub fn into_result(self) -> Result<Self, Self> {
        if self.is_held() { Ok(self) } else { Err(self) }
    }

    /// For the one line of a test.
    ///
    /// # Panics
    /// With the table, unless it [is held](Self::is_held).
    #[track_caller]
    pub fn assert_held(&self) {
        assert!(self.is_held(), "{self}");
    }
}

impl<'r> IntoIterator for &'r Report {
    type Item = &'r Finding;
    type IntoIter = std::slice::Iter<'r, Finding>;

    fn into_iter(self) -> Self::IntoIter {
        self.findings.iter()
    }
}

impl Error for Report {}

/// A summary, and a table of what was not refused.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let failures: Vec<&Finding> = self.failures().collect();
        let count = |wanted: fn(Verdict) -> bool| {
            let found = self.findings.iter();
            found.filter(|finding| wanted(finding.verdict)).count()
        };
        writeln!(
            f,
            "hostile requests to {}: {} sent, {} held, {} through, {} irregular, {} unproven",
            self.target,
            self.findings.len(),
            count(Verdict::is_held),
            count(Verdict::is_hole),
            count(|verdict| verdict == Verdict::Irregular),
            count(|verdict| verdict == Verdict::Unproven),
        )?;
        for control in self.controls.iter().filter(|control| !control.is_admitted) {
            let Control { what, answer, .. } = control;
            writeln!(f, "nothing is proven: {what} is refused: {answer}")?;
        }
        if self.controls.is_empty() {
            writeln!(
                f,
                "no good credential was given: a service that refuses everything passes too"
            )?;
        }
        if !self.has_probe && !self.controls.is_empty() {
            writeln!(
                f,
                "without a probe behind it, a credential that is passed on is not seen"
            )?;
        }
        if !self.left_out.is_empty() {
            writeln!(f, "left out: {}", self.left_out.join(", "))?;
        }
        write_table(f, &failures)
    }
}

fn write_table(f: &mut fmt::Formatter<'_>, failures: &[&Finding]) -> fmt::Result {
    if failures.is_empty() {
        return Ok(());
    }
    let heads = ["attack", "verdict", "what was sent", "what came back"];
    let is_first = |(at, finding): &(usize, &&Finding)| {
        let before = failures[..*at].iter();
        let same = before.filter(|other| other.attack.name == finding.attack.name);
        same.count() < SHOWN
    };
    let rows: Vec<[String; 4]> = failures
        .iter()
        .enumerate()
        .filter(is_first)
        .map(|(_, finding)| {
            [
                finding.attack.name.to_owned(),
                finding.verdict.to_string(),
                format!("{} ({})", finding.sent, finding.variant),
                finding.answer.clone(),
            ]
        })
        .collect();
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([heads[column].len()]).max().unwrap_or_default()
    };
    let widths = [width(0), width(1), width(2), width(3)];
    let line = |cells: [&str; 4]| {
        let mut line = String::new();
        for (cell, width) in cells.iter().zip(widths) {
            let _ = write!(line, "{cell:<width$}  ");
        }
        line.trim_end().to_owned()
    };
    writeln!(f, "\n{}", line(heads))?;
    for row in &rows {
        writeln!(f, "{}", line([&row[0], &row[1], &row[2], &row[3]]))?;
    }
    writeln!(f)?;
    let mut rest = failures;
    while let [first, ..] = rest {
        // They stand together, in the order in which they were sent.
        let attack = first.attack;
        let others = rest.iter().position(|it| it.attack.name != attack.name);
        let count = others.unwrap_or(rest.len());
        if let Some(more @ 1..) = count.checked_sub(SHOWN) {
            writeln!(f, "and {more} more of {}", attack.name)?;
        }
        let (what, source) = (attack.description, attack.source);
        writeln!(f, "{}: {what} [{source}]", attack.name)?;
        rest = &rest[count..];
    }
    Ok(())
}
