//! The rules of one kind, the most specific first.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

use super::pattern::{Form, Pattern};
use super::uri::{canonical, head};
use crate::error::ConfigError;
use crate::requirement::Requirement;

/// The rules of one kind: for methods, tools, prompts or resources.
#[derive(Clone, Debug, Default)]
pub(in crate::mcp) struct Rules {
    exact: BTreeMap<Box<str>, Requirement>,
    /// Of the exact names, each length once, the longest first.
    exact_lengths: Vec<usize>,
    /// The most specific first, once they are [sorted](Self::sort).
    forms: Vec<(Form, Requirement)>,
    /// The places in `forms` of those with this beginning, in their order.
    by_head: BTreeMap<Box<str>, Vec<usize>>,
    /// Of the beginnings, each length once, the longest first.
    head_lengths: Vec<usize>,
    /// The places in `forms`, by the text each was given with.
    by_text: HashMap<Box<str>, usize>,
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
        self.by_text.clear();
        for (place, (form, _)) in self.forms.iter().enumerate() {
            let places = self.by_head.entry(form.head().into()).or_default();
            places.push(place);
            self.by_text.entry(form.text.clone()).or_insert(place);
        }
        self.exact_lengths = lengths(&self.exact);
        self.head_lengths = lengths(&self.by_head);
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
        if let Some(place) = self.by_text.get(template) {
            return Some((vec![&self.forms[*place].1], false));
        }
        let head = head(template)?;
        let mut found: Vec<&Requirement> =
            meeting(&self.exact, &self.exact_lengths, &head).collect();
        let mut places: Vec<&usize> = meeting(&self.by_head, &self.head_lengths, &head)
            .flatten()
            .collect();
        places.sort_unstable();
        for place in places {
            let (form, needs) = &self.forms[*place];
            found.push(needs);
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

/// The lengths of the keys of a map, each once, the longest first.
fn lengths<V>(map: &BTreeMap<Box<str>, V>) -> Vec<usize> {
    let mut lengths: Vec<usize> = map.keys().map(|key| key.len()).collect();
    lengths.sort_unstable_by(|one, other| other.cmp(one));
    lengths.dedup();
    lengths
}

/// The values of the keys that `head` begins with, and of those that begin with it. `lengths` are
/// those of all keys.
fn meeting<'r, V>(
    map: &'r BTreeMap<Box<str>, V>,
    lengths: &[usize],
    head: &str,
) -> impl Iterator<Item = &'r V> {
    let shorter = lengths.iter().rev().filter(|length| **length < head.len());
    let beginnings = shorter.filter_map(|length| head.get(..*length));
    let at_least = (Bound::Included(head), Bound::Unbounded);
    let longer = map
        .range::<str, _>(at_least)
        .map_while(move |(key, value)| {
            let begins = key.starts_with(head);
            begins.then_some(value)
        });
    beginnings.filter_map(|own| map.get(own)).chain(longer)
}
