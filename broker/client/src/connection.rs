//! One connection to a broker.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use ottla_wire::api::api_versions::{ApiVersionsRequest, ApiVersionsResponse};
use ottla_wire::api::header::{RequestHeader, ResponseHeader};
use ottla_wire::api::{ApiKey, Request};
use ottla_wire::{Decoder, Encoder, ErrorCode, Message, Versions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use crate::{ApiError, ClientError, Options};

/// The largest answer that is read, in bytes. A fetch asks for far less.
pub const MAX_FRAME: usize = 256 << 20;

/// Requests on one connection that may wait for their answers at a time; the next one waits to be sent.
pub const MAX_IN_FLIGHT: usize = 64;

/// The headers with tagged fields.
const FLEXIBLE_REQUEST: i16 = 2;
const FLEXIBLE_RESPONSE: i16 = 1;

/// Bytes that are reserved for an answer before any of it is there.
const FIRST_READ: usize = 64 << 10;

/// A connection on which the versions are agreed. Requests may be sent by several tasks at once; answers find their
/// requests by the correlation id. Once it [is closed](Self::is_closed) it stays so.
#[derive(Debug)]
pub struct Connection {
    address: String,
    client_id: String,
    request_timeout: Duration,
    versions: BTreeMap<i16, Versions>,
    shared: Arc<Shared>,
    writer: tokio::sync::Mutex<OwnedWriteHalf>,
    in_flight: Semaphore,
    next_id: AtomicI32,
    reader: AbortHandle,
}

/// What the reading task and the callers share.
#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    waiting: BTreeMap<i32, oneshot::Sender<Bytes>>,
    /// Why the connection is of no more use.
    ended: Option<String>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, why: String) {
        let mut state = self.state();
        state.ended.get_or_insert(why);
        // Whoever waits sees its sender gone.
        state.waiting.clear();
    }
}

/// Ends the connection unless it is told that all went well: a caller that gives up in the middle of a frame leaves a
/// torn one.
struct Torn<'a>(Option<&'a Shared>);

impl Drop for Torn<'_> {
    fn drop(&mut self) {
        if let Some(shared) = self.0 {
            shared.end("a request was given up while it was sent".to_owned());
        }
    }
}

impl Connection {
    /// Connects to `host:port` and agrees on versions.
    pub async fn open(address: &str, options: &Options) -> Result<Self, ClientError> {
        let failed = |source: std::io::Error| ClientError::Connect {
            address: address.to_owned(),
            source: Arc::new(source),
        };
        let stream = timeout(options.connect_timeout, TcpStream::connect(address))
            .await
            .map_err(|_| failed(std::io::ErrorKind::TimedOut.into()))?
            .map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        let (read, write) = stream.into_split();
        let shared = Arc::new(Shared::default());
        let reader = tokio::spawn(read_answers(read, Arc::clone(&shared))).abort_handle();
        let mut connection = Self {
            address: address.to_owned(),
            client_id: options.client_id.clone(),
            request_timeout: options.request_timeout,
            versions: BTreeMap::new(),
            shared,
            writer: tokio::sync::Mutex::new(write),
            in_flight: Semaphore::new(MAX_IN_FLIGHT),
            next_id: AtomicI32::new(0),
            reader,
        };
        connection.versions = connection.agree().await?;
        Ok(connection)
    }

