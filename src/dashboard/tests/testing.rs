//! Synthetic runs for tests: countdown groups whose geometry and metrics drift over the steps as a
//! real run's do.

use crate::dashboard::app::{Dashboard, ScreenshotResult};
use crate::dashboard::kit::theme::Themes;
use crate::dashboard::options::Screenshot;
use crate::dashboard::panel::Panel;
use crate::dashboard::panels;
use crate::dashboard::runs::found::Places;
use crate::dashboard::runs::open_run::RunSource;
use crate::dashboard::runs::opener::Opener;
use crate::dashboard::runs::start::{Start, StartedRuns};
use crate::dashboard::tests::rasterizer::Rasterizer;
use crate::dashboard::window::dock::Dock;
use crate::metrics::{History, Metric, MetricRow};
use crate::run::{
    CosineKind, Estimate, EvaluationRecord, GroupCosines, GroupTokens, GroupView, RolloutRecord,
    RolloutView, RunDir, RunHandle, RunInfo, RunSnapshot, RunState, Stage, StageProgress, StepView,
    TrainerCommand,
};
use crate::stages::metrics;
use crate::verify::Verdict;
use crossbeam_channel::Receiver;
use egui::accesskit::Role;
use egui::{Event, Key, Modifiers, OutputCommand, PointerButton, Pos2, Rect, Shape, Vec2, vec2};
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT, Queryable};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Steps after which evaluations are done.
const EVALUATE_EVERY: u64 = 20;

/// What does not change during the synthetic run.
pub(crate) fn info() -> RunInfo {
    info_with("countdown-g2rl", 0)
}

/// The same of another name or seed.
pub(crate) fn info_with(name: &str, seed: u64) -> RunInfo {
    let text = format!(
        "Experiment(name: {name:?}, seed: {seed}, model: Bundled(\"countdown\"), \
         task: Countdown(), method: G2rl())"
    );
    RunInfo { directory: PathBuf::from("runs/countdown-g2rl-s0"), ..RunInfo::of(&text) }
}

/// A group of `m` rollouts.
pub(crate) fn group(number: u32, m: usize, step: u64) -> GroupView {
    let mut rng = ChaCha8Rng::seed_from_u64(step * 1009 + u64::from(number));
    let numbers: Vec<u32> = (0..4).map(|_| rng.random_range(1..=13)).collect();
    let target = numbers[0] * numbers[1] + numbers[2];
    let skill = 0.2 + 0.5 * (1.0 - (-(step as f64) / 80.0).exp());
    let rollouts: Vec<RolloutView> = (0..m)
        .map(|index| {
            let correct = rng.random_bool(skill);
            let no_answer = !correct && rng.random_bool(0.1);
            let [a, b, c, d] = [numbers[0], numbers[1], numbers[2], numbers[3]];
            let slip = if correct { 0 } else { rng.random_range(1..9) };
            let answer = format!("{a}*{b}+{c}");
            let wrong = format!("{d}*{b}+{slip}");
            let extracted =
                if no_answer { None } else { Some(if correct { answer } else { wrong }) };
            let product = a * b;
            let mut completion =
                format!("{a}*{b}={product}\n{product}+{c}={}\n", product + c + slip);
            completion.push_str(&format!("{d}+{c}={}\n", d + c).repeat(rng.random_range(0..3)));
            completion.push_str(
                &extracted
                    .as_ref()
                    .map_or_else(|| "...".to_owned(), |text| format!("\\boxed{{{text}}}")),
            );
            let verdict = match (correct, no_answer) {
                (true, _) => Verdict::Correct,
                (false, true) => Verdict::NoAnswer,
                (false, false) => Verdict::Incorrect,
            };
            let reward = if correct { 1.0 } else { -1.0 };
            let novelty = rng.random_range(0.0..1.0f32);
            RolloutView {
                length: completion.len() as u32 + 1,
                completion,
                verdict,
                extracted,
                reward,
                reward_parts: std::collections::BTreeMap::new(),
                shaped_reward: reward * (1.0 + 0.5 * novelty),
                novelty,
                novelty_normalized: novelty,
                advantage: reward - (2.0 * skill as f32 - 1.0) + 0.3 * (novelty - 0.5),
                truncated: no_answer && index % 2 == 0,
                logprob: -rng.random_range(3.0..20.0f32),
                entropy: rng.random_range(0.05..0.3f32),
            }
        })
        .collect();
    let sharpness = 0.3 + 0.5 * (step as f32 / 200.0).min(1.0);
    let directions: Vec<Vec<f32>> = rollouts
        .iter()
        .map(|rollout| {
            let side = if rollout.verdict.is_correct() { sharpness } else { -0.6 * sharpness };
            let mut direction: Vec<f32> = (0..12).map(|_| rng.random_range(-0.5..0.5f32)).collect();
            direction[0] += side;
            let norm = direction.iter().map(|x| x * x).sum::<f32>().sqrt();
            direction.iter().map(|x| x / norm).collect()
        })
        .collect();
    let mut cosines = GroupCosines::default();
    cosines[CosineKind::Feature] = directions
        .iter()
        .flat_map(|a| {
            directions
                .iter()
                .map(move |b| a.iter().zip(b).map(|(x, y)| x * y).sum::<f32>().clamp(-1.0, 1.0))
        })
        .collect();
    let listed = numbers.iter().map(u32::to_string).collect::<Vec<_>>().join(" ");
    GroupView {
        group: number,
        problem_id: format!("countdown/{listed}={target}"),
        prompt: format!("Use {listed} to make {target}."),
        answer: target.to_string(),
        rollouts,
        cosines,
        tokens: None,
    }
}

