//! The options of `ottla configs`, and which of them go together.

use std::collections::BTreeMap;
use std::net::ToSocketAddrs;

use clap::Parser;

use crate::tool::cluster::properties;
use crate::tool::connect::{Failure, joined};

/// Shows and changes configurations, quotas and credentials.
#[derive(Parser, Debug, Default)]
#[command(name = "kafka-configs", version, infer_long_args = true)]
pub(super) struct Configs {
    /// Brokers to ask, as host:port,host:port.
    #[arg(long)]
    pub(super) bootstrap_server: Option<String>,
    /// Controllers to ask, as host:port,host:port.
    #[arg(long)]
    pub(super) bootstrap_controller: Option<String>,
    /// A file with properties of the client.
    #[arg(long)]
    pub(super) command_config: Option<String>,
    /// Change configurations.
    #[arg(long)]
    alter: bool,
    /// Show configurations.
    #[arg(long)]
    describe: bool,
    /// Show all keys, not only those that are set.
    #[arg(long)]
    all: bool,
    /// topics, clients, users, brokers, ips, client-metrics, groups or broker-loggers. Twice for users with clients.
    #[arg(long)]
    entity_type: Vec<String>,
    /// The name of a topic, client, user, broker, address, subscription or group, in the order of the types.
    #[arg(long)]
    entity_name: Vec<String>,
    /// The default of clients, users, brokers or addresses.
    #[arg(long, action = clap::ArgAction::Count)]
    entity_default: u8,
    /// Keys and values to be set, as k1=v1,k2=[v1,v2],k3=v3.
    #[arg(long)]
    add_config: Option<String>,
    /// A file with keys and values to be set.
    #[arg(long)]
    add_config_file: Option<String>,
    /// Keys to be taken away, as k1,k2.
    #[arg(long)]
    delete_config: Vec<String>,
    /// A topic.
    #[arg(long)]
    topic: Option<String>,
    /// A client id.
    #[arg(long)]
    client: Option<String>,
    /// The default of all client ids.
    #[arg(long)]
    client_defaults: bool,
    /// A user.
    #[arg(long)]
    user: Option<String>,
    /// The default of all users.
    #[arg(long)]
    user_defaults: bool,
    /// A broker.
    #[arg(long)]
    broker: Option<String>,
    /// The default of all brokers.
    #[arg(long)]
    broker_defaults: bool,
    /// The loggers of a broker.
    #[arg(long)]
    broker_logger: Option<String>,
    /// An address that clients connect from.
    #[arg(long)]
    ip: Option<String>,
    /// The default of all addresses.
    #[arg(long)]
    ip_defaults: bool,
    /// A group.
    #[arg(long)]
    group: Option<String>,
    /// A subscription of client metrics.
    #[arg(long)]
    client_metrics: Option<String>,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Describe,
    Alter,
}

/// Which keys are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keys {
    /// Those that are set.
    Set,
    /// All.
    All,
}

/// What can be configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Topics,
    Clients,
    Users,
    Brokers,
    Ips,
    ClientMetrics,
    Groups,
    BrokerLoggers,
}

impl Kind {
    const ALL: [Self; 8] = [
        Self::Topics,
        Self::Clients,
        Self::Users,
        Self::Brokers,
        Self::Ips,
        Self::ClientMetrics,
        Self::Groups,
        Self::BrokerLoggers,
    ];

    /// Its name on the command line.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Topics => "topics",
            Self::Clients => "clients",
            Self::Users => "users",
            Self::Brokers => "brokers",
            Self::Ips => "ips",
            Self::ClientMetrics => "client-metrics",
            Self::Groups => "groups",
            Self::BrokerLoggers => "broker-loggers",
        }
    }

    /// One of it, in messages: the name without its last letter.
    pub(super) fn one(self) -> &'static str {
        let name = self.name();
        name.get(..name.len() - 1).unwrap_or(name)
    }
}

/// Something to be shown or changed: its kind and name; no name is all of the kind, the empty one the default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entity {
    pub(super) kind: Kind,
    pub(super) name: Option<String>,
}

/// A command line that makes sense.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request {
    /// One entity, or a user and a client.
    pub(super) entities: Vec<Entity>,
    pub(super) keys: Keys,
    pub(super) added: BTreeMap<String, String>,
    pub(super) deleted: Vec<String>,
}

