//! Mathematical answers that stand outside of a box.

use super::announcements::{MOST_ANNOUNCEMENTS, PHRASES, announcements, is_refused, tagged};
use super::clauses::{denies, supposes};
use super::is_frame;

/// The answer in the last `<answer>` tag, else after the last "answer is" or "answer:", up to the
/// end of its line or sentence; without such a phrase, the last number of the text, if it is not
/// denied.
pub(in crate::verify) fn phrase_or_number(completion: &str) -> Option<&str> {
    let tagged =
        tagged(completion).map(|(_, content)| content).filter(|content| !content.is_empty());
    tagged.or_else(|| phrase(completion)).or_else(|| {
        let number = last_number(completion)?;
        let start = number.as_ptr() as usize - completion.as_ptr() as usize;
        // `The wrong answer is 5` gives no other answer.
        let announced =
            announcements(completion, &PHRASES).into_iter().find(|(_, end)| *end <= start);
        let denied = announced.is_some_and(|(begin, end)| {
            let between = &completion[end..start];
            is_refused(completion, begin, end)
                && !between.contains(|c: char| c.is_ascii_digit() || matches!(c, '.' | '\n'))
        });
        (!denied).then_some(number)
    })
}

/// What the last announcement announces that is neither denied nor only supposed.
fn phrase(completion: &str) -> Option<&str> {
    let found = announcements(completion, &PHRASES).into_iter().take(MOST_ANNOUNCEMENTS);
    let (_, end) = found.into_iter().find(|(begin, end)| !is_refused(completion, *begin, *end))?;
    let rest = completion[end..].trim_start_matches(is_frame);
    let line = rest.lines().next()?;
    let begin = completion.len() - rest.len();
    let sentence = unexplained(line.split(". ").next()?, &completion[end..begin]);
    let answer = sentence.trim_end_matches(|c: char| is_frame(c) || c == '.');
    (!answer.is_empty()).then_some(answer)
}

/// What begins an explanation of the answer in front of it.
const EXPLANATIONS: [&str; 12] = [
    " because ",
    " since ",
    ", since ",
    ", which ",
    ", and it ",
    ", and it's ",
    ", and this ",
    ", and we ",
    ", as it ",
    ", as the ",
    ", as we ",
    ", so the ",
];

/// `5` of `5, because 2 + 3 = 5`. A sentence that denies, supposes or adds something behind the
/// answer stays as it is: `5, which is wrong`, `5, which should be 7`. `frame` is what stood in
/// front of the sentence.
fn unexplained<'a>(sentence: &'a str, frame: &str) -> &'a str {
    let count = |text: &str, of: &[char]| text.matches(of).count();
    let is_whole = |answer: &str| {
        let in_formula = !(count(frame, &['$']) + count(answer, &['$'])).is_multiple_of(2);
        let is_open = count(answer, &['(', '[', '{']) != count(answer, &[')', ']', '}']);
        !(in_formula || is_open || answer.is_empty())
    };
    let lower = sentence.to_ascii_lowercase() + " ";
    let begins = EXPLANATIONS.iter().flat_map(|words| lower.match_indices(words));
    let answers = begins.map(|(begin, _)| sentence[..begin].trim_end_matches([',', ';', ' ']));
    let Some(answer) = answers.filter(|answer| is_whole(answer)).min_by_key(|answer| answer.len())
    else {
        return sentence;
    };
    let words: Vec<String> = sentence[answer.len()..]
        .split(|c: char| !(c.is_alphanumeric() || c == '\'' || c == '’'))
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect();
    let adds = words.iter().any(|word| matches!(word.as_str(), "should" | "also" | "or"));
    if adds || denies(&words) || supposes(&words) { sentence } else { answer }
}

/// The last integer, decimal or fraction of two integers.
fn last_number(completion: &str) -> Option<&str> {
    let bytes = completion.as_bytes();
    let part = |at: usize| {
        let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
        digit(at)
            || (matches!(bytes[at], b'.' | b',' | b'/') && at > 0 && digit(at - 1) && digit(at + 1))
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
    let (last, first) =
        (last.unwrap_or_default().to_lowercase(), first.unwrap_or_default().to_lowercase());
    let denied = [&first, &last]
        .iter()
        .any(|word| matches!(word.as_str(), "not" | "cannot" | "never") || word.ends_with("n't"));
    if denied || (last == "be" && matches!(first.as_str(), "could" | "might")) {
        return None;
    }
    completion.get(start..end)
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
            ("The answer is 1, and it is a classic example of an identity.", Some("1")),
            ("the answer is 5 because 2 + 3 = 5", Some("5")),
            ("The answer is $x = 2$, since $x > 0$.", Some("x = 2")),
            ("The answer is $5 because x$", Some("5 because x")),
            ("The answer is 1 and 2, which are the roots", Some("1 and 2")),
            ("The answer is 5, which is wrong", Some("5, which is wrong")),
            ("The answer is 5, since it cannot be 7", Some("5, since it cannot be 7")),
            ("The answer is (2, since it is even", Some("(2, since it is even")),
            ("The answer is [0,1), since f is increasing", Some("[0,1)")),
            ("The answer is 5 because", Some("5")),
            ("The answer is 5, which should be 7", Some("5, which should be 7")),
            ("The answer is 5 and so is 7", Some("5 and so is 7")),
            ("The answer is all x which satisfy x>2", Some("all x which satisfy x>2")),
            ("no number", None),
            ("The answer is", None),
            ("", None),
        ] {
            assert_eq!(phrase_or_number(text), expected, "{text}");
        }
    }
}
