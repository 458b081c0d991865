//! DescribeLogDirs: what lies in which log directory, and how much room there is.

use std::collections::{BTreeMap, BTreeSet};

use ottla_engine::Partition;
use ottla_wire::ErrorCode;
use ottla_wire::api::describe_log_dirs::{
    DescribeLogDirsPartition, DescribeLogDirsRequest, DescribeLogDirsResponse,
    DescribeLogDirsResult, DescribeLogDirsTopic,
};

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
    for dir in call.context.dirs.all() {
        let space = if dir.is_online() { dir.files().space().ok() } else { None };
        let bytes = |n: Option<u64>| n.and_then(|n| i64::try_from(n).ok()).unwrap_or(-1);
        results.insert(
            dir.id(),
            DescribeLogDirsResult {
                error_code: if dir.is_online() {
                    ErrorCode::NONE
                } else {
                    ErrorCode::KAFKA_STORAGE_ERROR
                },
                log_dir: absolute(dir.path()),
                total_bytes: bytes(space.map(|s| s.total)),
                usable_bytes: bytes(space.map(|s| s.usable)),
                ..Default::default()
            },
        );
    }
    let mut replicas = call.context.replicas.all();
    replicas
        .sort_unstable_by(|a, b| (a.topic(), a.id().partition).cmp(&(b.topic(), b.id().partition)));
    for replica in replicas {
        let name = (replica.topic().to_string(), replica.id().partition);
        if wanted.as_ref().is_none_or(|wanted| wanted.contains(&name))
            && let Some(result) = results.get_mut(&replica.dir().id())
            && result.error_code == ErrorCode::NONE
        {
            add(result, &replica);
        }
    }
    DescribeLogDirsResponse { results: results.into_values().collect(), ..Default::default() }
}

/// As Kafka shows it: a client cannot know where a node was started.
fn absolute(path: &std::path::Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
}

fn add(result: &mut DescribeLogDirsResult, replica: &Partition) {
    let log = replica.log();
    let row = DescribeLogDirsPartition {
        partition_index: replica.id().partition,
        partition_size: i64::try_from(log.size()).unwrap_or(i64::MAX),
        offset_lag: 0.max(log.high_watermark() - log.end_offset()),
        is_future_key: false,
    };
    match result.topics.last_mut() {
        Some(topic) if *topic.name == **replica.topic() => topic.partitions.push(row),
        _ => result.topics.push(DescribeLogDirsTopic {
            name: replica.topic().to_string(),
            partitions: vec![row],
        }),
    }
}
