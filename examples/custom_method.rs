//! A method of one's own: reward correct answers the more, the shorter they are within their group.
//!
//! Run it with `cargo run --release --example custom_method`. A method is a plugin with a system in the novelty stage that
//! inserts [`ShapedReward`]; the rest of the pipeline takes it from there.

use bevy_app::{App, Plugin};
use bevy_ecs::prelude::*;
use orthant::prelude::{Result, *};

/// r~ = r (1 + strength * share of the group's responses that are longer), for correct responses.
struct BrevityPlugin {
    strength: f32,
}

#[derive(Resource)]
struct Strength(f32);

impl Plugin for BrevityPlugin {
    fn build(&self, app: &mut App) {
        app.insert_resource(Strength(self.strength))
            .add_systems(TrainStep, reward_brevity.in_set(StageSystems::Novelty).after(score_novelty));
    }
}

fn reward_brevity(
    mut commands: Commands,
    strength: Res<Strength>,
    groups: Query<&Rollouts, With<PromptGroup>>,
    rollouts: Query<(&Reward, &Response)>,
) -> bevy_ecs::error::Result {
    for members in groups {
        let lengths =
            members.iter().map(|r| Ok(rollouts.get(r)?.1.0.ids.len())).collect::<Result<Vec<_>, BevyError>>()?;
        for (rollout, length) in members.iter().zip(&lengths) {
            let longer = lengths.iter().filter(|other| *other > length).count() as f32 / lengths.len() as f32;
            let reward = rollouts.get(rollout)?.0.0;
            let shaped = if reward > 0.0 { reward * (1.0 + strength.0 * longer) } else { reward };
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
            method: Custom("brevity"),
            stop: (steps: 2),
        )"#,
        "custom_method.rs",
    )?;
    let run = RunBuilder::new(experiment).plugin(BrevityPlugin { strength: 0.5 }).start(runs)?;
    let handle = run.handle.clone();
    run.join()?;
    Ok(handle.snapshots.load())
}

#[allow(dead_code, reason = "the tests include this file as a module and call `train`")]
#[allow(clippy::print_stdout, reason = "a program's result")]
fn main() -> Result<()> {
    let snapshot = train(std::path::Path::new("runs"))?;
    let shaped = snapshot.history.last().and_then(|row| row.get(&metrics::REWARD_SHAPED_MEAN));
    println!("{} steps, shaped reward {:?}, in {}", snapshot.step, shaped, snapshot.info.directory.display());
    Ok(())
}
