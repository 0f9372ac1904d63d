//! Countdown: combine all the given numbers with `+ - * /` to make a target.
//!
//! ```text
//! Use 4 7 9 2 to make 39.      <- the prompt, and a newline
//! 4*7=28                       <- steps, one per line
//! 28+9=37
//! 37+2=39
//! \boxed{4*7+9+2}              <- the answer: each given number exactly once, value exactly the target
//! ```
//!
//! A problem's name, `countdown/2,4,7,9=39`, holds its numbers in ascending order and its target.
//! Verifier and solver read these from the name alone, so problems with the same name are the same
//! problem in whatever order the prompt lists the numbers.

use super::procedural::{FallbackProblems, check_range};
use super::{Problem, Split, Task, same_text};
use crate::error::{Error, Result};
use crate::model::TextTokenizer;
use crate::rng;
use crate::verify::expression::{Expression, Operator, Rational};
use crate::verify::{Verdict, Verification, boxed::last_boxed};
use rand_chacha::ChaCha8Rng;
use std::fmt::Write;

/// The most numbers in a problem.
const MAX_NUMBERS: usize = 6;

/// Intermediate results of generated problems and worked solutions are integers from 1 to this.
const MAX_RESULT: u32 = 999;

/// The largest number that may be given.
const MAX_LARGEST: u32 = 100;

/// Levels of difficulty: level l has problems that 2^l to 2^(l+1) - 1 ways lead to, the last one
/// all with more.
const LEVELS: usize = 7;

const OPERATORS: [Operator; 4] =
    [Operator::Add, Operator::Subtract, Operator::Multiply, Operator::Divide];

/// The countdown task. Its settings are checked once, by [`Countdown::new`], and hold from then on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Countdown {
    numbers: usize,
    target: (u32, u32),
    largest: u32,
    fallbacks: FallbackProblems,
}

impl Countdown {
    /// Problems with this many `numbers` (2 to 6) from 1 to `largest` (2 to 100) and a target
    /// between the two of `target`, both included (1 to 999).
    ///
    /// Settings that are out of range, or that hardly any problem has, are an input error.
    pub fn new(numbers: usize, target: (u32, u32), largest: u32) -> Result<Self> {
        check_range("task.numbers", numbers, 2..=MAX_NUMBERS)?;
        check_range("task.largest", largest, 2..=MAX_LARGEST)?;
        check_range("task.target.0", target.0, 1..=MAX_RESULT)?;
        check_range("task.target.1", target.1, 1..=MAX_RESULT)?;
        if target.0 > target.1 {
            let problem = format!(
                "is ({}, {}); the first must not be larger than the second",
                target.0, target.1
            );
            return Err(Error::field("task.target", problem));
        }
        let settings = format!(
            "countdown: `numbers` = {numbers}, `target` = ({}, {}), `largest` = {largest}",
            target.0, target.1
        );
        let fallbacks =
            FallbackProblems::prove(&settings, |rng| draw(numbers, target, largest, rng))?;
        Ok(Self { numbers, target, largest, fallbacks })
    }

    /// How many numbers a problem has.
    pub fn numbers(&self) -> usize {
        self.numbers
    }

    /// The smallest and the largest target.
    pub fn target(&self) -> (u32, u32) {
        self.target
    }

    /// The largest number that may be given; the smallest is 1.
    pub fn largest(&self) -> u32 {
        self.largest
    }
}

