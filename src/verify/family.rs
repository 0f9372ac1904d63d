//! Families of answers: what is said of the letter that numbers them, as in
//! `\frac{\pi}{4} + k\pi, k \in \mathbb{Z}`.

use super::token::Token;

/// The numbers that a letter may stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Domain {
    /// All integers.
    Integers,
    /// Those from 0 or 1 on.
    Naturals,
}

/// A letter and its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) letter: char,
    pub(super) domain: Domain,
}

/// How many tokens a declaration may have.
const LONGEST: usize = 16;

/// The tokens without the declaration at their end, and what it declares, if the letter occurs
/// before it.
pub(super) fn split(tokens: &[Token]) -> (&[Token], Option<Member>) {
    // `{kπ : k ∈ Z}` and `{x | x = kπ, k ∈ Z}`
    if let [Token::Symbol('⦃'), inner @ .., Token::Symbol('⦄')] = tokens {
        let split_set = match inner {
            [Token::Letter(_), Token::Symbol(':' | '|'), rest @ ..] => split(rest),
            _ => match inner.iter().position(|token| matches!(token, Token::Symbol(':' | '|'))) {
                Some(at) => (&inner[..at], declaration(&inner[at + 1..])),
                None => (tokens, None),
            },
        };
        return if split_set.1.is_some() { split_set } else { (tokens, None) };
    }
    let may_declare =
        |token: &Token| matches!(token, Token::Symbol('∈' | '…') | Token::Text(_) | Token::Word(_));
    if !tokens.iter().any(may_declare) {
        return (tokens, None);
    }
    let earliest = tokens.len().saturating_sub(LONGEST).max(1);
    for start in earliest..tokens.len() {
        let begins = match &tokens[start] {
            Token::Symbol(',' | ';' | '(' | '∀') => true,
            Token::Text(word) | Token::Word(word) => is_filler(&word.to_lowercase()),
            Token::Letter(_) => tokens.get(start + 1) == Some(&Token::Symbol('∈')),
            _ => false,
        };
        if !begins {
            continue;
        }
        if let Some(member) = declaration(&tokens[start..])
            && tokens[..start].iter().any(|token| mentions(token, member.letter))
        {
            return (&tokens[..start], Some(member));
        }
    }
    (tokens, None)
}

fn mentions(token: &Token, letter: char) -> bool {
    match token {
        Token::Letter(other) => *other == letter,
        Token::Word(word) => word.contains(letter),
        _ => false,
    }
}

/// Words around the letter in a declaration.
fn is_filler(word: &str) -> bool {
    matches!(
        word,
        "where"
            | "for"
            | "with"
            | "any"
            | "all"
            | "every"
            | "each"
            | "some"
            | "an"
            | "a"
            | "is"
            | "are"
            | "be"
            | "arbitrary"
            | "here"
            | "whole"
            | "number"
            | "numbers"
            | "其中"
            | "是"
            | "为"
            | "任意"
    ) || names(word).is_some()
}

/// The numbers that a word names.
fn names(word: &str) -> Option<Domain> {
    match word {
        "integer" | "integers" | "整数" | "为整数" | "是整数" | "是任意整数" => {
            Some(Domain::Integers)
        }
        "natural" | "positive" | "nonnegative" | "正整数" | "自然数" | "为正整数" | "为自然数" => {
            Some(Domain::Naturals)
        }
        _ => None,
    }
}

/// Reads `k ∈ Z`, `(k ∈ Z)`, `where k is an integer` or `k = 0, 1, 2, …`.
fn declaration(tokens: &[Token]) -> Option<Member> {
    let (mut letter, mut domain) = (None, None);
    let mut after_in = false;
    for (at, token) in tokens.iter().enumerate() {
        match token {
            Token::Symbol(',' | ';' | '(' | ')' | '∀' | '{' | '}') => {}
            Token::Symbol('∈') if letter.is_some() && !after_in => after_in = true,
            Token::Symbol('=') if letter.is_some() && domain.is_none() => {
                return counted(&tokens[at + 1..])
                    .zip(letter)
                    .map(|(domain, letter)| Member { letter, domain });
            }
            Token::Symbol('^' | '_') if domain.is_some() => {}
            Token::Symbol('+' | '*') if domain.is_some() => domain = Some(Domain::Naturals),
            Token::Command(name) if after_in && domain.is_none() => {
                domain = match name.as_str() {
                    "mathbb Z" => Some(Domain::Integers),
                    "mathbb N" => Some(Domain::Naturals),
                    _ => return None,
                };
            }
            Token::Letter(set @ ('Z' | 'N')) if after_in && domain.is_none() => {
                domain = Some(if *set == 'Z' { Domain::Integers } else { Domain::Naturals });
            }
            Token::Number(zero) if zero == "0" && domain.is_some() => {
                domain = Some(Domain::Naturals);
            }
            Token::Letter(name) if letter.is_none() && name.is_ascii_lowercase() => {
                letter = Some(*name);
            }
            Token::Text(word) | Token::Word(word) if is_filler(&word.to_lowercase()) => {
                domain = match (domain, names(&word.to_lowercase())) {
                    (Some(Domain::Naturals), _) | (_, Some(Domain::Naturals)) => {
                        Some(Domain::Naturals)
                    }
                    (known, named) => known.or(named),
                };
            }
            _ => return None,
        }
    }
    letter.zip(domain).map(|(letter, domain)| Member { letter, domain })
}

/// The numbers of `0, ±1, ±2, …` or `1, 2, 3, …`.
fn counted(tokens: &[Token]) -> Option<Domain> {
    let dots = tokens.iter().filter(|token| **token == Token::Symbol('…')).count();
    let plain = tokens.iter().all(|token| {
        matches!(token, Token::Number(_) | Token::Symbol(',' | '±' | '-' | '…' | ')'))
    });
    let signed = tokens.iter().any(|token| matches!(token, Token::Symbol('±' | '-')));
    (plain && dots > 0).then_some(if signed { Domain::Integers } else { Domain::Naturals })
}
