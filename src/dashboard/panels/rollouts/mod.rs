//! The completions of the step: a table beside a scatter plot and the chosen completion in full; or problems over time.

pub(crate) mod problem_reader;
mod problems;
pub(crate) mod rows;
mod scatter;

use crate::dashboard::kit::format;
use crate::dashboard::kit::text::caption;
use crate::dashboard::kit::theme::Theme;
use crate::dashboard::kit::tokens::TokenQuantity;
use crate::dashboard::kit::widgets::rollout_card;
use crate::dashboard::kit::widgets::rollout_card::Extent;
use crate::dashboard::kit::widgets::token_text::{Body, TokenBody};
use crate::dashboard::kit::widgets::{marks, token_chart};
use crate::dashboard::panels::rollouts::rows::{Place, Quantity, RolloutChoices, Rows, Sort};
use crate::dashboard::panels::rollouts::scatter::Asked;
use crate::dashboard::panels::{Tools, placeholder};
use crate::dashboard::state::run::State;
use crate::escape::{cut, escaped};
use crate::experiment::Every;
use crate::run::{GroupView, RolloutView, StepView};
use crate::verify::Verdict;
use egui::{
    Align, Button, ComboBox, Id, Label, Layout, Rect, RichText, ScrollArea, Sense, Shape, Stroke, TextEdit, Ui,
    UiBuilder, pos2, vec2,
};
use egui_extras::{Column, TableBuilder, TableRow};
use std::sync::Arc;

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
/// Width of the completion in full, points.
const DETAIL: f32 = 340.0;
/// The scatter plot is not drawn narrower than this, points.
const SCATTER: f32 = 170.0;
/// Height of the chart over token positions, points.
const CHART: f32 = 52.0;
/// Gap between the parts, points.
const GAP: f32 = 10.0;

/// Draws the panel.
pub(crate) fn show(ui: &mut Ui, tools: &Tools<'_>, state: &mut State) {
    let theme = tools.theme;
    let Some(view) = state.shown.as_ref().map(Arc::clone) else {
        placeholder(ui, theme, state, "The completions of a step appear here.");
        return;
    };
    controls(ui, theme, state);
    if state.rollouts.shows_problems {
        return problems::show(ui, theme, state);
    }
    let all = ui.available_rect_before_wrap();
    let detail = if all.width() >= 900.0 { (0.3 * all.width()).max(DETAIL) } else { 0.0 };
    let left = all.width() - detail - if detail > 0.0 { GAP } else { 0.0 };
    let plot = if left >= 480.0 { (0.32 * left).clamp(SCATTER, (all.height() * 1.6).max(SCATTER)) } else { 0.0 };
    let table = left - plot - if plot > 0.0 { GAP } else { 0.0 };
    let part = |from: f32, width: f32| {
        Rect::from_min_max(pos2(all.left() + from, all.top()), pos2(all.left() + from + width, all.bottom()))
    };
    let inside = |ui: &mut Ui, name: &str, rect: Rect| {
        let mut child = ui.new_child(UiBuilder::new().max_rect(rect).id_salt(name));
        child.set_clip_rect(rect.intersect(ui.clip_rect()));
        child
    };
    let shown = state.shown_rollout();
    completions(&mut inside(ui, "table", part(0.0, table)), theme, state, &view, shown);
    if plot > 0.0 {
        plane(&mut inside(ui, "scatter", part(table + GAP, plot)), theme, state, &view, shown);
    }
    if detail > 0.0 {
        full(&mut inside(ui, "detail", part(left + GAP, detail)), theme, state, &view, shown);
    }
    ui.allocate_rect(all, Sense::hover());
}

