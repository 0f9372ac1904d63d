//! Sets of real numbers as disjoint intervals in order: unions, complements, and the inequalities that describe them.

use super::approximate::{Point, evaluate};
use super::budget::{Budget, Exhausted};
use super::simplify::simplify;
use super::tree::{Constant, Node, Relation};

/// An end of an interval. Ends are ordered and joined by their approximate value and compared by their exact one.
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

/// The intervals of a union, an interval in brackets, a set of numbers, a complement or a solved inequality; sorted, and joined where they
/// touch. `None` for anything else, and where ends are no real numbers in order.
pub(super) fn intervals(node: &Node, budget: &mut Budget) -> Result<Option<Vec<Interval>>, Exhausted> {
    let Some(mut pieces) = pieces(node, budget)? else { return Ok(None) };
    pieces.sort_by(|a, b| a.low.at.total_cmp(&b.low.at).then(b.low.closed.cmp(&a.low.closed)));
    let mut joined: Vec<Interval> = Vec::with_capacity(pieces.len());
    for piece in pieces {
        match joined.last_mut() {
            Some(last)
                if piece.low.at < last.high.at
                    || (piece.low.at == last.high.at && (piece.low.closed || last.high.closed)) =>
            {
                if piece.high.at > last.high.at || (piece.high.at == last.high.at && piece.high.closed) {
                    last.high = piece.high;
                }
            }
            _ => joined.push(piece),
        }
    }
    Ok(Some(joined))
}

fn end(node: &Node, closed: bool, budget: &mut Budget) -> Result<Option<End>, Exhausted> {
    if node.any(&|part| matches!(part, Node::Variable(_) | Node::Text(_))) {
        return Ok(None);
    }
    let value = simplify(node.clone(), budget)?;
    let at = match &value {
        Node::Constant(Constant::Infinity) => f64::INFINITY,
        negative if *negative == Node::integer(-1).times_infinity() => f64::NEG_INFINITY,
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

impl Node {
    fn times_infinity(self) -> Self {
        Self::Product(vec![self, Self::Constant(Constant::Infinity)])
    }
}

fn minus_infinity() -> End {
    End { value: Node::integer(-1).times_infinity(), closed: false, at: f64::NEG_INFINITY }
}

fn infinity() -> End {
    End { value: Node::Constant(Constant::Infinity), closed: false, at: f64::INFINITY }
}

/// The interval between two ends, if they are in order.
fn between(low: Option<End>, high: Option<End>) -> Option<Vec<Interval>> {
    let (low, high) = (low?, high?);
    (low.at < high.at).then(|| vec![Interval { low, high }])
}

fn pieces(node: &Node, budget: &mut Budget) -> Result<Option<Vec<Interval>>, Exhausted> {
    budget.spend(10)?;
    Ok(match node {
        Node::Reals => between(Some(minus_infinity()), Some(infinity())),
        Node::Group { open, close, items } => match items.as_slice() {
            [low, high] => between(end(low, *open == '[', budget)?, end(high, *close == ']', budget)?),
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
            let mut all = Vec::new();
            for part in parts {
                let Some(pieces) = pieces(part, budget)? else { return Ok(None) };
                all.extend(pieces);
            }
            Some(all)
        }
        Node::Difference(whole, removed) => {
            let (Some(whole), Node::Set(points)) = (pieces(whole, budget)?, &**removed) else { return Ok(None) };
            let mut left = whole;
            for point in points {
                let Some(point) = end(point, false, budget)? else { return Ok(None) };
                left = left.into_iter().flat_map(|interval| without(interval, &point)).collect();
                budget.spend(10 * left.len() as u64)?;
            }
            Some(left)
        }
        Node::Chain { members, relations } => solved(members, relations, budget)?,
        _ => None,
    })
}

/// An interval without a point.
fn without(interval: Interval, point: &End) -> Vec<Interval> {
    let Interval { mut low, mut high } = interval;
    if point.at > low.at && point.at < high.at {
        return vec![Interval { low, high: point.clone() }, Interval { low: point.clone(), high }];
    }
    if low.at == high.at && low.at == point.at {
        return Vec::new();
    }
    low.closed &= low.at != point.at;
    high.closed &= high.at != point.at;
    vec![Interval { low, high }]
}

/// The intervals of `x < a`, `a < x`, `a < x < b` and `x != a`, where `x` is a name and the rest is constant.
fn solved(members: &[Node], relations: &[Relation], budget: &mut Budget) -> Result<Option<Vec<Interval>>, Exhausted> {
    let closed = |relation: Relation| matches!(relation, Relation::LessOrEqual | Relation::GreaterOrEqual);
    let rises = |relation: Relation| matches!(relation, Relation::Less | Relation::LessOrEqual);
    let falls = |relation: Relation| matches!(relation, Relation::Greater | Relation::GreaterOrEqual);
    Ok(match (members, relations) {
        ([a, b], [relation]) => {
            let (relation, bound) = match (is_name(a), is_name(b)) {
                (true, false) => (*relation, b),
                (false, true) => (relation.reversed(), a),
                _ => return Ok(None),
            };
            let Some(bound) = end(bound, closed(relation), budget)? else { return Ok(None) };
            if relation == Relation::NotEqual {
                Some(without(Interval { low: minus_infinity(), high: infinity() }, &bound))
            } else if rises(relation) {
                between(Some(minus_infinity()), Some(bound))
            } else if falls(relation) {
                between(Some(bound), Some(infinity()))
            } else {
                None
            }
        }
        ([a, x, b], [first, second]) if is_name(x) => {
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

/// Whether a node is a name that an answer gives a value to: `x`, `AB`, `f(x)`, `\angle ABC`, `(r, \theta)`.
pub(super) fn is_name(node: &Node) -> bool {
    match node {
        Node::Variable(_) | Node::Text(_) => true,
        Node::Product(factors) => match factors.as_slice() {
            [Node::Variable(function), argument] => {
                let applied =
                    matches!(function.as_str(), "f" | "g" | "h" | "p" | "q" | "P" | "F" | "G" | "Q" | "V" | "A")
                        || function.starts_with(['f', 'g', 'h']);
                let sign = matches!(function.as_str(), "\\angle" | "\\triangle" | "\\Delta");
                (applied && matches!(argument, Node::Variable(_) | Node::Number { .. } | Node::Group { .. }))
                    || (sign && is_name(argument))
            }
            [Node::Variable(measure), Node::Variable(angle), Node::Variable(_)] => measure == "m" && angle == "\\angle",
            _ => false,
        },
        Node::Group { items, .. } => items.iter().all(|item| matches!(item, Node::Variable(_))),
        _ => false,
    }
}
