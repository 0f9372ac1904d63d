//! Whether two answers are equal. The gold answer comes first, and decides what form is asked for.

use super::approximate::{Comparison, Point, Value, evaluate};
use super::budget::{Budget, Exhausted};
use super::parse::{Fault, is_prose, number_word, parse, words};
use super::reals::{Interval, intervals, is_application, is_name};
use super::simplify::{is_negative, simplify};
use super::token::{Commas, Token, tokenize};
use super::tree::{Constant, Decimal, Function, Node, Number, Relation};
use super::units::unit;
use num_bigint::BigInt;

/// Significant digits that a decimal must have to stand for a number that it does not equal.
const SIGNIFICANT: u32 = 6;

/// Points at which expressions with variables are compared.
const POINTS: u64 = 4;

/// Whether `answer` is the answer `gold`.
pub(super) fn equal(gold: &str, answer: &str) -> Result<bool, Exhausted> {
    let mut comparer = Comparer { budget: Budget::new() };
    let (found, ambiguous) = comparer.read_and_compare(gold, answer, Commas::Thousands)?;
    if found || !ambiguous {
        return Ok(found);
    }
    Ok(comparer.read_and_compare(gold, answer, Commas::Separate)?.0)
}

struct Comparer {
    budget: Budget,
}

type Decided = Result<bool, Exhausted>;

impl Comparer {
    /// The result for one reading of commas, and whether there is another.
    fn read_and_compare(&mut self, gold: &str, answer: &str, commas: Commas) -> Result<(bool, bool), Exhausted> {
        let (gold, gold_ambiguous) = tokenize(gold, commas, &mut self.budget)?;
        let (answer, answer_ambiguous) = tokenize(answer, commas, &mut self.budget)?;
        let ambiguous = gold_ambiguous || answer_ambiguous;
        if gold.is_empty() || answer.is_empty() {
            return Ok((false, ambiguous));
        }
        if gold == answer || self.same_words(&gold, &answer)? {
            return Ok((true, ambiguous));
        }
        if self.same_tokens(&gold, &answer)? {
            return Ok((true, ambiguous));
        }
        // `(B) 12` names a choice and says what it is.
        let labelled = match label(&answer) {
            Some((letter, content)) => match label(&gold) {
                Some((gold, [])) => gold == letter,
                _ => self.same_tokens(&gold, content)?,
            },
            None => false,
        };
        Ok((labelled, ambiguous))
    }

    fn same_tokens(&mut self, gold: &[Token], answer: &[Token]) -> Decided {
        let parsed = parse(gold, &mut self.budget).and_then(|gold| Ok((gold, parse(answer, &mut self.budget)?)));
        match parsed {
            Ok((gold, answer)) => self.answers(&gold, &answer),
            Err(Fault::Unreadable) => Ok(false),
            Err(Fault::Exhausted) => Err(Exhausted),
        }
    }

    /// Whether the gold answer is a text and the answer has the same words.
    fn same_words(&mut self, gold: &[Token], answer: &[Token]) -> Decided {
        self.budget.spend(gold.len() as u64 + answer.len() as u64)?;
        let is_text = gold.iter().any(|token| match token {
            Token::Text(_) => true,
            Token::Word(word) => is_prose(word),
            _ => false,
        });
        Ok(is_text && words(gold).is_some_and(|gold| words(answer) == Some(gold)))
    }

    /// Whole answers: plus-minus is written out, then structures are compared.
    fn answers(&mut self, gold: &Node, answer: &Node) -> Decided {
        let gold = self.written_out(gold)?;
        let answer = self.written_out(answer)?;
        self.nodes(&gold, &answer)
    }

    /// `1 ± x` as the list `1 + x, 1 - x`, also within lists and sets.
    fn written_out(&mut self, node: &Node) -> Result<Node, Exhausted> {
        let expand = |node: &Node, budget: &mut Budget| -> Result<Vec<Node>, Exhausted> {
            budget.spend(10)?;
            if !node.any(&|part| matches!(part, Node::PlusMinus(..))) {
                return Ok(vec![node.clone()]);
            }
            Ok(vec![with_signs(node.clone(), false)?, with_signs(node.clone(), true)?])
        };
        let (items, set) = match node {
            Node::List(items) => (items.as_slice(), false),
            Node::Set(items) => (items.as_slice(), true),
            other => (std::slice::from_ref(other), false),
        };
        let mut expanded = Vec::with_capacity(items.len());
        for item in items {
            expanded.extend(expand(item, &mut self.budget)?);
        }
        Ok(match <[Node; 1]>::try_from(expanded) {
            Ok([item]) if !set => item,
            Ok([item]) => Node::Set(vec![item]),
            Err(items) if set => Node::Set(items),
            Err(items) => Node::List(items),
        })
    }

