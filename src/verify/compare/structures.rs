//! Lists, tuples and what is made of them.

use super::comparer::{Comparer, Decided};
use super::families::value_of;
use super::kinds::{has_infinity, has_variable, is_integer, is_set, is_structure, spelt_out};
use super::sets::name_of;
use crate::verify::tree::{Node, Relation};
use crate::verify::{budget::Exhausted, simplify::simplify, units::same_words};

impl Comparer {
    /// Lists and sets, with each other and with what they may stand for.
    pub(super) fn lists(&mut self, gold: &Node, answer: &Node) -> Decided {
        match (gold, answer) {
            (Node::List(gold), Node::List(answer)) if gold.iter().all(is_long_text) => {
                self.in_order(gold, answer)
            }
            // Solutions: `x = 1, y = 2` more than once, or points, each of which counts once.
            (Node::List(gold), Node::List(answer) | Node::Set(answer))
                if points(gold).is_some() =>
            {
                let Some(answer) = points(answer) else {
                    return Ok(!gold.iter().any(|item| matches!(item, Node::Chain { .. }))
                        && self.in_any_order(gold, answer)?);
                };
                let Some(gold) = points(gold) else { return Ok(false) };
                match (self.distinct(&gold)?, self.distinct(&answer)?) {
                    (Node::Set(gold), Node::Set(answer)) => self.in_any_order(&gold, &answer),
                    _ => Ok(false),
                }
            }
            // Values without the different names that they belong to keep their order.
            (Node::List(gold), Node::List(answer)) if have_own_names(gold) && is_bare(answer) => {
                self.in_order(gold, answer)
            }
            (Node::List(gold), Node::Set(answer)) if have_own_names(gold) && is_bare(answer) => {
                Ok(false)
            }
            (Node::List(gold), Node::List(answer)) if have_own_names(answer) && is_bare(gold) => {
                let sorted = coordinates(answer).unwrap_or_default();
                Ok(self.in_order(gold, answer)? || self.in_order(gold, &sorted)?)
            }
            (Node::List(gold), Node::List(answer) | Node::Set(answer)) => {
                if gold.iter().any(|item| matches!(item, Node::Chain { .. }))
                    && self.same_reals(gold, answer)?
                {
                    return Ok(true);
                }
                self.in_any_order(gold, answer)
            }
            (Node::Set(gold_items), Node::Set(answer_items) | Node::List(answer_items)) => {
                let (Node::Set(gold), Node::Set(answer)) =
                    (self.distinct(gold_items)?, self.distinct(answer_items)?)
                else {
                    return Ok(false);
                };
                self.in_any_order(&gold, &answer)
            }
            (Node::List(values), Node::Union(_) | Node::Group { .. } | Node::Difference(..)) => {
                match (coordinates(values), answer) {
                    (Some(values), Node::Group { open: '(', close: ')', items }) => {
                        self.in_order(&values, items)
                    }
                    _ => self.inequalities_solved(gold, answer),
                }
            }
            // One solution; around a letter the braces are its fractional part.
            (Node::Set(items), other) | (other, Node::Set(items))
                if items.len() == 1
                    && !is_set(other)
                    && (matches!(items[0], Node::Chain { .. }) || !has_variable(&items[0])) =>
            {
                if matches!(gold, Node::Set(_)) {
                    self.nodes(&items[0], other)
                } else {
                    self.nodes(other, &items[0])
                }
            }
            // The bare coordinates of a point, in order, or each with its name.
            (Node::Group { open: '(', close: ')', items }, Node::List(answer))
                if !items.iter().any(has_infinity) =>
            {
                match coordinates(answer) {
                    Some(values) => self.in_order(items, &values),
                    None => self.in_order(items, answer),
                }
            }
            (Node::List(_), _) | (_, Node::List(_)) => Ok(false),
            _ => self.structures(gold, answer),
        }
    }

