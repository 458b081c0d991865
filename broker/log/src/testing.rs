//! Batches and logs for tests.

use std::sync::Arc;

use bytes::Bytes;

use crate::batch::HEADER;
use crate::cache::FileCache;
use crate::checkpoint::offsets::TopicPartition;
use crate::disk::Disk;
use crate::graveyard::Graveyard;
use crate::log::{AppendBatch, LeaderAppend, LoadReport, Log, Shared, Shutdown, Start, Trust};
use crate::producers::{Origin, Rules};
use crate::settings::LogSettings;

pub(crate) type KeyValue = (Option<Vec<u8>>, Option<Vec<u8>>);

/// What a batch is made of.
#[derive(Clone, Debug)]
pub(crate) struct Make {
    pub(crate) records: Vec<KeyValue>,
    pub(crate) timestamp: i64,
    pub(crate) producer_id: i64,
    pub(crate) epoch: i16,
    pub(crate) sequence: i32,
    pub(crate) attributes: i16,
}

impl Default for Make {
    fn default() -> Self {
        Self {
            records: vec![(Some(b"key".to_vec()), Some(b"value".to_vec()))],
            timestamp: 1000,
            producer_id: -1,
            epoch: -1,
            sequence: -1,
            attributes: 0,
        }
    }
}

fn varint(out: &mut Vec<u8>, value: i64) {
    let mut v = ((value << 1) ^ (value >> 63)) as u64;
    while v >= 0x80 {
        out.push(v as u8 | 0x80);
        v >>= 7;
    }
    out.push(v as u8);
}

fn field(out: &mut Vec<u8>, value: Option<&[u8]>) {
    match value {
        Some(bytes) => {
            varint(out, bytes.len() as i64);
            out.extend_from_slice(bytes);
        }
        None => varint(out, -1),
    }
}

impl Make {
    /// `n` records with values of `size` bytes.
    pub(crate) fn sized(n: usize, size: usize) -> Self {
        let record = |i: usize| (Some(format!("k{i}").into_bytes()), Some(vec![b'x'; size]));
        Self { records: (0..n).map(record).collect(), ..Self::default() }
    }

    pub(crate) fn producer(mut self, id: i64, epoch: i16, sequence: i32) -> Self {
        (self.producer_id, self.epoch, self.sequence) = (id, epoch, sequence);
        self
    }

    pub(crate) fn at(mut self, timestamp: i64) -> Self {
        self.timestamp = timestamp;
        self
    }

    pub(crate) fn transactional(mut self) -> Self {
        self.attributes |= 16;
        self
    }

    /// An end marker of a transaction: 0 aborts, 1 commits.
    pub(crate) fn marker(id: i64, epoch: i16, kind: u8, coordinator_epoch: i32) -> Self {
        let mut value = vec![0, 0];
        value.extend_from_slice(&coordinator_epoch.to_be_bytes());
        Self {
            records: vec![(Some(vec![0, 0, 0, kind]), Some(value))],
            attributes: 16 | 32,
            ..Self::default()
        }
        .producer(id, epoch, -1)
    }

    pub(crate) fn build(&self) -> AppendBatch {
        let mut body = Vec::new();
        for (i, (key, value)) in self.records.iter().enumerate() {
            let mut record = vec![0];
            varint(&mut record, 0);
            varint(&mut record, i as i64);
            field(&mut record, key.as_deref());
            field(&mut record, value.as_deref());
            varint(&mut record, 0);
            varint(&mut body, record.len() as i64);
            body.extend_from_slice(&record);
        }
        let mut h = [0; HEADER];
        h[8..12].copy_from_slice(&((HEADER - 12 + body.len()) as i32).to_be_bytes());
        h[12..16].copy_from_slice(&(-1i32).to_be_bytes());
        h[16] = 2;
        h[21..23].copy_from_slice(&self.attributes.to_be_bytes());
        h[23..27].copy_from_slice(&(self.records.len() as i32 - 1).to_be_bytes());
        h[27..35].copy_from_slice(&self.timestamp.to_be_bytes());
        h[35..43].copy_from_slice(&self.timestamp.to_be_bytes());
        h[43..51].copy_from_slice(&self.producer_id.to_be_bytes());
        h[51..53].copy_from_slice(&self.epoch.to_be_bytes());
        h[53..57].copy_from_slice(&self.sequence.to_be_bytes());
        h[57..61].copy_from_slice(&(self.records.len() as i32).to_be_bytes());
        let crc = ottla_wire::record::crc32c(&[&h[21..], &body].concat());
        h[17..21].copy_from_slice(&crc.to_be_bytes());
        AppendBatch { header: h, body: Bytes::from(body) }
    }
}

pub(crate) const CLIENT: LeaderAppend =
    LeaderAppend { leader_epoch: 0, rules: Rules::of(Origin::Client), now_ms: 1000 };

pub(crate) const COORDINATOR: LeaderAppend =
    LeaderAppend { rules: Rules::of(Origin::Coordinator), ..CLIENT };

pub(crate) fn shared(disk: Arc<dyn Disk>) -> Shared {
    Shared { cache: FileCache::new(disk, 64), graveyard: Arc::new(Graveyard::default()) }
}

pub(crate) fn name() -> TopicPartition {
    TopicPartition::new("t", 0)
}

pub(crate) const FRESH: Start = Start {
    shutdown: Shutdown::Unclean,
    recovery_point: Some(0),
    log_start: 0,
    high_watermark: 0,
    cleaner_point: None,
    now_ms: 1000,
    trust: Trust::Replicas,
};

pub(crate) fn open(
    shared: &Shared,
    dir: &std::path::Path,
    settings: LogSettings,
    start: Start,
) -> (Log, LoadReport) {
    let (dir, settings) = (dir.to_path_buf(), Arc::new(settings));
    Log::open(shared, dir, name(), settings, &start, &mut Vec::new())
        .unwrap_or_else(|e| panic!("cannot open: {e}"))
}

/// All batches of a log, as bytes, by reading from the log start to `bound`.
pub(crate) fn read_all(log: &Log, bound: i64) -> Vec<u8> {
    use crate::log::AtLeast;
    let (mut at, mut out) = (log.start_offset(), Vec::new());
    loop {
        let read = log.read(at, 10_000, bound, AtLeast::OneBatch).expect("read");
        let Some(slice) = read.slice else { return out };
        let bytes = slice.read().expect("slice");
        let mut taken = 0;
        while let crate::batch::Parsed::Batch(b) = crate::batch::Batch::parse(&bytes[taken..]) {
            if taken + b.size as usize > bytes.len() {
                break;
            }
            taken += b.size as usize;
            at = b.last_offset + 1;
        }
        assert!(taken > 0, "no whole batch at {at}");
        out.extend_from_slice(&bytes[..taken]);
    }
}
