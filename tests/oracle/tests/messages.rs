//! Every message in every version that both know, from here to there and back.

use bytes::{Bytes, BytesMut};
use kafka_protocol::protocol::{Decodable, Encodable, Message};
use ottla_wire::testing::{Mutator, Probe, probes};
use std::collections::BTreeMap;

/// Samples of each version, of growing size.
const SAMPLES: [usize; 8] = [0, 20, 60, 100, 200, 400, 600, 1000];

/// How often all sizes are tried.
const ROUNDS: usize = 5;

/// What the crate does with our bytes: reads them to the end, and writes what it read.
fn there_and_back<M: Decodable + Encodable>(bytes: Bytes, version: i16) -> Result<Bytes, String> {
    let mut left = bytes;
    let message = M::decode(&mut left, version).map_err(|e| format!("does not read ours: {e}"))?;
    if !left.is_empty() {
        return Err(format!("leaves {} bytes of ours", left.len()));
    }
    let mut theirs = BytesMut::new();
    message.encode(&mut theirs, version).map_err(|e| format!("does not write: {e}"))?;
    Ok(theirs.freeze())
}

fn compare<M: Decodable + Encodable>(probe: &Probe, version: i16, wrong: &mut Vec<String>) {
    let mut chance = Mutator::new(version as u64);
    for size in SAMPLES.repeat(ROUNDS) {
        let entropy = chance.bytes(size);
        let ours = match (probe.sample)(&entropy, version) {
            Ok(sampled) => sampled.bytes,
            Err(e) => return wrong.push(format!("{} v{version}: {e}", probe.name)),
        };
        let result = there_and_back::<M>(ours.clone(), version).and_then(|theirs| {
            let dump = |bytes| (probe.recode)(bytes, version).map(|r| (r.left, r.dump));
            match (theirs == ours, dump(ours.clone()), dump(theirs.clone())) {
                (_, _, Err(e)) => Err(format!("is not read here: {e}")),
                (_, ours, theirs) if ours != theirs => Err("writes another message".to_owned()),
                (false, ..) => Err(format!("writes other bytes:\n{ours:x?}\n{theirs:x?}")),
                (true, ..) => Ok(()),
            }
        });
        if let Err(e) = result {
            return wrong.push(format!("{} v{version}: the crate {e}", probe.name));
        }
    }
}

/// The versions compared.
fn compare_all<M>(name: &str, probes: &BTreeMap<&str, &Probe>, wrong: &mut Vec<String>) -> usize
where
    M: Decodable + Encodable + Message,
{
    let probe = probes.get(name).unwrap_or_else(|| panic!("no {name} here"));
    let versions = probe.versions.iter();
    let both = versions.filter(|v| (M::VERSIONS.min..=M::VERSIONS.max).contains(v));
    both.inspect(|version| compare::<M>(probe, *version, wrong)).count()
}

macro_rules! messages {
    ($($name:ident,)*) => {
        #[test]
        fn both_write_the_same_bytes_and_read_the_other_ones() {
            let probes = probes().map(|p| (p.name, p)).collect();
            let mut wrong = Vec::new();
            let mut versions = 0;
            $(versions += compare_all::<kafka_protocol::messages::$name>(
                stringify!($name),
                &probes,
                &mut wrong,
            );)*
            assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
            assert_eq!(versions, VERSIONS);
        }
    };
}

/// Versions of messages that both know.
const VERSIONS: usize = 594;

