//! The geometry of the chosen group: its cosine matrix, the histogram of its pairs, and its numbers.

use super::{Tools, caption, placeholder, title};
use crate::dashboard::derive::{ColorRange, GroupGeometry, Order};
use crate::dashboard::format;
use crate::dashboard::state::{Choice, State};
use crate::dashboard::textures::MatrixKey;
use crate::dashboard::theme::Theme;
use crate::dashboard::widgets::cosine_matrix::CosineMatrix;
use crate::dashboard::widgets::quantity::{self, Meaning};
use crate::dashboard::widgets::{fidelity_bars, histogram, spectrum};
use crate::experiment::FidelityRecord;
use crate::metrics::{self, Better};
use crate::trainer::Compared;
use egui::{Align, Layout, Rect, ScrollArea, Ui, UiBuilder, pos2, vec2};
use std::sync::Arc;

/// Width of the numbers beside the matrix, points.
const SIDE: f32 = 216.0;

/// Draws the panel.
pub(crate) fn show(ui: &mut Ui, tools: &mut Tools<'_>, state: &mut State) {
    let theme = tools.theme;
    let (Some(view), Some(geometry)) = (state.shown.as_ref().map(Arc::clone), state.geometry()) else {
        title(ui, theme, "Geometry");
        placeholder(ui, theme, state, "The shown step has no groups.");
        return;
    };
    let Some(group) = view.groups.get(state.group) else { return };
    header(ui, theme, state, view.groups.len());
    let compared = state.compared();
    if group.cosines(compared).is_empty() {
        ui.add_space(8.0);
        ui.label("This step has no cosines for the group.");
        caption(
            ui,
            theme,
            if compared == Compared::Parameters {
                "Gradients over all parameters are computed for the groups that fidelity.groups counts."
            } else {
                "They are computed where the method needs them or the experiment records geometry."
            },
        );
        return;
    }
    let range = state.range();
    let key = MatrixKey { step: view.step, compared, order: state.order, range };
    let texture = tools.textures.matrix(ui.ctx(), theme, group, state.group, key);
    let chosen = state.pair(&geometry);
    let matrix = CosineMatrix {
        group,
        compared,
        geometry: &geometry,
        texture,
        range,
        pair: chosen.map(|(pair, _)| pair),
        pinned: matches!(chosen, Some((_, Choice::Pinned))),
    };
    let free = ui.available_rect_before_wrap();
    // The numbers stand beside the matrix where there is room, else below it.
    let is_wide = free.width() >= SIDE + 220.0;
    let (left, right) = if is_wide {
        let side = (free.width() - SIDE - 12.0).min(free.height() + 16.0);
        let split = free.left() + side;
        (
            Rect::from_min_max(free.min, pos2(split, free.bottom())),
            Rect::from_min_max(
                pos2(split + 12.0, free.top()),
                pos2(free.right().min(split + 12.0 + 720.0), free.bottom()),
            ),
        )
    } else {
        let split = free.top() + free.width().min(0.62 * free.height());
        (
            Rect::from_min_max(free.min, pos2(free.right(), split)),
            Rect::from_min_max(pos2(free.left(), split + 8.0), free.max),
        )
    };
    let mut beside = ui.new_child(UiBuilder::new().max_rect(left).id_salt("matrix"));
    let output = matrix.show(&mut beside, theme, left.size());
    let marked = matrix.pair.map(|pair| group.cosine(compared, pair.i, pair.j));
    let mut beside = ui.new_child(UiBuilder::new().max_rect(right).id_salt("numbers"));
    let fidelity = state.fidelity();
    ScrollArea::vertical()
        .show(&mut beside, |ui| numbers(ui, theme, &geometry, compared, marked, range, fidelity.as_ref()));
    ui.advance_cursor_after_rect(free);

    if let Some(pair) = output.clicked {
        if state.pinned == Some(pair) { state.unpin() } else { state.pin(pair) }
    } else if output.hovered.is_some() {
        state.hovered = output.hovered;
    }
}

