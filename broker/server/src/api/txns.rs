//! What the handlers of transactions share: finding the shard.

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_coordinator::txn::{Command, Reply, Request, TxnMachine};
use ottla_engine::{Shard, Submitted, TRANSACTIONS_TOPIC};
use ottla_metadata::Image;
use ottla_wire::ErrorCode;

use crate::api::topics;
use crate::context::Context;

/// How many partitions the topic of transactions has; 0 when it is not there.
pub(crate) fn topic_partitions(image: &Image) -> i32 {
    topics::partitions(image, TRANSACTIONS_TOPIC)
}

/// The shard of a transactional id.
pub(crate) fn shard(context: &Context, id: &str) -> Result<Arc<Shard<TxnMachine>>, ErrorCode> {
    context.txns.of(id, topic_partitions(&context.image()))
}

/// Brings a request to the shard of its transactional id. What must be ordered has happened when
/// this returns.
pub(crate) fn submit(
    context: &Context,
    id: &str,
    version: i16,
    request: Request,
) -> Result<Submitted<TxnMachine>, ErrorCode> {
    Ok(shard(context, id)?.submit(Command { version, request }))
}

/// Brings a request that may need a producer id: `request` makes it, without one and, when the shard
/// asks for that, with one.
pub(crate) async fn decide(
    context: &Arc<Context>,
    version: i16,
    first: Submitted<TxnMachine>,
    id: &str,
    request: impl Fn(Option<i64>) -> Request,
) -> Result<Reply, ErrorCode> {
    match first.await? {
        Reply::NeedsProducerId => {
            let spare = context.producer_ids.next(context).await?;
            submit(context, id, version, request(Some(spare)))?.await
        }
        reply => Ok(reply),
    }
}

/// Transactional ids by the partition that has them.
pub(crate) fn by_partition(image: &Image, ids: Vec<String>) -> BTreeMap<i32, Vec<String>> {
    let partitions = topic_partitions(image);
    let mut sorted: BTreeMap<i32, Vec<String>> = BTreeMap::new();
    for id in ids {
        let partition = match partitions {
            0 => 0,
            partitions => ottla_coordinator::hash::partition_for(&id, partitions),
        };
        sorted.entry(partition).or_default().push(id);
    }
    sorted
}
