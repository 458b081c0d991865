//! The network over real sockets: limits, idle connections, strangers, shutdown, system calls.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ottla_net::{
    FileSlice, ListenerConfig, Listening, Net, NetConfig, Outcome, Part, Peer, QuotaSettings,
    Reply, Response, Service,
};

/// Echoes; `f` answers with a slice of a file, `s` after 50 ms.
struct Echo(Arc<std::fs::File>);

impl Service for Echo {
    fn call(&mut self, frame: Bytes) -> Outcome {
        match frame.first() {
            Some(b'f') => {
                let mut response = Response::bytes("file:");
                let file = Arc::clone(&self.0) as _;
                response.push(Part::File(FileSlice { file, offset: 1, len: 3_000_000 }));
                Outcome::Ready(response)
            }
            Some(b's') => {
                let reply = Box::pin(async move {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    Reply::Response(Response::bytes(frame))
                });
                Outcome::Pending { reply, holds: 0 }
            }
            _ => Outcome::Ready(Response::bytes(frame)),
        }
    }
}

fn echo() -> impl Fn(Peer) -> Echo + Send + Sync + 'static {
    let mut file = tempfile::tempfile().unwrap();
    let content: Vec<u8> = (0..3_000_001u32).map(|i| i.to_le_bytes()[1]).collect();
    file.write_all(&content).unwrap();
    let file = Arc::new(file);
    move |_: Peer| Echo(Arc::clone(&file))
}

fn local(name: &str) -> ListenerConfig {
    ListenerConfig::new(name, "127.0.0.1:0".parse().unwrap())
}

fn start(config: NetConfig) -> (Net, SocketAddr) {
    let net = Net::start(config).unwrap();
    let address = net.listen(local("PLAINTEXT"), echo()).unwrap();
    (net, address)
}

fn ask(stream: &mut TcpStream, body: &[u8]) {
    let mut all = u32::try_from(body.len()).unwrap().to_be_bytes().to_vec();
    all.extend_from_slice(body);
    stream.write_all(&all).unwrap();
}

