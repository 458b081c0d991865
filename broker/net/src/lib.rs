//! Sockets, frames and ordered responses: how bytes come in and go out.
//!
//! A connection is one task. It reads length-prefixed frames, hands each to the connection's
//! [`Service`] in the order of arrival, and writes the answers in that same order, though later
//! requests may be worked on while earlier ones wait. An answer is a list of [`Part`]s: bytes, or
//! slices of files which go to the socket by `sendfile` without being read into memory.
//!
//! Invariant: nothing in here knows a topic, an API key or a header of Kafka's beyond the four
//! bytes of length; memory is bounded by named limits whatever a peer sends or refuses to read;
//! an idle connection keeps no buffer and no timer.
//!
//! Start reading at [`Connection`], then [`FrameReader`] (in) and [`Outbox`] (out); [`Net`] puts
//! listeners, runtimes and limits together.

mod accept;
mod buffer;
mod connection;
mod duplex;
mod error;
mod frame;
mod limits;
mod listener;
mod memory;
mod outbox;
mod registry;
mod response;
mod runtime;
mod service;
mod stats;
mod transport;
mod waiting;

pub use accept::Listening;
pub use connection::{Connection, ConnectionLimits, End};
pub use duplex::{Duplex, DuplexPeer, duplex};
pub use error::{FrameError, ListenError};
pub use frame::{Fill, FrameReader, MAX_COPIED_FRAME, READ_CHUNK};
pub use limits::{ConnectionQuota, Full, QuotaSettings, Refusal};
pub use listener::{ListenerConfig, Net, NetConfig, Opener};
pub use memory::{Charge, MemoryPool};
pub use outbox::{INLINE_FILE_SLICE, Outbox};
pub use registry::{Clock, ConnectionId, ReapLimits, Registry, Shared, Why};
pub use response::{FileSlice, FileSource, Part, Response};
pub use runtime::Runtimes;
pub use service::{CloseReason, Outcome, Peer, PendingReply, Reply, Service};
pub use stats::{NetStats, NetTotals};
pub use transport::{More, TcpTransport, Transport, poll_copy_file};
pub use waiting::{NoRoom, Seat, WaitingRoom};
