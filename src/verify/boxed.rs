//! The final answer of a completion: the content of its last `\boxed{...}`.

/// The content of the last closed `\boxed{...}`, trimmed.
///
/// Braces are balanced, and `\{` and `\}` are text. A box without its closing brace is not an answer, so the closed box that
/// starts last counts; of nested boxes that is the inner one. If that box is empty there is no answer. One pass over the text.
pub fn last_boxed(completion: &str) -> Option<&str> {
    const BOXED: &[u8] = br"\boxed";
    let bytes = completion.as_bytes();
    // For every open brace, where the content of its box starts; `None` for a brace that opens no box.
    let mut open: Vec<Option<usize>> = Vec::new();
    let mut last: Option<(usize, usize)> = None;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'\\' if bytes[at..].starts_with(BOXED) => {
                at += BOXED.len();
                while bytes.get(at).is_some_and(u8::is_ascii_whitespace) {
                    at += 1;
                }
                if bytes.get(at) == Some(&b'{') {
                    at += 1;
                    open.push(Some(at));
                }
                continue;
            }
            b'\\' => match bytes.get(at + 1) {
                Some(b'{' | b'}') => at += 1,
                Some(b'\\') if !bytes[at + 1..].starts_with(BOXED) => at += 1,
                _ => {}
            },
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
            (r"\boxed{1} and \boxed 2", Some("1")),
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
        for piece in [r"\boxed{", "{", "}", r"\", r"\boxed ", "\\boxed{1}", "\\boxed{}"] {
            let text = piece.repeat(200_000);
            assert_eq!(last_boxed(&text), (piece == "\\boxed{1}").then_some("1"));
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
