//! The texts of the configs that were in force last, to go back to.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::config::Document;

/// How many texts are kept, that in force among them.
const MAX_TEXTS: usize = 5;

/// The text in force, and those before it.
pub(super) struct Texts {
    /// Each with the generation it came in force with, the last first.
    kept: VecDeque<(u64, Arc<Document>)>,
    /// What stood in the file when it was gone back from: as long as that stands there, it is not what is wanted.
    left: Option<Arc<Document>>,
}

impl Texts {
    pub(super) fn new(first: Arc<Document>) -> Self {
        Self { kept: VecDeque::from([(1, first)]), left: None }
    }

    /// The text in force.
    pub(super) fn in_force(&self) -> Option<Arc<Document>> {
        self.kept.front().map(|(_, document)| document.clone())
    }

    /// The text in force before it, with its generation.
    pub(super) fn before(&self) -> Option<(u64, Arc<Document>)> {
        self.kept.get(1).cloned()
    }

    /// Whether this is what was gone back from.
    pub(super) fn has_left(&self, document: &Document) -> bool {
        self.left.as_ref().is_some_and(|left| is_same(left, document))
    }

    /// A text is in force, with this generation.
    pub(super) fn take(&mut self, generation: u64, document: Arc<Document>) {
        match self.kept.front_mut() {
            Some((_, last)) if is_same(last, &document) => *last = document,
            _ => self.kept.push_front((generation, document)),
        }
        self.kept.truncate(MAX_TEXTS);
    }

    /// The file's own text is in force again.
    pub(super) fn return_to_file(&mut self) {
        self.left = None;
    }

    /// The text before is in force, and the file holds this, if it can be read at all.
    pub(super) fn go_back(&mut self, file: Option<Document>) {
        self.kept.pop_front();
        self.left = file.map(Arc::new);
    }
}

/// Whether two documents were read from the same texts.
fn is_same(one: &Document, other: &Document) -> bool {
    let texts =
        |document: &Document| document.sources().iter().map(|source| (source.name.clone(), source.text.clone())).collect::<Vec<_>>();
    texts(one) == texts(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Document {
        Document::parse("f.toml", text, ".")
    }

    fn kept(texts: &Texts) -> Vec<(u64, String)> {
        texts.kept.iter().map(|(generation, document)| (*generation, document.sources()[0].text.clone())).collect()
    }

    #[test]
    fn the_last_texts_are_kept_each_once_and_no_more_than_there_is_room_for() {
        let mut texts = Texts::new(Arc::new(text("a = 1")));
        for (generation, written) in [(2, "a = 2"), (3, "a = 2"), (4, "a = 4"), (5, "a = 5"), (6, "a = 6"), (7, "a = 7")] {
            texts.take(generation, Arc::new(text(written)));
        }
        let all =
            [(7, "a = 7"), (6, "a = 6"), (5, "a = 5"), (4, "a = 4"), (2, "a = 2")].map(|(generation, text)| (generation, text.to_owned()));
        assert_eq!(kept(&texts), all);
    }

    #[test]
    fn what_was_gone_back_from_is_known_until_the_file_is_in_force_again() {
        let mut texts = Texts::new(Arc::new(text("a = 1")));
        texts.take(2, Arc::new(text("a = 2")));
        texts.go_back(Some(text("a = 2")));
        assert_eq!((kept(&texts), texts.before().is_none()), (vec![(1, "a = 1".to_owned())], true));
        assert!(texts.has_left(&text("a = 2")) && !texts.has_left(&text("a = 3")));
        texts.return_to_file();
        assert!(!texts.has_left(&text("a = 2")));
    }
}
