//! Taking a run folder back to a checkpoint: afterwards each step stands once, nothing damaged is left, and only files of names that
//! the program gives are gone.

use super::checkpoints::RECORDS;
use super::run_dir::{LOGS, RunDir, list, record_step};
use crate::error::{Error, Result};
use crate::files;
use serde::Deserialize;
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

/// What is looked at of a log's line.
#[derive(Deserialize)]
struct LogLine {
    step: u64,
    suite: Option<String>,
}

impl RunDir {
    /// Takes the run back to where it was after `step`: drops what was recorded later, and whatever a crash left half-written.
    /// Checkpoints of later steps are set aside, and with them what was recorded in later steps; so is a copy of every log with damaged
    /// lines.
    pub fn rewind(&self, step: u64) -> Result<Rewound> {
        let mut rewound = Rewound::default();
        // First, so that whoever goes on after a kill in the midst of this goes on from the same step.
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
                let is_late = record_step(name, &endings).is_some_and(|at| at > step || is_half_written);
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
                rewound.removed.push(format!("{removed} {} of {folder}/{place}", plural(removed, "file")));
            }
        }
        for name in LOGS.into_iter().chain(["manifest.json", "experiment.ron"]) {
            let path = self.path().join(name).with_added_extension("tmp");
            if path.is_file() {
                remove(&path)?;
            }
        }
        Ok(rewound)
    }

    /// Returns whether there were later checkpoints, which are set aside; what was recorded with them is set aside too.
    fn rewind_checkpoints(&self, step: u64, rewound: &mut Rewound) -> Result<bool> {
        let mut sets_aside = false;
        for path in list(&self.path().join("checkpoints"))? {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let is_half_written = name.strip_prefix('.').is_some_and(|name| record_step(name, &[".tmp"]).is_some());
            if is_half_written && path.is_dir() {
                fs::remove_dir_all(&path).map_err(Error::io("removing a half-written checkpoint", &path))?;
                rewound.removed.push("a half-written checkpoint".to_string());
            } else if record_step(name, &[""]).is_some_and(|at| at > step) {
                sets_aside = true;
                let aside = set_aside(&path)?;
                let aside = aside.file_name().unwrap_or_default().to_string_lossy().into_owned();
                rewound.removed.push(format!("checkpoints/{name}, which is now checkpoints/{aside}"));
            }
        }
        Ok(sets_aside)
    }

    fn rewind_log(&self, name: &str, step: u64, sets_aside: bool, rewound: &mut Rewound) -> Result<()> {
        let path = self.path().join(name);
        let bytes = match files::read(&path, u64::MAX) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(Error::io("reading a file of the run", &path)(error)),
        };
        let log = Log::read(name, &bytes, step);
        let mut faults = Vec::new();
        if log.damaged > 0 {
            faults.push(format!("{} damaged {}", log.damaged, plural(log.damaged, "line")));
        }
        if log.repeated > 0 {
            faults.push(format!("{} {} for what stands there already", log.repeated, plural(log.repeated, "line")));
        }
        if !log.missing.is_empty() {
            faults.push(format!("no line for {}", steps_in_words(&log.missing)));
        }
        if !faults.is_empty() {
            let mut text = format!("{name} has {}", faults.join(", and "));
            if log.damaged + log.repeated > 0 {
                let kept = free_name(&path, "damaged");
                fs::copy(&path, &kept).map_err(Error::io("keeping a damaged file", &kept))?;
                text.push_str("; the file as it was is kept as ");
                text.push_str(&kept.file_name().unwrap_or_default().to_string_lossy());
            }
            rewound.damaged.push(text);
        }
        if log.later > 0 {
            let mut text = format!("{} {} of {name}", log.later, plural(log.later, "line"));
            if sets_aside {
                let aside = free_name(&path, "aside");
                fs::copy(&path, &aside).map_err(Error::io("keeping later lines", &aside))?;
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
    /// Lines after the step that the run is taken back to.
    later: usize,
    /// Lines that cannot be read. One that is cut off at the file's end is none: a kill leaves it, after the checkpoint.
    damaged: usize,
    /// Lines that say again what another says.
    repeated: usize,
    /// First and last of steps without a line, where every step has one.
    missing: Vec<(u64, u64)>,
}

impl Log {
    fn read(name: &str, bytes: &[u8], step: u64) -> Self {
        let mut log = Self::default();
        let mut lines: Vec<(LogLine, &str)> = Vec::new();
        for line in bytes.split_inclusive(|&byte| byte == b'\n') {
            let text = std::str::from_utf8(line).ok().map(str::trim_end);
            match text.and_then(|text| Some((serde_json::from_str::<LogLine>(text).ok()?, text))) {
                Some((at, _)) if at.step > step => log.later += 1,
                Some(line) => lines.push(line),
                None if line.ends_with(b"\n") && !line.trim_ascii().is_empty() => log.damaged += 1,
                None => log.later += usize::from(!line.ends_with(b"\n")),
            }
        }
        // What happened may happen twice; every other line is the only one of its kind. Of several the longest stays.
        let mut last: HashMap<(u64, Option<String>), usize> = HashMap::new();
        let mut stays = vec![true; lines.len()];
        for (place, (line, text)) in lines.iter().enumerate().filter(|_| name != "events.jsonl") {
            if let Some(&earlier) = last.get(&(line.step, line.suite.clone())) {
                let is_longer = text.len() > lines[earlier].1.len();
                stays[if is_longer { earlier } else { place }] = false;
                log.repeated += 1;
                if !is_longer {
                    continue;
                }
            }
            last.insert((line.step, line.suite.clone()), place);
        }
        if name == "metrics.jsonl" {
            let there: BTreeSet<u64> = lines.iter().map(|(line, _)| line.step).collect();
            let mut next = 1;
            for at in there.into_iter().filter(|&at| at > 0).chain([step.saturating_add(1)]) {
                if at > next {
                    log.missing.push((next, at - 1));
                }
                next = at.saturating_add(1);
            }
        }
        for ((_, text), _) in lines.iter().zip(&stays).filter(|(_, stays)| **stays) {
            log.kept += text;
            log.kept.push('\n');
        }
        log
    }
}

/// Gives a file or folder a name under which it is in nobody's way; returns its path.
fn set_aside(path: &Path) -> Result<PathBuf> {
    let aside = free_name(path, "aside");
    fs::rename(path, &aside).map_err(Error::io("setting what is of a later step aside", path))?;
    Ok(aside)
}

fn plural(count: usize, noun: &str) -> String {
    if count == 1 { noun.to_string() } else { format!("{noun}s") }
}

/// Such as `steps 1 to 3, 7`.
fn steps_in_words(ranges: &[(u64, u64)]) -> String {
    const MOST: usize = 5;
    let range = |&(start, end): &(u64, u64)| if start == end { start.to_string() } else { format!("{start} to {end}") };
    let text = ranges.iter().take(MOST).map(range).collect::<Vec<_>>().join(", ");
    let more = if ranges.len() > MOST { " and more" } else { "" };
    let is_one = matches!(ranges, [(start, end)] if start == end);
    format!("{} {text}{more}", plural(if is_one { 1 } else { 2 }, "step"))
}

/// `path` with an ending that nothing there has yet.
fn free_name(path: &Path, ending: &str) -> PathBuf {
    let names = std::iter::once(ending.to_string()).chain((2..).map(|number| format!("{ending}-{number}")));
    let mut paths = names.map(|ending| path.with_added_extension(ending));
    paths.find(|path| fs::symlink_metadata(path).is_err()).unwrap_or_else(|| path.to_path_buf())
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
        steps.iter().flat_map(|step| format!("{{\"step\":{step},\"wall_s\":1.5}}\n").into_bytes()).collect()
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
            (with(line, b"garbage\n"), &[1, 2, 3], "1 damaged line;"),
            (with(line, b"\xff\xfe{}\n\0\0\0\n"), &[1, 2, 3], "2 damaged lines;"),
            (with(0, &whole[..line]), &[1, 2, 3], "1 line for what stands there already;"),
            (with(line, b"{\"step\":2}\n"), &[1, 2, 3], "1 line for what stands there already;"),
            (with(3 * line, b"{\"step\":2}\n"), &[1, 2, 3], "1 line for what stands there already;"),
            (metrics(&[1, 18_446_744_073_709_551_615]), &[1], "no line for steps 2 to 3"),
            (metrics(&[3]), &[3], "no line for steps 1 to 2"),
            (Vec::new(), &[], "no line for steps 1 to 3"),
            (
                [&whole[..line], &vec![0; line - 1], b"\n", &whole[2 * line..]].concat(),
                &[1, 3],
                "1 damaged line, and no line for step 2;",
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
                assert_eq!(fs::read(&aside).ok(), text.ends_with(".damaged").then_some(bytes), "{text}");
            } else {
                assert!(!aside.exists());
            }
        }
    }

    #[test]
    fn events_may_repeat_and_evaluations_stand_once_by_suite() {
        let (folder, run) = folder();
        let event = "{\"step\":2,\"kind\":\"paused\"}\n";
        fs::write(folder.path().join("events.jsonl"), event.repeat(2)).unwrap();
        let suites = "{\"step\":2,\"suite\":\"a\"}\n{\"step\":2,\"suite\":\"b\"}\n";
        fs::write(folder.path().join("evals.jsonl"), suites.repeat(2)).unwrap();
        fs::write(folder.path().join("metrics.jsonl"), metrics(&[1, 2])).unwrap();
        let rewound = run.rewind(2).unwrap();
        assert_eq!(fs::read_to_string(folder.path().join("events.jsonl")).unwrap(), event.repeat(2));
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
        let gone = ["rollouts/step_000003.jsonl", "rollouts/step_000004.jsonl.tmp", "tokens/step_000003.safetensors"];
        for name in kept.iter().chain(&gone) {
            fs::write(path(name), "x").unwrap();
        }
        fs::write(path("metrics.jsonl"), metrics(&[1, 2, 3, 4])).unwrap();
        for name in ["checkpoints/step_000002", "checkpoints/step_000004", "checkpoints/.step_000005.tmp"] {
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
        assert!(path("checkpoints/step_000004.aside").exists() && !path("checkpoints/.step_000005.tmp").exists());
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
}
