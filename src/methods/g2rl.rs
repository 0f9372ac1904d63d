//! G2RL (gradient-guided RL, arXiv 2512.15687). Differs from GRPO in:
//!
//! 1. the reward is shaped by the novelty of the response's gradient direction within its group: r~
//!    = clip(r (1 + lambda r `nu_bar`), -c, c) (eqs. 12-14), with nu the exploration score of the
//!    novelty stage.
//!
//! Options beyond the paper's own settings, each a field of [`G2rl`]: a schedule for lambda, tokens
//! weighed by entropy in the direction (alpha), the score without its root, the other sign for
//! incorrect responses, groups with equal rewards left alone, and scores dealt out at random.
//!
//! Features, cosines and scores may be measured for every method; here they act, so every step has
//! them.

use crate::error::Result;
use crate::experiment::{Bounds, Experiment, Method, MethodColor, MethodKind, count};
use crate::geometry::{
    IncorrectSign, LambdaSchedule, NoveltyForm, Shaping, TokenWeights, shape_group,
};
use crate::register_live_setting;
use crate::rng::{self, Domain};
use crate::rollout::{Novelty, PromptGroup, Reward, Rollouts, ShapedReward};
use crate::run::LiveSettingKind;
use crate::stages::{
    ActiveExperiment, FeatureDemand, FeatureWeights, NoveltySettings, Settings, StageSystems,
    StepCounter, TrainStep, score_novelty,
};
use bevy_app::{App, Plugin};
use bevy_ecs::prelude::{Commands, IntoScheduleConfigs, Query, RelationshipTarget, Res};
use serde::{Deserialize, Serialize};

/// G2RL.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct G2rl {
    /// Strength of the shaping, 0 to 2.
    pub lambda: f64,
    /// How that strength changes over the run.
    pub lambda_schedule: LambdaSchedule,
    /// How much each token counts in a response's direction.
    pub alpha: TokenWeights,
    /// Whether the exploration score is the length of the unexplained part of a direction or its
    /// square.
    pub novelty: NoveltyForm,
    /// Whether a novel wrong answer is penalised less (the paper's equations) or more (its prose).
    pub incorrect: IncorrectSign,
    /// Shaped rewards are clipped to plus or minus this.
    pub clip: f64,
    /// Whether groups whose base rewards are all equal are shaped too, and so get a signal from
    /// novelty alone.
    pub shape_uniform_groups: bool,
    /// A control: deals the scores of a group out to its responses at random, so that rewards are
    /// moved as much as by novelty, and by nothing.
    pub shuffle: bool,
}

impl G2rl {
    /// What [`Self::lambda`] can be.
    pub(crate) const LAMBDA: Bounds = Bounds::new(0.0, 2.0);
    /// What [`Self::clip`] can be; it is used as an `f32`.
    pub(crate) const CLIP: Bounds = Bounds::new(f32::MIN_POSITIVE as f64, f64::MAX);
}

impl Default for G2rl {
    fn default() -> Self {
        Self {
            lambda: 0.5,
            lambda_schedule: LambdaSchedule::default(),
            alpha: TokenWeights::default(),
            novelty: NoveltyForm::default(),
            incorrect: IncorrectSign::default(),
            clip: 3.0,
            shape_uniform_groups: true,
            shuffle: false,
        }
    }
}

inventory::submit! { MethodKind::built_in::<G2rl>() }

impl Method for G2rl {
    const NAME: &'static str = "G2rl";
    const LABEL: &'static str = "G2RL";
    const COLOR: Option<MethodColor> =
        Some(MethodColor { on_dark: [0x2e, 0xc4, 0xb6], on_light: [0x0d, 0x76, 0x6e] });

    fn validate(&self, _: &Experiment) -> Result<()> {
        Self::LAMBDA.check("method.lambda", self.lambda)?;
        if let LambdaSchedule::Linear { to, over_steps } = self.lambda_schedule {
            Self::LAMBDA.check("method.lambda_schedule.to", to)?;
            count("method.lambda_schedule.over_steps", over_steps as usize, 1, usize::MAX)?;
        }
        Self::CLIP.check("method.clip", self.clip)
    }
}

register_live_setting!(LiveSettingKind::new(
    "method.lambda",
    "Lambda",
    "G2RL's strength of shaping: the reward is multiplied by 1 + lambda nu, within its bounds.",
    |experiment| Some(experiment.method.get::<G2rl>()?.lambda),
));

impl Plugin for G2rl {
    fn build(&self, app: &mut App) {
        app.insert_resource(FeatureDemand::EveryStep)
            .insert_resource(FeatureWeights(self.alpha))
            .insert_resource(NoveltySettings { form: self.novelty })
            .add_systems(
                TrainStep,
                shape_rewards_by_novelty.after(score_novelty).in_set(StageSystems::Novelty),
            );
    }
}

/// Adds [`ShapedReward`] to every rollout.
pub fn shape_rewards_by_novelty(
    mut commands: Commands,
    settings: Settings<G2rl>,
    experiment: Res<ActiveExperiment>,
    step: Res<StepCounter>,
    groups: Query<(&PromptGroup, &Rollouts)>,
    rollouts: Query<(&Reward, &Novelty)>,
) -> bevy_ecs::error::Result {
    let config = settings.get()?;
    let shaping = Shaping {
        lambda: config.lambda_schedule.strength(config.lambda, step.0) as f32,
        clip: config.clip as f32,
        incorrect: config.incorrect,
        shape_uniform_groups: config.shape_uniform_groups,
    };
    for (group, members) in groups {
        let (mut base, mut novelty) = (Vec::new(), Vec::new());
        for member in members.iter() {
            let (reward, score) = rollouts.get(member)?;
            base.push(reward.0);
            novelty.push(score.normalized);
        }
        if config.shuffle {
            let key = [step.0, u64::from(group.0), 0];
            let mut stream = rng::stream(experiment.0.seed, Domain::Controls, key);
            rng::shuffle(&mut stream, &mut novelty);
        }
        for (member, shaped) in members.iter().zip(shape_group(&base, &novelty, &shaping)) {
            commands.entity(member).insert(ShapedReward(shaped));
        }
    }
    Ok(())
}
