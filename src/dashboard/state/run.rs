//! What the window shows: the newest snapshot, the step at the cursor, and what the person has chosen. No drawing here.
//!
//! The cursor follows the newest step until the person moves it or pins a pair; then it stays until it is told to follow again.

use crate::dashboard::kit::export::ExportResult;
use crate::dashboard::kit::geometry;
use crate::dashboard::kit::geometry::{ColorRange, ColorScale, GroupGeometry, Order, Pair};
use crate::dashboard::kit::series::{CurveSettings, Curves};
use crate::dashboard::kit::tokens;
use crate::dashboard::kit::tokens::{Differences, TextView};
use crate::dashboard::panels::rollouts::problem_reader::ProblemTable;
use crate::dashboard::panels::rollouts::rows::{Place, RolloutChoices, Rows};
use crate::dashboard::state::health;
use crate::dashboard::state::health::{Check, Finding};
use crate::dashboard::state::label;
use crate::dashboard::state::label::Label;
use crate::dashboard::state::loader::{Absence, StepData};
use crate::dashboard::window::dock::PanelKind;
use crate::dashboard::window::palette::Palette;
use crate::experiment;
use crate::metrics::MetricRow;
use crate::run::{
    CosineKind, Event, EventKind, FidelityRecord, GroupView, LiveSetting, RunInfo, RunSnapshot, RunState, StepView,
    TrainerCommand,
};
use crate::stages::metrics;
use crate::trainer::goes_on;
use std::sync::{Arc, PoisonError};

/// Which pair the pair panel shows, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// Pinned by a click or the arrow keys.
    Pinned,
    /// Under the pointer, or the last one that was.
    Hovered,
    /// Nobody chose: the pair with the lowest cosine.
    Lowest,
}

/// What lies over the panels, beside the command palette.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Over {
    /// Nothing.
    #[default]
    Nothing,
    /// The list of keys.
    Keys,
    /// The question whether the run shall stop.
    Stop,
}

/// What the window says for a while.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    /// The words.
    pub(crate) text: String,
    /// Whether something did not go as it was asked for.
    pub(crate) is_problem: bool,
    /// When it has been said, seconds of egui's clock.
    until: f64,
}

/// A live setting that is being edited.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    /// The setting.
    pub(crate) setting: LiveSetting,
    /// What was typed.
    pub(crate) text: String,
    /// Why it was refused.
    pub(crate) problem: Option<String>,
    /// The value that was sent, and how many changes the run had refused then.
    sent: Option<(f64, usize)>,
}

/// How a run that has ended before its last step can be gone on with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resumption {
    /// From the checkpoint of this step.
    From(u64),
    /// Not at all: it has no checkpoint.
    Never,
}

/// Why a run without a checkpoint cannot be gone on with.
pub(crate) const NO_CHECKPOINT: &str =
    "The run has no checkpoint to go on from; start its experiment again, with a smaller record.checkpoint_every";

/// For how long something is said, seconds.
const TOLD_S: f64 = 8.0;
/// For how long a problem is.
const PROBLEM_S: f64 = 30.0;
/// A watched run that has not written for this long may have been killed, seconds; and for this many of its steps.
const SILENT_S: f64 = 60.0;
const SILENT_STEPS: f64 = 3.0;
/// Time between two steps while they are played, seconds.
const PLAY_INTERVAL_S: f64 = 0.1;
/// A step that is at hand sooner is not announced as being read, seconds: titles would only flicker.
const LOADING_S: f64 = 0.15;

/// What the person asked of the window, rather than of the trainer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Wish {
    /// Bring a panel to the front.
    ShowPanel(PanelKind),
    /// Bring back the first layout.
    ResetLayout,
    /// Save a picture of a panel, which is there.
    SavePicture(PanelKind, egui::Rect),
    /// Go on with the run from its newest checkpoint.
    Resume,
}

/// What stands beside the matrix.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Side {
    /// Histogram, numbers and spectrum.
    #[default]
    Numbers,
    /// The directions as arrows.
    Directions,
    /// The run's cosines over its steps.
    OverTime,
}

/// What is chosen independently of the run, and stays when another run is shown.
#[derive(Clone, Debug)]
pub(crate) struct Choices {
    comparison: CosineKind,
    order: Order,
    color_range: ColorRange,
    search: String,
    curve_settings: CurveSettings,
    text_view: TextView,
    rollouts: RolloutChoices,
}

/// A command that was sent and has not shown its effect yet.
#[derive(Clone, Copy, Debug)]
struct Pending {
    command: TrainerCommand,
    /// The number of finished steps when it was sent.
    step: u64,
    checkpoints: usize,
    /// How often the run had waited for room then.
    waits: u64,
}

