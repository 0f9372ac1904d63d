//! Panels: one per file. Each reads the [`State`](super::state::State), draws itself, and changes choices or asks for commands.

pub(crate) mod curves;
pub(crate) mod geometry;
pub(crate) mod groups;
pub(crate) mod keys;
pub(crate) mod notice;
pub(crate) mod pair;
pub(crate) mod run_bar;
pub(crate) mod scrubber;
pub(crate) mod status;

use super::format;
use super::state::State;
use super::textures::Textures;
use super::theme::Theme;
use egui::{Response, RichText, Ui};

/// What panels draw with.
pub(crate) struct Tools<'a> {
    /// Colours.
    pub(crate) theme: &'a Theme,
    /// Matrices as textures.
    pub(crate) textures: &'a mut Textures,
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
