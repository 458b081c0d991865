//! Who shall have which partition.
//!
//! Invariant: an assignment follows from what it is made of alone. Each partition of a topic that
//! anybody subscribes to has exactly one member, which subscribes to it. No step looks at each
//! member for each partition, or at each member for each member.

mod range;
mod uniform;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ottla_metadata::{Image, Topic};
use ottla_wire::Uuid;

use super::group::{Assignment, ConsumerGroup};
use super::topics::racks;

pub(crate) use self::range::range;
pub(crate) use self::uniform::uniform;

/// What an assignment is made of.
pub(crate) struct Spec<'a> {
    /// The members, in the order of their ids.
    pub(crate) members: Vec<Candidate<'a>>,
    /// The topics that there are and somebody subscribes to, in the order of their names.
    pub(crate) topics: Vec<Wanted<'a>>,
    image: &'a Image,
}

/// What a member subscribes to, by name and by pattern.
type Subscription<'a> = (&'a BTreeSet<String>, Option<&'a str>);

/// A member that partitions may go to.
pub(crate) struct Candidate<'a> {
    pub(crate) id: &'a Arc<str>,
    instance: Option<&'a str>,
    rack: Option<&'a str>,
    /// The numbers of the topics it subscribes to, in order; shared by all who do to the same.
    topics: Arc<[usize]>,
    /// What it was to have before.
    before: Option<&'a Assignment>,
}

/// A topic whose partitions are to be given to members.
pub(crate) struct Wanted<'a> {
    id: Uuid,
    topic: &'a Topic,
    partitions: i32,
}

impl<'a> Spec<'a> {
    pub(crate) fn of(group: &'a ConsumerGroup, image: &'a Image) -> Self {
        let mut numbers: BTreeMap<&str, usize> = BTreeMap::new();
        let mut topics = Vec::new();
        for name in group.topics() {
            let Some(topic) = image.topic_named(name) else { continue };
            numbers.insert(name, topics.len());
            let partitions = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
            topics.push(Wanted { id: topic.id, topic, partitions });
        }
        let mut subscriptions: BTreeMap<Subscription<'_>, Arc<[usize]>> = BTreeMap::new();
        let members = group.members.iter().map(|(id, member)| {
            let key = (&member.topics, member.pattern());
            let topics = subscriptions.entry(key).or_insert_with(|| {
                let resolved = member.pattern().and_then(|pattern| group.resolved.get(pattern));
                let by_pattern = resolved.into_iter().flat_map(|resolved| &resolved.topics);
                let names = member.topics.iter().chain(by_pattern);
                let all: BTreeSet<usize> =
                    names.filter_map(|name| numbers.get(name.as_str()).copied()).collect();
                all.into_iter().collect()
            });
            Candidate {
                id,
                instance: member.instance_id.as_deref(),
                rack: member.rack_id.as_deref(),
                topics: Arc::clone(topics),
                before: group.targets.get(id).map(|target| &**target),
            }
        });
        let members = members.collect();
        Self { members, topics, image }
    }

    /// Whether all members subscribe to the same.
    fn is_alike(&self) -> bool {
        self.members.windows(2).all(|pair| match pair {
            [one, other] => Arc::ptr_eq(&one.topics, &other.topics) || one.topics == other.topics,
            _ => true,
        })
    }

    /// The racks of a partition of the topic of this number.
    fn racks(&self, number: usize, partition: i32) -> Vec<&'a str> {
        self.topics.get(number).map(|t| racks(self.image, t.topic, partition)).unwrap_or_default()
    }

    /// The members that subscribe to each topic.
    fn subscribers(&self) -> Vec<Vec<usize>> {
        let mut subscribers = vec![Vec::new(); self.topics.len()];
        for (at, member) in self.members.iter().enumerate() {
            for topic in member.topics.iter() {
                if let Some(of) = subscribers.get_mut(*topic) {
                    of.push(at);
                }
            }
        }
        subscribers
    }

    /// The assignment of a member that has these partitions of topics by their numbers.
    fn assignment(&self, has: BTreeMap<usize, Vec<i32>>) -> Assignment {
        has.into_iter()
            .filter(|(_, partitions)| !partitions.is_empty())
            .filter_map(|(number, mut partitions)| {
                partitions.sort_unstable();
                Some((self.topics.get(number)?.id, Arc::from(partitions)))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests;
