//! Answers that stand outside a box: phrases, the last number, letters of choices.

use super::boxed::last_boxed;
use super::correction::{corrected, rejected};
use super::label::is_denial;
use super::token::half_width;

/// The answer in the last `<answer>` tag, else after the last "answer is" or "answer:", up to the end of its line or sentence; without such
/// a phrase, the last number of the text, if it is not denied.
pub(super) fn phrase_or_number(completion: &str) -> Option<&str> {
    let tagged = tagged(completion).map(|(_, content)| content).filter(|content| !content.is_empty());
    tagged.or_else(|| phrase(completion)).or_else(|| {
        let number = last_number(completion)?;
        let start = number.as_ptr() as usize - completion.as_ptr() as usize;
        // `The wrong answer is 5` has no other.
        let announced = announcements(completion, &PHRASES).into_iter().find(|(_, end)| *end <= start);
        let denied = announced.is_some_and(|(begin, end)| {
            let between = &completion[end..start];
            is_refused(completion, begin, end)
                && !between.contains(|c: char| c.is_ascii_digit() || matches!(c, '.' | '\n'))
        });
        (!denied).then_some(number)
    })
}

/// Whether what a text announces from `begin` to `end` is denied or only supposed.
fn is_refused(text: &str, begin: usize, end: usize) -> bool {
    let words = announcing_clause(text, begin, end);
    denies(&words) || supposes(&words)
}

/// The words of the clause that an announcement ends, from where its subject begins: `Since A is wrong the answer is` announces.
fn announcing_clause(text: &str, begin: usize, end: usize) -> Vec<String> {
    // `No need to go on: the answer is B`, and `The wrong option: B`.
    let before = text[..end].trim_end_matches(is_frame).rsplit([':', '：']).next().unwrap_or_default();
    let mut words = clause(before);
    let announced = text[begin..end].split_whitespace().count();
    let subject = words.len().saturating_sub(announced);
    let is_article = |word: &str| matches!(word, "the" | "my" | "our" | "this" | "i" | "we");
    let ends_clause = |word: &str| {
        matches!(
            word,
            "wrong"
                | "incorrect"
                | "false"
                | "impossible"
                | "invalid"
                | "untrue"
                | "rejected"
                | "fails"
                | "failed"
                | "correct"
                | "right"
                | "true"
                | "out"
                | "eliminated"
                | "excluded"
                | "possible"
                | "valid"
        )
    };
    let is_verb = |word: &str| {
        matches!(word, "is" | "are" | "was" | "were" | "be" | "been" | "fails" | "failed") || word.ends_with("n't")
    };
    let new = (1..=subject.min(words.len().saturating_sub(1))).rev().find(|at| {
        is_article(&words[*at]) && ends_clause(&words[at - 1]) && words[..*at].iter().any(|word| is_verb(word))
    });
    if let Some(new) = new {
        words.drain(..new);
    }
    words
}

