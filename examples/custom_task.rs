//! A task of one's own: count the even numbers of a list.
//!
//! Run it with `cargo run --release --example custom_task`. The experiment names the task with
//! `Custom(..)`, the program provides it, and everything else - sampling, geometry, update, run
//! folder - stays as it is.

use orthant::prelude::*;

/// "How many of 3 8 5 6 are even?" asks for `\boxed{2}`.
struct CountEven {
    numbers: u32,
}

impl Task for CountEven {
    fn name(&self) -> &'static str {
        "count-even"
    }

    fn problem(&self, split: Split, seed: u64, index: u64) -> Problem {
        // Even first numbers are for training, odd ones are held out: no problem is in both splits.
        let mut stream = rng::stream(seed, rng::Domain::Problems, [0, index, split as u64]);
        let mut numbers: Vec<u32> =
            (0..self.numbers).map(|_| rng::below(&mut stream, 50)).collect();
        numbers[0] = 2 * (numbers[0] / 2) + split as u32;
        let list = numbers.iter().map(u32::to_string).collect::<Vec<_>>().join(" ");
        let even = numbers.iter().filter(|number| **number % 2 == 0).count();
        Problem {
            id: format!("count-even/{list}"),
            prompt: format!("Use {list}\n"),
            answer: even.to_string(),
        }
    }

    fn verify(&self, problem: &Problem, completion: &str) -> Verification {
        let extracted = last_boxed(completion).map(str::to_string);
        let verdict = match &extracted {
            None => Verdict::NoAnswer,
            Some(answer) if *answer == problem.answer => Verdict::Correct,
            Some(_) => Verdict::Incorrect,
        };
        Verification { verdict, extracted }
    }

    // What a completion earns may be any number. Each of its parts gets a curve.
    fn reward(&self, _: &Problem, completion: &str, verification: &Verification) -> TaskReward {
        let right = if verification.verdict.is_correct() { 1.0 } else { -1.0 };
        let boxed = if last_boxed(completion).is_some() { 0.1 } else { 0.0 };
        TaskReward::sum([("right", right), ("boxed", boxed)])
    }

    fn reward_parts(&self) -> &[RewardPart] {
        const RIGHT: RewardPart = RewardPart { name: "right", help: "+1 or -1 for the answer." };
        const BOXED: RewardPart = RewardPart { name: "boxed", help: "0.1 for an answer in a box." };
        &[RIGHT, BOXED]
    }
}

/// Two short steps; returns the run's last snapshot.
pub fn train(runs: &std::path::Path) -> Result<RunSnapshot> {
    let experiment: Experiment = from_text(
        r#"Experiment(
            name: "count-even",
            model: Bundled("countdown"),
            task: Custom("count-even"),
            rollout: (prompts_per_step: 4, group_size: 4, max_new_tokens: 48),
            stop: (steps: 2),
        )"#,
        "custom_task.rs",
    )?;
    let run = RunBuilder::new(experiment).task(CountEven { numbers: 4 }).start(runs)?;
    let handle = run.handle.clone();
    run.join()?;
    Ok(handle.snapshots.load())
}

#[allow(dead_code, reason = "the tests include this file as a module and call `train`")]
#[allow(clippy::print_stdout, reason = "a program's result")]
fn main() -> Result<()> {
    let snapshot = train(std::path::Path::new("runs"))?;
    let accuracy = snapshot.history.last().and_then(|row| row.get(&metrics::REWARD_ACCURACY));
    println!(
        "{} steps, accuracy {:?}, in {}",
        snapshot.step,
        accuracy,
        snapshot.info.directory.display()
    );
    Ok(())
}
