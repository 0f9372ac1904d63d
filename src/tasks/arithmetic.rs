//! Arithmetic: evaluate an expression of integers with `+ - *` and parentheses.
//!
//! ```text
//! Evaluate 3+4*(2-1).      <- the prompt, and a newline
//! 2-1=1                    <- steps, one per line, each when its operands are known
//! 4*1=4
//! 3+4=7
//! \boxed{7}                <- the answer: an integer, or a fraction of integers such as 14/2
//! ```
//!
//! A problem's name, `arithmetic/3+4*(2-1)`, holds the expression; verifier and solver read it from
//! there. The answer has to be a number: an expression that is merely equal, such as the question
//! itself, is wrong.

use super::procedural::{FallbackProblems, check_range};
use super::{Problem, Split, Task, same_text};
use crate::error::Result;
use crate::model::TextTokenizer;
use crate::rng;
use crate::verify::expression::{Expression, Operator, Rational};
use crate::verify::{Verdict, Verification, boxed::last_boxed};
use rand_chacha::ChaCha8Rng;
use std::fmt::Write;

/// The most operations in a problem.
const MAX_OPERATIONS: usize = 8;

/// The largest number that may be given.
const MAX_LARGEST: u32 = 999;

/// Intermediate results lie between minus this and this.
const MAX_RESULT: i64 = 9999;

const PREFIX: &str = "arithmetic/";

const OPERATORS: [Operator; 3] = [Operator::Add, Operator::Subtract, Operator::Multiply];

/// The arithmetic task. Its settings are checked once, by [`Arithmetic::new`], and hold from then
/// on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arithmetic {
    operations: usize,
    largest: u32,
    fallbacks: FallbackProblems,
}

impl Arithmetic {
    /// Problems with this many `operations` (1 to 8) on numbers from 1 to `largest` (2 to 999).
    ///
    /// Settings that are out of range, or that hardly any problem has, are an input error.
    pub fn new(operations: usize, largest: u32) -> Result<Self> {
        check_range("task.operations", operations, 1..=MAX_OPERATIONS)?;
        check_range("task.largest", largest, 2..=MAX_LARGEST)?;
        let settings = format!("arithmetic: `operations` = {operations}, `largest` = {largest}");
        let fallbacks = FallbackProblems::prove(&settings, |rng| draw(operations, largest, rng))?;
        Ok(Self { operations, largest, fallbacks })
    }

    /// How many operations a problem has.
    pub fn operations(&self) -> usize {
        self.operations
    }

    /// The largest number that may be given; the smallest is 1.
    pub fn largest(&self) -> u32 {
        self.largest
    }
}

