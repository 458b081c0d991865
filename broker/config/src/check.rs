//! What several keys must say together, as Kafka checks it at start.

use crate::broker::{Listeners, Roles};
use crate::key::{Key, Names};
use crate::keys;
use crate::listener::{self, Listener, ListenerError, ListenerName, PortRule, SecurityProtocol};
use crate::quorum::HostPort;
use crate::settings::Settings;

/// A broken rule: the key to change, and what it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Conflict {
    pub(crate) key: &'static str,
    pub(crate) rule: String,
    kafka: Option<String>,
}

impl Conflict {
    fn new(key: &'static str, rule: impl Into<String>) -> Conflict {
        Conflict { key, rule: rule.into(), kafka: None }
    }

    /// Adds what Kafka answers to a dynamic change that breaks the rule.
    fn in_kafka(self, message: impl Into<String>) -> Conflict {
        Conflict { kafka: Some(message.into()), ..self }
    }

    /// The answer to a dynamic change that breaks the rule.
    pub(crate) fn kafka(self) -> String {
        self.kafka.unwrap_or_else(|| format!("requirement failed: {} {}", self.key, self.rule))
    }
}

fn require(holds: bool, key: &'static str, rule: impl FnOnce() -> String) -> Result<(), Conflict> {
    if holds { Ok(()) } else { Err(Conflict::new(key, rule())) }
}

/// Reads `process.roles`.
pub(crate) fn roles(settings: &Settings) -> Roles {
    let names = settings.get(keys::PROCESS_ROLES);
    let has = |role: &str| names.iter().any(|name| name == role);
    match (has("broker"), has("controller")) {
        (true, true) => Roles::Combined,
        (_, false) => Roles::Broker,
        (false, true) => Roles::Controller,
    }
}

/// Which of the keys about listeners were given at all: some mean something else when they were
/// not.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GivenKeys {
    pub(crate) protocol_map: bool,
    pub(crate) inter_broker_protocol: bool,
}

/// Puts together everything that is said about listeners.
pub(crate) fn listeners(
    settings: &Settings,
    roles: Roles,
    given: GivenKeys,
) -> Result<Listeners, Conflict> {
    let controller: Vec<ListenerName> = settings
        .get(keys::CONTROLLER_LISTENER_NAMES)
        .iter()
        .map(|name| ListenerName::new(name))
        .collect();
    let entries = settings.get(keys::LISTENERS);
    let conflict = |key: &'static str| {
        move |error: ListenerError| {
            Conflict::new(key, error.to_string()).in_kafka(error.in_kafka(entries))
        }
    };
    let mut protocols =
        listener::parse_protocol_map(settings.get(keys::LISTENER_SECURITY_PROTOCOL_MAP))
            .map_err(conflict(keys::LISTENER_SECURITY_PROTOCOL_MAP.name()))?;
    if !given.protocol_map && !uses_security(entries, &controller) {
        for name in &controller {
            protocols.entry(name.clone()).or_insert(SecurityProtocol::Plaintext);
        }
    }
    let all = listener::parse_listeners(entries, &protocols, PortRule::Distinct)
        .map_err(conflict(keys::LISTENERS.name()))?;
    let told = match settings.get(keys::ADVERTISED_LISTENERS) {
        Some(entries) => listener::parse_listeners(entries, &protocols, PortRule::MayRepeat)
            .map_err(conflict(keys::ADVERTISED_LISTENERS.name()))?,
        None => all.clone(),
    };
    let is_controllers = |l: &Listener| controller.contains(&l.name);
    let advertised: Vec<Listener> = told.iter().filter(|l| !is_controllers(l)).cloned().collect();
    // A controller's listener that is not advertised is told as it is.
    let advertised_controller: Vec<Listener> = all
        .iter()
        .filter(|l| is_controllers(l))
        .map(|l| told.iter().find(|t| t.name == l.name).unwrap_or(l).clone())
        .collect();
    let inter_broker = inter_broker(settings, given, &protocols)?;
    let listeners =
        Listeners { all, advertised, advertised_controller, protocols, inter_broker, controller };
    check_listeners(&listeners, roles)?;
    let early = settings.get(keys::EARLY_START_LISTENERS).unwrap_or_default();
    let known = |name: &str| {
        let of_node = listeners.all.iter().map(|listener| &listener.name);
        of_node.chain(&listeners.controller).any(|listener| listener.as_str() == name)
    };
    let stray = early.iter().find(|name| !known(name));
    require(stray.is_none(), keys::EARLY_START_LISTENERS.name(), || {
        format!("may only name listeners; {} is none", stray.map_or("", |name| name))
    })?;
    Ok(listeners)
}

