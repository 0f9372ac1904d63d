//! A canonical form: rational parts folded into exact numbers, sums and products flattened,
//! collected and sorted.
//!
//! Two answers of one canonical form are equal. The reverse does not hold; [`super::approximate`]
//! decides where forms differ.

use super::budget::{Budget, Exhausted};
use super::parse::selections;
use super::tree::{Constant, Function, Node, Number};
use num_bigint::{BigInt, Sign};
use std::collections::BTreeMap;

/// The largest exact numerator or denominator, in bits.
const MAX_BITS: u64 = 16_384;

/// The largest number whose factorial is computed.
const MAX_FACTORIAL: u32 = 1_000;

/// The canonical form of an answer. Exact numbers beyond 2^16384 exhaust the budget.
pub(super) fn simplify(node: Node, budget: &mut Budget) -> Result<Node, Exhausted> {
    budget.spend(10)?;
    let node = node.map_children(&mut |child| simplify(child, budget))?;
    Ok(match node {
        Node::Number { value, .. } => Node::number(value),
        Node::Sum(items) => sum(items, budget)?,
        Node::Product(items) => product(items, budget)?,
        Node::Power(base, exponent) => power(*base, *exponent, budget)?,
        Node::Percent(inner) => {
            product(vec![*inner, Node::number(Number::new(1.into(), 100.into()))], budget)?
        }
        Node::Call(function, arguments) => call(function, arguments, budget)?,
        Node::Apply(name, arguments) => match <[Node; 2]>::try_from(arguments) {
            Ok([n, k]) if is_selection(&name, &n, &k) => {
                simplify(selections(name.chars().next().unwrap_or_default(), n, k), budget)?
            }
            Ok(arguments) => Node::Apply(name, arguments.to_vec()),
            Err(arguments) => Node::Apply(name, arguments),
        },
        Node::Set(mut items) => {
            items.sort();
            items.dedup();
            Node::Set(items)
        }
        other => other,
    })
}

/// Whether `C(n, k)`, `P(n, k)` or `A(n, k)` counts choices of k of n.
fn is_selection(name: &str, n: &Node, k: &Node) -> bool {
    if !matches!(name, "C" | "P" | "A") {
        return false;
    }
    match (n, k) {
        (Node::Number { value: n, .. }, Node::Number { value: k, .. }) => {
            n.is_integer() && k.is_integer() && !is_negative(k) && k <= n
        }
        (n, k) => {
            name == "C"
                && [n, k].iter().all(|node| {
                    matches!(
                        node,
                        Node::Number { .. } | Node::Variable(_) | Node::Sum(_) | Node::Product(_)
                    )
                })
        }
    }
}

/// Whether two numbers times a root of a number each, in canonical form, are equal: exactly. `None`
/// for anything else.
pub(super) fn same_surds(a: &Node, b: &Node, budget: &mut Budget) -> Option<bool> {
    let (a, b) = (surd(a)?, surd(b)?);
    if is_negative(&a.0) != is_negative(&b.0) {
        return Some(false);
    }
    let degree =
        |exponent: &Number| u32::try_from(exponent.denom()).ok().filter(|degree| *degree <= 64);
    let (first, second) = (degree(&a.2)?, degree(&b.2)?);
    let all = Number::from_integer((u64::from(first) * u64::from(second)).into());
    let mut raised = |(factor, radicand, exponent): &(Number, Number, Number)| {
        let factor = number_power(factor.clone(), Node::number(all.clone()), budget)?;
        let root = number_power(radicand.clone(), Node::number(exponent * &all), budget)?;
        product(vec![factor, root], budget)
    };
    // What is too large to be raised is left to its value.
    match (raised(&a), raised(&b)) {
        (Ok(a), Ok(b)) => Some(a == b),
        _ => None,
    }
}

/// A canonical `c a^q` of numbers as c, a and q, where a is positive.
fn surd(node: &Node) -> Option<(Number, Number, Number)> {
    let root = |node: &Node| match node {
        Node::Power(base, exponent) => match (&**base, &**exponent) {
            (Node::Number { value, .. }, Node::Number { value: exponent, .. })
                if !is_negative(value) && !is_zero(value) =>
            {
                Some((value.clone(), exponent.clone()))
            }
            _ => None,
        },
        _ => None,
    };
    match node {
        Node::Number { value, .. } => Some((value.clone(), one(), one())),
        Node::Product(factors) => match factors.as_slice() {
            [Node::Number { value, .. }, power] => {
                root(power).map(|(base, exponent)| (value.clone(), base, exponent))
            }
            _ => None,
        },
        power => root(power).map(|(base, exponent)| (one(), base, exponent)),
    }
}

