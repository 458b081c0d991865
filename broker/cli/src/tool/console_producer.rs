//! `ottla console-producer`, Kafka's `kafka-console-producer.sh`: send the lines of standard input as records.

use std::io::{BufRead, IsTerminal, Read, Write};
use std::process::ExitCode;
use std::sync::Arc;

use bytes::Bytes;
use clap::Parser;
use ottla_client::{Acks, Client, Producer, ProducerOptions};
use ottla_wire::record::{Compression, Compressor};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TryRecvError;

use super::cluster::{self, Properties, millis};
use super::line_reader::LineReader;

/// The longest line that is read, in bytes.
const MAX_LINE: u64 = 64 << 20;

/// Lines that may wait to be sent.
const MAX_LINES: usize = 1024;

/// The one reader there is; Kafka's name of it is taken too.
const LINE_READER: &str = "org.apache.kafka.tools.LineMessageReader";

/// Sends each line of standard input as a record.
#[derive(Parser, Debug)]
#[command(name = "kafka-console-producer", version, infer_long_args = true)]
struct ConsoleProducer {
    /// Brokers to ask, as host:port,host:port.
    #[arg(long)]
    bootstrap_server: String,
    /// The topic to send to.
    #[arg(long)]
    topic: String,
    /// A property of the reader, as key=value: parse.key, key.separator, parse.headers, headers.delimiter,
    /// headers.separator, headers.key.separator, null.marker, ignore.error.
    #[arg(long)]
    reader_property: Vec<String>,
    /// The old name of --reader-property.
    #[arg(long)]
    property: Vec<String>,
    /// A file with properties of the reader.
    #[arg(long)]
    reader_config: Option<String>,
    /// Only org.apache.kafka.tools.LineMessageReader.
    #[arg(long, default_value = LINE_READER)]
    line_reader: String,
    /// How batches are compressed: none, gzip, snappy, lz4 or zstd; gzip if only the option is given.
    #[arg(long, num_args = 0..=1, default_missing_value = "gzip")]
    compression_codec: Option<String>,
    /// A property of the producer, as key=value.
    #[arg(long)]
    command_property: Vec<String>,
    /// A file with properties of the producer.
    #[arg(long)]
    command_config: Option<String>,
    /// The old name of --command-property.
    #[arg(long)]
    producer_property: Vec<String>,
    /// The old name of --command-config.
    #[arg(long = "producer.config")]
    producer_config: Option<String>,
    /// Wait for each record, and stop at the first that cannot be sent.
    #[arg(long)]
    sync: bool,
    /// Whose word makes a record sent: 0, 1, -1 or all.
    #[arg(long, allow_hyphen_values = true)]
    request_required_acks: Option<String>,
    /// How long a broker may take to answer.
    #[arg(long)]
    request_timeout_ms: Option<String>,
    /// The pause before something is tried again.
    #[arg(long)]
    retry_backoff_ms: Option<String>,
    /// How long to wait for the topic.
    #[arg(long)]
    max_block_ms: Option<String>,
    /// The size at which a batch is full.
    #[arg(long)]
    batch_size: Option<String>,
    /// The old name of --batch-size.
    #[arg(long)]
    max_partition_memory_bytes: Option<String>,
    /// Has no effect: lines are sent as soon as there are no more of them to go with.
    #[arg(long)]
    timeout: Option<i64>,
    /// Has no effect: memory is bounded anyway.
    #[arg(long)]
    max_memory_bytes: Option<i64>,
    /// Has no effect: a record is tried until delivery.timeout.ms is over.
    #[arg(long)]
    message_send_max_retries: Option<i32>,
    /// Has no effect: leaders are looked up when one has changed.
    #[arg(long)]
    metadata_expiry_ms: Option<i64>,
    /// Has no effect: the system chooses.
    #[arg(long)]
    socket_buffer_size: Option<i32>,
}

/// Runs the tool.
pub(crate) fn run(args: &[String]) -> ExitCode {
    let options: ConsoleProducer = match cluster::parse(args) {
        Ok(options) => options,
        Err(code) => return code,
    };
    let prepared = options.prepare();
    let (producer, client, reader) = match prepared {
        Ok(prepared) => prepared,
        Err(why) => return cluster::refuse::<ConsoleProducer>(&why),
    };
    cluster::block_on(async {
        let producer = Producer::new(Arc::new(Client::new(client)), producer);
        match send_lines(producer, reader, options.sync).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(why) => {
                let _ = writeln!(std::io::stderr(), "{why}");
                ExitCode::FAILURE
            }
        }
    })
}

