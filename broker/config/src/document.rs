//! CONFIG.md: the catalog as a page.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::catalog;
use crate::spec::{DefaultValue, Origin, Spec, Standing, UpdateMode};

const OPENING: &str = "\
# Configuration

Written by `UPDATE=1 cargo test -p ottla-config` from the catalog in `src/catalog/`; do not edit.

`ottla server FILE` reads a Kafka `server.properties`: Kafka's keys, defaults and meanings, in Java's properties
syntax, in UTF-8, or else in ISO 8859-1. `--override KEY=VALUE` stands over the file. Without a file a node is a
cluster of its own on 127.0.0.1:9092, with its data in `./ottla-data`.

- A bad value ends the start with one line that names the file's line, the key, the value and what is allowed.
- An unknown key is a warning, with the nearest known name.
- `${env:NAME}`, `${file:PATH:KEY}` and `${dir:PATH:FILE}` in a value stand for a variable of the environment, a
  key of another properties file, and a whole file. They need no `config.providers`; that key can give the three
  further names, and `config.providers.NAME.param.allowed.paths` limits where they may look.
- `listener.name.NAME.KEY` (and `listener.name.NAME.MECHANISM.KEY` for SASL) sets a key for one listener.
- *Changes* says when a key takes another value: `restart`, `broker` (at run time, for one broker), or `cluster` (at
  run time, for one broker or for all).
- A key marked *still to come* is accepted and answered, but the feature it belongs to is not there yet. A key
  marked *no effect* is accepted and answered, but there is nothing here for it to change. Setting either to
  anything but its default is a warning at start.
";

/// The whole page.
pub fn document() -> String {
    let mut page = OPENING.to_owned();
    counts(&mut page);
    for (title, table) in catalog::BROKER_TABLES {
        section(&mut page, title, Changes::ByMode, table.iter().copied());
    }
    let throttles = "Throttles of brokers, set at run time";
    section(&mut page, throttles, Changes::ByMode, catalog::throttle_keys());
    let any = Changes::AnyTime;
    section(&mut page, "Topics", any, catalog::topic_keys());
    section(&mut page, "Single groups", any, catalog::group_keys());
    section(&mut page, "Client metrics subscriptions", any, catalog::client_metrics_keys());
    section(&mut page, "Quotas of users and client ids", any, catalog::client_quota_keys());
    section(&mut page, "Quotas of addresses", any, catalog::ip_quota_keys());
    page
}

fn all() -> impl Iterator<Item = &'static Spec> {
    catalog::broker_keys()
        .chain(catalog::topic_keys())
        .chain(catalog::group_keys())
        .chain(catalog::client_metrics_keys())
        .chain(catalog::throttle_keys())
        .chain(catalog::client_quota_keys())
        .chain(catalog::ip_quota_keys())
}

/// How many keys work, and which do not and why.
fn counts(page: &mut String) {
    let mut planned: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut idle: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut working = 0;
    for spec in all() {
        match spec.standing {
            Standing::Works => working += 1,
            Standing::Planned(feature) => planned.entry(feature).or_default().push(spec.name),
            Standing::NoEffect(why) => idle.entry(why).or_default().push(spec.name),
        }
    }
    let total = all().count();
    let count = |map: &BTreeMap<&str, Vec<&str>>| map.values().map(Vec::len).sum::<usize>();
    let _ = writeln!(
        page,
        "\nOf {total} keys {working} work, {} wait for a feature that is still to come, and {} have \
         no effect here.",
        count(&planned),
        count(&idle)
    );
    list(page, "Still to come", &planned);
    list(page, "No effect", &idle);
}

fn list(page: &mut String, title: &str, reasons: &BTreeMap<&str, Vec<&str>>) {
    let _ = writeln!(page, "\n## {title}\n\n| why | keys |\n| --- | --- |");
    for (why, names) in reasons {
        let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        let _ = writeln!(page, "| {why} | {} |", names.join(", "));
    }
}

fn section(
    page: &mut String,
    title: &str,
    changes: Changes,
    specs: impl Iterator<Item = &'static Spec>,
) {
    let _ = writeln!(
        page,
        "\n## {title}\n\n| key | type | default | allowed | changes | meaning |\n\
         | --- | --- | --- | --- | --- | --- |"
    );
    for spec in specs {
        let default = match spec.default {
            DefaultValue::Required => "required".to_owned(),
            DefaultValue::Null | DefaultValue::Text("") => "none".to_owned(),
            DefaultValue::Text(text) => format!("`{text}`"),
        };
        let _ = writeln!(
            page,
            "| `{}` | {} | {default} | {} | {} | {} |",
            spec.name,
            spec.kind.name().to_lowercase(),
            spec.valid,
            changes.of(spec),
            meaning(spec)
        );
    }
}

/// When the keys of a section change.
#[derive(Clone, Copy)]
enum Changes {
    /// As their update mode says.
    ByMode,
    /// Whenever somebody sets them.
    AnyTime,
}

impl Changes {
    fn of(self, spec: &Spec) -> &'static str {
        match (self, spec.mode) {
            (Changes::AnyTime, _) => "any time",
            (Changes::ByMode, UpdateMode::ReadOnly) => "restart",
            (Changes::ByMode, UpdateMode::PerBroker) => "broker",
            (Changes::ByMode, UpdateMode::ClusterWide) => "cluster",
        }
    }
}

fn meaning(spec: &Spec) -> String {
    let mut text = spec.doc.to_owned();
    if spec.origin == Origin::Ottla {
        text.push_str(" Ottla's own.");
    }
    if spec.is_internal() {
        text.push_str(" Internal.");
    }
    if !spec.synonyms.is_empty() {
        let names: Vec<String> = spec.synonyms.iter().map(|name| format!("`{name}`")).collect();
        let _ = write!(text, " Default from {}.", names.join(", else "));
    }
    match spec.standing {
        Standing::Works => {}
        Standing::NoEffect(why) => {
            let _ = write!(text, " *No effect: {why}.*");
        }
        Standing::Planned(feature) => {
            let _ = write!(text, " *Still to come: {feature}.*");
        }
    }
    text
}
