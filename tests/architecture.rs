//! The floors of the house: a module knows those below it and none above.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::iter::Peekable;
use std::path::{Path, PathBuf};
use std::str::Chars;

/// The modules of the crate, from the ground up.
const FLOORS: &[&str] = &[
    "error",
    "escape",
    "guard",
    "rng",
    "geometry",
    "objective",
    "kernels",
    "machine",
    "files",
    "weights",
    "optim",
    "verify",
    "experiment",
    "metrics",
    "run",
    "model",
    "data",
    "tasks",
    "evaluation",
    "memory",
    "rollout",
    "stages",
    "methods",
    "trainer",
    "figures",
    "scoring",
    "dashboard",
    "cli",
    "prelude",
];

/// The modules of the dashboard, from the ground up.
const DASHBOARD_FLOORS: &[&str] =
    &["options", "kit", "state", "panel", "panels", "runs", "window", "display", "app"];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|ending| ending == "rs"))
        .collect()
}

fn source_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// A file's path as a path of modules: `src/run/folder/mod.rs` is `run`, `folder`.
fn module(path: &Path, root: &Path) -> Vec<String> {
    let inside = path.strip_prefix(root).unwrap().with_extension("");
    let mut names: Vec<String> =
        inside.iter().map(|name| name.to_str().unwrap().to_owned()).collect();
    names.pop_if(|last| last == "mod");
    names
}

/// Whether a file holds nothing but tests, or what only they use.
fn is_of_tests(path: &Path) -> bool {
    let is_one =
        |name: &str| ["tests", "cases", "testing"].iter().any(|ending| name.ends_with(ending));
    is_one(path.file_stem().unwrap().to_str().unwrap()) || path.iter().any(|name| name == "tests")
}

/// The code of a file, without comments and without what is behind `#[cfg(test)] mod`.
fn code(text: &str) -> String {
    let lines: Vec<&str> =
        text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect();
    let is_tests = |at: usize| {
        let next =
            lines.get(at + 1).is_some_and(|next| next.contains("mod ") && next.ends_with('{'));
        lines[at].trim() == "#[cfg(test)]" && next
    };
    let end = (0..lines.len()).find(|&at| is_tests(at)).unwrap_or(lines.len());
    lines[..end].join("\n")
}

/// The paths that begin with `crate::` in code, without that: `use crate::{a, b::{c, d}};` has `a`,
/// `b::c` and `b::d`.
fn paths(code: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for rest in code.split("crate::").skip(1) {
        tree(&mut rest.chars().peekable(), &[], &mut found);
    }
    found
}

/// Reads a path, or several in braces, that stands behind `before`.
fn tree(text: &mut Peekable<Chars<'_>>, before: &[String], found: &mut Vec<Vec<String>>) {
    while text.next_if(|c| c.is_whitespace()).is_some() {}
    if text.next_if_eq(&'{').is_some() {
        loop {
            tree(text, before, found);
            while text.next_if(|c| c.is_whitespace() || *c == ',').is_some() {}
            if text.peek().is_none() || text.next_if_eq(&'}').is_some() {
                return;
            }
        }
    }
    let mut name = String::new();
    while let Some(c) = text.next_if(|c| c.is_ascii_alphanumeric() || *c == '_') {
        name.push(c);
    }
    if name.is_empty() {
        // What no path begins with, such as `*`.
        text.next_if(|c| *c != '}');
        return;
    }
    let path = [before, &[name]].concat();
    if text.next_if_eq(&':').is_some() && text.next_if_eq(&':').is_some() {
        tree(text, &path, found);
    } else {
        found.push(path);
    }
}

/// Edges that run up `floors`, among the modules below `root`; `prefix` is the path of `root` in
/// the crate.
fn upward(root: &Path, prefix: &[&str], floors: &[&str]) -> Vec<String> {
    let floor = |name: &str| floors.iter().position(|known| *known == name);
    let mut seen = BTreeSet::new();
    let mut upward = BTreeSet::new();
    for path in sources(root) {
        let Some(from) = module(&path, root).into_iter().next() else { continue };
        if ["lib", "main", "bin", "tests"].contains(&from.as_str()) || is_of_tests(&path) {
            continue;
        }
        let at = floor(&from)
            .unwrap_or_else(|| panic!("{from} has no floor; give it one in {}", file!()));
        seen.insert(from.clone());
        let known = paths(&code(&fs::read_to_string(&path).unwrap()));
        let inside = known.iter().filter(|known| {
            known.iter().zip(prefix).filter(|(a, b)| a == b).count() == prefix.len()
        });
        for to in inside.filter_map(|known| known.get(prefix.len())) {
            if floor(to).is_some_and(|above| above > at) {
                upward.insert(format!("{} knows {to}, which is above {from}", path.display()));
            }
        }
    }
    let missing: Vec<&&str> = floors.iter().filter(|name| !seen.contains(**name)).collect();
    assert!(missing.is_empty(), "floors without a module: {missing:?}");
    upward.into_iter().collect()
}

