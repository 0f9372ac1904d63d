//! Lines of metrics over the common x axis, of single runs or of the mean over seeds: what is drawn
//! and what is exported. No drawing here.

use crate::dashboard::kit::lines::{STYLES, Trace, look};
use crate::dashboard::kit::series::{Axis, CurveView, Curves, NotDrawn, Series};
use crate::dashboard::state::run::State;
use crate::metrics::Metric;
use crate::run::RunInfo;
use egui::Color32;
use egui_plot::PlotPoint;

/// Places at which the mean over seeds is taken, and at which bands have corners.
pub(crate) const BAND_POINTS: usize = 160;

/// One run's curves, and where they lie on the x axis.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    /// The run.
    pub(crate) state: &'a State,
    /// Its colour: that of its method, in the shade that the run has.
    pub(crate) color: Color32,
    /// How its lines are broken, of [`STYLES`].
    pub(crate) style: usize,
    axis: Axis,
    /// Seconds between the earliest run's start and this run's.
    offset: f64,
}

/// When a run began, seconds since 1970, where its events say.
fn started_s(state: &State) -> Option<f64> {
    let event = state.snapshot.events.first()?;
    let time: jiff::Timestamp = event.time.parse().ok()?;
    Some(time.as_second() as f64)
}

/// The runs on one x axis, each in the colour that `color` gives its method and a shade of it; the
/// shown one comes first.
pub(crate) fn sources<'a>(
    states: &[&'a State],
    axis: Axis,
    color: impl Fn(&str, usize) -> Color32,
) -> Vec<Source<'a>> {
    let begin = states.iter().filter_map(|state| started_s(state)).fold(f64::INFINITY, f64::min);
    let source = |&state: &&'a State| Source {
        state,
        color: color(state.snapshot.info.method(), look(state.label.variant).0),
        style: look(state.label.variant).1,
        axis,
        offset: started_s(state).map_or(0.0, |started| started - begin),
    };
    states.iter().map(source).collect()
}

impl<'a> Source<'a> {
    /// Its curves.
    pub(crate) fn curves(&self) -> &'a Curves {
        &self.state.memo.curves
    }

    /// Where a step lies on the axis.
    pub(crate) fn x(&self, step: f64) -> f64 {
        match self.axis {
            Axis::Step => step,
            Axis::Time => self.curves().time_of(step),
            Axis::Clock => self.offset + self.curves().time_of(step),
        }
    }

    /// The step at a place on the axis.
    pub(crate) fn step(&self, x: f64) -> f64 {
        match self.axis {
            Axis::Step => x,
            Axis::Time => self.curves().step_at(x),
            Axis::Clock => self.curves().step_at(x - self.offset),
        }
    }

    /// What the run is called.
    pub(crate) fn name(&self) -> &'a str {
        &self.state.label.name
    }

    fn pieces(&self, pieces: Vec<Vec<PlotPoint>>) -> Vec<Vec<PlotPoint>> {
        let place = |points: Vec<PlotPoint>| {
            points.into_iter().map(|at| PlotPoint::new(self.x(at.x), at.y)).collect()
        };
        pieces.into_iter().map(place).collect()
    }

    /// The line of one metric.
    fn trace(&self, series: Option<&Series>, span: u32, bounds: (f64, f64), most: usize) -> Trace {
        let empty = Trace {
            name: String::new(),
            color: self.color,
            style: self.style,
            pieces: Vec::new(),
            shadow: Vec::new(),
            band: Vec::new(),
            gaps: Vec::new(),
            not_drawn: NotDrawn::default(),
        };
        let Some(series) = series else { return empty };
        let (from, to) = (self.step(bounds.0), self.step(bounds.1) + 1.0);
        let shown = series
            .raw
            .gaps()
            .iter()
            .filter(|(first, last)| *last as f64 >= from && *first as f64 <= to);
        let gaps = shown
            .map(|&(first, last)| (self.x(first as f64 - 0.5), self.x(last as f64 + 0.5)))
            .collect();
        let empty = Trace { gaps, not_drawn: series.raw.not_drawn, ..empty };
        let raw = || self.pieces(series.raw.visible(from, to, most));
        if series.is_averaged(span) {
            Trace {
                pieces: self.pieces(series.smooth.visible(from, to, most)),
                shadow: raw(),
                ..empty
            }
        } else {
            Trace { pieces: raw(), ..empty }
        }
    }

    /// (x, low, high) of two metrics over the whole run, averaged as `span` says; `None` in place
    /// of the first stands for 0.
    pub(crate) fn band(
        &self,
        low: Option<&Metric>,
        high: &Metric,
        span: u32,
    ) -> Vec<(f64, f64, f64)> {
        let value = |metric: &Metric, step: u64| self.curves().of(metric)?.shown_at(step, span);
        let corner = |step: u64| {
            let low = low.map_or(Some(0.0), |metric| value(metric, step))?;
            Some((self.x(step as f64), low, value(high, step)?))
        };
        places(self.state.cursor.newest()).filter_map(corner).collect()
    }
}

