//! A report for people.

use std::fmt;

use super::code::Severity;
use super::report::{Judgement, Maker, Report, SeenClock, Verdict};

const WIDTH: usize = 100;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.url)?;
        if let Some(maker) = self.made_with.name() {
            writeln!(f, "made with {maker}, it seems")?;
        }
        for finding in &self.findings {
            writeln!(f)?;
            let severity = finding.severity.name().to_ascii_uppercase();
            writeln!(f, "{severity} {}", finding.code)?;
            paragraph(f, "", &finding.what)?;
            for seen in &finding.evidence {
                paragraph(f, "seen", seen)?;
            }
            paragraph(f, "why", &finding.cause)?;
            if finding.severity != Severity::Note || !finding.fix.starts_with("Nothing") {
                paragraph(f, "change", &finding.fix)?;
            }
        }
        self.write_token(f)?;
        self.write_keys(f)?;
        for clock in self.clocks.iter().filter(|own| is_off(own)) {
            let (of, ahead) = (&clock.of, clock.ahead_seconds);
            writeln!(f, "\nclock of {of}: {ahead:+} s")?;
        }
        let count = |severity| {
            let mut all = self.findings.iter();
            all.by_ref().filter(|own| own.severity == severity).count()
        };
        let (faults, warnings) = (count(Severity::Fault), count(Severity::Warning));
        match self.verdict {
            Verdict::Unseen => writeln!(
                f,
                "\nThe doctor saw nothing of the server: no request was answered."
            )?,
            Verdict::Good if warnings == 0 => writeln!(f, "\nNo fault, no warning.")?,
            _ => writeln!(
                f,
                "\nIn all {} and {}.",
                plural(faults, "fault"),
                plural(warnings, "warning")
            )?,
        }
        match self.findings.is_empty() {
            true => Ok(()),
            false => writeln!(
                f,
                "`mcp-auth-doctor --explain CODE` says more about a code."
            ),
        }
    }
}

impl Report {
    fn write_token(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.token.is_empty() {
            return Ok(());
        }
        writeln!(f, "\nThe token:")?;
        for row in &self.token {
            let mark = match row.judgement {
                Judgement::Good => "ok",
                Judgement::Bad => "BAD",
                Judgement::Unknown => "?",
            };
            writeln!(f, "  {mark:<4}{:<10} {}", row.name, row.got)?;
            if row.judgement != Judgement::Good && !row.expected.is_empty() {
                writeln!(f, "      {:<10} expected: {}", "", row.expected)?;
            }
        }
        Ok(())
    }

    fn write_keys(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.keys.is_empty() {
            return Ok(());
        }
        writeln!(f, "\nPublished keys:")?;
        for key in &self.keys {
            let mark = if key.usable { "ok" } else { "no" };
            let kid = key.kid.as_deref().unwrap_or("(no kid)");
            let why = key.why.as_deref().unwrap_or_default();
            let line = format!("  {mark:<4}{kid} {} {why}", key.kind);
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

impl Maker {
    fn name(self) -> Option<&'static str> {
        match self {
            Self::TowerMcpAuth => Some("tower-mcp-auth"),
            Self::Express => Some("Express"),
            Self::Uvicorn => Some("Uvicorn (Python SDK or FastMCP)"),
            Self::Other => None,
        }
    }
}

/// `Date` counts in seconds, and some servers write one that is a second old.
fn is_off(clock: &SeenClock) -> bool {
    clock.ahead_seconds.abs() > 1
}

fn plural(count: usize, what: &str) -> String {
    match count {
        0 => format!("no {what}"),
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    }
}

/// A text with its name before it, in lines of a terminal.
pub(super) fn paragraph(f: &mut impl fmt::Write, name: &str, text: &str) -> fmt::Result {
    let mut line = format!("  {name:<7}");
    if name.is_empty() {
        line = "  ".to_owned();
    }
    let indent = line.len();
    let mut is_empty = true;
    for word in text.split(' ') {
        if !is_empty && line.chars().count() + 1 + word.chars().count() > WIDTH {
            writeln!(f, "{}", line.trim_end())?;
            line = " ".repeat(indent);
            is_empty = true;
        }
        if !is_empty {
            line.push(' ');
        }
        line.push_str(word);
        is_empty = false;
    }
    writeln!(f, "{}", line.trim_end())
}
