//! Answers as tokens: LaTeX, Unicode and plain spellings of the same thing become the same tokens. One pass.

use super::budget::{Budget, Exhausted};
use super::units;
use std::borrow::Cow;

/// A piece of an answer. Spacing, sizes (`\left`, `\big`), dollar signs and styles (`\mathit`, `\underline`) are gone; marks that make
/// another name of a name, such as `\overline` and `\vec`, are commands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// Digits with at most one decimal point; thousands separators and superfluous leading zeros are gone.
    Number(String),
    /// The decimals of the number before this token repeat: the digits under the line.
    Repeating(String),
    /// One letter.
    Letter(char),
    /// Several letters in a row outside `\text`.
    Word(String),
    /// A word inside `\text` and the like.
    Text(String),
    /// A function, Greek letter or other command, without its backslash.
    Command(String),
    /// `\begin{...matrix}` or `array`.
    BeginMatrix,
    /// Its end.
    EndMatrix,
    /// Everything else, as the Unicode character that it is written with: `≤` for `\le`, `⦃` for `\{`, `⏎` for `\\`, `$` for a
    /// dollar as currency.
    Symbol(char),
}

/// How a comma between groups of three digits outside brackets is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Commas {
    /// `1,234` is one number.
    Thousands,
    /// `1,234` are two numbers. `1,\!234` and `1{,}234` are one number all the same.
    Separate,
}

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

/// The one name of a command that sets a mark on what follows it.
pub(super) fn mark(name: &str) -> Option<&'static str> {
    Some(match name {
        "overline" | "bar" => "overline",
        "vec" | "overrightarrow" => "vec",
        "hat" | "widehat" => "hat",
        "tilde" | "widetilde" => "tilde",
        "dot" => "dot",
        "ddot" => "ddot",
        "check" | "widecheck" => "check",
        "breve" => "breve",
        "acute" => "acute",
        "grave" => "grave",
        "mathring" => "mathring",
        "overleftarrow" => "overleftarrow",
        "overleftrightarrow" => "overleftrightarrow",
        "overarc" | "wideparen" | "overparen" => "overarc",
        "mathcal" | "cal" => "mathcal",
        "mathscr" => "mathscr",
        "mathfrak" => "mathfrak",
        _ => return None,
    })
}

/// Reads a text.
pub(super) fn tokenize(text: &str, commas: Commas, budget: &mut Budget) -> Result<Tokens, Exhausted> {
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
    Ok(Tokens { list: lexer.tokens, ambiguous: lexer.ambiguous, bold: lexer.seen.bold, arrows: lexer.seen.arrows })
}

/// A text with the full-width forms of ASCII and the marks of Chinese punctuation as ASCII.
pub(super) fn half_width(text: &str) -> Cow<'_, str> {
    // Their first bytes in UTF-8.
    if text.is_ascii() || !text.bytes().any(|byte| byte == 0xef || byte == 0xe3) {
        return Cow::Borrowed(text);
    }
    let half = |c: char| match c {
        '\u{ff01}'..='\u{ff5e}' => char::from((c as u32 - 0xfee0) as u8),
        '\u{3000}' => ' ',
        '。' => '.',
        '、' => ',',
        other => other,
    };
    Cow::Owned(text.chars().map(half).collect())
}

/// A letter of a script whose words stand among numbers without `\text`: Chinese and its neighbours, and Cyrillic.
fn is_foreign(c: char) -> bool {
    matches!(c, '\u{400}'..='\u{4ff}' | '\u{3041}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}')
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

/// Characters without a width, and marks of direction.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{feff}' | '\u{ad}' | '\u{fe0e}' | '\u{fe0f}')
}

/// The value of a decimal digit: ASCII, full-width, or one of the mathematical alphabets.
fn digit(c: char) -> Option<u32> {
    match c {
        '0'..='9' => Some(c as u32 - '0' as u32),
        '０'..='９' => Some(c as u32 - '０' as u32),
        '\u{1d7ce}'..='\u{1d7ff}' => Some((c as u32 - 0x1d7ce) % 10),
        _ => None,
    }
}

/// A raised character as what it raises.
fn superscript(c: char) -> Option<char> {
    Some(match c {
        '⁰' => '0',
        '¹' => '1',
        '²' => '2',
        '³' => '3',
        '⁴'..='⁹' => char::from(b'4' + (c as u32 - '⁴' as u32) as u8),
        '⁻' => '-',
        'ⁿ' => 'n',
        _ => return None,
    })
}

