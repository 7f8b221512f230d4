//! Takes out of the answer to a list request what is closed to the caller.

use std::borrow::Cow;
use std::ops::Range;

use super::Shows;
use crate::json::{Fault, Scanner};
use crate::mcp::policy::Item;

/// The members of a result that are lists, and by which member their items are known.
const LISTS: [(&str, &str, Item); 4] = [
    ("tools", "name", Item::Tool),
    ("prompts", "name", Item::Prompt),
    ("resources", "uri", Item::Resource),
    ("resourceTemplates", "uriTemplate", Item::Template),
];

/// Filters a message, or a batch of them; `None` where nothing in it changes.
///
/// A list is known by its shape alone, an answer with one of the members in its `result`, so
/// that it does not matter which request it answers, or on which stream.
///
/// # Errors
/// The text is no JSON, or a list holds what cannot be judged.
pub(super) fn filter(text: &str, view: &dyn Shows) -> Result<Option<String>, Fault> {
    let mut json = Scanner::lenient(text);
    let mut edits = Vec::new();
    let mut lists = Vec::new();
    if json.peek() == Some(b'[') {
        let mut elements = json.enter(b'[')?;
        while json.element(&mut elements)? {
            message(&mut json, view, &mut edits, &mut lists)?;
        }
    } else {
        message(&mut json, view, &mut edits, &mut lists)?;
    }
    json.finish()?;
    // Of a message that cannot be read to its end nothing was shown.
    for list in lists {
        view.filtered(list.item, list.shown, list.removed);
    }
    Ok((!edits.is_empty()).then(|| apply(text, edits)))
}

/// The `id` of a message of which only the beginning may be there.
pub(super) fn id(text: &str) -> Option<&str> {
    let mut json = Scanner::lenient(text);
    let mut members = json.enter(b'{').ok()?;
    while let Some(name) = json.member(&mut members).ok()? {
        let value = json.skip().ok()?;
        if name == "id" {
            // A number may go on where the text ends.
            json.peek()?;
            return value
                .starts_with(|first: char| matches!(first, '"' | '-' | '0'..='9'))
                .then_some(value);
        }
    }
    None
}

/// A part of the text, and what replaces it.
type Edit<'a> = (Range<usize>, Cow<'a, str>);
type Edits<'a> = Vec<Edit<'a>>;

/// What became of a list.
struct List {
    item: Item,
    shown: usize,
    removed: usize,
}

fn message<'a>(
    json: &mut Scanner<'a>,
    view: &dyn Shows,
    edits: &mut Edits<'a>,
    lists: &mut Vec<List>,
) -> Result<(), Fault> {
    if json.peek() != Some(b'{') {
        json.skip()?;
        return Ok(());
    }
    let mut members = json.enter(b'{')?;
    while let Some(name) = json.member(&mut members)? {
        if name == "result" && json.peek() == Some(b'{') {
            result(json, view, edits, lists)?;
        } else {
            json.skip()?;
        }
    }
    Ok(())
}

