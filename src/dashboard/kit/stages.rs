//! The stages of a step as the window shows them: what each does, and how long it took by the
//! record.

use crate::metrics::{Metric, MetricRow};
use crate::run::{Stage, StageTimes};
use crate::stages::metrics::STAGE_TIMES;

/// The stages whose times make up a step, and the evaluations beside it. Novelty and Advantage are
/// part of Features.
pub(crate) const BANDS: [Stage; 5] =
    [Stage::Sample, Stage::Verify, Stage::Features, Stage::Update, Stage::Evaluate];

/// What a stage does, for its tooltip.
pub(crate) fn help(stage: Stage) -> &'static str {
    match stage {
        Stage::Sample => "Draws problems and samples completions for each.",
        Stage::Verify => "Judges every completion against what would be right.",
        Stage::Features => "Unit features of all rollouts and the cosines between them.",
        Stage::Novelty => "The method's exploration score and its shaping of rewards.",
        Stage::Advantage => "Standardises shaped rewards within each group.",
        Stage::Update => "Forward pass, loss, backward pass, optimizer step.",
        Stage::Evaluate => "Held-out evaluation, on the steps where one is due.",
        Stage::Record => "Writes the step to the run folder.",
    }
}

/// The metric that has the stage's time, where it is recorded.
pub(crate) fn time_metric(stage: Stage) -> Option<&'static Metric> {
    STAGE_TIMES.iter().find(|(of, _)| *of == stage).map(|(_, metric)| *metric)
}

/// The stage times that `metrics.jsonl` holds; NaN where it does not tell stages apart.
pub(crate) fn recorded(row: &MetricRow) -> StageTimes {
    let mut times = Stage::ALL
        .map(|stage| time_metric(stage).and_then(|metric| row.get(metric)).unwrap_or(f64::NAN));
    let features = times[Stage::Features as usize];
    // Older runs do not tell these stages apart.
    let parts = [Stage::Novelty, Stage::Advantage].map(|stage| times[stage as usize]);
    times[Stage::Features as usize] =
        features - parts.iter().filter(|time| time.is_finite()).sum::<f64>();
    // A step in which nothing was due took no time for it.
    let evaluate = &mut times[Stage::Evaluate as usize];
    *evaluate = if evaluate.is_nan() && features.is_finite() { 0.0 } else { *evaluate };
    times
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::metrics;

    #[test]
    fn recorded_times_are_apart_where_the_record_tells_them_apart() {
        let row = |values| MetricRow { step: 1, wall_s: 0.0, values };
        let times = recorded(&row(vec![
            (&metrics::TIME_SAMPLE_S, 1.0),
            (&metrics::TIME_FEATURE_S, 0.75),
            (&metrics::TIME_NOVELTY_S, 0.25),
            (&metrics::TIME_ADVANTAGE_S, 0.125),
        ]));
        let at = |stage: Stage| times[stage as usize];
        let stages = [Stage::Sample, Stage::Features, Stage::Novelty, Stage::Evaluate];
        for (stage, expected) in stages.into_iter().zip([1.0, 0.375, 0.25, 0.0]) {
            assert!((at(stage) - expected).abs() < 1e-12, "{stage:?}");
        }
        assert!(at(Stage::Record).is_nan() && at(Stage::Update).is_nan());
        let older = recorded(&row(vec![(&metrics::TIME_FEATURE_S, 0.75)]));
        assert!(
            (older[Stage::Features as usize] - 0.75).abs() < 1e-12
                && older[Stage::Novelty as usize].is_nan()
        );
    }

    #[test]
    fn every_stage_but_the_last_has_a_metric_of_its_own() {
        let without: Vec<Stage> =
            Stage::ALL.into_iter().filter(|stage| time_metric(*stage).is_none()).collect();
        assert_eq!(without, [Stage::Record]);
        assert!(STAGE_TIMES.iter().zip(Stage::ALL).all(|((of, _), stage)| *of == stage));
    }
}
