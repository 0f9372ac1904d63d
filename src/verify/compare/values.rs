//! Expressions by their values: exact forms, floats with bounds, decimals.

use super::comparer::{Comparer, Decided};
use super::kinds::{has_variable, is_integer, substituted};
use crate::verify::approximate::{Comparison, Point, evaluate, float};
use crate::verify::budget::Exhausted;
use crate::verify::simplify::{expanded, is_negative, same_surds, simplify};
use crate::verify::tree::{Decimal, Function, Node, Number};
use num_bigint::BigInt;

/// Significant digits that a decimal must have to stand for a number that it does not equal.
const SIGNIFICANT: u32 = 6;

/// How far floats of numbers of about 1 may be off.
const FLOAT: f64 = 1e-13;

/// Points at which expressions with variables are compared.
pub(super) const POINTS: u64 = 4;

/// Points at which expressions with steps, such as floors of variables, are compared, and how many
/// of them must be beyond doubt.
const STEP_POINTS: u64 = 42;

const STEPS_SEEN: usize = 12;

impl Comparer {
    /// Whether a decimal is a number rounded to its digits.
    pub(super) fn rounds_to(&mut self, exact: &Node, rounded: &Node) -> Decided {
        let (exact, rounded) = (without_unit(exact), without_unit(rounded));
        let Some(decimal) = decimal_of(rounded) else { return Ok(false) };
        self.close(exact, rounded, &decimal.0)
    }

    /// Whether two numbers are less than `step` apart.
    fn close(&mut self, a: &Node, b: &Node, step: &Number) -> Decided {
        let difference =
            simplify(Node::Sum(vec![a.clone(), b.clone().negative()]), &mut self.budget)?;
        if let Node::Number { value, .. } = &difference {
            let size = if is_negative(value) { -value.clone() } else { value.clone() };
            return Ok(size < *step);
        }
        if difference.any(&|part| matches!(part, Node::Variable(_))) {
            return Ok(false);
        }
        let value = evaluate(&difference, Point::Positive(0), &mut self.budget)?;
        // A decimal with more digits than a float has is as close as floats can tell.
        let step = float(step);
        Ok(value.is_real() && value.re.abs() + value.error < step.max(2.0 * value.error.min(FLOAT)))
    }

    /// Expressions: by canonical form, then by value.
    pub(super) fn scalars(&mut self, gold: &Node, answer: &Node) -> Decided {
        let (left, right) = (
            simplify(gold.clone(), &mut self.budget)?,
            simplify(answer.clone(), &mut self.budget)?,
        );
        if left == right {
            return Ok(true);
        }
        let decimal = match (decimal_of(gold), decimal_of(answer)) {
            (Some(a), Some(b)) => Some(if a.0 > b.0 { a } else { b }),
            // An integer is not a rounded number.
            (Some(a), None) if !is_integer(&right) => Some(a),
            (None, Some(b)) if !is_integer(&left) => Some(b),
            _ => None,
        };
        if let Some((step, significant)) = decimal
            && significant >= SIGNIFICANT
        {
            return self.close(&left, &right, &step);
        }
        if matches!((&left, &right), (Node::Number { .. }, Node::Number { .. })) {
            return Ok(false);
        }
        Ok(self.same_values(&left, &right)? || self.same_vectors(&left, &right)?)
    }

    /// Equal values at all points that count: positive and negative ones, or integers where
    /// factorials are involved.
    fn same_values(&mut self, gold: &Node, answer: &Node) -> Decided {
        let has =
            |condition: &dyn Fn(&Node) -> bool| gold.any(&condition) || answer.any(&condition);
        let is_step = |part: &Node| matches!(part, Node::Call(Function::Floor | Function::Ceiling, arguments) if arguments.iter().any(has_variable));
        if has(&|part| matches!(part, Node::Variable(_))) && has(&is_step) {
            return self.same_steps(gold, answer);
        }
        let compared = self.compared(gold, answer)?;
        if matches!(compared, Comparison::Equal | Comparison::Unseen)
            && let Some(same) = same_surds(gold, answer, &mut self.budget)
        {
            return Ok(same);
        }
        match compared {
            Comparison::Equal => Ok(true),
            Comparison::Different | Comparison::Unknown => Ok(false),
            Comparison::Unseen => {
                // From the difference the larger terms are gone.
                let difference = Node::Sum(vec![gold.clone(), answer.clone().negative()]);
                let difference =
                    expanded(simplify(difference, &mut self.budget)?, &mut self.budget)?;
                Ok(self.compared(&difference, &Node::integer(0))? == Comparison::Equal)
            }
        }
    }

