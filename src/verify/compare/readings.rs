//! How tokens and trees may be read in more than one way, and which way is meant.

use crate::verify::parse::{INTEGER_PART, introduces};
use crate::verify::token::Token;
use crate::verify::tree::{Function, Node};
use std::collections::BTreeSet;

/// A text that is one number with a decimal comma, with or without a unit, `2,74 $`, as with a
/// point: where the other answer has one. Three digits after the comma are thousands, unless a 0 is
/// in front of it, and with one digit it is a list.
pub(super) fn decimal_comma(text: &str) -> Option<String> {
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
    let is_number =
        is_digits(whole) && (decimals == 2 || decimals > 3 || (decimals == 3 && whole == "0"));
    (is_number && plain && !rest.contains([',', '.'])).then(|| format!("{before}.{after}"))
}

/// `3/4 (0.75)` as its two forms of one number, which as a product would be its square.
pub(super) fn restated(tokens: &[Token]) -> Option<(&[Token], &[Token])> {
    let [before @ .., Token::Symbol(')')] = tokens else { return None };
    let open = before.iter().rposition(|token| *token == Token::Symbol('('))?;
    let (first, again) = (&before[..open], &before[open + 1..]);
    let is_form = |token: &Token| match token {
        Token::Number(_) | Token::Symbol('%' | '/' | '{' | '}') => true,
        Token::Command(name) => name == "frac",
        _ => false,
    };
    let plain = |tokens: &[Token]| tokens.len() <= 12 && tokens.iter().all(is_form);
    let whole =
        |tokens: &[Token]| matches!(tokens, [Token::Number(digits)] if !digits.contains('.'));
    let differ = first != again && !whole(first) && !whole(again);
    (!first.is_empty() && !again.is_empty() && plain(first) && plain(again) && differ)
        .then_some((first, again))
}

/// The tokens after the last arrow of an answer that is a chain of conclusions, where the gold
/// answer is not one.
pub(super) fn conclusion<'a>(gold: &[Token], answer: &'a [Token]) -> &'a [Token] {
    let is_arrow = |token: &Token| *token == Token::Symbol('⇒');
    match answer.iter().rposition(is_arrow) {
        Some(last) if last + 1 < answer.len() && !gold.iter().any(is_arrow) => &answer[last + 1..],
        _ => answer,
    }
}

/// A tree with the integer parts in square brackets as floors.
pub(super) fn with_floors(node: Node) -> Node {
    let Ok(node) =
        node.map_children(&mut |child| Ok::<_, std::convert::Infallible>(with_floors(child)));
    match node {
        Node::Apply(name, arguments) if name == INTEGER_PART => {
            Node::Call(Function::Floor, arguments)
        }
        other => other,
    }
}

/// Whether a bracket stands where a function's arguments might.
pub(super) fn applies(tokens: &[Token]) -> bool {
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

/// Both answers with `g(x + 1)` as a product if only one of them has g in front of brackets; `f` is
/// always a function, and so is any letter in front of a number in brackets.
pub(super) fn with_one_reading(gold: Node, answer: Node) -> (Node, Node) {
    let is_applied = |node: &Node| node.any(&|part| matches!(part, Node::Apply(..)));
    if !is_applied(&gold) && !is_applied(&answer) {
        return (gold, answer);
    }
    let (in_gold, in_answer) = (functions(&gold), functions(&answer));
    let both: BTreeSet<String> =
        in_gold.intersection(&in_answer).map(|name| (*name).to_string()).collect();
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
            let members = members.into_iter().map(|member| {
                if matches!(member, Node::Apply(..)) { member } else { change(member) }
            });
            Node::Chain { members: members.collect(), relations }
        }
        Node::Apply(name, mut arguments) => {
            let is_factor =
                !name.starts_with(['f', '\\']) && name.len() == 1 && !kept.contains(&name);
            let is_place = |node: &Node| {
                matches!(
                    node,
                    Node::Number { .. } | Node::Text(_) | Node::Chain { .. } | Node::Variable(_)
                )
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
            let Ok(node) =
                node.map_children(&mut |child| Ok::<_, std::convert::Infallible>(change(child)));
            node
        }
    }
}

