//! What an answer may give a value to without being solved for it: sizes, sums and quotients of
//! names.

use super::kinds::{has_variable, variables};
use crate::verify::reals::{is_name, is_operation};
use crate::verify::tree::{Function, Node, Number};

/// Whether a label is a size that an answer gives: a distance, a function of an angle, a ratio of
/// lengths.
pub(super) fn is_size(node: &Node) -> bool {
    let capital = |node: &Node| matches!(node, Node::Variable(name) if name.starts_with(|c: char| c.is_ascii_uppercase()));
    let is_other_number =
        |node: &Node| matches!(node, Node::Number { value, .. } if !is_one_or_minus_one(value));
    match node {
        Node::Call(Function::Abs, arguments) => {
            let adds_number = |node: &Node| matches!(node, Node::Sum(items) if items.iter().any(|item| matches!(item, Node::Number { .. })));
            is_sized(&arguments[0])
                && !arguments[0].any(&is_other_number)
                && !arguments[0].any(&adds_number)
        }
        Node::Call(Function::Logarithm, arguments) => {
            arguments.iter().all(|argument| matches!(argument, Node::Variable(_)))
        }
        Node::Call(function, arguments) => {
            !hides(*function) && arguments[0].any(&|part| matches!(part, Node::Variable(_)))
        }
        Node::Power(base, exponent) => match (&**base, &**exponent) {
            (Node::Call(..), Node::Number { .. }) => is_size(base),
            // The variance.
            (Node::Variable(name), exponent) => {
                name.starts_with("\\sigma") && *exponent == Node::integer(2)
            }
            _ => false,
        },
        Node::Ratio(parts) => {
            parts.iter().all(|part| is_name(part) || is_combination(part) || is_size(part))
        }
        Node::Product(factors) => factors.iter().all(|factor| match factor {
            Node::Power(base, exponent) => {
                **exponent == Node::integer(-1) && (capital(base) || is_size(base))
            }
            Node::Product(inner) => inner.iter().all(capital),
            other => capital(other) || is_size(other),
        }),
        _ => false,
    }
}

/// Whether an equation that gives a value to a function of a name has still to be solved for the
/// name: `\ln x = 5`.
fn hides(function: Function) -> bool {
    matches!(
        function,
        Function::Root
            | Function::Factorial
            | Function::Binomial
            | Function::Logarithm
            | Function::Ln
            | Function::Floor
            | Function::Ceiling
    )
}

/// Whether bars around a node make a size of it: of z and the common names of vectors, of what has
/// a capital name or an arrow, of several names. `|x| = 5` is an equation for x.
fn is_sized(node: &Node) -> bool {
    let names = variables(node);
    let is_large =
        |name: &&str| name.starts_with(|c: char| matches!(c, 'u'..='w' | 'z' | 'A'..='Z'));
    let is_marked = |part: &Node| matches!(part, Node::Apply(name, _) if name.starts_with('\\'));
    has_variable(node) && (names.len() != 1 || names.iter().any(is_large) || node.any(&is_marked))
}

fn is_one_or_minus_one(value: &Number) -> bool {
    value.is_integer() && value.numer().magnitude().bits() == 1
}

/// A sum, product or quotient of different variables, or a function of one: what a question may ask
/// for, such as `m + n`.
pub(super) fn is_combination(node: &Node) -> bool {
    let variable = |node: &Node| match node {
        Node::Apply(function, arguments) => !is_operation(function, arguments),
        other => matches!(other, Node::Variable(_)),
    };
    let different =
        |items: &[Node]| items.iter().enumerate().all(|(at, item)| !items[..at].contains(item));
    match node {
        Node::Sum(items) => items.iter().all(variable) && different(items),
        Node::Product(items) => {
            let plain = |item: &Node| match item {
                Node::Product(inner) => inner.iter().all(variable) && different(inner),
                other => variable(other),
            };
            let factor = |item: &Node| match item {
                Node::Power(base, exponent) => plain(base) && **exponent == Node::integer(-1),
                other => plain(other),
            };
            items.iter().all(factor) && different(items)
        }
        Node::Call(Function::Abs, arguments) if !is_sized(&arguments[0]) => false,
        Node::Call(function, arguments) if !hides(*function) => {
            arguments.first().is_some_and(|argument| variable(argument) || is_combination(argument))
                && arguments[1..].iter().all(|other| matches!(other, Node::Number { .. }))
        }
        _ => false,
    }
}
