//! Sockets, frames and ordered responses.