/// A lowered digit.
fn subscript(c: char) -> Option<char> {
    matches!(c, '₀'..='₉').then(|| char::from(b'0' + (c as u32 - '₀' as u32) as u8))
}

/// A fraction in one character, as numerator and denominator.
fn vulgar(c: char) -> Option<(&'static str, &'static str)> {
    Some(match c {
        '½' => ("1", "2"),
        '⅓' => ("1", "3"),
        '⅔' => ("2", "3"),
        '¼' => ("1", "4"),
        '¾' => ("3", "4"),
        '⅕' => ("1", "5"),
        '⅖' => ("2", "5"),
        '⅗' => ("3", "5"),
        '⅘' => ("4", "5"),
        '⅙' => ("1", "6"),
        '⅚' => ("5", "6"),
        '⅛' => ("1", "8"),
        '⅜' => ("3", "8"),
        '⅝' => ("5", "8"),
        '⅞' => ("7", "8"),
        _ => return None,
    })
}

/// Characters that stand for a LaTeX command.
fn command_of(c: char) -> Option<&'static str> {
    Some(match c {
        'π' | '𝜋' => "pi",
        '√' => "sqrt",
        'α' => "alpha",
        'β' => "beta",
        'γ' => "gamma",
        'δ' => "delta",
        'θ' => "theta",
        'λ' => "lambda",
        'μ' => "mu",
        'σ' => "sigma",
        'φ' | 'ϕ' => "phi",
        'ω' => "omega",
        'Δ' => "Delta",
        'ρ' => "rho",
        'τ' => "tau",
        'ε' => "epsilon",
        'ψ' => "psi",
        'ℝ' => "reals",
        'ℤ' => "mathbb Z",
        'ℕ' => "mathbb N",
        'ℚ' => "mathbb Q",
        'ℂ' => "mathbb C",
        '∑' => "sum",
        '∏' => "prod",
        '∫' => "int",
        '∠' => "angle",
        '△' => "triangle",
        _ => return None,
    })
}

/// One spelling for characters of one meaning.
fn symbol_of(c: char) -> char {
    match c {
        '−' | '–' | '‐' | '‑' => '-',
        '×' | '·' | '⋅' | '∙' | '∗' => '*',
        '÷' | '∕' | '⁄' => '/',
        '∶' => ':',
        '⩽' | '≦' => '≤',
        '⩾' | '≧' => '≥',
        '≃' => '≈',
        '∧' => '⋀',
        '∨' => '⋁',
        '⇔' | '⟺' => '⇔',
        'º' | '˚' => '°',
        '′' | '’' => '\'',
        '⟨' | '〈' => '⟨',
        '⟩' | '〉' => '⟩',
        '∅' | 'Ø' => '∅',
        '∣' => '|',
        '∥' => '‖',
        '⟹' | '⟶' => '⇒',
        '⋯' => '…',
        other => other,
    }
}

/// Commands that are one symbol.
fn symbol_command(name: &str) -> Option<char> {
    Some(match name {
        "cdot" => '*',
        "div" => '/',
        "pm" => '±',
        "mp" => '∓',
        "le" | "leq" | "leqslant" | "leqq" => '≤',
        "ge" | "geq" | "geqslant" | "geqq" => '≥',
        "lt" => '<',
        "gt" => '>',
        "ne" | "neq" => '≠',
        "approx" | "simeq" | "doteq" | "approxeq" => '≈',
        "cong" => '≅',
        "sim" => '∼',
        "subset" => '⊂',
        "subseteq" => '⊆',
        "subsetneq" | "varsubsetneq" | "subsetneqq" => '⊊',
        "supset" => '⊃',
        "supseteq" => '⊇',
        "supsetneq" | "varsupsetneq" | "supsetneqq" => '⊋',
        "notin" => '∉',
        "ni" => '∋',
        "prec" => '≺',
        "succ" => '≻',
        "preceq" | "preccurlyeq" => '≼',
        "succeq" | "succcurlyeq" => '≽',
        "ll" => '≪',
        "gg" => '≫',
        "propto" => '∝',
        "parallel" => '∥',
        "perp" | "bot" => '⊥',
        "iff" | "Leftrightarrow" | "Longleftrightarrow" | "leftrightarrow" => '⇔',
        "neg" | "lnot" => '¬',
        "equiv" => '≡',
        "Rightarrow" | "implies" | "Longrightarrow" => '⇒',
        "to" | "rightarrow" | "longrightarrow" => '→',
        "in" => '∈',
        "forall" => '∀',
        "cup" | "bigcup" => '∪',
        "land" | "wedge" => '⋀',
        "or" | "lor" | "vee" => '⋁',
        "setminus" | "backslash" | "smallsetminus" => '∖',
        "infty" => '∞',
        "circ" | "degree" | "textdegree" => '°',
        "textdollar" => '$',
        "cr" | "newline" => '⏎',
        "emptyset" | "varnothing" => '∅',
        "lbrace" => '⦃',
        "rbrace" => '⦄',
        "langle" => '⟨',
        "rangle" => '⟩',
        "lvert" | "rvert" | "vert" | "mid" => '|',
        "Vert" | "lVert" | "rVert" => '‖',
        "lfloor" => '⌊',
        "rfloor" => '⌋',
        "lceil" => '⌈',
        "rceil" => '⌉',
        "lbrack" => '[',
        "rbrack" => ']',
        "colon" => ':',
        "prime" => '\'',
        "dots" | "ldots" | "cdots" => '…',
        _ => return None,
    })
}

