//! What the window shows of one run: its newest snapshot, the step at the cursor, and what the
//! person has chosen.

use crate::dashboard::state::choices::Choices;
use crate::dashboard::state::cursor::Cursor;
use crate::dashboard::state::drafts::Drafts;
use crate::dashboard::state::health::Finding;
use crate::dashboard::state::label::{self, Label, Named};
use crate::dashboard::state::loader::StepData;
use crate::dashboard::state::memo::Memo;
use crate::dashboard::state::messages::Messages;
use crate::dashboard::state::notes::Notes;
use crate::dashboard::state::overlay::Overlay;
use crate::dashboard::state::pending::Pending;
use crate::dashboard::state::selection::Selection;
use crate::metrics::{Metric, MetricRow};
use crate::run::{RunInfo, RunSnapshot, StepView};
use std::sync::Arc;

/// Everything that the panels draw from.
#[derive(Debug)]
pub(crate) struct State {
    /// The newest snapshot.
    pub(crate) snapshot: RunSnapshot,
    /// What the run is called beside the other open ones.
    pub(crate) label: Label,
    /// The settings of its experiment by their paths, without name and seed; empty where it cannot
    /// be read.
    pub(crate) settings: Vec<(String, String)>,
    /// The experiment as RON, or why it cannot be written.
    pub(crate) experiment_text: String,
    /// Which step is shown.
    pub(crate) cursor: Cursor,
    /// What is chosen of that step.
    pub(crate) selection: Selection,
    /// What is chosen for all runs.
    pub(crate) choices: Choices,
    /// What was asked for.
    pub(crate) pending: Pending,
    /// Live settings that are being edited.
    pub(crate) drafts: Drafts,
    /// What is being said.
    pub(crate) messages: Messages,
    /// What lies over the panels.
    pub(crate) overlay: Overlay,
    /// What is computed from the run for several panels.
    pub(crate) memo: Memo,
    /// What panels keep about the run.
    pub(crate) notes: Notes,
}

impl State {
    /// The state of a run that has just been opened.
    pub(crate) fn new(snapshot: RunSnapshot) -> Self {
        let mut state = Self {
            snapshot: snapshot.clone(),
            label: Label::default(),
            settings: Vec::new(),
            experiment_text: String::new(),
            cursor: Cursor::default(),
            selection: Selection::default(),
            choices: Choices::default(),
            pending: Pending::default(),
            drafts: Drafts::default(),
            messages: Messages::default(),
            overlay: Overlay::default(),
            memo: Memo::default(),
            notes: Notes::default(),
        };
        state.read_experiment(&snapshot.info);
        state.label = label::labels(&[state.named()]).remove(0);
        state.take_in(snapshot, 0.0);
        state
    }

    /// Takes in the newest snapshot at `now`, seconds of egui's clock.
    pub(crate) fn take_in(&mut self, snapshot: RunSnapshot, now: f64) {
        if snapshot.generation != self.snapshot.generation {
            self.cursor.forget();
            self.memo.forget();
        }
        if !Arc::ptr_eq(&snapshot.info, &self.snapshot.info) {
            self.read_experiment(&snapshot.info);
        }
        self.snapshot = snapshot;
        let run = &self.snapshot;
        self.messages.note_time(now);
        self.memo.curves.extend(&run.history, &run.evaluations, self.choices.curves.span);
        self.pending.settle(run);
        self.drafts.settle(run);
        self.cursor.advance(run.latest.as_ref().map_or(0, |view| view.step).max(run.step), now);
        if let Some(latest) = self.snapshot.latest.clone()
            && latest.step == self.cursor.at()
        {
            self.show(&latest);
        }
        self.cursor.note_wanted();
    }

    fn read_experiment(&mut self, info: &RunInfo) {
        self.settings = label::settings(&info.began);
        self.experiment_text = info.experiment_ron().unwrap_or_else(|error| error.to_string());
    }

    fn show(&mut self, view: &Arc<StepView>) {
        if self.cursor.show(view) {
            self.selection.begin(view);
        }
    }

    /// Takes what was read of `step`.
    pub(crate) fn take_step(&mut self, step: u64, data: StepData) {
        if let Some(view) = self.cursor.take(step, data) {
            self.show(&view);
        }
        self.cursor.note_wanted();
    }

