//! --alter.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use ottla_client::{Client, ResourceKind};

use super::Trouble;
use super::arguments::{Keys, Kind, Request};
use super::describe::{resource, shown};
use super::{quota, scram};
use crate::tool::connect::{joined, say};

/// Changes what is asked for.
pub(super) async fn run(
    client: &Client,
    request: &Request,
    out: &mut dyn Write,
) -> Result<(), Trouble> {
    let head = request.head();
    let name = head.name.clone().unwrap_or_default();
    match resource(head.kind) {
        Some(kind) => {
            if kind == ResourceKind::BrokerLogger {
                check_loggers(client, request, &name).await?;
            }
            let mut values: BTreeMap<String, Option<String>> =
                request.deleted.iter().map(|key| (key.clone(), None)).collect();
            values.extend(request.added.iter().map(|(k, v)| (k.clone(), Some(v.clone()))));
            client.alter_config(kind, &name, &values).await?;
        }
        None => entities(client, request).await?,
    }
    if name.is_empty() {
        let kinds = head.kind.name();
        say(out, format_args!("Completed updating default config for {kinds} in the cluster."));
    } else {
        say(out, format_args!("Completed updating config for {} {name}.", head.kind.one()));
    }
    Ok(())
}

async fn check_loggers(client: &Client, request: &Request, broker: &str) -> Result<(), Trouble> {
    let known = shown(client, ResourceKind::BrokerLogger, broker, Keys::All).await?;
    let known: BTreeSet<&str> = known.iter().map(|d| d.entry.name.as_str()).collect();
    let asked = request.added.keys().chain(&request.deleted);
    let unknown: Vec<&String> = asked.filter(|name| !known.contains(name.as_str())).collect();
    if unknown.is_empty() {
        return Ok(());
    }
    Err(Trouble::Options(format!("Invalid broker logger(s): {}", joined(unknown, ","))))
}

/// Users, clients and addresses: quotas, and credentials of users.
async fn entities(client: &Client, request: &Request) -> Result<(), Trouble> {
    let (added, deleted) = (request.added.keys(), &request.deleted);
    let refuse = |what: &str, verb: &str, kinds: &str, names: Vec<&String>| {
        if names.is_empty() {
            return Ok(());
        }
        Err(Trouble::Options(format!(
            "Only {what} configs can be {verb} for '{kinds}' using --bootstrap-server. Unexpected config names: \
             Set({})",
            joined(names, ", ")
        )))
    };
    if request.is_of(Kind::Ips) {
        let unknown = |key: &&String| !quota::IP_KEYS.contains(&key.as_str());
        refuse("connection quota", "added", "ips", added.filter(unknown).collect())?;
        refuse("connection quota", "deleted", "ips", deleted.iter().filter(unknown).collect())?;
        return quota::alter(client, request).await;
    }
    let is_quota = |key: &&String| quota::KEYS.contains(&key.as_str());
    let is_scram = |key: &&String| scram::mechanism(key).is_some();
    if request.is_of(Kind::Clients) {
        let unknown = |key: &&String| !is_quota(key);
        refuse("quota", "added", "clients", added.filter(unknown).collect())?;
        refuse("quota", "deleted", "clients", deleted.iter().filter(unknown).collect())?;
        return quota::alter(client, request).await;
    }
    let unknown = |key: &&String| !is_quota(key) && !is_scram(key);
    let both = "quota and SCRAM credential";
    refuse(both, "added", "users", added.clone().filter(unknown).collect())?;
    refuse(both, "deleted", "users", deleted.iter().filter(unknown).collect())?;
    let mut all = request.added.keys().chain(deleted);
    if !all.any(|key| is_scram(&key)) {
        return quota::alter(client, request).await;
    }
    if request.entities.iter().any(|e| e.name.as_deref() == Some("")) {
        return Err(Trouble::Options(
            "The use of --entity-default or --user-defaults is not allowed with User SCRAM Credentials using \
             --bootstrap-server."
                .into(),
        ));
    }
    if request.added.keys().chain(deleted).any(|key| is_quota(&key)) {
        return Err(Trouble::Options(
            "Cannot alter both quota and SCRAM credential configs simultaneously for 'users' using \
             --bootstrap-server."
                .into(),
        ));
    }
    scram::alter(client, request).await
}
