//! The panels, each in a file or folder of its own. Nobody but the list below has to know them.

mod curves;
mod experiment;
mod geometry;
mod groups;
pub(crate) mod health;
mod pair;
mod rollouts;
mod timeline;

use crate::dashboard::panel::Panel;

/// All panels in reading order: that of the keys 1 to 9, of the palette, and of tabs that stand
/// together.
pub(crate) fn all() -> Vec<Box<dyn Panel>> {
    vec![
        Box::new(groups::GroupsPanel),
        Box::new(geometry::GeometryPanel),
        Box::new(pair::PairPanel::default()),
        Box::new(curves::CurvesPanel::default()),
        Box::new(rollouts::RolloutsPanel::default()),
        Box::new(timeline::TimelinePanel),
        Box::new(health::HealthPanel),
        Box::new(experiment::ExperimentPanel),
    ]
}
