//! Items with a modulus.

use crate::verify::tree::Node;

/// The modulus of the last item of `1, 4 (mod 5)` is that of all.
pub(super) fn with_one_modulus(items: Vec<Node>) -> Vec<Node> {
    let modulus = match items.last() {
        Some(Node::Residue(_, modulus)) => modulus.clone(),
        Some(Node::Chain { members, .. }) => match members.last() {
            Some(Node::Residue(_, modulus)) => modulus.clone(),
            _ => return items,
        },
        _ => return items,
    };
    items.into_iter().map(|item| modulo(item, &modulus)).collect()
}

/// An item with a modulus, if it has none: an equation's is that of its last member.
pub(super) fn modulo(item: Node, modulus: &Node) -> Node {
    match item {
        Node::Residue(..) => item,
        Node::Chain { mut members, relations } => {
            if let Some(last) = members.pop() {
                members.push(modulo(last, modulus));
            }
            Node::Chain { members, relations }
        }
        item => Node::Residue(Box::new(item), Box::new(modulus.clone())),
    }
}
