//! Inequalities and other statements.

use super::comparer::{Comparer, Decided};
use super::kinds::{has_variable, variables};
use super::sets::{name_of, same_subject};
use super::values::POINTS;
use crate::verify::approximate::{Comparison, Point, Value, evaluate};
use crate::verify::tree::{Node, Relation};
use crate::verify::{reals::intervals, simplify::simplify};

impl Comparer {
    pub(super) fn gold_inequality(
        &mut self,
        gold: &Node,
        members: &[Node],
        relations: &[Relation],
        answer: &Node,
    ) -> Decided {
        let solved = intervals(gold, &mut self.budget)?;
        let Node::Chain { members: answer_members, relations: answer_relations } = answer else {
            return match (solved, answer) {
                // Of several bounds each must say something: `x > 2, x > 3` is no `x > 2`.
                (Some(solved), Node::List(parts)) if parts.len() != solved.len() => Ok(false),
                (Some(_), _) => self.inequalities_solved(gold, answer),
                (None, _) => Ok(false),
            };
        };
        if let ([name, set], [Relation::ElementOf]) =
            (answer_members.as_slice(), answer_relations.as_slice())
        {
            return Ok(name_of(gold).as_ref() == Some(name) && self.nodes(gold, set)?);
        }
        if let Some(solved) = solved {
            // Only a solved inequality answers; an equivalent one may be the question.
            if !same_subject(gold, answer) {
                return Ok(false);
            }
            return match intervals(answer, &mut self.budget)? {
                Some(answer) => self.same_intervals(&solved, &answer),
                None => Ok(false),
            };
        }
        if relations
            .iter()
            .any(|relation| matches!(relation, Relation::Other(_) | Relation::ElementOf))
        {
            return self.same_statements(members, relations, answer_members, answer_relations);
        }
        match (members, relations, answer_members.as_slice(), answer_relations.as_slice()) {
            ([a, b], [relation], [c, d], [other]) => {
                let symmetric = matches!(relation, Relation::NotEqual);
                if relation == other {
                    self.proportional(a, b, c, d, !symmetric)
                } else if relation.reversed() == *other {
                    self.proportional(a, b, d, c, true)
                } else {
                    Ok(false)
                }
            }
            _ if relations == answer_relations => self.in_order(members, answer_members),
            _ => {
                let reversed: Vec<Relation> =
                    relations.iter().rev().map(|relation| relation.reversed()).collect();
                let members: Vec<Node> = members.iter().rev().cloned().collect();
                Ok(reversed == *answer_relations && self.in_order(&members, answer_members)?)
            }
        }
    }

    /// Whether two chains have the same members in the same order, or the reverse order with the
    /// relations reversed.
    fn same_statements(
        &mut self,
        members: &[Node],
        relations: &[Relation],
        others: &[Node],
        other_relations: &[Relation],
    ) -> Decided {
        if relations == other_relations && self.in_order(members, others)? {
            return Ok(true);
        }
        let reversed: Vec<Relation> =
            relations.iter().rev().map(|relation| relation.reversed()).collect();
        let members: Vec<Node> = members.iter().rev().cloned().collect();
        let turns = relations.iter().all(|relation| relation.is_reversible())
            && reversed == other_relations;
        Ok(turns && self.in_order(&members, others)?)
    }

    /// Whether a - b and c - d differ by a constant factor, which for inequalities must be
    /// positive.
    pub(super) fn proportional(
        &mut self,
        a: &Node,
        b: &Node,
        c: &Node,
        d: &Node,
        positive: bool,
    ) -> Decided {
        if ![a, b, c, d].into_iter().any(has_variable) {
            // Of numbers any two are in proportion.
            return Ok(self.nodes(a, c)? && self.nodes(b, d)?
                || (!positive && self.nodes(a, d)? && self.nodes(b, c)?));
        }
        let mut difference = |a: &Node, b: &Node| {
            simplify(Node::Sum(vec![a.clone(), b.clone().negative()]), &mut self.budget)
        };
        let (gold, answer) = (difference(a, b)?, difference(c, d)?);
        if variables(&gold) != variables(&answer) {
            return Ok(false);
        }
        if gold == answer {
            return Ok(true);
        }
        let mut ratio: Option<Value> = None;
        for point in
            (0..POINTS).flat_map(|number| [Point::Positive(number), Point::Negative(number)])
        {
            let gold = evaluate(&gold, point, &mut self.budget)?;
            let answer = evaluate(&answer, point, &mut self.budget)?;
            let seen = gold.is_nonzero() && answer.is_nonzero();
            if matches!(point, Point::Negative(_)) && !(seen && !gold.branched && !answer.branched)
            {
                // Authors mean positive variables under roots and logarithms.
                continue;
            }
            if !seen {
                return Ok(false);
            }
            let here = gold.over(answer);
            if positive && here.re <= 0.0 {
                return Ok(false);
            }
            if let Some(ratio) = ratio
                && ratio.compare(here) != Comparison::Equal
            {
                return Ok(false);
            }
            ratio = Some(here);
        }
        Ok(true)
    }
}
