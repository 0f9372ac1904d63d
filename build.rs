//! Tells the program which commit it was built from.

use std::path::Path;
use std::process::Command;

fn main() {
    // Without a repository nothing but this file decides.
    println!("cargo::rerun-if-changed=build.rs");
    for path in watched() {
        println!("cargo::rerun-if-changed={path}");
    }
    let commit = git(&["rev-parse", "--short=12", "HEAD"]);
    println!("cargo::rustc-env=ORTHANT_COMMIT={}", commit.as_deref().unwrap_or("unknown"));
}

/// The files that change with the commit: `HEAD`, and the branch that it names. A commit on another
/// branch builds nothing anew. A branch that has no file of its own yet gets one among the others.
fn watched() -> Vec<String> {
    // In a worktree they are not in `.git`.
    let path = |part: &str| git(&["rev-parse", "--git-path", part]);
    let branch = git(&["symbolic-ref", "--quiet", "HEAD"]).and_then(|branch| path(&branch));
    let branch = branch.filter(|path| Path::new(path).is_file()).or_else(|| path("refs/heads"));
    path("HEAD").into_iter().chain(branch).collect()
}

/// What a git command prints, where there is git and a repository.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git")
        .args(arguments)
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_string())
}
