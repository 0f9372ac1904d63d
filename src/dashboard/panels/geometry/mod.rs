//! The geometry of the chosen group: its cosine matrix, the histogram of its pairs, and its numbers.

mod over_time;

use crate::dashboard::kit::format;
use crate::dashboard::kit::geometry::{ColorRange, ColorScale, GroupGeometry, Order, Pair};
use crate::dashboard::kit::text::{caption, title};
use crate::dashboard::kit::textures::MatrixKey;
use crate::dashboard::kit::theme::Theme;
use crate::dashboard::kit::trailing::Trailing;
use crate::dashboard::kit::widgets::cosine_matrix::{CosineMatrix, MatrixOutput};
use crate::dashboard::kit::widgets::quantity;
use crate::dashboard::kit::widgets::quantity::Meaning;
use crate::dashboard::kit::widgets::{directions, fidelity_bars, histogram, spectrum};
use crate::dashboard::panels::{Tools, placeholder};
use crate::dashboard::state::run::{Choice, Side, State};
use crate::metrics::{Better, Metric};
use crate::run::{CosineKind, FidelityRecord, GroupView};
use crate::stages::metrics;
use egui::{Rect, ScrollArea, Ui, UiBuilder, Vec2, pos2, vec2};
use std::sync::Arc;

/// Where a group's numbers come from.
const FOLDER: &str = "geometry/, as the group's matrix of cosines";
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
    header(ui, theme, state, group.group, view.groups.len());
    let compared = state.compared();
    if group.cosines[compared].is_empty() {
        ui.add_space(8.0);
        ui.label("This step has no cosines for the group.");
        caption(
            ui,
            theme,
            if compared == CosineKind::Parameter {
                "Gradients over all parameters are computed for the groups that fidelity.groups counts."
            } else {
                "They are computed where the method needs them or the experiment records geometry."
            },
        );
        return;
    }
    let chosen = state.pair(&geometry);
    let shown = Shown {
        group,
        geometry: &geometry,
        pair: chosen.map(|(pair, _)| pair),
        pinned: matches!(chosen, Some((_, Choice::Pinned))),
        step: view.step,
        order: state.order,
        compared,
        cosine_scales: CosineKind::ALL.map(|of| state.cosine_scale(of)),
        novelty_scale: state.novelty_scale(),
        place: state.group,
    };
    let kinds: Vec<CosineKind> = if state.side_by_side {
        let kinds = CosineKind::ALL;
        kinds.into_iter().filter(|&kind| !group.cosines[kind].is_empty()).collect()
    } else {
        vec![compared]
    };
    let free = ui.available_rect_before_wrap();
    let (left, right) = split(free, kinds.len());
    let matrix = shown.matrices(ui, tools, &kinds, left);
    let beside = shown.beside(ui, tools, state, right);
    ui.advance_cursor_after_rect(free);

    if let Some(step) = beside.step {
        state.move_to(step);
    }
    // An arrow stands for its completion: it takes the place of the row and leaves the column.
    let with_arrow = |index: usize| Pair { i: index, j: shown.pair.map_or(index, |pair| pair.j) };
    let clicked = matrix.clicked.or(beside.clicked.map(with_arrow));
    let hovered = matrix.hovered.or(beside.hovered.map(with_arrow));
    if let Some(pair) = clicked {
        if state.pinned == Some(pair) { state.unpin() } else { state.pin(pair) }
    } else if hovered.is_some() {
        state.hovered = hovered;
    }
}

