//! Tells the program which commit it was built from.

use std::process::Command;

fn main() {
    // Without a repository nothing but this file decides.
    println!("cargo::rerun-if-changed=build.rs");
    for part in ["HEAD", "refs/heads"] {
        // In a worktree they are not in `.git`.
        if let Some(path) = git(&["rev-parse", "--git-path", part]) {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    let commit = git(&["rev-parse", "--short=12", "HEAD"]);
    println!("cargo::rustc-env=ORTHANT_COMMIT={}", commit.as_deref().unwrap_or("unknown"));
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
