//! Vectors and matrices, and sums of unit vectors.

use super::comparer::{Comparer, Decided};
use super::kinds::is_structure;
use crate::verify::tree::{Constant, Node};
use crate::verify::{budget::Exhausted, simplify::simplify};

impl Comparer {
    /// Matrices, of which at least one is a sum or product of matrices.
    pub(super) fn matrices_worked_out(&mut self, gold: &Node, answer: &Node) -> Decided {
        match (
            simplify(gold.clone(), &mut self.budget)?,
            simplify(answer.clone(), &mut self.budget)?,
        ) {
            (gold @ Node::Matrix(_), answer @ Node::Matrix(_)) => self.nodes(&gold, &answer),
            (gold, answer) => Ok(gold == answer),
        }
    }

    /// The coefficients of i, j and k in a sum of them, as a tuple.
    pub(super) fn components(
        &mut self,
        node: &Node,
        dimension: usize,
    ) -> Result<Option<Node>, Exhausted> {
        if !(2..=3).contains(&dimension) {
            return Ok(None);
        }
        let unit = |node: &Node| unit_vector(node).filter(|at| *at < dimension);
        // With i alone, and no mark on it, it is a complex number.
        if !node.any(&|part| unit(part).is_some_and(|at| at > 0) || is_marked_unit_vector(part)) {
            return Ok(None);
        }
        self.sum_of_units(node, dimension)
    }

    /// The same, where another vector says that i is one too.
    fn sum_of_units(&mut self, node: &Node, dimension: usize) -> Result<Option<Node>, Exhausted> {
        let unit = |node: &Node| unit_vector(node).filter(|at| *at < dimension);
        let terms = match simplify(node.clone(), &mut self.budget)? {
            Node::Sum(terms) => terms,
            other => vec![other],
        };
        let mut coefficients = vec![Vec::new(); dimension];
        for term in terms {
            let mut factors = match term {
                Node::Product(factors) => factors,
                other => vec![other],
            };
            let Some(at) = factors.iter().position(|factor| unit(factor).is_some()) else {
                return Ok(None);
            };
            let Some(component) = unit(&factors.remove(at)) else { return Ok(None) };
            let coefficient = Node::Product(factors);
            if coefficient.any(&|part| unit(part).is_some()) {
                return Ok(None);
            }
            coefficients[component].push(coefficient);
        }
        let mut items = Vec::with_capacity(dimension);
        for coefficient in coefficients {
            items.push(simplify(Node::Sum(coefficient), &mut self.budget)?);
        }
        Ok(Some(Node::Group { open: '(', close: ')', items }))
    }

    /// A matrix and a tuple: its column, its row where the matrix is the gold answer, or its rows
    /// one by one.
    pub(super) fn matrix_and_group(
        &mut self,
        rows: &[Vec<Node>],
        group: &Node,
        matrix_is_gold: bool,
    ) -> Decided {
        let Node::Group { open: open @ ('(' | '['), close, items } = group else {
            return Ok(false);
        };
        if *close != (if *open == '(' { ')' } else { ']' }) {
            return Ok(false);
        }
        if rows.len() == 1 && !items.iter().any(is_structure) {
            return Ok(matrix_is_gold && self.in_order(&rows[0], items)?);
        }
        let column: Option<Vec<Node>> = rows
            .iter()
            .map(|row| <[Node; 1]>::try_from(row.clone()).ok().map(|[cell]| cell))
            .collect();
        if let Some(column) =
            column.filter(|_| !items.iter().any(|item| matches!(item, Node::Group { .. })))
        {
            return self.in_order(&column, items);
        }
        match items.iter().map(row).collect::<Option<Vec<_>>>() {
            Some(other) => self.matrices(rows, &other),
            None => Ok(false),
        }
    }

    pub(super) fn matrices(&mut self, gold: &[Vec<Node>], answer: &[Vec<Node>]) -> Decided {
        if gold.len() != answer.len() {
            return Ok(false);
        }
        if are_cases(gold) && are_cases(answer) {
            let rows = |rows: &[Vec<Node>]| -> Vec<Node> {
                rows.iter()
                    .map(|row| Node::Group { open: '(', close: ')', items: row.clone() })
                    .collect()
            };
            return self.in_any_order(&rows(gold), &rows(answer));
        }
        for (gold, answer) in gold.iter().zip(answer) {
            if !self.in_order(gold, answer)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Sums of unit vectors, of which at least one is marked as such: `2\hat{i} - \hat{j}` and
    /// `2i - j`.
    pub(super) fn same_vectors(&mut self, gold: &Node, answer: &Node) -> Decided {
        if !(gold.any(&is_marked_unit_vector) || answer.any(&is_marked_unit_vector)) {
            return Ok(false);
        }
        match (self.sum_of_units(gold, 3)?, self.sum_of_units(answer, 3)?) {
            (Some(gold), Some(answer)) => self.nodes(&gold, &answer),
            _ => Ok(false),
        }
    }
}

/// Whether the rows of a matrix are cases, each with its condition; their order says nothing.
fn are_cases(rows: &[Vec<Node>]) -> bool {
    // `x > 0`, `n \text{ even}`
    let is_condition = |node: &Node| match node {
        Node::Chain { .. } => true,
        Node::Quantity { value, .. } => matches!(**value, Node::Variable(_)),
        _ => false,
    };
    let is_case = |row: &[Node]| match row {
        [_, condition] => is_condition(condition) || matches!(condition, Node::Text(_)),
        _ => false,
    };
    rows.iter().all(|row| is_case(row)) && rows.iter().any(|row| is_condition(&row[1]))
}

/// The place of i, j or k, with marks on it or without.
fn unit_vector(node: &Node) -> Option<usize> {
    match node {
        Node::Constant(Constant::I) => Some(0),
        Node::Variable(name) => ["i", "j", "k"].iter().position(|unit| unit == name),
        Node::Apply(mark, arguments) if matches!(mark.as_str(), "\\hat" | "\\vec") => {
            unit_vector(arguments.first()?)
        }
        _ => None,
    }
}

fn is_marked_unit_vector(node: &Node) -> bool {
    matches!(node, Node::Apply(..)) && unit_vector(node).is_some()
}

/// The cells of `[1, 2]` as a row.
fn row(node: &Node) -> Option<Vec<Node>> {
    match node {
        Node::Group { items, .. } => Some(items.clone()),
        _ => None,
    }
}