impl Task for Arithmetic {
    fn name(&self) -> &'static str {
        "arithmetic"
    }

    fn problem(&self, split: Split, seed: u64, index: u64) -> Problem {
        self.fallbacks.problem(split, seed, index, |rng| draw(self.operations, self.largest, rng))
    }

    /// The longest prompt repeats the number that takes most tokens, with as many parentheses as an
    /// expression can need.
    fn longest_prompt(&self, _: u64, tokenizer: &TextTokenizer) -> Result<usize> {
        let length =
            |number: u32, operator: Operator, to_the_right: bool| -> Result<(usize, u32)> {
                let text = nested(number, operator, to_the_right, self.operations);
                Ok((tokenizer.encode(&prompt(&text))?.len(), number))
            };
        let numbers = (1..=self.largest).map(|number| length(number, Operator::Subtract, true));
        let longest =
            numbers.collect::<Result<Vec<_>>>()?.into_iter().max().map_or(1, |(_, number)| number);
        let forms =
            OPERATORS.into_iter().flat_map(|operator| [(operator, true), (operator, false)]);
        let lengths =
            forms.map(|(operator, to_the_right)| Ok(length(longest, operator, to_the_right)?.0));
        Ok(lengths.collect::<Result<Vec<_>>>()?.into_iter().max().unwrap_or(0))
    }

    /// A problem whose name is not an arithmetic problem's has no right answer.
    fn verify(&self, problem: &Problem, completion: &str) -> Verification {
        let Some(answer) = last_boxed(completion) else {
            return Verification { verdict: Verdict::NoAnswer, extracted: None };
        };
        let right = question(problem).and_then(|question| question.evaluate().ok());
        let correct = right.is_some() && number(answer) == right;
        let verdict = if correct { Verdict::Correct } else { Verdict::Incorrect };
        Verification { verdict, extracted: Some(answer.to_owned()) }
    }

    /// Equal numbers are the same answer; any other answer is the same as itself only.
    fn same_answer(&self, _: &Problem, one: &str, other: &str) -> bool {
        match (number(one), number(other)) {
            (None, None) => same_text(one, other),
            (one, other) => one == other,
        }
    }

    /// The steps come in a random order among those that evaluate the expression; `None` where the
    /// problem's name holds no expression of integers with integer intermediate results.
    fn worked_solution(&self, problem: &Problem, rng: &mut ChaCha8Rng) -> Option<String> {
        let mut nodes = Vec::new();
        let root = flatten(&question(problem)?, &mut nodes)?;
        let mut text = String::with_capacity(96);
        loop {
            let ready: Vec<usize> =
                (0..nodes.len()).filter(|&node| step(&nodes, node).is_some()).collect();
            if ready.is_empty() {
                break;
            }
            let node = ready[rng::below(rng, ready.len() as u32) as usize];
            let (operator, left, right) = step(&nodes, node)?;
            let result = combined(operator, left, right)?;
            // Writing to a string does not fail.
            writeln!(text, "{left}{}{right}={result}", operator.symbol()).ok();
            nodes[node] = Node::Value(result);
        }
        let Node::Value(value) = nodes[root] else { return None };
        write!(text, r"\boxed{{{value}}}").ok();
        Some(text)
    }
}

fn prompt(expression: &str) -> String {
    format!("Evaluate {expression}.\n")
}

/// `9-(9-(9-9))`, or `((9-9)-9)-9`.
fn nested(number: u32, operator: Operator, to_the_right: bool, operations: usize) -> String {
    let (open, close, sign) =
        ("(".repeat(operations - 1), ")".repeat(operations - 1), operator.symbol());
    if to_the_right {
        let part = format!("{number}{sign}(").repeat(operations - 1);
        return format!("{part}{number}{sign}{number}{close}");
    }
    let part = format!("){sign}{number}").repeat(operations - 1);
    format!("{open}{number}{sign}{number}{part}")
}

fn question(problem: &Problem) -> Option<Expression> {
    Expression::parse(problem.id.strip_prefix(PREFIX)?).ok()
}

/// The value of an answer that is an integer or a fraction of integers, signs included.
fn number(answer: &str) -> Option<Rational> {
    fn is_integer(expression: &Expression) -> bool {
        match expression {
            Expression::Number(_) => true,
            Expression::Negate(inner) => matches!(**inner, Expression::Number(_)),
            Expression::Binary { .. } => false,
        }
    }
    let expression = Expression::parse(answer).ok()?;
    let is_number = match &expression {
        Expression::Binary { operator: Operator::Divide, left, right } => {
            is_integer(left) && is_integer(right)
        }
        other => is_integer(other),
    };
    if is_number { expression.evaluate().ok() } else { None }
}

/// Draws numbers and joins random neighbours with random operators until one expression is left;
/// `None` where a result on the way is too large.
fn draw(operations: usize, largest: u32, rng: &mut ChaCha8Rng) -> Option<Problem> {
    let mut parts: Vec<Expression> =
        (0..=operations).map(|_| Expression::Number(1 + rng::below(rng, largest))).collect();
    while parts.len() > 1 {
        let index = rng::below(rng, parts.len() as u32 - 1) as usize;
        let operator = OPERATORS[rng::below(rng, OPERATORS.len() as u32) as usize];
        let right = parts.remove(index + 1);
        let left = std::mem::replace(&mut parts[index], Expression::Number(0));
        parts[index] = Expression::binary(operator, left, right);
    }
    // The text leaves out parentheses that make no difference, so its steps and their results are
    // what counts.
    let text = parts.pop()?.to_string();
    let value = checked_value(&Expression::parse(&text).ok()?)?;
    Some(Problem {
        id: format!("{PREFIX}{text}"),
        prompt: prompt(&text),
        answer: value.to_string(),
    })
}

