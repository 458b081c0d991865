//! What Kafka's own manager of client telemetry answered, and whether ours answers the same.

use ottla_config::{ClientMetricsConfig, Texts};
use ottla_machine::Mono;
use ottla_telemetry::instances::Instances;
use ottla_telemetry::{Client, Subscription};
use ottla_wire::api::push_telemetry::PushTelemetryRequest;
use ottla_wire::{ErrorCode, Uuid};

/// The most bytes of a push in the trace.
const MAX_BYTES: i32 = 100;

/// The size of those pushes that the trace's receiver could not read.
const UNREADABLE: usize = 3;

fn number<T: std::str::FromStr>(text: &str) -> T {
    text.parse().unwrap_or_else(|_| panic!("{text} is no number"))
}

/// The sender, whom the first four columns tell.
fn client<'a>(columns: &[&'a str], address: &'a str) -> Client<'a> {
    let who: u16 = number(columns[0]);
    Client {
        connection: who.into(),
        id: columns[1],
        software_name: Some(columns[2]),
        software_version: Some(columns[3]),
        address,
        port: 40_000 + who,
    }
}

fn set(instances: &mut Instances, columns: &[&str]) {
    let keys = ["interval.ms", "metrics", "match"].into_iter().zip(&columns[1..]);
    let texts: Texts = keys
        .filter(|(_, value)| **value != "-")
        .map(|(key, value)| (key.to_owned(), (*value).to_owned()))
        .collect();
    let subscription = (!texts.is_empty()).then(|| {
        let config = ClientMetricsConfig::parse(&texts).expect("settings that Kafka took");
        Subscription::new(&config).expect("patterns that Kafka took")
    });
    instances.configure(columns[0], subscription);
}

fn get(instances: &mut Instances, now: Mono, columns: &[&str]) -> String {
    let address = format!("127.0.0.{}", columns[0]);
    let id: Uuid = columns[4].parse().expect("an id");
    let answer = match instances.get(now, client(columns, &address), id, Uuid::ONE) {
        Ok(subscribed) => subscribed.response(MAX_BYTES),
        Err(error_code) => {
            ottla_wire::api::get_telemetry_subscriptions::GetTelemetrySubscriptionsResponse {
                error_code,
                ..Default::default()
            }
        }
    };
    format!(
        "{}\t{}\t{}\t{}\t{:?}\t{}\t{}",
        answer.error_code.0,
        answer.subscription_id,
        answer.push_interval_ms,
        answer.requested_metrics.join(","),
        answer.accepted_compression_types,
        answer.telemetry_max_bytes,
        answer.delta_temporality
    )
}

fn push(instances: &mut Instances, now: Mono, columns: &[&str]) -> String {
    let address = format!("127.0.0.{}", columns[0]);
    let request = PushTelemetryRequest {
        client_instance_id: columns[4].parse().expect("an id"),
        subscription_id: number(columns[5]),
        terminating: number(columns[6]),
        compression_type: number(columns[7]),
        metrics: vec![0; number(columns[8])].into(),
    };
    let max_bytes = usize::try_from(MAX_BYTES).expect("it is positive");
    let mut code = instances
        .push(now, client(columns, &address), &request, max_bytes)
        .err()
        .unwrap_or(ErrorCode::NONE);
    if code.is_none() && request.metrics.len() == UNREADABLE {
        instances.unreadable(request.client_instance_id);
        code = ErrorCode::INVALID_RECORD;
    }
    code.0.to_string()
}

#[test]
fn answers_are_those_of_kafka() {
    let mut instances = Instances::default();
    let (mut gets, mut pushes) = (0, 0);
    for (number_of, line) in include_str!("data/trace.tsv").lines().enumerate().skip(1) {
        let columns: Vec<&str> = line.split('\t').collect();
        let now = Mono(number(columns[0]));
        let columns = &columns[2..];
        let (got, want) = match line.split('\t').nth(1) {
            Some("set") => {
                set(&mut instances, columns);
                continue;
            }
            Some("gone") => {
                instances.disconnected(number(columns[0]));
                continue;
            }
            Some("get") => {
                gets += 1;
                (get(&mut instances, now, columns), columns[5..].join("\t"))
            }
            Some("push") => {
                pushes += 1;
                (push(&mut instances, now, columns), columns[9..].join("\t"))
            }
            other => panic!("{other:?} is no operation"),
        };
        assert_eq!(got, want, "line {}: {line}", number_of + 1);
    }
    assert!(gets > 300 && pushes > 500, "{gets} gets and {pushes} pushes");
}
