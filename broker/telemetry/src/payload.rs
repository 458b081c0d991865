//! Pushed metrics, taken apart: OTLP `MetricsData`, compressed or not.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write;

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, DataPointFlags, ExponentialHistogramDataPoint, HistogramDataPoint,
    Metric, MetricsData, NumberDataPoint, SummaryDataPoint, number_data_point,
};
use ottla_wire::record::{Compression, decompress};
use prost::Message;

use crate::error::PayloadError;
use crate::point::{Point, Shape, Temporality};
use crate::store::MAX_SERIES;
use crate::text::{escape, sanitize};
use crate::weigh::weigh;

/// Most attributes of a point that are looked at, those of its resource included.
const MAX_ATTRIBUTES: usize = 128;

/// Most labels of a series, resource attributes included. What comes after them is left out.
const MAX_LABELS: usize = 32;

/// Most bytes of a name, and of a label's value. What is longer is cut.
const MAX_TEXT: usize = 256;

/// Most bytes of a series' labels together. What comes after them is left out.
const MAX_LABELS_BYTES: usize = 2048;

/// Labels that say whose series it is, and so cannot be an attribute's.
const OWN_LABELS: [&str; 2] = ["client_id", "client_instance_id"];

/// What was in a push.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Points {
    /// The values, at most [`MAX_SERIES`].
    pub points: Vec<Point>,
    /// How many there were beyond that.
    pub left_out: usize,
}

impl Points {
    fn push(&mut self, point: impl FnOnce() -> Point) {
        if self.points.len() < MAX_SERIES {
            self.points.push(point());
        } else {
            self.left_out += 1;
        }
    }
}

/// Takes pushed metrics apart. `limit` bounds what they may be decompressed to.
///
/// # Errors
/// When they are not what they should be.
pub fn decode(codec: Compression, metrics: &[u8], limit: usize) -> Result<Points, PayloadError> {
    let plain = match codec {
        Compression::None => Cow::Borrowed(metrics),
        codec => Cow::Owned(decompress(codec, metrics, limit)?),
    };
    weigh(&plain)?;
    let data = MetricsData::decode(plain.as_ref())?;
    let mut points = Points::default();
    for resource in &data.resource_metrics {
        let attributes = resource.resource.as_ref().map_or(&[][..], |r| &r.attributes);
        for metric in resource.scope_metrics.iter().flat_map(|scope| &scope.metrics) {
            Family::new(metric, attributes).write(metric, &mut points);
        }
    }
    Ok(points)
}

/// Where the points of one metric come from.
struct Family<'a> {
    name: String,
    resource: &'a [KeyValue],
}

impl<'a> Family<'a> {
    fn new(metric: &Metric, resource: &'a [KeyValue]) -> Self {
        Self { name: sanitize(cut(&metric.name)), resource }
    }

    fn write(&self, metric: &Metric, points: &mut Points) {
        match &metric.data {
            Some(Data::Gauge(gauge)) => {
                for point in &gauge.data_points {
                    self.number(point, Shape::Gauge, Temporality::Whole, points);
                }
            }
            Some(Data::Sum(sum)) => {
                let shape = if sum.is_monotonic { Shape::Counter } else { Shape::Gauge };
                let temporality = temporality(sum.aggregation_temporality);
                for point in &sum.data_points {
                    self.number(point, shape, temporality, points);
                }
            }
            Some(Data::Histogram(histogram)) => {
                let temporality = temporality(histogram.aggregation_temporality);
                for point in &histogram.data_points {
                    self.histogram(point, temporality, points);
                }
            }
            Some(Data::ExponentialHistogram(histogram)) => {
                let temporality = temporality(histogram.aggregation_temporality);
                for point in &histogram.data_points {
                    self.exponential(point, temporality, points);
                }
            }
            Some(Data::Summary(summary)) => {
                for point in &summary.data_points {
                    self.summary(point, points);
                }
            }
            None => {}
        }
    }

    fn number(
        &self,
        point: &NumberDataPoint,
        shape: Shape,
        temporality: Temporality,
        points: &mut Points,
    ) {
        let value = match point.value {
            Some(number_data_point::Value::AsDouble(value)) => value,
            Some(number_data_point::Value::AsInt(value)) => value as f64,
            None => return,
        };
        if is_missing(point.flags) {
            return;
        }
        // A counter's name ends so, by the convention of Prometheus.
        let plain = shape != Shape::Counter || self.name.ends_with("_total");
        let family = if plain { self.name.clone() } else { format!("{}_total", self.name) };
        points.push(|| {
            let labels = self.labels(&point.attributes, None);
            Point { family, shape, suffix: "", labels, temporality, value }
        });
    }

