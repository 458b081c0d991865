//! Keys of listeners, sockets and connections.

use crate::catalog::{keys, why};
use crate::key::{Names, Text};
use crate::valid::{Emptiness, Valid};

keys! {
    /// Where this node listens, as `NAME://host:port` entries; an empty host is every
    /// interface.
    LISTENERS: Names = "listeners",
        .default("PLAINTEXT://:9092").valid(Valid::Distinct(&[], Emptiness::Refused)).high()
        .per_broker();
    /// Addresses that clients are told; those of `listeners` when not set.
    ADVERTISED_LISTENERS: Option<Names> = "advertised.listeners",
        .valid(Valid::Distinct(&[], Emptiness::Refused)).high();
    /// Which security protocol each listener's name stands for, as `NAME:PROTOCOL` entries.
    LISTENER_SECURITY_PROTOCOL_MAP: Text = "listener.security.protocol.map",
        .default("SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT")
        .low().per_broker();
    /// Listener that brokers use among themselves; excludes `security.inter.broker.protocol`.
    INTER_BROKER_LISTENER_NAME: Option<Text> = "inter.broker.listener.name";
    /// Security protocol, and so the listener, that brokers use among themselves.
    SECURITY_INTER_BROKER_PROTOCOL: Text = "security.inter.broker.protocol",
        .default("PLAINTEXT")
        .valid(Valid::OneOf(&["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]));
    /// Listeners that open before the authorizer is ready.
    EARLY_START_LISTENERS: Option<Names> = "early.start.listeners",
        .valid(Valid::Distinct(&[], Emptiness::Allowed)).high().planned(why::SECURITY);
    /// Threads that Kafka's broker reads and writes sockets with, for each listener.
    NUM_NETWORK_THREADS: i32 = "num.network.threads",
        .default("3").min(1).high().cluster_wide().no_effect(why::THREADS);
    /// Threads that move replicas between log directories; one a directory when not set.
    NUM_REPLICA_ALTER_LOG_DIRS_THREADS: Option<i32> = "num.replica.alter.log.dirs.threads",
        .high();
    /// Requests of one connection that may be worked on or wait for their answers before it is left
    /// unread, 128 at the most. None ever waits for a thread, as those do that Kafka counts.
    QUEUED_MAX_REQUESTS: i32 = "queued.max.requests", .default("500").min(1).high();
    /// Bytes of large requests that may be in memory before no more of them are read; those that wait
    /// for their answers may hold as much again. -1 is 512 MiB.
    QUEUED_MAX_REQUEST_BYTES: i64 = "queued.max.request.bytes", .default("-1");
    /// Connections the system keeps waiting for a listener to accept them.
    SOCKET_LISTEN_BACKLOG_SIZE: i32 = "socket.listen.backlog.size", .default("50").min(1);
    /// Size of a socket's receive buffer; -1 leaves it to the system.
    SOCKET_RECEIVE_BUFFER_BYTES: i32 = "socket.receive.buffer.bytes", .default("102400").high();
    /// Largest request that a client may send; a larger one closes the connection.
    SOCKET_REQUEST_MAX_BYTES: i32 = "socket.request.max.bytes", .default("104857600").min(1).high();
    /// Size of a socket's send buffer; -1 leaves it to the system.
    SOCKET_SEND_BUFFER_BYTES: i32 = "socket.send.buffer.bytes", .default("102400").high();
    /// Longest time this node gives a connection that it opens, after repeated failures.
    SOCKET_CONNECTION_SETUP_TIMEOUT_MAX_MS: i64 = "socket.connection.setup.timeout.max.ms",
        .default("30000");
    /// Time this node first gives a connection that it opens.
    SOCKET_CONNECTION_SETUP_TIMEOUT_MS: i64 = "socket.connection.setup.timeout.ms",
        .default("10000");
    /// How long a silent connection is kept.
    CONNECTIONS_MAX_IDLE_MS: i64 = "connections.max.idle.ms", .default("600000");
    /// Longest time a SASL session lives before the client must authenticate again; 0 is for
    /// ever.
    CONNECTIONS_MAX_REAUTH_MS: i64 = "connections.max.reauth.ms", .default("0").planned(why::SASL);
    /// How long a connection whose authentication failed is kept waiting before it is closed.
    CONNECTION_FAILED_AUTHENTICATION_DELAY_MS: i32 = "connection.failed.authentication.delay.ms",
        .default("100").min(0).low().planned(why::SASL);
    /// New connections a second that this broker accepts; also for one listener by its prefix.
    MAX_CONNECTION_CREATION_RATE: i32 = "max.connection.creation.rate",
        .default("2147483647").min(0).cluster_wide();
    /// Connections this broker keeps; also for one listener by its prefix.
    MAX_CONNECTIONS: i32 = "max.connections", .default("2147483647").min(0).cluster_wide();
    /// Connections one address may have.
    MAX_CONNECTIONS_PER_IP: i32 = "max.connections.per.ip",
        .default("2147483647").min(0).cluster_wide();
    /// Other limits for single addresses, as `address:count` entries.
    MAX_CONNECTIONS_PER_IP_OVERRIDES: Text = "max.connections.per.ip.overrides",
        .default("").cluster_wide();
    /// Where metrics, health and the console are served, as `http://host:port` entries; empty
    /// serves none.
    HTTP_LISTENERS: Names = "http.listeners",
        .default("http://127.0.0.1:9644").valid(Valid::Distinct(&[], Emptiness::Allowed))
        .ottla();
}