/// Gives every group tokens: a character each, and one for the end.
pub(crate) fn add_tokens(view: &mut StepView) {
    for group in &mut view.groups {
        let lengths: Vec<usize> =
            group.rollouts.iter().map(|rollout| rollout.completion.len() + 1).collect();
        for (rollout, &length) in group.rollouts.iter_mut().zip(&lengths) {
            rollout.length = length as u32;
        }
        let (count, m) = (lengths.iter().sum(), lengths.len());
        let wave = |token: usize| (token as f32 * 0.7).sin();
        let ends = lengths
            .iter()
            .flat_map(|&length| (1..=length as u32).map(move |end| end.min(length as u32 - 1)));
        group.tokens = Some(Arc::new(GroupTokens {
            offsets: GroupTokens::offsets_of(&lengths),
            ends: ends.collect(),
            norms: (0..count).map(|token| wave(token).abs()).collect(),
            shares: (0..count * m).map(|place| 0.01 * wave(place)).collect(),
            logprobs: (0..count).map(|token| -wave(token).abs()).collect(),
            entropies: (0..count).map(|token| 0.5 * wave(token).abs()).collect(),
            ratios: (0..count).map(|token| 1.0 + 0.3 * wave(token)).collect(),
            clipped: (0..count).map(|token| token % 7 == 0).collect(),
        }));
    }
}

/// The metrics of a step.
pub(crate) fn metric_row(step: u64) -> MetricRow {
    let mut rng = ChaCha8Rng::seed_from_u64(step);
    let grown = 1.0 - (-(step as f64) / 80.0).exp();
    let mut noise = |scale: f64| rng.random_range(-scale..scale);
    let accuracy = (0.2 + 0.5 * grown + noise(0.07)).clamp(0.0, 1.0);
    let values = vec![
        (&metrics::REWARD_MEAN, 2.0 * accuracy - 1.0),
        (&metrics::REWARD_ACCURACY, accuracy),
        (&metrics::COMPLETION_LENGTH_MEAN, 38.0 - 6.0 * grown + noise(1.5)),
        (&metrics::POLICY_ENTROPY, 0.15 - 0.07 * grown + noise(0.006)),
        (&metrics::POLICY_KL, 0.09 * grown + noise(0.004).abs()),
        (&metrics::GEOMETRY_COSINE_MEAN, 0.05 + 0.2 * grown + noise(0.02)),
        (&metrics::GEOMETRY_COSINE_Q05, -0.3 + 0.1 * grown + noise(0.02)),
        (&metrics::GEOMETRY_COSINE_MEDIAN, 0.03 + 0.2 * grown + noise(0.02)),
        (&metrics::GEOMETRY_COSINE_Q95, 0.4 + 0.3 * grown + noise(0.02)),
        (&metrics::GEOMETRY_NEGATIVE_RATIO, 0.46 - 0.12 * grown + noise(0.03)),
        (&metrics::GEOMETRY_ORTHOGONAL_RATIO, 0.31 - 0.08 * grown + noise(0.03)),
        (&metrics::GEOMETRY_EFFECTIVE_RANK, 9.5 - 2.5 * grown + noise(0.3)),
        (&metrics::TIME_STEP_S, 1.5),
        (&metrics::THROUGHPUT_TOKENS_PER_S, 1940.0 + noise(60.0)),
        (&metrics::MEMORY_PEAK_MIB, 412.0),
    ];
    MetricRow { step, wall_s: 1.5 * step as f64, values }
}