impl Task for Countdown {
    fn name(&self) -> &'static str {
        "countdown"
    }

    fn problem(&self, split: Split, seed: u64, index: u64) -> Problem {
        self.fallbacks
            .problem(split, seed, index, |rng| draw(self.numbers, self.target, self.largest, rng))
    }

    /// Numbers are told apart by spaces, so each of them takes as many tokens as it does alone: the
    /// longest prompt repeats the number that takes most.
    fn longest_prompt(&self, _: u64, tokenizer: &TextTokenizer) -> Result<usize> {
        let longest = |numbers: std::ops::RangeInclusive<u32>| -> Result<u32> {
            let lengths =
                numbers.map(|number| Ok((tokenizer.encode(&format!(" {number} "))?.len(), number)));
            Ok(lengths
                .collect::<Result<Vec<_>>>()?
                .into_iter()
                .max()
                .map_or(1, |(_, number)| number))
        };
        let (number, target) =
            (longest(1..=self.largest)?, longest(self.target.0..=self.target.1)?);
        Ok(tokenizer.encode(&prompt(&joined(&vec![number; self.numbers], " "), target))?.len())
    }

    /// A problem whose name is not a countdown's has no right answer.
    fn verify(&self, problem: &Problem, completion: &str) -> Verification {
        let Some(answer) = last_boxed(completion) else {
            return Verification { verdict: Verdict::NoAnswer, extracted: None };
        };
        let correct =
            Puzzle::from_id(&problem.id).is_some_and(|puzzle| puzzle.is_solved_by(answer));
        let verdict = if correct { Verdict::Correct } else { Verdict::Incorrect };
        Verification { verdict, extracted: Some(answer.to_owned()) }
    }

    /// By the number of ways to the target. The bundled model at temperature 1 solves 0, 5, 8, 13,
    /// 27, 36 and 47 % of the problems of levels 0 to 6 (384 problems of the default settings, 8
    /// completions each); targets say less: 28 % up to 10 and 14 % beyond 50.
    fn levels(&self) -> usize {
        LEVELS
    }

    fn level(&self, problem: &Problem) -> usize {
        let ways = Puzzle::from_id(&problem.id)
            .map_or(0, |puzzle| ways(&puzzle.numbers, puzzle.target, 1 << (LEVELS - 1)));
        ways.checked_ilog2().unwrap_or(0) as usize
    }

    /// Expressions that use the given numbers as asked are the same answer where their values are
    /// equal, whatever the target is; any other answer is the same as itself only.
    fn same_answer(&self, problem: &Problem, one: &str, other: &str) -> bool {
        let value = |answer| Puzzle::from_id(&problem.id).and_then(|puzzle| puzzle.value(answer));
        match (value(one), value(other)) {
            (None, None) => same_text(one, other),
            (one, other) => one == other,
        }
    }

    /// The expression's canonical form: the order of operands and brackets that change nothing do not
    /// count.
    fn strategy(&self, _: &Problem, answer: &str) -> Option<String> {
        Expression::parse(answer).ok().map(|expression| expression.canonical())
    }

    fn tells_strategies(&self) -> bool {
        true
    }

    /// Drawn from four equally likely strategies, each with a random order of trying: any steps,
    /// steps that each continue with the result before, two pairs first, and products first. `None`
    /// where the problem has no solution within the limits of generated problems.
    fn worked_solution(&self, problem: &Problem, rng: &mut ChaCha8Rng) -> Option<String> {
        let puzzle =
            Puzzle::from_id(&problem.id).filter(|puzzle| puzzle.numbers.len() <= MAX_NUMBERS)?;
        let strategy = Strategy::ALL[rng::below(rng, Strategy::ALL.len() as u32) as usize];
        let mut search = Search::new(&puzzle, strategy);
        let mut found = search.run(rng);
        if !found && strategy != Strategy::Free {
            search = Search::new(&puzzle, Strategy::Free);
            found = search.run(rng);
        }
        found.then(|| search.written_out(rng))
    }
}

/// What a problem's name says.
struct Puzzle {
    /// In ascending order.
    numbers: Vec<u32>,
    target: u32,
}

impl Puzzle {
    fn id(&self) -> String {
        format!("countdown/{}={}", joined(&self.numbers, ","), self.target)
    }

    fn from_id(id: &str) -> Option<Self> {
        let (numbers, target) = id.strip_prefix("countdown/")?.split_once('=')?;
        let mut numbers =
            numbers.split(',').map(str::parse).collect::<Result<Vec<u32>, _>>().ok()?;
        numbers.sort_unstable();
        Some(Self { numbers, target: target.parse().ok()? })
    }

