//! The menu of one plot: what it shows.

use crate::dashboard::kit::widgets::marks;
use crate::dashboard::panels::curves::plots::CurvePlot;
use crate::metrics::{self, Metric};
use egui::{Button, Rect, ScrollArea, TextEdit, Ui, UiBuilder};

/// What the menu of a plot does to it.
pub(super) enum Change {
    /// Shows something else.
    To(CurvePlot),
    /// Takes it away.
    Removal,
}

/// The menu of one plot.
pub(super) fn show(ui: &mut Ui, corner: Rect, plot: &CurvePlot) -> Option<Change> {
    let mut changed = None;
    let mut ui = ui
        .new_child(UiBuilder::new().max_rect(corner).id_salt(("plot menu", plot.metrics[0].name)));
    let button = Button::new("").frame(false).min_size(corner.size());
    let (response, _) = egui::containers::menu::MenuButton::from_button(button).ui(&mut ui, |ui| {
        ui.set_min_width(230.0);
        let mut is_log = plot.is_log;
        if ui.checkbox(&mut is_log, "Logarithmic").changed() {
            changed = Some(Change::To(CurvePlot { is_log, ..plot.clone() }));
        }
        if plot.metrics.len() > 1 {
            for metric in &plot.metrics {
                if ui.button(format!("Without {}", metric.name)).clicked() {
                    let metrics = plot
                        .metrics
                        .iter()
                        .copied()
                        .filter(|other| other.name != metric.name)
                        .collect();
                    changed = Some(Change::To(CurvePlot { metrics, ..plot.clone() }));
                }
            }
        }
        ui.menu_button("Add a metric", |ui| {
            if let Some(metric) = choose_metric(ui, &plot.metrics) {
                let mut new = plot.clone();
                new.metrics.push(metric);
                changed = Some(Change::To(new));
                ui.close();
            }
        });
        if ui.button("Remove this plot").clicked() {
            changed = Some(Change::Removal);
        }
    });
    marks::paint_more(&ui, &response);
    let name = format!("What the plot of {} shows", plot.metrics[0].title());
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, name.clone()));
    response.on_hover_text(name);
    changed
}

/// A searchable list of all metrics but those.
pub(super) fn choose_metric(ui: &mut Ui, without: &[&'static Metric]) -> Option<&'static Metric> {
    let id = ui.scope_id().with("search");
    let mut search = ui.data(|data| data.get_temp::<String>(id)).unwrap_or_default();
    let field = TextEdit::singleline(&mut search).hint_text("Search metrics").desired_width(220.0);
    if ui.add(field).accessible_name("Search metrics").changed() {
        ui.data_mut(|data| data.insert_temp(id, search.clone()));
    }
    let words = search.to_lowercase();
    let mut chosen = None;
    ScrollArea::vertical().max_height(260.0).show(ui, |ui| {
        for metric in metrics::known() {
            let is_there = without.iter().any(|other| other.name == metric.name);
            if !is_there
                && metric.name.contains(&words)
                && ui.button(metric.name).on_hover_text(metric.help).clicked()
            {
                chosen = Some(metric);
            }
        }
    });
    chosen
}