/// Functions whose name may stand without a backslash.
const BARE_FUNCTIONS: [&str; 18] = [
    "sqrt", "sin", "cos", "tan", "cot", "sec", "csc", "log", "ln", "arcsin", "arccos", "arctan", "pi", "theta",
    "alpha", "beta", "exp", "binom",
];

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

    /// Whether connectives join statements that are only named, `p \land q`; between numbers, equations and inequalities they are words.
    fn is_formula(&self) -> bool {
        let is_name = |token: &Token| matches!(token, Token::Letter(_) | Token::Command(_) | Token::Word(_));
        let relates =
            |token: &Token| matches!(token, Token::Symbol('=' | '<' | '>' | '≤' | '≥' | '≠' | '≈' | '≡' | '∈'));
        self.tokens.iter().any(is_name) && !self.tokens.iter().any(relates)
    }

    fn in_text(&self) -> bool {
        self.braces.last() == Some(&Brace::Text)
    }

    fn next(&mut self) {
        let Some(c) = self.peek() else { return };
        if digit(c).is_some() || (c == '.' && self.rest()[1..].chars().next().is_some_and(|next| digit(next).is_some()))
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
            '$' | '~' | '"' | '“' | '”' | '?' | '`' => {}
            c if c.is_whitespace() || is_invisible(c) => {}
            c => self.other(c),
        }
    }

    fn other(&mut self, c: char) {
        if let Some(raised) = superscript(c) {
            let mut raised = vec![raised];
            while let Some((next, width)) = self.peek().and_then(|c| Some((superscript(c)?, c.len_utf8()))) {
                raised.push(next);
                self.at += width;
            }
            self.symbol('^');
            self.symbol('{');
            let digits: String = raised.iter().filter(|c| c.is_ascii_digit()).collect();
            if raised.first() == Some(&'-') {
                self.symbol('-');
            }
            if !digits.is_empty() {
                self.tokens.push(Token::Number(without_zeros(&digits)));
            }
            if raised.contains(&'n') {
                self.tokens.push(Token::Letter('n'));
            }
            self.symbol('}');
        } else if let Some(lowered) = subscript(c) {
            let mut digits = String::from(lowered);
            while let Some((next, width)) = self.peek().and_then(|c| Some((subscript(c)?, c.len_utf8()))) {
                digits.push(next);
                self.at += width;
            }
            self.symbol('_');
            self.tokens.push(Token::Number(without_zeros(&digits)));
        } else if let Some((numerator, denominator)) = vulgar(c) {
            self.tokens.push(Token::Command("frac".to_string()));
            self.tokens.push(Token::Number(numerator.to_string()));
            self.tokens.push(Token::Number(denominator.to_string()));
        } else if let Some(command) = command_of(c) {
            self.tokens.push(Token::Command(command.to_string()));
        } else {
            let symbol = symbol_of(c);
            if c == '×' {
                return self.times();
            }
            self.track(symbol);
            self.symbol(symbol);
        }
    }

    /// Whether the `$` just passed is the only one and stands beside a digit: `$5`. Else it opens or closes mathematics.
    fn is_lone_dollar(&self) -> bool {
        let (before, after) = (&self.text[..self.at - 1], self.rest());
        let beside = after.starts_with(|c| digit(c).is_some()) || before.ends_with(|c| digit(c).is_some());
        beside && !after.contains('$') && !before.contains('$')
    }

    fn is_hyphen(&self) -> bool {
        match self.tokens.last() {
            Some(Token::Text(_) | Token::Word(_) | Token::Letter(_)) => true,
            Some(Token::Number(_)) => self.rest().starts_with(char::is_alphabetic),
            _ => false,
        }
    }

    /// Whether a word that is no product of names stands before, and a letter behind: `twenty-five`.
    fn follows_long_word(&self) -> bool {
        let is_long = |word: &String| word.len() > 3 && word.bytes().all(|letter| letter.is_ascii_lowercase());
        matches!(self.tokens.last(), Some(Token::Word(word)) if is_long(word))
            && self.rest().starts_with(|c: char| c.is_ascii_alphabetic())
    }

    /// Whether a word stands between two brackets, such as the `U` of `(1,2) U (3,4)`.
    fn is_between_brackets(&self) -> bool {
        let after = self.rest()[Self::blank(self.rest())..].trim_start_matches(r"\left").trim_start();
        matches!(self.tokens.last(), Some(Token::Symbol(')' | ']'))) && after.starts_with(['(', '['])
    }

    fn track(&mut self, symbol: char) {
        match symbol {
            '(' | '[' | '⦃' | '⟨' => self.brackets += 1,
            ')' | ']' | '⦄' | '⟩' => self.brackets = self.brackets.saturating_sub(1),
            _ => {}
        }
    }

    /// ASCII letters up to the first other character.
    fn letters(&mut self) {
        let rest = self.rest();
        let text_mode = self.in_text();
        let mut word = String::new();
        let mut chars = rest.char_indices().peekable();
        let mut end = rest.len();
        while let Some((at, c)) = chars.next() {
            let next_is_letter = chars.peek().is_some_and(|(_, next)| next.is_ascii_alphabetic());
            // Dots of abbreviations: `p.m.`, `sq.`.
            if c.is_alphabetic() && !is_invisible(c) && (text_mode || c.is_ascii()) {
                word.push(c);
            } else if is_invisible(c) || (text_mode && c == '.' && next_is_letter) {
            } else {
                end = at;
                break;
            }
        }
        self.at += end;
        let lower = word.to_lowercase();
        // `p.m.` outside `\text`.
        let half_of_day = self.rest().strip_prefix(".m").filter(|_| matches!(lower.as_str(), "a" | "p"));
        if let (Some(after), Some(Token::Number(_))) = (half_of_day, self.tokens.last()) {
            self.at = self.text.len() - after.len();
            self.tokens.push(Token::Text(format!("{lower}m")));
        } else if lower == "and" {
            self.symbol('∧');
        } else if lower == "or" {
            self.symbol('∨');
        } else if lower == "mod" {
            self.tokens.push(Token::Command(lower));
        } else if word == "U" && self.is_between_brackets() {
            self.symbol('∪');
        } else if matches!(lower.as_str(), "infinity" | "infty" | "inf") {
            self.symbol('∞');
        } else if text_mode {
            self.tokens.push(Token::Text(word));
        } else if let (Some(letter), true) = (word.chars().next(), word.len() == 1) {
            self.tokens.push(Token::Letter(letter));
        } else if BARE_FUNCTIONS.contains(&word.as_str()) {
            self.tokens.push(Token::Command(word));
        } else {
            self.tokens.push(Token::Word(word));
        }
    }

    /// A word of Chinese or another script that needs no `\text`.
    fn foreign_word(&mut self) {
        let rest = self.rest();
        let word = &rest[..rest.find(|c| !is_foreign(c)).unwrap_or(rest.len())];
        let token = match word {
            "和" | "与" | "且" | "及" | "и" => Token::Symbol('∧'),
            "或" | "或者" | "или" => Token::Symbol('∨'),
            word => Token::Text(word.to_string()),
        };
        self.at += word.len();
        self.tokens.push(token);
    }

    /// Whether a relation follows, which a column of equations is aligned at: `x &= 4`.
    fn aligns_relation(&self) -> bool {
        let rest = self.rest();
        let after = &rest[Self::blank(rest)..];
        let relation = |rest: &str| rest.starts_with(['=', '<', '>', '≤', '≥', '≈']);
        !self.aligned.is_empty()
            && (relation(after)
                || [r"\le", r"\ge", r"\lt", r"\gt", r"\approx"]
                    .iter()
                    .any(|name| after.starts_with(name) && !after.starts_with(r"\left")))
    }

    /// The exponent of ten of `1.5e-3` as calculators and programs write it.
    fn exponent_of_ten(&mut self) {
        let Some(after) = self.rest().strip_prefix(['e', 'E']) else { return };
        let (negative, digits) = match after.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, after.strip_prefix('+').unwrap_or(after)),
        };
        let (exponent, width) = Self::digits(digits);
        let mut after = digits[width..].chars();
        let goes_on = match after.next() {
            Some('.') => after.next().is_some_and(|c| digit(c).is_some()),
            next => next.is_some_and(|c| c.is_ascii_alphabetic()),
        };
        if exponent.is_empty() || goes_on {
            return;
        }
        self.at = self.text.len() - digits.len() + width;
        self.symbol('*');
        self.tokens.push(Token::Number("10".to_string()));
        self.symbol('^');
        self.symbol('{');
        if negative {
            self.symbol('-');
        }
        self.tokens.push(Token::Number(without_zeros(&exponent)));
        self.symbol('}');
    }

    /// The bytes of white space and of invisible characters at the start of `text`.
    fn blank(text: &str) -> usize {
        text.find(|c: char| !(c.is_whitespace() || is_invisible(c))).unwrap_or(text.len())
    }

    /// The bytes of a separator of thousands at the start of `text`, and whether it may also separate two numbers.
    fn separator(&self, text: &str) -> Option<(usize, bool)> {
        if !text.starts_with([',', '{', '\\', ' ', '\u{a0}', '\u{2009}', '\u{202f}', '~', '\'', '’', '_']) {
            return None;
        }
        for spelling in [
            r",\!", "{,}", "{, }", " {, }", r"{,}\!", r"\,", r"\ ", r"\;", " ", "\u{a0}", "\u{2009}", "\u{202f}", "~",
            "'", "’", "_",
        ] {
            if let Some(mut after) = text.strip_prefix(spelling) {
                after = after.trim_start_matches(r"\!").trim_start_matches([' ', '\n']);
                after = after.strip_prefix(r"\,").or(after.strip_prefix(r"\;")).unwrap_or(after);
                return Some((text.len() - after.len(), false));
            }
        }
        if text.starts_with(',') && self.brackets == 0 { Some((1, true)) } else { None }
    }

    fn digits(text: &str) -> (String, usize) {
        let mut digits = String::new();
        for (at, c) in text.char_indices() {
            match digit(c) {
                Some(value) => digits.extend(char::from_digit(value, 10)),
                None if is_invisible(c) => {}
                None => return (digits, at),
            }
        }
        (digits, text.len())
    }

    fn number(&mut self) {
        let (mut whole, width) = Self::digits(self.rest());
        self.at += width;
        let grouped = (1..=3).contains(&whole.len()) && !whole.starts_with('0');
        let mut grouped_by = None;
        while grouped && let Some((width, ambiguous)) = self.separator(self.rest()) {
            let (group, digits) = Self::digits(&self.rest()[width..]);
            if group.len() != 3 || grouped_by.is_some_and(|by| by != ambiguous) {
                break;
            }
            self.ambiguous |= ambiguous;
            if ambiguous && self.commas == Commas::Separate {
                break;
            }
            grouped_by = Some(ambiguous);
            whole.push_str(&group);
            self.at += width + digits;
        }
        // `1.234.567`: with one group alone the point would be decimal.
        if grouped && grouped_by.is_none() && self.groups_after_points() >= 2 {
            while let Some(after) = self.rest().strip_prefix('.') {
                let (group, digits) = Self::digits(after);
                if group.len() != 3 {
                    break;
                }
                whole.push_str(&group);
                self.at += 1 + digits;
            }
            self.tokens.push(Token::Number(without_zeros(&whole)));
            return;
        }
        let mut text = if whole.is_empty() || whole.starts_with('0') { without_zeros(&whole) } else { whole };
        if let Some(after) = self.rest().strip_prefix('.') {
            let (decimals, width) = Self::digits(after);
            if !decimals.is_empty() {
                text = format!("{text}.{decimals}");
                self.at += 1 + width;
            }
            let repeating = ["overline", "bar", "dot"].iter().find_map(|name| {
                let body = self.rest().strip_prefix('.').unwrap_or(self.rest());
                let body = body.strip_prefix('\\')?.strip_prefix(name)?;
                let Some(body) = body.strip_prefix('{') else {
                    // `0.\bar3`
                    let body = body.trim_start();
                    return body.chars().next().filter(char::is_ascii_digit).map(|c| (c.to_string(), body.len() - 1));
                };
                let (digits, width) = Self::digits(body);
                let after = body[width..].strip_prefix('}')?;
                (!digits.is_empty()).then_some((digits, after.len()))
            });
            let repeating = repeating.or_else(|| {
                // `0.(3)`
                let (digits, width) = Self::digits(self.rest().strip_prefix(".(")?);
                let after = self.rest()[2 + width..].strip_prefix(')')?;
                (!digits.is_empty()).then_some((digits, after.len()))
            });
            if let Some((digits, left)) = repeating {
                self.at = self.text.len() - left;
                self.tokens.push(Token::Number(text));
                self.tokens.push(Token::Repeating(digits));
                return;
            }
        }
        if text.contains('.')
            && let Some(width) = self.ellipsis()
        {
            self.at += width;
            let (whole, decimals) = text.split_once('.').unwrap_or((&text, ""));
            if let Some((before, period)) = repetition(decimals) {
                self.tokens.push(Token::Number(format!("{whole}.{before}").trim_end_matches('.').to_string()));
                self.tokens.push(Token::Repeating(period.to_string()));
                return;
            }
        }
        self.tokens.push(Token::Number(text));
        self.exponent_of_ten();
    }

    /// How many groups of three digits follow, each after a point.
    fn groups_after_points(&self) -> usize {
        let mut rest = self.rest();
        let mut groups = 0;
        while let Some(after) = rest.strip_prefix('.') {
            let (group, width) = Self::digits(after);
            if group.is_empty() {
                break;
            }
            if group.len() != 3 {
                return 0;
            }
            groups += 1;
            rest = &after[width..];
        }
        groups
    }

    /// The length of the dots after the decimals of a number that goes on.
    fn ellipsis(&self) -> Option<usize> {
        let rest = self.rest();
        let spaces = Self::blank(rest);
        ["...", "…", "⋯", r"\ldots", r"\dots", r"\cdots"]
            .iter()
            .find(|dots| rest[spaces..].starts_with(*dots))
            .map(|dots| spaces + dots.len())
    }

    /// What follows a backslash.
    fn command(&mut self) {
        let Some(c) = self.peek() else { return };
        if !c.is_ascii_alphabetic() {
            self.at += c.len_utf8();
            match c {
                '{' => self.bracket('⦃'),
                '}' => self.bracket('⦄'),
                '%' => self.symbol('%'),
                '$' => self.symbol('$'),
                '|' => self.symbol('‖'),
                '\\' => self.line_break(),
                '&' | '#' => self.symbol(c),
                // `\,`, `\!`, `\(` and the like are spacing or change the mode.
                _ => {}
            }
            return;
        }
        let text = self.text;
        let rest = &text[self.at..];
        let name = &rest[..rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len())];
        self.at += name.len();
        // The most frequent ones first.
        if matches!(name, "frac" | "sqrt" | "pi") {
            self.tokens.push(Token::Command(name.to_string()));
            return;
        }
        match name {
            "left" | "right" | "mleft" | "mright" | "bigl" | "bigr" | "Bigl" | "Bigr" | "big" | "Big" | "bigg"
            | "Bigg" | "biggl" | "biggr" | "Biggl" | "Biggr" | "bigm" | "Bigm" | "biggm" | "Biggm" | "middle" => {
                self.size(name);
            }
            "text" | "textbf" | "textit" | "textrm" | "textnormal" | "textsf" | "texttt" | "mbox" | "hbox"
            | "mathrm" | "operatorname" | "rm" | "mathsf" | "mathtt" => {
                self.text_group(name == "mathrm" || name == "operatorname");
            }
            "begin" | "end" => self.environment(name),
            "phantom" | "hphantom" | "vphantom" | "hspace" | "color" | "textcolor" | "colorbox" | "label" | "tag" => {
                self.skip_argument();
            }
            "mathbb" => {
                let letter = self.rest().trim_start_matches(['{', ' ']).chars().next();
                self.skip_argument();
                match letter {
                    Some('R') => self.tokens.push(Token::Command("reals".to_string())),
                    Some(letter) => self.tokens.push(Token::Command(format!("mathbb {letter}"))),
                    None => {}
                }
            }
            "frac" | "dfrac" | "tfrac" | "cfrac" | "sfrac" | "nicefrac" | "flatfrac" => {
                self.tokens.push(Token::Command("frac".to_string()));
            }
            "binom" | "dbinom" | "tbinom" => self.tokens.push(Token::Command("binom".to_string())),
            "surd" => self.tokens.push(Token::Command("sqrt".to_string())),
            "imath" | "jmath" => self.tokens.push(Token::Letter(if name == "imath" { 'i' } else { 'j' })),
            "pmod" | "bmod" | "pod" => self.tokens.push(Token::Command("mod".to_string())),
            "mathbf" | "boldsymbol" | "bm" | "bold" | "bf" => self.bold_letter(),
            "times" => self.times(),
            // Of numbers it is a product, of letters any operation.
            "ast" | "bullet" if matches!(self.tokens.last(), Some(Token::Number(_) | Token::Symbol(_))) => {
                self.symbol('*');
            }
            "quad" | "qquad" | "displaystyle" | "textstyle" | "limits" | "mathit" | "it" | "underline"
            | "mathnormal" | "displaylimits" | "scriptscriptstyle" | "enspace" | "medspace" | "thickspace"
            | "nonumber" | "notag" | "bfseries" | "thinspace" | "hfill" | "boxed" | "fbox" | "ensuremath"
            | "therefore" | "blacksquare" | "checkmark" | "qed" | "scriptstyle" | "tiny" | "small" | "normalsize"
            | "large" | "Large" | "LARGE" | "huge" | "Huge" | "nolimits" | "mathstrut" | "relax" | "mathrel"
            | "mathbin" | "mathop" | "mathopen" | "mathclose" | "mathord" | "strut" | "allowbreak" | "nobreak"
            | "because" | "implied" => {
                self.decorated_letter();
            }
            other => {
                if let Some(symbol) = symbol_command(other) {
                    self.track(symbol);
                    self.symbol(symbol);
                } else if let Some(mark) = mark(other) {
                    self.seen.arrows |= mark == "vec";
                    self.tokens.push(Token::Command(mark.to_string()));
                    self.decorated_letter();
                } else {
                    self.tokens.push(Token::Command(name.to_string()));
                }
            }
        }
    }

    /// What follows `\begin` or `\end`.
    fn environment(&mut self, name: &str) {
        let environment = self.short_argument();
        if name == "begin" && environment == "array" {
            // The columns' alignment.
            self.short_argument();
        }
        let aligns = match environment.as_str() {
            "aligned" | "align" | "align*" | "gathered" | "gather*" | "split" | "equation*" => Some(true),
            "cases" | "dcases" | "rcases" | "numcases" => Some(false),
            _ => None,
        };
        if let Some(aligns) = aligns {
            if name == "begin" {
                self.aligned.push(aligns);
            } else {
                self.aligned.pop();
            }
            if aligns {
                return;
            }
        }
        let matrix = matches!(
            environment.as_str(),
            "cases"
                | "dcases"
                | "rcases"
                | "numcases"
                | "pmatrix"
                | "bmatrix"
                | "Bmatrix"
                | "matrix"
                | "smallmatrix"
                | "array"
        );
        self.tokens.push(match (matrix, name) {
            (true, "begin") => Token::BeginMatrix,
            (true, _) => Token::EndMatrix,
            _ => Token::Command(format!("{name} {environment}")),
        });
    }

    fn bracket(&mut self, symbol: char) {
        self.track(symbol);
        self.symbol(symbol);
    }

    /// The sign of a product, which between vectors is another one than the point.
    fn times(&mut self) {
        self.symbol(if self.seen.arrows || self.seen.bold { '×' } else { '*' });
    }

    /// `\mathbf` in front of one letter may make a vector of it; in front of anything else it is style.
    fn bold_letter(&mut self) {
        let rest = self.rest().trim_start();
        let letter = match rest.as_bytes() {
            [b'{', letter, b'}', ..] | [letter, ..] => letter.is_ascii_alphabetic(),
            [] => false,
        };
        if letter && !self.in_text() {
            self.seen.bold = true;
            self.tokens.push(Token::Command(BOLD.to_string()));
        }
        self.decorated_letter();
    }

    /// The `{f}` of `\hat{f}` as the letter.
    fn decorated_letter(&mut self) {
        if let [b'{', letter, b'}', ..] = self.rest().as_bytes()
            && letter.is_ascii_alphabetic()
            && !self.in_text()
        {
            self.tokens.push(Token::Letter(char::from(*letter)));
            self.at += 3;
        }
    }

    /// `\left` and its like: `\left.` is no bracket, and the `\right.` that closes a brace ends a system.
    fn size(&mut self, name: &str) {
        let rest = self.rest();
        let start = Self::blank(rest);
        let dot = rest[start..].starts_with('.');
        let brace = rest[start..].starts_with(r"\{") || rest[start..].starts_with(r"\lbrace");
        if dot {
            self.at += start + 1;
        }
        match name {
            "left" | "mleft" => self.left.push(brace),
            "right" | "mright" if self.left.pop() == Some(true) && dot => self.bracket('⦄'),
            _ => {}
        }
    }

    /// `\\` or `\\[2pt]`, which within aligned equations separates items.
    fn line_break(&mut self) {
        self.symbol(if self.aligned.last() == Some(&true) { ',' } else { '⏎' });
        let Some(length) = self.rest().strip_prefix('[') else { return };
        let Some(end) = length.bytes().take(12).position(|byte| byte == b']') else { return };
        if length[..end].ends_with(|c: char| c.is_ascii_lowercase()) {
            self.at += end + 2;
        }
    }

    /// The group after `\text`, where functions are functions; after `\mathrm` (`math`), one letter is a variable.
    fn text_group(&mut self, math: bool) {
        self.at += Self::blank(self.rest());
        let Some(body) = self.rest().strip_prefix('{') else { return };
        let letters = &body[..body.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(body.len())];
        let is_name = (math && letters.len() == 1 && !self.is_unit(letters)) || BARE_FUNCTIONS.contains(&letters);
        if body[letters.len()..].starts_with('}') && is_name {
            let letters = letters.to_string();
            self.at += letters.len() + 2;
            self.tokens.push(match letters.chars().next() {
                Some(letter) if letters.len() == 1 => Token::Letter(letter),
                _ => Token::Command(letters),
            });
            return;
        }
        self.at += 1;
        self.braces.push(Brace::Text);
    }

    /// Whether the one letter in `\mathrm{}` is a unit: it is the sign of one, and follows a value or another unit.
    fn is_unit(&self, letter: &str) -> bool {
        let follows = match self.tokens.as_slice() {
            [.., Token::Number(_) | Token::Repeating(_) | Token::Symbol('}' | ')' | '!') | Token::Text(_)]
            | [.., Token::Text(_), Token::Symbol('*' | '/')]
            | [.., Token::Text(_), Token::Symbol('}'), Token::Symbol('{')]
            | [.., Token::Text(_), Token::Symbol('^'), Token::Number(_), Token::Symbol('*' | '/')] => true,
            // `5 \frac{\mathrm{m}}{\mathrm{s}}`
            [.., Token::Number(_) | Token::Symbol('}' | ')'), Token::Command(name), Token::Symbol('{')] => {
                name == "frac"
            }
            [.., Token::Command(name)] => name == "pi",
            _ => false,
        };
        follows && units::is_sign(letter)
    }

    /// The text of a group of a few bytes without braces in it; empty where there is none.
    fn short_argument(&mut self) -> String {
        let Some(body) = self.rest().strip_prefix('{') else { return String::new() };
        let Some(end) = body.bytes().take(20).position(|byte| byte == b'}') else { return String::new() };
        let argument = body[..end].to_string();
        self.at += end + 2;
        argument
    }

    /// Skips a balanced group or one character.
    fn skip_argument(&mut self) {
        self.at += Self::blank(self.rest());
        let mut depth = 0_usize;
        while let Some(c) = self.peek() {
            self.at += c.len_utf8();
            match c {
                '{' => depth += 1,
                '}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth == 0 {
                return;
            }
        }
    }
}

/// Decimals that go on, as what does not repeat and what does: `1666` as `1` and `6`. One digit must be there three times at the end,
/// several digits twice.
fn repetition(decimals: &str) -> Option<(&str, &str)> {
    (1..=decimals.len() / 2).find_map(|length| {
        let (before, period) = decimals.split_at_checked(decimals.len() - length)?;
        let copies = if length == 1 { 2 } else { 1 };
        let rest = (0..copies).try_fold(before, |rest, _| rest.strip_suffix(period))?;
        // `0.444`: all copies of the period are part of the repetition.
        let mut start = rest;
        while let Some(shorter) = start.strip_suffix(period) {
            start = shorter;
        }
        Some((start, period))
    })
}

/// Digits without superfluous leading zeros.
fn without_zeros(digits: &str) -> String {
    let trimmed = digits.trim_start_matches('0');
    if trimmed.is_empty() { "0".to_string() } else { trimmed.to_string() }
}
