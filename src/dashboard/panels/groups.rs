//! The groups of the shown step as small multiples, searchable by prompt.

use super::{Tools, caption, title};
use crate::dashboard::state::State;
use crate::dashboard::textures::MatrixKey;
use crate::dashboard::widgets::mini_matrix;
use egui::{Key, ScrollArea, TextEdit, Ui, vec2};
use std::sync::Arc;

/// The smallest side of a small matrix, points.
const MIN_SIDE: f32 = 56.0;

/// Draws the panel.
pub(crate) fn show(ui: &mut Ui, tools: &mut Tools<'_>, state: &mut State) {
    let theme = tools.theme;
    let view = state.shown.as_ref().map(Arc::clone);
    ui.horizontal(|ui| {
        title(ui, theme, "Groups");
        if let Some(view) = &view {
            caption(ui, theme, format!("step {}", view.step));
        }
    });
    let search = TextEdit::singleline(&mut state.search).hint_text("Search prompts").desired_width(f32::INFINITY);
    let response = ui.add(search).accessible_name("Search prompts");
    if response.has_focus() && ui.input(|input| input.key_pressed(Key::Escape)) {
        state.search.clear();
        response.surrender_focus();
    }
    let Some(view) = view else {
        caption(ui, theme, "They appear with the first step.");
        return;
    };
    tools.textures.keep(view.groups.len());
    let key = MatrixKey { step: view.step, order: state.order, range: state.range() };
    let found: Vec<usize> = (0..view.groups.len()).filter(|&place| state.finds(&view.groups[place])).collect();
    if found.is_empty() {
        caption(ui, theme, "No prompt of this step contains that.");
    }
    ScrollArea::vertical().auto_shrink([false, false]).show(ui, |ui| {
        let gap = 4.0;
        let width = ui.available_width();
        let columns = ((width + gap) / (MIN_SIDE + 8.0 + gap)).floor().max(1.0);
        let side = ((width + gap) / columns - gap - 8.0).floor().clamp(MIN_SIDE, 120.0);
        ui.spacing_mut().item_spacing = vec2(gap, gap);
        ui.horizontal_wrapped(|ui| {
            for place in found {
                let group = &view.groups[place];
                let texture = tools.textures.matrix(ui.ctx(), theme, group, place, key);
                let tile = mini_matrix::show(ui, theme, group, texture, side, place == state.group);
                if tile.clicked() {
                    state.select_group(place);
                }
            }
        });
    });
}