/// True if a listener is named like a security protocol other than PLAINTEXT: then Kafka gives
/// controllers' listeners no protocol by itself.
fn uses_security(entries: &[String], controller: &[ListenerName]) -> bool {
    let secure = |name: &str| matches!(name, "SSL" | "SASL_PLAINTEXT" | "SASL_SSL");
    let named = |entry: &String| {
        entry.split_once("://").is_some_and(|(name, _)| secure(&name.to_uppercase()))
    };
    entries.iter().any(named) || controller.iter().any(|name| secure(name.as_str()))
}

fn inter_broker(
    settings: &Settings,
    given: GivenKeys,
    protocols: &listener::ProtocolMap,
) -> Result<ListenerName, Conflict> {
    let key = keys::INTER_BROKER_LISTENER_NAME.name();
    let Some(name) = settings.get(keys::INTER_BROKER_LISTENER_NAME) else {
        return Ok(ListenerName::new(settings.get(keys::SECURITY_INTER_BROKER_PROTOCOL)));
    };
    require(!given.inter_broker_protocol, key, || {
        "only one of this and security.inter.broker.protocol may be set".to_owned()
    })?;
    let name = ListenerName::new(name);
    require(protocols.contains_key(&name), key, || {
        "must have an entry in listener.security.protocol.map".to_owned()
    })?;
    Ok(name)
}

fn check_listeners(l: &Listeners, roles: Roles) -> Result<(), Conflict> {
    let controllers = keys::CONTROLLER_LISTENER_NAMES.name();
    let listens = |name: &ListenerName| l.all.iter().any(|listener| listener.name == *name);
    if roles.is_controller() {
        require(l.controller.iter().any(listens), controllers, || {
            "must name a listener of `listeners`, because process.roles has controller".to_owned()
        })
        .map_err(|c| {
            c.in_kafka(
                "requirement failed: controller.listener.names must contain at least one value \
                 appearing in the 'listeners' configuration when running the KRaft controller role",
            )
        })?;
        require(l.controller.iter().all(listens), controllers, || {
            "may only name listeners of `listeners`, because process.roles has controller"
                .to_owned()
        })?;
    } else {
        require(!l.controller.iter().any(listens), controllers, || {
            "may not name a listener of `listeners`, because process.roles has no controller"
                .to_owned()
        })?;
    }
    if !roles.is_broker() {
        let foreign = l.all.iter().find(|listener| !l.controller.contains(&listener.name));
        return match foreign {
            Some(listener) => Err(Conflict::new(
                keys::LISTENERS.name(),
                format!(
                    "may only have listeners of controller.listener.names, because process.roles \
                     has no broker; {} is none",
                    listener.name
                ),
            )),
            None => Ok(()),
        };
    }
    require(!l.advertised.is_empty(), keys::ADVERTISED_LISTENERS.name(), || {
        "must leave at least one listener for brokers; are all of them in \
         controller.listener.names?"
            .to_owned()
    })?;
    for listener in &l.advertised {
        require(listener.address.host != "0.0.0.0", keys::ADVERTISED_LISTENERS.name(), || {
            format!("may not use 0.0.0.0, to which nobody can connect; listener {}", listener.name)
        })?;
    }
    let inter_broker = keys::INTER_BROKER_LISTENER_NAME.name();
    require(l.advertised.iter().any(|a| a.name == l.inter_broker), inter_broker, || {
        let names: Vec<&str> = l.advertised.iter().map(|a| a.name.as_str()).collect();
        format!("must be an advertised listener; there are {}", names.join(", "))
    })
}