/// A sum with its products and small powers of sums multiplied out, up to some number of terms.
pub(super) fn expanded(node: Node, budget: &mut Budget) -> Result<Node, Exhausted> {
    const MOST: usize = 64;
    let terms = match node {
        Node::Sum(terms) => terms,
        other => vec![other],
    };
    let mut all = Vec::new();
    for term in terms {
        let factors = match term {
            Node::Product(factors) => factors,
            other => vec![other],
        };
        let mut products = vec![Vec::new()];
        for factor in factors {
            let (base, times) = match &factor {
                Node::Power(base, exponent) => match (&**base, &**exponent) {
                    (Node::Sum(_), Node::Number { value, .. }) if value.is_integer() => {
                        (&**base, u32::try_from(value.numer()).ok().filter(|times| *times <= 4))
                    }
                    _ => (&factor, None),
                },
                _ => (&factor, Some(1)),
            };
            let (Node::Sum(items), Some(times)) = (base, times) else {
                append(&mut products, &factor);
                continue;
            };
            if products.len() * items.len().pow(times) > MOST {
                append(&mut products, &factor);
                continue;
            }
            for _ in 0..times {
                budget.spend(20 * (products.len() * items.len()) as u64)?;
                products = products
                    .iter()
                    .flat_map(|product| {
                        items
                            .iter()
                            .map(|item| [product.as_slice(), std::slice::from_ref(item)].concat())
                    })
                    .collect();
            }
        }
        all.extend(products.into_iter().map(Node::Product));
    }
    simplify(Node::Sum(all), budget)
}

/// Multiplies each of some products by one more factor.
fn append(products: &mut [Vec<Node>], factor: &Node) {
    for product in products {
        product.push(factor.clone());
    }
}

/// Bits of the larger of numerator and denominator.
fn bits(value: &Number) -> u64 {
    value.numer().bits().max(value.denom().bits())
}

/// Pays for a product or a sum of two numbers.
fn pay(a: &Number, b: &Number, budget: &mut Budget) -> Result<(), Exhausted> {
    let bits = bits(a) + bits(b);
    if bits > 2 * MAX_BITS {
        return Err(Exhausted);
    }
    let limbs = bits / 64 + 1;
    // Reducing to lowest terms takes a step per bit, each over all limbs.
    budget.spend(1 + 4 * limbs * limbs)
}

pub(super) fn is_zero(value: &Number) -> bool {
    value.numer().sign() == Sign::NoSign
}

pub(super) fn is_negative(value: &Number) -> bool {
    value.numer().sign() == Sign::Minus
}

/// Whether a number is 1, without computing.
fn is_one(value: &Number) -> bool {
    value.is_integer() && value.numer().sign() == Sign::Plus && value.numer().bits() == 1
}

/// Multiplies, where there is something to multiply, and without looking for common factors where
/// there are none.
fn multiply(number: &mut Number, value: Number, budget: &mut Budget) -> Result<(), Exhausted> {
    pay(number, &value, budget)?;
    if is_one(number) {
        *number = value;
    } else if number.is_integer() && value.is_integer() {
        *number = Number::from_integer(number.numer() * value.numer());
    } else if !is_one(&value) {
        *number *= value;
    }
    Ok(())
}

/// Adds, likewise.
fn add(number: &mut Number, value: Number, budget: &mut Budget) -> Result<(), Exhausted> {
    pay(number, &value, budget)?;
    if is_zero(number) {
        *number = value;
    } else if number.is_integer() && value.is_integer() {
        *number = Number::from_integer(number.numer() + value.numer());
    } else if !is_zero(&value) {
        *number += value;
    }
    Ok(())
}

fn one() -> Number {
    Number::from_integer(1.into())
}

fn zero() -> Number {
    Number::from_integer(0.into())
}

/// Splits the number in front off a term: `3x` is (x, 3).
fn coefficient(term: Node) -> (Node, Number) {
    match term {
        Node::Product(mut factors) => match factors.first() {
            Some(Node::Number { value, .. }) => {
                let value = value.clone();
                factors.remove(0);
                let rest = match <[Node; 1]>::try_from(factors) {
                    Ok([factor]) => factor,
                    Err(factors) => Node::Product(factors),
                };
                (rest, value)
            }
            _ => (Node::Product(factors), one()),
        },
        other => (other, one()),
    }
}

