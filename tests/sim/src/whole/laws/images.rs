//! Metadata is a function of the log: nodes that are at one offset have the same.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use ottla_metadata::Image;
use ottla_quorum::simulated::Life;

use crate::{Verdict, violated};

/// What there is, by offset.
#[derive(Debug, Default)]
pub struct Images {
    known: BTreeMap<i64, Sum>,
    /// The offset at which a node was looked at last.
    seen: BTreeMap<Life, i64>,
}

/// What an image comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sum {
    topics: usize,
    brokers: usize,
    next_producer_id: i64,
    /// Of all that is in topics and brokers.
    sum: u64,
}

impl Sum {
    fn of(image: &Image) -> Self {
        // The one that hashes alike in every run.
        let mut sum = DefaultHasher::new();
        for topic in image.topics() {
            (topic.id, &*topic.name).hash(&mut sum);
            for (number, p) in topic.partitions.iter() {
                (number, p.leader, p.leader_epoch, p.partition_epoch).hash(&mut sum);
                for ids in [&p.replicas, &p.isr, p.elr(), p.last_known_elr()] {
                    ids.as_slice().hash(&mut sum);
                }
            }
        }
        for broker in image.brokers() {
            (broker.id, broker.epoch, broker.incarnation_id, broker.fenced).hash(&mut sum);
        }
        Self {
            topics: image.topic_count(),
            brokers: image.brokers().count(),
            next_producer_id: image.next_producer_id(),
            sum: sum.finish(),
        }
    }
}

impl Images {
    /// Looks at a node's image.
    pub fn inspect(&mut self, id: i32, life: Life, image: &Image) -> Verdict {
        let offset = image.provenance().offset;
        if self.seen.insert(life, offset) == Some(offset) {
            return Ok(());
        }
        let found = Sum::of(image);
        let known = *self.known.entry(offset).or_insert(found);
        if known != found {
            let what = format!("node {id} has {found:?} at {offset}, others {known:?}");
            return Err(violated("images", what));
        }
        Ok(())
    }
}
