//! The two text formats of a page: OpenMetrics, as prometheus-client writes it, and Prometheus' own older one made of it.

/// A format of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// OpenMetrics 1.0, which Prometheus asks for first since 2.5.
    OpenMetrics,
    /// Prometheus' text format 0.0.4, for whoever does not ask for the other.
    Plain,
}

impl Format {
    /// What it is called in `Content-Type`.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => OPEN_METRICS,
            Self::Plain => "text/plain; version=0.0.4; charset=utf-8",
        }
    }

    /// The one that is asked for by an `Accept`, where there is one.
    pub fn wanted(accept: Option<&str>) -> Self {
        let kind = |range: &str| range.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let wants = accept.unwrap_or_default().split(',').any(|range| OPEN_METRICS.split(';').next() == Some(&kind(range)));
        if wants { Self::OpenMetrics } else { Self::Plain }
    }
}

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The same page in the older format: a counter's `HELP` and `TYPE` carry its whole name, `_total` included, and neither units nor the end
/// are told.
pub(super) fn plain(page: &str) -> String {
    let mut out = String::with_capacity(page.len());
    let mut help = None;
    for line in page.lines() {
        let comment = line.strip_prefix("# ").and_then(|comment| comment.split_once(' '));
        match comment {
            Some(("HELP", about)) => help = about.split_once(' '),
            Some(("TYPE", about)) => {
                let (name, kind) = about.split_once(' ').unwrap_or((about, "untyped"));
                let total = if kind == "counter" { "_total" } else { "" };
                let (_, help) = help.take().unwrap_or_default();
                out.extend(["# HELP ", name, total, " ", help, "\n# TYPE ", name, total, " ", kind, "\n"]);
            }
            None if line != "# EOF" => out.extend([line, "\n"]),
            _ => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_the_one_that_is_asked_for() {
        let prometheus = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.4,*/*;q=0.2";
        for (accept, format) in [
            (Some(prometheus), Format::OpenMetrics),
            (Some("text/html, Application/OpenMetrics-Text"), Format::OpenMetrics),
            (Some("text/plain;version=0.0.4"), Format::Plain),
            (Some("*/*"), Format::Plain),
            (Some("application/openmetrics-texts"), Format::Plain),
            (None, Format::Plain),
        ] {
            assert_eq!(Format::wanted(accept), format, "{accept:?}");
        }
    }

    #[test]
    fn a_counter_is_declared_by_its_whole_name_in_the_older_format() {
        let page = "# HELP a_bytes How many.\n# TYPE a_bytes counter\n# UNIT a_bytes bytes\na_bytes_total{x=\"# TYPE\"} 1\n\
                    # HELP b Now.\n# TYPE b gauge\nb 2\n# EOF\n";
        let plain = super::plain(page);
        assert_eq!(
            plain,
            "# HELP a_bytes_total How many.\n# TYPE a_bytes_total counter\na_bytes_total{x=\"# TYPE\"} 1\n\
             # HELP b Now.\n# TYPE b gauge\nb 2\n"
        );
    }
}
