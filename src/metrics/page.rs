//! The page as it is written: one family after the other, each by the encoder and then forgotten, so that a page of fifty
//! thousand series needs the room of its largest family only.

use prometheus::{
    TextEncoder,
    proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType, Summary},
};

use crate::metrics::name::{Label, Name};

/// What is written, or why it can't be.
pub type Written = Result<(), prometheus::Error>;

/// The labels of one series.
pub type Labels = Vec<LabelPair>;

/// A label and its value.
#[expect(clippy::disallowed_methods, reason = "the one place where a label gets its name")]
pub fn label(label: Label, value: &str) -> LabelPair {
    let mut pair = LabelPair::default();
    pair.set_name(label.as_str().to_owned());
    pair.set_value(value.to_owned());
    pair
}

/// Text that grows by families.
#[derive(Debug, Default)]
pub struct Page {
    text: String,
    series: u64,
}

impl Page {
    /// How many series it has.
    pub const fn series(&self) -> u64 {
        self.series
    }

    pub fn into_text(self) -> String {
        self.text
    }

    /// Writes a gauge of whole numbers.
    ///
    /// # Errors
    /// When the encoder does not take it.
    pub fn gauge(&mut self, name: Name, series: impl IntoIterator<Item = (Labels, u64)>) -> Written {
        self.measure(name, series.into_iter().map(|(labels, value)| (labels, value as f64)))
    }

    /// Writes a gauge.
    ///
    /// # Errors
    /// When the encoder does not take it.
    pub fn measure(&mut self, name: Name, series: impl IntoIterator<Item = (Labels, f64)>) -> Written {
        debug_assert_eq!(name.form(), MetricType::GAUGE, "{name:?}");
        let metric = |(labels, value)| {
            let mut gauge = Gauge::default();
            gauge.set_value(value);
            let mut metric = Metric::from_label(labels);
            metric.set_gauge(gauge);
            metric
        };
        self.family(name, series.into_iter().map(metric).collect())
    }

    /// Writes a counter of whole numbers.
    ///
    /// # Errors
    /// When the encoder does not take it.
    pub fn counter(&mut self, name: Name, series: impl IntoIterator<Item = (Labels, u64)>) -> Written {
        self.sum(name, series.into_iter().map(|(labels, value)| (labels, value as f64)))
    }

    /// Writes a counter.
    ///
    /// # Errors
    /// When the encoder does not take it.
    pub fn sum(&mut self, name: Name, series: impl IntoIterator<Item = (Labels, f64)>) -> Written {
        debug_assert_eq!(name.form(), MetricType::COUNTER, "{name:?}");
        let metric = |(labels, value)| {
            let mut counter = Counter::default();
            counter.set_value(value);
            let mut metric = Metric::from_label(labels);
            metric.set_counter(counter);
            metric
        };
        self.family(name, series.into_iter().map(metric).collect())
    }

    /// Writes how often something was done, and what it came to in all.
    ///
    /// # Errors
    /// When the encoder does not take it.
    pub fn summary(&mut self, name: Name, times: u64, sum: f64) -> Written {
        debug_assert_eq!(name.form(), MetricType::SUMMARY, "{name:?}");
        let mut summary = Summary::default();
        summary.set_sample_count(times);
        summary.set_sample_sum(sum);
        let mut metric = Metric::default();
        metric.set_summary(summary);
        // A sum and a count.
        self.series += 1;
        self.family(name, vec![metric])
    }

    #[expect(clippy::disallowed_methods, reason = "the one place where a metric gets its name")]
    fn family(&mut self, name: Name, metrics: Vec<Metric>) -> Written {
        if metrics.is_empty() {
            return Ok(());
        }
        self.series += metrics.len() as u64;
        let mut family = MetricFamily::default();
        family.set_name(name.as_str().to_owned());
        family.set_help(name.help().to_owned());
        family.set_field_type(name.form());
        family.set_metric(metrics);
        TextEncoder::new().encode_utf8(&[family], &mut self.text)
    }
}
