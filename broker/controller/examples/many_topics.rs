//! How long it takes to decide and apply many topics, one request each, and to bring a node down and up again.
//! Run with `cargo run --release -p ottla-controller --example many_topics [TOPICS] [PARTITIONS_PER_TOPIC]`.

// It measures, and tells.
#![allow(clippy::print_stdout, clippy::disallowed_methods)]

use ottla_controller::{Command, Controller, Reply, Settings, State, Waits, bootstrap_records};
use ottla_machine::{Machine, Mono, Ticket, Time};
use ottla_metadata::{MetadataVersion, features};
use ottla_wire::Uuid;
use ottla_wire::api::broker_heartbeat::BrokerHeartbeatRequest;
use ottla_wire::api::broker_registration::{BrokerRegistrationRequest, Feature};
use ottla_wire::api::create_topics::{CreatableTopic, CreateTopicsRequest};
use std::collections::BTreeMap;
use std::time::Instant;

struct Shell {
    state: State,
    waits: Waits,
}

impl Shell {
    fn ask(&mut self, command: Command) -> (Vec<Reply>, usize) {
        let time = Time { mono: Mono(1), wall_ms: 1 };
        let d = Controller::decide(&self.state, &mut self.waits, time, Ticket(1), command);
        d.records.iter().for_each(|record| Controller::apply(&mut self.state, record));
        (d.replies.into_iter().map(|(_, reply)| reply).collect(), d.records.len())
    }

    fn beat(&mut self, want_shut_down: bool) -> usize {
        let broker_epoch = self.state.image().broker(1).map_or(-1, |b| b.epoch);
        let request = BrokerHeartbeatRequest {
            broker_id: 1,
            broker_epoch,
            current_metadata_offset: self.state.next_offset(),
            want_shut_down,
            ..BrokerHeartbeatRequest::default()
        };
        self.ask(Command::BrokerHeartbeat(request)).1
    }
}

fn main() {
    let mut args = std::env::args().skip(1).filter_map(|a| a.parse::<i32>().ok());
    let (topics, partitions) = (args.next().unwrap_or(20_000), args.next().unwrap_or(1));
    let mut shell =
        Shell { state: State::default(), waits: Waits::new(Settings::default(), [1, 2, 3, 4]) };
    let bootstrap = bootstrap_records(MetadataVersion::LATEST, &BTreeMap::new()).expect("records");
    shell.ask(Command::Activate { bootstrap });
    let features = features::supported().into_iter().map(|(name, range)| Feature {
        name,
        min_supported_version: range.min,
        max_supported_version: range.max,
    });
    shell.ask(Command::RegisterBroker(BrokerRegistrationRequest {
        broker_id: 1,
        incarnation_id: Uuid::from_u128(1_000),
        features: features.collect(),
        log_dirs: vec![Uuid::from_u128(1_001)],
        ..BrokerRegistrationRequest::default()
    }));
    shell.beat(false);
    let start = Instant::now();
    for n in 0..topics {
        let topic = CreatableTopic {
            name: format!("topic_{n:06}"),
            num_partitions: partitions,
            replication_factor: 1,
            ..CreatableTopic::default()
        };
        let request = CreateTopicsRequest { topics: vec![topic], ..CreateTopicsRequest::default() };
        let (replies, _) = shell.ask(Command::CreateTopics(request));
        let Some(Reply::CreateTopics(response)) = replies.first() else { panic!("{replies:?}") };
        assert!(response.topics[0].error_code.is_none(), "{response:?}");
    }
    let took = start.elapsed();
    println!("create              {took:?}, {:?} a topic", took / topics.unsigned_abs().max(1));
    println!("partitions          {}", shell.state.image().partition_count());
    let start = Instant::now();
    let records = shell.beat(true);
    println!("shut down           {:?}, {records} records", start.elapsed());
    shell.beat(true);
    let start = Instant::now();
    let records = shell.beat(false);
    println!("back in service     {:?}, {records} records", start.elapsed());
}
