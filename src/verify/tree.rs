//! Answers as trees.

use num_bigint::BigInt;
use num_rational::Ratio;

/// An exact number of any size.
pub(super) type Number = Ratio<BigInt>;

/// How precisely a decimal was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Decimal {
    /// Digits after the point.
    pub(super) places: u32,
    /// Digits without leading zeros.
    pub(super) significant: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Constant {
    Pi,
    E,
    I,
    Infinity,
}

/// Functions, all of them of one argument but `Root` (radicand, degree), `Logarithm` (argument,
/// base) and `Binomial`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Function {
    Sin,
    Cos,
    Tan,
    Cot,
    Sec,
    Csc,
    Arcsin,
    Arccos,
    Arctan,
    Sinh,
    Cosh,
    Tanh,
    Ln,
    Logarithm,
    Root,
    Abs,
    Floor,
    Ceiling,
    Factorial,
    Binomial,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Relation {
    Equal,
    Approximate,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    ElementOf,
    /// Any other, by its sign: `⊂`, `∥`, `∝`.
    Other(char),
}

impl Relation {
    /// The relation between the members in the other order; `ElementOf` has none, and of most
    /// others only the sign is known.
    pub(super) fn reversed(self) -> Self {
        const PAIRS: [(char, char); 6] =
            [('⊂', '⊃'), ('⊆', '⊇'), ('⊊', '⊋'), ('≺', '≻'), ('≼', '≽'), ('≪', '≫')];
        match self {
            Self::Other(sign) => {
                let pair = PAIRS.into_iter().find(|(one, other)| sign == *one || sign == *other);
                Self::Other(pair.map_or(sign, |(one, other)| if sign == one { other } else { one }))
            }
            Self::Less => Self::Greater,
            Self::LessOrEqual => Self::GreaterOrEqual,
            Self::Greater => Self::Less,
            Self::GreaterOrEqual => Self::LessOrEqual,
            other => other,
        }
    }

    /// Whether it holds in both directions, or has a sign for the other one.
    pub(super) fn is_reversible(self) -> bool {
        match self {
            Self::ElementOf => false,
            Self::Other(sign) => {
                matches!(sign, '≅' | '∼' | '∥' | '⊥' | '⇔') || self.reversed() != self
            }
            _ => true,
        }
    }
}

/// An answer or a part of one. Differences are sums with a factor of -1, quotients products with a
/// power of -1.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Node {
    /// A number; `decimal` where it was written with a decimal point.
    Number {
        value: Number,
        decimal: Option<Decimal>,
    },
    /// A variable, or any other name.
    Variable(String),
    Constant(Constant),
    Sum(Vec<Node>),
    Product(Vec<Node>),
    Power(Box<Node>, Box<Node>),
    Call(Function, Vec<Node>),
    /// A function that only has a name, at its arguments: `f(x)`, `P(X = 3)`. Also the label of a
    /// point, `A(2, -5)`.
    Apply(String, Vec<Node>),
    /// Either sign; `true` for the opposite one (`\mp`).
    PlusMinus(Box<Node>, bool),
    Percent(Box<Node>),
    Degrees(Box<Node>),
    /// A number with a unit, in words.
    Quantity {
        value: Box<Node>,
        unit: String,
    },
    /// Digits and the base that stands below them.
    Based {
        digits: String,
        base: u32,
    },
    /// A number and what it is taken modulo.
    Residue(Box<Node>, Box<Node>),
    /// `a:b:c`, a ratio or a time.
    Ratio(Vec<Node>),
    /// At least two items in round or square brackets: a tuple, a point, an interval.
    Group {
        open: char,
        close: char,
        items: Vec<Node>,
    },
    Set(Vec<Node>),
    /// At least two items between commas, without brackets.
    List(Vec<Node>),
    /// The same, with "or" between all of them: a list, or one value in several forms.
    Either(Vec<Node>),
    Union(Vec<Node>),
    /// The first set without the second.
    Difference(Box<Node>, Box<Node>),
    Reals,
    /// Rows of equal length.
    Matrix(Vec<Vec<Node>>),
    /// A chain; one more member than relations.
    Chain {
        members: Vec<Node>,
        relations: Vec<Relation>,
    },
    /// Words, in lower case.
    Text(String),
}

impl Node {
    pub(super) fn integer(value: i64) -> Self {
        Self::number(Number::from_integer(value.into()))
    }

    pub(super) fn number(value: Number) -> Self {
        Self::Number { value, decimal: None }
    }

    pub(super) fn negative(self) -> Self {
        match self {
            Self::Number { value, decimal } => Self::Number { value: -value, decimal },
            Self::Degrees(inner) => Self::Degrees(Box::new(inner.negative())),
            Self::Percent(inner) => Self::Percent(Box::new(inner.negative())),
            Self::Quantity { value, unit } => {
                Self::Quantity { value: Box::new(value.negative()), unit }
            }
            Self::Based { digits, base } => match digits.strip_prefix('-') {
                Some(positive) => Self::Based { digits: positive.to_string(), base },
                None => Self::Based { digits: format!("-{digits}"), base },
            },
            other => Self::Product(vec![Self::integer(-1), other]),
        }
    }

