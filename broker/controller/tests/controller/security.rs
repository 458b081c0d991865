//! Credentials and access rules.

use crate::common::Rig;
use bytes::Bytes;
use ottla_controller::{Command, Controller, Reply, State, Waits};
use ottla_machine::{Machine, Mono, Ticket, Time};
use ottla_metadata::{Acl, Image, ScramMechanism};
use ottla_wire::api::alter_user_scram_credentials::*;
use ottla_wire::api::create_acls::*;
use ottla_wire::api::delete_acls::*;
use ottla_wire::{ErrorCode, Uuid};

fn upsert(name: &str, mechanism: i8, iterations: i32) -> ScramCredentialUpsertion {
    ScramCredentialUpsertion {
        name: name.into(),
        mechanism,
        iterations,
        salt: Bytes::from_static(b"salt"),
        salted_password: Bytes::from_static(b"salted"),
    }
}

fn alter(
    rig: &mut Rig,
    upsertions: Vec<ScramCredentialUpsertion>,
    deletions: &[(&str, i8)],
) -> Vec<(String, ErrorCode, String)> {
    let deletions = deletions.iter().map(|(name, mechanism)| ScramCredentialDeletion {
        name: (*name).to_owned(),
        mechanism: *mechanism,
    });
    let deletions = deletions.collect();
    let request = AlterUserScramCredentialsRequest { deletions, upsertions };
    match rig.ask(Command::AlterUserScramCredentials(request)) {
        Reply::AlterUserScramCredentials(r) => {
            let results = r.results.into_iter();
            results.map(|r| (r.user, r.error_code, r.error_message.unwrap_or_default())).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn credentials_are_set_and_deleted() {
    let mut rig = Rig::new();
    let done = alter(&mut rig, vec![upsert("bob", 1, 8192), upsert("bob", 2, 4096)], &[]);
    assert_eq!(done, [("bob".to_owned(), ErrorCode::NONE, String::new())]);
    let credential = rig.image().scram(ScramMechanism::Sha256, "bob").expect("a credential");
    assert_eq!((credential.iterations, credential.stored_key.len()), (8192, 32));
    assert!(!format!("{credential:?}").contains("key"), "secrets are not printed");
    let credential = rig.image().scram(ScramMechanism::Sha512, "bob").expect("a credential");
    assert_eq!(credential.server_key.len(), 64);
    alter(&mut rig, vec![], &[("bob", 1)]);
    assert!(rig.image().scram(ScramMechanism::Sha256, "bob").is_none());
    assert!(rig.image().scram(ScramMechanism::Sha512, "bob").is_some());
}

#[test]
fn bad_credentials_are_refused_in_kafkas_words() {
    let mut rig = Rig::new();
    use ErrorCode as E;
    let mut said = |upsertions: Vec<_>, deletions: &[(&str, i8)]| {
        let mut all = alter(&mut rig, upsertions, deletions);
        let (_, code, words) = all.remove(0);
        (code, words)
    };
    let is = |code, words: &str| (code, words.to_owned());
    assert_eq!(
        said(vec![upsert("b", 1, 10)], &[]),
        is(E::UNACCEPTABLE_CREDENTIAL, "Too few iterations")
    );
    assert_eq!(
        said(vec![upsert("b", 1, 20_000)], &[]),
        is(E::UNACCEPTABLE_CREDENTIAL, "Too many iterations")
    );
    assert_eq!(
        said(vec![upsert("", 1, 8192)], &[]),
        is(E::UNACCEPTABLE_CREDENTIAL, "Username must not be empty")
    );
    assert_eq!(
        said(vec![upsert("b", 7, 8192)], &[]),
        is(E::UNSUPPORTED_SASL_MECHANISM, "Unknown SCRAM mechanism")
    );
    let absent = "Attempt to delete a user credential that does not exist";
    assert_eq!(said(vec![], &[("b", 1)]), is(E::RESOURCE_NOT_FOUND, absent));
    assert_eq!(said(vec![upsert("b", 1, 8192)], &[("b", 1)]), is(E::RESOURCE_NOT_FOUND, absent));
    let twice = "A user credential cannot be altered twice in the same request";
    assert_eq!(
        said(vec![upsert("b", 1, 8192), upsert("b", 1, 8193)], &[]),
        is(E::DUPLICATE_RESOURCE, twice)
    );
    assert_eq!(rig.image().scram_credentials().count(), 0);
}

fn creation(name: &str, principal: &str) -> AclCreation {
    AclCreation {
        resource_type: 2,
        resource_name: name.into(),
        resource_pattern_type: 3,
        principal: principal.into(),
        host: "*".into(),
        operation: 3,
        permission_type: 3,
    }
}

fn create(rig: &mut Rig, creations: Vec<AclCreation>) -> Vec<String> {
    match rig.ask(Command::CreateAcls(CreateAclsRequest { creations })) {
        Reply::CreateAcls(r) => {
            let results = r.results.into_iter();
            results.map(|r| r.error_message.unwrap_or_default()).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn rules_are_added_once_and_deleted_by_filters() {
    let mut rig = Rig::new();
    let all = vec![creation("x", "User:a"), creation("x", "User:a"), creation("y", "User:b")];
    assert_eq!(create(&mut rig, all), ["", "", ""]);
    assert_eq!(create(&mut rig, vec![creation("x", "User:a")]), [""]);
    assert_eq!(rig.image().acls().count(), 2);
    let filter = DeleteAclsFilter {
        resource_type_filter: 1,
        resource_name_filter: Some("x".into()),
        pattern_type_filter: 1,
        operation: 1,
        permission_type: 1,
        principal_filter: None,
        host_filter: None,
    };
    let unknown = DeleteAclsFilter { resource_type_filter: 0, ..filter.clone() };
    let request = DeleteAclsRequest { filters: vec![filter.clone(), filter, unknown] };
    let Reply::DeleteAcls(r) = rig.ask(Command::DeleteAcls(request)) else { panic!() };
    assert_eq!(r.filter_results[0].matching_acls.len(), 1);
    assert_eq!(r.filter_results[1].matching_acls.len(), 1, "each filter tells what it matches");
    assert_eq!(r.filter_results[2].error_message.as_deref(), Some("Unknown patternFilter."));
    assert_eq!(rig.image().acls().count(), 1);
}

#[test]
fn bad_rules_are_refused_in_kafkas_words() {
    let mut rig = Rig::new();
    let mut all = vec![creation("x", "User:a"); 6];
    all[0].resource_type = 1;
    all[1].resource_pattern_type = 2;
    all[2].operation = 0;
    all[3].permission_type = 1;
    all[4].resource_name.clear();
    all[5].principal = "a".into();
    assert_eq!(
        create(&mut rig, all),
        [
            "Invalid resourceType ANY",
            "Invalid patternType MATCH",
            "Invalid operation UNKNOWN",
            "Invalid permissionType ANY",
            "Resource name should not be empty",
            "Could not parse principal from `a` (no colon is present separating the principal type from the \
             principal name)",
        ]
    );
}

#[test]
fn a_rule_can_be_added_again_once_it_is_deleted() {
    let mut rig = Rig::new();
    create(&mut rig, vec![creation("x", "User:a"), creation("y", "User:a")]);
    let filter = DeleteAclsFilter {
        resource_type_filter: 2,
        resource_name_filter: Some("x".into()),
        pattern_type_filter: 3,
        operation: 1,
        permission_type: 1,
        principal_filter: None,
        host_filter: None,
    };
    rig.ask(Command::DeleteAcls(DeleteAclsRequest { filters: vec![filter] }));
    create(&mut rig, vec![creation("x", "User:a"), creation("y", "User:a")]);
    assert_eq!(rig.image().acls().count(), 2);
    // So it is in a machine that goes on from the image.
    rig.state = State::from_image(rig.image().clone(), rig.state.next_offset());
    create(&mut rig, vec![creation("x", "User:a"), creation("z", "User:a")]);
    assert_eq!(rig.image().acls().count(), 3);
}

// It measures.
#[allow(clippy::disallowed_methods)]
#[test]
fn adding_a_rule_takes_no_longer_when_there_are_many() {
    let mut image = Image::default();
    for n in 0..50_000u128 {
        let acl = Acl {
            resource_type: 2,
            resource_name: format!("topic-{n}"),
            pattern_type: 3,
            principal: "User:a".into(),
            host: "*".into(),
            operation: 3,
            permission_type: 3,
        };
        image.apply(&acl.to_record(Uuid::from_u128(1_000 + n)).into(), 0).expect("fits");
    }
    let state = State::from_image(image, 60_000);
    let mut waits = Waits::default();
    let time = Time { mono: Mono(1), wall_ms: 1 };
    let mut taken = (0..20).map(|n| {
        let creations = vec![creation(&format!("new-{n}"), "User:a")];
        let command = Command::CreateAcls(CreateAclsRequest { creations });
        let begun = std::time::Instant::now();
        let decision = Controller::decide(&state, &mut waits, time, Ticket(n), command);
        assert_eq!(decision.records.len(), 1);
        begun.elapsed()
    });
    let shortest = taken.by_ref().min().expect("a time");
    assert!(shortest.as_micros() < 3_000, "{shortest:?}");
}
