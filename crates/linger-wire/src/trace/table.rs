//! The table of flows: found by their key, and in lists by the order in which they are given out.

use std::hash::BuildHasher as _;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::key::Key;

/// The place of an entry.
pub(super) type Place = u32;

/// Why an entry is kept. Each has a list, oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum List {
    /// Packets of both sides were seen.
    Open,
    /// Only one side was seen so far: mostly SYNs.
    OneSided,
    /// It ended, and may be in `TIME_WAIT`.
    Ended,
    /// It was given out, and may be in `TIME_WAIT`.
    GivenOut,
}

#[derive(Debug)]
struct Entry<T> {
    key: Key,
    list: List,
    before: Place,
    after: Place,
    /// `None` in a free entry.
    value: Option<T>,
}

/// Values by key. The hasher is seeded, so that nobody can choose addresses that collide.
#[derive(Debug)]
pub(super) struct Table<T> {
    entries: Vec<Entry<T>>,
    free: Vec<Place>,
    places: HashTable<Place>,
    hasher: DefaultHashBuilder,
    lists: [Ends; 4],
    /// What was found last: packets of one connection often come in a row.
    last: Place,
}

#[derive(Debug, Clone, Copy)]
struct Ends {
    first: Place,
    last: Place,
    length: usize,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            free: Vec::new(),
            places: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            lists: [Ends { first: NONE, last: NONE, length: 0 }; 4],
            last: NONE,
        }
    }
}

impl<T> Table<T> {
    pub(super) fn find(&mut self, key: &Key) -> Option<Place> {
        if let Some(entry) = self.entries.get(self.last as usize) {
            if entry.key == *key && entry.value.is_some() {
                return Some(self.last);
            }
        }
        let entries = &self.entries;
        let hash = self.hasher.hash_one(key);
        let place = *self.places.find(hash, |place| entries[*place as usize].key == *key)?;
        self.last = place;
        Some(place)
    }

    /// Adds a value under a key that has none. `None` if there are too many.
    pub(super) fn insert(&mut self, key: Key, list: List, value: T) -> Option<Place> {
        let entry = Entry { key, list, before: NONE, after: NONE, value: Some(value) };
        let place = if let Some(place) = self.free.pop() {
            self.entries[place as usize] = entry;
            place
        } else {
            let place = Place::try_from(self.entries.len()).ok().filter(|place| *place != NONE)?;
            self.entries.push(entry);
            place
        };
        let (entries, hasher) = (&self.entries, &self.hasher);
        self.places.insert_unique(hasher.hash_one(key), place, |place| {
            hasher.hash_one(entries[*place as usize].key)
        });
        self.link(place, list);
        Some(place)
    }

    pub(super) fn get(&mut self, place: Place) -> Option<&mut T> {
        self.entries.get_mut(place as usize)?.value.as_mut()
    }

    pub(super) fn key(&self, place: Place) -> Key {
        self.entries[place as usize].key
    }

    pub(super) fn list(&self, place: Place) -> List {
        self.entries[place as usize].list
    }

    /// Moves an entry to the end of a list.
    pub(super) fn move_to(&mut self, place: Place, list: List) {
        self.unlink(place);
        self.link(place, list);
    }

    pub(super) fn remove(&mut self, place: Place) -> Option<(Key, T)> {
        let entry = self.entries.get_mut(place as usize)?;
        let (value, key) = (entry.value.take()?, entry.key);
        self.unlink(place);
        if let Ok(found) = self.places.find_entry(self.hasher.hash_one(key), |other| *other == place) {
            found.remove();
        }
        self.free.push(place);
        Some((key, value))
    }

    /// The entry that has been longest in this list.
    pub(super) fn first(&self, list: List) -> Option<Place> {
        Some(self.lists[list as usize].first).filter(|place| *place != NONE)
    }

    /// The entry that came to its list after this one.
    pub(super) fn after(&self, place: Place) -> Option<Place> {
        Some(self.entries[place as usize].after).filter(|place| *place != NONE)
    }

    pub(super) fn count(&self, list: List) -> usize {
        self.lists[list as usize].length
    }

    fn link(&mut self, place: Place, list: List) {
        let ends = &mut self.lists[list as usize];
        let before = std::mem::replace(&mut ends.last, place);
        ends.length += 1;
        if before == NONE {
            ends.first = place;
        } else {
            self.entries[before as usize].after = place;
        }
        let entry = &mut self.entries[place as usize];
        (entry.list, entry.before, entry.after) = (list, before, NONE);
    }

    fn unlink(&mut self, place: Place) {
        let Entry { list, before, after, .. } = self.entries[place as usize];
        let ends = &mut self.lists[list as usize];
        ends.length -= 1;
        if before == NONE {
            ends.first = after;
        }
        if after == NONE {
            ends.last = before;
        }
        if before != NONE {
            self.entries[before as usize].after = after;
        }
        if after != NONE {
            self.entries[after as usize].before = before;
        }
    }
}

const NONE: Place = Place::MAX;

#[cfg(test)]
mod tests {
    use super::*;

    fn key(port: u16) -> Key {
        Key::of(([10, 0, 0, 1].into(), port), ([10, 0, 0, 2].into(), 443)).0
    }

    fn listed(table: &Table<u16>, list: List) -> Vec<Place> {
        std::iter::successors(table.first(list), |place| table.after(*place)).collect()
    }

    #[test]
    fn lists_keep_their_order() {
        let mut table = Table::default();
        let places: Vec<_> =
            (0..4).map(|port| table.insert(key(port), List::Open, port).expect("one")).collect();
        table.move_to(places[1], List::Ended);
        table.move_to(places[0], List::Ended);
        assert_eq!(listed(&table, List::Open), [places[2], places[3]]);
        assert_eq!(listed(&table, List::Ended), [places[1], places[0]]);
        assert_eq!(table.remove(places[1]), Some((key(1), 1)));
        assert_eq!(table.remove(places[1]), None);
        assert_eq!(table.find(&key(1)), None);
        assert_eq!((table.count(List::Open), table.count(List::Ended)), (2, 1));
        let again = table.insert(key(9), List::Open, 9).expect("one");
        assert_eq!((again, table.find(&key(9))), (places[1], Some(again)));
        assert_eq!(table.find(&key(0)), Some(places[0]));
        assert_eq!(table.get(places[0]), Some(&mut 0));
        assert_eq!(listed(&table, List::Ended), [places[0]]);
    }
}
