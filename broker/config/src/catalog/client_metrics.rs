//! Keys of a client metrics subscription (KIP-714).

use crate::catalog::keys;
use crate::key::Names;
use crate::valid::{Emptiness, Valid};

keys! {
    /// How often clients push their metrics.
    INTERVAL_MS: i32 = "interval.ms", .default("300000");
    /// Which clients the subscription is for, as `attribute=pattern` entries; all when empty.
    MATCH: Names = "match", .default("").valid(Valid::Distinct(&[], Emptiness::Allowed));
    /// Prefixes of the metrics that are asked for; `*` is all.
    METRICS: Names = "metrics", .default("").valid(Valid::Distinct(&[], Emptiness::Allowed));
}
