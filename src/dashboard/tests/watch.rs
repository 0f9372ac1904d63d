//! Behaviour of the window on run folders: growing, killed, finished, failed, very long, with steps
//! that were not recorded.

use crate::dashboard::app::{Dashboard, ScreenshotResult};
use crate::dashboard::options::Screenshot;
use crate::dashboard::runs::open_run::RunSource;
use crate::dashboard::tests::rasterizer::Rasterizer;
use crate::dashboard::tests::testing::{self, Opening};
use crate::run::{SnapshotCell, WatchedRun};
use egui::accesskit::Role;
use egui::{Key, Modifiers, ViewportCommand, vec2};
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

/// A window on a run folder.
struct Watching {
    harness: Harness<'static, Dashboard>,
    snapshots: SnapshotCell,
    picture: ScreenshotResult,
}

impl Watching {
    fn open(folder: &Path) -> Self {
        Self::with(folder, None)
    }

    fn with(folder: &Path, screenshot: Option<Screenshot>) -> Self {
        let run = WatchedRun::open(folder).unwrap();
        let snapshots = run.snapshots.clone();
        let picture = ScreenshotResult::default();
        let runs = Opening::on(vec![RunSource::Folder(run)]);
        let opening = Opening { screenshot, picture: ScreenshotResult::clone(&picture), ..runs };
        let harness = Harness::builder()
            .with_size(vec2(1280.0, 800.0))
            .renderer(Rasterizer::default())
            .build_eframe(move |creation| opening.dashboard(&creation.egui_ctx));
        Self { harness, snapshots, picture }
    }

    /// Whether the picture has been asked for by now.
    fn is_pictured(&self) -> bool {
        let viewports = self.harness.output().viewport_output.values();
        viewports
            .flat_map(|viewport| &viewport.commands)
            .any(|command| matches!(command, ViewportCommand::Screenshot(_)))
    }

    fn has(&self, label: &str) -> bool {
        testing::has(&self.harness, label)
    }

    /// Draws frames until the text is there.
    fn wait_for(&mut self, label: &str) {
        testing::wait_for(&mut self.harness, label);
    }

    fn press(&mut self, key: Key) {
        self.harness.key_press_modifiers(Modifiers::NONE, key);
        self.harness.run_steps(2);
    }
}