    fn is_solved_by(&self, answer: &str) -> bool {
        self.value(answer) == Some(Rational::from_integer(i64::from(self.target)))
    }

    /// The value of an expression that uses each given number exactly once; `None` for any other
    /// text.
    fn value(&self, answer: &str) -> Option<Rational> {
        let expression = Expression::parse(answer).ok()?;
        let mut used = expression.numbers();
        used.sort_unstable();
        if used == self.numbers { expression.evaluate().ok() } else { None }
    }
}

fn joined(numbers: &[u32], separator: &str) -> String {
    numbers.iter().map(u32::to_string).collect::<Vec<_>>().join(separator)
}

fn prompt(numbers: &str, target: u32) -> String {
    format!("Use {numbers} to make {target}.\n")
}

/// Draws numbers and combines random pairs of them until one is left, each time with one of the
/// operators that are possible; `None` where that one is not a target.
fn draw(count: usize, target: (u32, u32), largest: u32, rng: &mut ChaCha8Rng) -> Option<Problem> {
    let given: Vec<u32> = (0..count).map(|_| 1 + rng::below(rng, largest)).collect();
    let mut rest = given.clone();
    while rest.len() > 1 {
        let mut take = || {
            let index = rng::below(rng, rest.len() as u32) as usize;
            rest.swap_remove(index)
        };
        let (a, b) = (take(), take());
        let results: Vec<u32> = OPERATORS
            .into_iter()
            .filter_map(|operator| combined(operator, a.max(b), a.min(b)))
            .collect();
        rest.push(*results.get(rng::below(rng, results.len() as u32) as usize)?);
    }
    let made = rest.pop().filter(|made| (target.0..=target.1).contains(made))?;
    let list = joined(&given, " ");
    let mut numbers = given;
    numbers.sort_unstable();
    Some(Problem {
        id: Puzzle { numbers, target: made }.id(),
        prompt: prompt(&list, made),
        answer: format!("an expression that uses {list} once each and equals {made}"),
    })
}

/// The result for `large >= small >= 1`, if it is an integer within the limits.
fn combined(operator: Operator, large: u32, small: u32) -> Option<u32> {
    let result = match operator {
        Operator::Add => large.checked_add(small)?,
        Operator::Subtract => large.checked_sub(small)?,
        Operator::Multiply => large.checked_mul(small)?,
        Operator::Divide if small > 0 && large.is_multiple_of(small) => large / small,
        Operator::Divide => return None,
    };
    (1..=MAX_RESULT).contains(&result).then_some(result)
}

/// In how many ways steps within the limits lead from `numbers` to `target`, counted up to `most`:
/// each step combines any two of the values that are left, so solutions whose steps come in another
/// order are ways of their own.
fn ways(numbers: &[u32], target: u32, most: usize) -> usize {
    if let [only] = *numbers {
        return usize::from(only == target);
    }
    let mut found = 0;
    let mut rest = Vec::with_capacity(numbers.len() - 1);
    for (position, &first) in numbers.iter().enumerate() {
        for (before, &second) in numbers[..position].iter().enumerate() {
            for operator in OPERATORS {
                let Some(result) = combined(operator, first.max(second), first.min(second)) else {
                    continue;
                };
                rest.clear();
                rest.extend(
                    numbers
                        .iter()
                        .enumerate()
                        .filter(|(i, _)| ![position, before].contains(i))
                        .map(|(_, n)| *n),
                );
                rest.push(result);
                found += ways(&rest, target, most - found);
                if found == most {
                    return found;
                }
            }
        }
    }
    found
}