/// Phrases that announce an answer. `####` is GSM8K's.
const PHRASES: [&str; 14] = [
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
const CHOICES: [&str; 18] = [
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

/// The content of the last `<answer>` tag that is closed, and where it begins.
fn tagged(completion: &str) -> Option<(usize, &str)> {
    let end = completion.rfind("</answer>")?;
    let start = completion[..end].rfind("<answer>")? + "<answer>".len();
    Some((start, completion[start..end].trim()))
}

/// Signs of emphasis and spacing around an answer.
fn is_frame(c: char) -> bool {
    c.is_whitespace() || matches!(c, '*' | '$' | ':' | '：' | '_' | '"')
}

/// The same around the letter of a choice, which may stand in quotation marks too.
pub(super) fn is_choice_frame(c: char) -> bool {
    is_frame(c) || matches!(c, '`' | '\'' | '‘' | '’' | '“' | '”' | '「' | '」')
}

/// Where the announcements of a text begin and end, the last first.
fn announcements(text: &str, phrases: &[&str]) -> Vec<(usize, usize)> {
    let lower = text.to_ascii_lowercase();
    let mut found: Vec<(usize, usize)> = phrases
        .iter()
        .flat_map(|phrase| lower.match_indices(phrase).map(|(start, phrase)| (start + phrase.len(), start)))
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

/// What the last announcement announces that is neither denied nor only supposed.
fn phrase(completion: &str) -> Option<&str> {
    let found = announcements(completion, &PHRASES).into_iter().take(MOST_ANNOUNCEMENTS);
    let (_, end) = found.into_iter().find(|(begin, end)| !is_refused(completion, *begin, *end))?;
    let rest = completion[end..].trim_start_matches(is_frame);
    let line = rest.lines().next()?;
    let sentence = line.split(". ").next()?;
    let answer = sentence.trim_end_matches(|c: char| is_frame(c) || c == '.');
    (!answer.is_empty()).then_some(answer)
}

/// The last integer, decimal or fraction of two integers.
fn last_number(completion: &str) -> Option<&str> {
    let bytes = completion.as_bytes();
    let part = |at: usize| {
        let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
        digit(at) || (matches!(bytes[at], b'.' | b',' | b'/') && at > 0 && digit(at - 1) && digit(at + 1))
    };
    let end = bytes.iter().rposition(u8::is_ascii_digit)? + 1;
    let mut start = end;
    while start > 0 && part(start - 1) {
        start -= 1;
    }
    // A minus sign, but not the one of a difference or a range.
    let operand = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b')' | b'}');
    if start > 0 && bytes[start - 1] == b'-' && !(start > 1 && operand(bytes[start - 2])) {
        start -= 1;
    }
    // `it cannot be 5`
    let mut before = completion
        .get(..start)?
        .split(|c: char| !(c.is_alphanumeric() || c == '\''))
        .filter(|word| !word.is_empty())
        .rev();
    let (last, first) = (before.next(), before.next());
    let (last, first) = (last.unwrap_or_default().to_lowercase(), first.unwrap_or_default().to_lowercase());
    let denied =
        [&first, &last].iter().any(|word| matches!(word.as_str(), "not" | "cannot" | "never") || word.ends_with("n't"));
    if denied || (last == "be" && matches!(first.as_str(), "could" | "might")) {
        return None;
    }
    completion.get(start..end)
}

/// A choice that a completion makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Choice {
    /// Its letter in upper case; `None` where something else stands there, or several letters.
    pub(super) letter: Option<char>,
    /// As it stands in the completion.
    pub(super) text: String,
}

/// The choice of a completion: the letter in its last box, else the last that it claims, else a capital letter that stands alone at the end.
/// Letters are A to J. Who names several has chosen none, and who rules one out has not chosen it.
pub(super) fn choice(completion: &str) -> Option<Choice> {
    let completion = &half_width(completion);
    let boxed = last_boxed(completion).map(|content| {
        let letter = boxed_letter(content).or_else(|| claim(&without_commands(content)).and_then(|claim| claim.letter));
        let end = content.as_ptr() as usize - completion.as_ptr() as usize + content.len();
        let after = completion[end..].trim_start_matches(|c| is_bracket_or_frame(c) || c == '}');
        match corrected(after) {
            Some(other) if letter.is_some() => Choice { letter: Some(other), text: other.to_string() },
            _ => Choice { letter: letter.filter(|_| !rejected(after)), text: content.to_string() },
        }
    });
    if let Some(choice) = boxed.as_ref().filter(|choice| choice.letter.is_some() || names_letters(&choice.text)) {
        return Some(choice.clone());
    }
    claim(completion)
        .or_else(|| final_letter(completion).map(|letter| Choice { letter: Some(letter), text: letter.to_string() }))
        .or(boxed)
}

/// The last claim of a text: `<answer>D</answer>`, "the answer is D" or "(D) is correct".
fn claim(text: &str) -> Option<Choice> {
    let found = |letter: char| Choice { letter: Some(letter.to_ascii_uppercase()), text: letter.to_string() };
    let tagged = tagged(text).and_then(|(start, content)| {
        let letter =
            boxed_letter(content).or_else(|| announced_choice(content).and_then(|(_, choice)| choice.letter))?;
        Some((start, Choice { text: content.to_string(), ..found(letter) }))
    });
    let confirmed = confirmed(text).map(|(start, letter)| (start, found(letter)));
    [tagged, announced_choice(text), confirmed]
        .into_iter()
        .flatten()
        .max_by_key(|(start, _)| *start)
        .map(|(_, choice)| choice)
}

/// The choice after the last announcement that is neither denied nor only supposed, if a letter follows it, and where that begins; several
/// letters are none, and so is one that is denied further on.
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
                let several = goes_on(after);
                let line = text[start..].trim_start_matches(is_frame).lines().next().unwrap_or_default();
                let text = if several { line.to_string() } else { letter.to_string() };
                return Some((start, Choice { letter: (!several).then_some(letter), text }));
            }
        }
        None
    };
    let choice = [read(&PHRASES), read(&CHOICES)].into_iter().flatten().max_by_key(|(start, _)| *start);
    choice.filter(|(start, choice)| !denied.iter().any(|(at, letter)| at > start && Some(*letter) == choice.letter))
}

