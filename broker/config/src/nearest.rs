//! The known name that a mistyped one was probably meant to be.

/// How many single-character changes still count as a slip, for a name of this length.
fn tolerance(length: usize) -> usize {
    (length / 5).clamp(1, 6)
}

/// The known name that is the fewest changes away, if that is near enough.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let limit = tolerance(name.len());
    known
        .filter(|candidate| candidate.len().abs_diff(name.len()) <= limit)
        .map(|candidate| (distance(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Insertions, deletions, replacements and swaps of neighbours between two names.
fn distance(a: &str, b: &str) -> usize {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut before = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, &x) in a.iter().enumerate() {
        let mut row = vec![i + 1; b.len() + 1];
        for (j, &y) in b.iter().enumerate() {
            let replaced = last[j] + usize::from(x != y);
            row[j + 1] = replaced.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && x == b[j - 1] && a[i - 1] == y {
                row[j + 1] = row[j + 1].min(before[j - 1] + 1);
            }
        }
        before = last;
        last = row;
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("log.dirs", "log.dirs"), 0);
        assert_eq!(distance("log.dris", "log.dirs"), 1);
        assert_eq!(distance("log.dir", "log.dirs"), 1);
    }

    #[test]
    fn only_near_names_are_offered() {
        let known = ["num.io.threads", "num.partitions", "log.dirs"];
        assert_eq!(nearest("num.partitons", known.into_iter()), Some("num.partitions"));
        assert_eq!(nearest("my.own.key", known.into_iter()), None);
        assert_eq!(nearest("", known.into_iter()), None);
    }
}