/// The sum of matrices of one shape, cell by cell.
fn matrix_sum(matrices: &[Node], budget: &mut Budget) -> Result<Option<Node>, Exhausted> {
    let rows: Option<Vec<&Vec<Vec<Node>>>> = matrices
        .iter()
        .map(|matrix| if let Node::Matrix(rows) = matrix { Some(rows) } else { None })
        .collect();
    let Some(rows) = rows.filter(|all| {
        all.iter().all(|rows| rows.len() == all[0].len() && rows[0].len() == all[0][0].len())
    }) else {
        return Ok(None);
    };
    let mut sums = Vec::with_capacity(rows[0].len());
    for row in 0..rows[0].len() {
        let cells = (0..rows[0][0].len())
            .map(|column| sum(rows.iter().map(|rows| rows[row][column].clone()).collect(), budget));
        sums.push(cells.collect::<Result<Vec<_>, _>>()?);
    }
    Ok(Some(Node::Matrix(sums)))
}

/// The product of two matrices, if their shapes allow it.
fn matrix_product(
    a: &[Vec<Node>],
    b: &[Vec<Node>],
    budget: &mut Budget,
) -> Result<Option<Vec<Vec<Node>>>, Exhausted> {
    if a[0].len() != b.len() || a.len() * b[0].len() * b.len() > 1000 {
        return Ok(None);
    }
    let mut rows = Vec::with_capacity(a.len());
    for row in a {
        let cell = |column: usize| {
            let terms = row
                .iter()
                .zip(b)
                .map(|(cell, other)| Node::Product(vec![cell.clone(), other[column].clone()]));
            simplify(Node::Sum(terms.collect()), budget)
        };
        rows.push((0..b[0].len()).map(cell).collect::<Result<Vec<_>, _>>()?);
    }
    Ok(Some(rows))
}

fn sum(items: Vec<Node>, budget: &mut Budget) -> Result<Node, Exhausted> {
    if matches!(items.first(), Some(Node::Matrix(_)))
        && let Some(matrix) = matrix_sum(&items, budget)?
    {
        return Ok(matrix);
    }
    let mut constant = zero();
    let mut terms: BTreeMap<Node, Number> = BTreeMap::new();
    let flat = items.into_iter().flat_map(|item| match item {
        Node::Sum(items) => items,
        other => vec![other],
    });
    for item in flat {
        budget.spend(20)?;
        if let Node::Number { value, .. } = item {
            add(&mut constant, value, budget)?;
        } else {
            let (term, factor) = coefficient(item);
            let entry = terms.entry(term).or_insert_with(zero);
            add(entry, factor, budget)?;
        }
    }
    let mut sum = Vec::new();
    if !is_zero(&constant) {
        sum.push(Node::number(constant));
    }
    for (term, factor) in terms {
        if is_one(&factor) {
            sum.push(term);
        } else if !is_zero(&factor) {
            sum.push(product(vec![Node::number(factor), term], budget)?);
        }
    }
    Ok(match <[Node; 1]>::try_from(sum) {
        Ok([item]) => item,
        Err(items) if items.is_empty() => Node::number(zero()),
        Err(items) => Node::Sum(items),
    })
}

fn product(items: Vec<Node>, budget: &mut Budget) -> Result<Node, Exhausted> {
    let mut number = one();
    // Bases and the sums of their exponents.
    let mut factors: BTreeMap<Node, Vec<Node>> = BTreeMap::new();
    let mut matrix = None;
    let flat = items.into_iter().flat_map(|item| match item {
        Node::Product(items) => items,
        other => vec![other],
    });
    for item in flat {
        budget.spend(20)?;
        match item {
            Node::Number { value, .. } => {
                multiply(&mut number, value, budget)?;
            }
            Node::Matrix(rows) => match matrix.take() {
                None => matrix = Some(rows),
                Some(left) => {
                    let product = matrix_product(&left, &rows, budget)?;
                    if product.is_none() {
                        factors.entry(Node::Matrix(rows)).or_default().push(Node::integer(1));
                    }
                    matrix = Some(product.unwrap_or(left));
                }
            },
            Node::Power(base, exponent) => factors.entry(*base).or_default().push(*exponent),
            other => factors.entry(other).or_default().push(Node::integer(1)),
        }
    }
    // Zero times infinity, and zero over zero, are not zero.
    let absorbs =
        |base: &Node| !matches!(base, Node::Number { .. } | Node::Constant(Constant::Infinity));
    if is_zero(&number) && matrix.is_none() && factors.keys().all(absorbs) {
        return Ok(Node::number(number));
    }
    let mut product = Vec::new();
    for (base, exponents) in factors {
        let exponent = sum(exponents, budget)?;
        match power(base, exponent, budget)? {
            Node::Number { value, .. } => {
                multiply(&mut number, value, budget)?;
            }
            other => product.push(other),
        }
    }
    if let Some(rows) = matrix {
        let scalar = Node::Product(std::iter::once(Node::number(number)).chain(product).collect());
        let scaled = |row: Vec<Node>| {
            row.into_iter()
                .map(|cell| simplify(Node::Product(vec![scalar.clone(), cell]), budget))
                .collect::<Result<Vec<_>, _>>()
        };
        return Ok(Node::Matrix(rows.into_iter().map(scaled).collect::<Result<_, _>>()?));
    }
    if !is_one(&number) || product.is_empty() {
        product.insert(0, Node::number(number));
    }
    Ok(match <[Node; 1]>::try_from(product) {
        Ok([item]) => item,
        Err(items) => Node::Product(items),
    })
}

