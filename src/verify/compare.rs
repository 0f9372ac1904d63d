//! Whether two answers are equal. The gold answer comes first, and decides what form is asked for.

use super::approximate::{Comparison, Point, Value, evaluate};
use super::budget::{Budget, Exhausted};
use super::extract::{lone_letter, named_choice};
use super::family::{self, Domain, Member};
use super::numeral;
use super::parse::{Fault, INTEGER_PART, is_prose, parse, words};
use super::reals::{Interval, intervals, is_constant_letter, is_name, subject};
use super::simplify::{expanded, is_negative, is_zero, same_surds, simplify};
use super::token::{Commas, Token, tokenize};
use super::tree::{Constant, Decimal, Function, Node, Number, Relation};
use super::units::{exclude, is_plain_sign, is_temperature, leading_unit, same_words, unit};
use num_bigint::BigInt;
use std::collections::BTreeSet;

/// Significant digits that a decimal must have to stand for a number that it does not equal.
const SIGNIFICANT: u32 = 6;

/// How far floats of numbers of about 1 may be off.
const FLOAT: f64 = 1e-13;

/// Points at which expressions with variables are compared.
const POINTS: u64 = 4;

/// Points at which expressions with steps, such as floors of variables, are compared, and how many of them must be beyond doubt.
const STEP_POINTS: u64 = 42;
const STEPS_SEEN: usize = 12;

/// Whether `answer` is the answer `gold`.
pub(super) fn equal(gold: &str, answer: &str) -> Result<bool, Exhausted> {
    let mut comparer = Comparer { budget: Budget::new() };
    if let Some(letter) = lone_letter(gold)
        && named_choice(answer) == Some(letter)
    {
        return Ok(true);
    }
    let (found, ambiguous) = comparer.read_and_compare(gold, answer, Commas::Thousands)?;
    if found {
        return Ok(true);
    }
    if ambiguous && comparer.read_and_compare(gold, answer, Commas::Separate)?.0 {
        return Ok(true);
    }
    match (decimal_comma(gold), decimal_comma(answer)) {
        (Some(gold), None) if answer.contains('.') => {
            Ok(comparer.read_and_compare(&gold, answer, Commas::Thousands)?.0)
        }
        (None, Some(answer)) if gold.contains('.') => {
            Ok(comparer.read_and_compare(gold, &answer, Commas::Thousands)?.0)
        }
        _ => Ok(false),
    }
}

/// A text that is one number with a decimal comma, with or without a unit, `2,74 $`, as with a point: where the other answer has one. Three
/// digits after the comma are thousands, unless a 0 is in front of it, and with one digit it is a list.
fn decimal_comma(text: &str) -> Option<String> {
    let (before, after) = text.split_once("{,}").or_else(|| text.split_once(','))?;
    let whole = before.trim_start_matches(['-', '$', '\\', ' ']);
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let decimals = after.bytes().take_while(u8::is_ascii_digit).count();
    let rest = &after[decimals..];
    let plain = rest
        .trim_start()
        .chars()
        .next()
        .is_none_or(|c| c.is_alphabetic() || matches!(c, '$' | '%' | '\\' | '€' | '£' | '°'));
    let is_number = is_digits(whole) && (decimals == 2 || decimals > 3 || (decimals == 3 && whole == "0"));
    (is_number && plain && !rest.contains([',', '.'])).then(|| format!("{before}.{after}"))
}

struct Comparer {
    budget: Budget,
}

type Decided = Result<bool, Exhausted>;

