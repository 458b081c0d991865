//! Replaying a partition into a machine's state.

use bytes::Bytes;
use ottla_log::log::AtLeast;
use ottla_wire::record::{Batches, CrcCheck};

use super::Coordinator;
use crate::partition::Partition;

/// Bytes read at once while replaying.
const CHUNK: u32 = 1 << 20;

/// Bytes that one compressed batch of a coordinator's partition may hold.
const MOST_UNCOMPRESSED: usize = 1 << 30;

/// The state that the partition's records make, up to the log's end as it is now.
///
/// # Errors
/// When the log cannot be read, or holds what is no record of this machine's.
pub(super) fn replay<M: Coordinator>(partition: &Partition) -> Result<M::State, String> {
    let log = partition.log();
    let mut state = M::State::default();
    let (mut offset, end) = (log.start_offset(), log.end_offset());
    while offset < end {
        let read = log
            .read(offset, CHUNK, end, AtLeast::OneBatch)
            .map_err(|e| format!("reading at offset {offset}: {e}"))?;
        let Some(slice) = read.slice else { break };
        let bytes = slice.read().map_err(|e| format!("reading at offset {offset}: {e}"))?;
        let before = offset;
        for batch in Batches::new(Bytes::from(bytes), CrcCheck::Skip) {
            // The last one of a chunk may be cut; the next chunk begins with it.
            let Ok(batch) = batch else { break };
            let header = batch.header.clone();
            if header.next_offset() <= offset {
                continue;
            }
            let records = batch
                .decode(MOST_UNCOMPRESSED)
                .map_err(|e| format!("batch at offset {}: {e}", header.base_offset))?;
            for mut record in records {
                let at = record.offset;
                // A state that kept a slice would keep the whole chunk.
                record.key = record.key.map(|key| Bytes::copy_from_slice(&key));
                record.value = record.value.map(|value| Bytes::copy_from_slice(&value));
                if let Some(record) = M::decode(&header, record)
                    .map_err(|why| format!("record at offset {at}: {why}"))?
                {
                    M::apply(&mut state, &record);
                }
            }
            offset = header.next_offset();
        }
        if offset == before {
            return Err(format!("no whole batch at offset {offset}"));
        }
    }
    Ok(state)
}
