//! Real providers that the demo makes ready, where their keys are in the environment. It never reads a key: it says to
//! the daemon which variable holds it.

use std::ffi::OsString;
use std::fmt::Write as _;

/// A provider with the variable in which its key is usually found.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Real {
    provider: &'static str,
    /// The variable.
    pub(super) variable: &'static str,
    /// A small model of its, to try.
    pub(super) model: &'static str,
}

/// All of them.
pub(super) const ALL: &[Real] = &[
    Real { provider: "openai", variable: "OPENAI_API_KEY", model: "openai/gpt-4.1-mini" },
    Real { provider: "gemini", variable: "GEMINI_API_KEY", model: "gemini/gemini-2.5-flash-lite" },
    Real { provider: "openrouter", variable: "OPENROUTER_API_KEY", model: "openrouter/openai/gpt-4.1-mini" },
];

/// Those whose keys there are.
pub(super) fn found(variable: impl Fn(&str) -> Option<OsString>) -> Vec<&'static Real> {
    ALL.iter().filter(|one| variable(one.variable).is_some_and(|key| !key.is_empty())).collect()
}

impl Real {
    /// The connection's id.
    pub(super) fn connection(&self) -> String {
        format!("{}:demo", self.provider)
    }

    /// Declares the connection.
    pub(super) fn declare(&self, toml: &mut String) {
        let Self { provider, variable, .. } = self;
        let _ = write!(
            toml,
            "\n[[connections]]\nprovider = \"{provider}\"\nname = \"demo\"\nsecret = {{ env = \"{variable}\" }}\n"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_variable_is_no_key() {
        let variable = |name: &str| match name {
            "GEMINI_API_KEY" => Some("canary".into()),
            "OPENAI_API_KEY" => Some("".into()),
            _ => None,
        };
        let connections: Vec<_> = found(variable).into_iter().map(Real::connection).collect();
        assert_eq!(connections, ["gemini:demo"]);
    }
}
