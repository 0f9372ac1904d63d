//! Whether two answers are equal. The gold answer comes first, and decides what form is asked for.

mod comparer;
mod equations;
mod families;
mod inequalities;
mod kinds;
mod names;
mod quantities;
mod readings;
mod sets;
mod structures;
mod values;
mod vectors;

use super::budget::{Budget, Exhausted};
use super::extract::{lone_letter, named_choice};
use super::parse::{Fault, is_prose, parse, words};
use super::token::{Commas, Token, tokenize};
use super::tree::Node;
use comparer::{Comparer, Decided};
use equations::each_name;
use kinds::{as_list, is_equality, is_scalar, meaning, same_text, spelt_out};
use readings::{
    applies, conclusion, decimal_comma, is_same_short_word, is_short_word, label, names_differ,
    restated, same_choices, with_floors, with_one_reading,
};
use structures::{is_point, is_unreduced, keeps_value};

/// Whether `answer` is the answer `gold`.
pub(super) fn equal(gold: &str, answer: &str) -> Result<bool, Exhausted> {
    let mut comparer = Comparer::new();
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

impl Comparer {
    /// The result for one reading of commas, and whether there is another.
    fn read_and_compare(
        &mut self,
        gold: &str,
        answer: &str,
        commas: Commas,
    ) -> Result<(bool, bool), Exhausted> {
        let (mut gold, mut answer) = (
            tokenize(gold, commas, &mut self.budget)?,
            tokenize(answer, commas, &mut self.budget)?,
        );
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
        if names_differ(&gold, &answer) {
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
    fn parsed(
        &mut self,
        gold: &[Token],
        answer: &[Token],
    ) -> Result<Option<(Node, Node)>, Exhausted> {
        // Only where one answer says which integer part is meant, by half brackets, do square ones
        // say the same.
        let has = |tokens: &[Token], sign| {
            tokens.iter().any(|token| matches!(token, Token::Symbol(symbol) if *symbol == sign))
        };
        let floors = has(gold, '⌊') && has(answer, '[') || has(answer, '⌊') && has(gold, '[');
        let parsed = parse(gold, &mut self.budget)
            .and_then(|gold| Ok((gold, parse(answer, &mut self.budget)?)));
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
        Ok(is_text
            && words(gold)
                .zip(words(answer))
                .is_some_and(|(gold, answer)| same_text(&gold, &answer)))
    }

    /// Whole answers: plus-minus is written out, then structures are compared.
    fn answers(&mut self, gold: &Node, answer: &Node) -> Decided {
        if let Node::Either(forms) = gold {
            // One value in several forms.
            let mut same = true;
            for form in &forms[1..] {
                same = same && self.answers(&forms[0], form)?;
            }
            return if same {
                self.answers(&forms[0], answer)
            } else {
                self.answers(&as_list(gold), answer)
            };
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
        match (each_name(gold), each_name(answer)) {
            (Some(gold), Some(answer)) => return self.in_any_order(&gold, &answer),
            (Some(gold), None) if matches!(answer, Node::List(_) | Node::Set(_)) => {
                return self.lists(&Node::List(gold), answer);
            }
            (None, Some(answer))
                if matches!(gold, Node::List(_) | Node::Set(_) | Node::Group { .. }) =>
            {
                return self.lists(gold, &Node::List(answer));
            }
            _ => {}
        }
        match (gold, answer) {
            // `x > 1, x < 4` and `1 < x < 4`.
            (Node::List(items), Node::Chain { relations, .. })
                if items.iter().all(|item| matches!(item, Node::Chain { .. }))
                    && !relations.iter().copied().all(is_equality) =>
            {
                self.same_reals(items, std::slice::from_ref(answer))
            }
            (Node::Chain { members, relations }, _) => {
                self.gold_chain(gold, members, relations, answer)
            }
            (_, Node::Chain { members, relations }) => self.answer_chain(gold, members, relations),
            (Node::Text(gold), Node::Text(answer)) => Ok(same_text(gold, answer)
                || meaning(gold).is_some_and(|gold| meaning(answer) == Some(gold))),
            (Node::Text(word), other) | (other, Node::Text(word)) => match meaning(word) {
                Some(meaning) if matches!(gold, Node::Text(_)) => self.nodes(&meaning, other),
                Some(meaning) => self.nodes(other, &meaning),
                None => Ok(match other {
                    Node::Variable(name) => name.eq_ignore_ascii_case(word),
                    // `odd`, in a gold answer without `\text`.
                    Node::Product(factors) => {
                        is_short_word(word)
                            && spelt_out(factors).is_some_and(|spelt| spelt == *word)
                    }
                    _ => false,
                }),
            },
            (Node::Residue(gold, modulus), Node::Residue(answer, other)) => {
                Ok(self.scalars(modulus, other)? && self.congruent(gold, answer, modulus)?)
            }
            (Node::Residue(..), _) => Ok(false),
            // What is not smaller than the modulus is still to be worked out: `7 \bmod 4`.
            (_, Node::Residue(answer, modulus)) => {
                Ok(!is_unreduced(answer, modulus) && self.nodes(gold, answer)?)
            }
            (Node::Apply(name, arguments), Node::Apply(other, answer))
                if name == other && arguments.len() == answer.len() =>
            {
                Ok(self.in_order(arguments, answer)?)
            }
            // `A(2, -5)` is a point with its name.
            (Node::Group { open: '(', close: ')', items }, Node::Apply(name, arguments))
                if is_point(name) =>
            {
                self.in_order(items, arguments)
            }
            (Node::Apply(name, arguments), Node::Group { open: '(', close: ')', items })
                if is_point(name) =>
            {
                self.in_order(arguments, items)
            }
            (Node::Based { digits, base }, other) => self.based(digits, *base, other),
            // A base that only the answer names must leave its digits their value.
            (other, Node::Based { digits, base }) => {
                Ok(keeps_value(digits, *base) && self.based(digits, *base, other)?)
            }
            _ => self.lists(gold, answer),
        }
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
