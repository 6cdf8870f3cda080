//! Faults as text: file, line and column, the line itself, a caret, and what would mend it.

use std::ops::Range;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use super::document::Document;
use super::fault::{Fault, Faults, MAX_FAULTS, Place, Severity};
use super::source::Source;

/// All faults and warnings, sorted by their places, then how many there are; nothing for none. At most [`MAX_FAULTS`] are shown.
pub fn render(document: &Document, faults: &Faults, color: bool) -> String {
    let sorted = sorted(document, faults, |severity| severity != Severity::Unknown);
    if sorted.is_empty() {
        return String::new();
    }
    let renderer = if color { Renderer::styled() } else { Renderer::plain() }.decor_style(DecorStyle::Ascii);
    let mut text = String::new();
    for (place, fault) in sorted.iter().take(MAX_FAULTS) {
        text.push_str(&renderer.render(&[group(document, place, fault)]));
        text.push_str("\n\n");
    }
    text.push_str(&summary(faults));
    text
}

/// The faults of these severities by their places.
pub(super) fn sorted<'a>(
    document: &Document,
    faults: &'a Faults,
    is_meant: impl Fn(Severity) -> bool,
) -> Vec<((usize, Range<usize>), &'a Fault)> {
    let meant = faults.iter().filter(|fault| is_meant(fault.severity));
    let mut sorted: Vec<_> = meant.map(|fault| (document.locate(&fault.place), fault)).collect();
    sorted.sort_by_key(|((source, span), _)| (*source, span.start, span.end));
    sorted
}

/// `2 faults, 1 warning`, and whether there are more than are shown.
fn summary(faults: &Faults) -> String {
    let number = |count: usize, word: &str| match count {
        0 => None,
        1 => Some(format!("1 {word}")),
        _ => Some(format!("{count} {word}s")),
    };
    let (refusing, warning) = faults.counts();
    let counts: Vec<_> = number(refusing, "fault").into_iter().chain(number(warning, "warning")).collect();
    let hidden = (refusing + warning).saturating_sub(MAX_FAULTS);
    let counts = counts.join(", ");
    // Where there are so many, not all were looked for.
    if hidden > 0 { format!("at least {counts}; the first {MAX_FAULTS} are shown\n") } else { format!("{counts}\n") }
}

fn group<'a>(document: &'a Document, place: &(usize, Range<usize>), fault: &'a Fault) -> Group<'a> {
    let level = match fault.severity {
        Severity::Fault | Severity::Unknown => Level::ERROR.with_name(Some("fault")),
        Severity::Warning => Level::WARNING,
    };
    let mut group = Group::with_title(level.primary_title(fault.message.as_str()));
    let mut also: Vec<_> = fault.also.iter().map(|(place, word)| (document.locate(place), word.as_str())).collect();
    let mut is_elsewhere = false;
    if let Place::Within(within) = &fault.place {
        let file = &within.source;
        is_elsewhere = true;
        group = match file.printable.is_empty() {
            true => group.element(Origin::path(file.name.as_str())),
            false => group.element(snippet(file, vec![(shown(file, &within.span), None)])),
        };
        also.push((place.clone(), "named here"));
    }
    let mut others: Vec<usize> = also.iter().map(|((source, _), _)| *source).filter(|source| *source != place.0).collect();
    others.sort_unstable();
    others.dedup();
    for source in std::iter::once(place.0).chain(others) {
        let Some(text) = document.sources().get(source) else { continue };
        // A fault of the file as a whole points at no line of it.
        if fault.place.is_whole_file() {
            group = group.element(Origin::path(document.name()));
            continue;
        }
        if text.printable.is_empty() {
            group = group.element(Origin::path(text.name.as_str()));
            continue;
        }
        let primary = (source == place.0 && !is_elsewhere).then(|| (shown(text, &place.1), None));
        let context = also.iter().filter(|((of, _), _)| *of == source).map(|((_, span), word)| (shown(text, span), Some(*word)));
        group = group.element(snippet(text, primary.into_iter().chain(context).collect()));
    }
    match &fault.hint {
        Some(hint) => group.element(Level::HELP.with_name(Some("hint")).message(hint.as_str())),
        None => group,
    }
}

/// The lines of these spans, with a caret at the one without a word; the lines before and after do not matter to it.
fn snippet<'a>(source: &'a Source, spans: Vec<(Range<usize>, Option<&'a str>)>) -> Snippet<'a, Annotation<'a>> {
    let start = spans.iter().map(|(span, _)| span.start).min().unwrap_or(0);
    let end = spans.iter().map(|(span, _)| span.end).max().unwrap_or(0);
    let (text, number, offset) = source.lines(&(start..end));
    let annotations = spans.into_iter().map(|(span, word)| {
        let kind = if word.is_some() { AnnotationKind::Context } else { AnnotationKind::Primary };
        kind.span(span.start - offset..span.end - offset).label(word)
    });
    Snippet::source(text).path(source.name.as_str()).line_start(number).annotations(annotations)
}

