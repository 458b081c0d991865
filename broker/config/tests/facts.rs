//! The catalog says of every key what Apache Kafka 4.3.1 says of it.

use std::collections::{BTreeMap, BTreeSet};

use ottla_config::catalog;
use ottla_config::{DefaultValue, Origin, Spec, Value};

type Row<'a> = BTreeMap<&'a str, &'a str>;

fn rows(text: &str) -> Vec<Row<'_>> {
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().expect("a header").split('\t').collect();
    lines.map(|line| header.iter().copied().zip(line.split('\t')).collect()).collect()
}

fn default_of(spec: &Spec) -> &str {
    match spec.default {
        DefaultValue::Required => "(required)",
        DefaultValue::Null => "(null)",
        DefaultValue::Text(text) => text,
    }
}

/// Compares a table with its facts, and gives the differences.
fn differences<'a>(
    facts: &[Row<'a>],
    specs: impl Iterator<Item = &'static Spec>,
    extra: impl Fn(&Row<'a>, &Spec) -> Vec<(&'static str, String, String)>,
) -> Vec<String> {
    let specs: Vec<&Spec> = specs.filter(|spec| spec.origin == Origin::Kafka).collect();
    let mut out = Vec::new();
    let names: BTreeSet<&str> = specs.iter().map(|spec| spec.name).collect();
    assert_eq!(names.len(), specs.len(), "a key is declared twice");
    for name in names.iter().filter(|name| !facts.iter().any(|row| row["name"] == **name)) {
        out.push(format!("{name}: Kafka has no such key"));
    }
    for row in facts {
        let name = row["name"];
        let Some(spec) = specs.iter().find(|spec| spec.name == name) else {
            out.push(format!("{name}: missing"));
            continue;
        };
        let mut pairs = vec![
            ("type", row["type"].to_owned(), spec.kind.name().to_owned()),
            ("default", row["default"].to_owned(), default_of(spec).to_owned()),
        ];
        if let Some(valid) = row.get("valid") {
            pairs.push(("valid", (*valid).to_owned(), spec.valid.to_string()));
        }
        if let Some(importance) = row.get("importance") {
            pairs.push(("importance", (*importance).to_owned(), spec.importance.name().to_owned()));
        }
        if let Some(internal) = row.get("internal") {
            pairs.push(("internal", (*internal).to_owned(), spec.is_internal().to_string()));
        }
        pairs.extend(extra(row, spec));
        for (what, fact, ours) in pairs {
            if fact != ours {
                out.push(format!("{name}: {what} is {fact:?} in Kafka, {ours:?} here"));
            }
        }
    }
    out
}

#[test]
fn broker_keys() {
    let facts = rows(include_str!("data/broker-configs.tsv"));
    assert_eq!(facts.len(), 360);
    let found = differences(&facts, catalog::broker_keys(), |row, spec| {
        let topics: Vec<&str> = catalog::topic_keys()
            .filter(|topic| topic.synonyms.contains(&spec.name))
            .map(|topic| topic.name)
            .collect();
        vec![
            ("update mode", row["update_mode"].to_owned(), spec.mode.name().to_owned()),
            ("topic configs", row["topic_configs"].to_owned(), topics.join(",")),
        ]
    });
    assert_eq!(found, [""; 0]);
}

#[test]
fn topic_keys() {
    let facts = rows(include_str!("data/topic-configs.tsv"));
    assert_eq!(facts.len(), 34);
    let found = differences(&facts, catalog::topic_keys(), |row, spec| {
        vec![("broker configs", row["broker_configs"].to_owned(), spec.synonyms.join(","))]
    });
    assert_eq!(found, [""; 0]);
}

#[test]
fn group_keys() {
    let facts = rows(include_str!("data/group-configs.tsv"));
    assert_eq!(facts.len(), 17);
    let found = differences(&facts, catalog::group_keys(), |row, spec| {
        vec![("broker config", row["broker_config"].to_owned(), spec.synonyms.join(","))]
    });
    assert_eq!(found, [""; 0]);
}

#[test]
fn client_metrics_keys() {
    let facts = rows(include_str!("data/client-metrics-configs.tsv"));
    assert_eq!(facts.len(), 3);
    let found = differences(&facts, catalog::client_metrics_keys(), |_, _| Vec::new());
    assert_eq!(found, [""; 0]);
}

#[test]
fn quota_keys() {
    let facts = rows(include_str!("data/quota-configs.tsv"));
    assert_eq!(facts.len(), 8);
    let of = |entity: &str| -> Vec<Row<'_>> {
        facts.iter().filter(|row| row["entity"] == entity).cloned().collect()
    };
    let none = |_: &Row<'_>, _: &Spec| Vec::new();
    let mut found = differences(&of("user,client-id"), catalog::client_quota_keys(), none);
    found.extend(differences(&of("ip"), catalog::ip_quota_keys(), none));
    found.extend(differences(&of("broker"), catalog::throttle_keys(), none));
    assert_eq!(found, [""; 0]);
}

#[test]
fn every_default_is_allowed_by_its_own_key() {
    let all = catalog::broker_keys()
        .chain(catalog::topic_keys())
        .chain(catalog::group_keys())
        .chain(catalog::client_metrics_keys())
        .chain(catalog::throttle_keys())
        .chain(catalog::client_quota_keys())
        .chain(catalog::ip_quota_keys());
    for spec in all {
        if let DefaultValue::Text(text) = spec.default {
            let value = Value::parse(spec, text).expect(spec.name);
            assert_eq!(value.to_string(), text, "{}", spec.name);
        }
        assert!(spec.doc.ends_with('.'), "{}: a doc is a sentence", spec.name);
    }
}

#[test]
fn synonyms_are_broker_keys() {
    for spec in catalog::topic_keys().chain(catalog::group_keys()) {
        for synonym in spec.synonyms {
            assert!(catalog::broker_keys().any(|broker| broker.name == *synonym), "{synonym}");
        }
    }
}
