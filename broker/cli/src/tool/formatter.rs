//! Records to lines, with the `--formatter-property` keys of Kafka's console consumer.

use std::io::Write;

use ottla_client::Delivery;
use ottla_wire::record::{NO_TIMESTAMP, TimestampType};

use super::cluster::{Properties, truth};

/// How records are printed.
#[derive(Debug)]
pub(crate) enum Formatter {
    /// A line each.
    Lines(Box<Lines>),
    /// Not at all.
    Nothing,
}

/// What stands in a line: time, partition, offset, delivery, epoch, headers, key, value, of which only the value is
/// there by default.
#[derive(Debug)]
pub(crate) struct Lines {
    timestamp: bool,
    partition: bool,
    offset: bool,
    delivery: bool,
    epoch: bool,
    headers: bool,
    key: bool,
    value: bool,
    separator: String,
    end: String,
    headers_separator: String,
    null: String,
    key_as: Kind,
    value_as: Kind,
    headers_as: Kind,
}

/// What the bytes of a key or a value are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// To be printed as they are.
    Bytes,
    Short,
    Integer,
    Long,
    Float,
    Double,
    Boolean,
    Uuid,
}

impl Kind {
    /// By the name of Kafka's class that reads it.
    fn parse(class: &str) -> Result<Self, String> {
        let name = class.strip_prefix("org.apache.kafka.common.serialization.").unwrap_or(class);
        Ok(match name.strip_suffix("Deserializer").unwrap_or(name) {
            "String" => Self::Bytes,
            "Short" => Self::Short,
            "Integer" => Self::Integer,
            "Long" => Self::Long,
            "Float" => Self::Float,
            "Double" => Self::Double,
            "Boolean" => Self::Boolean,
            "UUID" => Self::Uuid,
            _ => return Err(format!("there is no deserializer {class} here")),
        })
    }

