//! RON in and out: errors that name file, line, column and the nearest right name; `--set`
//! overrides.
//!
//! Serde forgets where a value stood. Overrides and the places of faulty fields are therefore found
//! in the text itself, by a small scanner that knows brackets, strings, field names and comments.

use crate::error::{Error, Result, nearest};
use crate::files::{self, SETTINGS_BYTES};
use ron::extensions::Extensions;
use ron::ser::PrettyConfig;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::Path;

fn options() -> ron::Options {
    ron::Options::default()
        .with_default_extension(Extensions::IMPLICIT_SOME | Extensions::UNWRAP_VARIANT_NEWTYPES)
}

/// Reads a RON file.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = files::read_text(path, SETTINGS_BYTES).map_err(|e| {
        Error::input(format!(
            "cannot read the experiment file: {e}; give a RON file such as \
             experiments/quickstart.ron ({})",
            path.display()
        ))
    })?;
    from_text(&text, &path.display().to_string())
}

/// Parses RON that came from `origin`.
pub fn from_text<T: DeserializeOwned>(text: &str, origin: &str) -> Result<T> {
    if text.trim().is_empty() {
        return Err(Error::input(format!("the experiment file is empty ({origin})")));
    }
    options().from_str(text).map_err(|error| {
        let at = error.span.start;
        let reason = brackets(&error, text).unwrap_or_else(|| explain(&error.code));
        Error::input(format!("{reason} ({origin}, line {}, column {})", at.line, at.col))
    })
}

/// Writes RON with every field.
pub fn to_text<T: Serialize>(value: &T) -> Result<String> {
    let pretty = PrettyConfig::new().struct_names(true).compact_arrays(true);
    options()
        .to_string_pretty(value, pretty)
        .map_err(|e| Error::failed(format!("cannot write RON: {e}")))
}

/// The names that there are, the nearest one first.
fn suggest(found: &str, expected: &[&str]) -> String {
    let near = nearest(found, expected.iter().copied())
        .map_or("; possible".to_string(), |name| format!("; did you mean `{name}`? Possible"));
    let all = expected.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    if expected.is_empty() { String::new() } else { format!("{near}: {all}") }
}

/// What is wrong where a choice has brackets that do not belong to it, or lacks those that do.
fn brackets(error: &ron::error::SpannedError, text: &str) -> Option<String> {
    let lacks = match error.code {
        ron::Error::ExpectedStructLike => true,
        ron::Error::ExpectedComma => false,
        _ => return None,
    };
    let at = error.span.end;
    let mut lines = text.split_inclusive('\n');
    let above: usize = lines.by_ref().take(at.line.saturating_sub(1)).map(str::len).sum();
    let line = lines.next().unwrap_or_default();
    let column = line.char_indices().nth(at.col.saturating_sub(1));
    let (before, after) = text.split_at(above + column.map_or(line.len(), |(place, _)| place));
    let before = before.trim_end();
    let name = &before[before.trim_end_matches(|c: char| c.is_alphanumeric() || c == '_').len()..];
    if !name.starts_with(|c: char| c.is_ascii_uppercase()) {
        return None;
    }
    if lacks {
        Some(format!(
            "`{name}` is written with brackets, which hold its value or settings; `{name}()` leaves \
             settings as they are"
        ))
    } else {
        let has_brackets = after.trim_start().starts_with('(');
        has_brackets.then(|| format!("`{name}` has no settings; write it without brackets"))
    }
}

fn explain(error: &ron::Error) -> String {
    match error {
        ron::Error::NoSuchStructField { expected, found, outer } => {
            let of = outer.as_ref().map(|name| format!(" of `{name}`")).unwrap_or_default();
            format!("unknown field `{found}`{of}{}", suggest(found, expected))
        }
        ron::Error::NoSuchEnumVariant { expected, found, outer } => {
            let of = outer.as_ref().map(|name| format!(" for `{name}`")).unwrap_or_default();
            format!("unknown choice `{found}`{of}{}", suggest(found, expected))
        }
        ron::Error::MissingStructField { field, outer } => {
            let of = outer.as_ref().map(|name| format!(" of `{name}`")).unwrap_or_default();
            format!("the field `{field}`{of} is missing")
        }
        ron::Error::Message(message) => unexpected(message).unwrap_or_else(|| message.clone()),
        other => other.to_string(),
    }
}

