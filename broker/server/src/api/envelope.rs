//! Envelope: a client's request that a broker hands to the active controller (KIP-590).

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::{Bytes, BytesMut};
use ottla_net::{Outcome, Part, Reply, Response};
use ottla_wire::api::Listener;
use ottla_wire::api::envelope::{EnvelopeRequest, EnvelopeResponse};
use ottla_wire::api::header::RequestHeader;
use ottla_wire::schema::principal::DefaultPrincipalData;
use ottla_wire::{ApiKey, Decoder, ErrorCode};
use tracing::{debug, warn};

use crate::answer::Answer;
use crate::call::{Call, Session};
use crate::connection::Envelope;
use crate::routes;

/// Answers Envelope with the answer to the request in it.
pub fn handle(call: Call, request: EnvelopeRequest) -> Answer<EnvelopeResponse> {
    let failed = |error_code| EnvelopeResponse { error_code, ..Default::default() };
    let remote = call.session.remote;
    let principal = request.request_principal.unwrap_or_default();
    let principal = match DefaultPrincipalData::from_bytes(principal) {
        Ok(principal) => Arc::new(principal),
        Err(why) => {
            warn!(%remote, %why, "an envelope that does not say who asks");
            return failed(ErrorCode::PRINCIPAL_DESERIALIZATION_FAILURE).into();
        }
    };
    let size = request.request_data.len();
    let mut decoder = Decoder::new(request.request_data);
    let (key, header) = match RequestHeader::decode_at_start(&mut decoder) {
        Ok(both) => both,
        Err(error) => {
            warn!(%remote, %error, "an envelope with something that is no request");
            return failed(ErrorCode::INVALID_REQUEST).into();
        }
    };
    let spec = key.spec();
    let version = header.request_api_version;
    if !spec.is_forwarded() || !spec.stable.contains(version) || key == ApiKey::Envelope {
        warn!(%remote, api = spec.name, version, "an envelope with a request that is not forwarded");
        return failed(ErrorCode::INVALID_REQUEST).into();
    }
    let client = client(&request.client_host_address, remote);
    debug!(%principal, client = %client.ip(), broker = %remote, api = spec.name, version, "forwarded");
    let refused = Arc::new(AtomicBool::new(false));
    let inner = Call {
        context: Arc::clone(&call.context),
        session: Session::new(
            call.session.id,
            client,
            Arc::clone(&call.session.listener),
            Listener::Controller,
            principal,
        ),
        version,
        client_id: header.client_id.unwrap_or_default(),
        refused: Some(Arc::clone(&refused)),
    };
    let envelope = Envelope::new(spec, version, header.correlation_id, size);
    let answered = move |response: Response| {
        if refused.load(Ordering::Relaxed) {
            return failed(ErrorCode::NOT_CONTROLLER);
        }
        match bytes(response) {
            Some(data) => {
                EnvelopeResponse { response_data: Some(data), error_code: ErrorCode::NONE }
            }
            None => failed(ErrorCode::UNKNOWN_SERVER_ERROR),
        }
    };
    match routes::dispatch(key, inner, envelope, decoder) {
        Outcome::Ready(response) => answered(response).into(),
        Outcome::Pending { reply, .. } | Outcome::Exclusive { reply, .. } => {
            Answer::later(async move {
                match reply.await {
                    Reply::Response(response) => answered(response),
                    Reply::NoResponse | Reply::Close(_) => failed(ErrorCode::INVALID_REQUEST),
                }
            })
        }
        Outcome::NoResponse | Outcome::Close(_) => failed(ErrorCode::INVALID_REQUEST).into(),
    }
}

/// The client's address; the broker's, when it does not say.
fn client(host: &[u8], broker: SocketAddr) -> SocketAddr {
    let v4 = || <[u8; 4]>::try_from(host).map(IpAddr::from).ok();
    let v6 = || <[u8; 16]>::try_from(host).map(IpAddr::from).ok();
    v4().or_else(v6).map_or(broker, |ip| SocketAddr::new(ip, 0))
}

/// A response in one piece; `None` if part of it is in a file, which no forwarded one has.
fn bytes(response: Response) -> Option<Bytes> {
    if response.rest.is_empty() {
        return Some(response.head);
    }
    let mut all = BytesMut::from(&response.head[..]);
    for part in response.rest {
        match part {
            Part::Bytes(bytes) => all.extend_from_slice(&bytes),
            Part::File(_) => return None,
        }
    }
    Some(all.freeze())
}
