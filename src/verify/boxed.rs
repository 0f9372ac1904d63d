//! The final answer of a completion: the content of its last `\boxed{...}`.

/// Commands that put an answer into a box.
const BOXES: [&[u8]; 2] = [br"\boxed", br"\fbox"];

/// The content of the last closed `\boxed{...}` or `\fbox{...}`, or the number or capital letter after a `\boxed` without braces
/// (`\boxed 5`), trimmed.
///
/// Braces are balanced, and `\{` and `\}` are text. A box without its closing brace is not an answer, so the closed box that
/// starts last counts; of nested boxes that is the inner one. If that box is empty there is no answer. One pass over the text.
pub fn last_boxed(completion: &str) -> Option<&str> {
    let bytes = completion.as_bytes();
    // For every open brace, where the content of its box starts; `None` for a brace that opens no box.
    let mut open: Vec<Option<usize>> = Vec::new();
    let mut last: Option<(usize, usize)> = None;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'\\' => {
                if let Some(name) = BOXES.iter().find(|name| bytes[at..].starts_with(name)) {
                    at += name.len();
                    let spaces = bytes[at..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
                    at += spaces;
                    if bytes.get(at) == Some(&b'{') {
                        at += 1;
                        open.push(Some(at));
                    } else if let Some(length) = bare(&bytes[at..]) {
                        last = Some((at, at + length));
                        at += length;
                    }
                    continue;
                }
                match bytes.get(at + 1) {
                    Some(b'{' | b'}') => at += 1,
                    Some(b'\\') if !BOXES.iter().any(|name| bytes[at + 1..].starts_with(name)) => at += 1,
                    _ => {}
                }
            }
            b'{' => open.push(None),
            b'}' => {
                if let Some(Some(start)) = open.pop()
                    && last.is_none_or(|(latest, _)| start > latest)
                {
                    last = Some((start, at));
                }
            }
            _ => {}
        }
        at += 1;
    }
    let (start, end) = last?;
    completion.get(start..end).map(str::trim).filter(|content| !content.is_empty())
}

/// The length of the number, fraction of two numbers or capital letter at the start of `text`.
fn bare(text: &[u8]) -> Option<usize> {
    let sign = usize::from(text.first() == Some(&b'-'));
    let is_number = text.get(sign).is_some_and(u8::is_ascii_digit);
    let part = |byte: &u8| byte.is_ascii_digit() || (is_number && matches!(byte, b'.' | b',' | b'/'));
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
    use super::last_boxed;
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
    fn long_hostile_texts_take_linear_time() {
        for piece in [r"\boxed{", "{", "}", r"\", r"\boxed ", "\\boxed{1}", "\\boxed{}", r"\fbox{", r"\boxed 1"] {
            let text = piece.repeat(200_000);
            // Of `\boxed 1\boxed 1...` every number is followed by a box.
            assert_eq!(last_boxed(&text), piece.contains('1').then_some("1"), "{piece}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in r"(\\boxed|[{}\\ ]|\PC|é){0,60}") {
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
