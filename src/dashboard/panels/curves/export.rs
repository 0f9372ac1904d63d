//! The curves as a table (CSV) and as a figure (SVG and PNG): the same lines that the window draws.

use crate::dashboard::kit::export::{ExportResult, field, in_background};
use crate::dashboard::kit::lines::{STYLES, Trace};
use crate::dashboard::kit::series::{Axis, CurveView};
use crate::dashboard::panel::traces::{self, Source};
use crate::dashboard::panels::curves::plots::Plots;
use crate::error::Error;
use crate::figures::{Figure, FigureLine, FigurePlot};
use std::path::PathBuf;

/// Points of a line in a figure, at most.
const FIGURE_POINTS: usize = 2000;

/// How lines are broken: lengths of dashes and of the gaps between them, pixels.
const FIGURE_DASHES: [Option<(u32, u32)>; STYLES] =
    [None, Some((6, 4)), Some((2, 4)), Some((14, 6))];

/// All recorded values of the shown metrics: a line per run and step.
pub(super) fn csv(runs: &[Source<'_>], plots: &Plots) -> String {
    let mut metrics = Vec::new();
    for metric in plots.list.iter().flat_map(|plot| &plot.metrics) {
        if !metrics.contains(metric) {
            metrics.push(*metric);
        }
    }
    let names: Vec<&str> = metrics.iter().map(|metric| metric.name).collect();
    let mut text = format!("run,step,{}\n", names.join(","));
    for run in runs {
        let mut steps: Vec<u64> = metrics
            .iter()
            .filter_map(|metric| run.curves().of(metric))
            .flat_map(|series| series.raw.points().map(|point| point.x as u64))
            .collect();
        steps.sort_unstable();
        steps.dedup();
        let name = field(run.name());
        for step in steps {
            let values = metrics.iter().map(|metric| {
                let value = run.curves().of(metric).and_then(|series| series.at(step));
                value.map_or_else(String::new, |value| value.to_string())
            });
            let line = values.collect::<Vec<_>>().join(",");
            let line = format!("{name},{step},{line}\n");
            text.push_str(&line);
        }
    }
    text
}

/// The shown curves as a figure: averaged, joined and over the x axis as in the window.
pub(super) fn figure(runs: &[Source<'_>], plots: &Plots, view: &CurveView) -> Figure {
    let drawn =
        plots.list.iter().filter(|plot| runs.iter().any(|run| plot.has_place(run.curves())));
    let plots = drawn.map(|plot| {
        let traces = traces::traces(runs, &plot.metrics, view, (0.0, f64::INFINITY), FIGURE_POINTS);
        let titles: Vec<&str> = plot.metrics.iter().map(|metric| metric.title()).collect();
        let unit = plot.metrics.first().map_or("", |metric| metric.unit);
        let title = if unit.is_empty() {
            titles.join(", ")
        } else {
            format!("{}, {unit}", titles.join(", "))
        };
        FigurePlot {
            title,
            is_log: plot.is_log,
            lines: traces.into_iter().map(figure_line).collect(),
        }
    });
    let x_label = match view.axis {
        Axis::Step => "step",
        Axis::Time => "seconds since the run began",
        Axis::Clock => "seconds since the first run began",
    };
    let plots: Vec<FigurePlot> = plots.collect();
    let mut figure = Figure { x_label: x_label.to_owned(), plots };
    // A single run still has a name in the legend.
    if let [only] = runs {
        for line in figure
            .plots
            .iter_mut()
            .flat_map(|plot| &mut plot.lines)
            .filter(|line| line.name.is_empty())
        {
            only.name().clone_into(&mut line.name);
        }
    }
    figure
}

fn figure_line(trace: Trace) -> FigureLine {
    let mut points = Vec::new();
    for piece in trace.pieces {
        if let Some(last) = points.last().map(|(x, _)| *x) {
            points.push((last, f64::NAN));
        }
        points.extend(piece.iter().map(|point| (point.x, point.y)));
    }
    let [red, green, blue, _] = trace.color.to_array();
    FigureLine {
        name: trace.name,
        color: [red, green, blue],
        dashes: FIGURE_DASHES[trace.style % STYLES],
        points,
        band: trace.band,
    }
}

/// Writes `curves.csv`, `curves.svg` and `curves.png` into `folder` and tells `result`.
pub(super) fn write(
    folder: PathBuf,
    csv: String,
    figure: Figure,
    result: &ExportResult,
    wake: egui::Context,
) {
    in_background(result, wake, move || {
        std::fs::create_dir_all(&folder)
            .map_err(Error::io("making the folder for figures", &folder))?;
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
    use crate::dashboard::state::run::State;
    use crate::dashboard::tests::testing;
    use crate::run::RunSnapshot;
    use std::sync::Arc;

    fn state(snapshot: RunSnapshot) -> State {
        let mut state = State::new(snapshot);
        state.require_curves(&Plots::default().metrics());
        state
    }

    #[test]
    fn the_table_has_a_line_per_step_and_the_figure_a_plot_per_panel() {
        let snapshot = testing::snapshot(30, 1, 2);
        let named = |name: &str, seed| {
            let mut snapshot = snapshot.clone();
            snapshot.info = Arc::new(testing::info_with(name, seed));
            state(snapshot)
        };
        let states = [named("a", 0), named("b \"x\"", 1)];
        let plots = Plots::default();
        let runs = traces::sources(&states.iter().collect::<Vec<_>>(), Axis::Step, |_, _| {
            egui::Color32::BLACK
        });
        let text = csv(&runs, &plots);
        assert_eq!(text.lines().count(), 61);
        let fields: Vec<&str> = text.lines().nth(30).unwrap().split(',').collect();
        assert_eq!(fields[..2], ["\"a s0\"", "30"]);
        let accuracy =
            snapshot.history.at(30).unwrap().get(&crate::stages::metrics::REWARD_ACCURACY).unwrap();
        assert_eq!(fields[2].parse::<f64>().unwrap().to_bits(), accuracy.to_bits());
        assert!(text.contains("\"b \"\"x\"\" s1\",1,"));
        let figure = figure(&runs[..1], &plots, &CurveView::default());
        assert_eq!(figure.plots.len(), 9, "what the run does not measure has no plot");
        let line = &figure.plots[0].lines[0];
        assert_eq!((line.points.len(), line.name.as_str()), (30, "a s0"));
    }

    #[test]
    fn a_figure_joins_seeds_and_has_the_axis_of_the_window() {
        let states = [0, 1].map(|seed| {
            let mut snapshot = testing::snapshot(30, 1, 2);
            snapshot.info = Arc::new(testing::info_with("countdown-g2rl", seed));
            state(snapshot)
        });
        let view = CurveView { joins_seeds: true, axis: Axis::Time, ..CurveView::default() };
        let runs = traces::sources(&states.iter().collect::<Vec<_>>(), view.axis, |_, _| {
            egui::Color32::BLACK
        });
        let figure = figure(&runs, &Plots::default(), &view);
        assert_eq!(figure.x_label, "seconds since the run began");
        let [line] = figure.plots[0].lines.as_slice() else { panic!("the seeds are not joined") };
        assert_eq!((line.points.len(), line.band.len()), (30, 30));
        assert!((line.points[29].0 - 45.0).abs() < 1e-9, "1.5 seconds a step");
    }

    #[test]
    fn an_export_says_where_it_is_or_why_there_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let wait = |folder: PathBuf| {
            let result = ExportResult::default();
            write(
                folder,
                "run,step\n".to_owned(),
                Figure::default(),
                &result,
                egui::Context::default(),
            );
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