impl Request {
    /// The entity that messages name.
    pub(super) fn head(&self) -> Entity {
        let first = self.entities.first().cloned();
        first.unwrap_or(Entity { kind: Kind::Topics, name: None })
    }

    /// Whether a kind is among the entities.
    pub(super) fn is_of(&self, kind: Kind) -> bool {
        self.entities.iter().any(|e| e.kind == kind)
    }
}

impl Configs {
    /// The one action of the command line.
    pub(super) fn action(&self) -> Result<Action, String> {
        match (self.describe, self.alter) {
            (true, false) => Ok(Action::Describe),
            (false, true) => Ok(Action::Alter),
            _ => Err("Command must include exactly one action: --describe, --alter".to_owned()),
        }
    }

    /// What is asked for, if the options go together. `args` tell in which order names and defaults stand.
    pub(super) fn request(&self, args: &[String], action: Action) -> Result<Request, Failure> {
        let types = self.types();
        let mut sorted = types.clone();
        sorted.sort_unstable();
        if let Some(twice) =
            sorted.windows(2).find_map(|w| (w.first() == w.last()).then(|| w.first()))
        {
            let twice = twice.copied().unwrap_or_default();
            return Err(Failure(format!("Duplicate entity type(s) specified: {twice}")));
        }
        match (&self.bootstrap_server, &self.bootstrap_controller) {
            (None, None) => {
                return Err(
                    "Either --bootstrap-server or --bootstrap-controller must be specified.".into(),
                );
            }
            (Some(_), Some(_)) => {
                return Err(
                    "Only one of --bootstrap-server or --bootstrap-controller can be specified."
                        .into(),
                );
            }
            _ => {}
        }
        let kinds: Vec<Kind> = types.iter().map(|t| kind(t)).collect::<Result<_, _>>()?;
        if kinds.is_empty() {
            return Err("At least one entity type must be specified".into());
        }
        let pair =
            kinds.len() == 2 && kinds.contains(&Kind::Users) && kinds.contains(&Kind::Clients);
        if kinds.len() > 1 && !pair {
            return Err("Only 'users' and 'clients' entity types may be specified together".into());
        }
        let general =
            !self.entity_type.is_empty() || !self.entity_name.is_empty() || self.entity_default > 0;
        if general && !self.flags().is_empty() {
            return Err(
                "--entity-{type,name,default} should not be used in conjunction with specific entity flags".into(),
            );
        }
        let mut names = self.names(args).into_iter();
        let entities: Vec<Entity> =
            kinds.iter().map(|kind| Entity { kind: *kind, name: names.next() }).collect();
        entities.iter().try_for_each(check_name)?;
        check_action(&entities, action)?;
        if action == Action::Alter {
            self.check_changes()?;
        }
        let mut deleted = Vec::new();
        for list in &self.delete_config {
            deleted.extend(list.split(',').map(|k| k.trim().to_owned()).filter(|k| !k.is_empty()));
        }
        let keys = if self.all { Keys::All } else { Keys::Set };
        Ok(Request { entities, keys, added: self.added()?, deleted })
    }

    /// Entities that have options of their own: kind and name, the empty name for a default.
    fn flags(&self) -> Vec<(&'static str, &str)> {
        let named = [
            (Kind::Topics, &self.topic),
            (Kind::Clients, &self.client),
            (Kind::Users, &self.user),
            (Kind::Brokers, &self.broker),
            (Kind::BrokerLoggers, &self.broker_logger),
            (Kind::Ips, &self.ip),
            (Kind::ClientMetrics, &self.client_metrics),
            (Kind::Groups, &self.group),
        ];
        let defaults = [
            (Kind::Clients, self.client_defaults),
            (Kind::Users, self.user_defaults),
            (Kind::Brokers, self.broker_defaults),
            (Kind::Ips, self.ip_defaults),
        ];
        let named = named.iter().filter_map(|(k, name)| Some((k.name(), name.as_deref()?)));
        let defaults = defaults.iter().filter(|(_, given)| *given).map(|(k, _)| (k.name(), ""));
        named.chain(defaults).collect()
    }

    fn types(&self) -> Vec<&str> {
        let given = self.entity_type.iter().map(String::as_str);
        given.chain(self.flags().into_iter().map(|(kind, _)| kind)).collect()
    }