pub(crate) fn evaluation(step: u64) -> EvaluationRecord {
    let grown = 1.0 - (-(step as f64) / 80.0).exp();
    let estimate = |value: f64| Estimate { value, low: value - 0.04, high: value + 0.04 };
    EvaluationRecord {
        step,
        suite: "countdown-heldout".to_owned(),
        problems: 256,
        samples: 16,
        pass_at: vec![
            (1, estimate(0.19 + 0.17 * grown)),
            (4, estimate(0.48 + 0.08 * grown)),
            (16, estimate(0.78 - 0.05 * grown)),
        ],
        maj_at: vec![(16, estimate(0.25 + 0.17 * grown))],
        length_mean: 36.0,
        truncated_ratio: 0.01,
        no_answer_ratio: 0.02,
        seconds: 12.0,
    }
}

/// The step of a run with `groups` groups of `m` rollouts.
pub(crate) fn step(step: u64, groups: u32, m: usize) -> Arc<StepView> {
    Arc::new(StepView { step, groups: (0..groups).map(|number| group(number, m, step)).collect() })
}

/// The folder of a run in which these steps are recorded, with two groups of four rollouts each,
/// and has no metrics yet.
pub(crate) fn run_folder(recorded: &[u64]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let every = "record: (rollouts_every: 10)";
    let experiment = format!(
        "Experiment(name: \"watched\", model: Bundled(\"countdown\"), task: Countdown(), {every})"
    );
    std::fs::write(folder.path().join("experiment.ron"), experiment).unwrap();
    std::fs::create_dir(folder.path().join("rollouts")).unwrap();
    std::fs::create_dir(folder.path().join("geometry")).unwrap();
    for &step in recorded {
        record_step(folder.path(), step);
    }
    folder
}

/// Records a step of two groups of four rollouts.
pub(crate) fn record_step(folder: &Path, number: u64) {
    let mut view = (*step(number, 2, 4)).clone();
    add_tokens(&mut view);
    let mut records = Vec::new();
    let mut tensors = Vec::new();
    for group in &view.groups {
        records.extend(group.rollouts.iter().enumerate().map(|(sample, rollout)| RolloutRecord {
            group: group.group,
            sample,
            problem: group.problem_id.clone(),
            prompt: group.prompt.clone(),
            answer: group.answer.clone(),
            rollout: rollout.clone(),
            response_ids: Vec::new(),
        }));
        tensors.push((
            format!("feature.{}", group.group),
            vec![4, 4],
            group.cosines[CosineKind::Feature].clone(),
        ));
    }
    let run = RunDir::at(folder);
    run.write_geometry(number, tensors).unwrap();
    run.write_tokens(number, &view.groups).unwrap();
    run.write_rollouts(number, &records).unwrap();
}

/// Lines of `metrics.jsonl`.
pub(crate) fn metric_lines(steps: impl Iterator<Item = u64>) -> String {
    let line = |step: u64| {
        let row = metric_row(step);
        let mut fields: serde_json::Map<String, serde_json::Value> = row
            .values
            .iter()
            .map(|(metric, value)| (metric.name.to_owned(), (*value).into()))
            .collect();
        fields.insert("step".to_owned(), step.into());
        fields.insert("wall_s".to_owned(), row.wall_s.into());
        serde_json::to_string(&fields).unwrap() + "\n"
    };
    steps.map(line).collect()
}

/// A training run after `step` steps of `groups` groups of `m` rollouts.
pub(crate) fn snapshot(step: u64, groups: u32, m: usize) -> RunSnapshot {
    let mut snapshot = RunSnapshot::starting(info());
    if step == 0 {
        return snapshot;
    }
    let mut history = History::default();
    (1..=step).for_each(|step| history.push(metric_row(step)));
    snapshot.state = RunState::Training;
    snapshot.step = step;
    snapshot.progress = StageProgress { stage: Some(Stage::Sample), done: Some(0.6) };
    snapshot.stage_times = [0.612, 0.002, 0.0004, 0.001, 0.0, 0.880, 0.0, 0.009];
    snapshot.history = history;
    snapshot.evaluations =
        Arc::new((0..=step).step_by(EVALUATE_EVERY as usize).map(evaluation).collect());
    snapshot.latest = Some(self::step(step, groups, m));
    snapshot.checkpoints = Arc::new((1..=step / 50).map(|count| 50 * count).collect());
    snapshot.eta_s = Some(1.5 * 200u64.saturating_sub(step) as f64);
    snapshot
}

