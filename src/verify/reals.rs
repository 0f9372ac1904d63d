//! Sets of real numbers as disjoint intervals in order: unions, complements, and the inequalities
//! that describe them.

use super::approximate::{Point, evaluate};
use super::budget::{Budget, Exhausted};
use super::parse::INTEGER_PART;
use super::simplify::simplify;
use super::tree::{Constant, Node, Relation};
use std::cmp::Ordering;

/// An end of an interval. Ends are ordered and joined by their approximate value and compared by
/// their exact one.
#[derive(Clone, Debug)]
pub(super) struct End {
    pub(super) value: Node,
    pub(super) closed: bool,
    at: f64,
}

/// An interval; of a single point both ends are closed and equal.
#[derive(Clone, Debug)]
pub(super) struct Interval {
    pub(super) low: End,
    pub(super) high: End,
}

/// The intervals of a union, an interval in brackets, a set of numbers, a complement or a solved
/// inequality; sorted, and joined where they touch. `None` for anything else, and where the ends
/// are not real numbers in order.
pub(super) fn intervals(
    node: &Node,
    budget: &mut Budget,
) -> Result<Option<Vec<Interval>>, Exhausted> {
    let Some(mut pieces) = pieces(node, budget)? else { return Ok(None) };
    // Exactly: nearness does not give an order to sort by.
    pieces.sort_by(|a, b| a.low.at.total_cmp(&b.low.at).then(b.low.closed.cmp(&a.low.closed)));
    let mut joined: Vec<Interval> = Vec::with_capacity(pieces.len());
    for piece in pieces {
        let Some(last) = joined.last_mut() else {
            joined.push(piece);
            continue;
        };
        let touches = match order(&piece.low, &last.high) {
            Ordering::Less => true,
            Ordering::Equal => piece.low.closed || last.high.closed,
            Ordering::Greater => false,
        };
        if !touches {
            joined.push(piece);
            continue;
        }
        if piece.low.closed && order(&piece.low, &last.low) == Ordering::Equal {
            last.low.closed = true;
        }
        if order(&piece.high, &last.high).then(piece.high.closed.cmp(&last.high.closed))
            == Ordering::Greater
        {
            last.high = piece.high;
        }
    }
    Ok(Some(joined))
}

/// How two ends compare; those within rounding of each other are equal. This is not transitive, so
/// it cannot be sorted by.
fn order(a: &End, b: &End) -> Ordering {
    let near = (a.at - b.at).abs() <= 1e-12 * a.at.abs().max(1.0);
    if near && a.at.is_finite() { Ordering::Equal } else { a.at.total_cmp(&b.at) }
}

fn end(node: &Node, closed: bool, budget: &mut Budget) -> Result<Option<End>, Exhausted> {
    if node.any(&|part| matches!(part, Node::Variable(_) | Node::Text(_))) {
        return Ok(None);
    }
    let value = simplify(node.clone(), budget)?;
    let at = match &value {
        Node::Constant(Constant::Infinity) => f64::INFINITY,
        negative if *negative == Node::Constant(Constant::Infinity).negative() => f64::NEG_INFINITY,
        other => {
            let value = evaluate(other, Point::Positive(0), budget)?;
            if !(value.is_real() && value.re.is_finite()) {
                return Ok(None);
            }
            value.re
        }
    };
    Ok(Some(End { value, closed: closed && at.is_finite(), at }))
}

fn minus_infinity() -> End {
    End {
        value: Node::Constant(Constant::Infinity).negative(),
        closed: false,
        at: f64::NEG_INFINITY,
    }
}

fn infinity() -> End {
    End { value: Node::Constant(Constant::Infinity), closed: false, at: f64::INFINITY }
}

/// The interval between two ends, if they are in order.
fn between(low: Option<End>, high: Option<End>) -> Option<Vec<Interval>> {
    let (low, high) = (low?, high?);
    (order(&low, &high) == Ordering::Less).then(|| vec![Interval { low, high }])
}

