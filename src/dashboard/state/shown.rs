//! What the panels show of the step: the group, its geometry and a pair, and how a person moves
//! through them.

use crate::dashboard::kit::geometry::{ColorScale, GroupGeometry, Pair};
use crate::dashboard::state::memo::Scales;
use crate::dashboard::state::run::State;
use crate::dashboard::state::selection::{Choice, Place};
use crate::run::{CosineKind, FidelityRecord};
use std::sync::Arc;

/// What all panels show. It changes for all of them at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spot {
    cursor: u64,
    step: Option<u64>,
    group: usize,
    pair: Option<(Pair, Choice)>,
    compared: CosineKind,
}

impl State {
    /// What all panels show: step, group, and pair.
    pub(crate) fn spot(&mut self) -> Spot {
        let pair = self.pair();
        let (cursor, step) = (self.cursor.at(), self.cursor.shown_step());
        Spot { cursor, step, group: self.selection.group, pair, compared: self.compared() }
    }

    fn groups(&self) -> usize {
        self.cursor.shown.as_ref().map_or(0, |view| view.groups.len())
    }

    /// Chooses a group by its place in the step.
    pub(crate) fn select_group(&mut self, group: usize) {
        self.selection.select_group(group, self.groups());
    }

    /// Chooses the next (+1) or previous (-1) group that the search lets through.
    pub(crate) fn walk_groups(&mut self, by: isize) {
        let Some(view) = &self.cursor.shown else { return };
        let is_found = |group: &usize| self.choices.finds(&view.groups[*group]);
        let found: Vec<usize> = (0..view.groups.len()).filter(is_found).collect();
        let place = found.iter().position(|&group| group == self.selection.group);
        let next = place.map_or(0, |place| place.saturating_add_signed(by));
        if let Some(&group) = found.get(next) {
            self.select_group(group);
        }
    }

    /// The geometry of the chosen group.
    pub(crate) fn geometry(&mut self) -> Option<Arc<GroupGeometry>> {
        let compared = self.compared();
        let view = self.cursor.shown.as_ref()?;
        self.memo.geometry(view, self.selection.group, compared, self.choices.order)
    }

    /// The pair to show and why.
    pub(crate) fn pair(&mut self) -> Option<(Pair, Choice)> {
        let geometry = self.geometry()?;
        self.selection.pair(&geometry)
    }

    /// Pins a pair. The shown step stays, so that the texts can be read while the run continues.
    pub(crate) fn pin(&mut self, pair: Pair) {
        if let Some(step) = self.cursor.shown_step() {
            self.cursor.move_to(step);
            self.selection.pinned = Some(pair);
        }
    }

    /// Moves the pinned pair by rows and columns of the displayed matrix; pins the shown pair first
    /// where none is.
    pub(crate) fn walk_matrix(&mut self, rows: isize, columns: isize) {
        let Some(geometry) = self.geometry() else { return };
        let Some((pair, _)) = self.selection.pair(&geometry) else { return };
        let last = geometry.order.len().saturating_sub(1);
        let walk = |index: usize, by: isize| {
            let place = geometry.position(index).unwrap_or(0).saturating_add_signed(by).min(last);
            geometry.order.get(place).copied().unwrap_or(index)
        };
        self.pin(Pair { i: walk(pair.i, rows), j: walk(pair.j, columns) });
    }

    /// Chooses a completion, and its group with it.
    pub(crate) fn choose_rollout(&mut self, place: Place) {
        self.selection.choose(place, self.groups());
    }

    /// Chooses a completion of a step as soon as that is shown.
    pub(crate) fn choose_when_shown(&mut self, step: u64, place: Place) {
        if self.cursor.shown_step() == Some(step) {
            self.choose_rollout(place);
        } else {
            self.selection.choose_later(step, place);
        }
    }

    /// The completion that is shown in full: the chosen one while its group is, otherwise the first
    /// of the shown pair.
    pub(crate) fn shown_rollout(&mut self) -> Option<Place> {
        if let Some(chosen) = self.selection.rollout() {
            return Some(chosen);
        }
        let geometry = self.geometry()?;
        let index = self.selection.pair(&geometry).map_or(0, |(pair, _)| pair.i);
        (!geometry.order.is_empty()).then_some(Place { group: self.selection.group, index })
    }

    /// The newest proxy fidelity that had been measured at the shown step.
    pub(crate) fn fidelity(&self) -> Option<FidelityRecord> {
        let step = self.cursor.shown_step()?;
        self.snapshot.fidelity.iter().rev().find(|record| record.step <= step).cloned()
    }

    /// Whether the shown step has cosines of that kind in any group.
    pub(crate) fn has(&self, compared: CosineKind) -> bool {
        let view = self.cursor.shown.as_ref();
        view.is_some_and(|view| view.groups.iter().any(|group| !group.cosines[compared].is_empty()))
    }

    /// What the shown cosines compare: what the person chose, or directions where the step does not
    /// have that.
    pub(crate) fn compared(&self) -> CosineKind {
        if self.has(self.choices.comparison) {
            self.choices.comparison
        } else {
            CosineKind::Feature
        }
    }

    fn scales(&mut self) -> Scales {
        match &self.cursor.shown {
            Some(view) => self.memo.scales(view, self.choices.color_range),
            None => ([ColorScale::around_zero(1.0); 4], ColorScale { low: 0.0, high: 1.0 }),
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
}
