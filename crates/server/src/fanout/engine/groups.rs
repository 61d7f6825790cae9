//! Groups: the lines of a shard that get the same bytes, found by topic.

use std::{collections::HashMap, sync::Arc};

use slab::Slab;
use smallvec::SmallVec;

use super::Framing;
use crate::{frame::Format, matcher::Filter, topic::Topic};

/// Lines with the same filter, format and framing.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) filter: Arc<Filter>,
    pub(super) format: Format,
    pub(super) framing: Framing,
    /// The lines, in no order.
    pub(super) lines: Vec<u32>,
    /// Which entries of the batch at hand are for them.
    pub(super) pending: Vec<u32>,
}

/// Where a line stands: its group, and its place in it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seat {
    pub(super) group: u32,
    pub(super) at: u32,
}

/// All groups of a shard.
#[derive(Debug, Default)]
pub(super) struct Groups {
    groups: Slab<Group>,
    by_filter: HashMap<GroupKey, u32>,
    by_topic: HashMap<Topic, Following>,
    // Those that follow more than they name.
    by_pattern: Vec<u32>,
    // Which of those follow a topic: a pattern is asked once for each topic.
    matched: HashMap<Topic, Following>,
    // How many groups are named there, all in all.
    matches: usize,
}

// Filters that are equal are one, and the group keeps its own alive: its address tells it.
type GroupKey = (usize, Format, Framing);
type Following = SmallVec<[u32; 4]>;

impl Groups {
    // A topic that is asked about again is mostly one of the last thousands.
    const MATCHED_MAX: usize = 8_192;
    // Where thousands follow by pattern, each topic has many: at most a mebibyte of them.
    const MATCHES_MAX: usize = 256 << 10;

    /// Adds a line to its group.
    pub(super) fn join(
        &mut self,
        line: u32,
        filter: &Arc<Filter>,
        format: Format,
        framing: Framing,
    ) -> Seat {
        let key = (Arc::as_ptr(filter).addr(), format, framing);
        let group = match self.by_filter.get(&key) {
            Some(&group) => group,
            None => self.add(key, filter),
        };
        let lines = &mut self.groups[group as usize].lines;
        lines.push(line);
        Seat { group, at: (lines.len() - 1) as u32 }
    }

    fn add(&mut self, key: GroupKey, filter: &Arc<Filter>) -> u32 {
        let (_, format, framing) = key;
        let (lines, pending) = (Vec::new(), Vec::new());
        let filter = Arc::clone(filter);
        let topics = filter.topics().to_vec();
        let is_wide = filter.has_patterns();
        let group = self.groups.insert(Group { filter, format, framing, lines, pending }) as u32;
        self.by_filter.insert(key, group);
        for topic in topics {
            self.by_topic.entry(topic).or_default().push(group);
        }
        if is_wide {
            self.by_pattern.push(group);
            self.forget_matched();
        }
        group
    }

    /// Takes a line out of its group. Another line may have its seat now: that is returned.
    pub(super) fn leave(&mut self, seat: Seat) -> Option<u32> {
        let group = self.groups.get_mut(seat.group as usize)?;
        group.lines.swap_remove(seat.at as usize);
        if group.lines.is_empty() {
            self.remove(seat.group);
            return None;
        }
        // A room that was much too large for long is given back.
        if group.lines.capacity() > 64 && group.lines.len() < group.lines.capacity() / 4 {
            group.lines.shrink_to(2 * group.lines.len());
        }
        group.lines.get(seat.at as usize).copied()
    }

    fn remove(&mut self, id: u32) {
        let group = self.groups.remove(id as usize);
        let key = (Arc::as_ptr(&group.filter).addr(), group.format, group.framing);
        self.by_filter.remove(&key);
        for topic in group.filter.topics() {
            if let Some(following) = self.by_topic.get_mut(topic) {
                following.retain(|group| *group != id);
                if following.is_empty() {
                    self.by_topic.remove(topic);
                }
            }
        }
        if group.filter.has_patterns() {
            self.by_pattern.retain(|group| *group != id);
            self.forget_matched();
        }
    }

