//! Numbers in words, and words that change the number in front of them.

use super::tree::{Constant, Function, Node};
use std::borrow::Cow;

const SMALL: [&str; 20] = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
];
const TENS: [&str; 8] =
    ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];

/// Names of the parts of a whole, from the half on.
const PARTS: [(&str, &str, i64); 11] = [
    ("half", "halves", 2),
    ("third", "thirds", 3),
    ("fourth", "fourths", 4),
    ("fifth", "fifths", 5),
    ("sixth", "sixths", 6),
    ("seventh", "sevenths", 7),
    ("eighth", "eighths", 8),
    ("ninth", "ninths", 9),
    ("tenth", "tenths", 10),
    ("hundredth", "hundredths", 100),
    ("thousandth", "thousandths", 1000),
];

/// A word below a hundred.
fn small(word: &str) -> Option<i64> {
    let ten =
        |word: &&str| TENS.iter().position(|known| known == word).map(|at| 10 * (at as i64 + 2));
    SMALL.iter().position(|known| *known == word).map(|at| at as i64).or_else(|| ten(&word))
}

/// What a word multiplies the number in front of it by.
fn multiple(word: &str) -> Option<i64> {
    Some(match word.strip_suffix('s').unwrap_or(word) {
        "ten" if word.ends_with('s') => 10,
        "dozen" => 12,
        "hundred" => 100,
        "gross" | "gros" => 144,
        "thousand" | "grand" | "k" => 1_000,
        "lakh" => 100_000,
        "million" | "mn" => 1_000_000,
        "crore" => 10_000_000,
        "billion" | "bn" => 1_000_000_000,
        "trillion" | "tn" => 1_000_000_000_000,
        _ => return None,
    })
}

/// Whether a word changes the number in front of it, so that it is not a unit: `million`, `thirds`,
/// `squared`.
pub(super) fn changes(word: &str) -> bool {
    let word = word.to_lowercase();
    multiple(&word).is_some()
        || PARTS.iter().any(|(one, many, _)| word == *one || word == *many)
        || matches!(word.as_str(), "factorial" | "squared" | "cubed" | "pi")
}

/// The number that words name: `seven`, `twenty one`, `three hundred and five`, `minus two`.
pub(super) fn value(words: &str) -> Option<i64> {
    if words.starts_with(|c| matches!(c, '\u{4e00}'..='\u{9fff}')) {
        return chinese_value(words);
    }
    let mut words: Vec<&str> = words.split(' ').collect();
    let negative = words.len() > 1 && matches!(words[0], "negative" | "minus");
    if negative {
        words.remove(0);
    }
    if words.len() > 1 && words[0] == "a" {
        words[0] = "one";
    }
    // The thousands that are complete, and what is below the next of them.
    let (mut total, mut group) = (0_i64, None);
    let (mut last, mut last_multiple) = (i64::MAX, i64::MAX);
    if words.last() == Some(&"and") {
        return None;
    }
    for word in words {
        match (small(word), multiple(word).filter(|_| !word.ends_with('s')), group) {
            (Some(value), _, None) => (group, last) = (Some(value), value),
            // `twenty one`, `three hundred five`
            (Some(value), _, Some(below))
                if value > 0 && value < last && (value < 10 || last >= 100) && last % 10 == 0 =>
            {
                (group, last) = (Some(below + value), value);
            }
            (None, Some(100), Some(hundreds @ 1..=99)) if last < 100 => {
                (group, last) = (Some(100 * hundreds), 100);
            }
            (None, Some(multiple), Some(below))
                if multiple >= 1000 && multiple < last_multiple && below > 0 =>
            {
                total += below.checked_mul(multiple)?;
                (group, last, last_multiple) = (None, i64::MAX, multiple);
            }
            (None, None, Some(_)) if word == "and" && last == 100 => {}
            (None, None, None) if word == "and" && total > 0 => {}
            _ => return None,
        }
    }
    let value = match (group, total) {
        (None, 0) => return None,
        (group, total) => total + group.unwrap_or(0),
    };
    Some(if negative { -value } else { value })
}

const ORDINALS: [&str; 20] = [
    "first",
    "second",
    "third",
    "fourth",
    "fifth",
    "sixth",
    "seventh",
    "eighth",
    "ninth",
    "tenth",
    "eleventh",
    "twelfth",
    "thirteenth",
    "fourteenth",
    "fifteenth",
    "sixteenth",
    "seventeenth",
    "eighteenth",
    "nineteenth",
    "twentieth",
];

/// The place that a word names: `third`, `twenty first`.
pub(super) fn ordinal(words: &str) -> Option<i64> {
    let place =
        |word: &str| ORDINALS.iter().position(|known| *known == word).map(|at| at as i64 + 1);
    match words.split_once(' ') {
        None => place(words),
        Some((tens, unit)) => {
            let tens = TENS.iter().position(|known| *known == tens)? as i64;
            place(unit).filter(|unit| *unit < 10).map(|unit| 10 * (tens + 2) + unit)
        }
    }
}

/// The fraction that words name: `one third`, `three quarters`, `a half`. A part alone is an
/// ordinal, but for the half.
pub(super) fn fraction(words: &str) -> Option<Node> {
    if words == "half" {
        return fraction("one half");
    }
    let (count, part) = words.rsplit_once(' ')?;
    let count = value(if count == "a" { "one" } else { count })?;
    let parts = match part {
        "quarter" | "quarters" => 4,
        part => PARTS.iter().find(|(one, many, _)| part == *one || part == *many)?.2,
    };
    Some(Node::integer(count).over(Node::integer(parts)))
}

