//! Which step is shown. The cursor follows the newest step until the person moves it; then it stays
//! until it is told to follow again.

use crate::dashboard::state::loader::{Absence, StepData};
use crate::run::StepView;
use std::sync::Arc;

/// Time between two steps while they are played, seconds.
const PLAY_INTERVAL_S: f64 = 0.1;
/// A step that is at hand sooner is not announced as being read, seconds: titles would only
/// flicker.
const LOADING_S: f64 = 0.15;

/// The step that every panel shows.
#[derive(Debug, Default)]
pub(crate) struct Cursor {
    /// The rollouts that every panel shows: of the step at the cursor, or of an earlier one while
    /// that is being read.
    pub(crate) shown: Option<Arc<StepView>>,
    /// When a step arrived while not following, seconds of egui's clock.
    pub(crate) missed_step_at: Option<f64>,
    /// The step that the person moved to; `None` follows the newest.
    held: Option<u64>,
    /// The newest finished step.
    newest: u64,
    /// A step of which there is nothing to show, and why.
    absent: Option<(u64, Absence)>,
    /// The step that is being read, and since when, seconds of egui's clock.
    wanted: Option<(u64, f64)>,
    /// When playing moved the cursor last, seconds of egui's clock; `None` where nothing is played.
    played_at: Option<f64>,
    /// The time of the newest snapshot, seconds of egui's clock.
    now: f64,
}

impl Cursor {
    /// Forgets what was shown: the run was taken back, so that its later steps are others now.
    pub(super) fn forget(&mut self) {
        (self.shown, self.absent, self.held) = (None, None, None);
    }

    /// Notes the newest step at `now`, seconds of egui's clock.
    pub(super) fn advance(&mut self, newest: u64, now: f64) {
        if newest > self.newest && !self.follows() {
            self.missed_step_at = Some(now);
        }
        (self.newest, self.now) = (newest, now);
    }

    /// Shows the rollouts of a step. Says whether another step was shown before.
    pub(super) fn show(&mut self, view: &Arc<StepView>) -> bool {
        let is_new = self.shown_step() != Some(view.step);
        if is_new {
            self.shown = Some(Arc::clone(view));
        }
        is_new
    }

    /// Takes what was read of `step`, where it is still wanted; returns its rollouts.
    pub(super) fn take(&mut self, step: u64, data: StepData) -> Option<Arc<StepView>> {
        if step != self.at() {
            return None;
        }
        match data {
            StepData::Recorded(view) => return Some(view),
            // Playing goes from record to record.
            StepData::Absent(Absence::NotRecorded { after: Some(after), .. })
                if self.is_playing() && after <= self.newest =>
            {
                self.held = Some(after);
            }
            StepData::Absent(absence) => self.absent = Some((step, absence)),
        }
        None
    }

    /// The newest finished step; 0 before the first.
    pub(crate) fn newest(&self) -> u64 {
        self.newest
    }

    /// The step at the cursor, which every panel shows; 0 before the first.
    pub(crate) fn at(&self) -> u64 {
        self.held.unwrap_or(u64::MAX).min(self.newest)
    }

    /// The step whose rollouts are shown.
    pub(crate) fn shown_step(&self) -> Option<u64> {
        self.shown.as_ref().map(|view| view.step)
    }

    /// The step at the cursor, where its rollouts are not at hand.
    pub(crate) fn wanted(&self) -> Option<u64> {
        let step = self.at();
        let is_there = self.shown_step() == Some(step) || self.absence().is_some();
        (step > 0 && !is_there).then_some(step)
    }

    /// Notes since when a step is wanted.
    pub(super) fn note_wanted(&mut self) {
        self.wanted = match (self.wanted(), self.wanted) {
            // While the cursor moves on from step to step, the panels wait for one and then the
            // next.
            (Some(step), Some((_, since))) => Some((step, since)),
            (step, _) => step.map(|step| (step, self.now)),
        };
    }

    /// The step that is being read, once that takes long enough to say so.
    pub(crate) fn loading(&self) -> Option<u64> {
        let is_long = |since: f64| self.shown.is_none() || self.now - since >= LOADING_S;
        self.wanted.filter(|(_, since)| is_long(*since)).map(|(step, _)| step)
    }

    /// Why there is nothing to show of the step at the cursor.
    pub(crate) fn absence(&self) -> Option<&Absence> {
        self.absent.as_ref().filter(|(step, _)| *step == self.at()).map(|(_, absence)| absence)
    }

    /// Whether the cursor follows the newest step.
    pub(crate) fn follows(&self) -> bool {
        self.held.is_none()
    }

    /// Turns following the newest step on or off.
    pub(crate) fn set_follow(&mut self, follow: bool) {
        self.played_at = None;
        self.missed_step_at = None;
        if follow {
            self.held = None;
        } else {
            self.hold(self.newest);
        }
    }

    /// Moves the cursor to a step, where it stays.
    pub(crate) fn move_to(&mut self, step: u64) {
        self.played_at = None;
        self.hold(step);
    }

    /// Moves the cursor by some steps.
    pub(crate) fn step_by(&mut self, by: i64) {
        self.move_to(self.at().saturating_add_signed(by));
    }

    fn hold(&mut self, step: u64) {
        if self.newest == 0 {
            return;
        }
        if self.follows() {
            self.missed_step_at = None;
        }
        self.held = Some(step.clamp(1, self.newest));
    }

    /// Whether steps are being played.
    pub(crate) fn is_playing(&self) -> bool {
        self.played_at.is_some()
    }

    /// Starts playing steps from the cursor, or from the first where it is at the newest; stops
    /// where they are being played.
    pub(crate) fn toggle_playing(&mut self) {
        if self.is_playing() {
            self.played_at = None;
        } else if self.newest > 1 {
            if self.at() == self.newest {
                self.hold(1);
            }
            self.played_at = Some(self.now);
        }
    }

    /// Moves the cursor on where steps are being played and the next one is due. At the newest step
    /// it follows again.
    pub(crate) fn play(&mut self) {
        let is_due = self.played_at.is_some_and(|at| self.now - at >= PLAY_INTERVAL_S);
        if !is_due || self.wanted().is_some() {
            return;
        }
        if self.at() == self.newest {
            self.set_follow(true);
        } else {
            self.hold(self.at() + 1);
            self.played_at = Some(self.now);
        }
    }
}
