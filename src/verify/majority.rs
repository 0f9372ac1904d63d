//! The answer that most responses agree on.

/// The most frequent of `classes`, one per response and `None` for a response without an answer,
/// which never wins. Of equally frequent classes the one wins whose first response comes first.
/// `None` where no response has an answer.
pub fn majority<T: PartialEq>(classes: &[Option<T>]) -> Option<&T> {
    let mut counts: Vec<(&T, usize)> = Vec::new();
    for class in classes.iter().flatten() {
        match counts.iter_mut().find(|(known, _)| *known == class) {
            Some((_, count)) => *count += 1,
            None => counts.push((class, 1)),
        }
    }
    let most = counts.iter().map(|(_, count)| *count).max()?;
    counts.into_iter().find(|(_, count)| *count == most).map(|(class, _)| class)
}

#[cfg(test)]
mod tests {
    use super::majority;

    #[test]
    fn the_most_frequent_answer_wins_and_the_earliest_among_equals() {
        assert_eq!(majority(&[Some(1), Some(2), Some(2), None]), Some(&2));
        assert_eq!(majority(&[Some(3), Some(1), Some(1), Some(3)]), Some(&3));
        assert_eq!(majority(&[None, Some(7), None, None]), Some(&7));
        assert_eq!(majority::<u8>(&[None, None]), None);
        assert_eq!(majority::<u8>(&[]), None);
    }
}
