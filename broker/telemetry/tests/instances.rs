//! Laws of subscriptions and instances that Kafka's trace does not show.

use ottla_config::{ClientMetricsConfig, Texts};
use ottla_machine::Mono;
use ottla_telemetry::instances::Instances;
use ottla_telemetry::{Client, MAX_INSTANCES, Subscription, Telemetry};
use ottla_wire::api::push_telemetry::PushTelemetryRequest;
use ottla_wire::{ErrorCode, Uuid};
use proptest::prelude::*;

const CLIENT: Client<'static> = Client {
    connection: 1,
    id: "app",
    software_name: None,
    software_version: None,
    address: "127.0.0.1",
    port: 1234,
};

fn subscription(texts: &[(&str, &str)]) -> Subscription {
    let texts: Texts = texts.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
    let config = ClientMetricsConfig::parse(&texts).expect("good settings");
    Subscription::new(&config).expect("good patterns")
}

fn id(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

/// What a client is asked for under one subscription with this pattern.
fn asked(pattern: &str, client: Client<'_>) -> Vec<String> {
    let mut instances = Instances::default();
    instances.configure("s", Some(subscription(&[("match", pattern), ("metrics", "m")])));
    instances.get(Mono(0), client, id(500), id(1)).expect("the first time").metrics
}

#[test]
fn patterns_match_the_whole_of_an_attribute() {
    let meant = |pattern| !asked(pattern, CLIENT).is_empty();
    for pattern in [
        "client_id=app",
        "client_id=a.*",
        "client_id=a|app",
        "client_id=(?i)APP",
        "client_source_port=12\\d{2}",
        "client_source_address=127\\..*,client_id=app",
        "client_id=(?x) a p p # as it is",
        "client_id=b,client_id=app",
    ] {
        assert!(meant(pattern), "{pattern}");
    }
    for pattern in [
        "client_id=ap",
        "client_id=pp",
        "client_id=b",
        "client_software_name=.*",
        "client_id=app,client_source_port=1",
        "client_id=app,client_id=b",
    ] {
        assert!(!meant(pattern), "{pattern}");
    }
    let java = Client { software_name: Some("apache-kafka-java"), ..CLIENT };
    assert_eq!(asked("client_software_name=.*java", java), ["m"]);
    assert_eq!(asked(&format!("client_instance_id={}", id(500)), CLIENT), ["m"]);
}

#[test]
fn several_subscriptions_are_merged() {
    let mut instances = Instances::default();
    let mut ask = |now| instances_get(&mut instances, now);
    assert_eq!(ask(0), (300_000, vec![]));
    instances.configure("a", Some(subscription(&[("metrics", "x,y"), ("interval.ms", "5000")])));
    instances.configure("b", Some(subscription(&[("metrics", "y,z"), ("interval.ms", "900")])));
    instances.configure("c", Some(subscription(&[("metrics", "no"), ("match", "client_id=b")])));
    let texts = |t: &[&str]| t.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>();
    assert_eq!(instances_get(&mut instances, 1), (900, texts(&["x", "y", "z"])));
    instances.configure("d", Some(subscription(&[("metrics", "*"), ("interval.ms", "3600000")])));
    assert_eq!(instances_get(&mut instances, 2), (900, texts(&["*"])));
    for name in ["a", "b", "d"] {
        instances.configure(name, None);
    }
    assert_eq!(instances_get(&mut instances, 3), (300_000, vec![]));
}

fn instances_get(instances: &mut Instances, now: u64) -> (i32, Vec<String>) {
    let got = instances.get(Mono(now), CLIENT, id(500), id(1)).expect("subscriptions changed");
    (got.interval_ms, got.metrics)
}

#[test]
fn a_client_without_an_id_gets_one() {
    let mut instances = Instances::default();
    let got = instances.get(Mono(0), CLIENT, Uuid::ZERO, id(777)).expect("the first time");
    assert_eq!(got.instance, id(777));
    assert_eq!(
        instances.get(Mono(1), CLIENT, id(777), id(1)),
        Err(ErrorCode::THROTTLING_QUOTA_EXCEEDED)
    );
}

#[test]
fn silent_instances_are_forgotten() {
    let mut instances = Instances::default();
    instances.configure("s", Some(subscription(&[("interval.ms", "100")])));
    instances.get(Mono(0), CLIENT, id(500), id(1)).expect("the first time");
    instances.expire(Mono(59_999));
    assert_eq!((instances.len(), instances.take_forgotten()), (1, vec![]));
    instances.expire(Mono(60_000));
    assert_eq!((instances.len(), instances.take_forgotten()), (0, vec![id(500)]));
    // Without a subscription an instance may be silent for three of the default intervals.
    instances.configure("s", None);
    instances.get(Mono(60_000), CLIENT, id(500), id(1)).expect("made anew");
    assert_eq!(instances.patience_ms(id(500)), Some(900_000));
}

#[test]
fn instances_are_bounded() {
    let mut instances = Instances::default();
    for n in 0..MAX_INSTANCES as u128 {
        instances.get(Mono(0), CLIENT, id(1000 + n), id(1)).expect("the first time");
    }
    // The first one is heard of again, so that the second is the one that was silent longest.
    let _ = instances.get(Mono(1), CLIENT, id(1000), id(1));
    instances.get(Mono(1), CLIENT, id(999), id(1)).expect("the first time");
    assert_eq!((instances.len(), instances.take_forgotten()), (MAX_INSTANCES, vec![id(1001)]));
    instances.disconnected(1);
    assert!(instances.is_empty());
}

#[test]
fn metrics_of_an_instance_that_is_gone_are_not_kept() {
    let mut telemetry = Telemetry::default();
    telemetry.configure("s", Some(subscription(&[("metrics", "*")])));
    let got = telemetry.get(Mono(0), CLIENT, id(500), id(1)).expect("the first time");
    let request = PushTelemetryRequest {
        client_instance_id: got.instance,
        subscription_id: got.subscription_id,
        ..Default::default()
    };
    telemetry.push(Mono(1), CLIENT, &request, 100).expect("it is its turn");
    telemetry.disconnected(CLIENT.connection);
    telemetry.record(Mono(2), got.instance, CLIENT.id, Default::default());
    assert_eq!(telemetry.store().instances(), 0);
}

proptest! {
    /// Whatever clients do: there are never more instances than connections' last words account for,
    /// a push is never taken twice within an interval without a question between, and what is
    /// forgotten is told once.
    #[test]
    fn laws(steps in prop::collection::vec((0u8..4, 0u64..4, 0u128..6, 0u64..40_000), 0..200)) {
        let mut instances = Instances::default();
        instances.configure("s", Some(subscription(&[("interval.ms", "10000")])));
        let mut known = std::collections::BTreeSet::new();
        let mut now = 0;
        let mut taken = std::collections::BTreeMap::new();
        for (what, connection, who, later) in steps {
            now += later;
            let client = Client { connection, ..CLIENT };
            let who = id(1000 + who);
            match what {
                0 => instances.disconnected(connection),
                1 => {
                    if instances.get(Mono(now), client, who, id(1)).is_ok() {
                        taken.remove(&who);
                    }
                    known.insert(who);
                }
                _ => {
                    let request = PushTelemetryRequest {
                        client_instance_id: who,
                        compression_type: what as i8,
                        ..Default::default()
                    };
                    let answer = instances.push(Mono(now), client, &request, 100);
                    for gone in instances.take_forgotten() {
                        taken.remove(&gone);
                        known.remove(&gone);
                    }
                    let throttled = answer == Err(ErrorCode::THROTTLING_QUOTA_EXCEEDED);
                    let before = if throttled { None } else { taken.insert(who, now) };
                    if let Some(before) = before {
                        prop_assert!(now - before >= 10_000, "{now} after {before}");
                    }
                    known.insert(who);
                }
            }
            for gone in instances.take_forgotten() {
                // An instance may be forgotten and made anew within one step.
                taken.remove(&gone);
                if instances.patience_ms(gone).is_none() {
                    known.remove(&gone);
                }
            }
            prop_assert_eq!(instances.len(), known.len());
        }
    }
}
