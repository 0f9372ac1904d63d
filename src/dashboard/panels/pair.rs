//! The pair panel: the texts of two rollouts and what is known about each.

use super::{Tools, caption, placeholder, title};
use crate::dashboard::format;
use crate::dashboard::state::{Choice, State};
use crate::dashboard::theme::Theme;
use crate::dashboard::widgets::rollout_card;
use crate::trainer::{Compared, GroupView};
use egui::{Align, Layout, RichText, ScrollArea, Sense, TextStyle, Ui, vec2};
use std::sync::Arc;

/// From this width on the two completions stand beside each other, points.
const BESIDE: f32 = 640.0;

/// Draws the panel.
pub(crate) fn show(ui: &mut Ui, tools: &Tools<'_>, state: &mut State) {
    let theme = tools.theme;
    let view = state.shown.as_ref().map(Arc::clone);
    let geometry = state.geometry();
    let group = view.as_ref().and_then(|view| view.groups.get(state.group));
    let (Some(group), Some(geometry)) = (group, geometry) else {
        title(ui, theme, "Pair");
        placeholder(ui, theme, state, "The two texts of a pair appear here.");
        return;
    };
    let Some((pair, choice)) = state.pair(&geometry) else {
        title(ui, theme, "Pair");
        prompt(ui, theme, group);
        if let Some(rollout) = group.rollouts.first() {
            rollout_card::show(ui, theme, "i", 0, rollout, ui.available_height());
        } else {
            caption(ui, theme, "The group has no rollouts.");
        }
        return;
    };
    let compared = state.compared();
    let cosine = group.cosine(compared, pair.i, pair.j);
    ui.horizontal(|ui| {
        title(ui, theme, &format!("Pair {}, {}", pair.i, pair.j));
        let (swatch, _) = ui.allocate_exact_size(vec2(10.0, 10.0), Sense::hover());
        if let Some(color) = theme.cosine(cosine, state.range()) {
            ui.painter().rect(swatch, 1.0, color, egui::Stroke::new(1.0, theme.text_weak), egui::StrokeKind::Inside);
        }
        ui.label(RichText::new(format!("cos {}", format::signed(f64::from(cosine), 3))).color(theme.text_strong))
            .on_hover_text(match compared {
                Compared::Directions => {
                    "Cosine between the gradient directions Φ of the two completions, from −1 to +1"
                }
                Compared::Meanings => "Cosine between the sentence embeddings of the two completions, from −1 to +1",
                Compared::Parameters => {
                    "Cosine between the gradients of the two completions over all parameters, from −1 to +1"
                }
            });
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| match choice {
            Choice::Pinned => {
                if ui.button("Unpin").on_hover_text("Let go of the pair (Escape)").clicked() {
                    state.unpin();
                }
            }
            Choice::Hovered => {
                caption(ui, theme, "click pins");
            }
            Choice::Lowest => {
                caption(ui, theme, "lowest cosine of the group");
            }
        });
    });
    prompt(ui, theme, group);
    let rollouts = [("i", pair.i), ("j", pair.j)];
    let width = ui.available_width();
    if pair.i == pair.j {
        if let Some(rollout) = group.rollouts.get(pair.i) {
            rollout_card::show(ui, theme, "i, j", pair.i, rollout, ui.available_height());
        }
    } else if width >= BESIDE {
        let height = ui.available_height();
        ui.columns_const(|columns: &mut [Ui; 2]| {
            for (ui, (axis, index)) in columns.iter_mut().zip(rollouts) {
                if let Some(rollout) = group.rollouts.get(index) {
                    rollout_card::show(ui, theme, axis, index, rollout, height);
                }
            }
        });
    } else {
        let height = (ui.available_height() - 6.0) / 2.0;
        ui.spacing_mut().item_spacing.y = 6.0;
        for (axis, index) in rollouts {
            if let Some(rollout) = group.rollouts.get(index) {
                ui.push_id(axis, |ui| rollout_card::show(ui, theme, axis, index, rollout, height));
            }
        }
    }
}

/// The prompt, at most a few lines of it without scrolling, and what would be right.
fn prompt(ui: &mut Ui, theme: &Theme, group: &GroupView) {
    ScrollArea::vertical().id_salt("prompt").max_height(64.0).auto_shrink([false, true]).show(ui, |ui| {
        let text = RichText::new(group.prompt.trim_end()).text_style(TextStyle::Monospace).color(theme.text_strong);
        ui.add(egui::Label::new(text).wrap());
    });
    ui.horizontal(|ui| {
        ui.label(RichText::new("Right would be").color(theme.text_weak));
        let answer = RichText::new(format::one_line(&group.answer, 200)).monospace();
        ui.add(egui::Label::new(answer).truncate());
    });
}
