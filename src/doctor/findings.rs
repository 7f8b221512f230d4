//! Collecting what is found, and wording it for the server at hand.

use super::code::{Code, Severity};
use super::lines;
use super::report::{Finding, Maker};

/// Of one finding.
const MOST_EVIDENCE: usize = 5;

/// What was found so far.
#[derive(Debug)]
pub(super) struct Findings {
    list: Vec<Finding>,
    pub(super) maker: Maker,
    /// What fixes name: the URL as it was given, and where its metadata belong.
    url: String,
    metadata: String,
}

impl Findings {
    pub(super) fn new(url: &str, metadata: &str) -> Self {
        Self {
            list: Vec::new(),
            maker: Maker::Other,
            url: url.to_owned(),
            metadata: metadata.to_owned(),
        }
    }

    pub(super) fn add(&mut self, code: Code, evidence: impl Into<String>) {
        self.add_as(code, code.severity(), None, evidence.into());
    }

    /// With what stands in the place of `{got}`.
    pub(super) fn add_with(&mut self, code: Code, got: &str, evidence: impl Into<String>) {
        self.add_as(code, code.severity(), Some(got), evidence.into());
    }

    /// As bad as this, in the case at hand.
    pub(super) fn add_as(
        &mut self,
        code: Code,
        severity: Severity,
        got: Option<&str>,
        evidence: String,
    ) {
        if let Some(own) = self.list.iter_mut().find(|own| own.code == code) {
            own.severity = own.severity.min(severity);
            if own.evidence.len() < MOST_EVIDENCE && !own.evidence.contains(&evidence) {
                own.evidence.push(evidence);
            }
            return;
        }
        let line = match self.maker {
            Maker::TowerMcpAuth => code.own_fix().map(|own| format!(" Here: {own}.")),
            maker => lines::of(maker, code).map(|line| format!(" Here: {line}")),
        };
        let fix = format!("{}{}", code.fix(), line.unwrap_or_default());
        let filled = |text: &str| {
            text.replace("{url}", &self.url)
                .replace("{metadata}", &self.metadata)
                .replace("{got}", got.unwrap_or("…"))
        };
        self.list.push(Finding {
            severity,
            code,
            what: code.what().to_owned(),
            cause: filled(code.cause()),
            fix: filled(&fix),
            evidence: Some(evidence)
                .filter(|seen| !seen.is_empty())
                .into_iter()
                .collect(),
        });
    }

    pub(super) fn has(&self, code: Code) -> bool {
        self.list.iter().any(|own| own.code == code)
    }

    /// The gravest first, and of equal ones the cause first.
    pub(super) fn ranked(mut self) -> Vec<Finding> {
        self.list.sort_by_key(|own| (own.severity, own.code.rank()));
        self.list
    }
}
