//! Laws of the image: it is rebuilt by its snapshot, a delta names all that differs, and an error changes nothing.

use ottla_metadata::{Delta, Image, Loader, MetadataVersion, Provenance};
use ottla_wire::Uuid;
use ottla_wire::schema::metadata::*;
use proptest::prelude::*;

/// A record over a small world of ids and names, so that records meet.
fn record() -> impl Strategy<Value = MetadataRecord> {
    let id = 0..4i32;
    let topic = (0..4u128).prop_map(Uuid::from_u128);
    let name = prop::sample::select(vec!["a", "b", "c", "d"]).prop_map(str::to_owned);
    let ids = prop::collection::vec(0..6i32, 0..5);
    let maybe = |s: BoxedStrategy<Vec<i32>>| prop::option::of(s);
    let ids2 = ids.clone().boxed();
    prop_oneof![
        2 => (id.clone(), 0..3i64, any::<bool>(), prop::option::of(name.clone())).prop_map(
            |(broker_id, broker_epoch, fenced, rack)| RegisterBrokerRecord {
                broker_id,
                broker_epoch,
                fenced,
                rack,
                incarnation_id: Uuid::from_u128(9),
                end_points: vec![BrokerEndpoint {
                    name: "PLAINTEXT".into(), host: "h".into(), port: 9092, security_protocol: 0,
                }],
                log_dirs: vec![Uuid::from_u128(8), Uuid::from_u128(7)],
                cordoned_log_dirs: Some(vec![Uuid::from_u128(7)]),
                ..RegisterBrokerRecord::default()
            }.into()
        ),
        1 => (id.clone(), 0..3i64).prop_map(|(broker_id, broker_epoch)| {
            UnregisterBrokerRecord { broker_id, broker_epoch }.into()
        }),
        1 => (id.clone(), 0..3i64).prop_map(|(id, epoch)| FenceBrokerRecord { id, epoch }.into()),
        1 => (id.clone(), 0..3i64).prop_map(|(id, epoch)| UnfenceBrokerRecord { id, epoch }.into()),
        1 => (id.clone(), 0..3i64, -2..3i8, 0..3i8).prop_map(
            |(broker_id, broker_epoch, fenced, in_controlled_shutdown)| {
                BrokerRegistrationChangeRecord {
                    broker_id,
                    broker_epoch,
                    fenced,
                    in_controlled_shutdown,
                    ..BrokerRegistrationChangeRecord::default()
                }.into()
            }
        ),
        1 => id.clone().prop_map(|controller_id| {
            RegisterControllerRecord { controller_id, ..RegisterControllerRecord::default() }.into()
        }),
        3 => (name.clone(), topic.clone()).prop_map(|(name, topic_id)| {
            TopicRecord { name, topic_id }.into()
        }),
        1 => topic.clone().prop_map(|topic_id| RemoveTopicRecord { topic_id }.into()),
        8 => (topic.clone(), 0..4i32, ids.clone(), maybe(ids2.clone()), 0..3i8).prop_map(
            |(topic_id, partition_id, replicas, elr, leader_recovery_state)| PartitionRecord {
                partition_id,
                topic_id,
                isr: replicas.clone(),
                directories: vec![Uuid::from_u128(7); replicas.len()],
                leader: replicas.first().copied().unwrap_or(-1),
                replicas,
                leader_epoch: 0,
                partition_epoch: 0,
                eligible_leader_replicas: elr,
                leader_recovery_state,
                ..PartitionRecord::default()
            }.into()
        ),
        6 => (
            (topic.clone(), 0..4i32, maybe(ids2.clone()), maybe(ids2.clone())),
            (maybe(ids2.clone()), maybe(ids2.clone()), maybe(ids2), -2..4i32, -1..2i8),
        ).prop_map(
            |((topic_id, partition_id, isr, replicas), (adding_replicas, elr, last, leader, r))| {
                PartitionChangeRecord {
                    partition_id,
                    topic_id,
                    isr,
                    replicas,
                    adding_replicas,
                    eligible_leader_replicas: elr,
                    last_known_elr: last,
                    leader,
                    leader_recovery_state: r,
                    ..PartitionChangeRecord::default()
                }.into()
            }
        ),
        1 => prop_oneof![Just(String::new()), name.clone()]
            .prop_map(|topic_name| ClearElrRecord { topic_name }.into()),
        2 => (prop::sample::select(vec![2i8, 4, 16, 32, 3]), name.clone(), name.clone(),
              prop::option::of(name.clone())).prop_map(
            |(resource_type, resource_name, name, value)| {
                ConfigRecord { resource_type, resource_name, name, value }.into()
            }
        ),
        2 => (name.clone(), 6..34i16).prop_map(|(_, feature_level)| {
            FeatureLevelRecord { name: "metadata.version".into(), feature_level }.into()
        }),
        1 => (name.clone(), 0..3i16).prop_map(|(name, feature_level)| {
            FeatureLevelRecord { name, feature_level }.into()
        }),
        2 => (name.clone(), prop::option::of(name.clone()), any::<bool>()).prop_map(
            |(key, entity_name, remove)| ClientQuotaRecord {
                entity: vec![EntityData { entity_type: "user".into(), entity_name }],
                key,
                value: 5.5,
                remove,
            }.into()
        ),
        1 => (0..9i64).prop_map(|n| {
            ProducerIdsRecord { broker_id: 1, broker_epoch: 1, next_producer_id: n * 1000 }.into()
        }),
        1 => (topic.clone(), name.clone()).prop_map(|(id, principal)| {
            AccessControlEntryRecord { id, principal, ..AccessControlEntryRecord::default() }.into()
        }),
        1 => topic.prop_map(|id| RemoveAccessControlEntryRecord { id }.into()),
        1 => (name.clone(), 0..4i8).prop_map(|(name, mechanism)| {
            UserScramCredentialRecord { name, mechanism, iterations: 5, ..Default::default() }.into()
        }),
        1 => (name.clone(), 0..4i8).prop_map(|(name, mechanism)| {
            RemoveUserScramCredentialRecord { name, mechanism }.into()
        }),
        1 => (name.clone(), 0..9i64).prop_map(|(token_id, issue_timestamp)| {
            DelegationTokenRecord { token_id, issue_timestamp, ..Default::default() }.into()
        }),
        1 => name.prop_map(|token_id| RemoveDelegationTokenRecord { token_id }.into()),
        1 => Just(NoOpRecord {}.into()),
    ]
}