/// Where the matrices are and what stands beside them, where there is room, else below them.
fn split(free: Rect, matrices: usize) -> (Rect, Rect) {
    if free.width() >= SIDE + 220.0 {
        let side = (free.width() - SIDE - 12.0).min((free.height() + 32.0) * matrices as f32);
        let split = free.left() + side;
        let end = free.right().min(split + 12.0 + 720.0);
        (
            Rect::from_min_max(free.min, pos2(split, free.bottom())),
            Rect::from_min_max(pos2(split + 12.0, free.top()), pos2(end, free.bottom())),
        )
    } else {
        let split = free.top() + free.width().min(0.62 * free.height());
        (
            Rect::from_min_max(free.min, pos2(free.right(), split)),
            Rect::from_min_max(pos2(free.left(), split + 8.0), free.max),
        )
    }
}

/// The group that is shown.
struct Shown<'a> {
    group: &'a GroupView,
    geometry: &'a GroupGeometry,
    pair: Option<Pair>,
    pinned: bool,
    step: u64,
    order: Order,
    /// What the shown cosines compare.
    compared: CosineKind,
    /// What the colours of every kind of cosine stand for.
    cosine_scales: [ColorScale; 3],
    novelty_scale: ColorScale,
    /// The group's place in the step.
    place: usize,
}

/// What the pointer did beside the matrix.
#[derive(Default)]
struct Beside {
    /// The completion whose arrow is under the pointer.
    hovered: Option<usize>,
    /// The completion whose arrow was clicked.
    clicked: Option<usize>,
    /// The step that was clicked.
    step: Option<u64>,
}

impl Shown<'_> {
    /// Draws a matrix for each of `kinds` into `rect`, in one order, so that a place means the same pair everywhere.
    fn matrices(&self, ui: &mut Ui, tools: &mut Tools<'_>, kinds: &[CosineKind], rect: Rect) -> MatrixOutput {
        let theme = tools.theme;
        let mut done = MatrixOutput { hovered: None, clicked: None };
        let columns = columns(kinds.len(), rect.size());
        let cell = rect.size() / vec2(columns as f32, kinds.len().div_ceil(columns) as f32);
        for (place, &compared) in kinds.iter().enumerate() {
            let head = if kinds.len() > 1 { 16.0 } else { 0.0 };
            let at = vec2((place % columns) as f32, (place / columns) as f32);
            let part = Rect::from_min_size(rect.min + at * cell, cell - vec2(4.0, 0.0));
            let mut ui = ui.new_child(UiBuilder::new().max_rect(part).id_salt(("matrix", place)));
            if kinds.len() > 1 {
                ui.spacing_mut().item_spacing.y = 0.0;
                let word = compared.name();
                let cosine = self.pair.map_or(f32::NAN, |pair| self.group.cosine(compared, pair.i, pair.j));
                caption(&mut ui, theme, format!("{word} {}", format::signed(f64::from(cosine), 2)));
            }
            let scale = self.cosine_scales[compared as usize];
            let key = MatrixKey { step: self.step, compared, order: self.order, clustered: self.compared, scale };
            let matrix = CosineMatrix {
                group: self.group,
                compared,
                geometry: self.geometry,
                texture: tools.textures.matrix(ui.ctx(), theme, self.group, self.place, key),
                scale,
                novelty_scale: self.novelty_scale,
                pair: self.pair,
                pinned: self.pinned,
            };
            let output = matrix.show(&mut ui, theme, part.size() - vec2(0.0, head));
            done.clicked = done.clicked.or(output.clicked);
            done.hovered = done.hovered.or(output.hovered);
        }
        done
    }

    /// Draws numbers, arrows or the run over time into `rect`; numbers and one of the others where there is room for both.
    fn beside(&self, ui: &mut Ui, tools: &Tools<'_>, state: &mut State, rect: Rect) -> Beside {
        let theme = tools.theme;
        let compared = self.compared;
        let scale = self.cosine_scales[compared as usize];
        let marked = self.pair.map(|pair| self.group.cosine(compared, pair.i, pair.j));
        let fidelity = state.fidelity();
        let numbers = |ui: &mut Ui| {
            ScrollArea::vertical()
                .auto_shrink([false, true])
                .show(ui, |ui| numbers(ui, theme, self.geometry, compared, marked, scale, fidelity.as_ref()));
        };
        let shows_both = rect.width() >= 2.0 * SIDE + 24.0 && rect.height() >= SIDE;
        let mut rest = rect;
        if shows_both {
            let part = Rect::from_min_size(rect.min, vec2(SIDE, rect.height()));
            numbers(&mut ui.new_child(UiBuilder::new().max_rect(part).id_salt("numbers")));
            rest.min.x += SIDE + 12.0;
        }
        let mut ui = ui.new_child(UiBuilder::new().max_rect(rest).id_salt("beside the matrix"));
        let mut done = Beside::default();
        match side_choice(&mut ui, state, shows_both) {
            Side::OverTime => done.step = over_time::show(&mut ui, tools, state),
            Side::Numbers => numbers(&mut ui),
            Side::Directions => (done.hovered, done.clicked) = self.directions(&mut ui, theme),
        }
        done
    }

    /// Draws the arrows; returns the completion under the pointer and the one that was clicked.
    fn directions(&self, ui: &mut Ui, theme: &Theme) -> (Option<usize>, Option<usize>) {
        let room = ui.available_rect_before_wrap();
        let absence = match &self.geometry.projection {
            Some(projection) if directions::fits(room) => {
                let side = room.width().min(room.height());
                return directions::show(ui, theme, self.group, projection, self.pair, side);
            }
            Some(_) => "Make the panel larger to see them.",
            None => "A cosine of the group is missing, so there is no projection.",
        };
        caption(ui, theme, absence);
        (None, None)
    }
}

