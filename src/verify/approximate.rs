//! Values of expressions as complex numbers with a bound on the rounding error.
//!
//! Every operation carries a bound through: of a sum `e_a + e_b + u |s|`, of a product
//! `|a| e_b + |b| e_a + e_a e_b + u |p|`, of a function `|f'(z)| e + u |f(z)|`, with u a few units
//! in the last place. Cancellation thus shows as a large bound, and two values are called equal
//! only where their bounds are small and overlap.
//!
//! The smallest term of any sum is carried through as well (`detail`): of `e^90 + 3` rounding loses
//! the 3, so values are called equal only where their bounds are small beside their smallest terms.
//! Functions bend: of `\cos 10^{-9}` a float does not see that it is not 1, and of `\tanh 50`
//! neither. What they would take to be told from a constant or a straight line counts as such a
//! term.

use super::budget::{Budget, Exhausted};
use super::tree::{Constant, Function, Node, Number};
use num_bigint::{BigInt, Sign};

/// A relative error that covers the rounding of any one operation here.
const UNIT: f64 = 8.0 * f64::EPSILON;

/// Bounds must be below this share of the value (or of 1) for a comparison to mean anything.
const TRUSTED: f64 = 1e-9;

/// Bounds must be below this share of the smallest term that is part of a value.
const SEEN: f64 = 1e-4;

/// Below this, functions of a term are hardly to be told from polynomials of it.
const BENDS: f64 = 1e-5;

/// A complex value that is known to within `error`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Value {
    pub(super) re: f64,
    pub(super) im: f64,
    pub(super) error: f64,
    /// What the smallest term of its sums contributes; infinite where there is none.
    detail: f64,
    /// A root or logarithm was taken on its branch cut's side of the plane, where authors assume
    /// variables to be positive.
    pub(super) branched: bool,
    /// It is a vector of the plane, with its components as real and imaginary part: two of them
    /// multiply to a number, and so does one with itself.
    vector: bool,
}

/// How two values compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    Different,
    /// They agree, but a term of theirs may be lost beside larger ones.
    Unseen,
    /// One of them is too uncertain.
    Unknown,
}

impl Value {
    fn exact(re: f64, im: f64) -> Self {
        let size = re.hypot(im);
        Self {
            re,
            im,
            error: UNIT * size,
            detail: if size > 0.0 { size } else { f64::INFINITY },
            branched: false,
            vector: false,
        }
    }

    fn size(self) -> f64 {
        self.re.hypot(self.im)
    }

    fn is_usable(self) -> bool {
        self.re.is_finite() && self.im.is_finite() && self.error.is_finite()
    }

    /// Whether it is real, as far as its error lets see.
    pub(super) fn is_real(self) -> bool {
        self.im.abs() <= self.error
    }

    fn plus(self, other: Self) -> Self {
        let (re, im) = (self.re + other.re, self.im + other.im);
        Self {
            re,
            im,
            error: self.error + other.error + UNIT * re.hypot(im),
            detail: self.detail.min(other.detail),
            branched: self.branched || other.branched,
            vector: self.vector || other.vector,
        }
    }

    fn times(self, other: Self) -> Self {
        let are_vectors = self.vector && other.vector;
        let (re, im) = if are_vectors {
            (self.re * other.re + self.im * other.im, 0.0)
        } else {
            (self.re * other.re - self.im * other.im, self.re * other.im + self.im * other.re)
        };
        let (a, b) = (self.size(), other.size());
        let error = a * other.error + b * self.error + self.error * other.error + UNIT * a * b;
        let detail = scaled_detail(self.detail, b).min(scaled_detail(other.detail, a));
        Self {
            re,
            im,
            error,
            detail,
            branched: self.branched || other.branched,
            vector: self.vector != other.vector,
        }
    }

    fn reciprocal(self) -> Self {
        let square = self.re * self.re + self.im * self.im;
        let size = self.size();
        // Uncertain by as much as its size, it may be zero.
        let slack = size - self.error;
        let error =
            if slack > 0.0 { self.error / (size * slack) + UNIT / size } else { f64::INFINITY };
        let detail = scaled_detail(self.detail, square.recip());
        // A vector times its reciprocal is 1, too.
        let im = if self.vector { self.im } else { -self.im };
        Self { re: self.re / square, im: im / square, error, detail, ..self }
    }

    fn integer_power(self, exponent: u32) -> Self {
        let (mut result, mut base, mut left) = (Self::exact(1.0, 0.0), self, exponent);
        while left > 0 {
            if left & 1 == 1 {
                result = result.times(base);
            }
            base = base.times(base);
            left >>= 1;
        }
        result
    }