fn latest() -> MetadataRecord {
    let feature_level = MetadataVersion::LATEST.level();
    FeatureLevelRecord { name: MetadataVersion::FEATURE.into(), feature_level }.into()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_snapshot_rebuilds_the_image(records in prop::collection::vec(record(), 0..120)) {
        let mut image = Image::default();
        for (offset, record) in (0..).zip(&records) {
            let before = image.clone();
            if image.apply(record, offset).is_err() {
                prop_assert_eq!(&image, &before, "an error must change nothing");
                prop_assert_eq!(image.provenance(), before.provenance());
            }
        }
        // At the newest version nothing is lost in writing.
        image.apply(&latest(), 1000).expect("a known level");
        let snapshot: Vec<_> = image.snapshot().collect();
        let rebuilt = Image::from_snapshot(&snapshot, 1000).expect("a snapshot fits");
        prop_assert_eq!(&rebuilt, &image);
        prop_assert_eq!(rebuilt.partition_count(), image.partition_count());
        let version = image.features().version();
        for record in &snapshot {
            let bytes = record.encode(ottla_metadata::record_version(record, version));
            let decoded = MetadataRecord::decode(bytes.expect("encodes")).expect("decodes");
            prop_assert_eq!(&decoded.0, record);
        }
        let count: usize = image.topics().map(|t| t.partitions.len()).sum();
        prop_assert_eq!(count, image.partition_count());
    }

    #[test]
    fn a_delta_names_all_that_differs(
        first in prop::collection::vec(record(), 0..60),
        second in prop::collection::vec(record(), 0..60),
    ) {
        let mut image = Image::default();
        for record in &first {
            let _ = image.apply(record, 0);
        }
        let old = image.clone();
        let mut noted = Delta::default();
        for record in &second {
            let _ = image.apply_noting(record, 0, &mut |change| noted.add(change));
        }
        let found = Delta::between(&old, &image);
        // What was noted may have been undone since; what differs must have been noted.
        prop_assert!(found.brokers.is_subset(&noted.brokers));
        prop_assert!(found.controllers.is_subset(&noted.controllers));
        prop_assert!(found.configs.is_subset(&noted.configs));
        prop_assert!(found.quotas.is_subset(&noted.quotas));
        prop_assert!(found.acls.is_subset(&noted.acls));
        prop_assert!(found.scram.is_subset(&noted.scram));
        prop_assert!(found.tokens.is_subset(&noted.tokens));
        prop_assert!(found.features.is_subset(&noted.features));
        prop_assert!(!found.producer_ids || noted.producer_ids);
        for (id, topic) in &found.topics {
            // A topic deleted and made again under its id counts as created.
            let noted = &noted.topics[id];
            prop_assert!(topic.partitions.is_subset(&noted.partitions) || noted.created);
        }
        for id in found.deleted.keys() {
            prop_assert!(noted.deleted.contains_key(id));
        }
    }

    #[test]
    fn an_aborted_transaction_leaves_no_trace(
        before in prop::collection::vec(record(), 0..40),
        inside in prop::collection::vec(record(), 0..40),
    ) {
        let mut loader = Loader::default();
        for record in &before {
            let _ = loader.apply(record, 0);
        }
        let published = loader.publish().expect("no transaction is under way");
        loader.apply(&BeginTransactionRecord::default().into(), 1).expect("begins");
        for record in &inside {
            let _ = loader.apply(record, 2);
        }
        prop_assert_eq!(loader.publish(), None);
        loader.apply(&AbortTransactionRecord::default().into(), 3).expect("aborts");
        let after = loader.publish().expect("the transaction is over");
        prop_assert_eq!(after.image, published.image);
        prop_assert!(after.delta.is_empty());
    }
}

#[test]
fn a_transaction_is_published_at_its_end() {
    let mut loader = Loader::default();
    loader.apply(&BeginTransactionRecord::default().into(), 0).expect("begins");
    let topic = TopicRecord { name: "t".into(), topic_id: Uuid::from_u128(200) };
    loader.apply(&topic.into(), 1).expect("fits");
    assert_eq!(loader.publish(), None);
    assert!(loader.apply(&BeginTransactionRecord::default().into(), 2).is_err());
    loader.apply(&EndTransactionRecord {}.into(), 2).expect("ends");
    assert!(loader.apply(&EndTransactionRecord {}.into(), 3).is_err());
    assert_eq!(loader.faults(), 2);
    loader.advance(Provenance { offset: 3, epoch: 7, timestamp_ms: 5 });
    let published = loader.publish().expect("the transaction is over");
    assert_eq!(published.image.topic_id("t"), Some(Uuid::from_u128(200)));
    assert_eq!(published.image.provenance().epoch, 7);
    assert!(published.delta.topics[&Uuid::from_u128(200)].created);
}