/// Whether a path in `code` begins with `module`.
fn names(code: &str, module: &str) -> bool {
    let is_before = |at: usize| {
        code[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':')
    };
    code.match_indices(&format!("{module}::")).any(|(at, _)| !is_before(at))
}

/// Which file knows which others of the dashboard, as paths of modules.
fn dashboard() -> BTreeMap<Vec<String>, BTreeSet<Vec<String>>> {
    let root = source_folder().join("dashboard");
    let files: BTreeMap<Vec<String>, String> = sources(&root)
        .into_iter()
        .filter(|path| !is_of_tests(path))
        .map(|path| (module(&path, &root), code(&fs::read_to_string(&path).unwrap())))
        .collect();
    let edges = |(file, code): (&Vec<String>, &String)| {
        let relative = code
            .lines()
            .find(|line| line.starts_with("use super::") || line.contains("super::super::"));
        assert!(
            relative.is_none(),
            "{file:?}: write the whole path, crate::dashboard::.., which this test can follow"
        );
        let inside = paths(code)
            .into_iter()
            .filter(|path| path[0] == "dashboard")
            .map(|path| path[1..].to_vec());
        let known = inside.filter_map(|path| {
            (0..=path.len())
                .rev()
                .map(|end| path[..end].to_vec())
                .find(|module| files.contains_key(module))
        });
        let children =
            files.keys().filter(|other| other.len() == file.len() + 1 && other.starts_with(file));
        let named = children.filter(|child| names(code, &child[file.len()])).cloned();
        (file.clone(), known.filter(|known| known != file).chain(named).collect())
    };
    files.iter().map(edges).collect()
}

/// Follows the edges from `file` along `way`; returns the first circle that it comes to.
fn circle<'a>(
    edges: &'a BTreeMap<Vec<String>, BTreeSet<Vec<String>>>,
    file: &'a Vec<String>,
    way: &mut Vec<&'a Vec<String>>,
    done: &mut BTreeSet<&'a Vec<String>>,
) -> Option<Vec<String>> {
    if let Some(begin) = way.iter().position(|before| *before == file) {
        return Some(way[begin..].iter().map(|file| file.join("::")).collect());
    }
    if !done.insert(file) {
        return None;
    }
    way.push(file);
    let found = edges[file].iter().find_map(|next| circle(edges, next, way, done));
    way.pop();
    found
}

#[test]
fn no_module_knows_one_above_it() {
    let upward = upward(&source_folder(), &[], FLOORS);
    assert!(upward.is_empty(), "{}", upward.join("\n"));
}

#[test]
fn no_module_of_the_dashboard_knows_one_above_it() {
    let upward = upward(&source_folder().join("dashboard"), &["dashboard"], DASHBOARD_FLOORS);
    assert!(upward.is_empty(), "{}", upward.join("\n"));
}

#[test]
fn no_files_of_the_dashboard_know_each_other_in_a_circle() {
    let edges = dashboard();
    assert!(
        edges.len() > 80 && edges.values().map(BTreeSet::len).sum::<usize>() > 300,
        "files and edges are found"
    );
    let mut done = BTreeSet::new();
    let found = edges.keys().find_map(|file| circle(&edges, file, &mut Vec::new(), &mut done));
    assert_eq!(found, None, "a circle");
}

#[test]
fn panels_do_not_know_each_other() {
    for (file, known) in dashboard() {
        let is_panel = |module: &Vec<String>| module.len() > 1 && module[0] == "panels";
        let other =
            known.iter().find(|known| is_panel(known) && is_panel(&file) && known[1] != file[1]);
        assert!(other.is_none(), "{} knows {}", file.join("::"), other.unwrap().join("::"));
    }
}

#[test]
fn a_circle_is_found() {
    let file = |name: &str| vec![name.to_owned()];
    let edges = BTreeMap::from([
        (file("a"), BTreeSet::from([file("b")])),
        (file("b"), BTreeSet::from([file("c")])),
        (file("c"), BTreeSet::from([file("b")])),
    ]);
    let (a, mut done) = (file("a"), BTreeSet::new());
    assert_eq!(
        circle(&edges, &a, &mut Vec::new(), &mut done),
        Some(vec!["b".to_owned(), "c".to_owned()])
    );
}

#[test]
fn paths_are_read_from_code_and_not_from_comments_or_tests() {
    let text = "use crate::{run, files::{a, b::C, *}, model::Weights};\n// crate::cli\nfn f() { \
                crate::verify::verify() }\n#[cfg(test)]\nmod tests {\n use crate::dashboard;\n}\n";
    let found: Vec<String> = paths(&code(text)).iter().map(|path| path.join("::")).collect();
    assert_eq!(found, ["run", "files::a", "files::b::C", "model::Weights", "verify::verify"]);
}