/// `snapshot` with other values of a metric.
pub(crate) fn with_metric(
    mut snapshot: RunSnapshot,
    metric: &Metric,
    value: impl Fn(u64) -> f64,
) -> RunSnapshot {
    let mut history = History::default();
    for row in snapshot.history.iter() {
        let mut row = row.clone();
        for (_, changed) in row.values.iter_mut().filter(|(of, _)| of.name == metric.name) {
            *changed = value(row.step);
        }
        history.push(row);
    }
    snapshot.history = history;
    snapshot
}

/// `snapshot` with its newest step changed.
pub(crate) fn with_step(
    mut snapshot: RunSnapshot,
    change: impl FnOnce(&mut StepView),
) -> RunSnapshot {
    let mut view = (**snapshot.latest.as_ref().unwrap()).clone();
    change(&mut view);
    snapshot.latest = Some(Arc::new(view));
    snapshot
}

pub(crate) fn name_completions(view: &mut StepView) {
    for group in &mut view.groups {
        for (index, rollout) in group.rollouts.iter_mut().enumerate() {
            rollout.completion = format!("completion {index} of group {}", group.group);
        }
    }
}

/// What a window is opened with. Left out, it has no run and no start screen, and all panels in the
/// first layout.
#[derive(Default)]
pub(crate) struct Opening {
    pub(crate) runs: Vec<RunSource>,
    pub(crate) places: Option<Places>,
    pub(crate) dock: Option<Dock>,
    pub(crate) screenshot: Option<Screenshot>,
    pub(crate) picture: ScreenshotResult,
}

impl Opening {
    /// A window on `runs`.
    pub(crate) fn on(runs: Vec<RunSource>) -> Self {
        Self { runs, ..Self::default() }
    }

    /// The window.
    pub(crate) fn dashboard(self, ctx: &egui::Context) -> Dashboard {
        let Self { runs, places, dock, screenshot, picture } = self;
        let start = places.map(|places| Start::new(places, ctx.clone()));
        let opener = Opener::new(StartedRuns::default(), ctx.clone());
        let dock = dock.unwrap_or_else(|| Dock::new(panels::all(), None).unwrap());
        let themes = Themes::load().unwrap();
        Dashboard::new(ctx, runs, start, opener, dock, themes, screenshot, picture).unwrap()
    }
}

/// Whether a text that contains `label` can be seen.
pub(crate) fn has(harness: &Harness<'_, Dashboard>, label: &str) -> bool {
    harness.query_all_by_label_contains(label).next().is_some()
}

/// Draws frames until a text that contains `label` is there.
pub(crate) fn wait_for(harness: &mut Harness<'_, Dashboard>, label: &str) {
    wait_until(harness, label, |harness| has(harness, label));
}

