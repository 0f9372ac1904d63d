//! Functions, fractions, roots and what else begins with a backslash.

use super::words::spelt;
use super::{Fault, Parsed, Parser};
use crate::verify::label;
use crate::verify::token::{Token, mark};
use crate::verify::tree::{Constant, Function, Node};

impl Parser<'_> {
    pub(super) fn command(&mut self, name: &str) -> Parsed {
        match name {
            "pi" => Ok(Node::Constant(Constant::Pi)),
            "reals" => Ok(self.half_of_reals().unwrap_or(Node::Reals)),
            "exp" => Ok(Node::Constant(Constant::E).power(self.call_argument()?)),
            "frac" => {
                let numerator = self.deeper(Self::argument)?;
                let denominator = self.deeper(Self::argument)?;
                Ok(numerator.over(denominator))
            }
            "binom" => {
                let (n, k) = if self.take('(') {
                    let arguments = self.items()?;
                    self.expect(')')?;
                    <[Node; 2]>::try_from(arguments).map_err(|_| Fault::Unreadable)?.into()
                } else {
                    (self.deeper(Self::argument)?, self.deeper(Self::argument)?)
                };
                Ok(Node::Call(Function::Binomial, vec![n, k]))
            }
            "sqrt" => {
                let degree = if self.take('[') {
                    let degree = self.deeper(Self::sum)?;
                    self.expect(']')?;
                    degree
                } else {
                    Node::integer(2)
                };
                let radicand = self.deeper(Self::radicand)?;
                Ok(Node::Call(Function::Root, vec![radicand, degree]))
            }
            "log" | "lg" => {
                let mut base = Node::integer(10);
                if self.take('_') {
                    base = self.deeper(Self::argument)?;
                }
                let exponent = self.function_exponent()?;
                let argument = self.call_argument()?;
                Ok(raise(Node::Call(Function::Logarithm, vec![argument, base]), exponent))
            }
            other => match function(other) {
                Some(function) => {
                    let exponent = self.function_exponent()?;
                    let inverse = match function {
                        Function::Sin => Some(Function::Arcsin),
                        Function::Cos => Some(Function::Arccos),
                        Function::Tan => Some(Function::Arctan),
                        _ => None,
                    };
                    let argument = self.call_argument()?;
                    Ok(match (exponent, inverse) {
                        // Those that are worked out have no other inverse.
                        (Some(exponent), None)
                            if exponent == Node::integer(-1)
                                && !matches!(function, Function::Ln | Function::Logarithm) =>
                        {
                            Node::Apply(format!("\\arc{other}"), vec![argument])
                        }
                        (Some(exponent), Some(inverse)) if exponent == Node::integer(-1) => {
                            Node::Call(inverse, vec![argument])
                        }
                        (exponent, _) => raise(Node::Call(function, vec![argument]), exponent),
                    })
                }
                None if other.starts_with("begin") || other.starts_with("end") => {
                    Err(Fault::Unreadable)
                }
                None if matches!(other, "mod" | "choose" | "over" | "not") => {
                    Err(Fault::Unreadable)
                }
                None if label::is_operator(other) => self.operator(other),
                None if let Some(mark) = mark(other) => self.deeper(|parser| parser.marked(mark)),
                None => self.name(format!("\\{other}")),
            },
        }
    }

    /// A sum, product, integral or limit with its bounds as a name. Sums and integrals are factors
    /// of what stands behind them; of the others that is the argument.
    fn operator(&mut self, operator: &str) -> Parsed {
        let Node::Variable(mut name) = self.name(format!("\\{operator}"))? else {
            return Err(Fault::Unreadable);
        };
        if self.take('^') {
            let start = self.at;
            self.deeper(Self::exponent)?;
            name =
                format!("{name}^{}", spelt(&self.tokens[start..self.at]).trim_matches(['{', '}']));
        }
        if matches!(operator, "sum" | "int") || !(self.begins_factor() || self.is('-')) {
            return Ok(Node::Variable(name));
        }
        Ok(Node::Apply(name, vec![self.deeper(Self::product)?]))
    }

    /// The `^+` or `^-` of the positive or negative reals.
    fn half_of_reals(&mut self) -> Option<Node> {
        let (sign, length) = match &self.tokens[self.at..] {
            [Token::Symbol('^' | '_'), Token::Symbol(sign @ ('+' | '-')), ..] => (*sign, 2),
            [
                Token::Symbol('^' | '_'),
                Token::Symbol('{'),
                Token::Symbol(sign @ ('+' | '-')),
                Token::Symbol('}'),
                ..,
            ] => (*sign, 4),
            _ => return None,
        };
        self.at += length;
        let infinity = Node::Constant(Constant::Infinity);
        let items = if sign == '+' {
            vec![Node::integer(0), infinity]
        } else {
            vec![infinity.negative(), Node::integer(0)]
        };
        Some(Node::Group { open: '(', close: ')', items })
    }

    /// The argument of `\sin` and the like: brackets, or a product up to the next function.
    fn call_argument(&mut self) -> Parsed {
        self.deeper(|parser| {
            if parser.is('{') || parser.is('|') {
                return parser.power();
            }
            if parser.is('(') || parser.is('[') {
                // The exponent of `\sin(x)^2` is that of the sine.
                let argument = parser.atom()?;
                let start = parser.at;
                parser.take('^');
                if parser.take_degrees() {
                    return Ok(Node::Degrees(Box::new(argument)));
                }
                parser.at = start;
                return Ok(argument);
            }
            if parser.take('-') {
                return Ok(parser.call_argument()?.negative());
            }
            let mut factors = vec![parser.power()?];
            loop {
                let more = match parser.peek() {
                    Some(Token::Letter(_) | Token::Number(_)) => true,
                    Some(Token::Word(word)) => word.len() <= 3,
                    Some(Token::Command(name)) => function(name).is_none() && name != "exp",
                    _ => false,
                };
                if more {
                    factors.push(parser.power()?);
                } else if parser.is('/')
                    && matches!(parser.tokens.get(parser.at + 1), Some(Token::Number(_)))
                {
                    parser.at += 1;
                    factors.push(parser.power()?.power(Node::integer(-1)));
                } else {
                    break;
                }
            }
            Ok(match <[Node; 1]>::try_from(factors) {
                Ok([factor]) => factor,
                Err(factors) => Node::Product(factors),
            })
        })
    }
}

pub(super) fn function(name: &str) -> Option<Function> {
    Some(match name {
        "sin" => Function::Sin,
        "cos" => Function::Cos,
        "tan" | "tg" => Function::Tan,
        "cot" | "ctg" => Function::Cot,
        "sec" => Function::Sec,
        "csc" => Function::Csc,
        "arcsin" => Function::Arcsin,
        "arccos" => Function::Arccos,
        "arctan" => Function::Arctan,
        "sinh" => Function::Sinh,
        "cosh" => Function::Cosh,
        "tanh" => Function::Tanh,
        "ln" => Function::Ln,
        "log" | "lg" => Function::Logarithm,
        _ => return None,
    })
}

fn raise(base: Node, exponent: Option<Node>) -> Node {
    match exponent {
        Some(exponent) => base.power(exponent),
        None => base,
    }
}
