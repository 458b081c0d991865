//! DescribeCluster: the brokers, or the controllers, and how to reach them (KIP-700, KIP-919).

use ottla_wire::ErrorCode;
use ottla_wire::api::Listener;
use ottla_wire::api::describe_cluster::{
    DescribeClusterBroker, DescribeClusterRequest, DescribeClusterResponse,
};

use crate::answer::Answer;
use crate::api::operations;
use crate::call::Call;

const BROKERS: i8 = 1;
const CONTROLLERS: i8 = 2;

/// Answers DescribeCluster.
pub fn handle(call: Call, request: DescribeClusterRequest) -> Answer<DescribeClusterResponse> {
    let served = if call.session.kind == Listener::Broker { BROKERS } else { CONTROLLERS };
    if request.endpoint_type != served {
        let (error_code, why) = match request.endpoint_type {
            BROKERS | CONTROLLERS => (
                ErrorCode::MISMATCHED_ENDPOINT_TYPE,
                if served == BROKERS {
                    "The request was sent to an endpoint of type BROKER, but we wanted an endpoint of type CONTROLLER"
                } else {
                    "The request was sent to an endpoint of type CONTROLLER, but we wanted an endpoint of type BROKER"
                },
            ),
            _ => (ErrorCode::UNSUPPORTED_ENDPOINT_TYPE, "Unsupported endpoint type"),
        };
        return DescribeClusterResponse {
            error_code,
            error_message: Some(why.to_owned()),
            cluster_id: call.context.cluster_id.clone(),
            endpoint_type: served,
            ..Default::default()
        }
        .into();
    }

    let image = call.context.image();
    let listener = call.session.listener.as_ref();
    let brokers = if served == BROKERS {
        image
            .brokers()
            .filter(|b| request.include_fenced_brokers || !b.fenced)
            .filter_map(|b| b.endpoint(listener).map(|e| (b, e)))
            .map(|(b, e)| DescribeClusterBroker {
                broker_id: b.id,
                host: e.host.clone(),
                port: i32::from(e.port),
                rack: b.rack.clone(),
                is_fenced: b.fenced,
            })
            .collect()
    } else {
        image
            .controllers()
            .filter_map(|c| c.endpoints.iter().find(|e| e.listener == listener).map(|e| (c, e)))
            .map(|(c, e)| DescribeClusterBroker {
                broker_id: c.id,
                host: e.host.clone(),
                port: i32::from(e.port),
                ..Default::default()
            })
            .collect()
    };
    DescribeClusterResponse {
        endpoint_type: served,
        cluster_id: call.context.cluster_id.clone(),
        controller_id: call.context.controller_for_clients(&image, call.session.kind),
        brokers,
        cluster_authorized_operations: operations::asked(
            request.include_cluster_authorized_operations,
            operations::CLUSTER,
        ),
        ..Default::default()
    }
    .into()
}
