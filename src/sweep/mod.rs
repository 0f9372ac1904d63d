//! Sweeps: many runs of one experiment that differ in their method, their seed or any other field.
//!
//! A sweep file names an experiment file and what differs. Its runs are the product of its
//! variants, the values of its grid and its seeds, in that order. Each has a key, such as
//! `g2rl-learning_rate=1e-4-s2`, and a folder of that name with its run folder in it. `sweep.json`
//! says what belongs together and where each run stands.

mod record;
mod runner;

pub use record::{RunState, SweepRecord, SweepRun};
pub use runner::{Progress, Runner};

use crate::error::{Error, Result};
use crate::experiment::{self, Experiment};
use ron::value::RawValue;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A sweep file.
#[derive(Debug, Deserialize)]
#[serde(rename = "Sweep", deny_unknown_fields)]
pub struct Sweep {
    /// Its name; the folder of its runs has it.
    pub name: String,
    /// The experiment file, relative to the sweep file.
    pub experiment: PathBuf,
    /// The seeds of each combination.
    #[serde(default = "first_seed")]
    pub seeds: Vec<u64>,
    /// Assignments for all runs, as `--set` takes them.
    #[serde(default)]
    pub set: Vec<String>,
    /// Named sets of assignments, such as methods.
    #[serde(default)]
    pub variants: Vec<Variant>,
    /// Fields, each with the values that it takes in turn.
    #[serde(default)]
    pub grid: Vec<Axis>,
}

fn first_seed() -> Vec<u64> {
    vec![0]
}

/// A named set of assignments.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variant {
    /// Its name: letters, digits, `-`, `_` and `.`.
    pub name: String,
    /// As `--set` takes them.
    #[serde(default)]
    pub set: Vec<String>,
}

/// A field and its values.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Axis {
    /// Its path, as `--set` takes it.
    pub field: String,
    /// RON values.
    pub values: Vec<Box<RawValue>>,
}

/// A run of a sweep, before it is one.
#[derive(Clone, Debug)]
pub struct PlannedRun {
    /// Names it within the sweep.
    pub key: String,
    /// The key without the seed: what runs of several seeds have in common.
    pub variant: String,
    /// Its seed.
    pub seed: u64,
    /// Assignments to the experiment file, but for the seed.
    pub set: Vec<String>,
    /// What these make of it.
    pub experiment: Experiment,
}

/// Most runs of a sweep: a product of long lists is a mistake.
const MOST_RUNS: usize = 100_000;

impl Sweep {
    /// Reads a sweep file.
    pub fn read(path: &Path) -> Result<Self> {
        let sweep: Self = experiment::read(path)?;
        let in_file = |problem: String| Error::input(format!("{problem} ({})", path.display()));
        if !is_plain(&sweep.name) {
            return Err(in_file(format!(
                "`name` is {:?}; it names a folder, so use letters, digits, `-`, `_` and `.`, not \
                 starting with a dot",
                sweep.name
            )));
        }
        if sweep.seeds.is_empty() {
            return Err(in_file("`seeds` is empty; give at least one, such as [0]".to_string()));
        }
        if let Some(variant) = sweep.variants.iter().find(|variant| !is_plain(&variant.name)) {
            return Err(in_file(format!(
                "a variant's `name` is {:?}; use letters, digits, `-`, `_` and `.`, not starting \
                 with a dot",
                variant.name
            )));
        }
        if let Some(axis) = sweep.grid.iter().find(|axis| axis.values.is_empty()) {
            return Err(in_file(format!("the grid has no values for `{}`", axis.field)));
        }
        if let Some(field) =
            sweep.grid.iter().map(|axis| &axis.field).find(|field| *field == "seed")
        {
            return Err(in_file(format!("the grid has `{field}`; give seeds as `seeds: [..]`")));
        }
        Ok(sweep)
    }

