//! Panels: one per file. Each reads the [`State`](crate::dashboard::state::run::State), draws itself, and changes choices or asks for commands.

pub(crate) mod curves;
pub(crate) mod experiment;
pub(crate) mod geometry;
pub(crate) mod groups;
pub(crate) mod health;
pub(crate) mod pair;
pub(crate) mod rollouts;
pub(crate) mod timeline;

use crate::dashboard::kit::copies::Copy;
use crate::dashboard::kit::export;
use crate::dashboard::kit::format;
use crate::dashboard::kit::text::caption;
use crate::dashboard::kit::textures::Textures;
use crate::dashboard::kit::theme::Theme;
use crate::dashboard::panel::notice;
use crate::dashboard::panels::rollouts::rows as rollout_rows;
use crate::dashboard::panels::rollouts::rows::{Place, Rows};
use crate::dashboard::state::run::State;
use crate::dashboard::window::dock::PanelKind;
use egui::Ui;

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

/// What a panel shows, for the clipboard: as CSV, the experiment as RON.
pub(crate) fn as_text(panel: PanelKind, tools: &Tools<'_>, state: &mut State) -> Copy {
    let copy = |text: String, what: String| Copy { what: format!("{what} as CSV"), text };
    // Below the head of the table.
    let lines = |text: &str, one: &str, many: &str| match text.lines().count().saturating_sub(1) {
        1 => format!("1 {one}"),
        count => format!("{} {many}", format::thousands(count as f64)),
    };
    match panel {
        PanelKind::Curves => {
            let text = curves::csv(tools, state);
            let what = format!("the curves, {},", lines(&text, "step", "steps"));
            return copy(text, what);
        }
        PanelKind::Timeline => {
            let text = timeline::csv(state);
            let what = format!("the times of {}", lines(&text, "step", "steps"));
            return copy(text, what);
        }
        PanelKind::Health => {
            let text = health::csv(state);
            let what = lines(&text, "thing to look after", "things to look after");
            return copy(text, what);
        }
        PanelKind::Experiment => {
            return Copy { text: state.experiment_text.clone(), what: "the experiment as RON".to_owned() };
        }
        PanelKind::Rollouts if state.rollouts.shows_problems => {
            let text = crate::dashboard::panels::rollouts::problem_reader::csv(&state.problems);
            let what = lines(&text, "problem", "problems");
            return copy(text, what);
        }
        PanelKind::Groups | PanelKind::Geometry | PanelKind::Pair | PanelKind::Rollouts => {}
    }
    let compared = state.compared();
    let (Some(view), Some(geometry)) = (state.shown.clone(), state.geometry()) else {
        return copy(String::new(), panel.title().to_lowercase());
    };
    let (group, step) = (state.group, format::thousands(view.step as f64));
    let number = view.groups[group].group;
    match panel {
        PanelKind::Geometry => {
            let m = geometry.order.len();
            let what = format!("{m} x {m} cosines of group {number}");
            copy(export::cosines(&view.groups[group], compared, &geometry.order), what)
        }
        PanelKind::Pair => {
            let pair = state.pair(&geometry).map_or(Vec::new(), |(pair, _)| vec![pair.i, pair.j]);
            let what = match pair.as_slice() {
                [i, j] => format!("completions {i} and {j} of group {number}"),
                _ => format!("no completion of group {number}"),
            };
            let listed = pair.into_iter().map(|index| Place { group, index }).collect();
            copy(rollout_rows::csv(&view, &Rows { listed, ..Rows::default() }), what)
        }
        PanelKind::Rollouts => {
            let rows = state.rows();
            let count = format::thousands(rows.listed.len() as f64);
            copy(rollout_rows::csv(&view, &rows), format!("{count} completions of step {step}"))
        }
        _ => copy(export::groups(&view, compared), format!("{} groups of step {step}", view.groups.len())),
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