/// Everything that the panels draw from.
#[derive(Debug)]
pub(crate) struct State {
    /// The newest snapshot.
    pub(crate) snapshot: RunSnapshot,
    /// What the run is called beside the other open ones.
    pub(crate) label: Label,
    /// The settings of its experiment by their paths, without name and seed; empty where it cannot be read.
    pub(crate) settings: Vec<(String, String)>,
    /// The experiment as RON, or why it cannot be written.
    pub(crate) experiment_text: String,
    /// The rollouts that every panel shows: of the step at the cursor, or of an earlier one while that is being read.
    pub(crate) shown: Option<Arc<StepView>>,
    /// The step that the person moved to; `None` follows the newest.
    cursor: Option<u64>,
    /// A step of which there is nothing to show, and why.
    absent: Option<(u64, Absence)>,
    /// The step that is being read, and since when, seconds of egui's clock.
    wanted: Option<(u64, f64)>,
    /// When playing moved the cursor last, seconds of egui's clock; `None` where nothing is played.
    played_at: Option<f64>,
    /// The time of the newest snapshot, seconds of egui's clock.
    now: f64,
    /// The chosen group, by its place in the step.
    pub(crate) group: usize,
    /// What the shown cosines compare, where the step has such cosines; see [`State::compared`].
    pub(crate) comparison: CosineKind,
    /// The order of rows and columns.
    pub(crate) order: Order,
    /// What the colour map's ends stand for.
    pub(crate) color_range: ColorRange,
    /// Whether everything that can be compared stands side by side.
    pub(crate) side_by_side: bool,
    /// What stands beside the matrix.
    pub(crate) side: Side,
    /// The pinned pair.
    pub(crate) pinned: Option<Pair>,
    /// The pair under the pointer, kept until the pointer finds another.
    pub(crate) hovered: Option<Pair>,
    /// What the prompts are searched for.
    pub(crate) search: String,
    /// How the completions of a pair are written.
    pub(crate) text_view: TextView,
    /// What is chosen among the step's completions.
    pub(crate) rollouts: RolloutChoices,
    /// The completion that was chosen from a table.
    pub(crate) chosen: Option<Place>,
    to_choose: Option<(u64, Place)>,
    /// How often each problem was solved, as far as it has been read.
    pub(crate) problems: Arc<ProblemTable>,
    /// Whether somebody wants to see that.
    pub(crate) wants_problems: bool,
    /// What is shown as curves, and how.
    pub(crate) curve_settings: CurveSettings,
    /// What became of the last export.
    pub(crate) export: ExportResult,
    /// What lies over the panels.
    pub(crate) over: Over,
    /// Curves of the whole run.
    pub(crate) curves: Curves,
    /// Live settings that are being edited.
    pub(crate) drafts: Vec<Draft>,
    checks: ([usize; 4], Vec<Check>),
    /// The command palette.
    pub(crate) palette: Palette,
    /// Whether the run is being taken up again.
    pub(crate) is_resuming: bool,
    /// What the person asked the window for in this frame.
    pub(crate) wishes: Vec<Wish>,
    /// What the person asked the trainer for in this frame.
    pub(crate) commands: Vec<TrainerCommand>,
    told: Option<Told>,
    /// When a step arrived while not following, seconds of egui's clock.
    pub(crate) missed_step_at: Option<f64>,
    pending: Option<Pending>,
    geometry: Option<(GeometryKey, Arc<GroupGeometry>)>,
    differences: Option<((u64, usize, Pair), Arc<Differences>)>,
    rows: Option<((u64, usize, RolloutChoices), Arc<Rows>)>,
    scales: Option<(u64, ColorRange, Scales)>,
}

/// What colours stand for: those of each kind of cosine, and those of novelties.
type Scales = ([ColorScale; 3], ColorScale);

/// What all panels show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spot {
    cursor: u64,
    step: Option<u64>,
    group: usize,
    pair: Option<(Pair, Choice)>,
    compared: CosineKind,
}

type GeometryKey = (u64, usize, CosineKind, Order);

impl State {
    /// The state of a window that has just been opened.
    pub(crate) fn new(snapshot: RunSnapshot) -> Self {
        let mut state = Self {
            shown: None,
            cursor: None,
            absent: None,
            wanted: None,
            played_at: None,
            now: 0.0,
            drafts: Vec::new(),
            checks: Default::default(),
            palette: Palette::default(),
            wishes: Vec::new(),
            is_resuming: false,
            snapshot: snapshot.clone(),
            label: Label::default(),
            settings: Vec::new(),
            experiment_text: String::new(),
            group: 0,
            comparison: CosineKind::default(),
            order: Order::default(),
            color_range: ColorRange::default(),
            side_by_side: false,
            side: Side::default(),
            pinned: None,
            hovered: None,
            search: String::new(),
            text_view: TextView::default(),
            rollouts: RolloutChoices::default(),
            chosen: None,
            to_choose: None,
            problems: Arc::default(),
            wants_problems: false,
            curve_settings: CurveSettings::default(),
            export: ExportResult::default(),
            over: Over::default(),
            curves: Curves::default(),
            commands: Vec::new(),
            told: None,
            missed_step_at: None,
            pending: None,
            geometry: None,
            differences: None,
            rows: None,
            scales: None,
        };
        state.read_experiment(&snapshot.info);
        state.label = label::labels(&[&state]).remove(0);
        state.take_in(snapshot, 0.0);
        state
    }

