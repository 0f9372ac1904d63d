//! What is watched of how often the policy is right.

use crate::dashboard::kit::format;
use crate::dashboard::state::health::finding::{Check, Finding, Level};
use crate::dashboard::state::health::look::Look;
use crate::metrics::{Better, Metric};
use crate::run::Estimate;
use crate::stages::metrics;

/// Where pass@k stands.
static PASS_AT: Metric = Metric::new(
    "evals.jsonl",
    "pass@k of the held-out evaluations: the chance that one of k samples is correct.",
)
.better(Better::Higher);

/// A suite, k, and its estimates by step, newest last.
type Pass<'a> = (&'a str, usize, Vec<(u64, Estimate)>);

impl Look<'_> {
    pub(super) fn accuracy(&self) -> Check {
        let metric = &metrics::REWARD_ACCURACY;
        let now = self.now(metric);
        // A curriculum makes problems harder as they are solved.
        let is_adapted = self.now(&metrics::CURRICULUM_SOLVE_RATE).is_some();
        let best = self.best_before(metric).filter(|_| !is_adapted);
        let falls = |(now, (_, best)): &(f64, (u64, f64))| *now < 0.7 * best && best - now > 0.05;
        let finding = now.zip(best).filter(falls).map(|(now, (step, best))| Finding {
            level: Level::Warning,
            title: "Training accuracy falls",
            detail: format!(
                "In {} {} of the completions are correct; in the ten steps up to step {step} it \
                 was {}. Listed below 70 % of the best ten steps.",
                self.present(),
                format::percent(now),
                format::percent(best)
            ),
            advice: format!(
                "Lower {}, or raise objective.kl.coefficient; continue from a checkpoint before the \
                 fall.",
                self.learning_rate()
            ),
            metric,
        });
        let (name, rule) = ("Training accuracy", "below 70 % of the best ten steps");
        Check { name, value: now.map(format::percent), rule, metric, finding }
    }

    /// pass@k of each suite and k up to the step.
    fn passes(&self) -> Vec<Pass<'_>> {
        let mut passes: Vec<Pass<'_>> = Vec::new();
        for record in self.snapshot.evaluations.iter().filter(|record| record.step <= self.step) {
            for (k, estimate) in
                record.pass_at.iter().filter(|(_, estimate)| estimate.value.is_finite())
            {
                let point = (record.step, *estimate);
                match passes.iter_mut().find(|(suite, of, _)| *suite == record.suite && of == k) {
                    Some((_, _, points)) => points.push(point),
                    None => passes.push((&record.suite, *k, vec![point])),
                }
            }
        }
        passes
    }

    pub(super) fn pass_at(&self) -> Check {
        let metric = &PASS_AT;
        let passes = self.passes();
        let fallen = passes.iter().find_map(|(suite, k, points)| {
            let (newest, before) = points.split_last()?;
            let best = before.iter().max_by(|a, b| a.1.value.total_cmp(&b.1.value))?;
            // Intervals that do not touch.
            (newest.1.high < best.1.low).then_some((*suite, *k, *newest, *best))
        });
        let finding = fallen.map(|(suite, k, (at, now), (then, best))| {
            let narrows = k > 1;
            Finding {
                level: Level::Warning,
                title: if narrows { "Held-out pass@k falls" } else { "Held-out accuracy falls" },
                detail: format!(
                    "pass@{k} on {suite} is {} at step {at}; at step {then} it was {}. Listed \
                     where the intervals do not touch.",
                    format::percent(now.value),
                    format::percent(best.value)
                ),
                advice: if narrows {
                    format!(
                        "The policy solves fewer problems at all: lower {}, or use a method that \
                         rewards diversity.",
                        self.learning_rate()
                    )
                } else {
                    format!(
                        "Lower {}; the checkpoint of step {then} is better than the newest.",
                        self.learning_rate()
                    )
                },
                metric,
            }
        });
        let newest = passes.iter().filter_map(|(_, k, points)| {
            Some(format!("pass@{k} {}", format::percent(points.last()?.1.value)))
        });
        let said: Vec<String> = newest.take(3).collect();
        let value = (!said.is_empty()).then(|| said.join(", "));
        Check {
            name: "Held-out pass@k",
            value,
            rule: "below the best one's interval",
            metric,
            finding,
        }
    }
}