/// The mechanism that brokers use among themselves must be one that they offer.
pub(crate) fn inter_broker_sasl(
    s: &Settings,
    roles: Roles,
    listeners: &Listeners,
) -> Result<(), Conflict> {
    let protocol = listeners.protocols.get(&listeners.inter_broker);
    if !roles.is_broker() || !protocol.is_some_and(|protocol| protocol.uses_sasl()) {
        return Ok(());
    }
    let key = keys::SASL_MECHANISM_INTER_BROKER_PROTOCOL;
    let offered = s.get(keys::SASL_ENABLED_MECHANISMS);
    require(offered.iter().any(|mechanism| mechanism == s.get(key)), key.name(), || {
        format!("must be one of sasl.enabled.mechanisms={}", offered.join(","))
    })
}

/// The log directories, each once, in their order.
pub(crate) fn log_dirs(settings: &Settings) -> Vec<String> {
    let given = settings.get(keys::LOG_DIRS).unwrap_or_else(|| settings.get(keys::LOG_DIR));
    let mut dirs: Vec<String> = Vec::with_capacity(given.len());
    for dir in given {
        if !dirs.contains(dir) {
            dirs.push(dir.clone());
        }
    }
    dirs
}

/// Every rule over the values of several keys, but for those on listeners.
pub(crate) fn values(s: &Settings, roles: Roles) -> Result<(), Conflict> {
    quorum(s, roles)?;
    logs(s)?;
    sockets(s)?;
    replication(s)?;
    groups(s)
}

fn quorum(s: &Settings, roles: Roles) -> Result<(), Conflict> {
    let voters = s.get(keys::CONTROLLER_QUORUM_VOTERS);
    let key = keys::CONTROLLER_QUORUM_VOTERS.name();
    let bootstrap = s.get(keys::CONTROLLER_QUORUM_BOOTSTRAP_SERVERS);
    require(!voters.is_empty() || !bootstrap.is_empty(), key, || {
        "must name the voters, or controller.quorum.bootstrap.servers where to find them".to_owned()
    })?;
    let node = s.get(keys::NODE_ID);
    let own = format!("{node}@");
    let listed = voters.iter().any(|voter| voter.starts_with(&own));
    if !voters.is_empty() && roles.is_controller() {
        require(listed, key, || {
            format!("must name node.id {node}, because process.roles has controller")
        })?;
    }
    if !voters.is_empty() && !roles.is_controller() {
        require(!listed, key, || {
            format!("may not name node.id {node}, because process.roles has no controller")
        })?;
    }
    let join = keys::CONTROLLER_QUORUM_AUTO_JOIN_ENABLE;
    require(!s.get(join) || roles.is_controller(), join.name(), || {
        "may only be true if process.roles has controller".to_owned()
    })
}