    /// Takes in the newest snapshot at `now`, seconds of egui's clock.
    pub(crate) fn take_in(&mut self, snapshot: RunSnapshot, now: f64) {
        self.now = now;
        if snapshot.generation != self.snapshot.generation {
            // The run was taken back: its later steps are others now.
            (self.shown, self.absent, self.cursor) = (None, None, None);
            (self.geometry, self.differences, self.rows, self.scales) = (None, None, None, None);
            (self.curves, self.problems) = (Curves::default(), Arc::default());
        }
        if !Arc::ptr_eq(&snapshot.info, &self.snapshot.info) {
            self.read_experiment(&snapshot.info);
        }
        self.curves.extend(&snapshot.history, &snapshot.evaluations, &self.curve_settings);
        let before = self.newest_step();
        if let Some(pending) = self.pending {
            let done = match pending.command {
                TrainerCommand::Pause => snapshot.state == RunState::Paused,
                // It may have been paused again at once, by a disk that is full still.
                TrainerCommand::Resume => snapshot.state == RunState::Training || snapshot.waits > pending.waits,
                TrainerCommand::StepOnce => snapshot.step > pending.step,
                TrainerCommand::Checkpoint => snapshot.checkpoints.len() > pending.checkpoints,
                TrainerCommand::Set(setting, value) => snapshot.value_of(setting) == Some(value),
                TrainerCommand::Stop | TrainerCommand::WindowLost => false,
            };
            // Commands are carried out between steps: after two more steps something else must have happened.
            let overtaken = pending.command != TrainerCommand::Stop && snapshot.step > pending.step + 2;
            if done || overtaken || snapshot.state.is_over() {
                self.pending = None;
            }
        }
        self.snapshot = snapshot;
        self.settle_drafts();
        if self.newest_step() > before && !self.follows() {
            self.missed_step_at = Some(now);
        }
        if let Some(latest) = self.snapshot.latest.clone()
            && latest.step == self.cursor_step()
        {
            self.show(latest);
        }
        self.note_wanted();
    }

    fn read_experiment(&mut self, info: &RunInfo) {
        self.settings = label::settings(&info.began);
        self.experiment_text = info.experiment_ron().unwrap_or_else(|error| error.to_string());
    }

    fn show(&mut self, view: Arc<StepView>) {
        if self.shown_step() == Some(view.step) {
            return;
        }
        self.group = self.group.min(view.groups.len().saturating_sub(1));
        self.shown = Some(view);
        // Pairs belong to the step that was shown.
        self.hovered = None;
        self.pinned = None;
        self.chosen = None;
        if let Some((_, place)) = self.to_choose.take_if(|(step, _)| Some(*step) == self.shown.as_ref().map(|v| v.step))
        {
            self.choose_rollout(place);
        }
    }

    /// Takes what was read of `step`.
    pub(crate) fn take_step(&mut self, step: u64, data: StepData) {
        if step != self.cursor_step() {
            return;
        }
        match data {
            StepData::Recorded(view) => self.show(view),
            // Playing goes from record to record.
            StepData::Absent(Absence::NotRecorded { after: Some(after), .. })
                if self.is_playing() && after <= self.newest_step() =>
            {
                self.cursor = Some(after);
            }
            StepData::Absent(absence) => self.absent = Some((step, absence)),
        }
        self.note_wanted();
    }

    /// The newest finished step; 0 before the first.
    pub(crate) fn newest_step(&self) -> u64 {
        self.snapshot.latest.as_ref().map_or(0, |view| view.step).max(self.snapshot.step)
    }

    /// The step at the cursor, which every panel shows; 0 before the first.
    pub(crate) fn cursor_step(&self) -> u64 {
        self.cursor.unwrap_or(u64::MAX).min(self.newest_step())
    }

    /// The step at the cursor, where its rollouts are not at hand.
    pub(crate) fn wanted(&self) -> Option<u64> {
        let step = self.cursor_step();
        let is_there = self.shown_step() == Some(step) || self.absence().is_some();
        (step > 0 && !is_there).then_some(step)
    }

    fn note_wanted(&mut self) {
        self.wanted = match (self.wanted(), self.wanted) {
            // While the cursor moves on from step to step, the panels wait for one and then the next.
            (Some(step), Some((_, since))) => Some((step, since)),
            (step, _) => step.map(|step| (step, self.now)),
        };
    }

    /// The step that is being read, once that takes long enough to say so.
    pub(crate) fn loading(&self) -> Option<u64> {
        self.wanted.filter(|(_, since)| self.shown.is_none() || self.now - since >= LOADING_S).map(|(step, _)| step)
    }

    /// Why there is nothing to show of the step at the cursor.
    pub(crate) fn absence(&self) -> Option<&Absence> {
        self.absent.as_ref().filter(|(step, _)| *step == self.cursor_step()).map(|(_, absence)| absence)
    }

    /// The metrics of the step at the cursor.
    pub(crate) fn metrics(&self) -> Option<&MetricRow> {
        self.snapshot.history.at(self.cursor_step())
    }

    /// Whether the cursor follows the newest step.
    pub(crate) fn follows(&self) -> bool {
        self.cursor.is_none()
    }

    /// The step whose rollouts are shown.
    pub(crate) fn shown_step(&self) -> Option<u64> {
        self.shown.as_ref().map(|view| view.step)
    }

    /// Whether the run is read from its folder, so that there is no trainer to ask for anything.
    pub(crate) fn is_watched(&self) -> bool {
        self.snapshot.last_written.is_some()
    }

