//! Taking a run folder back to a checkpoint: afterwards each step stands once, nothing damaged is
//! left, and only files of names that the program gives are gone.

use super::checkpoint::RECORDS;
use super::listing::{list, record_step};
use super::names::{LOGS, WHOLE};
use super::{FidelityRecord, RunDir};
use crate::error::{Error, Result};
use crate::files::{self, lines::Lines, lines::numbered, staging};
use crate::metrics::MetricRow;
use crate::run::{EvaluationRecord, Event};
use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

/// What taking a run back did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rewound {
    /// What was removed or set aside, in words.
    pub removed: Vec<String>,
    /// What was found to be damaged, in words.
    pub damaged: Vec<String>,
}

/// What tells a line of a log from others: its step, and the suite of an evaluation.
type Key = (u64, Option<String>);

/// The key of a line of the log `name`, if it is one that can be read.
fn key(name: &str, line: &str) -> Option<Key> {
    match name {
        "metrics.jsonl" => MetricRow::from_json(line).map(|row| (row.step, None)),
        "evals.jsonl" => serde_json::from_str(line)
            .ok()
            .map(|record: EvaluationRecord| (record.step, Some(record.suite))),
        "fidelity.jsonl" => {
            serde_json::from_str(line).ok().map(|record: FidelityRecord| (record.step, None))
        }
        _ => serde_json::from_str(line).ok().map(|event: Event| (event.step, None)),
    }
}

impl RunDir {
    /// Takes the run back to where it was after `step`: drops what was recorded later, and whatever
    /// a crash left half-written. Checkpoints of later steps are set aside, and with them, or where
    /// such were set aside before, what was recorded in later steps; so is a copy of every log with
    /// damaged lines.
    pub fn rewind(&self, step: u64) -> Result<Rewound> {
        let mut rewound = Rewound::default();
        // First, so that whoever continues after a kill in the midst of this continues from the
        // same step.
        let sets_aside = self.rewind_checkpoints(step, &mut rewound)?;
        for name in LOGS {
            self.rewind_log(name, step, sets_aside, &mut rewound)?;
        }
        for folder in RECORDS {
            let mut removed = 0;
            for path in list(&self.path().join(folder))? {
                let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
                let endings = [".jsonl", ".safetensors", ".jsonl.tmp", ".safetensors.tmp"];
                let is_half_written = path.extension().is_some_and(|ending| ending == "tmp");
                let is_late =
                    record_step(name, &endings).is_some_and(|at| at > step || is_half_written);
                if !is_late || !path.is_file() {
                    continue;
                }
                if sets_aside && !is_half_written {
                    set_aside(&path)?;
                } else {
                    remove(&path)?;
                }
                removed += 1;
            }
            if removed > 0 {
                let place = if sets_aside { ", now with names that end in .aside" } else { "" };
                rewound
                    .removed
                    .push(format!("{removed} {} of {folder}/{place}", plural(removed, "file")));
            }
        }
        for name in LOGS.into_iter().chain(WHOLE) {
            let path = self.path().join(name).with_added_extension("tmp");
            if path.is_file() {
                remove(&path)?;
            }
        }
        Ok(rewound)
    }

    /// Sets later checkpoints aside. Returns whether what was recorded with them is to be set aside
    /// too: where there are such, or were when a kill came in the midst of this.
    fn rewind_checkpoints(&self, step: u64, rewound: &mut Rewound) -> Result<bool> {
        let mut sets_aside = false;
        for path in list(&self.path().join("checkpoints"))? {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let is_half_written =
                name.strip_prefix('.').is_some_and(|name| record_step(name, &[".tmp"]).is_some());
            if is_half_written && path.is_dir() {
                staging::remove(&path)
                    .map_err(Error::io("removing a half-written checkpoint", &path))?;
                rewound.removed.push("a half-written checkpoint".to_string());
            } else if record_step(name, &[""]).is_some_and(|at| at > step) {
                sets_aside = true;
                let aside = set_aside(&path)?;
                let aside = aside.file_name().unwrap_or_default().to_string_lossy().into_owned();
                rewound
                    .removed
                    .push(format!("checkpoints/{name}, which is now checkpoints/{aside}"));
            } else {
                sets_aside |= aside_step(name).is_some_and(|at| at > step);
            }
        }
        Ok(sets_aside)
    }

