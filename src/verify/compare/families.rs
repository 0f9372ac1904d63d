//! Families of answers: progressions and intervals that are numbered by a letter.

use super::comparer::{Comparer, Decided};
use super::kinds::{as_list, is_integer, substituted, variables};
use crate::verify::family::{Domain, Member};
use crate::verify::simplify::{expanded, is_zero, simplify};
use crate::verify::tree::{Constant, Node, Relation};
use crate::verify::{budget::Exhausted, family, reals::is_name, token::Token};
use std::collections::BTreeSet;

impl Comparer {
    /// Answers with or without a letter that numbers a family of them:
    /// `\frac{\pi}{4} + k\pi, k \in \mathbb{Z}`.
    pub(super) fn same_families(&mut self, gold: &[Token], answer: &[Token]) -> Decided {
        let ((gold_rest, gold_member), (answer_rest, answer_member)) =
            (family::split(gold), family::split(answer));
        let Some(Member { letter, domain }) = gold_member.or(answer_member) else {
            return self.same_tokens(gold, answer);
        };
        let domains = gold_member.zip(answer_member);
        if domains.is_some_and(|(gold, answer)| gold.domain != answer.domain) {
            return Ok(false);
        }
        let Some((gold, answer)) = self.parsed(gold_rest, answer_rest)? else { return Ok(false) };
        // The letters may differ: of the side that declares none, it is the one that the other side
        // does not have.
        let (gold_letters, answer_letters) = (variables(&gold), variables(&answer));
        let letter_of = |member: Option<Member>, own: &BTreeSet<&str>, other: &BTreeSet<&str>| {
            let mut foreign = own.difference(other).filter(|name| name.len() == 1);
            match (member, foreign.next(), foreign.next()) {
                (Some(member), ..) => Some(member.letter.to_string()),
                (None, Some(only), None) => Some((*only).to_string()),
                (None, None, _) => {
                    own.contains(letter.to_string().as_str()).then(|| letter.to_string())
                }
                _ => None,
            }
        };
        let names = letter_of(gold_member, &gold_letters, &answer_letters).zip(letter_of(
            answer_member,
            &answer_letters,
            &gold_letters,
        ));
        let Some((gold_name, answer_name)) = names else { return self.answers(&gold, &answer) };
        if gold_name != answer_name
            && (gold_letters.contains(answer_name.as_str())
                || answer_letters.contains(gold_name.as_str()))
        {
            return Ok(false);
        }
        let answer = if gold_name == answer_name {
            answer
        } else {
            substituted(answer, &|name| {
                (name == answer_name).then(|| Node::Variable(gold_name.clone()))
            })
        };
        if self.answers(&gold, &answer)? {
            return Ok(true);
        }
        // Without a declaration `3n + 1` is a formula, which `3n + 4` is not; multiples of pi are
        // solutions.
        let declared = gold_member.is_some();
        Ok(domain == Domain::Integers
            && self.same_progressions(&gold, &answer, &gold_name, declared)?)
    }

    /// Whether two families are the same set: lists of `a + bk` that for integers k run through the
    /// same values. Where the gold answer does not declare the letter, b must contain pi.
    fn same_progressions(
        &mut self,
        gold: &Node,
        answer: &Node,
        letter: &str,
        declared: bool,
    ) -> Decided {
        let (gold, answer) =
            (self.written_out(&as_list(gold))?, self.written_out(&as_list(answer))?);
        let (Some(gold), Some(mut left)) = (values_of(&gold), values_of(&answer)) else {
            return self.same_periodic_intervals(&gold, &answer, letter);
        };
        if gold.len() != left.len() {
            return Ok(false);
        }
        for gold in gold {
            let mut found = None;
            for (at, answer) in left.iter().enumerate() {
                if self.same_progression(gold, answer, letter, declared)? {
                    found = Some(at);
                    break;
                }
            }
            let Some(found) = found else { return Ok(false) };
            left.swap_remove(found);
        }
        Ok(true)
    }

