//! Checks the direction of imports in `src`: rooms import downwards only, and neither rooms nor
//! folders within a room form a circle. Every file begins with a `//!` line that is a sentence, and
//! `tracing` and `metrics` are named in `telemetry` alone. `.ci/run` compiles and runs it.
//!
//! ```text
//! rustc -o target/imports .ci/imports.rs && target/imports [--list] [FOLDER]
//! ```
//!
//! It reads `use` declarations and paths that begin with `crate`, `self` or `super`. A name that
//! a module re-exports counts for the file that defines it. Unit tests do not count.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// From the roof down. Rooms of one line may import each other, as long as they form no circle.
const FLOORS: &[&[&str]] = &[
    &["bin"],
    &["doctor"],
    &["config", "fuzzing", "guide", "testing"],
    &[
        "cors",
        "mcp",
        "oauth",
        "jwt",
        "api_key",
        "failed_attempts",
        "reload",
        "redis",
    ],
    &["scopes"],
    &["provider"],
    &["auth"],
    &["gate", "token", "revocation"],
    &["refusal"],
    &["telemetry", "jose", "store", "peer", "resources"],
    &["credential", "requirement", "secret"],
    &["error"],
    &["principal"],
    &[
        "scope",
        "resource",
        "authority",
        "clock",
        "crypto",
        "json",
        "util",
    ],
];

type Module = Vec<String>;

struct Source {
    module: Module,
    /// The folder of its submodules, from `src`.
    file: PathBuf,
    imports: Vec<Module>,
}

#[derive(Default)]
struct Crate {
    sources: Vec<Source>,
    modules: BTreeSet<Module>,
    /// What a name in a module stands for.
    aliases: BTreeMap<(Module, String), Module>,
    /// Files that do not say at the top, in one line, what they are for.
    silent: Vec<PathBuf>,
    /// Files that write events themselves.
    tracing: Vec<PathBuf>,
    /// Files that record metrics themselves.
    metrics: Vec<PathBuf>,
}

fn main() -> ExitCode {
    let mut list = false;
    let mut folder = PathBuf::from("src");
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--list" => list = true,
            other => folder = other.into(),
        }
    }
    let mut all = Crate::default();
    all.read_folder(&folder, &folder);
    all.modules = all
        .sources
        .iter()
        .map(|source| source.module.clone())
        .collect();

    let mut faults = all.upward(list);
    faults.extend(all.circles());
    faults.extend(
        all.silent
            .iter()
            .map(|file| format!("{}: the first line is no sentence of `//!`", file.display())),
    );
    faults.extend(
        all.tracing
            .iter()
            .map(|file| format!("{}: events are written in telemetry", file.display())),
    );
    faults.extend(
        all.metrics
            .iter()
            .map(|file| format!("{}: metrics are recorded in telemetry", file.display())),
    );
    for fault in &faults {
        println!("{fault}");
    }
    let rooms: BTreeSet<&str> = all.sources.iter().filter_map(|s| room(&s.module)).collect();
    println!(
        "{} files in {} rooms: {} faults",
        all.sources.len(),
        rooms.len(),
        faults.len()
    );
    ExitCode::from(u8::from(!faults.is_empty()))
}

fn room(module: &[String]) -> Option<&str> {
    module.first().map(String::as_str)
}

fn floor(room: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&room))
}

