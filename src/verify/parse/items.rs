//! What stands between commas, "and" and "or": labels, texts, equations and inequalities.

use super::moduli::modulo;
use super::words::{is_prose, names_number, spelt, words};
use super::{Fault, Parsed, Parser};
use crate::verify::tree::{Node, Relation};
use crate::verify::{label, numeral, reals::subject, token::Token, units};

impl Parser<'_> {
    /// Items between commas, semicolons, "and" or "or", up to a token that is part of none.
    pub(super) fn items(&mut self) -> Parsed<Vec<Node>> {
        Ok(self.joined_items()?.0)
    }

    /// Items, and whether "or", or a phrase such as "that is", stands between all of them. Two
    /// bounds of one name, `x > 1 and x < 4`, are one item.
    pub(super) fn joined_items(&mut self) -> Parsed<(Vec<Node>, bool)> {
        let mut items = Vec::new();
        let mut all_either = true;
        loop {
            let (both, either) = self.separators(items.is_empty());
            if self.at_end() {
                break;
            }
            all_either &= either || items.is_empty();
            let item = self.item()?;
            match items.last().filter(|_| both).and_then(|last| between(last, &item)) {
                Some(joined) => *items.last_mut().ok_or(Fault::Unreadable)? = joined,
                None => items.push(item),
            }
            let is_text = matches!(items.last(), Some(Node::Text(_)));
            let number_follows =
                matches!(self.tokens[self.at..], [Token::Symbol('('), Token::Number(_), ..]);
            if self.restates_in_brackets() || (is_text && number_follows) {
                self.bracketed_restatement(&mut items)?;
            }
            let goes_on = matches!(self.peek(), Some(Token::Symbol(',' | ';' | '∧' | '∨')));
            if !(goes_on || self.restatement() > 0) {
                break;
            }
        }
        // Several bounds belong to several names.
        if items.len() > 1 && items.iter().any(is_unnamed_bound) {
            return Err(Fault::Unreadable);
        }
        let either = all_either && items.len() > 1;
        Ok((items, either))
    }

    /// Passes over what separates two items: whether "and" is in it, and whether "or".
    fn separators(&mut self, first: bool) -> (bool, bool) {
        let (mut both, mut either) = (false, false);
        loop {
            if self.take(',') || self.take(';') {
                both = false;
            } else if self.take('∧') {
                both = true;
            } else if self.take('∨') {
                either = true;
            } else {
                let phrase = if first { 0 } else { self.restatement() };
                if phrase == 0 {
                    return (both, either);
                }
                self.at += phrase;
                either = true;
            }
        }
    }

    /// The lower-case word at a place.
    pub(super) fn word_at(&self, at: usize) -> Option<String> {
        match self.tokens.get(at)? {
            Token::Text(word) | Token::Word(word) => Some(word.to_lowercase()),
            _ => None,
        }
    }

    /// The length of a phrase that introduces the same value in another form.
    pub(super) fn restatement(&self) -> usize {
        const PHRASES: [&[&str]; 9] = [
            &["that", "is"],
            &["which", "is"],
            &["which", "equals"],
            &["ie"],
            &["equivalently"],
            &["namely"],
            &["equals"],
            &["in", "other", "words"],
            &["即"],
        ];
        if !matches!(self.peek(), Some(Token::Text(_) | Token::Word(_))) {
            return 0;
        }
        let is_here = |phrase: &&&[&str]| {
            phrase
                .iter()
                .enumerate()
                .all(|(at, word)| self.word_at(self.at + at).as_deref() == Some(word))
        };
        PHRASES.iter().find(is_here).map_or(0, |phrase| phrase.len())
    }

    /// Whether brackets follow that say the same once more, or the unit: `(eight)`,
    /// `(that is, 40%)`, `(= 0.4)`, `(cm)`.
    pub(super) fn restates_in_brackets(&self) -> bool {
        let [Token::Symbol('('), first, ..] = &self.tokens[self.at..] else { return false };
        match first {
            Token::Text(_) | Token::Symbol('=' | '≈' | '∨') => true,
            Token::Word(word) => {
                names_number(word)
                    || (is_prose(word) && word.chars().any(|c| c.is_ascii_lowercase()))
            }
            _ => false,
        }
    }

    /// What is in such brackets, as further items, or as the unit of the last.
    fn bracketed_restatement(&mut self, items: &mut Vec<Node>) -> Parsed<()> {
        self.at += 1;
        self.take('=');
        self.separators(false);
        let again = self.deeper(Self::items)?;
        self.expect(')')?;
        match (again.as_slice(), items.last_mut()) {
            ([Node::Text(words)], Some(last)) if units::unit(words).is_some() => {
                *last = Node::Quantity { value: Box::new(last.clone()), unit: words.clone() };
            }
            _ => items.extend(again),
        }
        Ok(())
    }

    fn at_end(&self) -> bool {
        match self.peek() {
            None | Some(Token::EndMatrix) => true,
            Some(Token::Symbol(symbol)) => {
                matches!(symbol, ')' | ']' | '}' | '⦄' | '⟩' | '⌋' | '⌉' | '&' | '⏎')
            }
            Some(_) => false,
        }
    }

    pub(super) fn item(&mut self) -> Parsed {
        while self.take('⇒') || self.take('→') || self.take('=') || self.take('≡') {}
        if let Some(relation) = self.bound() {
            let members = vec![Node::Variable(String::new()), self.member()?];
            return Ok(Node::Chain { members, relations: vec![relation] });
        }
        self.skip_label();
        let first = match self.label()? {
            Some(label) => label,
            None => self.member()?,
        };
        let (mut members, mut relations) = (vec![first], Vec::new());
        while let Some(relation) =
            self.peek().and_then(|token| relation(token, self.tokens.get(self.at + 1)))
        {
            self.at += 1;
            relations.push(relation);
            members.push(self.member()?);
        }
        let item = match members.pop() {
            Some(only) if relations.is_empty() => only,
            last => {
                members.extend(last);
                Node::Chain { members, relations }
            }
        };
        Ok(match self.modulus()? {
            Some(modulus) => modulo(item, &modulus),
            None => item,
        })
    }

    /// Passes over a bound on what is not named, up to its number: `\le 5`, `at most 5`.
    fn bound(&mut self) -> Option<Relation> {
        const PHRASES: [(&[&str], Relation); 10] = [
            (&["at", "most"], Relation::LessOrEqual),
            (&["no", "more", "than"], Relation::LessOrEqual),
            (&["not", "more", "than"], Relation::LessOrEqual),
            (&["at", "least"], Relation::GreaterOrEqual),
            (&["no", "less", "than"], Relation::GreaterOrEqual),
            (&["not", "less", "than"], Relation::GreaterOrEqual),
            (&["no", "fewer", "than"], Relation::GreaterOrEqual),
            (&["less", "than"], Relation::Less),
            (&["more", "than"], Relation::Greater),
            (&["greater", "than"], Relation::Greater),
        ];
        let is_word = |at: usize, word: &str| matches!(self.tokens.get(at), Some(Token::Text(other) | Token::Word(other)) if other.eq_ignore_ascii_case(word));
        let is_here = |(phrase, _): &&(&[&str], Relation)| {
            phrase.iter().enumerate().all(|(at, word)| is_word(self.at + at, word))
        };
        let (length, relation) = match self.peek()? {
            Token::Symbol('<') => (1, Relation::Less),
            Token::Symbol('≤') => (1, Relation::LessOrEqual),
            Token::Symbol('>') => (1, Relation::Greater),
            Token::Symbol('≥') => (1, Relation::GreaterOrEqual),
            Token::Text(_) | Token::Word(_) => {
                PHRASES.iter().find(is_here).map(|(words, relation)| (words.len(), *relation))?
            }
            _ => return None,
        };
        if !self.is_value_at(self.at + length) {
            return None;
        }
        self.at += length;
        Some(relation)
    }

    /// Whether a number begins at a place.
    fn is_value_at(&self, at: usize) -> bool {
        match self.tokens.get(at) {
            Some(Token::Number(_) | Token::Symbol('$' | '-' | '(' | '{')) => true,
            Some(Token::Command(name)) => matches!(name.as_str(), "frac" | "sqrt" | "pi"),
            _ => false,
        }
    }

    /// `(mod 9)`, `\pmod 9`, `\bmod 9`
    fn modulus(&mut self) -> Parsed<Option<Node>> {
        let bracketed = self.is('(') && self.is_modulus(1);
        if !bracketed && !self.is_modulus(0) {
            return Ok(None);
        }
        self.at += 1 + usize::from(bracketed);
        let modulus = self.deeper(Self::sum)?;
        if bracketed {
            self.expect(')')?;
        }
        Ok(Some(modulus))
    }

    pub(super) fn is_modulus(&self, offset: usize) -> bool {
        matches!(self.tokens.get(self.at + offset), Some(Token::Command(name)) if name == "mod")
    }

    /// The label in front of `=`: a function at a place, or anything else that names a value and is
    /// not an expression.
    fn label(&mut self) -> Parsed<Option<Node>> {
        if !self.has_equals {
            return Ok(None);
        }
        let Some((length, arguments)) = label::find(&self.tokens[self.at..]) else {
            return Ok(None);
        };
        let (start, end) = (self.at, self.at + length);
        let Some(arguments) = arguments else {
            self.at = end;
            return Ok(Some(Node::Variable(spelt(&self.tokens[start..end]))));
        };
        let name = spelt(&self.tokens[start..start + arguments]);
        self.at = start + arguments + 1;
        let items = match self.deeper(Self::items) {
            Ok(items) if self.at + 1 == end && !items.is_empty() => items,
            Err(Fault::Exhausted) => return Err(Fault::Exhausted),
            // `P(A|B)`
            _ => vec![Node::Text(spelt(&self.tokens[start + arguments..end]))],
        };
        self.at = end;
        Ok(Some(Node::Apply(name, items)))
    }

    /// One side of a relation.
    fn member(&mut self) -> Parsed {
        if let Some(digits) = self.digits_with_letters() {
            return Ok(digits);
        }
        match self.text() {
            Some(text) => Ok(text),
            None => self.deeper(Self::sets),
        }
    }

    /// A number with letters among its digits, and its base: `A5_{11}`, or of at least two capitals
    /// only: `BEE_{16}`.
    fn digits_with_letters(&mut self) -> Option<Node> {
        let rest = &self.tokens[self.at..];
        let mut digits = String::new();
        for token in rest.iter().take(20) {
            match token {
                Token::Number(part) | Token::Word(part) | Token::Text(part) => {
                    digits.push_str(&part.to_uppercase());
                }
                Token::Letter(letter) => digits.push(letter.to_ascii_uppercase()),
                _ => break,
            }
        }
        let lettered = digits.bytes().any(|byte| byte.is_ascii_alphabetic());
        let all_letters = !digits.bytes().any(|byte| byte.is_ascii_digit());
        let is_capital = |token: &Token| matches!(token, Token::Word(part) | Token::Text(part) if part.bytes().all(|byte| byte.is_ascii_uppercase()));
        if !lettered || (all_letters && !(digits.len() > 1 && rest.first().is_some_and(is_capital)))
        {
            return None;
        }
        let below = rest.iter().take(20).position(|token| *token == Token::Symbol('_'))?;
        let ([Token::Number(base), ..]
        | [Token::Symbol('{'), Token::Number(base), Token::Symbol('}'), ..]) = &rest[below + 1..]
        else {
            return None;
        };
        let base: u32 = base.parse().ok().filter(|base| (11..=36).contains(base))?;
        if !digits.chars().all(|digit| digit.is_digit(base)) {
            return None;
        }
        let length = below + if rest[below + 1] == Token::Symbol('{') { 4 } else { 2 };
        let names_digits_only = rest[..below].iter().all(|token| {
            matches!(token, Token::Number(_) | Token::Word(_) | Token::Text(_) | Token::Letter(_))
        });
        if !names_digits_only {
            return None;
        }
        self.at += length;
        Some(Node::Based { digits, base })
    }

    /// An item that begins with a word and has nothing but words, letters and numbers.
    fn text(&mut self) -> Option<Node> {
        if self.sign_in_words().is_some() {
            return None;
        }
        match self.peek()? {
            Token::Text(sign) if matches!(sign.as_str(), "£" | "€" | "¥") => return None,
            Token::Text(_) => {}
            Token::Word(word) if is_prose(word) || names_number(word) => {}
            Token::Word(word)
                if word.eq_ignore_ascii_case("no")
                    && matches!(self.tokens.get(self.at + 1), Some(Token::Word(_))) => {}
            _ => return None,
        }
        let rest = &self.tokens[self.at..];
        // `AB` alone is a name.
        let is_capitals = |token: &Token| matches!(token, Token::Word(word) if word.bytes().all(|letter| letter.is_ascii_uppercase()));
        if is_capitals(&rest[0])
            && !matches!(rest.get(1), Some(Token::Text(_) | Token::Word(_) | Token::Letter(_)))
        {
            return None;
        }
        let plain = |token: &Token| {
            matches!(
                token,
                Token::Text(_)
                    | Token::Word(_)
                    | Token::Letter(_)
                    | Token::Number(_)
                    | Token::Symbol('\'' | '{')
            )
        };
        let length = rest.iter().position(|token| !plain(token)).unwrap_or(rest.len());
        let ends = match rest.get(length) {
            None | Some(Token::EndMatrix) => true,
            Some(Token::Symbol(symbol)) => {
                matches!(
                    symbol,
                    ',' | '∧' | '∨' | ';' | ')' | ']' | '}' | '⦄' | '&' | '⏎' | '=' | '≈' | '('
                )
            }
            Some(_) => false,
        };
        let text = words(&rest[..length])
            .filter(|_| ends && !rest[..length].contains(&Token::Symbol('{')))?;
        if let Some((number, more)) = number_with_and(&text, &rest[length..]) {
            self.at += length + more;
            return Some(Node::Text(number));
        }
        self.at += length;
        Some(Node::Text(text))
    }

    /// Passes over `The answer is`, `Area:` and a leading `≈`.
    fn skip_label(&mut self) {
        let is_number = matches!(self.tokens.get(self.at + 1), Some(Token::Number(_)));
        if self.take('≈') || (is_number && (self.take('∼') || self.take('≅'))) {
            return;
        }
        if let [Token::Text(word) | Token::Word(word), Token::Symbol(','), ..] =
            &self.tokens[self.at..]
            && matches!(word.to_lowercase().as_str(), "therefore" | "thus" | "hence" | "so")
        {
            self.at += 2;
        }
        self.at += self.emphasis();
        if let [Token::Letter(_), Token::Text(verb) | Token::Word(verb), _, ..] =
            &self.tokens[self.at..]
            && matches!(verb.as_str(), "is" | "equals")
        {
            let sign = self.at + 1;
            self.tokens.to_mut()[sign] = Token::Symbol('=');
            return;
        }
        let rest = &self.tokens[self.at..];
        let length = rest
            .iter()
            .position(|token| !matches!(token, Token::Text(_) | Token::Word(_)))
            .unwrap_or(rest.len());
        let last = match length.checked_sub(1).and_then(|last| rest.get(last)) {
            Some(Token::Text(word) | Token::Word(word)) => word.to_lowercase(),
            _ => return,
        };
        let colon = rest.get(length) == Some(&Token::Symbol(':'));
        let verb = !colon && length < rest.len() && introduces(&last);
        // `No. of boys: 5`
        let is_count =
            colon && matches!(&rest[0], Token::Text(word) | Token::Word(word) if word == "No");
        let denied = || !is_count && (self.at..self.at + length).any(|at| self.denies(at));
        if !(colon || verb) || denied() {
            return;
        }
        let sign = self.at + length - usize::from(verb);
        let is_label = |pair: &[Token]| match pair {
            [Token::Text(_) | Token::Word(_), Token::Symbol(':')] => colon,
            [Token::Text(word) | Token::Word(word), next] => {
                verb && introduces(&word.to_lowercase())
                    && !matches!(next, Token::Text(_) | Token::Word(_))
            }
            _ => false,
        };
        self.labelled |= self.tokens[sign + 1..].windows(2).any(is_label);
        if self.labelled && sign > self.at {
            // `boys: 3, girls: 5`: the names tell the values apart.
            self.tokens.to_mut()[sign] = Token::Symbol('=');
        } else {
            self.at = sign + 1;
        }
    }

    /// The length of words in front of a value that leave it as it is: `exactly 5`, `a total of 5`.
    fn emphasis(&self) -> usize {
        const PHRASES: [&[&str]; 5] =
            [&["exactly"], &["only"], &["precisely"], &["a", "total", "of"], &["total", "of"]];
        if !matches!(self.peek(), Some(Token::Text(_) | Token::Word(_) | Token::Letter('a'))) {
            return 0;
        }
        let is_word = |at: usize, word: &str| match self.tokens.get(at) {
            Some(Token::Text(other) | Token::Word(other)) => other.eq_ignore_ascii_case(word),
            Some(Token::Letter(letter)) => word.len() == 1 && word.starts_with(*letter),
            _ => false,
        };
        let is_here = |phrase: &&&[&str]| {
            self.is_value_at(self.at + phrase.len())
                && phrase.iter().enumerate().all(|(at, word)| is_word(self.at + at, word))
        };
        PHRASES.iter().find(is_here).map_or(0, |phrase| phrase.len())
    }

    /// Whether the word at a place denies what stands beside it: `5 is wrong` is no 5.
    pub(super) fn denies(&self, at: usize) -> bool {
        matches!(self.tokens.get(at), Some(Token::Text(word) | Token::Word(word)) if label::denies(word))
    }
}

