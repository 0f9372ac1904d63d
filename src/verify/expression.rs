//! Exact arithmetic expressions: a parser, a printer and rational evaluation that cannot overflow
//! unnoticed.
//!
//! ```text
//! sum     = product (("+" | "-") product)*
//! product = factor (("*" | "/") factor)*
//! factor  = "-" factor | "(" sum ")" | digits
//! ```
//!
//! `×`, `·`, `\times`, `\cdot`, `÷`, `\div` and `−` are accepted for the operators, and white space
//! between any two of these.

use num_rational::Ratio;
use std::fmt;

/// The most bytes that [`Expression::parse`] looks at.
pub const MAX_LENGTH: usize = 1000;

/// The deepest nesting of parentheses and signs that [`Expression::parse`] accepts.
pub const MAX_DEPTH: usize = 50;

/// An exact value, in lowest terms.
pub type Rational = Ratio<i64>;

/// What stands between two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operator {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
}

impl Operator {
    /// Its character.
    pub fn symbol(self) -> char {
        match self {
            Self::Add => '+',
            Self::Subtract => '-',
            Self::Multiply => '*',
            Self::Divide => '/',
        }
    }

    /// Whether the operands may change places.
    pub fn is_commutative(self) -> bool {
        matches!(self, Self::Add | Self::Multiply)
    }

    /// The exact result.
    pub fn apply(self, left: Rational, right: Rational) -> Result<Rational, ExpressionError> {
        let wide = |ratio: Rational| (i128::from(*ratio.numer()), i128::from(*ratio.denom()));
        let ((a, b), (c, d)) = (wide(left), wide(right));
        // a/b and c/d of 64 bits each: every product fits into 128 bits.
        let (numerator, denominator) = match self {
            Self::Add => ((a * d).checked_add(c * b), b * d),
            Self::Subtract => ((a * d).checked_sub(c * b), b * d),
            Self::Multiply => (Some(a * c), b * d),
            Self::Divide if c == 0 => return Err(ExpressionError::DivisionByZero),
            Self::Divide => (Some(a * d), b * c),
        };
        reduced(numerator.ok_or(ExpressionError::Overflow)?, denominator)
    }

    fn precedence(self) -> u8 {
        match self {
            Self::Add | Self::Subtract => 1,
            Self::Multiply | Self::Divide => 2,
        }
    }
}

/// `numerator / denominator` in lowest terms, if it fits; the denominator is not 0.
fn reduced(numerator: i128, denominator: i128) -> Result<Rational, ExpressionError> {
    let (mut divisor, mut rest) = (numerator.unsigned_abs(), denominator.unsigned_abs());
    while rest != 0 {
        (divisor, rest) = (rest, divisor % rest);
    }
    let narrow = |value: i128| {
        let size = i64::try_from(value.unsigned_abs() / divisor.max(1))
            .map_err(|_| ExpressionError::Overflow)?;
        Ok(if value < 0 { -size } else { size })
    };
    let (numerator, denominator) = (narrow(numerator)?, narrow(denominator)?);
    Ok(if denominator < 0 {
        Ratio::new_raw(-numerator, -denominator)
    } else {
        Ratio::new_raw(numerator, denominator)
    })
}

/// Why a text is not an expression, or an expression has no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExpressionError {
    /// The text is too long to be looked at.
    #[error("the expression has {length} bytes, the limit is {MAX_LENGTH}")]
    TooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// Too many parentheses or signs within each other.
    #[error("parentheses and signs are nested deeper than {MAX_DEPTH} levels at byte {at}")]
    TooDeep {
        /// Byte offset.
        at: usize,
    },
    /// Something that may not stand here.
    #[error("unexpected `{found}` at byte {at}")]
    Unexpected {
        /// What stands there.
        found: char,
        /// Byte offset.
        at: usize,
    },
    /// The text ends where an operand or a closing parenthesis should follow.
    #[error("the expression is incomplete")]
    UnexpectedEnd,
    /// A number that does not fit into 32 bits.
    #[error("the number at byte {at} is larger than {}", u32::MAX)]
    NumberTooLarge {
        /// Byte offset.
        at: usize,
    },
    /// A division by zero.
    #[error("division by zero")]
    DivisionByZero,
    /// An intermediate result whose numerator or denominator does not fit into 64 bits.
    #[error("an intermediate result does not fit into 64 bits")]
    Overflow,
}