    /// The experiment file, for a sweep file at `path`.
    pub fn experiment_file(&self, path: &Path) -> PathBuf {
        path.parent().unwrap_or(Path::new("")).join(&self.experiment)
    }

    /// All runs, each with a valid experiment, for a sweep file at `path`.
    pub fn runs(&self, path: &Path) -> Result<Vec<PlannedRun>> {
        let file = self.experiment_file(path);
        let base: Experiment = experiment::read(&file)?;
        let combinations = self.combinations();
        let count = combinations.len().saturating_mul(self.seeds.len());
        if count > MOST_RUNS {
            return Err(Error::input(format!(
                "the sweep has {count} runs; {MOST_RUNS} are the most ({})",
                path.display()
            )));
        }
        let mut runs = Vec::with_capacity(count);
        let mut keys = BTreeSet::new();
        for (variant, set) in combinations {
            let mut experiment = base.clone();
            for assignment in &set {
                let told = |error: Error| {
                    let text = error.to_string();
                    let text = text.strip_prefix("--set ").unwrap_or(&text).to_string();
                    Error::input(format!("in the variant `{variant}`, {text} ({})", path.display()))
                };
                experiment = experiment::set(&experiment, assignment).map_err(told)?;
            }
            experiment.validate().map_err(|error| {
                let error = experiment::locate(error, &file, &set);
                Error::input(format!("the variant `{variant}`: {error} ({})", path.display()))
            })?;
            for &seed in &self.seeds {
                let key = format!("{variant}-s{seed}");
                if !keys.insert(key.clone()) {
                    return Err(Error::input(format!(
                        "two runs have the key `{key}`; give variants other names, and each value \
                         and seed once ({})",
                        path.display()
                    )));
                }
                let experiment = Experiment { seed, ..experiment.clone() };
                let (variant, set) = (variant.clone(), set.clone());
                runs.push(PlannedRun { key, variant, seed, set, experiment });
            }
        }
        Ok(runs)
    }

    /// Variants by grid values: the name of each, and its assignments.
    fn combinations(&self) -> Vec<(String, Vec<String>)> {
        let mut combinations = if self.variants.is_empty() {
            vec![(String::new(), self.set.clone())]
        } else {
            let of = |variant: &Variant| {
                (variant.name.clone(), [self.set.clone(), variant.set.clone()].concat())
            };
            self.variants.iter().map(of).collect()
        };
        for axis in &self.grid {
            let of_value = |value: &RawValue, (name, set): &(String, Vec<String>)| {
                let text = value.get_ron().trim();
                let last = axis.field.rsplit('.').next().unwrap_or_default();
                let part = format!("{last}={}", plain(text));
                let name = if name.is_empty() { part } else { format!("{name}-{part}") };
                (name, [&set[..], &[format!("{}={text}", axis.field)]].concat())
            };
            combinations = combinations
                .iter()
                .flat_map(|combination| axis.values.iter().map(move |v| of_value(v, combination)))
                .collect();
        }
        for (name, set) in &mut combinations {
            if name.is_empty() {
                name.clone_from(&self.name);
            }
            // What the run is called wherever runs are shown.
            if !set.iter().any(|assignment| assignment.trim_start().starts_with("name=")) {
                set.push(format!("name=\"{}\"", name.replace('=', "_")));
            }
        }
        combinations
    }
}

/// Whether a name can be that of a folder.
fn is_plain(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    !name.is_empty() && name.len() <= 100 && !name.starts_with('.') && name.chars().all(plain)
}