fn logs(s: &Settings) -> Result<(), Conflict> {
    let dirs = log_dirs(s);
    let cordoned = s.get(keys::CORDONED_LOG_DIRS);
    let key = keys::CORDONED_LOG_DIRS.name();
    if cordoned.iter().any(|dir| dir == "*") {
        require(cordoned.len() == 1, key, || "`*` must stand alone".to_owned()).map_err(|c| {
            c.in_kafka(
                "requirement failed: When cordoned.log.dirs is set to *, it must not contain \
                 other values",
            )
        })?;
    } else {
        let stray: Vec<&str> =
            cordoned.iter().filter(|dir| !dirs.contains(*dir)).map(String::as_str).collect();
        require(stray.is_empty(), key, || {
            format!("may only name directories of log.dirs, unlike {}", stray.join(","))
        })
        .map_err(|c| {
            c.in_kafka(format!(
                "requirement failed: All entries in cordoned.log.dirs must be present in log.dirs \
                 or log.dir. Missing entries : {}",
                stray.join(", ")
            ))
        })?;
    }
    let retention = [
        (keys::LOG_RETENTION_MS.name(), s.get(keys::LOG_RETENTION_MS)),
        (keys::LOG_RETENTION_MINUTES.name(), s.get(keys::LOG_RETENTION_MINUTES).map(i64::from)),
        (keys::LOG_RETENTION_HOURS.name(), Some(i64::from(s.get(keys::LOG_RETENTION_HOURS)))),
    ];
    if let Some((key, limit)) = retention.iter().find_map(|(key, limit)| Some((*key, (*limit)?))) {
        require(limit != 0, key, || "must be -1 for no limit, or at least 1".to_owned()).map_err(
            |c| {
                c.in_kafka(
                    "requirement failed: log.retention.ms must be unlimited (-1) or, greater than \
                     or equal to 1",
                )
            },
        )?;
    }
    require(s.get(keys::LOG_ROLL_MS).is_none_or(|ms| ms >= 1), keys::LOG_ROLL_MS.name(), || {
        "must be at least 1".to_owned()
    })
    .map_err(|c| {
        c.in_kafka("requirement failed: log.roll.ms must be greater than or equal to 1")
    })?;
    let jitter = keys::LOG_ROLL_JITTER_MS;
    require(s.get(jitter).is_none_or(|ms| ms >= 0), jitter.name(), || {
        "must be at least 0".to_owned()
    })
    .map_err(|c| {
        c.in_kafka("requirement failed: log.roll.jitter.ms must be greater than or equal to 0")
    })?;
    let threads = i64::from(s.get(keys::LOG_CLEANER_THREADS));
    let buffer = keys::LOG_CLEANER_DEDUPE_BUFFER_SIZE;
    require(threads > 0, keys::LOG_CLEANER_THREADS.name(), || "must be at least 1".to_owned())?;
    require(s.get(buffer) / threads > 1 << 20, buffer.name(), || {
        format!("must be more than 1048576 for each of log.cleaner.threads={threads}")
    })
    .map_err(|c| {
        c.in_kafka(
            "requirement failed: log.cleaner.dedupe.buffer.size must be at least 1MB per cleaner \
             thread.",
        )
    })?;
    let codec = keys::OFFSETS_TOPIC_COMPRESSION_CODEC;
    require((0..=4).contains(&s.get(codec)), codec.name(), || {
        "must be 0 (none), 1 (gzip), 2 (snappy), 3 (lz4) or 4 (zstd)".to_owned()
    })?;
    let codec = keys::SHARE_COORDINATOR_STATE_TOPIC_COMPRESSION_CODEC;
    require((0..=4).contains(&s.get(codec)), codec.name(), || {
        "must be 0 (none), 1 (gzip), 2 (snappy), 3 (lz4) or 4 (zstd)".to_owned()
    })
}

/// Reads an entry of `http.listeners`.
pub(crate) fn http_listener(entry: &str) -> Option<HostPort> {
    HostPort::parse(entry.strip_prefix("http://")?.trim_end_matches('/'))
}

/// Reads `max.connections.per.ip.overrides`; the error is an entry that is not `address:count`.
pub(crate) fn ip_overrides(text: &str) -> Result<Vec<(String, i32)>, String> {
    let read = |entry: String| {
        let (address, count) = entry.rsplit_once(':')?;
        let known = |c: char| c.is_ascii_alphanumeric() || "-._%:".contains(c);
        let address = address.trim();
        let count = count.trim().parse().ok()?;
        (!address.is_empty() && address.chars().all(known)).then(|| (address.to_owned(), count))
    };
    crate::value::split_list(text)
        .into_iter()
        .map(|entry| read(entry.clone()).ok_or(entry))
        .collect()
}

fn sockets(s: &Settings) -> Result<(), Conflict> {
    let delay = i64::from(s.get(keys::CONNECTION_FAILED_AUTHENTICATION_DELAY_MS));
    let idle = keys::CONNECTIONS_MAX_IDLE_MS;
    require(s.get(idle) < 0 || delay < s.get(idle), idle.name(), || {
        format!("must be more than connection.failed.authentication.delay.ms={delay}")
    })?;
    let http = keys::HTTP_LISTENERS;
    let wrong = s.get(http).iter().find(|entry| http_listener(entry).is_none());
    require(wrong.is_none(), http.name(), || {
        format!("must be http://host:port entries; {:?} is none", wrong.map_or("", |w| w))
    })?;
    let queued = keys::QUEUED_MAX_REQUEST_BYTES;
    let largest = i64::from(s.get(keys::SOCKET_REQUEST_MAX_BYTES));
    let bytes = s.get(queued);
    require(bytes <= 0 || bytes >= largest, queued.name(), || {
        format!("must be at least socket.request.max.bytes={largest}, or -1")
    })?;
    let overrides = keys::MAX_CONNECTIONS_PER_IP_OVERRIDES;
    let text = s.get(overrides);
    ip_overrides(text).map_err(|entry| {
        let rule = format!("must be address:count entries; {entry:?} is none");
        let name = overrides.name();
        let answer = format!(
            "Error parsing configuration property '{name}': {entry:?} is not address:count"
        );
        Conflict::new(name, rule).in_kafka(answer)
    })?;
    let per_ip = keys::MAX_CONNECTIONS_PER_IP;
    require(s.get(per_ip) > 0 || !text.is_empty(), per_ip.name(), || {
        "may only be 0 if max.connections.per.ip.overrides is set".to_owned()
    })
    .map_err(|c| {
        c.in_kafka(
            "requirement failed: max.connections.per.ip can be set to zero only if \
             max.connections.per.ip.overrides property is set.",
        )
    })
}

