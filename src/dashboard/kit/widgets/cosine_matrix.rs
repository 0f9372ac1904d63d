//! The cosine matrix of a group: rows and columns are rollouts, with index, verdict and novelty at
//! the margins.

use crate::dashboard::kit::format;
use crate::dashboard::kit::geometry::{ColorScale, GroupGeometry, Pair};
use crate::dashboard::kit::theme::{Theme, small_font};
use crate::dashboard::kit::widgets::marks;
use crate::run::{CosineKind, GroupView};
use egui::epaint::TextShape;
use egui::{
    Color32, CursorIcon, Painter, Pos2, Rect, Response, Role, Sense, Stroke, StrokeKind, TextureId,
    Ui, Vec2, WidgetInfo, pos2, vec2,
};

/// Room for row labels, points.
const LEFT: f32 = 32.0;
/// Room for column labels, points.
const TOP: f32 = 30.0;
/// Room for the novelty of each row and for the word, points.
const RIGHT: f32 = 30.0;
/// Width of the novelty of a row, points.
const STRIP: f32 = 10.0;
/// From this cell size on, verdicts are marks; below, bars.
const MARK_CELL: f32 = 8.0;
/// From this cell size on, cells carry their value.
const VALUE_CELL: f32 = 30.0;

/// What the matrix draws.
pub(crate) struct CosineMatrix<'a> {
    /// The group.
    pub(crate) group: &'a GroupView,
    /// What its cosines compare.
    pub(crate) compared: CosineKind,
    /// Its geometry, for the order.
    pub(crate) geometry: &'a GroupGeometry,
    /// One pixel per cell, in display order.
    pub(crate) texture: TextureId,
    /// What the colours of cosines stand for.
    pub(crate) scale: ColorScale,
    /// What the colours of novelties stand for.
    pub(crate) novelty_scale: ColorScale,
    /// The pair that the other panels show.
    pub(crate) pair: Option<Pair>,
    /// Whether that pair is pinned.
    pub(crate) pinned: bool,
}

/// What the pointer did.
pub(crate) struct MatrixOutput {
    /// The pair under the pointer.
    pub(crate) hovered: Option<Pair>,
    /// The pair that was clicked.
    pub(crate) clicked: Option<Pair>,
}

