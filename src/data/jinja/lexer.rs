//! Text of a template to tokens, with white space taken out as Jinja takes it out (`trim_blocks`
//! and `lstrip_blocks` are on).

use super::fault::{Fault, Result};

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// Text that is written out as it is.
    Data(String),
    /// `{{`
    PrintBegin,
    /// `}}`
    PrintEnd,
    /// `{%`
    TagBegin,
    /// `%}`
    TagEnd,
    Name(String),
    Text(String),
    Integer(i128),
    Float(f64),
    Operator(&'static str),
    End,
}

/// Longer ones first.
const OPERATORS: [&str; 27] = [
    "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}",
    ">", "<", "=", ".", ":", "|", ",", ";", "!",
];

/// White space as Python knows it.
pub(super) fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\x1c'..='\x1f').contains(&c)
}

/// The source with `\n` for every end of a line, and without one at the end.
pub(super) fn with_newlines(source: &str) -> String {
    let mut text = source.replace("\r\n", "\n").replace('\r', "\n");
    if text.ends_with('\n') {
        text.pop();
    }
    text
}

/// Tokens, each with its line.
pub(super) fn tokens(source: &str) -> Result<Vec<(Token, usize)>> {
    let mut lexer = Lexer { source, place: 0, line: 1, at_line_start: true, tokens: Vec::new() };
    while lexer.place < source.len() {
        lexer.data()?;
    }
    let line = lexer.line;
    lexer.tokens.push((Token::End, line));
    Ok(lexer.tokens)
}

struct Lexer<'s> {
    source: &'s str,
    place: usize,
    line: usize,
    /// Whether what was read last ended with a line.
    at_line_start: bool,
    tokens: Vec<(Token, usize)>,
}

