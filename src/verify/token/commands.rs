//! What begins with a backslash.

use super::characters::{mark, symbol_command};
use super::{BOLD, Lexer, Token};

impl Lexer<'_> {
    /// Whether a relation follows, which a column of equations is aligned at: `x &= 4`.
    pub(super) fn aligns_relation(&self) -> bool {
        let rest = self.rest();
        let after = &rest[Self::blank(rest)..];
        let relation = |rest: &str| rest.starts_with(['=', '<', '>', '≤', '≥', '≈']);
        !self.aligned.is_empty()
            && (relation(after)
                || [r"\le", r"\ge", r"\lt", r"\gt", r"\approx"]
                    .iter()
                    .any(|name| after.starts_with(name) && !after.starts_with(r"\left")))
    }

    /// What follows a backslash.
    pub(super) fn command(&mut self) {
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
            "left" | "right" | "mleft" | "mright" | "bigl" | "bigr" | "Bigl" | "Bigr" | "big"
            | "Big" | "bigg" | "Bigg" | "biggl" | "biggr" | "Biggl" | "Biggr" | "bigm" | "Bigm"
            | "biggm" | "Biggm" | "middle" => {
                self.size(name);
            }
            "text" | "textbf" | "textit" | "textrm" | "textnormal" | "textsf" | "texttt"
            | "mbox" | "hbox" | "mathrm" | "operatorname" | "rm" | "mathsf" | "mathtt" => {
                self.text_group(name == "mathrm" || name == "operatorname");
            }
            "begin" | "end" => self.environment(name),
            "phantom" | "hphantom" | "vphantom" | "hspace" | "color" | "textcolor" | "colorbox"
            | "label" | "tag" => {
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
            "imath" | "jmath" => {
                self.tokens.push(Token::Letter(if name == "imath" { 'i' } else { 'j' }));
            }
            "pmod" | "bmod" | "pod" => self.tokens.push(Token::Command("mod".to_string())),
            "mathbf" | "boldsymbol" | "bm" | "bold" | "bf" => self.bold_letter(),
            "times" => self.times(),
            "not" => self.negated(),
            // Of numbers it is a product, of letters any operation.
            "ast" | "bullet"
                if matches!(self.tokens.last(), Some(Token::Number(_) | Token::Symbol(_))) =>
            {
                self.symbol('*');
            }
            "quad" | "qquad" | "displaystyle" | "textstyle" | "limits" | "mathit" | "it"
            | "underline" | "mathnormal" | "displaylimits" | "scriptscriptstyle" | "enspace"
            | "medspace" | "thickspace" | "nonumber" | "notag" | "bfseries" | "thinspace"
            | "hfill" | "boxed" | "fbox" | "ensuremath" | "therefore" | "blacksquare"
            | "checkmark" | "qed" | "scriptstyle" | "tiny" | "small" | "normalsize" | "large"
            | "Large" | "LARGE" | "huge" | "Huge" | "nolimits" | "mathstrut" | "relax"
            | "mathrel" | "mathbin" | "mathop" | "mathopen" | "mathclose" | "mathord" | "strut"
            | "allowbreak" | "nobreak" | "because" | "implied" => {
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

    /// The relation after `\not` that does not hold; of what has none, the command.
    fn negated(&mut self) {
        const RELATIONS: [(&str, char); 6] =
            [("=", '≠'), ("<", '≥'), (">", '≤'), (r"\in", '∉'), ("∈", '∉'), ("≠", '=')];
        let rest = self.rest();
        let after = &rest[Self::blank(rest)..];
        let found = RELATIONS.iter().find_map(|(relation, negated)| {
            let after = after.strip_prefix(relation)?;
            let is_whole = !(relation.starts_with('\\')
                && after.starts_with(|c: char| c.is_ascii_alphabetic()));
            is_whole.then_some((after.len(), *negated))
        });
        match found {
            Some((left, sign)) => {
                self.at = self.text.len() - left;
                self.symbol(sign);
            }
            None => self.tokens.push(Token::Command("not".to_string())),
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
            "aligned" | "align" | "align*" | "gathered" | "gather*" | "split" | "equation*" => {
                Some(true)
            }
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
    pub(super) fn times(&mut self) {
        let after_nabla =
            matches!(self.tokens.last(), Some(Token::Command(name)) if name == "nabla");
        self.symbol(if self.seen.arrows || self.seen.bold || after_nabla { '×' } else { '*' });
    }

    /// `\mathbf` in front of one letter may make a vector of it; in front of anything else it is
    /// style.
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

    /// `\left` and its like: `\left.` is not a bracket, and the `\right.` that closes a brace ends
    /// a system.
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

    /// The text of a group of a few bytes without braces in it; empty where there is none.
    fn short_argument(&mut self) -> String {
        let Some(body) = self.rest().strip_prefix('{') else { return String::new() };
        let Some(end) = body.bytes().take(20).position(|byte| byte == b'}') else {
            return String::new();
        };
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