/// What is listed, and the filters.
fn controls(ui: &mut Ui, theme: &Theme, state: &mut State) {
    let rows = state.rows();
    let choices = &mut state.rollouts;
    ui.horizontal_wrapped(|ui| {
        for (problems, name, hint) in [
            (false, "completions", "The completions of the shown step"),
            (true, "problems", "How often each problem was solved, over the recorded steps of the run"),
        ] {
            if ui.selectable_label(choices.shows_problems == problems, name).on_hover_text(hint).clicked() {
                choices.shows_problems = problems;
            }
        }
        ui.separator();
        let search = TextEdit::singleline(&mut choices.text).hint_text("Search, novelty>0.5").desired_width(150.0);
        if choices.shows_problems {
            ui.add(search).accessible_name("Search problems");
            return;
        }
        for (whole, name) in [(true, "all groups"), (false, "this group")] {
            if ui.selectable_label(choices.whole_step == whole, name).clicked() {
                choices.whole_step = whole;
            }
        }
        ui.separator();
        ui.add(search).accessible_name("Search completions").on_hover_text(
            "What the completions must contain. Conditions on numbers may stand among the words: novelty>0.5 reward<0; \
             also shaped, advantage, length, logprob, entropy.",
        );
        let name = |verdict: Option<Verdict>| verdict.map_or("any verdict", marks::verdict_word);
        let verdicts = ComboBox::from_id_salt("verdict").selected_text(name(choices.verdict)).width(92.0);
        let list = verdicts.show_ui(ui, |ui| {
            let all = [Verdict::Correct, Verdict::Incorrect, Verdict::NoAnswer, Verdict::TimedOut];
            for verdict in std::iter::once(None).chain(all.map(Some)) {
                ui.selectable_value(&mut choices.verdict, verdict, name(verdict));
            }
        });
        list.response.accessible_name("Verdict");
        let count = if rows.listed.len() == rows.total {
            format!("{} completions", format::thousands(rows.total as f64))
        } else {
            format!("{} of {}", format::thousands(rows.listed.len() as f64), format::thousands(rows.total as f64))
        };
        ui.label(RichText::new(count).color(theme.text_weak));
        let is_filtered = choices.brush.is_some() || choices.verdict.is_some() || !choices.text.is_empty();
        if is_filtered && ui.small_button("All again").on_hover_text("Take every filter and the brush away").clicked() {
            choices.brush = None;
            choices.verdict = None;
            choices.text.clear();
        }
    });
}

/// The table.
fn completions(ui: &mut Ui, theme: &Theme, state: &mut State, view: &StepView, shown: Option<Place>) {
    let rows = state.rows();
    if rows.listed.is_empty() {
        let text = if rows.total == 0 { "The step has no completions." } else { "No completion passes the filters." };
        caption(ui, theme, text);
        return;
    }
    let geometry = state.geometry();
    let pair = geometry.as_ref().and_then(|geometry| state.pair(geometry)).map(|(pair, _)| pair);
    let axis = |place: Place| match pair.filter(|_| place.group == state.group) {
        Some(pair) if pair.i == place.index && pair.j == place.index => "i j",
        Some(pair) if pair.i == place.index => "i",
        Some(pair) if pair.j == place.index => "j",
        _ => "",
    };
    let mut choices = state.rollouts.clone();
    let mut clicked = None;
    // Nothing is left out where the table is narrow: it scrolls to the side.
    ScrollArea::horizontal().id_salt("sideways").auto_shrink(false).show(ui, |ui| {
        ui.spacing_mut().item_spacing.x = CELL_GAP;
        let least = HEADS.iter().sum::<f32>() + NUMBER * Quantity::ALL.len() as f32 + ANSWER + COMPLETION;
        let gaps = CELL_GAP * (HEADS.len() + Quantity::ALL.len() + 4) as f32;
        ui.set_min_width((least + gaps).max(ui.available_width()));
        // The last of them keeps the numbers apart from the texts.
        let columns = HEADS.into_iter().chain(Quantity::ALL.map(|_| NUMBER)).chain([CELL_GAP]).map(Column::exact);
        let table = TableBuilder::new(ui)
            .id_salt("completions")
            .striped(true)
            .sense(Sense::click())
            .auto_shrink(false)
            .cell_layout(Layout::left_to_right(Align::Center));
        let table = columns.fold(table, TableBuilder::column);
        let table = table.column(Column::exact(ANSWER).clip(true)).column(Column::remainder().clip(true));
        rows_of(table, theme, &rows, view, &mut choices, &mut clicked, shown, axis);
    });
    if choices != state.rollouts {
        state.rollouts = choices;
    }
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
            sort_by(&mut header, theme, choices, Sort::Place, "group", "group and number", "As sampled.");
            sort_by(&mut header, theme, choices, Sort::Verdict, "verdict", "verdict", "What the verifier says.");
            for quantity in Quantity::ALL {
                let sort = Sort::By(quantity);
                sort_by(&mut header, theme, choices, sort, quantity.short(), quantity.name(), quantity.help());
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
                    egui::WidgetInfo::selected(egui::Role::Row, true, shown == Some(place), name.clone())
                });
                if response.clicked() {
                    *clicked = Some(place);
                }
            });
        });
}