/// The value of an expression all of whose results are within the limits.
fn checked_value(expression: &Expression) -> Option<i64> {
    match expression {
        Expression::Number(number) => Some(i64::from(*number)),
        Expression::Negate(inner) => checked_value(inner).map(|value| -value),
        Expression::Binary { operator, left, right } => {
            combined(*operator, checked_value(left)?, checked_value(right)?)
        }
    }
}

/// The result of one step, if it is within the limits.
fn combined(operator: Operator, left: i64, right: i64) -> Option<i64> {
    let result =
        operator.apply(Rational::from_integer(left), Rational::from_integer(right)).ok()?;
    (result.is_integer() && result.numer().abs() <= MAX_RESULT).then(|| *result.numer())
}

/// A part of an expression: its value as soon as that is known, or the operation that gives it.
#[derive(Clone, Copy)]
enum Node {
    Value(i64),
    Operation { operator: Operator, left: usize, right: usize },
}

/// Appends the nodes of `expression` and returns the position of its root; `None` for a sign before
/// an operation, which no step can express.
fn flatten(expression: &Expression, nodes: &mut Vec<Node>) -> Option<usize> {
    let node = match expression {
        Expression::Number(number) => Node::Value(i64::from(*number)),
        Expression::Negate(inner) => match **inner {
            Expression::Number(number) => Node::Value(-i64::from(number)),
            _ => return None,
        },
        Expression::Binary { operator, left, right } => Node::Operation {
            operator: *operator,
            left: flatten(left, nodes)?,
            right: flatten(right, nodes)?,
        },
    };
    nodes.push(node);
    Some(nodes.len() - 1)
}

