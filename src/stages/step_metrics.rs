//! The metrics of the running step, and how plugins declare theirs.

use crate::metrics::{self, Metric, MetricRow};
use bevy_app::App;
use bevy_ecs::prelude::Resource;

/// The metrics of the running step.
#[derive(Resource, Default)]
pub struct StepMetrics(pub MetricRow);

impl StepMetrics {
    /// Sets a metric of the running step.
    pub fn set(&mut self, metric: &'static Metric, value: f64) {
        self.0.values.retain(|(known, _)| known.name != metric.name);
        self.0.values.push((metric, value));
    }
}

/// The metrics that the plugins of a run have declared, in order: the run folder keeps them.
#[derive(Resource, Clone, Debug, Default)]
pub struct DeclaredMetrics(pub Vec<&'static Metric>);

/// Declares metrics while an app is put together.
pub trait DeclareMetrics {
    /// Makes metrics known, and keeps their declarations in the run folder.
    fn declare_metrics(&mut self, metrics: &[&'static Metric]) -> &mut Self;
}

impl DeclareMetrics for App {
    fn declare_metrics(&mut self, metrics: &[&'static Metric]) -> &mut Self {
        metrics::declare(metrics);
        let mut declared = self.world_mut().get_resource_or_init::<DeclaredMetrics>();
        for metric in metrics {
            declared.0.retain(|earlier| earlier.name != metric.name);
            declared.0.push(metric);
        }
        self
    }
}

/// Arithmetic mean; 0 for none.
pub(super) fn mean(values: impl IntoIterator<Item = f64>) -> f64 {
    let (sum, count) =
        values.into_iter().fold((0.0, 0usize), |(sum, count), value| (sum + value, count + 1));
    if count == 0 { 0.0 } else { sum / count as f64 }
}