    /// The names in the order of the types: --entity-name and --entity-default as they stand.
    fn names(&self, args: &[String]) -> Vec<String> {
        let mut given = self.entity_name.iter();
        let mut names = Vec::new();
        for arg in args {
            if arg == "--entity-name" || arg.starts_with("--entity-name=") {
                names.extend(given.next().cloned());
            } else if arg == "--entity-default" {
                names.push(String::new());
            }
        }
        // Those that were given by a part of the option's name.
        names.extend(given.cloned());
        names.extend(self.flags().into_iter().map(|(_, name)| name.to_owned()));
        names
    }

    fn check_changes(&self) -> Result<(), Failure> {
        if self.add_config.is_some() && self.add_config_file.is_some() {
            return Err("Only one of --add-config or --add-config-file must be specified".into());
        }
        let adds = self.add_config.is_some() || self.add_config_file.is_some();
        if !adds && self.delete_config.is_empty() {
            return Err(
                "At least one of --add-config, --add-config-file, or --delete-config must be specified with --alter"
                    .into(),
            );
        }
        Ok(())
    }

    fn added(&self) -> Result<BTreeMap<String, String>, Failure> {
        if let Some(file) = &self.add_config_file {
            return Ok(properties(&[&Some(file.clone())], &[])?);
        }
        self.add_config.as_deref().map_or_else(|| Ok(BTreeMap::new()), pairs)
    }
}

fn kind(name: &str) -> Result<Kind, Failure> {
    Kind::ALL.into_iter().find(|k| k.name() == name).ok_or_else(|| {
        Failure(format!(
            "Invalid entity type {name}, the entity type must be one of {} with a --bootstrap-server or \
             --bootstrap-controller argument",
            joined(Kind::ALL.map(Kind::name), ", ")
        ))
    })
}

fn check_name(entity: &Entity) -> Result<(), Failure> {
    let kind = entity.kind;
    let Some(name) = entity.name.as_deref().filter(|n| !n.is_empty()) else { return Ok(()) };
    match kind {
        Kind::Brokers | Kind::BrokerLoggers if name.parse::<i32>().is_err() => {
            Err(Failure(format!(
                "The entity name for {} must be a valid integer broker id, but it is: {name}",
                kind.name()
            )))
        }
        Kind::Ips if (name, 0).to_socket_addrs().is_err() => Err(Failure(format!(
            "The entity name for ips must be a valid IP or resolvable host, but it is: {name}"
        ))),
        _ => Ok(()),
    }
}

fn check_action(entities: &[Entity], action: Action) -> Result<(), Failure> {
    let named = entities.iter().any(|e| e.name.as_ref().is_some_and(|n| !n.is_empty()));
    let default = entities.iter().any(|e| e.name.as_deref() == Some(""));
    let kinds = joined(entities.iter().map(|e| e.kind.name()), ",");
    let loggers = entities.iter().any(|e| e.kind == Kind::BrokerLoggers);
    if action == Action::Describe {
        if loggers && !named {
            return Err(Failure(format!(
                "An entity name must be specified with --describe of {kinds}"
            )));
        }
        return Ok(());
    }
    let with_default =
        |e: &Entity| matches!(e.kind, Kind::Users | Kind::Clients | Kind::Brokers | Kind::Ips);
    if entities.iter().any(with_default) {
        if !named && !default {
            return Err(
                "An entity-name or default entity must be specified with --alter of users, clients, brokers or ips"
                    .into(),
            );
        }
    } else if !named {
        return Err(Failure(format!("An entity name must be specified with --alter of {kinds}")));
    }
    Ok(())
}

/// Keys and values, separated by commas outside of square brackets.
fn pairs(text: &str) -> Result<BTreeMap<String, String>, Failure> {
    let malformed = || {
        Failure(
            "requirement failed: Invalid entity config: all configs to be added must be in the format \"key=val\" or  \
             \"key=[val1,val2]\" to group values which contain commas."
                .to_owned(),
        )
    };
    let mut pairs = BTreeMap::new();
    for entry in split_outside_brackets(text, ',') {
        if entry.trim().is_empty() {
            continue;
        }
        let parts = split_outside_brackets(&entry, '=');
        let [key, value] = parts.as_slice() else { return Err(malformed()) };
        let value = value.replace(['[', ']'], "");
        pairs.insert(key.trim().to_owned(), value.trim().to_owned());
    }
    Ok(pairs)
}