fn header(ui: &mut Ui, theme: &Theme, state: &mut State, groups: usize) {
    ui.horizontal(|ui| {
        let has_choice = state.has(Compared::Meanings) || state.has(Compared::Parameters);
        let is_wide = ui.available_width() >= if has_choice { 720.0 } else { 560.0 };
        let text = match state.compared() {
            _ if !is_wide => "Cosines",
            Compared::Directions => "Cosines between gradient directions",
            Compared::Meanings => "Cosines between embeddings",
            Compared::Parameters => "Cosines between parameter gradients",
        };
        title(ui, theme, text)
            .on_hover_text("Rows and columns are the group's completions; a cell is the cosine of two of them");
        let place = format!("group {} of {groups}", state.group + 1);
        if ui.available_width() >= 360.0 {
            caption(ui, theme, place);
        }
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            ui.spacing_mut().item_spacing.x = 2.0;
            // Laid out from the right, so in reverse.
            let fitted =
                "The colours' ends are the smallest of ±0.1, ±0.25, ±0.5 and ±1 that holds every pair of the step";
            ui.selectable_value(&mut state.color_range, ColorRange::Fitted, "fitted").on_hover_text(fitted);
            let full = "The colours' ends are −1 and +1";
            ui.selectable_value(&mut state.color_range, ColorRange::Full, "±1").on_hover_text(full);
            caption(ui, theme, "colours");
            ui.add_space(8.0);
            let by_reward = "Rows and columns by reward, highest first";
            ui.selectable_value(&mut state.order, Order::Reward, "reward").on_hover_text(by_reward);
            let by_index = "Rows and columns as sampled";
            ui.selectable_value(&mut state.order, Order::Index, "index").on_hover_text(by_index);
            caption(ui, theme, "order");
            if has_choice {
                ui.add_space(8.0);
                if state.has(Compared::Parameters) {
                    let truth =
                        "Cosines between gradients over all parameters: what the gradient directions stand in for";
                    ui.selectable_value(&mut state.comparison, Compared::Parameters, "true").on_hover_text(truth);
                }
                if state.has(Compared::Meanings) {
                    let semantic = "Cosines between sentence embeddings: whether completions say the same";
                    ui.selectable_value(&mut state.comparison, Compared::Meanings, "semantic").on_hover_text(semantic);
                }
                let gradient = "Cosines between gradient directions: whether completions push the policy the same way";
                ui.selectable_value(&mut state.comparison, Compared::Directions, "gradient").on_hover_text(gradient);
            }
        });
    });
}

fn numbers(
    ui: &mut Ui,
    theme: &Theme,
    geometry: &GroupGeometry,
    compared: Compared,
    marked: Option<f32>,
    range: f32,
    fidelity: Option<&FidelityRecord>,
) {
    let below = fidelity.map_or(0.0, fidelity_bars::height);
    let height = ui.available_height() - below;
    ui.spacing_mut().item_spacing = vec2(8.0, 4.0);
    caption(ui, theme, format!("Pairs by cosine, colours end at ±{range}"));
    let free = height - 176.0;
    let chart = (0.62 * free).clamp(64.0, 300.0);
    histogram::show(ui, theme, &geometry.histogram, marked, range, chart);
    ui.add_space(4.0);
    let of_group = |name, metric: &'static metrics::Metric| Meaning { place: "", ..Meaning::of(name, metric) };
    let truth = Meaning {
        name: "Mean cosine",
        help: "Mean cosine between the gradients of this group's completions over all parameters.",
        unit: "",
        better: Better::Neither,
        place: "",
    };
    let mean = match compared {
        Compared::Directions => of_group("Mean cosine", &metrics::GEOMETRY_COSINE_MEAN),
        Compared::Meanings => of_group("Mean cosine", &metrics::SEMANTIC_COSINE_MEAN),
        Compared::Parameters => truth,
    };
    quantity::row(ui, theme, mean, &format::signed(geometry.mean, 3));
    let negative = of_group("Negative pairs", &metrics::GEOMETRY_NEGATIVE_RATIO);
    quantity::row(ui, theme, negative, &format::percent(geometry.negative));
    let orthogonal = of_group("Near-orthogonal pairs", &metrics::GEOMETRY_ORTHOGONAL_RATIO);
    quantity::row(ui, theme, orthogonal, &format::percent(geometry.orthogonal));
    let rank = Meaning {
        name: "Effective rank",
        help: "exp(entropy of the normalised eigenvalues of this group's cosine matrix): how many directions it spans.",
        unit: "",
        better: Better::Higher,
        place: "",
    };
    let of = if geometry.effective_rank.is_finite() { format!(" of {}", geometry.order.len()) } else { String::new() };
    quantity::row(ui, theme, rank, &format!("{}{of}", format::number(geometry.effective_rank, 1)));
    ui.add_space(4.0);
    caption(ui, theme, "Spectrum");
    spectrum::show(ui, theme, &geometry.spectrum, geometry.effective_rank, (0.38 * free).clamp(32.0, 180.0));
    if let Some(fidelity) = fidelity {
        ui.add_space(4.0);
        fidelity_bars::show(ui, theme, fidelity);
    }
}