fn power(base: Node, exponent: Node, budget: &mut Budget) -> Result<Node, Exhausted> {
    let Node::Number { value: exponent_value, .. } = &exponent else {
        return Ok(base.power(exponent));
    };
    if is_one(exponent_value) {
        return Ok(base);
    }
    if is_zero(exponent_value)
        && !matches!(
            base,
            Node::Number { .. }
                | Node::Constant(Constant::Infinity)
                | Node::Matrix(_)
                | Node::Group { .. }
        )
    {
        return Ok(Node::integer(1));
    }
    match base {
        Node::Number { value, .. } => number_power(value, exponent, budget),
        // (x^a)^n = x^(an) and (xy)^n = x^n y^n hold for integers n.
        Node::Power(inner, first) if exponent_value.is_integer() => {
            let combined = product(vec![*first, exponent], budget)?;
            power(*inner, combined, budget)
        }
        Node::Product(factors) if exponent_value.is_integer() => {
            let raised = factors
                .into_iter()
                .map(|factor| power(factor, exponent.clone(), budget))
                .collect::<Result<_, _>>()?;
            product(raised, budget)
        }
        other => Ok(other.power(exponent)),
    }
}

/// A power of a number, where it is rational.
fn number_power(value: Number, exponent: Node, budget: &mut Budget) -> Result<Node, Exhausted> {
    let Node::Number { value: power, .. } = &exponent else {
        return Ok(Node::number(value).power(exponent));
    };
    let unit = value.is_integer() && value.numer().bits() <= 1;
    if unit && power.is_integer() {
        // 0, 1 and -1.
        let odd = power.numer().bit(0);
        return Ok(match value.numer().sign() {
            Sign::NoSign if power.numer().sign() == Sign::Plus => Node::integer(0),
            Sign::NoSign => Node::number(value).power(exponent),
            Sign::Minus if odd => Node::integer(-1),
            _ => Node::integer(1),
        });
    }
    if !power.is_integer() {
        // A rational root to a rational power, such as 8^(2/3).
        let degree = u32::try_from(power.denom()).ok().filter(|degree| *degree <= 64);
        if let Some(degree) = degree.filter(|_| !is_negative(&value))
            && let Some(root) = exact_root(&value, degree, budget)?
        {
            return number_power(
                root,
                Node::number(Number::from_integer(power.numer().clone())),
                budget,
            );
        }
        return Ok(Node::number(value).power(exponent));
    }
    let size = u32::try_from(power.numer().magnitude()).map_err(|_| Exhausted)?;
    if bits(&value).saturating_mul(u64::from(size)) > MAX_BITS {
        return Err(Exhausted);
    }
    let limbs = bits(&value) * u64::from(size) / 64 + 1;
    budget.spend(limbs * limbs / 2)?;
    let raised = Number::new_raw(value.numer().pow(size), value.denom().pow(size));
    Ok(Node::number(if is_negative(power) { raised.recip() } else { raised }))
}

/// The root of a number that is not negative, if it is rational.
fn exact_root(
    value: &Number,
    degree: u32,
    budget: &mut Budget,
) -> Result<Option<Number>, Exhausted> {
    let limbs = bits(value) / 64 + 1;
    budget.spend(16 * limbs * limbs + 20)?;
    let root = |of: &BigInt| {
        let root = of.nth_root(degree);
        (root.pow(degree) == *of).then_some(root)
    };
    Ok(root(value.numer())
        .zip(root(value.denom()))
        .map(|(numerator, denominator)| Number::new_raw(numerator, denominator)))
}