/// How a worked solution goes about it. Which pair comes first, which operator, and so the order of
/// steps that do not depend on each other, is random in all of them, as is the order of the
/// operands of `+` and `*`.
///
/// Where a problem has no solution of a kind, the solution is a free one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Strategy {
    /// Any pair, any operator.
    Free,
    /// Each step continues with the result of the step before: `4*7=28`, `28+9=37`, `37+2=39`.
    Chain,
    /// The second step is made of two other numbers than the first: `4*9=36`, `7-2=5`. For four
    /// numbers or more.
    Pairs,
    /// Products and quotients are tried before sums and differences, at every step.
    ProductsFirst,
}

impl Strategy {
    const ALL: [Self; 4] = [Self::Free, Self::Chain, Self::Pairs, Self::ProductsFirst];
}

/// One step: two earlier values, by their position in [`Search::values`].
#[derive(Clone, Copy)]
struct Move {
    operator: Operator,
    left: usize,
    right: usize,
    result: u32,
}

/// A depth-first search in random order over all ways to combine two values at a time; it stops at
/// the first solution.
struct Search {
    strategy: Strategy,
    target: u32,
    given: usize,
    /// The given numbers, then the result of every step so far.
    values: Vec<u32>,
    /// The steps so far; step `k` makes value `given + k`.
    steps: Vec<Move>,
    /// The values that are not used up.
    live: Vec<usize>,
}

impl Search {
    fn new(puzzle: &Puzzle, strategy: Strategy) -> Self {
        let given = puzzle.numbers.len();
        Self {
            strategy,
            target: puzzle.target,
            given,
            values: puzzle.numbers.clone(),
            steps: Vec::with_capacity(given),
            live: (0..given).collect(),
        }
    }

    /// Whether a solution was found; its steps are then in `steps`.
    fn run(&mut self, rng: &mut ChaCha8Rng) -> bool {
        if let [only] = *self.live {
            return self.values[only] == self.target;
        }
        let mut moves = self.moves();
        rng::shuffle(rng, &mut moves);
        if self.strategy == Strategy::ProductsFirst {
            moves.sort_by_key(|step| {
                !matches!(step.operator, Operator::Multiply | Operator::Divide)
            });
        }
        for step in moves {
            let before = self.live.clone();
            self.live.retain(|value| ![step.left, step.right].contains(value));
            self.live.push(self.values.len());
            self.values.push(step.result);
            self.steps.push(step);
            if self.run(rng) {
                return true;
            }
            self.steps.pop();
            self.values.pop();
            self.live = before;
        }
        false
    }

    /// The steps that can come next; of the last steps only those that make the target.
    fn moves(&self) -> Vec<Move> {
        let newest = (!self.steps.is_empty()).then(|| self.values.len() - 1);
        let is_last = self.live.len() == 2;
        let mut moves = Vec::with_capacity(if is_last { 4 } else { 64 });
        for (position, &first) in self.live.iter().enumerate() {
            for &second in &self.live[..position] {
                let continues = newest.is_none_or(|newest| newest == first || newest == second);
                let allowed = match self.strategy {
                    Strategy::Chain => continues,
                    Strategy::Pairs => self.given < 4 || self.steps.len() != 1 || !continues,
                    Strategy::Free | Strategy::ProductsFirst => true,
                };
                if !allowed {
                    continue;
                }
                let (left, right) = if self.values[first] < self.values[second] {
                    (second, first)
                } else {
                    (first, second)
                };
                moves.extend(OPERATORS.into_iter().filter_map(|operator| {
                    combined(operator, self.values[left], self.values[right])
                        .filter(|result| !is_last || *result == self.target)
                        .map(|result| Move { operator, left, right, result })
                }));
            }
        }
        moves
    }

    /// The steps, one per line, and the boxed expression; the operands of `+` and `*` change places
    /// at random.
    fn written_out(mut self, rng: &mut ChaCha8Rng) -> String {
        let mut text = String::with_capacity(96);
        for step in &mut self.steps {
            if step.operator.is_commutative() && rng::below(rng, 2) == 1 {
                (step.left, step.right) = (step.right, step.left);
            }
            let (left, right) = (self.values[step.left], self.values[step.right]);
            // Writing to a string does not fail.
            writeln!(text, "{left}{}{right}={}", step.operator.symbol(), step.result).ok();
        }
        write!(text, r"\boxed{{{}}}", self.expression(self.values.len() - 1)).ok();
        text
    }