fn is_unnamed_bound(node: &Node) -> bool {
    matches!(node, Node::Chain { members, .. } if members.iter().any(|member| matches!(member, Node::Variable(name) if name.is_empty())))
}

/// A text and what follows it, if both are one number: `three hundred and five`, `five and a half`;
/// with the number of tokens that follow.
fn number_with_and(text: &str, rest: &[Token]) -> Option<(String, usize)> {
    let [Token::Symbol('∧'), after @ ..] = rest else { return None };
    let is_word =
        |token: &Token| matches!(token, Token::Text(_) | Token::Word(_) | Token::Letter(_));
    let length = after.iter().position(|token| !is_word(token)).unwrap_or(after.len());
    let joined = format!("{text} and {}", words(&after[..length])?);
    let is_number = numeral::value(&joined).is_some() || numeral::mixed(&joined).is_some();
    is_number.then_some((joined, length + 1))
}

fn relation(token: &Token, next: Option<&Token>) -> Option<Relation> {
    let Token::Symbol(symbol) = token else { return None };
    let is_number = || matches!(next, Some(Token::Number(_) | Token::Symbol('-' | '$')));
    Some(match symbol {
        '=' | '≡' => Relation::Equal,
        '≈' => Relation::Approximate,
        '≠' => Relation::NotEqual,
        '<' => Relation::Less,
        '≤' => Relation::LessOrEqual,
        '>' => Relation::Greater,
        '≥' => Relation::GreaterOrEqual,
        '∈' => Relation::ElementOf,
        // Between figures and distributions they say something else.
        '≅' | '∼' if is_number() => Relation::Approximate,
        '⊂' | '⊆' | '⊊' | '⊃' | '⊇' | '⊋' | '∉' | '∋' | '≺' | '≻' | '≼' | '≽' | '≪' | '≫' | '∝'
        | '∥' | '⊥' | '≅' | '∼' | '⇔' => Relation::Other(*symbol),
        _ => return None,
    })
}

