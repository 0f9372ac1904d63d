//! The geometry of the chosen group: its cosine matrix, the histogram of its pairs, and its
//! numbers.

mod header;
mod numbers;
mod over_time;

use crate::dashboard::kit::geometry::{ColorScale, GroupGeometry, Order, Pair};
use crate::dashboard::kit::text::caption;
use crate::dashboard::kit::textures::MatrixKey;
use crate::dashboard::kit::theme::Theme;
use crate::dashboard::kit::widgets::cosine_matrix::{CosineMatrix, MatrixOutput};
use crate::dashboard::kit::widgets::directions;
use crate::dashboard::kit::{export, format};
use crate::dashboard::panel::{Home, Needs, Panel, PanelContext, Table};
use crate::dashboard::state::run::State;
use crate::dashboard::state::selection::Choice;
use crate::run::{CosineKind, GroupView, StepView};
use egui::{Rect, ScrollArea, Ui, UiBuilder, Vec2, pos2, vec2};

/// Width of the numbers beside the matrix, points.
const SIDE: f32 = 216.0;

/// What stands beside the matrix.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Side {
    /// Histogram, numbers and spectrum.
    #[default]
    Numbers,
    /// The directions as arrows.
    Directions,
    /// The run's cosines over its steps.
    OverTime,
}

/// What the panel shows of a run.
#[derive(Clone, Copy, Default)]
struct Layout {
    side: Side,
    /// Whether everything that can be compared stands side by side.
    side_by_side: bool,
}

/// The panel.
pub(super) struct GeometryPanel;

impl Panel for GeometryPanel {
    fn key(&self) -> &'static str {
        "geometry"
    }

    fn title(&self) -> &'static str {
        "Geometry"
    }

    fn home(&self) -> Home {
        Home::Middle
    }

    fn needs(&self) -> Needs {
        Needs::Group
    }

    fn explains_absence(&self) -> bool {
        true
    }

    fn ui(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>, run: &mut State) {
        let (Some(view), Some(geometry)) = (run.cursor.shown.clone(), run.geometry()) else {
            return;
        };
        if let Some(group) = view.groups.get(run.selection.group) {
            show(ui, cx, run, (&view, group), &geometry);
        }
    }

    fn as_table(&mut self, _cx: &PanelContext<'_>, run: &mut State) -> Table {
        let (Some(geometry), compared) = (run.geometry(), run.compared()) else {
            return Table::default();
        };
        let view = run.cursor.shown.as_ref();
        let Some(group) = view.and_then(|view| view.groups.get(run.selection.group)) else {
            return Table::default();
        };
        let m = geometry.order.len();
        let what = format!("{m} x {m} cosines of group {}", group.group);
        Table { text: csv(group, compared, &geometry.order), what }
    }
}

/// Draws a group of a step.
fn show(
    ui: &mut Ui,
    cx: &mut PanelContext<'_>,
    run: &mut State,
    (view, group): (&StepView, &GroupView),
    geometry: &GroupGeometry,
) {
    let theme = cx.theme;
    let mut layout: Layout = run.notes.get();
    header::show(ui, theme, run, (group.group, view.groups.len()), &mut layout.side_by_side);
    let compared = run.compared();
    if group.cosines[compared].is_empty() {
        ui.add_space(8.0);
        ui.label("This step has no cosines for the group.");
        caption(
            ui,
            theme,
            if compared == CosineKind::Parameter {
                "Gradients over all parameters are computed for the groups that fidelity.groups \
                 counts."
            } else {
                "They are computed where the method needs them or the experiment records geometry."
            },
        );
        run.notes.set(layout);
        return;
    }
    let chosen = run.selection.pair(geometry);
    let shown = Shown {
        group,
        geometry,
        pair: chosen.map(|(pair, _)| pair),
        pinned: matches!(chosen, Some((_, Choice::Pinned))),
        step: view.step,
        order: run.choices.order,
        compared,
        cosine_scales: CosineKind::ALL.map(|of| run.cosine_scale(of)),
        novelty_scale: run.novelty_scale(),
        place: run.selection.group,
    };
    let kinds: Vec<CosineKind> = if layout.side_by_side {
        let kinds = CosineKind::ALL;
        kinds.into_iter().filter(|&kind| !group.cosines[kind].is_empty()).collect()
    } else {
        vec![compared]
    };
    let free = ui.available_rect_before_wrap();
    let (left, right) = split(free, kinds.len());
    let matrix = shown.matrices(ui, cx, &kinds, left);
    let beside = shown.beside(ui, theme, run, &mut layout.side, right);
    run.notes.set(layout);
    ui.advance_cursor_after_rect(free);

    if let Some(step) = beside.step {
        run.cursor.move_to(step);
    }
    // An arrow stands for its completion: it takes the place of the row and leaves the column.
    let with_arrow = |index: usize| Pair { i: index, j: shown.pair.map_or(index, |pair| pair.j) };
    let clicked = matrix.clicked.or(beside.clicked.map(with_arrow));
    let hovered = matrix.hovered.or(beside.hovered.map(with_arrow));
    if let Some(pair) = clicked {
        if run.selection.pinned == Some(pair) { run.selection.unpin() } else { run.pin(pair) }
    } else if hovered.is_some() {
        run.selection.hovered = hovered;
    }
}