    /// Turns following the newest step on or off.
    pub(crate) fn set_follow(&mut self, follow: bool) {
        self.played_at = None;
        self.missed_step_at = None;
        if follow {
            self.cursor = None;
        } else {
            self.hold(self.newest_step());
        }
    }

    /// Moves the cursor to a step, where it stays.
    pub(crate) fn move_to(&mut self, step: u64) {
        self.played_at = None;
        self.hold(step);
    }

    /// Steps at which something happened beside training, in order: checkpoints, evaluations, warnings, pauses, changed settings.
    pub(crate) fn event_steps(&self) -> Vec<u64> {
        let snapshot = &self.snapshot;
        let marked = |event: &&Event| matches!(event.kind, EventKind::Edit(_) | EventKind::Paused);
        let mut steps: Vec<u64> = (snapshot.events.iter().filter(marked).map(|event| event.step))
            .chain(snapshot.checkpoints.iter().copied())
            .chain(snapshot.evaluations.iter().map(|evaluation| evaluation.step))
            .chain(snapshot.warnings.iter().map(|(step, _)| *step))
            .filter(|step| (1..=self.newest_step()).contains(step))
            .collect();
        steps.sort_unstable();
        steps.dedup();
        steps
    }

    /// Moves the cursor to the next event (+1) or the one before (-1), where there is one.
    pub(crate) fn jump_to_event(&mut self, by: i64) {
        let (steps, at) = (self.event_steps(), self.cursor_step());
        let found =
            if by > 0 { steps.iter().find(|&&step| step > at) } else { steps.iter().rev().find(|&&step| step < at) };
        if let Some(&step) = found {
            self.move_to(step);
        }
    }

    /// Moves the cursor by some steps.
    pub(crate) fn step_by(&mut self, by: i64) {
        self.move_to(self.cursor_step().saturating_add_signed(by));
    }

    fn hold(&mut self, step: u64) {
        let newest = self.newest_step();
        if newest == 0 {
            return;
        }
        if self.follows() {
            self.missed_step_at = None;
        }
        self.cursor = Some(step.clamp(1, newest));
    }

    /// Whether steps are being played.
    pub(crate) fn is_playing(&self) -> bool {
        self.played_at.is_some()
    }

    /// Starts playing steps from the cursor, or from the first where it is at the newest; stops where they are being played.
    pub(crate) fn toggle_playing(&mut self) {
        if self.is_playing() {
            self.played_at = None;
        } else if self.newest_step() > 1 {
            if self.cursor_step() == self.newest_step() {
                self.hold(1);
            }
            self.played_at = Some(self.now);
        }
    }

    /// Moves the cursor on where steps are being played and the next one is due. At the newest step it follows again.
    pub(crate) fn play(&mut self) {
        let is_due = self.played_at.is_some_and(|at| self.now - at >= PLAY_INTERVAL_S);
        if !is_due || self.wanted().is_some() {
            return;
        }
        if self.cursor_step() == self.newest_step() {
            self.set_follow(true);
        } else {
            self.hold(self.cursor_step() + 1);
            self.played_at = Some(self.now);
        }
    }

    /// Chooses a group by its place in the step.
    pub(crate) fn select_group(&mut self, group: usize) {
        let groups = self.shown.as_ref().map_or(0, |view| view.groups.len());
        if group < groups && group != self.group {
            self.group = group;
            self.hovered = None;
            // The pair goes, but a step that it held stays: the group was chosen from what is on screen.
            self.pinned = None;
        }
    }

    /// Chooses the next (+1) or previous (-1) group that the search lets through.
    pub(crate) fn walk_groups(&mut self, by: isize) {
        let Some(view) = self.shown.clone() else { return };
        let found: Vec<usize> = (0..view.groups.len()).filter(|&group| self.finds(&view.groups[group])).collect();
        let place = found.iter().position(|&group| group == self.group);
        let next = match place {
            Some(place) => place.saturating_add_signed(by),
            None => 0,
        };
        if let Some(&group) = found.get(next) {
            self.select_group(group);
        }
    }

    /// Whether the search lets `group` through.
    pub(crate) fn finds(&self, group: &GroupView) -> bool {
        let wanted = self.search.trim().to_lowercase();
        wanted.is_empty()
            || group.prompt.to_lowercase().contains(&wanted)
            || group.problem_id.to_lowercase().contains(&wanted)
    }

    /// The geometry of the chosen group, computed when step, group or order have changed.
    pub(crate) fn geometry(&mut self) -> Option<Arc<GroupGeometry>> {
        let view = self.shown.clone()?;
        let group = view.groups.get(self.group)?;
        let key = (view.step, self.group, self.compared(), self.order);
        match &self.geometry {
            Some((cached, geometry)) if *cached == key => Some(Arc::clone(geometry)),
            _ => {
                let geometry = Arc::new(GroupGeometry::new(group, self.compared(), self.order));
                self.geometry = Some((key, Arc::clone(&geometry)));
                Some(geometry)
            }
        }
    }