/// In how many columns `count` squares are largest within `room`.
fn columns(count: usize, room: Vec2) -> usize {
    let side = |columns: usize| (room.x / columns as f32).min(room.y / count.div_ceil(columns) as f32);
    (1..=count).max_by(|&a, &b| side(a).total_cmp(&side(b)).then(b.cmp(&a))).unwrap_or(1)
}

/// What stands beside the matrix, or beside the numbers where there is room for both.
fn side_choice(ui: &mut Ui, state: &mut State, has_numbers: bool) -> Side {
    let shown = if has_numbers && state.side == Side::Numbers { Side::Directions } else { state.side };
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 2.0;
        for (side, name, hint) in [
            (Side::Numbers, "numbers", "Histogram, numbers and spectrum of the group's cosines"),
            (Side::Directions, "directions", "The group's directions as arrows on their two principal axes"),
            (Side::OverTime, "over time", "The cosines of all groups over the steps of the run, as bands"),
        ] {
            let is_offered = side != Side::Numbers || !has_numbers;
            if is_offered && ui.selectable_label(shown == side, name).on_hover_text(hint).clicked() {
                state.side = side;
            }
        }
    });
    shown
}

fn header(ui: &mut Ui, theme: &Theme, state: &mut State, number: u32, groups: usize) {
    let has_choice = state.has(CosineKind::Semantic) || state.has(CosineKind::Parameter);
    let width = ui.available_width();
    if width < if has_choice { 600.0 } else { 380.0 } {
        // The choices alone, in as many lines as they need.
        ui.horizontal_wrapped(|ui| choices(ui, theme, state, has_choice));
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
        };
        title(ui, theme, text)
            .on_hover_text("Rows and columns are the group's completions; a cell is the cosine of two of them");
        if ui.available_width() >= if has_choice { 700.0 } else { 360.0 } {
            caption(ui, theme, format!("group {number} of {groups}"))
                .on_hover_text("Groups are counted from 0, as in the run folder");
        }
        end.show(ui, |ui| choices(ui, theme, state, has_choice));
    });
}

