//! The loggers of this broker, as the resource BROKER_LOGGER (KIP-412).

use ottla_config::{ConfigSource, ConfigType, DescribeOptions, Described};

/// The one logger that there is: the root.
const ROOT: &str = "root";

/// Describes them.
pub(crate) fn describe(options: DescribeOptions<'_>) -> Vec<Described> {
    let level = tracing::level_filters::LevelFilter::current();
    let wanted = options.names.is_none_or(|names| names.iter().any(|name| name == ROOT));
    let root = Described {
        name: ROOT.to_owned(),
        value: Some(level.to_string().to_uppercase()),
        read_only: true,
        source: ConfigSource::DynamicBrokerLogger,
        sensitive: false,
        synonyms: Vec::new(),
        kind: Some(ConfigType::Str),
        documentation: None,
    };
    wanted.then_some(root).into_iter().collect()
}