impl Crate {
    fn read_folder(&mut self, root: &Path, folder: &Path) {
        let mut entries: Vec<PathBuf> = std::fs::read_dir(folder)
            .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
            .map(|entry| entry.expect("an entry").path())
            .collect();
        entries.sort();
        for path in entries {
            if path.is_dir() {
                self.read_folder(root, &path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                self.read_file(root, &path);
            }
        }
    }

    fn read_file(&mut self, root: &Path, path: &Path) {
        let file = path.strip_prefix(root).expect("below the root").to_owned();
        let mut module: Module = file
            .with_extension("")
            .iter()
            .map(|part| part.to_string_lossy().into_owned())
            .collect();
        if matches!(
            module.last().map(String::as_str),
            Some("mod" | "lib" | "tests")
        ) {
            if module.last().is_some_and(|name| name == "tests") {
                return;
            }
            module.pop();
        }
        let text = std::fs::read_to_string(path).expect("a text");
        if !is_sentence(text.lines().next().unwrap_or_default()) {
            self.silent.push(file.clone());
        }
        let tokens = tokens(&text);
        // `principal` is below `telemetry`, which knows it.
        let may_trace = matches!(room(&module), Some("telemetry" | "principal"));
        if !may_trace && names_crate(&tokens, "tracing") {
            self.tracing.push(file.clone());
        }
        if room(&module) != Some("telemetry") && names_crate(&tokens, "metrics") {
            self.metrics.push(file.clone());
        }
        let mut imports = Vec::new();
        let mut at = 0;
        while at < tokens.len() {
            let is_use = tokens[at] == "use" && (at == 0 || tokens[at - 1] != "::");
            if is_use {
                // `pub use` is the face of a module, not an import of it.
                let is_public = at > 0 && (tokens[at - 1] == "pub" || tokens[at - 1] == ")");
                let mut found = Vec::new();
                at = use_tree(&tokens, at + 1, &[], &mut found);
                for (path, name) in found {
                    let Some(path) = absolute(&module, &path) else {
                        continue;
                    };
                    if !is_public && !module.is_empty() {
                        imports.push(path.clone());
                    }
                    self.aliases.insert((module.clone(), name), path);
                }
                continue;
            }
            let starts = matches!(tokens[at].as_str(), "crate" | "super" | "self")
                && tokens.get(at + 1).is_some_and(|next| next == "::")
                && (at == 0 || tokens[at - 1] != "::" && tokens[at - 1] != "$");
            if starts {
                let mut path = vec![tokens[at].clone()];
                while tokens.get(at + 1).is_some_and(|next| next == "::")
                    && tokens.get(at + 2).is_some_and(|next| is_name(next))
                {
                    path.push(tokens[at + 2].clone());
                    at += 2;
                }
                if !module.is_empty() {
                    imports.extend(absolute(&module, &path));
                }
            }
            at += 1;
        }
        self.sources.push(Source {
            module,
            file,
            imports,
        });
    }

    /// The module that defines what the path names.
    fn resolve(&self, path: &[String]) -> Module {
        let mut path = path.to_vec();
        for _ in 0..16 {
            let mut module = Vec::new();
            let mut renamed = None;
            for (index, name) in path.iter().enumerate() {
                let mut deeper = module.clone();
                deeper.push(name.clone());
                if self.modules.contains(&deeper) {
                    module = deeper;
                    continue;
                }
                if let Some(target) = self.aliases.get(&(module.clone(), name.clone())) {
                    let mut target = target.clone();
                    target.extend_from_slice(&path[index + 1..]);
                    if target != path {
                        renamed = Some(target);
                    }
                }
                break;
            }
            match renamed {
                Some(target) => path = target,
                None => return module,
            }
        }
        Vec::new()
    }

    /// Imports between rooms that go up, or to a room that has no floor.
    fn upward(&self, list: bool) -> Vec<String> {
        let mut faults = Vec::new();
        let mut edges: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
        for source in &self.sources {
            let Some(from) = room(&source.module) else {
                continue;
            };
            if floor(from).is_none() {
                faults.push(format!(
                    "{}: the room has no floor in .ci/imports.rs",
                    source.file.display()
                ));
            }
            for import in &source.imports {
                let target = self.resolve(import);
                let Some(to) = room(&target) else { continue };
                if to != from {
                    edges
                        .entry((from.to_owned(), to.to_owned()))
                        .or_default()
                        .insert(format!(
                            "{} imports {}",
                            source.file.display(),
                            import.join("::")
                        ));
                }
            }
        }
        let mut graph: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for ((from, to), places) in &edges {
            if list {
                println!("{from} -> {to} ({})", places.len());
            }
            graph.entry(from.clone()).or_default().insert(to.clone());
            if let (Some(above), Some(below)) = (floor(from), floor(to)) {
                if below < above {
                    faults.extend(
                        places
                            .iter()
                            .map(|place| format!("upward, {from} -> {to}: {place}")),
                    );
                }
            }
        }
        for circle in components(&graph) {
            let one_floor = circle
                .iter()
                .map(|room| floor(room))
                .collect::<BTreeSet<_>>()
                .len()
                == 1;
            if one_floor {
                faults.push(format!("circle of rooms: {}", circle.join(", ")));
            }
        }
        faults
    }

    /// Circles between the folders of a room. Files of one folder may know each other.
    fn circles(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let folders: BTreeSet<PathBuf> = self
            .sources
            .iter()
            .filter_map(|source| source.file.parent().map(Path::to_owned))
            .collect();
        let file_of: BTreeMap<&Module, &Path> = self
            .sources
            .iter()
            .map(|source| (&source.module, source.file.as_path()))
            .collect();
        for folder in folders
            .iter()
            .filter(|folder| folder.iter().next().is_some())
        {
            // A file of the folder is a node, and so is each folder in it, with all below.
            let node = |file: &Path| -> Option<String> {
                let rest = file.strip_prefix(folder).ok()?;
                let mut parts = rest.iter();
                let first = parts.next()?.to_string_lossy().into_owned();
                Some(if parts.next().is_some() {
                    first + "/"
                } else {
                    first
                })
            };
            let mut graph: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
            let mut places: BTreeMap<(String, String), String> = BTreeMap::new();
            for source in &self.sources {
                let Some(from) = node(&source.file) else {
                    continue;
                };
                for import in &source.imports {
                    let target = self.resolve(import);
                    let Some(to) = file_of.get(&target).and_then(|file| node(file)) else {
                        continue;
                    };
                    if from != to {
                        graph.entry(from.clone()).or_default().insert(to.clone());
                        places.entry((from.clone(), to)).or_insert_with(|| {
                            format!("{} imports {}", source.file.display(), import.join("::"))
                        });
                    }
                }
            }
            for circle in components(&graph) {
                if circle.iter().any(|node| node.ends_with('/')) {
                    faults.push(format!(
                        "circle in {}: {}",
                        folder.display(),
                        circle.join(", ")
                    ));
                    for ((from, to), place) in &places {
                        if circle.contains(from)
                            && circle.contains(to)
                            && (from.ends_with('/') || to.ends_with('/'))
                        {
                            faults.push(format!("    {place}"));
                        }
                    }
                }
            }
        }
        faults
    }
}

/// The groups of nodes that reach each other.
fn components(graph: &BTreeMap<String, BTreeSet<String>>) -> Vec<Vec<String>> {
    let reach = |start: &String| {
        let mut seen = BTreeSet::new();
        let mut left = vec![start];
        while let Some(node) = left.pop() {
            for next in graph.get(node).into_iter().flatten() {
                if seen.insert(next) {
                    left.push(next);
                }
            }
        }
        seen
    };
    let reached: BTreeMap<&String, BTreeSet<&String>> =
        graph.keys().map(|node| (node, reach(node))).collect();
    let mut groups = BTreeSet::new();
    for (node, seen) in &reached {
        let group: Vec<String> = seen
            .iter()
            .filter(|other| {
                reached
                    .get(**other)
                    .is_some_and(|back| back.contains(*node))
            })
            .map(|other| (*other).clone())
            .collect();
        if group.len() > 1 {
            groups.insert(group);
        }
    }
    groups.into_iter().collect()
}

/// From the root of the crate. `None`: a path of another crate.
fn absolute(module: &[String], path: &[String]) -> Option<Module> {
    let mut base = match path.first()?.as_str() {
        "crate" => Vec::new(),
        "self" | "super" => module.to_vec(),
        _ => return None,
    };
    for name in path {
        match name.as_str() {
            "crate" | "self" => {}
            "super" => {
                base.pop();
            }
            _ => base.push(name.clone()),
        }
    }
    Some(base)
}

/// Whether a line of a module's doc ends with its sentence. One that ends with a colon has a list
/// or a table after it.
fn is_sentence(line: &str) -> bool {
    line.starts_with("//! ") && line.ends_with(['.', ':', '?', '!'])
}

/// Whether paths begin with the crate `name`. A module may have that name, and is not meant.
fn names_crate(tokens: &[String], name: &str) -> bool {
    tokens.windows(2).enumerate().any(|(at, pair)| {
        let is_inner = at > 1
            && tokens[at - 1] == "::"
            && is_name(&tokens[at - 2])
            && !matches!(tokens[at - 2].as_str(), "use" | "return" | "in");
        pair[0] == name && pair[1] == "::" && !is_inner
    })
}

fn is_name(token: &str) -> bool {
    token.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

/// Reads one tree of a `use`, which begins at `at`: its paths, and the names they get.
fn use_tree(
    tokens: &[String],
    mut at: usize,
    prefix: &[String],
    found: &mut Vec<(Module, String)>,
) -> usize {
    let mut path = prefix.to_vec();
    loop {
        match tokens.get(at).map(String::as_str) {
            Some("{") => {
                at += 1;
                while tokens.get(at).is_some_and(|token| token != "}") {
                    at = use_tree(tokens, at, &path, found);
                    if tokens.get(at).is_some_and(|token| token == ",") {
                        at += 1;
                    }
                }
                return at + 1;
            }
            Some("*") => {
                found.push((path, "*".to_owned()));
                return at + 1;
            }
            Some(name) if is_name(name) => {
                if !(name == "self" && !path.is_empty()) {
                    path.push(name.to_owned());
                }
                at += 1;
            }
            _ => return at + 1,
        }
        match tokens.get(at).map(String::as_str) {
            Some("::") => at += 1,
            Some("as") => {
                found.push((path, tokens[at + 1].clone()));
                return at + 2;
            }
            _ => {
                let name = path.last().cloned().unwrap_or_default();
                found.push((path, name));
                return at;
            }
        }
    }
}

/// Names and marks, without comments, texts, and unit tests.
fn tokens(text: &str) -> Vec<String> {
    let bytes: Vec<char> = text.chars().collect();
    let mut all: Vec<String> = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let (here, next) = (bytes[at], bytes.get(at + 1).copied().unwrap_or(' '));
        if here == '/' && next == '/' {
            while at < bytes.len() && bytes[at] != '\n' {
                at += 1;
            }
        } else if here == '"'
            || here == 'r' && (next == '"' || next == '#') && starts_raw(&bytes, at)
        {
            at = after_text(&bytes, at);
        } else if here == '\'' {
            // A character, or a lifetime.
            if next == '\\' {
                at += 3;
                while at < bytes.len() && bytes[at] != '\'' {
                    at += 1;
                }
                at += 1;
            } else if bytes.get(at + 2) == Some(&'\'') {
                at += 3;
            } else {
                at += 1;
            }
        } else if here.is_alphabetic() || here == '_' {
            let start = at;
            while at < bytes.len() && (bytes[at].is_alphanumeric() || bytes[at] == '_') {
                at += 1;
            }
            all.push(bytes[start..at].iter().collect());
        } else if here == ':' && next == ':' {
            all.push("::".to_owned());
            at += 2;
        } else {
            if !here.is_whitespace() && !here.is_numeric() {
                all.push(here.to_string());
            }
            at += 1;
        }
    }
    without_tests(all)
}

fn starts_raw(text: &[char], at: usize) -> bool {
    let before = at.checked_sub(1).map(|before| text[before]);
    let is_start = !before.is_some_and(|before| before.is_alphanumeric() || before == '_');
    is_start && text[at + 1..].iter().find(|character| **character != '#') == Some(&'"')
}

fn after_text(text: &[char], mut at: usize) -> usize {
    if text[at] == 'r' {
        let hashes = text[at + 1..]
            .iter()
            .take_while(|character| **character == '#')
            .count();
        at += hashes + 2;
        while at < text.len() {
            let ends = text[at] == '"'
                && text[at + 1..]
                    .iter()
                    .take(hashes)
                    .filter(|c| **c == '#')
                    .count()
                    == hashes;
            at += 1;
            if ends {
                return at + hashes;
            }
        }
        return at;
    }
    at += 1;
    while at < text.len() && text[at] != '"' {
        at += if text[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}

/// Drops `#[cfg(test)] mod … { … }`.
fn without_tests(tokens: Vec<String>) -> Vec<String> {
    const MARK: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let mut kept = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let marked = tokens[at..].iter().take(MARK.len()).eq(MARK.iter());
        if !marked {
            kept.push(tokens[at].clone());
            at += 1;
            continue;
        }
        let mut depth = 0;
        while at < tokens.len() {
            match tokens[at].as_str() {
                "{" => depth += 1,
                "}" => depth -= 1,
                _ => {}
            }
            let ends = depth == 0 && matches!(tokens[at].as_str(), "}" | ";");
            at += 1;
            if ends {
                break;
            }
        }
    }
    kept
}
