//! The fuzzer: random bytes, random texts of the alphabet of answers, well-formed answers from a
//! grammar, and pieces of real answers put together. To let it run for longer than a test should:
//!
//! ```sh
//! PROPTEST_CASES=1000000 cargo test --release --lib verify::
//! ```
//!
//! What it finds becomes a case of `what_a_fuzzer_found_stays_fixed`.

use crate::verify::{AnswerFormat, Equality, Verdict, answers_equal, verify};
use proptest::prelude::*;

#[test]
fn what_a_fuzzer_found_stays_fixed() {
    for (gold, answer) in [("0", "{'"), ("a_", "1_"), (r"\frac", "1")] {
        answers_equal(gold, answer);
        answers_equal(answer, gold);
    }
    assert_eq!(verify("A\u{fffd}", r"\boxed{A}", AnswerFormat::Choice).verdict, Verdict::Incorrect);
}

/// Well-formed answers, as their authors write them.
fn answers() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        4 => (0u32..2000).prop_map(|n| n.to_string()),
        1 => (0u32..100, 1u32..1000).prop_map(|(whole, decimals)| format!("{whole}.{decimals}")),
        2 => "[a-dxyz]",
        1 => Just(r"\pi".to_string()),
        1 => Just("i".to_string()),
    ];
    let expression = leaf.prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a}+{b}")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a} - ({b})")),
            (inner.clone(), inner.clone())
                .prop_map(|(a, b)| format!(r"\left({a}\right) \cdot \left({b}\right)")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!(r"\frac{{{a}}}{{{b}}}")),
            inner.clone().prop_map(|a| format!(r"\sqrt{{{a}}}")),
            inner.clone().prop_map(|a| format!(r"-\left({a}\right)")),
            (inner.clone(), 2u32..5).prop_map(|(a, n)| format!("({a})^{{{n}}}")),
            inner.prop_map(|a| format!(r"\sin\left({a}\right)")),
        ]
    });
    let items =
        proptest::collection::vec(expression.clone(), 2..4).prop_map(|items| items.join(", "));
    prop_oneof![
        4 => expression.clone(),
        1 => items.clone().prop_map(|items| format!(r"\left({items}\right)")),
        1 => items.clone().prop_map(|items| format!(r"\{{{items}\}}")),
        1 => items,
        1 => (expression.clone(), expression.clone()).prop_map(|(a, b)| format!(r"[{a}, {b})")),
        1 => (expression.clone(), expression.clone()).prop_map(|(a, b)| format!(r"\begin{{pmatrix}} {a} \\ {b} \end{{pmatrix}}")),
        1 => expression.clone().prop_map(|a| format!("w = {a}")),
        1 => expression.prop_map(|a| format!(r"{a}\text{{ cm}}")),
    ]
}

/// The answers of the file of completions.
fn corpus() -> &'static [String] {
    static CORPUS: std::sync::OnceLock<Vec<String>> = std::sync::OnceLock::new();
    CORPUS.get_or_init(|| {
        let lines = include_str!("../../../tests/fixtures/completions.jsonl").lines();
        let parsed = lines.map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let texts = parsed.flat_map(|line| {
            ["gold", "completion"].map(|field| line[field].as_str().unwrap().to_string())
        });
        texts
            .map(|text| text.trim_start_matches(r"so \boxed{").to_string())
            .filter(|text| !text.is_empty())
            .collect()
    })
}

