//! A group as a small multiple: its cosine matrix without labels, and how many of its rollouts are
//! correct.

use crate::dashboard::kit::format;
use crate::dashboard::kit::theme::{Theme, small_font};
use crate::dashboard::kit::widgets::marks;
use crate::run::{CosineKind, GroupView};
use egui::{
    Color32, Rect, Response, Role, Sense, Stroke, StrokeKind, TextureId, Ui, Vec2, WidgetInfo,
    pos2, vec2,
};

/// Height of the line under the matrix, points.
pub(crate) const CAPTION: f32 = 20.0;
/// Room around the matrix, both sides together, points.
pub(crate) const MARGIN: f32 = 8.0;

/// Draws the tile with a matrix of side `side`.
pub(crate) fn show(
    ui: &mut Ui,
    theme: &Theme,
    group: &GroupView,
    compared: CosineKind,
    texture: TextureId,
    side: f32,
    selected: bool,
) -> Response {
    let (rect, response) =
        ui.allocate_exact_size(vec2(side + MARGIN, side + MARGIN + CAPTION), Sense::click());
    let correct = group.correct();
    let m = group.rollouts.len();
    let label = format!(
        "Group {}, {correct} of {m} correct: {}",
        group.group,
        format::one_line(&group.prompt, 80)
    );
    response.widget_info(|| WidgetInfo::selected(Role::Button, true, selected, &label));
    if ui.is_rect_visible(rect) {
        let painter = ui.painter();
        if selected || response.hovered() {
            painter.rect_filled(rect, 3.0, if selected { theme.hovered } else { theme.raised });
        }
        let matrix = Rect::from_min_size(rect.min + Vec2::splat(MARGIN / 2.0), Vec2::splat(side));
        // Cells without a cosine are transparent: the hatching shows through.
        painter.rect_filled(matrix, 0.0, theme.sunken);
        let cosines = &group.cosines[compared];
        if cosines.is_empty() || cosines.iter().any(|cosine| !cosine.is_finite()) {
            marks::paint_hatching(painter, matrix, 5.0, Stroke::new(1.0, theme.missing));
        }
        if !cosines.is_empty() {
            painter.image(
                texture,
                matrix,
                Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0)),
                Color32::WHITE,
            );
        }
        if selected || response.has_focus() {
            painter.rect_stroke(rect, 3.0, Stroke::new(1.5, theme.focus), StrokeKind::Inside);
        }
        let line = pos2(matrix.left(), matrix.bottom() + CAPTION / 2.0);
        let number = painter.layout_no_wrap(group.group.to_string(), small_font(), theme.text_weak);
        painter.galley(pos2(line.x, line.y - number.size().y / 2.0), number, theme.text_weak);
        // All wrong and all right say that base rewards teach nothing: drawn weaker than a mixed
        // group.
        let color = if correct == 0 || correct == m { theme.text_weak } else { theme.text_strong };
        let count = painter.layout_no_wrap(format!("{correct}/{m}"), small_font(), color);
        painter.galley(
            pos2(matrix.right() - count.size().x, line.y - count.size().y / 2.0),
            count,
            color,
        );
    }
    response.on_hover_ui(|ui| {
        ui.set_max_width(340.0);
        ui.label(egui::RichText::new(format!("Group {}", group.group)).color(theme.text_strong));
        ui.label(egui::RichText::new(group.prompt.trim()).monospace());
        ui.label(format!("{correct} of {m} rollouts correct"));
        if m > 0 && (correct == 0 || correct == m) {
            ui.label(
                egui::RichText::new("Equal base rewards: only shaping gives this group a signal")
                    .small()
                    .color(theme.text_weak),
            );
        }
    })
}
