//! Proxy fidelity by part of the network: a bar of Pearson's correlation for each.

use crate::dashboard::kit::format;
use crate::dashboard::kit::theme::{Theme, small_font};
use crate::dashboard::kit::widgets::quantity::Meaning;
use crate::metrics::Better;
use crate::run::{BlockFidelity, FidelityRecord};
use crate::stages::metrics;
use egui::{Align2, Rect, RichText, Role, Sense, Ui, WidgetInfo, pos2, vec2};

/// Height of one bar, points.
const ROW: f32 = 14.0;

/// Height of the caption and the space around, points.
const HEAD: f32 = 26.0;

/// How much room [`show`] takes, points.
pub(crate) fn height(record: &FidelityRecord) -> f32 {
    HEAD + ROW * record.blocks.len() as f32
}

/// Draws a caption and a bar for every part; negative correlations go to the left of the zero line.
pub(crate) fn show(ui: &mut Ui, theme: &Theme, record: &FidelityRecord) {
    let meaning = Meaning {
        place: "fidelity.jsonl",
        ..Meaning::of("Proxy fidelity", &metrics::FIDELITY_PEARSON)
    };
    let caption = format!("Proxy fidelity, step {}, {} pairs", record.step, record.pairs);
    meaning.on(ui.label(RichText::new(caption).small().color(theme.text_weak)), theme);
    ui.spacing_mut().item_spacing.y = 0.0;
    for block in &record.blocks {
        bar(ui, theme, block);
    }
}

fn bar(ui: &mut Ui, theme: &Theme, block: &BlockFidelity) {
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), ROW), Sense::hover());
    let value = block
        .pearson
        .map_or_else(|| format::NOT_AVAILABLE.to_string(), |value| format::signed(value, 2));
    response.widget_info(|| {
        WidgetInfo::labeled(
            Role::GraphicsObject,
            true,
            format!("Fidelity of {}: {value}", block.block),
        )
    });
    let painter = ui.painter();
    let name = if block.block == "all" { "all parameters" } else { &block.block };
    let color = if block.block == "all" { theme.text_strong } else { theme.text_weak };
    painter.text(rect.left_center(), Align2::LEFT_CENTER, name, small_font(), color);
    painter.text(
        rect.right_center(),
        Align2::RIGHT_CENTER,
        &value,
        small_font(),
        theme.text_strong,
    );
    let track = Rect::from_min_max(
        pos2(rect.left() + 92.0, rect.top() + 3.0),
        pos2(rect.right() - 40.0, rect.bottom() - 3.0),
    );
    if track.width() > 8.0 {
        painter.rect_filled(track, 0.0, theme.sunken);
        let at = |correlation: f32| track.left() + track.width() * (correlation + 1.0) / 2.0;
        if let Some(value) = block.pearson {
            let (zero, end) = (at(0.0), at(value as f32));
            let filled = Rect::from_min_max(
                pos2(zero.min(end), track.top()),
                pos2(zero.max(end), track.bottom()),
            );
            painter.rect_filled(
                filled,
                0.0,
                if block.block == "all" { theme.text_strong } else { theme.text_weak },
            );
        }
        painter.vline(at(0.0), track.y_range(), egui::Stroke::new(1.0, theme.text_weak));
    }
    let help = "Correlation, over pairs of completions, of the cosines of gradient directions with \
                the cosines of the gradients of these parameters.";
    let meaning = Meaning { name, help, unit: "", better: Better::Higher, place: "fidelity.jsonl" };
    response.on_hover_ui(|ui| {
        meaning.show(ui, theme);
        let number = |value: Option<f64>| {
            value.map_or_else(|| format::NOT_AVAILABLE.to_string(), |v| format::signed(v, 3))
        };
        ui.label(format!(
            "Pearson {}, Spearman {}, mean cosine {}",
            number(block.pearson),
            number(block.spearman),
            number(block.cosine_mean)
        ));
    });
}