    /// What the completions of a pair of the chosen group have that the other has not.
    pub(crate) fn differences(&mut self, pair: Pair) -> Arc<Differences> {
        let Some(view) = self.shown.clone() else { return Arc::default() };
        let key = (view.step, self.group, pair);
        match &self.differences {
            Some((cached, differences)) if *cached == key => Arc::clone(differences),
            _ => {
                let text = |index: usize| {
                    let rollout = view.groups.get(self.group).and_then(|group| group.rollouts.get(index));
                    rollout.map_or("", |rollout| rollout.completion.as_str())
                };
                let differences = Arc::new(tokens::differences(text(pair.i), text(pair.j)));
                self.differences = Some((key, Arc::clone(&differences)));
                differences
            }
        }
    }

    /// The completions that are listed, computed when step, group or choices have changed.
    pub(crate) fn rows(&mut self) -> Arc<Rows> {
        let Some(view) = self.shown.clone() else { return Arc::default() };
        match &self.rows {
            Some(((step, group, choices), rows))
                if *step == view.step && *group == self.group && *choices == self.rollouts =>
            {
                Arc::clone(rows)
            }
            _ => {
                let rows = Arc::new(Rows::new(&view, self.group, &self.rollouts));
                self.rows = Some(((view.step, self.group, self.rollouts.clone()), Arc::clone(&rows)));
                rows
            }
        }
    }

    /// Chooses a completion, and its group with it.
    pub(crate) fn choose_rollout(&mut self, place: Place) {
        self.select_group(place.group);
        self.chosen = Some(place);
    }

    /// Chooses a completion of a step as soon as that is shown.
    pub(crate) fn choose_when_shown(&mut self, step: u64, place: Place) {
        if self.shown_step() == Some(step) {
            self.choose_rollout(place);
        } else {
            self.to_choose = Some((step, place));
        }
    }

    /// The completion that is shown in full: the chosen one while its group is, otherwise the first of the shown pair.
    pub(crate) fn shown_rollout(&mut self) -> Option<Place> {
        let group = self.group;
        if let Some(chosen) = self.chosen.filter(|chosen| chosen.group == group) {
            return Some(chosen);
        }
        let geometry = self.geometry()?;
        let index = self.pair(&geometry).map_or(0, |(pair, _)| pair.i);
        (!geometry.order.is_empty()).then_some(Place { group, index })
    }

    /// The newest proxy fidelity that had been measured at the shown step.
    pub(crate) fn fidelity(&self) -> Option<FidelityRecord> {
        let step = self.shown_step()?;
        self.snapshot.fidelity.iter().rev().find(|record| record.step <= step).cloned()
    }

    /// Whether the shown step has cosines of that kind in any group.
    pub(crate) fn has(&self, compared: CosineKind) -> bool {
        self.shown.as_ref().is_some_and(|view| view.groups.iter().any(|group| !group.cosines[compared].is_empty()))
    }

    /// What the shown cosines compare: what the person chose, or directions where the step does not have that.
    pub(crate) fn compared(&self) -> CosineKind {
        if self.has(self.comparison) { self.comparison } else { CosineKind::Feature }
    }

    fn scales(&mut self) -> Scales {
        let Some(view) = self.shown.clone() else {
            return ([ColorScale::around_zero(1.0); 3], ColorScale { low: 0.0, high: 1.0 });
        };
        match self.scales {
            Some((step, choice, scales)) if (step, choice) == (view.step, self.color_range) => scales,
            _ => {
                let kinds = CosineKind::ALL;
                let of = |compared| geometry::cosine_scale(&view, compared, self.color_range);
                let scales = (kinds.map(of), geometry::novelty_scale(&view, self.color_range));
                self.scales = Some((view.step, self.color_range, scales));
                scales
            }
        }
    }

    /// What the colours of cosines of that kind stand for.
    pub(crate) fn cosine_scale(&mut self, compared: CosineKind) -> ColorScale {
        self.scales().0[compared as usize]
    }

    /// What the colours of novelties stand for.
    pub(crate) fn novelty_scale(&mut self) -> ColorScale {
        self.scales().1
    }

    /// What all panels show: step, group, and pair. It changes for all of them at once.
    pub(crate) fn spot(&mut self) -> Spot {
        let pair = self.geometry().and_then(|geometry| self.pair(&geometry));
        Spot { cursor: self.cursor_step(), step: self.shown_step(), group: self.group, pair, compared: self.compared() }
    }

    /// The pair to show and why.
    pub(crate) fn pair(&self, geometry: &GroupGeometry) -> Option<(Pair, Choice)> {
        let m = geometry.order.len();
        let inside = |pair: &Pair| pair.i < m && pair.j < m;
        let pinned = self.pinned.filter(inside).map(|pair| (pair, Choice::Pinned));
        let hovered = self.hovered.filter(inside).map(|pair| (pair, Choice::Hovered));
        pinned.or(hovered).or(geometry.lowest.map(|pair| (pair, Choice::Lowest)))
    }

    /// Pins a pair. The shown step stays, so that the texts can be read while the run goes on.
    pub(crate) fn pin(&mut self, pair: Pair) {
        if let Some(step) = self.shown_step() {
            self.move_to(step);
            self.pinned = Some(pair);
        }
    }

    /// Lets go of the pinned pair. The step stays.
    pub(crate) fn unpin(&mut self) {
        self.pinned = None;
    }

