//! Labels in front of `=`: what names a value and is not to be calculated with, such as `P(X = 3)`,
//! `(f \circ g)(x)`, `|A \cup B|` or `\sum_{k=1}^{9} k`. They are found by their tokens.

use super::parse::is_prose;
use super::token::{self, Token};

/// Commands that take bounds or arguments.
const OPERATORS: [&str; 20] = [
    "sum", "prod", "int", "iint", "iiint", "oint", "lim", "limsup", "liminf", "max", "min", "sup",
    "inf", "gcd", "lcm", "deg", "det", "dim", "arg", "coprod",
];

pub(super) fn is_operator(name: &str) -> bool {
    OPERATORS.contains(&name)
}

/// The label that `tokens` begin with, if a sign of equality follows it: its length and, for a
/// function at a place, the length of the function's name.
pub(super) fn find(tokens: &[Token]) -> Option<(usize, Option<usize>)> {
    match tokens.first()? {
        Token::Symbol('(' | '|' | '‖' | '[' | '#')
        | Token::Letter(_)
        | Token::Word(_)
        | Token::Text(_)
        | Token::Command(_) => {}
        _ => return None,
    }
    let length = equals_sign(tokens)?;
    let label = &tokens[..length];
    if let Some(head) = head_and_arguments(label) {
        return Some((length, Some(head)));
    }
    opaque(label).then_some((length, None))
}

/// The place of the first sign of equality that is outside of brackets and in the first item.
fn equals_sign(tokens: &[Token]) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate() {
        match token {
            Token::Symbol('(' | '[' | '{' | '⦃') => depth += 1,
            Token::Symbol(')' | ']' | '}' | '⦄') => depth = depth.checked_sub(1)?,
            Token::Symbol('=' | '≈' | '≡') if depth == 0 => return (at > 0).then_some(at),
            Token::Symbol(
                ',' | ';' | '∧' | '∨' | '<' | '>' | '≤' | '≥' | '≠' | '∈' | '⏎' | '&',
            ) if depth == 0 => {
                return None;
            }
            Token::EndMatrix | Token::BeginMatrix => return None,
            _ => {}
        }
    }
    None
}

