//! Answers as tokens: LaTeX, Unicode and plain spellings of the same thing become the same tokens.
//! One pass.

mod characters;
mod commands;
mod derivatives;
mod kinds;
mod numbers;
mod words;

use super::budget::{Budget, Exhausted};
use characters::{
    command_of, digit, is_foreign, is_invisible, subscript, superscript, symbol_of, vulgar,
};
pub(super) use characters::{half_width, mark};
pub(super) use derivatives::is_differential;
pub(super) use kinds::{Commas, Token};

/// The tokens of a text, and what they leave open.
#[derive(Debug)]
pub(super) struct Tokens {
    pub(super) list: Vec<Token>,
    /// The other reading of its commas would give other tokens.
    pub(super) ambiguous: bool,
    /// There are letters in bold, [`BOLD`], which may be vectors.
    pub(super) bold: bool,
    /// There are vectors with arrows.
    pub(super) arrows: bool,
}

/// The command in front of one letter in bold.
const BOLD: &str = "bold";

impl Tokens {
    /// Letters in bold become vectors, where the other answer has vectors too; else bold is style.
    pub(super) fn settle_bold(&mut self, other_has_vectors: bool) {
        if !self.bold {
            return;
        }
        let is_bold = |token: &Token| matches!(token, Token::Command(name) if name == BOLD);
        if other_has_vectors {
            for token in self.list.iter_mut().filter(|token| is_bold(token)) {
                *token = Token::Command("vec".to_string());
            }
        } else {
            self.list.retain(|token| !is_bold(token));
        }
    }
}

/// Reads a text.
pub(super) fn tokenize(
    text: &str,
    commas: Commas,
    budget: &mut Budget,
) -> Result<Tokens, Exhausted> {
    budget.spend(4 * text.len() as u64)?;
    let text = half_width(text);
    let mut lexer = Lexer {
        text: &text,
        at: 0,
        commas,
        tokens: Vec::with_capacity(text.len().min(32)),
        braces: Vec::new(),
        brackets: 0,
        ambiguous: false,
        aligned: Vec::new(),
        left: Vec::new(),
        seen: Seen::default(),
    };
    while lexer.at < text.len() {
        lexer.next();
    }
    if lexer.seen.connectives && !lexer.is_formula() {
        for token in &mut lexer.tokens {
            match token {
                Token::Symbol(symbol @ '⋀') => *symbol = '∧',
                Token::Symbol(symbol @ '⋁') => *symbol = '∨',
                _ => {}
            }
        }
    }
    if text.contains('d') {
        derivatives::settle(&mut lexer.tokens);
    }
    Ok(Tokens {
        list: lexer.tokens,
        ambiguous: lexer.ambiguous,
        bold: lexer.seen.bold,
        arrows: lexer.seen.arrows,
    })
}

/// Digits without superfluous leading zeros.
fn without_zeros(digits: &str) -> String {
    let trimmed = digits.trim_start_matches('0');
    if trimmed.is_empty() { "0".to_string() } else { trimmed.to_string() }
}

/// Whether a group behind a command is its argument.
fn takes_group(name: &str) -> bool {
    matches!(name, "frac" | "sqrt" | "binom" | "mod" | BOLD) || mark(name).is_some()
}