/// How many announcements are looked at, from the last on.
const MOST_ANNOUNCEMENTS: usize = 20;

/// Whether a clause only supposes what it says.
fn supposes(words: &[String]) -> bool {
    let may = |pair: &[String]| {
        matches!(pair[0].as_str(), "could" | "may" | "might" | "can") && matches!(pair[1].as_str(), "be" | "think")
    };
    words.iter().any(|word| {
        matches!(
            word.as_str(),
            "if" | "whether"
                | "unless"
                | "maybe"
                | "perhaps"
                | "possibly"
                | "suppose"
                | "assume"
                | "可能"
                | "也许"
                | "如果"
                | "假设"
        )
    }) || words.windows(2).any(may)
}

/// Whether a clause, with what follows it, is a question.
fn asks(words: &[String], after: &str) -> bool {
    let verb = |word: &String| matches!(word.as_str(), "is" | "are" | "could" | "would" | "should" | "does" | "can");
    words.first().is_some_and(verb)
        || after.find(['.', '!', '?', '\n', '？']).is_some_and(|end| after[end..].starts_with(['?', '？']))
}

/// The last letter that is said to be correct, and where: `(D) is correct`, `option D is the right answer`.
fn confirmed(text: &str) -> Option<(usize, char)> {
    const SAYS: [&str; 11] = [
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
            let before = text[..end].trim_end_matches(|c: char| is_choice_frame(c) || matches!(c, ')' | ']' | '}'));
            let letter =
                before.chars().next_back().filter(|letter| letter.is_ascii_uppercase() && is_choice(*letter))?;
            let start = before.len() - 1;
            let earlier = &before[..start];
            let alone = !earlier.ends_with(|c: char| c.is_alphanumeric() && c.is_ascii())
                && !is_marked(earlier, &text[start + 1..]);
            let words = clause(earlier);
            let of_a_statement = words.last().is_some_and(|word| {
                matches!(word.as_str(), "statement" | "statements" | "assertion" | "reason" | "claim" | "and" | "or")
            });
            let refused = of_a_statement || supposes(&words) || denies(&words) || asks(&words, &text[end..]);
            (alone && !refused).then(|| (start, corrected(&text[end..]).unwrap_or(letter)))
        })
        .max()
}

/// The words of the last clause of a text, in lower case.
fn clause(text: &str) -> Vec<String> {
    let text = ["所以", "因此", "故"].iter().fold(text, |text, word| text.rsplit(word).next().unwrap_or_default());
    let text = text.rsplit(['.', ',', ';', '!', '?', '\n', '，', '。', '；']).next().unwrap_or_default();
    let words = text.split(|c: char| !(c.is_alphanumeric() || c == '\'' || c == '’')).filter(|word| !word.is_empty());
    let mut words: Vec<String> = words.map(str::to_lowercase).collect();
    let new = |at: &usize| match words[*at].as_str() {
        "so" | "therefore" | "hence" | "thus" | "then" => true,
        // `anything but B` goes on.
        "but" => !at.checked_sub(1).is_some_and(|before| is_everything(&words[before])),
        _ => false,
    };
    if let Some(last) = (0..words.len()).rfind(new) {
        words.drain(..=last);
    }
    words
}

fn is_everything(word: &str) -> bool {
    matches!(word, "anything" | "everything" | "all" | "any" | "every" | "nothing" | "none")
}

/// Whether a clause says that something is not so, or rules it out.
fn denies(words: &[String]) -> bool {
    let has = |pair: [&str; 2]| words.windows(2).any(|words| words[0] == pair[0] && words[1] == pair[1]);
    // "without a doubt"
    let certain = has(["no", "doubt"]) || has(["without", "doubt"]) || has(["a", "doubt"]);
    words.iter().any(|word| {
        if certain && matches!(word.as_str(), "no" | "without" | "doubt") {
            return false;
        }
        let word = word.replace('’', "'");
        is_denial(&word)
            || matches!(
                word.as_str(),
                "without" | "doubt" | "disagree" | "unlike" | "excluding" | "exclude" | "excludes"
            )
    }) || words.windows(2).any(|pair| pair[1] == "but" && is_everything(&pair[0]))
        || [
            ["rule", "out"],
            ["rules", "out"],
            ["ruled", "out"],
            ["rather", "than"],
            ["instead", "of"],
            ["other", "than"],
            ["least", "likely"],
            ["far", "from"],
            ["opposite", "of"],
            ["opposed", "to"],
        ]
        .into_iter()
        .any(has)
}