impl Comparer {
    /// The result for one reading of commas, and whether there is another.
    fn read_and_compare(&mut self, gold: &str, answer: &str, commas: Commas) -> Result<(bool, bool), Exhausted> {
        let (mut gold, mut answer) =
            (tokenize(gold, commas, &mut self.budget)?, tokenize(answer, commas, &mut self.budget)?);
        let ambiguous = gold.ambiguous || answer.ambiguous;
        let vectors = (gold.bold || gold.arrows, answer.bold || answer.arrows);
        gold.settle_bold(vectors.1);
        answer.settle_bold(vectors.0);
        let (gold, answer) = (gold.list, answer.list);
        if gold.is_empty() || answer.is_empty() {
            return Ok((false, ambiguous));
        }
        if gold == answer || self.same_words(&gold, &answer)? {
            return Ok((true, ambiguous));
        }
        if same_choices(&gold, &answer) {
            return Ok((true, ambiguous));
        }
        if is_same_short_word(&gold, &answer) == Some(false) {
            return Ok((false, ambiguous));
        }
        let concluded = conclusion(&gold, &answer);
        if self.same_families(&gold, concluded)? {
            return Ok((true, ambiguous));
        }
        if let Some((first, again)) = restated(&answer)
            && self.same_tokens(&gold, first)?
            && self.same_tokens(&gold, again)?
        {
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
        match self.parsed(gold, answer)? {
            Some((gold, answer)) => self.answers(&gold, &answer),
            None => Ok(false),
        }
    }

    /// Both answers as trees, where both can be read.
    fn parsed(&mut self, gold: &[Token], answer: &[Token]) -> Result<Option<(Node, Node)>, Exhausted> {
        // Only where one answer says which integer part is meant, by half brackets, do square ones say the same.
        let has = |tokens: &[Token], sign| {
            tokens.iter().any(|token| matches!(token, Token::Symbol(symbol) if *symbol == sign))
        };
        let floors = has(gold, '⌊') && has(answer, '[') || has(answer, '⌊') && has(gold, '[');
        let parsed = parse(gold, &mut self.budget).and_then(|gold| Ok((gold, parse(answer, &mut self.budget)?)));
        match parsed {
            Ok((gold_tree, answer_tree)) if applies(gold) || applies(answer) => {
                Ok(Some(with_one_reading(gold_tree, answer_tree)))
            }
            Ok((gold, answer)) if floors => Ok(Some((with_floors(gold), with_floors(answer)))),
            Ok(trees) => Ok(Some(trees)),
            Err(Fault::Unreadable) => Ok(None),
            Err(Fault::Exhausted) => Err(Exhausted),
        }
    }

    /// Answers with or without a letter that numbers a family of them: `\frac{\pi}{4} + k\pi, k \in \mathbb{Z}`.
    fn same_families(&mut self, gold: &[Token], answer: &[Token]) -> Decided {
        let ((gold_rest, gold_member), (answer_rest, answer_member)) = (family::split(gold), family::split(answer));
        let Some(Member { letter, domain }) = gold_member.or(answer_member) else {
            return self.same_tokens(gold, answer);
        };
        let domains = gold_member.zip(answer_member);
        if domains.is_some_and(|(gold, answer)| gold.domain != answer.domain) {
            return Ok(false);
        }
        let Some((gold, answer)) = self.parsed(gold_rest, answer_rest)? else { return Ok(false) };
        // The letters may differ: of the side that declares none, it is the one that the other side does not have.
        let (gold_letters, answer_letters) = (variables(&gold), variables(&answer));
        let letter_of = |member: Option<Member>, own: &BTreeSet<&str>, other: &BTreeSet<&str>| {
            let mut foreign = own.difference(other).filter(|name| name.len() == 1);
            match (member, foreign.next(), foreign.next()) {
                (Some(member), ..) => Some(member.letter.to_string()),
                (None, Some(only), None) => Some((*only).to_string()),
                (None, None, _) => own.contains(letter.to_string().as_str()).then(|| letter.to_string()),
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
            && (gold_letters.contains(answer_name.as_str()) || answer_letters.contains(gold_name.as_str()))
        {
            return Ok(false);
        }
        let answer = if gold_name == answer_name {
            answer
        } else {
            substituted(answer, &|name| (name == answer_name).then(|| Node::Variable(gold_name.clone())))
        };
        if self.answers(&gold, &answer)? {
            return Ok(true);
        }
        // Without a declaration `3n + 1` is a formula, which `3n + 4` is not; multiples of pi are solutions.
        let declared = gold_member.is_some();
        Ok(domain == Domain::Integers && self.same_progressions(&gold, &answer, &gold_name, declared)?)
    }

    /// Whether two families are the same set: lists of `a + bk` that for integers k run through the same values. Where the gold answer does
    /// not declare the letter, b must contain pi.
    fn same_progressions(&mut self, gold: &Node, answer: &Node, letter: &str, declared: bool) -> Decided {
        let (gold, answer) = (self.written_out(&as_list(gold))?, self.written_out(&as_list(answer))?);
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

    /// Whether two intervals that repeat are the same but for where they begin to count: `(k\pi, k\pi + 1)` and `(\pi + k\pi, \pi + 1 + k\pi)`.
    fn same_periodic_intervals(&mut self, gold: &Node, answer: &Node, letter: &str) -> Decided {
        let (Some((open, close, gold)), Some((other_open, other_close, answer))) = (interval(gold), interval(answer))
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

    fn same_progression(&mut self, gold: &Node, answer: &Node, letter: &str, declared: bool) -> Decided {
        let Some((start, step)) = self.progression(gold, letter)? else { return Ok(false) };
        if !declared && !step.any(&|part| *part == Node::Constant(Constant::Pi)) {
            return Ok(false);
        }
        let Some((other_start, other_step)) = self.progression(answer, letter)? else { return Ok(false) };
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
    fn progression(&mut self, node: &Node, letter: &str) -> Result<Option<(Node, Node)>, Exhausted> {
        let mut at = |k: i64| {
            let put = substituted(node.clone(), &|name| (name == letter).then(|| Node::integer(k)));
            let expanded = expanded(simplify(put, &mut self.budget)?, &mut self.budget)?;
            Ok::<_, Exhausted>(expanded)
        };
        let (zero, one, three) = (at(0)?, at(1)?, at(3)?);
        let step = simplify(Node::Sum(vec![one, zero.clone().negative()]), &mut self.budget)?;
        let linear = Node::Sum(vec![zero.clone(), Node::Product(vec![Node::integer(3), step.clone()])]);
        let linear = expanded(simplify(linear, &mut self.budget)?, &mut self.budget)?;
        let is_zero = matches!(&step, Node::Number { value, .. } if is_zero(value));
        Ok((!is_zero && linear == three).then_some((zero, step)))
    }

    /// Whether the gold answer is a text and the answer has the same words.
    fn same_words(&mut self, gold: &[Token], answer: &[Token]) -> Decided {
        self.budget.spend(gold.len() as u64 + answer.len() as u64)?;
        if is_same_short_word(gold, answer) == Some(true) {
            return Ok(true);
        }
        let is_text = gold.iter().any(|token| match token {
            Token::Text(_) => true,
            Token::Word(word) => is_prose(word),
            _ => false,
        });
        Ok(is_text && words(gold).is_some_and(|gold| words(answer) == Some(gold)))
    }

    /// Whole answers: plus-minus is written out, then structures are compared.
    fn answers(&mut self, gold: &Node, answer: &Node) -> Decided {
        if let Node::Either(forms) = gold {
            // One value in several forms.
            let mut same = true;
            for form in &forms[1..] {
                same = same && self.answers(&forms[0], form)?;
            }
            return if same { self.answers(&forms[0], answer) } else { self.answers(&as_list(gold), answer) };
        }
        let gold = self.written_out(gold)?;
        if let Node::Either(forms) = answer
            && !matches!(gold, Node::List(_) | Node::Set(_))
        {
            let mut same = true;
            for form in forms {
                let form = self.written_out(form)?;
                same = same && self.nodes(&gold, &form)?;
            }
            if same {
                return Ok(true);
            }
        }
        let answer = match answer {
            Node::Either(_) => self.written_out(&as_list(answer))?,
            answer => self.written_out(answer)?,
        };
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
        if is_scalar(gold) && is_scalar(answer) {
            return self.quantities(gold, answer);
        }
        match (gold, answer) {
            // `x > 1, x < 4` and `1 < x < 4`.
            (Node::List(items), Node::Chain { relations, .. })
                if items.iter().all(|item| matches!(item, Node::Chain { .. }))
                    && !relations.iter().copied().all(is_equality) =>
            {
                self.same_reals(items, std::slice::from_ref(answer))
            }
            (Node::Chain { members, relations }, _) => self.gold_chain(gold, members, relations, answer),
            (_, Node::Chain { members, relations }) => self.answer_chain(gold, members, relations),
            (Node::Text(gold), Node::Text(answer)) => {
                Ok(gold == answer || meaning(gold).is_some_and(|gold| meaning(answer) == Some(gold)))
            }
            (Node::Text(word), other) | (other, Node::Text(word)) => match meaning(word) {
                Some(meaning) if matches!(gold, Node::Text(_)) => self.nodes(&meaning, other),
                Some(meaning) => self.nodes(other, &meaning),
                None => Ok(match other {
                    Node::Variable(name) => name.eq_ignore_ascii_case(word),
                    // `odd`, in a gold answer without `\text`.
                    Node::Product(factors) => {
                        is_short_word(word) && spelt_out(factors).is_some_and(|spelt| spelt == *word)
                    }
                    _ => false,
                }),
            },
            (Node::Residue(gold, modulus), Node::Residue(answer, other)) => {
                Ok(self.scalars(modulus, other)? && self.congruent(gold, answer, modulus)?)
            }
            (Node::Residue(..), _) => Ok(false),
            // What is not smaller than the modulus is still to be worked out: `7 \bmod 4`.
            (_, Node::Residue(answer, modulus)) => Ok(!is_unreduced(answer, modulus) && self.nodes(gold, answer)?),
            (Node::Apply(name, arguments), Node::Apply(other, answer))
                if name == other && arguments.len() == answer.len() =>
            {
                Ok(self.in_order(arguments, answer)?)
            }
            // `A(2, -5)` is a point with its name.
            (Node::Group { open: '(', close: ')', items }, Node::Apply(name, arguments)) if is_point(name) => {
                self.in_order(items, arguments)
            }
            (Node::Apply(name, arguments), Node::Group { open: '(', close: ')', items }) if is_point(name) => {
                self.in_order(arguments, items)
            }
            (Node::Based { digits, base }, other) | (other, Node::Based { digits, base }) => {
                self.based(digits, *base, other)
            }
            _ => self.lists(gold, answer),
        }
    }

    /// Lists and sets, with each other and with what they may stand for.
    fn lists(&mut self, gold: &Node, answer: &Node) -> Decided {
        match (gold, answer) {
            (Node::List(gold), Node::List(answer)) if gold.iter().all(is_long_text) => self.in_order(gold, answer),
            // Solutions: `x = 1, y = 2` more than once, or points, each of which counts once.
            (Node::List(gold), Node::List(answer) | Node::Set(answer)) if points(gold).is_some() => {
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
            // One solution; around a letter the braces are its fractional part.
            (Node::Set(items), other) | (other, Node::Set(items))
                if items.len() == 1
                    && !is_set(other)
                    && (matches!(items[0], Node::Chain { .. }) || !has_variable(&items[0])) =>
            {
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
            _ => self.structures(gold, answer),
        }
    }

    /// Tuples, intervals, matrices, ratios, unions; and what is none of them.
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

    /// Matrices, of which at least one is a sum or product of matrices.
    fn matrices_worked_out(&mut self, gold: &Node, answer: &Node) -> Decided {
        match (simplify(gold.clone(), &mut self.budget)?, simplify(answer.clone(), &mut self.budget)?) {
            (gold @ Node::Matrix(_), answer @ Node::Matrix(_)) => self.nodes(&gold, &answer),
            (gold, answer) => Ok(gold == answer),
        }
    }

    /// The coefficients of i, j and k in a sum of them, as a tuple.
    fn components(&mut self, node: &Node, dimension: usize) -> Result<Option<Node>, Exhausted> {
        if !(2..=3).contains(&dimension) {
            return Ok(None);
        }
        let unit = |node: &Node| unit_vector(node).filter(|at| *at < dimension);
        // With i alone, and no mark on it, it is a complex number.
        if !node.any(&|part| unit(part).is_some_and(|at| at > 0) || is_marked_unit_vector(part)) {
            return Ok(None);
        }
        let terms = match simplify(node.clone(), &mut self.budget)? {
            Node::Sum(terms) => terms,
            other => vec![other],
        };
        let mut coefficients = vec![Vec::new(); dimension];
        for term in terms {
            let mut factors = match term {
                Node::Product(factors) => factors,
                other => vec![other],
            };
            let Some(at) = factors.iter().position(|factor| unit(factor).is_some()) else { return Ok(None) };
            let Some(component) = unit(&factors.remove(at)) else { return Ok(None) };
            let coefficient = Node::Product(factors);
            if coefficient.any(&|part| unit(part).is_some()) {
                return Ok(None);
            }
            coefficients[component].push(coefficient);
        }
        let mut items = Vec::with_capacity(dimension);
        for coefficient in coefficients {
            items.push(simplify(Node::Sum(coefficient), &mut self.budget)?);
        }
        Ok(Some(Node::Group { open: '(', close: ')', items }))
    }

    /// Whether two numbers differ by a multiple of the modulus.
    fn congruent(&mut self, a: &Node, b: &Node, modulus: &Node) -> Decided {
        if self.nodes(a, b)? {
            return Ok(true);
        }
        let steps = Node::Sum(vec![a.clone(), b.clone().negative()]).over(modulus.clone());
        Ok(is_integer(&simplify(steps, &mut self.budget)?))
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
        // Of `3 boys, 5 girls` each number belongs to its word.
        if let Some(answer) = in_order_of_words(gold, answer) {
            return self.in_order(gold, &answer);
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
        match (intervals(gold, &mut self.budget)?, intervals(answer, &mut self.budget)?, gold, answer) {
            (Some(gold), Some(answer), ..) => self.same_intervals(&gold, &answer),
            // Of sets that are only named.
            (None, None, Node::Union(gold), Node::Union(answer)) => self.in_any_order(gold, answer),
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
            _ if relations.iter().copied().all(is_equality) => self.gold_equation(members, relations, answer),
            _ => self.gold_inequality(gold, members, relations, answer),
        }
    }

    fn gold_equation(&mut self, members: &[Node], relations: &[Relation], answer: &Node) -> Decided {
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
            let is_same_function =
                if is_function { are_functions(name, label) } else { is_constant_function(name, label) };
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

    /// Whether an answer is any of the members of a chain without variables, the approximate ones as precisely as they are written:
    /// 0.56 = 56 %, 2/3 ≈ 0.67.
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

    /// Whether every member of a chain without a name is a member of the gold chain, or rounds one that is.
    fn all_are_members(
        &mut self,
        members: &[Node],
        relations: &[Relation],
        answer: &[Node],
        answer_relations: &[Relation],
    ) -> Decided {
        for (at, member) in answer.iter().enumerate() {
            let approximate = at > 0 && answer_relations[at - 1] == Relation::Approximate;
            if !(self.is_member(members, relations, member)? || (approximate && self.rounds_to(&answer[0], member)?)) {
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
        if matches!(gold, Node::Variable(_)) || gold.any(&|part| matches!(part, Node::Text(_) | Node::Group { .. })) {
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
            if *relation == Relation::Approximate && !equal && !(any && self.rounds_to(value, member)?) {
                return Ok(false);
            }
            any |= equal;
        }
        Ok(any)
    }

    /// An answer that is an equation, where the gold answer is none: `x = 5`, `2 + 3 = 5`, `x = 1/3 ≈ 0.33`, `x in S`.
    fn answer_chain(&mut self, gold: &Node, members: &[Node], relations: &[Relation]) -> Decided {
        let first_is_letter = is_constant_letter(&members[0]) && !gold.any(&|part| part == &members[0]);
        // `f(2) = g(3) = 12`: names of one value.
        let names = members.iter().take_while(|member| is_name(member)).count();
        if names > 1 && names < members.len() && !has_variable(gold) && relations.iter().copied().all(is_equality) {
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
        // A decimal with more digits than a float has is as close as floats can tell.
        let step = super::approximate::float(step);
        Ok(value.is_real() && value.re.abs() + value.error < step.max(2.0 * value.error.min(FLOAT)))
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
        if relations.iter().any(|relation| matches!(relation, Relation::Other(_) | Relation::ElementOf)) {
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
                let reversed: Vec<Relation> = relations.iter().rev().map(|relation| relation.reversed()).collect();
                let members: Vec<Node> = members.iter().rev().cloned().collect();
                Ok(reversed == *answer_relations && self.in_order(&members, answer_members)?)
            }
        }
    }

    /// Whether two chains have the same members in the same order, or the reverse order with the relations turned round.
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
        let reversed: Vec<Relation> = relations.iter().rev().map(|relation| relation.reversed()).collect();
        let members: Vec<Node> = members.iter().rev().cloned().collect();
        let turns = relations.iter().all(|relation| relation.is_reversible()) && reversed == other_relations;
        Ok(turns && self.in_order(&members, others)?)
    }

    /// Whether a - b and c - d differ by a constant factor, which for inequalities must be positive.
    fn proportional(&mut self, a: &Node, b: &Node, c: &Node, d: &Node, positive: bool) -> Decided {
        if ![a, b, c, d].into_iter().any(has_variable) {
            // Of numbers any two are in proportion.
            return Ok(self.nodes(a, c)? && self.nodes(b, d)? || (!positive && self.nodes(a, d)? && self.nodes(b, c)?));
        }
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
                        let scaled = |value: &Node, factor| Node::Product(vec![value.clone(), Node::number(factor)]);
                        self.scalars(&scaled(gold, from.factor), &scaled(answer, to.factor))
                    }
                    _ => self.nodes(gold, answer),
                }
            }
            (Node::Quantity { value, unit: words }, Node::Product(factors))
                if unit(words).is_some() && unit_in_letters(factors).is_some() && !has_variable(value) =>
            {
                // `6 m^2` outside `\text`
                match unit_in_letters(factors) {
                    Some((rest, letters)) => {
                        let value = Node::Quantity { value: value.clone(), unit: words.clone() };
                        self.quantities(&value, &Node::Quantity { value: Box::new(rest), unit: letters })
                    }
                    None => Ok(false),
                }
            }
            // A number, and a number with a unit outside `\text`.
            (
                Node::Number { .. } | Node::Sum(_) | Node::Product(_) | Node::Power(..) | Node::Call(..),
                Node::Product(factors),
            ) if !has_letter(gold) && unit_in_letters(factors).is_some_and(|(rest, _)| !has_letter(&rest)) => {
                match unit_in_letters(factors) {
                    Some((rest, _)) => self.scalars(gold, &rest),
                    None => Ok(false),
                }
            }
            (Node::Quantity { value, unit: words }, _) | (_, Node::Quantity { value, unit: words })
                if names_something(value, words) =>
            {
                Ok(false)
            }
            (Node::Quantity { value, unit: words }, other) | (other, Node::Quantity { value, unit: words }) => {
                // Percent and degrees may be words.
                let value = spelled_out(value, words);
                let plain = !matches!(value, Node::Percent(_) | Node::Degrees(_));
                if let Node::Degrees(other) = other
                    && unit(words).is_some_and(|unit| is_temperature(&unit))
                {
                    return self.scalars(&value, other);
                }
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
        Ok(self.same_values(&left, &right)? || self.same_vectors(&left, &right)?)
    }

    /// Sums of unit vectors, of which at least one is marked as such: `2\hat{i} - \hat{j}` and `2i - j`.
    fn same_vectors(&mut self, gold: &Node, answer: &Node) -> Decided {
        if !(gold.any(&is_marked_unit_vector) || answer.any(&is_marked_unit_vector)) {
            return Ok(false);
        }
        match (self.components(gold, 3)?, self.components(answer, 3)?) {
            (Some(gold), Some(answer)) => self.nodes(&gold, &answer),
            _ => Ok(false),
        }
    }

    /// Equal values at all points that count: positive and negative ones, or integers where factorials are involved.
    fn same_values(&mut self, gold: &Node, answer: &Node) -> Decided {
        let has = |condition: &dyn Fn(&Node) -> bool| gold.any(&condition) || answer.any(&condition);
        let is_step = |part: &Node| matches!(part, Node::Call(Function::Floor | Function::Ceiling, arguments) if arguments.iter().any(has_variable));
        if has(&|part| matches!(part, Node::Variable(_))) && has(&is_step) {
            return self.same_steps(gold, answer);
        }
        let compared = self.compared(gold, answer)?;
        if matches!(compared, Comparison::Equal | Comparison::Unseen)
            && let Some(same) = same_surds(gold, answer, &mut self.budget)
        {
            return Ok(same);
        }
        match compared {
            Comparison::Equal => Ok(true),
            Comparison::Different | Comparison::Unknown => Ok(false),
            Comparison::Unseen => {
                // From the difference the larger terms are gone.
                let difference = Node::Sum(vec![gold.clone(), answer.clone().negative()]);
                let difference = expanded(simplify(difference, &mut self.budget)?, &mut self.budget)?;
                Ok(self.compared(&difference, &Node::integer(0))? == Comparison::Equal)
            }
        }
    }

    /// How the values of two expressions compare; unknown where too few points tell.
    fn compared(&mut self, gold: &Node, answer: &Node) -> Result<Comparison, Exhausted> {
        if gold == answer {
            return Ok(Comparison::Equal);
        }
        let has = |condition: &dyn Fn(&Node) -> bool| gold.any(&condition) || answer.any(&condition);
        if !has(&|part| matches!(part, Node::Variable(_))) {
            let whole = matches!(gold, Node::Number { .. }) || matches!(answer, Node::Number { .. });
            let gold = evaluate(gold, Point::Positive(0), &mut self.budget)?;
            let answer = evaluate(answer, Point::Positive(0), &mut self.budget)?;
            // A number among so many like it that floats do not tell them apart is not known to be the value.
            let unseen = whole && gold.error + answer.error > 0.01;
            return Ok(match gold.compare(answer) {
                Comparison::Equal if unseen => Comparison::Unseen,
                compared => compared,
            });
        }
        let discrete = has(&|part| matches!(part, Node::Call(Function::Factorial | Function::Binomial, _)));
        let (mut agreed, mut unseen) = (0, 0);
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
                    Comparison::Different => return Ok(Comparison::Different),
                    Comparison::Unseen => unseen += 1,
                    Comparison::Unknown => {}
                }
            }
        }
        Ok(if agreed >= POINTS - 1 {
            Comparison::Equal
        } else if agreed + unseen >= POINTS - 1 {
            Comparison::Unseen
        } else {
            Comparison::Unknown
        })
    }

    /// Equal values at integers of all sizes, and at fractions and negative numbers too for letters that are no common names of integers.
    fn same_steps(&mut self, gold: &Node, answer: &Node) -> Decided {
        let mut agreed = 0;
        for number in 0..STEP_POINTS {
            let put = |node: &Node| substituted(node.clone(), &|name| Some(Node::number(sample(name, number))));
            let (gold, answer) = (simplify(put(gold), &mut self.budget), simplify(put(answer), &mut self.budget));
            // What is too large at one point may be seen at another.
            let (Ok(gold), Ok(answer)) = (gold, answer) else { continue };
            let here = self.compared(&gold, &answer)?;
            match here {
                Comparison::Equal => agreed += 1,
                Comparison::Different => return Ok(false),
                Comparison::Unseen | Comparison::Unknown => {}
            }
        }
        Ok(agreed >= STEPS_SEEN)
    }
}

/// The place of i, j or k, with marks on it or without.
fn unit_vector(node: &Node) -> Option<usize> {
    match node {
        Node::Constant(Constant::I) => Some(0),
        Node::Variable(name) => ["i", "j", "k"].iter().position(|unit| unit == name),
        Node::Apply(mark, arguments) if matches!(mark.as_str(), "\\hat" | "\\vec") => unit_vector(arguments.first()?),
        _ => None,
    }
}

fn is_marked_unit_vector(node: &Node) -> bool {
    matches!(node, Node::Apply(..)) && unit_vector(node).is_some()
}

/// The items of an answer in the order of the gold answer's, by what each of them counts; `None` where they do not count the same things.
fn in_order_of_words(gold: &[Node], answer: &[Node]) -> Option<Vec<Node>> {
    let mut left: Vec<&Node> = answer.iter().collect();
    let mut ordered = Vec::with_capacity(gold.len());
    for item in gold {
        let Node::Quantity { unit, .. } = item else { return None };
        let mut named = (0..left.len())
            .filter(|at| matches!(left[*at], Node::Quantity { unit: other, .. } if same_words(unit, other)));
        match (named.next(), named.next()) {
            (Some(at), None) => ordered.push(left.swap_remove(at).clone()),
            // The same word more than once.
            _ => return None,
        }
    }
    Some(ordered)
}

/// Whether a number, or a name, is not the rest of a division by a number.
fn is_unreduced(value: &Node, modulus: &Node) -> bool {
    match (value, modulus) {
        (Node::Number { value, .. }, Node::Number { value: modulus, .. }) => value >= modulus,
        (value, Node::Number { .. }) => has_variable(value),
        _ => false,
    }
}

/// A value for a variable: integers from 1 to between 10 and 10,000,000; of every two, the other is a fraction or negative, if the variable
/// is not named as integers are.
fn sample(name: &str, number: u64) -> Number {
    let most = 10_i64.pow(1 + (number % 7) as u32);
    let integer = 1 + (Point::Positive(number).share(name) * most as f64) as i64;
    let is_integer = name.starts_with(|c| matches!(c, 'i'..='n')) || number.is_multiple_of(2);
    match number % 4 {
        _ if is_integer => Number::from_integer(integer.into()),
        1 => Number::new(integer.into(), 7.into()),
        _ => Number::new((-integer).into(), 3.into()),
    }
}

/// A tree with other nodes in place of some variables.
fn substituted(node: Node, by: &dyn Fn(&str) -> Option<Node>) -> Node {
    if let Node::Variable(name) = &node {
        return by(name).unwrap_or(node);
    }
    let Ok(node) = node.map_children(&mut |child| Ok::<_, std::convert::Infallible>(substituted(child, by)));
    node
}

/// Whether a node can only be a number or an expression.
fn is_scalar(node: &Node) -> bool {
    matches!(
        node,
        Node::Number { .. }
            | Node::Variable(_)
            | Node::Constant(_)
            | Node::Sum(_)
            | Node::Product(_)
            | Node::Power(..)
            | Node::Call(..)
    )
}

fn is_equality(relation: Relation) -> bool {
    matches!(relation, Relation::Equal | Relation::Approximate)
}

fn has_variable(node: &Node) -> bool {
    node.any(&|part| matches!(part, Node::Variable(_) | Node::Apply(..) | Node::Text(_)))
}

/// `3/4 (0.75)` as its two forms of one number, which as a product would be its square.
fn restated(tokens: &[Token]) -> Option<(&[Token], &[Token])> {
    let [before @ .., Token::Symbol(')')] = tokens else { return None };
    let open = before.iter().rposition(|token| *token == Token::Symbol('('))?;
    let (first, again) = (&before[..open], &before[open + 1..]);
    let is_form = |token: &Token| match token {
        Token::Number(_) | Token::Symbol('%' | '/' | '{' | '}') => true,
        Token::Command(name) => name == "frac",
        _ => false,
    };
    let plain = |tokens: &[Token]| tokens.len() <= 12 && tokens.iter().all(is_form);
    let whole = |tokens: &[Token]| matches!(tokens, [Token::Number(digits)] if !digits.contains('.'));
    let differ = first != again && !whole(first) && !whole(again);
    (!first.is_empty() && !again.is_empty() && plain(first) && plain(again) && differ).then_some((first, again))
}

/// The tokens after the last arrow of an answer that is a chain of conclusions, where the gold answer is none.
fn conclusion<'a>(gold: &[Token], answer: &'a [Token]) -> &'a [Token] {
    let is_arrow = |token: &Token| *token == Token::Symbol('⇒');
    match answer.iter().rposition(is_arrow) {
        Some(last) if last + 1 < answer.len() && !gold.iter().any(is_arrow) => &answer[last + 1..],
        _ => answer,
    }
}

/// A tree with the integer parts in square brackets as floors.
fn with_floors(node: Node) -> Node {
    let Ok(node) = node.map_children(&mut |child| Ok::<_, std::convert::Infallible>(with_floors(child)));
    match node {
        Node::Apply(name, arguments) if name == INTEGER_PART => Node::Call(Function::Floor, arguments),
        other => other,
    }
}

/// `a or b` as a list.
fn as_list(node: &Node) -> Node {
    match node {
        Node::Either(items) => Node::List(items.clone()),
        other => other.clone(),
    }
}

/// The value of an equation that gives one to a name, or of what is no structure.
fn value_of(node: &Node) -> Option<&Node> {
    match node {
        Node::Chain { members, relations } => match (members.as_slice(), relations.as_slice()) {
            ([name, value], [Relation::Equal]) if is_name(name) => Some(value),
            _ => None,
        },
        Node::Set(_) | Node::Group { .. } | Node::Matrix(_) | Node::Union(_) | Node::List(_) => None,
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

/// Whether a bracket stands where a function's arguments might.
fn applies(tokens: &[Token]) -> bool {
    tokens.windows(2).any(|pair| {
        matches!(pair[1], Token::Symbol('(' | '['))
            && matches!(
                pair[0],
                Token::Letter(_)
                    | Token::Word(_)
                    | Token::Text(_)
                    | Token::Command(_)
                    | Token::Symbol('}' | ')' | '\'')
            )
    })
}

/// Both answers with `g(x + 1)` as a product if only one of them has g in front of brackets; `f` is always a function, and so is any letter
/// in front of a number in brackets.
fn with_one_reading(gold: Node, answer: Node) -> (Node, Node) {
    let is_applied = |node: &Node| node.any(&|part| matches!(part, Node::Apply(..)));
    if !is_applied(&gold) && !is_applied(&answer) {
        return (gold, answer);
    }
    let (in_gold, in_answer) = (functions(&gold), functions(&answer));
    let both: BTreeSet<String> = in_gold.intersection(&in_answer).map(|name| (*name).to_string()).collect();
    (as_products(gold, &both), as_products(answer, &both))
}

/// The names of functions with arguments.
fn functions(node: &Node) -> BTreeSet<&str> {
    let mut found = BTreeSet::new();
    let mut left = vec![node];
    while let Some(node) = left.pop() {
        if let Node::Apply(name, _) = node {
            found.insert(name.as_str());
        }
        left.extend(node.children());
    }
    found
}

fn as_products(node: Node, kept: &BTreeSet<String>) -> Node {
    let change = |node| as_products(node, kept);
    match node {
        // The label of an equation stays what it is.
        Node::Chain { members, relations } => {
            let members = members
                .into_iter()
                .map(|member| if matches!(member, Node::Apply(..)) { member } else { change(member) });
            Node::Chain { members: members.collect(), relations }
        }
        Node::Apply(name, mut arguments) => {
            let is_factor = !name.starts_with(['f', '\\']) && name.len() == 1 && !kept.contains(&name);
            let is_place = |node: &Node| {
                matches!(node, Node::Number { .. } | Node::Text(_) | Node::Chain { .. } | Node::Variable(_))
            };
            match arguments.pop() {
                Some(argument) if arguments.is_empty() && is_factor && !is_place(&argument) => {
                    Node::Product(vec![Node::Variable(name), change(argument)])
                }
                last => {
                    arguments.extend(last);
                    Node::Apply(name, arguments.into_iter().map(change).collect())
                }
            }
        }
        node => {
            let Ok(node) = node.map_children(&mut |child| Ok::<_, std::convert::Infallible>(change(child)));
            node
        }
    }
}

/// Whether a name with coordinates behind it is that of a point.
fn is_point(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_ascii_uppercase()) && matches!(chars.next(), None | Some('_' | '\''))
}

/// Whether the gold answer is the letters of several choices, `ABD`, and the answer the same letters one by one.
fn same_choices(gold: &[Token], answer: &[Token]) -> bool {
    let [Token::Word(gold) | Token::Text(gold)] = gold else { return false };
    let letters = gold.as_bytes();
    let are_choices = letters.len() > 1
        && letters.iter().all(|letter| matches!(letter, b'A'..=b'J'))
        && letters.windows(2).all(|pair| pair[0] < pair[1]);
    let mut left = gold.chars();
    are_choices
        && answer.iter().all(|token| match token {
            Token::Letter(letter) => left.next() == Some(*letter),
            Token::Text(word) => word.len() == 1 && left.next() == word.chars().next(),
            Token::Symbol(symbol) => matches!(symbol, ',' | ';' | '∧' | '(' | ')' | '{' | '}'),
            _ => false,
        })
        && left.next().is_none()
}

/// Whether two answers of one short word each are the same word, if the gold answer is one that is no product of letters.
fn is_same_short_word(gold: &[Token], answer: &[Token]) -> Option<bool> {
    match (gold, answer) {
        ([Token::Word(gold)], [Token::Word(answer) | Token::Text(answer)]) if is_short_word(gold) => {
            Some(gold.eq_ignore_ascii_case(answer))
        }
        _ => None,
    }
}

/// Whether letters that read as a product can only be a word: "no", or three with a vowel among them that are not in the order of
/// the alphabet, which products are in.
fn is_short_word(word: &str) -> bool {
    let letters: Vec<u8> = word.bytes().map(|letter| letter.to_ascii_lowercase()).collect();
    let has_vowel = letters.iter().any(|letter| b"aeiou".contains(letter));
    letters == *b"no"
        || (letters.len() == 3
            && letters.iter().all(u8::is_ascii_alphabetic)
            && has_vowel
            && !letters.windows(2).all(|pair| pair[0] < pair[1]))
}

/// The name that a chain gives values to: its first member, where the others do without it, or its last of two.
fn named_value<'a>(members: &'a [Node], relations: &'a [Relation]) -> Option<(&'a Node, &'a [Node], &'a [Relation])> {
    let (first, rest) = members.split_first()?;
    let is_new = |name: &Node, values: &[Node]| !values.iter().any(|value| value.any(&|part| part == name));
    let values_known = !rest.iter().any(has_variable);
    let is_label =
        is_name(first) || (values_known && (is_constant_letter(first) || is_combination(first) || is_size(first)));
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

/// Whether a label is a size that an answer gives: a distance, a function of an angle, a ratio of lengths.
fn is_size(node: &Node) -> bool {
    let capital =
        |node: &Node| matches!(node, Node::Variable(name) if name.starts_with(|c: char| c.is_ascii_uppercase()));
    let is_other_number = |node: &Node| matches!(node, Node::Number { value, .. } if !is_one_or_minus_one(value));
    match node {
        Node::Call(Function::Abs, arguments) => {
            let adds_number = |node: &Node| matches!(node, Node::Sum(items) if items.iter().any(|item| matches!(item, Node::Number { .. })));
            has_variable(&arguments[0]) && !arguments[0].any(&is_other_number) && !arguments[0].any(&adds_number)
        }
        Node::Call(Function::Logarithm, arguments) => {
            arguments.iter().all(|argument| matches!(argument, Node::Variable(_)))
        }
        Node::Call(function, arguments) => {
            !matches!(
                function,
                Function::Root
                    | Function::Factorial
                    | Function::Binomial
                    | Function::Logarithm
                    | Function::Floor
                    | Function::Ceiling
            ) && arguments[0].any(&|part| matches!(part, Node::Variable(_)))
        }
        Node::Power(base, exponent) => match (&**base, &**exponent) {
            (Node::Call(..), Node::Number { .. }) => is_size(base),
            // The variance.
            (Node::Variable(name), exponent) => name.starts_with("\\sigma") && *exponent == Node::integer(2),
            _ => false,
        },
        Node::Ratio(parts) => parts.iter().all(|part| is_name(part) || is_combination(part) || is_size(part)),
        Node::Product(factors) => factors.iter().all(|factor| match factor {
            Node::Power(base, exponent) => **exponent == Node::integer(-1) && (capital(base) || is_size(base)),
            Node::Product(inner) => inner.iter().all(capital),
            other => capital(other) || is_size(other),
        }),
        _ => false,
    }
}

fn is_one_or_minus_one(value: &Number) -> bool {
    value.is_integer() && value.numer().magnitude().bits() == 1
}

/// Whether two names are those of functions of the same variable: `f(x)`, `g(x)`, and `y` or the function's letter alone.
fn are_functions(gold: &Node, answer: &Node) -> bool {
    let is_y = |node: &Node| *node == Node::Variable("y".to_string());
    match (gold, answer) {
        (Node::Apply(_, arguments), Node::Apply(_, others)) => arguments == others,
        (Node::Apply(name, _), Node::Variable(letter)) | (Node::Variable(letter), Node::Apply(name, _)) => {
            letter == "y" || letter == name
        }
        (gold, answer) => is_y(gold) && is_y(answer),
    }
}

/// Whether two names are those of one function of a letter, whichever it is, as a constant function may have: `W(n)`, `W(x)`.
fn is_constant_function(gold: &Node, answer: &Node) -> bool {
    match (gold, answer) {
        (Node::Apply(name, gold), Node::Apply(other, answer)) => {
            // `P(A)` and `P(B)` are of two events.
            let is_place = |node: &Node| matches!(node, Node::Variable(name) if name.starts_with(|c: char| c.is_ascii_lowercase()));
            name == other
                && matches!((gold.as_slice(), answer.as_slice()), ([gold], [answer]) if is_place(gold) && is_place(answer))
        }
        _ => false,
    }
}

/// What is between bars, if it is a name.
fn without_bars(node: &Node) -> &Node {
    match node {
        Node::Call(Function::Abs, arguments) if matches!(arguments.as_slice(), [Node::Variable(_)]) => &arguments[0],
        other => other,
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
        _ if says_no_solution(text) => Some(Node::Set(Vec::new())),
        _ => numeral::value(text)
            .or_else(|| numeral::ordinal(text))
            .map(Node::integer)
            .or_else(|| numeral::fraction(text)),
    }
}

/// `no solution`, `no real solutions`, `there are no solutions`, `无解`.
fn says_no_solution(text: &str) -> bool {
    let text = text.strip_prefix("there is ").or_else(|| text.strip_prefix("there are ")).unwrap_or(text);
    let text = text.strip_suffix(" exist").or_else(|| text.strip_suffix(" exists")).unwrap_or(text);
    matches!(text, "no solution" | "no solutions" | "no real solution" | "no real solutions" | "无解" | "空集")
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

/// At least two points, given as tuples or by equations for the same names in turn: `x = 1, y = 2; x = 2, y = 1`.
fn points(items: &[Node]) -> Option<Vec<Node>> {
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

/// A sum, product or quotient of different variables, or a function of one: what a question may ask for, such as `m + n`.
fn is_combination(node: &Node) -> bool {
    let variable = |node: &Node| matches!(node, Node::Variable(_) | Node::Apply(..));
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
            Node::Constant(Constant::E) => spelt.push('e'),
            Node::Constant(Constant::I) => spelt.push('i'),
            _ => return None,
        }
    }
    Some(spelt)
}

/// A product whose last factors are letters that may be units, `6 m s^{-1}`, as the product of the others and the unit's name.
fn unit_in_letters(factors: &[Node]) -> Option<(Node, String)> {
    let letter = |node: &Node| match node {
        Node::Variable(name) if name.len() <= 2 || name == "\\Omega" => Some(name.clone()),
        Node::Power(base, exponent) => match (&**base, &**exponent) {
            (Node::Variable(name), Node::Number { value, .. }) if value.is_integer() => Some(format!("{name}^{value}")),
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
    let signs = names.iter().all(|name| is_plain_sign(name.split('^').next().unwrap_or_default()));
    let name = names.join(" ").replace("\\Omega", "Ω");
    (signs && !names[0].contains('-') && unit(&name).is_some()).then(|| (Node::Product(rest.to_vec()), name))
}

/// Whether a node has a variable, e or i.
fn has_letter(node: &Node) -> bool {
    has_variable(node) || node.any(&is_constant_letter)
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
    subject(members).map(|at| members[at].clone())
}

fn variables(node: &Node) -> BTreeSet<&str> {
    let mut found = BTreeSet::new();
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

/// Whether words behind a letter are no unit of it, but say what it is: `x\text{-axis}`, `n\text{ even}`.
fn names_something(value: &Node, words: &str) -> bool {
    let is_plural = words.ends_with('s') && !["is", "us", "ss"].iter().any(|ending| words.ends_with(ending));
    matches!(value, Node::Variable(_)) && !is_plural && leading_unit(words).is_none()
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