/// What an open brace began.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Brace {
    Math,
    Text,
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    commas: Commas,
    tokens: Vec<Token>,
    braces: Vec<Brace>,
    /// Open round and square brackets and set braces.
    brackets: usize,
    ambiguous: bool,
    /// Open environments that list equations; `true` for those whose columns only align them.
    aligned: Vec<bool>,
    /// Open `\left`s; `true` for a brace, which `\right.` closes after a system of equations.
    left: Vec<bool>,
    /// What came before.
    seen: Seen,
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn symbol(&mut self, symbol: char) {
        self.seen.connectives |= matches!(symbol, '⋀' | '⋁');
        self.tokens.push(Token::Symbol(symbol));
    }

    /// Whether connectives join statements that are only named, `p \land q`; between numbers,
    /// equations and inequalities they are words.
    fn is_formula(&self) -> bool {
        let is_name =
            |token: &Token| matches!(token, Token::Letter(_) | Token::Command(_) | Token::Word(_));
        let relates = |token: &Token| {
            matches!(token, Token::Symbol('=' | '<' | '>' | '≤' | '≥' | '≠' | '≈' | '≡' | '∈'))
        };
        self.tokens.iter().any(is_name) && !self.tokens.iter().any(relates)
    }

    fn in_text(&self) -> bool {
        self.braces.last() == Some(&Brace::Text)
    }

    fn next(&mut self) {
        let Some(c) = self.peek() else { return };
        if digit(c).is_some()
            || (c == '.'
                && self.rest()[1..].chars().next().is_some_and(|next| digit(next).is_some()))
        {
            return self.number();
        }
        if c.is_ascii_alphabetic() || (c.is_alphabetic() && self.in_text()) {
            // A letter alone, but for those that are more than that with what stands beside them.
            let next = self.text.as_bytes().get(self.at + 1);
            let alone = !matches!(c, 'a' | 'p' | 'A' | 'P' | 'U')
                && next.is_none_or(|next| next.is_ascii() && !next.is_ascii_alphabetic());
            if alone && !self.in_text() {
                self.at += 1;
                self.tokens.push(Token::Letter(c));
                return;
            }
            return self.letters();
        }
        if is_foreign(c) {
            return self.foreign_word();
        }
        self.at += c.len_utf8();
        match c {
            '\\' => self.command(),
            '^' if self.primes() => {}
            '{' if self.is_empty_group() || self.spaced_sign() => {}
            '{' => {
                self.braces.push(Brace::Math);
                self.symbol('{');
            }
            '}' => {
                if self.braces.pop() != Some(Brace::Text) {
                    self.symbol('}');
                }
            }
            '.' => {
                if self.rest().starts_with("..") {
                    self.at += 2;
                    self.symbol('…');
                }
            }
            '<' | '>' | '!' if self.rest().starts_with('=') => {
                self.at += 1;
                self.symbol(match c {
                    '<' => '≤',
                    '>' => '≥',
                    _ => '≠',
                });
            }
            '=' | ':' if self.rest().starts_with('=') => {}
            '+' if self.rest().starts_with("/-") => {
                self.at += 2;
                self.symbol('±');
            }
            // The hyphen of a compound, but not the sign of a number.
            '-' if (self.in_text() || self.follows_long_word()) && self.is_hyphen() => {}
            '&' if self.aligned.last() == Some(&true) || self.aligns_relation() => {}
            '℃' | '℉' => {
                self.symbol('°');
                self.tokens.push(Token::Text(if c == '℃' { "C" } else { "F" }.to_string()));
            }
            '¢' => self.tokens.push(Token::Text("cents".to_string())),
            '*' if self.rest().starts_with('*') => {
                self.at += 1;
                self.symbol('^');
            }
            '£' | '€' | '¥' => self.tokens.push(Token::Text(c.to_string())),
            '$' if self.is_lone_dollar() => self.symbol('$'),
            '$' | '~' | '"' | '“' | '”' | '`' => {}
            c if c.is_whitespace() || is_invisible(c) => {}
            c => self.other(c),
        }
    }

    /// Passes over the rest of `{}`, where it only ends a name or sets what is around it apart:
    /// `\pi{}`. It is not dropped where it is an argument, or has an index or exponent:
    /// `\frac{1}{}`, `{}_8C_2`.
    fn is_empty_group(&mut self) -> bool {
        let Some(after) = self.rest().trim_start().strip_prefix('}') else { return false };
        let stands_apart = match self.tokens.last() {
            None | Some(Token::Letter(_) | Token::Word(_) | Token::Text(_) | Token::Number(_)) => {
                true
            }
            Some(Token::Symbol(symbol)) => !matches!(symbol, '^' | '_' | '}' | ']'),
            Some(Token::Command(name)) => !takes_group(name),
            Some(_) => false,
        };
        if !stands_apart || after.trim_start().starts_with(['^', '_']) {
            return false;
        }
        self.at = self.text.len() - after.len();
        true
    }

    /// Reads the rest of `{:}` or `{=}`, whose braces are only there for the space around a sign,
    /// as the sign.
    fn spaced_sign(&mut self) -> bool {
        let rest = self.rest().as_bytes();
        let [sign @ (b':' | b'=' | b'<' | b'>'), b'}', ..] = rest else { return false };
        let sign = char::from(*sign);
        if matches!(self.tokens.last(), Some(Token::Symbol('^' | '_'))) {
            return false;
        }
        self.at += 2;
        self.symbol(sign);
        true
    }

    /// The primes of `^{\prime\prime}`, after `^`, as they are without it.
    fn primes(&mut self) -> bool {
        const PRIMES: [(&str, usize); 4] = [(r"\prime", 1), ("'", 1), ("′", 1), ("″", 2)];
        let mut rest = self.rest().trim_start();
        let braced = rest.strip_prefix('{');
        rest = braced.unwrap_or(rest).trim_start();
        let mut count = 0;
        while let Some((left, more)) =
            PRIMES.iter().find_map(|(prime, more)| Some((rest.strip_prefix(prime)?, more)))
        {
            (rest, count) = (left.trim_start(), count + more);
            if braced.is_none() {
                break;
            }
        }
        if braced.is_some() {
            let Some(left) = rest.strip_prefix('}') else { return false };
            rest = left;
        }
        if count > 0 {
            self.at = self.text.len() - rest.len();
            self.tokens.extend(std::iter::repeat_n(Token::Symbol('\''), count));
        }
        count > 0
    }

    fn other(&mut self, c: char) {
        if c.is_ascii() {
            self.track(c);
            self.symbol(c);
        } else if let Some(raised) = superscript(c) {
            self.symbol('^');
            self.shifted(raised, superscript, true);
        } else if let Some(lowered) = subscript(c) {
            self.symbol('_');
            self.shifted(lowered, subscript, false);
        } else if let Some((numerator, denominator)) = vulgar(c) {
            self.tokens.push(Token::Command("frac".to_string()));
            self.tokens.push(Token::Number(numerator.to_string()));
            // Of two digits without braces, each would be an argument.
            let braced = denominator.len() > 1;
            self.tokens.extend(braced.then_some(Token::Symbol('{')));
            self.tokens.push(Token::Number(denominator.to_string()));
            self.tokens.extend(braced.then_some(Token::Symbol('}')));
        } else if let '∛' | '∜' = c {
            let degree = if c == '∛' { "3" } else { "4" };
            self.tokens.push(Token::Command("sqrt".to_string()));
            self.symbol('[');
            self.tokens.push(Token::Number(degree.to_string()));
            self.symbol(']');
        } else if let Some(command) = command_of(c) {
            self.tokens.push(Token::Command(command.to_string()));
        } else {
            // Two of them are bars around something.
            let is_parallel = c == '∥' && self.text.matches(c).count() == 1;
            let symbol = if is_parallel { c } else { symbol_of(c) };
            if c == '×' {
                return self.times();
            }
            self.track(symbol);
            self.symbol(symbol);
        }
    }

    /// A run of raised or lowered characters, from its first on: one letter or number alone, or a
    /// group.
    fn shifted(&mut self, first: char, plain: fn(char) -> Option<char>, grouped: bool) {
        let mut run = vec![first];
        while let Some((next, width)) = self.peek().and_then(|c| Some((plain(c)?, c.len_utf8()))) {
            run.push(next);
            self.at += width;
        }
        let mut tokens = Vec::new();
        for part in run.chunk_by(|one, other| one.is_ascii_digit() && other.is_ascii_digit()) {
            tokens.push(match part[0] {
                '0'..='9' => Token::Number(without_zeros(&part.iter().collect::<String>())),
                sign @ ('+' | '-') => Token::Symbol(sign),
                letter => Token::Letter(letter),
            });
        }
        let grouped = grouped || tokens.len() > 1;
        self.tokens.extend(grouped.then_some(Token::Symbol('{')));
        self.tokens.extend(tokens);
        self.tokens.extend(grouped.then_some(Token::Symbol('}')));
    }

    /// Whether the `$` just passed is the only one and stands beside a digit: `$5`. Else it opens
    /// or closes mathematics.
    fn is_lone_dollar(&self) -> bool {
        let (before, after) = (&self.text[..self.at - 1], self.rest());
        let beside =
            after.starts_with(|c| digit(c).is_some()) || before.ends_with(|c| digit(c).is_some());
        beside && !after.contains('$') && !before.contains('$')
    }

    fn track(&mut self, symbol: char) {
        match symbol {
            '(' | '[' | '⦃' | '⟨' => self.brackets += 1,
            ')' | ']' | '⦄' | '⟩' => self.brackets = self.brackets.saturating_sub(1),
            _ => {}
        }
    }
}

