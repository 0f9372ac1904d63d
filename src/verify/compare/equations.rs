//! Equations and chains of them: values with names.

use super::comparer::{Comparer, Decided};
use super::kinds::{has_variable, is_equality, substituted};
use super::names::{is_combination, is_size};
use crate::verify::reals::{is_constant_letter, is_name, subject};
use crate::verify::simplify::simplify;
use crate::verify::tree::{Function, Node, Relation};

impl Comparer {
    /// A gold equation, inequality, or chain of both.
    pub(super) fn gold_chain(
        &mut self,
        gold: &Node,
        members: &[Node],
        relations: &[Relation],
        answer: &Node,
    ) -> Decided {
        match (members, relations) {
            // x in S: S is what is asked for.
            ([name, set], [Relation::ElementOf]) if is_name(name) => match answer {
                Node::Chain { members, relations } if relations == &[Relation::ElementOf] => {
                    Ok(members[0] == *name && self.nodes(set, &members[1])?)
                }
                other => self.nodes(set, other),
            },
            _ if relations.iter().copied().all(is_equality) => {
                self.gold_equation(members, relations, answer)
            }
            _ => self.gold_inequality(gold, members, relations, answer),
        }
    }

    fn gold_equation(
        &mut self,
        members: &[Node],
        relations: &[Relation],
        answer: &Node,
    ) -> Decided {
        let named = named_value(members, relations);
        if let Node::Chain { members: answer_members, relations: answer_relations } = answer {
            if !answer_relations.iter().copied().all(is_equality) {
                return Ok(false);
            }
            let Some((name, values, value_relations)) = named else {
                return match (members, answer_members.as_slice()) {
                    _ if !members.iter().any(has_variable) => {
                        self.all_are_members(members, relations, answer_members, answer_relations)
                    }
                    ([a, b], [c, d]) => self.proportional(a, b, c, d, false),
                    _ => Ok(members == answer_members.as_slice()),
                };
            };
            let value = &values[0];
            let is_function = has_variable(value);
            let label = &answer_members[0];
            let is_same_function = if is_function {
                are_functions(name, label)
            } else {
                is_constant_function(name, label)
            };
            if is_function && let Some(value) = renamed(name, value, label, &answer_members[1..]) {
                return self.all_equal(&value, &answer_members[1..], answer_relations);
            }
            if is_same_function || self.same_name(name, label)? {
                return self.all_equal(value, &answer_members[1..], answer_relations);
            }
            if let [a, b] = answer_members.as_slice()
                && b == name
            {
                return self.nodes(value, a);
            }
            return match (members, answer_members.as_slice()) {
                // A value must be given; a line, or a sum of names, may be written in any form.
                ([a, b], [c, d]) if is_function || !(is_name(name) || is_constant_letter(name)) => {
                    self.proportional(a, b, c, d, false)
                }
                _ if value_relations.len() > 1 => Ok(members == answer_members.as_slice()),
                _ => Ok(false),
            };
        }
        if let Some((name, values, value_relations)) = named
            && (is_name(name) || is_constant_letter(name) || is_size(name))
        {
            return if values.iter().any(has_variable) {
                self.nodes(&values[0], answer)
            } else {
                self.is_member(values, &value_relations[1..], answer)
            };
        }
        self.is_member(members, relations, answer)
    }

