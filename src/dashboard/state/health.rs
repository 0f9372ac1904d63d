//! What a person should look after, from the metrics around a step and the evaluations before it.
//! No egui here.
//!
//! Thresholds are rules of thumb. Each is said in the text, with the steps that it is about, so
//! that nobody has to guess why something is listed.

use crate::dashboard::kit::format;
use crate::metrics::{Better, History, Metric, MetricRow};
use crate::run::{Estimate, RunSnapshot};
use crate::stages::metrics;

/// The path of the setting that a run which falls apart is usually mended by.
const LEARNING_RATE: &str = "optimizer.learning_rate";

/// Steps up to the cursor whose mean counts as the present.
const WINDOW: u64 = 10;
/// How far back the present is compared with, steps.
const BACK: u64 = 50;

/// Where pass@k stands.
static PASS_AT: Metric = Metric::new(
    "evals.jsonl",
    "pass@k of the held-out evaluations: the chance that one of k samples is correct.",
)
.better(Better::Higher);

/// How much something matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// Worth knowing.
    Note,
    /// Training suffers from it.
    Warning,
    /// Nothing that follows from it can be trusted.
    Error,
}

/// Something that a person should look after.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Finding {
    /// How much it matters.
    pub(crate) level: Level,
    /// What it is.
    pub(crate) title: &'static str,
    /// The numbers behind it, and the rule.
    pub(crate) detail: String,
    /// What to try.
    pub(crate) advice: String,
    /// The metric that shows it.
    pub(crate) metric: &'static Metric,
}

/// Something that is watched.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Check {
    /// What is watched.
    pub(crate) name: &'static str,
    /// Its value now, in words; `None` where the run does not measure it or not yet.
    pub(crate) value: Option<String>,
    /// When it is listed, where it is about other steps than the last ones: which.
    pub(crate) rule: &'static str,
    /// The metric that shows it.
    pub(crate) metric: &'static Metric,
    /// What a person should look after.
    pub(crate) finding: Option<Finding>,
}

/// Everything that is watched, as it is at `step`, with what is most important first. `wrong` has
/// looked at the steps up to it.
pub(crate) fn checks(snapshot: &RunSnapshot, step: u64, wrong: &WrongValues) -> Vec<Check> {
    let look = Look { snapshot, step };
    let mut checks = vec![
        look.truncation(),
        look.no_answers(),
        look.uniform_groups(),
        look.accuracy(),
        look.pass_at(),
        look.entropy(),
        look.kl(),
        look.sampler_gap(),
        look.fidelity(),
        look.clipping(),
        look.gradient(),
        look.rank(),
    ];
    wrong.list(&mut checks);
    checks.sort_by_key(|check| {
        std::cmp::Reverse(check.finding.as_ref().map(|finding| finding.level))
    });
    checks
}

/// A suite, k, and its estimates by step, newest last.
type Pass<'a> = (&'a str, usize, Vec<(u64, Estimate)>);

/// Metrics that are numbers in every step that has them: their stages end the run where they come
/// to anything else.
const NUMBERS: [&Metric; 9] = [
    &metrics::REWARD_MEAN,
    &metrics::REWARD_SHAPED_MEAN,
    &metrics::REWARD_ACCURACY,
    &metrics::COMPLETION_LENGTH_MEAN,
    &metrics::POLICY_ENTROPY,
    &metrics::POLICY_KL,
    &metrics::POLICY_LOSS,
    &metrics::POLICY_GRAD_NORM,
    &metrics::POLICY_LEARNING_RATE,
];

/// No metric comes to more than this.
const LARGEST: f64 = 1e30;

/// Between which values a metric lies, rounding included.
fn bounds(metric: &Metric) -> (f64, f64) {
    const ROUNDING: f64 = 1e-3;
    let has = |words: &[&str]| words.iter().any(|word| metric.name.contains(word));
    match metric.name {
        "group/resampled_ratio" => (0.0, LARGEST),
        name if name.ends_with("_ratio")
            || name == "reward/accuracy"
            || name == "curriculum/solve_rate" =>
        {
            (0.0, 1.0)
        }
        _ if has(&["cosine", "pearson", "spearman"]) => (-1.0 - ROUNDING, 1.0 + ROUNDING),
        _ if has(&["novelty_mean"]) => (-ROUNDING, 1.0 + ROUNDING),
        "policy/entropy" => (-ROUNDING * ROUNDING, LARGEST),
        "reward/length_penalty_mean" => (-LARGEST, 0.0),
        _ if has(&["norm", "rank", "learning_rate", "_gap"]) => (0.0, LARGEST),
        _ if ["s", "tokens", "tokens/s", "MiB"].contains(&metric.unit) => (0.0, LARGEST),
        _ => (-LARGEST, LARGEST),
    }
}