impl ConsoleProducer {
    fn prepare(&self) -> Result<(ProducerOptions, ottla_client::Options, LineReader), String> {
        if self.line_reader != LINE_READER {
            return Err(format!(
                "--line-reader: there is no {}, only {LINE_READER}",
                self.line_reader
            ));
        }
        let reading =
            cluster::properties(&[&self.reader_config], &[&self.property, &self.reader_property])?;
        let reader = LineReader::new(&self.topic, &reading)?;
        let given = cluster::properties(
            &[&self.producer_config, &self.command_config],
            &[&self.producer_property, &self.command_property],
        )?;
        let producer = self.producer_options(given.clone())?;
        let mut client =
            cluster::client_options(&self.bootstrap_server, "console-producer", &given)?;
        if let Some(text) = &self.request_timeout_ms {
            client.request_timeout = millis("--request-timeout-ms", text)?;
        }
        if let Some(text) = &self.retry_backoff_ms {
            client.backoff = millis("--retry-backoff-ms", text)?;
        }
        Ok((producer, client, reader))
    }

    fn producer_options(&self, mut given: Properties) -> Result<ProducerOptions, String> {
        // An option says more than a property.
        for (key, option) in [
            ("acks", &self.request_required_acks),
            ("compression.type", &self.compression_codec),
            ("max.block.ms", &self.max_block_ms),
            ("batch.size", &self.batch_size),
            ("batch.size", &self.max_partition_memory_bytes),
        ] {
            if let Some(value) = option {
                given.insert(key.to_owned(), value.clone());
            }
        }
        let mut options = ProducerOptions::default();
        for (key, value) in &given {
            match key.as_str() {
                "acks" => options.acks = acks(value)?,
                "compression.type" => options.compression = compression(value)?,
                "max.block.ms" => options.metadata_timeout = millis(key, value)?,
                "delivery.timeout.ms" => options.delivery_timeout = millis(key, value)?,
                "batch.size" => options.batch_bytes = bytes(key, value)?,
                "max.request.size" => options.request_bytes = bytes(key, value)?,
                _ => {}
            }
        }
        Ok(options)
    }
}

fn acks(value: &str) -> Result<Acks, String> {
    match value {
        "0" => Ok(Acks::None),
        "1" => Ok(Acks::Leader),
        "-1" | "all" => Ok(Acks::All),
        _ => Err(format!("acks is 0, 1, -1 or all, not '{value}'")),
    }
}

fn compression(value: &str) -> Result<Compressor, String> {
    let codec = Compression::ALL.into_iter().find(|c| c.name() == value);
    codec.map(Compressor::new).ok_or_else(|| format!("there is no compression '{value}'"))
}

fn bytes(key: &str, value: &str) -> Result<usize, String> {
    value.trim().parse().map_err(|_| format!("{key}: '{value}' is no number of bytes"))
}

/// Sends lines until standard input ends. An error stops it; records that cannot be sent are told of, and stop it only
/// if each is waited for.
async fn send_lines(
    mut producer: Producer,
    mut reader: LineReader,
    sync: bool,
) -> Result<(), String> {
    let (sender, mut lines) = mpsc::channel::<Result<Bytes, String>>(MAX_LINES);
    std::thread::spawn(move || read_lines(&mut std::io::stdin().lock(), &sender));
    let mut result = Ok(());
    loop {
        let line = match lines.try_recv() {
            Ok(line) => line,
            Err(TryRecvError::Disconnected) => break,
            Err(TryRecvError::Empty) => {
                flush(&mut producer).await;
                match lines.recv().await {
                    Some(line) => line,
                    None => break,
                }
            }
        };
        let record = match line.and_then(|line| reader.record(&line)) {
            Ok(record) => record,
            Err(why) => {
                result = Err(why);
                break;
            }
        };
        let topic = record.topic.clone();
        let sent = producer.send(record).await;
        if let Err(error) = &sent {
            let _ = writeln!(std::io::stderr(), "cannot send a record to {topic}: {error}");
        }
        if sync && (sent.is_err() || !flush(&mut producer).await) {
            result = Err("stopped, since --sync is given".to_owned());
            break;
        }
    }
    flush(&mut producer).await;
    result
}

