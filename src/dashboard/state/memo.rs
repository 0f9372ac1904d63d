//! What is computed from the shown step or the whole run for several panels, and kept until that
//! changes.

use crate::dashboard::kit::cached::{Cached, Same};
use crate::dashboard::kit::geometry::{
    ColorRange, ColorScale, GroupGeometry, Order, cosine_scale, novelty_scale,
};
use crate::dashboard::kit::series::Curves;
use crate::dashboard::state::health::{self, Check, WrongValues};
use crate::run::{CosineKind, RunSnapshot, StepView};
use std::sync::Arc;

/// What colours stand for: those of each kind of cosine, and those of novelties.
pub(crate) type Scales = ([ColorScale; 4], ColorScale);

/// A group of a step, what its cosines compare, and the order of its rows.
type GeometryKey = (Same<StepView>, usize, CosineKind, Order);

/// Values that are kept.
#[derive(Debug, Default)]
pub(crate) struct Memo {
    /// Curves of the whole run.
    pub(crate) curves: Curves,
    geometry: Cached<GeometryKey, Arc<GroupGeometry>>,
    scales: Cached<(Same<StepView>, ColorRange), Scales>,
    wrong: WrongValues,
    checks: ([usize; 4], Vec<Check>),
}

impl Memo {
    /// Forgets what belongs to steps that are no longer those of the run.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// The geometry of a group of `view`.
    pub(super) fn geometry(
        &mut self,
        view: &Arc<StepView>,
        place: usize,
        compared: CosineKind,
        order: Order,
    ) -> Option<Arc<GroupGeometry>> {
        let group = view.groups.get(place)?;
        let key = (Same(Arc::clone(view)), place, compared, order);
        Some(self.geometry.get(key, || Arc::new(GroupGeometry::new(group, compared, order))))
    }

    /// What the colours of `view` stand for.
    pub(super) fn scales(&mut self, view: &Arc<StepView>, range: ColorRange) -> Scales {
        self.scales.get((Same(Arc::clone(view)), range), || {
            let of = |compared| cosine_scale(view, compared, range);
            (CosineKind::ALL.map(of), novelty_scale(view, range))
        })
    }

    /// Judges the run's health where something has been added to what it shows in.
    pub(super) fn judge(&mut self, run: &RunSnapshot) {
        let key = [run.history.len(), run.evaluations.len(), run.fidelity.len(), run.events.len()];
        if self.checks.0 != key {
            let step = run.history.last().map_or(0, |row| row.step);
            self.wrong.look(&run.history, step);
            self.checks = (key, health::checks(run, step, &self.wrong));
        }
    }

    /// Everything that is watched, as it is at the newest step.
    pub(crate) fn checks(&self) -> &[Check] {
        &self.checks.1
    }
}
