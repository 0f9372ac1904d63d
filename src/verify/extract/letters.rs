//! Letters of choices as they are written: alone, in brackets, with a word in front or text behind.

use super::{is_bracket_or_frame, is_choice, is_choice_frame, is_frame};

/// The length of the longest way to write one letter, such as `\text{Option (B).}`.
const LONGEST_LETTER: usize = 24;

/// The one capital letter that an answer is, where it is that of a choice.
pub(in crate::verify) fn lone_letter(text: &str) -> Option<char> {
    let is_other =
        |byte: u8| byte.is_ascii_digit() || matches!(byte, b'=' | b'+' | b'^' | b'_' | b',');
    if text.len() > LONGEST_LETTER
        || text.bytes().any(is_other)
        || !text.bytes().any(|byte| matches!(byte, b'A'..=b'J'))
    {
        return None;
    }
    let text = without_commands(text);
    let text = without_word(text.trim())
        .trim_matches(|c: char| is_frame(c) || matches!(c, '(' | ')' | '[' | ']' | '.'));
    let mut chars = text.chars();
    chars.next().filter(|letter| {
        letter.is_ascii_uppercase() && is_choice(*letter) && chars.next().is_none()
    })
}

/// The letter of `B`, `(B)`, `\text{B}`, `B.`, `(B) 42` or `B: both`; of nothing that names two.
pub(in crate::verify) fn boxed_letter(content: &str) -> Option<char> {
    let mut rest = without_word(content.trim());
    for wrapper in [
        r"\text",
        r"\textbf",
        r"\mathrm",
        r"\mathbf",
        r"\textit",
        r"\textrm",
        r"\mathsf",
        r"\mathcal",
        r"\operatorname",
    ] {
        if let Some(inner) =
            rest.strip_prefix(wrapper).and_then(|rest| rest.trim_start().strip_prefix('{'))
        {
            let (inner, after) = inner.split_once('}')?;
            if after.trim_matches(|c: char| c.is_whitespace() || matches!(c, ')' | '.')).is_empty()
            {
                rest = without_word(inner.trim());
                break;
            }
            // `\textbf{(B)}\ 42`
            return closed_letter(inner.trim());
        }
    }
    let whole = rest.trim_matches(|c: char| {
        matches!(c, '(' | ')' | '.' | '[' | ']' | '$') || c.is_whitespace()
    });
    let mut chars = whole.chars();
    if let (Some(letter), None) = (chars.next(), chars.next()) {
        return is_choice(letter).then(|| letter.to_ascii_uppercase());
    }
    closed_letter(rest)
}

/// A text without the commands and braces of LaTeX's text mode.
pub(super) fn without_commands(text: &str) -> String {
    let mut text = text.to_string();
    for command in [r"\text", r"\textbf", r"\textit", r"\mathrm", r"\mathbf", r"\mbox", r"\textrm"]
    {
        text = text.replace(&format!("{command}{{"), "");
    }
    text.replace('}', "")
}

/// A text without the word in front of a letter.
pub(super) fn without_word(text: &str) -> &str {
    ["Option ", "option ", "Choice ", "choice ", "Answer ", "answer ", "选项"]
        .iter()
        .find_map(|word| text.strip_prefix(word))
        .map_or(text, str::trim_start)
}

/// The letter of `(B) 42`, `B) 42`, `B. 42` or `B: 42`, where what follows names no other.
fn closed_letter(text: &str) -> Option<char> {
    let inner = text.trim_start_matches(['(', '[']);
    let letter = inner.chars().next().filter(|letter| is_choice(*letter))?;
    let after = inner[1..].chars().next()?;
    let rest = inner[1 + after.len_utf8()..].trim_start();
    let another = rest.strip_prefix(['(', '[']).is_some()
        || stands_alone(rest)
        || rest.starts_with("and ")
        || rest.starts_with("or ");
    (matches!(after, ')' | ']' | '.' | ':') && !another).then(|| letter.to_ascii_uppercase())
}

/// Whether a text begins with a letter of a choice that stands alone.
fn stands_alone(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(|c| c.is_ascii_uppercase() && is_choice(c))
        && !chars.next().is_some_and(char::is_alphanumeric)
}

/// Whether a letter of a choice stands alone anywhere in a text.
pub(super) fn names_letters(text: &str) -> bool {
    text.split(|c: char| !c.is_alphanumeric()).any(|word| stands_alone(word) && word.len() == 1)
}

/// Whether the last word of a text, but for what joins it to a further one, is a capital letter of
/// a choice.
pub(super) fn names_another(text: &str) -> bool {
    text.split(|c: char| !(c.is_alphanumeric() || c == '\''))
        .filter(|word| !word.is_empty())
        .rev()
        .find(|word| {
            !matches!(word.to_lowercase().as_str(), "or" | "and" | "option" | "choice" | "answer")
        })
        .is_some_and(|word| word.len() == 1 && stands_alone(word))
}

