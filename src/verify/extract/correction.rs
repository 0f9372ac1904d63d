//! Choices that a text takes back: what follows the letter says that it is wrong, or names another
//! one instead.

use super::{is_choice, is_choice_frame};

/// Words by which a text takes back what it said before.
const TAKES_BACK: [&str; 20] = [
    "wait",
    "hmm",
    "nope",
    "no",
    "actually",
    "correction",
    "sorry",
    "oops",
    "scratch that",
    "i mean",
    "i meant",
    "make that",
    "or rather",
    "rather",
    "on second thought",
    "my mistake",
    "instead",
    "不对",
    "不",
    "更正",
];

/// Words that may stand between those and the letter.
const NEUTRAL: [&str; 19] = [
    "but",
    "oh",
    "well",
    "so",
    "it's",
    "it’s",
    "it is",
    "it should be",
    "it must be",
    "that's",
    "that should be",
    "the answer is",
    "the correct answer is",
    "the answer should be",
    "option",
    "choice",
    "应该是",
    "应为",
    "是",
];

/// The last letter that a text after an announced one puts in its place: `. Wait, it's actually C.`
pub(super) fn corrected(after: &str) -> Option<char> {
    let (mut taken_back, mut found) = (false, None);
    for clause in after.split_inclusive(is_end) {
        let end = clause.chars().next_back().filter(|c| is_end(*c));
        let mut rest = clause.trim_end_matches(is_end).trim_matches(is_bracket_or_frame);
        loop {
            if let Some(left) = without_one(rest, &TAKES_BACK) {
                (taken_back, rest) = (true, left);
            } else if let Some(left) = without_one(rest, &NEUTRAL) {
                rest = left;
            } else {
                break;
            }
        }
        let mut letters = rest.chars();
        match (letters.next(), letters.next()) {
            (None, _) => {}
            // `C: no` and `C? No` go through the others.
            (Some(letter), None)
                if taken_back
                    && letter.is_ascii_uppercase()
                    && is_choice(letter)
                    && !matches!(end, Some(':' | '?')) =>
            {
                (taken_back, found) = (false, Some(letter));
            }
            _ => taken_back = false,
        }
        taken_back &= !matches!(end, Some('.' | '!' | '?' | '\n'));
    }
    found
}

/// Whether a text after an announced letter says that it is wrong: ` is wrong`,
/// `, but that is not correct`.
pub(super) fn rejected(after: &str) -> bool {
    let mut all = clauses(after);
    let words = |clause: &str| -> Vec<String> {
        let clause = clause.trim_matches(is_bracket_or_frame).to_lowercase().replace('’', "'");
        clause.split_whitespace().map(str::to_string).collect()
    };
    let is_verb = |word: &str| {
        matches!(word, "is" | "was" | "would" | "must" | "can" | "cannot") || word.ends_with("n't")
    };
    let direct = words(all.next().unwrap_or_default());
    if is_verdict(&direct) {
        return says_wrong(&direct);
    }
    if direct.first().is_some_and(|first| is_verb(first)) {
        return says_wrong(&direct);
    }
    for clause in [direct].into_iter().chain(all.map(words)) {
        let is_lead =
            |word: &String| TAKES_BACK.contains(&word.as_str()) || NEUTRAL.contains(&word.as_str());
        let is_subject =
            |word: &str| matches!(word, "that" | "this" | "it" | "that's" | "it's" | "which");
        let said: Vec<String> = clause
            .into_iter()
            .skip_while(|word| !is_subject(word) && (is_lead(word) || word == "though"))
            .collect();
        if is_verdict(&said) {
            return says_wrong(&said);
        }
        if !said.is_empty() {
            return is_subject(&said[0]) && says_wrong(&said) && !is_of_another(&said);
        }
    }
    false
}

/// Whether a clause is only a judgement: `(wrong)`, `not correct!`
fn is_verdict(words: &[String]) -> bool {
    let Some((last, before)) = words.split_last() else { return false };
    let judges =
        matches!(last.as_str(), "wrong" | "incorrect" | "false" | "mistaken" | "right" | "correct");
    judges && before.iter().all(|word| word == "not" || word == "definitely" || word == "clearly")
}

/// Whether a clause ends with "wrong" or with "not right".
fn says_wrong(words: &[String]) -> bool {
    let Some((last, before)) = words.split_last() else { return false };
    let denied =
        before.iter().any(|word| word == "not" || word == "cannot" || word.ends_with("n't"));
    match last.as_str() {
        "wrong" | "incorrect" | "false" | "mistaken" | "mistake" | "impossible" => !denied,
        "right" | "correct" | "true" | "possible" | "it" | "so" => denied,
        _ => false,
    }
}

/// Whether a clause says what follows for another letter: `this makes A wrong`.
fn is_of_another(words: &[String]) -> bool {
    let is_letter = |word: &String| word.len() == 1 && word.chars().all(is_choice);
    words.get(1).is_some_and(|verb| matches!(verb.as_str(), "makes" | "renders" | "leaves"))
        && words[2..].iter().any(is_letter)
}

fn clauses(text: &str) -> impl Iterator<Item = &str> {
    text.split(is_end)
}

/// Whether a sign ends a clause.
fn is_end(c: char) -> bool {
    matches!(c, '.' | ',' | ';' | ':' | '!' | '?' | '\n' | '—' | '–')
}

fn is_bracket_or_frame(c: char) -> bool {
    is_choice_frame(c) || matches!(c, '(' | ')' | '[' | ']' | '{' | '}' | '\\')
}

/// A text without the one of these that it begins with as a whole word.
fn without_one<'a>(text: &'a str, words: &[&str]) -> Option<&'a str> {
    words.iter().find_map(|word| {
        let start = text.get(..word.len()).filter(|start| start.eq_ignore_ascii_case(word))?;
        let rest = &text[start.len()..];
        // `不是` denies what follows it.
        let whole = match *word {
            "不" => !rest.starts_with('是'),
            word => {
                !word.is_ascii() || !rest.starts_with(|c: char| c.is_alphanumeric() || c == '\'')
            }
        };
        whole.then(|| rest.trim_start_matches(is_bracket_or_frame))
    })
}
