//! Which plots the curves panel has: first those that metrics have by their declarations, then
//! whatever the person makes of them.

use crate::dashboard::kit::series::Curves;
use crate::metrics::{self, Metric, Plot};
use crate::stages::metrics as measured;
use std::path::PathBuf;

/// Areas of metrics whose plots come first, in reading order.
const AREAS: [&str; 6] = ["reward", "policy", "completion", "geometry", "semantic", "fidelity"];

/// One small plot.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct CurvePlot {
    /// What it shows.
    pub(super) metrics: Vec<&'static Metric>,
    /// Whether its y axis is logarithmic.
    pub(super) is_log: bool,
    /// Whether it has a place only where there is something to draw.
    pub(super) is_optional: bool,
}

impl CurvePlot {
    /// Whether it has a place in the window.
    pub(super) fn has_place(&self, curves: &Curves) -> bool {
        let is_measured =
            |metric: &&Metric| curves.of(metric).is_some_and(|series| !series.is_empty());
        !self.is_optional || self.metrics.iter().copied().any(|metric| is_measured(&metric))
    }
}

/// All plots, and which runs are drawn in them.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Plots {
    /// The plots in order.
    pub(super) list: Vec<CurvePlot>,
    /// Metrics with plots of their own that have been among them: one that is not there any more
    /// was removed.
    offered: Vec<&'static str>,
    /// Other runs that are not drawn, by their folders.
    pub(super) hidden: Vec<PathBuf>,
}

/// The plots of those metrics that have one of their own by their declaration, in order.
fn declared() -> Vec<CurvePlot> {
    let plot = |metric: &'static Metric| {
        let is_optional = match metric.plot {
            Plot::Always(_) => false,
            Plot::WhereMeasured(_) => true,
            Plot::Asked => return None,
        };
        Some(CurvePlot { metrics: vec![metric], is_log: false, is_optional })
    };
    measured::declare_built_in();
    let mut plots: Vec<CurvePlot> = metrics::known().into_iter().filter_map(plot).collect();
    let area = |plot: &CurvePlot| {
        let name = plot.metrics[0].name.split('/').next().unwrap_or_default();
        AREAS.iter().position(|area| *area == name).unwrap_or(AREAS.len())
    };
    plots.sort_by_key(area);
    plots
}

impl Default for Plots {
    fn default() -> Self {
        let list = declared();
        Self {
            offered: list.iter().map(|plot| plot.metrics[0].name).collect(),
            list,
            hidden: Vec::new(),
        }
    }
}

impl Plots {
    /// All metrics that are drawn.
    pub(super) fn metrics(&self) -> Vec<&'static Metric> {
        self.list.iter().flat_map(|plot| plot.metrics.iter().copied()).collect()
    }

    /// Adds the plots of metrics that have become known: a run that was opened later may declare
    /// some. What the person added, changed or removed stays so.
    pub(super) fn offer_declared(&mut self) {
        let declared = declared();
        let names: Vec<&'static str> = declared.iter().map(|plot| plot.metrics[0].name).collect();
        let place = |metric: &Metric| names.iter().position(|name| *name == metric.name);
        for (rank, new) in declared
            .into_iter()
            .enumerate()
            .filter(|(rank, _)| !self.offered.contains(&names[*rank]))
        {
            let is_later =
                |plot: &CurvePlot| place(plot.metrics[0]).is_some_and(|other| other > rank);
            let before = self.list.iter().position(is_later).unwrap_or(self.list.len());
            self.list.insert(before, new);
        }
        self.offered = names;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plots_that_are_declared_later_are_offered_once_and_leave_what_was_chosen() {
        static LATER: Metric =
            Metric::new("policy/later", "A test's own.").plot(Plot::WhereMeasured("Later"));
        let mut untouched = Plots::default();
        let mut chosen = Plots::default();
        let removed = chosen.list.remove(0);
        let added =
            CurvePlot { metrics: vec![&measured::TIME_STEP_S], is_log: true, is_optional: false };
        chosen.list.push(added.clone());
        metrics::declare(&[&LATER]);
        let is_later = |plot: &CurvePlot| plot.metrics[0].name == LATER.name;
        untouched.offer_declared();
        assert!(untouched.list.iter().any(is_later));
        // Nobody changed anything, so there is nothing to reset.
        let mut first = declared();
        first.retain(|plot| untouched.offered.contains(&plot.metrics[0].name));
        assert_eq!(untouched.list, first);
        chosen.offer_declared();
        assert!(
            chosen.list.iter().any(is_later)
                && chosen.list.contains(&added)
                && !chosen.list.contains(&removed)
        );
        chosen.list.retain(|plot| !is_later(plot));
        chosen.offer_declared();
        assert!(!chosen.list.iter().any(is_later), "it was removed");
    }
}
