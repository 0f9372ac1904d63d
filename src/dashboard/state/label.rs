//! How the open runs are told apart: what each is called, and which of its method's lines it has.
//! No drawing here.

use crate::dashboard::kit::format;
use crate::experiment::Experiment;
use crate::run::RunInfo;
use serde_json::Value;

/// Differences that a label names, at most.
const NAMED: usize = 2;

/// A run beside others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Label {
    /// Its name and seed, and what sets it apart from runs of the same name.
    pub(crate) name: String,
    /// How many runs of its method stand before it: they have one colour, but different lines.
    pub(crate) variant: usize,
}

/// What of a run sets it apart from others of its name.
#[derive(Clone, Copy)]
pub(crate) struct Traits<'a> {
    /// The experiment's name.
    pub(crate) name: &'a str,
    /// Its method.
    pub(crate) method: &'a str,
    /// Its [`settings`].
    pub(crate) settings: &'a [(String, String)],
}

/// A run that is to be told apart from others.
#[derive(Clone, Copy)]
pub(crate) struct Named<'a> {
    /// What does not change while it is watched.
    pub(crate) info: &'a RunInfo,
    /// Its [`settings`].
    pub(crate) settings: &'a [(String, String)],
}

impl<'a> Traits<'a> {
    fn of(run: &Named<'a>) -> Self {
        Self { name: run.info.name(), method: run.info.method(), settings: run.settings }
    }
}

/// The settings of an experiment by their paths, without its name and seed, where it ends, and what
/// it records: those make no other run.
pub(crate) fn settings(experiment: &Experiment) -> Vec<(String, String)> {
    let mut settings = Vec::new();
    if let Ok(value) = serde_json::to_value(experiment) {
        flatten(String::new(), &value, &mut settings);
    }
    let is_of =
        |path: &str, sections: &[&str]| sections.iter().any(|section| path.starts_with(section));
    settings.retain(|(path, _)| {
        !matches!(path.as_str(), "name" | "description" | "seed")
            && !is_of(path, &["stop.", "record."])
    });
    // What training depends on comes first.
    let is_minor = |path: &str| is_of(path, &["evaluations.", "device"]);
    settings.sort_by_key(|(path, _)| is_minor(path));
    settings
}

fn flatten(path: String, value: &Value, settings: &mut Vec<(String, String)>) {
    let join =
        |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(name, value)| flatten(join(name), value, settings));
        }
        Value::Array(entries) => {
            entries
                .iter()
                .enumerate()
                .for_each(|(place, value)| flatten(join(&place.to_string()), value, settings));
        }
        Value::Null => {}
        Value::String(text) => settings.push((path, text.clone())),
        value => settings.push((path, value.to_string())),
    }
}

/// The labels of `runs`, in their order.
pub(crate) fn labels(runs: &[Named<'_>]) -> Vec<Label> {
    let name = |run: &Named<'_>| format!("{} s{}", run.info.name(), run.info.seed());
    let traits: Vec<Traits<'_>> = runs.iter().map(Traits::of).collect();
    let parts = |(run, own): (&Named<'_>, &Traits<'_>)| {
        [vec![name(run)], differences(own, &traits)].concat().join(", ")
    };
    let mut names: Vec<String> = runs.iter().zip(&traits).map(parts).collect();
    // Runs of one experiment are told apart by their folders.
    let folder = |run: &Named<'_>| {
        let info = run.info;
        let folder = info.directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
        folder
            .strip_prefix(&format!("{}-s{}-", info.name(), info.seed()))
            .map_or(folder.clone(), str::to_owned)
    };
    let path = |run: &Named<'_>| run.info.directory.display().to_string();
    for tell in [&folder as &dyn Fn(&Named<'_>) -> String, &path] {
        let before = names.clone();
        for (place, run) in runs.iter().enumerate() {
            if before.iter().filter(|other| **other == before[place]).count() > 1 {
                names[place] = format!("{}, {}", before[place], tell(run));
            }
        }
    }
    let is_alike = |a: &Named<'_>, b: &Named<'_>| a.info.method() == b.info.method();
    let variant =
        |place: usize| runs[..place].iter().filter(|other| is_alike(other, &runs[place])).count();
    names
        .into_iter()
        .enumerate()
        .map(|(place, name)| Label { name, variant: variant(place) })
        .collect()
}

/// What `run` has that not all of `others` of its name have.
pub(crate) fn differences(run: &Traits<'_>, others: &[Traits<'_>]) -> Vec<String> {
    let same: Vec<&Traits<'_>> = others.iter().filter(|other| other.name == run.name).collect();
    let is_alike = |other: &&Traits<'_>| other.method == run.method;
    let mut found: Vec<String> =
        if same.iter().all(is_alike) { Vec::new() } else { vec![run.method.to_owned()] };
    let differs = |(path, value): &&(String, String)| {
        // Settings of a method are compared with those of the same method.
        let is_of_method = path == "method" || path.starts_with("method.");
        let has = |other: &&Traits<'_>| {
            other.settings.iter().any(|(of, other)| of == path && other == value)
        };
        !same
            .iter()
            .copied()
            .filter(|other| !is_of_method || is_alike(other))
            .all(|other| has(&other))
    };
    found.extend(run.settings.iter().filter(differs).map(|(path, value)| say(path, value)));
    if found.len() > NAMED {
        found.truncate(NAMED);
        found.push("…".to_owned());
    }
    found
}

