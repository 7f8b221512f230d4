//! `Report`: the findings of the doctor, the gravest first.

use std::collections::BTreeMap;

use serde::Serialize;

use super::code::{Code, Severity};

/// What the doctor found: causes, the gravest first.
///
/// It serializes as `--json` prints it (`docs/doctor.md`), and `Display` is what people read.
/// Whatever came from the server is escaped and cut, and nothing of the token is in it but the
/// claims that matter.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// The version of this form.
    pub format: u32,
    /// The URL that was looked at.
    pub url: String,
    /// What it all comes to.
    pub verdict: Verdict,
    /// What the server seems to be made with, by which fixes are worded.
    pub made_with: Maker,
    /// What was found, the gravest first, and of equal ones the cause first.
    pub findings: Vec<Finding>,
    /// The token, row by row; empty without one.
    pub token: Vec<Row>,
    /// The claims and header members of the token that matter.
    pub claims: BTreeMap<&'static str, String>,
    /// The keys of the authorization servers.
    pub keys: Vec<SeenKey>,
    /// How far clocks are from the one here.
    pub clocks: Vec<SeenClock>,
}

/// What a report comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Verdict {
    /// There is no fault; there may be warnings.
    Good,
    /// There is a fault.
    Faulty,
    /// No request was answered: nothing is known of the server.
    Unseen,
}

/// What a server seems to be made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Maker {
    /// This crate.
    TowerMcpAuth,
    /// Express, as the TypeScript SDK uses it.
    Express,
    /// Uvicorn, as the Python SDK and FastMCP use it.
    Uvicorn,
    /// Something else.
    Other,
}

/// One thing that was found.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// How bad it is.
    #[serde(serialize_with = "by_name")]
    pub severity: Severity,
    /// Its name in the table of `docs/doctor.md`.
    #[serde(serialize_with = "by_code")]
    pub code: Code,
    /// What is wrong.
    pub what: String,
    /// Why it matters, and to which clients.
    pub cause: String,
    /// The line to change.
    pub fix: String,
    /// What was seen.
    pub evidence: Vec<String>,
}

/// One thing that a token is judged by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Row {
    /// What is judged: `iss`, `aud`, …
    pub name: &'static str,
    /// What the server expects.
    pub expected: String,
    /// What the token says.
    pub got: String,
    /// How they compare.
    pub judgement: Judgement,
}

/// How a row came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Judgement {
    /// As it should be.
    Good,
    /// Servers must refuse it.
    Bad,
    /// It cannot be told from outside.
    Unknown,
}

/// A key that an authorization server publishes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SeenKey {
    /// The authorization server.
    pub issuer: String,
    /// Its id.
    pub kid: Option<String>,
    /// Its kind, and its algorithm where it names one.
    pub kind: String,
    /// Whether tokens can be checked with it.
    pub usable: bool,
    /// Why not.
    pub why: Option<String>,
}

/// The clock of another machine, by the `Date` of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SeenClock {
    /// The URL of the server, or the authorization server.
    pub of: String,
    /// How many seconds it is ahead of the clock here.
    pub ahead_seconds: i64,
}

impl Report {
    /// The codes of what is at least so bad, in their order.
    pub fn codes(&self, least: Severity) -> Vec<&'static str> {
        let bad = self.findings.iter().filter(|own| own.severity <= least);
        bad.map(|finding| finding.code.code()).collect()
    }

    /// What `mcp-auth-doctor` ends with: 0 without faults, 1 with faults, 2 where it could not
    /// look.
    pub fn exit_code(&self) -> u8 {
        match self.verdict {
            Verdict::Good => 0,
            Verdict::Faulty => 1,
            Verdict::Unseen => 2,
        }
    }
}

fn by_name<S: serde::Serializer>(severity: &Severity, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(severity.name())
}

fn by_code<S: serde::Serializer>(code: &Code, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(code.code())
}
