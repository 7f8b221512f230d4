//! What a policy tells clients of.

use super::{DefaultRule, Item, McpPolicy, Table};
use crate::requirement::{AskedScopes, Requirement, to_announce};
use crate::scope::Scopes;

impl From<&McpPolicy> for AskedScopes {
    /// The scopes of all rules, but for those that deny, and but for what a
    /// [`check`](super::McpPolicyBuilder::check) may ask for.
    fn from(policy: &McpPolicy) -> Self {
        policy.table.asked()
    }
}

impl Table {
    fn asked(&self) -> AskedScopes {
        let listed = self.listed.iter().map(|(_, needs)| needs);
        let others = self.methods.all_needs();
        let others = others.chain([&self.notifications, &self.client_responses]);
        let http = self.http.iter().map(|(_, needs)| needs);
        let others = others.chain(http).chain(&self.other_http_methods);
        let listed = all_of(listed);
        let all = all_of([&self.baseline].into_iter());
        AskedScopes {
            all: all.union(&listed).union(&all_of(others)),
            listed,
            baseline: self.baseline.clone(),
            least: self.least(),
            hierarchy: self.hierarchy.clone(),
        }
    }

    /// What the tool, prompt or resource needs, its method included, that needs the fewest
    /// scopes, but some; the first of several.
    fn least(&self) -> Scopes {
        let with_method = |item: Item, needs: &Requirement| match self.methods.find(item.method()) {
            Some(method) => method.clone().and(needs),
            None => needs.clone(),
        };
        let caller = Requirement::authenticated();
        let unlisted = [Item::Tool, Item::Prompt, Item::Resource]
            .into_iter()
            .filter(|_| self.default_rule == DefaultRule::Baseline)
            .map(|item| with_method(item, &caller));
        let ruled = self.listed.iter();
        let ruled = ruled.map(|(item, needs)| with_method(*item, needs));
        ruled
            .chain(unlisted)
            .filter(|needs| !needs.is_denied() && !needs.is_none())
            .map(|needs| to_announce(&needs.asked_of_anonymous(&self.hierarchy)))
            .filter(|scopes| !scopes.is_empty())
            .min_by_key(|scopes| scopes.iter().count())
            .unwrap_or_default()
    }
}

fn all_of<'n>(needs: impl Iterator<Item = &'n Requirement>) -> Scopes {
    let scopes: Vec<Scopes> = needs.map(Requirement::scopes).collect();
    Scopes::unique(scopes.iter().flat_map(Scopes::iter))
}
