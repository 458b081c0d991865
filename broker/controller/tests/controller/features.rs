//! Levels of features.

use crate::common::{Rig, registration};
use ottla_controller::{Command, Reply};
use ottla_metadata::MetadataVersion;
use ottla_wire::ErrorCode;
use ottla_wire::api::update_features::*;

const UP: i8 = 1;
const SAFE: i8 = 2;
const UNSAFE: i8 = 3;

fn update(rig: &mut Rig, updates: &[(&str, i16, i8)], validate_only: bool) -> (ErrorCode, String) {
    let updates = updates.iter().map(|(feature, level, upgrade_type)| FeatureUpdateKey {
        feature: (*feature).to_owned(),
        max_version_level: *level,
        upgrade_type: *upgrade_type,
        ..FeatureUpdateKey::default()
    });
    let request = UpdateFeaturesRequest {
        feature_updates: updates.collect(),
        validate_only,
        ..UpdateFeaturesRequest::default()
    };
    match rig.ask(Command::UpdateFeatures(request)) {
        Reply::UpdateFeatures(r) => (r.error_code, r.error_message.unwrap_or_default()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn refusals_have_kafkas_words() {
    let mut rig = Rig::with_brokers(&[1]);
    let mv = MetadataVersion::FEATURE;
    let only = "Local controller 1 only supports versions";
    let cases = [
        (
            (mv, 25, UP),
            "Invalid update version 25 for feature metadata.version. Can't downgrade the version of this feature \
             without setting the upgrade type to either safe or unsafe downgrade."
                .to_owned(),
        ),
        (
            (mv, 25, SAFE),
            "Unsupported metadata.version downgrade from 30 to 25. Refusing to perform the requested downgrade \
             because it might delete metadata information."
                .to_owned(),
        ),
        (
            (mv, 25, UNSAFE),
            "Unsupported metadata.version downgrade from 30 to 25. Unsafe metadata downgrade is not supported in \
             this version."
                .to_owned(),
        ),
        ((mv, 31, UP), format!("Invalid update version 31 for feature metadata.version. {only} 7-30")),
        ((mv, 3, SAFE), format!("Invalid update version 3 for feature metadata.version. {only} 7-30")),
        (
            ("foo.version", 1, UP),
            "Invalid update version 1 for feature foo.version. Local controller 1 does not support this feature."
                .to_owned(),
        ),
        (
            ("foo.version", 0, UNSAFE),
            "Invalid update version 0 for feature foo.version. Feature foo.version not found.".to_owned(),
        ),
        (
            ("group.version", 5, UP),
            format!("Invalid update version 5 for feature group.version. {only} 0-1"),
        ),
        (
            ("group.version", -1, SAFE),
            "Invalid update version -1 for feature group.version. A feature version cannot be less than 0."
                .to_owned(),
        ),
        (
            ("group.version", 0, 9),
            "Invalid update version 0 for feature group.version. The controller does not support the given upgrade \
             type."
                .to_owned(),
        ),
    ];
    for (case, why) in cases {
        let opening =
            "The update failed for all features since the following feature had an error:";
        let (code, words) = update(&mut rig, &[case], true);
        assert_eq!(code, ErrorCode::INVALID_UPDATE_VERSION, "{case:?}");
        assert_eq!(words, format!("{opening} {why}"), "{case:?}");
    }
}

#[test]
fn levels_go_down_and_up_again() {
    let mut rig = Rig::with_brokers(&[1]);
    for name in ["group.version", "transaction.version", "share.version", "streams.version"] {
        assert_eq!(update(&mut rig, &[(name, 0, SAFE)], true), (ErrorCode::NONE, String::new()));
        assert!(rig.image().features().level(name) > 0, "validate only");
        assert!(update(&mut rig, &[(name, 0, SAFE)], false).0.is_none());
        assert_eq!(rig.image().features().level(name), 0);
        assert!(update(&mut rig, &[(name, 1, UP)], false).0.is_none());
        assert_eq!(rig.image().features().level(name), 1);
    }
}

#[test]
fn all_features_change_or_none() {
    let mut rig = Rig::with_brokers(&[1]);
    let from = rig.log.len();
    let updates = [("group.version", 0, SAFE), ("share.version", 9, UP)];
    assert!(update(&mut rig, &updates, false).0.is_error());
    assert_eq!(rig.log.len(), from);
}

#[test]
fn a_broker_that_could_not_follow_holds_the_cluster_back() {
    let mut rig = Rig::at(MetadataVersion::from_level(25).expect("a level"));
    let mut request = registration(2, 2);
    request.features.iter_mut().filter(|f| f.name == MetadataVersion::FEATURE).for_each(|f| {
        f.max_supported_version = 26;
    });
    rig.register(request);
    let (code, words) = update(&mut rig, &[(MetadataVersion::FEATURE, 28, UP)], false);
    assert_eq!(code, ErrorCode::INVALID_UPDATE_VERSION);
    assert!(words.ends_with("Broker 2 only supports versions 7-26"), "{words}");
    assert!(update(&mut rig, &[(MetadataVersion::FEATURE, 26, UP)], false).0.is_none());
    assert_eq!(rig.image().features().version().level(), 26);
}

#[test]
fn eligible_leaders_come_with_a_least_number_in_sync_and_a_version() {
    let mut rig = Rig::at(MetadataVersion::from_level(22).expect("a level"));
    let elr = "eligible.leader.replicas.version";
    let (_, words) = update(&mut rig, &[(elr, 1, UP)], false);
    assert!(
        words.ends_with(
            "eligible.leader.replicas.version could not be set to 1 because it depends on \
             metadata.version=23 (4.0-IV1)"
        ),
        "{words}"
    );
    let both = [(elr, 1, UP), (MetadataVersion::FEATURE, 25, UP)];
    assert!(update(&mut rig, &both, false).0.is_none());
    assert!(rig.image().features().elr_enabled());
    let all = ottla_metadata::ConfigResource::all_brokers();
    assert_eq!(rig.image().config(&all, "min.insync.replicas"), Some("1"));
}
