//! The verifier on the answers of real data sets: `ORTHANT_DATA` names a folder with
//! `math_train.parquet`, `math500.json`, `amc.json`, `aime24.json` and `aime25.json`. Without it
//! these tests have nothing to do. `-- --nocapture` prints how many agree, by kind.
//!
//! `cargo test --release --test verifier -- --ignored --nocapture` measures speed.

#![allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]

use orthant::data::read_records;
use orthant::verify::{AnswerFormat, Equality, Verdict, answers_equal, boxed::last_boxed, verify};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Instant;

/// The gold answers of each file, in its order; `None`, with a message, where there is no data.
fn golds() -> Option<Vec<Vec<String>>> {
    let Some(folder) = std::env::var_os("ORTHANT_DATA") else {
        eprintln!("skipped: ORTHANT_DATA does not name a folder with data");
        return None;
    };
    let files = ["math500.json", "amc.json", "aime24.json", "aime25.json"]
        .map(|file| Path::new(&folder).join(file));
    let answers = |path| {
        let records: Vec<serde_json::Value> =
            serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        records.iter().map(|record| record["answer"].as_str().unwrap().to_string()).collect()
    };
    Some(files.into_iter().map(answers).collect())
}

/// What sort of answer it is, by its looks.
fn kind(answer: &str) -> &'static str {
    let plain = answer.replace([',', ' ', '$'], "").replace(r"\!", "");
    let has = |words: &[&str]| words.iter().any(|word| answer.contains(word));
    if plain.parse::<i64>().is_ok() {
        "integer"
    } else if plain.parse::<f64>().is_ok() {
        "decimal"
    } else if has(&["matrix"]) {
        "matrix"
    } else if has(&[r"\text", r"\mbox", r"\circ", r"\%"]) {
        "text or unit"
    } else if has(&[r"\cup", r"\infty", "[", "]"]) {
        "interval"
    } else if has(&["=", "<", ">", r"\le", r"\ge"]) && !has(&[r"\left"]) {
        "equation"
    } else if answer.contains(',') && has(&["("]) {
        "tuple"
    } else if answer.contains(',') {
        "list or set"
    } else if has(&["x", "y", "n", "k", "z"]) && !has(&[r"\frac", r"\sqrt", r"\sin"]) {
        "expression"
    } else if has(&["sqrt"]) {
        "root"
    } else if has(&["frac", "/"]) {
        "fraction"
    } else {
        "other"
    }
}

/// Other spellings of an answer.
fn rewritings(answer: &str) -> Vec<String> {
    let prose = answer.contains("text") || answer.contains("mbox");
    let mut forms: Vec<String> = vec![
        answer.replace(r"\dfrac", r"\frac").replace(r"\tfrac", r"\frac"),
        answer.replace(r"\frac", r"\dfrac"),
        answer.replace(r"\frac", r"\tfrac"),
        answer.replace(r"\left", "").replace(r"\right", ""),
        format!("${answer}$"),
        format!("{answer}."),
        format!(r" \displaystyle {answer} \,"),
    ];
    if !prose {
        forms.push(answer.replace('+', " + ").replace('=', " = "));
        forms.push(answer.replace(' ', r"\;"));
    }
    if let Ok(integer) = answer.parse::<i64>() {
        forms.extend([
            format!("{integer}.0"),
            format!(r"{integer}\text{{ units}}"),
            format!("n = {integer}"),
            format!(r"\frac{{{}}}{{3}}", 3 * integer),
        ]);
    } else if answer.parse::<f64>().is_ok() {
        forms.push(format!("{answer}00"));
    }
    if let Some((numerator, denominator)) = fraction(answer) {
        forms.extend([
            format!("{numerator}/{denominator}"),
            format!(r"\frac{{{}}}{{{}}}", 7 * numerator, 7 * denominator),
        ]);
        forms.push(format!("{:.12}", numerator as f64 / denominator as f64));
    }
    for separator in [", ", r"\cup"] {
        let list = !prose
            && answer.contains(separator)
            && (separator != ", " || !answer.contains(['(', '[', '\\', '{']));
        if list {
            let items: Vec<&str> = answer.rsplit(separator).collect();
            forms.push(items.join(&format!(" {separator} ")));
        }
    }
    forms
}

