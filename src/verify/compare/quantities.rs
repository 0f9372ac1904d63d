//! Numbers with units, percents and degrees.

use super::comparer::{Comparer, Decided};
use super::kinds::{has_letter, has_variable};
use super::values::without_unit;
use crate::verify::tree::{Constant, Node};
use crate::verify::units::{
    exclude, is_of_time, is_plain_sign, is_sign, is_temperature, leading_unit, same_words, unit,
};
use std::borrow::Cow;
use std::collections::BTreeMap;

impl Comparer {
    /// Numbers with or without units, percents and degrees.
    pub(super) fn quantities(&mut self, gold: &Node, answer: &Node) -> Decided {
        if is_time(gold) || is_time(answer) {
            return self.times(gold, answer);
        }
        if is_in_parts(gold) || is_in_parts(answer) {
            let (gold, answer) = (with_unit_like(gold, answer), with_unit_like(answer, gold));
            return match (in_one_unit(&gold), in_one_unit(&answer)) {
                (Some((gold, from)), Some((answer, to))) if from == to => {
                    self.scalars(&gold, &answer)
                }
                _ => Ok(false),
            };
        }
        match (gold, answer) {
            (
                Node::Quantity { value: gold, unit: gold_unit },
                Node::Quantity { value: answer, unit: answer_unit },
            ) => self.measured(gold, gold_unit, answer, answer_unit),
            (Node::Quantity { value, unit: words }, Node::Product(factors))
                if !has_variable(value) && letters_as(factors, words).is_some() =>
            {
                // `6 m^2` outside `\text`
                match letters_as(factors, words) {
                    Some(answer) => self.quantities(gold, &answer),
                    None => Ok(false),
                }
            }
            (Node::Product(factors), Node::Quantity { value, unit: words })
                if !has_variable(value) && letters_as(factors, words).is_some() =>
            {
                match letters_as(factors, words) {
                    Some(gold) => self.quantities(&gold, answer),
                    None => Ok(false),
                }
            }
            // `5 \Omega` is not a product of names.
            (Node::Product(factors), _)
                if !has_letter(answer)
                    && unit_in_letters(factors, is_ohm)
                        .is_some_and(|(rest, _)| !has_letter(&rest)) =>
            {
                match unit_in_letters(factors, is_ohm) {
                    Some((rest, _)) => self.scalars(&rest, answer),
                    None => Ok(false),
                }
            }
            // A number, and a number with a unit outside `\text`.
            (
                Node::Number { .. }
                | Node::Sum(_)
                | Node::Product(_)
                | Node::Power(..)
                | Node::Call(..),
                Node::Product(factors),
            ) if !has_letter(gold)
                && unit_in_letters(factors, is_plain_sign)
                    .is_some_and(|(rest, _)| !has_letter(&rest)) =>
            {
                match unit_in_letters(factors, is_plain_sign) {
                    Some((rest, _)) => self.scalars(gold, &rest),
                    None => Ok(false),
                }
            }
            (Node::Quantity { value, unit: words }, _)
            | (_, Node::Quantity { value, unit: words })
                if names_something(value, words) =>
            {
                Ok(false)
            }
            (Node::Quantity { value, unit: words }, other)
            | (other, Node::Quantity { value, unit: words }) => {
                // Percent and degrees may be words.
                let value = spelled_out(value, words);
                let plain = !matches!(value, Node::Percent(_) | Node::Degrees(_));
                if let Node::Degrees(other) = other
                    && unit(words).is_some_and(|unit| is_temperature(&unit))
                {
                    return self.scalars(&value, other);
                }
                if plain
                    && matches!(other, Node::Percent(_) | Node::Degrees(_))
                    && unit(words).is_some()
                {
                    Ok(false)
                } else if matches!(gold, Node::Quantity { .. }) {
                    self.nodes(&value, other)
                } else {
                    self.nodes(other, &value)
                }
            }
            (Node::Percent(gold), Node::Percent(answer))
            | (Node::Degrees(gold), Node::Degrees(answer)) => self.scalars(gold, answer),
            (Node::Percent(inner), other) | (other, Node::Percent(inner)) => {
                // The question may ask for the number of percent.
                let share = if matches!(gold, Node::Percent(_)) { gold } else { answer };
                Ok(self.scalars(inner, other)? || self.scalars(share, other)?)
            }
            (Node::Degrees(inner), other) | (other, Node::Degrees(inner)) => {
                let angle = if matches!(gold, Node::Degrees(_)) { gold } else { answer };
                // A multiple of pi without a sign is in radians, and `\pi^\circ` is another angle.
                let unit_is_missing = !is_multiple_of_pi(inner);
                Ok((unit_is_missing && self.scalars(inner, other)?)
                    || self.scalars(angle, other)?)
            }
            _ => self.scalars(gold, answer),
        }
    }

