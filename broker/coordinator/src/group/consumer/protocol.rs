//! What members of the classic protocol say within their JoinGroup and SyncGroup, and consumer
//! groups have to understand.

use std::sync::Arc;

use bytes::Bytes;
use ottla_wire::schema::consumer_protocol::{
    ConsumerProtocolAssignment, ConsumerProtocolAssignmentTopicPartition,
    ConsumerProtocolSubscription,
};
use ottla_wire::{Decoder, Encoder, Message};

use super::group::Assignment;
use super::member::Held;
use super::topics::Topics;

/// The newest version of either that there is.
const NEWEST: i16 = 3;

fn decode<M: Message>(bytes: &Bytes) -> Option<(M, i16)> {
    let mut decoder = Decoder::new(bytes.clone());
    let version = i16::from_be_bytes(decoder.array().ok()?);
    if version < 0 {
        return None;
    }
    // A newer one begins as the newest that is known here does.
    Some((M::decode(&mut decoder, version.min(NEWEST)).ok()?, version))
}

/// A subscription, with its version.
pub(crate) fn subscription(metadata: &Bytes) -> Option<(ConsumerProtocolSubscription, i16)> {
    decode(metadata)
}

/// The partitions of an assignment, of topics that there are. An empty one is of no partitions.
pub(crate) fn assigned(assignment: &Bytes, topics: &Topics) -> Option<Assignment> {
    if assignment.is_empty() {
        return Some(Assignment::new());
    }
    let (read, _) = decode::<ConsumerProtocolAssignment>(assignment)?;
    let mut all = Assignment::new();
    for topic in read.assigned_partitions {
        let Some(known) = topics.named(&topic.topic) else { continue };
        let mut partitions = topic.partitions;
        partitions.sort_unstable();
        partitions.dedup();
        if !partitions.is_empty() {
            all.insert(known.id, Arc::from(partitions));
        }
    }
    Some(all)
}

/// An assignment of partitions in the version that a subscription has.
pub(crate) fn assignment(held: &Held, topics: &Topics, version: i16) -> Option<Bytes> {
    let version = version.clamp(0, NEWEST);
    let assigned_partitions = held
        .iter()
        .filter_map(|(id, partitions)| {
            Some(ConsumerProtocolAssignmentTopicPartition {
                topic: topics.name(*id)?.to_string(),
                partitions: partitions.keys().copied().collect(),
            })
        })
        .collect();
    let mut encoder = Encoder::new();
    encoder.raw(&version.to_be_bytes());
    ConsumerProtocolAssignment { assigned_partitions, user_data: None }
        .encode(&mut encoder, version)
        .ok()?;
    encoder.into_bytes().ok()
}