/// Adds the nearest right name to RON's own message about an unknown field or choice. Settings of
/// methods are read behind a type that is not known here, so their errors arrive as text.
fn unexpected(message: &str) -> Option<String> {
    let kinds =
        [("Unexpected field named `", "field"), ("Unexpected enum variant named `", "choice")];
    let (rest, kind) =
        kinds.into_iter().find_map(|(start, kind)| Some((message.strip_prefix(start)?, kind)))?;
    let (found, rest) = rest.split_once('`')?;
    let expected: Vec<&str> = rest.split('`').skip(1).step_by(2).collect();
    Some(format!("unknown {kind} `{found}`{}", suggest(found, &expected)))
}

/// Replaces one field of `value` by RON text: `assignment` is `path=value`, where the path goes
/// through field names and list places, such as `method.lambda=1.0` or `evaluations.0.every=10`.
pub fn set<T: Serialize + DeserializeOwned>(value: &T, assignment: &str) -> Result<T> {
    let (path, new) = assignment.split_once('=').ok_or_else(|| {
        Error::input(format!(
            "--set {assignment}: write it as path=value, such as --set stop.steps=20"
        ))
    })?;
    let text = to_text(value)?;
    let mut span = 0..text.len();
    let mut walked = String::new();
    for step in path.trim().split('.') {
        let entries = fields(&text, span.clone());
        span = find(&entries, step).ok_or_else(|| {
            let within = if walked.is_empty() {
                "the experiment".to_string()
            } else {
                format!("`{walked}`")
            };
            let names: Vec<&str> =
                entries.iter().map(|entry| entry.name).filter(|name| !name.is_empty()).collect();
            let hint = match nearest(step, names.iter().copied()) {
                Some(near) => format!("; did you mean `{near}`?"),
                None if names.is_empty() => {
                    format!("; it has {} entries, counted from 0", entries.len())
                }
                None => format!("; it has {}", names.join(", ")),
            };
            Error::input(format!("--set {assignment}: {within} has no field `{step}`{hint}"))
        })?;
        if !walked.is_empty() {
            walked.push('.');
        }
        walked.push_str(step);
    }
    let replaced = format!("{}{}{}", &text[..span.start], new.trim(), &text[span.end..]);
    options().from_str(&replaced).map_err(|error| {
        Error::input(format!(
            "--set {assignment}: {} is not a value for `{path}`: {}",
            new.trim(),
            brackets(&error, &replaced).unwrap_or_else(|| explain(&error.code))
        ))
    })
}

/// A field in which two values differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Its path, as [`set`] takes it.
    pub path: String,
    /// What it is in the first, as RON.
    pub from: String,
    /// What it is in the second, as RON.
    pub to: String,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} from {} to {}", self.path, self.from, self.to)
    }
}

/// The fields in which `one` and `other` differ, each as far inside as both have it.
pub fn differences<T: Serialize>(one: &T, other: &T) -> Result<Vec<Difference>> {
    let (one, other) = (to_line(one)?, to_line(other)?);
    let mut found = Vec::new();
    compare("", &one, &other, &mut found);
    Ok(found)
}

/// Adds the differences of two values, written by [`to_line`], that stand at `path`.
fn compare(path: &str, one: &str, other: &str, found: &mut Vec<Difference>) {
    if one == other {
        return;
    }
    let head = |text: &str| text.split(['(', '[']).next().unwrap_or_default().to_string();
    // Brackets within a text are none.
    let span = |text: &str| if text.starts_with('"') { 0..0 } else { 0..text.len() };
    let (mine, theirs) = (entries(one, span(one)), entries(other, span(other)));
    let customs = (custom(one, span(one), &mine), custom(other, span(other), &theirs));
    if let (Some((name, mine)), Some((other_name, theirs))) = customs
        && name == other_name
    {
        return compare(path, &one[mine.value.clone()], &other[theirs.value.clone()], found);
    }
    let is_custom = customs.0.is_some();
    let names =
        |entries: &[Entry]| entries.iter().map(|entry| entry.name.to_string()).collect::<Vec<_>>();
    if is_custom || mine.is_empty() || head(one) != head(other) || names(&mine) != names(&theirs) {
        found.push(Difference {
            path: path.to_string(),
            from: one.to_string(),
            to: other.to_string(),
        });
        return;
    }
    for (place, (mine, theirs)) in mine.iter().zip(&theirs).enumerate() {
        let step = if mine.name.is_empty() { place.to_string() } else { mine.name.to_string() };
        let path = if path.is_empty() { step } else { format!("{path}.{step}") };
        compare(&path, &one[mine.value.clone()], &other[theirs.value.clone()], found);
    }
}