fn answer(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut prefix = [0; 4];
    stream.read_exact(&mut prefix).ok()?;
    let mut body = vec![0; u32::from_be_bytes(prefix) as usize];
    stream.read_exact(&mut body).ok()?;
    Some(body)
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

#[test]
fn echo_and_files_on_one_thread_and_on_several() {
    for threads in [1, 3] {
        let (net, address) = start(NetConfig { threads, ..NetConfig::default() });
        let mut stream = connect(address);
        for size in [0, 1, 100, 5_000, 200_000, 2_000_000] {
            let body = vec![b'e'; size];
            let mut writer = stream.try_clone().unwrap();
            std::thread::scope(|scope| {
                scope.spawn(|| ask(&mut writer, &body));
                assert!(answer(&mut stream).unwrap() == body);
            });
        }
        ask(&mut stream, b"f");
        let body = answer(&mut stream).unwrap();
        assert_eq!(&body[..5], b"file:");
        assert_eq!(body.len(), 3_000_005);
        assert!(body[5..].iter().zip(1u32..).all(|(b, i)| *b == i.to_le_bytes()[1]));
        assert!(net.totals().sendfiles > 0);
    }
}

#[test]
fn a_request_costs_one_read_and_one_write() {
    let (net, address) = start(NetConfig::default());
    let mut stream = connect(address);
    ask(&mut stream, b"warm");
    answer(&mut stream).unwrap();
    let before = net.totals();
    for _ in 0..1000 {
        ask(&mut stream, b"request");
        assert_eq!(answer(&mut stream).unwrap(), b"request");
    }
    let after = net.totals();
    assert_eq!(after.reads - before.reads, 1000);
    assert_eq!(after.writes - before.writes, 1000);
    assert_eq!(after.wakes - before.wakes, 1000);
}

#[test]
fn limits_by_address_and_in_all() {
    let quota = QuotaSettings { per_ip: 2, ..QuotaSettings::default() };
    let (_net, address) = start(NetConfig { quota, ..NetConfig::default() });
    let (mut a, mut b) = (connect(address), connect(address));
    for stream in [&mut a, &mut b] {
        ask(stream, b"x");
        answer(stream).unwrap();
    }
    assert!(answer(&mut connect(address)).is_none(), "the third is closed");

    let quota = QuotaSettings { max: 1, ..QuotaSettings::default() };
    let (_net, address) = start(NetConfig { quota, ..NetConfig::default() });
    let mut a = connect(address);
    ask(&mut a, b"x");
    answer(&mut a).unwrap();
    let mut b = connect(address);
    ask(&mut b, b"y");
    b.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    assert!(answer(&mut b).is_none(), "the second waits");
    b.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    drop(a);
    assert_eq!(answer(&mut b).unwrap(), b"y", "until the first is gone");
}

#[test]
fn connections_wait_until_their_listener_is_served() {
    let net = Net::start(NetConfig::default()).unwrap();
    let listening = Listening::bind(local("PLAINTEXT")).unwrap();
    let address = listening.address();
    assert_ne!(address.port(), 0);
    let mut early = connect(address);
    ask(&mut early, b"early");
    early.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    assert!(answer(&mut early).is_none());
    assert_eq!(net.totals().accepted, 0);
    net.serve(listening, echo()).unwrap();
    early.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    assert_eq!(answer(&mut early).unwrap(), b"early");
}

#[test]
fn a_broker_takes_the_place_of_the_client_that_was_silent_longest() {
    let quota = QuotaSettings {
        max: 2,
        protected: Some("INNER".to_owned()),
        apart: ["CONTROLLER".to_owned()].into(),
        ..QuotaSettings::default()
    };
    let net = Net::start(NetConfig { quota, ..NetConfig::default() }).unwrap();
    let listen = |name| net.listen(local(name), echo()).unwrap();
    let (clients, inner, controller) = (listen("CLIENTS"), listen("INNER"), listen("CONTROLLER"));
    let open = |address| {
        let mut stream = connect(address);
        ask(&mut stream, b"x");
        assert_eq!(answer(&mut stream).unwrap(), b"x");
        stream
    };
    let _controllers = [open(controller), open(controller)];
    let (mut first, mut second) = (open(clients), open(clients));
    let mut broker = open(inner);
    assert!(answer(&mut first).is_none(), "the first made room");
    for stream in [&mut second, &mut broker] {
        ask(stream, b"still here");
        assert_eq!(answer(stream).unwrap(), b"still here");
    }
}

#[test]
fn whoever_closes_its_own_direction_gets_its_answers() {
    let (_net, address) = start(NetConfig::default());
    let mut stream = connect(address);
    for body in [b"slow1".as_slice(), b"f", b"last"] {
        ask(&mut stream, body);
    }
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(answer(&mut stream).unwrap(), b"slow1");
    assert_eq!(answer(&mut stream).unwrap().len(), 3_000_005);
    assert_eq!(answer(&mut stream).unwrap(), b"last");
    assert!(answer(&mut stream).is_none());
}

#[test]
fn a_panic_ends_its_connection_and_is_counted() {
    let net = Net::start(NetConfig::default()).unwrap();
    let bomb = |_: Peer| Bomb;
    let address = net.listen(local("PLAINTEXT"), bomb).unwrap();
    let mut stream = connect(address);
    ask(&mut stream, b"x");
    assert!(answer(&mut stream).is_none());
    // The one after the other, on another thread.
    let left = || (net.totals().open(), net.quota().count(), net.registry().is_empty());
    let end = Instant::now() + Duration::from_secs(20);
    while left() != (0, 0, true) {
        assert!(Instant::now() < end, "it stays counted: {:?}", left());
        std::thread::yield_now();
    }
}

/// Panics when asked.
struct Bomb;

impl Service for Bomb {
    fn call(&mut self, _: Bytes) -> Outcome {
        panic!("as it should")
    }
}

#[test]
fn strangers_are_closed_and_the_rest_goes_on() {
    let (net, address) = start(NetConfig::default());
    let strangers: [&[u8]; 4] =
        [b"GET / HTTP/1.1\r\n\r\n", &[0x16, 3, 1, 2, 0, 1], &[0xff; 8], &[0x7f, 0xff, 0xff, 0xff]];
    for bytes in strangers {
        let mut stream = connect(address);
        stream.write_all(bytes).unwrap();
        assert!(answer(&mut stream).is_none());
    }
    let mut stream = connect(address);
    ask(&mut stream, b"still here");
    assert_eq!(answer(&mut stream).unwrap(), b"still here");
    assert_eq!(net.totals().bad_frames, 4);
}

#[test]
fn a_listener_is_closed_while_others_go_on() {
    let (net, address) = start(NetConfig::default());
    let other = net.listen(local("OTHER"), echo()).unwrap();
    let (mut stays, mut goes) = (connect(address), connect(other));
    for stream in [&mut stays, &mut goes] {
        ask(stream, b"x");
        answer(stream).unwrap();
    }
    ask(&mut goes, b"slow");
    while net.totals().frames < 3 {
        std::thread::yield_now();
    }
    assert!(net.close("OTHER"));
    assert!(!net.close("OTHER"), "it is closed");
    std::net::TcpListener::bind(other).expect("its port is free");
    assert_eq!(answer(&mut goes).unwrap(), b"slow", "what was asked is answered");
    assert!(answer(&mut goes).is_none());
    ask(&mut stays, b"still here");
    assert_eq!(answer(&mut stays).unwrap(), b"still here");
    ask(&mut connect(address), b"x");
}

#[test]
fn an_idle_connection_is_closed() {
    let (net, address) = start(NetConfig { max_idle_ms: Some(500), ..NetConfig::default() });
    let mut stream = connect(address);
    ask(&mut stream, b"x");
    answer(&mut stream).unwrap();
    assert!(answer(&mut stream).is_none());
    assert_eq!(net.totals().idle_killed, 1);
}

#[test]
fn shutdown_lets_what_is_in_flight_finish() {
    for threads in [1, 3] {
        let (net, address) = start(NetConfig { threads, ..NetConfig::default() });
        let (mut busy, mut idle) = (connect(address), connect(address));
        ask(&mut idle, b"x");
        answer(&mut idle).unwrap();
        ask(&mut busy, b"slow");
        while net.totals().frames < 2 {
            std::thread::yield_now();
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(net.shutdown(Duration::from_secs(5)));
        assert_eq!(answer(&mut busy).unwrap(), b"slow");
        assert!(answer(&mut busy).is_none());
        assert!(answer(&mut idle).is_none());
        let totals = net.totals();
        assert_eq!(totals.open(), 0);
    }
}
