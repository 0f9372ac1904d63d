//! The pair panel: the texts of two rollouts and what is known about each.

use crate::dashboard::kit::cached::{Cached, Same};
use crate::dashboard::kit::geometry::Pair;
use crate::dashboard::kit::text::{caption, title};
use crate::dashboard::kit::theme::Theme;
use crate::dashboard::kit::tokens::{self, Differences, TextView, TokenQuantity};
use crate::dashboard::kit::trailing::Trailing;
use crate::dashboard::kit::widgets::marks;
use crate::dashboard::kit::widgets::quantity::Meaning;
use crate::dashboard::kit::widgets::rollout_card;
use crate::dashboard::kit::widgets::rollout_card::Extent;
use crate::dashboard::kit::widgets::token_text::{Body, TokenBody};
use crate::dashboard::kit::{completions, format};
use crate::dashboard::panel::{Home, Needs, Panel, PanelContext, Table};
use crate::dashboard::state::run::State;
use crate::dashboard::state::selection::Choice;
use crate::metrics::Better;
use crate::run::{CosineKind, GroupView, StepView};
use egui::{ComboBox, RichText, ScrollArea, Sense, TextStyle, Ui, vec2};
use std::sync::Arc;

/// From this width on the two completions stand beside each other, points.
const BESIDE: f32 = 640.0;

/// Below this width the choice of text has a line of its own, points.
const NARROW: f32 = 270.0;

/// From this width on the header has room for a hint, points.
const HINTED: f32 = 360.0;

/// A card below this height has no room for every number above its text, points.
const FULL: f32 = 132.0;

/// A card is not drawn lower than this; the panel scrolls instead, points.
const LOWEST: f32 = 104.0;

/// The panel, with how it writes the texts.
#[derive(Default)]
pub(super) struct PairPanel {
    view: TextView,
    differences: Cached<(Same<StepView>, usize, Pair), Arc<Differences>>,
}

impl Panel for PairPanel {
    fn key(&self) -> &'static str {
        "pair"
    }

    fn title(&self) -> &'static str {
        "Pair"
    }

    fn home(&self) -> Home {
        Home::Right
    }

    fn needs(&self) -> Needs {
        Needs::Group
    }

    fn ui(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>, run: &mut State) {
        let theme = cx.theme;
        let Some(view) = run.cursor.shown.clone() else { return };
        let Some(group) = view.groups.get(run.selection.group) else { return };
        let Some((pair, choice)) = run.pair() else { return alone(ui, theme, group) };
        self.header(ui, theme, run, group, pair, choice);
        let room = ui.available_height();
        ScrollArea::vertical().id_salt("pair").auto_shrink([false, false]).show(ui, |ui| {
            let top = ui.cursor().top();
            if ui.available_width() < NARROW {
                self.text_choice(ui, group);
            }
            prompt(ui, theme, group);
            let rest = room - (ui.cursor().top() - top) - 1.0;
            self.cards(ui, theme, (&view, run.selection.group), pair, rest);
        });
    }

    fn as_table(&mut self, _cx: &PanelContext<'_>, run: &mut State) -> Table {
        let pair = run.pair();
        let Some(view) = &run.cursor.shown else { return Table::default() };
        let place = run.selection.group;
        let Some(group) = view.groups.get(place) else { return Table::default() };
        let pair = pair.map_or(Vec::new(), |(pair, _)| vec![pair.i, pair.j]);
        let what = match pair.as_slice() {
            [i, j] => format!("completions {i} and {j} of group {}", group.group),
            _ => format!("no completion of group {}", group.group),
        };
        let listed = pair.into_iter().map(|index| (group, index));
        Table { text: completions::csv(view.step, listed), what }
    }
}

/// The only completion of a group.
fn alone(ui: &mut Ui, theme: &Theme, group: &GroupView) {
    title(ui, theme, "Pair");
    prompt(ui, theme, group);
    match group.rollouts.first() {
        Some(only) => {
            rollout_card::show(
                ui,
                theme,
                "i = 0",
                only,
                Body::Marked(&[]),
                Extent::Full,
                ui.available_height(),
            );
        }
        None => {
            caption(ui, theme, "The group has no rollouts.");
        }
    }
}

