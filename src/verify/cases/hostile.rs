//! Texts that are made to take long, or to break something.

use crate::verify::{AnswerFormat, Equality, answers_equal, verify};

/// What is repeated in texts that are made to take long.
const PIECES: [&str; 91] = [
    "(",
    "{",
    "[",
    r"\{",
    "((1)",
    "|",
    "-",
    "^",
    "_",
    "!",
    "1!",
    "%",
    "°",
    "'",
    "x'",
    "\\",
    r"\\",
    "&",
    r"\frac",
    r"\frac{",
    r"\sqrt",
    r"\sqrt{",
    r"\sqrt[",
    r"\text{",
    r"\begin{pmatrix}",
    r"\begin{",
    r"\left(",
    r"\phantom{",
    r"\mathbb",
    r"\mathbb{",
    r"\overline{",
    "1,\\!",
    "1{,}",
    "1,000",
    "9^",
    "9^{",
    "9^{9^{",
    "2^-",
    "1+",
    "x+",
    "sin ",
    r"\sin",
    r"\log_",
    ",",
    "1,",
    "x=",
    "x<",
    ":",
    "1:",
    r"\cup",
    r"(1,2)\cup",
    r"\setminus\{1\}",
    r"\pm",
    r"1\pm",
    "$",
    r"\$",
    r"\$1,",
    "-\\$1,",
    "a",
    "ab ",
    "Word ",
    "0",
    "9",
    ".",
    "1.",
    "0.1",
    r"0.\overline{1}",
    "１",
    "½",
    "²",
    "₂",
    "\u{200b}",
    "é",
    "½²",
    r"\binom{",
    r"\infty",
    " squared",
    "5 hundred ",
    r"\text{ km} ",
    "1 m 2 cm ",
    r"\text{7 apples}, ",
    r"\bar ",
    r"\neg ",
    r"f\circ ",
    r"a\star ",
    r"p\lor q\land ",
    r"\vec a\times ",
    r"A\subset ",
    "[x]",
    "x=y=",
    "十",
];

/// Texts that are made to take long.
fn hostile() -> Vec<String> {
    let mut texts: Vec<String> = PIECES
        .iter()
        .flat_map(|piece| [40, 3_000, 100_000].map(|count| piece.repeat(count)))
        .collect();
    texts.extend(
        [
            "(",
            "{",
            r"\{",
            r"\sqrt{",
            r"\frac{1}{",
            "2^{",
            "|",
            r"\left|x+",
            r"\sin(",
            "-(",
            r"\text{",
            "x^{2^{",
            "1+(",
        ]
        .iter()
        .flat_map(|open| {
            [20, 200, 20_000].map(|count| {
                let close: String = open
                    .chars()
                    .rev()
                    .filter_map(|c| match c {
                        '(' => Some(')'),
                        '{' => Some('}'),
                        _ => None,
                    })
                    .collect();
                format!("{}1{}", open.repeat(count), close.repeat(count))
            })
        }),
    );
    texts.extend(
        [" squared", " hundred", " thirds", " km", " m x"]
            .iter()
            .flat_map(|words| [40, 3_000, 20_000].map(|count| format!("5{}", words.repeat(count)))),
    );
    texts
}

#[test]
fn hostile_texts_take_milliseconds_and_are_never_right() {
    for text in hostile() {
        let shown: String = text.chars().take(30).collect();
        // The fastest of three: a busy machine may stop a test for seconds.
        let is_fast = (0..3).any(|_| {
            let start = std::time::Instant::now();
            assert_ne!(answers_equal("12", &text), Equality::Equal, "{shown}");
            answers_equal(&text, r"\sqrt{2}x+1");
            verify("12", &format!(r"\boxed{{{text}}}"), AnswerFormat::Math);
            start.elapsed().as_secs_f64() < 2.0
        });
        assert!(is_fast, "{} bytes of {shown}", text.len());
    }
}

/// Ends that are each within rounding of the next, but not of the one after it, in no order.
#[test]
fn ends_near_each_other_can_be_sorted() {
    let points = |count: u32| {
        let point = |at: u32| format!(r"\{{0.{:016}\}}", 6000 * (at * 37 % count));
        (0..count).map(point).collect::<Vec<_>>().join(r"\cup")
    };
    for count in [3, 20, 50, 100, 200] {
        let text = points(count);
        assert_eq!(answers_equal(&text, "(1, 2)"), Equality::Different);
        assert_eq!(
            answers_equal(r"[-1, 2]", &format!(r"[-1, 1]\cup{text}\cup[1, 2]")),
            Equality::Equal,
            "{count}"
        );
    }
    // A closed end beside an open one at the same place, which is computed in another way.
    let answer = r"(\sqrt{2}\sqrt{3}, 4)\cup\{\sqrt{6}\}";
    assert_eq!(answers_equal(r"[\sqrt{6}, 4)", answer), Equality::Equal);
    assert_eq!(answers_equal(r"(\sqrt{6}, 4)", answer), Equality::Different);
}
