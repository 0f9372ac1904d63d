//! A run whose window loses its display. Needs Xvfb (and Weston for Wayland); without them there is
//! nothing to lose.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]

mod common;

use common::{Workplace, json, lines, wait_until};
use orthant::prelude::*;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A display server that ends with this value.
struct Server {
    process: Child,
    variable: &'static str,
    name: String,
}

impl Server {
    fn start(
        command: &mut Command,
        variable: &'static str,
        name: &str,
        socket: &Path,
    ) -> Option<Self> {
        let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()?;
        let server = Self { process, variable, name: name.to_string() };
        wait_until("the display", || socket.exists());
        Some(server)
    }

    fn x() -> Option<Self> {
        let number = 200 + std::process::id() % 1000;
        let socket = PathBuf::from(format!("/tmp/.X11-unix/X{number}"));
        let name = format!(":{number}");
        let mut command = Command::new("Xvfb");
        command.args([&name, "-screen", "0", "1200x800x24"]);
        Self::start(&mut command, "DISPLAY", &name, &socket)
    }

    fn wayland(folder: &Path) -> Option<Self> {
        let mut command = Command::new("weston");
        command
            .args(["--backend=headless-backend.so", "--socket=orthant", "--idle-time=0"])
            .env("XDG_RUNTIME_DIR", folder);
        Self::start(&mut command, "WAYLAND_DISPLAY", "orthant", &folder.join("orthant"))
    }

    fn end(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// Starts a run with a window on `server`, ends that in the middle, lets the run continue for a
/// while and stops it.
#[allow(unsafe_code, reason = "signals are sent by a function of C")]
fn lose(place: &Workplace, mut server: Server) {
    let experiment = place
        .experiment(1_000_000, "record: (rollouts_every: 0, tokens_every: 0, geometry_every: 0)");
    let file = place.path().join("experiment.ron");
    std::fs::write(&file, orthant::experiment::to_text(&experiment).unwrap()).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_orthant"));
    command
        .args(["run", "experiment.ron", "--set", "rollout.max_new_tokens=2"])
        .current_dir(place.path())
        .env_remove("DISPLAY")
        .env_remove("WAYLAND_DISPLAY")
        .env("XDG_RUNTIME_DIR", place.path())
        .env("LIBGL_ALWAYS_SOFTWARE", "1")
        .env("XDG_DATA_HOME", place.path().join("data"))
        .env(server.variable, &server.name)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut program = command.spawn().unwrap();
    let run = || std::fs::read_dir(place.runs()).ok()?.flatten().map(|entry| entry.path()).next();
    let text = |name: &str| {
        run().and_then(|run| std::fs::read_to_string(run.join(name)).ok()).unwrap_or_default()
    };
    let steps = || text("metrics.jsonl").lines().count();
    wait_until("some steps", || steps() >= 5);
    // Time enough for the window to open; the run continues even where it does not.
    std::thread::sleep(Duration::from_secs(3));
    assert!(program.try_wait().unwrap().is_none());
    server.end();
    wait_until("the event", || {
        text("events.jsonl").contains("the window is gone; the run continues without a window")
    });
    let before = steps();
    wait_until("more steps", || steps() >= before + 10);
    // SAFETY: the process has not been waited for, so its number is still its own.
    unsafe { libc::kill(program.id() as i32, libc::SIGINT) };
    let output = program.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(130), "{stderr}");
    assert!(stderr.contains("continues, and is followed here"), "{stderr}");
    let run = run().unwrap();
    let manifest = json(&run.join("manifest.json"));
    assert_eq!(manifest["state"], "stopped");
    let last = manifest["step"].as_u64().unwrap();
    assert!(last as usize >= before + 10 && lines(&run.join("metrics.jsonl")).len() as u64 == last);
    assert!(run.join(format!("checkpoints/step_{last:06}/trainer.json")).exists());
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(stdout.contains(&format!("stopped after step {last}")), "{stdout}");
}

#[test]
fn a_paused_run_whose_window_is_gone_is_saved_and_stopped() {
    let place = Workplace::new();
    let run = RunBuilder::new(place.experiment(1_000_000, "")).start(&place.runs()).unwrap();
    let handle = run.handle.clone();
    common::wait_for(&handle, "a step", |snapshot| snapshot.step >= 1);
    assert!(handle.send(TrainerCommand::Pause));
    common::wait_for(&handle, "the pause", |snapshot| snapshot.state == RunState::Paused);
    assert!(handle.send(TrainerCommand::WindowLost));
    assert_eq!(run.join().unwrap(), RunEnd::Stopped);
    let snapshot = handle.snapshots.load();
    assert_eq!(snapshot.checkpoints.last(), Some(&snapshot.step));
    assert!(
        snapshot.warnings.iter().any(|(_, text)| text.contains("because it was paused")),
        "{:?}",
        snapshot.warnings
    );
}

#[test]
fn a_run_goes_on_when_its_x_server_ends() {
    let place = Workplace::new();
    match Server::x() {
        Some(server) => lose(&place, server),
        None => eprintln!("skipped: there is no Xvfb"),
    }
}

#[test]
fn a_run_goes_on_when_its_wayland_compositor_ends() {
    let place = Workplace::new();
    match Server::wayland(place.path()) {
        Some(server) => lose(&place, server),
        None => eprintln!("skipped: there is no Weston"),
    }
}