/// The length of the longest way to write one letter, such as `\text{Option (B).}`.
const LONGEST_LETTER: usize = 24;

/// The one capital letter that an answer is, where it is that of a choice.
pub(super) fn lone_letter(text: &str) -> Option<char> {
    let is_other = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'=' | b'+' | b'^' | b'_' | b',');
    if text.len() > LONGEST_LETTER
        || text.bytes().any(is_other)
        || !text.bytes().any(|byte| matches!(byte, b'A'..=b'J'))
    {
        return None;
    }
    let text = without_commands(text);
    let text =
        without_word(text.trim()).trim_matches(|c: char| is_frame(c) || matches!(c, '(' | ')' | '[' | ']' | '.'));
    let mut chars = text.chars();
    chars.next().filter(|letter| letter.is_ascii_uppercase() && is_choice(*letter) && chars.next().is_none())
}

/// The choice that an answer names in words, or with what it says: `\text{Option B}`, `\textbf{(B)}\ 12`.
pub(super) fn named_choice(answer: &str) -> Option<char> {
    let answer = &half_width(answer);
    let plain = without_commands(answer);
    // `A: false`
    let verdict = plain.trim().trim_end_matches('.').rsplit([' ', ':', ')']).next().unwrap_or_default();
    if matches!(verdict.to_ascii_lowercase().as_str(), "false" | "wrong" | "incorrect" | "no" | "not" | "?") {
        return None;
    }
    let is_capital = without_word(plain.trim())
        .chars()
        .find(char::is_ascii_alphabetic)
        .is_some_and(|letter| letter.is_ascii_uppercase());
    boxed_letter(answer).filter(|_| is_capital).or_else(|| claim(&plain).and_then(|claim| claim.letter))
}

/// A text without the commands and braces of LaTeX's text mode.
fn without_commands(text: &str) -> String {
    let mut text = text.to_string();
    for command in [r"\text", r"\textbf", r"\textit", r"\mathrm", r"\mathbf", r"\mbox", r"\textrm"] {
        text = text.replace(&format!("{command}{{"), "");
    }
    text.replace('}', "")
}

/// Whether a letter of a choice stands alone anywhere in a text.
fn names_letters(text: &str) -> bool {
    text.split(|c: char| !c.is_alphanumeric()).any(|word| stands_alone(word) && word.len() == 1)
}

/// Whether a text goes on with another letter: ` or C`, `, B`, `/B`, ` through D`, ` C`.
fn goes_on(rest: &str) -> bool {
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
        return on_one_line && PAUSES.iter().find_map(without).is_some_and(|after| is_whole_letter(&after));
    };
    let fillers = ["or ", "and ", "maybe ", "possibly ", "perhaps ", "even ", "option ", "choice "];
    let after = fillers.iter().fold(after, |after, word| bare(after.strip_prefix(word).unwrap_or(&after)));
    // `B, I believe`
    let is_pronoun = after.strip_prefix("I ").is_some_and(|next| next.starts_with(|c: char| c.is_lowercase()));
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

fn is_bracket_or_frame(c: char) -> bool {
    is_choice_frame(c) || matches!(c, '(' | '[' | ')' | ']')
}

/// Whether a letter is part of something else by what follows it: `E = mc^2`, `B-flat`.
fn is_part(after: &str) -> bool {
    let formula = after.trim_start_matches(' ').starts_with(['=', '+', '^', '<', '>']);
    let compound = after.strip_prefix('-').is_some_and(|after| after.starts_with(char::is_alphabetic));
    (formula || compound) && !goes_on(after)
}

pub(super) fn is_choice(letter: char) -> bool {
    matches!(letter.to_ascii_uppercase(), 'A'..='J')
}

/// The letter of `B`, `(B)`, `\text{B}`, `B.`, `(B) 42` or `B: both`; of nothing that names two.
pub(super) fn boxed_letter(content: &str) -> Option<char> {
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
        if let Some(inner) = rest.strip_prefix(wrapper).and_then(|rest| rest.trim_start().strip_prefix('{')) {
            let (inner, after) = inner.split_once('}')?;
            if after.trim_matches(|c: char| c.is_whitespace() || matches!(c, ')' | '.')).is_empty() {
                rest = without_word(inner.trim());
                break;
            }
            // `\textbf{(B)}\ 42`
            return closed_letter(inner.trim());
        }
    }
    let whole = rest.trim_matches(|c: char| matches!(c, '(' | ')' | '.' | '[' | ']' | '$') || c.is_whitespace());
    let mut chars = whole.chars();
    if let (Some(letter), None) = (chars.next(), chars.next()) {
        return is_choice(letter).then(|| letter.to_ascii_uppercase());
    }
    closed_letter(rest)
}