fn replication(s: &Settings) -> Result<(), Conflict> {
    let wait = i64::from(s.get(keys::REPLICA_FETCH_WAIT_MAX_MS));
    let key = keys::REPLICA_FETCH_WAIT_MAX_MS.name();
    let lag = s.get(keys::REPLICA_LAG_TIME_MAX_MS);
    require(wait <= lag, key, || format!("must be at most replica.lag.time.max.ms={lag}"))?;
    let timeout = s.get(keys::REPLICA_SOCKET_TIMEOUT_MS);
    require(wait <= i64::from(timeout), key, || {
        format!("must be at most replica.socket.timeout.ms={timeout}")
    })
}

/// `least <= key <= most`, and `least <= most`.
fn bounded(s: &Settings, least: Key<i32>, key: Key<i32>, most: Key<i32>) -> Result<(), Conflict> {
    at_most(s, least, most)?;
    at_most(s, least, key)?;
    at_most(s, key, most).map_err(|c| {
        c.in_kafka(format!("{} must be less than or equal to {}", key.name(), most.name()))
    })
}

fn at_most(s: &Settings, lower: Key<i32>, upper: Key<i32>) -> Result<(), Conflict> {
    let least = s.get(lower);
    require(least <= s.get(upper), upper.name(), || {
        format!("must be at least {}={least}", lower.name())
    })
    .map_err(|c| {
        c.in_kafka(format!("{} must be greater than or equal to {}", upper.name(), lower.name()))
    })
}

fn below(s: &Settings, lower: Key<i32>, upper: Key<i32>) -> Result<(), Conflict> {
    let limit = s.get(upper);
    require(s.get(lower) < limit, lower.name(), || {
        format!("must be less than {}={limit}", upper.name())
    })
}

/// Assignors are named by word, or by the class that Kafka has for it.
fn built_in(s: &Settings, key: Key<Names>, words: &[&str]) -> Result<(), Conflict> {
    let is_built_in = |name: &str| {
        let class = name.strip_prefix("org.apache.kafka.coordinator.group.assignor.");
        let word = class.and_then(|class| class.strip_suffix("Assignor")).map(str::to_lowercase);
        words.contains(&word.as_deref().unwrap_or(name))
    };
    let stray = s.get(key).iter().find(|name| !is_built_in(name));
    require(stray.is_none(), key.name(), || {
        let stray = stray.map_or("", |name| name);
        format!("may only name built-in assignors ({}); {stray} is none", words.join(", "))
    })
}

