//! The final answer of a completion: the content of its last `\boxed{...}`.

/// Commands that put an answer into a box.
const BOXES: [&[u8]; 2] = [br"\boxed", br"\fbox"];

/// The content of the last closed `\boxed{...}` or `\fbox{...}`, or the number or capital letter
/// after a `\boxed` without braces (`\boxed 5`), trimmed.
///
/// Braces are balanced, and `\{` and `\}` are text. A box without its closing brace is not an
/// answer, so the closed box that starts last counts; of nested boxes that is the inner one. If
/// that box is empty there is no answer. One pass over the text.
pub fn last_boxed(completion: &str) -> Option<&str> {
    let (start, end) = Boxes::of(completion).last?;
    completion.get(start..end).map(str::trim).filter(|content| !content.is_empty())
}

/// The end of a text from a box that it does not close: the text was cut off within it.
pub(crate) fn open_box(text: &str) -> Option<&str> {
    Boxes::of(text).open.and_then(|start| text.get(start..))
}

/// The boxes of a text.
struct Boxes {
    /// The content of the closed box that starts last.
    last: Option<(usize, usize)>,
    /// Where the outermost box starts that is not closed.
    open: Option<usize>,
}

impl Boxes {
    fn of(text: &str) -> Self {
        let bytes = text.as_bytes();
        // For every open brace, where its box and the content of it start; `None` for a brace that
        // opens no box.
        let mut open: Vec<Option<(usize, usize)>> = Vec::new();
        let mut last: Option<(usize, usize)> = None;
        let mut at = 0;
        let is_special = |byte: &u8| matches!(byte, b'\\' | b'{' | b'}');
        while let Some(next) = bytes[at..].iter().position(is_special) {
            at += next;
            match bytes[at] {
                b'\\' => {
                    if let Some(name) = BOXES.iter().find(|name| bytes[at..].starts_with(name)) {
                        let start = at;
                        at += name.len();
                        let spaces = bytes[at..]
                            .iter()
                            .take_while(|byte| byte.is_ascii_whitespace())
                            .count();
                        at += spaces;
                        let is_open = bytes.get(at).is_none_or(|&byte| byte == b'{');
                        if is_open {
                            at = bytes.len().min(at + 1);
                            open.push(Some((start, at)));
                        } else if let Some(length) = bare(&bytes[at..]) {
                            last = Some((at, at + length));
                            at += length;
                        }
                        continue;
                    }
                    match bytes.get(at + 1) {
                        Some(b'{' | b'}') => at += 1,
                        Some(b'\\')
                            if !BOXES.iter().any(|name| bytes[at + 1..].starts_with(name)) =>
                        {
                            at += 1;
                        }
                        _ => {}
                    }
                }
                b'{' => open.push(None),
                b'}' => {
                    if let Some(Some((_, start))) = open.pop()
                        && last.is_none_or(|(latest, _)| start > latest)
                    {
                        last = Some((start, at));
                    }
                }
                _ => {}
            }
            at += 1;
        }
        Self { last, open: open.into_iter().flatten().map(|(start, _)| start).next() }
    }
}

/// The contents of the boxes at the end of a completion that stand side by side,
/// `\boxed{1}, \boxed{2}` or `x = \boxed{1} and y = \boxed{2}`, which are one list; `None` where
/// the last box stands alone, or all say the same. Of very many the last ones.
pub(super) fn joined_boxes(completion: &str) -> Option<Vec<&str>> {
    let mut end = completion.len();
    let mut boxes = Vec::new();
    while let Some(start) = completion[..end].rfind(r"\boxed{") {
        let inner = start + r"\boxed{".len();
        let Some(length) = content_length(&completion[inner..end]) else { break };
        let content = completion[inner..inner + length].trim();
        if content.is_empty() {
            break;
        }
        let after = inner + length + 1;
        if !boxes.is_empty() && !joins(&completion[after..end]) {
            break;
        }
        if boxes.len() == MOST_JOINED {
            break;
        }
        boxes.push(content);
        end = start;
    }
    boxes.reverse();
    let differ = boxes.iter().any(|content| *content != boxes[0]);
    differ.then_some(boxes)
}

/// How many boxes may make a list.
const MOST_JOINED: usize = 20;

