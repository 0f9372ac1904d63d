//! What is watched of the directions in which responses push.

use crate::dashboard::kit::format;
use crate::dashboard::state::health::finding::{Check, Finding, Level};
use crate::dashboard::state::health::look::Look;
use crate::stages::metrics;

impl Look<'_> {
    pub(super) fn fidelity(&self) -> Check {
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

    pub(super) fn rank(&self) -> Check {
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
