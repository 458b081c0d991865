//! Writes a small log directory, for Kafka's `kafka-dump-log.sh` to read: batches of all codecs,
//! several segments, an idempotent producer, transactions that commit, abort and stay open, and
//! a compacted log.
//!
//! usage: write_log DIR

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use ottla_log::cache::FileCache;
use ottla_log::checkpoint::offsets::TopicPartition;
use ottla_log::clean::{Cleaner, Go, Governor};
use ottla_log::disk::real::RealDisk;
use ottla_log::log::{AppendBatch, LeaderAppend};
use ottla_log::names::DirKind;
use ottla_log::producers::{Origin, Rules};
use ottla_log::settings::Cleanup;
use ottla_log::{Log, LogDir, LogError, LogSettings};
use ottla_wire::record::{BatchBuilder, Compression, EndTxnMarker, RecordError, TransactionResult};

type Failure = Box<dyn std::error::Error>;

/// When all records were made, 2023-11-14T22:13:20Z.
const NOW: i64 = 1_700_000_000_000;

#[derive(Debug)]
struct Unhindered;

impl Governor for Unhindered {
    fn spent(&mut self, _: u64) -> Go {
        Go::On
    }
}

fn append(
    log: &Log,
    batch: Result<ottla_wire::record::Batch, RecordError>,
    origin: Origin,
) -> Result<(), Failure> {
    let by = LeaderAppend {
        leader_epoch: (log.end_offset() / 1000) as i32,
        rules: Rules::of(origin),
        now_ms: NOW,
    };
    log.append_as_leader(&[AppendBatch::split(&batch?.bytes)?], by)?;
    Ok(())
}

fn codecs(log: &Log) -> Result<(), Failure> {
    for codec in Compression::ALL {
        for n in 0..100 {
            let mut batch = BatchBuilder::new(0).compression(codec);
            for i in 0..5 {
                let value = format!("{} {n} {i} {}", codec.name(), "y".repeat(n));
                batch.append(NOW + (n * 5 + i) as i64, Some(b"key"), Some(value.as_bytes()));
            }
            append(log, batch.build(), Origin::Client)?;
        }
    }
    Ok(())
}

fn transactions(log: &Log) -> Result<(), Failure> {
    for n in 0..60i32 {
        for id in 0..3i64 {
            let mut batch = BatchBuilder::new(0).producer(id, 0, 2 * n).transactional();
            batch.append(NOW, Some(b"key"), Some(format!("{id} {n}").as_bytes()));
            batch.append(NOW, Some(b"key"), Some(b"more"));
            append(log, batch.build(), Origin::Client)?;
        }
        for id in 0..3i64 {
            if n == 59 && id == 2 {
                break;
            }
            let result = if (n + id as i32) % 3 == 0 {
                TransactionResult::Abort
            } else {
                TransactionResult::Commit
            };
            let marker = EndTxnMarker { result, coordinator_epoch: 1 };
            let batch = BatchBuilder::end_transaction(0, (id, 0), NOW, marker).build();
            append(log, batch, Origin::Coordinator)?;
        }
    }
    Ok(())
}

fn compacted(log: &Log) -> Result<(), Failure> {
    for n in 0..1000i32 {
        let mut batch = BatchBuilder::new(0)
            .compression(Compression::ALL[n as usize % 5])
            .producer(9, 0, 3 * n);
        for i in 0..3 {
            let key = format!("key{}", (n * 3 + i) % 100);
            let value = format!("value {n} {i}");
            batch.append(NOW, Some(key.as_bytes()), (n % 17 > 0).then_some(value.as_bytes()));
        }
        append(log, batch.build(), Origin::Client)?;
    }
    log.set_high_watermark(log.end_offset());
    let dirt = log.dirt(None, NOW)?;
    let report = Cleaner::new(1 << 20, 0.9).clean(log, &dirt, NOW, &mut Unhindered)?;
    report.map(|_| ()).ok_or_else(|| LogError::Closed.into())
}

fn write(path: &Path) -> Result<(), Failure> {
    let cache = FileCache::new(Arc::new(RealDisk), 64);
    let dir = LogDir::open(path, &cache)?;
    let settings = Arc::new(LogSettings {
        segment_bytes: 16 << 10,
        index_interval_bytes: 1024,
        file_delete_delay_ms: 0,
        ..LogSettings::default()
    });
    let compact =
        Arc::new(LogSettings { cleanup: Cleanup::Compact, ..LogSettings::clone(&settings) });
    let id = Some("AAAAAAAAAAAAAAAAAAAAAQ");
    let create = |topic: &str, settings| {
        dir.create_log(&TopicPartition::new(topic, 0), DirKind::Current, 0, id, settings, NOW)
    };
    codecs(&*create("codecs", Arc::clone(&settings))?)?;
    transactions(&*create("transactions", settings)?)?;
    compacted(&*create("compacted", compact)?)?;
    dir.graveyard().purge(i64::MAX, usize::MAX)?;
    dir.close(1, NOW)?;
    Ok(())
}

fn main() -> ExitCode {
    let Some(dir) = std::env::args_os().nth(1) else { return ExitCode::from(2) };
    match write(Path::new(&dir)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
