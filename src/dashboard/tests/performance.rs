//! What frames cost:
//! `cargo test --release --lib dashboard::tests::performance -- --ignored --nocapture --test-threads 1`.
//!
//! A frame is everything up to the triangles: taking in a snapshot, layout of every panel,
//! tessellation. What the graphics card, or the library in its place, makes of them is not part of
//! it.

use crate::dashboard::app::Dashboard;
use crate::dashboard::panels;
use crate::dashboard::runs::open_run::RunSource;
use crate::dashboard::tests::testing::{self, Opening};
use crate::dashboard::window::dock::Dock;
use crate::run::{RunHandle, RunSnapshot, StepView, TrainerCommand, WatchedRun};
use crate::stages::metrics;
use crate::trainer::RunBuilder;
use egui::{RawInput, Rect, pos2, vec2};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Processor time of this thread, nanoseconds; as exact as the scheduler's tick, so that it needs
/// several frames.
fn thread_time() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse().unwrap()
}

/// Processor time of all threads of this process so far, seconds.
fn process_time() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap();
    // Fields 14 and 15, counted behind the name, which may hold spaces; in hundredths of a second.
    let ticks = text.rsplit(')').next().unwrap().split_whitespace().skip(11).take(2);
    ticks.map(|ticks| ticks.parse::<f64>().unwrap()).sum::<f64>() / 100.0
}

/// A window without a screen.
struct Bench {
    ctx: egui::Context,
    dashboard: Dashboard,
    frames: u32,
}

