//! Connections by number, so that an event finds its own; numbers that have become free are given again.

pub struct Places<T> {
    all: Vec<Option<T>>,
    free: Vec<usize>,
}

impl<T> Places<T> {
    pub fn new() -> Self {
        Self { all: Vec::new(), free: Vec::new() }
    }

    /// Makes one, which is told its number.
    pub fn insert<E>(&mut self, make: impl FnOnce(usize) -> Result<T, E>) -> Result<usize, E> {
        let place = self.free.last().copied().unwrap_or(self.all.len());
        let made = Some(make(place)?);
        if self.free.pop().is_some() {
            self.all[place] = made;
        } else {
            self.all.push(made);
        }
        Ok(place)
    }

    /// None where it has gone, and an event of it was still on its way.
    pub fn get(&mut self, place: usize) -> Option<&mut T> {
        self.all[place].as_mut()
    }

    pub fn remove(&mut self, place: usize) {
        if self.all[place].take().is_some() {
            self.free.push(place);
        }
    }
}
