//! EVOL-RL (arXiv 2509.15194). Differs from GRPO in:
//!
//! 1. the reward is replaced by one in a band that the label gives, moved within it by the novelty
//!    of what the response says: `1/2 + n_bar / 2` where it is correct, `-1 + n_bar / 2` where it
//!    is incorrect, -1 without an answer;
//! 2. novelty is semantic: with unit embeddings e of the responses (the text after the last
//!    `</think>`) and `s_ij = clip(<e_i, e_j>, 0, 1)`,
//!    `n_i = 1 - (mean of s_ij over the others of i's class + max of s_ij over all others) / 2`,
//!    normalised to `n_bar` by min-max within the class (`crate::geometry` has the special cases);
//! 3. the objective has the term c H, with H the mean token entropy of the policy and c = 0.003 by
//!    default;
//! 4. with `labels: Majority`, as the original has it, a response is correct where its answer is
//!    the group's most frequent one (of equally frequent ones the one sampled first; responses
//!    without an answer never win). With `labels: Verifier` the task's verifier decides, as in the
//!    comparison with G2RL.
//!
//! The published recipe clips the ratio above at 1.28; that is `objective: (clip_high: 0.28)` in
//! the experiment. Base rewards, and with them all metrics of accuracy, stay the verifier's.

use crate::error::Error;
use crate::experiment::{EncoderSource, Experiment, Method, MethodColor, MethodKind, within};
use crate::geometry::{AnswerClass, banded_reward, normalize_within_classes, semantic_novelty};
use crate::rollout::{GroupProblem, Judged, PromptGroup, Rollouts, SemanticCosines, ShapedReward};
use crate::stages::{
    ActiveTask, EntropyCoefficient, Settings, StageSystems, TrainStep, score_novelty,
};
use crate::tasks::answer_classes;
use crate::verify::{Verification, majority};
use bevy_app::{App, Plugin};
use bevy_ecs::prelude::*;
use serde::{Deserialize, Serialize};

/// EVOL-RL.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EvolRl {
    /// What turns responses into vectors.
    pub encoder: EncoderSource,
    /// Who says which responses are correct.
    pub labels: Labels,
    /// Weight of the mean token entropy in the objective.
    pub entropy_coefficient: f64,
}

impl Default for EvolRl {
    fn default() -> Self {
        let (encoder, labels) = (EncoderSource::default(), Labels::default());
        Self { encoder, labels, entropy_coefficient: 0.003 }
    }
}

/// Who says which responses are correct.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Labels {
    /// The task's verifier.
    #[default]
    Verifier,
    /// The group itself: the most frequent answer counts as correct.
    Majority,
}

inventory::submit! { MethodKind::built_in::<EvolRl>() }

impl Method for EvolRl {
    const NAME: &'static str = "EvolRl";
    const LABEL: &'static str = "EVOL-RL";
    const COLOR: Option<MethodColor> =
        Some(MethodColor { on_dark: [0xb7, 0x94, 0xf6], on_light: [0x74, 0x40, 0xcc] });

    fn validate(&self, experiment: &Experiment) -> crate::error::Result<()> {
        within("method.entropy_coefficient", self.entropy_coefficient, 0.0, 10.0)?;
        match &experiment.record.encoder {
            Some(other) if *other != self.encoder => {
                let own = &self.encoder;
                let problem = format!(
                    "is {other}, but the method measures with its own, {own}; leave this field out"
                );
                Err(Error::field("record.encoder", problem))
            }
            _ => Ok(()),
        }
    }

    fn encoder(&self) -> Option<&EncoderSource> {
        Some(&self.encoder)
    }

    fn encoder_mut(&mut self) -> Option<&mut EncoderSource> {
        Some(&mut self.encoder)
    }
}

impl Plugin for EvolRl {
    fn build(&self, app: &mut App) {
        app.insert_resource(EntropyCoefficient(self.entropy_coefficient)).add_systems(
            TrainStep,
            shape_rewards_by_meaning.after(score_novelty).in_set(StageSystems::Novelty),
        );
    }
}

/// Adds [`ShapedReward`] to every rollout.
pub fn shape_rewards_by_meaning(
    mut commands: Commands,
    settings: Settings<EvolRl>,
    task: Res<ActiveTask>,
    groups: Query<(&GroupProblem, &Rollouts, &SemanticCosines), With<PromptGroup>>,
    judgements: Query<&Judged>,
) -> Result {
    let labels = settings.get()?.labels;
    for (problem, members, cosines) in groups {
        let mut verifications = Vec::new();
        for member in members.iter() {
            verifications.push(&judgements.get(member)?.0);
        }
        let classes = match labels {
            Labels::Verifier => {
                verifications.iter().map(|v| class(v, v.verdict.is_correct())).collect()
            }
            Labels::Majority => {
                let answers: Vec<_> = verifications
                    .iter()
                    .map(|verification| verification.extracted.as_deref())
                    .collect();
                let same = |one: &str, other: &str| task.0.same_answer(&problem.0, one, other);
                by_majority(&verifications, &answer_classes(&answers, same))
            }
        };
        let novelty = semantic_novelty(&cosines.0, &classes)?;
        let normalized = normalize_within_classes(&novelty, &classes);
        for ((member, &class), normalized) in members.iter().zip(&classes).zip(normalized) {
            commands.entity(member).insert(ShapedReward(banded_reward(class, normalized)));
        }
    }
    Ok(())
}

fn class(verification: &Verification, is_correct: bool) -> AnswerClass {
    match (&verification.extracted, is_correct) {
        (None, _) => AnswerClass::Invalid,
        (Some(_), true) => AnswerClass::Correct,
        (Some(_), false) => AnswerClass::Incorrect,
    }
}

/// Classes by agreement with the most frequent answer; `answers` has the same number for the same
/// answer.
fn by_majority(verifications: &[&Verification], answers: &[Option<usize>]) -> Vec<AnswerClass> {
    let winner = majority(answers);
    verifications
        .iter()
        .zip(answers)
        .map(|(v, answer)| class(v, answer.as_ref() == winner))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::Verdict;

    #[test]
    fn the_most_frequent_answer_is_the_correct_one_whatever_the_verifier_says() {
        use AnswerClass::{Correct, Incorrect, Invalid};
        let verified = |extracted: Option<&str>, verdict| Verification {
            verdict,
            extracted: extracted.map(String::from),
        };
        let group = [
            verified(Some("7"), Verdict::Correct),
            verified(Some("8"), Verdict::Incorrect),
            verified(None, Verdict::NoAnswer),
            verified(Some("16/2"), Verdict::Incorrect),
            verified(None, Verdict::NoAnswer),
            verified(None, Verdict::NoAnswer),
        ];
        let group: Vec<&Verification> = group.iter().collect();
        let equal = [Some(0), Some(1), None, Some(1), None, None];
        assert_eq!(
            by_majority(&group, &equal),
            [Incorrect, Correct, Invalid, Correct, Invalid, Invalid]
        );
        // All answers differ: the first one sampled wins.
        let apart = by_majority(&group, &[Some(0), Some(1), None, Some(2), None, None]);
        assert_eq!(apart, [Correct, Incorrect, Invalid, Incorrect, Invalid, Invalid]);
        assert_eq!(by_majority(&group[2..3], &equal[2..3]), [Invalid]);
    }
}
