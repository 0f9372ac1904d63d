//! Phrases that announce an answer, and the clauses that they end.

use super::clauses::{clause, denies, supposes};
use super::is_frame;

/// Phrases that announce an answer. `####` is GSM8K's.
pub(super) const PHRASES: [&str; 14] = [
    "answer is",
    "answer:",
    "answers are",
    "answer should be",
    "answer must be",
    "answer would be",
    "answer will be",
    "answer =",
    "####",
    "答案是",
    "答案为",
    "答案：",
    "答案:",
    "答案应为",
];

/// Phrases that announce a choice.
pub(super) const CHOICES: [&str; 18] = [
    "option is",
    "choice is",
    "option:",
    "choice:",
    "ans:",
    "i choose",
    "i select",
    "i pick",
    "go with",
    "i would choose",
    "选择",
    "应选",
    "故选",
    "答案选",
    "选项是",
    "选项为",
    "选项:",
    "选",
];

/// How many announcements are looked at, from the last on.
pub(super) const MOST_ANNOUNCEMENTS: usize = 20;

/// The content of the last `<answer>` tag that is closed, and where it begins.
pub(super) fn tagged(completion: &str) -> Option<(usize, &str)> {
    let end = completion.rfind("</answer>")?;
    let start = completion[..end].rfind("<answer>")? + "<answer>".len();
    Some((start, completion[start..end].trim()))
}

/// Where the announcements of a text begin and end, the last first.
pub(super) fn announcements(text: &str, phrases: &[&str]) -> Vec<(usize, usize)> {
    let lower = text.to_ascii_lowercase();
    let mut found: Vec<(usize, usize)> = phrases
        .iter()
        .flat_map(|phrase| {
            lower.match_indices(phrase).map(|(start, phrase)| (start + phrase.len(), start))
        })
        .collect();
    found.sort_unstable_by_key(|(end, start)| (std::cmp::Reverse(*end), *start));
    // `选项` says no more than that a letter is one of a choice.
    found.retain(|(end, start)| !(&text[*start..*end] == "选" && text[*end..].starts_with('项')));
    // Of phrases within each other, such as 选 within 选项是, the last and longest.
    let mut before = usize::MAX;
    found.retain(|(end, start)| {
        let apart = *end <= before;
        before = if apart { *start } else { before };
        apart
    });
    found.into_iter().map(|(end, start)| (start, end)).collect()
}

/// Whether what a text announces from `begin` to `end` is denied or only supposed.
pub(super) fn is_refused(text: &str, begin: usize, end: usize) -> bool {
    let words = announcing_clause(text, begin, end);
    denies(&words) || supposes(&words)
}

/// The words of the clause that an announcement ends, from where its subject begins:
/// `Since A is wrong the answer is` announces.
pub(super) fn announcing_clause(text: &str, begin: usize, end: usize) -> Vec<String> {
    // `No need to go on: the answer is B`, and `The wrong option: B`.
    let before =
        text[..end].trim_end_matches(is_frame).rsplit([':', '：']).next().unwrap_or_default();
    let mut words = clause(before);
    let announced = text[begin..end].split_whitespace().count();
    let subject = words.len().saturating_sub(announced);
    let new = (1..=subject.min(words.len().saturating_sub(1))).rev().find(|at| {
        is_article(&words[*at])
            && ENDS_CLAUSE.contains(&words[at - 1].as_str())
            && words[..*at].iter().any(|word| is_verb(word))
    });
    if let Some(new) = new {
        words.drain(..new);
    }
    words
}

/// Words that end what is said before an announcement: `Since A is wrong the answer is B`.
const ENDS_CLAUSE: [&str; 17] = [
    "wrong",
    "incorrect",
    "false",
    "impossible",
    "invalid",
    "untrue",
    "rejected",
    "fails",
    "failed",
    "correct",
    "right",
    "true",
    "out",
    "eliminated",
    "excluded",
    "possible",
    "valid",
];

fn is_article(word: &str) -> bool {
    matches!(word, "the" | "my" | "our" | "this" | "i" | "we")
}

fn is_verb(word: &str) -> bool {
    matches!(word, "is" | "are" | "was" | "were" | "be" | "been" | "fails" | "failed")
        || word.ends_with("n't")
}
