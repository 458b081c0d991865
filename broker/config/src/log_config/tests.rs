use super::*;
use crate::{NoSurroundings, parse};

fn broker(settings: &[&str]) -> BrokerConfig {
    let overrides: Vec<String> = settings.iter().map(|s| (*s).to_owned()).collect();
    parse(None, &overrides, &NoSurroundings).expect("settings").config
}

fn topic(broker: &BrokerConfig, overrides: &[(&str, &str)]) -> Arc<LogConfig> {
    let overrides = overrides.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    LogConfig::resolve(broker, &overrides).expect("a topic")
}

#[test]
fn a_topic_without_settings_has_the_brokers_defaults() {
    let config = topic(&broker(&[]), &[]);
    assert_eq!(*config, LogConfig::default());
    assert_eq!(config.segment_bytes, 1 << 30);
    assert_eq!(config.retention_ms, Some(7 * 24 * 3_600_000));
    assert_eq!(config.retention_bytes, None);
    assert_eq!(config.segment_ms, 7 * 24 * 3_600_000);
    assert_eq!(config.flush_ms, i64::MAX);
    assert_eq!(config.compression, Compression::Producer);
    assert_eq!(config.cleanup_policy, CleanupPolicy { compact: false, delete: true });
    assert_eq!(config.remote.local_retention_ms, config.retention_ms);
    assert_eq!(config.leader_throttled, ThrottledReplicas::Some(Vec::new()));
}

#[test]
fn milliseconds_win_over_minutes_and_these_over_hours() {
    let retention = |settings: &[&str]| topic(&broker(settings), &[]).retention_ms;
    assert_eq!(retention(&["log.retention.hours=1"]), Some(3_600_000));
    assert_eq!(retention(&["log.retention.hours=1", "log.retention.minutes=2"]), Some(120_000));
    let all = ["log.retention.hours=1", "log.retention.minutes=2", "log.retention.ms=3"];
    assert_eq!(retention(&all), Some(3));
    assert_eq!(retention(&["log.retention.minutes=-5"]), None);
    assert_eq!(retention(&["log.retention.ms=-1"]), None);
    let config = topic(&broker(&["log.roll.hours=2", "log.roll.jitter.hours=1"]), &[]);
    assert_eq!((config.segment_ms, config.segment_jitter_ms), (7_200_000, 3_600_000));
    let config = topic(&broker(&["log.roll.ms=5", "log.roll.jitter.ms=1"]), &[]);
    assert_eq!((config.segment_ms, config.segment_jitter_ms), (5, 1));
    let config = topic(&broker(&["log.flush.scheduler.interval.ms=7"]), &[]);
    assert_eq!(config.flush_ms, 7);
}

#[test]
fn a_topics_own_settings_win() {
    let broker = broker(&["log.segment.bytes=2000000", "compression.type=gzip"]);
    let config = topic(
        &broker,
        &[
            ("segment.bytes", "3000000"),
            ("cleanup.policy", "compact, delete"),
            ("compression.type", "zstd"),
            ("compression.zstd.level", "7"),
            ("retention.ms", "-1"),
            ("message.timestamp.type", "LogAppendTime"),
            ("leader.replication.throttled.replicas", "0:1,2:3"),
            ("follower.replication.throttled.replicas", "*"),
            ("no.such.key", "is passed over"),
        ],
    );
    assert_eq!(config.segment_bytes, 3_000_000);
    assert_eq!(config.cleanup_policy, CleanupPolicy { compact: true, delete: true });
    assert_eq!(config.compression, Compression::Zstd(7));
    assert_eq!(config.retention_ms, None);
    assert_eq!(config.timestamp_type, TimestampType::LogAppendTime);
    assert_eq!(config.leader_throttled, ThrottledReplicas::Some(vec![(0, 1), (2, 3)]));
    assert_eq!(config.follower_throttled, ThrottledReplicas::All);
    assert_eq!(topic(&broker, &[]).compression, Compression::Gzip(-1));
    assert_eq!(topic(&broker, &[("internal.segment.bytes", "100")]).segment_bytes, 100);
}

#[test]
fn a_bad_setting_is_refused() {
    let overrides = BTreeMap::from([("segment.bytes".to_owned(), "1".to_owned())]);
    let error = LogConfig::resolve(&broker(&[]), &overrides).expect_err("too small");
    assert_eq!(
        error.to_string(),
        "Invalid value 1 for configuration segment.bytes: Value must be at least 1048576"
    );
}
