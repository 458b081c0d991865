//! Dynamic configurations by resource.

use std::collections::BTreeMap;
use std::sync::Arc;

/// What kind of thing a configuration belongs to; the numbers are those of the wire and of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(i8)]
pub enum ResourceType {
    /// A topic, by name.
    Topic = 2,
    /// A broker by its id in decimal, or the default of all brokers by the empty name.
    Broker = 4,
    /// A broker's loggers. Never recorded.
    BrokerLogger = 8,
    /// A subscription of client metrics (KIP-714).
    ClientMetrics = 16,
    /// A group.
    Group = 32,
}

impl ResourceType {
    /// The type with this code, if there is one.
    #[must_use]
    pub fn from_code(code: i8) -> Option<Self> {
        Some(match code {
            2 => Self::Topic,
            4 => Self::Broker,
            8 => Self::BrokerLogger,
            16 => Self::ClientMetrics,
            32 => Self::Group,
            _ => return None,
        })
    }

    /// The code on the wire and in records.
    #[must_use]
    pub fn code(self) -> i8 {
        self as i8
    }

    /// Kafka's name of the type, as in error messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Topic => "TOPIC",
            Self::Broker => "BROKER",
            Self::BrokerLogger => "BROKER_LOGGER",
            Self::ClientMetrics => "CLIENT_METRICS",
            Self::Group => "GROUP",
        }
    }
}

/// A resource that can be configured.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConfigResource {
    /// Its kind.
    pub kind: ResourceType,
    /// Its name. Empty with [`ResourceType::Broker`]: the default of all brokers.
    pub name: Arc<str>,
}

impl ConfigResource {
    /// The resource of this kind and name.
    #[must_use]
    pub fn new(kind: ResourceType, name: &str) -> Self {
        Self { kind, name: name.into() }
    }

    /// A topic.
    #[must_use]
    pub fn topic(name: &str) -> Self {
        Self::new(ResourceType::Topic, name)
    }

    /// One broker.
    #[must_use]
    pub fn broker(id: i32) -> Self {
        Self::new(ResourceType::Broker, &id.to_string())
    }

    /// The default of all brokers.
    #[must_use]
    pub fn all_brokers() -> Self {
        Self::new(ResourceType::Broker, "")
    }
}

/// The values set on one resource: key and value.
pub type ConfigValues = BTreeMap<String, String>;