    /// How value number `value` came about, in terms of the given numbers.
    fn expression(&self, value: usize) -> Expression {
        match value.checked_sub(self.given).and_then(|step| self.steps.get(step)) {
            Some(step) => Expression::binary(
                step.operator,
                self.expression(step.left),
                self.expression(step.right),
            ),
            None => Expression::Number(self.values[value]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Domain;
    use proptest::proptest;
    use std::collections::{BTreeMap, BTreeSet};
    use std::time::Instant;

    fn default_task() -> Countdown {
        Countdown::new(4, (1, 99), 13).unwrap()
    }

    fn puzzle(numbers: &str, target: u32) -> Problem {
        Problem {
            id: format!("countdown/{numbers}={target}"),
            prompt: String::new(),
            answer: String::new(),
        }
    }

    fn verdict(problem: &Problem, completion: &str) -> Verdict {
        default_task().verify(problem, completion).verdict
    }

    #[test]
    fn no_prompt_is_longer_than_the_longest() {
        let tokenizer = TextTokenizer::bytes_and_words(&["Use ", " to make "]).unwrap();
        for (numbers, target, largest, expected) in
            [(4, (1, 99), 13, 17), (2, (1, 9), 9, 8), (6, (1, 999), 100, 30)]
        {
            let task = Countdown::new(numbers, target, largest).unwrap();
            let longest = task.longest_prompt(0, &tokenizer).unwrap();
            assert_eq!(longest, expected, "{numbers} {target:?} {largest}");
            let length = |index| {
                tokenizer.encode(&task.problem(Split::Train, 0, index).prompt).unwrap().len()
            };
            assert!((0..2000).all(|index| length(index) <= longest));
        }
    }

    #[test]
    fn levels_go_by_the_number_of_ways_to_the_target() {
        // Counted apart from this, in Python.
        for (numbers, target, expected) in [
            (&[1, 2][..], 3, 1),
            (&[2, 2], 4, 2),
            (&[2, 3, 6], 6, 4),
            (&[4, 7, 9, 2], 39, 4),
            (&[1; 4], 4, 24),
            (&[1, 2, 3, 4], 24, 41),
            (&[10, 11, 12, 13], 99, 3),
            (&[1, 2, 3, 4, 5], 60, 111),
        ] {
            assert_eq!(ways(numbers, target, usize::MAX), expected, "{numbers:?} {target}");
            assert_eq!(ways(numbers, target, 3), expected.min(3), "{numbers:?} {target}");
        }
        let level = |numbers, target| default_task().level(&puzzle(numbers, target));
        assert_eq!(
            [level("10,11,12,13", 99), level("2,4,7,9", 39), level("1,2,3,4", 24)],
            [1, 2, 5]
        );
        assert_eq!([level("1,2,3,4,5", 60), level("1,2", 9)], [6, 0]);
        let task = default_task();
        let found: BTreeSet<usize> =
            (0..300).map(|index| task.level(&task.problem(Split::Train, 0, index))).collect();
        assert!(found.into_iter().eq(0..task.levels()));
    }

    #[test]
    fn answers_are_the_same_where_proper_expressions_have_equal_values() {
        let same = |one, other| default_task().same_answer(&puzzle("2,3,4", 20), one, other);
        assert!(same("4 * (3+2)", "(2+3)*4"));
        assert!(same("2/(3*4)", "2/3/4"));
        assert!(!same("2/(3*4)", "2*3/4"));
        assert!(!same("20", "(2+3)*4"), "a number alone does not use what was given");
        assert!(same("5 * 4", "5*4"));
        assert!(!same("5*4", "4*5"));
    }

    #[test]
    fn problems_have_the_documented_form() {
        let problem = default_task().problem(Split::Train, 1, 0);
        let (list, target) =
            problem.prompt.strip_prefix("Use ").unwrap().split_once(" to make ").unwrap();
        let target = target.strip_suffix(".\n").unwrap();
        let mut numbers: Vec<u32> = list.split(' ').map(|number| number.parse().unwrap()).collect();
        assert_eq!(
            problem.answer,
            format!("an expression that uses {list} once each and equals {target}")
        );
        numbers.sort_unstable();
        assert_eq!(problem.id, format!("countdown/{}={target}", joined(&numbers, ",")));
        assert!(numbers.len() == 4 && numbers.iter().all(|number| (1..=13).contains(number)));
        assert!((1..=99).contains(&target.parse::<u32>().unwrap()));
    }

    #[test]
    fn only_expressions_with_every_number_once_and_the_exact_value_are_right() {
        let problem = puzzle("2,4,7,9", 39);
        for (completion, expected) in [
            ("4*7=28\n28+9=37\n37+2=39\n\\boxed{4*7+9+2}", Verdict::Correct),
            (r"\boxed{2 + 9 + (7 \times 4)}", Verdict::Correct),
            (r"\boxed{4*7+9+2} thus \boxed{9+2+4*7}", Verdict::Correct),
            (r"\boxed{4*7+9+2} or \boxed{4*7+9*2}", Verdict::Incorrect),
            (r"\boxed{4*7+9*2} \boxed{4*7+9+2} \boxed{39}", Verdict::Incorrect),
            (r"\boxed{39}", Verdict::Incorrect),
            (r"\boxed{4*7+9+2=39}", Verdict::Incorrect),
            (r"\boxed{4*7+9+1+1}", Verdict::Incorrect),
            (r"\boxed{4*9+7-4}", Verdict::Incorrect),
            (r"\boxed{4*9+7/2}", Verdict::Incorrect),
            (r"\boxed{4*7+9+2+2-2}", Verdict::Incorrect),
            (r"\boxed{4*7+9+2*1}", Verdict::Incorrect),
            (r"\boxed{47-9+2-1}", Verdict::Incorrect),
            (r"\boxed{4*7+9+2+0}", Verdict::Incorrect),
            (r"\boxed{4*7+9+2/0}", Verdict::Incorrect),
            (r"\boxed{seven}", Verdict::Incorrect),
            (r"\boxed{}", Verdict::NoAnswer),
            (r"\boxed{4*7+9+2", Verdict::NoAnswer),
            ("4*7+9+2=39", Verdict::NoAnswer),
            ("", Verdict::NoAnswer),
        ] {
            assert_eq!(verdict(&problem, completion), expected, "{completion}");
        }
        assert_eq!(
            verdict(&puzzle("3,3,8,8", 24), r"\boxed{8/(3-8/3)}"),
            Verdict::Correct,
            "fractions on the way"
        );
        assert_eq!(verdict(&puzzle("7,7", 14), r"\boxed{7+7}"), Verdict::Correct, "equal numbers");
        assert_eq!(
            verdict(&puzzle("7,7", 7), r"\boxed{7}"),
            Verdict::Incorrect,
            "equal numbers, one used"
        );
        assert_eq!(
            default_task().verify(&problem, r"\boxed{ 39 }"),
            Verification { verdict: Verdict::Incorrect, extracted: Some("39".into()) }
        );
    }

    #[test]
    fn a_foreign_problem_has_no_right_answer_and_no_solution() {
        let mut rng = rng::stream(0, Domain::Tests, [0; 3]);
        for id in [
            "",
            "countdown/",
            "countdown/1,2",
            "countdown/=3",
            "countdown/1,x=3",
            "arithmetic/1+2",
            "countdown/1,2=-1",
        ] {
            let problem = Problem { id: id.into(), prompt: String::new(), answer: String::new() };
            assert_eq!(verdict(&problem, r"\boxed{1+2}"), Verdict::Incorrect);
            assert_eq!(default_task().worked_solution(&problem, &mut rng), None);
        }
        assert_eq!(default_task().worked_solution(&puzzle("1,1", 99), &mut rng), None);
        assert_eq!(default_task().worked_solution(&puzzle("0,0", 1), &mut rng), None);
        assert_eq!(default_task().worked_solution(&puzzle("1,1,1,1,1,1,1,1,1", 9), &mut rng), None);
    }

    #[test]
    fn bad_settings_are_named() {
        let message = |numbers, target, largest| {
            Countdown::new(numbers, target, largest).unwrap_err().to_string()
        };
        assert_eq!(
            message(1, (1, 99), 13),
            "the field `task.numbers` is 1; it must be between 2 and 6"
        );
        assert_eq!(
            message(7, (1, 99), 13),
            "the field `task.numbers` is 7; it must be between 2 and 6"
        );
        assert_eq!(
            message(4, (0, 99), 13),
            "the field `task.target.0` is 0; it must be between 1 and 999"
        );
        assert_eq!(
            message(4, (1, 1000), 13),
            "the field `task.target.1` is 1000; it must be between 1 and 999"
        );
        assert_eq!(
            message(4, (1, 99), 0),
            "the field `task.largest` is 0; it must be between 2 and 100"
        );
        assert!(message(4, (50, 40), 13).contains("`task.target` is (50, 40)"));
        let none = message(2, (900, 999), 13);
        assert!(
            none.starts_with(
                "countdown: `numbers` = 2, `target` = (900, 999), `largest` = 13: (almost) no"
            ),
            "{none}"
        );
        assert!(Countdown::new(2, (1, 1), 2).is_err(), "three problems are too few for two splits");
        assert!(Countdown::new(6, (1, 999), 100).is_ok() && Countdown::new(2, (1, 99), 13).is_ok());
    }

    #[test]
    fn the_splits_share_no_problem_whatever_the_seed_and_a_tenth_is_held_out() {
        let task = default_task();
        let mut split_of_id: BTreeMap<String, Split> = BTreeMap::new();
        for seed in [0, 1, u64::MAX] {
            for split in [Split::Train, Split::HeldOut] {
                for index in 0..1500 {
                    let id = task.problem(split, seed, index).id;
                    assert_eq!(*split_of_id.entry(id).or_insert(split), split);
                }
            }
        }
        // Of freely drawn problems, before they are dealt to the splits, a tenth is held out.
        let mut rng = rng::stream(5, Domain::Tests, [0; 3]);
        let drawn: Vec<Problem> =
            (0..40_000).filter_map(|_| draw(4, (1, 99), 13, &mut rng)).collect();
        let held_out = drawn
            .iter()
            .filter(|problem| super::super::split_of(&problem.id) == Split::HeldOut)
            .count();
        let share = held_out as f64 / drawn.len() as f64;
        assert!((0.09..0.11).contains(&share), "{share}");
    }

    #[test]
    fn a_problem_depends_on_split_seed_and_index_alone() {
        let task = default_task();
        let forwards: Vec<Problem> =
            (0..50).map(|index| task.problem(Split::Train, 3, index)).collect();
        let other = default_task();
        let backwards: Vec<Problem> =
            (0..50).rev().map(|index| other.problem(Split::Train, 3, index)).collect();
        assert!(forwards.iter().eq(backwards.iter().rev()));
        let distinct: BTreeSet<&str> = forwards.iter().map(|problem| problem.id.as_str()).collect();
        assert!(distinct.len() > 45);
        assert_ne!(task.problem(Split::Train, 4, 0), forwards[0]);
        assert_ne!(task.problem(Split::HeldOut, 3, 0), forwards[0]);
    }

    #[test]
    fn worked_solutions_are_right_and_every_line_is_true() {
        let shares = [(2, 13, 300), (3, 13, 500), (4, 13, 3000), (5, 13, 300), (6, 25, 100)];
        for (numbers, largest, count) in shares {
            let task = Countdown::new(numbers, (1, 99), largest).unwrap();
            let mut rng = rng::stream(9, Domain::Tests, [0; 3]);
            for index in 0..count {
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
                    lines.len() == numbers && !solution.ends_with('\n') && !solution.contains(' ')
                );
                for line in &lines[..numbers - 1] {
                    let (step, result) = line.split_once('=').unwrap();
                    let value = Expression::parse(step).unwrap().evaluate().unwrap();
                    assert_eq!(value, Rational::from_integer(result.parse().unwrap()), "{line}");
                }
            }
        }
    }

    /// Of a solution: whether every step after the first continues with the result before, as far
    /// as the numbers show.
    fn is_chain(solution: &str) -> bool {
        let steps: Vec<_> = solution.lines().filter_map(|line| line.split_once('=')).collect();
        steps
            .windows(2)
            .all(|pair| pair[1].0.split(['+', '-', '*', '/']).any(|operand| operand == pair[0].1))
    }

    #[test]
    fn one_problem_has_many_worked_solutions_of_several_kinds() {
        let task = default_task();
        let problem = puzzle("2,4,7,9", 39);
        let mut rng = rng::stream(2, Domain::Tests, [0; 3]);
        let solutions: Vec<String> =
            (0..500).map(|_| task.worked_solution(&problem, &mut rng).unwrap()).collect();
        let distinct: BTreeSet<&String> = solutions.iter().collect();
        assert!(distinct.len() > 25, "{}", distinct.len());
        let most = distinct
            .iter()
            .map(|one| solutions.iter().filter(|other| other == one).count())
            .max()
            .unwrap();
        assert!(most < 100, "{most}");
        let chains = solutions.iter().filter(|solution| is_chain(solution)).count();
        assert!((150..450).contains(&chains), "{chains}");
        assert!(distinct.iter().any(|solution| solution.ends_with(r"\boxed{4*7+9+2}")));
    }

    #[test]
    fn strategies_keep_their_promises() {
        let mut rng = rng::stream(4, Domain::Tests, [0; 3]);
        let puzzle = Puzzle { numbers: vec![2, 4, 7, 9], target: 39 };
        for _ in 0..100 {
            let mut chain = Search::new(&puzzle, Strategy::Chain);
            assert!(chain.run(&mut rng));
            assert!(is_chain(&chain.written_out(&mut rng)));
            let mut pairs = Search::new(&puzzle, Strategy::Pairs);
            assert!(pairs.run(&mut rng));
            assert!(pairs.steps[1].left < 4 && pairs.steps[1].right < 4);
        }
    }

    #[test]
    fn solving_is_fast_enough_to_pretrain_from() {
        for numbers in [4, 5, 6] {
            let task = Countdown::new(numbers, (1, 99), 13).unwrap();
            let problems: Vec<Problem> =
                (0..1000).map(|index| task.problem(Split::Train, 1, index)).collect();
            let mut rng = rng::stream(1, Domain::Tests, [0; 3]);
            let start = Instant::now();
            let characters: usize = problems
                .iter()
                .map(|problem| task.worked_solution(problem, &mut rng).unwrap().len())
                .sum();
            let rate = problems.len() as f64 / start.elapsed().as_secs_f64();
            eprintln!(
                "{numbers} numbers: {rate:.0} worked solutions per second, {} characters on \
                 average",
                characters / 1000
            );
        }
    }

    proptest! {
        #[test]
        fn no_completion_panics(completion in r"(\\boxed\{|[0-9+*/()}-]|\PC){0,60}", id in r"(countdown/)?[0-9,=-]{0,20}") {
            let problem = Problem { id, prompt: String::new(), answer: String::new() };
            default_task().verify(&problem, &completion);
            default_task().worked_solution(&problem, &mut rng::stream(0, Domain::Tests, [0; 3]));
        }
    }
}
