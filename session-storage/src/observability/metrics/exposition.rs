//! Writes the Prometheus text format, version 0.0.4: the help and type of a family, then its
//! samples.

use std::fmt::{Display, Write as _};

use session_model::instrument::Reading;

/// The content type of the format.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A page of metrics.
#[derive(Debug, Default)]
pub struct Exposition(String);

/// The labels of a sample: names and values.
pub type Labels<'a> = &'a [(&'a str, &'a str)];

impl Exposition {
    /// Returns the text of the page.
    pub fn finish(self) -> String {
        self.0
    }

    fn family(&mut self, name: &str, kind: &str, help: &str) {
        self.put(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    fn put(&mut self, text: std::fmt::Arguments<'_>) {
        self.0
            .write_fmt(text)
            .expect("writing to a String cannot fail");
    }

    fn sample(
        &mut self,
        name: &str,
        labels: Labels<'_>,
        extra: Option<(&str, &str)>,
        value: impl Display,
    ) {
        self.put(format_args!("{name}"));
        let mut mark = '{';
        for (label, text) in labels.iter().copied().chain(extra) {
            self.put(format_args!("{mark}{label}=\"{}\"", escaped(text)));
            mark = ',';
        }
        let close = if mark == ',' { "}" } else { "" };
        self.put(format_args!("{close} {value}\n"));
    }

    /// Adds a gauge.
    pub fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.family(name, "gauge", help);
        self.sample(name, &[], None, value);
    }

    /// Adds a counter.
    pub fn counter(&mut self, name: &str, help: &str, value: impl Display) {
        self.family(name, "counter", help);
        self.sample(name, &[], None, value);
    }

    /// Adds several gauges, distinguished by one label.
    pub fn gauges(&mut self, name: &str, help: &str, label: &str, values: &[(&str, u64)]) {
        self.family(name, "gauge", help);
        values
            .iter()
            .for_each(|(text, value)| self.sample(name, &[(label, text)], None, value));
    }

    /// Adds several counters, distinguished by one label.
    pub fn counters<'a>(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        values: impl IntoIterator<Item = (&'a str, u64)>,
    ) {
        self.family(name, "counter", help);
        values
            .into_iter()
            .for_each(|(text, value)| self.sample(name, &[(label, text)], None, value));
    }

    /// Adds a sample whose information is in its labels.
    pub fn info(&mut self, name: &str, help: &str, labels: Labels<'_>) {
        self.family(name, "gauge", help);
        self.sample(name, labels, None, 1);
    }

    /// Adds one histogram.
    pub fn histogram(&mut self, name: &str, help: &str, reading: &Reading) {
        self.family(name, "histogram", help);
        self.distribution(name, &[], reading);
    }

    /// Adds several histograms of one family.
    pub fn histograms<'a>(
        &mut self,
        name: &str,
        help: &str,
        all: impl IntoIterator<Item = (Labels<'a>, &'a Reading)>,
    ) {
        self.family(name, "histogram", help);
        all.into_iter()
            .for_each(|(labels, reading)| self.distribution(name, labels, reading));
    }

    fn distribution(&mut self, name: &str, labels: Labels<'_>, reading: &Reading) {
        let bucket = format!("{name}_bucket");
        for (bound, count) in reading.cumulative() {
            self.sample(&bucket, labels, Some(("le", &bound.to_string())), count);
        }
        let count = reading.count();
        self.sample(&bucket, labels, Some(("le", "+Inf")), count);
        self.sample(&format!("{name}_sum"), labels, None, reading.sum());
        self.sample(&format!("{name}_count"), labels, None, count);
    }
}

fn escaped(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use session_model::instrument::{COUNTS, Histogram};

    #[test]
    fn families_have_help_type_and_samples() {
        let mut page = Exposition::default();
        page.gauge("a", "An a.", 1.5);
        page.counters("b_total", "Some.", "code", [("x\"\\\n", 7)]);
        let text = "# HELP a An a.\n# TYPE a gauge\na 1.5\n\
                    # HELP b_total Some.\n# TYPE b_total counter\nb_total{code=\"x\\\"\\\\\\n\"} 7\n";
        assert_eq!(page.finish(), text);
    }

    #[test]
    fn a_histogram_is_cumulative_and_ends_with_infinity() {
        let histogram = Histogram::new(&COUNTS);
        histogram.observe_alone(2);
        histogram.observe_alone(1_000_000);
        let mut page = Exposition::default();
        page.histograms(
            "h",
            "H.",
            [(&[("k", "v")] as Labels<'_>, &histogram.read())],
        );
        let text = page.finish();
        let samples = [
            "h_bucket{k=\"v\",le=\"1\"} 0",
            "h_bucket{k=\"v\",le=\"2\"} 1",
            "h_bucket{k=\"v\",le=\"10000\"} 1",
            "h_bucket{k=\"v\",le=\"+Inf\"} 2",
            "h_sum{k=\"v\"} 1000002",
            "h_count{k=\"v\"} 2",
        ];
        for sample in samples {
            assert!(text.lines().any(|line| line == sample), "{sample}\n{text}");
        }
    }
}