    /// How the values of two expressions compare; unknown where too few points tell.
    fn compared(&mut self, gold: &Node, answer: &Node) -> Result<Comparison, Exhausted> {
        if gold == answer {
            return Ok(Comparison::Equal);
        }
        let has =
            |condition: &dyn Fn(&Node) -> bool| gold.any(&condition) || answer.any(&condition);
        if !has(&|part| matches!(part, Node::Variable(_) | Node::Apply(..))) {
            let whole =
                matches!(gold, Node::Number { .. }) || matches!(answer, Node::Number { .. });
            let gold = evaluate(gold, Point::Positive(0), &mut self.budget)?;
            let answer = evaluate(answer, Point::Positive(0), &mut self.budget)?;
            // A number among so many like it that floats do not tell them apart is not known to be
            // the value.
            let unseen = whole && gold.error + answer.error > 0.01;
            return Ok(match gold.compare(answer) {
                Comparison::Equal if unseen => Comparison::Unseen,
                compared => compared,
            });
        }
        let discrete =
            has(&|part| matches!(part, Node::Call(Function::Factorial | Function::Binomial, _)));
        let (mut agreed, mut unseen) = (0, 0);
        for number in 0..POINTS {
            let points = if discrete {
                [Point::Integer(2 * number), Point::Integer(2 * number + 1)]
            } else {
                [Point::Positive(number), Point::Negative(number)]
            };
            for point in points {
                let gold = evaluate(gold, point, &mut self.budget)?;
                let answer = evaluate(answer, point, &mut self.budget)?;
                match gold.compare(answer) {
                    Comparison::Equal => agreed += 1,
                    Comparison::Different
                        if matches!(point, Point::Negative(_))
                            && (gold.branched || answer.branched) => {}
                    Comparison::Different => return Ok(Comparison::Different),
                    Comparison::Unseen => unseen += 1,
                    Comparison::Unknown => {}
                }
            }
        }
        Ok(if agreed >= POINTS - 1 {
            Comparison::Equal
        } else if agreed + unseen >= POINTS - 1 {
            Comparison::Unseen
        } else {
            Comparison::Unknown
        })
    }

    /// Equal values at integers of all sizes, and at fractions and negative numbers too for letters
    /// that are not common names of integers.
    fn same_steps(&mut self, gold: &Node, answer: &Node) -> Decided {
        let mut agreed = 0;
        for number in 0..STEP_POINTS {
            let put = |node: &Node| {
                substituted(node.clone(), &|name| Some(Node::number(sample(name, number))))
            };
            let (gold, answer) =
                (simplify(put(gold), &mut self.budget), simplify(put(answer), &mut self.budget));
            // What is too large at one point may be seen at another.
            let (Ok(gold), Ok(answer)) = (gold, answer) else { continue };
            let here = self.compared(&gold, &answer)?;
            match here {
                Comparison::Equal => agreed += 1,
                Comparison::Different => return Ok(false),
                Comparison::Unseen | Comparison::Unknown => {}
            }
        }
        Ok(agreed >= STEPS_SEEN)
    }
}

/// A value for a variable: integers from 1 to between 10 and 10,000,000; of every two, the other is
/// a fraction or negative, if the variable is not named as integers are.
fn sample(name: &str, number: u64) -> Number {
    let most = 10_i64.pow(1 + (number % 7) as u32);
    let integer = 1 + (Point::Positive(number).share(name) * most as f64) as i64;
    let is_integer = name.starts_with(|c| matches!(c, 'i'..='n')) || number.is_multiple_of(2);
    match number % 4 {
        _ if is_integer => Number::from_integer(integer.into()),
        1 => Number::new(integer.into(), 7.into()),
        _ => Number::new((-integer).into(), 3.into()),
    }
}

pub(super) fn without_unit(node: &Node) -> &Node {
    match node {
        Node::Quantity { value, .. } => value,
        other => other,
    }
}

/// One unit in the last place of a decimal, also before a power of ten, and its significant digits.
fn decimal_of(node: &Node) -> Option<(Number, u32)> {
    match node {
        Node::Number { decimal: Some(Decimal { places, significant }), .. } => {
            let step = Number::new_raw(1.into(), BigInt::from(10).pow((*places).min(400)));
            Some((step, *significant))
        }
        Node::Quantity { value, .. } => decimal_of(value),
        Node::Product(factors) => match factors.as_slice() {
            [Node::Number { value, .. }, other] if *value == Number::from_integer((-1).into()) => {
                decimal_of(other)
            }
            [number @ Node::Number { decimal: Some(_), .. }, Node::Power(base, exponent)]
                if **base == Node::integer(10) =>
            {
                let (step, significant) = decimal_of(number)?;
                let Node::Number { value, .. } = &**exponent else { return None };
                let exponent = i32::try_from(value.numer())
                    .ok()
                    .filter(|exponent| value.is_integer() && exponent.abs() <= 400)?;
                Some((step * Number::from_integer(10.into()).pow(exponent), significant))
            }
            _ => None,
        },
        _ => None,
    }
}