    /// Tuples, intervals, matrices, ratios, unions; and everything else.
    fn structures(&mut self, gold: &Node, answer: &Node) -> Decided {
        match (gold, answer) {
            (
                Node::Group { open, close, items },
                Node::Group { open: answer_open, close: answer_close, items: answer },
            ) => {
                if open == answer_open && close == answer_close {
                    return self.in_order(items, answer);
                }
                // Infinity is never an element, whatever bracket stands there.
                if items.iter().any(has_infinity) {
                    self.same_sets(
                        gold,
                        &Node::Union(vec![Node::Group {
                            open: *answer_open,
                            close: *answer_close,
                            items: answer.clone(),
                        }]),
                    )
                } else {
                    Ok(false)
                }
            }
            (Node::Matrix(gold), Node::Matrix(answer)) => self.matrices(gold, answer),
            // `2i - 5j` in unit vectors.
            (Node::Matrix(_) | Node::Group { .. }, Node::Sum(_) | Node::Product(_)) => {
                let dimension = match gold {
                    Node::Matrix(rows) if rows[0].len() == 1 => rows.len(),
                    Node::Matrix(rows) if rows.len() == 1 => rows[0].len(),
                    Node::Group { items, .. } => items.len(),
                    _ => 0,
                };
                match self.components(answer, dimension)? {
                    Some(vector) => self.nodes(gold, &vector),
                    None => self.matrices_worked_out(gold, answer),
                }
            }
            (Node::Sum(_) | Node::Product(_), Node::Matrix(rows)) if rows[0].len() == 1 => {
                match self.components(gold, rows.len())? {
                    Some(vector) => self.nodes(&vector, answer),
                    None => self.matrices_worked_out(gold, answer),
                }
            }
            (Node::Sum(_) | Node::Product(_), Node::Group { open: '(', close: ')', items }) => {
                match self.components(gold, items.len())? {
                    Some(vector) => self.nodes(&vector, answer),
                    None => Ok(false),
                }
            }
            (Node::Matrix(rows), Node::Group { .. }) => self.matrix_and_group(rows, answer, true),
            (Node::Group { .. }, Node::Matrix(rows)) => self.matrix_and_group(rows, gold, false),
            (Node::Quantity { .. }, _) | (_, Node::Quantity { .. }) => {
                self.quantities(gold, answer)
            }
            (Node::Ratio(gold), Node::Ratio(answer)) if gold.len() != 2 || answer.len() != 2 => {
                self.in_order(gold, answer)
            }
            (Node::Ratio(parts), other) if !matches!(other, Node::Ratio(_)) => {
                match quotient(parts) {
                    Some(quotient) => self.nodes(&quotient, other),
                    None => Ok(false),
                }
            }
            (other, Node::Ratio(parts)) if !matches!(other, Node::Ratio(_)) => {
                match quotient(parts) {
                    Some(quotient) => self.nodes(other, &quotient),
                    None => Ok(false),
                }
            }
            (Node::Ratio(gold), Node::Ratio(answer)) => match (quotient(gold), quotient(answer)) {
                (Some(gold), Some(answer)) => self.scalars(&gold, &answer),
                _ => Ok(false),
            },
            _ if is_set(gold) || is_set(answer) => self.same_sets(gold, answer),
            _ if is_structure(gold) || is_structure(answer) => {
                Ok(simplify(gold.clone(), &mut self.budget)?
                    == simplify(answer.clone(), &mut self.budget)?)
            }
            _ => self.quantities(gold, answer),
        }
    }

    /// Whether two numbers differ by a multiple of the modulus.
    pub(super) fn congruent(&mut self, a: &Node, b: &Node, modulus: &Node) -> Decided {
        if self.nodes(a, b)? {
            return Ok(true);
        }
        let steps = Node::Sum(vec![a.clone(), b.clone().negative()]).over(modulus.clone());
        Ok(is_integer(&simplify(steps, &mut self.budget)?))
    }

