//! The verifier on the answers of real data sets: `ORTHANT_DATA` names a folder with `math500.json`, `amc.json`, `aime24.json` and
//! `aime25.json`, lists of objects with an `answer`. Without it these tests have nothing to do.
//!
//! `cargo test --release --test verifier -- --ignored --nocapture` measures speed.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use orthant::verify::boxed::last_boxed;
use orthant::verify::{AnswerFormat, Equality, Verdict, answers_equal, verify};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Instant;

/// The gold answers of each file, in its order; `None`, with a message, where there is no data.
fn golds() -> Option<Vec<Vec<String>>> {
    let Some(folder) = std::env::var_os("ORTHANT_DATA") else {
        eprintln!("skipped: ORTHANT_DATA does not name a folder with data");
        return None;
    };
    let files = ["math500.json", "amc.json", "aime24.json", "aime25.json"].map(|file| Path::new(&folder).join(file));
    let answers = |path| {
        let records: Vec<serde_json::Value> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        records.iter().map(|record| record["answer"].as_str().unwrap().to_string()).collect()
    };
    Some(files.into_iter().map(answers).collect())
}

/// Whether the braces of an answer are closed; some golds in circulation were cut off.
fn is_whole(answer: &str) -> bool {
    answer.matches('{').count() == answer.matches('}').count()
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
        let list =
            !prose && answer.contains(separator) && (separator != ", " || !answer.contains(['(', '[', '\\', '{']));
        if list {
            let items: Vec<&str> = answer.rsplit(separator).collect();
            forms.push(items.join(&format!(" {separator} ")));
        }
    }
    forms
}

/// Numerator and denominator of `\frac{a}{b}`.
fn fraction(answer: &str) -> Option<(i64, i64)> {
    let (numerator, denominator) = answer.strip_prefix(r"\frac{")?.strip_suffix('}')?.split_once("}{")?;
    Some((numerator.parse().ok()?, denominator.parse().ok()?))
}

/// What is left of an answer without units, names and spelling: answers with one core may be equal.
fn core(answer: &str) -> String {
    let mut text = answer.replace(r"\dfrac", r"\frac").replace(r"\tfrac", r"\frac").replace("mbox", "text");
    text = match text.split_once(r"\text{") {
        Some(("", after)) => after.replace(['(', ')'], ""),
        Some((before, _)) => before.to_string(),
        None => text,
    };
    text = text.rsplit('=').next().unwrap_or_default().to_string();
    for dropped in [r"^\circ", r"^{\circ}", r"\%", r"\$", "$", r"\left", r"\right", r"\!", " ", "{", "}"] {
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
    for gold in files.iter().flatten().filter(|gold| is_whole(gold)) {
        for form in std::iter::once(gold.clone()).chain(rewritings(gold)) {
            let verdict = verify(gold, &format!(r"so \boxed{{{form}}}"), AnswerFormat::Math).verdict;
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
                assert_eq!(answers_equal(gold, other), Equality::Different, "gold {gold}, answer {other}");
                checked += 1;
            }
        }
    }
    assert!(checked > 20_000, "{checked}");
}

/// The median and the 95th percentile of seconds.
fn percentiles(mut seconds: Vec<f64>) -> (f64, f64) {
    seconds.sort_by(f64::total_cmp);
    (seconds[seconds.len() / 2], seconds[seconds.len() * 95 / 100])
}

#[test]
#[ignore = "measures speed"]
fn speed() {
    let sentence =
        r"We use \frac{a}{b} with $x^{2}+1$ and so the sum of the first 10 terms is 55, which is \boxed{1}. ";
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
        "last box of {} characters: {extraction:.0} a second; counting backslashes by character: {reading:.0} a second, {:.2} times that",
        completion.len(),
        reading / extraction
    );
    let Some(files) = golds() else { return };
    let (mut spelt, mut different) = (Vec::new(), Vec::new());
    let golds: Vec<&String> = files.iter().flatten().filter(|gold| is_whole(gold)).collect();
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
        eprintln!("{count} comparisons ({kind}): median {:.1} us, 95 % below {:.1} us", 1e6 * median, 1e6 * high);
    }
}
