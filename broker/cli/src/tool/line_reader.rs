//! Lines to records, with the `--reader-property` keys of Kafka's console producer.

use bytes::Bytes;
use ottla_client::ProducerRecord;
use ottla_wire::record::RecordHeader;

use super::cluster::{Properties, truth};

/// How a line becomes a record: `headers<TAB>key<TAB>value`, of which only the value is there by default.
#[derive(Debug)]
pub(crate) struct LineReader {
    topic: String,
    parse_key: bool,
    key_separator: String,
    parse_headers: bool,
    headers_delimiter: String,
    headers_separator: String,
    headers_key_separator: String,
    ignore_error: bool,
    null_marker: Option<String>,
    line: u64,
}

impl LineReader {
    /// A reader with these properties.
    pub(crate) fn new(topic: &str, given: &Properties) -> Result<Self, String> {
        let text =
            |key: &str, default: &str| given.get(key).map_or(default, String::as_str).to_owned();
        let is = |key: &str| given.get(key).is_some_and(|v| truth(v));
        let reader = Self {
            topic: topic.to_owned(),
            parse_key: is("parse.key"),
            key_separator: text("key.separator", "\t"),
            parse_headers: is("parse.headers"),
            headers_delimiter: text("headers.delimiter", "\t"),
            headers_separator: text("headers.separator", ","),
            headers_key_separator: text("headers.key.separator", ":"),
            ignore_error: is("ignore.error"),
            null_marker: given.get("null.marker").cloned(),
            line: 0,
        };
        reader.check().map(|()| reader)
    }

    /// Marks that would be taken for each other.
    fn check(&self) -> Result<(), String> {
        let differ = |(one, a): (&str, &String), (other, b): (&str, &String)| {
            if a == b { Err(format!("{one} and {other} may not be equal")) } else { Ok(()) }
        };
        let delimiter = ("headers.delimiter", &self.headers_delimiter);
        let separator = ("headers.separator", &self.headers_separator);
        let key = ("headers.key.separator", &self.headers_key_separator);
        differ(delimiter, separator)?;
        differ(delimiter, key)?;
        differ(separator, key)?;
        if let Some(marker) = &self.null_marker {
            let marker = ("null.marker", marker);
            for other in [("key.separator", &self.key_separator), separator, delimiter, key] {
                differ(marker, other)?;
            }
        }
        for (name, mark) in [delimiter, separator, key, ("key.separator", &self.key_separator)] {
            if mark.is_empty() {
                return Err(format!("{name} may not be empty"));
            }
        }
        Ok(())
    }

    /// The record of a line, which comes without its end.
    pub(crate) fn record(&mut self, line: &Bytes) -> Result<ProducerRecord, String> {
        self.line += 1;
        let mut rest = line.clone();
        let mut headers = Vec::new();
        if self.parse_headers
            && let Some(text) = self.cut(&mut rest, &self.headers_delimiter, "headers delimiter")?
            && self.known(&text).is_some()
        {
            headers = self.headers(&text)?;
        }
        let mut key = None;
        if self.parse_key
            && let Some(text) = self.cut(&mut rest, &self.key_separator, "key separator")?
        {
            key = self.known(&text);
        }
        Ok(ProducerRecord {
            topic: self.topic.clone(),
            key,
            value: self.known(&rest),
            headers,
            ..ProducerRecord::default()
        })
    }

    /// Cuts off what stands before a mark; nothing if there is no mark and that is to be ignored.
    fn cut(&self, rest: &mut Bytes, mark: &str, what: &str) -> Result<Option<Bytes>, String> {
        match find(rest, mark.as_bytes()) {
            Some(at) => {
                let before = rest.split_to(at);
                let _mark = rest.split_to(mark.len());
                Ok(Some(before))
            }
            None if self.ignore_error => Ok(None),
            None => {
                let shown = String::from_utf8_lossy(rest);
                Err(format!("no {what} on line {}: '{shown}'", self.line))
            }
        }
    }

    /// The bytes, unless they are those that stand for null.
    fn known(&self, bytes: &Bytes) -> Option<Bytes> {
        let is_null = self.null_marker.as_ref().is_some_and(|m| m.as_bytes() == bytes.as_ref());
        (!is_null).then(|| bytes.clone())
    }