    /// Whether two intervals that repeat are the same but for where they begin to count:
    /// `(k\pi, k\pi + 1)` and `(\pi + k\pi, \pi + 1 + k\pi)`.
    fn same_periodic_intervals(&mut self, gold: &Node, answer: &Node, letter: &str) -> Decided {
        let (Some((open, close, gold)), Some((other_open, other_close, answer))) =
            (interval(gold), interval(answer))
        else {
            return Ok(false);
        };
        if (open, close) != (other_open, other_close) || gold.len() != 2 || answer.len() != 2 {
            return Ok(false);
        }
        let mut shifts = Vec::with_capacity(2);
        for (gold, answer) in gold.iter().zip(answer) {
            let (Some((start, step)), Some((other_start, other_step))) =
                (self.progression(gold, letter)?, self.progression(answer, letter)?)
            else {
                return Ok(false);
            };
            if !self.scalars(&step, &other_step)? {
                return Ok(false);
            }
            let difference = Node::Sum(vec![start, other_start.negative()]);
            let expanded = expanded(simplify(difference, &mut self.budget)?, &mut self.budget)?;
            shifts.push(simplify(expanded.over(step), &mut self.budget)?);
        }
        Ok(is_integer(&shifts[0]) && shifts[0] == shifts[1])
    }

    fn same_progression(
        &mut self,
        gold: &Node,
        answer: &Node,
        letter: &str,
        declared: bool,
    ) -> Decided {
        let Some((start, step)) = self.progression(gold, letter)? else { return Ok(false) };
        if !declared && !step.any(&|part| *part == Node::Constant(Constant::Pi)) {
            return Ok(false);
        }
        let Some((other_start, other_step)) = self.progression(answer, letter)? else {
            return Ok(false);
        };
        let turned = step.clone().negative();
        if !(self.scalars(&step, &other_step)? || self.scalars(&turned, &other_step)?) {
            return Ok(false);
        }
        let difference = Node::Sum(vec![start, other_start.negative()]);
        let steps = simplify(
            expanded(simplify(difference, &mut self.budget)?, &mut self.budget)?.over(step),
            &mut self.budget,
        )?;
        Ok(is_integer(&steps))
    }

    /// `a` and `b` of `a + bk`.
    fn progression(
        &mut self,
        node: &Node,
        letter: &str,
    ) -> Result<Option<(Node, Node)>, Exhausted> {
        let mut at = |k: i64| {
            let put = substituted(node.clone(), &|name| (name == letter).then(|| Node::integer(k)));
            let expanded = expanded(simplify(put, &mut self.budget)?, &mut self.budget)?;
            Ok::<_, Exhausted>(expanded)
        };
        let (zero, one, three) = (at(0)?, at(1)?, at(3)?);
        let step = simplify(Node::Sum(vec![one, zero.clone().negative()]), &mut self.budget)?;
        let linear =
            Node::Sum(vec![zero.clone(), Node::Product(vec![Node::integer(3), step.clone()])]);
        let linear = expanded(simplify(linear, &mut self.budget)?, &mut self.budget)?;
        let is_zero = matches!(&step, Node::Number { value, .. } if is_zero(value));
        Ok((!is_zero && linear == three).then_some((zero, step)))
    }
}

/// The value of an equation that gives one to a name, or of what is not a structure.
pub(super) fn value_of(node: &Node) -> Option<&Node> {
    match node {
        Node::Chain { members, relations } => match (members.as_slice(), relations.as_slice()) {
            ([name, value], [Relation::Equal]) if is_name(name) => Some(value),
            _ => None,
        },
        Node::Set(_) | Node::Group { .. } | Node::Matrix(_) | Node::Union(_) | Node::List(_) => {
            None
        }
        other => Some(other),
    }
}

/// Brackets and ends of an interval, with or without the name of what is in it.
fn interval(node: &Node) -> Option<(char, char, &[Node])> {
    match node {
        Node::Chain { members, relations } => match (members.as_slice(), relations.as_slice()) {
            ([name, set], [Relation::ElementOf]) if is_name(name) => interval(set),
            _ => None,
        },
        Node::Group { open, close, items } => Some((*open, *close, items)),
        _ => None,
    }
}

/// The values in a list of them, each with or without a name.
fn values_of(node: &Node) -> Option<Vec<&Node>> {
    match node {
        Node::List(items) | Node::Set(items) => items.iter().map(value_of).collect(),
        other => value_of(other).map(|value| vec![value]),
    }
}
