//! A curriculum by measured solve rate: problems of levels that the policy solves about half of the
//! time come more often.
//!
//! The task says which level a problem is of ([`crate::tasks::Task::level`]). Problems are still
//! dealt in order; one of level l is taken with probability
//!
//! `w = floor + (1 - floor) 4 p (1 - p)`,
//!
//! with `p` the level's solve rate, and passed over otherwise. So a level's share is its share of
//! the task's problems times w: the variance of a reward of +1 or -1, to which the expected squared
//! advantage is proportional, and never less than the floor. `p` is an exponential mean over
//! groups, `p <- p + rate (solved share of the group - p)`, from 1/2, which takes every problem
//! until something is known. It counts every group that was sampled, whether dynamic sampling keeps
//! it or not.
//!
//! Whether a problem is taken is a function of (seed, number of the problem, p); the solve rates
//! belong to a checkpoint.

use super::dynamic::{keep_groups, sample_further_rounds};
use super::schedule::Boundary;
use super::step_metrics::{DeclareMetrics, mean};
use super::{ActiveTask, StageSystems, StepMetrics, TrainStep};
use crate::experiment::CurriculumConfig;
use crate::metrics::metrics;
use crate::rng::{self, Domain};
use crate::rollout::{GroupProblem, Groups, Judged, Rollouts};
use crate::run::Stage;
use bevy_app::{App, Plugin};
use bevy_ecs::prelude::*;

metrics! {
    CURRICULUM_SOLVE_RATE: "curriculum/solve_rate", "", Neither, Asked, range(0.0, 1.0),
        "Mean solve rate, as measured before the step, of the levels of the problems drawn: near \
         one half where the curriculum finds what it looks for.";
}

/// The curriculum, from the solve rates of the task's levels.
pub struct CurriculumPlugin(pub Curriculum);

impl Plugin for CurriculumPlugin {
    fn build(&self, app: &mut App) {
        app.declare_metrics(METRICS).insert_resource(self.0.clone()).add_systems(
            TrainStep,
            measure_solve_rates
                .after(StageSystems::Verify)
                .after(sample_further_rounds)
                .before(keep_groups)
                .before(Boundary::Before(Stage::Features)),
        );
    }
}

/// How often the policy solves problems of each level, and what follows from it.
#[derive(Resource, Clone, Debug, PartialEq)]
pub struct Curriculum {
    config: CurriculumConfig,
    solve_rates: Vec<f64>,
}

impl Curriculum {
    /// A curriculum over `levels` of which nothing is known.
    pub fn new(config: CurriculumConfig, levels: usize) -> Self {
        Self { config, solve_rates: vec![0.5; levels] }
    }

    /// The curriculum with these solve rates, where there is one for every level.
    #[must_use]
    pub fn resumed(self, solve_rates: Option<Vec<f64>>) -> Self {
        let levels = self.solve_rates.len();
        match solve_rates.filter(|rates| rates.len() == levels) {
            Some(solve_rates) => Self { solve_rates, ..self },
            None => self,
        }
    }

    /// The solve rate of every level, in [0, 1].
    pub fn solve_rates(&self) -> &[f64] {
        &self.solve_rates
    }

    /// The probability that a problem of `level` is taken.
    pub fn weight(&self, level: usize) -> f64 {
        let rate = self.solve_rates[level];
        self.config.floor + (1.0 - self.config.floor) * 4.0 * rate * (1.0 - rate)
    }

    /// Whether problem number `number` of the training split, which is of `level`, is taken.
    pub fn takes(&self, seed: u64, number: u64, level: usize) -> bool {
        rng::unit_f64(&mut rng::stream(seed, Domain::Curriculum, [0, number, 0]))
            < self.weight(level)
    }

    /// Takes in that `solved` of a group's completions of a problem of `level` are correct.
    fn observe(&mut self, level: usize, solved: f64) {
        let rate = &mut self.solve_rates[level];
        *rate += self.config.rate * (solved - *rate);
    }
}

fn measure_solve_rates(
    task: Res<ActiveTask>,
    groups: Groups<(&GroupProblem, &Rollouts)>,
    judged: Query<&Judged>,
    mut curriculum: ResMut<Curriculum>,
    mut metrics: ResMut<StepMetrics>,
) -> Result {
    let mut observed = Vec::new();
    for (problem, members) in groups.iter() {
        let mut correct = 0;
        for member in members.iter() {
            correct += usize::from(judged.get(member)?.0.verdict.is_correct());
        }
        observed.push((task.0.level(&problem.0), correct as f64 / members.len() as f64));
    }
    // What was expected of the problems drawn, before these are known.
    metrics.set(
        &CURRICULUM_SOLVE_RATE,
        mean(observed.iter().map(|&(level, _)| curriculum.solve_rates[level])),
    );
    for (level, solved) in observed {
        curriculum.observe(level, solved);
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "these results are exact")]
mod tests {
    use super::*;

    #[test]
    fn levels_about_one_half_are_taken_most_and_none_is_left_out() {
        let config = CurriculumConfig { floor: 0.1, rate: 0.25 };
        let curriculum = Curriculum::new(config, 4).resumed(Some(vec![0.0, 0.25, 0.5, 1.0]));
        for (level, weight) in [0.1, 0.775, 1.0, 0.1].into_iter().enumerate() {
            assert!((curriculum.weight(level) - weight).abs() < 1e-12);
            let taken =
                (0..10_000).filter(|&number| curriculum.takes(7, number, level)).count() as f64;
            assert!((taken / 10_000.0 - weight).abs() < 0.015, "{level}: {taken}");
        }
    }

    #[test]
    fn solve_rates_are_exponential_means_that_start_at_one_half() {
        let config = CurriculumConfig { floor: 0.1, rate: 0.25 };
        let mut curriculum = Curriculum::new(config, 2);
        curriculum.observe(1, 1.0);
        curriculum.observe(1, 0.0);
        assert_eq!(curriculum.solve_rates(), [0.5, 0.46875]);
        (0..200).for_each(|_| curriculum.observe(0, 0.2));
        assert!((curriculum.solve_rates()[0] - 0.2).abs() < 1e-12);
        // Rates of another number of levels are not taken over.
        assert_eq!(Curriculum::new(config, 3).resumed(Some(vec![0.1; 2])).solve_rates(), [0.5; 3]);
    }
}