/// A value as a part of a name.
fn plain(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let text: String = text.chars().map(|c| if plain(c) { c } else { '_' }).collect();
    text.trim_matches('_').chars().take(60).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sweep(text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let base =
            r#"Experiment(name: "base", model: Bundled("countdown"), task: Countdown(numbers: 3))"#;
        std::fs::write(folder.path().join("base.ron"), base).unwrap();
        let path = folder.path().join("sweep.ron");
        std::fs::write(&path, text).unwrap();
        (folder, path)
    }

    fn runs(text: &str) -> Result<Vec<PlannedRun>> {
        let (_folder, path) = sweep(text);
        Sweep::read(&path)?.runs(&path)
    }

    #[test]
    fn runs_are_variants_by_values_by_seeds() {
        let runs = runs(
            r#"Sweep(name: "s", experiment: "base.ron", seeds: [3, 4], set: ["stop.steps=7"],
                variants: [(name: "grpo", set: ["method=Grpo"]), (name: "g2rl", set: ["method=G2rl(lambda: 0.7)"])],
                grid: [(field: "optimizer.learning_rate", values: [1e-4, 3e-4])])"#,
        )
        .unwrap();
        let keys: Vec<&str> = runs.iter().map(|run| run.key.as_str()).collect();
        assert_eq!(
            keys,
            [
                "grpo-learning_rate=1e-4-s3",
                "grpo-learning_rate=1e-4-s4",
                "grpo-learning_rate=3e-4-s3",
                "grpo-learning_rate=3e-4-s4",
                "g2rl-learning_rate=1e-4-s3",
                "g2rl-learning_rate=1e-4-s4",
                "g2rl-learning_rate=3e-4-s3",
                "g2rl-learning_rate=3e-4-s4",
            ]
        );
        let last = &runs[7];
        assert_eq!((last.seed, last.experiment.seed, last.experiment.stop.steps), (4, 4, 7));
        assert_eq!(last.experiment.method.label(), "G2RL");
        assert_eq!(last.experiment.name, "g2rl-learning_rate_3e-4");
        assert_eq!(last.variant, "g2rl-learning_rate=3e-4");
    }

    #[test]
    fn every_sweep_of_the_repository_is_valid() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments/study");
        let paths: Vec<PathBuf> =
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(!paths.is_empty());
        for path in paths {
            assert!(!Sweep::read(&path).unwrap().runs(&path).unwrap().is_empty());
        }
    }

    #[test]
    fn a_sweep_of_seeds_alone_has_its_own_name() {
        let runs = runs(r#"Sweep(name: "s", experiment: "base.ron", seeds: [0, 1])"#).unwrap();
        assert_eq!(runs.len(), 2);
        assert_eq!((runs[1].key.as_str(), runs[1].experiment.name.as_str()), ("s-s1", "s"));
    }

    #[test]
    fn mistakes_are_told_with_the_file_and_the_variant() {
        for (fields, words) in [
            (r#"name: "a/b""#, "names a folder"),
            (r#"name: "s", seeds: []"#, "`seeds` is empty"),
            (r#"name: "s", variants: [(name: "x y")]"#, "a variant's `name`"),
            (
                r#"name: "s", variants: [(name: "v", set: ["method.lamda=1"])]"#,
                "in the variant `v`",
            ),
            (
                r#"name: "s", variants: [(name: "v", set: ["method=G2rl(lambda: 9.0)"])]"#,
                "method.lambda",
            ),
            (r#"name: "s", variants: [(name: "v"), (name: "v")]"#, "two runs have the key `v-s0`"),
            (r#"name: "s", seeds: [1, 1]"#, "two runs have the key `s-s1`"),
            (
                r#"name: "s", grid: [(field: "stop.steps", values: [])]"#,
                "no values for `stop.steps`",
            ),
            (r#"name: "s", grid: [(field: "seed", values: [1])]"#, "`seeds: [..]`"),
            (r#"name: "s", jobs: 3"#, "unknown field `jobs`"),
        ] {
            let text = format!("Sweep(experiment: \"base.ron\", {fields})");
            let error = runs(&text).unwrap_err().to_string();
            assert!(error.contains(words) && error.contains("sweep.ron"), "{fields}: {error}");
        }
        let error = runs(r#"Sweep(name: "s", experiment: "nowhere.ron")"#).unwrap_err().to_string();
        assert!(error.contains("nowhere.ron"), "{error}");
    }
}