/// The number that a whole number and a part name: `five and a half`.
pub(super) fn mixed(words: &str) -> Option<Node> {
    let (whole, part) = words.rsplit_once(" and ")?;
    let (count, _) = if part == "half" { ("one", part) } else { part.rsplit_once(' ')? };
    let is_part = matches!(count, "a" | "one") || !part.ends_with(['f', 'h', 'd', 'r']);
    let whole = value(whole).filter(|whole| *whole >= 0 && is_part)?;
    Some(Node::Sum(vec![Node::integer(whole), fraction(part)?]))
}

/// The number that Chinese signs name: 三, 十二, 二百零五, 三万.
fn chinese_value(text: &str) -> Option<i64> {
    let (mut total, mut group, mut digit) = (0_i64, 0_i64, None);
    for sign in text.chars() {
        match ("零一二三四五六七八九".chars().position(|known| known == sign), sign) {
            (Some(value), _) => {
                // Two digits side by side are not how numbers are read.
                if digit.is_some_and(|digit| digit != 0) {
                    return None;
                }
                digit = Some(value as i64);
            }
            (None, '〇') => digit = Some(0),
            (None, '两') => digit = Some(2),
            (None, '十' | '百' | '千') => {
                let multiple = match sign {
                    '十' => 10,
                    '百' => 100,
                    _ => 1000,
                };
                group += digit.take().unwrap_or(1) * multiple;
            }
            (None, '万' | '亿') => {
                let multiple = if sign == '万' { 10_000 } else { 100_000_000 };
                total = (total + group + digit.take().unwrap_or(0)).checked_mul(multiple)?;
                group = 0;
            }
            _ => return None,
        }
    }
    (!text.is_empty()).then_some(total + group + digit.unwrap_or(0))
}

/// How many words may change one number.
const MAX_CHANGES: usize = 8;

/// A value with the words behind it: those that change it are worked in, and what is left is its
/// unit. `None` where there is a further number among them.
pub(super) fn scaled(mut value: Node, words: &str) -> Option<(Node, Option<String>)> {
    let original = words;
    let lower = if words.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(words.to_ascii_lowercase())
    } else {
        Cow::Borrowed(words)
    };
    let mut words: Vec<&str> = lower.split(' ').collect();
    // Every change makes the tree deeper by one.
    let mut changes = 0;
    while let Some(&word) = words.first() {
        changes += 1;
        if changes > MAX_CHANGES {
            return None;
        }
        // K are kelvins, m metres: only k and M alone are scales.
        let written = &original[original.len() - words.join(" ").len()..];
        let multiple = match written.split(' ').next() {
            Some("K") => None,
            Some("M") => Some(1_000_000),
            _ => multiple(word),
        };
        let changed = if let Some(multiple) = multiple {
            Node::Product(vec![value, Node::integer(multiple)])
        } else if let Some((_, _, parts)) =
            PARTS.iter().find(|(one, many, _)| word == *one || word == *many)
        {
            value.over(Node::integer(*parts))
        } else if let Some((multiple, rest)) = chinese(word) {
            value = Node::Product(vec![value, Node::integer(multiple)]);
            if rest.is_empty() {
                words.remove(0);
            } else {
                words[0] = rest;
            }
            continue;
        } else {
            match word {
                "factorial" => Node::Call(Function::Factorial, vec![value]),
                "squared" => value.power(Node::integer(2)),
                "cubed" => value.power(Node::integer(3)),
                "pi" => Node::Product(vec![value, Node::Constant(Constant::Pi)]),
                _ => break,
            }
        };
        value = changed;
        words.remove(0);
    }
    // `7 seven` is no 7, but two numbers; `7 two digit numbers` are 7.
    let counts = |word: &&str| {
        // `degrees K`, `dollars gross`
        let is_unit = matches!(*word, "k" | "gross");
        small(word.strip_suffix('s').unwrap_or(word)).is_some()
            || (multiple(word).is_some() && !is_unit)
    };
    if words.last().is_some_and(counts)
        || words
            .iter()
            .any(|word| matches!(*word, "factorial" | "squared" | "cubed" | "power" | "root"))
    {
        // The exponent of a unit: `7 meters squared`.
        let of_unit = words.len() > 1
            && words.last().is_some_and(|word| matches!(*word, "squared" | "cubed"));
        if !of_unit {
            return None;
        }
    }
    let left = (!words.is_empty()).then(|| words.join(" "));
    // The case of letters tells units apart.
    let as_written = |left: String| match original.get(original.len().saturating_sub(left.len())..)
    {
        Some(end) if end.eq_ignore_ascii_case(&left) => end.to_string(),
        _ => left,
    };
    Some((value, left.map(as_written)))
}

/// The power of ten that a Chinese word begins with, and the rest of the word: 万元.
fn chinese(word: &str) -> Option<(i64, &str)> {
    // Kilometres, kilograms and the like are units.
    if ["千米", "千克", "千瓦", "千焦"].iter().any(|unit| word.starts_with(unit)) {
        return None;
    }
    [('十', 10), ('百', 100), ('千', 1_000), ('万', 10_000), ('亿', 100_000_000)]
        .iter()
        .find_map(|(sign, multiple)| Some((*multiple, word.strip_prefix(*sign)?)))
}