/// Numerator and denominator of `\frac{a}{b}`.
fn fraction(answer: &str) -> Option<(i64, i64)> {
    let (numerator, denominator) =
        answer.strip_prefix(r"\frac{")?.strip_suffix('}')?.split_once("}{")?;
    Some((numerator.parse().ok()?, denominator.parse().ok()?))
}

/// What is left of an answer without units, names and spelling: answers with one core may be equal.
fn core(answer: &str) -> String {
    let mut text =
        answer.replace(r"\dfrac", r"\frac").replace(r"\tfrac", r"\frac").replace("mbox", "text");
    text = match text.split_once(r"\text{") {
        Some(("", after)) => after.replace(['(', ')'], ""),
        Some((before, _)) => before.to_string(),
        None => text,
    };
    text = text.rsplit('=').next().unwrap_or_default().to_string();
    for dropped in
        [r"^\circ", r"^{\circ}", r"\%", r"\$", "$", r"\left", r"\right", r"\!", " ", "{", "}"]
    {
        text = text.replace(dropped, "");
    }
    let text = text.split('_').next().unwrap_or_default();
    match fraction(answer) {
        Some((numerator, denominator)) => (numerator as f64 / denominator as f64).to_string(),
        None => text.parse::<f64>().map_or(text.to_string(), |number| number.to_string()),
    }
}

#[test]
fn every_gold_answer_is_correct_in_a_box_however_it_is_spelt() {
    let Some(files) = golds() else { return };
    let mut checked = 0;
    for gold in files.iter().flatten() {
        for form in std::iter::once(gold.clone()).chain(rewritings(gold)) {
            let verdict =
                verify(gold, &format!(r"so \boxed{{{form}}}"), AnswerFormat::Math).verdict;
            assert_eq!(verdict, Verdict::Correct, "gold {gold}, answer {form}");
            checked += 1;
        }
    }
    assert!(checked > 4000, "{checked}");
}

#[test]
fn no_gold_answer_is_taken_for_one_of_its_neighbours() {
    let Some(files) = golds() else { return };
    let mut checked = 0;
    for golds in &files {
        for (at, gold) in golds.iter().enumerate() {
            let neighbours: BTreeSet<&String> =
                golds[at + 1..].iter().take(50).filter(|other| core(other) != core(gold)).collect();
            for other in neighbours {
                assert_eq!(
                    answers_equal(gold, other),
                    Equality::Different,
                    "gold {gold}, answer {other}"
                );
                checked += 1;
            }
        }
    }
    assert!(checked > 20_000, "{checked}");
}

