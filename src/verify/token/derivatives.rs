//! Derivatives: in a fraction with a differential below, `dx` is one name, and its d does not
//! cancel.

use super::kinds::Token;

/// The command that stands for the differential of a name, before that name.
const DIFFERENTIAL: &str = "differential ";

/// How many tokens the numerator or denominator of a derivative may have.
const LONGEST_GROUP: usize = 64;

/// How many derivatives an answer may have.
const MOST_DERIVATIVES: usize = 64;

/// Makes names of the differentials of `\frac{dy}{dx}`, `\frac{d^2 y}{dx^2}`, `\frac{d}{dx}` and
/// `dy/dx`.
pub(super) fn settle(tokens: &mut Vec<Token>) {
    let (mut at, mut found) = (0, 0);
    while at < tokens.len() && found < MOST_DERIVATIVES {
        let is_one = match &tokens[at] {
            Token::Command(name) if name == "frac" => fraction(tokens, at + 1),
            Token::Symbol('/') => quotient(tokens, at),
            _ => None,
        };
        found += usize::from(is_one.is_some());
        at += 1;
    }
}

/// Settles the two groups after `\frac`, of which the first begins at `open`; `None` if they are
/// not a derivative.
fn fraction(tokens: &mut Vec<Token>, open: usize) -> Option<()> {
    let middle = end_of_group(tokens, open)?;
    let end = end_of_group(tokens, middle + 1)?;
    // `\frac{dx}{x\,dt}`
    let is_at_end = |below: &Vec<Token>| {
        is_differential(&below[0]) || below.last().is_some_and(is_differential)
    };
    let below = differentials(&tokens[middle + 2..end]).filter(is_at_end)?;
    let above = &tokens[open + 1..middle];
    let above = operator(above).or_else(|| differentials(above))?;
    tokens.splice(middle + 2..end, below);
    tokens.splice(open + 1..middle, above);
    Some(())
}

/// The same of what stands on both sides of the slash at `slash`.
fn quotient(tokens: &mut Vec<Token>, slash: usize) -> Option<()> {
    let (below, length) = differential_at(&tokens[slash + 1..])?;
    // `d^2y`, `dy`, `d`: the longest there is.
    let (count, above) = (1..=6.min(slash)).rev().find_map(|count| {
        let before = &tokens[slash - count..slash];
        let begins = matches!(before[0], Token::Letter('d') | Token::Word(_));
        Some((count, operator(before).or_else(|| differentials(before))?)).filter(|_| begins)
    })?;
    tokens.splice(slash + 1..=slash + length, [below]);
    tokens.splice(slash - count..slash, above);
    Some(())
}

/// The place of the brace that closes the one at `open`, if there is one and something in it.
fn end_of_group(tokens: &[Token], open: usize) -> Option<usize> {
    if tokens.get(open) != Some(&Token::Symbol('{')) {
        return None;
    }
    let mut depth = 0_usize;
    let length = tokens[open..].iter().take(LONGEST_GROUP).position(|token| {
        match token {
            Token::Symbol('{') => depth += 1,
            Token::Symbol('}') => depth -= 1,
            _ => {}
        }
        depth == 0
    })?;
    (length > 1).then_some(open + length)
}

/// `d`, `d^2` or `d^2y` as a name that combines with no other.
fn operator(tokens: &[Token]) -> Option<Vec<Token>> {
    let (order, rest) = match tokens {
        [
            Token::Letter('d'),
            Token::Symbol('^'),
            Token::Symbol('{'),
            order,
            Token::Symbol('}'),
            rest @ ..,
        ]
        | [Token::Letter('d'), Token::Symbol('^'), order, rest @ ..] => (Some(order), rest),
        [Token::Letter('d')] => (None, &[][..]),
        _ => return None,
    };
    let order = match order {
        None => String::new(),
        Some(Token::Number(order)) => order.clone(),
        Some(Token::Letter(order)) => order.to_string(),
        Some(_) => return None,
    };
    let (Some(name), rest) = (match rest {
        [] => (Some(String::new()), rest),
        [first, rest @ ..] => (name(first), rest),
    }) else {
        return None;
    };
    let mut named = vec![Token::Command(format!("{DIFFERENTIAL}{order} {name}"))];
    named.extend_from_slice(rest);
    Some(named)
}

/// Tokens with a name for each differential among them; `None` where there is none.
fn differentials(tokens: &[Token]) -> Option<Vec<Token>> {
    let (mut found, mut rest) = (Vec::with_capacity(tokens.len() + 1), tokens);
    let mut any = false;
    while let Some(first) = rest.first() {
        if let Some((named, length)) = differential_at(rest) {
            any = true;
            found.push(named);
            rest = &rest[length..];
        } else if let Some((before, named)) = differential_behind(first) {
            any = true;
            found.extend([before, named]);
            rest = &rest[1..];
        } else {
            found.push(first.clone());
            rest = &rest[1..];
        }
    }
    any.then_some(found)
}

/// The differential that tokens begin with, and its length: `dx` as a word, or d and a name.
fn differential_at(tokens: &[Token]) -> Option<(Token, usize)> {
    let named = |name: String| Token::Command(format!("{DIFFERENTIAL}{name}"));
    match tokens {
        [Token::Word(word), ..] if word.len() == 2 && word.starts_with('d') => {
            Some((named(word[1..].to_string()), 1))
        }
        [Token::Letter('d'), next, ..] => Some((named(name(next)?), 2)),
        _ => None,
    }
}

/// The `x` and the `dx` of `xdx`.
fn differential_behind(token: &Token) -> Option<(Token, Token)> {
    let Token::Word(word) = token else { return None };
    let (before, name) = word.split_at_checked(word.len().checked_sub(2)?)?;
    let name = name.strip_prefix('d')?;
    let mut letters = before.chars();
    let first = match (letters.next()?, letters.next()) {
        (letter, None) => Token::Letter(letter),
        _ => Token::Word(before.to_string()),
    };
    Some((first, Token::Command(format!("{DIFFERENTIAL}{name}"))))
}

/// A letter, Latin or Greek.
fn name(token: &Token) -> Option<String> {
    const NO_LETTERS: [&str; 6] = ["frac", "sqrt", "binom", "partial", "nabla", "pi"];
    match token {
        Token::Letter(letter) => Some(letter.to_string()),
        Token::Command(name) if !NO_LETTERS.contains(&name.as_str()) && !is_differential(token) => {
            Some(format!("\\{name}"))
        }
        _ => None,
    }
}

/// Whether a token is the name of a differential.
pub(in crate::verify) fn is_differential(token: &Token) -> bool {
    matches!(token, Token::Command(name) if name.starts_with(DIFFERENTIAL))
}