/// Why a metric cannot have that value, if it cannot.
fn wrong(metric: &Metric, value: f64) -> Option<String> {
    let (low, high) = bounds(metric);
    if !value.is_finite() {
        let is_always = NUMBERS.iter().any(|always| always.name == metric.name);
        return is_always.then(|| "it is a number in every sound step".to_owned());
    }
    if value.abs() > LARGEST {
        return Some("it is far larger than it can be".to_owned());
    }
    // What is said leaves rounding out.
    let (least, most) = (low.round(), high.round());
    match () {
        () if (low..=high).contains(&value) => None,
        () if high < LARGEST && low > -LARGEST => Some(format!(
            "it lies between {} and {}",
            format::number(least, 0),
            format::number(most, 0)
        )),
        () if value < low => Some(format!("it is never below {}", format::number(least, 0))),
        () => Some(format!("it is never above {}", format::number(most, 0))),
    }
}

/// A metric with a value that it cannot have.
#[derive(Clone, Debug)]
struct WrongValue {
    metric: &'static Metric,
    /// The first step with such a value, and why it cannot be.
    first: (u64, f64, String),
    /// How many steps have one.
    count: usize,
}

/// Values that cannot be, of the whole run: nothing that follows from them can be trusted, however
/// long ago they were.
#[derive(Clone, Debug, Default)]
pub(crate) struct WrongValues {
    /// Rows that have been looked at.
    rows: usize,
    values: Vec<WrongValue>,
}

impl WrongValues {
    /// Looks at the rows that have come since, up to `step`.
    pub(crate) fn look(&mut self, history: &History, step: u64) {
        for row in history.iter().skip(self.rows).take_while(|row| row.step <= step) {
            for &(metric, value) in &row.values {
                if let Some(why) = wrong(metric, value) {
                    self.note(metric, (row.step, value, why));
                }
            }
            self.rows += 1;
        }
    }

    fn note(&mut self, metric: &'static Metric, first: (u64, f64, String)) {
        match self.values.iter_mut().find(|known| known.metric.name == metric.name) {
            Some(known) => known.count += 1,
            None => self.values.push(WrongValue { metric, first, count: 1 }),
        }
    }

    /// Gives every such metric a finding, in place of what its check says, or in a check of its
    /// own.
    fn list(&self, checks: &mut Vec<Check>) {
        for WrongValue { metric, first: (step, value, why), count } in &self.values {
            let said =
                if value.is_finite() { format::compact(*value) } else { "not a number".to_owned() };
            let later = match count - 1 {
                0 => String::new(),
                later => {
                    format!(" {} since.", format::count(later, "more such step", "more such steps"))
                }
            };
            let finding = Some(Finding {
                level: Level::Error,
                title: "A value that cannot be",
                detail: format!("{} is {said} at step {step}; {why}.{later}", metric.name),
                advice: format!(
                    "Look at step {step} in metrics.jsonl; where training came to this, continue \
                     from an earlier checkpoint with a lower {LEARNING_RATE}."
                ),
                metric,
            });
            let value = Some(said);
            if let Some(check) = checks.iter_mut().find(|check| check.metric.name == metric.name) {
                (check.finding, check.value) = (finding, value);
            } else {
                let rule = "where it cannot be, in any step of the run";
                checks.push(Check { name: metric.name, value, rule, metric, finding });
            }
        }
    }
}

struct Look<'a> {
    snapshot: &'a RunSnapshot,
    step: u64,
}

