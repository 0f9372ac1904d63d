//! What is chosen for all runs: it stays when another run is shown.

use crate::dashboard::kit::geometry::{ColorRange, Order};
use crate::dashboard::kit::series::CurveView;
use crate::run::{CosineKind, GroupView};

/// What several panels show by, whichever run is shown.
#[derive(Clone, Debug, Default)]
pub(crate) struct Choices {
    /// What the cosines compare, where the step has such cosines; see
    /// [`State::compared`](super::run::State::compared).
    pub(crate) comparison: CosineKind,
    /// The order of rows and columns.
    pub(crate) order: Order,
    /// What the colour map's ends stand for.
    pub(crate) color_range: ColorRange,
    /// What the prompts are searched for.
    pub(crate) search: String,
    /// How curves lie over the steps.
    pub(crate) curves: CurveView,
}

impl Choices {
    /// Whether the search lets `group` through.
    pub(crate) fn finds(&self, group: &GroupView) -> bool {
        let wanted = self.search.trim().to_lowercase();
        wanted.is_empty()
            || group.prompt.to_lowercase().contains(&wanted)
            || group.problem_id.to_lowercase().contains(&wanted)
    }
}
