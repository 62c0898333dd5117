//! What may be many is counted while it is read: three bytes of a text may be hundreds in memory.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::object_only::ObjectOnly;
use super::{GROUPS_MAX, GroupText, LISTS_MAX, POLICIES_MAX, PolicyText, WORDS_MAX};

pub fn policies<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<PolicyText>, D::Error> {
    let all = from.deserialize_seq(Few::<ObjectOnly<PolicyText>>::new(POLICIES_MAX, "policies"))?;
    Ok(all.into_iter().map(|it| it.0).collect())
}

pub fn groups<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, GroupText>, D::Error> {
    let all = from.deserialize_map(Named {
        most: GROUPS_MAX,
        what: "groups",
        seed: PhantomData::<ObjectOnly<GroupText>>,
    })?;
    Ok(all.into_iter().map(|(name, it)| (name, it.0)).collect())
}

pub fn lists<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, Vec<String>>, D::Error> {
    from.deserialize_map(Named { most: LISTS_MAX, what: "lists", seed: Words })
}

/// The words of one list.
pub fn words<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    from.deserialize_seq(Few::new(WORDS_MAX, "words"))
}

#[derive(Clone, Copy)]
struct Words;

impl<'de> DeserializeSeed<'de> for Words {
    type Value = Vec<String>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        words(from)
    }
}

/// No more than so many in an array.
struct Few<T> {
    most: usize,
    what: &'static str,
    of: PhantomData<T>,
}

impl<T> Few<T> {
    fn new(most: usize, what: &'static str) -> Self {
        Self { most, what, of: PhantomData }
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for Few<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<T>, A::Error> {
        let mut all = Vec::new();
        while let Some(next) = seq.next_element()? {
            if all.len() == self.most {
                return Err(too_many(self.most, self.what));
            }
            all.push(next);
        }
        Ok(all)
    }
}

/// The same in an object, by their names.
struct Named<S> {
    most: usize,
    what: &'static str,
    seed: S,
}

impl<'de, S: DeserializeSeed<'de> + Copy> Visitor<'de> for Named<S> {
    type Value = BTreeMap<String, S::Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut all = BTreeMap::new();
        while let Some(name) = map.next_key()? {
            if all.len() == self.most {
                return Err(too_many(self.most, self.what));
            }
            all.insert(name, map.next_value_seed(self.seed)?);
        }
        Ok(all)
    }
}

fn too_many<E: Error>(most: usize, what: &str) -> E {
    E::custom(format_args!("more than {most} {what}"))
}