fn split_outside_brackets(text: &str, at: char) -> Vec<String> {
    let (mut parts, mut part, mut inside) = (Vec::new(), String::new(), false);
    for c in text.chars() {
        inside = match c {
            '[' => true,
            ']' => false,
            _ => inside,
        };
        if c == at && !inside {
            parts.push(std::mem::take(&mut part));
        } else {
            part.push(c);
        }
    }
    parts.push(part);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(line: &str) -> Result<Request, String> {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let words = std::iter::once("x").chain(args.iter().map(String::as_str));
        let options = Configs::try_parse_from(words).unwrap();
        let action = options.action()?;
        options.request(&args, action).map_err(|e| e.0)
    }

    fn entities(line: &str) -> Vec<(Kind, Option<String>)> {
        let request = request(&format!("--bootstrap-server h:1 {line}")).unwrap();
        request.entities.into_iter().map(|e| (e.kind, e.name)).collect()
    }

    #[test]
    fn entities_by_either_kind_of_option() {
        let topic = vec![(Kind::Topics, Some("t".to_owned()))];
        assert_eq!(entities("--describe --topic t"), topic);
        assert_eq!(entities("--describe --entity-type topics --entity-name t"), topic);
        assert_eq!(entities("--describe --entity-type topics"), [(Kind::Topics, None)]);
        let pair = entities(
            "--describe --entity-type users --entity-default --entity-type clients --entity-name c",
        );
        assert_eq!(pair, [(Kind::Users, Some(String::new())), (Kind::Clients, Some("c".into()))]);
        let pair = entities("--describe --user u --client c");
        assert_eq!(pair, [(Kind::Clients, Some("c".into())), (Kind::Users, Some("u".into()))]);
        assert_eq!(
            entities("--describe --broker-defaults"),
            [(Kind::Brokers, Some(String::new()))]
        );
    }

    #[test]
    fn command_lines_that_make_no_sense() {
        let server = "--bootstrap-server h:1";
        for (line, why) in [
            ("--describe --entity-type topics", "Either --bootstrap-server or"),
            (&format!("{server} --describe --alter"), "Command must include exactly one action"),
            (&format!("{server} --describe"), "At least one entity type must be specified"),
            (
                &format!("{server} --describe --entity-type foo"),
                "Invalid entity type foo, the entity",
            ),
            (&format!("{server} --alter --topic t"), "At least one of --add-config,"),
            (
                &format!("{server} --alter --entity-type topics --add-config a=b"),
                "An entity name must be specified with --alter of topics",
            ),
            (
                &format!("{server} --alter --entity-type users --add-config a=b"),
                "An entity-name or default entity must be",
            ),
            (&format!("{server} --alter --topic t --add-config a"), "requirement failed"),
            (&format!("{server} --describe --broker x"), "The entity name for brokers must be"),
            (
                &format!("{server} --describe --entity-type broker-loggers"),
                "An entity name must be specified with --describe of broker-loggers",
            ),
            (
                &format!("{server} --describe --entity-type clients --entity-type ips"),
                "Only 'users' and 'clients' entity types may be",
            ),
            (
                &format!("{server} --describe --topic t --entity-name d"),
                "--entity-{type,name,default} should not",
            ),
            (
                &format!("{server} --describe --topic t --entity-type topics"),
                "Duplicate entity type(s) specified: topics",
            ),
        ] {
            let said = request(line).unwrap_err();
            assert!(said.starts_with(why), "{line}: {said}");
        }
    }

    #[test]
    fn values_in_brackets() {
        let found = pairs("retention.ms=1000,cleanup.policy=[compact,delete], x = ").unwrap();
        let expected = [("cleanup.policy", "compact,delete"), ("retention.ms", "1000"), ("x", "")];
        assert_eq!(found, expected.map(|(k, v)| (k.to_owned(), v.to_owned())).into());
        let scram = pairs("SCRAM-SHA-256=[iterations=8192,password=p]").unwrap();
        assert_eq!(scram["SCRAM-SHA-256"], "iterations=8192,password=p");
        assert!(pairs("a").is_err() && pairs("a=b=c").is_err());
    }
}