// Two are left out, `LeaderChangeMessage` and `VotersRecord`: the crate takes their field `version`
// for the version of the structs in them, and so reads its own bytes wrongly. Golden bytes cover
// them.
messages! {
    AddOffsetsToTxnRequest,
    AddOffsetsToTxnResponse,
    AddPartitionsToTxnRequest,
    AddPartitionsToTxnResponse,
    AddRaftVoterRequest,
    AddRaftVoterResponse,
    AllocateProducerIdsRequest,
    AllocateProducerIdsResponse,
    AlterClientQuotasRequest,
    AlterClientQuotasResponse,
    AlterConfigsRequest,
    AlterConfigsResponse,
    AlterPartitionReassignmentsRequest,
    AlterPartitionReassignmentsResponse,
    AlterPartitionRequest,
    AlterPartitionResponse,
    AlterReplicaLogDirsRequest,
    AlterReplicaLogDirsResponse,
    AlterShareGroupOffsetsRequest,
    AlterShareGroupOffsetsResponse,
    AlterUserScramCredentialsRequest,
    AlterUserScramCredentialsResponse,
    ApiVersionsRequest,
    ApiVersionsResponse,
    AssignReplicasToDirsRequest,
    AssignReplicasToDirsResponse,
    BeginQuorumEpochRequest,
    BeginQuorumEpochResponse,
    BrokerHeartbeatRequest,
    BrokerHeartbeatResponse,
    BrokerRegistrationRequest,
    BrokerRegistrationResponse,
    ConsumerGroupDescribeRequest,
    ConsumerGroupDescribeResponse,
    ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatResponse,
    ConsumerProtocolAssignment,
    ConsumerProtocolSubscription,
    ControllerRegistrationRequest,
    ControllerRegistrationResponse,
    CreateAclsRequest,
    CreateAclsResponse,
    CreateDelegationTokenRequest,
    CreateDelegationTokenResponse,
    CreatePartitionsRequest,
    CreatePartitionsResponse,
    CreateTopicsRequest,
    CreateTopicsResponse,
    DefaultPrincipalData,
    DeleteAclsRequest,
    DeleteAclsResponse,
    DeleteGroupsRequest,
    DeleteGroupsResponse,
    DeleteRecordsRequest,
    DeleteRecordsResponse,
    DeleteShareGroupOffsetsRequest,
    DeleteShareGroupOffsetsResponse,
    DeleteShareGroupStateRequest,
    DeleteShareGroupStateResponse,
    DeleteTopicsRequest,
    DeleteTopicsResponse,
    DescribeAclsRequest,
    DescribeAclsResponse,
    DescribeClientQuotasRequest,
    DescribeClientQuotasResponse,
    DescribeClusterRequest,
    DescribeClusterResponse,
    DescribeConfigsRequest,
    DescribeConfigsResponse,
    DescribeDelegationTokenRequest,
    DescribeDelegationTokenResponse,
    DescribeGroupsRequest,
    DescribeGroupsResponse,
    DescribeLogDirsRequest,
    DescribeLogDirsResponse,
    DescribeProducersRequest,
    DescribeProducersResponse,
    DescribeQuorumRequest,
    DescribeQuorumResponse,
    DescribeShareGroupOffsetsRequest,
    DescribeShareGroupOffsetsResponse,
    DescribeTopicPartitionsRequest,
    DescribeTopicPartitionsResponse,
    DescribeTransactionsRequest,
    DescribeTransactionsResponse,
    DescribeUserScramCredentialsRequest,
    DescribeUserScramCredentialsResponse,
    ElectLeadersRequest,
    ElectLeadersResponse,
    EndQuorumEpochRequest,
    EndQuorumEpochResponse,
    EndTxnMarker,
    EndTxnRequest,
    EndTxnResponse,
    EnvelopeRequest,
    EnvelopeResponse,
    ExpireDelegationTokenRequest,
    ExpireDelegationTokenResponse,
    FetchRequest,
    FetchResponse,
    FetchSnapshotRequest,
    FetchSnapshotResponse,
    FindCoordinatorRequest,
    FindCoordinatorResponse,
    GetTelemetrySubscriptionsRequest,
    GetTelemetrySubscriptionsResponse,
    HeartbeatRequest,
    HeartbeatResponse,
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
    InitProducerIdRequest,
    InitProducerIdResponse,
    InitializeShareGroupStateRequest,
    InitializeShareGroupStateResponse,
    JoinGroupRequest,
    JoinGroupResponse,
    KRaftVersionRecord,
    LeaveGroupRequest,
    LeaveGroupResponse,
    ListConfigResourcesRequest,
    ListConfigResourcesResponse,
    ListGroupsRequest,
    ListGroupsResponse,
    ListOffsetsRequest,
    ListOffsetsResponse,
    ListPartitionReassignmentsRequest,
    ListPartitionReassignmentsResponse,
    ListTransactionsRequest,
    ListTransactionsResponse,
    MetadataRequest,
    MetadataResponse,
    OffsetCommitRequest,
    OffsetCommitResponse,
    OffsetDeleteRequest,
    OffsetDeleteResponse,
    OffsetFetchRequest,
    OffsetFetchResponse,
    OffsetForLeaderEpochRequest,
    OffsetForLeaderEpochResponse,
    ProduceRequest,
    ProduceResponse,
    PushTelemetryRequest,
    PushTelemetryResponse,
    ReadShareGroupStateRequest,
    ReadShareGroupStateResponse,
    ReadShareGroupStateSummaryRequest,
    ReadShareGroupStateSummaryResponse,
    RemoveRaftVoterRequest,
    RemoveRaftVoterResponse,
    RenewDelegationTokenRequest,
    RenewDelegationTokenResponse,
    RequestHeader,
    ResponseHeader,
    SaslAuthenticateRequest,
    SaslAuthenticateResponse,
    SaslHandshakeRequest,
    SaslHandshakeResponse,
    ShareAcknowledgeRequest,
    ShareAcknowledgeResponse,
    ShareFetchRequest,
    ShareFetchResponse,
    ShareGroupDescribeRequest,
    ShareGroupDescribeResponse,
    ShareGroupHeartbeatRequest,
    ShareGroupHeartbeatResponse,
    SnapshotFooterRecord,
    SnapshotHeaderRecord,
    SyncGroupRequest,
    SyncGroupResponse,
    TxnOffsetCommitRequest,
    TxnOffsetCommitResponse,
    UnregisterBrokerRequest,
    UnregisterBrokerResponse,
    UpdateFeaturesRequest,
    UpdateFeaturesResponse,
    UpdateRaftVoterRequest,
    UpdateRaftVoterResponse,
    VoteRequest,
    VoteResponse,
    WriteShareGroupStateRequest,
    WriteShareGroupStateResponse,
    WriteTxnMarkersRequest,
    WriteTxnMarkersResponse,
}
