//! A reassignment ends or is cancelled: when nothing is in its way any more, none is under way, and
//! each partition has the replicas of the last one that was asked for, or those from before.

use std::collections::BTreeMap;

use ottla_metadata::Image;

use crate::TOPIC;

/// Where partitions were asked to go, with the sets of replicas that they may end up with.
#[derive(Debug, Default)]
pub struct Targets(BTreeMap<i32, Vec<Vec<i32>>>);

impl Targets {
    /// A partition is asked to have these replicas.
    pub fn asked(&mut self, partition: i32, replicas: &[i32]) {
        let mut sorted = replicas.to_vec();
        sorted.sort_unstable();
        self.0.entry(partition).or_default().push(sorted);
    }

    /// What is wrong with a cluster that had time to end all reassignments; `None` if nothing is.
    #[must_use]
    pub fn open(&self, image: &Image) -> Option<String> {
        let topic = image.topic_named(TOPIC)?;
        topic.partitions.iter().find_map(|(partition, p)| {
            if p.is_reassigning() {
                return Some(format!("the reassignment of {partition} does not end"));
            }
            let mut replicas = p.replicas.to_vec();
            replicas.sort_unstable();
            let known = self.0.get(&partition).is_some_and(|sets| sets.contains(&replicas));
            (!known).then(|| format!("nobody asked for {partition} to be on {replicas:?}"))
        })
    }
}
