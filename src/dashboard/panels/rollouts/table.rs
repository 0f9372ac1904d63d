//! The completions as a table.

use crate::dashboard::kit::completions::Quantity;
use crate::dashboard::kit::format;
use crate::dashboard::kit::text::caption;
use crate::dashboard::kit::theme::Theme;
use crate::dashboard::kit::widgets::marks;
use crate::dashboard::panels::rollouts::rows::{RolloutChoices, Rows, Sort};
use crate::dashboard::state::run::State;
use crate::dashboard::state::selection::Place;
use crate::escape::{cut, escaped};
use crate::run::{GroupView, RolloutView, StepView};
use egui::{
    Align, Button, Label, Layout, Rect, RichText, ScrollArea, Sense, Shape, Stroke, Ui, vec2,
};
use egui_extras::{Column, TableBuilder, TableRow};

/// Height of a row, points.
const ROW: f32 = 18.0;
/// Widths of the first columns: which of the pair, group and number, verdict; points.
const HEADS: [f32; 3] = [16.0, 40.0, 40.0];
/// Width of a number, points.
const NUMBER: f32 = 44.0;
/// Width of the answer, points.
const ANSWER: f32 = 76.0;
/// The completion has at least this width, points.
const COMPLETION: f32 = 80.0;
/// Gap between columns, points.
const CELL_GAP: f32 = 4.0;

/// Draws the table.
pub(super) fn show(
    ui: &mut Ui,
    theme: &Theme,
    state: &mut State,
    (view, rows): (&StepView, &Rows),
    choices: &mut RolloutChoices,
    shown: Option<Place>,
) {
    if rows.listed.is_empty() {
        let text = if rows.total == 0 {
            "The step has no completions."
        } else {
            "No completion passes the filters."
        };
        caption(ui, theme, text);
        return;
    }
    let pair = state.pair().map(|(pair, _)| pair);
    let axis = |place: Place| match pair.filter(|_| place.group == state.selection.group) {
        Some(pair) if pair.i == place.index && pair.j == place.index => "i j",
        Some(pair) if pair.i == place.index => "i",
        Some(pair) if pair.j == place.index => "j",
        _ => "",
    };
    let mut clicked = None;
    // Nothing is left out where the table is narrow: it scrolls to the side.
    ScrollArea::horizontal().id_salt("sideways").auto_shrink(false).show(ui, |ui| {
        ui.spacing_mut().item_spacing.x = CELL_GAP;
        let least =
            HEADS.iter().sum::<f32>() + NUMBER * Quantity::ALL.len() as f32 + ANSWER + COMPLETION;
        let gaps = CELL_GAP * (HEADS.len() + Quantity::ALL.len() + 4) as f32;
        ui.set_min_width((least + gaps).max(ui.available_width()));
        // The last of them keeps the numbers apart from the texts.
        let columns = HEADS
            .into_iter()
            .chain(Quantity::ALL.map(|_| NUMBER))
            .chain([CELL_GAP])
            .map(Column::exact);
        let table = TableBuilder::new(ui)
            .id_salt("completions")
            .striped(true)
            .sense(Sense::click())
            .auto_shrink(false)
            .cell_layout(Layout::left_to_right(Align::Center));
        let table = columns.fold(table, TableBuilder::column);
        let table =
            table.column(Column::exact(ANSWER).clip(true)).column(Column::remainder().clip(true));
        rows_of(table, theme, rows, view, choices, &mut clicked, shown, axis);
    });
    if let Some(place) = clicked {
        state.choose_rollout(place);
    }
}

