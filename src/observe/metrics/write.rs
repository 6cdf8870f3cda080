//! Writing: families and their series, in the one order prometheus-client takes them in.

use std::fmt;

use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

/// A label's name and value.
pub(super) type Label<'a> = (&'a str, &'a str);

/// The unit of lengths and moments of time.
pub(super) static SECONDS: Unit = Unit::Seconds;
/// The unit of amounts of data.
pub(super) static BYTES: Unit = Unit::Bytes;

/// A family of series: its name behind the registry's prefix, without unit and `_total`, and what it tells.
pub(super) struct Family {
    pub(super) name: &'static str,
    pub(super) unit: Option<&'static Unit>,
    pub(super) kind: MetricType,
    pub(super) help: &'static str,
}

impl Family {
    pub(super) const fn counter(name: &'static str, help: &'static str) -> Self {
        Self { name, unit: None, kind: MetricType::Counter, help }
    }

    pub(super) const fn gauge(name: &'static str, help: &'static str) -> Self {
        Self { name, unit: None, kind: MetricType::Gauge, help }
    }

    pub(super) const fn in_unit(self, unit: &'static Unit) -> Self {
        Self { unit: Some(unit), ..self }
    }

    /// Begins the family: its series follow.
    pub(super) fn begin<'e>(&'static self, encoder: &'e mut DescriptorEncoder<'_>) -> Result<MetricEncoder<'e>, fmt::Error> {
        encoder.encode_descriptor(self.name, self.help, self.unit, self.kind)
    }

    /// Writes the family, of this one series without labels.
    pub(super) fn only(&'static self, encoder: &mut DescriptorEncoder<'_>, value: &impl EncodeMetric) -> fmt::Result {
        value.encode(self.begin(encoder)?)
    }
}

/// Writes a series of the family that was begun.
pub(super) fn put(metric: &mut MetricEncoder<'_>, labels: &[Label<'_>], value: &impl EncodeMetric) -> fmt::Result {
    value.encode(metric.encode_family(&labels)?)
}
