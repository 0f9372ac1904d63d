//! What is watched of the policy and its updates.

use crate::dashboard::kit::format;
use crate::dashboard::state::health::finding::{Check, Finding, Level};
use crate::dashboard::state::health::look::{Look, WINDOW};
use crate::stages::metrics;

/// How far back the KL divergence is compared with, steps.
const BACK: u64 = 50;

impl Look<'_> {
    pub(super) fn entropy(&self) -> Check {
        let metric = &metrics::POLICY_ENTROPY;
        let now = self.now(metric);
        let first = self.mean(metric, WINDOW).filter(|_| self.step >= 2 * WINDOW);
        let falls = |(now, first): &(f64, f64)| *now < 0.4 * first;
        let finding = now.zip(first).filter(falls).map(|(now, first)| Finding {
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
                "Lower {}, raise objective.clip_high, or use a method that rewards diversity.",
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

    pub(super) fn kl(&self) -> Check {
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
                    "In {} KL is {} nats per token; listed above 0.5.",
                    self.present(),
                    format::compact(now)
                ),
            },
            advice: format!(
                "Lower {}, raise objective.kl.coefficient, or give objective.kl a target.",
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

    pub(super) fn sampler_gap(&self) -> Check {
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

    pub(super) fn clipping(&self) -> Check {
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

    pub(super) fn gradient(&self) -> Check {
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
}
