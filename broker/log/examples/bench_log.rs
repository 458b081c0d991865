//! Measures a log on the disk at hand: appends, reads, recovery, and many partitions.
//!
//! usage: bench_log DIR [append | read | recover | create [N]]...   (all of them without names)

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use ottla_log::cache::FileCache;
use ottla_log::checkpoint::offsets::TopicPartition;
use ottla_log::dir::{Found, Wanted, recover_all};
use ottla_log::disk::real::RealDisk;
use ottla_log::log::{AppendBatch, AtLeast, LeaderAppend};
use ottla_log::names::DirKind;
use ottla_log::producers::{Origin, Rules};
use ottla_log::{Log, LogDir, LogSettings};
use ottla_wire::record::BatchBuilder;

type Failure = Box<dyn std::error::Error>;

const BY: LeaderAppend =
    LeaderAppend { leader_epoch: 1, rules: Rules::of(Origin::Client), now_ms: 1_700_000_000_000 };

fn say(text: std::fmt::Arguments<'_>) {
    // Nobody is left to tell when this fails.
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Processor time of this thread, nanoseconds: what the clock says depends on who else runs.
fn cpu() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0)
}

fn batch(size: usize) -> Result<AppendBatch, Failure> {
    let mut builder = BatchBuilder::new(0);
    let value = vec![b'x'; 1000];
    while builder.uncompressed_size() < size {
        builder.append(BY.now_ms, None, Some(&value));
    }
    let built: Bytes = builder.build()?.bytes;
    Ok(AppendBatch::split(&built)?)
}

fn open(path: &Path) -> Result<Arc<LogDir>, Failure> {
    let cache = FileCache::new(Arc::new(RealDisk), 4096);
    Ok(Arc::new(LogDir::open(path, &cache)?))
}

fn create(dir: &LogDir, topic: &str, partition: i32) -> Result<Arc<Log>, Failure> {
    let name = TopicPartition::new(topic, partition);
    let id = Some("AAAAAAAAAAAAAAAAAAAAAQ");
    let settings = Arc::new(LogSettings::default());
    Ok(dir.create_log(&name, DirKind::Current, 0, id, settings, 0)?)
}

fn append(path: &Path) -> Result<(), Failure> {
    let dir = open(&path.join("append"))?;
    for (partition, (size, count)) in
        [(200, 200_000), (16_000, 60_000), (1_000_000, 600)].into_iter().enumerate()
    {
        let log = create(&dir, "append", partition as i32)?;
        let batches = [batch(size)?];
        let begin = cpu();
        for _ in 0..count {
            log.append_as_leader(&batches, BY)?;
        }
        let ns = (cpu() - begin) / count;
        let bytes = log.size() / count;
        // The same bytes by bare system calls.
        let file = std::fs::File::create(path.join("bare"))?;
        let whole = [&batches[0].header[..], &batches[0].body[..]].concat();
        let begin = cpu();
        for i in 0..count {
            std::os::unix::fs::FileExt::write_all_at(&file, &whole, i * whole.len() as u64)?;
        }
        let bare = (cpu() - begin) / count;
        say(format_args!("append of {bytes} bytes: {ns} ns each; a bare pwrite: {bare} ns"));
        std::fs::remove_file(path.join("bare"))?;
    }
    Ok(())
}

fn read(path: &Path) -> Result<(), Failure> {
    let dir = open(&path.join("read"))?;
    let log = create(&dir, "read", 0)?;
    let batches = [batch(16_000)?];
    for _ in 0..60_000 {
        log.append_as_leader(&batches, BY)?;
    }
    let (end, count) = (log.end_offset(), 200_000i64);
    for (what, step) in [("at the end", 0), ("all over the log", end / 7919)] {
        let begin = cpu();
        for i in 0..count {
            let offset = if step == 0 { end - 1 - i % 16 } else { i * step % end };
            let found = log.read(offset, 1 << 20, i64::MAX, AtLeast::OneBatch)?;
            if found.slice.is_none() {
                return Err("nothing found".into());
            }
        }
        say(format_args!("find a slice {what}: {} ns", (cpu() - begin) / count as u64));
    }
    Ok(())
}

