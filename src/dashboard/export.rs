//! What panels show as tables (CSV) and files (curves as SVG and PNG, any panel as a picture). Files are written on a thread of
//! their own.

use super::derive::{GroupGeometry, Order};
use super::series::{CurveSettings, Curves, title_of};
use crate::error::{Error, Result};
use crate::figures::{Figure, FigureLine, FigurePlot};
use crate::trainer::{Compared, GroupView, StepView};
use egui::{Color32, ColorImage};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// What became of an export: the files, or why there are none.
pub(crate) type ExportResult = Arc<Mutex<Option<Result<String, String>>>>;

/// A run whose curves are exported.
pub(crate) struct Exported<'a> {
    /// Its name, with the seed.
    pub(crate) name: String,
    /// Its colour in figures, which are white.
    pub(crate) color: Color32,
    /// Its curves.
    pub(crate) curves: &'a Curves,
}

/// All recorded values of the shown metrics: a line per run and step.
pub(crate) fn csv(runs: &[Exported<'_>], settings: &CurveSettings) -> String {
    let mut metrics = Vec::new();
    for metric in settings.panels.iter().flat_map(|panel| &panel.metrics) {
        if !metrics.contains(metric) {
            metrics.push(*metric);
        }
    }
    let names: Vec<&str> = metrics.iter().map(|metric| metric.name).collect();
    let mut text = format!("run,step,{}\n", names.join(","));
    for run in runs {
        let mut steps: Vec<u64> = metrics
            .iter()
            .filter_map(|metric| run.curves.of(metric))
            .flat_map(|series| series.raw.points().map(|point| point.x as u64))
            .collect();
        steps.sort_unstable();
        steps.dedup();
        let name = field(&run.name);
        for step in steps {
            let values = metrics.iter().map(|metric| {
                let value = run.curves.of(metric).and_then(|series| series.at(step));
                value.map_or_else(String::new, |value| value.to_string())
            });
            let line = values.collect::<Vec<_>>().join(",");
            text.push_str(&format!("{name},{step},{line}\n"));
        }
    }
    text
}

/// A text as a field of CSV.
pub(crate) fn field(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

/// A number as a field of CSV: empty where there is none.
pub(crate) fn number(value: f64) -> String {
    if value.is_finite() { value.to_string() } else { String::new() }
}

/// The groups of a step: a line each, with the statistics of their pairs.
pub(crate) fn groups(view: &StepView, compared: Compared) -> String {
    let mut text = String::from(
        "step,group,problem,correct,completions,cosine_mean,negative_ratio,orthogonal_ratio,effective_rank\n",
    );
    for group in &view.groups {
        let geometry = GroupGeometry::new(group, compared, Order::Index);
        let numbers = [geometry.mean, geometry.negative, geometry.orthogonal, geometry.effective_rank].map(number);
        text.push_str(&format!(
            "{},{},{},{},{},{}\n",
            view.step,
            group.group,
            field(&group.problem_id),
            group.correct(),
            group.rollouts.len(),
            numbers.join(",")
        ));
    }
    text
}

/// The cosine matrix of a group in display order, with the completions' indices at its head and side.
pub(crate) fn cosines(group: &GroupView, compared: Compared, order: &[usize]) -> String {
    let names: Vec<String> = order.iter().map(ToString::to_string).collect();
    let mut text = format!("completion,{}\n", names.join(","));
    for &i in order {
        let row: Vec<String> = order.iter().map(|&j| number(f64::from(group.cosine(compared, i, j)))).collect();
        text.push_str(&format!("{i},{}\n", row.join(",")));
    }
    text
}

/// Saves a part of the window as PNG into `folder` and tells `result`.
pub(crate) fn write_picture(
    folder: PathBuf,
    name: String,
    picture: ColorImage,
    result: &ExportResult,
    wake: egui::Context,
) {
    in_background(result, wake, move || {
        std::fs::create_dir_all(&folder).map_err(Error::io("making the folder for figures", &folder))?;
        super::app::save_png(&picture, &folder.join(&name))?;
        Ok(format!("{name} is in {}", folder.display()))
    });
}

/// Does `work` on a thread of its own and tells `result` what became of it.
fn in_background(result: &ExportResult, wake: egui::Context, work: impl FnOnce() -> Result<String> + Send + 'static) {
    let (told, failed) = (Arc::clone(result), Arc::clone(result));
    let tell = |result: &ExportResult, what: Result<String, String>| {
        *result.lock().unwrap_or_else(PoisonError::into_inner) = Some(what);
    };
    let work = move || {
        tell(&told, work().map_err(|error| error.to_string()));
        wake.request_repaint();
    };
    if let Err(error) = std::thread::Builder::new().name("export".to_owned()).spawn(work) {
        tell(&failed, Err(format!("cannot start the thread that exports: {error}")));
    }
}

/// The shown curves as a figure, averaged as in the window, over steps.
pub(crate) fn figure(runs: &[Exported<'_>], settings: &CurveSettings) -> Figure {
    let plots =
        settings.panels.iter().filter(|panel| runs.iter().any(|run| run.curves.has_place(panel))).map(|panel| {
            let lines = runs.iter().flat_map(|run| {
                panel.metrics.iter().enumerate().filter_map(move |(place, metric)| {
                    let series = run.curves.of(metric)?;
                    let curve = if settings.span > 0 && series.is_long() { &series.smooth } else { &series.raw };
                    let mut points = Vec::new();
                    for piece in curve.visible(0.0, f64::INFINITY, 2000) {
                        if let Some(last) = points.last().map(|(x, _)| *x) {
                            points.push((last, f64::NAN));
                        }
                        points.extend(piece.iter().map(|point| (point.x, point.y)));
                    }
                    Some(FigureLine {
                        name: run.name.clone(),
                        color: [run.color.r(), run.color.g(), run.color.b()],
                        is_dashed: place > 0,
                        points,
                        band: Vec::new(),
                    })
                })
            });
            let titles: Vec<&str> = panel.metrics.iter().map(|metric| title_of(metric)).collect();
            let unit = panel.metrics.first().map_or("", |metric| metric.unit);
            let title = if unit.is_empty() { titles.join(", ") } else { format!("{}, {unit}", titles.join(", ")) };
            FigurePlot { title, is_log: panel.is_log, lines: lines.collect() }
        });
    Figure { x_label: "step".to_owned(), plots: plots.collect() }
}

/// Writes `curves.csv`, `curves.svg` and `curves.png` into `folder` and tells `result`.
pub(crate) fn write(folder: PathBuf, csv: String, figure: Figure, result: &ExportResult, wake: egui::Context) {
    in_background(result, wake, move || {
        std::fs::create_dir_all(&folder).map_err(Error::io("making the folder for figures", &folder))?;
        for (name, text) in [("curves.csv", csv), ("curves.svg", figure.svg()?)] {
            let path = folder.join(name);
            std::fs::write(&path, text).map_err(Error::io("writing the export", &path))?;
        }
        figure.write_png(&folder.join("curves.png"))?;
        Ok(format!("curves.csv, curves.svg and curves.png are in {}", folder.display()))
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dashboard::testing;

    #[test]
    fn the_table_has_a_line_per_step_and_the_figure_a_plot_per_panel() {
        let snapshot = testing::snapshot(30, 1, 2);
        let settings = CurveSettings::default();
        let mut curves = Curves::default();
        curves.extend(&snapshot.history, &[], &settings);
        let run = |name: &str| Exported { name: name.to_owned(), color: Color32::BLACK, curves: &curves };
        let text = csv(&[run("a s0"), run("b \"s1\"")], &settings);
        assert_eq!(text.lines().count(), 61);
        let fields: Vec<&str> = text.lines().nth(30).unwrap().split(',').collect();
        assert_eq!(fields[..2], ["\"a s0\"", "30"]);
        let accuracy = snapshot.history.at(30).unwrap().get(&crate::metrics::REWARD_ACCURACY).unwrap();
        assert_eq!(fields[2].parse::<f64>().unwrap().to_bits(), accuracy.to_bits());
        assert!(text.contains("\"b \"\"s1\"\"\",1,"));
        let figure = figure(&[run("a s0")], &settings);
        assert_eq!(figure.plots.len(), 9, "what the run does not measure has no plot");
        assert_eq!(figure.plots[0].lines[0].points.len(), 30);
    }

    #[test]
    fn an_export_says_where_it_is_or_why_there_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let wait = |folder: PathBuf| {
            let result = ExportResult::default();
            write(folder, "run,step\n".to_owned(), Figure::default(), &result, egui::Context::default());
            let started = std::time::Instant::now();
            loop {
                if let Some(told) = result.lock().unwrap().take() {
                    return told;
                }
                assert!(started.elapsed() < std::time::Duration::from_secs(20));
                std::thread::sleep(std::time::Duration::from_millis(2));
            }
        };
        let told = wait(folder.path().join("figures")).unwrap();
        assert!(told.contains("figures") && folder.path().join("figures/curves.png").exists());
        std::fs::write(folder.path().join("taken"), "").unwrap();
        assert!(wait(folder.path().join("taken")).unwrap_err().contains("taken"));
    }
}