    /// Moves the pinned pair by rows and columns of the displayed matrix; pins the shown pair first where none is.
    pub(crate) fn walk_matrix(&mut self, rows: isize, columns: isize) {
        let Some(geometry) = self.geometry() else { return };
        let Some((pair, _)) = self.pair(&geometry) else { return };
        let last = geometry.order.len().saturating_sub(1);
        let walk = |index: usize, by: isize| {
            let place = geometry.position(index).unwrap_or(0).saturating_add_signed(by).min(last);
            geometry.order.get(place).copied().unwrap_or(index)
        };
        self.pin(Pair { i: walk(pair.i, rows), j: walk(pair.j, columns) });
    }

    /// What is chosen, for another run.
    pub(crate) fn choices(&self) -> Choices {
        Choices {
            comparison: self.comparison,
            order: self.order,
            color_range: self.color_range,
            search: self.search.clone(),
            curve_settings: self.curve_settings.clone(),
            text_view: self.text_view,
            rollouts: RolloutChoices { brush: None, ..self.rollouts.clone() },
        }
    }

    /// Takes over what was chosen.
    pub(crate) fn choose(&mut self, choices: Choices) {
        let Choices { comparison, order, color_range, search, curve_settings, text_view, rollouts } = choices;
        self.comparison = comparison;
        self.order = order;
        self.color_range = color_range;
        self.search = search;
        self.curve_settings = curve_settings;
        self.text_view = text_view;
        self.rollouts = rollouts;
    }

    /// The value of a setting now: as last changed, or as the experiment has it; `None` where it cannot be changed.
    pub(crate) fn live(&self, setting: LiveSetting) -> Option<f64> {
        let written = setting.of(&self.snapshot.info.began)?;
        Some(self.snapshot.value_of(setting).unwrap_or(written))
    }

    /// Opens the list of keys, or closes it.
    pub(crate) fn toggle_keys(&mut self) {
        self.over = if self.over == Over::Keys { Over::Nothing } else { Over::Keys };
    }

    /// Asks the trainer for something.
    pub(crate) fn ask(&mut self, command: TrainerCommand) {
        self.commands.push(command);
    }

    /// Notes whether the trainer took `command`.
    pub(crate) fn sent(&mut self, command: TrainerCommand, taken: bool) {
        if taken {
            self.told.take_if(|told| told.is_problem);
            // Stop is final: what comes after it changes nothing.
            if !self.is_pending(TrainerCommand::Stop) {
                let checkpoints = self.snapshot.checkpoints.len();
                let RunSnapshot { step, waits, .. } = self.snapshot;
                self.pending = Some(Pending { command, step, checkpoints, waits });
            }
        } else {
            if let TrainerCommand::Set(setting, _) = command {
                self.drafts.iter_mut().filter(|draft| draft.setting == setting).for_each(|draft| draft.sent = None);
            }
            self.tell_problem(format!(
                "The trainer did not take the command to {}: it has ended or is busy. Try again.",
                verb(command)
            ));
        }
    }

    /// Says something for a while.
    pub(crate) fn tell(&mut self, text: String) {
        self.told = Some(Told { text, is_problem: false, until: self.now + TOLD_S });
    }

    /// Says for a while that something did not go as it was asked for.
    pub(crate) fn tell_problem(&mut self, text: String) {
        self.told = Some(Told { text, is_problem: true, until: self.now + PROBLEM_S });
    }

    /// What is being said, and for how many seconds still.
    pub(crate) fn told(&self) -> Option<(&Told, f64)> {
        self.told.as_ref().map(|told| (told, told.until - self.now)).filter(|(_, rest)| *rest > 0.0)
    }

    /// Takes in what became of the last export; `now` is of egui's clock, seconds.
    pub(crate) fn listen(&mut self, now: f64) {
        self.now = now;
        let exported = self.export.lock().unwrap_or_else(PoisonError::into_inner).take();
        match exported {
            Some(Ok(text)) => self.tell(text),
            Some(Err(text)) => self.tell_problem(text),
            None => {}
        }
    }

