//! Panels: one per file. Each reads the [`State`](super::state::State), draws itself, and changes choices or asks for commands.

pub(crate) mod curves;
pub(crate) mod experiment;
pub(crate) mod geometry;
pub(crate) mod groups;
pub(crate) mod health;
pub(crate) mod keys;
pub(crate) mod notice;
pub(crate) mod over_time;
pub(crate) mod pair;
pub(crate) mod palette;
pub(crate) mod problems;
pub(crate) mod rollouts;
pub(crate) mod run_bar;
pub(crate) mod runs;
pub(crate) mod scrubber;
pub(crate) mod start;
pub(crate) mod status;
pub(crate) mod timeline;

use super::dock::PanelKind;
use super::export;
use super::format;
use super::rollouts::{self as rollout_rows, Place, Rows};
use super::state::State;
use super::textures::Textures;
use super::theme::Theme;
use egui::{Response, RichText, Ui};

/// What panels draw with.
pub(crate) struct Tools<'a> {
    /// Colours.
    pub(crate) theme: &'a Theme,
    /// Colours of what is exported.
    pub(crate) light: &'a Theme,
    /// Matrices as textures.
    pub(crate) textures: &'a mut Textures,
    /// The other open runs.
    pub(crate) others: &'a [&'a State],
}

/// Draws a panel of the dock.
pub(crate) fn show(panel: PanelKind, ui: &mut Ui, tools: &mut Tools<'_>, state: &mut State) {
    let is_of_step = panel == PanelKind::Rollouts && !state.rollouts.shows_problems;
    let shows_step = is_of_step || matches!(panel, PanelKind::Groups | PanelKind::Geometry | PanelKind::Pair);
    if shows_step {
        if panel == PanelKind::Geometry && state.newest_step() == 0 {
            return notice::before_first_step(ui, tools, state);
        }
        if panel == PanelKind::Geometry && state.absence().is_some() {
            return notice::no_record(ui, tools, state);
        }
        if state.newest_step() == 0 || state.absence().is_some() {
            caption(ui, tools.theme, "Nothing to show yet");
            return;
        }
        // What is older than the cursor is drawn fainter while the step at the cursor is being read.
        if state.loading().is_some() {
            ui.set_opacity(0.6);
        }
    }
    match panel {
        PanelKind::Groups => groups::show(ui, tools, state),
        PanelKind::Geometry => geometry::show(ui, tools, state),
        PanelKind::Pair => pair::show(ui, tools, state),
        PanelKind::Curves => curves::show(ui, tools, state),
        PanelKind::Rollouts => rollouts::show(ui, tools, state),
        PanelKind::Timeline => timeline::show(ui, tools, state),
        PanelKind::Health => health::show(ui, tools, state),
        PanelKind::Experiment => experiment::show(ui, tools, state),
    }
}

/// What a panel shows, as text for the clipboard: CSV, and RON for the experiment.
pub(crate) fn as_text(panel: PanelKind, tools: &Tools<'_>, state: &mut State) -> String {
    let compared = state.compared();
    match panel {
        PanelKind::Curves => return curves::csv(tools, state),
        PanelKind::Timeline => return timeline::csv(state),
        PanelKind::Health => return health::csv(state),
        PanelKind::Experiment => return state.snapshot.info.experiment_ron.clone(),
        PanelKind::Rollouts if state.rollouts.shows_problems => return super::problems::csv(&state.problems),
        PanelKind::Groups | PanelKind::Geometry | PanelKind::Pair | PanelKind::Rollouts => {}
    }
    let (Some(view), Some(geometry)) = (state.shown.clone(), state.geometry()) else { return String::new() };
    let group = state.group;
    match panel {
        PanelKind::Geometry => export::cosines(&view.groups[group], compared, &geometry.order),
        PanelKind::Pair => {
            let pair = state.pair(&geometry).map_or(Vec::new(), |(pair, _)| vec![pair.i, pair.j]);
            let listed = pair.into_iter().map(|index| Place { group, index }).collect();
            rollout_rows::csv(&view, &Rows { listed, ..Rows::default() })
        }
        PanelKind::Rollouts => rollout_rows::csv(&view, &state.rows()),
        _ => export::groups(&view, compared),
    }
}

/// What stands on a panel's tab.
pub(crate) fn tab_title(panel: PanelKind, state: &State) -> String {
    match panel {
        PanelKind::Health => match state.findings().count() {
            0 => panel.title().to_owned(),
            count => format!("{} {count}", panel.title()),
        },
        _ => panel.title().to_owned(),
    }
}

/// What stands in a panel that has nothing to show, while the first step is being read and otherwise. Fills the panel, which would
/// shrink to the words and stay so.
fn placeholder(ui: &mut Ui, theme: &Theme, state: &State, otherwise: &str) {
    match state.loading() {
        Some(step) => caption(ui, theme, format!("loading step {}", format::thousands(step as f64))),
        None => caption(ui, theme, otherwise),
    };
    ui.allocate_space(ui.available_size());
}

/// A panel's title.
pub(crate) fn title(ui: &mut Ui, theme: &Theme, text: &str) -> Response {
    ui.label(RichText::new(text).heading().color(theme.text_strong))
}

/// A caption in small weak text.
pub(crate) fn caption(ui: &mut Ui, theme: &Theme, text: impl Into<String>) -> Response {
    ui.label(RichText::new(text).small().color(theme.text_weak))
}