/// An expression as it was written, less its superfluous parentheses. `Display` writes it with the
/// parentheses it needs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Expression {
    /// A number without sign.
    Number(u32),
    /// A minus sign before an operand.
    Negate(Box<Expression>),
    /// Two operands.
    Binary {
        /// What stands between them.
        operator: Operator,
        /// The first operand.
        left: Box<Expression>,
        /// The second operand.
        right: Box<Expression>,
    },
}

impl Expression {
    /// `left operator right`.
    pub fn binary(operator: Operator, left: Self, right: Self) -> Self {
        Self::Binary { operator, left: Box::new(left), right: Box::new(right) }
    }

    /// Reads the whole of `text`.
    pub fn parse(text: &str) -> Result<Self, ExpressionError> {
        if text.len() > MAX_LENGTH {
            return Err(ExpressionError::TooLong { length: text.len() });
        }
        let mut parser = Parser { text, at: 0 };
        let expression = parser.sum(0)?;
        match parser.peek() {
            None => Ok(expression),
            Some(found) => Err(ExpressionError::Unexpected { found, at: parser.at }),
        }
    }

    /// Its exact value.
    pub fn evaluate(&self) -> Result<Rational, ExpressionError> {
        match self {
            Self::Number(number) => Ok(Ratio::from_integer(i64::from(*number))),
            Self::Negate(operand) => {
                Operator::Subtract.apply(Ratio::from_integer(0), operand.evaluate()?)
            }
            Self::Binary { operator, left, right } => {
                operator.apply(left.evaluate()?, right.evaluate()?)
            }
        }
    }

    /// The numbers in it, from left to right, without signs.
    pub fn numbers(&self) -> Vec<u32> {
        let mut numbers = Vec::new();
        self.collect_numbers(&mut numbers);
        numbers
    }

    /// A text that expressions share which differ only in the order of operands, in brackets, and in
    /// where signs stand: `a-b+c`, `c-(b-a)` and `(c+a)-b` are one way to a value, `a*b+a*c` and
    /// `a*(b+c)` are two.
    pub fn canonical(&self) -> String {
        let (is_negative, text) = self.signed();
        if is_negative { format!("-{text}") } else { text }
    }

    /// Whether it is the negative of the text.
    fn signed(&self) -> (bool, String) {
        match self {
            Self::Number(number) => (false, number.to_string()),
            Self::Negate(operand) => {
                let (is_negative, text) = operand.signed();
                (!is_negative, text)
            }
            Self::Binary { operator: Operator::Add | Operator::Subtract, .. } => {
                let mut terms = Vec::new();
                self.collect_terms(false, &mut terms);
                terms.sort();
                // The first term has a plus: what is left is a sign of the whole.
                let flips = terms.first().is_some_and(|(_, is_negative)| *is_negative);
                let term = |(text, is_negative): &(String, bool)| {
                    format!("{}{text}", if *is_negative == flips { '+' } else { '-' })
                };
                (flips, format!("({})", terms.iter().map(term).collect::<String>()))
            }
            Self::Binary { .. } => {
                let mut factors = Vec::new();
                let is_negative = self.collect_factors(false, &mut factors);
                factors.sort();
                let factor = |(text, is_divisor): &(String, bool)| {
                    format!("{}{text}", if *is_divisor { '/' } else { '*' })
                };
                (is_negative, format!("[{}]", factors.iter().map(factor).collect::<String>()))
            }
        }
    }

