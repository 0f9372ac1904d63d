//! The choice that a completion makes.

use super::announcements::{
    CHOICES, MOST_ANNOUNCEMENTS, PHRASES, announcements, announcing_clause, tagged,
};
use super::clauses::{asks, clause, denies, supposes};
use super::correction::{corrected, rejected};
use super::letters::{
    announced_letter, boxed_letter, is_marked, names_another, names_further_letter, names_letters,
    without_commands, without_word,
};
use super::{is_bracket_or_frame, is_choice, is_choice_frame, is_frame};
use crate::verify::boxed::last_boxed;
use crate::verify::token::half_width;

/// A choice that a completion makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::verify) struct Choice {
    /// Its letter in upper case; `None` where something else stands there, or several letters.
    pub(in crate::verify) letter: Option<char>,
    /// As it stands in the completion.
    pub(in crate::verify) text: String,
}

/// The choice of a completion: the letter in its last box, else the last that it claims, else a
/// capital letter that stands alone at the end. Letters are A to J. Who names several has chosen
/// none, and who rules one out has not chosen it.
pub(in crate::verify) fn choice(completion: &str) -> Option<Choice> {
    let completion = &half_width(completion);
    let boxed = last_boxed(completion).map(|content| {
        let letter = boxed_letter(content)
            .or_else(|| claim(&without_commands(content)).and_then(|claim| claim.letter));
        let end = content.as_ptr() as usize - completion.as_ptr() as usize + content.len();
        let after = completion[end..].trim_start_matches(|c| is_bracket_or_frame(c) || c == '}');
        match corrected(after) {
            Some(other) if letter.is_some() => {
                Choice { letter: Some(other), text: other.to_string() }
            }
            _ => Choice { letter: letter.filter(|_| !rejected(after)), text: content.to_string() },
        }
    });
    if let Some(choice) =
        boxed.as_ref().filter(|choice| choice.letter.is_some() || names_letters(&choice.text))
    {
        return Some(choice.clone());
    }
    claim(completion)
        .or_else(|| {
            final_letter(completion)
                .map(|letter| Choice { letter: Some(letter), text: letter.to_string() })
        })
        .or(boxed)
}

/// The choice that an answer names in words, or with what it says: `\text{Option B}`,
/// `\textbf{(B)}\ 12`.
pub(in crate::verify) fn named_choice(answer: &str) -> Option<char> {
    let answer = &half_width(answer);
    let plain = without_commands(answer);
    // `A: false`
    let verdict =
        plain.trim().trim_end_matches('.').rsplit([' ', ':', ')']).next().unwrap_or_default();
    if matches!(
        verdict.to_ascii_lowercase().as_str(),
        "false" | "wrong" | "incorrect" | "no" | "not" | "?"
    ) {
        return None;
    }
    let is_capital = without_word(plain.trim())
        .chars()
        .find(char::is_ascii_alphabetic)
        .is_some_and(|letter| letter.is_ascii_uppercase());
    boxed_letter(answer)
        .filter(|_| is_capital)
        .or_else(|| claim(&plain).and_then(|claim| claim.letter))
}

/// The last claim of a text: `<answer>D</answer>`, "the answer is D" or "(D) is correct".
fn claim(text: &str) -> Option<Choice> {
    let found = |letter: char| Choice {
        letter: Some(letter.to_ascii_uppercase()),
        text: letter.to_string(),
    };
    let tagged = tagged(text).and_then(|(start, content)| {
        let letter = boxed_letter(content)
            .or_else(|| announced_choice(content).and_then(|(_, choice)| choice.letter))?;
        Some((start, Choice { text: content.to_string(), ..found(letter) }))
    });
    let confirmed = confirmed(text).map(|(start, letter)| (start, found(letter)));
    [tagged, announced_choice(text), confirmed]
        .into_iter()
        .flatten()
        .max_by_key(|(start, _)| *start)
        .map(|(_, choice)| choice)
}

