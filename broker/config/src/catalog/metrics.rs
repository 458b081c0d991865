//! Keys of metrics and of client telemetry.

use crate::catalog::{keys, why};
use crate::key::{Names, Text};
use crate::valid::{Emptiness, Valid};

keys! {
    /// How often Kafka's own reporters are polled.
    KAFKA_METRICS_POLLING_INTERVAL_SECS: i32 = "kafka.metrics.polling.interval.secs",
        .default("10").min(1).low().no_effect(why::REPORTERS);
    /// Java classes that Kafka reports its older metrics to.
    KAFKA_METRICS_REPORTERS: Names = "kafka.metrics.reporters",
        .default("").valid(Valid::Distinct(&[], Emptiness::Allowed)).low()
        .no_effect(why::REPORTERS);
    /// Java classes that Kafka reports its metrics to.
    METRIC_REPORTERS: Names = "metric.reporters",
        .default("org.apache.kafka.common.metrics.JmxReporter")
        .valid(Valid::Distinct(&[], Emptiness::Allowed)).low().cluster_wide()
        .no_effect(why::REPORTERS);
    /// Samples that make up a windowed metric.
    METRICS_NUM_SAMPLES: i32 = "metrics.num.samples", .default("2").min(1).low()
        .planned(why::METRICS);
    /// Least level of metrics that are recorded: INFO, DEBUG or TRACE.
    METRICS_RECORDING_LEVEL: Text = "metrics.recording.level", .default("INFO").low()
        .planned(why::METRICS);
    /// Length of one sample of a windowed metric.
    METRICS_SAMPLE_WINDOW_MS: i64 = "metrics.sample.window.ms", .default("30000").min(1).low()
        .planned(why::METRICS);
    /// Most bytes of metrics that a client may push at once, compressed.
    TELEMETRY_MAX_BYTES: i32 = "telemetry.max.bytes", .default("1048576").min(1).low();
}
