//! DescribeLogDirs: what lies in which log directory, and how much room there is.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use ottla_engine::{LogDir, Partition};
use ottla_log::Log;
use ottla_wire::api::describe_log_dirs::{
    DescribeLogDirsPartition, DescribeLogDirsRequest, DescribeLogDirsResponse,
    DescribeLogDirsResult, DescribeLogDirsTopic,
};
use ottla_wire::{ErrorCode, Uuid};

use crate::answer::Answer;
use crate::api::partitions;
use crate::call::Call;

/// Answers DescribeLogDirs.
pub fn handle(call: Call, request: DescribeLogDirsRequest) -> Answer<DescribeLogDirsResponse> {
    Answer::later(async move {
        let theirs = call.clone();
        let described = partitions::on_disk(&call, move || describe(&theirs, request)).await;
        described.unwrap_or_default()
    })
}

fn describe(call: &Call, request: DescribeLogDirsRequest) -> DescribeLogDirsResponse {
    let wanted: Option<BTreeSet<(String, i32)>> = request.topics.map(|topics| {
        let rows = topics.into_iter().flat_map(|t| {
            t.partitions.into_iter().map(move |p| (t.topic.clone(), p)).collect::<Vec<_>>()
        });
        rows.collect()
    });
    let mut results: BTreeMap<_, DescribeLogDirsResult> = BTreeMap::new();
    let cordoned = call.context.dirs.cordoned();
    for dir in call.context.dirs.all() {
        let row = match dir.is_online() {
            true => {
                DescribeLogDirsResult { is_cordoned: cordoned.contains(&dir.id()), ..room(dir) }
            }
            false => offline(dir.path()),
        };
        results.insert(dir.id(), row);
    }
    let mut replicas = call.context.replicas.all();
    replicas
        .sort_unstable_by(|a, b| (a.topic(), a.id().partition).cmp(&(b.topic(), b.id().partition)));
    for replica in replicas {
        let name = (replica.topic().to_string(), replica.id().partition);
        if wanted.as_ref().is_some_and(|wanted| !wanted.contains(&name)) {
            continue;
        }
        let (log, end) = (replica.log(), replica.log().end_offset());
        let lag = 0.max(log.high_watermark() - end);
        add(&mut results, &replica, replica.dir().id(), &row(&replica, &log, lag));
        if let Some(future) = replica.future() {
            let lag = end - future.log().end_offset();
            let row = row(&replica, future.log(), lag);
            let row = DescribeLogDirsPartition { is_future_key: true, ..row };
            add(&mut results, &replica, future.dir().id(), &row);
        }
    }
    let unreadable = call.context.dirs.unreadable().iter().map(|path| offline(path));
    let results = results.into_values().chain(unreadable).collect();
    DescribeLogDirsResponse { results, ..Default::default() }
}

fn room(dir: &LogDir) -> DescribeLogDirsResult {
    let space = dir.files().space().ok();
    let bytes = |n: Option<u64>| n.and_then(|n| i64::try_from(n).ok()).unwrap_or(-1);
    DescribeLogDirsResult {
        log_dir: absolute(dir.path()),
        total_bytes: bytes(space.map(|s| s.total)),
        usable_bytes: bytes(space.map(|s| s.usable)),
        ..Default::default()
    }
}

fn offline(path: &Path) -> DescribeLogDirsResult {
    DescribeLogDirsResult {
        error_code: ErrorCode::KAFKA_STORAGE_ERROR,
        log_dir: absolute(path),
        ..Default::default()
    }
}

/// As Kafka shows it: a client cannot know where a node was started.
pub(crate) fn absolute(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
}

fn row(replica: &Partition, log: &Log, offset_lag: i64) -> DescribeLogDirsPartition {
    DescribeLogDirsPartition {
        partition_index: replica.id().partition,
        partition_size: i64::try_from(log.size()).unwrap_or(i64::MAX),
        offset_lag,
        is_future_key: false,
    }
}

fn add(
    results: &mut BTreeMap<Uuid, DescribeLogDirsResult>,
    replica: &Partition,
    dir: Uuid,
    row: &DescribeLogDirsPartition,
) {
    let online = |result: &&mut DescribeLogDirsResult| result.error_code == ErrorCode::NONE;
    let Some(result) = results.get_mut(&dir).filter(online) else { return };
    match result.topics.last_mut() {
        Some(topic) if *topic.name == **replica.topic() => topic.partitions.push(row.clone()),
        _ => result.topics.push(DescribeLogDirsTopic {
            name: replica.topic().to_string(),
            partitions: vec![row.clone()],
        }),
    }
}