    /// Whether an answer is any of the members of a chain without variables, the approximate ones
    /// as precisely as they are written: 0.56 = 56 %, 2/3 ≈ 0.67.
    fn is_member(&mut self, members: &[Node], relations: &[Relation], answer: &Node) -> Decided {
        for (at, member) in members.iter().enumerate() {
            if has_variable(member) {
                return Ok(false);
            }
            let approximate = at > 0 && relations[at - 1] == Relation::Approximate;
            if self.nodes(member, answer)? || (approximate && self.rounds_to(answer, member)?) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether every member of a chain without a name is a member of the gold chain, or rounds one
    /// that is.
    fn all_are_members(
        &mut self,
        members: &[Node],
        relations: &[Relation],
        answer: &[Node],
        answer_relations: &[Relation],
    ) -> Decided {
        for (at, member) in answer.iter().enumerate() {
            let approximate = at > 0 && answer_relations[at - 1] == Relation::Approximate;
            if !(self.is_member(members, relations, member)?
                || (approximate && self.rounds_to(&answer[0], member)?))
            {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether two labels are the same: `|CD|` is `CD`, and `m + n` is `n + m`.
    fn same_name(&mut self, gold: &Node, answer: &Node) -> Decided {
        if gold == answer {
            return Ok(true);
        }
        let (gold, answer) = (without_bars(gold), without_bars(answer));
        if matches!(gold, Node::Variable(_))
            || gold.any(&|part| matches!(part, Node::Text(_) | Node::Group { .. }))
        {
            return Ok(gold == answer);
        }
        Ok(simplify(gold.clone(), &mut self.budget)? == simplify(answer.clone(), &mut self.budget)?)
    }

    /// `= a = b ≈ c`, all of which must be the value.
    fn all_equal(&mut self, value: &Node, members: &[Node], relations: &[Relation]) -> Decided {
        let mut any = false;
        for (member, relation) in members.iter().zip(relations) {
            let equal = self.nodes(value, member)?;
            if *relation == Relation::Equal && !equal {
                return Ok(false);
            }
            if *relation == Relation::Approximate
                && !equal
                && !(any && self.rounds_to(value, member)?)
            {
                return Ok(false);
            }
            any |= equal;
        }
        Ok(any)
    }

    /// An answer that is an equation, where the gold answer is not one: `x = 5`, `2 + 3 = 5`,
    /// `x = 1/3 ≈ 0.33`, `x in S`.
    pub(super) fn answer_chain(
        &mut self,
        gold: &Node,
        members: &[Node],
        relations: &[Relation],
    ) -> Decided {
        let first_is_letter =
            is_constant_letter(&members[0]) && !gold.any(&|part| part == &members[0]);
        // `f(2) = g(3) = 12`: names of one value.
        let names = members.iter().take_while(|member| is_name(member)).count();
        if names > 1
            && names < members.len()
            && !has_variable(gold)
            && relations.iter().copied().all(is_equality)
        {
            return self.answer_chain(gold, &members[names - 1..], &relations[names - 1..]);
        }
        let named = is_name(&members[0])
            || first_is_letter
            || ((is_combination(&members[0]) || is_size(&members[0])) && !has_variable(gold));
        if let ([_, set], [Relation::ElementOf]) = (members, relations) {
            return Ok(named && self.nodes(gold, set)?);
        }
        if !relations.iter().copied().all(is_equality) {
            return Ok(false);
        }
        if named && gold.any(&|part| part == &members[0]) {
            // `x = 2x + 3` is still to be solved.
            return Ok(false);
        }
        // Between letters of choices an equation says nothing.
        let is_letter =
            matches!(gold, Node::Variable(name) if name.chars().all(|c| c.is_ascii_uppercase()));
        if named && !is_letter {
            return self.all_equal(gold, &members[1..], relations);
        }
        if let ([value, name], false) = (members, named)
            && is_name(name)
            && !is_letter
            && !gold.any(&|part| part == name)
        {
            return self.nodes(gold, value);
        }
        // Without a name in front all members are values.
        let first = self.nodes(gold, &members[0])?;
        if has_variable(&members[0]) != has_variable(gold) {
            return Ok(false);
        }
        if !first {
            return Ok(false);
        }
        let rest = &members[1..];
        for (member, relation) in rest.iter().zip(relations) {
            let close = self.nodes(gold, member)?
                || (*relation == Relation::Approximate && self.rounds_to(gold, member)?);
            if !close {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// The name that a chain gives values to: its first member, where the others do without it, or its
/// last of two.
fn named_value<'a>(
    members: &'a [Node],
    relations: &'a [Relation],
) -> Option<(&'a Node, &'a [Node], &'a [Relation])> {
    let (first, rest) = members.split_first()?;
    let is_new =
        |name: &Node, values: &[Node]| !values.iter().any(|value| value.any(&|part| part == name));
    let values_known = !rest.iter().any(has_variable);
    let is_label = is_name(first)
        || (values_known && (is_constant_letter(first) || is_combination(first) || is_size(first)));
    if is_label && is_new(first, rest) && (rest.len() == 1 || values_known) {
        return Some((first, rest, relations));
    }
    match members {
        [_, name] if subject(members) == Some(1) && is_new(name, &members[..1]) => {
            Some((name, &members[..1], relations))
        }
        _ => None,
    }
}

/// Whether two names are those of functions of the same variable: `f(x)`, `g(x)`, and `y` or the
/// function's letter alone.
fn are_functions(gold: &Node, answer: &Node) -> bool {
    let is_y = |node: &Node| *node == Node::Variable("y".to_string());
    match (gold, answer) {
        (Node::Apply(_, arguments), Node::Apply(_, others)) => arguments == others,
        (Node::Apply(name, _), Node::Variable(letter))
        | (Node::Variable(letter), Node::Apply(name, _)) => letter == "y" || letter == name,
        (gold, answer) => is_y(gold) && is_y(answer),
    }
}

/// Whether two names are those of one function of a letter, whichever it is, as a constant function
/// may have: `W(n)`, `W(x)`.
fn is_constant_function(gold: &Node, answer: &Node) -> bool {
    match (gold, answer) {
        (Node::Apply(name, gold), Node::Apply(other, answer)) => {
            name == other
                && matches!((gold.as_slice(), answer.as_slice()), ([gold], [answer]) if is_place(gold) && is_place(answer))
        }
        _ => false,
    }
}

/// Whether an argument is a place at which a function is taken; `P(A)` and `P(B)` are of two
/// events.
fn is_place(node: &Node) -> bool {
    matches!(node, Node::Variable(name) if name.starts_with(|c: char| c.is_ascii_lowercase()))
}

/// The value of `f(x)` with the names of the arguments of `f(n)`, where these stand for nothing
/// else in either value.
fn renamed(gold: &Node, value: &Node, answer: &Node, answer_values: &[Node]) -> Option<Node> {
    let (Node::Apply(name, from), Node::Apply(other, to)) = (gold, answer) else { return None };
    if name != other || from == to || from.len() != to.len() {
        return None;
    }
    let mut names = Vec::with_capacity(from.len());
    for (from, to) in from.iter().zip(to) {
        let (Node::Variable(old), Node::Variable(new)) = (from, to) else { return None };
        if !(is_place(from) && is_place(to)) {
            return None;
        }
        names.push((old.as_str(), new.as_str()));
    }
    let is_used = |node: &Node, name: &str| {
        node.any(&|part| matches!(part, Node::Variable(other) if other == name))
    };
    let is_free = |at: usize| {
        let (old, new) = names[at];
        let are_others = names[..at].iter().all(|(one, other)| *one != old && *other != new);
        are_others
            && (old == new
                || !(is_used(value, new) || answer_values.iter().any(|value| is_used(value, old))))
    };
    if !(0..names.len()).all(is_free) {
        return None;
    }
    let put = |name: &str| {
        let (_, new) = names.iter().find(|(old, _)| *old == name)?;
        Some(Node::Variable((*new).to_string()))
    };
    Some(substituted(value.clone(), &put))
}

/// How many members a chain may have that gives one value to several names.
const MOST_NAMES: usize = 20;

/// `a = b = c = 1` as an equation for each of the names.
pub(super) fn each_name(node: &Node) -> Option<Vec<Node>> {
    let Node::Chain { members, relations } = node else { return None };
    let (value, names) =
        members.split_last().filter(|_| (3..=MOST_NAMES).contains(&members.len()))?;
    let are_names = names
        .iter()
        .enumerate()
        .all(|(at, name)| matches!(name, Node::Variable(_)) && !names[..at].contains(name));
    let is_joint = are_names && !has_variable(value);
    (is_joint && relations.iter().all(|relation| *relation == Relation::Equal)).then(|| {
        let equation = |name: &Node| Node::Chain {
            members: vec![name.clone(), value.clone()],
            relations: vec![Relation::Equal],
        };
        names.iter().map(equation).collect()
    })
}

/// What is between bars, if it is a name.
fn without_bars(node: &Node) -> &Node {
    match node {
        Node::Call(Function::Abs, arguments)
            if matches!(arguments.as_slice(), [Node::Variable(_)]) =>
        {
            &arguments[0]
        }
        other => other,
    }
}
