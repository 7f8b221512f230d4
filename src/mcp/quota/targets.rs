//! What a budget is for: tools, prompts and resources, by the patterns of policies.

use crate::error::ConfigError;
use crate::mcp::operation::{Message, Target};
use crate::mcp::policy::{Found, Pattern, Rules};
use crate::requirement::Requirement;

/// What it is for; for everything where nothing is named.
#[derive(Clone, Debug, Default)]
pub(super) struct Targets {
    tools: Rules,
    prompts: Rules,
    resources: Rules,
}

impl Targets {
    pub(super) fn add_tool(&mut self, pattern: &str) -> Result<(), ConfigError> {
        let name = Pattern::name("tool", pattern)?;
        self.tools.add("tool", name, asked())
    }

    pub(super) fn add_prompt(&mut self, pattern: &str) -> Result<(), ConfigError> {
        let name = Pattern::name("prompt", pattern)?;
        self.prompts.add("prompt", name, asked())
    }

    pub(super) fn add_resource(&mut self, pattern: &str) -> Result<(), ConfigError> {
        let uri = Pattern::uri("resource", pattern)?;
        self.resources.add("resource", uri, asked())
    }

    /// Rules are found once they are sorted.
    pub(super) fn sort(&mut self) {
        self.tools.sort();
        self.prompts.sort();
        self.resources.sort();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tools.is_empty() && self.prompts.is_empty() && self.resources.is_empty()
    }

    /// How often a message uses what is named.
    pub(super) fn uses(&self, message: &Message<'_>) -> u64 {
        if self.is_empty() {
            return 1;
        }
        let is_ours = |uri: &str| !matches!(self.resources.find_uri(uri), Found::NoRule);
        match &message.target {
            Target::None => 0,
            Target::Tool(name) => self.tools.find(name).is_some().into(),
            Target::Prompt(name) => self.prompts.find(name).is_some().into(),
            Target::Resource(uri) => is_ours(uri).into(),
            Target::Resources(uris) => uris.iter().filter(|uri| is_ours(uri)).count() as u64,
        }
    }
}

/// A budget asks nothing of those whom it counts: that there is a rule is all that is told.
fn asked() -> Requirement {
    Requirement::none()
}