/// The choice after the last announcement that is neither denied nor only supposed, if a letter
/// follows it, and where that begins; several letters are not a choice, nor is one that is denied
/// later.
fn announced_choice(text: &str) -> Option<(usize, Choice)> {
    let mut denied: Vec<(usize, char)> = Vec::new();
    let mut read = |phrases: &[&str]| {
        for (begin, start) in announcements(text, phrases).into_iter().take(MOST_ANNOUNCEMENTS) {
            let (letter, after) = announced_letter(&text[start..])?;
            let letter = letter.to_ascii_uppercase();
            let words = announcing_clause(text, begin, start);
            if let Some(letter) = corrected(after) {
                return Some((start, Choice { letter: Some(letter), text: letter.to_string() }));
            } else if denies(&words) || rejected(after) {
                denied.push((start, letter));
            } else if !(supposes(&words) || asks(&words, after)) {
                let several = names_further_letter(after);
                let line =
                    text[start..].trim_start_matches(is_frame).lines().next().unwrap_or_default();
                let text = if several { line.to_string() } else { letter.to_string() };
                return Some((start, Choice { letter: (!several).then_some(letter), text }));
            }
        }
        None
    };
    let choice =
        [read(&PHRASES), read(&CHOICES)].into_iter().flatten().max_by_key(|(start, _)| *start);
    choice.filter(|(start, choice)| {
        !denied.iter().any(|(at, letter)| at > start && Some(*letter) == choice.letter)
    })
}

/// The last letter that is said to be correct, and where: `(D) is correct`,
/// `option D is the right answer`.
fn confirmed(text: &str) -> Option<(usize, char)> {
    const SAYS: [&str; 16] = [
        " is better",
        " is the better",
        " fits better",
        " works better",
        " is more likely",
        " is correct",
        " is right",
        " is the correct",
        " is the right",
        " is the answer",
        " is the best",
        " is our answer",
        "正确",
        "是正确",
        "项正确",
        "选项正确",
    ];
    let lower = text.to_ascii_lowercase();
    SAYS.iter()
        .filter_map(|says| {
            let end = lower.rfind(says)?;
            let before = text[..end]
                .trim_end_matches(|c: char| is_choice_frame(c) || matches!(c, ')' | ']' | '}'));
            let letter = before
                .chars()
                .next_back()
                .filter(|letter| letter.is_ascii_uppercase() && is_choice(*letter))?;
            let start = before.len() - 1;
            let earlier = &before[..start];
            let alone = !earlier.ends_with(|c: char| c.is_alphanumeric() && c.is_ascii())
                && !is_marked(earlier, &text[start + 1..]);
            let words = clause(earlier);
            let of_a_statement = words.last().is_some_and(|word| {
                matches!(
                    word.as_str(),
                    "statement" | "statements" | "assertion" | "reason" | "claim" | "and" | "or"
                )
            });
            // `Plan B is better`
            let is_name =
                says.ends_with("better") && words.last().is_some_and(|word| takes_letter(word));
            let refused = is_name
                || of_a_statement
                || supposes(&words)
                || denies(&words)
                || asks(&words, &text[end..]);
            (alone && !refused).then(|| (start, corrected(&text[end..]).unwrap_or(letter)))
        })
        .max()
}

/// A capital letter that is the last word, and neither the last of several letters nor denied.
fn final_letter(completion: &str) -> Option<char> {
    let end =
        completion.trim_end_matches(|c: char| is_choice_frame(c) || matches!(c, '.' | ')' | ']'));
    let letter = end
        .chars()
        .next_back()
        .filter(|letter| letter.is_ascii_uppercase() && is_choice(*letter))?;
    let before = end[..end.len() - 1].chars().next_back();
    let marked = is_marked(&end[..end.len() - 1], &completion[end.len()..]);
    let alone = before.is_none_or(|c| is_choice_frame(c) || matches!(c, '(' | '['));
    if alone && let Some(other) = preferred(&end[..end.len() - 1]) {
        return Some(other);
    }
    let mut words = clause(&end[..end.len() - 1]);
    while words
        .last()
        .is_some_and(|word| matches!(word.as_str(), "or" | "and" | "option" | "choice" | "answer"))
    {
        words.pop();
    }
    let another = names_another(sentence(&end[..end.len() - 1]));
    // `I got a B`
    let is_noun = words
        .last()
        .is_some_and(|word| matches!(word.as_str(), "a" | "an" | "over" | "than" | "beats"));
    let one_of_several = words.iter().any(|word| word == "also");
    // `5 C`, and `we need plan C`; but a text of two words may call the choice so.
    let is_whole = end[..end.len() - 1].split_whitespace().count() == 1;
    let named = words.last().is_some_and(|word| {
        word.bytes().all(|byte| byte.is_ascii_digit()) || (takes_letter(word) && !is_whole)
    });
    let refused = denies(&words)
        || supposes(&words)
        || asks(&words, "")
        || another
        || is_noun
        || is_put_aside(&words)
        || one_of_several
        || named;
    (alone && !marked && !refused).then_some(letter)
}

