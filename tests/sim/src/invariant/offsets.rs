//! What a coordinator of groups said is committed, all coordinators of that and later epochs know; and
//! none knows of what nobody committed.

use crate::member::{Member, Told};
use crate::{Verdict, violated};

const NAME: &str = "offsets";

/// A coordinator told what it knows.
pub fn told(who: usize, told: &Told) -> Verdict {
    let Told { epoch, offsets, known, sent } = told;
    let lost = |(partition, of): &(&i32, &i32)| *of <= epoch && !offsets.contains_key(partition);
    let mut lost = known.iter().filter(lost);
    if let Some((partition, of)) = lost.next() {
        let (missing, count) = (lost.count() + 1, offsets.len());
        let text = format!(
            "member {who} was told in epoch {of} that its commit {partition} is there, in epoch {epoch} it is not; \
             {missing} are missing, {count} there"
        );
        return Err(violated(NAME, text));
    }
    let foreign = |(partition, offset): &(&i32, &i64)| {
        **partition >= *sent || **offset != Member::offset(**partition)
    };
    match offsets.iter().find(foreign) {
        Some((partition, offset)) => {
            let text = format!("member {who} never committed {offset} for {partition}");
            Err(violated(NAME, text))
        }
        None => Ok(()),
    }
}
