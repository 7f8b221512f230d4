//! What a client script prints: see `contract.mjs` and `contract.py`.

use serde::Deserialize;

/// One visit to a server.
#[derive(Debug, Deserialize)]
pub(crate) struct Visit {
    pub(crate) tools: Vec<String>,
    pub(crate) calls: Vec<Call>,
    /// The scopes asked for, at each visit to the authorization endpoint.
    pub(crate) authorizations: Vec<String>,
    /// `METHOD URL STATUS` of each request.
    pub(crate) steps: Vec<String>,
    /// `URL AUDIENCE STATUS` of each request with an access token.
    pub(crate) presented: Vec<String>,
    /// Why it came to nothing.
    pub(crate) error: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Call {
    pub(crate) tool: String,
    pub(crate) text: Option<String>,
    pub(crate) error: Option<String>,
}

impl Visit {
    pub(crate) fn read(line: &str) -> Self {
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    /// What the tools said that were called; `None` for a call that failed.
    pub(crate) fn said(&self) -> Vec<Option<&str>> {
        self.calls.iter().map(|call| call.text.as_deref()).collect()
    }

    /// Asserts that there are requests in this order, of which each begins and ends so. There may
    /// be others between.
    pub(crate) fn assert_steps(&self, expected: &[(&str, &str)]) {
        let mut steps = self.steps.iter();
        for (beginning, end) in expected {
            let is_there = steps.any(|step| step.starts_with(beginning) && step.ends_with(end));
            assert!(is_there, "{beginning}…{end} is missing: {self:#?}");
        }
    }
}