fn pieces(node: &Node, budget: &mut Budget) -> Result<Option<Vec<Interval>>, Exhausted> {
    budget.spend(10)?;
    Ok(match node {
        Node::Reals => between(Some(minus_infinity()), Some(infinity())),
        Node::Group { open, close, items } => match items.as_slice() {
            [low, high] => {
                between(end(low, *open == '[', budget)?, end(high, *close == ']', budget)?)
            }
            _ => None,
        },
        Node::Set(items) => {
            let mut points = Vec::with_capacity(items.len());
            for item in items {
                let Some(point) = end(item, true, budget)? else { return Ok(None) };
                points.push(Interval { low: point.clone(), high: point });
            }
            Some(points)
        }
        Node::Union(parts) | Node::List(parts) => {
            let mut sets = Vec::with_capacity(parts.len());
            for part in parts {
                let Some(pieces) = pieces(part, budget)? else { return Ok(None) };
                sets.push(pieces);
            }
            let conditions = matches!(node, Node::List(_))
                && parts.iter().all(|part| matches!(part, Node::Chain { .. }));
            if conditions && overlap(&sets) {
                intersection(sets, budget)?
            } else {
                Some(sets.concat())
            }
        }
        Node::Difference(whole, removed) => {
            let (Some(mut left), Some(removed)) =
                (pieces(whole, budget)?, pieces(removed, budget)?)
            else {
                return Ok(None);
            };
            for gap in removed {
                left = left.into_iter().flat_map(|interval| without(interval, &gap)).collect();
                budget.spend(10 * left.len() as u64)?;
            }
            Some(left)
        }
        Node::Chain { members, relations } => solved(members, relations, budget)?,
        _ => None,
    })
}

/// Whether any two of some sets have more than an end in common. Then they are conditions that hold
/// together, `x > 1, x \ne 4`; else they are cases, `x < 1, x > 4`.
fn overlap(sets: &[Vec<Interval>]) -> bool {
    let meet = |a: &Interval, b: &Interval| {
        order(&a.low, &b.high) == Ordering::Less && order(&b.low, &a.high) == Ordering::Less
    };
    sets.iter().enumerate().any(|(at, set)| {
        sets[..at].iter().flatten().any(|other| set.iter().any(|one| meet(one, other)))
    })
}

fn intersection(
    sets: Vec<Vec<Interval>>,
    budget: &mut Budget,
) -> Result<Option<Vec<Interval>>, Exhausted> {
    let whole = Interval { low: minus_infinity(), high: infinity() };
    let mut left = vec![whole.clone()];
    for set in sets {
        // What is outside of the set is taken away.
        let mut outside = vec![whole.clone()];
        for piece in &set {
            budget.spend(10 * (outside.len() + left.len()) as u64)?;
            outside = outside.into_iter().flat_map(|part| without(part, piece)).collect();
        }
        for gap in &outside {
            budget.spend(10 * left.len() as u64)?;
            left = left.into_iter().flat_map(|part| without(part, gap)).collect();
        }
    }
    Ok(Some(left))
}

/// An interval without another one: what is left of it below and above the gap.
fn without(interval: Interval, gap: &Interval) -> Vec<Interval> {
    let other_side = |end: &End| End { closed: !end.closed && end.at.is_finite(), ..end.clone() };
    let earlier = |a: End, b: End| match order(&a, &b) {
        Ordering::Less => a,
        Ordering::Greater => b,
        Ordering::Equal => End { closed: a.closed && b.closed, ..a },
    };
    let later = |a: End, b: End| match order(&a, &b) {
        Ordering::Greater => a,
        Ordering::Less => b,
        Ordering::Equal => End { closed: a.closed && b.closed, ..a },
    };
    let Interval { low, high } = interval;
    let below = Interval { low: low.clone(), high: earlier(high.clone(), other_side(&gap.low)) };
    let above = Interval { low: later(low, other_side(&gap.high)), high };
    let holds_something = |part: &Interval| match order(&part.low, &part.high) {
        Ordering::Less => true,
        Ordering::Equal => part.low.closed && part.high.closed,
        Ordering::Greater => false,
    };
    [below, above].into_iter().filter(holds_something).collect()
}

