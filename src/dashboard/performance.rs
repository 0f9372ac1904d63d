//! What frames cost: `cargo test --release --lib dashboard::performance -- --ignored --nocapture --test-threads 1`.
//!
//! A frame is everything up to the triangles: taking in a snapshot, layout of every panel, tessellation. What the graphics card, or
//! the library in its place, makes of them is not part of it.

use super::app::{Dashboard, ScreenshotResult};
use super::dock::Dock;
use super::open_run::RunSource;
use super::testing;
use super::theme::Themes;
use crate::trainer::{RunHandle, RunSnapshot, StepView, WatchedRun};
use egui::{RawInput, Rect, pos2, vec2};
use std::sync::Arc;
use std::time::Instant;

/// A window without a screen.
struct Bench {
    ctx: egui::Context,
    dashboard: Dashboard,
    frames: u32,
}

impl Bench {
    fn new(source: RunSource) -> Self {
        let ctx = egui::Context::default();
        let (themes, dock) = (Themes::load().unwrap(), Dock::with_every_panel());
        let result = ScreenshotResult::default();
        let dashboard = Dashboard::new(&ctx, vec![source], None, dock, themes, None, result).unwrap();
        Self { ctx, dashboard, frames: 0 }
    }

    /// Draws a frame in a window of 2560 x 1440 points; returns its time, milliseconds.
    fn frame(&mut self, pointer: Option<egui::Pos2>) -> f64 {
        self.frames += 1;
        let input = RawInput {
            screen_rect: Some(Rect::from_min_size(pos2(0.0, 0.0), vec2(2560.0, 1440.0))),
            time: Some(f64::from(self.frames) / 30.0),
            events: pointer.map(egui::Event::PointerMoved).into_iter().collect(),
            ..RawInput::default()
        };
        let start = Instant::now();
        let output = self.ctx.run_ui(input, |ui| self.dashboard.frame(ui));
        let triangles = self.ctx.tessellate(output.shapes, output.pixels_per_point);
        let time = 1e3 * start.elapsed().as_secs_f64();
        assert!(!triangles.is_empty());
        time
    }

    /// Median and 95th percentile of `count` frames, in each of which `change` has been done before.
    fn frames(&mut self, name: &str, count: u32, mut change: impl FnMut(u32)) -> f64 {
        for _ in 0..10 {
            self.frame(None);
        }
        let mut times: Vec<f64> = (0..count)
            .map(|frame| {
                change(frame);
                // The pointer moves over the whole window, so that everything that lights up does.
                let along = f64::from(frame) / f64::from(count);
                let at = pos2(2560.0 * along as f32, 1440.0 * (11.0 * along).fract() as f32);
                self.frame(Some(at))
            })
            .collect();
        times.sort_by(f64::total_cmp);
        let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
        eprintln!("{name}: median {:.2} ms, 95 % below {:.2} ms, longest {:.2} ms", at(0.5), at(0.95), at(1.0));
        at(0.5)
    }
}

fn with_tokens(mut snapshot: RunSnapshot) -> RunSnapshot {
    let mut view: StepView = (**snapshot.latest.as_ref().unwrap()).clone();
    testing::add_tokens(&mut view);
    snapshot.latest = Some(Arc::new(view));
    snapshot
}

#[test]
#[ignore = "measures time"]
fn frames_with_every_panel_open_stay_within_their_time() {
    let snapshot = with_tokens(testing::snapshot(200, 16, 16));
    let (handle, _commands) = RunHandle::new(snapshot.clone());
    let mut bench = Bench::new(RunSource::Trainer(handle.clone()));
    let still = bench.frames("16 groups of 16, 200 steps, nothing new", 300, |_| {});
    let new = bench.frames("the same, a new snapshot in every frame", 300, |frame| {
        handle.snapshots.update(|now| now.step = u64::from(frame % 2) + 199);
    });
    assert!(still < 4.0 && new < 4.0, "medians {still:.2} and {new:.2} ms");
}

#[test]
#[ignore = "measures time"]
fn frames_of_large_groups_and_long_runs_stay_within_their_time() {
    let mut snapshot = testing::snapshot(50_000, 16, 64);
    snapshot.latest = Some(testing::step(50_000, 16, 64));
    let snapshot = with_tokens(snapshot);
    let (handle, _commands) = RunHandle::new(snapshot);
    let mut bench = Bench::new(RunSource::Trainer(handle.clone()));
    let still = bench.frames("16 groups of 64, 50,000 steps, nothing new", 200, |_| {});
    let view = |step| {
        let mut view = (*testing::step(step, 16, 64)).clone();
        testing::add_tokens(&mut view);
        Arc::new(view)
    };
    let views = [view(50_001), view(50_002)];
    let mut step = 50_000;
    let new = bench.frames("the same, a new step in every frame", 100, |frame| {
        let latest = Arc::clone(&views[frame as usize % 2]);
        step += 1;
        let row = testing::metric_row(step);
        handle.snapshots.update(|now| {
            now.step = row.step;
            now.history.push(row);
            now.latest = Some(Arc::new(StepView { step: now.step, groups: latest.groups.clone() }));
        });
    });
    assert!(still < 16.0 && new < 16.0, "medians {still:.2} and {new:.2} ms");
}

#[test]
#[ignore = "measures time"]
fn a_run_of_50_000_steps_opens_in_two_seconds() {
    let folder = testing::run_folder(&[10, 50_000]);
    let text = testing::metric_lines(1..=50_000);
    std::fs::write(folder.path().join("metrics.jsonl"), &text).unwrap();
    let start = Instant::now();
    let run = WatchedRun::open(folder.path()).unwrap();
    let read = start.elapsed().as_secs_f64();
    let mut bench = Bench::new(RunSource::Folder(run));
    bench.frame(None);
    let shown = start.elapsed().as_secs_f64();
    eprintln!("{:.1} MB of metrics: read after {read:.2} s, first frame after {shown:.2} s", text.len() as f64 / 1e6);
    assert!(shown < 2.0);
}

#[test]
#[ignore = "measures time"]
fn a_stream_of_100_steps_a_second_keeps_up() {
    let (handle, _commands) = RunHandle::new(testing::snapshot(20_000, 16, 16));
    let mut bench = Bench::new(RunSource::Trainer(handle.clone()));
    bench.frame(None);
    let mut step = 20_000;
    // Four steps come between two frames, 40 ms apart.
    let median = bench.frames("four new steps in every frame", 200, |_| {
        for _ in 0..4 {
            step += 1;
            let row = testing::metric_row(step);
            let view = testing::step(step, 16, 16);
            handle.snapshots.update(|now| {
                now.step = step;
                now.history.push(row);
                now.latest = Some(view);
            });
        }
    });
    assert!(median < 40.0, "a frame takes longer than four steps do: {median:.1} ms");
}