/// RON with every field in one line.
fn to_line<T: Serialize>(value: &T) -> Result<String> {
    let pretty = PrettyConfig::new().compact_arrays(true).compact_structs(true).compact_maps(true);
    options()
        .to_string_pretty(value, pretty)
        .map_err(|e| Error::failed(format!("cannot write RON: {e}")))
}

/// Completes an error about a field with its place: the line and column in the experiment file at
/// `path`, or the one of the `--set` `assignments` that gave it its value. Other errors stay as
/// they are.
pub fn locate(error: Error, path: &Path, assignments: &[String]) -> Error {
    let Error::Field { field, .. } = &error else { return error };
    let sets_it = |assignment: &&String| {
        let target = assignment.split('=').next().unwrap_or("").trim();
        field.strip_prefix(target).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    if let Some(assignment) = assignments.iter().rev().find(sets_it) {
        return Error::input(format!("--set {assignment}: {error}"));
    }
    let place = files::read_text(path, SETTINGS_BYTES).ok().and_then(|text| position(&text, field));
    let place =
        place.map_or(String::new(), |(line, column)| format!(", line {line}, column {column}"));
    Error::input(format!("{error} ({}{place})", path.display()))
}

/// Line and column, from 1, of the value of `field` in the text of an experiment file, if the field
/// is written there.
fn position(text: &str, field: &str) -> Option<(usize, usize)> {
    let plain = blank_comments(text);
    let mut span = 0..plain.len();
    for step in field.split('.') {
        span = find(&fields(&plain, span), step)?;
    }
    let before = &text[..span.start];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    Some((before.matches('\n').count() + 1, before[line_start..].chars().count() + 1))
}

/// RON text in one line, without its comments.
pub(super) fn in_one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    let (mut in_string, mut is_escaped) = (false, false);
    for c in blank_comments(text).trim().chars() {
        in_string ^= c == '"' && !is_escaped;
        is_escaped = in_string && c == '\\' && !is_escaped;
        match c {
            c if in_string => line.push(c),
            c if c.is_whitespace() && line.ends_with(' ') => {}
            c if c.is_whitespace() => line.push(' '),
            c => line.push(c),
        }
    }
    line
}

/// The text with comments and `#![..]` attributes overwritten by blanks, so that everything else
/// stays in its place.
fn blank_comments(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut in_string = false;
    while let Some(first) = rest.chars().next() {
        let skipped = match first {
            _ if in_string => 0,
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            '#' if rest.starts_with("#!") => rest.find(']').map_or(rest.len(), |end| end + 1),
            _ => 0,
        };
        if skipped > 0 {
            out.extend(rest[..skipped].bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }));
            rest = &rest[skipped..];
            continue;
        }
        let taken = if in_string && first == '\\' {
            rest.chars().take(2).map(char::len_utf8).sum()
        } else {
            first.len_utf8()
        };
        in_string ^= first == '"';
        out.push_str(&rest[..taken]);
        rest = &rest[taken..];
    }
    out
}

/// Where the value of a field, or of an element by its place from 0, stands.
fn find(entries: &[Entry<'_>], step: &str) -> Option<std::ops::Range<usize>> {
    let entry = match step.parse::<usize>() {
        // Fields have names, and are found by these alone.
        Ok(place) => entries.get(place).filter(|entry| entry.name.is_empty()),
        Err(_) => entries.iter().find(|entry| entry.name == step),
    };
    entry.map(|entry| entry.value.clone())
}

/// What a path finds at `span`: the settings of `Custom("name", settings)`, and the entries of
/// everything else.
fn fields(text: &str, span: std::ops::Range<usize>) -> Vec<Entry<'_>> {
    let found = entries(text, span.clone());
    match custom(text, span, &found) {
        Some((_, settings)) => entries(text, settings.value.clone()),
        None => found,
    }
}

