//! What the handlers of groups share: finding the shard.

use std::collections::BTreeMap;
use std::future::Future;

use ottla_config::keys;
use ottla_coordinator::{Command, Context as GroupContext, GroupMachine, Reply, Request};
use ottla_engine::{OFFSETS_TOPIC, Submitted};
use ottla_metadata::{Image, features};
use ottla_wire::ErrorCode;

use crate::answer::Answer;
use crate::api::topics;
use crate::call::Call;

/// Since this version of the offset APIs topics are named by id (KIP-848).
pub(crate) const IDS_SINCE: i16 = 10;

/// Since this level of `group.version` there are groups of the consumer protocol.
const CONSUMER_SINCE: i16 = 1;

/// How many partitions the offsets' topic has; 0 when it is not there.
pub(crate) fn offsets_partitions(image: &Image) -> i32 {
    topics::partitions(image, OFFSETS_TOPIC)
}

/// Brings a request to the shard of its group. What must be ordered has happened when this returns.
pub(crate) fn submit(
    call: &Call,
    group: &str,
    request: Request,
) -> Result<Submitted<GroupMachine>, ErrorCode> {
    let partitions = offsets_partitions(&call.context.image());
    let shard = call.context.groups.of(group, partitions)?;
    let context = GroupContext {
        client_id: call.client_id.clone(),
        client_host: call.client_host(),
        version: call.version,
    };
    Ok(shard.submit(Command { context, request }))
}

/// The answer of a request that one shard decides: `take` picks the response out of the reply, and
/// `fail` makes one of an error.
pub(crate) fn answer<R, T, F>(
    submitted: Result<Submitted<GroupMachine>, ErrorCode>,
    take: T,
    fail: F,
) -> Answer<R>
where
    R: 'static,
    T: FnOnce(Reply) -> Option<R> + Send + 'static,
    F: FnOnce(ErrorCode) -> R + Send + 'static,
{
    let pending = match submitted {
        Ok(pending) => pending,
        Err(error) => return fail(error).into(),
    };
    Answer::later(async move {
        match pending.await {
            // A reply of another kind than the request would be a fault of the machine.
            Ok(reply) => match take(reply) {
                Some(response) => response,
                None => fail(ErrorCode::UNKNOWN_SERVER_ERROR),
            },
            Err(error) => fail(error),
        }
    })
}

/// Whether a group may have this name: every one but the empty, which only offsets of old clients
/// may be committed under.
pub(crate) fn is_valid(group: &str) -> bool {
    !group.is_empty()
}

/// Whether groups of the consumer protocol are served (KIP-848): the cluster's feature says so, and
/// `group.coordinator.rebalance.protocols` does.
pub(crate) fn has_consumer_protocol(call: &Call) -> bool {
    let level = call.context.image().features().level(features::GROUP);
    let config = call.context.config();
    let named = config.get(keys::GROUP_COORDINATOR_REBALANCE_PROTOCOLS);
    level >= CONSUMER_SINCE && named.iter().any(|name| name.eq_ignore_ascii_case("consumer"))
}

/// Groups of one shard, and what it was asked about them.
pub(crate) type Asked = (Vec<String>, Submitted<GroupMachine>);

/// Sorts groups by the shard that has them, and asks each shard once. The replies come in no order.
pub(crate) fn by_shard(
    call: &Call,
    groups: Vec<String>,
    request: impl Fn(Vec<String>) -> Request,
) -> (Vec<Asked>, Vec<(String, ErrorCode)>) {
    let partitions = offsets_partitions(&call.context.image());
    let mut shards: BTreeMap<i32, Vec<String>> = BTreeMap::new();
    let mut failed = Vec::new();
    for group in groups {
        // The empty name, too: old clients may have committed under it.
        if partitions == 0 {
            failed.push((group, ErrorCode::COORDINATOR_NOT_AVAILABLE));
        } else {
            let partition = ottla_coordinator::hash::partition_for(&group, partitions);
            shards.entry(partition).or_default().push(group);
        }
    }
    let mut asked = Vec::new();
    for names in shards.into_values() {
        let Some(first) = names.first() else { continue };
        match submit(call, first, request(names.clone())) {
            Ok(submitted) => asked.push((names, submitted)),
            Err(error) => failed.extend(names.into_iter().map(|name| (name, error))),
        }
    }
    (asked, failed)
}

/// Awaits several futures in order; all were begun when they were made.
pub(crate) async fn all<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut done = Vec::with_capacity(futures.len());
    for future in futures {
        done.push(future.await);
    }
    done
}
