//! What the handlers of partitions share: finding one.

use std::sync::Arc;

use ottla_engine::{Partition, PartitionId};
use ottla_metadata::Image;
use ottla_wire::ErrorCode;

use crate::call::Call;
use crate::context::Context;

/// The partition that a client named, if a replica of it is here.
pub(crate) fn find(
    call: &Call,
    image: &Image,
    topic: &str,
    partition: i32,
) -> Result<Arc<Partition>, ErrorCode> {
    find_in(&call.context, image, topic, partition)
}

/// The same for this node itself.
pub(crate) fn find_in(
    context: &Context,
    image: &Image,
    topic: &str,
    partition: i32,
) -> Result<Arc<Partition>, ErrorCode> {
    let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
    let found = image.topic_named(topic).ok_or(unknown)?;
    found.partition(partition).ok_or(unknown)?;
    context.replicas.get(PartitionId::new(found.id, partition)).map_err(|e| e.code())
}

/// Runs what may wait for a disk on threads for that.
pub(crate) async fn on_disk<T, F>(call: &Call, work: F) -> Result<T, ErrorCode>
where
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    let (sender, receiver) = tokio::sync::oneshot::channel();
    call.context.core.disk().spawn(move || {
        // Whoever asked may have gone.
        let _ = sender.send(work());
    });
    receiver.await.map_err(|_| ErrorCode::UNKNOWN_SERVER_ERROR)
}
