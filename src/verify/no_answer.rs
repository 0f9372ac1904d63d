//! Words by which data sets say that a problem has no answer that could be checked.
//!
//! They are told whatever is around them: `proof.`, `\text{proof}`, `$proof$`, `(N/A)`. Left out
//! are only words that answer no problem. `none`, `undefined`, `no solution`, `does not exist`,
//! `DNE`, `\emptyset` and `cannot be determined` are right answers of mathematics, and stay. The
//! same letters can be either where a program writes its own missing values as text: Python's bare
//! `None` and R's bare `NA` are such, `none`, `\text{None}` and `Na` are answers.

/// Without white space around them, in lower case, words with one space between them.
const WORDS: [&str; 32] = [
    "#n/a",
    "answer not found",
    "answer not given",
    "answer not provided",
    "missing",
    "n.a",
    "n/a",
    "nan",
    "no answer",
    "no answer available",
    "no answer found",
    "no answer given",
    "no answer provided",
    "no final answer",
    "none given",
    "none provided",
    "not applicable",
    "not available",
    "not found",
    "not given",
    "not provided",
    "not specified",
    "notfound",
    "null",
    "proof",
    "see proof",
    "see solution",
    "tbd",
    "todo",
    "unanswerable",
    "unavailable",
    "unknown",
];

/// What Python's and R's libraries write for a missing value, in just these letters and with
/// nothing around it.
const MISSING: [&str; 4] = ["None", "NA", "<NA>", "NaT"];

/// What may stand around a word.
const PAIRS: [(&str, &str); 12] = [
    ("$", "$"),
    ("\\(", "\\)"),
    ("\\[", "\\]"),
    ("*", "*"),
    ("\"", "\""),
    ("'", "'"),
    ("`", "`"),
    ("“", "”"),
    ("(", ")"),
    ("[", "]"),
    ("{", "}"),
    ("<", ">"),
];

/// Commands that only show their argument.
const COMMANDS: [&str; 10] = [
    "text",
    "textbf",
    "textit",
    "textrm",
    "mathrm",
    "mathbf",
    "mathit",
    "mbox",
    "boxed",
    "operatorname",
];

/// Whether an answer says only that there is none. As a gold answer, nobody is right about it.
pub fn stands_for_none(answer: &str) -> bool {
    if MISSING.contains(&answer.trim()) {
        return true;
    }
    let bare = bare(answer);
    let is_mark = |c: char| matches!(c, '-' | '–' | '—' | '−' | '?' | '…' | '_' | '/');
    if bare.chars().all(is_mark) {
        return true;
    }
    let spaced = bare.replace(['_', '-', '~'], " ").to_lowercase();
    let words = spaced.split_whitespace().collect::<Vec<_>>().join(" ");
    WORDS.contains(&words.as_str())
}

/// The text without what only shows it and without the point after it.
fn bare(text: &str) -> &str {
    let mut text = text;
    loop {
        let trimmed = text.trim().trim_end_matches(['.', ',', ';', ':', '!']).trim_end();
        match unwrapped(trimmed) {
            Some(inner) => text = inner,
            None => return trimmed,
        }
    }
}

/// What a pair or a command has within it, where it goes around the whole text. Brackets around
/// nothing may be the empty set or list.
fn unwrapped(text: &str) -> Option<&str> {
    let command = || {
        let (name, inner) = text.strip_prefix('\\')?.strip_suffix('}')?.split_once('{')?;
        COMMANDS.contains(&name.trim_end_matches('*')).then_some(inner)
    };
    let pair = |(open, close): &(&str, &str)| {
        text.strip_prefix(open)?
            .strip_suffix(close)
            .filter(|inner| !inner.trim().is_empty() || *open == "$")
    };
    command().or_else(|| PAIRS.iter().find_map(pair))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_stand_for_no_answer_are_told_whatever_is_around_them() {
        for answer in [
            "proof",
            "Proof.",
            "\\text{proof}",
            "$proof$",
            "$\\text{Proof.}$",
            "**proof**",
            "\\boxed{\\text{proof}}",
            "\"proof\"",
            "No answer",
            "no  answer!",
            "No_answer",
            "not found",
            "notfound",
            "Not-Found",
            "unknown",
            "\\text{Unknown}",
            "N/A",
            "(n/a)",
            "n.a.",
            "#N/A",
            "NaN",
            "null",
            "-",
            "--",
            "—",
            "?",
            "???",
            "...",
            "$-$",
            "$$",
            "\\text{}",
            "TBD",
            "None",
            " None\n",
            "NA",
            "<NA>",
            "NaT",
            "\\mathrm{N/A}",
            "\\(unknown\\)",
        ] {
            assert!(stands_for_none(answer), "{answer}");
        }
    }

    #[test]
    fn answers_stay_whatever_they_look_like() {
        for answer in [
            "none",
            "\\text{None}",
            "none of the above",
            "undefined",
            "\\text{undefined}",
            "no solution",
            "No solution.",
            "no real solutions",
            "DNE",
            "does not exist",
            "\\emptyset",
            "\\varnothing",
            "\\{\\}",
            "{}",
            "()",
            "[]",
            "cannot be determined",
            "Na",
            "N_A",
            "-1",
            "-x",
            "?x",
            "0",
            "x",
            "\\text{east}",
            "a proof by induction",
            "unknown_1",
            "\\frac{1}{2}",
            "\\text{n} + \\text{a}",
            "n",
            "nil",
            "1/2",
            "/2",
            "\\text{(A)}",
            "$5$.",
        ] {
            assert!(!stands_for_none(answer), "{answer}");
        }
    }
}