/// The length of a group's content up to its closing brace.
fn content_length(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut escaped = false;
    text.bytes().position(|byte| {
        let closes = !escaped && byte == b'}' && depth == 0;
        match byte {
            b'{' if !escaped => depth += 1,
            b'}' if !escaped => depth = depth.saturating_sub(1),
            _ => {}
        }
        escaped = byte == b'\\' && !escaped;
        closes
    })
}

/// Whether a text between two boxes only joins them: "and", commas, signs of mathematics mode, the
/// part of the question that the first is for, and the name of the second.
fn joins(text: &str) -> bool {
    if text.len() > 80 {
        return false;
    }
    let without = |text: String, words: &[&str]| {
        words.iter().fold(text, |text, word| text.replace(word, " "))
    };
    let rest = without(text.to_string(), &SPACING);
    if !JOINS.iter().any(|word| rest.contains(word)) {
        return false;
    }
    let rest = without(rest, &JOINS);
    let rest = without_part(rest.trim());
    let is_name = |name: &str| {
        name.len() <= 4
            && name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    rest.is_empty() || rest.strip_suffix('=').is_some_and(|name| is_name(name.trim()))
}

/// What may stand between boxes besides what joins them.
const SPACING: [&str; 13] =
    [r"\quad", r"\qquad", r"\text", r"\(", r"\)", r"\[", r"\]", r"\,", r"\;", r"\ ", "$", "{", "}"];

/// What makes a list of boxes. Without it the last counts.
const JOINS: [&str; 3] = ["and", ",", ";"];

/// A text without `for part (a)` at its start.
fn without_part(text: &str) -> &str {
    let after = text.strip_prefix("for ").and_then(|text| text.trim_start().strip_prefix("part"));
    let part = after
        .and_then(|text| text.trim_start().strip_prefix('('))
        .and_then(|text| text.split_once(')'));
    match part {
        Some((part, rest)) if part.len() == 1 => rest.trim_start(),
        _ => text,
    }
}

/// The length of the number, fraction of two numbers or capital letter at the start of `text`.
fn bare(text: &[u8]) -> Option<usize> {
    let sign = usize::from(text.first() == Some(&b'-'));
    let is_number = text.get(sign).is_some_and(u8::is_ascii_digit);
    let part =
        |byte: &u8| byte.is_ascii_digit() || (is_number && matches!(byte, b'.' | b',' | b'/'));
    let mut length = sign + text[sign..].iter().take_while(|byte| part(byte)).count();
    if is_number {
        while matches!(text[length - 1], b'.' | b',' | b'/') {
            length -= 1;
        }
    } else {
        length = usize::from(text.first().is_some_and(u8::is_ascii_uppercase));
    }
    let ends = !text.get(length).is_some_and(u8::is_ascii_alphanumeric);
    (length > 0 && ends).then_some(length)
}

#[cfg(test)]
mod tests {
    use super::{MOST_JOINED, joined_boxes, last_boxed, open_box};
    use proptest::prelude::*;

    #[test]
    fn finds_the_content_of_the_last_closed_box() {
        for (text, expected) in [
            (r"so \boxed{42}", Some("42")),
            (r"\boxed{1} and \boxed{ 2 }.", Some("2")),
            (r"\boxed{1} and \boxed{2", Some("1")),
            (r"\boxed{1} and \boxed 2", Some("2")),
            (r"so \boxed 5.", Some("5")),
            (r"so $\boxed -1/2$", Some("-1/2")),
            (r"\boxed B", Some("B")),
            (r"\boxed{1}, as \boxed notation asks", Some("1")),
            (r"\boxed{1}; No \boxed No", Some("1")),
            (r"\fbox{7}", Some("7")),
            (r"\boxed{\fbox{8}}", Some("8")),
            (r"\boxed {3}", Some("3")),
            (r"\boxed{\frac{1}{2}}", Some(r"\frac{1}{2}")),
            (r"\boxed{\{1, 2\}}", Some(r"\{1, 2\}")),
            (r"\boxed{a\}", None),
            (r"\boxed{a\\}", Some(r"a\\")),
            (r"\\boxed{7}", Some("7")),
            (r"\boxed{1 + \boxed{2}}", Some("2")),
            (r"\boxed{1 + \boxed{2}", Some("2")),
            (r"} { \boxed{5} }", Some("5")),
            (r"\boxed{größe × 2}", Some("größe × 2")),
            (r"\boxed{1}\boxed{}", None),
            (r"\boxed{  }", None),
            (r"\boxed", None),
            (r"\boxed{", None),
            (r"\boxedx{1}", None),
            ("boxed{1}", None),
            ("", None),
        ] {
            assert_eq!(last_boxed(text), expected, "{text}");
        }
    }

    #[test]
    fn a_box_that_is_not_closed_is_told() {
        for (text, expected) in [
            (r"so \boxed{3} and \boxed{4", Some(r"\boxed{4")),
            (r"\boxed{3} and \fbox{\frac{1}{2}", Some(r"\fbox{\frac{1}{2}")),
            (r"\boxed{1 + \boxed{2}", Some(r"\boxed{1 + \boxed{2}")),
            (r"\boxed{a\}", Some(r"\boxed{a\}")),
            (r"\boxed{3} and \boxed ", Some(r"\boxed ")),
            (r"\boxed{3} and \boxed 4", None),
            (r"\boxed{3}, as \boxed notation asks", None),
            (r"\text{so \boxed{3} and", None),
            (r"\boxed{3}", None),
            ("3", None),
        ] {
            assert_eq!(open_box(text), expected, "{text}");
        }
    }

    #[test]
    fn long_hostile_texts_take_linear_time() {
        for piece in [
            r"\boxed{",
            "{",
            "}",
            r"\",
            r"\boxed ",
            "\\boxed{1}",
            "\\boxed{}",
            r"\fbox{",
            r"\boxed 1",
        ] {
            let text = piece.repeat(200_000);
            // Of `\boxed 1\boxed 1...` every number is followed by a box.
            assert_eq!(last_boxed(&text), piece.contains('1').then_some("1"), "{piece}");
        }
    }

    #[test]
    fn boxes_side_by_side_are_a_list() {
        for (text, expected) in [
            (r"\boxed{1}, \boxed{2}", Some("1, 2")),
            (r"so $\boxed{1}$ and $\boxed{2}$ and $\boxed{3}$.", Some("1, 2, 3")),
            (r"\(y_1 = \boxed{2x}\) and \(y_2 = \boxed{\{3\}}\)", Some(r"2x, \{3\}")),
            (r"first \boxed{1}, no: \boxed{2}, \boxed{3}", Some("2, 3")),
            (r"\boxed{1} wait, \boxed{2}", None),
            (r"\boxed{1}\boxed{2}", None),
            (r"\boxed{1}\,\boxed{2}", None),
            (r"\boxed{1} or \boxed{2}", None),
            (r"\boxed{(3, 3)} \text{ for part (a) and } \boxed{(1, 1)}", Some("(3, 3), (1, 1)")),
            (r"\boxed{1} for now, \boxed{2}", None),
            (r"\boxed{1}", None),
            (r"\boxed{1}, \boxed{1}", None),
            (r"\boxed{1}, \boxed{2", None),
            ("1, 2", None),
        ] {
            assert_eq!(
                joined_boxes(text).map(|boxes| boxes.join(", ")).as_deref(),
                expected,
                "{text}"
            );
        }
        assert_eq!(joined_boxes(&r"\boxed{1},".repeat(100_000)), None);
        assert_eq!(
            joined_boxes(&r"\boxed{1},\boxed{2},".repeat(100_000)).map(|boxes| boxes.len()),
            Some(MOST_JOINED)
        );
    }

    proptest! {
        #[test]
        fn no_text_panics(text in r"(\\boxed|[{}\\ ]|\PC|é){0,60}") {
            joined_boxes(&text);
            if let Some(content) = last_boxed(&text) {
                prop_assert!(!content.is_empty() && content == content.trim() && text.contains(content));
            }
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            last_boxed(&String::from_utf8_lossy(&bytes));
        }

        #[test]
        fn what_is_boxed_last_is_found(before in r"(\\boxed|[{}]|[a-z ]){0,20}", content in "[0-9+*/()-]{1,20}") {
            let text = format!(r"{before}\boxed{{{content}}}");
            prop_assert_eq!(last_boxed(&text), Some(content.as_str()));
        }
    }
}
