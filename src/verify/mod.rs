//! Answers: extraction from a completion and comparison with what is right. Pure: no files, no
//! tensors, no randomness.
//!
//! ```text
//! completion -> boxed / extract -> token -> parse -> compare -> verdict
//!                 last box        spellings  tree    structures, then scalars:
//!                                 (label, family, numeral, units: labels, declared letters, numbers in words, units)
//!                                                    simplify (exact, canonical), approximate (values with error bounds)
//! ```
//!
//! The comparison is asymmetric: the gold answer says what form is asked for. It is bounded by a
//! step budget, so that no answer, however long or deep, takes more than some milliseconds; what is
//! not decided by then is [`Verdict::TimedOut`].
//!
//! A model gets no credit by covering itself:
//! * of several boxes the last counts; those that stand side by side, `\boxed{1}, \boxed{2}`, may
//!   also be the list that is asked for;
//! * a list is not one of its members, and needs as many items as the gold answer;
//! * an equation or inequality that has still to be solved answers neither a number nor an
//!   interval: it may be the question. A logarithm, a factorial, a binomial coefficient, an integer
//!   part, and bars around one name other than `z`, `u`, `v`, `w` or a capital are still to be
//!   solved for the name;
//! * a decimal stands for a number that it does not equal only with at least six significant
//!   digits, to within one unit of the last, and never for an integer (six is Math-Verify's default
//!   too, but of places after the point, so that `0.0000001` is 0 there);
//! * exact values that floats do not tell apart, because a term is too small or a function too
//!   flat, `\cos 10^{-9}` and 1, are not equal;
//! * digits in another base than asked for are wrong, and so is a base that only the answer names,
//!   unless the digits keep their value;
//! * values without the different names that the gold answer gives them keep the names' order;
//! * several letters are not a choice, `B to D`, nor is a letter that is taken back,
//!   `B. Wait, it's C` (which chooses C), or one that is part of something else, `E = mc^2`;
//! * a value may be given in several forms, `\frac25 or 0.4`, if all of them are right.
//!
//! Nothing that carries meaning is dropped, and what is not understood keeps its place and is
//! compared as it stands:
//! * a mark makes another name: `\bar z` is not z. Only bold is style where the other answer has no
//!   vectors, and a whole answer `\overline{AB}` is the segment AB;
//! * square brackets group only what needs it: what has brackets of its own, an expression with an
//!   exponent, a function's argument, a sum that is a factor. Around anything else with letters
//!   they are its integer part, and braces around one such value its fractional part;
//! * relations, connectives, compositions, cross products and unknown commands keep the order of
//!   what they stand between;
//! * behind `\nabla` nothing, a point and a cross are three operators. Between plain letters
//!   `\cdot` and `\times` are both the product, and only letters in bold or with arrows are
//!   vectors;
//! * in `\frac{dy}{dx}` and `dy/dx` each differential is one name, and d does not cancel;
//! * units on both sides must be the same after conversion (a missing one is passed over), words
//!   that exclude each other must not differ (`5 red` and `5 blue`, `3 hours before` and
//!   `3 hours after`), and in lists each number belongs to its word, `3 boys, 5 girls`. Words that
//!   deny or alter a value leave none (`5 rejected`, `5 doubled`), words such as "exactly" or "a
//!   total of" leave it as it is, and `5 below zero` is -5;
//! * with a unit of time, or a word for the time of day, numbers between colons are not a ratio:
//!   `10:20 am` is neither `5:10 am` nor 2. The same holds for parts of two digits that begin with
//!   0, `9:05`, and dates with a year of four digits, `2024-05-01` or `1/2/2020`, are not
//!   arithmetic;
//! * a question mark leaves no answer: `7?` is not 7. Names of values in words must not differ
//!   where both answers have one: `Area is 5` is not `Perimeter is 5`.
//!
//! A number of percent and the share that it is are both accepted for `5\%`, since questions ask
//! for either; 5 and 0.05 are not each other. A double root may be given once: `2, 2` is not 2, for
//! the gold answer says how many there are. The letter of an arbitrary constant is part of the
//! answer: `Ke^x` is not `Ce^x`, since the question may have named it. Words in a list keep their
//! order, which may be what is asked for.
//!
//! What has to be worked out first is not an answer, unless it is arithmetic: `\sum_{k=1}^{100} k`
//! is refused for 5050, `7!` and `C(8, 2)` are accepted for 5040 and 28. Authors mean positive
//! variables under logarithms and roots: `\ln x` is accepted for `\ln|x|`. A label in front of `=`
//! is passed over, `P(X = 3) = \frac18`, and so is a unit where the gold answer has none; where
//! both have one, they are converted. Letters after a number are a unit only if they are not common
//! names of variables (`9 m`, not `9 k`), and where the gold answer has no letter; or where the
//! other answer says that they are, `9 m` and `9\text{ m}`. `\Omega` after a number is always one.
//! `1,22` is 1.22 where the other answer has a point, with two decimals or more than three. The
//! letter that numbers a family of answers may have any name, if it is declared:
//! `\frac{\pi}{4} + n\pi, n \in \mathbb{Z}`. Families are compared as sets where the gold answer
//! declares the letter, or steps by multiples of pi; else `3n + 1` is a formula, and `3n + 4`
//! another.

