//! "Did you mean": the known name nearest to one that is not known.

/// The candidate that is most likely meant by this word; none where nothing is near.
///
/// Near is one edit in three characters (insertions, deletions, substitutions, swaps), or the same but for case and `-` for `_`.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |text: &str| text.to_ascii_lowercase().replace('-', "_");
    let word = plain(word);
    let length = word.chars().count();
    let limit = (length / 3).max(1);
    // A distance is at least the difference in length; taking it costs both lengths multiplied, and a word may be as long as a file.
    let alike = candidates.into_iter().filter(|candidate| length.abs_diff(candidate.chars().count()) <= limit);
    let distances = alike.map(|candidate| (strsim::damerau_levenshtein(&word, &plain(candidate)), candidate));
    distances
        .filter(|(distance, candidate)| *distance <= limit && *distance < candidate.chars().count())
        .min()
        .map(|(_, candidate)| candidate)
}

/// The known names as a hint lists them, the nearest first.
pub fn listed(word: &str, candidates: &[&str], quote: char) -> String {
    let first = nearest(word, candidates.iter().copied());
    let rest = candidates.iter().copied().filter(|candidate| Some(*candidate) != first);
    let names: Vec<_> = first.into_iter().chain(rest).map(|name| format!("{quote}{name}{quote}")).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found_and_a_distant_one_is_not() {
        let known = ["address", "pipeline", "max_connections", "tls"];
        for (word, found) in [
            ("adress", Some("address")),
            ("addresss", Some("address")),
            ("piepline", Some("pipeline")),
            ("max-connections", Some("max_connections")),
            ("MaxConnections", Some("max_connections")),
            ("TLS", Some("tls")),
            ("tsl", Some("tls")),
            ("xyz", None),
            ("", None),
            (&"address".repeat(100_000), None),
        ] {
            assert_eq!(nearest(word, known), found, "{word}");
        }
    }

    #[test]
    fn a_list_begins_with_the_nearest() {
        assert_eq!(listed("jsn", &["text", "json"], '"'), "\"json\", \"text\"");
        assert_eq!(listed("xml", &["text", "json"], '"'), "\"text\", \"json\"");
    }
}
