//! What is chosen of the shown step: a group, a pair, a completion. It belongs to the step and goes
//! with it.

use crate::dashboard::kit::geometry::{GroupGeometry, Pair};
use crate::run::StepView;

/// Which pair the panels show, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// Pinned by a click or the arrow keys.
    Pinned,
    /// Under the pointer, or the last one that was.
    Hovered,
    /// Nobody chose: the pair with the lowest cosine.
    Lowest,
}

/// A completion by its group's place in the step and its index in the group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    /// The group's place.
    pub(crate) group: usize,
    /// The completion's index.
    pub(crate) index: usize,
}

/// What is chosen of the shown step.
#[derive(Debug, Default)]
pub(crate) struct Selection {
    /// The chosen group, by its place in the step.
    pub(crate) group: usize,
    /// The pinned pair.
    pub(crate) pinned: Option<Pair>,
    /// The pair under the pointer, kept until the pointer finds another.
    pub(crate) hovered: Option<Pair>,
    /// The completion that was chosen from a table.
    rollout: Option<Place>,
    /// A completion that is to be chosen once its step is shown.
    awaited: Option<(u64, Place)>,
}

impl Selection {
    /// Lets go of what belonged to the step before, now that `view` is shown.
    pub(super) fn begin(&mut self, view: &StepView) {
        self.group = self.group.min(view.groups.len().saturating_sub(1));
        (self.hovered, self.pinned, self.rollout) = (None, None, None);
        if let Some((_, place)) = self.awaited.take_if(|(step, _)| *step == view.step) {
            self.choose(place, view.groups.len());
        }
    }

    /// Chooses one of `groups` groups by its place in the step.
    pub(super) fn select_group(&mut self, group: usize, groups: usize) {
        if group < groups && group != self.group {
            self.group = group;
            // The pair goes, but a step that it held stays: the group was chosen from what is on
            // screen.
            (self.hovered, self.pinned) = (None, None);
        }
    }

    /// Chooses a completion, and its group of `groups` with it.
    pub(super) fn choose(&mut self, place: Place, groups: usize) {
        self.select_group(place.group, groups);
        self.rollout = Some(place);
    }

    /// Chooses a completion of a step once that is shown.
    pub(super) fn choose_later(&mut self, step: u64, place: Place) {
        self.awaited = Some((step, place));
    }

    /// The completion that was chosen, while its group is.
    pub(super) fn rollout(&self) -> Option<Place> {
        self.rollout.filter(|place| place.group == self.group)
    }

    /// The pair to show and why.
    pub(crate) fn pair(&self, geometry: &GroupGeometry) -> Option<(Pair, Choice)> {
        let m = geometry.order.len();
        let inside = |pair: &Pair| pair.i < m && pair.j < m;
        let pinned = self.pinned.filter(inside).map(|pair| (pair, Choice::Pinned));
        let hovered = self.hovered.filter(inside).map(|pair| (pair, Choice::Hovered));
        pinned.or(hovered).or(geometry.lowest.map(|pair| (pair, Choice::Lowest)))
    }

    /// Lets go of the pinned pair. The step stays.
    pub(crate) fn unpin(&mut self) {
        self.pinned = None;
    }
}