    fn write(self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
        fn exactly<const N: usize>(bytes: &[u8]) -> Result<[u8; N], String> {
            bytes.try_into().map_err(|_| format!("{} bytes where {N} belong", bytes.len()))
        }
        let text = match self {
            Self::Bytes => {
                out.extend_from_slice(bytes);
                return Ok(());
            }
            Self::Short => i16::from_be_bytes(exactly(bytes)?).to_string(),
            Self::Integer => i32::from_be_bytes(exactly(bytes)?).to_string(),
            Self::Long => i64::from_be_bytes(exactly(bytes)?).to_string(),
            Self::Float => format!("{:?}", f32::from_be_bytes(exactly(bytes)?)),
            Self::Double => format!("{:?}", f64::from_be_bytes(exactly(bytes)?)),
            Self::Boolean => match exactly::<1>(bytes)? {
                [0] => "false".to_owned(),
                [1] => "true".to_owned(),
                [other] => return Err(format!("{other} is neither false nor true")),
            },
            Self::Uuid => String::from_utf8_lossy(bytes).into_owned(),
        };
        out.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

impl Formatter {
    /// The formatter of a name of Kafka's, with these properties.
    pub(crate) fn new(class: Option<&str>, given: &Properties) -> Result<Self, String> {
        let name = class.map(|c| c.rsplit('.').next().unwrap_or(c));
        match name {
            None | Some("DefaultMessageFormatter") => {
                Lines::new(given).map(|lines| Self::Lines(Box::new(lines)))
            }
            Some("NoOpMessageFormatter") => Ok(Self::Nothing),
            Some(_) => Err(format!("--formatter: there is no {} here", class.unwrap_or_default())),
        }
    }

    /// Adds a record to what is to be printed; nothing of it after an error.
    pub(crate) fn write(&self, record: &Delivery, out: &mut Vec<u8>) -> Result<(), String> {
        let Self::Lines(lines) = self else { return Ok(()) };
        let before = out.len();
        let written = lines.write(record, out);
        if written.is_err() {
            out.truncate(before);
        }
        written
    }
}

impl Lines {
    fn new(given: &Properties) -> Result<Self, String> {
        let text =
            |key: &str, default: &str| given.get(key).map_or(default, String::as_str).to_owned();
        let is = |key: &str| given.get(key).is_some_and(|v| truth(v));
        let kind = |key: &str| given.get(key).map_or(Ok(Kind::Bytes), |class| Kind::parse(class));
        Ok(Self {
            timestamp: is("print.timestamp"),
            partition: is("print.partition"),
            offset: is("print.offset"),
            delivery: is("print.delivery"),
            epoch: is("print.epoch"),
            headers: is("print.headers"),
            key: is("print.key"),
            value: given.get("print.value").is_none_or(|v| truth(v)),
            separator: text("key.separator", "\t"),
            end: text("line.separator", "\n"),
            headers_separator: text("headers.separator", ","),
            null: text("null.literal", "null"),
            key_as: kind("key.deserializer")?,
            value_as: kind("value.deserializer")?,
            headers_as: kind("headers.deserializer")?,
        })
    }

    fn write(&self, delivery: &Delivery, out: &mut Vec<u8>) -> Result<(), String> {
        let record = &delivery.record;
        let columns = [
            self.timestamp,
            self.partition,
            self.offset,
            self.delivery,
            self.epoch,
            self.headers,
            self.key,
            self.value,
        ];
        let last = columns.iter().rposition(|c| *c);
        for (at, _) in columns.iter().enumerate().filter(|(_, wanted)| **wanted) {
            // Writing to memory does not fail.
            let _ = match at {
                0 if record.timestamp == NO_TIMESTAMP => write!(out, "NO_TIMESTAMP"),
                0 => match delivery.timestamp_type {
                    TimestampType::CreateTime => write!(out, "CreateTime:{}", record.timestamp),
                    TimestampType::LogAppendTime => {
                        write!(out, "LogAppendTime:{}", record.timestamp)
                    }
                },
                1 => write!(out, "Partition:{}", delivery.partition.partition),
                2 => write!(out, "Offset:{}", record.offset),
                3 => write!(out, "Delivery:NOT_PRESENT"),
                4 => match delivery.leader_epoch {
                    Some(epoch) => write!(out, "Epoch:{epoch}"),
                    None => write!(out, "Epoch:NOT_PRESENT"),
                },
                5 => self.write_headers(delivery, out).map(Ok)?,
                6 => self.put(record.key.as_deref(), self.key_as, out).map(Ok)?,
                _ => self.put(record.value.as_deref(), self.value_as, out).map(Ok)?,
            };
            let behind = if Some(at) == last { &self.end } else { &self.separator };
            out.extend_from_slice(behind.as_bytes());
        }
        Ok(())
    }

    fn write_headers(&self, delivery: &Delivery, out: &mut Vec<u8>) -> Result<(), String> {
        let headers = &delivery.record.headers;
        if headers.is_empty() {
            out.extend_from_slice(b"NO_HEADERS");
        }
        for (n, header) in headers.iter().enumerate() {
            if n > 0 {
                out.extend_from_slice(self.headers_separator.as_bytes());
            }
            out.extend_from_slice(&header.key);
            out.push(b':');
            self.put(header.value.as_deref(), self.headers_as, out)?;
        }
        Ok(())
    }

    fn put(&self, bytes: Option<&[u8]>, kind: Kind, out: &mut Vec<u8>) -> Result<(), String> {
        match bytes {
            Some(bytes) => kind.write(bytes, out),
            None => {
                out.extend_from_slice(self.null.as_bytes());
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use ottla_client::TopicPartition;
    use ottla_wire::record::{Record, RecordHeader};

    fn record() -> Delivery {
        let header = |key: &'static str, value: Option<&'static str>| RecordHeader {
            key: Bytes::from(key),
            value: value.map(Bytes::from),
        };
        Delivery {
            partition: TopicPartition::new("t", 2),
            leader_epoch: Some(4),
            timestamp_type: TimestampType::CreateTime,
            record: Record {
                offset: 7,
                timestamp: 1234,
                key: None,
                value: Some(Bytes::from("v")),
                headers: vec![header("a", Some("1")), header("b", None)],
            },
        }
    }

    fn shown(properties: &[(&str, &str)], record: &Delivery) -> Result<String, String> {
        let given = properties.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let mut out = Vec::new();
        Formatter::new(None, &given)?.write(record, &mut out)?;
        Ok(String::from_utf8_lossy(&out).into_owned())
    }

    #[test]
    fn columns_in_kafkas_order() {
        assert_eq!(shown(&[], &record()).unwrap(), "v\n");
        let all = ["timestamp", "partition", "offset", "delivery", "epoch", "headers", "key"];
        let all: Vec<_> = all.iter().map(|c| format!("print.{c}")).collect();
        let mut all: Vec<_> = all.iter().map(|c| (c.as_str(), "true")).collect();
        assert_eq!(
            shown(&all, &record()).unwrap(),
            "CreateTime:1234\tPartition:2\tOffset:7\tDelivery:NOT_PRESENT\tEpoch:4\ta:1,b:null\tnull\tv\n"
        );
        all.extend([
            ("print.value", "false"),
            ("key.separator", "|"),
            ("null.literal", "-"),
            ("line.separator", ";"),
        ]);
        let mut bare = record();
        bare.record.headers.clear();
        bare.leader_epoch = None;
        bare.timestamp_type = TimestampType::LogAppendTime;
        assert_eq!(
            shown(&all, &bare).unwrap(),
            "LogAppendTime:1234|Partition:2|Offset:7|Delivery:NOT_PRESENT|Epoch:NOT_PRESENT|NO_HEADERS|-;"
        );
    }

    #[test]
    fn numbers_in_bytes() {
        let of = |class: &str, bytes: &'static [u8]| {
            let mut record = record();
            record.record.value = Some(Bytes::from_static(bytes));
            shown(&[("value.deserializer", class)], &record)
        };
        let package = "org.apache.kafka.common.serialization.LongDeserializer";
        assert_eq!(of(package, &[0, 0, 0, 0, 0, 0, 1, 0]).unwrap(), "256\n");
        assert_eq!(of("IntegerDeserializer", &[255, 255, 255, 255]).unwrap(), "-1\n");
        assert_eq!(of("DoubleDeserializer", &[0x3f, 0xf0, 0, 0, 0, 0, 0, 0]).unwrap(), "1.0\n");
        assert_eq!(of("BooleanDeserializer", &[1]).unwrap(), "true\n");
        assert!(of(package, &[1]).is_err());
        assert!(of("com.example.Deserializer", &[1]).is_err());
    }

    #[test]
    fn formatters_by_name() {
        let given = Properties::new();
        for class in
            ["org.apache.kafka.tools.consumer.DefaultMessageFormatter", "DefaultMessageFormatter"]
        {
            assert!(matches!(Formatter::new(Some(class), &given), Ok(Formatter::Lines(_))));
        }
        let nothing = "org.apache.kafka.tools.consumer.NoOpMessageFormatter";
        assert!(matches!(Formatter::new(Some(nothing), &given), Ok(Formatter::Nothing)));
        assert!(Formatter::new(Some("com.example.Formatter"), &given).is_err());
    }
}
