//! How long an image of 200,000 partitions takes to build and to publish, and how much memory it holds.
//! Run with `cargo run --release -p ottla-metadata --example large_image [TOPICS] [PARTITIONS_PER_TOPIC]`.

// It measures, and tells.
#![allow(clippy::print_stdout, clippy::disallowed_methods)]

use ottla_metadata::{Image, Loader, MetadataVersion, directory};
use ottla_wire::Uuid;
use ottla_wire::schema::metadata::{
    FeatureLevelRecord, PartitionChangeRecord, PartitionRecord, TopicRecord,
};
use std::time::Instant;

/// Resident memory of this process in KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with("VmRSS")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).unwrap_or(0)
}

fn main() {
    let mut args = std::env::args().skip(1).filter_map(|a| a.parse::<u32>().ok());
    let (topics, each) = (args.next().unwrap_or(2_000), args.next().unwrap_or(100));
    let before = resident();
    let start = Instant::now();
    let mut loader = Loader::default();
    let feature_level = MetadataVersion::LATEST.level();
    let version = FeatureLevelRecord { name: MetadataVersion::FEATURE.into(), feature_level };
    loader.apply(&version.into(), 0).expect("fits");
    for t in 0..topics {
        let id = Uuid::from_u128(1000 + u128::from(t));
        let name = format!("topic-{t:06}");
        loader.apply(&TopicRecord { name, topic_id: id }.into(), 0).expect("fits");
        for p in 0..each {
            let first = (t + p) % 12;
            let replicas: Vec<i32> = (0..3).map(|n| ((first + n) % 12) as i32).collect();
            let record = PartitionRecord {
                partition_id: p as i32,
                topic_id: id,
                isr: replicas.clone(),
                leader: replicas[0],
                replicas,
                leader_epoch: 0,
                partition_epoch: 0,
                directories: vec![directory::UNASSIGNED; 3],
                ..PartitionRecord::default()
            };
            loader.apply(&record.into(), 0).expect("fits");
        }
    }
    let published = loader.publish().expect("no transaction");
    println!("partitions          {}", published.image.partition_count());
    println!("build               {:?}", start.elapsed());
    drop(published.delta);
    let held = published.image;
    println!("memory              {} KiB", resident().saturating_sub(before));

    // One partition changes and the image is published, while the one before is still held.
    let rounds = 1_000u32;
    let start = Instant::now();
    let mut held = held;
    for n in 0..rounds {
        let change = PartitionChangeRecord {
            partition_id: (n % each) as i32,
            topic_id: Uuid::from_u128(1000 + u128::from(n % topics)),
            isr: Some(vec![1, 2]),
            ..PartitionChangeRecord::default()
        };
        loader.apply(&change.into(), 1).expect("fits");
        held = loader.publish().expect("no transaction").image;
    }
    println!("change and publish  {:?} each", start.elapsed() / rounds);

    let start = Instant::now();
    let led =
        |n| held.topics().flat_map(|t| t.partitions.iter()).filter(move |(_, p)| p.leader == n);
    let found = led(3).count();
    println!("scan for a leader   {:?}, {found} found", start.elapsed());

    let start = Instant::now();
    let records: Vec<_> = held.snapshot().collect();
    println!("snapshot            {:?}, {} records", start.elapsed(), records.len());
    let start = Instant::now();
    let again = Image::from_snapshot(&records, 5).expect("fits");
    println!("rebuild             {:?}", start.elapsed());
    println!("equal               {}", again == held);
}