/// `lambda 0.5`: the path's last name, with the one before where that is a place in a list.
fn say(path: &str, value: &str) -> String {
    let names: Vec<&str> = path.rsplit('.').collect();
    let name = match names.as_slice() {
        [place, list, ..] if place.parse::<usize>().is_ok() => format!("{list}.{place}"),
        [name, ..] => (*name).to_owned(),
        [] => String::new(),
    };
    let value = value.rsplit('/').next().unwrap_or(value);
    format!("{name} {}", format::one_line(value, 24))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dashboard::state::run::State;
    use crate::dashboard::tests::testing;
    use crate::run::RunInfo;
    use std::sync::Arc;

    fn run(folder: &str, seed: u64, more: &str) -> State {
        let text = format!(
            "Experiment(name: \"k\", seed: {seed}, model: Bundled(\"countdown\"), \
             task: Countdown(), {more})"
        );
        let mut snapshot = testing::snapshot(3, 1, 2);
        snapshot.info = Arc::new(RunInfo { directory: folder.into(), ..RunInfo::of(&text) });
        State::new(snapshot)
    }

    fn said(runs: &[State]) -> Vec<(String, usize)> {
        let labels = labels(&runs.iter().map(State::named).collect::<Vec<_>>());
        labels.into_iter().map(|label| (label.name, label.variant)).collect()
    }

    #[test]
    fn runs_of_one_name_are_told_apart_by_the_settings_that_differ() {
        let runs = [
            run("a", 0, "method: G2rl(lambda: 0.5)"),
            run("b", 0, "method: G2rl(lambda: 1.0)"),
            run("c", 1, "method: G2rl(lambda: 1.0), stop: (steps: 9)"),
        ];
        assert_eq!(
            said(&runs[..2]),
            [("k s0, lambda 0.5".to_owned(), 0), ("k s0, lambda 1.0".to_owned(), 1)]
        );
        assert_eq!(
            said(&runs)[2],
            ("k s1, lambda 1.0".to_owned(), 2),
            "where it ends makes no other run of it"
        );
        assert_eq!(said(&runs[1..2]), [("k s0".to_owned(), 0)], "alone it needs no more");
    }

    #[test]
    fn methods_are_named_as_such_and_have_lines_of_their_own() {
        let g2rl = |lambda: &str| run("a", 0, &format!("method: G2rl(lambda: {lambda})"));
        let runs = [g2rl("0.5"), run("b", 0, "method: Grpo"), g2rl("1.0")];
        assert_eq!(said(&runs[..2]), [("k s0, G2RL".to_owned(), 0), ("k s0, GRPO".to_owned(), 0)]);
        assert_eq!(said(&runs)[0], ("k s0, G2RL, lambda 0.5".to_owned(), 0));
        assert_eq!(said(&runs)[2], ("k s0, G2RL, lambda 1.0".to_owned(), 1));
    }

    #[test]
    fn equal_experiments_are_told_apart_by_their_folders() {
        let runs = [
            run("x/k-s0-20260101T120000Z", 0, ""),
            run("y/k-s0-20260101T120000Z", 0, ""),
            run("other", 0, ""),
        ];
        let names: Vec<String> = said(&runs).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names[2], "k s0, other");
        assert!(
            names[0] != names[1] && names[0].starts_with("k s0, 20260101T120000Z"),
            "{names:?}"
        );
    }
}
