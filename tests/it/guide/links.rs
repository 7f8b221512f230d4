//! Links lead somewhere: for readers of the repository, and for readers of the documentation.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// One page, read for its links. Code is left out.
struct Page {
    anchors: BTreeSet<String>,
    /// What stands in `[…](here)`.
    inline: Vec<String>,
    /// What stands in `[…][here]`.
    labels: Vec<String>,
    /// `[label]: target`.
    definitions: BTreeMap<String, String>,
}

impl Page {
    fn read(path: &Path) -> Self {
        let mut page = Self {
            anchors: BTreeSet::new(),
            inline: Vec::new(),
            labels: Vec::new(),
            definitions: BTreeMap::new(),
        };
        let text = fs::read_to_string(path).unwrap();
        let mut is_code = false;
        let mut prose = String::new();
        for line in text.lines() {
            if line.trim_start().starts_with("```") {
                is_code = !is_code;
            } else if is_code {
            } else if let Some(heading) = line.strip_prefix('#') {
                let slug = slug(heading.trim_start_matches('#'));
                page.anchors.insert(slug);
                prose.push_str(line);
                prose.push('\n');
            } else if let Some((label, target)) = definition(line) {
                page.definitions.insert(label.to_owned(), target.to_owned());
            } else {
                prose.push_str(line);
                prose.push('\n');
            }
        }
        let prose = without_code(&prose);
        for (at, _) in prose.match_indices("](") {
            let target = &prose[at + 2..];
            page.inline.push(until(target, ')'));
        }
        for (at, _) in prose.match_indices("][") {
            let label = &prose[at + 2..];
            page.labels.push(until(label, ']'));
        }
        page
    }

    /// All targets that are not of the web.
    fn targets(&self) -> impl Iterator<Item = &String> {
        self.inline
            .iter()
            .chain(self.definitions.values())
            .filter(|target| !target.starts_with("https://"))
    }
}

fn until(text: &str, end: char) -> String {
    let end = text.find(end).expect("the link ends");
    text[..end].split_whitespace().collect::<Vec<_>>().join(" ")
}

fn definition(line: &str) -> Option<(&str, &str)> {
    let (label, target) = line.strip_prefix('[')?.split_once("]: ")?;
    (!label.contains(']')).then_some((label, target))
}

fn without_code(prose: &str) -> String {
    prose.split('`').step_by(2).collect()
}

/// The anchor of a heading, as GitHub and rustdoc make it.
fn slug(heading: &str) -> String {
    let kept = heading.trim().chars().filter_map(|c| match c {
        ' ' => Some('-'),
        '-' | '_' => Some(c),
        _ if c.is_alphanumeric() => Some(c.to_ascii_lowercase()),
        _ => None,
    });
    kept.collect()
}

fn pages() -> BTreeMap<PathBuf, Page> {
    let root = common::root();
    let folders = [
        "",
        "docs",
        "docs/identity-providers",
        "examples",
        "fuzz",
        "tests/interop",
    ];
    let paths = folders.iter().flat_map(|folder| {
        let entries = fs::read_dir(root.join(folder)).unwrap();
        entries.map(|entry| entry.unwrap().path())
    });
    let pages: BTreeMap<_, _> = paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .map(|path| (path.canonicalize().unwrap(), Page::read(&path)))
        .collect();
    assert!(pages.len() > 50, "{}", pages.len());
    pages
}

#[test]
fn every_link_leads_to_a_file_and_an_anchor_that_are_there() {
    let pages = pages();
    let mut dead = Vec::new();
    let mut followed = 0;
    for (path, page) in &pages {
        for target in page.targets() {
            let (file, anchor) = match target.split_once('#') {
                Some((file, anchor)) => (file, Some(anchor)),
                None => (&**target, None),
            };
            let file = match file {
                "" => path.clone(),
                file => path.parent().unwrap().join(file),
            };
            let found = file.canonicalize().ok().filter(|file| match anchor {
                None => true,
                Some(anchor) => pages
                    .get(file)
                    .is_some_and(|page| page.anchors.contains(anchor)),
            });
            followed += 1;
            if found.is_none() {
                dead.push(format!("{}: {target}", path.display()));
            }
        }
        for label in &page.labels {
            if !page.definitions.contains_key(label) {
                dead.push(format!("{}: [{label}] is not defined", path.display()));
            }
        }
        // Once where it is defined, and once more.
        let text = fs::read_to_string(path).unwrap();
        for label in page.definitions.keys() {
            if text.matches(&format!("[{label}]")).count() < 2 {
                dead.push(format!("{}: [{label}] is not used", path.display()));
            }
        }
    }
    assert!(dead.is_empty(), "{dead:#?}");
    assert!(followed > 60, "{followed}");
}

/// In the documentation `b.md` is not beside `a.md`. So pages of `docs/` link each other by labels,
/// and `src/guide/links.md`, which stands before each page there, has another target for each.
#[test]
fn chapters_link_each_other_by_labels_that_the_guide_defines_too() {
    let root = common::root().canonicalize().unwrap();
    let mut guide = Page::read(&root.join("src/guide/links.md")).definitions;
    guide.extend(Page::read(&root.join("src/guide/dashboard.md")).definitions);
    let mut wrong = Vec::new();
    for (path, page) in pages() {
        if !path.starts_with(root.join("docs")) {
            continue;
        }
        for target in &page.inline {
            if !target.starts_with("https://") && !target.starts_with('#') {
                wrong.push(format!("{}: ({target}) is no label", path.display()));
            }
        }
        for (label, target) in &page.definitions {
            if target.starts_with("https://") {
                continue;
            }
            if label != target {
                wrong.push(format!("{}: [{label}] is not {target}", path.display()));
            }
            if !guide.contains_key(label) {
                wrong.push(format!("src/guide/links.md: [{label}] is missing"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_page_is_a_chapter_and_begins_with_a_question() {
    let root = common::root();
    let guide = fs::read_to_string(root.join("src/guide/mod.rs")).unwrap();
    let overview = fs::read_to_string(root.join("docs/identity-providers.md")).unwrap();
    let docs = root.join("docs").canonicalize().unwrap();
    for path in pages().into_keys() {
        let Ok(name) = path.strip_prefix(&docs) else {
            continue;
        };
        let name = name.to_str().unwrap();
        let module = name.trim_end_matches(".md").replace('-', "_");
        assert!(guide.contains(&format!("/docs/{name}\"")), "{name}");
        let is_listed = match module.split_once('/') {
            None => guide.contains(&format!("]({module}) |")),
            Some(_) => overview.contains(&format!("][{name}] |")),
        };
        assert!(is_listed, "{name} is not in the list");
        let text = fs::read_to_string(&path).unwrap();
        let mut lines = text.lines();
        assert!(lines.next().unwrap().starts_with("# "), "{name}");
        assert_eq!(lines.next(), Some(""), "{name}");
        assert!(lines.next().unwrap().starts_with("*\""), "{name}");
    }
}

#[test]
fn the_chapter_prints_the_program_that_is_run_here() {
    let page = fs::read_to_string(common::root().join("docs/five-minute-server.md")).unwrap();
    let blocks = page.split("\n```").filter_map(|block| {
        let (language, code) = block.split_once('\n')?;
        language.starts_with("rust").then_some(code)
    });
    let printed = blocks.collect::<Vec<_>>().join("\n\n");
    let run = include_str!("five_minute_server.rs");
    let (_, run) = run.split_once("\n\n").unwrap();
    assert_eq!(printed.trim_end(), run.trim_end());
}
