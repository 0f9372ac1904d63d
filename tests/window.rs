//! The released program in a window of its own: what the window's tests, which see no platform,
//! cannot find.

#![allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The features of every package in the tree of the program; with those of the tests where `dev` is
/// set.
fn features(dev: bool) -> BTreeMap<String, Vec<String>> {
    let edges = if dev { "normal,dev,no-proc-macro" } else { "normal,no-proc-macro" };
    let output = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--offline",
            "--locked",
            "--prefix",
            "none",
            "--format",
            "{p}|{f}",
            "--edges",
            edges,
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let mut packages = BTreeMap::new();
    for line in text.lines() {
        let Some((package, features)) = line.split_once('|') else { continue };
        let features =
            features.trim_end_matches(" (*)").split(',').filter(|feature| !feature.is_empty());
        let name = package.split(" (").next().unwrap_or(package).to_owned();
        packages.entry(name).or_insert_with(Vec::new).extend(features.map(str::to_owned));
    }
    for features in packages.values_mut() {
        features.sort();
        features.dedup();
    }
    packages
}

#[test]
fn tests_run_with_the_features_that_the_program_has() {
    let (released, tested) = (features(false), features(true));
    assert!(released.len() > 100, "{} packages", released.len());
    for (package, features) in &released {
        assert_eq!(
            Some(features),
            tested.get(package),
            "{package}: what only tests turn on, the program lacks"
        );
    }
    let eframe = released.iter().find(|(package, _)| package.starts_with("eframe ")).unwrap().1;
    for needed in [
        "accesskit",
        "clipboard",
        "default_fonts",
        "glow",
        "persistence",
        "system_fonts",
        "wayland",
        "x11",
    ] {
        assert!(
            eframe.iter().any(|feature| feature == needed),
            "the window needs eframe's feature {needed}"
        );
    }
}

/// A process that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _status = self.0.wait();
    }
}

fn has(program: &str) -> bool {
    let found = Command::new(program)
        .arg("-version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .stdin(Stdio::null())
        .spawn();
    found.is_ok_and(|child| {
        drop(Running(child));
        true
    })
}

/// A run folder with a step's metrics.
fn run_folder(folder: &Path) {
    let experiment =
        "Experiment(name: \"copied\", model: Bundled(\"countdown\"), task: Countdown())";
    std::fs::write(folder.join("experiment.ron"), experiment).unwrap();
    std::fs::write(
        folder.join("metrics.jsonl"),
        "{\"step\":1,\"wall_s\":1.0,\"reward/mean\":0.5}\n",
    )
    .unwrap();
}

/// What `command` says, once it says something.
fn answer(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).unwrap();
    (!text.trim().is_empty()).then(|| text.trim().to_owned())
}

fn wait<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = ask() {
            return found;
        }
        assert!(started.elapsed() < Duration::from_mins(1), "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Needs Xvfb, xdotool and xclip, as `.ci/run` installs them.
#[test]
fn what_is_copied_in_the_window_is_on_the_clipboard() {
    if !["Xvfb", "xdotool", "xclip"].into_iter().all(has) {
        eprintln!("skipped: Xvfb, xdotool or xclip is not installed");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    run_folder(folder.path());
    // The server chooses a free display and writes its number.
    let arguments =
        ["-displayfd", "1", "-screen", "0", "1280x800x24", "-noreset", "-nolisten", "tcp"];
    let server =
        Command::new("Xvfb").args(arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let mut server = Running(server.unwrap());
    let mut number = String::new();
    BufReader::new(server.0.stdout.take().unwrap()).read_line(&mut number).unwrap();
    let display = format!(":{}", number.trim());
    let on = |program: &str| {
        let mut command = Command::new(program);
        command.env("DISPLAY", &display).env_remove("WAYLAND_DISPLAY").stderr(Stdio::null());
        command
    };
    let mut window = on(env!("CARGO_BIN_EXE_orthant"));
    window.arg("view").arg(folder.path()).args([
        "--window-size",
        "1280x800",
        "--panel",
        "experiment",
    ]);
    let home = tempfile::tempdir().unwrap();
    window.env("HOME", home.path()).env("XDG_DATA_HOME", home.path());
    let _window = Running(window.spawn().unwrap());
    let id =
        wait("the window", || answer(on("xdotool").args(["search", "--name", "copied - Orthant"])));
    let at = |x: &str, y: &str| {
        on("xdotool")
            .args(["windowmove", &id, "0", "0", "mousemove", x, y, "click", "1"])
            .status()
            .unwrap();
    };
    // "Copy path" stands in the lower right corner.
    let copied = wait("the clipboard", || {
        at("1230", "788");
        std::thread::sleep(Duration::from_millis(500));
        answer(on("xclip").args(["-selection", "clipboard", "-o"]))
    });
    assert_eq!(copied, folder.path().display().to_string());
}
