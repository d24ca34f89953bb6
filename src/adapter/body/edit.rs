//! A few values deep in a body changed, and every other one left as the app wrote it.

use serde_json::value::RawValue;

use super::members::{Members, object};

/// What becomes of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Becomes {
    /// It stays as it is. So does what is of another kind than was looked for.
    Same,
    /// It goes out, and what would be left without it goes out too.
    Gone,
    /// It is this JSON.
    This(String),
}

impl Becomes {
    fn of<'a>(&'a self, raw: &'a RawValue) -> Option<&'a str> {
        match self {
            Self::Same => Some(raw.get()),
            Self::Gone => None,
            Self::This(json) => Some(json),
        }
    }
}

/// Changes the items of a list, or the one value that stands in its place. A list of which nothing is left goes out.
pub fn items(raw: &RawValue, each: impl Fn(&RawValue) -> Becomes) -> Becomes {
    if !raw.get().starts_with('[') {
        return each(raw);
    }
    let Ok(all) = serde_json::from_str::<Vec<&RawValue>>(raw.get()) else { return Becomes::Same };
    let becoming: Vec<Becomes> = all.iter().map(|item| each(item)).collect();
    if becoming.iter().all(|becomes| *becomes == Becomes::Same) {
        return Becomes::Same;
    }
    let left: Vec<&str> = becoming.iter().zip(&all).filter_map(|(becomes, raw)| becomes.of(raw)).collect();
    if left.is_empty() { Becomes::Gone } else { Becomes::This(format!("[{}]", left.join(","))) }
}

/// Changes the member of an object that goes by one of these names. Without its member the object goes out too.
pub fn member(raw: &RawValue, names: &[&str], change: impl Fn(&RawValue) -> Becomes) -> Becomes {
    let Ok(Members(members)) = serde_json::from_str(raw.get()) else { return Becomes::Same };
    let Some(at) = members.iter().position(|(key, _)| names.contains(&&**key)) else { return Becomes::Same };
    let Some((_, value)) = members.get(at) else { return Becomes::Same };
    let becomes = change(value);
    match becomes.of(value) {
        _ if becomes == Becomes::Same => Becomes::Same,
        None => Becomes::Gone,
        Some(json) => {
            let members = members.iter().enumerate();
            let said = |(position, (key, raw))| (key, if position == at { json } else { raw });
            let texts = members.map(|(position, (key, raw))| (position, (&**key, raw.get())));
            Becomes::This(object(texts.map(said)))
        }
    }
}

/// The object without the members of these names.
pub fn without(raw: &RawValue, names: &[&str]) -> Becomes {
    let Ok(Members(members)) = serde_json::from_str(raw.get()) else { return Becomes::Same };
    let left = members.iter().filter(|(key, _)| !names.contains(&&**key));
    Becomes::This(object(left.map(|(key, value)| (&**key, value.get()))))
}