/// Steps spread evenly from the first to `last`.
fn places(last: u64) -> impl Iterator<Item = u64> {
    let count = last.min(BAND_POINTS as u64);
    (1..=count).map(move |place| (place * last).div_ceil(count))
}

/// The lines of some metrics of all runs between two places of the axis, in about `most` points
/// each at most.
pub(crate) fn traces(
    sources: &[Source<'_>],
    metrics: &[&'static Metric],
    view: &CurveView,
    bounds: (f64, f64),
    most: usize,
) -> Vec<Trace> {
    let mut traces = Vec::new();
    for (place, metric) in metrics.iter().enumerate() {
        let name = |run: String| match (sources.len() > 1, metrics.len() > 1) {
            (false, false) => String::new(),
            (true, false) => run,
            (false, true) => metric.name.to_owned(),
            (true, true) => format!("{run}, {}", metric.name),
        };
        for family in families(sources, view.joins_seeds) {
            let (run, trace) = if let [only] = family.as_slice() {
                (
                    only.name().to_owned(),
                    only.trace(only.curves().of(metric), view.span, bounds, most),
                )
            } else {
                let run = format!(
                    "{}, mean of {} seeds",
                    family[0].state.snapshot.info.name(),
                    family.len()
                );
                (run, mean(&family, metric, view.span))
            };
            let style = if metrics.len() > 1 { place % STYLES } else { trace.style };
            traces.push(Trace { name: name(run), style, ..trace });
        }
    }
    traces
}

/// Runs that differ in their seed only stand together where that is asked for.
fn families<'a, 'b>(sources: &'b [Source<'a>], joins_seeds: bool) -> Vec<Vec<&'b Source<'a>>> {
    let mut families: Vec<Vec<&Source<'_>>> = Vec::new();
    for source in sources {
        let is_same = |other: &Source<'_>| {
            let key = |info: &'_ RunInfo| {
                [info.name(), info.method(), &info.task, &info.model].map(str::to_owned)
            };
            key(&source.state.snapshot.info) == key(&other.state.snapshot.info)
                && source.state.settings == other.state.settings
        };
        match families.iter_mut().find(|family| joins_seeds && is_same(family[0])) {
            Some(family) => family.push(source),
            None => families.push(vec![source]),
        }
    }
    families
}

