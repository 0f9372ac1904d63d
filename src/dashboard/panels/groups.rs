//! The groups of the shown step as small multiples, searchable by prompt.

use crate::dashboard::kit::geometry::{GroupGeometry, Order};
use crate::dashboard::kit::text::caption;
use crate::dashboard::kit::textures::MatrixKey;
use crate::dashboard::kit::widgets::mini_matrix;
use crate::dashboard::kit::{export, format};
use crate::dashboard::panel::{Home, Needs, Panel, PanelContext, Table};
use crate::dashboard::state::choices::Choices;
use crate::dashboard::state::run::State;
use crate::run::{CosineKind, StepView};
use egui::{Key, ScrollArea, TextEdit, Ui, vec2};

/// The smallest side of a small matrix, points.
const MIN_SIDE: f32 = 44.0;
/// The largest.
const MAX_SIDE: f32 = 132.0;
/// The side where there are too many to fit, at least.
const SCROLLED_SIDE: f32 = 52.0;
/// Between tiles, points.
const GAP: f32 = 4.0;

/// The panel.
pub(super) struct GroupsPanel;

impl Panel for GroupsPanel {
    fn key(&self) -> &'static str {
        "groups"
    }

    fn title(&self) -> &'static str {
        "Groups"
    }

    fn home(&self) -> Home {
        Home::Left
    }

    fn needs(&self) -> Needs {
        Needs::Step
    }

    fn ui(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>, run: &mut State) {
        let Some(view) = run.cursor.shown.clone() else { return };
        let hint = match run.cursor.loading() {
            Some(step) => format!("loading step {step}"),
            None => "Search prompts".to_owned(),
        };
        search(ui, &mut run.choices, hint);
        let found: Vec<usize> = (0..view.groups.len())
            .filter(|&place| run.choices.finds(&view.groups[place]))
            .collect();
        if found.is_empty() {
            caption(ui, cx.theme, "No prompt of this step contains that.");
        }
        tiles(ui, cx, run, &view, found);
    }

    fn as_table(&mut self, _cx: &PanelContext<'_>, run: &mut State) -> Table {
        let Some(view) = &run.cursor.shown else { return Table::default() };
        let (count, step) = (view.groups.len(), format::thousands(view.step as f64));
        Table { text: csv(view, run.compared()), what: format!("{count} groups of step {step}") }
    }
}

/// What the prompts are searched for.
fn search(ui: &mut Ui, choices: &mut Choices, hint: String) {
    let field =
        TextEdit::singleline(&mut choices.search).hint_text(hint).desired_width(f32::INFINITY);
    let response = ui.add(field).accessible_name("Search prompts");
    // The key has taken the focus away by now.
    if response.lost_focus() && ui.input(|input| input.key_pressed(Key::Escape)) {
        choices.search.clear();
    }
}

/// The groups that were found.
fn tiles(
    ui: &mut Ui,
    cx: &mut PanelContext<'_>,
    run: &mut State,
    view: &StepView,
    found: Vec<usize>,
) {
    cx.textures.keep(view.groups.len());
    let compared = run.compared();
    let scale = run.cosine_scale(compared);
    let key = MatrixKey {
        step: view.step,
        compared,
        order: run.choices.order,
        clustered: compared,
        scale,
    };
    // Where the tiles have to be scrolled, the bar takes its room from them.
    let width = ui.available_width() - ui.spacing().scroll.allocated_width();
    let side = side(found.len(), width, ui.available_height());
    ScrollArea::vertical().auto_shrink([false, false]).show(ui, |ui| {
        ui.spacing_mut().item_spacing = vec2(GAP, GAP);
        ui.horizontal_wrapped(|ui| {
            for place in found {
                let group = &view.groups[place];
                let texture = cx.textures.matrix(ui.ctx(), cx.theme, group, place, key);
                let is_chosen = place == run.selection.group;
                let tile =
                    mini_matrix::show(ui, cx.theme, group, key.compared, texture, side, is_chosen);
                if tile.clicked() {
                    run.select_group(place);
                }
            }
        });
    });
}

/// The groups of a step: a line each, with the statistics of their pairs.
fn csv(view: &StepView, compared: CosineKind) -> String {
    let mut text = String::from(
        "step,group,problem,correct,completions,cosine_mean,negative_ratio,orthogonal_ratio,effective_rank\n",
    );
    for group in &view.groups {
        let geometry = GroupGeometry::new(group, compared, Order::Index);
        let numbers =
            [geometry.mean, geometry.negative, geometry.orthogonal, geometry.effective_rank]
                .map(export::number);
        let line = format!(
            "{},{},{},{},{},{}\n",
            view.step,
            group.group,
            export::field(&group.problem_id),
            group.correct(),
            group.rollouts.len(),
            numbers.join(",")
        );
        text.push_str(&line);
    }
    text
}

/// The largest side with which `count` tiles fit without scrolling; where none does, one that reads
/// well.
fn side(count: usize, width: f32, height: f32) -> f32 {
    let best = (1..=count.max(1))
        .map(|columns| {
            let rows = count.max(1).div_ceil(columns);
            let by_width = (width + GAP) / columns as f32 - GAP;
            let by_height = (height + GAP) / rows as f32 - GAP - mini_matrix::CAPTION;
            (by_width.min(by_height) - mini_matrix::MARGIN).floor()
        })
        .fold(0.0, f32::max);
    if best >= MIN_SIDE {
        return best.min(MAX_SIDE);
    }
    let columns = ((width + GAP) / (SCROLLED_SIDE + mini_matrix::MARGIN + GAP)).floor().max(1.0);
    ((width + GAP) / columns - GAP - mini_matrix::MARGIN).floor().clamp(MIN_SIDE, MAX_SIDE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_groups_fit_without_scrolling_and_many_keep_a_readable_size() {
        let fits = side(8, 174.0, 420.0);
        assert!((MIN_SIDE..=MAX_SIDE).contains(&fits));
        let columns = ((174.0 + GAP) / (fits + mini_matrix::MARGIN + GAP)).floor();
        let rows = (8.0 / columns).ceil();
        assert!(rows * (fits + mini_matrix::MARGIN + mini_matrix::CAPTION + GAP) - GAP <= 420.0);
        assert!(side(64, 174.0, 420.0) >= SCROLLED_SIDE);
        assert!(side(0, 174.0, 420.0) > 0.0);
    }
}
