//! What a template says, as a tree.

/// An expression and its line. Chains are lists, so that only nesting makes the tree deep.
#[derive(Debug)]
pub(super) struct Expression {
    pub(super) line: usize,
    pub(super) kind: Box<Kind>,
}

#[derive(Debug)]
pub(super) enum Kind {
    None,
    Bool(bool),
    Integer(i128),
    Float(f64),
    Text(String),
    Name(String),
    List(Vec<Expression>),
    Tuple(Vec<Expression>),
    Dict(Vec<(Expression, Expression)>),
    /// `then if condition else otherwise`
    Choice {
        condition: Expression,
        then: Expression,
        otherwise: Option<Expression>,
    },
    Or(Vec<Expression>),
    And(Vec<Expression>),
    Not(Expression),
    Negative(Expression),
    Positive(Expression),
    /// Operations from left to right.
    Arithmetic(Expression, Vec<(&'static str, Expression)>),
    /// `a ~ b ~ c`
    Joined(Vec<Expression>),
    /// `a < b <= c`
    Compared(Expression, Vec<(Comparison, Expression)>),
    /// What follows a value: attributes, places, calls, filters and tests.
    Chain(Expression, Vec<(usize, Link)>),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Comparison {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    NotIn,
}

#[derive(Debug)]
pub(super) enum Link {
    Attribute(String),
    Item(Expression),
    Slice(Box<[Option<Expression>; 3]>),
    Call(Arguments),
    Filter(String, Arguments),
    Test { name: String, arguments: Arguments, negated: bool },
}

#[derive(Debug, Default)]
pub(super) struct Arguments {
    pub(super) plain: Vec<Expression>,
    pub(super) named: Vec<(String, Expression)>,
    /// `*list`
    pub(super) spread: Option<Expression>,
    /// `**dict`
    pub(super) spread_named: Option<Expression>,
}

#[derive(Debug)]
pub(super) enum Target {
    Name(String),
    Attribute(String, String),
    Several(Vec<Target>),
}

#[derive(Debug)]
pub(super) struct Signature {
    pub(super) name: String,
    /// Names, and what they are where nobody says.
    pub(super) parameters: Vec<(String, Option<Expression>)>,
    pub(super) body: Vec<Statement>,
}

#[derive(Debug)]
pub(super) enum Statement {
    Data(String),
    Print(Expression),
    If(Vec<(Expression, Vec<Statement>)>, Vec<Statement>),
    For(std::sync::Arc<Loop>),
    Set(Target, Expression),
    /// `{% set x %}...{% endset %}`, with filters.
    SetBlock(Target, Vec<(usize, Link)>, Vec<Statement>),
    Macro(std::sync::Arc<Signature>),
    /// `{% call f() %}...{% endcall %}`
    Call(Expression, std::sync::Arc<Signature>),
    Filter(Vec<(usize, Link)>, Vec<Statement>),
    With(Vec<(Target, Expression)>, Vec<Statement>),
    /// `{% generation %}`: what an assistant said, with a scope of its own.
    Generation(Vec<Statement>),
    Break,
    Continue,
}

#[derive(Debug)]
pub(super) struct Loop {
    pub(super) line: usize,
    pub(super) target: Target,
    pub(super) items: Expression,
    pub(super) condition: Option<Expression>,
    pub(super) recursive: bool,
    pub(super) body: Vec<Statement>,
    pub(super) otherwise: Vec<Statement>,
}