impl<'s> Lexer<'s> {
    fn rest(&self) -> &'s str {
        &self.source[self.place..]
    }

    fn fault(&self, text: &str) -> Fault {
        Fault { line: Some(self.line), text: format!("syntax error: {text}") }
    }

    fn push(&mut self, token: Token) {
        self.tokens.push((token, self.line));
    }

    fn advance(&mut self, bytes: usize) {
        let passed = &self.source[self.place..self.place + bytes];
        self.line += passed.bytes().filter(|&byte| byte == b'\n').count();
        if !passed.is_empty() {
            self.at_line_start = passed.ends_with('\n');
        }
        self.place += bytes;
    }

    /// Text up to the next delimiter, and what the delimiter begins.
    fn data(&mut self) -> Result<()> {
        let rest = self.rest();
        let found = rest
            .match_indices('{')
            .find(|(at, _)| matches!(rest.as_bytes().get(at + 1), Some(b'{' | b'%' | b'#')));
        let Some((at, _)) = found else {
            self.push_data(rest.to_string());
            self.advance(rest.len());
            return Ok(());
        };
        let opener = &rest[at..at + 2];
        let sign = rest[at + 2..].chars().next().filter(|sign| matches!(sign, '-' | '+'));
        let text = self.stripped(&rest[..at], opener, sign);
        self.push_data(text.to_string());
        let raw = (opener == "{%").then(|| raw_begin(&rest[at..])).flatten();
        self.advance(at);
        match (opener, raw) {
            (_, Some(length)) => {
                self.advance(length);
                self.raw()
            }
            ("{#", _) => {
                self.advance(2 + usize::from(sign.is_some()));
                self.comment()
            }
            _ => {
                self.advance(2 + usize::from(sign.is_some()));
                self.code(opener == "{%")
            }
        }
    }

    fn push_data(&mut self, text: String) {
        if !text.is_empty() {
            self.push(Token::Data(text));
        }
    }

    /// Text without the white space that the delimiter after it takes away.
    fn stripped<'t>(&self, text: &'t str, opener: &str, sign: Option<char>) -> &'t str {
        if sign == Some('-') {
            return text.trim_end_matches(is_space);
        }
        let line = text.rfind('\n').map_or(0, |at| at + 1);
        let is_blank = !text[line..].is_empty() && text[line..].chars().all(is_space);
        if opener != "{{" && sign.is_none() && is_blank && (line > 0 || self.at_line_start) {
            return &text[..line];
        }
        text
    }

    /// Passes what closes a tag or a comment, with the white space that it takes away: `-%}`, `+%}`
    /// or `%}`.
    fn close(&mut self, end: &str) -> bool {
        let rest = self.rest();
        let length = if let Some(after) =
            rest.strip_prefix('-').and_then(|rest| rest.strip_prefix(end))
        {
            1 + end.len() + (after.len() - after.trim_start_matches(is_space).len())
        } else if rest.strip_prefix('+').is_some_and(|rest| rest.starts_with(end)) && end != "}}" {
            1 + end.len()
        } else if let Some(after) = rest.strip_prefix(end) {
            end.len() + usize::from(end != "}}" && after.starts_with('\n'))
        } else {
            return false;
        };
        self.advance(length);
        true
    }

    fn comment(&mut self) -> Result<()> {
        let rest = self.rest();
        let end = rest.find("#}").ok_or_else(|| self.fault("a comment has no end, `#}`"))?;
        let sign = usize::from(rest[..end].ends_with(['-', '+']));
        self.advance(end - sign);
        self.close("#}");
        Ok(())
    }

    /// What stands between `{% raw %}` and `{% endraw %}`.
    fn raw(&mut self) -> Result<()> {
        let rest = self.rest();
        for (at, _) in rest.match_indices("{%") {
            let after = &rest[at + 2..];
            let sign = after.chars().next().filter(|sign| matches!(sign, '-' | '+'));
            let word = after.trim_start_matches(['-', '+']).trim_start_matches(is_space);
            let Some(end) = word.strip_prefix("endraw") else { continue };
            let end = end.trim_start_matches(is_space);
            if !(end.starts_with("%}") || end.starts_with("-%}") || end.starts_with("+%}")) {
                continue;
            }
            let text = self.stripped(&rest[..at], "{%", sign);
            self.push_data(text.to_string());
            self.advance(rest.len() - end.len());
            self.close("%}");
            return Ok(());
        }
        Err(self.fault("a `{% raw %}` has no `{% endraw %}`"))
    }

    /// Tokens up to `%}` or `}}`.
    fn code(&mut self, is_tag: bool) -> Result<()> {
        self.push(if is_tag { Token::TagBegin } else { Token::PrintBegin });
        let end = if is_tag { "%}" } else { "}}" };
        let mut open = Vec::new();
        loop {
            if open.is_empty() && self.close(end) {
                self.push(if is_tag { Token::TagEnd } else { Token::PrintEnd });
                return Ok(());
            }
            let rest = self.rest();
            let Some(first) = rest.chars().next() else {
                return Err(self.fault(&format!(
                    "the template ends within `{}`",
                    if is_tag { "{%" } else { "{{" }
                )));
            };
            if is_space(first) {
                self.advance(rest.len() - rest.trim_start_matches(is_space).len());
            } else if first.is_ascii_digit() {
                self.number()?;
            } else if first.is_alphabetic() || first == '_' {
                let length =
                    rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
                self.push(Token::Name(rest[..length].to_string()));
                self.advance(length);
            } else if matches!(first, '"' | '\'') {
                self.text(first)?;
            } else {
                let operator = OPERATORS.iter().find(|operator| rest.starts_with(**operator));
                let operator =
                    operator.ok_or_else(|| self.fault(&format!("unexpected {first:?}")))?;
                match *operator {
                    "(" => open.push(")"),
                    "[" => open.push("]"),
                    "{" => open.push("}"),
                    ")" | "]" | "}" if open.pop() != Some(operator) => {
                        return Err(self.fault(&format!("unexpected `{operator}`")));
                    }
                    _ => {}
                }
                self.push(Token::Operator(operator));
                self.advance(operator.len());
            }
        }
    }

    fn number(&mut self) -> Result<()> {
        let rest = self.rest();
        // `x.0.1` is two places, not a number with decimals.
        let after_dot = matches!(self.tokens.last(), Some((Token::Operator("."), _)));
        let digits = |text: &str| {
            text.find(|c: char| !(c.is_ascii_digit() || c == '_')).unwrap_or(text.len())
        };
        let radix = match rest.as_bytes() {
            [b'0', b'x' | b'X', ..] => 16,
            [b'0', b'o' | b'O', ..] => 8,
            [b'0', b'b' | b'B', ..] => 2,
            _ => 10,
        };
        let bad = |lexer: &Self| lexer.fault("a number that is too large or not well formed");
        if radix != 10 {
            let length = 2 + rest[2..]
                .find(|c: char| !(c.is_digit(radix) || c == '_'))
                .unwrap_or(rest.len() - 2);
            let number = i128::from_str_radix(&rest[2..length].replace('_', ""), radix)
                .map_err(|_| bad(self))?;
            self.push(Token::Integer(number));
            self.advance(length);
            return Ok(());
        }
        let mut length = digits(rest);
        let mut is_float = false;
        if !after_dot {
            let after = &rest[length..];
            if after.starts_with('.') && after[1..].starts_with(|c: char| c.is_ascii_digit()) {
                length += 1 + digits(&after[1..]);
                is_float = true;
            }
            let exponent = rest[length..].strip_prefix(['e', 'E']);
            if let Some(after) = exponent {
                let signed = after.strip_prefix(['+', '-']).unwrap_or(after);
                if signed.starts_with(|c: char| c.is_ascii_digit()) {
                    length += 1 + (after.len() - signed.len()) + digits(signed);
                    is_float = true;
                }
            }
        }
        let plain = rest[..length].replace('_', "");
        let token = if is_float {
            Token::Float(plain.parse().map_err(|_| bad(self))?)
        } else {
            if plain.len() > 1 && plain.starts_with('0') && plain.bytes().any(|byte| byte != b'0') {
                return Err(bad(self));
            }
            Token::Integer(plain.parse().map_err(|_| bad(self))?)
        };
        self.push(token);
        self.advance(length);
        Ok(())
    }

    fn text(&mut self, quote: char) -> Result<()> {
        let rest = self.rest();
        let mut escaped = false;
        let end = rest.char_indices().skip(1).find(|(_, c)| {
            let ends = !escaped && *c == quote;
            escaped = !escaped && *c == '\\';
            ends
        });
        let (end, _) = end.ok_or_else(|| self.fault("a text has no closing quotation mark"))?;
        let text = unescaped(&rest[1..end])
            .ok_or_else(|| self.fault("an escape in a text that is not well formed"))?;
        self.push(Token::Text(text));
        self.advance(end + 1);
        Ok(())
    }
}