/// The cosine matrix of a group in display order, with the completions' indices at its head and
/// side.
fn csv(group: &GroupView, compared: CosineKind, order: &[usize]) -> String {
    let names: Vec<String> = order.iter().map(ToString::to_string).collect();
    let mut text = format!("completion,{}\n", names.join(","));
    for &i in order {
        let row: Vec<String> = order
            .iter()
            .map(|&j| export::number(f64::from(group.cosine(compared, i, j))))
            .collect();
        let line = format!("{i},{}\n", row.join(","));
        text.push_str(&line);
    }
    text
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
    cosine_scales: [ColorScale; 4],
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
    /// Draws a matrix for each of `kinds` into `rect`, in one order, so that a place means the same
    /// pair everywhere.
    fn matrices(
        &self,
        ui: &mut Ui,
        cx: &mut PanelContext<'_>,
        kinds: &[CosineKind],
        rect: Rect,
    ) -> MatrixOutput {
        let theme = cx.theme;
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
                let cosine =
                    self.pair.map_or(f32::NAN, |pair| self.group.cosine(compared, pair.i, pair.j));
                caption(&mut ui, theme, format!("{word} {}", format::signed(f64::from(cosine), 2)));
            }
            let scale = self.cosine_scales[compared as usize];
            let key = MatrixKey {
                step: self.step,
                compared,
                order: self.order,
                clustered: self.compared,
                scale,
            };
            let matrix = CosineMatrix {
                group: self.group,
                compared,
                geometry: self.geometry,
                texture: cx.textures.matrix(ui.ctx(), theme, self.group, self.place, key),
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

    /// Draws numbers, arrows or the run over time into `rect`; numbers and one of the others where
    /// there is room for both.
    fn beside(
        &self,
        ui: &mut Ui,
        theme: &Theme,
        run: &mut State,
        side: &mut Side,
        rect: Rect,
    ) -> Beside {
        let compared = self.compared;
        let scale = self.cosine_scales[compared as usize];
        let marked = self.pair.map(|pair| self.group.cosine(compared, pair.i, pair.j));
        let fidelity = run.fidelity();
        let numbers = |ui: &mut Ui| {
            ScrollArea::vertical().auto_shrink([false, true]).show(ui, |ui| {
                numbers::show(ui, theme, self.geometry, compared, marked, scale, fidelity.as_ref());
            });
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
        match side_choice(&mut ui, side, shows_both) {
            Side::OverTime => done.step = over_time::show(&mut ui, theme, run),
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
    let side =
        |columns: usize| (room.x / columns as f32).min(room.y / count.div_ceil(columns) as f32);
    (1..=count).max_by(|&a, &b| side(a).total_cmp(&side(b)).then(b.cmp(&a))).unwrap_or(1)
}

/// What stands beside the matrix, or beside the numbers where there is room for both.
fn side_choice(ui: &mut Ui, chosen: &mut Side, has_numbers: bool) -> Side {
    let shown = if has_numbers && *chosen == Side::Numbers { Side::Directions } else { *chosen };
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 2.0;
        for (side, name, hint) in [
            (Side::Numbers, "numbers", "Histogram, numbers and spectrum of the group's cosines"),
            (
                Side::Directions,
                "directions",
                "The group's directions as arrows on their two principal axes",
            ),
            (
                Side::OverTime,
                "over time",
                "The cosines of all groups over the steps of the run, as bands",
            ),
        ] {
            let is_offered = side != Side::Numbers || !has_numbers;
            if is_offered && ui.selectable_label(shown == side, name).on_hover_text(hint).clicked()
            {
                *chosen = side;
            }
        }
    });
    shown
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