impl Bench {
    fn new(source: RunSource) -> Self {
        let ctx = egui::Context::default();
        let dock = Some(Dock::spread(panels::all()));
        let dashboard = Opening { dock, ..Opening::on(vec![source]) }.dashboard(&ctx);
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

    /// Own processor time of a frame, milliseconds: the mean over `count` frames, before each of
    /// which `change` is done. On a machine that does nothing else the median of the wall times
    /// agrees with it.
    fn frames(&mut self, name: &str, count: u32, mut change: impl FnMut(u32)) -> f64 {
        for _ in 0..10 {
            self.frame(None);
        }
        let mut own = 0;
        let mut times: Vec<f64> = (0..count)
            .map(|frame| {
                change(frame);
                let before = thread_time();
                // The pointer moves over the whole window, so that everything that lights up does.
                let along = f64::from(frame) / f64::from(count);
                let at = pos2(2560.0 * along as f32, 1440.0 * (11.0 * along).fract() as f32);
                let time = self.frame(Some(at));
                own += thread_time() - before;
                time
            })
            .collect();
        let own = own as f64 / 1e6 / f64::from(count);
        times.sort_by(f64::total_cmp);
        let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
        eprintln!(
            "{name}: {own:.2} ms of processor time; wall time: median {:.2} ms, 95 % below {:.2} \
             ms, longest {:.2} ms",
            at(0.5),
            at(0.95),
            at(1.0)
        );
        own
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
    assert!(still < 4.0 && new < 4.0, "{still:.2} and {new:.2} ms");
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
    assert!(still < 16.0 && new < 16.0, "{still:.2} and {new:.2} ms");
}

#[test]
#[ignore = "measures time"]
fn a_run_of_50_000_steps_opens_in_two_seconds() {
    let folder = testing::run_folder(&[10, 50_000]);
    // Every metric that there is, though no run records all of them.
    let line = |step: u64| {
        let value = |place: usize| (step as f64 + 0.37 * place as f64).sin();
        let fields: Vec<String> = metrics::built_in()
            .enumerate()
            .map(|(place, metric)| format!("\"{}\":{}", metric.name, value(place)))
            .collect();
        format!("{{\"step\":{step},\"wall_s\":{},{}}}\n", 1.5 * step as f64, fields.join(","))
    };
    let text: String = (1..=50_000).map(line).collect();
    std::fs::write(folder.path().join("metrics.jsonl"), &text).unwrap();
    let (start, before) = (Instant::now(), process_time());
    let run = WatchedRun::open(folder.path()).unwrap();
    let read = start.elapsed().as_secs_f64();
    let mut bench = Bench::new(RunSource::Folder(run));
    bench.frame(None);
    let (shown, own) = (start.elapsed().as_secs_f64(), process_time() - before);
    let size = text.len() as f64 / 1e6;
    eprintln!(
        "{size:.1} MB of metrics: read after {read:.2} s, first frame after {shown:.2} s, with \
         {own:.2} s of processor time"
    );
    assert!(own < 2.0, "{own}");
}

#[test]
#[ignore = "measures time"]
fn a_stream_of_100_steps_a_second_keeps_up() {
    let (handle, _commands) = RunHandle::new(testing::snapshot(20_000, 16, 16));
    let mut bench = Bench::new(RunSource::Trainer(handle.clone()));
    bench.frame(None);
    let mut step = 20_000;
    // Four steps come between two frames, 40 ms apart.
    let own = bench.frames("four new steps in every frame", 200, |_| {
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
    assert!(own < 40.0, "a frame takes longer than four steps do: {own:.1} ms");
}

#[test]
#[ignore = "measures time"]
fn training_loses_little_to_a_window_that_nobody_touches() {
    const BLOCKS: usize = 4;
    const STEPS: u64 = 5;
    let folder = tempfile::tempdir().unwrap();
    let rollout = "rollout: (prompts_per_step: 8, group_size: 8, max_new_tokens: 64)";
    let text = format!(
        "Experiment(name: \"a\", model: Bundled(\"countdown\"), task: Countdown(), {rollout}, \
         method: G2rl(), stop: (steps: 9999))"
    );
    let experiment = crate::experiment::from_text(&text, "experiment").unwrap();
    let run = RunBuilder::new(experiment).start(folder.path()).unwrap();
    let mut bench = Bench::new(RunSource::Trainer(run.handle.clone()));
    // When the window wants to be drawn next.
    let due = Arc::new(Mutex::new(None::<Instant>));
    let wake = Arc::clone(&due);
    bench.ctx.set_request_repaint_callback(move |info| {
        let at = Instant::now() + info.delay.min(Duration::from_hours(1));
        let mut due = wake.lock().unwrap();
        *due = Some(due.map_or(at, |due| due.min(at)));
    });
    let newest = || run.handle.snapshots.load().step;
    let (mut drawing, mut open_s, mut frames) = (0, 0.0, 0);
    let mut steps: [Vec<f64>; 2] = Default::default();
    let mut cpu: [Vec<f64>; 2] = Default::default();
    for block in 0..2 * BLOCKS {
        let is_open = block % 2 == 1;
        let (first, begin, before) = (newest(), Instant::now(), thread_time());
        while newest() < first + STEPS {
            if is_open && due.lock().unwrap().take_if(|due| *due <= Instant::now()).is_some() {
                bench.frame(None);
                frames += 1;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        if is_open {
            drawing += thread_time() - before;
            open_s += begin.elapsed().as_secs_f64();
        }
        // The step in which the block began belongs to neither.
        let snapshot = run.handle.snapshots.load();
        for row in (first + 2..=first + STEPS).filter_map(|step| snapshot.history.at(step)) {
            steps[usize::from(is_open)].extend(row.get(&metrics::TIME_STEP_S));
            cpu[usize::from(is_open)].extend(row.get(&metrics::TIME_CPU_S));
        }
    }
    run.handle.send(TrainerCommand::Stop);
    run.join().unwrap();
    let median = |values: &mut Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    let cores = std::thread::available_parallelism().unwrap().get() as f64;
    let share = drawing as f64 / 1e9 / (open_s * cores);
    let [closed, open] = steps.each_mut().map(median);
    let [closed_cpu, open_cpu] = cpu.each_mut().map(median);
    eprintln!(
        "{frames} frames in {open_s:.1} s take {:.2} % of {cores} cores; a step takes {closed:.3} \
         s without and {open:.3} s with the window (ratio {:.3}), {closed_cpu:.3} s and \
         {open_cpu:.3} s of processor time (ratio {:.3})",
        100.0 * share,
        open / closed,
        open_cpu / closed_cpu
    );
    assert!(share < 0.02, "{share}");
}