    pub(super) fn power(self, exponent: Self) -> Self {
        Self::Power(Box::new(self), Box::new(exponent))
    }

    pub(super) fn over(self, denominator: Self) -> Self {
        Self::Product(vec![self, denominator.power(Self::integer(-1))])
    }

    /// The parts of this node that are nodes.
    pub(super) fn children(&self) -> Vec<&Self> {
        match self {
            Self::Number { .. }
            | Self::Variable(_)
            | Self::Constant(_)
            | Self::Based { .. }
            | Self::Reals
            | Self::Text(_) => Vec::new(),
            Self::Sum(items)
            | Self::Product(items)
            | Self::Call(_, items)
            | Self::Ratio(items)
            | Self::Set(items)
            | Self::Group { items, .. }
            | Self::List(items)
            | Self::Either(items)
            | Self::Union(items)
            | Self::Apply(_, items) => items.iter().collect(),
            Self::Chain { members, .. } => members.iter().collect(),
            Self::Power(a, b) | Self::Difference(a, b) | Self::Residue(a, b) => vec![a, b],
            Self::PlusMinus(inner, _) | Self::Percent(inner) | Self::Degrees(inner) => vec![inner],
            Self::Quantity { value, .. } => vec![value],
            Self::Matrix(rows) => rows.iter().flatten().collect(),
        }
    }

    /// This node with its parts replaced.
    pub(super) fn map_children<E>(
        self,
        change: &mut impl FnMut(Self) -> Result<Self, E>,
    ) -> Result<Self, E> {
        let mut all =
            |items: Vec<Self>| items.into_iter().map(&mut *change).collect::<Result<Vec<_>, E>>();
        Ok(match self {
            Self::Sum(items) => Self::Sum(all(items)?),
            Self::Product(items) => Self::Product(all(items)?),
            Self::Call(function, items) => Self::Call(function, all(items)?),
            Self::Apply(name, items) => Self::Apply(name, all(items)?),
            Self::Ratio(items) => Self::Ratio(all(items)?),
            Self::Set(items) => Self::Set(all(items)?),
            Self::List(items) => Self::List(all(items)?),
            Self::Either(items) => Self::Either(all(items)?),
            Self::Union(items) => Self::Union(all(items)?),
            Self::Group { open, close, items } => Self::Group { open, close, items: all(items)? },
            Self::Chain { members, relations } => Self::Chain { members: all(members)?, relations },
            Self::Matrix(rows) => {
                Self::Matrix(rows.into_iter().map(all).collect::<Result<_, E>>()?)
            }
            Self::Power(a, b) => Self::Power(Box::new(change(*a)?), Box::new(change(*b)?)),
            Self::Difference(a, b) => {
                Self::Difference(Box::new(change(*a)?), Box::new(change(*b)?))
            }
            Self::Residue(a, b) => Self::Residue(Box::new(change(*a)?), Box::new(change(*b)?)),
            Self::PlusMinus(inner, opposite) => {
                Self::PlusMinus(Box::new(change(*inner)?), opposite)
            }
            Self::Percent(inner) => Self::Percent(Box::new(change(*inner)?)),
            Self::Degrees(inner) => Self::Degrees(Box::new(change(*inner)?)),
            Self::Quantity { value, unit } => {
                Self::Quantity { value: Box::new(change(*value)?), unit }
            }
            leaf => leaf,
        })
    }

    /// Whether this node or a part of it fulfils the condition.
    pub(super) fn any(&self, condition: &impl Fn(&Self) -> bool) -> bool {
        let any = |items: &[Self]| items.iter().any(|item| item.any(condition));
        condition(self)
            || match self {
                Self::Number { .. }
                | Self::Variable(_)
                | Self::Constant(_)
                | Self::Based { .. }
                | Self::Reals
                | Self::Text(_) => false,
                Self::Sum(items)
                | Self::Product(items)
                | Self::Call(_, items)
                | Self::Apply(_, items)
                | Self::Ratio(items)
                | Self::Set(items)
                | Self::Group { items, .. }
                | Self::List(items)
                | Self::Either(items)
                | Self::Union(items)
                | Self::Chain { members: items, .. } => any(items),
                Self::Power(a, b) | Self::Difference(a, b) | Self::Residue(a, b) => {
                    a.any(condition) || b.any(condition)
                }
                Self::PlusMinus(inner, _) | Self::Percent(inner) | Self::Degrees(inner) => {
                    inner.any(condition)
                }
                Self::Quantity { value, .. } => value.any(condition),
                Self::Matrix(rows) => rows.iter().any(|row| any(row)),
            }
    }
}