impl PairPanel {
    /// Both completions of a group of the step, within `room` points where that is enough for them.
    fn cards(
        &mut self,
        ui: &mut Ui,
        theme: &Theme,
        of: (&Arc<StepView>, usize),
        pair: Pair,
        room: f32,
    ) {
        let (view, place) = of;
        let group = &view.groups[place];
        let text_view = self.text_view(group);
        let differences = match text_view {
            TextView::Differences => self.differences(view, place, pair),
            _ => Arc::default(),
        };
        let card = |ui: &mut Ui, axis: &str, height: f32| {
            let (index, other, marks) = match axis {
                "j" => (pair.j, pair.i, &differences.second),
                _ => (pair.i, pair.j, &differences.first),
            };
            let Some(rollout) = group.rollouts.get(index) else { return };
            let body = body(text_view, group, index, other, marks);
            let name = if pair.i == pair.j {
                format!("i, j = {index}")
            } else {
                format!("{axis} = {index}")
            };
            let extent = if height < FULL { Extent::Short } else { Extent::Full };
            rollout_card::show(ui, theme, &name, rollout, body, extent, height);
        };
        if pair.i == pair.j {
            card(ui, "i", room.max(LOWEST));
        } else if ui.available_width() >= BESIDE {
            ui.columns_const(|columns: &mut [Ui; 2]| {
                for (ui, axis) in columns.iter_mut().zip(["i", "j"]) {
                    card(ui, axis, room.max(LOWEST));
                }
            });
        } else {
            ui.spacing_mut().item_spacing.y = 6.0;
            for axis in ["i", "j"] {
                ui.push_id(axis, |ui| card(ui, axis, ((room - 6.0) / 2.0).max(LOWEST)));
            }
        }
    }

    /// What the completions of a pair have that the other has not.
    fn differences(&mut self, view: &Arc<StepView>, place: usize, pair: Pair) -> Arc<Differences> {
        let text = |index: usize| {
            view.groups[place].rollouts.get(index).map_or("", |of| of.completion.as_str())
        };
        let key = (Same(Arc::clone(view)), place, pair);
        self.differences.get(key, || Arc::new(tokens::differences(text(pair.i), text(pair.j))))
    }

    /// What was chosen, or plain text where the step has no tokens for it.
    fn text_view(&self, group: &GroupView) -> TextView {
        match self.view {
            TextView::Tokens(_) if group.tokens.is_none() => TextView::Differences,
            chosen => chosen,
        }
    }

    /// The pair, its cosine, how the texts are written where there is room, and how to let go.
    fn header(
        &mut self,
        ui: &mut Ui,
        theme: &Theme,
        state: &mut State,
        group: &GroupView,
        pair: Pair,
        choice: Choice,
    ) {
        let compared = state.compared();
        let cosine = group.cosine(compared, pair.i, pair.j);
        let is_narrow = ui.available_width() < NARROW;
        let is_hinted = ui.available_width() >= HINTED;
        ui.horizontal(|ui| {
            let end = Trailing::of(ui, "pair");
            title(ui, theme, &format!("Pair {}, {}", pair.i, pair.j));
            let (swatch, _) = ui.allocate_exact_size(vec2(10.0, 10.0), Sense::hover());
            let outline = egui::Stroke::new(1.0, theme.text_weak);
            match theme.cosine_on(state.cosine_scale(compared), cosine) {
                Some(color) => {
                    ui.painter().rect(swatch, 1.0, color, outline, egui::StrokeKind::Inside);
                }
                None => marks::paint_hatching(ui.painter(), swatch, 4.0, outline),
            }
            let label = ui.label(
                RichText::new(format!("cos {}", format::signed(f64::from(cosine), 3)))
                    .color(theme.text_strong),
            );
            meaning(compared).on(label, theme);
            end.show(ui, |ui| {
                if !is_narrow {
                    self.text_choice(ui, group);
                }
                match choice {
                    Choice::Pinned => {
                        if ui.button("Unpin").on_hover_text("Let go of the pair (Escape)").clicked()
                        {
                            state.selection.unpin();
                        }
                    }
                    _ if !is_hinted => {}
                    Choice::Hovered => {
                        caption(ui, theme, "click pins");
                    }
                    Choice::Lowest => {
                        caption(ui, theme, "lowest cosine");
                    }
                }
            });
        });
    }

