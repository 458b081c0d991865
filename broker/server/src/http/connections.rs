//! HTTP connections, bounded: so many at a time, and none that is silent for long.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep};
use tracing::warn;

/// How long a connection may be silent, or not take its answer.
const SILENT: Duration = Duration::from_secs(30);

/// How long accepting rests after the system refused (no descriptors left, say).
const ACCEPT_REST: Duration = Duration::from_secs(1);

/// A listener that accepts so many connections at a time; more wait in the system's queue.
#[derive(Debug)]
pub(super) struct Bounded {
    socket: TcpListener,
    places: Arc<Semaphore>,
    silent: Duration,
}

impl Bounded {
    /// Accepts from `socket`, at most `most` at a time.
    pub(super) fn new(socket: TcpListener, most: usize) -> Self {
        let places = Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS)));
        Self { socket, places, silent: SILENT }
    }
}

impl Listener for Bounded {
    type Io = Timed;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Timed, SocketAddr) {
        loop {
            // The semaphore is never closed.
            let place = Arc::clone(&self.places).acquire_owned().await.ok();
            match self.socket.accept().await {
                Ok((stream, remote)) => {
                    let (silent, timer) = (self.silent, Box::pin(sleep(self.silent)));
                    return (Timed { stream, silent, timer, _place: place }, remote);
                }
                Err(error) => {
                    warn!(%error, "cannot accept an HTTP connection");
                    sleep(ACCEPT_REST).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }
}

/// A connection that breaks when it is silent for too long.
#[derive(Debug)]
pub(super) struct Timed {
    stream: TcpStream,
    silent: Duration,
    timer: Pin<Box<Sleep>>,
    _place: Option<OwnedSemaphorePermit>,
}

impl Timed {
    fn judge<T>(
        &mut self,
        cx: &mut Context<'_>,
        result: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if result.is_ready() {
            self.timer.as_mut().reset(Instant::now() + self.silent);
            return result;
        }
        self.timer.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Timed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.judge(cx, result)
    }
}

impl AsyncWrite for Timed {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.judge(cx, result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.judge(cx, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";

    async fn start(most: usize, silent: Duration) -> SocketAddr {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let bounded = Bounded { silent, ..Bounded::new(socket, most) };
        let router = Router::new().route("/", get(|| async { "here" }));
        tokio::spawn(async move { axum::serve(bounded, router).await });
        address
    }

    async fn answer(stream: &mut TcpStream) -> String {
        let mut buffer = vec![0; 1024];
        let n = stream.read(&mut buffer).await.unwrap();
        String::from_utf8_lossy(&buffer[..n]).into_owned()
    }

    #[tokio::test]
    async fn a_silent_connection_gives_its_place_up() {
        let address = start(1, Duration::from_millis(300)).await;
        let mut silent = TcpStream::connect(address).await.unwrap();
        let mut waits = TcpStream::connect(address).await.unwrap();
        waits.write_all(REQUEST).await.unwrap();
        assert!(answer(&mut waits).await.contains("here"));
        assert_eq!(answer(&mut silent).await, "", "it was closed before");
    }

    #[tokio::test]
    async fn more_than_there_are_places_for_wait() {
        let address = start(1, SILENT).await;
        let mut first = TcpStream::connect(address).await.unwrap();
        first.write_all(REQUEST).await.unwrap();
        assert!(answer(&mut first).await.contains("here"));
        let mut second = TcpStream::connect(address).await.unwrap();
        second.write_all(REQUEST).await.unwrap();
        let early = tokio::time::timeout(Duration::from_millis(100), answer(&mut second)).await;
        assert!(early.is_err(), "there is one place");
        drop(first);
        assert!(answer(&mut second).await.contains("here"));
    }
}