    /// Equal parts of something larger. There a set with one element is not that element.
    fn items(&mut self, gold: &Node, answer: &Node) -> Decided {
        let is_single = |node: &Node| matches!(node, Node::Set(items) if items.len() == 1);
        let differ = (is_single(gold) && !is_set(answer)) || (is_single(answer) && !is_set(gold));
        Ok(!differ && self.nodes(gold, answer)?)
    }

    /// Equal items at equal places.
    pub(super) fn in_order(&mut self, gold: &[Node], answer: &[Node]) -> Decided {
        if gold.len() != answer.len() {
            return Ok(false);
        }
        for (gold, answer) in gold.iter().zip(answer) {
            if !self.items(gold, answer)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Equal items, each as often.
    pub(super) fn in_any_order(&mut self, gold: &[Node], answer: &[Node]) -> Decided {
        if gold.len() != answer.len() {
            return Ok(false);
        }
        // Of `3 boys, 5 girls` each number belongs to its word.
        if gold.iter().all(|item| matches!(item, Node::Quantity { .. })) {
            self.budget.spend(50 * gold.len() as u64 * answer.len() as u64)?;
            if let Some(answer) = in_order_of_words(gold, answer) {
                return self.in_order(gold, &answer);
            }
        }
        let mut left: Vec<&Node> = answer.iter().collect();
        for gold in gold {
            let mut found = None;
            for (at, answer) in left.iter().enumerate() {
                if self.items(gold, answer)? {
                    found = Some(at);
                    break;
                }
            }
            match found {
                Some(at) => left.swap_remove(at),
                None => return Ok(false),
            };
        }
        Ok(true)
    }

    /// A set with every element once.
    fn distinct(&mut self, items: &[Node]) -> Result<Node, Exhausted> {
        let mut distinct: Vec<Node> = Vec::new();
        for item in items {
            let mut seen = false;
            for other in &distinct {
                if self.items(other, item)? {
                    seen = true;
                    break;
                }
            }
            if !seen {
                distinct.push(item.clone());
            }
        }
        Ok(Node::Set(distinct))
    }

    /// Digits in a base equal the same digits in the same base, or without one, which the question
    /// may have named. Other bases would echo the question.
    pub(super) fn based(&mut self, digits: &str, base: u32, other: &Node) -> Decided {
        Ok(match other {
            Node::Based { digits: other, base: other_base } => {
                other == digits && *other_base == base
            }
            Node::Number { value, decimal: None } => {
                value.is_integer() && {
                    self.budget.spend((value.numer().bits() / 64 + 1).pow(2))?;
                    value.numer().to_string() == digits
                }
            }
            // `2A3` reads as a product.
            Node::Product(factors) => spelt_out(factors).is_some_and(|spelt| spelt == digits),
            Node::Variable(name) => name == digits,
            _ => false,
        })
    }
}

/// Whether digits mean in a base what they mean without it: in base 10, as one digit, or with
/// letters among them, which have no value without a base.
pub(super) fn keeps_value(digits: &str, base: u32) -> bool {
    let digits = digits.strip_prefix('-').unwrap_or(digits);
    let is_digit = digits.len() == 1 && digits.chars().all(|digit| digit.is_digit(base));
    base == 10 || is_digit || digits.bytes().any(|digit| digit.is_ascii_alphabetic())
}

/// The items of an answer in the order of the gold answer's, by what each of them counts; `None`
/// where they do not count the same things.
fn in_order_of_words(gold: &[Node], answer: &[Node]) -> Option<Vec<Node>> {
    let mut left: Vec<&Node> = answer.iter().collect();
    let mut ordered = Vec::with_capacity(gold.len());
    for item in gold {
        let Node::Quantity { unit, .. } = item else { return None };
        let mut named = (0..left.len()).filter(
            |at| matches!(left[*at], Node::Quantity { unit: other, .. } if same_words(unit, other)),
        );
        match (named.next(), named.next()) {
            (Some(at), None) => ordered.push(left.swap_remove(at).clone()),
            // The same word more than once.
            _ => return None,
        }
    }
    Some(ordered)
}

/// Whether a number, or a name, is not the rest of a division by a number.
pub(super) fn is_unreduced(value: &Node, modulus: &Node) -> bool {
    match (value, modulus) {
        (Node::Number { value, .. }, Node::Number { value: modulus, .. }) => value >= modulus,
        (value, Node::Number { .. }) => has_variable(value),
        _ => false,
    }
}

/// Whether a name with coordinates behind it is that of a point.
pub(super) fn is_point(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_ascii_uppercase())
        && matches!(chars.next(), None | Some('_' | '\''))
}

/// The values of `x = 2, y = 3`, in the order of their names where these are single letters, else
/// in the order of the list.
fn coordinates(items: &[Node]) -> Option<Vec<Node>> {
    let mut named = Vec::with_capacity(items.len());
    for item in items {
        let Node::Chain { members, relations } = item else { return None };
        let ([Node::Variable(name), value], [Relation::Equal]) =
            (members.as_slice(), relations.as_slice())
        else {
            return None;
        };
        named.push((name, value));
    }
    let mut sorted = named.clone();
    sorted.sort_by_key(|(name, _)| *name);
    if sorted.windows(2).any(|pair| pair[0].0 == pair[1].0) {
        return None;
    }
    let named = if named.iter().all(|(name, _)| name.len() == 1) { sorted } else { named };
    Some(named.into_iter().map(|(_, value)| value.clone()).collect())
}

/// Whether a list gives values to different names, such as `x = 1, y = 2`. Names that only have
/// different indices are those of one unknown: `x_1 = 1, x_2 = 2`.
fn have_own_names(items: &[Node]) -> bool {
    let mut names = items.iter().map(|item| match item {
        Node::Chain { members, .. } => name_of(item).or_else(|| members.first().cloned()),
        _ => None,
    });
    let unknown = |name: Node| match name {
        Node::Variable(name) => {
            Node::Variable(name.split('_').next().unwrap_or_default().to_string())
        }
        other => other,
    };
    let Some(first) = names.next().flatten().map(unknown) else { return false };
    let mut differ = false;
    for name in names {
        let Some(name) = name.map(unknown) else { return false };
        differ |= name != first;
    }
    differ
}

/// Whether none of the items has a name.
fn is_bare(items: &[Node]) -> bool {
    !items.iter().any(|item| matches!(item, Node::Chain { .. }))
}

/// At least two points, given as tuples or by equations for the same names in turn:
/// `x = 1, y = 2; x = 2, y = 1`.
pub(super) fn points(items: &[Node]) -> Option<Vec<Node>> {
    let point = |item: &Node| match value_of(item) {
        None if matches!(item, Node::Group { open: '(', close: ')', .. }) => Some(item.clone()),
        Some(apply @ Node::Apply(..)) => Some(apply.clone()),
        Some(group @ Node::Group { open: '(', close: ')', .. }) => Some(group.clone()),
        _ => None,
    };
    if items.len() > 1
        && !items.iter().any(has_infinity)
        && let Some(points) = items.iter().map(point).collect()
    {
        return Some(points);
    }
    let name = |item: &Node| match item {
        Node::Chain { members, .. } => members.first().cloned(),
        _ => None,
    };
    let first = name(items.first()?)?;
    let width = 1 + items[1..].iter().position(|item| name(item).as_ref() == Some(&first))?;
    if width < 2 || !items.len().is_multiple_of(width) {
        return None;
    }
    items
        .chunks(width)
        .map(|chunk| {
            let items = coordinates(chunk)?;
            Some(Node::Group { open: '(', close: ')', items })
        })
        .collect()
}

fn is_long_text(node: &Node) -> bool {
    matches!(node, Node::Text(text) if text.chars().count() > 1)
}

fn quotient(parts: &[Node]) -> Option<Node> {
    match parts {
        [a, b] => Some(Node::Product(vec![a.clone(), b.clone().power(Node::integer(-1))])),
        _ => None,
    }
}