    fn exponential(self) -> Self {
        let size = self.re.exp();
        // The argument's rounding is part of its error.
        let error = size * (self.error.exp_m1() + UNIT * (1.0 + self.size()));
        let detail = scaled_detail(bent(self.detail), size).min(size);
        Self {
            re: size * self.im.cos(),
            im: size * self.im.sin(),
            error,
            detail,
            branched: self.branched,
            vector: false,
        }
    }

    /// The principal logarithm.
    fn logarithm(self) -> Self {
        let size = self.size();
        let slack = size - self.error;
        let cut = self.re < 0.0 || !self.is_real();
        let angle = if self.is_real() {
            if self.re < 0.0 { std::f64::consts::PI } else { 0.0 }
        } else {
            self.im.atan2(self.re)
        };
        let error = if slack > 0.0 {
            self.error / slack + UNIT * (1.0 + size.ln().abs())
        } else {
            f64::INFINITY
        };
        let from_one = (self.re - 1.0).hypot(self.im);
        let near_one = if from_one > 0.0 { bent(from_one) } else { f64::INFINITY };
        let detail = bent(scaled_detail(self.detail, size.recip())).min(near_one);
        Self {
            re: size.ln(),
            im: angle,
            error,
            detail,
            branched: self.branched || cut,
            vector: false,
        }
    }

    fn power(self, exponent: Self) -> Self {
        let whole =
            exponent.is_real() && exponent.re.fract() == 0.0 && exponent.re.abs() <= 10_000.0;
        if whole && exponent.error <= UNIT * exponent.re.abs() {
            let power = self.integer_power(exponent.re.abs() as u32);
            let power = if exponent.re < 0.0 { power.reciprocal() } else { power };
            return Self { branched: self.branched || exponent.branched, ..power };
        }
        if self.re == 0.0 && self.im == 0.0 && self.error == 0.0 && exponent.re > 0.0 {
            return self;
        }
        let logarithm = self.logarithm();
        let power = logarithm.times(exponent).exponential();
        // The share of the smallest term in the base, and in the exponent times the logarithm.
        let base =
            scaled_detail(bent(scaled_detail(self.detail, self.size().recip())), exponent.size());
        let above = bent(scaled_detail(exponent.detail, logarithm.size()));
        Self { detail: scaled_detail(base.min(above), power.size()).min(power.size()), ..power }
    }

    /// A function of a real argument and the size of its derivative.
    fn real(self, f: impl Fn(f64) -> f64, slope: impl Fn(f64) -> f64) -> Self {
        if !self.is_real() {
            return Self::unknown();
        }
        let re = f(self.re);
        let slope = slope(self.re).abs();
        let error =
            slope * (self.error + UNIT * self.re.abs()) + UNIT * re.abs() + self.error * self.error;
        // Where the slope is lost in rounding, nothing is known of the terms in the argument.
        let detail = bent(scaled_detail(self.detail, slope)).min(bent(self.detail));
        Self { re, im: 0.0, error: 2.0 * error, detail, branched: self.branched, vector: false }
    }

    /// The value of a function that is this far from what it tends to.
    fn fading(self, rest: f64) -> Self {
        Self { detail: self.detail.min(rest), ..self }
    }

    fn unknown() -> Self {
        Self { error: f64::INFINITY, ..Self::exact(0.0, 0.0) }
    }

    /// Compares with `other`.
    pub(super) fn compare(self, other: Self) -> Comparison {
        if !(self.is_usable() && other.is_usable()) {
            return Comparison::Unknown;
        }
        let distance = (self.re - other.re).hypot(self.im - other.im);
        let error = self.error + other.error;
        if distance > error {
            Comparison::Different
        } else if error > TRUSTED * self.size().max(other.size()).clamp(1e-3, f64::MAX) {
            Comparison::Unknown
        } else if error > SEEN * self.detail.min(other.detail) {
            Comparison::Unseen
        } else {
            Comparison::Equal
        }
    }

    /// This value divided by `other`.
    pub(super) fn over(self, other: Self) -> Self {
        self.times(other.reciprocal())
    }

    /// This value less `other`.
    pub(super) fn minus(self, other: Self) -> Self {
        self.plus(other.times(Self::exact(-1.0, 0.0)))
    }

    /// Whether its size is beyond doubt.
    pub(super) fn is_nonzero(self) -> bool {
        self.is_usable() && self.size() > 1e3 * self.error
    }
}