/// The head of the table and its rows.
fn rows_of(
    table: TableBuilder<'_>,
    theme: &Theme,
    rows: &Rows,
    view: &StepView,
    choices: &mut RolloutChoices,
    clicked: &mut Option<Place>,
    shown: Option<Place>,
    axis: impl Fn(Place) -> &'static str,
) {
    table
        .header(ROW + 2.0, |mut header| {
            header.col(|_| {});
            sort_by(
                &mut header,
                theme,
                choices,
                Sort::Place,
                "group",
                "group and number",
                "As sampled.",
            );
            sort_by(
                &mut header,
                theme,
                choices,
                Sort::Verdict,
                "verdict",
                "verdict",
                "What the verifier says.",
            );
            for quantity in Quantity::ALL {
                let sort = Sort::By(quantity);
                sort_by(
                    &mut header,
                    theme,
                    choices,
                    sort,
                    quantity.short(),
                    quantity.name(),
                    quantity.help(),
                );
            }
            let help = "What the verifier judged.";
            header.col(|_| {});
            sort_by(&mut header, theme, choices, Sort::Answer, "answer", "answer", help);
            header.col(|ui| {
                ui.label(RichText::new("completion").small().color(theme.text_weak));
            });
        })
        .body(|body| {
            body.rows(ROW, rows.listed.len(), |mut row| {
                let place = rows.listed[row.index()];
                let group = &view.groups[place.group];
                let rollout = &group.rollouts[place.index];
                row.set_selected(shown == Some(place));
                cells(&mut row, theme, axis(place), &name_of(group, place), rollout);
                let response = row.response();
                let name = format!("Completion {} of group {}", place.index, group.group);
                response.widget_info(|| {
                    egui::WidgetInfo::selected(
                        egui::Role::Row,
                        true,
                        shown == Some(place),
                        name.clone(),
                    )
                });
                if response.clicked() {
                    *clicked = Some(place);
                }
            });
        });
}

/// A completion's group and its number there, both as in the run folder.
pub(super) fn name_of(group: &GroupView, place: Place) -> String {
    format!("{}.{}", group.group, place.index)
}

/// What a row of the table says of a completion.
fn cells(row: &mut TableRow<'_, '_>, theme: &Theme, axis: &str, name: &str, rollout: &RolloutView) {
    row.col(|ui| {
        ui.add(Label::new(RichText::new(axis).small().color(theme.text_strong)).selectable(false));
    });
    row.col(|ui| {
        ui.add(Label::new(RichText::new(name).color(theme.text_weak)).selectable(false));
    });
    row.col(|ui| {
        marks::verdict(ui, theme, rollout.verdict);
    });
    for quantity in Quantity::ALL {
        row.col(|ui| {
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                ui.add_space(4.0);
                let text = quantity.format(quantity.of(rollout));
                ui.add(Label::new(RichText::new(text).color(theme.text_strong)).selectable(false));
            });
        });
    }
    row.col(|_| {});
    row.col(|ui| {
        let text = rollout.extracted.as_deref().map_or("none", str::trim);
        let text = RichText::new(format::one_line(text, 60)).monospace();
        ui.add(Label::new(text.color(theme.text)).truncate().selectable(false));
    });
    row.col(|ui| {
        let text = escaped(&cut(&rollout.completion, 300)).replace('\n', "↵");
        let text = RichText::new(text).monospace().color(theme.text);
        ui.add(Label::new(text).truncate().selectable(false));
    });
}

/// A column's head that puts the rows in order.
fn sort_by(
    header: &mut TableRow<'_, '_>,
    theme: &Theme,
    choices: &mut RolloutChoices,
    sort: Sort,
    short: &str,
    name: &str,
    help: &str,
) {
    header.col(|ui| {
        let is_sorted = choices.sort == sort && (sort != Sort::Place || choices.descending);
        let color = if is_sorted { theme.text_strong } else { theme.text_weak };
        let text = RichText::new(short).small().color(color);
        let button = Button::new(text).frame(false).truncate();
        // Numbers stand at the right of their columns.
        let side = if matches!(sort, Sort::By(_)) { Align::Max } else { Align::Min };
        let layout = Layout::top_down(side).with_main_justify(false);
        let response = ui
            .with_layout(layout, |ui| ui.add(button))
            .inner
            .accessible_name(format!("Sort by {name}"));
        if is_sorted {
            paint_order(ui, theme, response.rect, choices.descending);
        }
        if response.on_hover_text(format!("{help} Click to sort, again to turn around.")).clicked()
        {
            // Numbers are looked through from the largest.
            let starts_descending = matches!(sort, Sort::By(_));
            choices.descending =
                if choices.sort == sort { !choices.descending } else { starts_descending };
            choices.sort = sort;
        }
    });
}

/// A triangle over a column's head: down where the largest comes first.
fn paint_order(ui: &Ui, theme: &Theme, head: Rect, descending: bool) {
    let down = if descending { 1.0 } else { -1.0 };
    let points = [vec2(-3.0, -2.0), vec2(3.0, -2.0), vec2(0.0, 2.0)];
    let points = points.map(|at| head.center_top() + vec2(at.x, at.y * down)).to_vec();
    ui.painter().add(Shape::convex_polygon(points, theme.text_strong, Stroke::NONE));
}
