//! --describe.

use std::collections::BTreeSet;
use std::io::Write;

use ottla_client::{Client, ConfigDetail, Fenced, ResourceKind, Source, Synonym};

use super::Trouble;
use super::arguments::{Entity, Keys, Kind, Request};
use super::{quota, scram};
use crate::tool::connect::{joined, say};

/// Shows what is asked for.
pub(super) async fn run(
    client: &Client,
    request: &Request,
    out: &mut dyn Write,
) -> Result<(), Trouble> {
    let head = request.head();
    match resource(head.kind) {
        Some(kind) => describe(client, &head, kind, request.keys, out).await,
        None => {
            quota::describe(client, request, out).await?;
            if request.is_of(Kind::Users) && !request.is_of(Kind::Clients) {
                scram::describe(client, &head, out).await?;
            }
            Ok(())
        }
    }
}

/// The resource of a kind; users, clients and addresses are none.
pub(super) fn resource(kind: Kind) -> Option<ResourceKind> {
    Some(match kind {
        Kind::Topics => ResourceKind::Topic,
        Kind::Brokers => ResourceKind::Broker,
        Kind::BrokerLoggers => ResourceKind::BrokerLogger,
        Kind::ClientMetrics => ResourceKind::ClientMetrics,
        Kind::Groups => ResourceKind::Group,
        Kind::Clients | Kind::Users | Kind::Ips => return None,
    })
}

async fn describe(
    client: &Client,
    entity: &Entity,
    kind: ResourceKind,
    keys: Keys,
    out: &mut dyn Write,
) -> Result<(), Trouble> {
    let names = match &entity.name {
        Some(name) => {
            let there = name.is_empty() || known(client, kind).await?.contains(name);
            if !there && !has_values(client, kind, name).await? {
                say(
                    out,
                    format_args!(
                        "The {} '{name}' doesn't exist and doesn't have dynamic config.",
                        entity.kind.one()
                    ),
                );
                return Ok(());
            }
            vec![name.clone()]
        }
        None => {
            let mut names: Vec<String> = known(client, kind).await?.into_iter().collect();
            if kind == ResourceKind::Broker {
                names.push(String::new());
            }
            names
        }
    };
    for name in names {
        if name.is_empty() {
            say(
                out,
                format_args!("Default configs for {} in the cluster are:", entity.kind.name()),
            );
        } else {
            let which = if keys == Keys::All { "All" } else { "Dynamic" };
            say(out, format_args!("{which} configs for {} {name} are:", entity.kind.one()));
        }
        for detail in shown(client, kind, &name, keys).await? {
            say(out, line(&detail));
        }
    }
    Ok(())
}

/// The names of a kind that the cluster knows.
async fn known(client: &Client, kind: ResourceKind) -> Result<BTreeSet<String>, Trouble> {
    Ok(match kind {
        ResourceKind::Topic => client.list_topics().await?.into_keys().collect(),
        ResourceKind::Broker | ResourceKind::BrokerLogger => {
            let nodes = client.describe_cluster(Fenced::Left).await?.nodes;
            let ids: BTreeSet<i32> = nodes.into_iter().map(|n| n.id).collect();
            ids.into_iter().map(|id| id.to_string()).collect()
        }
        ResourceKind::ClientMetrics | ResourceKind::Group => {
            client.config_resources(kind).await?.into_iter().collect()
        }
    })
}

/// Whether values are set on something that the cluster does not know.
async fn has_values(client: &Client, kind: ResourceKind, name: &str) -> Result<bool, Trouble> {
    Ok(match kind {
        // Nobody but the broker itself tells of its values.
        ResourceKind::Broker | ResourceKind::BrokerLogger | ResourceKind::Topic => false,
        ResourceKind::ClientMetrics | ResourceKind::Group => {
            client.config_resources(kind).await?.iter().any(|n| n == name)
        }
    })
}

/// The keys of something in the order of their names: all, or those set on just that.
pub(super) async fn shown(
    client: &Client,
    kind: ResourceKind,
    name: &str,
    keys: Keys,
) -> Result<Vec<ConfigDetail>, Trouble> {
    let mut details = client.describe_config(kind, name).await?;
    let own = match kind {
        ResourceKind::Topic => Some(Source(1)),
        ResourceKind::Broker if name.is_empty() => Some(Source::DYNAMIC_DEFAULT_BROKER),
        ResourceKind::Broker => Some(Source::DYNAMIC_BROKER),
        ResourceKind::ClientMetrics => Some(Source(7)),
        ResourceKind::Group => Some(Source(8)),
        // Of loggers all are shown.
        ResourceKind::BrokerLogger => None,
    };
    if keys == Keys::Set {
        details.retain(|d| own.is_none_or(|own| d.entry.source == own));
    }
    details.sort_by(|a, b| a.entry.name.cmp(&b.entry.name));
    Ok(details)
}

fn line(detail: &ConfigDetail) -> String {
    fn value(v: &Option<String>) -> &str {
        v.as_deref().unwrap_or("null")
    }
    let synonym = |s: &Synonym| format!("{}:{}={}", s.source.name(), s.name, value(&s.value));
    format!(
        "  {}={} sensitive={} synonyms={{{}}}",
        detail.entry.name,
        value(&detail.entry.value),
        detail.is_sensitive,
        joined(detail.synonyms.iter().map(synonym), ", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_shown_as_kafka_shows_them() {
        let synonym = |source, name: &str, value: &str| Synonym {
            name: name.into(),
            value: Some(value.into()),
            source: Source(source),
        };
        let detail = ConfigDetail {
            entry: synonym(1, "cleanup.policy", "compact,delete"),
            is_sensitive: false,
            is_read_only: false,
            synonyms: vec![
                synonym(1, "cleanup.policy", "compact,delete"),
                synonym(5, "log.cleanup.policy", "delete"),
            ],
        };
        assert_eq!(
            line(&detail),
            "  cleanup.policy=compact,delete sensitive=false synonyms={DYNAMIC_TOPIC_CONFIG:cleanup.policy=compact,delete, \
             DEFAULT_CONFIG:log.cleanup.policy=delete}"
        );
    }
}