    /// What there is to look after at the newest step, wherever the cursor is.
    pub(crate) fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.checks.1.iter().filter_map(|check| check.finding.as_ref())
    }

    /// Everything that is watched, as it is at the newest step.
    pub(crate) fn checks(&self) -> &[Check] {
        &self.checks.1
    }

    /// Judges the run's health where something has been added to what it shows in.
    pub(crate) fn judge(&mut self) {
        let run = &self.snapshot;
        let key = [run.history.len(), run.evaluations.len(), run.fidelity.len(), run.events.len()];
        if self.checks.0 != key {
            let step = run.history.last().map_or(0, |row| row.step);
            self.checks = (key, health::checks(run, step));
        }
    }

    /// Seconds since a run of another process that is not over was written to; `None` for every other run.
    pub(crate) fn unwritten_s(&self) -> Option<f64> {
        let written = self.snapshot.last_written.filter(|_| !self.snapshot.state.is_over())?;
        Some(written.elapsed().unwrap_or_default().as_secs_f64())
    }

    /// Whether such a run has not been heard of for so long that it may have been killed.
    pub(crate) fn is_silent(&self) -> bool {
        self.unwritten_s().is_some_and(|age| age > silence_s(self.snapshot.history.last()))
    }

    /// How the run can be gone on with, where it has ended with more to do.
    pub(crate) fn resumption(&self) -> Option<Resumption> {
        let run = &self.snapshot;
        let is_finished = run.state == RunState::Finished;
        resumption(
            run.state.is_over() || self.is_silent(),
            is_finished,
            run.checkpoints.last().copied(),
            run.info.last_step(),
        )
    }

    /// What was typed for `setting`, where that does not hold yet.
    pub(crate) fn draft(&self, setting: LiveSetting) -> Option<&Draft> {
        self.drafts.iter().find(|draft| draft.setting == setting)
    }

    /// Keeps what is being typed for `setting`.
    pub(crate) fn type_draft(&mut self, setting: LiveSetting, text: String) {
        self.drafts.retain(|draft| draft.setting != setting);
        self.drafts.push(Draft { setting, text, problem: None, sent: None });
    }

    /// Forgets what was typed for `setting`.
    pub(crate) fn drop_draft(&mut self, setting: LiveSetting) {
        self.drafts.retain(|draft| draft.setting != setting);
    }

    /// Sends what was typed for `setting`, or says why that cannot be.
    pub(crate) fn send_draft(&mut self, setting: LiveSetting) {
        let Some(place) = self.drafts.iter().position(|draft| draft.setting == setting) else { return };
        match self.checked(setting, &self.drafts[place].text) {
            Ok(value) if self.live(setting).is_some_and(|now| now.to_bits() == value.to_bits()) => {
                self.drafts.remove(place);
            }
            Ok(value) => {
                self.drafts[place].problem = None;
                self.drafts[place].sent = Some((value, self.snapshot.refusals.len()));
                self.ask(TrainerCommand::Set(setting, value));
            }
            Err(problem) => self.drafts[place].problem = Some(problem),
        }
    }

    /// The value that was typed, checked as the trainer will.
    fn checked(&self, setting: LiveSetting, text: &str) -> Result<f64, String> {
        let text = text.trim();
        let value = text.parse::<f64>().ok().filter(|value| value.is_finite());
        let value = value.ok_or_else(|| format!("`{text}` is no number; write one such as 0.5 or 1e-5"))?;
        let changed = experiment::set(self.snapshot.info.experiment.as_ref(), &format!("{}={value:?}", setting.path()));
        changed.and_then(|changed| changed.validate()).map_err(|error| error.to_string())?;
        Ok(value)
    }

    /// Lets go of what holds by now, and says why something does not.
    fn settle_drafts(&mut self) {
        let run = &self.snapshot;
        self.drafts.retain(|draft| draft.sent.is_none_or(|(value, _)| run.value_of(draft.setting) != Some(value)));
        for draft in &mut self.drafts {
            let Some((_, known)) = draft.sent else { continue };
            let refused = run.refusals.iter().skip(known).find(|refusal| refusal.setting == draft.setting);
            if let Some(refusal) = refused {
                (draft.problem, draft.sent) = (Some(refusal.reason.clone()), None);
            }
        }
    }

    /// Whether a new value of `setting` was sent and does not hold yet.
    pub(crate) fn is_pending_setting(&self, setting: LiveSetting) -> bool {
        self.pending.is_some_and(|pending| matches!(pending.command, TrainerCommand::Set(of, _) if of == setting))
    }

    /// Whether `command` was sent and has not shown its effect yet.
    pub(crate) fn is_pending(&self, command: TrainerCommand) -> bool {
        self.pending.is_some_and(|pending| pending.command == command)
    }

    /// Whether the trainer can be asked for `command` now.
    pub(crate) fn allows(&self, command: TrainerCommand) -> bool {
        let run = &self.snapshot.state;
        if self.is_watched() || run.is_over() || self.is_pending(TrainerCommand::Stop) || self.is_pending(command) {
            return false;
        }
        match command {
            TrainerCommand::Pause => *run == RunState::Training,
            TrainerCommand::Resume | TrainerCommand::StepOnce => *run == RunState::Paused,
            TrainerCommand::Checkpoint => *run != RunState::Starting,
            TrainerCommand::Set(..) | TrainerCommand::Stop | TrainerCommand::WindowLost => true,
        }
    }

    /// Pauses a training run and resumes a paused one.
    pub(crate) fn toggle_pause(&mut self) {
        let wanted = [TrainerCommand::Pause, TrainerCommand::Resume];
        if let Some(command) = wanted.into_iter().find(|&command| self.allows(command)) {
            self.ask(command);
        }
    }
}

/// How a run of `last` steps can be gone on with whose newest checkpoint is `checkpoint`.
pub(crate) fn resumption(has_ended: bool, is_finished: bool, checkpoint: Option<u64>, last: u64) -> Option<Resumption> {
    match checkpoint {
        _ if !has_ended => None,
        Some(step) => goes_on(step, last, is_finished).then_some(Resumption::From(step)),
        None => (!is_finished).then_some(Resumption::Never),
    }
}

/// For how many seconds a run whose newest step is `last` writes nothing before one has to ask whether it is still there.
pub(crate) fn silence_s(last: Option<&MetricRow>) -> f64 {
    let step = last.and_then(|row| row.get(&metrics::TIME_STEP_S)).unwrap_or(0.0);
    SILENT_S.max(SILENT_STEPS * step)
}