fn recover(path: &Path) -> Result<(), Failure> {
    let path = path.join("recover");
    {
        let dir = open(&path)?;
        let batches = [batch(16_000)?];
        for partition in 0..2000 {
            let log = create(&dir, "recover", partition)?;
            while log.size() < 1 << 20 {
                log.append_as_leader(&batches, BY)?;
            }
        }
    }
    for (what, clean) in [("kill", false), ("kill", true), ("clean stop", false)] {
        let dir = open(&path)?;
        let settings = Arc::new(LogSettings::default());
        let wanted = |_: &LogDir, _: &Found| Wanted::Open(Arc::clone(&settings));
        let begin = Instant::now();
        for (_, report) in recover_all(std::slice::from_ref(&dir), 2, 0, &wanted) {
            let report = report?;
            say(format_args!(
                "open after a {what}: {} partitions, {} MB checked in {:?}",
                report.logs,
                report.total.recovered_bytes >> 20,
                begin.elapsed()
            ));
        }
        if clean {
            let begin = Instant::now();
            dir.close(1, 0)?;
            say(format_args!("flush and close: {:?}", begin.elapsed()));
        }
    }
    Ok(())
}

fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split(' ').nth(1).and_then(|p| p.parse::<u64>().ok()).unwrap_or(0) * 4096
}

fn many(path: &Path, count: i32) -> Result<(), Failure> {
    let path = path.join(format!("create-{count}"));
    let settings = Arc::new(LogSettings::default());
    let wanted = |_: &LogDir, _: &Found| Wanted::Open(Arc::clone(&settings));
    {
        let dir = open(&path)?;
        let (begin, before) = (Instant::now(), resident());
        for partition in 0..count {
            create(&dir, "create", partition)?;
        }
        let (took, memory) = (begin.elapsed(), resident().saturating_sub(before));
        say(format_args!(
            "create {count} partitions: {took:?}, {} us and {} bytes each",
            took.as_micros() / count as u128,
            memory / count as u64
        ));
        let batches = [batch(200)?];
        let (begin, before) = (Instant::now(), resident());
        for log in dir.logs() {
            log.append_as_leader(&batches, BY)?;
        }
        say(format_args!(
            "first append to each: {} us, {} bytes more",
            begin.elapsed().as_micros() / count as u128,
            resident().saturating_sub(before) / count as u64
        ));
        let begin = Instant::now();
        dir.write_high_watermarks()?;
        say(format_args!("write a checkpoint: {:?}", begin.elapsed()));
        let begin = Instant::now();
        dir.close(1, 0)?;
        say(format_args!("flush and close: {:?}", begin.elapsed()));
    }
    for what in ["a clean stop", "a kill"] {
        let dir = open(&path)?;
        let (begin, before) = (Instant::now(), resident());
        recover_all(std::slice::from_ref(&dir), 2, 0, &wanted);
        say(format_args!(
            "open after {what}: {:?}, {} bytes each",
            begin.elapsed(),
            resident().saturating_sub(before) / count as u64
        ));
    }
    Ok(())
}

fn run() -> Result<(), Failure> {
    let mut args = std::env::args().skip(1);
    let dir = args.next().ok_or("usage: bench_log DIR [append | read | recover | create [N]]")?;
    let (path, words) = (Path::new(&dir), args.collect::<Vec<_>>());
    std::fs::create_dir_all(path)?;
    let all = words.is_empty();
    let wants = |word: &str| all || words.iter().any(|w| w == word);
    if wants("append") {
        append(path)?;
    }
    if wants("read") {
        read(path)?;
    }
    if wants("recover") {
        recover(path)?;
    }
    if wants("create") {
        let numbers: Vec<i32> = words.iter().filter_map(|w| w.parse().ok()).collect();
        for count in if numbers.is_empty() { vec![2000, 20_000] } else { numbers } {
            many(path, count)?;
        }
    }
    Ok(())
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            say(format_args!("{e}"));
            ExitCode::FAILURE
        }
    }
}