fn result<'a>(
    json: &mut Scanner<'a>,
    view: &dyn Shows,
    edits: &mut Edits<'a>,
    lists: &mut Vec<List>,
) -> Result<(), Fault> {
    let mut is_list = false;
    let mut cache_scopes: Edits<'a> = Vec::new();
    let mut members = json.enter(b'{')?;
    while let Some(name) = json.member(&mut members)? {
        let list = LISTS.iter().find(|(list, _, _)| *list == name);
        match (list, json.peek()) {
            (Some((_, key, item)), Some(b'[')) => {
                is_list = true;
                let (edit, list) = items(json, key, *item, view)?;
                edits.extend(edit);
                lists.push(list);
            }
            _ => {
                json.peek();
                let start = json.position();
                let value = json.skip()?;
                if name == "cacheScope" && value != r#""private""# {
                    cache_scopes.push((start..json.position(), r#""private""#.into()));
                }
            }
        }
    }
    // What depends on who asks is for them alone (MCP 2026-07-28, Caching).
    if is_list {
        edits.extend(cache_scopes);
    }
    Ok(())
}

/// The edit that leaves the items that are shown, and how many these are.
fn items<'a>(
    json: &mut Scanner<'a>,
    key: &str,
    item: Item,
    view: &dyn Shows,
) -> Result<(Option<Edit<'a>>, List), Fault> {
    let mut elements = json.enter(b'[')?;
    let start = json.position();
    let mut shown: Vec<Cow<'_, str>> = Vec::new();
    let mut removed = 0;
    let mut is_edited = false;
    let mut end = start;
    while json.element(&mut elements)? {
        json.peek();
        let inside = json.clone();
        let text = json.skip()?;
        end = json.position();
        let name = name_of(&mut inside.clone(), key)?;
        if !view.shows(item, &name) {
            removed += 1;
            continue;
        }
        shown.push(match view.schemes(item, &name) {
            Some(schemes) => {
                is_edited = true;
                with_schemes(&mut inside.clone(), &schemes)?.into()
            }
            None => text.into(),
        });
    }
    let list = List {
        item,
        shown: shown.len(),
        removed,
    };
    let edit = (removed > 0 || is_edited).then(|| (start..end, shown.join(",").into()));
    Ok((edit, list))
}

/// The member that says how to sign in for a tool. Clients that came before it read it in `_meta`.
const SCHEMES: &str = "securitySchemes";

/// A tool that says these schemes, in the place of its own.
fn with_schemes(json: &mut Scanner<'_>, schemes: &str) -> Result<String, Fault> {
    let mut tool = Members::default();
    let mut meta = None;
    let mut members = json.enter(b'{')?;
    while let Some(name) = json.member(&mut members)? {
        match &*name {
            SCHEMES => drop(json.skip()?),
            "_meta" if json.peek() == Some(b'{') => meta = Some(meta_with(json, schemes)?),
            "_meta" => drop(json.skip()?),
            _ => {
                json.peek();
                tool.push(&name, json.skip()?);
            }
        }
    }
    let meta = match meta {
        Some(meta) => meta,
        None => {
            let mut meta = Members::default();
            meta.push(SCHEMES, schemes);
            meta.finish()
        }
    };
    tool.push(SCHEMES, schemes);
    tool.push("_meta", &meta);
    Ok(tool.finish())
}

fn meta_with(json: &mut Scanner<'_>, schemes: &str) -> Result<String, Fault> {
    let mut meta = Members::default();
    let mut members = json.enter(b'{')?;
    while let Some(name) = json.member(&mut members)? {
        json.peek();
        let value = json.skip()?;
        if name != SCHEMES {
            meta.push(&name, value);
        }
    }
    meta.push(SCHEMES, schemes);
    Ok(meta.finish())
}

/// An object that is written member by member.
#[derive(Default)]
struct Members(String);

impl Members {
    /// The value is JSON already.
    fn push(&mut self, name: &str, value: &str) {
        let separator = if self.0.is_empty() { "" } else { "," };
        let name = serde_json::Value::from(name);
        self.0.push_str(&format!("{separator}{name}:{value}"));
    }

    fn finish(self) -> String {
        format!("{{{}}}", self.0)
    }
}

/// What an item is known by. Without exactly one name it cannot be judged.
fn name_of<'a>(json: &mut Scanner<'a>, key: &str) -> Result<Cow<'a, str>, Fault> {
    let mut found = None;
    let mut members = json.enter(b'{')?;
    while let Some(name) = json.member(&mut members)? {
        if name != key {
            json.skip()?;
        } else if found.replace(json.string()?).is_some() {
            return Err(Fault::Syntax);
        }
    }
    found.ok_or(Fault::Syntax)
}

fn apply(text: &str, mut edits: Edits<'_>) -> String {
    edits.sort_by_key(|(range, _)| range.start);
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for (range, replacement) in edits {
        out.push_str(&text[at..range.start]);
        out.push_str(&replacement);
        at = range.end;
    }
    out.push_str(&text[at..]);
    out
}