/// Sends what waits; whether all of it was sent.
async fn flush(producer: &mut Producer) -> bool {
    let failures = producer.flush().await;
    for failure in &failures {
        let (records, partition, error) = (failure.records, &failure.partition, &failure.error);
        let _ =
            writeln!(std::io::stderr(), "cannot send {records} record(s) to {partition}: {error}");
    }
    failures.is_empty()
}

/// Reads lines on a thread of its own, since reading a terminal cannot be given up.
fn read_lines(input: &mut dyn BufRead, lines: &mpsc::Sender<Result<Bytes, String>>) {
    let asks = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    loop {
        if asks {
            let mut out = std::io::stdout();
            let _ = write!(out, ">").and_then(|()| out.flush());
        }
        let line = read_line(input);
        let ends = !matches!(line, Ok(Some(_)));
        if let Some(line) = line.transpose()
            && lines.blocking_send(line).is_err()
        {
            return;
        }
        if ends {
            return;
        }
    }
}

/// A line without its end; `None` behind the last one.
fn read_line(input: &mut dyn BufRead) -> Result<Option<Bytes>, String> {
    let mut line = Vec::new();
    let read = input.take(MAX_LINE).read_until(b'\n', &mut line).map_err(|e| e.to_string())?;
    if read == 0 {
        return Ok(None);
    }
    if line.pop_if(|b| *b == b'\n').is_some() {
        line.pop_if(|b| *b == b'\r');
    } else if line.len() as u64 == MAX_LINE {
        return Err(format!("a line is longer than {MAX_LINE} bytes"));
    }
    Ok(Some(Bytes::from(line)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> ConsoleProducer {
        let base = ["kafka-console-producer", "--bootstrap-server", "h:1", "--topic", "t"];
        ConsoleProducer::try_parse_from(base.into_iter().chain(line.split_whitespace())).unwrap()
    }

    fn options(line: &str) -> Result<ProducerOptions, String> {
        parse(line).prepare().map(|(producer, ..)| producer)
    }

    #[test]
    fn options_and_properties() {
        assert_eq!(options("").unwrap().acks, Acks::All);
        assert_eq!(options("--command-property acks=1").unwrap().acks, Acks::Leader);
        assert_eq!(
            options("--producer-property acks=1 --request-required-acks 0").unwrap().acks,
            Acks::None
        );
        assert_eq!(options("--request-required-acks -1").unwrap().acks, Acks::All);
        let codec = |line: &str| options(line).map(|o| o.compression.codec());
        assert_eq!(codec("--compression-codec"), Ok(Compression::Gzip));
        assert_eq!(codec("--compression-codec zstd"), Ok(Compression::Zstd));
        assert_eq!(codec("--compression-codec --sync"), Ok(Compression::Gzip));
        assert!(codec("--compression-codec brotli").is_err());
        assert_eq!(options("--batch-size 7").unwrap().batch_bytes, 7);
        assert!(options("--line-reader com.example.Reader").is_err());
        assert!(options("--request-required-acks 2").is_err());
        let (_, client, _) = parse("--request-timeout-ms 70").prepare().unwrap();
        assert_eq!(client.request_timeout.as_millis(), 70);
    }

    #[test]
    fn a_topic_and_a_server_are_needed() {
        for line in ["--topic t", "--bootstrap-server h:1", ""] {
            let args = std::iter::once("kafka-console-producer").chain(line.split_whitespace());
            assert!(ConsoleProducer::try_parse_from(args).is_err());
        }
    }

    #[test]
    fn lines_of_any_end() {
        let mut input = std::io::Cursor::new(b"a\r\n\nb\rc\n\xff".to_vec());
        let mut lines = Vec::new();
        while let Some(line) = read_line(&mut input).unwrap() {
            lines.push(line);
        }
        assert_eq!(lines, [&b"a"[..], b"", b"b\rc", b"\xff"]);
        let mut endless = std::io::BufReader::new(std::io::repeat(b'x'));
        assert!(read_line(&mut endless).unwrap_err().contains("longer than"));
    }
}
