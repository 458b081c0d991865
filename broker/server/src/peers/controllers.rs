//! Commands to the active controller on another node: what brokers ask themselves goes in requests
//! of its own, what their clients asked goes in an Envelope that says who asked (KIP-590).

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use ottla_client::{ClientError, Connection};
use ottla_config::BrokerConfig;
use ottla_controller::{Command, Reply};
use ottla_engine::{Answering, Asker, RemoteController, led_by_another};
use ottla_quorum::Quorum;
use ottla_wire::api::Request;
use ottla_wire::api::envelope::EnvelopeRequest;
use ottla_wire::api::header::{RequestHeader, ResponseHeader};
use ottla_wire::schema::principal::DefaultPrincipalData;
use ottla_wire::{Decoder, Encoder, ErrorCode, Message, Versions};
use tracing::debug;

use super::{Links, address};

/// The controllers of the cluster.
#[derive(Debug)]
pub struct Controllers {
    links: Arc<Links>,
    quorum: Arc<dyn Quorum>,
    config: Arc<BrokerConfig>,
}

/// Why a command was not answered.
enum Unanswered {
    /// By this error of the controller's.
    Refused(ErrorCode),
    /// The connection failed.
    Failed(ClientError),
}

impl From<ClientError> for Unanswered {
    fn from(error: ClientError) -> Self {
        Self::Failed(error)
    }
}

impl Unanswered {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Refused(code) => *code,
            // Whoever asked tries again, with whoever leads then.
            Self::Failed(_) => ErrorCode::NOT_CONTROLLER,
        }
    }
}

impl Controllers {
    /// The controllers of a quorum, reached through `links`.
    pub(crate) fn new(
        links: Arc<Links>,
        quorum: Arc<dyn Quorum>,
        config: Arc<BrokerConfig>,
    ) -> Arc<Self> {
        Arc::new(Self { links, quorum, config })
    }

    /// Where a controller listens: as the quorum's members know it, else as the metadata or the
    /// configuration say.
    fn address(&self, id: i32) -> Option<String> {
        let hint = self.quorum.leader_hint().filter(|hint| hint.id == id);
        let voter = hint.and_then(|hint| address::of_controller(&self.config, &hint.endpoints));
        let registered = || {
            let image = self.quorum.updates().image();
            let controller = image.controller(id)?;
            let ours = |name: &str| address::is_ours(&self.config, name);
            let named = controller.endpoints.iter().find(|e| ours(&e.listener));
            named.map(|e| address::text(&e.host, e.port))
        };
        voter.or_else(registered).or_else(|| address::configured(&self.config, id))
    }

    /// Hands a request to the controller that leads now, as its client's; as this node's own where
    /// there is no `asker`.
    ///
    /// # Errors
    /// `NOT_CONTROLLER` when nobody is known to lead, or who was known does not.
    pub(crate) async fn forward<R: Request>(
        &self,
        request: &R,
        asker: Option<&Asker>,
    ) -> Result<R::Response, ErrorCode> {
        let leadership = self.quorum.leadership();
        let leader = leadership.borrow().leader.ok_or(ErrorCode::NOT_CONTROLLER)?.id;
        let address = self.address(leader).ok_or(ErrorCode::NOT_CONTROLLER)?;
        let answer = async {
            let connection = self.links.get(&address).await?;
            enveloped(&connection, request, asker).await
        };
        tokio::select! {
            biased;
            answer = answer => answer.map_err(|e| e.code()),
            () = led_by_another(leadership, leader) => Err(ErrorCode::NOT_CONTROLLER),
        }
    }
}

impl RemoteController for Controllers {
    fn submit(&self, leader: i32, asker: Option<Asker>, command: Command) -> Answering {
        let Some(address) = self.address(leader) else {
            debug!(leader, "nobody says where the controller listens");
            return Box::pin(std::future::ready(Err(ErrorCode::NOT_CONTROLLER)));
        };
        let links = Arc::clone(&self.links);
        Box::pin(async move {
            let asked = async { ask(&*links.get(&address).await?, asker.as_ref(), command).await };
            asked.await.map_err(|unanswered: Unanswered| {
                if let Unanswered::Failed(error) = &unanswered {
                    debug!(leader, %error, "the controller cannot be asked");
                }
                unanswered.code()
            })
        })
    }
}

