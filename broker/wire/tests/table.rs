//! The tables of API keys and error codes against Kafka's own, as `golden/make-golden` prints them.

use ottla_wire::api::Listener;
use ottla_wire::{ApiKey, ErrorCode};
use std::fmt::Write;

#[test]
fn keys_and_codes_are_kafkas() {
    let mut ours = String::new();
    for key in ApiKey::ALL {
        let spec = key.spec();
        assert_eq!(ApiKey::from_code(key.code()), Some(*key));
        let (min, stable, known) = (spec.stable.min, spec.stable.max, spec.known.max);
        let _ = write!(
            ours,
            "api {} {key} {min} {stable} {known} broker={} controller={} forwarded={} cluster={}",
            key.code(),
            spec.is_on(Listener::Broker),
            spec.is_on(Listener::Controller),
            spec.is_forwarded(),
            spec.is_cluster_action(),
        );
        for v in spec.known.iter() {
            let _ = write!(ours, " {}{}", spec.request_header(v), spec.response_header(v));
        }
        ours.push('\n');
    }
    for code in ErrorCode::all() {
        let (retriable, refreshes) = (code.is_retriable(), code.refreshes_metadata());
        let _ = writeln!(ours, "error {} {code} {retriable} {refreshes}", code.0);
    }
    let kafkas = include_str!("golden/apis.txt");
    for (ours, kafkas) in ours.lines().zip(kafkas.lines()) {
        assert_eq!(ours, kafkas);
    }
    assert_eq!(ours.lines().count(), kafkas.lines().count());
    assert_eq!(ApiKey::ALL.len(), 89);
}

#[test]
fn what_is_advertised_on_each_listener() {
    let count = |listener| ApiKey::ALL.iter().filter(|k| k.spec().is_on(listener)).count();
    assert_eq!((count(Listener::Broker), count(Listener::Controller)), (77, 41));
    let range = |key: ApiKey, listener| key.spec().advertised(listener).map(|v| (v.min, v.max));
    assert_eq!(range(ApiKey::Produce, Listener::Broker), Some((0, 13)));
    assert_eq!(range(ApiKey::Produce, Listener::Controller), None);
    assert_eq!(range(ApiKey::InitProducerId, Listener::Broker), Some((0, 5)));
    assert_eq!(range(ApiKey::Fetch, Listener::Controller), Some((4, 18)));
}