/// Whether a word is the last of those that introduce a value.
pub(in crate::verify) fn introduces(word: &str) -> bool {
    matches!(word, "is" | "are" | "about" | "approximately" | "equals" | "约" | "大约")
        || word.ends_with(['是', '为'])
        || word.ends_with("等于")
}

/// `x > a` and `x < b`, in either order and written either way, as `a < x < b`.
fn between(one: &Node, other: &Node) -> Option<Node> {
    // The bound, the name, and how the bound stands to the name.
    let bound = |node: &Node| {
        let Node::Chain { members, relations } = node else { return None };
        let ([left, right], [relation]) = (members.as_slice(), relations.as_slice()) else {
            return None;
        };
        match subject(members)? {
            0 => Some((right.clone(), left.clone(), relation.reversed())),
            _ => Some((left.clone(), right.clone(), *relation)),
        }
    };
    let ((a, name, first), (b, other, second)) = (bound(one)?, bound(other)?);
    let below = |relation| matches!(relation, Relation::Less | Relation::LessOrEqual);
    let above = |relation| matches!(relation, Relation::Greater | Relation::GreaterOrEqual);
    if name != other {
        None
    } else if below(first) && above(second) {
        Some(Node::Chain { members: vec![a, name, b], relations: vec![first, second.reversed()] })
    } else if above(first) && below(second) {
        Some(Node::Chain { members: vec![b, name, a], relations: vec![second, first.reversed()] })
    } else {
        None
    }
}