/// The length of the function's name in a label that is a function with its arguments in brackets.
fn head_and_arguments(label: &[Token]) -> Option<usize> {
    let close = match label.last()? {
        Token::Symbol(')') => ')',
        Token::Symbol(']') => ']',
        _ => return None,
    };
    let open = if close == ')' { '(' } else { '[' };
    // The bracket that the last one closes.
    let mut depth = 0_usize;
    let start = label.iter().rposition(|token| {
        match token {
            Token::Symbol(symbol) if *symbol == close => depth += 1,
            Token::Symbol(symbol) if *symbol == open => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0
    })?;
    let (head, arguments) = (&label[..start], &label[start + 1..label.len() - 1]);
    (start > 0 && !arguments.is_empty() && is_applied(head, arguments)).then_some(start)
}

/// Letters of functions: in front of brackets they are not factors.
fn is_function(letter: char) -> bool {
    matches!(letter, 'f' | 'g' | 'h' | 'F' | 'G' | 'H')
}

/// Whether `head` is the name of a function and no factor of what is in brackets behind it.
fn is_applied(head: &[Token], arguments: &[Token]) -> bool {
    if let [Token::Command(name), marked @ ..] = head
        && !marked.is_empty()
        && token::mark(name).is_some()
    {
        // `\hat{f}(x)` is f with another name.
        return is_applied(marked, arguments);
    }
    let (first, rest) = (&head[0], &head[1..]);
    if is_composition(head) {
        return true;
    }
    if !is_decoration(rest) {
        return false;
    }
    let has = |symbols: &[char]| {
        arguments
            .iter()
            .any(|token| matches!(token, Token::Symbol(symbol) if symbols.contains(symbol)))
    };
    match first {
        Token::Text(_) => true,
        Token::Word(word) => {
            has(&[',']) || (is_prose(word) && word.chars().any(|c| c.is_ascii_lowercase()))
        }
        Token::Command(name) => !matches!(
            name.as_str(),
            "frac"
                | "sqrt"
                | "binom"
                | "pi"
                | "sin"
                | "cos"
                | "tan"
                | "cot"
                | "sec"
                | "csc"
                | "log"
                | "ln"
                | "lg"
                | "exp"
                | "arcsin"
                | "arccos"
                | "arctan"
                | "sinh"
                | "cosh"
                | "tanh"
                | "angle"
                | "triangle"
        ),
        Token::Letter(letter) if is_function(*letter) => true,
        Token::Letter(letter) => {
            let is_letter = |token: &Token| match token {
                Token::Letter(_) | Token::Word(_) => true,
                Token::Command(name) => !matches!(name.as_str(), "frac" | "sqrt" | "pi"),
                _ => false,
            };
            let repeats = arguments.iter().any(|token| match token {
                Token::Letter(other) => other == letter,
                Token::Word(word) => word.contains(*letter),
                _ => false,
            });
            // `P(X = 3)`, `P(A|B)`, `u(x, t)` are not products, nor is `y(t)` with a value;
            // `x(x + 1)` is one.
            let structured = has(&['=', '|', '∪', '≤', '≥', '<', '>', ',', '∈', ';']) || arguments.iter().any(|token| matches!(token, Token::Text(_)) || matches!(token, Token::Command(name) if matches!(name.as_str(), "cap" | "cup" | "overline" | "complement")));
            let few = arguments.iter().filter(|token| is_letter(token)).count() <= 1;
            let simple = few && !has(&['+', '-', '±', '('])
                || matches!(arguments, [Token::Symbol('-'), Token::Number(_)]);
            let sets = letter.is_ascii_uppercase()
                && arguments.iter().all(|token| {
                    matches!(token, Token::Letter('A'..='Z') | Token::Symbol('+' | '-'))
                });
            structured || sets || (simple && !repeats)
        }
        _ => false,
    }
}

/// `f \circ g`, `(f \circ g)`, `(f + g)`, `(fg)`, `\left(\frac{f}{g}\right)`: letters of functions
/// and what combines them.
fn is_composition(head: &[Token]) -> bool {
    let bracketed =
        head.first() == Some(&Token::Symbol('(')) && head.last() == Some(&Token::Symbol(')'));
    let inner = if bracketed { &head[1..head.len() - 1] } else { head };
    let mut letters = 0;
    let is_part = |token: &Token| match token {
        Token::Letter(letter) => {
            letters += 1;
            is_function(*letter)
        }
        Token::Word(word) => {
            letters += word.len();
            word.chars().all(is_function)
        }
        Token::Symbol('°' | '\'' | '{' | '}' | '^' | '-' | '_') | Token::Number(_) => true,
        Token::Symbol('+' | '*' | '/') => bracketed,
        Token::Command(name) => name == "frac" && bracketed,
        _ => false,
    };
    inner.iter().all({
        let mut is_part = is_part;
        move |token| is_part(token)
    }) && (bracketed || inner.contains(&Token::Symbol('°')))
        && inner.iter().any(|token| matches!(token, Token::Letter(_) | Token::Word(_)))
}

/// Primes, an index and an exponent behind a name.
fn is_decoration(mut tokens: &[Token]) -> bool {
    loop {
        tokens = match tokens {
            [] => return true,
            [Token::Symbol('_' | '^'), Token::Symbol('{'), rest @ ..] => {
                let Some(end) = rest.iter().take(12).position(|token| *token == Token::Symbol('}'))
                else {
                    return false;
                };
                &rest[end + 1..]
            }
            [Token::Symbol('\''), rest @ ..] | [Token::Symbol('_' | '^'), _, rest @ ..] => rest,
            _ => return false,
        };
    }
}

/// Whether what follows `\frac` are `{d...}{d...}`.
fn is_derivative(rest: &[Token]) -> bool {
    let is_d = |token: Option<&Token>| token.is_some_and(token::is_differential);
    let below = rest.windows(2).position(|pair| pair == [Token::Symbol('}'), Token::Symbol('{')]);
    is_d(rest.get(1)) && below.is_some_and(|at| is_d(rest.get(at + 2)))
}

/// Whether a label is one as a whole: a size of a set or of words, an operator with what it is
/// taken of, or words with names.
fn opaque(label: &[Token]) -> bool {
    match (&label[0], &label[label.len() - 1]) {
        (Token::Symbol(open @ ('|' | '‖')), Token::Symbol(close)) => {
            let inner = &label[1..label.len().max(2) - 1];
            open == close
                && !inner.contains(&Token::Symbol(*open))
                && inner.iter().any(|token| match token {
                    Token::Symbol('∪' | '∖') | Token::Text(_) => true,
                    Token::Command(name) => name == "cap",
                    _ => false,
                })
        }
        (Token::Command(name), _) => {
            is_operator(name) || (name == "frac" && is_derivative(&label[1..]))
        }
        (Token::Symbol('#'), _) => label.len() > 1,
        (Token::Text(_), _) => {
            label.len() > 1
                && label.iter().any(|token| matches!(token, Token::Command(_) | Token::Symbol(_)))
                && label.iter().all(|token| {
                    !matches!(token, Token::Text(word) if denies(word))
                        && matches!(
                            token,
                            Token::Text(_)
                                | Token::Word(_)
                                | Token::Letter(_)
                                | Token::Number(_)
                                | Token::Command(_)
                                | Token::Symbol('{' | '}' | '_' | '^' | '\'')
                        )
                })
        }
        _ => false,
    }
}

/// Whether a word beside a value denies it, or makes it depend on something.
pub(super) fn denies(word: &str) -> bool {
    let word = word.to_lowercase();
    is_denial(&word) || matches!(word.as_str(), "isn" | "isnt" | "if")
}

/// Whether a word in lower case says that something is not so, or rules it out.
pub(super) fn is_denial(word: &str) -> bool {
    const DENIALS: [&str; 28] = [
        "not",
        "cannot",
        "never",
        "neither",
        "nor",
        "no",
        "wrong",
        "incorrect",
        "false",
        "untrue",
        "invalid",
        "fail",
        "fails",
        "failed",
        "except",
        "excluded",
        "eliminate",
        "eliminates",
        "eliminated",
        "eliminating",
        "reject",
        "rejects",
        "rejected",
        "impossible",
        "unlikely",
        "hardly",
        "barely",
        "doubtful",
    ];
    DENIALS.contains(&word)
        || word.ends_with("n't")
        || word.contains(['不', '非', '错'])
        || word.contains("排除")
}