fn append(folder: &Path, name: &str, text: &str) {
    let mut file =
        std::fs::File::options().create(true).append(true).open(folder.join(name)).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

#[test]
fn a_growing_folder_is_followed_and_a_half_written_line_waits() {
    let folder = testing::run_folder(&[1, 2, 3]);
    let mut window = Watching::open(folder.path());
    window.wait_for("No step yet");
    assert!(window.has("The run folder has no metrics so far"));
    append(folder.path(), "metrics.jsonl", &testing::metric_lines(1..=2));
    window.wait_for("Step 2 of 2");
    window.wait_for("Cosine matrix, 4 by 4");
    assert!(window.has("Watching") && window.has("last written"));
    for button in ["Pause", "One step", "Checkpoint", "Stop"] {
        assert!(
            window.harness.query_by_role_and_label(Role::Button, button).is_none(),
            "{button} of another's run"
        );
    }
    let line = testing::metric_lines(3..=3);
    append(folder.path(), "metrics.jsonl", &line[..40]);
    append(
        folder.path(),
        "events.jsonl",
        "{\"step\":2,\"time\":\"\",\"kind\":\"warning\",\"text\":\"odd\"}\n",
    );
    window.wait_for("step 2: odd");
    assert!(window.has("Step 2 of 2"));
    append(folder.path(), "metrics.jsonl", &line[40..]);
    window.wait_for("Step 3 of 3");
    assert!(window.snapshots.load().history.len() == 3);
}

#[test]
fn steps_without_a_record_say_so_and_lead_to_the_nearest_that_have_one() {
    let folder = testing::run_folder(&[10, 20]);
    append(folder.path(), "metrics.jsonl", &testing::metric_lines(1..=20));
    let mut window = Watching::open(folder.path());
    window.wait_for("Cosine matrix, 4 by 4");
    window.press(Key::Comma);
    window.wait_for("Step 19 was not recorded");
    assert!(window.has("record.rollouts_every: 10"));
    assert!(!window.has("Cosine matrix"));
    let accuracy = testing::snapshot(20, 1, 2)
        .history
        .at(19)
        .unwrap()
        .get(&crate::stages::metrics::REWARD_ACCURACY)
        .unwrap();
    assert!(
        window.has(&crate::dashboard::kit::format::compact(accuracy)),
        "the curves show the step's metrics"
    );
    window.harness.get_by_label("Show step 10").click();
    window.harness.run_steps(2);
    window.wait_for("Step 10 of 20");
    window.wait_for("Cosine matrix, 4 by 4");
    std::fs::write(folder.path().join("rollouts/step_000011.jsonl"), "{\n").unwrap();
    window.press(Key::Period);
    window.wait_for("The record of step 11 cannot be read");
    assert!(window.has("rollouts/step_000011.jsonl, line 1"));
}

/// The folder of a run that was killed after its first step, a while ago.
fn killed() -> tempfile::TempDir {
    let folder = testing::run_folder(&[1]);
    append(folder.path(), "metrics.jsonl", &testing::metric_lines(1..=1));
    let earlier = SystemTime::now() - Duration::from_secs(190);
    for name in ["metrics.jsonl", "experiment.ron"] {
        std::fs::File::options()
            .append(true)
            .open(folder.path().join(name))
            .unwrap()
            .set_modified(earlier)
            .unwrap();
    }
    folder
}

#[test]
fn a_run_that_was_killed_says_when_it_was_last_heard_of_and_does_not_arrive() {
    let folder = killed();
    let mut window = Watching::open(folder.path());
    window.wait_for("last written 3 min ago");
    assert!(!window.has("ETA"));
}

/// Draws frames until the picture is there; what became of it.
fn picture(window: &mut Watching) -> crate::error::Result<()> {
    let started = Instant::now();
    loop {
        if let Some(result) = window.picture.lock().unwrap().take() {
            return result;
        }
        assert!(started.elapsed() < Duration::from_secs(20), "the window waits for ever");
        std::thread::sleep(Duration::from_millis(5));
        window.harness.step();
    }
}

#[test]
fn a_picture_of_a_step_that_will_not_come_is_taken_of_what_there_is_and_that_is_said() {
    let folder = killed();
    let path = folder.path().join("picture.png");
    let screenshot = || Screenshot { path: path.clone(), after_step: Some(50) };
    let mut window = Watching::with(folder.path(), Some(screenshot()));
    let error = picture(&mut window).unwrap_err();
    let said = format!(
        "the run was last heard of at step 1, before step 50 of --after-step; {} shows step 1",
        path.display()
    );
    assert_eq!((error.to_string(), error.exit_status()), (said, 1));
    assert!(path.exists());
    append(folder.path(), "metrics.jsonl", &testing::metric_lines(2..=2));
    let mut growing = Watching::with(folder.path(), Some(screenshot()));
    for _ in 0..20 {
        growing.harness.step();
        assert!(!growing.is_pictured(), "step 50 may still come");
    }
}

#[test]
fn a_run_that_is_over_shows_how_it_ended() {
    let folder = testing::run_folder(&[1]);
    append(folder.path(), "metrics.jsonl", &testing::metric_lines(1..=1));
    append(
        folder.path(),
        "events.jsonl",
        "{\"step\":1,\"time\":\"\",\"kind\":\"error\",\"text\":\"disk full\"}\n",
    );
    let manifest = |state: &str| {
        let text = ["version", "commit", "device", "model", "model_hash", "data_hash", "started"]
            .map(|name| format!("\"{name}\": \"\", "))
            .concat();
        std::fs::write(
            folder.path().join("manifest.json"),
            format!("{{{text}\"state\": \"{state}\", \"step\": 1}}"),
        )
        .unwrap();
    };
    manifest("finished");
    let mut window = Watching::open(folder.path());
    window.wait_for("Finished");
    assert!(!window.has("last written") && !window.has("Follow live"));
    manifest("failed");
    window.wait_for("disk full");
    assert!(window.has("The run failed in step 2"));
}

#[test]
fn a_run_of_fifty_thousand_steps_opens_at_once() {
    let folder = testing::run_folder(&[]);
    std::fs::write(folder.path().join("metrics.jsonl"), testing::metric_lines(1..=50_000)).unwrap();
    let started = Instant::now();
    let mut window = Watching::open(folder.path());
    let opened = started.elapsed();
    window.wait_for("Step 50,000 of 50,000");
    // A generous bound, for machines that do much else.
    assert!(
        started.elapsed() < Duration::from_secs(20),
        "{opened:?}, drawn after {:?}",
        started.elapsed()
    );
}

#[test]
fn a_picture_without_a_step_shows_what_there_is() {
    let folder = testing::run_folder(&[1, 2]);
    append(folder.path(), "metrics.jsonl", &testing::metric_lines(1..=2));
    let path = folder.path().join("picture.png");
    let mut window =
        Watching::with(folder.path(), Some(Screenshot { path: path.clone(), after_step: None }));
    picture(&mut window).unwrap();
    assert!(path.exists() && window.has("Step 2 of 2") && window.has("Cosine matrix"));
}

#[cfg(unix)]
#[test]
fn a_run_that_was_taken_back_shows_nothing_of_the_steps_that_are_gone() {
    let folder = testing::run_folder(&[1, 2]);
    let metrics = folder.path().join("metrics.jsonl");
    std::fs::write(&metrics, testing::metric_lines(1..=2)).unwrap();
    let cells = |window: &mut Watching| {
        window.wait_for("Cosine matrix, 4 by 4");
        window.harness.run_steps(4);
        let rect = window.harness.get_by_label_contains("Cosine matrix, 4 by 4").rect();
        let picture = window.harness.render().unwrap();
        let at = |part: f32, from: f32, size: f32| (from + part * size) as u32;
        let middles = [0.125_f32, 0.375, 0.625, 0.875];
        let cell = |y: f32, x: f32| {
            *picture.get_pixel(at(x, rect.left(), rect.width()), at(y, rect.top(), rect.height()))
        };
        middles.iter().flat_map(|&y| middles.map(|x| cell(y, x))).collect::<Vec<_>>()
    };
    let mut window = Watching::open(folder.path());
    let before = cells(&mut window);
    window.press(Key::Num5);
    window.harness.get_by_label("problems").click();
    window.wait_for("2 recorded steps read");
    // Step 2 is gone and comes again, otherwise.
    testing::record_step(folder.path(), 9);
    for (kind, ending) in
        [("rollouts", "jsonl"), ("geometry", "safetensors"), ("tokens", "safetensors")]
    {
        let step = |number: u64| folder.path().join(format!("{kind}/step_{number:06}.{ending}"));
        std::fs::rename(step(9), step(2)).unwrap();
    }
    let (new, lines) = (folder.path().join("new"), testing::metric_lines(1..=2));
    std::fs::write(&new, &lines).unwrap();
    std::fs::rename(&new, &metrics).unwrap();
    let started = Instant::now();
    while window.snapshots.load().generation == 0 {
        assert!(started.elapsed() < Duration::from_secs(20), "nobody has noticed");
        std::thread::sleep(Duration::from_millis(5));
    }
    let gone = testing::group(0, 4, 2).problem_id;
    window.wait_for(&format!("Problem {}", testing::group(0, 4, 9).problem_id));
    assert!(!window.has(&format!("Problem {gone}")), "{gone} was met in the step that is gone");
    let after = cells(&mut window);
    assert_eq!(after, cells(&mut Watching::open(folder.path())));
    assert_ne!(after, before);
}

#[test]
fn lines_that_are_odd_are_named_and_values_that_are_no_numbers_are_errors() {
    let folder = testing::run_folder(&[]);
    append(folder.path(), "metrics.jsonl", &testing::metric_lines(1..=1));
    append(
        folder.path(),
        "metrics.jsonl",
        "{\"step\": 2, \"wall_s\": 3.0, \"policy/entropy\": NaN}\n{\"step\": 3,\n",
    );
    append(folder.path(), "metrics.jsonl", &testing::metric_lines(4..=4));
    let mut window = Watching::open(folder.path());
    window.wait_for("Step 4 of 4");
    window.wait_for("step 3: metrics.jsonl, line 3 cannot be read and is left out");
    window.press(Key::Num7);
    window.wait_for("A value that cannot be");
    assert!(window.has("policy/entropy is not a number at step 2") && window.has("Health 1"));
    let mut curves = crate::dashboard::kit::series::Curves::default();
    let (run, entropy) = (window.snapshots.load(), &crate::stages::metrics::POLICY_ENTROPY);
    curves.require(&[entropy], &run.history, 10);
    curves.extend(&run.history, &[], 10);
    assert_eq!(curves.of(entropy).unwrap().raw.gaps(), [(2, 3)]);
}
