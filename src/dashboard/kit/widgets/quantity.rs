//! A number with its name, and what it means in the tooltip.

use crate::dashboard::kit::theme::Theme;
use crate::metrics::{self, Better, Metric};
use egui::text::{LayoutJob, TextFormat};
use egui::{Color32, Label, Response, RichText, TextStyle, Ui};

/// What a quantity means, for its tooltip.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Meaning<'a> {
    /// Its name.
    pub(crate) name: &'a str,
    /// What it is, with its formula.
    pub(crate) help: &'a str,
    /// Its unit, empty for plain numbers.
    pub(crate) unit: &'a str,
    /// Which direction is good.
    pub(crate) better: Better,
    /// Where it stands in the run folder: the name of a metric, or a file.
    pub(crate) place: &'a str,
}

impl<'a> Meaning<'a> {
    /// The meaning of a recorded metric under the name `title`.
    pub(crate) fn of(title: &'a str, metric: &'a Metric) -> Self {
        Self {
            name: title,
            help: metric.help,
            unit: metric.unit,
            better: metric.better,
            place: metric.name,
        }
    }

    /// Fills a tooltip.
    pub(crate) fn show(&self, ui: &mut Ui, theme: &Theme) {
        ui.set_max_width(340.0);
        ui.label(RichText::new(self.name).color(theme.text_strong));
        ui.label(self.help);
        let mut facts = Vec::new();
        if !self.unit.is_empty() {
            facts.push(format!("Unit {}", self.unit));
        }
        match self.better {
            Better::Higher => facts.push("higher is better".to_owned()),
            Better::Lower => facts.push("lower is better".to_owned()),
            Better::Neither => {}
        }
        if metrics::find(self.place).is_some() {
            facts.push(format!("recorded as {} in metrics.jsonl", self.place));
        } else if !self.place.is_empty() {
            facts.push(format!("recorded in {}", self.place));
        }
        if !facts.is_empty() {
            ui.label(RichText::new(facts.join(", ")).small().color(theme.text_weak));
        }
    }

    /// Shows this on hovering over `response`.
    pub(crate) fn on(&self, response: Response, theme: &Theme) -> Response {
        response.on_hover_ui(|ui| self.show(ui, theme))
    }
}

/// Name and value on one line, the value at the right edge.
pub(crate) fn row(ui: &mut Ui, theme: &Theme, meaning: Meaning<'_>, value: &str) -> Response {
    let response = ui
        .horizontal(|ui| {
            let name = ui.label(RichText::new(meaning.name).color(theme.text_weak));
            ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                name | ui.label(RichText::new(value).color(theme.text_strong))
            })
            .inner
        })
        .inner;
    meaning.on(response, theme)
}

/// Name and value as one short phrase that is never broken into lines.
pub(crate) fn phrase(
    ui: &mut Ui,
    theme: &Theme,
    meaning: Meaning<'_>,
    short: &str,
    value: &str,
) -> Response {
    let job = job(ui, short, value, [theme.text_weak, theme.text_strong]);
    meaning.on(ui.add(Label::new(job).extend()), theme)
}

/// How wide such a phrase is, points.
pub(crate) fn width(ui: &Ui, short: &str, value: &str) -> f32 {
    ui.painter().layout_job(job(ui, short, value, [Color32::PLACEHOLDER; 2])).size().x
}

fn job(ui: &Ui, short: &str, value: &str, colors: [Color32; 2]) -> LayoutJob {
    let font = TextStyle::Body.resolve(ui.style());
    let mut job = LayoutJob::default();
    if !short.is_empty() {
        job.append(short, 0.0, TextFormat::simple(font.clone(), colors[0]));
    }
    let gap = if short.is_empty() { 0.0 } else { 4.0 };
    job.append(value, gap, TextFormat::simple(font, colors[1]));
    job
}