/// The mean over seeds with the range from the lowest to the highest, as far as all of them have
/// come.
fn mean(family: &[&Source<'_>], metric: &Metric, span: u32) -> Trace {
    let mut trace = family[0].trace(None, span, (0.0, 0.0), 0);
    let all: Option<Vec<&Series>> =
        family.iter().map(|source| source.curves().of(metric)).collect();
    let Some(all) = all else { return trace };
    let last = family.iter().map(|source| source.state.cursor.newest()).min().unwrap_or(0);
    let mut points = Vec::new();
    for step in places(last) {
        let values: Option<Vec<f64>> =
            all.iter().map(|series| series.shown_at(step, span)).collect();
        let Some(values) = values else { continue };
        let x = family[0].x(step as f64);
        points.push(PlotPoint::new(x, values.iter().sum::<f64>() / values.len() as f64));
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        trace.band.push((x, low, values.iter().copied().fold(f64::NEG_INFINITY, f64::max)));
    }
    if !points.is_empty() {
        trace.pieces.push(points);
    }
    trace
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dashboard::tests::testing;
    use crate::run::RunSnapshot;
    use crate::stages::metrics;
    use std::sync::Arc;

    /// A run whose accuracy at every step is `add` above that of the synthetic run.
    fn run(seed: u64, steps: u64, add: f64) -> State {
        let mut snapshot: RunSnapshot = testing::snapshot(steps, 1, 2);
        snapshot.info = Arc::new(testing::info_with("countdown-g2rl", seed));
        let mut history = crate::metrics::History::default();
        for step in 1..=steps {
            let mut row = testing::metric_row(step);
            for (metric, value) in &mut row.values {
                if metric.name == metrics::REWARD_ACCURACY.name {
                    *value = add;
                }
            }
            history.push(row);
        }
        snapshot.history = history;
        let mut state = State::new(snapshot);
        state.require_curves(&[&metrics::REWARD_ACCURACY]);
        state
    }

    #[test]
    fn seeds_are_joined_to_their_mean_and_range_as_far_as_all_have_come() {
        let runs = [run(0, 30, 0.2), run(1, 30, 0.4), run(2, 25, 0.9)];
        let states: Vec<&State> = runs.iter().collect();
        let sources = sources(&states, Axis::Step, |_, _| Color32::WHITE);
        let settings = CurveView { joins_seeds: true, ..CurveView::default() };
        let bounds = (0.0, f64::INFINITY);
        let traces = traces(&sources, &[&metrics::REWARD_ACCURACY], &settings, bounds, 500);
        let [trace] = traces.as_slice() else { panic!("{} lines", traces.len()) };
        assert!(trace.name.contains("mean of 3 seeds"), "{}", trace.name);
        assert_eq!((trace.pieces[0].len(), trace.band.len()), (25, 25));
        assert!(trace.pieces[0].iter().all(|point| (point.y - 0.5).abs() < 1e-9));
        assert!(
            trace
                .band
                .iter()
                .all(|(_, low, high)| (low - 0.2).abs() < 1e-9 && (high - 0.9).abs() < 1e-9)
        );
        let apart = CurveView { joins_seeds: false, ..settings };
        assert_eq!(
            super::traces(&sources, &[&metrics::REWARD_ACCURACY], &apart, bounds, 500).len(),
            3
        );
    }

    #[test]
    fn runs_of_other_settings_are_no_seeds_of_one_another() {
        let with = |lambda: f64| {
            let mut state = run(0, 30, 0.5);
            state.settings = vec![("method.G2rl.lambda".to_owned(), lambda.to_string())];
            state
        };
        let runs = [with(0.5), with(1.0)];
        let sources = sources(&runs.iter().collect::<Vec<_>>(), Axis::Step, |_, _| Color32::WHITE);
        let settings = CurveView { joins_seeds: true, ..CurveView::default() };
        let lines =
            traces(&sources, &[&metrics::REWARD_ACCURACY], &settings, (0.0, f64::INFINITY), 500);
        assert_eq!(lines.len(), 2);
    }

    #[test]
    fn time_on_the_axis_leads_back_to_its_step() {
        let run = run(0, 30, 0.5);
        let of = |axis| sources(&[&run], axis, |_, _| Color32::WHITE)[0].x(10.0);
        assert!((of(Axis::Step) - 10.0).abs() < 1e-9 && (of(Axis::Time) - 15.0).abs() < 1e-9);
        let source = sources(&[&run], Axis::Time, |_, _| Color32::WHITE)[0];
        assert!((source.step(source.x(10.0)) - 10.0).abs() < 1e-9);
    }

    #[test]
    fn a_band_lies_between_two_metrics_or_stands_on_zero() {
        let run = run(0, 500, 0.5);
        let source = sources(&[&run], Axis::Step, |_, _| Color32::WHITE)[0];
        let band = source.band(None, &metrics::REWARD_ACCURACY, 0);
        assert_eq!(band.len(), BAND_POINTS);
        assert_eq!(band.last().copied(), Some((500.0, 0.0, 0.5)));
        assert!(
            source.band(None, &metrics::SEMANTIC_COSINE_MEAN, 0).is_empty(),
            "the run has none"
        );
    }
}
