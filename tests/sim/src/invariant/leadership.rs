//! Leaders come of themselves, in bounded time, whoever is the controller and however long it is: a preferred replica that
//! is in sync leads, and where a leader that lacks records is better than none, a replica that is alive does. Where it is
//! not, nobody leads who lacks records.

use ottla_metadata::Image;

use crate::orphan::{self, may_be_inherited};
use crate::{Verdict, violated};

/// After how many milliseconds at the latest: the controller looks every 5 s.
pub const WITHIN_MS: u64 = 20_000;

/// Which partition has not the leader that it should have; `None` if all have.
#[must_use]
pub fn astray(image: &Image) -> Option<String> {
    for topic in image.topics_by_id() {
        let free = may_be_inherited(image, &topic.name);
        for (partition, p) in topic.partitions.iter() {
            let (name, first) = (&topic.name, p.preferred_leader());
            if p.leader != first && p.isr.contains(&first) && image.is_active(first) {
                return Some(format!("{name}-{partition} is led by {}, not by {first}", p.leader));
            }
            if free && !p.has_leader() && p.replicas.iter().any(|id| image.is_active(*id)) {
                return Some(format!("{name}-{partition} is led by nobody"));
            }
        }
    }
    None
}

/// Nobody leads what only one that lacks records could lead, before that is allowed.
pub fn check(image: &Image) -> Verdict {
    match orphan::leader(image) {
        Some(leader) if !orphan::is_free(image) => {
            let text = format!("b{leader} leads a topic of which it has nothing");
            Err(violated("leadership", text))
        }
        _ => Ok(()),
    }
}
