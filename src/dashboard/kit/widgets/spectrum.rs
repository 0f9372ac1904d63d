//! The eigenvalues of a group's cosine matrix as shares of their sum: how evenly its directions
//! spread.

use crate::dashboard::kit::format;
use crate::dashboard::kit::theme::{Theme, small_font};
use egui::{Align2, Rect, Response, Role, Sense, Ui, WidgetInfo, pos2, vec2};

/// Draws the spectrum over the available width; `effective_rank` is marked.
pub(crate) fn show(
    ui: &mut Ui,
    theme: &Theme,
    spectrum: &[f64],
    effective_rank: f64,
    height: f32,
) -> Response {
    let (rect, response) =
        ui.allocate_exact_size(vec2(ui.available_width(), height), Sense::hover());
    response.widget_info(|| {
        WidgetInfo::labeled(
            Role::GraphicsObject,
            true,
            format!("Spectrum of {} directions", spectrum.len()),
        )
    });
    let plot = rect.shrink2(vec2(8.0, 0.0));
    let painter = ui.painter();
    painter.rect_filled(plot, 0.0, theme.sunken);
    if let Some(&largest) = spectrum.first().filter(|largest| **largest > 0.0) {
        let width = plot.width() / spectrum.len() as f32;
        let gap = if width >= 4.0 { 0.5 } else { 0.0 };
        for (place, &share) in spectrum.iter().enumerate() {
            let left = width.mul_add(place as f32, plot.left());
            let tall = (plot.height() - 2.0) * (share / largest) as f32;
            let bar = Rect::from_min_max(
                pos2(left + gap, plot.bottom() - tall),
                pos2(left + width - gap, plot.bottom()),
            );
            // Directions within the effective rank stand out from the rest.
            let within = (place as f64) + 0.5 < effective_rank;
            painter.rect_filled(bar, 0.0, if within { theme.text_weak } else { theme.missing });
        }
    } else {
        painter.text(
            plot.center(),
            Align2::CENTER_CENTER,
            format::NOT_AVAILABLE,
            small_font(),
            theme.text_weak,
        );
    }
    let place =
        response.hover_pos().filter(|at| plot.contains(*at) && !spectrum.is_empty()).map(|at| {
            let place = (at.x - plot.left()) / plot.width() * spectrum.len() as f32;
            (place as usize).min(spectrum.len() - 1)
        });
    response.on_hover_ui_at_pointer(|ui| {
        ui.set_max_width(340.0);
        ui.label(
            "Eigenvalues of the cosine matrix, largest first, as shares of their sum. Even bars: \
             many directions.",
        );
        if let Some(place) = place {
            ui.label(format!(
                "Direction {} carries {}",
                place + 1,
                format::percent(spectrum[place])
            ));
        }
    })
}