    fn histogram(&self, point: &HistogramDataPoint, temporality: Temporality, points: &mut Points) {
        if is_missing(point.flags) {
            return;
        }
        let mut sample = |suffix, bound: Option<String>, value| {
            points.push(|| {
                let labels = self.labels(&point.attributes, bound.map(|bound| ("le", bound)));
                self.point(Shape::Histogram, suffix, labels, temporality, value)
            });
        };
        let mut below = 0u64;
        for (count, bound) in point.bucket_counts.iter().zip(&point.explicit_bounds) {
            below = below.saturating_add(*count);
            sample("_bucket", Some(bound.to_string()), below as f64);
        }
        sample("_bucket", Some("+Inf".to_owned()), point.count as f64);
        sample("_sum", None, point.sum.unwrap_or_default());
        sample("_count", None, point.count as f64);
    }

    /// Its buckets have no place in the text format; sum and count have.
    fn exponential(
        &self,
        point: &ExponentialHistogramDataPoint,
        temporality: Temporality,
        points: &mut Points,
    ) {
        if is_missing(point.flags) {
            return;
        }
        let sum = point.sum.unwrap_or_default();
        for (suffix, value) in [("_sum", sum), ("_count", point.count as f64)] {
            points.push(|| {
                let labels = self.labels(&point.attributes, None);
                self.point(Shape::Summary, suffix, labels, temporality, value)
            });
        }
    }

    fn summary(&self, point: &SummaryDataPoint, points: &mut Points) {
        if is_missing(point.flags) {
            return;
        }
        let mut sample = |suffix, quantile: Option<f64>, value| {
            points.push(|| {
                let own = quantile.map(|q| ("quantile", q.to_string()));
                let labels = self.labels(&point.attributes, own);
                self.point(Shape::Summary, suffix, labels, Temporality::Whole, value)
            });
        };
        for at in &point.quantile_values {
            sample("", Some(at.quantile), at.value);
        }
        sample("_sum", None, point.sum);
        sample("_count", None, point.count as f64);
    }

    fn point(
        &self,
        shape: Shape,
        suffix: &'static str,
        labels: String,
        temporality: Temporality,
        value: f64,
    ) -> Point {
        Point { family: self.name.clone(), shape, suffix, labels, temporality, value }
    }

    /// The labels of a point: its own attributes before those of the resource, each name once.
    fn labels(&self, attributes: &[KeyValue], own: Option<(&'static str, String)>) -> String {
        let mut labels: BTreeMap<String, Cow<'_, str>> = BTreeMap::new();
        labels.extend(own.map(|(name, value)| (name.to_owned(), Cow::Owned(value))));
        for attribute in attributes.iter().chain(self.resource).take(MAX_ATTRIBUTES) {
            let Some(value) = text(attribute) else { continue };
            let name = sanitize(cut(&attribute.key));
            // A colon is for recording rules, and two underscores for Prometheus itself.
            let name = name.replace(':', "_");
            if OWN_LABELS.contains(&name.as_str()) || name.starts_with("__") {
                continue;
            }
            if labels.len() == MAX_LABELS {
                break;
            }
            labels.entry(name).or_insert(value);
        }
        let mut written = String::new();
        for (name, value) in &labels {
            let comma = if written.is_empty() { "" } else { "," };
            let value = escape(cut(value));
            if written.len() + name.len() + value.len() > MAX_LABELS_BYTES {
                break;
            }
            // Writing into a string cannot fail.
            let _ = write!(written, "{comma}{name}=\"{value}\"");
        }
        written
    }
}

fn temporality(code: i32) -> Temporality {
    match AggregationTemporality::try_from(code) {
        Ok(AggregationTemporality::Delta) => Temporality::Delta,
        _ => Temporality::Whole,
    }
}

/// Whether a point says that there is no value.
fn is_missing(flags: u32) -> bool {
    flags & DataPointFlags::NoRecordedValueMask as u32 != 0
}

/// An attribute's value as text; `None` for what is no single value.
fn text(attribute: &KeyValue) -> Option<Cow<'_, str>> {
    Some(match attribute.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Cow::Borrowed(text.as_str()),
        Value::BoolValue(value) => Cow::Owned(value.to_string()),
        Value::IntValue(value) => Cow::Owned(value.to_string()),
        Value::DoubleValue(value) => Cow::Owned(value.to_string()),
        _ => return None,
    })
}

/// The beginning of a text, at most [`MAX_TEXT`] bytes of it.
pub(crate) fn cut(text: &str) -> &str {
    let end = (0..=MAX_TEXT.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or(0)).unwrap_or_default()
}

#[cfg(test)]
mod tests;
