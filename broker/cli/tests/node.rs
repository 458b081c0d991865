//! A whole node as a process: what its clients see while it starts, is killed, or is crowded.

use std::io::{ErrorKind, Read, Result, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Longest that anything here may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A formatted node in a folder of its own.
struct Node {
    dir: tempfile::TempDir,
    port: u16,
    http: u16,
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Node {
    fn format() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (port, controller, http) = (free_port(), free_port(), free_port());
        let text = format!(
            "process.roles=broker,controller\nnode.id=1\n\
             controller.quorum.voters=1@127.0.0.1:{controller}\n\
             listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}\n\
             controller.listener.names=CONTROLLER\nlog.dirs={}\n\
             http.listeners=http://127.0.0.1:{http}\noffsets.topic.replication.factor=1\n",
            dir.path().join("data").display(),
        );
        std::fs::write(dir.path().join("server.properties"), text).unwrap();
        let node = Self { dir, port, http };
        let id = "4L6g3nShT-eMCtK--X86sw";
        let format = ["storage", "format", "-t", id, "-c", &node.file()];
        let done = ottla().args(format).output().unwrap();
        assert!(done.status.success(), "{done:?}");
        node
    }

    fn file(&self) -> String {
        self.dir.path().join("server.properties").display().to_string()
    }

    fn log(&self) -> PathBuf {
        self.dir.path().join("out")
    }

    fn start(&self, overrides: &[&str]) -> Process {
        let mut command = ottla();
        command.arg("server").arg(self.file());
        for line in overrides {
            command.args(["--override", line]);
        }
        Process::start(command, &self.log())
    }

    /// Waits until the node says that it serves.
    fn until_ready(&self) {
        let end = Instant::now() + PATIENCE;
        while self.readiness() != Some(200) {
            assert!(Instant::now() < end, "{}", std::fs::read_to_string(self.log()).unwrap());
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// The status of `/readyz`; nothing while HTTP is not open.
    fn readiness(&self) -> Option<u16> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.http)).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        text.split(' ').nth(1)?.parse().ok()
    }

    fn connect(&self) -> Result<TcpStream> {
        let stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// Asks for the brokers by a new connection; nothing while no one listens.
    fn brokers(&self) -> Option<Result<Vec<Broker>>> {
        let mut stream = match self.connect() {
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => return None,
            other => other.unwrap(),
        };
        Some(ask_brokers(&mut stream))
    }
}

fn ottla() -> Command {
    Command::new(std::env::var("OTTLA").unwrap_or(env!("CARGO_BIN_EXE_ottla").into()))
}

/// A process that is killed when dropped.
struct Process(Child);

impl Process {
    fn start(mut command: Command, log: &Path) -> Self {
        let out = std::fs::File::options().create(true).append(true).open(log).unwrap();
        command.stdin(Stdio::null()).stdout(out.try_clone().unwrap()).stderr(out);
        Self(command.spawn().unwrap())
    }

    fn tell(&self, signal: &str) {
        let pid = self.0.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    /// Whether the process has a handler for SIGTERM.
    fn waits_for_signals(&self) -> bool {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap();
        let caught = status.lines().find_map(|l| l.strip_prefix("SigCgt:")).unwrap();
        u64::from_str_radix(caught.trim(), 16).unwrap() & (1 << (15 - 1)) != 0
    }

    /// Waits for the process to end by itself. Whether it did.
    fn ends_within(&mut self, patience: Duration) -> bool {
        let end = Instant::now() + patience;
        while Instant::now() < end {
            if self.0.try_wait().unwrap().is_some() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        false
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What Metadata says of a broker.
#[derive(Debug, PartialEq)]
struct Broker {
    id: i32,
    port: i32,
    rack: String,
}

/// Metadata in version 1, of no topic.
fn send_metadata(stream: &mut TcpStream) -> Result<()> {
    let mut body = vec![0, 3, 0, 1, 0, 0, 0, 7, 0, 1, b'x'];
    body.extend([0; 4]);
    let mut frame = u32::try_from(body.len()).unwrap().to_be_bytes().to_vec();
    frame.extend(body);
    stream.write_all(&frame)
}

fn receive(stream: &mut TcpStream) -> Result<Vec<u8>> {
    let mut prefix = [0; 4];
    stream.read_exact(&mut prefix)?;
    let mut body = vec![0; u32::from_be_bytes(prefix) as usize];
    stream.read_exact(&mut body)?;
    Ok(body)
}

fn ask_brokers(stream: &mut TcpStream) -> Result<Vec<Broker>> {
    send_metadata(stream)?;
    let body = receive(stream)?;
    let mut rest = &body[4..];
    let int = |rest: &mut &[u8]| {
        let (four, behind) = rest.split_first_chunk::<4>().unwrap();
        *rest = behind;
        i32::from_be_bytes(*four)
    };
    let text = |rest: &mut &[u8]| {
        let (two, behind) = rest.split_first_chunk::<2>().unwrap();
        let len = usize::try_from(i16::from_be_bytes(*two)).unwrap_or(0);
        let (text, behind) = behind.split_at(len);
        *rest = behind;
        String::from_utf8(text.to_vec()).unwrap()
    };
    let count = int(&mut rest);
    let broker = |_| {
        let id = int(&mut rest);
        text(&mut rest);
        Broker { id, port: int(&mut rest), rack: text(&mut rest) }
    };
    Ok((0..count).map(broker).collect())
}

#[test]
fn no_answer_tells_of_an_earlier_life_or_of_none() {
    let node = Node::format();
    for life in 0..12 {
        let rack = format!("life-{life}");
        let own = [Broker { id: 1, port: i32::from(node.port), rack: rack.clone() }];
        let _process = node.start(&[&format!("broker.rack={rack}")]);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                node.until_ready();
                let told = node.brokers().expect("ready, and nobody listens");
                assert_eq!(told.unwrap(), own, "after it said that it is ready");
            });
            let end = Instant::now() + PATIENCE;
            let mut answers = 0;
            while answers < 50 {
                assert!(Instant::now() < end, "{}", std::fs::read_to_string(node.log()).unwrap());
                if let Some(told) = node.brokers() {
                    let told = told.expect("a connection was taken and lost");
                    assert_eq!(told, own, "answer {answers} of life {life}");
                    answers += 1;
                }
            }
        });
    }
}

#[test]
fn a_port_that_the_system_chose_is_told() {
    let node = Node::format();
    let text = std::fs::read_to_string(node.file()).unwrap();
    let any =
        text.replace(&format!("PLAINTEXT://127.0.0.1:{}", node.port), "PLAINTEXT://127.0.0.1:0");
    assert_ne!(any, text);
    std::fs::write(node.file(), any).unwrap();
    for _ in 0..2 {
        std::fs::write(node.log(), "").unwrap();
        let _process = node.start(&[]);
        node.until_ready();
        let end = Instant::now() + PATIENCE;
        let port: u16 = loop {
            let said = std::fs::read_to_string(node.log()).unwrap();
            let line = said.lines().find_map(|l| l.trim().strip_prefix("Kafka    127.0.0.1:"));
            if let Some(port) = line {
                break port.trim().parse().unwrap();
            }
            assert!(Instant::now() < end, "{said}");
            std::thread::sleep(Duration::from_millis(1));
        };
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let told = ask_brokers(&mut stream).unwrap();
        assert_eq!(told.iter().map(|b| b.port).collect::<Vec<_>>(), [i32::from(port)]);
    }
}

/// Waits until something holds.
fn until(what: &str, holds: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn what_it_prints_can_be_tried_as_it_stands() {
    let node = Node::format();
    let second = free_port();
    let http = format!("http.listeners=http://127.0.0.1:{},http://127.0.0.1:{second}", node.http);
    let _process = node.start(&[&http]);
    let said = || std::fs::read_to_string(node.log()).unwrap();
    until("it says that it serves", || said().contains("Ctrl-C stops it."));
    let both = format!("HTTP     http://127.0.0.1:{}, http://127.0.0.1:{second}", node.http);
    assert!(said().contains(&both), "{}", said());
    assert!(TcpStream::connect(("127.0.0.1", second)).is_ok());
    let commands: Vec<String> = said()
        .lines()
        .filter(|l| l.contains(" --bootstrap-server "))
        .map(|l| l.trim().to_owned())
        .collect();
    let [create, produce, consume] = commands.try_into().unwrap();
    let shell = |command: &str| {
        // Without a PATH: a newcomer has not installed it.
        Command::new("/bin/sh").args(["-c", command]).env("PATH", "").output()
    };
    let done = shell(&create).unwrap();
    assert_eq!(String::from_utf8_lossy(&done.stdout), "Created topic hello.\n", "{done:?}");
    let done = shell(&format!("echo one | {produce}")).unwrap();
    assert!(done.status.success(), "{done:?}");
    let done = shell(&format!("{consume} --max-messages 1")).unwrap();
    assert_eq!(String::from_utf8_lossy(&done.stdout), "one\n", "{done:?}");
}

#[test]
fn dynamic_settings_of_the_network_hold_now_and_after_a_restart() {
    let node = Node::format();
    let (address, extra) = (format!("127.0.0.1:{}", node.port), free_port());
    let alter = |entity: &[&str], change: &[&str]| {
        let base =
            ["configs", "--bootstrap-server", &address, "--alter", "--entity-type", "brokers"];
        let done = ottla().args(base).args(entity).args(change).output().unwrap();
        assert!(done.status.success(), "{done:?}");
    };
    let answers = |port: u16| {
        let asked = TcpStream::connect(("127.0.0.1", port)).and_then(|mut stream| {
            stream.set_read_timeout(Some(PATIENCE))?;
            let brokers = ask_brokers(&mut stream)?;
            Ok((stream, brokers))
        });
        asked.ok()
    };
    let mut process = node.start(&[]);
    node.until_ready();
    until("it serves", || answers(node.port).is_some());
    let text = std::fs::read_to_string(node.file()).unwrap();
    let listeners = text.lines().find_map(|l| l.strip_prefix("listeners=")).unwrap();
    let listeners = format!("listeners=[{listeners},EXTRA://127.0.0.1:{extra}]");
    let protocols =
        "listener.security.protocol.map=[PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,EXTRA:PLAINTEXT]";
    assert!(answers(extra).is_none());
    alter(&["--entity-name", "1"], &["--add-config", &format!("{listeners},{protocols}")]);
    until("the new listener answers", || answers(extra).is_some());
    // A tool has one connection or two; the test keeps no more than that.
    alter(&["--entity-default"], &["--add-config", "max.connections.per.ip=4"]);
    for _ in 0..2 {
        let full = || {
            let held: Vec<_> = (0..8).map(|_| answers(node.port)).collect();
            held.iter().filter(|h| h.is_some()).count() <= 4
        };
        until("the limit holds", full);
        until("the listener that was added answers", || answers(extra).is_some());
        process.tell("-TERM");
        assert!(process.ends_within(PATIENCE));
        process = node.start(&[]);
        node.until_ready();
        until("it serves again", || answers(node.port).is_some());
    }
    alter(
        &["--entity-name", "1"],
        &["--delete-config", "listeners,listener.security.protocol.map"],
    );
    until("the listener is gone", || answers(extra).is_none());
    assert!(answers(node.port).is_some());
}

#[test]
fn a_signal_ends_a_node_that_is_still_starting() {
    let node = Node::format();
    // Reading it waits for ever.
    let bootstrap = node.dir.path().join("data/bootstrap.checkpoint");
    std::fs::remove_file(&bootstrap).unwrap();
    assert!(Command::new("mkfifo").arg(&bootstrap).status().unwrap().success());
    let mut process = node.start(&[]);
    let end = Instant::now() + PATIENCE;
    while !process.waits_for_signals() {
        assert!(Instant::now() < end && process.0.try_wait().unwrap().is_none());
        std::thread::sleep(Duration::from_millis(5));
    }
    process.tell("-TERM");
    assert!(process.ends_within(Duration::from_secs(20)), "it does not hear");
    let said = std::fs::read_to_string(node.log()).unwrap();
    assert!(said.contains("told to stop before it served"), "{said}");
    assert!(process.0.wait().unwrap().success(), "{said}");
}

#[test]
fn a_node_that_no_controller_takes_in_time_ends_and_says_so() {
    let node = Node::format();
    let mut process = node.start(&["initial.broker.registration.timeout.ms=0"]);
    assert!(process.ends_within(PATIENCE), "it goes on");
    let said = std::fs::read_to_string(node.log()).unwrap();
    assert!(said.contains(" within initial.broker.registration.timeout.ms=0"), "{said}");
    assert!(!process.0.wait().unwrap().success(), "{said}");
}

#[test]
fn connections_leave_files_for_the_logs_and_wait_for_their_turn() {
    let node = Node::format();
    let mut command = Command::new("sh");
    let limited = "ulimit -n 256 && exec \"$0\" server \"$1\"";
    command.args(["-c", limited]).arg(ottla().get_program()).arg(node.file());
    let process = Process::start(command, &node.log());
    node.until_ready();

    let mut open: Vec<TcpStream> = (0..130).map(|_| node.connect().unwrap()).collect();
    for stream in &mut open {
        stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        send_metadata(stream).unwrap();
    }
    let (mut served, mut waiting) = (Vec::new(), Vec::new());
    for mut stream in open {
        // The first that is not answered waits, and so do all behind it.
        match waiting.is_empty().then(|| receive(&mut stream)) {
            Some(Ok(_)) => served.push(stream),
            _ => waiting.push(stream),
        }
    }
    // An eighth of 256 is spare, and two fifths are for logs.
    assert_eq!(served.len(), 122, "those that are served");
    let files = std::fs::read_dir(format!("/proc/{}/fd", process.0.id())).unwrap().count();
    assert!(files < 220, "{files} files are open");

    let first = served.first_mut().unwrap();
    assert_eq!(ask_brokers(first).unwrap().len(), 1, "who has a place keeps it");
    served.clear();
    for stream in waiting.iter_mut().take(20) {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        receive(stream).unwrap();
    }
    let said = std::fs::read_to_string(node.log()).unwrap();
    assert_eq!(said.matches("no place for another connection").count(), 1, "{said}");
    assert!(!said.contains("cannot accept"), "{said}");
}

#[test]
fn whoever_closes_its_own_direction_gets_all_its_answers() {
    let node = Node::format();
    let _process = node.start(&[]);
    node.until_ready();
    let mut stream = node.connect().unwrap();
    // InitProducerId in version 0: an answer that waits for the controller.
    let body = [0, 22, 0, 0, 0, 0, 0, 9, 0, 1, b'x', 0xff, 0xff, 0, 0, 0x75, 0x30];
    stream.write_all(&17_u32.to_be_bytes()).unwrap();
    stream.write_all(&body).unwrap();
    for _ in 0..50 {
        send_metadata(&mut stream).unwrap();
    }
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(receive(&mut stream).unwrap()[..4], 9_u32.to_be_bytes());
    for _ in 0..50 {
        assert_eq!(receive(&mut stream).unwrap()[..4], 7_u32.to_be_bytes());
    }
    assert!(receive(&mut stream).is_err(), "then it ends");
}

#[test]
fn long_polls_of_huge_requests_stop_nobody() {
    let node = Node::format();
    let small = ["socket.request.max.bytes=2097152", "queued.max.request.bytes=2097152"];
    let _process = node.start(&small);
    node.until_ready();
    let mut stream = node.connect().unwrap();
    // Metadata in version 1, which makes the topic.
    let body = [0, 3, 0, 1, 0, 0, 0, 7, 0, 1, b'x', 0, 0, 0, 1, 0, 1, b't'];
    stream.write_all(&18_u32.to_be_bytes()).unwrap();
    stream.write_all(&body).unwrap();
    receive(&mut stream).unwrap();

    // Fetch in version 7: of its partition 0, for half a minute, forgetting very many others.
    let mut body = vec![0, 1, 0, 7, 0, 0, 0, 8, 0, 1, b'x'];
    for number in [-1_i32, 30_000, 1, 1 << 20] {
        body.extend(number.to_be_bytes());
    }
    body.extend([0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]);
    body.extend([0, 0, 0, 1, 0, 1, b't', 0, 0, 0, 1, 0, 0, 0, 0]);
    body.extend([0; 16]);
    body.extend((1_i32 << 20).to_be_bytes());
    let forgotten = 480_000_u32;
    body.extend([0, 0, 0, 1, 0, 1, b'u']);
    body.extend(forgotten.to_be_bytes());
    body.extend(vec![0; 4 * forgotten as usize]);
    let mut polls: Vec<TcpStream> = (0..4).map(|_| node.connect().unwrap()).collect();
    for stream in &mut polls {
        stream.write_all(&u32::try_from(body.len()).unwrap().to_be_bytes()).unwrap();
        stream.write_all(&body).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        assert_eq!(receive(stream).unwrap_err().kind(), ErrorKind::WouldBlock, "it waits");
        let mut other = node.connect().unwrap();
        other.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        assert_eq!(ask_brokers(&mut other).unwrap().len(), 1);
    }
}

#[test]
fn an_authorizer_that_would_not_be_asked_is_refused() {
    let node = Node::format();
    let standard = "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer";
    let mut process = node.start(&[standard]);
    assert!(process.ends_within(Duration::from_secs(20)));
    let said = std::fs::read_to_string(node.log()).unwrap();
    assert!(said.contains("this version authorizes nobody"), "{said}");
}