/// What is left of a term's contribution to a function where that is nearly a polynomial of it.
fn bent(detail: f64) -> f64 {
    if detail < BENDS { detail.powi(4) } else { detail }
}

/// What a term contributes to a product with a factor of a size, or to a function with a slope of
/// it.
fn scaled_detail(detail: f64, by: f64) -> f64 {
    if detail.is_finite() && by > 0.0 { detail * by } else { f64::INFINITY }
}

/// An integer as m times 2^e.
fn scaled(integer: &BigInt) -> (f64, i64) {
    let magnitude = integer.magnitude();
    let shift = magnitude.bits().saturating_sub(64);
    let top = u64::try_from(magnitude >> shift).unwrap_or(u64::MAX) as f64;
    (if integer.sign() == Sign::Minus { -top } else { top }, shift as i64)
}

/// The nearest float, or infinity.
pub(super) fn float(number: &Number) -> f64 {
    let ((numerator, up), (denominator, down)) = (scaled(number.numer()), scaled(number.denom()));
    let shift = (up - down).clamp(-2000, 2000) as i32;
    // In two steps, so that neither overflows on the way.
    numerator / denominator * 2_f64.powi(shift / 2) * 2_f64.powi(shift - shift / 2)
}

/// Where variables are evaluated: the number of a point and its kind.
#[derive(Clone, Copy, Debug)]
pub(super) enum Point {
    /// Positive numbers between 0.5 and 2.5.
    Positive(u64),
    /// Negative numbers between -2.5 and -0.5.
    Negative(u64),
    /// Integers from 2 to 12, for factorials and binomial coefficients.
    Integer(u64),
}

impl Point {
    /// The value of a variable.
    fn value(self, name: &str) -> f64 {
        let share = self.share(name);
        match self {
            Self::Positive(_) => 0.5 + 2.0 * share,
            Self::Negative(_) => -0.5 - 2.0 * share,
            Self::Integer(_) => 2.0 + (share * 11.0).floor(),
        }
    }