    /// Two values, each with its unit or what it counts.
    fn measured(
        &mut self,
        gold: &Node,
        gold_unit: &str,
        answer: &Node,
        answer_unit: &str,
    ) -> Decided {
        if gold_unit == answer_unit {
            return self.nodes(gold, answer);
        }
        if names_something(gold, gold_unit) || names_something(answer, answer_unit) {
            return Ok(same_words(gold_unit, answer_unit) && self.nodes(gold, answer)?);
        }
        match (leading_unit(gold_unit), leading_unit(answer_unit)) {
            _ if exclude(gold_unit, answer_unit) => Ok(false),
            // `20 degrees` may be of temperature.
            (Some(from), Some(to))
                if is_temperature(&from) && is_degrees(answer_unit)
                    || is_temperature(&to) && is_degrees(gold_unit) =>
            {
                self.nodes(gold, answer)
            }
            (Some(from), Some(to)) if from.dimensions != to.dimensions => Ok(false),
            (Some(from), Some(to)) if from.factor != to.factor => {
                let scaled =
                    |value: &Node, factor| Node::Product(vec![value.clone(), Node::number(factor)]);
                self.scalars(&scaled(gold, from.factor), &scaled(answer, to.factor))
            }
            _ => self.nodes(gold, answer),
        }
    }

    /// Times, part by part. Units on both sides must be the same.
    fn times(&mut self, gold: &Node, answer: &Node) -> Decided {
        if let (Node::Quantity { unit: gold, .. }, Node::Quantity { unit: answer, .. }) =
            (gold, answer)
        {
            let differ = leading_unit(gold)
                .zip(leading_unit(answer))
                .is_some_and(|(gold, answer)| gold != answer);
            if differ || exclude(gold, answer) {
                return Ok(false);
            }
        }
        // `12 noon` is not known to be the 12:00 that is meant.
        let have_units = has_unit(gold) && has_unit(answer);
        match (without_unit(gold), without_unit(answer)) {
            (Node::Ratio(gold), Node::Ratio(answer)) => self.in_order(gold, answer),
            // `6:00 pm` and `6 pm`
            (Node::Ratio(parts), hour) if have_units && is_full_hour(parts) => {
                self.nodes(&parts[0], hour)
            }
            (hour, Node::Ratio(parts)) if have_units && is_full_hour(parts) => {
                self.nodes(hour, &parts[0])
            }
            _ => Ok(false),
        }
    }
}

/// Whether the parts of a time below its hours are 0.
fn is_full_hour(parts: &[Node]) -> bool {
    parts[1..].iter().all(|part| *part == Node::integer(0))
}

fn has_unit(node: &Node) -> bool {
    matches!(node, Node::Quantity { unit, .. } if leading_unit(unit).is_some())
}

/// Whether a quantity is given in several units: `2 h 30 min`.
fn is_in_parts(node: &Node) -> bool {
    matches!(node, Node::Sum(items) if matches!(items.as_slice(), [Node::Quantity { .. }, Node::Quantity { .. }, ..]))
}

/// `3.2 m` outside `\text` as a quantity, where the other answer is one in several units.
fn with_unit_like<'a>(node: &'a Node, other: &Node) -> Cow<'a, Node> {
    let quantity = match (node, other) {
        (Node::Product(factors), Node::Sum(parts)) if !is_in_parts(node) => match &parts[0] {
            Node::Quantity { unit, .. } => letters_as(factors, unit),
            _ => None,
        },
        _ => None,
    };
    quantity.map_or(Cow::Borrowed(node), Cow::Owned)
}