/// Operator and operands of an operation that can be carried out next.
fn step(nodes: &[Node], node: usize) -> Option<(Operator, i64, i64)> {
    let Node::Operation { operator, left, right } = nodes[node] else { return None };
    match (nodes[left], nodes[right]) {
        (Node::Value(left), Node::Value(right)) => Some((operator, left, right)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Domain;
    use crate::tasks::split_of;
    use proptest::proptest;
    use std::collections::{BTreeMap, BTreeSet};

    fn default_task() -> Arithmetic {
        Arithmetic::new(3, 9).unwrap()
    }

    fn named(id: &str) -> Problem {
        Problem { id: id.into(), prompt: String::new(), answer: String::new() }
    }

    fn verdict(question: &str, completion: &str) -> Verdict {
        default_task().verify(&named(&format!("arithmetic/{question}")), completion).verdict
    }

    #[test]
    fn no_prompt_is_longer_than_the_longest() {
        assert_eq!(nested(9, Operator::Subtract, true, 3), "9-(9-(9-9))");
        assert_eq!(nested(9, Operator::Subtract, false, 3), "((9-9)-9)-9");
        assert_eq!(nested(9, Operator::Add, true, 1), "9+9");
        let tokenizer = TextTokenizer::bytes_and_words(&["Evaluate "]).unwrap();
        for (operations, largest) in [(1, 9), (3, 12), (8, 20)] {
            let task = Arithmetic::new(operations, largest).unwrap();
            let longest = task.longest_prompt(0, &tokenizer).unwrap();
            // Numbers, signs, parentheses, the first word, the full stop and the newline.
            let digits = largest.to_string().len();
            assert_eq!(longest, digits * (operations + 1) + operations + 2 * (operations - 1) + 3);
            let length = |index| {
                tokenizer.encode(&task.problem(Split::Train, 0, index).prompt).unwrap().len()
            };
            assert!((0..2000).all(|index| length(index) <= longest));
        }
    }

    #[test]
    fn answers_are_the_same_where_they_are_equal_numbers() {
        let task = Arithmetic::new(2, 20).unwrap();
        let problem = task.problem(Split::Train, 0, 0);
        let same = |one, other| task.same_answer(&problem, one, other);
        assert!(same("14/2", " 7 "));
        assert!(!same("3+4", "7"), "an expression is not a number");
        assert!(same("3 + 4", "3+4"));
    }

    #[test]
    fn problems_have_the_documented_form() {
        for operations in 1..=MAX_OPERATIONS {
            let task = Arithmetic::new(operations, 12).unwrap();
            for index in 0..200 {
                let problem = task.problem(Split::Train, 1, index);
                let text = problem.id.strip_prefix("arithmetic/").unwrap();
                assert_eq!(problem.prompt, format!("Evaluate {text}.\n"));
                let expression = Expression::parse(text).unwrap();
                assert_eq!(expression.to_string(), text);
                assert_eq!(expression.evaluate().unwrap().to_string(), problem.answer);
                let numbers = expression.numbers();
                assert!(
                    numbers.len() == operations + 1
                        && numbers.iter().all(|number| (1..=12).contains(number))
                );
                assert!(!text.contains("--") && !text.contains('/'));
            }
        }
    }

    #[test]
    fn only_numbers_of_the_exact_value_are_right() {
        for (question, completion, expected) in [
            ("3+4*(2-1)", "2-1=1\n4*1=4\n3+4=7\n\\boxed{7}", Verdict::Correct),
            ("3+4*(2-1)", r"\boxed{14/2}", Verdict::Correct),
            ("3+4*(2-1)", r"\boxed{-14/-2}", Verdict::Correct),
            ("3+4*(2-1)", r"\boxed{7}\boxed{8}", Verdict::Incorrect),
            ("3+4*(2-1)", r"\boxed{8}\boxed{ 7 }", Verdict::Correct),
            ("3+4*(2-1)", r"\boxed{3+4*(2-1)}", Verdict::Incorrect),
            ("3+4*(2-1)", r"\boxed{3+4}", Verdict::Incorrect),
            ("3+4*(2-1)", r"\boxed{--7}", Verdict::Incorrect),
            ("3+4*(2-1)", r"\boxed{14/4*2}", Verdict::Incorrect),
            ("3+4*(2-1)", r"\boxed{7/0}", Verdict::Incorrect),
            ("3+4*(2-1)", r"\boxed{-7}", Verdict::Incorrect),
            ("3+4*(2-1)", r"\boxed{3,4,7}", Verdict::Incorrect),
            ("3+4*(2-1)", r"\boxed{}", Verdict::NoAnswer),
            ("3+4*(2-1)", "3+4*(2-1)=7", Verdict::NoAnswer),
            ("2-5", r"\boxed{-3}", Verdict::Correct),
            ("2-5", r"\boxed{2-5}", Verdict::Incorrect),
            ("1/0", r"\boxed{1/0}", Verdict::Incorrect),
            ("", r"\boxed{}", Verdict::NoAnswer),
            ("", r"\boxed{0}", Verdict::Incorrect),
        ] {
            assert_eq!(verdict(question, completion), expected, "{question} {completion}");
        }
    }

    #[test]
    fn worked_solutions_are_right_and_every_line_is_true() {
        for (operations, largest) in [(1, 99), (2, 9), (3, 9), (5, 13), (8, 99)] {
            let task = Arithmetic::new(operations, largest).unwrap();
            let mut rng = rng::stream(9, Domain::Tests, [0; 3]);
            for index in 0..500 {
                let split = if index % 2 == 0 { Split::Train } else { Split::HeldOut };
                let problem = task.problem(split, 9, index);
                let solution = task.worked_solution(&problem, &mut rng).unwrap();
                assert_eq!(
                    task.verify(&problem, &solution).verdict,
                    Verdict::Correct,
                    "{}\n{solution}",
                    problem.id
                );
                let lines: Vec<&str> = solution.lines().collect();
                assert!(
                    lines.len() == operations + 1
                        && !solution.ends_with('\n')
                        && !solution.contains(' ')
                );
                assert_eq!(lines[operations], format!(r"\boxed{{{}}}", problem.answer));
                for line in &lines[..operations] {
                    let (step, result) = line.split_once('=').unwrap();
                    let result: i64 = result.parse().unwrap();
                    assert_eq!(
                        Expression::parse(step).unwrap().evaluate().unwrap(),
                        Rational::from_integer(result)
                    );
                    assert!(result.abs() <= MAX_RESULT);
                }
            }
        }
    }

    #[test]
    fn independent_steps_come_in_any_order() {
        let mut rng = rng::stream(2, Domain::Tests, [0; 3]);
        let problem = named("arithmetic/(1+2)*(3-4)");
        let solutions: BTreeSet<String> =
            (0..50).map(|_| default_task().worked_solution(&problem, &mut rng).unwrap()).collect();
        let expected =
            ["1+2=3\n3-4=-1\n3*-1=-3\n\\boxed{-3}", "3-4=-1\n1+2=3\n3*-1=-3\n\\boxed{-3}"];
        assert_eq!(solutions, expected.map(String::from).into());
        let dependent = named("arithmetic/3+4*(2-1)");
        let solution = default_task().worked_solution(&dependent, &mut rng).unwrap();
        assert_eq!(solution, "2-1=1\n4*1=4\n3+4=7\n\\boxed{7}");
    }

    #[test]
    fn foreign_problems_have_no_worked_solution() {
        let mut rng = rng::stream(0, Domain::Tests, [0; 3]);
        for id in [
            "",
            "arithmetic/",
            "countdown/1,2=3",
            "arithmetic/1/2",
            "arithmetic/1/0",
            "arithmetic/99999*9",
            "arithmetic/-(1+2)",
        ] {
            assert_eq!(default_task().worked_solution(&named(id), &mut rng), None, "{id}");
        }
    }

    #[test]
    fn bad_settings_are_named() {
        let message =
            |operations, largest| Arithmetic::new(operations, largest).unwrap_err().to_string();
        assert_eq!(message(0, 9), "the field `task.operations` is 0; it must be between 1 and 8");
        assert_eq!(message(9, 9), "the field `task.operations` is 9; it must be between 1 and 8");
        assert_eq!(
            message(3, 1000),
            "the field `task.largest` is 1000; it must be between 2 and 999"
        );
        assert!(message(1, 2).contains("problem has these settings"));
        assert!(Arithmetic::new(8, 999).is_ok() && Arithmetic::new(1, 9).is_ok());
    }

    #[test]
    fn the_splits_share_no_problem_and_a_problem_depends_on_its_index_alone() {
        let task = default_task();
        let mut split_of_id: BTreeMap<String, Split> = BTreeMap::new();
        for seed in [0, 1, u64::MAX] {
            for split in [Split::Train, Split::HeldOut] {
                for index in (0..1000).rev() {
                    let problem = task.problem(split, seed, index);
                    assert_eq!(split_of(&problem.id), split);
                    assert_eq!(*split_of_id.entry(problem.id).or_insert(split), split);
                }
            }
        }
        let forwards: Vec<Problem> =
            (0..50).map(|index| task.problem(Split::HeldOut, 3, index)).collect();
        let backwards: Vec<Problem> =
            (0..50).rev().map(|index| default_task().problem(Split::HeldOut, 3, index)).collect();
        assert!(forwards.iter().eq(backwards.iter().rev()));
    }

    proptest! {
        #[test]
        fn no_completion_panics(completion in r"(\\boxed\{|[0-9+*/()}-]|\PC){0,60}", id in r"(arithmetic/)?[0-9+*/()-]{0,20}") {
            default_task().verify(&named(&id), &completion);
            default_task().worked_solution(&named(&id), &mut rng::stream(0, Domain::Tests, [0; 3]));
        }
    }
}