    fn rewind_log(
        &self,
        name: &str,
        step: u64,
        sets_aside: bool,
        rewound: &mut Rewound,
    ) -> Result<()> {
        let path = self.path().join(name);
        let bytes = match files::read(&path, u64::MAX) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(Error::io("reading a file of the run", &path)(error)),
        };
        let log = Log::read(name, &bytes, step);
        if let Some(faults) = log.faults() {
            let mut text = format!("{name}: {faults}");
            if log.is_changed() {
                let kept = files::copy_aside(&path, "damaged")
                    .map_err(Error::io("keeping a damaged file", &path))?;
                text.push_str("; the file as it was is kept as ");
                text.push_str(&kept.file_name().unwrap_or_default().to_string_lossy());
            }
            rewound.damaged.push(text);
        }
        if log.later > 0 {
            let mut text = format!("{} {} of {name}", log.later, plural(log.later, "line"));
            if sets_aside {
                let aside = files::copy_aside(&path, "aside")
                    .map_err(Error::io("keeping later lines", &path))?;
                text.push_str(", which stand in ");
                text.push_str(&aside.file_name().unwrap_or_default().to_string_lossy());
            }
            rewound.removed.push(text);
        }
        if log.kept.as_bytes() != bytes {
            self.write_whole(name, log.kept.as_bytes())?;
        }
        Ok(())
    }
}

/// A log, taken apart.
#[derive(Default)]
struct Log {
    /// The lines that stay.
    kept: String,
    /// Lines after the step that the run is taken back to, and the beginning of one that a kill
    /// left, after the checkpoint.
    later: usize,
    /// Lines that cannot be read.
    damaged: Vec<usize>,
    /// Lines that say again what another says.
    repeated: Vec<usize>,
    /// Lines that stand after one of a later step.
    misplaced: Vec<usize>,
    /// First and last of steps without a line, where every step has one.
    missing: Vec<(u64, u64)>,
}

impl Log {
    fn read(name: &str, bytes: &[u8], step: u64) -> Self {
        let Lines { mut whole, damaged, is_cut_off } = Lines::read(bytes, |line| key(name, line));
        let count = whole.len();
        whole.retain(|(_, (at, _), _)| *at <= step);
        let mut log = Self {
            later: count - whole.len() + usize::from(is_cut_off),
            damaged,
            ..Self::default()
        };
        let mut newest = 0;
        for (number, (at, _), _) in &whole {
            if *at < newest {
                log.misplaced.push(*number);
            }
            newest = newest.max(*at);
        }
        whole.sort_by_key(|(_, (at, _), _)| *at);
        // What happened may happen twice; every other line is the only one of its kind. Of several
        // the longest stays.
        let mut last: HashMap<&Key, usize> = HashMap::new();
        let mut stays = vec![true; whole.len()];
        for (place, (number, key, text)) in
            whole.iter().enumerate().filter(|_| name != "events.jsonl")
        {
            if let Some(&earlier) = last.get(key) {
                let is_longer = text.len() > whole[earlier].2.len();
                stays[if is_longer { earlier } else { place }] = false;
                log.repeated.push(if is_longer { whole[earlier].0 } else { *number });
                if !is_longer {
                    continue;
                }
            }
            last.insert(key, place);
        }
        if name == "metrics.jsonl" {
            log.missing = missing(&whole.iter().map(|(_, (at, _), _)| *at).collect(), step);
        }
        for ((_, _, text), _) in whole.iter().zip(&stays).filter(|(_, stays)| **stays) {
            log.kept += text;
            log.kept.push('\n');
        }
        log
    }

    /// Whether lines were taken out that are not merely of later steps, or moved.
    fn is_changed(&self) -> bool {
        [&self.damaged, &self.repeated, &self.misplaced].iter().any(|lines| !lines.is_empty())
    }

    /// What is wrong with it, in words.
    fn faults(&self) -> Option<String> {
        let mut faults = Vec::new();
        let kinds = [
            (&self.damaged, "is damaged", "are damaged"),
            (&self.repeated, "says what stands there already", "say what stands there already"),
            (&self.misplaced, "is out of order", "are out of order"),
        ];
        for (lines, one, several) in kinds.iter().filter(|(lines, ..)| !lines.is_empty()) {
            faults.push(format!(
                "{} {}",
                numbered("line", lines),
                if lines.len() == 1 { one } else { several }
            ));
        }
        if !self.missing.is_empty() {
            faults.push(format!("there is no line for {}", steps_in_words(&self.missing)));
        }
        let last = faults.pop()?;
        Some(if faults.is_empty() { last } else { format!("{}, and {last}", faults.join(", ")) })
    }
}

/// First and last of the steps up to `last` that are not `there`.
fn missing(there: &BTreeSet<u64>, last: u64) -> Vec<(u64, u64)> {
    let (mut missing, mut next) = (Vec::new(), 1);
    for at in there.iter().copied().filter(|&at| at > 0).chain([last.saturating_add(1)]) {
        if at > next {
            missing.push((next, at - 1));
        }
        next = at.saturating_add(1);
    }
    missing
}

