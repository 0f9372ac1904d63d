//! The groups of the shown step as small multiples, searchable by prompt.

use crate::dashboard::kit::text::caption;
use crate::dashboard::kit::textures::MatrixKey;
use crate::dashboard::kit::widgets::mini_matrix;
use crate::dashboard::panels::Tools;
use crate::dashboard::state::run::State;
use egui::{Key, ScrollArea, TextEdit, Ui, vec2};
use std::sync::Arc;

/// The smallest side of a small matrix, points.
const MIN_SIDE: f32 = 44.0;
/// The largest.
const MAX_SIDE: f32 = 132.0;
/// The side where there are too many to fit, at least.
const SCROLLED_SIDE: f32 = 52.0;
/// Between tiles, points.
const GAP: f32 = 4.0;

/// Draws the panel.
pub(crate) fn show(ui: &mut Ui, tools: &mut Tools<'_>, state: &mut State) {
    let theme = tools.theme;
    let view = state.shown.as_ref().map(Arc::clone);
    let hint = match state.loading() {
        Some(step) => format!("loading step {step}"),
        None => "Search prompts".to_owned(),
    };
    let search = TextEdit::singleline(&mut state.search).hint_text(hint).desired_width(f32::INFINITY);
    let response = ui.add(search).accessible_name("Search prompts");
    // The key has taken the focus away by now.
    if response.lost_focus() && ui.input(|input| input.key_pressed(Key::Escape)) {
        state.search.clear();
    }
    let Some(view) = view else {
        return;
    };
    tools.textures.keep(view.groups.len());
    let compared = state.compared();
    let scale = state.cosine_scale(compared);
    let key = MatrixKey { step: view.step, compared, order: state.order, clustered: compared, scale };
    let found: Vec<usize> = (0..view.groups.len()).filter(|&place| state.finds(&view.groups[place])).collect();
    if found.is_empty() {
        caption(ui, theme, "No prompt of this step contains that.");
    }
    // Where the tiles have to be scrolled, the bar takes its room from them.
    let width = ui.available_width() - ui.spacing().scroll.allocated_width();
    let side = side(found.len(), width, ui.available_height());
    ScrollArea::vertical().auto_shrink([false, false]).show(ui, |ui| {
        ui.spacing_mut().item_spacing = vec2(GAP, GAP);
        ui.horizontal_wrapped(|ui| {
            for place in found {
                let group = &view.groups[place];
                let texture = tools.textures.matrix(ui.ctx(), theme, group, place, key);
                let tile = mini_matrix::show(ui, theme, group, key.compared, texture, side, place == state.group);
                if tile.clicked() {
                    state.select_group(place);
                }
            }
        });
    });
}

/// The largest side with which `count` tiles fit without scrolling; where none does, one that reads well.
fn side(count: usize, width: f32, height: f32) -> f32 {
    let best = (1..=count.max(1))
        .map(|columns| {
            let rows = count.max(1).div_ceil(columns);
            let by_width = (width + GAP) / columns as f32 - GAP;
            let by_height = (height + GAP) / rows as f32 - GAP - mini_matrix::CAPTION;
            (by_width.min(by_height) - mini_matrix::MARGIN).floor()
        })
        .fold(0.0, f32::max);
    if best >= MIN_SIDE {
        return best.min(MAX_SIDE);
    }
    let columns = ((width + GAP) / (SCROLLED_SIDE + mini_matrix::MARGIN + GAP)).floor().max(1.0);
    ((width + GAP) / columns - GAP - mini_matrix::MARGIN).floor().clamp(MIN_SIDE, MAX_SIDE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_groups_fit_without_scrolling_and_many_keep_a_readable_size() {
        let fits = side(8, 174.0, 420.0);
        assert!((MIN_SIDE..=MAX_SIDE).contains(&fits));
        let columns = ((174.0 + GAP) / (fits + mini_matrix::MARGIN + GAP)).floor();
        let rows = (8.0 / columns).ceil();
        assert!(rows * (fits + mini_matrix::MARGIN + mini_matrix::CAPTION + GAP) - GAP <= 420.0);
        assert!(side(64, 174.0, 420.0) >= SCROLLED_SIDE);
        assert!(side(0, 174.0, 420.0) > 0.0);
    }
}