    /// The terms of a sum, each with whether it is subtracted.
    fn collect_terms(&self, is_negative: bool, terms: &mut Vec<(String, bool)>) {
        match self {
            Self::Negate(operand) => operand.collect_terms(!is_negative, terms),
            Self::Binary { operator: Operator::Add, left, right } => {
                left.collect_terms(is_negative, terms);
                right.collect_terms(is_negative, terms);
            }
            Self::Binary { operator: Operator::Subtract, left, right } => {
                left.collect_terms(is_negative, terms);
                right.collect_terms(!is_negative, terms);
            }
            _ => {
                let (own, text) = self.signed();
                terms.push((text, own != is_negative));
            }
        }
    }

    /// The factors of a product, each with whether it is divided by; returns whether the product is
    /// the negative of theirs.
    fn collect_factors(&self, is_divisor: bool, factors: &mut Vec<(String, bool)>) -> bool {
        match self {
            Self::Negate(operand) => !operand.collect_factors(is_divisor, factors),
            Self::Binary { operator: Operator::Multiply, left, right } => {
                let left = left.collect_factors(is_divisor, factors);
                left != right.collect_factors(is_divisor, factors)
            }
            Self::Binary { operator: Operator::Divide, left, right } => {
                let left = left.collect_factors(is_divisor, factors);
                left != right.collect_factors(!is_divisor, factors)
            }
            _ => {
                let (is_negative, text) = self.signed();
                factors.push((text, is_divisor));
                is_negative
            }
        }
    }