    /// The run as it is told apart from others.
    pub(crate) fn named(&self) -> Named<'_> {
        Named { info: &self.snapshot.info, settings: &self.settings }
    }

    /// The metrics of the step at the cursor.
    pub(crate) fn metrics(&self) -> Option<&MetricRow> {
        self.snapshot.history.at(self.cursor.at())
    }

    /// Keeps curves of `metrics` from now on, of the past too.
    pub(crate) fn require_curves(&mut self, metrics: &[&'static Metric]) {
        self.memo.curves.require(metrics, &self.snapshot.history, self.choices.curves.span);
    }

    /// Judges the run's health where something has been added to what it shows in.
    pub(crate) fn judge(&mut self) {
        self.memo.judge(&self.snapshot);
    }

    /// What there is to look after at the newest step, wherever the cursor is.
    pub(crate) fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.memo.checks().iter().filter_map(|check| check.finding.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dashboard::kit::geometry::{Order, Pair};
    use crate::dashboard::state::loader::Absence;
    use crate::dashboard::tests::testing;

    #[test]
    fn a_pin_holds_the_step_and_letting_go_of_it_leaves_the_step() {
        let mut state = State::new(testing::snapshot(5, 3, 4));
        assert_eq!((state.cursor.shown_step(), state.cursor.follows()), (Some(5), true));
        state.pin(Pair { i: 0, j: 2 });
        state.take_in(testing::snapshot(6, 3, 4), 1.0);
        assert_eq!(
            (state.cursor.shown_step(), state.selection.pinned),
            (Some(5), Some(Pair { i: 0, j: 2 }))
        );
        assert_eq!(state.cursor.missed_step_at, Some(1.0));
        state.select_group(2);
        assert_eq!((state.cursor.shown_step(), state.selection.pinned), (Some(5), None));
        state.selection.unpin();
        assert_eq!(state.cursor.at(), 5);
        state.cursor.set_follow(true);
        state.take_in(testing::snapshot(6, 3, 4), 1.1);
        assert_eq!((state.cursor.shown_step(), state.cursor.missed_step_at), (Some(6), None));
    }

    #[test]
    fn the_cursor_stays_between_the_first_and_the_newest_step() {
        let mut state = State::new(testing::snapshot(5, 1, 2));
        state.cursor.step_by(-9);
        assert_eq!(state.cursor.at(), 1);
        state.cursor.step_by(99);
        assert_eq!((state.cursor.at(), state.cursor.follows()), (5, false));
        let mut empty = State::new(testing::snapshot(0, 0, 0));
        empty.cursor.move_to(3);
        empty.cursor.toggle_playing();
        assert_eq!(
            (empty.cursor.at(), empty.cursor.wanted(), empty.cursor.follows()),
            (0, None, true)
        );
    }

    #[test]
    fn a_step_that_is_not_at_hand_is_wanted_and_the_old_one_stays_until_it_comes() {
        let mut state = State::new(testing::snapshot(5, 2, 2));
        state.cursor.move_to(3);
        state.take_in(testing::snapshot(5, 2, 2), 1.0);
        assert_eq!(
            (state.cursor.wanted(), state.cursor.shown_step(), state.cursor.loading()),
            (Some(3), Some(5), None)
        );
        state.take_in(testing::snapshot(5, 2, 2), 1.2);
        assert_eq!(state.cursor.loading(), Some(3));
        state.take_step(4, StepData::Recorded(testing::step(4, 2, 2)));
        assert_eq!(state.cursor.shown_step(), Some(5), "nobody wants step 4 any more");
        state.take_step(3, StepData::Recorded(testing::step(3, 2, 2)));
        assert_eq!(
            (state.cursor.wanted(), state.cursor.shown_step(), state.cursor.loading()),
            (None, Some(3), None)
        );
        state.cursor.move_to(2);
        let absence = Absence::NotRecorded { before: None, after: Some(3) };
        state.take_step(2, StepData::Absent(absence.clone()));
        assert_eq!((state.cursor.wanted(), state.cursor.absence()), (None, Some(&absence)));
        state.cursor.move_to(3);
        assert_eq!((state.cursor.wanted(), state.cursor.absence()), (None, None));
    }

    #[test]
    fn playing_goes_from_record_to_record_and_follows_at_the_end() {
        let mut state = State::new(testing::snapshot(4, 1, 2));
        state.cursor.toggle_playing();
        assert_eq!(state.cursor.at(), 1);
        let mut seen = Vec::new();
        for frame in 0..20 {
            state.take_in(testing::snapshot(4, 1, 2), 0.06 * f64::from(frame));
            state.cursor.play();
            while let Some(step) = state.cursor.wanted() {
                let absent =
                    StepData::Absent(Absence::NotRecorded { before: Some(1), after: Some(3) });
                let data =
                    if step == 2 { absent } else { StepData::Recorded(testing::step(step, 1, 2)) };
                state.take_step(step, data);
            }
            if seen.last() != Some(&state.cursor.at()) {
                seen.push(state.cursor.at());
            }
        }
        assert_eq!(seen, [1, 3, 4]);
        assert!(state.cursor.follows() && !state.cursor.is_playing());
    }

    #[test]
    fn arrows_walk_the_displayed_order_and_stop_at_the_edge() {
        let mut state = State::new(testing::snapshot(1, 1, 4));
        state.choices.order = Order::Reward;
        let order = state.geometry().unwrap().order.clone();
        state.pin(Pair { i: order[0], j: order[0] });
        state.walk_matrix(0, 1);
        assert_eq!(state.selection.pinned, Some(Pair { i: order[0], j: order[1] }));
        state.walk_matrix(-1, 9);
        assert_eq!(state.selection.pinned, Some(Pair { i: order[0], j: order[3] }));
    }

    #[test]
    fn groups_are_walked_within_the_search() {
        let mut state = State::new(testing::snapshot(1, 4, 4));
        let wanted = state.cursor.shown.as_ref().unwrap().groups[2].prompt.clone();
        state.choices.search = wanted.to_uppercase();
        state.walk_groups(1);
        assert_eq!(state.selection.group, 2);
        state.walk_groups(1);
        assert_eq!(state.selection.group, 2);
    }

    #[test]
    fn fewer_groups_in_the_next_step_keep_a_valid_choice() {
        let mut state = State::new(testing::snapshot(1, 4, 4));
        state.select_group(3);
        state.take_in(testing::snapshot(2, 2, 4), 0.0);
        assert_eq!(state.selection.group, 1);
    }
}
