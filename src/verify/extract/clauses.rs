//! What a clause says of the answer in it: that it is denied, supposed or asked for.

use crate::verify::label::is_denial;

/// The words of the last clause of a text, in lower case.
pub(super) fn clause(text: &str) -> Vec<String> {
    let text = ["所以", "因此", "故"]
        .iter()
        .fold(text, |text, word| text.rsplit(word).next().unwrap_or_default());
    let text =
        text.rsplit(['.', ',', ';', '!', '?', '\n', '，', '。', '；']).next().unwrap_or_default();
    let words = text
        .split(|c: char| !(c.is_alphanumeric() || c == '\'' || c == '’'))
        .filter(|word| !word.is_empty());
    let mut words: Vec<String> = words.map(str::to_lowercase).collect();
    let new = |at: &usize| match words[*at].as_str() {
        "so" | "therefore" | "hence" | "thus" | "then" => true,
        // `anything but B` continues.
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
pub(super) fn denies(words: &[String]) -> bool {
    let has =
        |pair: [&str; 2]| words.windows(2).any(|words| words[0] == pair[0] && words[1] == pair[1]);
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
                "without"
                    | "doubt"
                    | "disagree"
                    | "unlike"
                    | "excluding"
                    | "exclude"
                    | "excludes"
                    | "discard"
                    | "discards"
                    | "discarded"
                    | "discarding"
            )
    }) || words.windows(2).any(|pair| pair[1] == "but" && is_everything(&pair[0]))
        || [
            ["rule", "out"],
            ["rules", "out"],
            ["ruled", "out"],
            ["cross", "out"],
            ["crossed", "out"],
            ["crossing", "out"],
            ["throw", "out"],
            ["throwing", "out"],
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

/// Whether a clause only supposes what it says.
pub(super) fn supposes(words: &[String]) -> bool {
    let may = |pair: &[String]| {
        matches!(pair[0].as_str(), "could" | "may" | "might" | "can")
            && matches!(pair[1].as_str(), "be" | "think")
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
pub(super) fn asks(words: &[String], after: &str) -> bool {
    let verb = |word: &String| {
        matches!(word.as_str(), "is" | "are" | "could" | "would" | "should" | "does" | "can")
    };
    words.first().is_some_and(verb)
        || after
            .find(['.', '!', '?', '\n', '？'])
            .is_some_and(|end| after[end..].starts_with(['?', '？']))
}
