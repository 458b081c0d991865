//! One partition's leader and follower protocol, without files or sockets.
