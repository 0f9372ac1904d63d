//! The line above the matrix: what is compared, in which order and colours.

use crate::dashboard::kit::geometry::{ColorRange, Order};
use crate::dashboard::kit::text::{caption, title};
use crate::dashboard::kit::theme::Theme;
use crate::dashboard::kit::trailing::Trailing;
use crate::dashboard::state::run::State;
use crate::run::CosineKind;
use egui::Ui;

/// Draws the line: `number` of `groups` is the chosen group.
pub(super) fn show(
    ui: &mut Ui,
    theme: &Theme,
    state: &mut State,
    (number, groups): (u32, usize),
    side_by_side: &mut bool,
) {
    let has_choice =
        CosineKind::ALL.into_iter().any(|kind| kind != CosineKind::Feature && state.has(kind));
    let width = ui.available_width();
    if width < if has_choice { 600.0 } else { 380.0 } {
        // The choices alone, in as many lines as they need.
        ui.horizontal_wrapped(|ui| choices(ui, theme, state, side_by_side, has_choice));
        return;
    }
    ui.horizontal(|ui| {
        let end = Trailing::of(ui, "choices");
        let is_wide = width >= if has_choice { 860.0 } else { 560.0 };
        let text = match state.compared() {
            _ if !is_wide => "Cosines",
            CosineKind::Feature => "Cosines between features",
            CosineKind::Semantic => "Cosines between embeddings",
            CosineKind::Parameter => "Cosines between parameter gradients",
            CosineKind::Hidden => "Cosines between hidden states",
        };
        title(ui, theme, text).on_hover_text(
            "Rows and columns are the group's completions; a cell is the cosine of two of them",
        );
        if ui.available_width() >= if has_choice { 700.0 } else { 360.0 } {
            caption(ui, theme, format!("group {number} of {groups}"))
                .on_hover_text("Groups are counted from 0, as in the run folder");
        }
        end.show(ui, |ui| choices(ui, theme, state, side_by_side, has_choice));
    });
}

/// What is compared, in which order and colours.
fn choices(
    ui: &mut Ui,
    theme: &Theme,
    state: &mut State,
    side_by_side: &mut bool,
    has_choice: bool,
) {
    ui.spacing_mut().item_spacing.x = 2.0;
    if has_choice {
        for (kind, help) in [
            (
                CosineKind::Feature,
                "Cosines between features, the gradient directions at the last layer: whether \
                 completions push the policy the same way",
            ),
            (
                CosineKind::Semantic,
                "Cosines between sentence embeddings: whether completions say the same",
            ),
            (
                CosineKind::Parameter,
                "Cosines between gradients with respect to all parameters: what the features \
                 stand in for",
            ),
            (
                CosineKind::Hidden,
                "Cosines between means of the policy's final hidden states: whether completions \
                 are alike to the policy",
            ),
        ] {
            if kind == CosineKind::Feature || state.has(kind) {
                ui.selectable_value(&mut state.choices.comparison, kind, kind.name())
                    .on_hover_text(help);
            }
        }
        ui.toggle_value(side_by_side, "all")
            .on_hover_text("Everything that can be compared, side by side with one order");
        ui.add_space(8.0);
    }
    caption(ui, theme, "order");
    let by_cluster =
        "Rows and columns by clusters of like directions (average linkage of the cosines)";
    ui.selectable_value(&mut state.choices.order, Order::Cluster, "cluster")
        .on_hover_text(by_cluster);
    let by_index = "Rows and columns as sampled";
    ui.selectable_value(&mut state.choices.order, Order::Index, "index").on_hover_text(by_index);
    let by_reward = "Rows and columns by reward, highest first";
    ui.selectable_value(&mut state.choices.order, Order::Reward, "reward").on_hover_text(by_reward);
    ui.add_space(8.0);
    caption(ui, theme, "colours");
    let full = "The colours' ends are −1 and +1, those of novelties 0 and 1";
    ui.selectable_value(&mut state.choices.color_range, ColorRange::Full, "±1").on_hover_text(full);
    let fitted = "The colours' ends are the smallest of ±0.1, ±0.25, ±0.5 and ±1 that holds every \
                  pair of the step; of embeddings and novelties, the range of the step's values";
    ui.selectable_value(&mut state.choices.color_range, ColorRange::Fitted, "fitted")
        .on_hover_text(fitted);
}