    fn nodes(&mut self, gold: &Node, answer: &Node) -> Decided {
        self.budget.spend(20)?;
        match (gold, answer) {
            (Node::Chain { members, relations }, _) => self.gold_chain(gold, members, relations, answer),
            (_, Node::Chain { members, relations }) => self.answer_chain(gold, members, relations),
            (Node::Text(gold), Node::Text(answer)) => Ok(gold == answer),
            (Node::Text(word), other) | (other, Node::Text(word)) => match meaning(word) {
                Some(meaning) if matches!(gold, Node::Text(_)) => self.nodes(&meaning, other),
                Some(meaning) => self.nodes(other, &meaning),
                None => Ok(matches!(other, Node::Variable(name) if name.eq_ignore_ascii_case(word))),
            },
            (Node::Based { digits, base }, other) | (other, Node::Based { digits, base }) => {
                self.based(digits, *base, other)
            }
            (Node::List(gold), Node::List(answer)) if gold.iter().all(is_long_text) => self.in_order(gold, answer),
            (Node::List(gold), Node::List(answer) | Node::Set(answer)) => {
                if gold.iter().any(|item| matches!(item, Node::Chain { .. })) && self.same_reals(gold, answer)? {
                    return Ok(true);
                }
                self.in_any_order(gold, answer)
            }
            (Node::Set(gold_items), Node::Set(answer_items) | Node::List(answer_items)) => {
                let (Node::Set(gold), Node::Set(answer)) = (self.distinct(gold_items)?, self.distinct(answer_items)?)
                else {
                    return Ok(false);
                };
                self.in_any_order(&gold, &answer)
            }
            (Node::List(values), Node::Union(_) | Node::Group { .. } | Node::Difference(..)) => {
                match (coordinates(values), answer) {
                    (Some(values), Node::Group { open: '(', close: ')', items }) => self.in_order(&values, items),
                    _ => self.inequalities_solved(gold, answer),
                }
            }
            (Node::Set(items), other) | (other, Node::Set(items)) if items.len() == 1 && !is_set(other) => {
                if matches!(gold, Node::Set(_)) { self.nodes(&items[0], other) } else { self.nodes(other, &items[0]) }
            }
            // The bare coordinates of a point, in order, or each with its name.
            (Node::Group { open: '(', close: ')', items }, Node::List(answer)) if !items.iter().any(has_infinity) => {
                match coordinates(answer) {
                    Some(values) => self.in_order(items, &values),
                    None => self.in_order(items, answer),
                }
            }
            (Node::List(_), _) | (_, Node::List(_)) => Ok(false),
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
            (Node::Matrix(rows), Node::Group { .. }) => self.matrix_and_group(rows, answer, true),
            (Node::Group { .. }, Node::Matrix(rows)) => self.matrix_and_group(rows, gold, false),
            (Node::Quantity { .. }, _) | (_, Node::Quantity { .. }) => self.quantities(gold, answer),
            (Node::Ratio(gold), Node::Ratio(answer)) if gold.len() != 2 || answer.len() != 2 => {
                self.in_order(gold, answer)
            }
            (Node::Ratio(parts), other) if !matches!(other, Node::Ratio(_)) => match quotient(parts) {
                Some(quotient) => self.nodes(&quotient, other),
                None => Ok(false),
            },
            (other, Node::Ratio(parts)) if !matches!(other, Node::Ratio(_)) => match quotient(parts) {
                Some(quotient) => self.nodes(other, &quotient),
                None => Ok(false),
            },
            (Node::Ratio(gold), Node::Ratio(answer)) => match (quotient(gold), quotient(answer)) {
                (Some(gold), Some(answer)) => self.scalars(&gold, &answer),
                _ => Ok(false),
            },
            _ if is_set(gold) || is_set(answer) => self.same_sets(gold, answer),
            _ if is_structure(gold) || is_structure(answer) => {
                Ok(simplify(gold.clone(), &mut self.budget)? == simplify(answer.clone(), &mut self.budget)?)
            }
            _ => self.quantities(gold, answer),
        }
    }

