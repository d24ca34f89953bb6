//! Which call a piece of a call belongs to.

use super::said::CallPiece;

/// The calls of one answer that have begun, in order: what tells them apart.
#[derive(Debug, Default)]
pub struct Calls(Vec<Begun>);

#[derive(Debug)]
struct Begun {
    index: Option<u32>,
    id: Option<String>,
}

/// Where a piece of a call belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The call's number among the answer's calls, from 0.
    pub call: usize,
    /// Whether the piece begins it.
    pub begins: bool,
}

impl Calls {
    /// The place of the next piece. Some providers give calls that are made side by side the same number, or none: then
    /// another id begins another call.
    pub fn place(&mut self, piece: &CallPiece) -> Place {
        let last = self.0.iter().rposition(|begun| begun.index == piece.index);
        let goes_on = last.filter(|at| self.0.get(*at).is_some_and(|begun| piece.id.is_none() || piece.id == begun.id));
        if let Some(call) = goes_on {
            return Place { call, begins: false };
        }
        self.0.push(Begun { index: piece.index, id: piece.id.clone() });
        Place { call: self.0.len() - 1, begins: true }
    }

    /// How many have begun.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether none has.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
