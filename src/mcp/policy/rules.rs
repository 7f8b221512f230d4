//! The rules of one kind, the most specific first.

use std::collections::{BTreeMap, HashMap};

use super::pattern::{Form, Pattern};
use super::uri::{canonical, head};
use crate::error::ConfigError;
use crate::requirement::Requirement;

/// The rules of one kind: for methods, tools, prompts or resources.
#[derive(Clone, Debug, Default)]
pub(in crate::mcp) struct Rules {
    exact: BTreeMap<Box<str>, Requirement>,
    /// The most specific first, once they are [sorted](Self::sort).
    forms: Vec<(Form, Requirement)>,
    /// The places in `forms` of those with this beginning, in their order.
    by_head: HashMap<Box<str>, Vec<usize>>,
    /// Of the beginnings, each once, the longest first.
    head_lengths: Vec<usize>,
}

/// What the rules say of a resource.
#[derive(Debug)]
pub(in crate::mcp) enum Found<'r> {
    Rule(&'r Requirement),
    NoRule,
    /// The URI could be another one to the server.
    Ambiguous,
}

impl Rules {
    pub(in crate::mcp) fn add(
        &mut self,
        setting: &'static str,
        pattern: Pattern,
        needs: Requirement,
    ) -> Result<(), ConfigError> {
        let twice = |text: &str| {
            ConfigError::new(
                setting,
                format!("{text:?} has a second rule for the same names: make one of the two"),
            )
        };
        match pattern {
            Pattern::Exact(name) => {
                if self.exact.contains_key(&name) {
                    return Err(twice(&name));
                }
                self.exact.insert(name, needs);
            }
            Pattern::Form(form) => {
                let places = self.by_head.entry(form.head().into()).or_default();
                if places
                    .iter()
                    .any(|place| self.forms[*place].0.is_same(&form))
                {
                    return Err(twice(&form.text));
                }
                places.push(self.forms.len());
                self.forms.push((form, needs));
            }
        }
        Ok(())
    }

    /// Puts the most specific form first. Rules are found after this only.
    pub(in crate::mcp) fn sort(&mut self) {
        self.forms.sort_by(|(one, _), (other, _)| one.order(other));
        self.by_head.clear();
        for (place, (form, _)) in self.forms.iter().enumerate() {
            let places = self.by_head.entry(form.head().into()).or_default();
            places.push(place);
        }
        self.head_lengths = self.by_head.keys().map(|head| head.len()).collect();
        self.head_lengths
            .sort_unstable_by(|one, other| other.cmp(one));
        self.head_lengths.dedup();
    }

    /// The forms that may match a name, by its beginning; the most specific first.
    fn candidates<'r>(&'r self, name: &str) -> impl Iterator<Item = &'r (Form, Requirement)> {
        let lengths = self.head_lengths.iter();
        let heads = lengths.filter_map(|length| name.get(..*length));
        let places = heads.filter_map(|head| self.by_head.get(head)).flatten();
        places.map(|place| &self.forms[*place])
    }

    pub(in crate::mcp) fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.forms.is_empty()
    }

    pub(in crate::mcp) fn find(&self, name: &str) -> Option<&Requirement> {
        self.exact.get(name).or_else(|| {
            let (_, needs) = self.candidates(name).find(|(form, _)| form.matches(name))?;
            Some(needs)
        })
    }

    pub(in crate::mcp) fn find_uri(&self, uri: &str) -> Found<'_> {
        if self.is_empty() {
            return Found::NoRule;
        }
        if let Some(needs) = self.exact.get(uri) {
            return Found::Rule(needs);
        }
        let Some(uri) = canonical(uri) else {
            return Found::Ambiguous;
        };
        // A rule that names no query is for the URI with any, and is not less specific for
        // it: a query that the server does not read must not lead to a wider rule.
        let path = uri.split_once('?').map_or(&*uri, |(path, _)| path);
        let form_of = |wanted: &dyn Fn(&Form) -> bool| {
            // What matches the path without the query begins like the whole.
            let form = self.candidates(&uri).find(|(form, _)| wanted(form));
            form.map(|(_, needs)| needs)
        };
        let found = self
            .exact
            .get(&*uri)
            .or_else(|| form_of(&|form| form.names_query() && form.matches(&uri)))
            .or_else(|| self.exact.get(path))
            .or_else(|| form_of(&|form| form.matches(&uri) || form.matches(path)));
        found.map_or(Found::NoRule, Found::Rule)
    }

    /// Every rule that some URI of a template falls under, and whether a URI of it can fall
    /// under none; `None` where its URIs could be other ones to the server.
    pub(super) fn find_template(&self, template: &str) -> Option<(Vec<&Requirement>, bool)> {
        if self.is_empty() {
            return Some((Vec::new(), true));
        }
        if let Some((_, needs)) = self.forms.iter().find(|(form, _)| *form.text == *template) {
            return Some((vec![needs], false));
        }
        let head = head(template)?;
        let meets = |own: &str| own.starts_with(&*head) || head.starts_with(own);
        let exact = self.exact.iter().filter(|(name, _)| meets(name));
        let mut found: Vec<&Requirement> = exact.map(|(_, needs)| needs).collect();
        for (form, needs) in &self.forms {
            if meets(form.head()) {
                found.push(needs);
            }
            if form.covers(&head) {
                return Some((found, false));
            }
        }
        Some((found, true))
    }

    /// Whether one rule is for all names with this beginning.
    pub(super) fn covers(&self, head: &str) -> bool {
        self.forms.iter().any(|(form, _)| form.covers(head))
    }

    /// Every rule, by the text it was given with.
    pub(super) fn all(&self) -> impl Iterator<Item = (&str, &Requirement)> {
        let exact = self.exact.iter().map(|(name, needs)| (&**name, needs));
        let forms = self.forms.iter();
        exact.chain(forms.map(|(form, needs)| (&*form.text, needs)))
    }

    pub(super) fn all_needs(&self) -> impl Iterator<Item = &Requirement> {
        self.all().map(|(_, needs)| needs)
    }
}