impl CosineMatrix<'_> {
    /// Draws the matrix as large as fits into `size`, at its upper left corner.
    pub(crate) fn show(&self, ui: &mut Ui, theme: &Theme, size: Vec2) -> MatrixOutput {
        let m = self.geometry.order.len().max(1);
        let free = (size.x - LEFT - RIGHT).min(size.y - TOP).max(40.0);
        // Whole pixels per cell keep the grid even.
        let pixels = ui.pixels_per_point();
        let cell = (free / m as f32 * pixels).floor().max(1.0) / pixels;
        let side = cell * m as f32;
        let (outer, _) =
            ui.allocate_exact_size(vec2(LEFT + side + RIGHT, TOP + side), Sense::hover());
        let cells = Rect::from_min_size(outer.min + vec2(LEFT, TOP), Vec2::splat(side));
        let response = ui
            .interact(cells, ui.scope_id().with("cosine matrix"), Sense::click())
            .on_hover_cursor(CursorIcon::Crosshair);
        self.describe(ui, &response);

        let painter = ui.painter();
        painter.rect_filled(cells, 0.0, theme.sunken);
        painter.image(
            self.texture,
            cells,
            Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0)),
            Color32::WHITE,
        );
        self.paint_missing(painter, theme, cells, cell);
        if cell >= VALUE_CELL {
            self.paint_values(painter, theme, cells, cell);
        }
        self.paint_blocks(painter, theme, cells, cell);
        self.paint_margins(painter, theme, cells, cell);
        self.paint_pair(painter, theme, cells, cell);

        let pair_at = |at: Pos2| {
            let place = (at - cells.min) / cell;
            let inside = place.x >= 0.0 && place.y >= 0.0;
            let i = self.geometry.order.get(place.y as usize)?;
            let j = self.geometry.order.get(place.x as usize)?;
            inside.then_some(Pair { i: *i, j: *j })
        };
        let hovered = response.hover_pos().and_then(pair_at);
        // What was pressed counts, though the pointer may have slipped into the next cell since.
        let id = response.id.with("pressed");
        let before = ui.data(|data| data.get_temp::<Pos2>(id));
        match ui
            .input(|input| input.pointer.press_origin())
            .filter(|_| response.is_pointer_button_down_on())
        {
            Some(at) => {
                ui.data_mut(|data| data.insert_temp(id, at));
            }
            None => ui.data_mut(|data| data.remove::<Pos2>(id)),
        }
        let pressed = before.or(response.interact_pointer_pos());
        let clicked = pressed.filter(|_| response.clicked()).and_then(pair_at);
        MatrixOutput { hovered, clicked }
    }

    fn describe(&self, ui: &Ui, response: &Response) {
        let m = self.geometry.order.len();
        response.widget_info(|| {
            WidgetInfo::labeled(Role::GraphicsObject, true, format!("Cosine matrix, {m} by {m}"))
        });
        if let Some(Pair { i, j }) = self.pair {
            let cosine = format::signed(f64::from(self.group.cosine(self.compared, i, j)), 2);
            let pinned = if self.pinned { ", pinned" } else { "" };
            ui.ctx().accesskit_node_builder(response.id, |node| {
                node.set_value(format!("i {i}, j {j}, cosine {cosine}{pinned}"));
            });
        }
    }

    fn cell_rect(cells: Rect, cell: f32, row: usize, column: usize) -> Rect {
        Rect::from_min_size(cells.min + vec2(column as f32, row as f32) * cell, Vec2::splat(cell))
    }

    fn paint_missing(&self, painter: &Painter, theme: &Theme, cells: Rect, cell: f32) {
        let stroke = Stroke::new(1.0, theme.missing);
        for (row, &i) in self.geometry.order.iter().enumerate() {
            for (column, &j) in self.geometry.order.iter().enumerate() {
                if !self.group.cosine(self.compared, i, j).is_finite() {
                    let spacing = if cell < 8.0 { 2.0 * cell } else { 6.0 };
                    marks::paint_hatching(
                        painter,
                        Self::cell_rect(cells, cell, row, column),
                        spacing,
                        stroke,
                    );
                }
            }
        }
    }

    fn paint_values(&self, painter: &Painter, theme: &Theme, cells: Rect, cell: f32) {
        for (row, &i) in self.geometry.order.iter().enumerate() {
            for (column, &j) in self.geometry.order.iter().enumerate() {
                let cosine = self.group.cosine(self.compared, i, j);
                let color = theme
                    .cosine_on(self.scale, cosine)
                    .map_or(theme.text_weak, |color| theme.text_on(color));
                let rect = Self::cell_rect(cells, cell, row, column);
                let text = format::signed(f64::from(cosine), 2);
                painter.text(rect.center(), egui::Align2::CENTER_CENTER, text, small_font(), color);
            }
        }
    }

    /// Lines between blocks of equal reward, where the order makes such blocks.
    fn paint_blocks(&self, painter: &Painter, theme: &Theme, cells: Rect, cell: f32) {
        if cell < MARK_CELL {
            return;
        }
        let reward = |index: &usize| {
            self.group.rollouts.get(*index).map_or(f32::NAN, |rollout| rollout.reward)
        };
        let rewards: Vec<f32> = self.geometry.order.iter().map(reward).collect();
        if !rewards.is_sorted_by(|a, b| a >= b) {
            return;
        }
        for (place, pair) in rewards.windows(2).enumerate() {
            if pair[0] > pair[1] {
                let at = (place + 1) as f32 * cell;
                let stroke = Stroke::new(2.0, theme.panel);
                painter.vline(cells.left() + at, cells.y_range(), stroke);
                painter.hline(cells.x_range(), cells.top() + at, stroke);
            }
        }
    }

    fn paint_margins(&self, painter: &Painter, theme: &Theme, cells: Rect, cell: f32) {
        // Numbers stand side by side over columns and above each other beside rows.
        let every = |room: f32| (room / cell).ceil().max(1.0) as usize;
        let digits = self.geometry.order.len().saturating_sub(1).to_string().len();
        let (every_row, every_column) = (every(11.0), every(6.5_f32.mul_add(digits as f32, 3.0)));
        let mark = (cell - 2.0).clamp(3.0, 9.0);
        for (place, &index) in self.geometry.order.iter().enumerate() {
            let Some(rollout) = self.group.rollouts.get(index) else { continue };
            let middle = (place as f32 + 0.5) * cell;
            // The labels of the shown pair are always there; neighbours that would touch them are
            // not.
            let labelled = |chosen: Option<usize>, every: usize| match chosen
                .and_then(|index| self.geometry.position(index))
            {
                Some(chosen) if chosen == place => true,
                Some(chosen) => {
                    place.is_multiple_of(every) && (every == 1 || chosen.abs_diff(place) >= every)
                }
                None => place.is_multiple_of(every),
            };
            let (is_row, is_column) =
                self.pair.map_or((false, false), |pair| (pair.i == index, pair.j == index));
            let (row, column) = (cells.top() + middle, cells.left() + middle);
            if labelled(self.pair.map(|pair| pair.i), every_row) {
                let color = if is_row { theme.text_strong } else { theme.text_weak };
                let at = pos2(cells.left() - 15.0, row);
                painter.text(at, egui::Align2::RIGHT_CENTER, index, small_font(), color);
            }
            if labelled(self.pair.map(|pair| pair.j), every_column) {
                let color = if is_column { theme.text_strong } else { theme.text_weak };
                let at = pos2(column, cells.top() - 14.0);
                painter.text(at, egui::Align2::CENTER_BOTTOM, index, small_font(), color);
            }
            if cell >= MARK_CELL {
                marks::paint_verdict(
                    painter,
                    pos2(cells.left() - 8.0, row),
                    mark,
                    rollout.verdict,
                    theme,
                );
                marks::paint_verdict(
                    painter,
                    pos2(column, cells.top() - 8.0),
                    mark,
                    rollout.verdict,
                    theme,
                );
            } else {
                // Too small for marks: correct rows have a longer bar, so that hue is not the only
                // difference.
                let length = if rollout.verdict.is_correct() { 8.0 } else { 4.0 };
                let thickness = vec2(0.0, (cell - 0.5).max(1.0));
                let color = theme.verdict(rollout.verdict);
                let at = pos2(cells.left() - 3.0 - length / 2.0, row);
                painter.rect_filled(
                    Rect::from_center_size(at, thickness + vec2(length, 0.0)),
                    0.0,
                    color,
                );
                let at = pos2(column, cells.top() - 3.0 - length / 2.0);
                painter.rect_filled(
                    Rect::from_center_size(at, vec2(thickness.y, length)),
                    0.0,
                    color,
                );
            }
            let strip =
                Rect::from_min_size(pos2(cells.right() + 4.0, row - cell / 2.0), vec2(STRIP, cell));
            match theme.novelty(self.novelty_scale.place(rollout.novelty)) {
                Some(color) => {
                    painter.rect_filled(strip, 0.0, color);
                }
                None => marks::paint_hatching(painter, strip, 5.0, Stroke::new(1.0, theme.missing)),
            }
        }
        self.paint_novelty_name(painter, theme, cells);
    }

    /// The word beside the strips, upwards, with what their colours end at where there is room.
    fn paint_novelty_name(&self, painter: &Painter, theme: &Theme, cells: Rect) {
        let layout = |text: String| painter.layout_no_wrap(text, small_font(), theme.text_weak);
        let full = layout(format!("novelty {}", self.novelty_scale.ends()));
        let galley =
            if full.size().x <= cells.height() { full } else { layout("novelty".to_owned()) };
        let at = pos2(cells.right() + STRIP + 6.0, cells.bottom());
        painter.add(
            TextShape::new(at, galley, theme.text_weak).with_angle(-std::f32::consts::FRAC_PI_2),
        );
    }

    fn paint_pair(&self, painter: &Painter, theme: &Theme, cells: Rect, cell: f32) {
        let Some(pair) = self.pair else { return };
        let (Some(row), Some(column)) =
            (self.geometry.position(pair.i), self.geometry.position(pair.j))
        else {
            return;
        };
        let guide = Stroke::new(1.0, theme.focus.gamma_multiply(0.35));
        let at = Self::cell_rect(cells, cell, row, column);
        painter.rect_stroke(
            Rect::from_min_max(pos2(cells.left(), at.top()), pos2(cells.right(), at.bottom())),
            0.0,
            guide,
            StrokeKind::Inside,
        );
        painter.rect_stroke(
            Rect::from_min_max(pos2(at.left(), cells.top()), pos2(at.right(), cells.bottom())),
            0.0,
            guide,
            StrokeKind::Inside,
        );
        let width = if self.pinned { 2.5 } else { 1.5 };
        painter.rect_stroke(at, 1.0, Stroke::new(width, theme.focus), StrokeKind::Outside);
    }
}