mod approximate;
pub mod boxed;
mod budget;
#[cfg(test)]
mod cases;
mod compare;
pub mod expression;
mod extract;
mod family;
mod label;
mod majority;
mod no_answer;
mod numeral;
mod parse;
mod reals;
mod simplify;
mod token;
mod tree;
mod units;

pub use majority::majority;
pub use no_answer::stands_for_none;

use serde::{Deserialize, Serialize};

/// What the verifier says of one completion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The answer is right.
    Correct,
    /// There is an answer and it is wrong.
    Incorrect,
    /// The completion has no final answer in the form that was asked for.
    NoAnswer,
    /// The comparison did not end within its step budget.
    TimedOut,
}

impl Verdict {
    /// Whether this is [`Verdict::Correct`].
    pub fn is_correct(self) -> bool {
        self == Self::Correct
    }
}

/// A verdict with what it is based on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verification {
    /// The judgement.
    pub verdict: Verdict,
    /// The answer as it stands in the completion, if one was found; boxes side by side that are the
    /// list asked for, with commas between them.
    pub extracted: Option<String>,
}

/// Where a completion's answer is looked for, and how it is compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AnswerFormat {
    /// A mathematical answer in the last box. Nothing else counts.
    #[default]
    Math,
    /// A mathematical answer in the last box; without a box, after "the answer is"; without that,
    /// the last number.
    MathAnywhere,
    /// A letter from A to J: in the last box, after "the answer is", or alone at the end.
    Choice,
}

impl AnswerFormat {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Math, Self::MathAnywhere, Self::Choice];

    /// Its name on the command line; `grade` knows `math` and `choice`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Math => "math",
            Self::MathAnywhere => "math-anywhere",
            Self::Choice => "choice",
        }
    }

    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }
}

/// How two answers compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Equality {
    /// They are the same answer.
    Equal,
    /// They are not.
    Different,
    /// The comparison did not end within its step budget.
    TimedOut,
}

/// Judges a completion by the right answer, which is bare: without box and without explanation.
///
/// ```
/// use orthant::verify::{AnswerFormat, Verdict, verify};
/// let verification = verify(r"\frac{1}{2}", r"Half of them, so \boxed{0.5}.", AnswerFormat::Math);
/// assert_eq!(verification.verdict, Verdict::Correct);
/// assert_eq!(verification.extracted.as_deref(), Some("0.5"));
/// ```
pub fn verify(gold: &str, completion: &str, format: AnswerFormat) -> Verification {
    let found = match format {
        AnswerFormat::Choice => return verify_choice(gold, completion),
        AnswerFormat::Math => boxed::last_boxed(completion),
        AnswerFormat::MathAnywhere => {
            boxed::last_boxed(completion).or_else(|| extract::phrase_or_number(completion))
        }
    };
    if stands_for_none(gold) {
        let verdict = if found.is_some() { Verdict::Incorrect } else { Verdict::NoAnswer };
        return Verification { verdict, extracted: found.map(str::to_string) };
    }
    let mut equality = found.map(|answer| answers_equal(gold, answer));
    let mut extracted = found.map(str::to_string);
    if equality == Some(Equality::Different)
        && let Some(boxes) =
            boxed::joined_boxes(completion).filter(|boxes| boxes.last().copied() == found)
    {
        let list = boxes.join(", ");
        if answers_equal(gold, &list) == Equality::Equal {
            (equality, extracted) = (Some(Equality::Equal), Some(list));
        }
    }
    Verification { verdict: verdict(equality), extracted }
}

fn verdict(equality: Option<Equality>) -> Verdict {
    match equality {
        None => Verdict::NoAnswer,
        Some(Equality::Equal) => Verdict::Correct,
        Some(Equality::Different) => Verdict::Incorrect,
        Some(Equality::TimedOut) => Verdict::TimedOut,
    }
}

fn verify_choice(gold: &str, completion: &str) -> Verification {
    let Some(choice) = extract::choice(completion) else {
        return Verification { verdict: Verdict::NoAnswer, extracted: None };
    };
    let right = choice.letter.is_some() && choice.letter == extract::boxed_letter(gold);
    let verdict = if right { Verdict::Correct } else { Verdict::Incorrect };
    Verification { verdict, extracted: Some(choice.text) }
}

/// Whether a right answer is the letter of a choice, A to J. By any other nobody is right where a
/// choice is looked for.
pub fn is_choice(gold: &str) -> bool {
    extract::boxed_letter(gold).is_some()
}

/// Compares an answer with the right one, both bare. For equal-valued answers of two completions,
/// either may come first: the order matters only between forms (an interval and an inequality, a
/// decimal and an equation).
pub fn answers_equal(gold: &str, answer: &str) -> Equality {
    let (gold, answer) = (gold.trim(), answer.trim());
    if gold == answer && !gold.is_empty() {
        return Equality::Equal;
    }
    match compare::equal(gold, answer) {
        Ok(true) => Equality::Equal,
        Ok(false) => Equality::Different,
        Err(budget::Exhausted) => Equality::TimedOut,
    }
}
