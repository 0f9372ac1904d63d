//! The result of an evaluation of a run.

use serde::{Deserialize, Serialize};

/// An estimate with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The estimate.
    pub value: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
}

/// The result of one evaluation, as in `evals.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EvaluationRecord {
    /// The step after which it was done; 0 is the base model.
    pub step: u64,
    /// The suite's name.
    pub suite: String,
    /// Number of problems.
    pub problems: usize,
    /// Samples per problem.
    pub samples: usize,
    /// pass@k by k, ascending; in JSON the fields `pass@1`, `pass@4`, ...
    #[serde(flatten, with = "pass_at_fields")]
    pub pass_at: Vec<(usize, Estimate)>,
    /// Accuracy of the majority of k samples by k; in JSON the fields `maj@16`, ...
    #[serde(flatten, with = "maj_at_fields")]
    pub maj_at: Vec<(usize, Estimate)>,
    /// Mean response length, tokens.
    pub length_mean: f64,
    /// Share of completions cut off at the limit.
    #[serde(default)]
    pub truncated_ratio: f64,
    /// Share of completions without an answer.
    pub no_answer_ratio: f64,
    /// Seconds it took.
    pub seconds: f64,
}

impl EvaluationRecord {
    /// pass@k, if measured.
    pub fn pass(&self, k: usize) -> Option<Estimate> {
        self.pass_at.iter().find(|(measured, _)| *measured == k).map(|(_, estimate)| *estimate)
    }
}

macro_rules! fields {
    ($module:ident, $prefix:literal) => {
        mod $module {
            use super::Estimate;
            use serde::{Deserialize, Deserializer, Serializer};
            use std::collections::BTreeMap;

            pub(super) fn serialize<S: Serializer>(
                estimates: &[(usize, Estimate)],
                serializer: S,
            ) -> Result<S::Ok, S::Error> {
                serializer.collect_map(
                    estimates.iter().map(|(k, estimate)| (format!("{}{k}", $prefix), estimate)),
                )
            }

            pub(super) fn deserialize<'de, D: Deserializer<'de>>(
                deserializer: D,
            ) -> Result<Vec<(usize, Estimate)>, D::Error> {
                let fields = BTreeMap::<String, Estimate>::deserialize(deserializer)?;
                let mut estimates: Vec<(usize, Estimate)> = fields
                    .into_iter()
                    .filter_map(|(name, estimate)| {
                        Some((name.strip_prefix($prefix)?.parse().ok()?, estimate))
                    })
                    .collect();
                estimates.sort_by_key(|(k, _)| *k);
                Ok(estimates)
            }
        }
    };
}

fields!(pass_at_fields, "pass@");

fields!(maj_at_fields, "maj@");

impl std::fmt::Display for EvaluationRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "step {}: {}", self.step, self.suite)?;
        for (name, estimates) in [("pass", &self.pass_at), ("maj", &self.maj_at)] {
            for (k, e) in estimates {
                write!(
                    f,
                    ", {name}@{k} {:.1} % [{:.1}, {:.1}]",
                    100.0 * e.value,
                    100.0 * e.low,
                    100.0 * e.high
                )?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_have_a_field_per_k_and_read_back_equal() {
        let estimate = |value| Estimate { value, low: value - 0.1, high: value + 0.1 };
        let record = EvaluationRecord {
            step: 25,
            suite: "countdown held-out 8".to_string(),
            problems: 8,
            samples: 16,
            pass_at: vec![(1, estimate(0.25)), (4, estimate(0.5)), (16, estimate(0.75))],
            maj_at: vec![(16, estimate(0.375))],
            length_mean: 31.5,
            truncated_ratio: 0.25,
            no_answer_ratio: 0.0,
            seconds: 1.5,
        };
        let json = serde_json::to_value(&record).unwrap();
        assert_eq!(
            (&json["pass@16"]["value"], &json["maj@16"]["value"]),
            (&0.75.into(), &0.375.into())
        );
        assert_eq!(serde_json::from_value::<EvaluationRecord>(json).unwrap(), record);
    }
}