/// Name and settings of what is written as `Custom("name", settings)`; `entries` are those at
/// `span`.
fn custom<'a, 'b>(
    text: &'a str,
    span: std::ops::Range<usize>,
    entries: &'b [Entry<'a>],
) -> Option<(&'a str, &'b Entry<'a>)> {
    match entries {
        [name, settings] if text[span].trim_start().starts_with("Custom(") => {
            Some((&text[name.value.clone()], settings))
        }
        _ => None,
    }
}

/// A field of a struct (or an element of a list, without a name) and where its value stands.
struct Entry<'a> {
    name: &'a str,
    value: std::ops::Range<usize>,
}

/// The fields or elements of the struct, variant or list that stands at `span`, in text written by
/// [`to_text`] (no comments).
fn entries(text: &str, span: std::ops::Range<usize>) -> Vec<Entry<'_>> {
    let bytes = text.as_bytes();
    let Some(open) = (span.start..span.end).find(|&i| matches!(bytes[i], b'(' | b'[')) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    let (mut depth, mut in_string) = (0usize, false);
    let mut start = open + 1;
    let mut name_end = None;
    let mut i = open;
    while i < span.end {
        match bytes[i] {
            b'\\' if in_string => i += 1,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'(' | b'[' | b'{' => depth += 1,
            b':' if depth == 1 && name_end.is_none() => name_end = Some(i),
            close @ (b')' | b']' | b'}' | b',') => {
                if depth == 1 {
                    let (name, value) = match name_end.take() {
                        Some(end) => (text[start..end].trim(), end + 1..i),
                        None => ("", start..i),
                    };
                    let trimmed = text[value.clone()].trim();
                    if !trimmed.is_empty() {
                        let begin = value.start + text[value.clone()].find(trimmed).unwrap_or(0);
                        found.push(Entry { name, value: begin..begin + trimmed.len() });
                    }
                    start = i + 1;
                }
                if close != b',' {
                    depth -= 1;
                    if depth == 0 {
                        break;
                    }
                }
            }
            _ => {}
        }
        i += 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::Experiment;
    use crate::methods::G2rl;

    const MINIMAL: &str =
        r#"Experiment(name: "a", model: Bundled("countdown"), task: Countdown(numbers: 4))"#;

    fn minimal() -> Experiment {
        from_text(MINIMAL, "test.ron").unwrap()
    }

    fn message(text: &str) -> String {
        from_text::<Experiment>(text, "test.ron").unwrap_err().to_string()
    }

    #[test]
    fn defaults_are_filled_in_and_the_written_experiment_reads_back_equal() {
        let experiment = minimal();
        assert_eq!(experiment.rollout.group_size, 16);
        let text = to_text(&experiment).unwrap();
        assert_eq!(from_text::<Experiment>(&text, "again").unwrap(), experiment, "{text}");
    }

    #[test]
    fn the_example_of_the_interface_parses() {
        let experiment: Experiment = from_text(
            r#"Experiment(
                name: "countdown-g2rl",
                seed: 0,
                device: Auto,
                model: Bundled("countdown"),
                precision: F32,
                adapter: Full,
                task: Countdown(numbers: 4, target: (1, 99)),
                rollout: (prompts_per_step: 8, group_size: 16, temperature: 1.0, max_new_tokens: 96),
                method: G2rl(lambda: 0.5, novelty: Residual, incorrect: AsEquation, clip: 3.0),
                objective: (loss: Grpo, clip_low: 0.2, clip_high: 0.2, ratio: Token, kl: (coefficient: 0.001, estimator: K3), epochs: 1, minibatches: 1),
                optimizer: AdamW(learning_rate: 1e-5, warmup_steps: 10, max_grad_norm: 1.0),
                evaluations: [(suite: HeldOut(problems: 128), every: 25, samples: 16, k: [1, 4, 16])],
                stop: (steps: 200),
            )"#,
            "interface",
        )
        .unwrap();
        experiment.validate().unwrap();
    }

    #[test]
    fn errors_name_line_column_and_the_nearest_field() {
        let text = message("Experiment(\n    name: \"a\",\n    modell: Bundled(\"countdown\"),\n)");
        assert!(
            text.contains("`modell`")
                && text.contains("did you mean `model`")
                && text.contains("line 3"),
            "{text}"
        );
        let text =
            message(r#"Experiment(name: "a", model: Bundled("countdown"), task: Countdwn())"#);
        assert!(text.contains("did you mean `Countdown`"), "{text}");
        let text = message(r#"Experiment(name: "a", model: Bundled("countdown"))"#);
        assert!(text.contains("`task`") && text.contains("missing"), "{text}");
        let text = message(
            r#"Experiment(name: "a", model: Bundled("c"), task: Countdown(), rollout: (group_size: "x"))"#,
        );
        assert!(text.contains("column"), "{text}");
    }

    #[test]
    fn brackets_that_lack_or_do_not_belong_there_are_named() {
        let with = |method: &str| {
            MINIMAL.replace("name: \"a\"", &format!("name: \"\u{fc}\",\n method: {method}"))
        };
        for (method, words) in [
            ("G2rl", "`G2rl` is written with brackets"),
            ("EntropyBonus, seed: 1", "`EntropyBonus()` leaves settings as they are"),
            ("Grpo()", "`Grpo` has no settings; write it without brackets"),
            ("Grpo(lambda: 1)", "`Grpo` has no settings"),
        ] {
            let text = message(&with(method));
            assert!(text.contains(words) && text.contains("line 2"), "{text}");
            let value = method.split(',').next().unwrap();
            let text = set(&minimal(), &format!("method={value}")).unwrap_err().to_string();
            assert!(text.contains(words), "{text}");
        }
        let text = message(&with("Grpo seed: 1"));
        assert!(!text.contains("settings"), "{text}");
        let text = message("Experiment(name: \"a\", task: Countdown\r\n)");
        assert!(text.contains("`Countdown` is written with brackets"), "{text}");
        for text in [
            "Experiment(method: \u{200e}G2rl)",
            "Experiment(rollout: (temperature:\u{85}abc))",
            "Experiment(na\u{308}me: \"a\")",
            "Experiment(name: \"a\\\u{201c}",
            "Experiment(method: \u{e4}G2rl\u{e4})",
            "Experiment(method: G2rl",
            "\r\n\r\n",
            "Experiment(\n\n\u{1f600}",
        ] {
            assert!(!message(text).is_empty());
        }
    }

    #[test]
    fn values_out_of_range_are_named() {
        let text = r#"Experiment(name: "a", model: Bundled("c"), task: Countdown(), rollout: (temperature: -1.0))"#;
        let error = from_text::<Experiment>(text, "t").unwrap().validate().unwrap_err().to_string();
        assert!(error.contains("rollout.temperature") && error.contains("-1"), "{error}");
    }

    #[test]
    fn choices_of_the_objective_parse_and_contradictions_are_refused() {
        let objective = |fields: &str| {
            let text =
                MINIMAL.replace("name: \"a\"", &format!("name: \"a\", objective: ({fields})"));
            let experiment: Experiment = from_text(&text, "test.ron").unwrap();
            let written = to_text(&experiment).unwrap();
            assert_eq!(
                from_text::<Experiment>(&written, "again").unwrap(),
                experiment,
                "{written}"
            );
            (written, experiment.validate().map_err(|error| error.to_string()))
        };
        for scale in ["Group", "Batch", "Unscaled"] {
            let (written, valid) = objective(&format!("advantage_scale: {scale}, truncated: Mask"));
            assert!(
                written.contains(&format!("advantage_scale: {scale}"))
                    && written.contains("truncated: Mask")
            );
            valid.unwrap();
        }
        for loss in ["Grpo", "DrGrpo", "Dapo", "Bnpo", "Gspo", "Cispo"] {
            objective(&format!("loss: {loss}")).1.unwrap();
            let (written, token) = objective(&format!("loss: {loss}, ratio: Token"));
            assert!(written.contains("ratio: Token"), "{written}");
            let sequence = objective(&format!("loss: {loss}, ratio: Sequence")).1;
            assert_eq!(token.is_ok(), loss != "Gspo");
            assert_eq!(sequence.is_ok(), ["Grpo", "Gspo"].contains(&loss));
            for error in [token, sequence].into_iter().filter_map(Result::err) {
                assert!(
                    ["`objective.ratio`", loss, "set it to"]
                        .iter()
                        .all(|word| error.contains(word)),
                    "{error}"
                );
            }
        }
        let gspo = set(&minimal(), "objective.loss=Gspo").unwrap();
        let both = set(
            &set(&gspo, "objective.ratio=Token").unwrap(),
            "objective.advantage_scale=Unscaled",
        )
        .unwrap();
        assert!(gspo.validate().is_ok() && both.validate().is_err());
    }

    #[test]
    fn refinements_are_off_unless_written_and_refused_where_they_make_no_sense() {
        let with = |section: &str| {
            let text = MINIMAL.replace("name: \"a\"", &format!("name: \"a\", {section}"));
            let experiment: Experiment = from_text(&text, "test.ron").unwrap();
            let written = to_text(&experiment).unwrap();
            assert_eq!(
                from_text::<Experiment>(&written, "again").unwrap(),
                experiment,
                "{written}"
            );
            experiment.validate().map_err(|error| error.to_string())
        };
        for right in [
            "objective: (truncated: SoftPenalty(buffer: 32))",
            "objective: (truncated: SoftPenalty(buffer: 96, strength: 0.5))",
            "objective: (kl: (target: 0.02, horizon: 100))",
            "rollout: (dynamic: (rounds: 2))",
            "rollout: (curriculum: (floor: 0.2))",
        ] {
            with(right).unwrap();
        }
        for (wrong, words) in [
            (
                "objective: (truncated: SoftPenalty(buffer: 0))",
                ["`objective.truncated.buffer` is 0", "between 1 and 96"],
            ),
            (
                "objective: (truncated: SoftPenalty(buffer: 97))",
                [
                    "`objective.truncated.buffer` is 97",
                    "between 1 and 96 (`rollout.max_new_tokens`)",
                ],
            ),
            (
                "objective: (truncated: SoftPenalty(buffer: 8, strength: 0.0))",
                ["`objective.truncated.strength` is 0", "greater than 0"],
            ),
            (
                "rollout: (dynamic: (rounds: 0))",
                ["`rollout.dynamic.rounds` is 0", "between 1 and 100"],
            ),
            (
                "rollout: (curriculum: (floor: 0.0))",
                ["`rollout.curriculum.floor` is 0", "between 0.001 and 1"],
            ),
            (
                "rollout: (curriculum: (rate: 2.0))",
                ["`rollout.curriculum.rate` is 2", "between 0.0001 and 1"],
            ),
            ("objective: (kl: (target: 0.0))", ["`objective.kl.target` is 0", "greater than 0"]),
            (
                "objective: (kl: (target: 0.1, horizon: 0))",
                ["`objective.kl.horizon` is 0", "at least 1"],
            ),
            (
                "objective: (kl: (target: 0.1, coefficient: 0))",
                ["`objective.kl.coefficient` is 0", "such as 0.001"],
            ),
            (
                "objective: (kl: (target: 0.1, estimator: K1))",
                ["`objective.kl.estimator` is K1", "K2 or K3"],
            ),
        ] {
            let error = with(wrong).unwrap_err();
            assert!(words.iter().all(|word| error.contains(word)), "{wrong}: {error}");
        }
    }

    #[test]
    fn overrides_reach_every_level() {
        let mut experiment = set(&minimal(), "method=G2rl(lambda: 0.25)").unwrap();
        experiment = set(&experiment, "method.lambda=1.0").unwrap();
        experiment = set(&experiment, "stop.steps=20").unwrap();
        experiment = set(&experiment, "evaluations=[(suite: HeldOut(problems: 8))]").unwrap();
        experiment = set(&experiment, "evaluations.0.every=5").unwrap();
        experiment = set(&experiment, "evaluations.0.suite.problems=9").unwrap();
        experiment = set(&experiment, "task.target.1=50").unwrap();
        experiment = set(&experiment, r#"description="a, \"b\" (c"#.to_string().as_str())
            .unwrap_or(experiment);
        experiment = set(&experiment, r#"description="a, (b: c""#).unwrap();
        experiment = set(&experiment, "seed=7").unwrap();
        let g2rl: &G2rl = experiment.method.get().unwrap();
        assert_eq!((g2rl.lambda, experiment.stop.steps, experiment.seed), (1.0, 20, 7));
        assert_eq!(experiment.evaluations[0].every.0, 5);
        assert_eq!(experiment.description, "a, (b: c");
        let crate::experiment::TaskConfig::Countdown(countdown) = &experiment.task else {
            panic!()
        };
        assert_eq!(countdown.target, (1, 50));
    }

    #[test]
    fn differences_are_named_as_far_inside_as_both_sides_have_them() {
        let one = set(
            &minimal(),
            "evaluations=[(suite: HeldOut(problems: 8)), (suite: HeldOut(problems: 9))]",
        )
        .unwrap();
        let mut other = one.clone();
        for assignment in [
            "seed=7",
            "optimizer.learning_rate=1e-3",
            "task.target.1=50",
            "method=G2rl(lambda: 1)",
            "rollout.dynamic=(rounds: 2)",
            "evaluations.1.suite.problems=10",
            r#"description="a, (b""#,
        ] {
            other = set(&other, assignment).unwrap();
        }
        let found = differences(&one, &other).unwrap();
        let paths: Vec<&str> = found.iter().map(|difference| difference.path.as_str()).collect();
        let expected = [
            "description",
            "seed",
            "task.target.1",
            "rollout.dynamic",
            "method",
            "optimizer.learning_rate",
            "evaluations.1.suite.problems",
        ];
        assert_eq!(paths, expected);
        assert_eq!(found[1].to_string(), "seed from 0 to 7");
        assert_eq!(found[3].to_string(), "rollout.dynamic from None to (rounds: 2)");
        // Each can be set, one after another, and then nothing differs.
        let again = found.iter().fold(one.clone(), |now, difference| {
            set(&now, &format!("{}={}", difference.path, difference.to)).unwrap()
        });
        assert_eq!(again, other);
        assert!(differences(&one, &one).unwrap().is_empty());
        let described = |text: &str| set(&one, &format!("description=\"{text}\"")).unwrap();
        let found = differences(&described("a (x: 1)"), &described("a (x: 2)")).unwrap();
        assert_eq!(found[0].path, "description");
        let fewer = set(&one, "evaluations=[(suite: HeldOut(problems: 8))]").unwrap();
        assert_eq!(differences(&one, &fewer).unwrap()[0].path, "evaluations");
    }

    #[test]
    fn fields_are_found_where_they_stand_in_the_file() {
        let text = "#![enable(implicit_some)]\n// (a, [comment\nExperiment(\n  name: \"a /* ( \\\" \
                    \", /* x: ( */ seed: 3,\n\tevaluations: [(suite: HeldOut(problems: 8)), \
                    (suite: HeldOut(problems: 0), k: [1, 9])], // end\n)";
        for (field, place) in [
            ("name", Some((4, 9))),
            ("seed", Some((4, 40))),
            ("evaluations.1.suite.problems", Some((5, 73))),
            ("evaluations.1.k.1", Some((5, 84))),
            ("rollout.temperature", None),
            ("evaluations.2.every", None),
        ] {
            assert_eq!(position(text, field), place, "{field}");
        }
    }

    #[test]
    fn a_faulty_field_is_reported_with_the_override_that_set_it() {
        let fault = || Error::field("stop.steps", "is 0; it must be at least 1");
        let text = locate(
            fault(),
            Path::new("no-such.ron"),
            &["stop.steps=5".into(), "stop=(steps: 0)".into()],
        );
        assert_eq!(
            text.to_string(),
            "--set stop=(steps: 0): the field `stop.steps` is 0; it must be at least 1"
        );
        let text = locate(fault(), Path::new("no-such.ron"), &["stop.st=5".into()]);
        assert_eq!(
            text.to_string(),
            "the field `stop.steps` is 0; it must be at least 1 (no-such.ron)"
        );
    }

    #[test]
    fn overrides_that_name_nothing_or_do_not_fit_are_refused() {
        for (assignment, words) in [
            ("stop.step=3", "did you mean `steps`"),
            ("stop.steps=many", "stop.steps"),
            ("evaluations.3.every=1", "no field `3`"),
            ("stop", "path=value"),
        ] {
            let text = set(&minimal(), assignment).unwrap_err().to_string();
            assert!(text.contains(words), "{text}");
        }
    }

    #[test]
    fn every_experiment_file_of_the_repository_is_valid() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments");
        let mut seen = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                continue;
            }
            if path.file_name().unwrap().to_string_lossy().starts_with("pretrain_") {
                read::<crate::experiment::Pretrain>(&path).unwrap().validate().unwrap();
            } else {
                read::<Experiment>(&path).unwrap().validate().unwrap();
            }
            seen += 1;
        }
        assert!(seen >= 4);
    }
}