/// Whether the gold answer is the letters of several choices, `ABD`, and the answer the same
/// letters one by one.
pub(super) fn same_choices(gold: &[Token], answer: &[Token]) -> bool {
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

/// Whether two answers of one short word each are the same word, if the gold answer is not a
/// product of letters.
pub(super) fn is_same_short_word(gold: &[Token], answer: &[Token]) -> Option<bool> {
    match (gold, answer) {
        ([Token::Word(gold)], [Token::Word(answer) | Token::Text(answer)])
            if is_short_word(gold) =>
        {
            Some(gold.eq_ignore_ascii_case(answer))
        }
        _ => None,
    }
}

/// Whether letters that read as a product can only be a word: "no", or three with a vowel among
/// them that are not in the order of the alphabet, which products are in.
pub(super) fn is_short_word(word: &str) -> bool {
    let letters: Vec<u8> = word.bytes().map(|letter| letter.to_ascii_lowercase()).collect();
    let has_vowel = letters.iter().any(|letter| b"aeiou".contains(letter));
    letters == *b"no"
        || (letters.len() == 3
            && letters.iter().all(u8::is_ascii_alphabetic)
            && has_vowel
            && !letters.windows(2).all(|pair| pair[0] < pair[1]))
}

/// Whether both answers are one value with a name in words, and the names are of different things:
/// `Area is 5`, `Perimeter is 5`.
pub(super) fn names_differ(gold: &[Token], answer: &[Token]) -> bool {
    let begins =
        |tokens: &[Token]| matches!(tokens[0], Token::Text(_) | Token::Word(_) | Token::Letter(_));
    if !(begins(gold) && begins(answer)) {
        return false;
    }
    let (Some(gold), Some(answer)) = (name_in_words(gold), name_in_words(answer)) else {
        return false;
    };
    let within = |one: &[String], other: &[String]| {
        one.iter().all(|word| {
            other.iter().any(|longer| {
                longer == word || (!word.is_ascii() && longer.contains(word.as_str()))
            })
        })
    };
    !(within(&gold, &answer) || within(&answer, &gold))
}

/// The words that say what a value in front of which they stand is, without those that any answer
/// may have.
fn name_in_words(tokens: &[Token]) -> Option<Vec<String>> {
    const OF_ANY_ANSWER: [&str; 22] = [
        "the",
        "a",
        "an",
        "so",
        "therefore",
        "thus",
        "hence",
        "answer",
        "final",
        "result",
        "solution",
        "value",
        "is",
        "are",
        "equals",
        "equal",
        "about",
        "approximately",
        "correct",
        "our",
        "答案",
        "最终答案",
    ];
    let word = |token: &Token| match token {
        Token::Text(word) | Token::Word(word) => Some(word.to_lowercase()),
        Token::Letter(letter) => Some(letter.to_string()),
        _ => None,
    };
    // Most answers begin with a letter and have no words.
    let is_long = |token: &Token| match token {
        Token::Text(word) => word.len() > 1,
        Token::Word(word) => word.len() > 2,
        _ => false,
    };
    if !tokens.iter().take(MOST_WORDS).any(is_long) {
        return None;
    }
    let words: Vec<String> = tokens.iter().map_while(word).take(MOST_WORDS).collect();
    let rest = &tokens[words.len()..];
    let last = words.last()?;
    let is_name = matches!(rest.first(), Some(Token::Symbol(':' | '=' | '≈')))
        || (introduces(last) && !rest.is_empty());
    let is_prose = tokens.iter().take(words.len()).any(|token| match token {
        Token::Text(word) => word.chars().count() > 1,
        Token::Word(word) => {
            word.len() > 2 && word.bytes().any(|letter| letter.is_ascii_lowercase())
        }
        _ => false,
    });
    let is_alone = !rest.iter().any(|token| {
        matches!(token, Token::Symbol(',' | ';' | '∧' | '∨' | '⏎') | Token::BeginMatrix)
    });
    if !(is_name && is_prose && is_alone) {
        return None;
    }
    let without_verb =
        |word: &String| word.trim_end_matches(['是', '为']).trim_end_matches("等于").to_string();
    let verbs = words.iter().rev().take_while(|word| introduces(word) && word.is_ascii()).count();
    let named: Vec<String> = words[..words.len() - verbs].iter().map(without_verb).collect();
    // `A is 5` has a name, `a value is 5` none.
    let kept = |at: &usize| {
        !OF_ANY_ANSWER.contains(&named[*at].as_str())
            || (*at > 0 || named.len() == 1) && named[*at] == "a"
    };
    Some(
        (0..named.len())
            .filter(kept)
            .map(|at| named[at].clone())
            .filter(|word| !word.is_empty())
            .collect(),
    )
}

/// How many words the name of a value may have.
const MOST_WORDS: usize = 20;

/// The letter of `(B) 12` and the tokens after it.
pub(super) fn label(tokens: &[Token]) -> Option<(char, &[Token])> {
    let letter = |token: &Token| match token {
        Token::Letter(letter) => Some(*letter),
        Token::Text(word) if word.len() == 1 => word.chars().next(),
        _ => None,
    };
    let [Token::Symbol('('), inner, Token::Symbol(')'), rest @ ..] = tokens else { return None };
    letter(inner).filter(|letter| matches!(letter, 'A'..='J')).map(|letter| (letter, rest))
}
