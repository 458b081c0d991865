//! Raft entries as record batches.

use bytes::Bytes;
use openraft::EntryPayload;
use ottla_wire::record::{BatchHeader, Batches, CrcCheck, RecordError};

use crate::batch::{self, Builder, Flaw};
use crate::control::{self, Control};
use crate::error::QuorumError;
use crate::types::{CommittedLeaderId, Entry, LogId, Membership, MetadataBatch, Payload};
use crate::voter::NodeKey;

/// Gives an entry its place in the log. Returns it with its batch, and the offset behind it.
///
/// An entry that came from another node's log keeps the bytes it has there.
pub(super) fn stamp(
    mut entry: Entry,
    offset: i64,
    leader: NodeKey,
    membership: &Membership,
    kraft_version: i16,
    now_ms: i64,
) -> Result<(Entry, i64), QuorumError> {
    let epoch = entry.log_id.leader_id.term;
    let bytes = match entry.batch.take() {
        Some(bytes) => bytes,
        None => {
            let unplaced = match &entry.payload {
                EntryPayload::Normal(batch) => batch.bytes().clone(),
                EntryPayload::Blank => control_batch(
                    &[control::leader_change(leader, membership.voter_ids())],
                    now_ms,
                )?,
                EntryPayload::Membership(m) => {
                    control_batch(&control::membership(m, kraft_version), now_ms)?
                }
            };
            batch::stamp(&unplaced, offset, epoch).map_err(QuorumError::Encode)?
        }
    };
    let header = BatchHeader::parse(&bytes).map_err(|e| QuorumError::Encode(e.to_string()))?;
    if header.base_offset != offset || header.partition_leader_epoch != epoch {
        let (id, at) = (entry.log_id, header.base_offset);
        return Err(QuorumError::Stopped(format!(
            "entry {id} stands at offset {at} of its leader and would stand at {offset} here"
        )));
    }
    if let EntryPayload::Normal(batch) = &mut entry.payload {
        // One copy of the bytes is enough.
        *batch = MetadataBatch(bytes.clone());
    }
    entry.batch = Some(bytes);
    Ok((entry, header.next_offset()))
}

fn control_batch(controls: &[Control], now_ms: i64) -> Result<Bytes, QuorumError> {
    let mut builder = Builder::control(now_ms);
    for control in controls {
        control.push(&mut builder).map_err(|e| QuorumError::Encode(e.to_string()))?;
    }
    Ok(builder.finish())
}

/// The entry that a batch of the log stands for.
pub(crate) fn parse(log_id: LogId, bytes: &Bytes) -> Result<Entry, Flaw> {
    let header = BatchHeader::parse(bytes).map_err(|e| e.to_string())?;
    let payload = if header.is_control() {
        control_payload(bytes)?
    } else {
        Payload::Normal(MetadataBatch(bytes.clone()))
    };
    Ok(Entry { log_id, payload, batch: Some(bytes.clone()) })
}

/// A control batch that names voters is a membership, also where Kafka wrote it behind a leader change.
pub(super) fn control_payload(bytes: &Bytes) -> Result<Payload, Flaw> {
    let (_, raw) = batch::records(bytes)?;
    let mut payload = Payload::Blank;
    for record in &raw {
        if let Some(Control::Voters(voters)) = Control::decode(record)? {
            payload = Payload::Membership(voters.membership()?);
        }
    }
    Ok(payload)
}

/// The id of a batch at an index.
pub(super) fn id(header: &BatchHeader, index: u64) -> LogId {
    LogId::new(CommittedLeaderId::new(header.partition_leader_epoch), index)
}

/// The whole batches at the start of `bytes`, at least one. What is read from a log by size ends in the middle of a
/// batch; the next read begins with that one.
pub(crate) fn split(bytes: Bytes) -> Result<Vec<Bytes>, Flaw> {
    let mut whole = Vec::new();
    for batch in Batches::new(bytes, CrcCheck::Skip) {
        match batch {
            Ok(batch) => whole.push(batch.bytes),
            Err(RecordError::Truncated { .. }) if !whole.is_empty() => break,
            Err(e) => return Err(e.to_string()),
        }
    }
    Ok(whole)
}