/// Pieces of real answers, one after the other.
fn splices() -> impl Strategy<Value = String> {
    let piece = (any::<proptest::sample::Index>(), any::<proptest::sample::Index>(), 1_usize..12)
        .prop_map(|(text, start, length)| {
            let chars: Vec<char> = text.get(corpus()).chars().collect();
            let start = start.index(chars.len());
            chars[start..].iter().take(length).collect::<String>()
        });
    proptest::collection::vec(piece, 1..6).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_splice_of_real_answers_panics_or_takes_long(gold in splices(), answer in splices()) {
        // The fastest of three: a busy machine may stop a test for seconds.
        let is_fast = (0..3).any(|_| {
            let start = std::time::Instant::now();
            answers_equal(&gold, &answer);
            verify(&gold, &answer, AnswerFormat::Choice);
            verify(&gold, &format!(r"\boxed{{{answer}}}"), AnswerFormat::MathAnywhere);
            start.elapsed().as_secs_f64() < 0.5
        });
        prop_assert!(is_fast, "{} and {}", gold, answer);
        prop_assert!(gold.trim().is_empty() || answers_equal(&gold, &gold) == Equality::Equal);
    }

    #[test]
    fn no_text_of_this_alphabet_panics(
        gold in r"(\\(frac|sqrt|text|left|right|cup|cap|bar|vec|mathbf|times|circ|land|neg|sim|subset|star|langle|rangle|pm|infty|pi|sin|log|binom|begin\{pmatrix\}|end\{pmatrix\}|overline|mathbb|\\|\{|\}|!|,|%|\$)|[{}()\[\],;:=<>+*/^_!|&%$'. -]|[0-9]{1,3}|[a-zA-Z]|½|²|π|≤|∞|°){0,24}",
        answer in r"(\\(frac|sqrt|text|left|right|cup|cap|bar|vec|mathbf|times|circ|land|neg|sim|subset|star|langle|rangle|pm|infty|pi|sin|log|binom|begin\{pmatrix\}|end\{pmatrix\}|overline|mathbb|\\|\{|\}|!|,|%|\$)|[{}()\[\],;:=<>+*/^_!|&%$'. -]|[0-9]{1,3}|[a-zA-Z]|½|²|π|≤|∞|°){0,24}",
    ) {
        answers_equal(&gold, &answer);
        prop_assert!(gold.trim().is_empty() || answers_equal(&gold, &gold) == Equality::Equal);
    }

    #[test]
    fn no_bytes_panic(gold in proptest::collection::vec(any::<u8>(), 0..100), completion in proptest::collection::vec(any::<u8>(), 0..200)) {
        let (gold, completion) = (String::from_utf8_lossy(&gold), String::from_utf8_lossy(&completion));
        for format in [AnswerFormat::Math, AnswerFormat::MathAnywhere, AnswerFormat::Choice] {
            verify(&gold, &completion, format);
        }
        answers_equal(&gold, &completion);
    }

    #[test]
    fn an_answer_equals_itself_in_a_box(answer in answers()) {
        let verification = verify(&answer, &format!(r"so \boxed{{{answer}}}."), AnswerFormat::Math);
        prop_assert_eq!(verification.verdict, Verdict::Correct);
        prop_assert_eq!(verification.extracted, Some(answer));
    }

    #[test]
    fn spelling_makes_no_difference(answer in answers()) {
        let spellings = [
            answer.replace(r"\left", "").replace(r"\right", ""),
            answer.replace(r"\frac", r"\dfrac"),
            answer.replace(r"\frac", r"\tfrac"),
            answer.replace('+', " + ").replace(',', r",\;"),
            answer.replace(r"\cdot", r"\times"),
            answer.replace(r"\cdot", ""),
            answer.replace(r"\pi", "π").replace('-', "−"),
            format!("${answer}$."),
        ];
        for spelling in spellings {
            prop_assert_eq!(answers_equal(&answer, &spelling), Equality::Equal, "{} and {}", answer, spelling);
        }
    }

    #[test]
    fn different_integers_are_never_equal(a in any::<i64>(), b in any::<i64>(), near in -3i64..4) {
        for (a, b) in [(a, b), (a, a.saturating_add(near)), (a % 1000, b % 1000)] {
            let expected = if a == b { Equality::Equal } else { Equality::Different };
            prop_assert_eq!(answers_equal(&a.to_string(), &b.to_string()), expected);
            prop_assert_eq!(answers_equal(&a.to_string(), &format!("{b}.0")), expected);
            prop_assert_eq!(answers_equal(&format!(r"\frac{{{a}}}{{7}}"), &format!("{b}/7")), expected);
        }
    }
}
