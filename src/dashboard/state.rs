//! What the window shows: the newest snapshot, the step being shown, and what the person has chosen. No drawing here.

use super::derive::{self, ColorRange, GroupGeometry, Order, Pair};
use super::series::Curves;
use crate::experiment::FidelityRecord;
use crate::trainer::{Compared, GroupView, RunSnapshot, RunState, StepView, TrainerCommand};
use std::sync::Arc;

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

/// Which step is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Follow {
    /// Always the newest.
    Live,
    /// The one that the person held.
    Held,
    /// The one that was shown when a pair was pinned; letting go of the pair follows again.
    HeldByPin,
}

/// A command that was sent and has not shown its effect yet.
#[derive(Clone, Copy, Debug)]
struct Pending {
    command: TrainerCommand,
    /// The number of finished steps when it was sent.
    step: u64,
    checkpoints: usize,
}

/// Everything that the panels draw from.
#[derive(Debug)]
pub(crate) struct State {
    /// The newest snapshot.
    pub(crate) snapshot: RunSnapshot,
    /// The step that every panel shows; `None` before the first.
    pub(crate) shown: Option<Arc<StepView>>,
    /// Whether the shown step follows the newest.
    pub(crate) follow: Follow,
    /// The chosen group, by its place in the step.
    pub(crate) group: usize,
    /// What the shown cosines compare, where the step has such cosines; see [`State::compared`].
    pub(crate) comparison: Compared,
    /// The order of rows and columns.
    pub(crate) order: Order,
    /// What the colour map's ends stand for.
    pub(crate) color_range: ColorRange,
    /// The pinned pair.
    pub(crate) pinned: Option<Pair>,
    /// The pair under the pointer, kept until the pointer finds another.
    pub(crate) hovered: Option<Pair>,
    /// What the prompts are searched for.
    pub(crate) search: String,
    /// Whether curves are drawn smoothed.
    pub(crate) smooth: bool,
    /// Whether the list of keys is open.
    pub(crate) keys_open: bool,
    /// Curves of the whole run.
    pub(crate) curves: Curves,
    /// What the person asked the trainer for in this frame.
    pub(crate) commands: Vec<TrainerCommand>,
    /// Why the last command did not reach the trainer.
    pub(crate) refused: Option<String>,
    /// When a step arrived while not following, seconds of egui's clock.
    pub(crate) missed_step_at: Option<f64>,
    pending: Option<Pending>,
    geometry: Option<(GeometryKey, Arc<GroupGeometry>)>,
    range: Option<(u64, Compared, ColorRange, f32)>,
}

type GeometryKey = (u64, usize, Compared, Order);

impl State {
    /// The state of a window that has just been opened.
    pub(crate) fn new(snapshot: RunSnapshot) -> Self {
        let mut state = Self {
            shown: None,
            snapshot: snapshot.clone(),
            follow: Follow::Live,
            group: 0,
            comparison: Compared::default(),
            order: Order::default(),
            color_range: ColorRange::default(),
            pinned: None,
            hovered: None,
            search: String::new(),
            smooth: true,
            keys_open: false,
            curves: Curves::default(),
            commands: Vec::new(),
            refused: None,
            missed_step_at: None,
            pending: None,
            geometry: None,
            range: None,
        };
        state.take_in(snapshot, 0.0);
        state
    }

    /// Takes in the newest snapshot at `now`, seconds of egui's clock.
    pub(crate) fn take_in(&mut self, snapshot: RunSnapshot, now: f64) {
        self.curves.extend(&snapshot.history, &snapshot.evaluations);
        let newest = snapshot.latest.as_ref().map(|view| view.step);
        if newest != self.snapshot.latest.as_ref().map(|view| view.step) && !self.follows() {
            self.missed_step_at = Some(now);
        }
        if let Some(pending) = self.pending {
            let done = match pending.command {
                TrainerCommand::Pause => snapshot.state == RunState::Paused,
                TrainerCommand::Resume => snapshot.state == RunState::Training,
                TrainerCommand::StepOnce => snapshot.step > pending.step,
                TrainerCommand::Checkpoint => snapshot.checkpoints.len() > pending.checkpoints,
                TrainerCommand::Stop => false,
            };
            // Commands are carried out between steps: after two more steps something else must have happened.
            let overtaken = pending.command != TrainerCommand::Stop && snapshot.step > pending.step + 2;
            if done || overtaken || snapshot.state.is_over() {
                self.pending = None;
            }
        }
        self.snapshot = snapshot;
        if self.follows() || self.shown.is_none() {
            self.show_newest();
        }
    }

    fn show_newest(&mut self) {
        let newest = self.snapshot.latest.as_ref();
        if newest.map(|view| view.step) == self.shown.as_ref().map(|view| view.step) {
            return;
        }
        self.shown = newest.map(Arc::clone);
        self.hovered = None;
        let groups = self.shown.as_ref().map_or(0, |view| view.groups.len());
        self.group = self.group.min(groups.saturating_sub(1));
    }

    /// Whether the shown step follows the newest.
    pub(crate) fn follows(&self) -> bool {
        self.follow == Follow::Live
    }

    /// The step being shown.
    pub(crate) fn shown_step(&self) -> Option<u64> {
        self.shown.as_ref().map(|view| view.step)
    }