/// Signs that change how others are read.
#[derive(Clone, Copy, Default)]
struct Seen {
    /// Letters in bold.
    bold: bool,
    /// Arrows over names.
    arrows: bool,
    /// Signs for "and" or "or", `\land` and `\lor`.
    connectives: bool,
}

#[cfg(test)]
mod tests {
    use super::characters::CHARACTERS;
    use super::*;

    fn tokens(text: &str) -> Vec<Token> {
        tokenize(text, Commas::Thousands, &mut Budget::new()).unwrap().list
    }

    #[test]
    fn every_symbol_command_has_its_character() {
        const SYMBOLS: &str = "· cdot ÷ div ± pm ∓ mp ≤ le ≥ ge ⩽ leqslant ⩾ geqslant ≠ ne ≈ \
                               approx ≃ simeq ≅ cong ∼ sim ⊂ subset ⊆ subseteq ⊊ subsetneq ⊃ \
                               supset ⊇ supseteq ⊋ supsetneq ∉ notin ∋ ni ∈ in ≺ prec ≻ succ ≼ \
                               preceq ≽ succeq ≪ ll ≫ gg ∝ propto ⊥ perp ∥ parallel ⇔ iff ↔ \
                               leftrightarrow ¬ neg ≡ equiv ⇒ implies → to ∀ forall ∪ cup ⋃ bigcup \
                               ∧ land ∨ lor ∖ setminus ∞ infty ∘ circ ° degree ∅ emptyset ⟨ langle \
                               ⟩ rangle ∣ mid ‖ Vert ⌊ lfloor ⌋ rfloor ⌈ lceil ⌉ rceil ′ prime … \
                               dots ⋯ cdots";
        let words: Vec<&str> = SYMBOLS.split_whitespace().collect();
        for pair in words.chunks(2) {
            let symbol = tokens(&format!(r"\{}", pair[1]));
            assert!(matches!(symbol[..], [Token::Symbol(_)]), "{pair:?}");
            assert_eq!(tokens(pair[0]), symbol, "{pair:?}");
        }
    }

    #[test]
    fn every_character_is_its_command() {
        let greek = ('α'..='ω').chain('Α'..='Ρ').chain('Σ'..='Ω');
        for letter in greek {
            assert!(CHARACTERS.iter().any(|(known, _)| *known == letter), "{letter}");
        }
        for (at, (character, command)) in CHARACTERS.iter().enumerate() {
            assert!(
                CHARACTERS[..at].iter().all(|(other, _)| other != character),
                "{character} stands twice"
            );
            let written = match *command {
                "reals" => r"\mathbb{R}".to_string(),
                other => match other.split_once(' ') {
                    Some((command, letter)) => format!(r"\{command}{{{letter}}}"),
                    None => format!(r"\{other}"),
                },
            };
            assert_eq!(tokens(&character.to_string()), tokens(&written), "{character}");
        }
    }
}
