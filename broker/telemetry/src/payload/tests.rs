use super::*;
use crate::weigh::MAX_PIECES;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue};
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Histogram, ResourceMetrics, ScopeMetrics, Sum, Summary, summary_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use ottla_wire::record::Compressor;
use proptest::prelude::*;

const LIMIT: usize = 1 << 20;

fn attribute(key: &str, value: Value) -> KeyValue {
    let value = Some(AnyValue { value: Some(value) });
    KeyValue { key: key.to_owned(), value, ..Default::default() }
}

fn string(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::StringValue(value.to_owned()))
}

fn number(value: f64, attributes: Vec<KeyValue>) -> NumberDataPoint {
    let value = Some(number_data_point::Value::AsDouble(value));
    NumberDataPoint { value, attributes, ..Default::default() }
}

fn metric(name: &str, data: Data) -> Metric {
    Metric { name: name.to_owned(), data: Some(data), ..Default::default() }
}

fn gauge(name: &str, points: Vec<NumberDataPoint>) -> Metric {
    metric(name, Data::Gauge(Gauge { data_points: points }))
}

fn data(resource: Vec<KeyValue>, metrics: Vec<Metric>) -> MetricsData {
    let scope_metrics = vec![ScopeMetrics { metrics, ..Default::default() }];
    let resource = Some(Resource { attributes: resource, ..Default::default() });
    MetricsData {
        resource_metrics: vec![ResourceMetrics { resource, scope_metrics, ..Default::default() }],
    }
}

fn read(data: &MetricsData) -> Vec<Point> {
    decode(Compression::None, &data.encode_to_vec(), LIMIT).expect("good metrics").points
}

/// Points as they would stand in the text.
fn lines(data: &MetricsData) -> Vec<String> {
    let line = |p: Point| {
        format!(
            "{:?} {:?} {}{}{{{}}} {}",
            p.shape, p.temporality, p.family, p.suffix, p.labels, p.value
        )
    };
    read(data).into_iter().map(line).collect()
}

#[test]
fn every_kind_of_metric() {
    let sum = |is_monotonic, temporality: AggregationTemporality| {
        Data::Sum(Sum {
            data_points: vec![number(3.0, vec![])],
            aggregation_temporality: temporality as i32,
            is_monotonic,
        })
    };
    let histogram = Histogram {
        data_points: vec![HistogramDataPoint {
            count: 6,
            sum: Some(9.5),
            bucket_counts: vec![1, 2, 3],
            explicit_bounds: vec![0.5, 2.0],
            ..Default::default()
        }],
        aggregation_temporality: AggregationTemporality::Cumulative as i32,
    };
    let quantile = summary_data_point::ValueAtQuantile { quantile: 0.99, value: 7.0 };
    let summary = SummaryDataPoint {
        count: 2,
        sum: 8.0,
        quantile_values: vec![quantile],
        ..Default::default()
    };
    let metrics = vec![
        gauge("a.gauge", vec![number(1.5, vec![])]),
        metric("a.total", sum(true, AggregationTemporality::Delta)),
        metric("b", sum(true, AggregationTemporality::Cumulative)),
        metric("c", sum(false, AggregationTemporality::Cumulative)),
        metric("h", Data::Histogram(histogram)),
        metric("s", Data::Summary(Summary { data_points: vec![summary] })),
    ];
    let want = [
        "Gauge Whole a_gauge{} 1.5",
        "Counter Delta a_total{} 3",
        "Counter Whole b_total{} 3",
        "Gauge Whole c{} 3",
        "Histogram Whole h_bucket{le=\"0.5\"} 1",
        "Histogram Whole h_bucket{le=\"2\"} 3",
        "Histogram Whole h_bucket{le=\"+Inf\"} 6",
        "Histogram Whole h_sum{} 9.5",
        "Histogram Whole h_count{} 6",
        "Summary Whole s{quantile=\"0.99\"} 7",
        "Summary Whole s_sum{} 8",
        "Summary Whole s_count{} 2",
    ];
    assert_eq!(lines(&data(vec![], metrics)), want);
}

#[test]
fn a_point_without_a_value_is_none() {
    let mut missing = number(1.0, vec![]);
    missing.flags = DataPointFlags::NoRecordedValueMask as u32;
    let empty = NumberDataPoint::default();
    assert_eq!(lines(&data(vec![], vec![gauge("g", vec![missing, empty])])), [""; 0]);
}

#[test]
fn labels_come_of_both_kinds_of_attributes() {
    let resource = vec![
        string("group.id", "g\"1\\\n"),
        string("topic", "of the resource"),
        string("client_id", "someone else"),
        string("__name__", "another"),
    ];
    let own = vec![
        string("topic", "t"),
        attribute("9th", Value::IntValue(-4)),
        attribute("flag", Value::BoolValue(true)),
        attribute("list", Value::ArrayValue(ArrayValue::default())),
    ];
    let found = lines(&data(resource, vec![gauge("g", vec![number(1.0, own)])]));
    let labels = r#"_9th="-4",flag="true",group_id="g\"1\\\n",topic="t""#;
    assert_eq!(found, [format!("Gauge Whole g{{{labels}}} 1")]);
}

