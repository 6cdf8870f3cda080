//! What nearly every connection has one of, if any.

use std::ops::Deref;

/// One of them needs no piece of memory of its own.
#[derive(Debug)]
pub(super) enum Few<T> {
    One(T),
    /// None, or more.
    Many(Box<[T]>),
}

impl<T> Few<T> {
    pub(super) fn into_vec(self) -> Vec<T> {
        match self {
            Self::One(one) => vec![one],
            Self::Many(many) => many.into_vec(),
        }
    }
}

impl<T> Default for Few<T> {
    fn default() -> Self {
        Self::Many(Box::default())
    }
}

impl<T> From<Vec<T>> for Few<T> {
    fn from(mut all: Vec<T>) -> Self {
        match (all.pop(), all.is_empty()) {
            (Some(one), true) => Self::One(one),
            (last, _) => {
                all.extend(last);
                Self::Many(all.into())
            }
        }
    }
}

impl<T> Deref for Few<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn few_are_in_order_and_one_takes_the_room_of_itself() {
        for all in [vec![], vec![1], vec![1, 2], vec![1, 2, 3]] {
            let few = Few::from(all.clone());
            assert_eq!(matches!(few, Few::One(_)), all.len() == 1);
            assert_eq!(*few, *all);
            assert_eq!(few.into_vec(), all);
        }
        assert_eq!(size_of::<Few<(Arc<str>, Arc<str>)>>(), size_of::<(Arc<str>, Arc<str>)>());
    }
}
