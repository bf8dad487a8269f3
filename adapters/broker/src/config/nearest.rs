//! Which of the valid names somebody may have meant.

/// The name that is nearest to `given`, if one is near enough to be meant.
#[must_use]
pub fn nearest<'a>(given: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let near = names.into_iter().map(|name| (distance(given, name), name)).min()?;
    let allowed = given.chars().count().max(near.1.chars().count()) / 3 + 1;
    (near.0 <= allowed).then_some(near.1)
}

/// ` (did you mean …?)`, or nothing.
pub(crate) fn hint<'a>(given: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    nearest(given, names).map(|name| format!(" (did you mean `{name}`?)")).unwrap_or_default()
}

/// How many letters must be put in, left out or exchanged to make one word of the other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (line, letter) in a.chars().enumerate() {
        let mut diagonal = line;
        let mut left = line + 1;
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (above, other) in row.iter_mut().skip(1).zip(&b) {
            let exchanged = diagonal + usize::from(letter != *other);
            diagonal = *above;
            left = exchanged.min(*above + 1).min(left + 1);
            *above = left;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found_and_nothing_far() {
        let names = ["password_file", "acl_file", "pid_file"];
        assert_eq!(nearest("pasword_file", names), Some("password_file"));
        assert_eq!(nearest("acl-file", names), Some("acl_file"));
        assert_eq!(nearest("bridge", names), None);
        assert_eq!((distance("", "abc"), distance("kitten", "sitting")), (3, 3));
    }
}