fn call(function: Function, arguments: Vec<Node>, budget: &mut Budget) -> Result<Node, Exhausted> {
    let numbers: Option<Vec<Number>> = arguments
        .iter()
        .map(|argument| match argument {
            Node::Number { value, .. } => Some(value.clone()),
            _ => None,
        })
        .collect();
    let unchanged = |arguments| Ok(Node::Call(function, arguments));
    match (function, numbers.as_deref()) {
        (Function::Abs, Some([value])) => {
            Ok(Node::number(if is_negative(value) { -value.clone() } else { value.clone() }))
        }
        (Function::Floor, Some([value])) => Ok(Node::number(value.floor())),
        (Function::Ceiling, Some([value])) => Ok(Node::number(value.ceil())),
        (Function::Factorial, Some([value])) if value.is_integer() && !is_negative(value) => {
            let n = u32::try_from(value.numer())
                .ok()
                .filter(|n| *n <= MAX_FACTORIAL)
                .ok_or(Exhausted)?;
            budget.spend(u64::from(n) * u64::from(n) / 16)?;
            Ok(Node::number(Number::from_integer(
                (2..=n).fold(BigInt::from(1), |product, factor| product * factor),
            )))
        }
        (Function::Binomial, Some([n, k]))
            if n.is_integer() && k.is_integer() && !is_negative(n) =>
        {
            binomial(n.numer(), k.numer(), budget)
        }
        (Function::Root, _) => root(arguments, budget),
        (Function::Logarithm, Some([argument, base])) => {
            match exact_logarithm(argument, base, budget)? {
                Some(logarithm) => Ok(Node::integer(logarithm)),
                None => unchanged(arguments),
            }
        }
        _ => unchanged(arguments),
    }
}

fn binomial(n: &BigInt, k: &BigInt, budget: &mut Budget) -> Result<Node, Exhausted> {
    if k.sign() == Sign::Minus || k > n {
        return Ok(Node::integer(0));
    }
    let other = n - k;
    let smaller =
        u32::try_from(k.min(&other)).ok().filter(|k| *k <= MAX_FACTORIAL).ok_or(Exhausted)?;
    if n.bits() * u64::from(smaller) > MAX_BITS {
        return Err(Exhausted);
    }
    let limbs = n.bits() * u64::from(smaller) / 64 + 1;
    budget.spend(u64::from(smaller) * (limbs + 10))?;
    let value = (1..=smaller).fold(BigInt::from(1), |value, i| value * (n - (smaller - i)) / i);
    Ok(Node::number(Number::from_integer(value)))
}

/// Roots as powers: exact ones as numbers, odd ones of negative numbers as negative.
fn root(arguments: Vec<Node>, budget: &mut Budget) -> Result<Node, Exhausted> {
    let Ok([radicand, degree]) = <[Node; 2]>::try_from(arguments) else { return Err(Exhausted) };
    let n = match &degree {
        Node::Number { value, .. } if value.is_integer() => {
            u32::try_from(value.numer()).ok().filter(|n| (1..=64).contains(n))
        }
        _ => None,
    };
    let Some(n) = n else { return Ok(radicand.power(power(degree, Node::integer(-1), budget)?)) };
    let exponent = Node::number(Number::new(1.into(), n.into()));
    if let Node::Number { value, .. } = &radicand
        && is_negative(value)
        && n % 2 == 1
    {
        let positive = number_power(-value.clone(), exponent, budget)?;
        return product(vec![Node::integer(-1), positive], budget);
    }
    power(radicand, exponent, budget)
}

/// The logarithm where it is an integer.
fn exact_logarithm(
    argument: &Number,
    base: &Number,
    budget: &mut Budget,
) -> Result<Option<i64>, Exhausted> {
    if is_negative(argument) || is_zero(argument) || *base <= one() {
        return Ok(None);
    }
    let (below_one, mut rest) =
        if *argument < one() { (true, argument.recip()) } else { (false, argument.clone()) };
    let mut logarithm = 0;
    while rest > one() {
        pay(&rest, base, budget)?;
        rest /= base;
        logarithm += 1;
    }
    Ok((rest == one()).then_some(if below_one { -logarithm } else { logarithm }))
}
