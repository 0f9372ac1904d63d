//! Lines of plots: how the lines of several runs are told apart, and a line as it is drawn.

use crate::dashboard::kit::series::NotDrawn;
use egui::Color32;
use egui_plot::PlotPoint;

/// Ways in which lines are broken: not at all, in short dashes, in dots, in long dashes.
pub(crate) const STYLES: usize = 4;

/// Length of short and of long dashes, points; the gaps between them are shorter by the golden
/// ratio, as in plots.
pub(crate) const DASHES: [f32; 2] = [5.0, 13.0];

/// Shades of a method's colour.
pub(crate) const SHADES: usize = 3;

/// How the line of a run looks beside others of its method: which shade of the colour, and how it
/// is broken.
pub(crate) fn look(variant: usize) -> (usize, usize) {
    ((variant + variant / STYLES) % SHADES, variant % STYLES)
}

/// A line as it is drawn, with x already on the axis.
#[derive(Clone, Debug)]
pub(crate) struct Trace {
    /// What is said of it; empty where the plot has one run and one metric.
    pub(crate) name: String,
    /// Its colour.
    pub(crate) color: Color32,
    /// How it is broken, of [`STYLES`]: by the run where the plot has one metric, else by the
    /// metric.
    pub(crate) style: usize,
    /// Unbroken pieces.
    pub(crate) pieces: Vec<Vec<PlotPoint>>,
    /// Recorded values behind an average: drawn faintly.
    pub(crate) shadow: Vec<Vec<PlotPoint>>,
    /// What is filled, between the lowest and the highest of several seeds: (x, low, high).
    pub(crate) band: Vec<(f64, f64, f64)>,
    /// Stretches without a value that can be drawn.
    pub(crate) gaps: Vec<(f64, f64)>,
    /// What of its values is not drawn.
    pub(crate) not_drawn: NotDrawn,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_twelve_runs_of_a_method_look_different() {
        let looks: std::collections::HashSet<_> = (0..12).map(look).collect();
        assert_eq!((looks.len(), look(0)), (12, (0, 0)));
        let broken: std::collections::HashSet<_> = (0..4).map(|variant| look(variant).1).collect();
        assert_eq!(broken.len(), 4, "few runs are told apart without their shades");
    }
}
