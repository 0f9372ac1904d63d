//! The line above the plots: how the curves are drawn, what becomes of them, and which runs there
//! are.

use crate::dashboard::kit::lines::look;
use crate::dashboard::kit::series::{Axis, CurveView};
use crate::dashboard::kit::text::caption;
use crate::dashboard::kit::trailing::Trailing;
use crate::dashboard::kit::widgets::marks;
use crate::dashboard::panel::PanelContext;
use crate::dashboard::panels::curves::menu::choose_metric;
use crate::dashboard::panels::curves::plots::{CurvePlot, Plots};
use crate::dashboard::state::run::State;
use egui::{RichText, Sense, Ui, vec2};

/// Draws the line. Says whether the curves are to be written.
pub(super) fn show(ui: &mut Ui, cx: &PanelContext<'_>, run: &mut State, plots: &mut Plots) -> bool {
    let theme = cx.theme;
    let mut is_export = false;
    ui.horizontal(|ui| {
        let end = Trailing::of(ui, "curve settings");
        let hint =
            "A click shows that step, Shift+click pins it; drag and Ctrl+scroll move and zoom";
        ui.scope(|ui| {
            ui.set_max_width(end.room(ui));
            ui.add(egui::Label::new(RichText::new(hint).small().color(theme.text_weak)).truncate());
        });
        end.show(ui, |ui| {
            ui.spacing_mut().item_spacing.x = 6.0;
            is_export = settings(ui, cx, &mut run.choices.curves, plots);
        });
    });
    if !cx.others.is_empty() {
        legend(ui, cx, run, plots);
    }
    is_export
}

/// How the curves are drawn, and what becomes of them. Says whether they are to be written.
fn settings(ui: &mut Ui, cx: &PanelContext<'_>, view: &mut CurveView, plots: &mut Plots) -> bool {
    let help = "Steps of the exponential average (bias-corrected); 0 shows the recorded values";
    caption(ui, cx.theme, "average").on_hover_text(help);
    ui.add(egui::DragValue::new(&mut view.span).range(0..=1000).speed(0.25)).on_hover_text(help);
    if !cx.others.is_empty() {
        let hint = "Draw runs that differ in their seed only as their mean, with a band from the \
                    lowest to the highest";
        ui.checkbox(&mut view.joins_seeds, "Join seeds").on_hover_text(hint);
    }
    for (axis, name, hint) in [
        (Axis::Step, "step", "Training steps"),
        (Axis::Time, "time", "Time since the run began"),
        (Axis::Clock, "clock", "Time since the earliest of the open runs began"),
    ] {
        ui.selectable_value(&mut view.axis, axis, name).on_hover_text(hint);
    }
    if (*view != CurveView::default() || *plots != Plots::default())
        && ui.button("Reset").on_hover_text("The first plots and settings again").clicked()
    {
        (*view, *plots) = (CurveView::default(), Plots::default());
    }
    ui.menu_button("Add plot", |ui| {
        if let Some(metric) = choose_metric(ui, &[]) {
            plots.list.push(CurvePlot { metrics: vec![metric], is_log: false, is_optional: false });
            ui.close();
        }
    });
    let hint = "Write curves.csv, curves.svg and curves.png into the run folder's figures";
    ui.button("Export").on_hover_text(hint).clicked()
}

/// The lines of all open runs with their names; those of the others can be hidden.
fn legend(ui: &mut Ui, cx: &PanelContext<'_>, own: &State, plots: &mut Plots) {
    let theme = cx.theme;
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing = vec2(6.0, 2.0);
        let sample = |ui: &mut Ui, run: &State| {
            let font = egui::TextStyle::Body.resolve(ui.style());
            let name =
                ui.painter().layout_no_wrap(run.label.name.clone(), font, theme.text).size().x;
            // A line and its name stay together.
            if ui.available_size_before_wrap().x < marks::SAMPLE.x + name + 40.0 {
                ui.end_row();
            }
            let (rect, response) = ui.allocate_exact_size(marks::SAMPLE, Sense::hover());
            let (shade, style) = look(run.label.variant);
            marks::paint_line(
                ui.painter(),
                rect,
                theme.method_shade(run.snapshot.info.method(), shade),
                style,
            );
            let name = format!("Line of {}", run.label.name);
            response
                .widget_info(|| egui::WidgetInfo::labeled(egui::Role::Image, true, name.clone()));
        };
        sample(ui, own);
        let folder = own.snapshot.info.directory.display().to_string();
        ui.label(RichText::new(&own.label.name).color(theme.text_strong)).on_hover_text(folder);
        for other in cx.others {
            ui.add_space(8.0);
            sample(ui, other);
            let directory = &other.snapshot.info.directory;
            let hidden = &mut plots.hidden;
            let mut is_shown = !hidden.contains(directory);
            let text = RichText::new(&other.label.name).color(if is_shown {
                theme.text
            } else {
                theme.text_weak
            });
            if ui
                .checkbox(&mut is_shown, text)
                .on_hover_text(directory.display().to_string())
                .changed()
            {
                hidden.retain(|folder| folder != directory);
                if !is_shown {
                    hidden.push(directory.clone());
                }
            }
        }
    });
}