/// What is compared, in which order and colours.
fn choices(ui: &mut Ui, theme: &Theme, state: &mut State, has_choice: bool) {
    ui.spacing_mut().item_spacing.x = 2.0;
    if has_choice {
        let gradient = "Cosines between features, the gradient directions at the last layer: whether completions push the policy the same way";
        ui.selectable_value(&mut state.comparison, CosineKind::Feature, CosineKind::Feature.name())
            .on_hover_text(gradient);
        if state.has(CosineKind::Semantic) {
            let semantic = "Cosines between sentence embeddings: whether completions say the same";
            ui.selectable_value(&mut state.comparison, CosineKind::Semantic, CosineKind::Semantic.name())
                .on_hover_text(semantic);
        }
        if state.has(CosineKind::Parameter) {
            let truth = "Cosines between gradients with respect to all parameters: what the features stand in for";
            ui.selectable_value(&mut state.comparison, CosineKind::Parameter, CosineKind::Parameter.name())
                .on_hover_text(truth);
        }
        ui.toggle_value(&mut state.side_by_side, "all")
            .on_hover_text("Everything that can be compared, side by side with one order");
        ui.add_space(8.0);
    }
    caption(ui, theme, "order");
    let by_cluster = "Rows and columns by clusters of like directions (average linkage of the cosines)";
    ui.selectable_value(&mut state.order, Order::Cluster, "cluster").on_hover_text(by_cluster);
    let by_index = "Rows and columns as sampled";
    ui.selectable_value(&mut state.order, Order::Index, "index").on_hover_text(by_index);
    let by_reward = "Rows and columns by reward, highest first";
    ui.selectable_value(&mut state.order, Order::Reward, "reward").on_hover_text(by_reward);
    ui.add_space(8.0);
    caption(ui, theme, "colours");
    let full = "The colours' ends are −1 and +1, those of novelties 0 and 1";
    ui.selectable_value(&mut state.color_range, ColorRange::Full, "±1").on_hover_text(full);
    let fitted = "The colours' ends are the smallest of ±0.1, ±0.25, ±0.5 and ±1 that holds every pair of the step; of \
                  embeddings and novelties, the range of the step's values";
    ui.selectable_value(&mut state.color_range, ColorRange::Fitted, "fitted").on_hover_text(fitted);
}

fn numbers(
    ui: &mut Ui,
    theme: &Theme,
    geometry: &GroupGeometry,
    compared: CosineKind,
    marked: Option<f32>,
    scale: ColorScale,
    fidelity: Option<&FidelityRecord>,
) {
    // The scroll bar has room of its own.
    ui.set_max_width(ui.available_width() - 10.0);
    let below = fidelity.map_or(0.0, fidelity_bars::height);
    let height = ui.available_height() - below;
    ui.spacing_mut().item_spacing = vec2(8.0, 4.0);
    caption(ui, theme, format!("Pairs by cosine, colours {}", scale.name()));
    let free = height - 176.0;
    let chart = (0.62 * free).clamp(64.0, 300.0);
    histogram::show(ui, theme, &geometry.histogram, marked, scale, chart);
    ui.add_space(4.0);
    let of_group = |name, metric: &'static Metric| Meaning { place: FOLDER, ..Meaning::of(name, metric) };
    let truth = Meaning {
        name: "Mean cosine",
        help: "Mean cosine between the gradients of this group's completions over all parameters.",
        unit: "",
        better: Better::Neither,
        place: FOLDER,
    };
    let mean = match compared {
        CosineKind::Feature => of_group("Mean cosine", &metrics::GEOMETRY_COSINE_MEAN),
        CosineKind::Semantic => of_group("Mean cosine", &metrics::SEMANTIC_COSINE_MEAN),
        CosineKind::Parameter => truth,
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
        place: FOLDER,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matrices_stand_where_they_are_largest() {
        assert_eq!(columns(1, vec2(400.0, 400.0)), 1);
        assert_eq!(columns(3, vec2(430.0, 400.0)), 2);
        assert_eq!(columns(3, vec2(1200.0, 400.0)), 3);
        assert_eq!(columns(2, vec2(200.0, 500.0)), 1);
    }
}