    fn headers(&self, text: &Bytes) -> Result<Vec<RecordHeader>, String> {
        let mut headers = Vec::new();
        let mut rest = text.clone();
        loop {
            let end = find(&rest, self.headers_separator.as_bytes());
            let mut pair = rest.split_to(end.unwrap_or(rest.len()));
            match find(&pair, self.headers_key_separator.as_bytes()) {
                Some(at) => {
                    let key = pair.split_to(at);
                    let value = pair.split_off(self.headers_key_separator.len());
                    if self.known(&key).is_none() {
                        return Err(format!(
                            "a header on line {} has the null marker for its key",
                            self.line
                        ));
                    }
                    headers.push(RecordHeader { key, value: self.known(&value) });
                }
                None if self.ignore_error => {
                    headers.push(RecordHeader { key: pair, value: None });
                }
                None => {
                    let shown = String::from_utf8_lossy(&pair);
                    return Err(format!(
                        "no header key separator in header '{shown}' on line {}",
                        self.line
                    ));
                }
            }
            if end.is_none() {
                return Ok(headers);
            }
            rest = rest.split_off(self.headers_separator.len());
        }
    }
}

/// Where a mark, which is not empty, begins.
fn find(bytes: &[u8], mark: &[u8]) -> Option<usize> {
    bytes.windows(mark.len()).position(|w| w == mark)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(properties: &[(&str, &str)]) -> Result<LineReader, String> {
        let given = properties.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        LineReader::new("t", &given.collect())
    }

    /// A record as `header=value;|key|value`.
    fn shown(properties: &[(&str, &str)], line: &str) -> Result<String, String> {
        let record = reader(properties)?.record(&Bytes::from(line.to_owned()))?;
        let text = |b: &Option<Bytes>| {
            b.as_ref()
                .map_or_else(|| "null".to_owned(), |b| String::from_utf8_lossy(b).into_owned())
        };
        let headers = record.headers.iter();
        let headers =
            headers.map(|h| format!("{}={};", String::from_utf8_lossy(&h.key), text(&h.value)));
        Ok(format!("{}|{}|{}", headers.collect::<String>(), text(&record.key), text(&record.value)))
    }

    #[test]
    fn lines_become_records() {
        let key = [("parse.key", "true"), ("key.separator", ":")];
        assert_eq!(shown(&[], "a:b\tc").unwrap(), "|null|a:b\tc");
        assert_eq!(shown(&[], "").unwrap(), "|null|");
        assert_eq!(shown(&key, "k:v:w").unwrap(), "|k|v:w");
        assert_eq!(shown(&key, ":v").unwrap(), "||v");
        assert_eq!(shown(&[("parse.key", "TRUE")], "k\tv").unwrap(), "|k|v");
        assert_eq!(shown(&key, "none").unwrap_err(), "no key separator on line 1: 'none'");
        let lenient = [key.as_slice(), &[("ignore.error", "true")]].concat();
        assert_eq!(shown(&lenient, "none").unwrap(), "|null|none");
        let null = [key.as_slice(), &[("null.marker", "NIL")]].concat();
        assert_eq!(shown(&null, "NIL:NIL").unwrap(), "|null|null");
    }

    #[test]
    fn lines_with_headers() {
        let all = [("parse.headers", "true"), ("parse.key", "true")];
        assert_eq!(shown(&all, "a:1,b:2\tk\tv").unwrap(), "a=1;b=2;|k|v");
        assert_eq!(shown(&all, "a:x:y\tk\tv").unwrap(), "a=x:y;|k|v");
        assert!(shown(&all, "a\tk\tv").unwrap_err().contains("header 'a' on line 1"));
        assert!(shown(&all, "a:1").unwrap_err().contains("headers delimiter"));
        let null = [all.as_slice(), &[("null.marker", "NIL")]].concat();
        assert_eq!(shown(&null, "NIL\tk\tv").unwrap(), "|k|v");
        assert_eq!(shown(&null, "a:NIL\tk\tv").unwrap(), "a=null;|k|v");
    }

    #[test]
    fn marks_differ() {
        assert!(reader(&[("headers.delimiter", ",")]).is_err());
        assert!(reader(&[("headers.key.separator", "\t")]).is_err());
        assert!(reader(&[("null.marker", "\t")]).is_err());
        assert!(reader(&[("key.separator", "")]).is_err());
    }
}