/// Right and all, by kind.
#[derive(Default)]
struct Agreement(BTreeMap<&'static str, [usize; 6]>);

impl Agreement {
    fn count(&mut self, kind: &'static str, column: usize, agrees: bool) {
        let row = self.0.entry(kind).or_default();
        row[2 * column] += usize::from(agrees);
        row[2 * column + 1] += 1;
    }

    fn total(&self) -> [usize; 6] {
        self.0.values().fold([0; 6], |mut sum, row| {
            sum.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
            sum
        })
    }

    fn print(&self) {
        eprintln!("{:14} {:>13} {:>15} {:>17}", "kind", "itself", "rewritten", "not a neighbour");
        for (kind, row) in
            self.0.iter().map(|(kind, row)| (*kind, *row)).chain([("all", self.total())])
        {
            let pair = |column: usize| format!("{} / {}", row[2 * column], row[2 * column + 1]);
            eprintln!("{kind:14} {:>13} {:>15} {:>17}", pair(0), pair(1), pair(2));
        }
    }
}

/// Answers of later problems that are compared with each answer.
const NEIGHBOURS: usize = 30;

#[test]
fn the_answers_of_math_agree_with_themselves_and_not_with_others() {
    let Some(folder) = std::env::var_os("ORTHANT_DATA") else {
        eprintln!("skipped: ORTHANT_DATA does not name a folder with data");
        return;
    };
    let records = read_records(&[Path::new(&folder).join("math_train.parquet")]).unwrap();
    let cut = records.iter().filter(|record| record.unusable().is_some()).count();
    let train: Vec<String> = records
        .into_iter()
        .filter(|record| record.unusable().is_none())
        .map(|record| record.answer)
        .collect();
    eprintln!("{cut} answers are cut off in the file");
    let mut agreement = Agreement::default();
    for golds in golds().unwrap().iter().chain([&train]) {
        let verdicts: Vec<_> = golds
            .par_iter()
            .enumerate()
            .map(|(at, gold)| {
                let is_right = |form: &str| {
                    verify(gold, &format!(r"so \boxed{{{form}}}"), AnswerFormat::Math).verdict
                        == Verdict::Correct
                };
                let forms: Vec<(String, bool)> = rewritings(gold)
                    .into_iter()
                    .map(|form| (form.clone(), is_right(&form)))
                    .collect();
                let others: BTreeSet<&String> = golds[at + 1..]
                    .iter()
                    .take(NEIGHBOURS)
                    .filter(|other| core(other) != core(gold))
                    .collect();
                let apart: Vec<(&String, bool)> = others
                    .iter()
                    .map(|other| (*other, answers_equal(gold, other) == Equality::Different))
                    .collect();
                (gold, is_right(gold), forms, apart)
            })
            .collect();
        for (gold, itself, forms, apart) in verdicts {
            let kind = kind(gold);
            agreement.count(kind, 0, itself);
            for (form, agrees) in forms {
                if !agrees {
                    eprintln!("gold {gold}, rewritten {form}");
                }
                agreement.count(kind, 1, agrees);
            }
            for (other, differs) in apart {
                if !differs {
                    eprintln!("gold {gold}, neighbour {other}");
                }
                agreement.count(kind, 2, differs);
            }
        }
    }
    agreement.print();
    let [itself, golds, rewritten, forms, apart, pairs] = agreement.total();
    assert!(golds > 8000 && forms > 40_000 && pairs > 100_000);
    assert_eq!(itself, golds, "every answer that is whole agrees with itself");
    assert!(
        forms - rewritten <= forms / 1000,
        "{} of {forms} rewritings are not understood",
        forms - rewritten
    );
    // Equal by value, not by looks: an angle with and without its unit, a ratio and a fraction.
    assert!(
        pairs - apart <= pairs / 1000,
        "{} of {pairs} pairs are taken for equal",
        pairs - apart
    );
}

/// The median and the 95th percentile of seconds.
fn percentiles(mut seconds: Vec<f64>) -> (f64, f64) {
    seconds.sort_by(f64::total_cmp);
    (seconds[seconds.len() / 2], seconds[seconds.len() * 95 / 100])
}

#[test]
#[ignore = "measures speed"]
fn speed() {
    let sentence = r"We use \frac{a}{b} with $x^{2}+1$ and so the sum of the first 10 terms is 55, which is \boxed{1}. ";
    let completion = format!("{}\\boxed{{42}}", sentence.repeat(2000 / sentence.len()));
    let (rounds, mut found) = (50_000, 0);
    let start = Instant::now();
    for _ in 0..rounds {
        found += usize::from(last_boxed(std::hint::black_box(&completion)) == Some("42"));
    }
    let extraction = rounds as f64 / start.elapsed().as_secs_f64();
    assert_eq!(found, rounds);
    // What it takes only to look at every character.
    let start = Instant::now();
    let mut seen = 0;
    for _ in 0..rounds {
        seen += std::hint::black_box(&completion).chars().filter(|c| *c == '\\').count();
    }
    let reading = rounds as f64 / start.elapsed().as_secs_f64();
    assert!(seen > rounds);
    eprintln!(
        "last box of {} characters: {extraction:.0} a second; counting backslashes by character: \
         {reading:.0} a second, {:.2} times that",
        completion.len(),
        reading / extraction
    );
    let Some(files) = golds() else { return };
    let (mut spelt, mut different) = (Vec::new(), Vec::new());
    let golds: Vec<&String> = files.iter().flatten().collect();
    for (at, gold) in golds.iter().enumerate() {
        let timed = |answer: &str| {
            let start = Instant::now();
            std::hint::black_box(answers_equal(gold, answer));
            start.elapsed().as_secs_f64()
        };
        spelt.extend(rewritings(gold).iter().map(|form| timed(form)));
        different.extend(golds[at + 1..].iter().take(20).map(|other| timed(other)));
    }
    for (kind, seconds) in [("equal, spelt differently", spelt), ("different", different)] {
        let count = seconds.len();
        let (median, high) = percentiles(seconds);
        eprintln!(
            "{count} comparisons ({kind}): median {:.1} us, 95 % below {:.1} us",
            1e6 * median,
            1e6 * high
        );
    }
}