fn verb(command: TrainerCommand) -> &'static str {
    match command {
        TrainerCommand::Pause => "pause",
        TrainerCommand::Resume => "resume",
        TrainerCommand::StepOnce => "run one step",
        TrainerCommand::Checkpoint => "write a checkpoint",
        TrainerCommand::Set(..) => "change a setting",
        TrainerCommand::Stop => "stop",
        TrainerCommand::WindowLost => "go on without a window",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dashboard::testing;

    #[test]
    fn a_pin_holds_the_step_and_letting_go_of_it_leaves_the_step() {
        let mut state = State::new(testing::snapshot(5, 3, 4));
        assert_eq!((state.shown_step(), state.follows()), (Some(5), true));
        state.pin(Pair { i: 0, j: 2 });
        state.take_in(testing::snapshot(6, 3, 4), 1.0);
        assert_eq!((state.shown_step(), state.pinned), (Some(5), Some(Pair { i: 0, j: 2 })));
        assert_eq!(state.missed_step_at, Some(1.0));
        state.select_group(2);
        assert_eq!((state.shown_step(), state.pinned), (Some(5), None));
        state.unpin();
        assert_eq!(state.cursor_step(), 5);
        state.set_follow(true);
        state.take_in(testing::snapshot(6, 3, 4), 1.1);
        assert_eq!((state.shown_step(), state.missed_step_at), (Some(6), None));
    }

    #[test]
    fn the_cursor_stays_between_the_first_and_the_newest_step() {
        let mut state = State::new(testing::snapshot(5, 1, 2));
        state.step_by(-9);
        assert_eq!(state.cursor_step(), 1);
        state.step_by(99);
        assert_eq!((state.cursor_step(), state.follows()), (5, false));
        let mut empty = State::new(testing::snapshot(0, 0, 0));
        empty.move_to(3);
        empty.toggle_playing();
        assert_eq!((empty.cursor_step(), empty.wanted(), empty.follows()), (0, None, true));
    }

    #[test]
    fn a_step_that_is_not_at_hand_is_wanted_and_the_old_one_stays_until_it_comes() {
        let mut state = State::new(testing::snapshot(5, 2, 2));
        state.move_to(3);
        state.take_in(testing::snapshot(5, 2, 2), 1.0);
        assert_eq!((state.wanted(), state.shown_step(), state.loading()), (Some(3), Some(5), None));
        state.take_in(testing::snapshot(5, 2, 2), 1.2);
        assert_eq!(state.loading(), Some(3));
        state.take_step(4, StepData::Recorded(testing::step(4, 2, 2)));
        assert_eq!(state.shown_step(), Some(5), "nobody wants step 4 any more");
        state.take_step(3, StepData::Recorded(testing::step(3, 2, 2)));
        assert_eq!((state.wanted(), state.shown_step(), state.loading()), (None, Some(3), None));
        state.move_to(2);
        let absence = Absence::NotRecorded { before: None, after: Some(3) };
        state.take_step(2, StepData::Absent(absence.clone()));
        assert_eq!((state.wanted(), state.absence()), (None, Some(&absence)));
        state.move_to(3);
        assert_eq!((state.wanted(), state.absence()), (None, None));
    }

    #[test]
    fn playing_goes_from_record_to_record_and_follows_at_the_end() {
        let mut state = State::new(testing::snapshot(4, 1, 2));
        state.toggle_playing();
        assert_eq!(state.cursor_step(), 1);
        let mut seen = Vec::new();
        for frame in 0..20 {
            state.take_in(testing::snapshot(4, 1, 2), 0.06 * f64::from(frame));
            state.play();
            while let Some(step) = state.wanted() {
                let absent = StepData::Absent(Absence::NotRecorded { before: Some(1), after: Some(3) });
                let data = if step == 2 { absent } else { StepData::Recorded(testing::step(step, 1, 2)) };
                state.take_step(step, data);
            }
            if seen.last() != Some(&state.cursor_step()) {
                seen.push(state.cursor_step());
            }
        }
        assert_eq!(seen, [1, 3, 4]);
        assert!(state.follows() && !state.is_playing());
    }

    #[test]
    fn arrows_walk_the_displayed_order_and_stop_at_the_edge() {
        let mut state = State::new(testing::snapshot(1, 1, 4));
        state.order = Order::Reward;
        let order = state.geometry().unwrap().order.clone();
        state.pin(Pair { i: order[0], j: order[0] });
        state.walk_matrix(0, 1);
        assert_eq!(state.pinned, Some(Pair { i: order[0], j: order[1] }));
        state.walk_matrix(-1, 9);
        assert_eq!(state.pinned, Some(Pair { i: order[0], j: order[3] }));
    }

    #[test]
    fn groups_are_walked_within_the_search() {
        let mut state = State::new(testing::snapshot(1, 4, 4));
        let wanted = state.shown.as_ref().unwrap().groups[2].prompt.clone();
        state.search = wanted.to_uppercase();
        state.walk_groups(1);
        assert_eq!(state.group, 2);
        state.walk_groups(1);
        assert_eq!(state.group, 2);
    }

    #[test]
    fn fewer_groups_in_the_next_step_keep_a_valid_choice() {
        let mut state = State::new(testing::snapshot(1, 4, 4));
        state.select_group(3);
        state.take_in(testing::snapshot(2, 2, 4), 0.0);
        assert_eq!(state.group, 1);
    }
}
