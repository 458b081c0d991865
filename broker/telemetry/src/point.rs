//! One value of one series, as it is shown.

/// What kind of metric a family is, in Prometheus' words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shape {
    /// A value that goes up and down.
    Gauge,
    /// A sum that only grows.
    Counter,
    /// Counts of values by upper bounds.
    Histogram,
    /// Quantiles of values.
    Summary,
}

impl Shape {
    /// The word of the text format.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Gauge => "gauge",
            Self::Counter => "counter",
            Self::Histogram => "histogram",
            Self::Summary => "summary",
        }
    }
}

/// Whether a value stands alone, or says how much came since the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Temporality {
    /// It replaces the one before.
    Whole,
    /// It is added to the ones before.
    Delta,
}

/// One value of one series.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// The name of the family, fit for Prometheus.
    pub family: String,
    /// What the family is.
    pub shape: Shape,
    /// What follows the family's name in this sample's: empty, `_sum`, `_count` or `_bucket`.
    pub suffix: &'static str,
    /// The labels as they stand between the braces, escaped, in order of their names.
    pub labels: String,
    /// Whether the value stands alone.
    pub temporality: Temporality,
    /// The value.
    pub value: f64,
}