fn groups(s: &Settings) -> Result<(), Conflict> {
    use keys as k;
    for (least, key, most) in [
        (
            k::GROUP_CONSUMER_MIN_HEARTBEAT_INTERVAL_MS,
            k::GROUP_CONSUMER_HEARTBEAT_INTERVAL_MS,
            k::GROUP_CONSUMER_MAX_HEARTBEAT_INTERVAL_MS,
        ),
        (
            k::GROUP_CONSUMER_MIN_SESSION_TIMEOUT_MS,
            k::GROUP_CONSUMER_SESSION_TIMEOUT_MS,
            k::GROUP_CONSUMER_MAX_SESSION_TIMEOUT_MS,
        ),
        (
            k::GROUP_CONSUMER_MIN_ASSIGNMENT_INTERVAL_MS,
            k::GROUP_CONSUMER_ASSIGNMENT_INTERVAL_MS,
            k::GROUP_CONSUMER_MAX_ASSIGNMENT_INTERVAL_MS,
        ),
        (
            k::GROUP_SHARE_MIN_HEARTBEAT_INTERVAL_MS,
            k::GROUP_SHARE_HEARTBEAT_INTERVAL_MS,
            k::GROUP_SHARE_MAX_HEARTBEAT_INTERVAL_MS,
        ),
        (
            k::GROUP_SHARE_MIN_SESSION_TIMEOUT_MS,
            k::GROUP_SHARE_SESSION_TIMEOUT_MS,
            k::GROUP_SHARE_MAX_SESSION_TIMEOUT_MS,
        ),
        (
            k::GROUP_SHARE_MIN_ASSIGNMENT_INTERVAL_MS,
            k::GROUP_SHARE_ASSIGNMENT_INTERVAL_MS,
            k::GROUP_SHARE_MAX_ASSIGNMENT_INTERVAL_MS,
        ),
        (
            k::GROUP_SHARE_MIN_RECORD_LOCK_DURATION_MS,
            k::GROUP_SHARE_RECORD_LOCK_DURATION_MS,
            k::GROUP_SHARE_MAX_RECORD_LOCK_DURATION_MS,
        ),
        (
            k::GROUP_SHARE_MIN_DELIVERY_COUNT_LIMIT,
            k::GROUP_SHARE_DELIVERY_COUNT_LIMIT,
            k::GROUP_SHARE_MAX_DELIVERY_COUNT_LIMIT,
        ),
        (
            k::GROUP_SHARE_MIN_PARTITION_MAX_RECORD_LOCKS,
            k::GROUP_SHARE_PARTITION_MAX_RECORD_LOCKS,
            k::GROUP_SHARE_MAX_PARTITION_MAX_RECORD_LOCKS,
        ),
        (
            k::GROUP_STREAMS_MIN_HEARTBEAT_INTERVAL_MS,
            k::GROUP_STREAMS_HEARTBEAT_INTERVAL_MS,
            k::GROUP_STREAMS_MAX_HEARTBEAT_INTERVAL_MS,
        ),
        (
            k::GROUP_STREAMS_MIN_SESSION_TIMEOUT_MS,
            k::GROUP_STREAMS_SESSION_TIMEOUT_MS,
            k::GROUP_STREAMS_MAX_SESSION_TIMEOUT_MS,
        ),
        (
            k::GROUP_STREAMS_MIN_ASSIGNMENT_INTERVAL_MS,
            k::GROUP_STREAMS_ASSIGNMENT_INTERVAL_MS,
            k::GROUP_STREAMS_MAX_ASSIGNMENT_INTERVAL_MS,
        ),
    ] {
        bounded(s, least, key, most)?;
    }
    at_most(s, k::GROUP_STREAMS_NUM_STANDBY_REPLICAS, k::GROUP_STREAMS_MAX_STANDBY_REPLICAS)?;
    at_most(s, k::GROUP_SHARE_MAX_SIZE, k::GROUP_SHARE_MAX_SHARE_SESSIONS)?;
    below(s, k::GROUP_CONSUMER_HEARTBEAT_INTERVAL_MS, k::GROUP_CONSUMER_SESSION_TIMEOUT_MS)?;
    below(s, k::GROUP_SHARE_HEARTBEAT_INTERVAL_MS, k::GROUP_SHARE_SESSION_TIMEOUT_MS)?;
    below(s, k::GROUP_STREAMS_HEARTBEAT_INTERVAL_MS, k::GROUP_STREAMS_SESSION_TIMEOUT_MS)?;
    built_in(s, k::GROUP_CONSUMER_ASSIGNORS, &["uniform", "range"])?;
    let assignors = k::GROUP_SHARE_ASSIGNORS;
    let count = s.get(assignors).len();
    require(count == 1, assignors.name(), || format!("must have exactly one entry, not {count}"))?;
    built_in(s, assignors, &["simple"])?;
    let protocols = k::GROUP_COORDINATOR_REBALANCE_PROTOCOLS;
    require(s.get(protocols).iter().any(|p| p == "classic"), protocols.name(), || {
        "must have `classic`, which cannot be turned off".to_owned()
    })
}