/// Draws frames until `condition` holds, which is called `what`.
pub(crate) fn wait_until(
    harness: &mut Harness<'_, Dashboard>,
    what: &str,
    condition: impl Fn(&Harness<'_, Dashboard>) -> bool,
) {
    let started = Instant::now();
    while !condition(harness) {
        assert!(started.elapsed() < Duration::from_secs(20), "waited in vain for `{what}`");
        std::thread::sleep(Duration::from_millis(5));
        harness.run_steps(1);
    }
}

/// A window on a run, with the trainer's end of its commands.
pub(crate) struct Window {
    pub(crate) harness: Harness<'static, Dashboard>,
    pub(crate) handle: RunHandle,
    pub(crate) commands: Receiver<TrainerCommand>,
}

impl Window {
    pub(crate) fn open(snapshot: RunSnapshot) -> Self {
        Self::open_sized(snapshot, vec2(1280.0, 800.0))
    }

    /// A window with these panels, on a run beside others.
    pub(crate) fn open_with(
        snapshot: RunSnapshot,
        others: Vec<RunSnapshot>,
        panels: impl FnOnce() -> Vec<Box<dyn Panel>> + 'static,
    ) -> Self {
        let (handle, commands) = RunHandle::new(snapshot);
        let mut runs = vec![RunSource::Trainer(handle.clone())];
        runs.extend(others.into_iter().map(|other| RunSource::Trainer(RunHandle::new(other).0)));
        let builder =
            Harness::builder().with_size(vec2(1280.0, 800.0)).renderer(Rasterizer::default());
        let harness = builder.build_eframe(move |creation| {
            let dock = Some(Dock::new(panels(), None).unwrap());
            Opening { dock, ..Opening::on(runs) }.dashboard(&creation.egui_ctx)
        });
        let mut window = Self { harness, handle, commands };
        window.settle();
        window
    }

    /// A window of `size`, points.
    pub(crate) fn open_sized(snapshot: RunSnapshot, size: Vec2) -> Self {
        let (handle, commands) = RunHandle::new(snapshot);
        let shared = handle.clone();
        let builder = Harness::builder().with_size(size).renderer(Rasterizer::default());
        let harness = builder.build_eframe(move |creation| {
            Opening::on(vec![RunSource::Trainer(shared)]).dashboard(&creation.egui_ctx)
        });
        let mut window = Self { harness, handle, commands };
        window.settle();
        window
    }

    pub(crate) fn settle(&mut self) {
        self.harness.run_steps(4);
    }

    pub(crate) fn update(&mut self, change: impl FnOnce(&mut RunSnapshot)) {
        self.handle.snapshots.update(change);
        self.settle();
    }

    pub(crate) fn has(&self, label: &str) -> bool {
        has(&self.harness, label)
    }

    pub(crate) fn click(&mut self, label: &str) {
        self.harness.get_by_label(label).click();
        self.settle();
    }

    /// What a click on the entry of a panel's menu puts on the clipboard.
    pub(crate) fn copied(&mut self, panel: &str, entry: &str) -> String {
        self.harness.get_by_label(&format!("More about {panel}")).click();
        self.settle();
        self.harness.get_by_label(entry).click();
        for _ in 0..4 {
            self.harness.step();
            for command in &self.harness.output().platform_output.commands {
                if let OutputCommand::CopyText(text) = command {
                    return text.clone();
                }
            }
        }
        panic!("{entry} of {panel} copies nothing");
    }

    /// The texts that are painted, each with the part of it that is seen.
    pub(crate) fn texts(&self) -> Vec<(String, Rect)> {
        let mut found = Vec::new();
        for clipped in &self.harness.output().shapes {
            collect_texts(&clipped.shape, clipped.clip_rect, &mut found);
        }
        found
    }

    pub(crate) fn is_enabled(&self, label: &str) -> bool {
        !self.harness.get_by_role_and_label(Role::Button, label).accesskit_node().is_disabled()
    }

    pub(crate) fn press(&mut self, modifiers: Modifiers, key: Key) {
        self.harness.key_press_modifiers(modifiers, key);
        self.settle();
    }

    /// Where the cosine matrix is and what it says of the shown pair.
    pub(crate) fn matrix(&self) -> (Rect, String) {
        let node = self.harness.get_by_label_contains("Cosine matrix");
        (node.rect(), node.value().unwrap_or_default())
    }

    /// The middle of a cell of an m by m matrix in the order of indices.
    pub(crate) fn cell(&mut self, i: usize, j: usize, m: usize) -> Pos2 {
        self.click("index");
        let (rect, _) = self.matrix();
        rect.min + rect.size() / m as f32 * vec2(j as f32 + 0.5, i as f32 + 0.5)
    }

    /// Presses or lets go of the pointer's first button.
    pub(crate) fn button_at(&mut self, pos: Pos2, pressed: bool) {
        let button = PointerButton::Primary;
        self.harness.event(Event::PointerButton {
            pos,
            button,
            pressed,
            modifiers: Modifiers::NONE,
        });
    }

    pub(crate) fn click_at(&mut self, at: Pos2) {
        self.harness.hover_at(at);
        self.button_at(at, true);
        self.button_at(at, false);
        self.settle();
        self.harness.remove_cursor();
        self.settle();
    }
}

fn collect_texts(shape: &Shape, seen: Rect, found: &mut Vec<(String, Rect)>) {
    match shape {
        Shape::Vec(shapes) => shapes.iter().for_each(|shape| collect_texts(shape, seen, found)),
        Shape::Text(text) => {
            let rect = text.visual_bounding_rect().intersect(seen);
            if rect.is_positive() {
                found.push((text.galley.text().to_owned(), rect));
            }
        }
        _ => {}
    }
}
