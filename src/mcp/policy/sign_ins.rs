//! Rules that ask for sign-ins of which none suffices for all of them.

use super::{McpPolicy, Table};
use crate::error::ConfigError;
use crate::requirement::{EXCLUDED, Requirement, Strength};

/// What a rule of each kind is asked together with.
pub(super) const RESOURCE_METHODS: [&str; 5] = [
    "resources/read",
    "resources/subscribe",
    "resources/unsubscribe",
    "subscriptions/listen",
    "completion/complete",
];

pub(super) const PROMPT_METHODS: [&str; 2] = ["prompts/get", "completion/complete"];

pub(super) const TOOL_METHODS: [&str; 1] = ["tools/call"];

impl McpPolicy {
    /// Checks that each rule can be met together with what the auth layer asks of all callers.
    ///
    /// # Errors
    /// They cannot; the message names the rule.
    pub(crate) fn check_sign_ins(&self, of_layer: &Strength) -> Result<(), ConfigError> {
        self.table.check_sign_ins(of_layer)
    }
}

impl Table {
    /// The same, once the rules are sorted.
    pub(super) fn check_sign_ins(&self, of_layer: &Strength) -> Result<(), ConfigError> {
        let base = of_layer.clone().and(self.baseline.strength());
        let refuse = |setting: &'static str, what: String| {
            ConfigError::new(setting, format!("{what} asks for an acr: {EXCLUDED}"))
        };
        if base.excludes_all() {
            return Err(refuse("baseline", "the auth layer as well".to_owned()));
        }
        let check = |setting, what: &str, needs: &[Option<&Requirement>]| {
            let all = needs.iter().flatten();
            // What is denied is never asked for anything else.
            if all.clone().any(|needs| needs.is_denied()) {
                return Ok(());
            }
            let all = all.fold(base.clone(), |all, needs| all.and(needs.strength()));
            match all.excludes_all() {
                true => Err(refuse(setting, what.to_owned())),
                false => Ok(()),
            }
        };
        for (method, needs) in self.methods.all() {
            let what = format!("{method:?}, with the baseline,");
            check("methods", &what, &[Some(needs)])?;
        }
        let kinds = [
            ("tools", &self.tools, &TOOL_METHODS[..]),
            ("prompts", &self.prompts, &PROMPT_METHODS),
            ("resources", &self.resources, &RESOURCE_METHODS),
        ];
        for (setting, rules, methods) in kinds {
            for (name, needs) in rules.all() {
                for method in methods {
                    let what = format!("{name:?}, with the baseline and the rule for {method},");
                    check(setting, &what, &[Some(needs), self.methods.find(method)])?;
                }
            }
        }
        let what = "it, with the baseline,";
        check("client_responses", what, &[Some(&self.client_responses)])?;
        check("notifications", what, &[Some(&self.notifications)])?;
        check(
            "other_http_methods",
            what,
            &[self.other_http_methods.as_ref()],
        )?;
        for (method, needs) in &self.http {
            check(
                "http",
                &format!("{method}, with the baseline,"),
                &[Some(needs)],
            )?;
        }
        Ok(())
    }
}
