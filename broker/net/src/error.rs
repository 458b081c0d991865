//! What can go wrong between a peer and a service.

use std::io;

/// A frame that cannot be read; the connection is closed and the line logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The length prefix was negative.
    #[error("invalid receive: frame size {0} is negative")]
    Negative(i32),
    /// The length prefix was above `socket.request.max.bytes`.
    #[error("invalid receive: frame size {size} is larger than the allowed {max} bytes")]
    TooLarge {
        /// What the peer announced, in bytes.
        size: u32,
        /// What is allowed, in bytes.
        max: u32,
    },
    /// The first bytes are a TLS handshake: a client set to SSL on a port without it.
    #[error("peer speaks TLS to a listener without it; check the client's security.protocol")]
    Tls,
    /// The first bytes are an HTTP request line.
    #[error("peer speaks HTTP ({0}) to a Kafka listener; the HTTP port is another one")]
    Http(&'static str),
}

/// A listener that cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Binding or listening failed.
    #[error("cannot listen on {address} for {listener}: {source}{}", remedy(source, listener))]
    Bind {
        /// The listener's name, or the key of the configuration that asks for it.
        listener: String,
        /// Where it was to listen, as host and port.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// A runtime could not be started.
    #[error("cannot start network runtime: {0}")]
    Runtime(io::Error),
}

/// What a person should do about an address that cannot be had.
fn remedy(source: &io::Error, listener: &str) -> String {
    match source.kind() {
        io::ErrorKind::AddrInUse => format!(
            ". Another process, perhaps another node, has this port: stop it, or give {listener} of this node a port of its own"
        ),
        io::ErrorKind::AddrNotAvailable => {
            format!(
                ". No interface of this machine has this address: give {listener} one that it has"
            )
        }
        io::ErrorKind::PermissionDenied => {
            format!(". Ports below 1024 need a privilege: give {listener} a higher one")
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_is_taken_says_whose_and_what_to_do() {
        let of = |kind: io::ErrorKind| ListenError::Bind {
            listener: "http.listeners".to_owned(),
            address: "127.0.0.1:9644".to_owned(),
            source: kind.into(),
        };
        assert_eq!(
            of(io::ErrorKind::AddrInUse).to_string(),
            "cannot listen on 127.0.0.1:9644 for http.listeners: address in use. Another process, perhaps another \
             node, has this port: stop it, or give http.listeners of this node a port of its own"
        );
        let text = of(io::ErrorKind::AddrNotAvailable).to_string();
        assert!(text.ends_with("give http.listeners one that it has"), "{text}");
        assert!(of(io::ErrorKind::TimedOut).to_string().ends_with("timed out"));
    }
}