#[test]
fn names_and_labels_are_bounded() {
    let long = "ä".repeat(10_000);
    let many: Vec<KeyValue> = (0..40_000).map(|i| string(&format!("k{i}"), "")).collect();
    let point = read(&data(many, vec![gauge(&long, vec![number(1.0, vec![])])])).remove(0);
    assert_eq!(point.labels.matches('=').count(), MAX_LABELS);
    assert!(point.family.len() <= MAX_TEXT, "{}", point.family.len());
    let long: Vec<KeyValue> = (0..32).map(|i| string(&format!("k{i}"), &long)).collect();
    let point = read(&data(long, vec![gauge("g", vec![number(1.0, vec![])])])).remove(0);
    assert!(point.labels.len() <= MAX_LABELS_BYTES + 8, "{}", point.labels.len());
}

#[test]
fn points_are_bounded() {
    let points = (0..MAX_SERIES + 7).map(|i| number(i as f64, vec![])).collect();
    let bytes = data(vec![], vec![gauge("g", points)]).encode_to_vec();
    let found = decode(Compression::None, &bytes, LIMIT).expect("good metrics");
    assert_eq!((found.points.len(), found.left_out), (MAX_SERIES, 7));
}

#[test]
fn every_codec() {
    let plain = data(vec![], vec![gauge("g", vec![number(1.0, vec![])])]).encode_to_vec();
    for codec in Compression::ALL {
        let bytes = Compressor::new(codec).compress(&plain).expect("it compresses");
        let found = decode(codec, &bytes, LIMIT).expect("good metrics");
        assert_eq!(found.points.len(), 1, "{codec:?}");
        assert!(decode(codec, &bytes[..bytes.len() - 1], LIMIT).is_err(), "{codec:?} cut off");
    }
}

#[test]
fn a_bomb_does_not_go_off() {
    let zeroes = vec![0; 16 << 20];
    for codec in Compression::ALL.into_iter().filter(|codec| *codec != Compression::None) {
        let bomb = Compressor::new(codec).compress(&zeroes).expect("it compresses");
        let error = decode(codec, &bomb, LIMIT).expect_err("it is too large");
        assert!(matches!(error, PayloadError::Compression(_)), "{codec:?}: {error}");
    }
}

#[test]
fn many_small_messages_are_refused_before_they_are_made() {
    // An empty metric is two bytes, and some two hundred once it is taken apart.
    let metrics = [0x12, 0].repeat(MAX_PIECES);
    let wrap = |tag: u8, inner: &[u8]| {
        let mut out = vec![tag];
        prost::encoding::encode_varint(inner.len() as u64, &mut out);
        out.extend_from_slice(inner);
        out
    };
    let bytes = wrap(0x0a, &wrap(0x12, &metrics));
    let error = decode(Compression::None, &bytes, LIMIT).expect_err("too many");
    assert!(matches!(error, PayloadError::TooMany { .. }), "{error}");
}

#[test]
fn deep_nesting_is_refused() {
    let mut value = AnyValue { value: Some(Value::IntValue(1)) };
    for _ in 0..40 {
        value = AnyValue { value: Some(Value::ArrayValue(ArrayValue { values: vec![value] })) };
    }
    let deep = KeyValue { key: "k".into(), value: Some(value), ..Default::default() };
    let bytes = data(vec![deep], vec![]).encode_to_vec();
    let error = decode(Compression::None, &bytes, LIMIT).expect_err("too deep");
    assert!(matches!(error, PayloadError::Malformed(_)), "{error}");
}

#[test]
fn metrics_that_are_cut_off_are_refused() {
    let attributes = vec![string("topic", "t"), string("group_id", "g")];
    let whole = data(attributes.clone(), vec![gauge("g", vec![number(1.0, attributes)])]);
    let bytes = whole.encode_to_vec();
    for end in 1..bytes.len() {
        assert!(decode(Compression::None, &bytes[..end], LIMIT).is_err(), "cut at {end}");
    }
    assert_eq!(decode(Compression::None, &[], LIMIT).expect("nothing is fine"), Points::default());
}

proptest! {
    /// Whatever comes, there is an answer; and what is answered is fit to be shown.
    #[test]
    fn noise(codec in 0u8..5, bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let codec = Compression::from_id(codec).expect("a codec");
        if let Ok(found) = decode(codec, &bytes, LIMIT) {
            for point in found.points {
                prop_assert!(point.family.chars().all(|c| c.is_ascii_alphanumeric() || "_:".contains(c)));
            }
        }
    }

    /// Metrics with a few bytes changed are read or refused, and the count of pieces never refuses
    /// what a client could mean.
    #[test]
    fn nearly_right(
        names in prop::collection::vec(".{0,8}", 0..20),
        values in prop::collection::vec(any::<f64>(), 0..5),
        spoiled in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
    ) {
        let points = |value: &f64| number(*value, names.iter().map(|n| string(n, n)).collect());
        let metrics = names.iter().map(|n| gauge(n, values.iter().map(points).collect())).collect();
        let mut bytes = data(vec![], metrics).encode_to_vec();
        let good = decode(Compression::None, &bytes, LIMIT).expect("good metrics");
        prop_assert_eq!(good.points.len(), names.len() * values.len());
        for (at, byte) in spoiled {
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
        }
        let _ = decode(Compression::None, &bytes, LIMIT);
    }
}