impl Look<'_> {
    /// The last steps up to `end`.
    fn rows(&self, end: u64) -> impl Iterator<Item = &MetricRow> {
        (end.saturating_sub(WINDOW - 1).max(1)..=end)
            .filter_map(|step| self.snapshot.history.at(step))
    }

    /// The steps that count as the present, in words.
    fn present(&self) -> String {
        match self.step {
            0 | 1 => "the first step".to_owned(),
            step if step < WINDOW => format!("the first {step} steps"),
            _ => format!("the last {WINDOW} steps"),
        }
    }

    /// Mean over the last steps up to `end`, where there is any.
    fn mean(&self, metric: &Metric, end: u64) -> Option<f64> {
        let values: Vec<f64> = self
            .rows(end)
            .filter_map(|row| row.get(metric))
            .filter(|value| value.is_finite() && value.abs() <= LARGEST)
            .collect();
        (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
    }

    fn now(&self, metric: &Metric) -> Option<f64> {
        self.mean(metric, self.step)
    }

    fn truncation(&self) -> Check {
        let metric = &metrics::COMPLETION_TRUNCATED_RATIO;
        let now = self.now(metric);
        let finding = now.filter(|&share| share > 0.1).map(|share| Finding {
            level: Level::Warning,
            title: "Many responses are cut off",
            detail: format!(
                "In {} {} of the responses reached the token limit; above 10 % the reward measures \
                 the limit.",
                self.present(),
                format::percent(share)
            ),
            advice: "Raise rollout.max_new_tokens, or set objective.truncated to Mask or \
                     SoftPenalty."
                .to_owned(),
            metric,
        });
        let (name, rule) = ("Responses cut off", "above 10 %");
        Check { name, value: now.map(format::percent), rule, metric, finding }
    }

    fn no_answers(&self) -> Check {
        let metric = &metrics::COMPLETION_NO_ANSWER_RATIO;
        let now = self.now(metric);
        let finding = now.filter(|&share| share > 0.3).map(|share| Finding {
            level: Level::Warning,
            title: "Many responses have no answer",
            detail: format!(
                "In {} the verifier found no final answer in {} of the responses; listed above 30 \
                 %.",
                self.present(),
                format::percent(share)
            ),
            advice:
                "Read some of them under Rollouts: does the prompt template ask for the form that \
                 the verifier reads?"
                    .to_owned(),
            metric,
        });
        let (name, rule) = ("Responses without an answer", "above 30 %");
        Check { name, value: now.map(format::percent), rule, metric, finding }
    }

    /// The learning rate, and whether it was raised: the first thing to suspect where a policy gets
    /// worse.
    fn learning_rate(&self) -> String {
        let path = LEARNING_RATE;
        let rate = |step: u64| self.snapshot.history.at(step)?.get(&metrics::POLICY_LEARNING_RATE);
        let Some(now) = rate(self.step) else { return path.to_owned() };
        let edits = self.snapshot.events.iter().rev().filter(|event| event.step < self.step);
        // An edit holds from the step after it on.
        let edited =
            edits.into_iter().find(|event| event.edit().is_some_and(|edit| edit.path == path));
        let before = edited
            .and_then(|event| Some((event.step, rate(event.step)?)))
            .filter(|(_, before)| now > *before);
        match before {
            Some((step, before)) => {
                let (now, before) = (format::compact(now), format::compact(before));
                format!("{path} ({now} now, raised from {before} at step {step})")
            }
            None => format!("{path} ({} now)", format::compact(now)),
        }
    }

    /// The best mean over as many steps as the present has, of those before the present, and where
    /// it ends.
    fn best_before(&self, metric: &Metric) -> Option<(u64, f64)> {
        let ends =
            (1..=self.step.saturating_sub(WINDOW) / WINDOW).map(|place| self.step - place * WINDOW);
        let means = ends.filter_map(|end| Some((end, self.mean(metric, end)?)));
        means.max_by(|a, b| a.1.total_cmp(&b.1))
    }

    fn accuracy(&self) -> Check {
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

    fn pass_at(&self) -> Check {
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
                        "Lower {}; the checkpoint of step {then} is better than the \
                             newest.",
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

    fn uniform_groups(&self) -> Check {
        let metric = &metrics::GROUP_UNIFORM_RATIO;
        let now = self.now(metric);
        let finding = now.filter(|&share| share > 0.5).map(|share| {
            let accuracy = self.now(&metrics::REWARD_ACCURACY).unwrap_or(f64::NAN);
            let advice = if accuracy > 0.5 {
                "The problems are too easy: use harder ones, rollout.curriculum, or \
                 rollout.dynamic."
            } else {
                "The problems are too hard: use easier ones, larger groups, rollout.curriculum, or \
                 rollout.dynamic."
            };
            Finding {
                level: Level::Warning,
                title: "Most groups teach nothing by their rewards",
                detail: format!(
                    "In {} all base rewards are equal in {} of the groups, at an accuracy of {}; \
                     listed above 50 %.",
                    self.present(),
                    format::percent(share),
                    format::percent(accuracy)
                ),
                advice: advice.to_owned(),
                metric,
            }
        });
        let (name, rule) = ("Groups with equal rewards", "above 50 %");
        Check { name, value: now.map(format::percent), rule, metric, finding }
    }

    fn entropy(&self) -> Check {
        let metric = &metrics::POLICY_ENTROPY;
        let now = self.now(metric);
        let first = self.mean(metric, WINDOW).filter(|_| self.step >= 2 * WINDOW);
        let finding = now.zip(first).filter(|(now, first)| *now < 0.4 * first).map(|(now, first)| Finding {
            level: Level::Warning,
            title: "Entropy is collapsing",
            detail: format!(
                "In {} it is {} nats per token, {} of what it was in the first ten steps; below 40 \
                 % samples repeat each other.",
                self.present(),
                format::compact(now),
                format::percent(now / first)
            ),
            advice: format!(
                "Lower {}, raise objective.clip_high, or use a method that rewards diversity \
                .",
                self.learning_rate()
            ),
            metric,
        });
        let value = now.map(|now| format!("{} nats", format::compact(now)));
        Check {
            name: "Entropy",
            value,
            rule: "below 40 % of the first ten steps'",
            metric,
            finding,
        }
    }

    fn kl(&self) -> Check {
        let metric = &metrics::POLICY_KL;
        let now = self.now(metric);
        let before = self
            .step
            .checked_sub(BACK)
            .filter(|&step| step > 0)
            .and_then(|step| self.mean(metric, step));
        let runs_away = |now: f64| before.is_some_and(|before| now > 0.2 && now > 4.0 * before);
        let finding = now.filter(|&now| now > 0.5 || runs_away(now)).map(|now| Finding {
            level: Level::Warning,
            title: "The policy runs away from the reference",
            detail: match before {
                Some(before) => format!(
                    "In {} KL is {} nats per token; {BACK} steps ago it was {}. Listed above 0.5, \
                     or above 0.2 and four times as much as {BACK} steps ago.",
                    self.present(),
                    format::compact(now),
                    format::compact(before)
                ),
                None => format!(
                    "In {} KL is {} nats per token, listed above \
                                 0.5.",
                    self.present(),
                    format::compact(now)
                ),
            },
            advice: format!(
                "Lower {}, raise objective.kl.coefficient, or give objective.kl a \
                             target.",
                self.learning_rate()
            ),
            metric,
        });
        let value = now.map(|now| format!("{} nats", format::compact(now)));
        Check {
            name: "KL to the reference",
            value,
            rule: "above 0.5, or 0.2 and 4 × 50 steps ago",
            metric,
            finding,
        }
    }

    fn sampler_gap(&self) -> Check {
        let metric = &metrics::POLICY_SAMPLER_LOGPROB_GAP;
        let now = self.now(metric);
        let finding = now.filter(|&gap| gap > 0.01).map(|gap| Finding {
            level: Level::Warning,
            title: "Sampler and trainer disagree",
            detail: format!(
                "In {} their log-probabilities differ by up to {} nats; above 0.01 updates are \
                 off-policy by rounding.",
                self.present(),
                format::compact(gap)
            ),
            advice: "Use precision: F32, or smaller steps: with lower precision ratios drift from \
                     1 before anything is learnt."
                .to_owned(),
            metric,
        });
        let (name, rule) = ("Gap between sampler and trainer", "above 0.01 nats");
        Check { name, value: now.map(format::compact), rule, metric, finding }
    }

    fn fidelity(&self) -> Check {
        let metric = &metrics::FIDELITY_PEARSON;
        let record = self.snapshot.fidelity.iter().rev().find(|record| record.step <= self.step);
        let now = record.and_then(|record| Some((record.step, record.blocks.first()?.pearson?)));
        let finding = now.filter(|(_, pearson)| *pearson < 0.5).map(|(step, pearson)| Finding {
            level: Level::Note,
            title: "Features tell little about the true gradients",
            detail: format!(
                "Their cosines correlate with those over all parameters by {} at step {step}; \
                 listed below 0.5.",
                format::signed(pearson, 2)
            ),
            advice:
                "Read novelty with care: it speaks for the last layer. The fidelity bars say which \
                 parameters differ."
                    .to_owned(),
            metric,
        });
        let value = now.map(|(_, pearson)| format::signed(pearson, 2));
        Check {
            name: "Proxy fidelity",
            value,
            rule: "below 0.5 when last measured",
            metric,
            finding,
        }
    }

    fn clipping(&self) -> Check {
        let metric = &metrics::POLICY_CLIP_RATIO;
        let now = self.now(metric);
        let finding = now.filter(|&share| share > 0.2).map(|share| Finding {
            level: Level::Warning,
            title: "Much of the update is clipped away",
            detail: format!(
                "In {} {} of the tokens had their ratio clipped; listed above 20 %.",
                self.present(),
                format::percent(share)
            ),
            advice: format!(
                "Lower {} or objective.epochs, or use fewer mini-batches.",
                self.learning_rate()
            ),
            metric,
        });
        let (name, rule) = ("Tokens clipped", "above 20 %");
        Check { name, value: now.map(format::percent), rule, metric, finding }
    }

    fn gradient(&self) -> Check {
        let metric = &metrics::POLICY_GRAD_NORM;
        let now = self.snapshot.history.at(self.step).and_then(|row| row.get(metric));
        let before = self
            .step
            .checked_sub(1)
            .filter(|&step| step > 0)
            .and_then(|step| self.mean(metric, step));
        let jumps = |(norm, before): &(f64, f64)| *before > 0.0 && *norm > 10.0 * before;
        let finding = now.zip(before).filter(jumps).map(|(norm, before)| Finding {
            level: Level::Note,
            title: "The gradient jumps in this step",
            detail: format!(
                "Its norm is {}, {} times the mean of the ten steps before; listed from ten times \
                 on.",
                format::compact(norm),
                format::number(norm / before, 0)
            ),
            advice: "Look at the completions of the step; lower optimizer.max_grad_norm if it \
                     happens often."
                .to_owned(),
            metric,
        });
        let value = now.map(format::compact);
        Check {
            name: "Norm of the gradient",
            value,
            rule: "above 10 × the ten steps before",
            metric,
            finding,
        }
    }

    fn rank(&self) -> Check {
        let metric = &metrics::GEOMETRY_EFFECTIVE_RANK;
        let now = self.now(metric);
        let finding = now.filter(|&rank| rank < 2.0).map(|rank| Finding {
            level: Level::Note,
            title: "Groups span few directions",
            detail: format!(
                "In {} the effective rank of the cosine matrices is {}; below 2 nearly all \
                 responses of a group push alike.",
                self.present(),
                format::number(rank, 1)
            ),
            advice: "Raise the temperature or lambda, or use larger groups.".to_owned(),
            metric,
        });
        let (name, rule) = ("Effective rank of groups", "below 2");
        Check { name, value: now.map(|rank| format::number(rank, 1)), rule, metric, finding }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dashboard::tests::testing;
    use crate::metrics::History;
    use crate::run::{EvaluationRecord, Event, RunInfo, SettingEdit};
    use std::sync::Arc;

    fn run(values: impl Fn(u64) -> Vec<(&'static Metric, f64)>, steps: u64) -> RunSnapshot {
        let mut snapshot = RunSnapshot::starting(RunInfo::small());
        let mut history = History::default();
        (1..=steps)
            .for_each(|step| history.push(MetricRow { step, wall_s: 0.0, values: values(step) }));
        snapshot.history = history;
        snapshot.step = steps;
        snapshot
    }

    /// What is watched at `step`, by somebody who has seen the run from its first step on.
    fn checks(snapshot: &RunSnapshot, step: u64) -> Vec<Check> {
        let mut wrong = WrongValues::default();
        wrong.look(&snapshot.history, step);
        super::checks(snapshot, step, &wrong)
    }

    fn titles(snapshot: &RunSnapshot, step: u64) -> Vec<&'static str> {
        findings(snapshot, step).iter().map(|finding| finding.title).collect()
    }

    fn findings(snapshot: &RunSnapshot, step: u64) -> Vec<Finding> {
        checks(snapshot, step).into_iter().filter_map(|check| check.finding).collect()
    }

    #[test]
    fn a_healthy_run_has_no_findings() {
        let healthy = run(
            |step| {
                vec![
                    (&metrics::COMPLETION_TRUNCATED_RATIO, 0.02),
                    (&metrics::COMPLETION_NO_ANSWER_RATIO, 0.1),
                    (&metrics::GROUP_UNIFORM_RATIO, 0.3),
                    (&metrics::POLICY_ENTROPY, 0.5 - 0.001 * step as f64),
                    (&metrics::POLICY_KL, 0.001 * step as f64),
                    (&metrics::POLICY_SAMPLER_LOGPROB_GAP, 1e-6),
                    (&metrics::POLICY_GRAD_NORM, 1.0),
                    (&metrics::GEOMETRY_EFFECTIVE_RANK, 6.0),
                ]
            },
            100,
        );
        assert!((1..=100).all(|step| findings(&healthy, step).is_empty()));
        let said: Vec<_> =
            checks(&healthy, 100).into_iter().map(|check| (check.name, check.value)).collect();
        assert!(said.contains(&("Responses cut off", Some("2 %".to_owned()))), "{said:?}");
        assert!(said.contains(&("Proxy fidelity", None)), "it was not measured");
        assert!(findings(&RunSnapshot::starting(RunInfo::small()), 0).is_empty());
    }

    #[test]
    fn entropy_and_kl_are_compared_with_what_they_were() {
        let run = run(
            |step| {
                let late = step > 60;
                vec![
                    (&metrics::POLICY_ENTROPY, if late { 0.1 } else { 0.5 }),
                    (&metrics::POLICY_KL, if late { 0.3 } else { 0.01 }),
                ]
            },
            90,
        );
        assert!(titles(&run, 60).is_empty());
        assert_eq!(
            titles(&run, 75),
            ["Entropy is collapsing", "The policy runs away from the reference"]
        );
    }

    #[test]
    fn uniform_groups_get_advice_that_fits_their_accuracy() {
        let advice = |accuracy: f64| {
            let run = run(
                move |_| {
                    vec![
                        (&metrics::GROUP_UNIFORM_RATIO, 0.9),
                        (&metrics::REWARD_ACCURACY, accuracy),
                    ]
                },
                5,
            );
            findings(&run, 5)[0].advice.clone()
        };
        assert!(advice(0.95).contains("too easy"));
        assert!(advice(0.02).contains("too hard"));
    }

    #[test]
    fn a_fall_of_accuracy_is_found_with_the_learning_rate_as_its_cause() {
        let mut run = run(
            |step| {
                let late = step > 40;
                vec![
                    (&metrics::REWARD_ACCURACY, if late { 0.2 } else { 0.4 }),
                    (&metrics::POLICY_LEARNING_RATE, if late { 1e-3 } else { 1e-4 }),
                ]
            },
            60,
        );
        let edit = SettingEdit { path: LEARNING_RATE.into(), from: 1e-4.into(), to: 1e-3.into() };
        run.events = Arc::new(vec![Event::edited(40, edit)]);
        assert!(titles(&run, 40).is_empty());
        let found = findings(&run, 60);
        assert_eq!(found[0].title, "Training accuracy falls");
        assert!(
            found[0].advice.contains(
                "optimizer.learning_rate (0.0010 now, raised from 1.0e\u{2212}4 at step 40)"
            ),
            "{}",
            found[0].advice
        );
        let mut harder = run.clone();
        harder.history = History::default();
        for row in run.history.iter() {
            let mut row = row.clone();
            row.values.push((&metrics::CURRICULUM_SOLVE_RATE, 0.5));
            harder.history.push(row);
        }
        assert!(titles(&harder, 60).is_empty(), "a curriculum makes problems harder");
    }

    #[test]
    fn a_fall_of_pass_at_k_beyond_its_interval_is_found() {
        let mut run = run(|_| Vec::new(), 60);
        let with = |values: [f64; 3]| {
            let of = |(place, value): (usize, f64)| {
                let estimate =
                    |value: f64| Estimate { value, low: value - 0.03, high: value + 0.03 };
                let pass_at = vec![(1, estimate(0.3)), (16, estimate(value))];
                EvaluationRecord { step: 20 * place as u64, pass_at, ..testing::evaluation(0) }
            };
            Arc::new(values.into_iter().enumerate().map(of).collect::<Vec<_>>())
        };
        run.evaluations = with([0.78, 0.77, 0.74]);
        assert!(titles(&run, 60).is_empty(), "the intervals touch");
        run.evaluations = with([0.78, 0.77, 0.70]);
        assert_eq!(titles(&run, 60), ["Held-out pass@k falls"]);
        assert!(findings(&run, 60)[0].detail.contains("pass@16") && titles(&run, 30).is_empty());
    }

    #[test]
    fn what_is_not_measured_in_a_step_is_no_finding() {
        let run = run(
            |_| {
                vec![
                    (&metrics::COMPLETION_TRUNCATED_RATIO, f64::NAN),
                    (&metrics::FIDELITY_PEARSON, f64::NAN),
                ]
            },
            5,
        );
        assert!(findings(&run, 5).is_empty());
    }

    #[test]
    fn values_that_cannot_be_are_errors_that_name_metric_and_step() {
        let said = |metric: &'static Metric, value: f64| {
            let run = run(move |step| vec![(metric, if step == 3 { value } else { 0.5 })], 5);
            let checks = checks(&run, 5);
            let check = &checks[0];
            let finding = check
                .finding
                .clone()
                .unwrap_or_else(|| panic!("{} = {value} is not found", metric.name));
            assert_eq!((finding.level, check.metric.name), (Level::Error, metric.name));
            assert_eq!(findings(&run, 5).len(), 1, "{:?}", findings(&run, 5));
            assert!(findings(&run, 2).is_empty(), "the steps before are sound");
            finding.detail
        };
        let (loss, entropy) = (&metrics::POLICY_LOSS, &metrics::POLICY_ENTROPY);
        assert_eq!(
            said(loss, 1e308),
            "policy/loss is 1.0e308 at step 3; it is far larger than it can be."
        );
        assert_eq!(
            said(loss, f64::NAN),
            "policy/loss is not a number at step 3; it is a number in every sound step."
        );
        assert_eq!(said(loss, f64::INFINITY), said(loss, f64::NAN));
        assert_eq!(
            said(entropy, -0.3),
            "policy/entropy is \u{2212}0.300 at step 3; it is never below 0."
        );
        let accuracy = said(&metrics::REWARD_ACCURACY, 1.5);
        assert_eq!(accuracy, "reward/accuracy is 1.50 at step 3; it lies between 0 and 1.");
        assert_eq!(
            said(&metrics::GEOMETRY_COSINE_MEAN, -1.2),
            "geometry/cosine_mean is \u{2212}1.20 at step 3; it lies between \u{2212}1 and 1."
        );
        said(&metrics::POLICY_GRAD_NORM, -1.0);
        said(&metrics::TIME_STEP_S, -1.0);
    }

    #[test]
    fn a_value_that_cannot_be_stays_listed_with_the_step_that_it_came_in() {
        let loss = &metrics::POLICY_LOSS;
        let run = run(|step| vec![(loss, if step == 3 || step == 5 { f64::NAN } else { 0.5 })], 60);
        let found = findings(&run, 60);
        assert_eq!(
            found[0].detail,
            "policy/loss is not a number at step 3; it is a number in every sound step. 1 more such \
             step since."
        );
        // What has been looked at once is not looked at again.
        let mut wrong = WrongValues::default();
        (1..=60).for_each(|step| wrong.look(&run.history, step));
        assert_eq!((wrong.rows, wrong.values[0].count), (60, 2));
    }

    #[test]
    fn what_is_said_names_the_steps_that_it_is_about() {
        let cut_off = |steps: u64| {
            let run = run(|_| vec![(&metrics::COMPLETION_TRUNCATED_RATIO, 0.5)], steps);
            findings(&run, steps)[0].detail.clone()
        };
        assert!(cut_off(1).starts_with("In the first step 50 %"), "{}", cut_off(1));
        assert!(cut_off(4).starts_with("In the first 4 steps 50 %"), "{}", cut_off(4));
        assert!(cut_off(40).starts_with("In the last 10 steps 50 %"), "{}", cut_off(40));
    }

    #[test]
    fn a_run_without_faults_has_no_value_that_cannot_be() {
        let snapshot = testing::snapshot(60, 1, 2);
        assert!((1..=60).all(|step| {
            findings(&snapshot, step).iter().all(|finding| finding.level < Level::Error)
        }));
        // Rounding is none.
        let rounded = run(
            |_| {
                vec![
                    (&metrics::GEOMETRY_COSINE_Q95, 1.000_000_1),
                    (&metrics::POLICY_ENTROPY, -1e-9),
                ]
            },
            5,
        );
        assert!(findings(&rounded, 5).is_empty());
    }
}