/// Gives a file or folder a name under which it is in nobody's way; returns its path.
fn set_aside(path: &Path) -> Result<PathBuf> {
    let aside = files::free_name(path, "aside");
    fs::rename(path, &aside).map_err(Error::io("setting what is of a later step aside", path))?;
    Ok(aside)
}

/// N, where `name` is what [`set_aside`] called the checkpoint of step N.
fn aside_step(name: &str) -> Option<u64> {
    let (checkpoint, ending) = name.split_once('.')?;
    let is_aside = ending == "aside" || ending.starts_with("aside-");
    record_step(checkpoint, &[""]).filter(|_| is_aside)
}

fn plural(count: usize, noun: &str) -> String {
    if count == 1 { noun.to_string() } else { format!("{noun}s") }
}

/// Such as `steps 1 to 3, 7`.
fn steps_in_words(ranges: &[(u64, u64)]) -> String {
    const MOST: usize = 5;
    let range = |&(start, end): &(u64, u64)| {
        if start == end { start.to_string() } else { format!("{start} to {end}") }
    };
    let text = ranges.iter().take(MOST).map(range).collect::<Vec<_>>().join(", ");
    let more = if ranges.len() > MOST { " and more" } else { "" };
    let is_one = matches!(ranges, [(start, end)] if start == end);
    format!("{} {text}{more}", plural(if is_one { 1 } else { 2 }, "step"))
}

