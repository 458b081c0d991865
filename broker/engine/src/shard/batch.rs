//! A batch that is being filled, and how long it waits for more.

use bytes::Bytes;
use ottla_log::log::AppendBatch;
use ottla_machine::Ticket;
use ottla_wire::record::{BATCH_HEADER_SIZE, BatchBuilder, Compression};

use super::{Coordinator, KeyValue};
use crate::timers::Deadline;

/// What a record takes at most besides its key and its value: the lengths of both and of the
/// whole, the offset, the timestamp, attributes and headers.
const RECORD_OVERHEAD: usize = 21;

/// How long records of several decisions are gathered before they are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Linger {
    /// For those who already wait for the shard when the batch begins, and no longer: a decision
    /// that comes alone is written at once.
    #[default]
    Adaptive,
    /// So many milliseconds; 0 is not at all.
    Ms(u64),
}

impl Linger {
    /// From a key such as `group.coordinator.append.linger.ms`, where -1 adapts to the load.
    #[must_use]
    pub fn from_config(ms: i32) -> Self {
        u64::try_from(ms).map_or(Self::Adaptive, Self::Ms)
    }
}

/// What leaves when the records of a decision, and all before them, are committed.
pub(super) struct Due<M: Coordinator> {
    pub(super) replies: Vec<(Ticket, M::Reply)>,
    pub(super) effects: Vec<M::Effect>,
}

impl<M: Coordinator> Default for Due<M> {
    fn default() -> Self {
        Self { replies: Vec::new(), effects: Vec::new() }
    }
}

/// A batch that is being filled. The machine's state has its records already.
pub(super) struct Open<M: Coordinator> {
    builder: BatchBuilder,
    /// What waits for it.
    pub(super) due: Vec<Due<M>>,
    /// How many more decisions may join before it is written, when it adapts.
    pub(super) joining: usize,
    /// When it is written at the latest, when it lingers for a time.
    pub(super) deadline: Option<Deadline>,
}

impl<M: Coordinator> Open<M> {
    pub(super) fn new(compression: Compression) -> Self {
        let builder = BatchBuilder::new(0).compression(compression);
        Self { builder, due: Vec::new(), joining: 0, deadline: None }
    }

    /// Whether records of so many bytes still fit a batch of at most `limit`. The first always do:
    /// what a machine writes is bounded by the machine.
    pub(super) fn has_room(&self, bytes: usize, limit: usize) -> bool {
        self.builder.count() == 0 || self.builder.uncompressed_size() + bytes <= limit
    }

    pub(super) fn push(&mut self, now_ms: i64, records: &[KeyValue]) {
        for (key, value) in records {
            self.builder.append(now_ms, Some(key), value.as_deref());
        }
    }

    /// The batch as the log takes it, and what waits for it.
    pub(super) fn finish(self) -> Result<(AppendBatch, Vec<Due<M>>), String> {
        let batch = self.builder.build().map_err(|e| e.to_string())?;
        let batch = AppendBatch::split(&batch.bytes).map_err(|e| e.to_string())?;
        Ok((batch, self.due))
    }
}

/// What records take in a batch at most.
pub(super) fn bytes_of(records: &[KeyValue]) -> usize {
    let one = |(key, value): &KeyValue| {
        RECORD_OVERHEAD + key.len() + value.as_ref().map_or(0, Bytes::len)
    };
    records.iter().map(one).sum()
}

/// What a batch may hold at most, of what the topic and its segments allow.
pub(super) fn most_bytes(max_message_bytes: u32, segment_bytes: u32) -> usize {
    let most = usize::try_from(max_message_bytes.min(segment_bytes)).unwrap_or(usize::MAX);
    most.max(BATCH_HEADER_SIZE)
}