    /// Whether the shown step is the newest one.
    pub(crate) fn shows_newest(&self) -> bool {
        self.shown_step() == self.snapshot.latest.as_ref().map(|view| view.step)
    }

    /// Turns following the newest step on or off.
    pub(crate) fn set_follow(&mut self, follow: bool) {
        self.follow = if follow { Follow::Live } else { Follow::Held };
        self.missed_step_at = None;
        if follow {
            // The pinned pair belongs to the step that was shown.
            if !self.shows_newest() {
                self.pinned = None;
            }
            self.show_newest();
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

    /// The newest proxy fidelity that had been measured at the shown step.
    pub(crate) fn fidelity(&self) -> Option<FidelityRecord> {
        let step = self.shown_step()?;
        self.snapshot.fidelity.iter().rev().find(|record| record.step <= step).cloned()
    }

    /// Whether the shown step has cosines of that kind in any group.
    pub(crate) fn has(&self, compared: Compared) -> bool {
        self.shown.as_ref().is_some_and(|view| view.groups.iter().any(|group| !group.cosines(compared).is_empty()))
    }

    /// What the shown cosines compare: what the person chose, or directions where the step does not have that.
    pub(crate) fn compared(&self) -> Compared {
        if self.has(self.comparison) { self.comparison } else { Compared::Directions }
    }

    /// What the ends of the colour map stand for.
    pub(crate) fn range(&mut self) -> f32 {
        let Some(view) = self.shown.clone() else { return 1.0 };
        let compared = self.compared();
        match self.range {
            Some((step, of, choice, range)) if (step, of, choice) == (view.step, compared, self.color_range) => range,
            _ => {
                let range = derive::color_range(&view, compared, self.color_range);
                self.range = Some((view.step, compared, self.color_range, range));
                range
            }
        }
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
        self.pinned = Some(pair);
        if self.follows() {
            self.follow = Follow::HeldByPin;
            self.missed_step_at = None;
        }
    }

    /// Lets go of the pinned pair, and follows again if the pin had stopped that.
    pub(crate) fn unpin(&mut self) {
        self.pinned = None;
        if self.follow == Follow::HeldByPin {
            self.set_follow(true);
        }
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

    /// Asks the trainer for something.
    pub(crate) fn ask(&mut self, command: TrainerCommand) {
        self.commands.push(command);
    }

    /// Notes whether the trainer took `command`.
    pub(crate) fn sent(&mut self, command: TrainerCommand, taken: bool) {
        if taken {
            self.refused = None;
            // Stop is final: what comes after it changes nothing.
            if !self.is_pending(TrainerCommand::Stop) {
                let checkpoints = self.snapshot.checkpoints.len();
                self.pending = Some(Pending { command, step: self.snapshot.step, checkpoints });
            }
        } else {
            self.refused = Some(format!(
                "The trainer did not take the command to {}: it has ended or is busy. Try again.",
                verb(command)
            ));
        }
    }

    /// Whether `command` was sent and has not shown its effect yet.
    pub(crate) fn is_pending(&self, command: TrainerCommand) -> bool {
        self.pending.is_some_and(|pending| pending.command == command)
    }

    /// Pauses a training run and resumes a paused one.
    pub(crate) fn toggle_pause(&mut self) {
        match self.snapshot.state {
            RunState::Training if !self.is_pending(TrainerCommand::Pause) => self.ask(TrainerCommand::Pause),
            RunState::Paused if !self.is_pending(TrainerCommand::Resume) => self.ask(TrainerCommand::Resume),
            _ => {}
        }
    }
}

fn verb(command: TrainerCommand) -> &'static str {
    match command {
        TrainerCommand::Pause => "pause",
        TrainerCommand::Resume => "resume",
        TrainerCommand::StepOnce => "run one step",
        TrainerCommand::Checkpoint => "write a checkpoint",
        TrainerCommand::Stop => "stop",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dashboard::testing;

    #[test]
    fn a_pin_holds_the_step_and_letting_go_follows_again() {
        let mut state = State::new(testing::snapshot(5, 3, 4));
        assert_eq!(state.shown_step(), Some(5));
        state.pin(Pair { i: 0, j: 2 });
        state.take_in(testing::snapshot(6, 3, 4), 1.0);
        assert_eq!(state.shown_step(), Some(5));
        assert_eq!(state.missed_step_at, Some(1.0));
        state.unpin();
        assert_eq!(state.shown_step(), Some(6));
        assert!(state.follows());
    }

    #[test]
    fn another_group_of_a_held_step_is_of_that_step() {
        let mut state = State::new(testing::snapshot(5, 3, 4));
        state.pin(Pair { i: 0, j: 2 });
        state.take_in(testing::snapshot(6, 3, 4), 1.0);
        state.select_group(2);
        assert_eq!((state.pinned, state.shown_step()), (None, Some(5)));
        state.unpin();
        assert_eq!(state.shown_step(), Some(6));
    }

    #[test]
    fn a_step_that_a_person_froze_stays_when_a_pin_is_let_go() {
        let mut state = State::new(testing::snapshot(5, 3, 4));
        state.set_follow(false);
        state.pin(Pair { i: 0, j: 1 });
        state.unpin();
        state.take_in(testing::snapshot(6, 3, 4), 1.0);
        assert_eq!(state.shown_step(), Some(5));
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