/// The intervals of `x < a`, `a < x`, `a < x < b` and `x != a`, where `x` is a name and the rest is
/// constant.
fn solved(
    members: &[Node],
    relations: &[Relation],
    budget: &mut Budget,
) -> Result<Option<Vec<Interval>>, Exhausted> {
    let closed =
        |relation: Relation| matches!(relation, Relation::LessOrEqual | Relation::GreaterOrEqual);
    let rises = |relation: Relation| matches!(relation, Relation::Less | Relation::LessOrEqual);
    let falls =
        |relation: Relation| matches!(relation, Relation::Greater | Relation::GreaterOrEqual);
    Ok(match (members, relations) {
        ([_, set], [Relation::ElementOf]) if subject(members) == Some(0) => pieces(set, budget)?,
        ([a, b], [relation]) => {
            let (relation, bound) = match subject(members) {
                Some(0) => (*relation, b),
                Some(1) => (relation.reversed(), a),
                _ => return Ok(None),
            };
            let Some(bound) = end(bound, closed(relation), budget)? else { return Ok(None) };
            if relation == Relation::NotEqual {
                let point = End { closed: true, ..bound };
                let gap = Interval { low: point.clone(), high: point };
                Some(without(Interval { low: minus_infinity(), high: infinity() }, &gap))
            } else if rises(relation) {
                between(Some(minus_infinity()), Some(bound))
            } else if falls(relation) {
                between(Some(bound), Some(infinity()))
            } else {
                None
            }
        }
        ([a, _, b], [first, second]) if subject(members) == Some(1) => {
            if rises(*first) && rises(*second) {
                between(end(a, closed(*first), budget)?, end(b, closed(*second), budget)?)
            } else if falls(*first) && falls(*second) {
                between(end(b, closed(*second), budget)?, end(a, closed(*first), budget)?)
            } else {
                None
            }
        }
        _ => None,
    })
}

/// The place of the member that an equation or inequality is about, where all others are values: a
/// name, or else the letter e or i.
pub(super) fn subject(members: &[Node]) -> Option<usize> {
    let mut names = (0..members.len()).filter(|at| is_name(&members[*at]));
    match (names.next(), names.next()) {
        (Some(only), None) => Some(only),
        (Some(_), Some(_)) => None,
        (None, _) => members.iter().position(is_constant_letter),
    }
}

/// Whether a node is the letter e or i, which may be a name as well.
pub(super) fn is_constant_letter(node: &Node) -> bool {
    matches!(node, Node::Constant(Constant::E | Constant::I))
}

/// Whether what is written as a function is an operation, so that an equation for it has still to
/// be solved: `[x] = 5`, `x!! = 5`; but `[ABC] = 5` is an area.
pub(super) fn is_operation(function: &str, arguments: &[Node]) -> bool {
    let is_figure = |node: &Node| matches!(node, Node::Variable(name) if name.len() > 1 && name.starts_with(|c: char| c.is_ascii_uppercase()));
    matches!(function, "⟨⟩" | "!!")
        || (function == INTEGER_PART && !arguments.iter().all(is_figure))
}

/// Whether a node is a name that an answer gives a value to: `x`, `AB`, `f(x)`, `\angle ABC`,
/// `(r, \theta)`.
pub(super) fn is_name(node: &Node) -> bool {
    match node {
        Node::Variable(_) => true,
        Node::Apply(function, arguments) => !is_operation(function, arguments),
        Node::Text(words) => !words.split(' ').any(super::label::denies),
        Node::Product(factors) => match factors.as_slice() {
            [Node::Variable(sign), name]
                if matches!(sign.as_str(), "\\angle" | "\\triangle" | "\\Delta") =>
            {
                is_name(name)
            }
            [Node::Variable(measure), Node::Variable(angle), Node::Variable(_)] => {
                measure == "m" && angle == "\\angle"
            }
            _ => false,
        },
        Node::Group { items, .. } => {
            items.iter().all(|item| matches!(item, Node::Variable(_)) || is_constant_letter(item))
        }
        _ => false,
    }
}