/// The letter after "answer is", and what follows it. Without brackets it is a capital: "the answer
/// is a number" names none.
pub(super) fn announced_letter(text: &str) -> Option<(char, &str)> {
    let mut rest = text.trim_start_matches(is_choice_frame);
    for word in ["option ", "choice ", "Option ", "Choice ", "letter ", "选项", "选"] {
        rest = rest.strip_prefix(word).unwrap_or(rest).trim_start_matches(is_choice_frame);
    }
    for wrapper in [r"\(", r"\text{", r"\textbf{", r"\mathrm{", r"\mathbf{"] {
        rest = rest.strip_prefix(wrapper).unwrap_or(rest);
    }
    let bracketed = rest.strip_prefix(['(', '[']);
    let inner = bracketed.unwrap_or(rest);
    let mut chars = inner.chars();
    let letter = chars.next().filter(|letter| is_choice(*letter))?;
    let after = chars.as_str();
    let next = chars.next();
    let is_word = (bracketed.is_none() && is_part(after))
        || is_marked(&text[..text.len() - inner.len()], after)
        || next.is_some_and(|c| c.is_alphanumeric() && c.is_ascii())
        || (bracketed.is_none() && reads_on(letter, after));
    let closes = match next {
        Some(')' | ']') => true,
        _ if bracketed.is_some() || is_word => false,
        _ if letter.is_ascii_uppercase() => true,
        // A small letter that ends the sentence, but not the article.
        _ => {
            letter != 'a'
                && next.is_none_or(|c| {
                    is_choice_frame(c) && c != ' ' || matches!(c, '.' | ',' | ';' | '!' | '。')
                })
        }
    };
    closes.then_some((letter, after))
}

/// Whether a single quotation mark behind a letter is part of a name or a word, `A'`, `I'm`, and
/// closes nothing.
pub(super) fn is_marked(before: &str, after: &str) -> bool {
    after.starts_with(['\'', '’']) && !before.ends_with(['\'', '‘', '’'])
}

/// Whether a letter is part of something else by what follows it: `E = mc^2`, `B-flat`.
fn is_part(after: &str) -> bool {
    let formula = after.trim_start_matches(' ').starts_with(['=', '+', '^', '<', '>']);
    let compound =
        after.strip_prefix('-').is_some_and(|after| after.starts_with(char::is_alphabetic));
    (formula || compound) && !names_further_letter(after)
}

/// Whether A is an article, or I a pronoun, by what follows: `A bit complicated`, `I think 5`; not
/// `A because`.
fn reads_on(letter: char, after: &str) -> bool {
    const CONNECTIVES: [&str; 35] = [
        "over",
        "because",
        "since",
        "as",
        "and",
        "or",
        "is",
        "for",
        "but",
        "not",
        "so",
        "with",
        "which",
        "while",
        "whereas",
        "by",
        "if",
        "given",
        "due",
        "in",
        "on",
        "at",
        "that",
        "from",
        "where",
        "when",
        "based",
        "according",
        "rather",
        "instead",
        "then",
        "therefore",
        "here",
        "only",
        "option",
    ];
    let Some(next) = after.strip_prefix(' ').filter(|_| matches!(letter, 'A' | 'I')) else {
        return false;
    };
    let word = next.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
    word.starts_with(|c: char| c.is_ascii_lowercase()) && !CONNECTIVES.contains(&word)
}

/// Whether another letter follows: ` or C`, `, B`, `/B`, ` through D`, ` C`.
pub(super) fn names_further_letter(rest: &str) -> bool {
    const JOINS: [&str; 24] = [
        "or ",
        ". or ",
        "and ",
        ",",
        "/",
        "&",
        "|",
        "+",
        ">",
        "<",
        "=",
        "→",
        "plus ",
        "vs ",
        "vs. ",
        "versus ",
        "to ",
        "through ",
        "as well as ",
        "或者",
        "或",
        "和",
        "与",
        "及",
    ];
    // What also separates a letter from the next sentence.
    const PAUSES: [&str; 6] = [";", "-", "–", "—", "\\", ""];
    let bare = |text: &str| text.trim_start_matches(is_bracket_or_frame).to_string();
    let closed = rest.trim_start_matches(r"\)");
    let rest = bare(closed);
    let without = |word: &&str| {
        let start = rest.get(..word.len())?;
        start.eq_ignore_ascii_case(word).then(|| bare(&rest[word.len()..]))
    };
    let Some(after) = JOINS.iter().find_map(without) else {
        let on_one_line = !closed[..closed.len() - rest.len()].contains('\n');
        return on_one_line
            && PAUSES.iter().find_map(without).is_some_and(|after| is_whole_letter(&after));
    };
    let fillers = ["or ", "and ", "maybe ", "possibly ", "perhaps ", "even ", "option ", "choice "];
    let after =
        fillers.iter().fold(after, |after, word| bare(after.strip_prefix(word).unwrap_or(&after)));
    // `B, I believe`
    let is_pronoun =
        after.strip_prefix("I ").is_some_and(|next| next.starts_with(|c: char| c.is_lowercase()));
    stands_alone(&after) && !is_pronoun
}

/// Whether a text begins with a letter of a choice that nothing of its clause follows.
fn is_whole_letter(text: &str) -> bool {
    stands_alone(text)
        && text[1..]
            .trim_start_matches(|c| is_bracket_or_frame(c) && c != '\n')
            .chars()
            .next()
            .is_none_or(|c| matches!(c, '.' | ',' | ';' | '!' | '?' | '\n'))
}