    /// Asks which versions the broker has.
    async fn agree(&self) -> Result<BTreeMap<i16, Versions>, ClientError> {
        let request = ApiVersionsRequest {
            client_software_name: "ottla".to_owned(),
            client_software_version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let mut version = ApiKey::ApiVersions.spec().stable.max;
        loop {
            let frame = self.exchange(&request, version).await?;
            let mut d = body::<ApiVersionsRequest>(frame, version)
                .map_err(|e| self.unreadable("ApiVersions", e))?;
            // A broker that does not know the version says so in the layout of version 0 (KIP-511).
            let code = d
                .peek::<2>()
                .map(i16::from_be_bytes)
                .map_err(|e| self.unreadable("ApiVersions", e))?;
            let refused = code == ErrorCode::UNSUPPORTED_VERSION.0 && version > 0;
            let response = ApiVersionsResponse::decode(&mut d, if refused { 0 } else { version })
                .map_err(|e| self.unreadable("ApiVersions", e))?;
            if refused {
                let own =
                    response.api_keys.iter().find(|k| k.api_key == ApiKey::ApiVersions as i16);
                version = own.map_or(0, |k| k.max_version).clamp(0, version - 1);
                continue;
            }
            ApiError::check(response.error_code, None)?;
            let versions = response
                .api_keys
                .iter()
                .map(|k| (k.api_key, Versions::new(k.min_version, k.max_version)));
            return Ok(versions.collect());
        }
    }

    /// `host:port` of the broker.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Whether no request can be answered any more.
    pub fn is_closed(&self) -> bool {
        self.shared.state().ended.is_some()
    }

    /// Ends the connection. Whoever waits for an answer waits no longer.
    pub fn close(&self) {
        self.shared.end("it was closed".to_owned());
        self.reader.abort();
    }

    /// The newest version of an API that both sides have, among `allowed`.
    pub fn version(&self, api: ApiKey, allowed: Versions) -> Result<i16, ClientError> {
        let unsupported = || ClientError::Unsupported { address: self.address.clone(), api };
        let theirs = self.versions.get(&(api as i16)).ok_or_else(unsupported)?;
        let ours = api.spec().stable;
        let version = theirs.max.min(ours.max).min(allowed.max);
        let lowest = theirs.min.max(ours.min).max(allowed.min);
        if version < lowest { Err(unsupported()) } else { Ok(version) }
    }

    /// Sends a request in the newest version that both sides have, and waits for the answer.
    pub async fn send<R: Request>(&self, request: &R) -> Result<R::Response, ClientError> {
        let version = self.version(R::KEY, Versions::new(0, i16::MAX))?;
        self.send_as(request, version).await
    }

    /// Sends a request in a version, and waits for the answer.
    pub async fn send_as<R: Request>(
        &self,
        request: &R,
        version: i16,
    ) -> Result<R::Response, ClientError> {
        let frame = self.exchange(request, version).await?;
        let decoded = body::<R>(frame, version).and_then(|mut d| {
            let response = R::Response::decode(&mut d, version)?;
            d.expect_end()?;
            Ok(response)
        });
        decoded.map_err(|e| self.unreadable(R::KEY.spec().name, e))
    }

    /// Sends a request to which no answer comes: Produce with acks=0.
    pub async fn post<R: Request>(&self, request: &R) -> Result<(), ClientError> {
        let version = self.version(R::KEY, Versions::new(0, i16::MAX))?;
        let frame = self.frame(request, version, self.new_id())?;
        self.write(&frame).await
    }

    /// Sends bytes under a key that is none of Kafka's, and waits for the bytes of the answer: what
    /// nodes of one cluster say among themselves. `patience` in place of the usual time for an answer.
    pub async fn send_bytes(
        &self,
        key: i16,
        name: &'static str,
        body: &Bytes,
        patience: Duration,
    ) -> Result<Bytes, ClientError> {
        let _permit = self.in_flight.acquire().await.map_err(|_| self.disconnected())?;
        let id = self.new_id();
        let mut e = Encoder::with_capacity(body.len() + 64);
        self.header(key, 0, id).encode(&mut e, FLEXIBLE_REQUEST)?;
        e.raw(body);
        let frame = self.answer(name, id, &e.into_bytes()?, patience).await?;
        let mut d = Decoder::new(frame);
        let header = ResponseHeader::decode(&mut d, FLEXIBLE_RESPONSE);
        header.map_err(|e| self.unreadable(name, e))?;
        Ok(d.rest())
    }

    async fn exchange<R: Request>(&self, request: &R, version: i16) -> Result<Bytes, ClientError> {
        let _permit = self.in_flight.acquire().await.map_err(|_| self.disconnected())?;
        let id = self.new_id();
        let frame = self.frame(request, version, id)?;
        self.answer(R::KEY.spec().name, id, &frame, self.request_timeout).await
    }

    /// Sends a frame and waits for the answer to it.
    async fn answer(
        &self,
        api: &'static str,
        id: i32,
        frame: &Bytes,
        patience: Duration,
    ) -> Result<Bytes, ClientError> {
        let (sender, answer) = oneshot::channel();
        {
            let mut state = self.shared.state();
            if state.ended.is_some() {
                drop(state);
                return Err(self.disconnected());
            }
            state.waiting.insert(id, sender);
        }
        let exchanged = timeout(patience, async {
            self.write(frame).await?;
            answer.await.map_err(|_| self.disconnected())
        });
        match exchanged.await {
            Ok(result) => result,
            Err(_) => {
                // Answers come in order: one that does not come holds up all others.
                self.shared.end(format!("no answer to {api} came in time"));
                let address = self.address.clone();
                Err(ClientError::NoAnswer { address, api, within: patience })
            }
        }
    }

    fn new_id(&self) -> i32 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    fn header(&self, key: i16, version: i16, id: i32) -> RequestHeader {
        RequestHeader {
            request_api_key: key,
            request_api_version: version,
            correlation_id: id,
            client_id: Some(self.client_id.clone()),
        }
    }

    fn frame<R: Request>(&self, request: &R, version: i16, id: i32) -> Result<Bytes, ClientError> {
        let mut e = Encoder::new();
        let header = self.header(R::KEY.code(), version, id);
        header.encode(&mut e, R::KEY.spec().request_header(version))?;
        request.encode(&mut e, version)?;
        Ok(e.into_bytes()?)
    }

    async fn write(&self, frame: &Bytes) -> Result<(), ClientError> {
        let len = i32::try_from(frame.len()).map_err(|_| ClientError::Protocol {
            address: self.address.clone(),
            what: "a request of 2 GiB or more",
        })?;
        let mut writer = self.writer.lock().await;
        let mut torn = Torn(Some(&self.shared));
        let written = async {
            writer.write_all(&len.to_be_bytes()).await?;
            writer.write_all(frame).await
        };
        let written = written.await;
        torn.0 = None;
        written.map_err(|e| {
            self.shared.end(e.to_string());
            self.disconnected()
        })
    }

    fn disconnected(&self) -> ClientError {
        let why = self.shared.state().ended.clone();
        ClientError::Disconnected {
            address: self.address.clone(),
            why: why.unwrap_or_else(|| "it was closed".to_owned()),
        }
    }

    fn unreadable(&self, api: &'static str, source: ottla_wire::DecodeError) -> ClientError {
        ClientError::Decode { address: self.address.clone(), api, source }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// A decoder behind the header of an answer.
fn body<R: Request>(frame: Bytes, version: i16) -> Result<Decoder, ottla_wire::DecodeError> {
    let mut d = Decoder::new(frame);
    ResponseHeader::decode(&mut d, R::KEY.spec().response_header(version))?;
    Ok(d)
}

/// Hands each answer to who waits for it, until the connection ends.
async fn read_answers(mut stream: OwnedReadHalf, shared: Arc<Shared>) {
    let why = loop {
        let frame = match read_frame(&mut stream).await {
            Ok(frame) => frame,
            Err(why) => break why,
        };
        let Some(id) = frame.first_chunk::<4>().map(|id| i32::from_be_bytes(*id)) else {
            break "an answer without a correlation id".to_owned();
        };
        let Some(waiting) = shared.state().waiting.remove(&id) else {
            break format!("an answer to request {id}, which nobody asked");
        };
        // Whoever asked may have gone.
        let _ = waiting.send(frame);
    };
    shared.end(why);
}

async fn read_frame(stream: &mut OwnedReadHalf) -> Result<Bytes, String> {
    let mut len = [0; 4];
    stream.read_exact(&mut len).await.map_err(|e| match e.kind() {
        std::io::ErrorKind::UnexpectedEof => "the broker closed it".to_owned(),
        _ => e.to_string(),
    })?;
    let len = i32::from_be_bytes(len);
    let len = usize::try_from(len).ok().filter(|n| *n <= MAX_FRAME);
    let len = len.ok_or("an answer of a size that cannot be")?;
    let mut frame = BytesMut::with_capacity(len.min(FIRST_READ));
    let mut rest = stream.take(len as u64);
    while frame.len() < len {
        let missing = len - frame.len();
        if frame.capacity() == frame.len() {
            frame.reserve(missing.min(frame.len().max(FIRST_READ)));
        }
        match rest.read_buf(&mut frame).await {
            Ok(0) => return Err("the broker closed it within an answer".to_owned()),
            Ok(_) => {}
            Err(e) => return Err(e.to_string()),
        }
    }
    Ok(frame.freeze())
}

#[cfg(test)]
mod tests;
