//! The cluster as a client sees it: who is in it, and a connection to each broker that is needed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ottla_wire::api::Request;
use ottla_wire::api::metadata::{MetadataRequest, MetadataRequestTopic};

use crate::admin::{Fenced, describe_nodes};
use crate::retry::retry;
use crate::{ApiError, AutoCreate, Bootstrap, ClientError, Connection, Metadata, Options};

/// A client of one cluster. Cheap to share in an `Arc`; connections come about when they are needed.
#[derive(Debug)]
pub struct Client {
    options: Options,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// Where the brokers are, by their ids.
    brokers: BTreeMap<i32, String>,
    /// Connections by address; those that ended are replaced when next asked for.
    connections: BTreeMap<String, Arc<Connection>>,
}

impl Client {
    /// A client that has asked nobody yet.
    pub fn new(options: Options) -> Self {
        Self { options, known: Mutex::default() }
    }

    /// How this client behaves.
    pub fn options(&self) -> &Options {
        &self.options
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn connection(&self, address: &str) -> Result<Arc<Connection>, ClientError> {
        if let Some(open) = self.known().connections.get(address).filter(|c| !c.is_closed()) {
            return Ok(Arc::clone(open));
        }
        // Two callers may both come here; the later connection stays, the other lives as long as its caller.
        let opened = Arc::new(Connection::open(address, &self.options).await?);
        self.known().connections.insert(address.to_owned(), Arc::clone(&opened));
        Ok(opened)
    }

    /// A connection to any broker; the addresses given first are asked first. Of controllers, to the one that leads.
    pub async fn any(&self) -> Result<Arc<Connection>, ClientError> {
        let found = self.any_given().await?;
        if self.options.bootstrap == Bootstrap::Brokers {
            return Ok(found);
        }
        let cluster = describe_nodes(&found, Bootstrap::Controllers, Fenced::Left).await?;
        let addresses = cluster.brokers.iter().map(|b| (b.broker_id, address(&b.host, b.port)));
        let addresses: BTreeMap<i32, String> = addresses.collect();
        let leader = addresses.get(&cluster.controller_id).cloned();
        self.known().brokers = addresses;
        let leader = leader.ok_or(ClientError::NoBroker(cluster.controller_id))?;
        self.connection(&leader).await
    }

    /// A connection to a node, or to any when none is named.
    pub async fn node(&self, id: Option<i32>) -> Result<Arc<Connection>, ClientError> {
        let Some(id) = id else { return self.any().await };
        if self.options.bootstrap == Bootstrap::Controllers {
            self.any().await?;
        } else {
            // No topics: only who is there.
            self.metadata_once(Some(&[]), AutoCreate::Refused).await?;
        }
        self.broker(id).await
    }

    async fn any_given(&self) -> Result<Arc<Connection>, ClientError> {
        let mut addresses = self.options.servers.clone();
        addresses.extend(self.known().brokers.values().cloned());
        let open = |known: &Known| {
            let found =
                addresses.iter().find_map(|a| known.connections.get(a).filter(|c| !c.is_closed()));
            found.cloned()
        };
        if let Some(open) = open(&self.known()) {
            return Ok(open);
        }
        let mut failure = None;
        for address in &addresses {
            match self.connection(address).await {
                Ok(connection) => return Ok(connection),
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        Err(failure.unwrap_or_else(|| ClientError::Address("an empty list".to_owned())))
    }

    /// A connection to a broker. Its address comes from the last [metadata](Self::metadata).
    pub async fn broker(&self, id: i32) -> Result<Arc<Connection>, ClientError> {
        let address = self.known().brokers.get(&id).cloned().ok_or(ClientError::NoBroker(id))?;
        self.connection(&address).await
    }

    /// Sends a request to any broker, again and again until the deadline if it fails on the way.
    pub async fn send<R: Request>(&self, request: &R) -> Result<R::Response, ClientError> {
        retry(&self.options, || async { self.any().await?.send(request).await }).await
    }

    /// Asks once about topics; `None` asks about all.
    pub async fn metadata_once(
        &self,
        topics: Option<&[String]>,
        create: AutoCreate,
    ) -> Result<Metadata, ClientError> {
        let named =
            |name: &String| MetadataRequestTopic { name: Some(name.clone()), ..Default::default() };
        let request = MetadataRequest {
            topics: topics.map(|names| names.iter().map(named).collect()),
            allow_auto_topic_creation: create == AutoCreate::Allowed,
            ..Default::default()
        };
        let response = self.any().await?.send(&request).await?;
        ApiError::check(response.error_code, None)?;
        let metadata = Metadata::new(response);
        let mut known = self.known();
        known.brokers = metadata.brokers.values().map(|b| (b.id, b.address.clone())).collect();
        let wanted: Vec<String> =
            known.brokers.values().chain(&self.options.servers).cloned().collect();
        known.connections.retain(|address, c| wanted.contains(address) && !c.is_closed());
        drop(known);
        Ok(metadata)
    }

    /// Asks about topics until a broker answers; `None` asks about all. Topics may still have errors.
    pub async fn metadata(
        &self,
        topics: Option<&[String]>,
        create: AutoCreate,
    ) -> Result<Metadata, ClientError> {
        retry(&self.options, || self.metadata_once(topics, create)).await
    }
}

/// `host:port`, with brackets around the colons of a host.
fn address(host: &str, port: i32) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}
