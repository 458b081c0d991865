//! The assignor `range`: each topic is cut into as many ranges as it has subscribers.
//!
//! Members are taken in one order for all topics, so that of topics with as many partitions and
//! the same subscribers, partitions of one number go to one member.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::{Candidate, Spec};
use crate::group::consumer::group::Assignment;

/// Static members first, by their instance ids, then the others by their ids.
fn order(one: &Candidate<'_>, other: &Candidate<'_>) -> Ordering {
    match (one.instance, other.instance) {
        (Some(one), Some(other)) => one.cmp(other),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => one.id.cmp(other.id),
    }
}

/// The assignment of each member, in the order of the members.
pub(crate) fn range(spec: &Spec<'_>) -> Vec<Assignment> {
    let mut sorted: Vec<(usize, &Candidate<'_>)> = spec.members.iter().enumerate().collect();
    sorted.sort_by(|one, other| order(one.1, other.1));
    let mut place = vec![0; spec.members.len()];
    for (at, (member, _)) in sorted.iter().enumerate() {
        if let Some(place) = place.get_mut(*member) {
            *place = at;
        }
    }
    let mut has: Vec<BTreeMap<usize, Vec<i32>>> = vec![BTreeMap::new(); spec.members.len()];
    for (number, mut subscribers) in spec.subscribers().into_iter().enumerate() {
        let Some(topic) = spec.topics.get(number) else { continue };
        subscribers.sort_by_key(|member| place.get(*member).copied());
        let Ok(count) = i32::try_from(subscribers.len()) else { continue };
        if count == 0 {
            continue;
        }
        let (least, more) = (topic.partitions / count, topic.partitions % count);
        let mut next = 0;
        for (at, member) in (0..).zip(subscribers) {
            let end = next + least + i32::from(at < more);
            if next < end
                && let Some(has) = has.get_mut(member)
            {
                has.insert(number, (next..end).collect());
            }
            next = end;
        }
    }
    has.into_iter().map(|has| spec.assignment(has)).collect()
}