/// The length of `{% raw %}` where the text begins with it.
fn raw_begin(text: &str) -> Option<usize> {
    let inner = text.strip_prefix("{%")?;
    let inner = inner.strip_prefix(['-', '+']).unwrap_or(inner);
    let end = inner.trim_start_matches(is_space).strip_prefix("raw")?.trim_start_matches(is_space);
    let rest = match end.strip_prefix("-%}") {
        Some(after) => after.trim_start_matches(is_space),
        None => end.strip_prefix("%}")?,
    };
    Some(text.len() - rest.len())
}

/// A text with Python's escapes carried out. Unknown ones stay as they are.
fn unescaped(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let mut after = rest[at + 1..].chars();
        let Some(kind) = after.next() else {
            out.push('\\');
            return Some(out);
        };
        rest = after.as_str();
        let simple = match kind {
            '\n' => Some(""),
            '\\' => Some("\\"),
            '\'' => Some("'"),
            '"' => Some("\""),
            'a' => Some("\x07"),
            'b' => Some("\x08"),
            'f' => Some("\x0c"),
            'n' => Some("\n"),
            'r' => Some("\r"),
            't' => Some("\t"),
            'v' => Some("\x0b"),
            _ => None,
        };
        if let Some(simple) = simple {
            out.push_str(simple);
            continue;
        }
        let (radix, length, skipped) = match kind {
            'x' => (16, 2, 0),
            'u' => (16, 4, 0),
            'U' => (16, 8, 0),
            '0'..='7' => {
                let all = &text[text.len() - rest.len() - 1..];
                (8, all.bytes().take(3).take_while(|byte| (b'0'..=b'7').contains(byte)).count(), 1)
            }
            'N' => return None,
            other => {
                out.push('\\');
                out.push(other);
                continue;
            }
        };
        let from = text.len() - rest.len() - skipped;
        let digits = text.get(from..from + length)?;
        out.push(char::from_u32(u32::from_str_radix(digits, radix).ok()?)?);
        rest = &text[from + length..];
    }
    out.push_str(rest);
    Some(out)
}