/// Whether what the words speak of is put aside: `ignore B`, `the trap is B`.
fn is_put_aside(words: &[String]) -> bool {
    match words {
        [.., name, verb] if verb == "is" => {
            matches!(name.as_str(), "distractor" | "decoy" | "trap")
        }
        [.., verb] => matches!(verb.as_str(), "ignore" | "drop" | "strike"),
        [] => false,
    }
}

/// The end of a text from its last sign that ends a sentence on.
fn sentence(text: &str) -> &str {
    text.rsplit(['.', ';', '!', '?', '\n', '。']).next().unwrap_or_default()
}

/// The letter that a text puts above the one that follows it: `I prefer A to`, `B, not`.
fn preferred(before: &str) -> Option<char> {
    const PUTS_ABOVE: [&[&str]; 6] =
        [&["over"], &["rather", "than"], &["instead", "of"], &["than"], &["beats"], &["not"]];
    let mut words: Vec<&str> = sentence(before)
        .split(|c: char| !(c.is_alphanumeric() || matches!(c, '\'' | '’')))
        .filter(|word| !word.is_empty())
        .collect();
    let prefers = words.iter().any(|word| word.to_lowercase().starts_with("prefer"));
    let found = PUTS_ABOVE.into_iter().find(|phrase| words.ends_with(phrase));
    let length = found.map(<[&str]>::len).or((prefers && words.ends_with(&["to"])).then_some(1))?;
    words.truncate(words.len() - length);
    let of_both = |word: &&str| matches!(*word, "is" | "better" | "and" | "but" | "option");
    while words.last().is_some_and(of_both) {
        words.pop();
    }
    let letter = words.pop().filter(|word| word.len() == 1).and_then(|word| word.chars().next())?;
    let earlier: Vec<String> = words.iter().map(|word| word.to_lowercase()).collect();
    let refused = denies(&earlier) || supposes(&earlier) || asks(&earlier, "");
    (letter.is_ascii_uppercase() && is_choice(letter) && !refused).then_some(letter)
}

/// Whether a letter behind a word belongs to it: `Hepatitis B`, `plan B`.
fn takes_letter(word: &str) -> bool {
    matches!(
        word,
        "hepatitis"
            | "vitamin"
            | "plan"
            | "type"
            | "grade"
            | "section"
            | "part"
            | "table"
            | "figure"
            | "appendix"
            | "point"
            | "group"
            | "team"
            | "angle"
            | "vertex"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_are_found_and_articles_are_none() {
        for (text, expected) in [
            (r"\boxed{B}", Some('B')),
            (r"\boxed{b}", Some('B')),
            (r"\boxed{(C)}", Some('C')),
            (r"\boxed{\text{D}}", Some('D')),
            (r"\boxed{\text{(D)}}", Some('D')),
            (r"\boxed{\textbf{(E)}\ 42}", Some('E')),
            (r"\boxed{A. both}", Some('A')),
            (r"\boxed{J}", Some('J')),
            (r"\boxed B", Some('B')),
            ("The answer is (B).", Some('B')),
            ("The answer is (b)", Some('B')),
            ("the answer is B because", Some('B')),
            ("**Answer: C**", Some('C')),
            ("The answer is option D", Some('D')),
            (r"\boxed{\text{Option B}}", Some('B')),
            (r"\boxed{3.5}. The answer is (B).", Some('B')),
            (r"the answer is \(B\)", Some('B')),
            ("The answer is B, I believe.", Some('B')),
            ("The answer is B, because A is wrong.", Some('B')),
            ("The answer is A or B", None),
            ("The answer is A, B, C, or D", None),
            ("The answer is not B", None),
            ("A or B", None),
            ("It isn't B", None),
            ("Therefore C", Some('C')),
            ("so it must be (D).", Some('D')),
            ("The answer is a number", None),
            ("what we need is a", None),
            ("as said before", None),
            ("NASA", None),
            ("so do I think", None),
            ("", None),
        ] {
            assert_eq!(choice(text).and_then(|choice| choice.letter), expected, "{text}");
        }
        for text in [
            r"\boxed{A, B}",
            r"\boxed{(A) (B)}",
            r"\boxed{A or B}",
            r"\boxed{AB}",
            r"\boxed{K}",
            r"\boxed{42}",
            r"\boxed{A. B. C.}",
        ] {
            assert_eq!(choice(text).unwrap().letter, None, "{text}");
        }
    }
}
