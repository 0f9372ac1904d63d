//! The completions in a plane of two of their quantities.

use crate::dashboard::kit::completions::Quantity;
use crate::dashboard::kit::theme::Theme;
use crate::dashboard::panels::rollouts::rows::{RolloutChoices, Rows};
use crate::dashboard::panels::rollouts::scatter::{self, Asked};
use crate::dashboard::state::run::State;
use crate::dashboard::state::selection::Place;
use crate::run::StepView;
use egui::{ComboBox, RichText, Ui};

/// Room for what stands beside the text in a dropdown, points.
const ARROW: f32 = 26.0;

/// The scatter plot with its axes.
pub(super) fn show(
    ui: &mut Ui,
    theme: &Theme,
    state: &mut State,
    (view, rows): (&StepView, &Rows),
    choices: &mut RolloutChoices,
    shown: Option<Place>,
) {
    let width = ((ui.available_width() - 44.0) / 2.0).clamp(40.0, 110.0);
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 4.0;
        for (axis, of) in [(1, "Along y"), (0, "Along x")] {
            if axis == 0 {
                ui.label(RichText::new("over").small().color(theme.text_weak));
            }
            let chosen = &mut choices.axes[axis];
            let before = *chosen;
            let name = scatter::name_within(ui.painter(), before, width - ARROW);
            let response = ComboBox::from_id_salt(of)
                .selected_text(RichText::new(name).small())
                .width(width)
                .truncate()
                .show_ui(ui, |ui| {
                    for quantity in Quantity::ALL {
                        ui.selectable_value(chosen, quantity, quantity.name())
                            .on_hover_text(quantity.help());
                    }
                })
                .response;
            response.accessible_name(of).on_hover_text(before.help());
            if *chosen != before {
                choices.brush = None;
            }
        }
    });
    let mut lit: Vec<Place> = shown.into_iter().collect();
    if let Some((pair, _)) = state.pair() {
        lit.extend([pair.i, pair.j].map(|index| Place { group: state.selection.group, index }));
    }
    let size = ui.available_size();
    let (axes, brush) = (choices.axes, choices.brush);
    match scatter::show(ui, theme, view, rows, axes, brush, &lit, size) {
        Some(Asked::Choose(place)) => state.choose_rollout(place),
        Some(Asked::Brush(brush)) => choices.brush = brush,
        None => {}
    }
}