/// The part of a span that can be shown: on one line, between characters, and within the text.
fn shown(source: &Source, span: &Range<usize>) -> Range<usize> {
    let text = source.printable.as_str();
    // Past the last line break there is nothing to point at; the end of the last line is as near as it gets.
    let last = text.trim_end_matches(['\n', '\r']).len();
    let start = text.floor_char_boundary(span.start.min(last));
    let end = text.ceil_char_boundary(span.end.clamp(start, text.len()));
    let line = text.get(start..end).and_then(|shown| shown.find(['\n', '\r']));
    start..line.map_or(end, |line| start + line)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::fault::KeyPath;
    use super::*;

    /// The lines of a report about this span: where, the source line, and the caret.
    fn pointed(text: &str, span: Range<usize>) -> Vec<String> {
        let document = Document::parse("f", text, ".");
        let report = render(&document, &Faults::from(Fault::new(Place::Span(0, span), "wrong")), false);
        let lines: Vec<_> = report.lines().filter(|line| line.contains("-->") || line.contains('|')).map(str::to_owned).collect();
        lines.into_iter().filter(|line| line.trim() != "|").collect()
    }

    #[test]
    fn a_caret_points_at_the_character_whatever_stands_around_it() {
        for (text, span, lines) in [
            ("a = 1\n", 4..5, [" --> f:1:5", "1 | a = 1", "  |     ^"]),
            ("\ta\t= 1\n", 5..6, [" --> f:1:6", "1 |     a    = 1", "  |            ^"]),
            ("a = 1\r\nb = 22\r\n", 11..13, [" --> f:2:5", "2 | b = 22", "  |     ^^"]),
            ("'ü' = 1\n", 7..8, [" --> f:1:7", "1 | 'ü' = 1", "  |       ^"]),
            ("'東' = 1\n", 8..9, [" --> f:1:7", "1 | '東' = 1", "  |        ^"]),
            ("'東' = 1\n", 2..3, [" --> f:1:2", "1 | '東' = 1", "  |  ^^"]),
            ("a = ", 4..4, [" --> f:1:5", "1 | a = ", "  |     ^"]),
            ("a = [\n\n", 7..7, [" --> f:1:6", "1 | a = [", "  |      ^"]),
            ("a = [1,\n 2]\n", 4..11, [" --> f:1:5", "1 | a = [1,", "  |     ^^^"]),
            ("a = 1", 90..99, [" --> f:1:6", "1 | a = 1", "  |      ^"]),
        ] {
            assert_eq!(pointed(text, span.clone()), lines, "{text:?} {span:?}");
        }
    }

    #[test]
    fn a_file_without_text_is_named_without_a_line() {
        let report = render(&Document::parse("f", "", "."), &Faults::from(Fault::new(Place::Span(0, 0..0), "cannot read the file")), false);
        assert_eq!(report, "fault: cannot read the file\n--> f\n\n1 fault\n");
    }

    #[test]
    fn a_fault_in_a_file_that_is_named_shows_its_line_and_who_names_it() {
        let document = Document::parse("f", "[a.b]\nfile = \"g\"\n", ".");
        let named = KeyPath::table("a", "b").key("file");
        let told = |text: &str| {
            let place = Place::within(named.clone(), Arc::new(Source::plain("g".to_owned(), text.to_owned())), 5..6);
            (document.position(&place), render(&document, &Faults::from(Fault::new(place, "wrong")), false))
        };
        let (position, report) = told("{\n  1}\n");
        assert_eq!(position, "g:2:4");
        let lines = [
            "fault: wrong",
            " --> g:2:4",
            "  |",
            "2 |   1}",
            "  |    ^",
            "  |",
            " ::: f:2:8",
            "  |",
            "2 | file = \"g\"",
            "  |        --- named here",
            "",
            "1 fault",
        ];
        assert_eq!(report.lines().collect::<Vec<_>>(), lines);
        let (position, report) = told("");
        assert_eq!(position, "g:1:1");
        assert!(report.starts_with("fault: wrong\n --> g\n  |\n ::: f:2:8\n"), "{report}");
    }

    #[test]
    fn faults_are_told_by_place_and_counted_by_severity() {
        let document = Document::parse("f", "a = 1\nb = 2\n", ".");
        let faults = Faults(vec![
            Fault::new(Place::Span(0, 6..7), "third"),
            Fault::warning(Place::Span(0, 4..5), "second"),
            Fault::new(Place::Span(0, 0..1), "first").hint("a hint"),
        ]);
        let report = render(&document, &faults, false);
        let at = |word: &str| report.find(word).unwrap();
        assert!(at("fault: first") < at("hint: a hint") && at("hint: a hint") < at("warning: second") && at("second") < at("third"));
        assert!(report.ends_with("\n2 faults, 1 warning\n"));
        assert!(!report.contains('\u{1b}') && render(&document, &faults, true).contains('\u{1b}'));
        assert_eq!(render(&document, &Faults::default(), false), "");
    }

    #[test]
    fn no_more_than_a_hundred_faults_are_shown() {
        let faults = Faults(vec![Fault::new(Place::Span(0, 0..1), "wrong"); MAX_FAULTS + 20]);
        let report = render(&Document::parse("f", "a = 1\n", "."), &faults, false);
        assert_eq!(report.matches("fault: wrong").count(), MAX_FAULTS);
        assert!(report.ends_with("at least 120 faults; the first 100 are shown\n"));
    }
}
