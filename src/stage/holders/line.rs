//! The line of those who are live, oldest first.

use std::collections::BTreeMap;
use std::sync::Weak;

use super::Holder;

/// Weak, since what a connection holds leads back to its line.
type Member = Weak<dyn Holder>;

/// Members by age. A key has one connection as a rule, and a tree of one takes the memory of eleven.
pub(super) enum Line {
    One(Option<(u64, Member)>),
    Many(BTreeMap<u64, Member>),
}

impl Default for Line {
    fn default() -> Self {
        Self::One(None)
    }
}

impl Line {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::One(member) => usize::from(member.is_some()),
            Self::Many(members) => members.len(),
        }
    }

    /// The age of the oldest.
    pub(super) fn oldest(&self) -> Option<u64> {
        match self {
            Self::One(member) => member.as_ref().map(|(age, _)| *age),
            Self::Many(members) => members.first_key_value().map(|(age, _)| *age),
        }
    }

    pub(super) fn join(&mut self, age: u64, member: Member) {
        match self {
            Self::One(alone @ None) => *alone = Some((age, member)),
            Self::One(Some(_)) => {
                let Self::One(first) = std::mem::take(self) else { return };
                *self = Self::Many(first.into_iter().chain([(age, member)]).collect());
            }
            Self::Many(members) => {
                members.insert(age, member);
            }
        }
    }

    /// Has the oldest leave.
    pub(super) fn pop(&mut self) -> Option<(u64, Member)> {
        let oldest = self.oldest()?;
        self.leave(oldest).map(|member| (oldest, member))
    }

    /// Has the member of this age leave, where it is there.
    pub(super) fn leave(&mut self, age: u64) -> Option<Member> {
        let left = match self {
            Self::One(alone) => alone.take_if(|(member, _)| *member == age).map(|(_, member)| member),
            Self::Many(members) => members.remove(&age),
        };
        if let Self::Many(members) = self
            && members.len() < 2
        {
            *self = Self::One(members.pop_first());
        }
        left
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::tests::Told;
    use super::*;

    #[test]
    fn a_line_is_in_order_however_its_members_come_and_go() {
        let (mut line, mut ages) = (Line::default(), BTreeSet::new());
        let member = || Weak::<Told>::new() as Member;
        let mut random: u64 = 7;
        for _ in 0..10_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let age = random >> 60;
            match random >> 40 & 3 {
                0 => assert_eq!(line.pop().map(|(age, _)| age), ages.pop_first()),
                1 => assert_eq!(line.leave(age).is_some(), ages.remove(&age)),
                _ => {
                    if ages.insert(age) {
                        line.join(age, member());
                    }
                }
            }
            assert_eq!((line.len(), line.oldest()), (ages.len(), ages.first().copied()));
            assert_eq!(matches!(line, Line::One(_)), ages.len() < 2);
        }
    }
}