    fn collect_numbers(&self, numbers: &mut Vec<u32>) {
        match self {
            Self::Number(number) => numbers.push(*number),
            Self::Negate(operand) => operand.collect_numbers(numbers),
            Self::Binary { left, right, .. } => {
                left.collect_numbers(numbers);
                right.collect_numbers(numbers);
            }
        }
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operand = |f: &mut fmt::Formatter<'_>, operand: &Self, parentheses: bool| {
            if parentheses { write!(f, "({operand})") } else { write!(f, "{operand}") }
        };
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Negate(inner) => {
                write!(f, "-")?;
                operand(f, inner, !matches!(**inner, Self::Number(_)))
            }
            Self::Binary { operator, left, right } => {
                let looser = |side: &Self| matches!(side, Self::Binary { operator: inner, .. } if inner.precedence() < operator.precedence());
                operand(f, left, looser(left))?;
                write!(f, "{}", operator.symbol())?;
                // a+(b-c) is a+b-c and a*(b/c) is a*b/c, but a-(b-c) and a/(b*c) need their
                // parentheses.
                let binds_right = matches!(&**right, Self::Binary { operator: inner, .. }
                    if inner.precedence() == operator.precedence() && !operator.is_commutative());
                operand(
                    f,
                    right,
                    looser(right) || binds_right || matches!(**right, Self::Negate(_)),
                )
            }
        }
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl Parser<'_> {
    fn sum(&mut self, depth: usize) -> Result<Expression, ExpressionError> {
        let mut left = self.product(depth)?;
        while let Some(operator) = self.operator(1) {
            left = Expression::binary(operator, left, self.product(depth)?);
        }
        Ok(left)
    }

    fn product(&mut self, depth: usize) -> Result<Expression, ExpressionError> {
        let mut left = self.factor(depth)?;
        while let Some(operator) = self.operator(2) {
            left = Expression::binary(operator, left, self.factor(depth)?);
        }
        Ok(left)
    }

    fn factor(&mut self, depth: usize) -> Result<Expression, ExpressionError> {
        let found = self.peek().ok_or(ExpressionError::UnexpectedEnd)?;
        let at = self.at;
        if depth >= MAX_DEPTH {
            return Err(ExpressionError::TooDeep { at });
        }
        match found {
            '-' | '−' => {
                self.at += found.len_utf8();
                Ok(Expression::Negate(Box::new(self.factor(depth + 1)?)))
            }
            '(' => {
                self.at += 1;
                let inner = self.sum(depth + 1)?;
                match self.peek() {
                    Some(')') => self.at += 1,
                    Some(found) => return Err(ExpressionError::Unexpected { found, at: self.at }),
                    None => return Err(ExpressionError::UnexpectedEnd),
                }
                Ok(inner)
            }
            '0'..='9' => {
                let rest = &self.text[at..];
                let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
                self.at += digits;
                rest[..digits]
                    .parse()
                    .map(Expression::Number)
                    .map_err(|_| ExpressionError::NumberTooLarge { at })
            }
            _ => Err(ExpressionError::Unexpected { found, at }),
        }
    }

    /// Consumes the next token if it is an operator of this precedence.
    fn operator(&mut self, precedence: u8) -> Option<Operator> {
        const SPELLINGS: [(&str, Operator); 11] = [
            ("+", Operator::Add),
            ("-", Operator::Subtract),
            ("−", Operator::Subtract),
            ("*", Operator::Multiply),
            ("×", Operator::Multiply),
            ("·", Operator::Multiply),
            (r"\times", Operator::Multiply),
            (r"\cdot", Operator::Multiply),
            ("/", Operator::Divide),
            ("÷", Operator::Divide),
            (r"\div", Operator::Divide),
        ];
        self.peek()?;
        let rest = &self.text[self.at..];
        let (spelling, operator) = SPELLINGS.into_iter().find(|(spelling, operator)| {
            operator.precedence() == precedence && rest.starts_with(spelling)
        })?;
        self.at += spelling.len();
        Some(operator)
    }

    /// The next character that is not white space, without consuming it.
    fn peek(&mut self) -> Option<char> {
        let rest = &self.text[self.at..];
        let trimmed = rest.trim_start();
        self.at += rest.len() - trimmed.len();
        trimmed.chars().next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn value(text: &str) -> Result<Rational, ExpressionError> {
        Expression::parse(text)?.evaluate()
    }

    #[test]
    fn one_way_to_a_value_has_one_canonical_form() {
        let form = |text: &str| Expression::parse(text).unwrap().canonical();
        for same in [
            &["1-2+3", "3-(2-1)", "(3+1)-2", "3+1-2", "-(2-1-3)", "-2+(3+1)"][..],
            &["2*3/4", "3/4*2", "3*(2/4)", "3/(4/2)", "2/(4/3)"],
            &["(1-2)*3", "3*(1-2)", "-(2-1)*3", "3*-(2-1)", "(2-1)*-3"],
            &["4*7+9+2", "9+(2+7*4)", "2+9+4*7"],
        ] {
            assert!(
                same.iter().all(|text| form(text) == form(same[0])),
                "{same:?}: {}",
                form(same[0])
            );
        }
        let forms = ["1*2+1*3", "1*(2+3)", "2+3", "2-3", "2*3", "2/3", "3/2", "2*3-4", "(3-4)*2"];
        let distinct: std::collections::BTreeSet<String> = forms.map(form).into();
        assert_eq!(distinct.len(), forms.len(), "{distinct:?}");
    }

    #[test]
    fn evaluates_exactly() {
        for (text, numerator, denominator) in [
            ("1+2*3", 7, 1),
            ("(1+2)*3", 9, 1),
            ("8-4-2", 2, 1),
            ("8/4/2", 1, 1),
            ("1/3+1/6", 1, 2),
            ("-3+-4", -7, 1),
            ("--3", 3, 1),
            ("2*-3", -6, 1),
            ("-(2-5)/-6", -1, 2),
            (r" 4 × 7 · 2 \times 3 \cdot 1 ÷ 2 \div 3 − 1 ", 27, 1),
            ("((((7))))", 7, 1),
            ("007", 7, 1),
        ] {
            assert_eq!(value(text), Ok(Ratio::new(numerator, denominator)), "{text}");
        }
    }

    #[test]
    fn says_what_is_wrong() {
        use ExpressionError as E;
        for (text, error) in [
            ("", E::UnexpectedEnd),
            ("1+", E::UnexpectedEnd),
            ("(1", E::UnexpectedEnd),
            ("1)", E::Unexpected { found: ')', at: 1 }),
            ("1 2", E::Unexpected { found: '2', at: 2 }),
            ("2(3)", E::Unexpected { found: '(', at: 1 }),
            ("+1", E::Unexpected { found: '+', at: 0 }),
            ("1=1", E::Unexpected { found: '=', at: 1 }),
            ("1.5", E::Unexpected { found: '.', at: 1 }),
            (r"1\cdots 2", E::Unexpected { found: 's', at: 6 }),
            ("1 + 4294967296", E::NumberTooLarge { at: 4 }),
            ("1/(2-2)", E::DivisionByZero),
            ("4294967295*4294967295*2", E::Overflow),
        ] {
            assert_eq!(value(text), Err(error), "{text}");
        }
        assert!(matches!(value(&"1+".repeat(1000)), Err(E::TooLong { .. })));
        assert!(matches!(value(&"(".repeat(900)), Err(E::TooDeep { .. })));
        assert!(matches!(value(&"-".repeat(900)), Err(E::TooDeep { .. })));
        assert_eq!(value(&format!("1{}", "+1".repeat(499))), Ok(Ratio::from_integer(500)));
    }

    #[test]
    fn the_extremes_of_the_range_do_not_wrap() {
        let max = Ratio::from_integer(i64::MAX);
        let min = Ratio::from_integer(i64::MIN);
        let one = Ratio::from_integer(1);
        assert_eq!(Operator::Add.apply(max, one), Err(ExpressionError::Overflow));
        assert_eq!(Operator::Subtract.apply(min, one), Err(ExpressionError::Overflow));
        assert_eq!(Operator::Divide.apply(min, -one), Err(ExpressionError::Overflow));
        assert_eq!(Operator::Divide.apply(max, max), Ok(one));
        assert!(
            Operator::Add
                .apply(Ratio::new_raw(i64::MIN, i64::MAX), Ratio::new_raw(i64::MIN, i64::MAX))
                .is_err()
        );
    }

    #[test]
    fn prints_only_the_parentheses_that_are_needed() {
        for (text, printed) in [
            ("(4*7)+9+2", "4*7+9+2"),
            ("4+(9-2)", "4+9-2"),
            ("4*(9/3)", "4*9/3"),
            ("4-(9-2)", "4-(9-2)"),
            ("8/(4*2)", "8/(4*2)"),
            ("(1+2)*(3-4)", "(1+2)*(3-4)"),
            ("1-(-2)", "1-(-2)"),
            ("-(1+2)", "-(1+2)"),
            ("(-1)*2", "-1*2"),
        ] {
            assert_eq!(Expression::parse(text).unwrap().to_string(), printed);
        }
    }

    #[test]
    fn lists_its_numbers_in_order() {
        assert_eq!(Expression::parse("3*(-4+12)/3").unwrap().numbers(), [3, 4, 12, 3]);
    }

    fn trees() -> impl Strategy<Value = Expression> {
        let operator = prop_oneof![
            Just(Operator::Add),
            Just(Operator::Subtract),
            Just(Operator::Multiply),
            Just(Operator::Divide)
        ];
        (0u32..50).prop_map(Expression::Number).prop_recursive(5, 24, 2, move |inner| {
            prop_oneof![
                4 => (operator.clone(), inner.clone(), inner.clone())
                    .prop_map(|(operator, left, right)| Expression::binary(operator, left, right)),
                1 => inner.prop_map(|operand| Expression::Negate(Box::new(operand))),
            ]
        })
    }

    proptest! {
        #[test]
        fn no_text_panics(text in r"([0-9+*/()−×·÷ -]|\\times|\\div|\PC){0,80}") {
            value(&text).ok();
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            value(&String::from_utf8_lossy(&bytes)).ok();
        }

        #[test]
        fn printing_and_reading_again_keeps_value_and_numbers(tree in trees()) {
            let text = tree.to_string();
            let again = Expression::parse(&text).unwrap();
            prop_assert_eq!(again.numbers(), tree.numbers());
            if let (Ok(first), Ok(second)) = (tree.evaluate(), again.evaluate()) {
                prop_assert_eq!(first, second);
            }
        }
    }
}
