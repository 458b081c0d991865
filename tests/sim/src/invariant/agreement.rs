//! The logs of in-sync replicas agree up to the high watermark: each has all that is committed, and
//! so has each replica that is eligible to lead (KIP-966).

use std::collections::BTreeMap;

use ottla_metadata::Image;

use super::durable::Committed;
use crate::node::Node;
use crate::process::Stage;
use crate::{TOPIC, Verdict, violated};

/// Looks at all replicas in sync, as committed metadata have it, whose brokers run.
pub fn check(image: &Image, nodes: &mut BTreeMap<i32, Node>, committed: &mut Committed) -> Verdict {
    let Some(topic) = image.topic_named(TOPIC) else { return Ok(()) };
    for (partition, p) in topic.partitions.iter() {
        for member in p.isr.iter().chain(p.elr().iter()) {
            let Some(registered) = image.broker(*member) else { continue };
            let Some(node) = nodes.get_mut(member) else { continue };
            let Some(process) = &mut node.process else { continue };
            // Of a process that the metadata do not know yet they say nothing.
            if process.stage < Stage::Open || registered.incarnation_id != process.incarnation {
                continue;
            }
            let Some(replica) = process.replicas.get_mut(&partition) else { continue };
            let (end, all) = (replica.log.end_offset(), committed.end(partition));
            if end < all {
                let text = format!(
                    "b{member} is in sync ({:?}, eligible {:?}) in {partition}, epoch {}, and ends at \
                     {end}, but {all} are committed",
                    p.isr.as_slice(),
                    p.elr().as_slice(),
                    p.partition_epoch
                );
                return Err(violated("agreement", text));
            }
            committed.compare(*member, replica, all)?;
        }
    }
    Ok(())
}
