//! Sets of real numbers, and inequalities that describe them.

use super::comparer::{Comparer, Decided};
use crate::verify::reals::{Interval, intervals, subject};
use crate::verify::tree::Node;

impl Comparer {
    pub(super) fn same_sets(&mut self, gold: &Node, answer: &Node) -> Decided {
        match (
            intervals(gold, &mut self.budget)?,
            intervals(answer, &mut self.budget)?,
            gold,
            answer,
        ) {
            (Some(gold), Some(answer), ..) => self.same_intervals(&gold, &answer),
            // Of sets that are only named.
            (None, None, Node::Union(gold), Node::Union(answer)) => self.in_any_order(gold, answer),
            _ => Ok(false),
        }
    }

    pub(super) fn same_intervals(&mut self, gold: &[Interval], answer: &[Interval]) -> Decided {
        if gold.len() != answer.len() {
            return Ok(false);
        }
        for (gold, answer) in gold.iter().zip(answer) {
            for (gold, answer) in [(&gold.low, &answer.low), (&gold.high, &answer.high)] {
                if gold.closed != answer.closed || !self.scalars(&gold.value, &answer.value)? {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Lists of solved inequalities that describe one set.
    pub(super) fn same_reals(&mut self, gold: &[Node], answer: &[Node]) -> Decided {
        let named = |items: &[Node]| items.iter().map(name_of).collect::<Option<Vec<_>>>();
        let (Some(names), Some(answer_names)) = (named(gold), named(answer)) else {
            return Ok(false);
        };
        let one_name = names.iter().chain(&answer_names).all(|name| *name == names[0]);
        Ok(one_name && self.same_sets(&Node::List(gold.to_vec()), &Node::List(answer.to_vec()))?)
    }

    /// Solved gold inequalities against the set that they describe.
    pub(super) fn inequalities_solved(&mut self, gold: &Node, answer: &Node) -> Decided {
        let inequalities = match gold {
            Node::List(items) => items.iter().all(|item| matches!(item, Node::Chain { .. })),
            _ => true,
        };
        Ok(inequalities && self.same_sets(gold, answer)?)
    }
}

/// Whether two inequalities are about the same name, or one is about what it does not name:
/// `at most 5`.
pub(super) fn same_subject(one: &Node, other: &Node) -> bool {
    let is_unnamed =
        |name: &Option<Node>| matches!(name, Some(Node::Variable(name)) if name.is_empty());
    let (one, other) = (name_of(one), name_of(other));
    one == other || is_unnamed(&one) || is_unnamed(&other)
}

/// The name that an inequality is about.
pub(super) fn name_of(node: &Node) -> Option<Node> {
    let Node::Chain { members, .. } = node else { return None };
    subject(members).map(|at| members[at].clone())
}