    /// Equal items at equal places.
    fn in_order(&mut self, gold: &[Node], answer: &[Node]) -> Decided {
        if gold.len() != answer.len() {
            return Ok(false);
        }
        for (gold, answer) in gold.iter().zip(answer) {
            if !self.nodes(gold, answer)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Equal items, each as often.
    fn in_any_order(&mut self, gold: &[Node], answer: &[Node]) -> Decided {
        if gold.len() != answer.len() {
            return Ok(false);
        }
        let mut left: Vec<&Node> = answer.iter().collect();
        for gold in gold {
            let mut found = None;
            for (at, answer) in left.iter().enumerate() {
                if self.nodes(gold, answer)? {
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
                if self.nodes(other, item)? {
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

    /// A matrix and a tuple: its column, its row where the matrix is the gold answer, or its rows one by one.
    fn matrix_and_group(&mut self, rows: &[Vec<Node>], group: &Node, matrix_is_gold: bool) -> Decided {
        let Node::Group { open: open @ ('(' | '['), close, items } = group else { return Ok(false) };
        if *close != (if *open == '(' { ')' } else { ']' }) {
            return Ok(false);
        }
        if rows.len() == 1 && !items.iter().any(is_structure) {
            return Ok(matrix_is_gold && self.in_order(&rows[0], items)?);
        }
        let column: Option<Vec<Node>> =
            rows.iter().map(|row| <[Node; 1]>::try_from(row.clone()).ok().map(|[cell]| cell)).collect();
        if let Some(column) = column.filter(|_| !items.iter().any(|item| matches!(item, Node::Group { .. }))) {
            return self.in_order(&column, items);
        }
        match items.iter().map(row).collect::<Option<Vec<_>>>() {
            Some(other) => self.matrices(rows, &other),
            None => Ok(false),
        }
    }

    fn matrices(&mut self, gold: &[Vec<Node>], answer: &[Vec<Node>]) -> Decided {
        if gold.len() != answer.len() {
            return Ok(false);
        }
        for (gold, answer) in gold.iter().zip(answer) {
            if !self.in_order(gold, answer)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Digits in a base equal the same digits in the same base, or without one: the question names the base. Other bases would echo
    /// the question.
    fn based(&mut self, digits: &str, base: u32, other: &Node) -> Decided {
        Ok(match other {
            Node::Based { digits: other, base: other_base } => other == digits && *other_base == base,
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

    fn same_sets(&mut self, gold: &Node, answer: &Node) -> Decided {
        let (gold, answer) = (intervals(gold, &mut self.budget)?, intervals(answer, &mut self.budget)?);
        match (gold, answer) {
            (Some(gold), Some(answer)) => self.same_intervals(&gold, &answer),
            _ => Ok(false),
        }
    }

    fn same_intervals(&mut self, gold: &[Interval], answer: &[Interval]) -> Decided {
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
    fn same_reals(&mut self, gold: &[Node], answer: &[Node]) -> Decided {
        let named = |items: &[Node]| items.iter().map(name_of).collect::<Option<Vec<_>>>();
        let (Some(names), Some(answer_names)) = (named(gold), named(answer)) else { return Ok(false) };
        let one_name = names.iter().chain(&answer_names).all(|name| *name == names[0]);
        Ok(one_name && self.same_sets(&Node::List(gold.to_vec()), &Node::List(answer.to_vec()))?)
    }

    /// Solved gold inequalities against the set that they describe.
    fn inequalities_solved(&mut self, gold: &Node, answer: &Node) -> Decided {
        let inequalities = match gold {
            Node::List(items) => items.iter().all(|item| matches!(item, Node::Chain { .. })),
            _ => true,
        };
        Ok(inequalities && self.same_sets(gold, answer)?)
    }

    /// A gold equation, inequality, or chain of both.
    fn gold_chain(&mut self, gold: &Node, members: &[Node], relations: &[Relation], answer: &Node) -> Decided {
        match (members, relations) {
            // x in S: S is what is asked for.
            ([name, set], [Relation::ElementOf]) if is_name(name) => match answer {
                Node::Chain { members, relations } if relations == &[Relation::ElementOf] => {
                    Ok(members[0] == *name && self.nodes(set, &members[1])?)
                }
                other => self.nodes(set, other),
            },
            _ if relations.iter().all(|relation| matches!(relation, Relation::Equal | Relation::Approximate)) => {
                self.gold_equation(members, relations, answer)
            }
            _ => self.gold_inequality(gold, members, relations, answer),
        }
    }

    fn gold_equation(&mut self, members: &[Node], relations: &[Relation], answer: &Node) -> Decided {
        let (first, rest) = (&members[0], &members[1..]);
        let solved_for = match rest {
            [value] if is_name(first) && !value.any(&|part| part == first) => Some((first, value)),
            [value] if is_name(value) && !first.any(&|part| part == value) => Some((value, first)),
            _ => None,
        };
        if let Node::Chain { members: answer_members, relations: answer_relations } = answer {
            if !answer_relations.iter().all(|relation| matches!(relation, Relation::Equal | Relation::Approximate)) {
                return Ok(false);
            }
            if let Some((name, value)) = solved_for {
                let is_function = value.any(&|part| matches!(part, Node::Variable(_)));
                let depends = |node: &Node| is_application(node) || *node == Node::Variable("y".to_string());
                if answer_members[0] == *name || (is_function && depends(name) && depends(&answer_members[0])) {
                    return self.all_equal(value, &answer_members[1..], &answer_relations[..]);
                }
                if let [a, b] = answer_members.as_slice()
                    && b == name
                {
                    return self.nodes(value, a);
                }
                // A value must be given; a line may be written in any form.
                if !is_function {
                    return Ok(false);
                }
            }
            return match (members, answer_members.as_slice()) {
                ([a, b], [c, d]) => self.proportional(a, b, c, d, false),
                _ => Ok(members == answer_members.as_slice()),
            };
        }
        if let Some((_, value)) = solved_for {
            return self.nodes(value, answer);
        }
        // 0.56 = 56 %, 2/3 ≈ 0.67: any member without a variable, the last one as precisely as it is written.
        for (at, member) in members.iter().enumerate() {
            if member.any(&|part| matches!(part, Node::Variable(_))) {
                return Ok(false);
            }
            let approximate = at > 0 && relations[at - 1] == Relation::Approximate;
            if self.nodes(member, answer)? || (approximate && self.rounds_to(answer, member)?) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// `= a = b ≈ c`, all of which must be the value.
    fn all_equal(&mut self, value: &Node, members: &[Node], relations: &[Relation]) -> Decided {
        let mut any = false;
        for (member, relation) in members.iter().zip(relations) {
            let equal = self.nodes(value, member)?;
            if *relation == Relation::Equal && !equal {
                return Ok(false);
            }
            if *relation == Relation::Approximate && !equal && !(any && self.rounds_to(value, member)?) {
                return Ok(false);
            }
            any |= equal;
        }
        Ok(any)
    }

    /// An answer that is an equation, where the gold answer is none: `x = 5`, `2 + 3 = 5`, `x = 1/3 ≈ 0.33`, `x in S`.
    fn answer_chain(&mut self, gold: &Node, members: &[Node], relations: &[Relation]) -> Decided {
        let has_variable = |node: &Node| node.any(&|part| matches!(part, Node::Variable(_)));
        let named = is_name(&members[0]) || (is_combination(&members[0]) && !has_variable(gold));
        if let ([_, set], [Relation::ElementOf]) = (members, relations) {
            return Ok(named && self.nodes(gold, set)?);
        }
        if !relations.iter().all(|relation| matches!(relation, Relation::Equal | Relation::Approximate)) {
            return Ok(false);
        }
        if named && gold.any(&|part| part == &members[0]) {
            // `x = 2x + 3` is still to be solved.
            return Ok(false);
        }
        // Between letters of choices an equation says nothing.
        let is_letter = matches!(gold, Node::Variable(name) if name.chars().all(|c| c.is_ascii_uppercase()));
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
            let close =
                self.nodes(gold, member)? || (*relation == Relation::Approximate && self.rounds_to(gold, member)?);
            if !close {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether a decimal is a number rounded to its digits.
    fn rounds_to(&mut self, exact: &Node, rounded: &Node) -> Decided {
        let (exact, rounded) = (without_unit(exact), without_unit(rounded));
        let Some(decimal) = decimal_of(rounded) else { return Ok(false) };
        self.close(exact, rounded, &decimal.0)
    }

    /// Whether two numbers are less than `step` apart.
    fn close(&mut self, a: &Node, b: &Node, step: &Number) -> Decided {
        let difference = simplify(Node::Sum(vec![a.clone(), b.clone().negative()]), &mut self.budget)?;
        if let Node::Number { value, .. } = &difference {
            let size = if is_negative(value) { -value.clone() } else { value.clone() };
            return Ok(size < *step);
        }
        if difference.any(&|part| matches!(part, Node::Variable(_))) {
            return Ok(false);
        }
        let value = evaluate(&difference, Point::Positive(0), &mut self.budget)?;
        Ok(value.is_real() && value.re.abs() + value.error < super::approximate::float(step))
    }

    fn gold_inequality(&mut self, gold: &Node, members: &[Node], relations: &[Relation], answer: &Node) -> Decided {
        let solved = intervals(gold, &mut self.budget)?;
        let Node::Chain { members: answer_members, relations: answer_relations } = answer else {
            return match (solved, answer) {
                // Of several bounds each must say something: `x > 2, x > 3` is no `x > 2`.
                (Some(solved), Node::List(parts)) if parts.len() != solved.len() => Ok(false),
                (Some(_), _) => self.inequalities_solved(gold, answer),
                (None, _) => Ok(false),
            };
        };
        if let ([name, set], [Relation::ElementOf]) = (answer_members.as_slice(), answer_relations.as_slice()) {
            return Ok(name_of(gold).as_ref() == Some(name) && self.nodes(gold, set)?);
        }
        if let Some(solved) = solved {
            // Only a solved inequality answers; an equivalent one may be the question.
            if name_of(gold) != name_of(answer) {
                return Ok(false);
            }
            return match intervals(answer, &mut self.budget)? {
                Some(answer) => self.same_intervals(&solved, &answer),
                None => Ok(false),
            };
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
                let reversed: Vec<Relation> = relations.iter().rev().map(|relation| relation.reversed()).collect();
                let members: Vec<Node> = members.iter().rev().cloned().collect();
                Ok(reversed == *answer_relations && self.in_order(&members, answer_members)?)
            }
        }
    }

    /// Whether a - b and c - d differ by a constant factor, which for inequalities must be positive.
    fn proportional(&mut self, a: &Node, b: &Node, c: &Node, d: &Node, positive: bool) -> Decided {
        let mut difference =
            |a: &Node, b: &Node| simplify(Node::Sum(vec![a.clone(), b.clone().negative()]), &mut self.budget);
        let (gold, answer) = (difference(a, b)?, difference(c, d)?);
        if variables(&gold) != variables(&answer) {
            return Ok(false);
        }
        if gold == answer {
            return Ok(true);
        }
        let mut ratio: Option<Value> = None;
        for number in 0..POINTS {
            let point = Point::Positive(number);
            let gold = evaluate(&gold, point, &mut self.budget)?;
            let answer = evaluate(&answer, point, &mut self.budget)?;
            if !(gold.is_nonzero() && answer.is_nonzero()) {
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

    /// Numbers with or without units, percents and degrees.
    fn quantities(&mut self, gold: &Node, answer: &Node) -> Decided {
        match (gold, answer) {
            (Node::Quantity { value: gold, unit: gold_unit }, Node::Quantity { value: answer, unit: answer_unit }) => {
                match (unit(gold_unit), unit(answer_unit)) {
                    (Some(from), Some(to)) if from.dimension != to.dimension => Ok(false),
                    (Some(from), Some(to)) if from.factor != to.factor => {
                        let scaled = |value: &Node, factor| Node::Product(vec![value.clone(), Node::number(factor)]);
                        self.scalars(&scaled(gold, from.factor), &scaled(answer, to.factor))
                    }
                    _ => self.nodes(gold, answer),
                }
            }
            (Node::Quantity { value, unit: words }, Node::Product(factors))
                if unit(words).is_some()
                    && unit_in_letters(factors).is_some_and(|(_, of)| unit(&of) == unit(words)) =>
            {
                // `6 m^2` outside `\text`
                match unit_in_letters(factors) {
                    Some((rest, _)) => self.nodes(value, &rest),
                    None => Ok(false),
                }
            }
            (Node::Quantity { value, unit: words }, other) | (other, Node::Quantity { value, unit: words }) => {
                // Percent and degrees may be words.
                let value = spelled_out(value, words);
                let plain = !matches!(value, Node::Percent(_) | Node::Degrees(_));
                if plain && matches!(other, Node::Percent(_) | Node::Degrees(_)) && unit(words).is_some() {
                    Ok(false)
                } else if matches!(gold, Node::Quantity { .. }) {
                    self.nodes(&value, other)
                } else {
                    self.nodes(other, &value)
                }
            }
            (Node::Percent(gold), Node::Percent(answer)) | (Node::Degrees(gold), Node::Degrees(answer)) => {
                self.scalars(gold, answer)
            }
            (Node::Percent(inner), other) | (other, Node::Percent(inner)) => {
                // The question may ask for the number of percent.
                let share = if matches!(gold, Node::Percent(_)) { gold } else { answer };
                Ok(self.scalars(inner, other)? || self.scalars(share, other)?)
            }
            (Node::Degrees(inner), other) | (other, Node::Degrees(inner)) => {
                let angle = if matches!(gold, Node::Degrees(_)) { gold } else { answer };
                Ok(self.scalars(inner, other)? || self.scalars(angle, other)?)
            }
            _ => self.scalars(gold, answer),
        }
    }

    /// Expressions: by canonical form, then by value.
    fn scalars(&mut self, gold: &Node, answer: &Node) -> Decided {
        let (left, right) = (simplify(gold.clone(), &mut self.budget)?, simplify(answer.clone(), &mut self.budget)?);
        if left == right {
            return Ok(true);
        }
        let decimal = match (decimal_of(gold), decimal_of(answer)) {
            (Some(a), Some(b)) => Some(if a.0 > b.0 { a } else { b }),
            // An integer is no rounded number.
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
        self.same_values(&left, &right)
    }

    /// Equal values at all points that count: positive and negative ones, or integers where factorials are involved.
    fn same_values(&mut self, gold: &Node, answer: &Node) -> Decided {
        let has = |condition: &dyn Fn(&Node) -> bool| gold.any(&condition) || answer.any(&condition);
        let has_variables = has(&|part| matches!(part, Node::Variable(_)));
        if !has_variables {
            let gold = evaluate(gold, Point::Positive(0), &mut self.budget)?;
            let answer = evaluate(answer, Point::Positive(0), &mut self.budget)?;
            return Ok(gold.compare(answer) == Comparison::Equal);
        }
        let discrete = has(&|part| matches!(part, Node::Call(Function::Factorial | Function::Binomial, _)));
        let mut agreed = 0;
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
                        if matches!(point, Point::Negative(_)) && (gold.branched || answer.branched) => {}
                    Comparison::Different => return Ok(false),
                    Comparison::Unknown => {}
                }
            }
        }
        Ok(agreed >= POINTS - 1)
    }
}

/// A tree with one choice of signs for `±` and `∓`.
fn with_signs(node: Node, other: bool) -> Result<Node, Exhausted> {
    let node = node.map_children(&mut |child| with_signs(child, other))?;
    Ok(match node {
        Node::PlusMinus(inner, opposite) if opposite != other => inner.negative(),
        Node::PlusMinus(inner, _) => *inner,
        node => node,
    })
}

/// The letter of `(B) 12` and the tokens after it.
fn label(tokens: &[Token]) -> Option<(char, &[Token])> {
    let letter = |token: &Token| match token {
        Token::Letter(letter) => Some(*letter),
        Token::Text(word) if word.len() == 1 => word.chars().next(),
        _ => None,
    };
    let [Token::Symbol('('), inner, Token::Symbol(')'), rest @ ..] = tokens else { return None };
    letter(inner).filter(|letter| matches!(letter, 'A'..='J')).map(|letter| (letter, rest))
}

/// What a text says that can be said in signs.
fn meaning(text: &str) -> Option<Node> {
    match text {
        "empty set" | "the empty set" | "null set" => Some(Node::Set(Vec::new())),
        "all real numbers" | "all reals" | "real numbers" | "the real numbers" => Some(Node::Reals),
        _ => number_word(text).map(Node::integer),
    }
}

/// The values of `x = 2, y = 3`, in the order of their names where these are single letters, else in the order of the list.
fn coordinates(items: &[Node]) -> Option<Vec<Node>> {
    let mut named = Vec::with_capacity(items.len());
    for item in items {
        let Node::Chain { members, relations } = item else { return None };
        let ([Node::Variable(name), value], [Relation::Equal]) = (members.as_slice(), relations.as_slice()) else {
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

/// A sum, product or quotient of different variables, or a function of one: what a question may ask for, such as `m + n`.
fn is_combination(node: &Node) -> bool {
    let variable = |node: &Node| matches!(node, Node::Variable(_));
    let different = |items: &[Node]| items.iter().enumerate().all(|(at, item)| !items[..at].contains(item));
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
        Node::Call(function, arguments) if *function != Function::Root => {
            arguments.first().is_some_and(|argument| variable(argument) || is_combination(argument))
                && arguments[1..].iter().all(|other| matches!(other, Node::Number { .. }))
        }
        _ => false,
    }
}

/// Digits and capital letters that read as a product.
fn spelt_out(factors: &[Node]) -> Option<String> {
    let mut spelt = String::new();
    for factor in factors {
        match factor {
            Node::Number { value, decimal: None } if value.is_integer() && value.numer().bits() < 64 => {
                spelt.push_str(&value.numer().to_string());
            }
            Node::Variable(name) => spelt.push_str(name),
            _ => return None,
        }
    }
    Some(spelt)
}

/// A product whose last factors are letters that may be a unit, `6 c m^2`, as the product of the others and the unit's name.
fn unit_in_letters(factors: &[Node]) -> Option<(Node, String)> {
    let letter = |node: &Node| match node {
        Node::Variable(name) if name.len() <= 2 => Some(name.clone()),
        Node::Power(base, exponent) => match (&**base, &**exponent) {
            (Node::Variable(name), Node::Number { value, .. }) => Some(format!("{name}^{value}")),
            _ => None,
        },
        _ => None,
    };
    let count = factors.iter().rev().take_while(|factor| letter(factor).is_some()).count();
    let (rest, letters) = factors.split_at(factors.len() - count);
    if rest.is_empty() || letters.is_empty() {
        return None;
    }
    Some((Node::Product(rest.to_vec()), letters.iter().filter_map(letter).collect()))
}

fn is_long_text(node: &Node) -> bool {
    matches!(node, Node::Text(text) if text.chars().count() > 1)
}

fn is_integer(node: &Node) -> bool {
    matches!(node, Node::Number { value, .. } if value.is_integer())
}

fn has_infinity(node: &Node) -> bool {
    node.any(&|part| *part == Node::Constant(Constant::Infinity))
}

fn is_set(node: &Node) -> bool {
    matches!(node, Node::Set(_) | Node::Union(_) | Node::Difference(..) | Node::Reals)
}

fn is_structure(node: &Node) -> bool {
    matches!(node, Node::Group { .. } | Node::Matrix(_))
}

/// The cells of `[1, 2]` as a row.
fn row(node: &Node) -> Option<Vec<Node>> {
    match node {
        Node::Group { items, .. } => Some(items.clone()),
        _ => None,
    }
}

fn quotient(parts: &[Node]) -> Option<Node> {
    match parts {
        [a, b] => Some(Node::Product(vec![a.clone(), b.clone().power(Node::integer(-1))])),
        _ => None,
    }
}

/// The name that an inequality is about.
fn name_of(node: &Node) -> Option<Node> {
    let Node::Chain { members, .. } = node else { return None };
    members.iter().find(|member| is_name(member)).cloned()
}

fn variables(node: &Node) -> std::collections::BTreeSet<&str> {
    let mut found = std::collections::BTreeSet::new();
    let mut left = vec![node];
    while let Some(node) = left.pop() {
        if let Node::Variable(name) = node {
            found.insert(name.as_str());
        }
        left.extend(node.children());
    }
    found
}

fn without_unit(node: &Node) -> &Node {
    match node {
        Node::Quantity { value, .. } => value,
        other => other,
    }
}

/// `10 percent` as `10 %`, `30 degrees` as `30°`, other units left off.
fn spelled_out(value: &Node, unit: &str) -> Node {
    match unit {
        "percent" => Node::Percent(Box::new(value.clone())),
        "degree" | "degrees" | "deg" => Node::Degrees(Box::new(value.clone())),
        _ => value.clone(),
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
            [Node::Number { value, .. }, other] if *value == Number::from_integer((-1).into()) => decimal_of(other),
            [number @ Node::Number { decimal: Some(_), .. }, Node::Power(base, exponent)]
                if **base == Node::integer(10) =>
            {
                let (step, significant) = decimal_of(number)?;
                let Node::Number { value, .. } = &**exponent else { return None };
                let exponent =
                    i32::try_from(value.numer()).ok().filter(|exponent| value.is_integer() && exponent.abs() <= 400)?;
                Some((step * Number::from_integer(10.into()).pow(exponent), significant))
            }
            _ => None,
        },
        _ => None,
    }
}