    /// How the texts are written.
    fn text_choice(&mut self, ui: &mut Ui, group: &GroupView) {
        let shown = self.text_view(group);
        let response = ComboBox::from_id_salt("text view")
            .selected_text(shown.name())
            .width(104.0)
            .truncate()
            .show_ui(ui, |ui| {
                for view in [TextView::Differences, TextView::Plain] {
                    ui.selectable_value(&mut self.view, view, view.name());
                }
                for quantity in TokenQuantity::ALL {
                    let view = TextView::Tokens(quantity);
                    ui.add_enabled_ui(group.tokens.is_some(), |ui| {
                        ui.selectable_value(
                            &mut self.view,
                            view,
                            format!("tokens by {}", view.name()),
                        )
                        .on_hover_text(quantity.help())
                        .on_disabled_hover_text(
                            "Tokens are recorded every record.tokens_every steps",
                        );
                    });
                }
            })
            .response;
        let response = response.accessible_name("How the texts are written");
        response.on_hover_text(match shown {
            TextView::Plain => "The texts as they are; the verifier's answer is underlined",
            TextView::Differences => {
                "What the other text has not is marked; the verifier's answer is underlined"
            }
            TextView::Tokens(quantity) => quantity.help(),
        });
    }
}

/// How completion `index` is written beside `other`.
fn body<'a>(
    view: TextView,
    group: &'a GroupView,
    index: usize,
    other: usize,
    marks: &'a [std::ops::Range<usize>],
) -> Body<'a> {
    match (view, &group.tokens) {
        (TextView::Tokens(quantity), Some(tokens)) => {
            // Both texts are shaded on one scale.
            let of =
                |index: usize, other: usize| quantity.reach(&quantity.values(tokens, index, other));
            let reach = of(index, other).max(of(other, index));
            Body::Tokens(TokenBody { tokens, index, other, quantity, reach, lit: None })
        }
        (TextView::Differences, _) => Body::Marked(marks),
        _ => Body::Marked(&[]),
    }
}

/// What the cosine of a pair is.
fn meaning(compared: CosineKind) -> Meaning<'static> {
    let (name, help, place) = match compared {
        CosineKind::Feature => (
            "Cosine of gradient directions",
            "Φ_i · Φ_j / (|Φ_i| |Φ_j|) from −1 to +1, where Φ is the mean of φ_t over a \
             completion's tokens. +1: both push the policy the same way; 0: they teach independent \
             things; −1: they pull against each other.",
            "geometry/ as cosine",
        ),
        CosineKind::Semantic => (
            "Cosine of sentence embeddings",
            "e_i · e_j / (|e_i| |e_j|) from −1 to +1: +1 where both completions say the same.",
            "geometry/ as semantic",
        ),
        CosineKind::Parameter => (
            "Cosine of parameter gradients",
            "g_i · g_j / (|g_i| |g_j|) from −1 to +1, where g is the gradient of a completion's \
             log-probability over all parameters: what the gradient directions stand in for.",
            "geometry/ as gradient",
        ),
        CosineKind::Hidden => (
            "Cosine of hidden states",
            "h_i · h_j / (|h_i| |h_j|) from −1 to +1, where h is the mean of the policy's final \
             hidden states over a completion: +1 where both are alike to the policy.",
            "geometry/ as hidden",
        ),
    };
    Meaning { name, help, unit: "", better: Better::Neither, place }
}

/// The prompt, at most a few lines of it without scrolling, and what would be right.
fn prompt(ui: &mut Ui, theme: &Theme, group: &GroupView) {
    ScrollArea::vertical().id_salt("prompt").max_height(64.0).auto_shrink([false, true]).show(
        ui,
        |ui| {
            let text = RichText::new(group.prompt.trim_end())
                .text_style(TextStyle::Monospace)
                .color(theme.text_strong);
            ui.add(egui::Label::new(text).wrap());
        },
    );
    ui.horizontal(|ui| {
        ui.label(RichText::new("Right would be").color(theme.text_weak));
        let answer = RichText::new(format::one_line(&group.answer, 200)).monospace();
        ui.add(egui::Label::new(answer).truncate());
    });
}
