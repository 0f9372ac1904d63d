//! A method of one's own: reward correct answers the more, the shorter they are within their group.
//!
//! Run it with `cargo run --release --example custom_method`. A method is a plugin whose fields are
//! its settings, with a system in the novelty stage that inserts [`ShapedReward`]. Because it is
//! registered, experiment files, `--set`, the run folder and the window know its settings.

use bevy_app::{App, Plugin};
use bevy_ecs::prelude::*;
use orthant::prelude::{Result, *};
use serde::{Deserialize, Serialize};

/// r~ = r (1 + strength * share of the group's responses that are longer), for correct responses.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Brevity {
    /// How much the shortest of a large group gains; 0 is GRPO.
    pub strength: f64,
}

register_method!(Brevity);

impl Method for Brevity {
    const NAME: &'static str = "brevity";
    const LABEL: &'static str = "Brevity";

    fn validate(&self, _: &Experiment) -> Result<()> {
        within("method.strength", self.strength, 0.0, 10.0)
    }
}

register_live_setting!(LiveSettingKind::new(
    "method.strength",
    "Strength",
    "How much the shortest of a large group gains.",
    |experiment| Some(experiment.method.get::<Brevity>()?.strength),
));

impl Plugin for Brevity {
    fn build(&self, app: &mut App) {
        app.add_systems(
            TrainStep,
            reward_brevity.in_set(StageSystems::Novelty).after(score_novelty),
        );
    }
}

fn reward_brevity(
    mut commands: Commands,
    settings: Settings<Brevity>,
    groups: Groups<&'static Rollouts>,
    rollouts: Query<(&Reward, &Response)>,
) -> bevy_ecs::error::Result {
    let strength = settings.get()?.strength as f32;
    for members in groups.iter() {
        let length = |rollout| Ok(rollouts.get(rollout)?.1.0.ids.len());
        let lengths = members.iter().map(length).collect::<Result<Vec<_>, BevyError>>()?;
        for (rollout, length) in members.iter().zip(&lengths) {
            let longer = lengths.iter().filter(|other| *other > length).count();
            let share = longer as f32 / lengths.len() as f32;
            let reward = rollouts.get(rollout)?.0.0;
            let shaped = if reward > 0.0 { reward * (1.0 + strength * share) } else { reward };
            commands.entity(rollout).insert(ShapedReward(shaped));
        }
    }
    Ok(())
}

/// Two short steps; returns the run's last snapshot.
pub fn train(runs: &std::path::Path) -> Result<RunSnapshot> {
    let experiment: Experiment = from_text(
        r#"Experiment(
            name: "brevity",
            model: Bundled("countdown"),
            task: Countdown(numbers: 3),
            rollout: (prompts_per_step: 4, group_size: 4, max_new_tokens: 48),
            method: Custom("brevity", (strength: 0.8)),
            stop: (steps: 2),
        )"#,
        "custom_method.rs",
    )?;
    let run = RunBuilder::new(experiment).start(runs)?;
    let handle = run.handle.clone();
    run.join()?;
    Ok(handle.snapshots.load())
}

#[allow(dead_code, reason = "the tests include this file as a module and call `train`")]
#[allow(clippy::print_stdout, reason = "a program's result")]
fn main() -> Result<()> {
    let snapshot = train(std::path::Path::new("runs"))?;
    let shaped = snapshot.history.last().and_then(|row| row.get(&metrics::REWARD_SHAPED_MEAN));
    println!(
        "{} steps, shaped reward {:?}, in {}",
        snapshot.step,
        shaped,
        snapshot.info.directory.display()
    );
    Ok(())
}
