//! Which behaviour answers which request.

use std::collections::VecDeque;

use tokio::sync::watch;

use super::State;
use super::behaviour::Behaviour;
use super::reply::Reply;
use super::request::SeenRequest;

/// The requests that a script is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Which {
    // The order is that in which scripts are asked.
    Key(String),
    Path(String),
    Any,
}

impl Which {
    fn is(&self, request: &SeenRequest) -> bool {
        match self {
            Self::Key(key) => request.key() == Some(key),
            Self::Path(path) => request.bare_path() == path,
            Self::Any => true,
        }
    }
}

#[derive(Debug, Default)]
struct Script {
    next: VecDeque<Behaviour>,
    always: Option<Behaviour>,
}

/// All scripts of one fake.
#[derive(Debug, Default)]
pub(super) struct Scripts(std::collections::BTreeMap<Which, Script>);

impl Scripts {
    /// The first thing that a script for this request has left. A test that forgot to script it is told so.
    pub(super) fn answer(&mut self, request: &SeenRequest) -> Behaviour {
        let matching = self.0.iter_mut().filter(|(which, _)| which.is(request));
        let mut left = matching.filter_map(|(_, script)| script.next.pop_front().or_else(|| script.always.clone()));
        left.next().unwrap_or_else(|| {
            let text = format!("nothing is scripted for {} {}", request.method, request.path);
            Reply::new(500, "text/plain", text).whole()
        })
    }
}

/// Adds to one script.
pub struct Scripting<'a> {
    pub(super) state: &'a watch::Sender<State>,
    pub(super) which: Which,
}

impl Scripting<'_> {
    /// Does these things next, one a request.
    pub fn script<B: Into<Behaviour>>(self, behaviours: impl IntoIterator<Item = B>) -> Self {
        let behaviours: Vec<Behaviour> = behaviours.into_iter().map(Into::into).collect();
        self.change(|script| script.next.extend(behaviours))
    }

    /// Does this when nothing else is left.
    pub fn always(self, behaviour: impl Into<Behaviour>) -> Self {
        let behaviour = behaviour.into();
        self.change(|script| script.always = Some(behaviour))
    }

    fn change(self, change: impl FnOnce(&mut Script)) -> Self {
        self.state.send_modify(|state| change(state.scripts.0.entry(self.which.clone()).or_default()));
        self
    }
}
