//! What the verifier must say: gold answers with what equals them and what does not, by topic; then
//! whole completions, hostile texts and properties. More of the first, as a file that
//! `orthant grade` reads, are in `tests/fixtures/completions.jsonl`.

mod choices;
mod completions;
mod contract;
mod equations;
mod expressions;
mod hostile;
mod notation;
mod numbers;
mod properties;
mod quantities;
mod structures;
mod variants;
mod words;

use super::{Equality, answers_equal};

/// A gold answer, answers that are equal to it, and answers that are not.
type Case = (&'static str, &'static [&'static str], &'static [&'static str]);

/// Checks tables, each with its name, and prints how many answers each has.
fn check_tables(tables: &[(&str, &[Case])]) {
    for (name, cases) in tables {
        eprintln!("{:>4} {name}", check(cases));
    }
}

fn check(cases: &[Case]) -> usize {
    let mut wrong = Vec::new();
    for (gold, equal, different) in cases {
        let expectations = equal
            .iter()
            .map(|answer| (answer, Equality::Equal))
            .chain(different.iter().map(|answer| (answer, Equality::Different)));
        for (answer, expected) in expectations {
            let found = answers_equal(gold, answer);
            if found != expected {
                wrong.push(format!(
                    "gold {gold}, answer {answer}: {found:?}, expected {expected:?}"
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    cases.iter().map(|(_, equal, different)| equal.len() + different.len()).sum()
}
