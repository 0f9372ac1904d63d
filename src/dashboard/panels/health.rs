//! The health panel: what a person should look after at the newest step, and what the run warned
//! of.

use crate::dashboard::kit::text::caption;
use crate::dashboard::kit::theme::Theme;
use crate::dashboard::kit::widgets::marks;
use crate::dashboard::kit::widgets::quantity::Meaning;
use crate::dashboard::kit::{export, format};
use crate::dashboard::panel::{Badge, Panel, PanelContext, Table};
use crate::dashboard::state::health::{Check, Finding, Level};
use crate::dashboard::state::pending::HEALTH;
use crate::dashboard::state::run::State;
use crate::verify::Verdict;
use egui::{Frame, Margin, RichText, ScrollArea, Sense, Stroke, Ui, vec2};

/// The least width of a column, points.
const COLUMN: f32 = 420.0;

/// The panel.
pub(super) struct HealthPanel;

impl Panel for HealthPanel {
    fn key(&self) -> &'static str {
        HEALTH
    }

    fn title(&self) -> &'static str {
        "Health"
    }

    fn ui(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>, run: &mut State) {
        show(ui, cx.theme, run);
    }

    fn as_table(&mut self, _cx: &PanelContext<'_>, run: &mut State) -> Table {
        let count =
            format::count(run.findings().count(), "thing to look after", "things to look after");
        Table { text: csv(run), what: count }
    }

    fn badge(&self, theme: &Theme, run: &State) -> Option<Badge> {
        let count = run.findings().count();
        (count > 0).then(|| Badge { count, color: run.urgency().map(|level| level.color(theme)) })
    }
}

/// What there is to look after, as CSV.
fn csv(state: &State) -> String {
    let mut text = String::from("step,finding,detail,advice,metric\n");
    for finding in state.findings() {
        let fields = [finding.title, &finding.detail, &finding.advice, finding.metric.name]
            .map(export::field);
        let line = format!("{},{}\n", state.cursor.newest(), fields.join(","));
        text.push_str(&line);
    }
    text
}

/// Draws the panel.
fn show(ui: &mut Ui, theme: &Theme, state: &mut State) {
    let step = state.cursor.newest();
    let findings: Vec<&Finding> = state.findings().collect();
    caption(
        ui,
        theme,
        match (step, findings.len()) {
            (0, _) => "The run's health is judged from its first step on.".to_owned(),
            (_, 0) => format!("Nothing to look after at step {}.", format::thousands(step as f64)),
            (_, 1) => format!("One thing to look after at step {}", format::thousands(step as f64)),
            (_, count) => {
                format!("{count} things to look after at step {}", format::thousands(step as f64))
            }
        },
    );
    let mut wanted = None;
    ScrollArea::vertical().auto_shrink([false, false]).show(ui, |ui| {
        let columns = ((ui.available_width() / COLUMN) as usize).clamp(1, 3);
        ui.columns(columns, |columns| {
            for (place, finding) in findings.iter().enumerate() {
                card(&mut columns[place % columns.len()], theme, finding);
            }
        });
        if step > 0 {
            ui.add_space(if findings.is_empty() { 2.0 } else { 8.0 });
            caption(
                ui,
                theme,
                "What is watched; where nothing else is said, as the mean over the last ten steps",
            );
            watched(ui, theme, state.memo.checks());
        }
        let warnings = &state.snapshot.warnings;
        if warnings.is_empty() {
            return;
        }
        ui.add_space(8.0);
        caption(ui, theme, "Warnings of the run, newest first; a click shows the step");
        for (at, text) in warnings.iter().rev().take(200) {
            ui.horizontal_top(|ui| {
                let link = ui.link(format!("step {}", format::thousands(*at as f64)));
                if link.clicked() {
                    wanted = Some(*at);
                }
                ui.add(egui::Label::new(text).wrap());
            });
        }
    });
    if let Some(step) = wanted.filter(|&step| step > 0) {
        state.cursor.move_to(step);
    }
}

/// Every rule with its value, a line each, in as many columns as there is room for.
fn watched(ui: &mut Ui, theme: &Theme, checks: &[Check]) {
    let columns = ((ui.available_width() / COLUMN) as usize).clamp(1, 3);
    let rows = checks.len().div_ceil(columns);
    ui.columns(columns, |columns| {
        for (ui, part) in columns.iter_mut().zip(checks.chunks(rows.max(1))) {
            for check in part {
                line(ui, theme, check);
            }
        }
    });
}

fn line(ui: &mut Ui, theme: &Theme, check: &Check) {
    let response = ui
        .horizontal(|ui| {
            let (sign, _) = ui.allocate_exact_size(vec2(12.0, 16.0), Sense::hover());
            let (painter, at) = (ui.painter(), sign.center());
            match (&check.finding, &check.value) {
                (Some(Finding { level: Level::Error, .. }), _) => {
                    marks::paint_cross(painter, at, 10.0, theme.error);
                }
                (Some(_), _) => {
                    painter.vline(at.x, at.y - 5.0..=at.y + 1.5, Stroke::new(2.0, theme.warning));
                    painter.circle_filled(at + vec2(0.0, 4.5), 1.2, theme.warning);
                }
                (None, Some(_)) => marks::paint_verdict(painter, at, 10.0, Verdict::Correct, theme),
                (None, None) => marks::paint_verdict(painter, at, 10.0, Verdict::NoAnswer, theme),
            }
            let name = ui.label(check.name);
            let value = check.value.as_deref().unwrap_or("not measured");
            let color = if check.value.is_some() { theme.text_strong } else { theme.text_weak };
            let value = ui.label(RichText::new(value).color(color));
            let rule =
                RichText::new(format!("listed {}", check.rule)).small().color(theme.text_weak);
            let rule = ui.add(egui::Label::new(rule).truncate());
            name | value | rule
        })
        .inner;
    Meaning::of(check.name, check.metric).on(response, theme);
}

fn card(ui: &mut Ui, theme: &Theme, finding: &Finding) {
    let color = finding.level.color(theme);
    let frame =
        Frame::new().fill(theme.raised).corner_radius(3.0).inner_margin(Margin::symmetric(10, 8));
    let response = frame
        .show(ui, |ui| {
            ui.set_width(ui.available_width());
            // Columns stretch the gaps between words; here they stay as they are.
            ui.vertical(|ui| {
                ui.spacing_mut().item_spacing = vec2(8.0, 3.0);
                ui.label(RichText::new(finding.title).color(color));
                ui.label(&finding.detail);
                ui.label(RichText::new(&finding.advice).color(theme.text_strong));
            });
        })
        .response;
    Meaning::of(finding.metric.name, finding.metric).on(response, theme);
}
