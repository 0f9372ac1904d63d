//! What kind of a node it is, and what words mean.

use crate::verify::tree::{Constant, Node, Relation};
use crate::verify::{numeral, reals::is_constant_letter};
use std::collections::BTreeSet;

/// A tree with other nodes in place of some variables.
pub(super) fn substituted(node: Node, by: &dyn Fn(&str) -> Option<Node>) -> Node {
    if let Node::Variable(name) = &node {
        return by(name).unwrap_or(node);
    }
    let Ok(node) =
        node.map_children(&mut |child| Ok::<_, std::convert::Infallible>(substituted(child, by)));
    node
}

/// `a or b` as a list.
pub(super) fn as_list(node: &Node) -> Node {
    match node {
        Node::Either(items) => Node::List(items.clone()),
        other => other.clone(),
    }
}

/// Whether a node can only be a number or an expression.
pub(super) fn is_scalar(node: &Node) -> bool {
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

pub(super) fn is_equality(relation: Relation) -> bool {
    matches!(relation, Relation::Equal | Relation::Approximate)
}

pub(super) fn has_variable(node: &Node) -> bool {
    node.any(&|part| matches!(part, Node::Variable(_) | Node::Apply(..) | Node::Text(_)))
}

/// What a text says that can be said in signs.
pub(super) fn meaning(text: &str) -> Option<Node> {
    match text {
        "empty set" | "the empty set" | "null set" => Some(Node::Set(Vec::new())),
        "all real numbers" | "all reals" | "real numbers" | "the real numbers" => Some(Node::Reals),
        _ if says_no_solution(text) => Some(Node::Set(Vec::new())),
        "dne" | "does not exist" | "limit does not exist" | "the limit does not exist" => {
            Some(Node::Variable("DNE".to_string()))
        }
        _ => numeral::value(text)
            .or_else(|| numeral::ordinal(text))
            .map(Node::integer)
            .or_else(|| numeral::fraction(text))
            .or_else(|| numeral::mixed(text)),
    }
}

/// Whether two texts say the same in their words, or in forms of one word.
pub(super) fn same_text(gold: &str, answer: &str) -> bool {
    const FORMS: [&[&str]; 2] =
        [&["diverges", "divergent", "is divergent"], &["converges", "convergent", "is convergent"]];
    without_articles(gold) == without_articles(answer)
        || FORMS.iter().any(|forms| forms.contains(&gold) && forms.contains(&answer))
        || affirms(gold, answer)
}

/// Whether an answer is a gold "yes" or "no" as a sentence: `yes it is`, `no it does not`.
fn affirms(gold: &str, answer: &str) -> bool {
    let words: Vec<&str> = answer.split(' ').collect();
    let (answer, rest) = match words.as_slice() {
        [answer, rest @ .., "not"] if gold == "no" => (*answer, rest),
        [answer, rest @ ..] if gold == "yes" => (*answer, rest),
        _ => return false,
    };
    let [subject, verb] = rest else { return false };
    answer == gold
        && matches!(*subject, "it" | "they" | "he" | "she" | "there" | "this" | "that" | "we")
        && matches!(*verb, "is" | "are" | "was" | "were" | "do" | "does" | "can" | "will" | "has")
}

/// The words of a text without "the", and without "a" or "an" in front of the first word.
fn without_articles(text: &str) -> Vec<&str> {
    let mut words: Vec<&str> = text.split(' ').filter(|word| *word != "the").collect();
    if matches!(words.as_slice(), ["a" | "an", noun, ..] if noun.len() > 1) {
        words.remove(0);
    }
    if words.is_empty() { vec![text] } else { words }
}

/// `no solution`, `no real solutions`, `there are no solutions`, `无解`.
fn says_no_solution(text: &str) -> bool {
    let text =
        text.strip_prefix("there is ").or_else(|| text.strip_prefix("there are ")).unwrap_or(text);
    let text = text.strip_suffix(" exist").or_else(|| text.strip_suffix(" exists")).unwrap_or(text);
    matches!(
        text,
        "no solution" | "no solutions" | "no real solution" | "no real solutions" | "无解" | "空集"
    )
}

/// Digits and capital letters that read as a product.
pub(super) fn spelt_out(factors: &[Node]) -> Option<String> {
    let mut spelt = String::new();
    for factor in factors {
        match factor {
            Node::Number { value, decimal: None }
                if value.is_integer() && value.numer().bits() < 64 =>
            {
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

/// Whether a node has a variable, e or i.
pub(super) fn has_letter(node: &Node) -> bool {
    has_variable(node) || node.any(&is_constant_letter)
}

pub(super) fn is_integer(node: &Node) -> bool {
    matches!(node, Node::Number { value, .. } if value.is_integer())
}

pub(super) fn has_infinity(node: &Node) -> bool {
    node.any(&|part| *part == Node::Constant(Constant::Infinity))
}

pub(super) fn is_set(node: &Node) -> bool {
    matches!(node, Node::Set(_) | Node::Union(_) | Node::Difference(..) | Node::Reals)
}

pub(super) fn is_structure(node: &Node) -> bool {
    matches!(node, Node::Group { .. } | Node::Matrix(_))
}

pub(super) fn variables(node: &Node) -> BTreeSet<&str> {
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
