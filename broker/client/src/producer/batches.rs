//! The records of one partition that wait to be sent, cut into batches.

use std::collections::VecDeque;

use ottla_wire::record::{Batch, BatchBuilder, Compressor, HeaderRef, NO_SEQUENCE, RecordError};

use super::ProducerRecord;

/// Batches of a partition in their order, and the sequence number that the first of them has.
#[derive(Debug, Default)]
pub(super) struct Queue {
    batches: VecDeque<Waiting>,
    sequence: i32,
}

#[derive(Debug, Default)]
struct Waiting {
    records: Vec<ProducerRecord>,
    bytes: usize,
}

/// Whether a batch could be cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Split {
    Done,
    Impossible,
}

impl Queue {
    /// Adds a record to the last batch, or to a new one when that is full. A batch has one record at least, however
    /// large.
    pub(super) fn push(&mut self, record: ProducerRecord, size: usize, batch_bytes: usize) {
        match self.batches.back_mut() {
            Some(last) if last.bytes.saturating_add(size) <= batch_bytes => {
                last.bytes += size;
                last.records.push(record);
            }
            _ => self.batches.push_back(Waiting { records: vec![record], bytes: size }),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// About the size of the first batch.
    pub(super) fn first_bytes(&self) -> usize {
        self.batches.front().map_or(0, |w| w.bytes)
    }

    pub(super) fn can_split(&self) -> bool {
        self.batches.front().is_some_and(|w| w.records.len() > 1)
    }

    /// The first batch as it goes over the wire, for a producer of this id and epoch.
    pub(super) fn build_first(
        &self,
        (id, epoch): (i64, i16),
        compression: Compressor,
    ) -> Result<Option<Batch>, RecordError> {
        let Some(first) = self.batches.front() else { return Ok(None) };
        let sequence = if id < 0 { NO_SEQUENCE } else { self.sequence };
        let mut builder =
            BatchBuilder::new(0).compression(compression).producer(id, epoch, sequence);
        for record in &first.records {
            let headers: Vec<_> = record
                .headers
                .iter()
                .map(|h| HeaderRef { key: &h.key, value: h.value.as_deref() })
                .collect();
            builder.append_with_headers(
                record.timestamp.unwrap_or_default(),
                record.key.as_deref(),
                record.value.as_deref(),
                &headers,
            );
        }
        builder.build().map(Some)
    }

    /// The first batch is written.
    pub(super) fn written(&mut self) {
        if let Some(first) = self.batches.pop_front() {
            self.sequence = after(self.sequence, first.records.len());
        }
    }

    /// Takes the first batch away unwritten; the number of its records.
    pub(super) fn drop_first(&mut self) -> usize {
        self.batches.pop_front().map_or(0, |w| w.records.len())
    }

    /// Takes all away unwritten; the number of records.
    pub(super) fn clear(&mut self) -> usize {
        self.batches.drain(..).map(|w| w.records.len()).sum()
    }

    /// Cuts the first batch in the middle of its bytes.
    pub(super) fn split_first(&mut self) -> Split {
        if !self.can_split() {
            return Split::Impossible;
        }
        let Some(mut first) = self.batches.pop_front() else { return Split::Impossible };
        let (mut bytes, mut at) = (0, 0);
        for record in &first.records {
            if at > 0 && bytes + record.size() > first.bytes / 2 {
                break;
            }
            bytes += record.size();
            at += 1;
        }
        let at = at.min(first.records.len() - 1);
        let rest = first.records.split_off(at);
        for records in [rest, first.records] {
            let bytes = records.iter().map(ProducerRecord::size).sum();
            self.batches.push_front(Waiting { records, bytes });
        }
        Split::Done
    }

    /// Begins to count anew, for a new producer id.
    pub(super) fn restart_sequence(&mut self) {
        self.sequence = 0;
    }

    /// Gives back what an emptied queue had reserved.
    pub(super) fn shrink(&mut self) {
        if self.batches.is_empty() {
            self.batches = VecDeque::new();
        }
    }
}

/// The sequence number after so many records; behind the largest i32 comes 0.
fn after(sequence: i32, records: usize) -> i32 {
    let next = i64::from(sequence) + i64::try_from(records).unwrap_or(i64::MAX / 2);
    i32::try_from(next % (i64::from(i32::MAX) + 1)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use ottla_wire::record::Compression;

    fn record(n: usize, len: usize) -> ProducerRecord {
        let value = format!("{n:04}").repeat(len.div_ceil(4));
        ProducerRecord {
            topic: "t".to_owned(),
            value: Some(Bytes::from(value)),
            timestamp: Some(1000),
            ..Default::default()
        }
    }

    fn drain(queue: &mut Queue, identity: (i64, i16)) -> Vec<(i32, Vec<Bytes>)> {
        let mut sent = Vec::new();
        while let Some(batch) = queue.build_first(identity, Compression::Lz4.into()).unwrap() {
            batch.check_crc().unwrap();
            let values = batch.decode(1 << 20).unwrap().into_iter().filter_map(|r| r.value);
            sent.push((batch.header.base_sequence, values.collect()));
            queue.written();
        }
        sent
    }

    #[test]
    fn batches_are_cut_where_they_are_full() {
        let mut queue = Queue::default();
        for (n, len) in [(0, 40), (1, 40), (2, 40), (3, 4000), (4, 40)] {
            let record = record(n, len);
            let size = record.size();
            queue.push(record, size, 140);
        }
        let sent = drain(&mut queue, (7, 0));
        assert_eq!(sent.iter().map(|(_, v)| v.len()).collect::<Vec<_>>(), [2, 1, 1, 1]);
        assert_eq!(sent.iter().map(|(s, _)| *s).collect::<Vec<_>>(), [0, 2, 3, 4]);
        assert!(drain(&mut queue, (7, 0)).is_empty());
    }

    #[test]
    fn a_producer_without_an_id_counts_nothing() {
        let mut queue = Queue::default();
        queue.push(record(0, 8), 32, 16);
        assert_eq!(drain(&mut queue, (-1, -1)), [(NO_SEQUENCE, vec![Bytes::from("00000000")])]);
    }

    #[test]
    fn sequence_numbers_wrap_to_zero() {
        assert_eq!(after(0, 3), 3);
        assert_eq!(after(i32::MAX, 1), 0);
        assert_eq!(after(i32::MAX - 1, 3), 1);
    }

    proptest::proptest! {
        #[test]
        fn splitting_keeps_records_and_their_order(lens in proptest::collection::vec(0_usize..200, 2..40)) {
            let mut queue = Queue::default();
            for (n, len) in lens.iter().enumerate() {
                let record = record(n, *len + 4);
                let size = record.size();
                queue.push(record, size, usize::MAX);
            }
            let mut splits = 0;
            let mut values = Vec::new();
            loop {
                if queue.split_first() == Split::Done {
                    splits += 1;
                    continue;
                }
                let Some(batch) = queue.build_first((-1, -1), Compressor::NONE).unwrap() else { break };
                values.extend(batch.decode(1 << 20).unwrap().into_iter().filter_map(|r| r.value));
                queue.written();
            }
            proptest::prop_assert_eq!(splits, lens.len() - 1);
            let expected: Vec<_> = lens.iter().enumerate().filter_map(|(n, len)| record(n, *len + 4).value).collect();
            proptest::prop_assert_eq!(values, expected);
        }
    }
}