/// A text without the word in front of a letter.
fn without_word(text: &str) -> &str {
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

/// The letter after "answer is", and what follows it. Without brackets it is a capital: "the answer is a number" names none.
fn announced_letter(text: &str) -> Option<(char, &str)> {
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
                && next.is_none_or(|c| is_choice_frame(c) && c != ' ' || matches!(c, '.' | ',' | ';' | '!' | '。'))
        }
    };
    closes.then_some((letter, after))
}

/// Whether a single quotation mark behind a letter is part of a name or a word, `A'`, `I'm`, and closes nothing.
fn is_marked(before: &str, after: &str) -> bool {
    after.starts_with(['\'', '’']) && !before.ends_with(['\'', '‘', '’'])
}

/// Whether A is an article, or I a pronoun, by what follows: `A bit complicated`, `I think 5`; not `A because`.
fn reads_on(letter: char, after: &str) -> bool {
    const CONNECTIVES: [&str; 34] = [
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
    let Some(next) = after.strip_prefix(' ').filter(|_| matches!(letter, 'A' | 'I')) else { return false };
    let word = next.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
    word.starts_with(|c: char| c.is_ascii_lowercase()) && !CONNECTIVES.contains(&word)
}

/// A capital letter that is the last word, and neither the last of several letters nor denied.
fn final_letter(completion: &str) -> Option<char> {
    let end = completion.trim_end_matches(|c: char| is_choice_frame(c) || matches!(c, '.' | ')' | ']'));
    let letter = end.chars().next_back().filter(|letter| letter.is_ascii_uppercase() && is_choice(*letter))?;
    let before = end[..end.len() - 1].chars().next_back();
    let marked = is_marked(&end[..end.len() - 1], &completion[end.len()..]);
    let alone = before.is_none_or(|c| is_choice_frame(c) || matches!(c, '(' | '['));
    let mut words = clause(&end[..end.len() - 1]);
    while words.last().is_some_and(|word| matches!(word.as_str(), "or" | "and" | "option" | "choice" | "answer")) {
        words.pop();
    }
    let another = words.last().is_some_and(|word| word.len() == 1) && names_another(&end[..end.len() - 1]);
    let one_of_several = words.iter().any(|word| word == "also");
    // `5 C`, and `we need plan C`; but a text of two words may call the choice so.
    let is_whole = end[..end.len() - 1].split_whitespace().count() == 1;
    let named = words
        .last()
        .is_some_and(|word| word.bytes().all(|byte| byte.is_ascii_digit()) || (takes_letter(word) && !is_whole));
    let refused = denies(&words) || supposes(&words) || asks(&words, "") || another || one_of_several || named;
    (alone && !marked && !refused).then_some(letter)
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

/// Whether the last word of a text, but for what joins it to a further one, is a capital letter of a choice.
fn names_another(text: &str) -> bool {
    text.split(|c: char| !(c.is_alphanumeric() || c == '\''))
        .filter(|word| !word.is_empty())
        .rev()
        .find(|word| !matches!(word.to_lowercase().as_str(), "or" | "and" | "option" | "choice" | "answer"))
        .is_some_and(|word| word.len() == 1 && stands_alone(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_box_phrases_and_then_the_last_number_count() {
        for (text, expected) in [
            ("So the answer is 42.", Some("42")),
            ("The answer is: $\\frac{1}{2}$.", Some("\\frac{1}{2}")),
            ("Answer: **7**", Some("7")),
            ("She has 3 + 4 = 7.\n#### 7", Some("7")),
            ("The answer is 3. The other was 4.", Some("3")),
            ("the answer is 1\nNo, the answer is 2\nBye", Some("2")),
            ("we get 3, then -1/2", Some("-1/2")),
            ("from 10-12 people", Some("12")),
            ("it costs 1,234.50 in all", Some("1,234.50")),
            ("no number", None),
            ("The answer is", None),
            ("", None),
        ] {
            assert_eq!(phrase_or_number(text), expected, "{text}");
        }
    }

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