/// A completion's group and its number there, both as in the run folder.
fn name_of(group: &GroupView, place: Place) -> String {
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
        let response = ui.with_layout(layout, |ui| ui.add(button)).inner.accessible_name(format!("Sort by {name}"));
        if is_sorted {
            paint_order(ui, theme, response.rect, choices.descending);
        }
        if response.on_hover_text(format!("{help} Click to sort, again to turn around.")).clicked() {
            // Numbers are looked through from the largest.
            let starts_descending = matches!(sort, Sort::By(_));
            choices.descending = if choices.sort == sort { !choices.descending } else { starts_descending };
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

/// Room for what stands beside the text in a dropdown, points.
const ARROW: f32 = 26.0;

/// The scatter plot with its axes.
fn plane(ui: &mut Ui, theme: &Theme, state: &mut State, view: &StepView, shown: Option<Place>) {
    let rows = state.rows();
    let width = ((ui.available_width() - 44.0) / 2.0).clamp(40.0, 110.0);
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 4.0;
        for (axis, of) in [(1, "Along y"), (0, "Along x")] {
            if axis == 0 {
                ui.label(RichText::new("over").small().color(theme.text_weak));
            }
            let chosen = &mut state.rollouts.axes[axis];
            let before = *chosen;
            let name = scatter::name_within(ui.painter(), before, width - ARROW);
            let response = ComboBox::from_id_salt(of)
                .selected_text(RichText::new(name).small())
                .width(width)
                .truncate()
                .show_ui(ui, |ui| {
                    for quantity in Quantity::ALL {
                        ui.selectable_value(chosen, quantity, quantity.name()).on_hover_text(quantity.help());
                    }
                })
                .response;
            response.accessible_name(of).on_hover_text(before.help());
            if *chosen != before {
                state.rollouts.brush = None;
            }
        }
    });
    let mut lit: Vec<Place> = shown.into_iter().collect();
    let geometry = state.geometry();
    if let Some((pair, _)) = geometry.as_ref().and_then(|geometry| state.pair(geometry)) {
        lit.extend([pair.i, pair.j].map(|index| Place { group: state.group, index }));
    }
    let size = ui.available_size();
    let (axes, brush) = (state.rollouts.axes, state.rollouts.brush);
    match scatter::show(ui, theme, view, &rows, axes, brush, &lit, size) {
        Some(Asked::Choose(place)) => state.choose_rollout(place),
        Some(Asked::Brush(brush)) => state.rollouts.brush = brush,
        None => {}
    }
}

/// The chosen completion: its numbers, its text, and its tokens where they are recorded.
fn full(ui: &mut Ui, theme: &Theme, state: &mut State, view: &StepView, shown: Option<Place>) {
    let Some((place, group)) = shown.and_then(|place| Some((place, view.groups.get(place.group)?))) else {
        caption(ui, theme, "Click a completion to read it here.");
        return;
    };
    let Some(rollout) = group.rollouts.get(place.index) else { return };
    let name = name_of(group, place);
    let Some(tokens) = &group.tokens else {
        let height = ui.available_height() - 18.0;
        rollout_card::show(ui, theme, &name, rollout, Body::Marked(&[]), Extent::Brief, height);
        let every = state.snapshot.info.experiment.record.tokens_every;
        let text = match every {
            Every(0) => "Tokens are not recorded (record.tokens_every: 0).".to_owned(),
            every => format!("Tokens are recorded every {every} steps (record.tokens_every)."),
        };
        caption(ui, theme, text);
        return;
    };
    // The part is that in the cosine with the other response of the pair.
    let geometry = state.geometry();
    let pair = geometry.as_ref().and_then(|geometry| state.pair(geometry)).map(|(pair, _)| pair);
    let other = pair.map_or(place.index, |pair| if pair.i == place.index { pair.j } else { pair.i });
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 4.0;
        for quantity in TokenQuantity::ALL {
            let is_shown = state.rollouts.shading == quantity;
            let name = match quantity {
                TokenQuantity::Share => format!("part with {other}"),
                _ => quantity.name().to_owned(),
            };
            if ui.selectable_label(is_shown, RichText::new(name).small()).on_hover_text(quantity.help()).clicked() {
                state.rollouts.shading = quantity;
            }
        }
    });
    let quantity = state.rollouts.shading;
    let reach = quantity.reach(&quantity.values(tokens, place.index, other));
    let id = Id::unique("token under the pointer");
    let lit = ui.data(|data| data.get_temp::<(Place, usize)>(id)).filter(|(of, _)| *of == place).map(|(_, lit)| lit);
    let body = TokenBody { tokens, index: place.index, other, quantity, reach, lit };
    let height = (ui.available_height() - CHART - 4.0).max(60.0);
    let in_text = rollout_card::show(ui, theme, &name, rollout, Body::Tokens(body), Extent::Brief, height);
    let in_chart = token_chart::show(ui, theme, &rollout.completion, body, CHART);
    let now = in_text.or(in_chart);
    if now != lit {
        ui.data_mut(|data| match now {
            Some(token) => {
                data.insert_temp(id, (place, token));
            }
            None => data.remove::<(Place, usize)>(id),
        });
        ui.ctx().request_repaint();
    }
}