/// A quantity in basic units, and what these measure.
fn in_one_unit(node: &Node) -> Option<(Node, BTreeMap<&'static str, i32>)> {
    let parts = match node {
        Node::Sum(items) => items.as_slice(),
        one => std::slice::from_ref(one),
    };
    let mut terms = Vec::with_capacity(parts.len());
    let mut dimensions = None;
    for part in parts {
        let Node::Quantity { value, unit: words } = part else { return None };
        let unit = leading_unit(words)?;
        terms.push(Node::Product(vec![(**value).clone(), Node::number(unit.factor)]));
        if dimensions.is_some_and(|known| known != unit.dimensions) {
            return None;
        }
        dimensions = Some(unit.dimensions);
    }
    Some((Node::Sum(terms), dimensions?))
}

/// Whether a quantity is a time of day or a length of time with parts between colons, which is not
/// a ratio: `1:15 pm`, `1:15 hours`.
fn is_time(node: &Node) -> bool {
    let Node::Quantity { value, unit: words } = node else { return false };
    matches!(**value, Node::Ratio(_)) && is_of_time(words)
}

/// A product whose last factors are letters that are signs of units, `6 m s^{-1}`, as the product
/// of the others and the unit's name.
fn unit_in_letters(factors: &[Node], is_sign: fn(&str) -> bool) -> Option<(Node, String)> {
    let letter = |node: &Node| match node {
        Node::Variable(name) if name.len() <= 2 || name == "\\Omega" => Some(name.clone()),
        Node::Power(base, exponent) => match (&**base, &**exponent) {
            (Node::Variable(name), Node::Number { value, .. }) if value.is_integer() => {
                Some(format!("{name}^{value}"))
            }
            (Node::Power(base, inner), Node::Number { value, .. }) => match (&**base, &**inner) {
                (Node::Variable(name), Node::Number { value: inner, .. })
                    if value.is_integer() && inner.is_integer() =>
                {
                    Some(format!("{name}^{}", value * inner))
                }
                _ => None,
            },
            _ => None,
        },
        _ => None,
    };
    let count = factors.iter().rev().take_while(|factor| letter(factor).is_some()).count();
    let (rest, letters) = factors.split_at(factors.len() - count);
    if rest.is_empty() || letters.is_empty() {
        return None;
    }
    let names: Vec<String> = letters.iter().filter_map(letter).collect();
    let signs = names.iter().all(|name| is_sign(name.split('^').next().unwrap_or_default()));
    let name = names.join(" ").replace("\\Omega", "Ω");
    (signs && !names[0].contains('-') && unit(&name).is_some())
        .then(|| (Node::Product(rest.to_vec()), name))
}

/// A product as a quantity, where its last factors are signs of units: those that may be names too
/// only where they measure what the unit of the other answer does.
fn letters_as(factors: &[Node], other: &str) -> Option<Node> {
    let other = unit(other)?;
    let measures =
        |letters: &str| unit(letters).is_some_and(|unit| unit.dimensions == other.dimensions);
    let (rest, letters) = unit_in_letters(factors, is_plain_sign)
        .or_else(|| unit_in_letters(factors, is_sign).filter(|(_, letters)| measures(letters)))?;
    Some(Node::Quantity { value: Box::new(rest), unit: letters })
}

fn is_ohm(name: &str) -> bool {
    name == "\\Omega"
}

/// Whether words behind a letter are not its unit, but say what it is: `x\text{-axis}`,
/// `n\text{ even}`.
fn names_something(value: &Node, words: &str) -> bool {
    let is_plural =
        words.ends_with('s') && !["is", "us", "ss"].iter().any(|ending| words.ends_with(ending));
    matches!(value, Node::Variable(_)) && !is_plural && leading_unit(words).is_none()
}

/// Whether pi is a factor of a number, or of a term of it; `180/\pi` is not a multiple of it.
fn is_multiple_of_pi(node: &Node) -> bool {
    match node {
        Node::Constant(Constant::Pi) => true,
        Node::Product(items) | Node::Sum(items) => items.iter().any(is_multiple_of_pi),
        _ => false,
    }
}

fn is_degrees(unit: &str) -> bool {
    matches!(unit, "degree" | "degrees" | "deg")
}

/// `10 percent` as `10 %`, `30 degrees` as `30°`, other units left off.
fn spelled_out(value: &Node, unit: &str) -> Node {
    match unit {
        "percent" | "percents" | "pct" | "percentage" => Node::Percent(Box::new(value.clone())),
        _ if is_degrees(unit) => Node::Degrees(Box::new(value.clone())),
        _ => value.clone(),
    }
}
