//! One subscription as it is asked of clients.

use std::collections::{BTreeMap, BTreeSet};

use ottla_config::{ClientAttribute, ClientMetricsConfig};
use ottla_wire::Uuid;
use regex::Regex;

use crate::instances::Client;

/// What one subscription asks of which clients.
#[derive(Clone, Debug)]
pub struct Subscription {
    /// Prefixes of the metrics asked for; `*` is all.
    pub(crate) metrics: BTreeSet<String>,
    /// How often they are to be pushed, in milliseconds.
    pub(crate) interval_ms: i32,
    patterns: BTreeMap<ClientAttribute, Regex>,
}

impl Subscription {
    /// The subscription of these settings.
    ///
    /// # Errors
    /// When a pattern is larger once compiled than is good for a node.
    pub fn new(config: &ClientMetricsConfig) -> Result<Self, regex::Error> {
        let mut patterns = BTreeMap::new();
        for (attribute, pattern) in &config.matches {
            // The line's end closes a comment that the pattern may end in.
            let whole = Regex::new(&format!(r"\A(?:{pattern})\z"))
                .or_else(|_| Regex::new(&format!("\\A(?:{pattern}\n)\\z")))?;
            patterns.insert(*attribute, whole);
        }
        let metrics = config.metrics.iter().cloned().collect();
        Ok(Self { metrics, interval_ms: config.interval_ms, patterns })
    }

    /// Whether a client is meant: each pattern matches the whole of its attribute. What a client
    /// has not said matches nothing.
    pub(crate) fn is_for(&self, instance: Uuid, client: &Client<'_>) -> bool {
        self.patterns.iter().all(|(attribute, pattern)| {
            let is = |text: &str| pattern.is_match(text);
            match attribute {
                ClientAttribute::InstanceId => is(&instance.to_string()),
                ClientAttribute::ClientId => is(client.id),
                ClientAttribute::SoftwareName => client.software_name.is_some_and(is),
                ClientAttribute::SoftwareVersion => client.software_version.is_some_and(is),
                ClientAttribute::SourceAddress => is(client.address),
                ClientAttribute::SourcePort => is(&client.port.to_string()),
            }
        })
    }
}