fn remove(path: &Path) -> Result<()> {
    fs::remove_file(path).map_err(Error::io("removing what was written after the checkpoint", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> (tempfile::TempDir, RunDir) {
        let folder = tempfile::tempdir().unwrap();
        for name in ["rollouts", "geometry", "tokens", "checkpoints"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        let run = RunDir::at(folder.path());
        (folder, run)
    }

    fn metrics(steps: &[u64]) -> Vec<u8> {
        steps
            .iter()
            .flat_map(|step| format!("{{\"step\":{step},\"reward/mean\":1.5}}\n").into_bytes())
            .collect()
    }

    #[test]
    fn damaged_lines_are_reported_and_kept_aside_and_each_step_stands_once() {
        let whole = metrics(&[1, 2, 3]);
        let line = whole.len() / 3;
        let with = |from: usize, bytes: &[u8]| [&whole[..from], bytes, &whole[from..]].concat();
        for (bytes, kept, words) in [
            (whole.clone(), &[1_u64, 2, 3] as &[u64], ""),
            // A kill within step 4.
            (with(3 * line, b"{\"step\":4,\"wal"), &[1, 2, 3], ""),
            // Nothing that was ever written begins like that.
            (with(3 * line, b"\xff\xfe"), &[1, 2, 3], "line 4 is damaged;"),
            (with(line, b"garbage\n"), &[1, 2, 3], "line 2 is damaged;"),
            (with(line, b"\xff\xfe{}\n\0\0\0\n"), &[1, 2, 3], "lines 2, 3 are damaged;"),
            (with(0, &whole[..line]), &[1, 2, 3], "line 2 says what stands there already;"),
            (
                with(line, b"{\"step\":2,\"a/b\":1}\n"),
                &[1, 2, 3],
                "line 2 says what stands there already;",
            ),
            (with(line, b"{\"step\":2}\n{}\n"), &[1, 2, 3], "lines 2, 3 are damaged;"),
            (metrics(&[3, 2, 1]), &[1, 2, 3], "lines 2, 3 are out of order;"),
            (metrics(&[1, 3, 2, 9]), &[1, 2, 3], "line 3 is out of order;"),
            (metrics(&[1, 18_446_744_073_709_551_615]), &[1], "there is no line for steps 2 to 3"),
            (metrics(&[3]), &[3], "there is no line for steps 1 to 2"),
            (Vec::new(), &[], "there is no line for steps 1 to 3"),
            (
                [&whole[..line], &vec![0; line - 1], b"\n", &whole[2 * line..]].concat(),
                &[1, 3],
                "line 2 is damaged, and there is no line for step 2;",
            ),
        ] {
            let (folder, run) = folder();
            let path = folder.path().join("metrics.jsonl");
            fs::write(&path, &bytes).unwrap();
            let rewound = run.rewind(3).unwrap();
            assert_eq!(fs::read(&path).unwrap(), metrics(kept), "{words}");
            assert_eq!(rewound.damaged.is_empty(), words.is_empty(), "{rewound:?}");
            let aside = folder.path().join("metrics.jsonl.damaged");
            if let [text] = rewound.damaged.as_slice() {
                assert!(text.contains(words), "{text}");
                // Lines that are not there cannot be kept.
                assert_eq!(
                    fs::read(&aside).ok(),
                    text.ends_with(".damaged").then_some(bytes),
                    "{text}"
                );
            } else {
                assert!(!aside.exists());
            }
        }
    }

    #[test]
    fn events_may_repeat_and_evaluations_stand_once_by_suite() {
        let (folder, run) = folder();
        let event = "{\"step\":2,\"time\":\"\",\"kind\":\"paused\",\"text\":\"\"}\n";
        fs::write(folder.path().join("events.jsonl"), event.repeat(2)).unwrap();
        let suite = |name: &str| {
            format!(
                "{{\"step\":2,\"suite\":\"{name}\",\"problems\":1,\"samples\":1,\"length_mean\":1.0,\"no_answer_ratio\":0.0,\"seconds\":1.0}}\n"
            )
        };
        let suites = suite("a") + &suite("b");
        fs::write(folder.path().join("evals.jsonl"), suites.repeat(2)).unwrap();
        fs::write(folder.path().join("metrics.jsonl"), metrics(&[1, 2])).unwrap();
        let rewound = run.rewind(2).unwrap();
        assert_eq!(
            fs::read_to_string(folder.path().join("events.jsonl")).unwrap(),
            event.repeat(2)
        );
        assert_eq!(fs::read_to_string(folder.path().join("evals.jsonl")).unwrap(), suites);
        assert_eq!(rewound.damaged.len(), 1);
    }

    #[test]
    fn only_names_that_the_program_gives_are_removed_and_it_says_which() {
        let (folder, run) = folder();
        let path = |name: &str| folder.path().join(name);
        let kept = [
            "rollouts/step_000002.jsonl",
            "rollouts/step_000009.notes",
            "rollouts/step_9.jsonl",
            "rollouts/step_000009.jsonl.bak",
            "geometry/mine.tmp",
            "checkpoints/step_000100.keep",
        ];
        let gone = [
            "rollouts/step_000003.jsonl",
            "rollouts/step_000004.jsonl.tmp",
            "tokens/step_000003.safetensors",
            "metrics.json.tmp",
        ];
        for name in kept.iter().chain(&gone) {
            fs::write(path(name), "x").unwrap();
        }
        fs::write(path("metrics.jsonl"), metrics(&[1, 2, 3, 4])).unwrap();
        for name in
            ["checkpoints/step_000002", "checkpoints/step_000004", "checkpoints/.step_000005.tmp"]
        {
            fs::create_dir(path(name)).unwrap();
        }
        let rewound = run.rewind(2).unwrap();
        for name in kept {
            assert!(path(name).exists(), "{name}");
        }
        for name in gone {
            assert!(!path(name).exists(), "{name}");
        }
        assert_eq!(run.checkpoint_steps().unwrap(), [2]);
        assert!(
            path("checkpoints/step_000004.aside").exists()
                && !path("checkpoints/.step_000005.tmp").exists()
        );
        let mut removed = rewound.removed;
        removed.sort();
        let expected = [
            "1 file of tokens/, now with names that end in .aside",
            "2 files of rollouts/, now with names that end in .aside",
            "2 lines of metrics.jsonl, which stand in metrics.jsonl.aside",
            "a half-written checkpoint",
            "checkpoints/step_000004, which is now checkpoints/step_000004.aside",
        ];
        assert_eq!(removed, expected);
        assert_eq!(run.rewind(2).unwrap(), Rewound::default());
    }

    #[test]
    fn a_kill_after_the_checkpoints_were_set_aside_loses_nothing_of_what_goes_with_them() {
        for (aside, is_kept) in [
            ("step_000004.aside", true),
            ("step_000004.aside-2", true),
            ("step_000002.aside", false),
            ("step_000004.keep", false),
        ] {
            let (folder, run) = folder();
            let path = |name: &str| folder.path().join(name);
            let before = metrics(&[1, 2, 3, 4]);
            fs::write(path("metrics.jsonl"), &before).unwrap();
            fs::write(path("rollouts/step_000004.jsonl"), "x").unwrap();
            fs::create_dir(path("checkpoints/step_000002")).unwrap();
            fs::create_dir(path("checkpoints").join(aside)).unwrap();
            run.rewind(2).unwrap();
            assert_eq!(fs::read(path("metrics.jsonl")).unwrap(), metrics(&[1, 2]));
            assert_eq!(
                fs::read(path("metrics.jsonl.aside")).ok(),
                is_kept.then_some(before),
                "{aside}"
            );
            assert_eq!(path("rollouts/step_000004.jsonl.aside").exists(), is_kept, "{aside}");
            assert!(!path("rollouts/step_000004.jsonl").exists());
        }
    }
}