macro_rules! carry {
    ($connection:ident, $asker:ident, $command:ident; own: $($own:ident),*; of_clients: $($asked:ident),*;) => {
        match $command {
            $(Command::$own(request) => {
                let response = $connection.send(&request).await?;
                if response.error_code == ErrorCode::NOT_CONTROLLER {
                    return Err(Unanswered::Refused(response.error_code));
                }
                Ok(Reply::$own(response))
            })*
            $(Command::$asked(request) => {
                enveloped($connection, &request, $asker).await.map(Reply::$asked)
            })*
            // The runner's own; nobody sends them.
            Command::Activate { .. } | Command::Tick => {
                Err(Unanswered::Refused(ErrorCode::INVALID_REQUEST))
            }
        }
    };
}

async fn ask(
    connection: &Connection,
    asker: Option<&Asker>,
    command: Command,
) -> Result<Reply, Unanswered> {
    carry! {
        connection, asker, command;
        own: RegisterBroker, BrokerHeartbeat, RegisterController, AllocateProducerIds,
             AlterPartition, AssignReplicasToDirs;
        of_clients: UnregisterBroker, CreateTopics, CreatePartitions, DeleteTopics,
             IncrementalAlterConfigs, AlterConfigs, UpdateFeatures, AlterClientQuotas,
             AlterUserScramCredentials, CreateAcls, DeleteAcls, ElectLeaders,
             AlterPartitionReassignments, ListPartitionReassignments;
    }
}

/// Sends a request in an Envelope, and opens the one that comes back.
async fn enveloped<R: Request>(
    connection: &Connection,
    request: &R,
    asker: Option<&Asker>,
) -> Result<R::Response, Unanswered> {
    let newest = connection.version(R::KEY, Versions::new(0, i16::MAX))?;
    let (version, request_data) = newest_that_can_say(request, newest)?;
    let principal = match asker {
        Some(asker) => asker.principal.to_bytes(),
        None => DefaultPrincipalData::anonymous().to_bytes(),
    };
    let envelope = EnvelopeRequest {
        request_data,
        request_principal: Some(principal.map_err(ClientError::from)?),
        client_host_address: asker.map(|asker| octets(asker.address)).unwrap_or_default(),
    };
    let answer = connection.send(&envelope).await?;
    if answer.error_code != ErrorCode::NONE {
        return Err(Unanswered::Refused(answer.error_code));
    }
    let mut d = Decoder::new(answer.response_data.unwrap_or_default());
    let decoded = ResponseHeader::decode(&mut d, R::KEY.spec().response_header(version))
        .and_then(|_| R::Response::decode(&mut d, version));
    decoded.map_err(|source| {
        let address = connection.address().to_owned();
        ClientError::Decode { address, api: R::KEY.name(), source }.into()
    })
}

/// A request with its header, in the newest version that has all that the request says: a client of
/// an older version may have said what newer ones cannot.
fn newest_that_can_say<R: Request>(request: &R, newest: i16) -> Result<(i16, Bytes), ClientError> {
    let spec = R::KEY.spec();
    let encoded = |version: i16| {
        let mut e = Encoder::new();
        let header = RequestHeader {
            request_api_key: R::KEY.code(),
            request_api_version: version,
            correlation_id: 0,
            client_id: Some(String::new()),
        };
        header.encode(&mut e, spec.request_header(version))?;
        request.encode(&mut e, version)?;
        e.into_bytes()
    };
    let mut version = newest;
    loop {
        match encoded(version) {
            Ok(bytes) => return Ok((version, bytes)),
            Err(_) if version > spec.stable.min => version -= 1,
            Err(error) => return Err(error.into()),
        }
    }
}

/// An address in the 4 or 16 bytes that an Envelope has for it.
fn octets(address: IpAddr) -> Bytes {
    match address {
        IpAddr::V4(address) => Bytes::copy_from_slice(&address.octets()),
        IpAddr::V6(address) => Bytes::copy_from_slice(&address.octets()),
    }
}