    /// A number from 0 to 1: a hash of a name and the point's number (FNV-1a, then the finaliser of
    /// `SplitMix64`).
    pub(super) fn share(self, name: &str) -> f64 {
        let (Self::Positive(number) | Self::Negative(number) | Self::Integer(number)) = self;
        let mut hash = name.bytes().fold(0xcbf29ce484222325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x100000001b3)
        });
        hash = hash.wrapping_add((number + 1).wrapping_mul(0x9e3779b97f4a7c15));
        hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58476d1ce4e5b9);
        hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d049bb133111eb);
        hash ^= hash >> 31;
        (hash >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// The value of an expression at a point; without variables the point does not matter. Structures
/// and what has no value are unusable values.
pub(super) fn evaluate(node: &Node, point: Point, budget: &mut Budget) -> Result<Value, Exhausted> {
    budget.spend(5)?;
    let value = match node {
        Node::Number { value, .. } => Value::exact(float(value), 0.0),
        Node::Variable(name) => Value::exact(point.value(name), 0.0),
        Node::Constant(Constant::Pi) => Value::exact(std::f64::consts::PI, 0.0),
        Node::Constant(Constant::E) => Value::exact(std::f64::consts::E, 0.0),
        Node::Constant(Constant::I) => Value::exact(0.0, 1.0),
        Node::Sum(items) => {
            let mut sum = Value { error: 0.0, ..Value::exact(0.0, 0.0) };
            for item in items {
                sum = sum.plus(evaluate(item, point, budget)?);
            }
            sum
        }
        Node::Product(items) => {
            let mut product = Value::exact(1.0, 0.0);
            for item in items {
                product = product.times(evaluate(item, point, budget)?);
            }
            product
        }
        Node::Power(base, exponent) => {
            let branched_is_ours = base.any(&|node| matches!(node, Node::Variable(_)));
            let power = evaluate(base, point, budget)?.power(evaluate(exponent, point, budget)?);
            Value { branched: power.branched && branched_is_ours, ..power }
        }
        Node::Apply(name, arguments) => {
            let mut values = Vec::with_capacity(arguments.len());
            for argument in arguments {
                values.push(evaluate(argument, point, budget)?);
            }
            applied(name, &values, point)
        }
        Node::Percent(inner) => evaluate(inner, point, budget)?.times(Value::exact(0.01, 0.0)),
        Node::Degrees(inner) => {
            evaluate(inner, point, budget)?.times(Value::exact(std::f64::consts::PI / 180.0, 0.0))
        }
        Node::Call(function, arguments) => {
            let mut values = Vec::with_capacity(arguments.len());
            for argument in arguments {
                values.push(evaluate(argument, point, budget)?);
            }
            call(*function, &values)
        }
        _ => Value::unknown(),
    };
    Ok(value)
}

/// The value of a function of which only the name is known: a function with no other properties
/// than to be one, smooth and never 0, and negative where variables are. A name with an arrow, and
/// a cross product, are vectors.
fn applied(name: &str, arguments: &[Value], point: Point) -> Value {
    let sign = if matches!(point, Point::Negative(_)) { -1.0 } else { 1.0 };
    let first = wave(name, arguments, sign);
    if !matches!(name, "\\vec" | "×") {
        return first;
    }
    let second = wave(&format!("{name} across"), arguments, sign);
    Value { im: second.re, error: first.error + second.error, vector: true, ..first }
}

fn wave(name: &str, arguments: &[Value], sign: f64) -> Value {
    // Of a vector, any number that depends on both components.
    let real = |value: &Value| {
        if value.vector {
            Value { re: value.re + 0.7 * value.im, im: 0.0, ..*value }
        } else {
            *value
        }
    };
    let phase = Value::exact(Point::Positive(0).share(name), 0.0);
    let sum = arguments.iter().zip(1..).fold(phase, |sum, (argument, number)| {
        let slope = Value::exact(0.5 + Point::Positive(number).share(name), 0.0);
        sum.plus(real(argument).times(slope))
    });
    let wave = sum.real(f64::sin, f64::cos).plus(Value::exact(2.0 + phase.re, 0.0));
    Value { re: sign * wave.re, detail: f64::INFINITY, ..wave }
}

fn call(function: Function, arguments: &[Value]) -> Value {
    let Some(&z) = arguments.first() else { return Value::unknown() };
    let second = arguments.get(1).copied();
    match function {
        Function::Sin => z.real(f64::sin, |_| 1.0),
        Function::Cos => z.real(f64::cos, |_| 1.0),
        Function::Tan => z.real(f64::tan, |x| x.cos().powi(-2)),
        Function::Cot => z.real(|x| x.tan().recip(), |x| x.sin().powi(-2)),
        Function::Sec => z.real(|x| x.cos().recip(), |x| x.cos().powi(-2)),
        Function::Csc => z.real(|x| x.sin().recip(), |x| x.sin().powi(-2)),
        Function::Arcsin => z.real(f64::asin, |x| (1.0 - x * x).max(1e-12).sqrt().recip()),
        Function::Arccos => z.real(f64::acos, |x| (1.0 - x * x).max(1e-12).sqrt().recip()),
        Function::Arctan => z.real(f64::atan, |_| 1.0).fading(z.re.abs().max(1.0).recip()),
        Function::Sinh => z.real(f64::sinh, f64::cosh).fading((-z.re.abs()).exp()),
        Function::Cosh => z.real(f64::cosh, f64::cosh).fading((-z.re.abs()).exp()),
        Function::Tanh => z.real(f64::tanh, |_| 1.0).fading((-2.0 * z.re.abs()).exp()),
        Function::Ln => z.logarithm(),
        Function::Logarithm => {
            second.map_or(Value::unknown(), |base| z.logarithm().over(base.logarithm()))
        }
        Function::Root => second.map_or(Value::unknown(), |degree| z.power(degree.reciprocal())),
        Function::Abs => Value { re: z.size(), im: 0.0, vector: false, ..z },
        Function::Floor | Function::Ceiling => {
            let whole = if function == Function::Floor { z.re.floor() } else { z.re.ceil() };
            // Next to a step the value is not known.
            let near = (z.re - z.re.round()).abs() <= z.error;
            if z.is_real() && !near {
                Value { branched: z.branched, ..Value::exact(whole, 0.0) }
            } else {
                Value::unknown()
            }
        }
        Function::Factorial => match natural(z) {
            Some(n) => Value::exact((1..=n).map(f64::from).product(), 0.0),
            None => Value::unknown(),
        },
        Function::Binomial => match second.and_then(natural) {
            Some(k) => {
                let mut value = Value::exact(1.0, 0.0);
                for i in 0..k {
                    value = value
                        .times(z.minus(Value::exact(f64::from(i), 0.0)))
                        .over(Value::exact(f64::from(i + 1), 0.0));
                }
                value
            }
            None => Value::unknown(),
        },
    }
}

/// A small natural number.
fn natural(value: Value) -> Option<u32> {
    let near = value.re.round();
    let is_natural = value.is_real()
        && (value.re - near).abs() <= value.error.max(1e-12)
        && (0.0..=170.0).contains(&near);
    is_natural.then_some(near as u32)
}
