//! The floors of the house: a module knows those below it and none above.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

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
    "experiment",
    "verify",
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

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|ending| ending == "rs"))
        .collect()
}

/// The module of the crate that a file belongs to: `src/run/folder/mod.rs` is of `run`.
fn module(path: &Path, root: &Path) -> String {
    let first = path.strip_prefix(root).unwrap().components().next().unwrap();
    first.as_os_str().to_str().unwrap().trim_end_matches(".rs").to_string()
}

/// Whether a file holds nothing but tests, or what only they use.
fn is_of_tests(path: &Path) -> bool {
    let name = path.file_stem().unwrap().to_str().unwrap();
    ["tests", "cases", "testing"].iter().any(|ending| name.ends_with(ending))
}

/// The modules whose names follow `crate::` in code, without comments and without what is behind `#[cfg(test)] mod`.
fn known(text: &str) -> BTreeSet<String> {
    let lines = text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>();
    let end = lines
        .iter()
        .enumerate()
        .position(|(at, line)| {
            line.trim() == "#[cfg(test)]"
                && lines.get(at + 1).is_some_and(|next| next.contains("mod ") && next.ends_with('{'))
        })
        .unwrap_or(lines.len());
    let code = lines[..end].join("\n");
    let name = |rest: &str| rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect::<String>();
    let single = code.split("crate::").skip(1).map(name);
    // `use crate::{a, b::{c, d}};`
    let listed = code.split("crate::{").skip(1).flat_map(|rest| {
        let (mut depth, mut names, mut start) = (1, Vec::new(), 0);
        for (at, c) in rest.char_indices() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 1 => {}
                _ => continue,
            }
            if depth == 0 || (c == ',' && depth == 1) {
                names.push(name(rest[start..at].trim()));
                start = at + 1;
            }
            if depth == 0 {
                break;
            }
        }
        names
    });
    single.chain(listed).filter(|name| !name.is_empty()).collect()
}

#[test]
fn no_module_knows_one_above_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let floor = |name: &str| FLOORS.iter().position(|known| *known == name);
    let mut seen = BTreeSet::new();
    let mut upward = Vec::new();
    for path in sources(&root) {
        let from = module(&path, &root);
        if ["lib", "main", "bin"].contains(&from.as_str()) || is_of_tests(&path) {
            continue;
        }
        let at = floor(&from).unwrap_or_else(|| panic!("{from} has no floor; give it one in {}", file!()));
        seen.insert(from.clone());
        for to in known(&fs::read_to_string(&path).unwrap()) {
            if floor(&to).is_some_and(|below| below > at) {
                upward
                    .push(format!("{} knows {to}, which is above {from}", path.strip_prefix(&root).unwrap().display()));
            }
        }
    }
    assert!(upward.is_empty(), "{}", upward.join("\n"));
    let missing: Vec<&&str> = FLOORS.iter().filter(|name| !seen.contains(**name)).collect();
    assert!(missing.is_empty(), "floors without a module: {missing:?}");
}

#[test]
fn edges_are_read_from_code_and_not_from_comments_or_tests() {
    let text = "use crate::{run, files::{a, b}, model::Weights};\n// crate::cli\nfn f() { crate::verify::verify() }\n#[cfg(test)]\nmod tests {\n use crate::dashboard;\n}\n";
    let names: Vec<String> = known(text).into_iter().collect();
    assert_eq!(names, ["files", "model", "run", "verify"]);
}
