//! The floors of the house: a module knows those below it and none above, and no files know each
//! other in a circle.
//!
//! A file knows another where it writes a path to something that is defined there, whoever hands it
//! on. Declaring a child with `mod` and handing on what it has with `pub use` is not knowledge yet;
//! using it is. So `mod.rs` and its children are files like all others: either the children know
//! what it defines, or it does something with the children. Methods are called without a path, so
//! nothing here sees whose they are.

#![allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]

#[path = "architecture/code.rs"]
mod code;
#[path = "architecture/files.rs"]
mod files;

use files::{Edges, Files, Module, circles};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

/// The modules of the crate, from the ground up. Below them are the kernels, a crate of their own.
const FLOORS: &[&str] = &[
    "error",
    "escape",
    "guard",
    "rng",
    "geometry",
    "objective",
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
    "sweep",
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

/// Files that know each other in a circle, because they are one thing in two files.
const CIRCLES: [[&str; 2]; 2] = [
    // An experiment holds a method, and a method checks its settings against the experiment.
    ["experiment::config", "experiment::method"],
    // A spec says of which family it is, and a family reads and writes specs.
    ["model::decoder::spec", "model::families::family"],
];

static EDGES: LazyLock<Edges> = LazyLock::new(|| Files::of_crate("").edges());

/// Edges that run up `floors`, among the modules below `prefix`.
fn upward(edges: &Edges, prefix: &[&str], floors: &[&str]) -> Vec<String> {
    let below = |module: &Module| {
        let is_inside =
            module.len() > prefix.len() && module.iter().zip(prefix).all(|(a, b)| a == b);
        is_inside.then(|| module[prefix.len()].clone())
    };
    let floor = |name: &str| {
        let found = floors.iter().position(|known| *known == name);
        found.unwrap_or_else(|| panic!("{name} has no floor; give it one in {}", file!()))
    };
    let mut upward = Vec::new();
    for (file, known) in edges {
        let Some(from) = below(file) else { continue };
        for (other, paths) in known {
            if let Some(to) = below(other).filter(|to| floor(to) > floor(&from)) {
                let (file, paths) = (file.join("::"), listed(paths));
                upward.push(format!("{file} knows {to}, which is above {from}: {paths}"));
            }
        }
    }
    let seen: BTreeSet<String> = edges.keys().filter_map(below).collect();
    let missing: Vec<&&str> = floors.iter().filter(|name| !seen.contains(**name)).collect();
    assert!(missing.is_empty(), "floors without a module: {missing:?}");
    upward
}

fn listed(paths: &BTreeSet<String>) -> String {
    paths.iter().cloned().collect::<Vec<_>>().join(", ")
}

/// A circle, with the paths by which its files know each other.
fn explained(edges: &Edges, circle: &[&Module]) -> String {
    let inside = |file: &Module| {
        let known = edges[file].iter().filter(|(other, _)| circle.contains(other));
        known
            .map(|(other, paths)| {
                format!("{} knows {}: {}", file.join("::"), other.join("::"), listed(paths))
            })
            .collect::<Vec<_>>()
    };
    circle.iter().flat_map(|file| inside(file)).collect::<Vec<_>>().join("\n")
}

/// The modules in the first column of the table that follows the heading `## Modules`.
fn documented(text: &str) -> Vec<String> {
    let section = text.lines().skip_while(|line| *line != "## Modules").skip(1);
    section
        .take_while(|line| !line.starts_with("## "))
        .filter_map(|line| Some(line.strip_prefix("| `")?.split_once("` |")?.0.to_owned()))
        .collect()
}

#[test]
fn no_module_knows_one_above_it() {
    let upward = upward(&EDGES, &[], FLOORS);
    assert!(upward.is_empty(), "{}", upward.join("\n"));
}

#[test]
fn no_module_of_the_dashboard_knows_one_above_it() {
    let upward = upward(&EDGES, &["dashboard"], DASHBOARD_FLOORS);
    assert!(upward.is_empty(), "{}", upward.join("\n"));
}

#[test]
fn no_files_know_each_other_in_a_circle() {
    assert!(
        EDGES.len() > 400 && EDGES.values().map(BTreeMap::len).sum::<usize>() > 2000,
        "files and edges are found"
    );
    let found = circles(&EDGES);
    let names = |circle: &[&Module]| circle.iter().map(|file| file.join("::")).collect::<Vec<_>>();
    let is_known = |circle: &[&Module]| CIRCLES.iter().any(|known| names(circle) == known[..]);
    let new: Vec<String> =
        found.iter().filter(|circle| !is_known(circle)).map(|c| explained(&EDGES, c)).collect();
    assert!(new.is_empty(), "{}", new.join("\n\n"));
    assert_eq!(found.len(), CIRCLES.len(), "a circle that is listed is no longer there");
}

#[test]
fn no_files_of_the_kernels_know_each_other_in_a_circle() {
    let edges = Files::of_crate("crates/kernels").edges();
    assert!(
        edges.len() > 40 && edges.values().map(BTreeMap::len).sum::<usize>() > 100,
        "files and edges are found"
    );
    let circles: Vec<String> = circles(&edges).iter().map(|c| explained(&edges, c)).collect();
    assert!(circles.is_empty(), "{}", circles.join("\n\n"));
}

#[test]
fn panels_do_not_know_each_other() {
    let panel = |module: &Module| match &module[..] {
        [dashboard, panels, panel, ..] if dashboard == "dashboard" && panels == "panels" => {
            Some(panel.clone())
        }
        _ => None,
    };
    for (file, known) in EDGES.iter().filter(|(file, _)| panel(file).is_some()) {
        let other =
            known.keys().find(|other| panel(other).is_some_and(|of| Some(of) != panel(file)));
        assert!(other.is_none(), "{} knows {}", file.join("::"), other.unwrap().join("::"));
    }
}

#[test]
fn the_table_of_modules_has_the_floors_in_order() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("ARCHITECTURE.md");
    assert_eq!(documented(&fs::read_to_string(page).unwrap()), FLOORS);
}

#[test]
fn a_module_that_a_page_leaves_out_is_missed() {
    let page = "## Before\n| `x` | no |\n## Modules\nText.\n\n| Module | What |\n|---|---|\n\
                | `a` | one, `b` |\n| `c` | two |\n\n## After\n| `d` | no |\n";
    assert_eq!(documented(page), ["a", "c"]);
}

#[test]
fn a_file_that_knows_one_above_it_is_named_with_the_path() {
    let files = Files::of(&[
        ("low", "mod deep;"),
        ("low::deep", "fn f() { super::super::high::g() }"),
        ("high", ""),
    ]);
    assert_eq!(
        upward(&files.edges(), &[], &["low", "high"]),
        ["low::deep knows high, which is above low: super::super::high::g"]
    );
}
