//! After the faults stop, everything heals in bounded time: all brokers serve, all partitions are
//! led, all replicas are in sync and the same, all producers have their answers, consumers have read
//! to the end, groups know what was committed, and members of groups have shared out all that there is.

use super::{groups, subscriptions};
use crate::world::World;
use crate::{OFFSETS, TOPIC, records};

/// After how many milliseconds at the latest.
pub const WITHIN_MS: u64 = 40_000;

/// What is not healed yet; `None` when all is.
#[must_use]
pub fn ailing(world: &World) -> Option<String> {
    let image = world.quorum.image();
    for node in world.nodes.values() {
        let id = node.id;
        let Some(process) = &node.process else { return Some(format!("b{id} is down")) };
        if !process.is_active_in(image) {
            return Some(format!("b{id} is not in service"));
        }
        if process.applied.len() < world.quorum.committed().len() {
            return Some(format!("b{id} has not read all metadata"));
        }
        if process.image() != image {
            return Some(format!("b{id} makes another image of the same records"));
        }
    }
    if let Some(what) = world.targets.open(image) {
        return Some(what);
    }
    let topic = image.topic_named(TOPIC)?;
    for (partition, p) in topic.partitions.iter() {
        if p.leader < 0 || p.isr.len() != p.replicas.len() {
            return Some(format!("{partition} is led by {} with {:?} in sync", p.leader, p.isr));
        }
        let end = world.committed.end(partition);
        for id in p.replicas.iter() {
            let process = world.nodes.get(id).and_then(|node| node.process.as_ref());
            let Some(replica) = process.and_then(|process| process.replicas.get(&partition)) else {
                return Some(format!("b{id} has no replica of {partition}"));
            };
            let log = &replica.log;
            if log.end_offset() != end || log.high_watermark() != end {
                let (to, hw) = (log.end_offset(), log.high_watermark());
                return Some(format!(
                    "{partition} on b{id} ends at {to}, hw {hw}, committed {end}"
                ));
            }
        }
        for auditor in world.auditors.iter().filter(|_| partition != OFFSETS) {
            let at = auditor.position(partition);
            if at != end {
                return Some(format!(
                    "a reader of committed records of {partition} is at {at} of {end}"
                ));
            }
        }
        for consumer in world.consumers.iter().filter(|_| partition != OFFSETS) {
            let at = consumer.position(partition);
            if at != end {
                return Some(format!("a consumer of {partition} is at {at} of {end}"));
            }
        }
    }
    if !world.members.iter().all(|member| member.is_done) {
        return Some("a member has not seen all that it committed".into());
    }
    if let Some(what) = groups::ailing(world.joiners.iter().map(|joiner| &joiner.sharer)) {
        return Some(what);
    }
    if !world.transactors.iter().all(|transactor| transactor.is_done()) {
        return Some("a transaction has not ended everywhere".into());
    }
    if let Some(what) = subscriptions::ailing(&world.subscribers, world.partitions) {
        return Some(what);
    }
    let waits = world.producers.iter().find(|producer| !producer.is_done());
    waits.map(|producer| format!("producer {} waits for an answer", producer.id()))
}

/// What is wrong with a healed cluster: reads every log anew, from the disk.
#[must_use]
pub fn differs(world: &World) -> Option<String> {
    for (partition, producer) in
        (0..world.partitions).flat_map(|p| world.producers.iter().map(move |one| (p, one)))
    {
        let end = world.committed.end(partition);
        let of_it = (0..end).filter_map(|at| world.committed.at(partition, at));
        let count = of_it.filter(|entry| entry.producer == producer.id()).count();
        if count != producer.made(partition) as usize {
            let (id, made) = (producer.id(), producer.made(partition));
            return Some(format!("producer {id} made {made} for {partition}, {count} are there"));
        }
    }
    for node in world.nodes.values() {
        let Some(process) = &node.process else { continue };
        for (partition, replica) in &process.replicas {
            let (start, end) = (replica.log.start_offset(), replica.log.end_offset());
            let found = match records::read(&replica.log, *partition, start, end) {
                Ok(found) => found,
                Err(what) => return Some(format!("{partition} on b{}: {what}", node.id)),
            };
            let other = found
                .into_iter()
                .find(|(offset, entry)| world.committed.at(*partition, *offset) != Some(*entry));
            if let Some((offset, entry)) = other {
                return Some(format!("{partition}/{offset} on b{} is {entry:?}", node.id));
            }
        }
    }
    None
}