    /// The groups that follow `topic`; one may be there twice.
    pub(super) fn following(&mut self, topic: &Topic, found: &mut Vec<u32>) {
        found.clear();
        if let Some(following) = self.by_topic.get(topic) {
            found.extend_from_slice(following);
        }
        if self.by_pattern.is_empty() {
            return;
        }
        if let Some(matched) = self.matched.get(topic) {
            found.extend_from_slice(matched);
            return;
        }
        let follows = |group: &u32| self.groups[*group as usize].filter.matches_topic(topic);
        let matched: Following = self.by_pattern.iter().copied().filter(follows).collect();
        found.extend_from_slice(&matched);
        self.matches += matched.len();
        if self.matched.len() >= Self::MATCHED_MAX || self.matches > Self::MATCHES_MAX {
            self.forget_matched();
            self.matches = matched.len();
        }
        self.matched.insert(topic.clone(), matched);
    }

    fn forget_matched(&mut self) {
        self.matched.clear();
        self.matches = 0;
    }

    pub(super) fn get_mut(&mut self, group: u32) -> Option<&mut Group> {
        self.groups.get_mut(group as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matcher::{Matcher, Pattern};

    fn topic(name: &str) -> Topic {
        Topic::new(name).unwrap()
    }

    fn exact(name: &str) -> Arc<Filter> {
        Arc::new(Filter::new([Matcher::Exact(topic(name))]))
    }

    fn following(groups: &mut Groups, name: &str) -> Vec<u32> {
        let mut found = Vec::new();
        groups.following(&topic(name), &mut found);
        found.sort_unstable();
        found.dedup();
        found
    }

    #[test]
    fn a_line_leaves_as_it_came_and_its_seat_is_given_on() {
        let mut groups = Groups::default();
        let a = exact("a");
        let join = |groups: &mut Groups, line| {
            groups.join(line, &a, Format::EventStream, Framing::Chunked)
        };
        let seats: Vec<_> = (10..13).map(|line| join(&mut groups, line)).collect();
        assert!(seats.iter().all(|seat| seat.group == seats[0].group));
        let other = groups.join(20, &a, Format::JsonLines, Framing::Chunked);
        assert_ne!(other.group, seats[0].group, "its bytes are others");
        assert_eq!(following(&mut groups, "a"), [seats[0].group, other.group]);
        assert_eq!(groups.leave(seats[0]), Some(12), "the last has its seat");
        assert_eq!(groups.leave(seats[1]), None);
        assert_eq!(groups.leave(seats[0]), None);
        assert_eq!(following(&mut groups, "a"), [other.group]);
        groups.leave(other);
        assert!(groups.by_topic.is_empty() && groups.by_filter.is_empty());
    }

    #[test]
    fn a_pattern_is_asked_once_for_a_topic() {
        let mut groups = Groups::default();
        let base = "http://localhost/".parse().unwrap();
        let rooms = Matcher::Pattern(Pattern::parse("rooms/*", &base).unwrap());
        let rooms = Arc::new(Filter::new([rooms]));
        let wide = groups.join(1, &rooms, Format::EventStream, Framing::Chunked);
        assert_eq!(following(&mut groups, "rooms/1"), [wide.group]);
        assert_eq!(following(&mut groups, "rooms/1"), [wide.group]);
        assert_eq!(groups.matched.len(), 1);
        let all = Arc::new(Filter::everything());
        let all = groups.join(2, &all, Format::EventStream, Framing::Chunked);
        assert_eq!(following(&mut groups, "rooms/1"), [wide.group, all.group]);
        assert_eq!(following(&mut groups, "else"), [all.group]);
        for n in 0..2 * Groups::MATCHED_MAX {
            following(&mut groups, &format!("rooms/{n}"));
        }
        assert!(groups.matched.len() <= Groups::MATCHED_MAX);
        groups.leave(wide);
        assert_eq!(following(&mut groups, "rooms/1"), [all.group]);
    }
}
